//! Jobs that anybody submits: an image with a command or a script, which reach the lake by their environment.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::PostParams;

use super::client::{Cluster, failed};
use super::jobs::{Jobs, name};
use super::manifests::{JobSettings, script_map, script_name, submitted_job};
use super::names::{SUBMISSION_ANNOTATION, slug};
use super::submitted::Submitted;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::RunId;
use crate::progress::Silent;

/// The most that a script may have: an object of the API holds no more than a mebibyte.
const LARGEST_SCRIPT: u64 = 900 * 1024;

/// A program as text, and what runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// The file's name.
    pub file: String,
    /// Its text.
    pub text: String,
    /// The interpreter, as it is found on the image's path.
    pub interpreter: String,
}

impl Script {
    /// Reads a script; its suffix says what runs it: `.py` python3, `.sh` sh.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for other suffixes, and for what is no text or too long; those of the file system.
    pub fn read(path: &Path) -> Result<Self> {
        let subject = path.display();
        let interpreter = match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("py") => "python3",
            Some("sh") => "sh",
            _ => {
                return Err(Error::invalid("submit", subject)
                    .with_reason("nothing says what runs it: its name ends in neither .py nor .sh")
                    .with_hint("put it into an image, and give the command after --"));
            }
        };
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or("script").to_owned();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !file.chars().all(allowed) {
            return Err(Error::invalid("submit", subject)
                .with_reason("its name has other letters than a-z, A-Z, 0-9, `-`, `_` and `.`")
                .with_hint("rename it"));
        }
        let text = std::fs::read_to_string(path).map_err(|cause| Error::io("read", path.display(), cause))?;
        if text.len() as u64 > LARGEST_SCRIPT {
            return Err(Error::invalid("submit", subject)
                .with_reason(format_args!("it has {} bytes, and {LARGEST_SCRIPT} are the most", text.len()))
                .with_hint("put it into an image, or its data into the lake"));
        }
        Ok(Self { file, text, interpreter: interpreter.to_owned() })
    }
}

impl Cluster {
    /// Submits a Job: a command of an image, or a script that its interpreter runs. The lake's endpoint and the key of
    /// Jobs are in its environment (`DATALAKE_URL`, `AWS_*`), its user is not root, its home is `/tmp`.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if there is a Job of this name; those of the cluster.
    pub async fn submit(
        &self,
        name: &str,
        script: Option<&Script>,
        command: &[String],
        settings: &JobSettings,
    ) -> Result<Submitted> {
        let submission = slug(RunId::now().as_str(), 40);
        let job = submitted_job(name, &submission, script, command, settings)?;
        let jobs = Jobs::new(self, Duration::ZERO, &Silent);
        let made = match jobs.create(&job).await? {
            Some(made) => Some(made),
            // An earlier try may have made it, and its answer was lost.
            None => match jobs.find(name).await {
                // Whoever may make Jobs and not look at them learns at least that the name is taken.
                Err(error) if error.kind() == ErrorKind::Denied => None,
                found => found?.filter(|found| submission_of(found) == submission_of(&job)),
            },
        };
        let Some(job) = made else {
            return Err(Error::new(ErrorKind::AlreadyExists, "submit", format_args!("the Job {name}"))
                .with_reason("there is one of this name")
                .with_hint(format_args!(
                    "choose another, or remove that one: datalake job delete {name} {}",
                    self.arguments()
                )));
        };
        if let Some(script) = script {
            self.put_script(&job, script, &script_name(name, &submission)).await?;
        }
        Ok(Submitted::new(self, job, true))
    }

    /// Puts the script beside its Job, which it leaves with. The pod waits for it.
    async fn put_script(&self, job: &Job, script: &Script, map: &str) -> Result<()> {
        let mut map = script_map(map, script)?;
        map.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            name: name(job).to_owned(),
            uid: job.metadata.uid.clone().unwrap_or_default(),
            ..OwnerReference::default()
        }]);
        let maps: Api<ConfigMap> = self.api();
        let Err(cause) = maps.create(&PostParams::default(), &map).await else { return Ok(()) };
        let error = failed("keep", format_args!("the script of the Job {}", name(job)), cause);
        // A Job without its script would wait for it.
        match Jobs::new(self, Duration::ZERO, &Silent).remove(job).await {
            Ok(()) => Err(error),
            Err(left) => Err(error.with_hint(format_args!("remove the Job, which waits for it: {left}"))),
        }
    }
}

/// Which call has submitted a Job.
fn submission_of(job: &Job) -> Option<&String> {
    job.metadata.annotations.as_ref()?.get(SUBMISSION_ANNOTATION)
}
