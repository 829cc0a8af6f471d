//! Runs that go on without whoever began them: a Job of their own drives them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::{Cluster, ClusterOptions};
use super::jobs::{Jobs, name};
use super::manifests::{JobSettings, driver_job};
use super::names::slug;
use super::runner::KubeJobs;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{BucketName, Lake, parse_object};
use crate::pipeline::{
    Manifest, Pipeline, RUNS_BUCKET, RunId, RunOptions, Sharing, Status, ensure_bucket, failed_status, save,
};
use crate::progress::Progress;

/// What a driver is to do: `errand.json` in the folder of its run.
#[derive(Debug, Serialize, Deserialize)]
struct Errand {
    run: RunId,
    pipeline: Pipeline,
    fresh: bool,
    namespace: String,
    settings: JobSettings,
    workers: u32,
    shard_size: u64,
    pending_seconds: u64,
}

/// A run that is driven in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detached {
    /// The run.
    pub run: RunId,
    /// The Job that drives it.
    pub job: String,
}

impl KubeJobs {
    /// Starts a Job that drives the pipeline, and returns at once. Until it does, the run is there and waits.
    ///
    /// # Errors
    /// Those of the cluster and the lake; what the Job meets later is in the manifest of the run.
    pub async fn detach(&self, pipeline: &Pipeline, lake: &dyn Lake, options: &RunOptions) -> Result<Detached> {
        let run = RunId::now();
        let bucket = ensure_bucket(lake, &BucketName::new(RUNS_BUCKET)?).await?;
        let errand = Errand {
            run: run.clone(),
            pipeline: pipeline.clone(),
            fresh: options.fresh,
            namespace: self.cluster().namespace().to_owned(),
            settings: self.settings().clone(),
            workers: self.sharing().workers,
            shard_size: self.sharing().shard_size,
            pending_seconds: self.pending_limit().as_secs(),
        };
        let text = serde_json::to_vec_pretty(&errand)
            .map_err(|cause| Error::internal("describe", format_args!("the run {run}")).with_source(cause))?;
        let key = run.key("errand.json");
        bucket.put(&key, text, object_store::PutMode::Overwrite).await?;
        let mut manifest = pipeline.blank_manifest(&run, Status::Waiting);
        save(&bucket, &mut manifest).await?;
        let started = self.start_driver(&run, &bucket.address(&key)).await;
        if let Err(error) = &started {
            manifest.status = failed_status(error);
            manifest.error = Some(format!("{error:?}"));
            save(&bucket, &mut manifest).await?;
        }
        Ok(Detached { run, job: started? })
    }

    async fn start_driver(&self, run: &RunId, errand: &str) -> Result<String> {
        let job = driver_job(&format!("run-{}", slug(run.as_str(), 40)), run, errand, self.settings())?;
        match Jobs::new(self.cluster(), Duration::ZERO).create(&job).await? {
            Some(job) => Ok(name(&job).to_owned()),
            None => Err(Error::new(ErrorKind::AlreadyExists, "start", format_args!("the run {run}"))
                .with_reason("there is a Job of its name")
                .with_hint("try again")),
        }
    }
}

/// Drives the run that an errand at this path of the lake describes, from within the cluster.
///
/// # Errors
/// Those of the run.
pub async fn drive(errand: &str, lake: Arc<dyn Lake>, progress: Arc<dyn Progress>) -> Result<Manifest> {
    let (bucket, key) = parse_object(errand)?;
    let text = lake.bucket(&bucket).await?.get(&key).await?;
    let errand: Errand = serde_json::from_slice(&text).map_err(|cause| {
        Error::invalid("read", errand)
            .with_reason("it was written by another build of datalake")
            .with_hint("let the image be of the same build: datalake image save, or push")
            .with_source(cause)
    })?;
    let options = ClusterOptions::default().with_namespace(Some(errand.namespace));
    let cluster = Cluster::connect(&options).await?;
    let sharing = Sharing::new(errand.workers).with_shard_size(errand.shard_size);
    let jobs = KubeJobs::new(&cluster, errand.settings, sharing)
        .with_pending_limit(Duration::from_secs(errand.pending_seconds));
    let options = RunOptions::default().with_fresh(errand.fresh).with_run(Some(errand.run));
    errand.pipeline.run(lake, &jobs, options, progress).await
}
