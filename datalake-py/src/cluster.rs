//! Clusters: lakes that are set up in them, pipelines and scripts that run there as Jobs.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datalake_core::cluster::names::NAMESPACE;
use datalake_core::cluster::profile::Profile;
use datalake_core::cluster::store::{Key, StoreKind};
use datalake_core::cluster::{Cluster, ClusterOptions, JobSettings, KubeJobs, NodePorts, Script, SetupSettings};
use datalake_core::lake::{BucketName, LakeOptions};
use datalake_core::pipeline::{Manifest, RunId, RunOptions, Sharing, cancel as ask};
use datalake_core::progress::Progress;
use datalake_core::{Error, ErrorKind, Result, quantity};
use pyo3::exceptions::{PyRuntimeWarning, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;
use tokio::time::timeout;

use crate::error::raised;
use crate::lake::{Lake, LakeLike, document, variable};
use crate::options::size;
use crate::pipeline::prepared;
use crate::runtime::{Listener, wait, wait_with};

/// How long the Jobs of an interrupted run may take to be removed.
const GRACE: Duration = Duration::from_secs(30);

/// How long a cluster may take to say what is at work in it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which cluster is meant, where the profile knows no better: a context and a namespace.
#[pyclass(frozen, module = "datalake._datalake", name = "Connection")]
#[derive(Debug)]
pub(crate) struct Connection(ClusterOptions);

#[pymethods]
impl Connection {
    #[new]
    fn new(context: Option<String>, namespace: Option<String>) -> Self {
        Self(ClusterOptions::default().with_context(context).with_namespace(namespace))
    }

    /// Brings up a lake, and remembers it in the profile.
    fn setup<'py>(
        &self,
        py: Python<'py>,
        options: &Bound<'_, PyDict>,
        display: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let profile = profile(py)?;
        let settings = setup_settings(options, &profile)?;
        let options = profile.cluster(self.0.clone());
        let listener = Arc::new(Listener::default().with_display(display));
        let progress = Arc::clone(&listener);
        let (done, not_kept) = wait_with(py, &listener, async move {
            settings.check()?;
            let cluster = Cluster::connect(&options).await?;
            let done = cluster.setup(&settings, progress.as_ref()).await?;
            // The lake is up, whether or not that can be remembered.
            let kept = Profile::update(|profile| profile.remember(cluster.profile(), &settings, &done));
            let (kept, not_kept) = match kept {
                Ok(kept) => (kept, None),
                Err(error) => (None, Some(error)),
            };
            let mut told = serde_json::to_value(&done)
                .map_err(|cause| Error::internal("tell", "what was set up").with_source(cause))?;
            told["profile"] = kept.into();
            told["forward_command"] = done.forward_command().into();
            Ok((told, not_kept))
        })?;
        warn(py, not_kept)?;
        document(py, &done)
    }

    /// What the API server says of a setup, which keeps nothing of it.
    fn dry_run_setup<'py>(&self, py: Python<'py>, options: &Bound<'_, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let profile = profile(py)?;
        let settings = setup_settings(options, &profile)?;
        let options = profile.cluster(self.0.clone());
        let checked = wait(py, async move {
            settings.check()?;
            Cluster::connect(&options).await?.dry_run_setup(&settings).await
        })?;
        document(py, &checked)
    }

    /// What a setup would apply, as YAML; needs no cluster.
    fn setup_yaml(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<String> {
        let profile = profile(py)?;
        let settings = setup_settings(options, &profile)?;
        let namespace = profile.cluster(self.0.clone()).namespace.unwrap_or_else(|| NAMESPACE.to_owned());
        let yaml = settings.check().and_then(|()| settings.to_yaml(&namespace));
        yaml.map_err(|error| raised(py, &error))
    }

    /// Takes a lake down, its data only if that is meant.
    fn teardown<'py>(
        &self,
        py: Python<'py>,
        delete_data: bool,
        display: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = profile(py)?.cluster(self.0.clone());
        let listener = Arc::new(Listener::default().with_display(display));
        let progress = Arc::clone(&listener);
        let (done, not_kept) = wait_with(py, &listener, async move {
            let cluster = Cluster::connect(&options).await?;
            let done = cluster.teardown(delete_data, progress.as_ref()).await?;
            let kept = Profile::update(|profile| {
                profile.forget(&cluster.profile(), delete_data);
            });
            Ok((done, kept.err()))
        })?;
        warn(py, not_kept)?;
        document(py, &done)
    }

    /// Runs a pipeline as Jobs; returns the manifest of the run, one that waits where it is detached.
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn run<'py>(
        &self,
        py: Python<'py>,
        pipeline: PathBuf,
        lake: &Bound<'py, Lake>,
        settings: Vec<(String, String)>,
        fresh: bool,
        workers: u32,
        shard_size: &Bound<'_, PyAny>,
        detach: bool,
        pods: &Bound<'_, PyDict>,
        display: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (lake, names) = (lake.get().engine(), lake.get().options());
        let profile = profile(py)?;
        let Pods { settings: pods, pending } =
            self::pods(pods, |image| Ok(profile.job_settings(image).with_names_of(names)))?;
        let sharing = Sharing::new(workers).with_shard_size(size(shard_size)?);
        let options = profile.cluster(self.0.clone());
        let listener = Arc::new(Listener::default().with_display(display).with_grace(GRACE));
        let progress = Arc::clone(&listener);
        let manifest = wait_with(py, &listener, async move {
            if !lake.to_string().contains("://") {
                return Err(of_this_machine(&lake.to_string()));
            }
            let cluster = Cluster::connect(&options).await?;
            let jobs = KubeJobs::new(&cluster, pods, sharing).with_pending_limit(pending);
            let pipeline = prepared(&pipeline, &settings, lake.as_ref(), progress.as_ref()).await?;
            let options = RunOptions::default().with_fresh(fresh);
            if detach {
                let detached = jobs.detach(&pipeline, lake.as_ref(), &options).await?;
                return datalake_core::pipeline::load(lake.as_ref(), Some(&detached.run)).await;
            }
            pipeline.run(lake, &jobs, options, progress).await
        })?;
        document::<Manifest>(py, &manifest)
    }

    /// The Jobs and pods of the lake.
    fn overview<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let options = profile(py)?.cluster(self.0.clone());
        let found = wait(py, async move {
            let asked = async { Cluster::connect(&options).await?.overview().await };
            let silent =
                |_| Error::new(ErrorKind::Unavailable, "reach", "the cluster").with_reason("it does not answer");
            timeout(PATIENCE, asked).await.map_err(silent)?
        })?;
        document(py, &found)
    }

    /// Asks a run to stop, and removes its Jobs; returns how it stood, and how many Jobs those were.
    fn cancel<'py>(&self, py: Python<'py>, lake: LakeLike<'py>, run: &str) -> PyResult<Bound<'py, PyAny>> {
        let lake = LakeLike::open_or_default(Some(lake), py)?;
        let options = profile(py)?.cluster(self.0.clone());
        let run = RunId::from(run);
        let done = wait(py, async move {
            let manifest = ask(lake.as_ref(), &run).await?;
            let removed = async { KubeJobs::remove_of(&Cluster::connect(&options).await?, &run).await }.await;
            // The run is asked by now; one in a process has no Jobs.
            let (removed, trouble) = match removed {
                Ok(removed) => (removed, None),
                Err(error) if error.kind() == ErrorKind::NotFound => (0, None),
                Err(error) => (0, Some(error.to_string())),
            };
            Ok(json!({ "run": run, "was": manifest.status, "jobs_removed": removed, "trouble": trouble }))
        })?;
        document(py, &done)
    }

    /// Submits a Job of one's own. With a display, which is given the lines that it prints as notes, it waits for the end.
    fn submit(
        &self,
        py: Python<'_>,
        name: String,
        script: Option<PathBuf>,
        command: Vec<String>,
        pods: &Bound<'_, PyDict>,
        display: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let Pods { settings, pending } = self::pods(pods, |image| match image {
            Some(image) => Ok(JobSettings::new(image)),
            None => Err(Error::invalid("submit", format_args!("the Job {name}"))
                .with_reason("it has no image")
                .with_hint("name one, such as image=\"python:3.13\"")),
        })?;
        let options = profile(py)?.cluster(self.0.clone());
        let follows = display.is_some();
        let listener = Arc::new(Listener::default().with_display(display));
        let progress = Arc::clone(&listener);
        wait_with(py, &listener, async move {
            let script = script.as_deref().map(Script::read).transpose()?;
            let job = Cluster::connect(&options).await?.submit(&name, script.as_ref(), &command, &settings).await?;
            if follows {
                let line = |line: &str| {
                    progress.note(line);
                    Ok(())
                };
                job.follow(pending, progress.as_ref(), &line).await?;
            }
            Ok(job.name().to_owned())
        })
    }

    /// The Jobs that were submitted, and how they stand.
    fn submitted_jobs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let options = profile(py)?.cluster(self.0.clone());
        let found = wait(py, async move { Cluster::connect(&options).await?.submitted_jobs().await })?;
        document(py, &found)
    }

    /// Gives a display the lines that a submitted Job has printed, as notes; with `follow` until it ends.
    fn job_log(&self, py: Python<'_>, name: String, follow: bool, display: Py<PyAny>) -> PyResult<()> {
        let options = profile(py)?.cluster(self.0.clone());
        let listener = Arc::new(Listener::default().with_display(Some(display)));
        let progress = Arc::clone(&listener);
        wait_with(py, &listener, async move {
            let job = Cluster::connect(&options).await?.submitted_job(&name).await?;
            let line = |line: &str| {
                progress.note(line);
                Ok(())
            };
            match follow {
                true => job.follow(KubeJobs::PENDING_LIMIT, progress.as_ref(), &line).await,
                false => job.log(&line).await,
            }
        })
    }

    /// Removes a submitted Job, whether it has ended or not.
    fn delete_job(&self, py: Python<'_>, name: String) -> PyResult<()> {
        let options = profile(py)?.cluster(self.0.clone());
        wait(py, async move { Cluster::connect(&options).await?.submitted_job(&name).await?.delete().await })
    }
}

/// What the pods of Jobs get, and how long they may wait for a node.
struct Pods {
    settings: JobSettings,
    pending: Duration,
}

/// The pods that were asked for, by name as in `PodOptions` of the stubs.
fn pods(given: &Bound<'_, PyDict>, of_image: impl FnOnce(Option<&str>) -> Result<JobSettings>) -> PyResult<Pods> {
    let py = given.py();
    let image: Option<String> = given.get_item("image")?.map(|image| image.extract()).transpose()?.flatten();
    let mut settings = of_image(image.as_deref()).map_err(|error| raised(py, &error))?;
    let mut pending = None;
    for (name, value) in given {
        let name: String = name.extract()?;
        match name.as_str() {
            "image" => {}
            _ if value.is_none() => {}
            "image_pull_policy" => settings.image_pull_policy = value.extract()?,
            "image_pull_secrets" => settings.image_pull_secrets = value.extract()?,
            "cpu" => settings.cpu = Some(value.str()?.extract()?),
            "memory" => settings.memory = value.extract()?,
            "node_selector" => settings.node_selector = value.extract()?,
            "tolerations" => {
                let texts: Vec<String> = value.extract()?;
                let parsed: Result<Vec<_>> = texts.iter().map(|text| text.parse()).collect();
                settings.tolerations = parsed.map_err(|error| raised(py, &error))?;
            }
            "priority_class" => settings.priority_class = value.extract()?,
            "queue" => settings.queue = value.extract()?,
            "env" => settings.env.extend(value.extract::<BTreeMap<String, String>>()?),
            "active_deadline" => settings.active_deadline_seconds = Some(whole_seconds(&value)?),
            "ttl" => {
                settings.ttl_seconds_after_finished = i32::try_from(whole_seconds(&value)?).unwrap_or(i32::MAX);
            }
            "pending_limit" => pending = Some(time(&value)?),
            _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument `{name}`"))),
        }
    }
    Ok(Pods { settings, pending: pending.unwrap_or(KubeJobs::PENDING_LIMIT) })
}

/// How a lake is set up, by name as in `SetupOptions` of the stubs; what is left open is as the last time.
fn setup_settings(given: &Bound<'_, PyDict>, profile: &Profile) -> PyResult<SetupSettings> {
    let py = given.py();
    let text = |name: &str| -> PyResult<Option<String>> {
        Ok(given.get_item(name)?.map(|value| value.extract::<Option<String>>()).transpose()?.flatten())
    };
    let store = text("store")?.unwrap_or_else(|| "minio".to_owned());
    let named = text("image")?;
    let image = |kind| named.or_else(|| profile.store_image(kind).map(ToOwned::to_owned)).ok_or_else(no_image);
    let settings = match store.as_str() {
        "minio" => image(StoreKind::Minio).map(SetupSettings::minio),
        "versitygw" => image(StoreKind::Versitygw).map(SetupSettings::versitygw),
        "external" => external(text("endpoint")?, text("access_key_id")?, text("secret_access_key")?, text("region")?),
        _ => Err(Error::invalid("use", format_args!("the store `{store}`"))
            .with_reason("wanted is minio, versitygw or external")),
    };
    let mut settings = settings.map_err(|error| raised(py, &error))?;
    let is_ours = store != "external";
    let mut names = LakeOptions::default().with_names_of(&variable).map_err(|error| raised(py, &error))?;
    for (name, value) in given {
        let name: String = name.extract()?;
        match name.as_str() {
            "store" | "image" | "endpoint" | "access_key_id" | "secret_access_key" | "region" => {}
            "bucket_prefix" => names.bucket_prefix = value.extract::<Option<String>>()?.or(names.bucket_prefix),
            "buckets" => {
                for (logical, real) in value.extract::<Option<BTreeMap<String, String>>>()?.unwrap_or_default() {
                    names.buckets.insert(bucket(py, &logical)?, bucket(py, &real)?);
                }
            }
            "more_buckets" => {
                let given = value.extract::<Vec<String>>()?;
                settings.more_buckets = given.iter().map(|name| bucket(py, name)).collect::<PyResult<_>>()?;
            }
            "no_more_buckets" => settings.no_more_buckets = value.extract()?,
            "rotate" => settings.rotate = value.extract()?,
            "timeout" => settings.timeout = time(&value)?,
            "image_pull_policy" if is_ours => settings.image_pull_policy = value.extract()?,
            "storage_class" if is_ours => settings.storage_class = value.extract()?,
            "size" if is_ours => settings.size = value.extract()?,
            "ingress" if is_ours => settings.ingress = value.extract::<Option<String>>()?.into(),
            "node_ports" if is_ours => {
                let ports: Option<(u16, u16)> = value.extract()?;
                let checked = ports.map(|(s3, console)| format!("{s3},{console}").parse::<NodePorts>()).transpose();
                settings.node_ports = checked.map_err(|error| raised(py, &error))?.into();
            }
            "image_pull_policy" | "storage_class" | "size" | "ingress" | "node_ports" => {
                return Err(PyTypeError::new_err(format!("`{name}` is of no use for a store that is there already")));
            }
            _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument `{name}`"))),
        }
    }
    (settings.bucket_prefix, settings.buckets) = (names.bucket_prefix, names.buckets);
    profile.complete(&mut settings);
    Ok(settings)
}

fn bucket(py: Python<'_>, name: &str) -> PyResult<BucketName> {
    BucketName::new(name).map_err(|error| raised(py, &error))
}

/// A store that is there already, and the key that Jobs are to have.
fn external(
    endpoint: Option<String>,
    id: Option<String>,
    secret: Option<String>,
    region: Option<String>,
) -> Result<SetupSettings> {
    // A token of the environment belongs to the key there.
    if id.is_none() {
        SetupSettings::check_key_lasts(&|name| variable(name))?;
    }
    let needed = |given: Option<String>, keyword: &str, name: &str| {
        given.or_else(|| variable(name)).ok_or_else(|| {
            Error::invalid("set up", "a lake in a store that is there already")
                .with_reason(format_args!("neither `{keyword}` is given nor {name} set"))
        })
    };
    let key = Key {
        access_key_id: needed(id, "access_key_id", "AWS_ACCESS_KEY_ID")?,
        secret_access_key: needed(secret, "secret_access_key", "AWS_SECRET_ACCESS_KEY")?,
    };
    let endpoint = needed(endpoint, "endpoint", "DATALAKE_URL")?;
    Ok(SetupSettings::external(endpoint, key, region.or_else(|| variable("AWS_REGION"))))
}

fn no_image() -> Error {
    Error::invalid("set up", "the lake").with_reason("no image of the store is named, and none is guessed").with_hint(
        "make one by `datalake image pack --name localhost/minio:1 --entrypoint /minio -o minio.tar MINIO`, bring it to \
         each node or push it, and name it by image=",
    )
}

fn of_this_machine(lake: &str) -> Error {
    Error::invalid("run", "Jobs on a cluster")
        .with_reason(format_args!("the lake {lake} is of this machine alone"))
        .with_hint("set up the cluster's own by setup(), or name an endpoint")
}

/// Says that the profile is not what it should be now, which takes nothing from what was done.
fn warn(py: Python<'_>, not_kept: Option<Error>) -> PyResult<()> {
    let Some(error) = not_kept else { return Ok(()) };
    let words = CString::new(error.to_string())
        .map_err(|cause| raised(py, &Error::internal("warn", "of the profile").with_source(cause)))?;
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &words, 2)
}

fn profile(py: Python<'_>) -> PyResult<Profile> {
    Profile::of_user().map_err(|error| raised(py, &error))
}

/// Seconds as a number, or a time as people write it.
fn time(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    quantity::time(value.str()?.to_str()?).map_err(|error| raised(value.py(), &error))
}

fn whole_seconds(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    Ok(i64::try_from(time(value)?.as_secs()).unwrap_or(i64::MAX))
}
