//! Jobs that anybody submits: an image with a command or a script, which reach the lake by their environment.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{LogParams, PostParams};

use super::client::{Cluster, failed};
use super::jobs::{Ending, Jobs, Standing, name, standing};
use super::manifests::{JobSettings, script_map, submitted_job};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Progress, Silent};

/// The most that a script may have: an object of the API holds no more than a mebibyte.
const LARGEST_SCRIPT: u64 = 900 * 1024;
/// How long the rest of a log may take after its Job has failed.
const REST: Duration = Duration::from_secs(10);
/// How often a pod is looked for whose log can be read.
const LOOK: Duration = Duration::from_millis(300);

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

/// A Job that was submitted.
#[derive(Debug)]
pub struct Submitted {
    cluster: Cluster,
    job: Job,
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
        let job = submitted_job(name, script, command, settings)?;
        let jobs = Jobs::new(self, Duration::ZERO, &Silent);
        let Some(job) = jobs.create(&job).await? else {
            return Err(Error::new(ErrorKind::AlreadyExists, "submit", format_args!("the Job {name}"))
                .with_reason("there is one of this name")
                .with_hint(format_args!("choose another, or: kubectl -n {} delete job {name}", self.namespace())));
        };
        if let Some(script) = script {
            self.put_script(&job, script).await?;
        }
        Ok(Submitted { cluster: self.clone(), job })
    }

    /// Puts the script beside its Job, which it leaves with. The pod waits for it.
    async fn put_script(&self, job: &Job, script: &Script) -> Result<()> {
        let mut map = script_map(name(job), script)?;
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

impl Submitted {
    /// The Job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        name(&self.job)
    }

    /// Waits until it ends, and hands on what its container prints, line by line.
    ///
    /// # Errors
    /// Why it failed; those of the cluster.
    pub async fn follow(
        &self,
        pending: Duration,
        progress: &dyn Progress,
        line: &(dyn Fn(&str) -> Result<()> + Send + Sync),
    ) -> Result<()> {
        let jobs = Jobs::new(&self.cluster, pending, progress);
        let has_ended = AtomicBool::new(false);
        let end = jobs.follow(&self.job);
        tokio::pin!(end);
        let print = self.print(&jobs, &has_ended, progress, line);
        tokio::pin!(print);
        let mut printed = false;
        let ending = loop {
            tokio::select! {
                ending = &mut end => break ending?,
                done = &mut print, if !printed => {
                    done?;
                    printed = true;
                }
            }
        };
        has_ended.store(true, Ordering::Relaxed);
        match (printed, &ending) {
            (true, _) => {}
            (false, Ending::Complete) => print.await?,
            // Its last lines may say why, and a node that is away would never give them.
            (false, _) => match tokio::time::timeout(REST, print).await {
                Ok(done) => done?,
                Err(_) => progress.note("the rest of its log does not come"),
            },
        }
        match ending {
            Ending::Complete => Ok(()),
            Ending::Failed(error) => {
                // One that nothing will come of would go on trying, and hold its name.
                if let Ok(Some(found)) = jobs.find(self.name()).await
                    && standing(&found) == Standing::Running
                    && let Err(left) = jobs.remove(&found).await
                {
                    progress.note(&format!("the Job {} is left as it is: {left}", self.name()));
                }
                Err(error)
            }
            Ending::Gone => Err(Error::new(ErrorKind::Cancelled, "follow", format_args!("the Job {}", self.name()))
                .with_reason("somebody has removed it")),
        }
    }

    /// Prints the log of the Job's pod, once there is one; of a Job that has ended without one there is nothing to print. A
    /// log that breaks off is no reason not to wait for the Job.
    async fn print(
        &self,
        jobs: &Jobs<'_>,
        has_ended: &AtomicBool,
        progress: &dyn Progress,
        line: &(dyn Fn(&str) -> Result<()> + Send + Sync),
    ) -> Result<()> {
        let pods: Api<Pod> = self.cluster.api();
        let has_begun = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Running" | "Succeeded" | "Failed"))
        };
        let pod = loop {
            // Asked first: what has begun before the end is seen.
            let is_last = has_ended.load(Ordering::Relaxed);
            match jobs.pods(&self.job).await?.into_iter().find(has_begun) {
                Some(pod) => break pod.metadata.name.unwrap_or_default(),
                None if is_last => return Ok(()),
                None => tokio::time::sleep(LOOK).await,
            }
        };
        let breaks_off = |error: Error| {
            progress.note(&format!("{error}; its log breaks off here, and its Job is followed to its end"));
            Ok(())
        };
        let follow = LogParams { follow: true, ..LogParams::default() };
        let mut lines = match pods.log_stream(&pod, &follow).await {
            Ok(stream) => stream.lines(),
            Err(cause) => return breaks_off(failed("read", format_args!("the log of {pod}"), cause)),
        };
        loop {
            match lines.try_next().await {
                Ok(Some(text)) => line(&text)?,
                Ok(None) => return Ok(()),
                Err(cause) => return breaks_off(Error::io("read", format_args!("the log of {pod}"), cause)),
            }
        }
    }
}
