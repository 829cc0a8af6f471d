//! Runs that go on without whoever began them: a Job of their own drives them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::client::{Cluster, ClusterOptions};
use super::jobs::{Ending, Jobs, OUTAGE, name, patiently};
use super::manifests::{JobSettings, driver_job};
use super::names::{RUN_LABEL, slug};
use super::runner::KubeJobs;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, BucketName, Lake, parse_object};
use crate::pipeline::{
    Context, Manifest, Pipeline, RUNS_BUCKET, RunId, RunOptions, Runner, Sharing, Status, StepReport, StepRun,
    ensure_bucket, failed_status, is_cancelled, load, runs_bucket, save,
};
use crate::progress::{Progress, Silent};

/// How long a driver is watched: what keeps it from starting shows within seconds, and has to last for some.
const WATCHED: Duration = Duration::from_secs(30);
/// How often its run is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);

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
    /// Starts a Job that drives the pipeline, and returns once it does, or after some seconds in which nothing was seen
    /// that keeps it from it. Until it does, the run is there and waits.
    ///
    /// # Errors
    /// Those of the cluster and the lake; why the Job cannot start; what it meets later is in the manifest of the run.
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
        let started = async {
            let job = self.start_driver(&run, &bucket.address(&key)).await?;
            self.see_begin(&job, lake, &run).await?;
            Ok(Detached { run: run.clone(), job: name(&job).to_owned() })
        };
        let started = started.await;
        let Err(error) = started else { return started };
        match never_began(lake, &run, &error).await {
            Ok(()) => Err(error),
            Err(untold) => Err(error.with_hint(format_args!("the run is left as waiting: {untold}"))),
        }
    }

    async fn start_driver(&self, run: &RunId, errand: &str) -> Result<Job> {
        let job = driver_job(&format!("run-{}", slug(run.as_str(), 40)), run, errand, self.settings())?;
        let jobs = Jobs::new(self.cluster(), Duration::ZERO, &Silent);
        if let Some(job) = jobs.create(&job).await? {
            return Ok(job);
        }
        // Of an earlier try, whose answer was lost?
        let found = jobs.find(name(&job)).await?;
        let is_ours = |found: &Job| {
            found.metadata.labels.as_ref().and_then(|labels| labels.get(RUN_LABEL)).is_some_and(|of| of == run.as_str())
        };
        found.filter(is_ours).ok_or_else(|| {
            Error::new(ErrorKind::AlreadyExists, "start", format_args!("the run {run}"))
                .with_reason("there is a Job of its name")
                .with_hint("try again")
        })
    }

    /// Watches a driver until it has begun, for some seconds; removes it where nothing will come of it.
    async fn see_begin(&self, job: &Job, lake: &dyn Lake, run: &RunId) -> Result<()> {
        let jobs = Jobs::new(self.cluster(), self.pending_limit(), &Silent);
        let ending = tokio::select! {
            ending = jobs.follow(job) => match ending {
                // Whoever may make Jobs and not look at them has made one.
                Err(error) if error.kind() == ErrorKind::Denied => return Ok(()),
                ending => ending?,
            },
            begun = begun(lake, run) => return begun,
            () = tokio::time::sleep(WATCHED) => return Ok(()),
        };
        match ending {
            Ending::Complete => Ok(()),
            Ending::Failed(error) => match jobs.remove(job).await {
                Ok(()) => Err(error),
                Err(left) => Err(error.with_hint(format_args!("remove what is left of it: {left}"))),
            },
            Ending::Gone => Err(Error::new(ErrorKind::Cancelled, "start", format_args!("the run {run}"))
                .with_reason(format_args!("somebody has removed the Job {}", name(job)))),
        }
    }
}

/// Waits until a run has begun. One that failed did not: its Job tells more of it.
async fn begun(lake: &dyn Lake, run: &RunId) -> Result<()> {
    loop {
        match load(lake, Some(run)).await {
            Ok(manifest) if !matches!(manifest.status, Status::Waiting | Status::Failed) => return Ok(()),
            Err(error) if error.kind() != ErrorKind::Unavailable => return Err(error),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Writes into the manifest of a run why it has not begun; one that is over already stays as it is.
async fn never_began(lake: &dyn Lake, run: &RunId, error: &Error) -> Result<()> {
    let mut manifest = load(lake, Some(run)).await?;
    if !matches!(manifest.status, Status::Waiting | Status::Running | Status::Interrupted) {
        return Ok(());
    }
    manifest.status = failed_status(error);
    manifest.error = Some(error.in_one_line());
    save(&runs_bucket(lake).await?, &mut manifest).await
}

/// Drives the run that an errand at this path of the lake describes, from within the cluster.
///
/// A driver that is terminated, as by a node that is drained, leaves its Jobs at work and its run as it is: it is started
/// again elsewhere, and goes on.
///
/// # Errors
/// Those of the run.
pub async fn drive(errand: &str, lake: Arc<dyn Lake>, progress: Arc<dyn Progress>) -> Result<Manifest> {
    let (bucket, key) = parse_object(errand)?;
    let Some(run) = key.parts().nth(1).map(|run| RunId::from(run.as_ref())) else {
        return Err(Error::invalid("read", errand).with_reason("it lies in the folder of no run"));
    };
    let begun = async {
        let errand = read(&lake.bucket(&bucket).await?, &key).await?;
        let options = ClusterOptions::default().with_namespace(Some(errand.namespace.clone()));
        let cluster = patiently(OUTAGE, progress.as_ref(), || Cluster::connect(&options)).await?;
        Ok((errand, cluster))
    };
    let (errand, cluster) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            // Of two errors the first is the one to know.
            if let Err(untold) = never_began(lake.as_ref(), &run, &error).await {
                progress.note(&format!("{untold}"));
            }
            return Err(error);
        }
    };
    let sharing = Sharing::new(errand.workers).with_shard_size(errand.shard_size);
    let jobs = KubeJobs::new(&cluster, errand.settings, sharing)
        .with_pending_limit(Duration::from_secs(errand.pending_seconds));
    let options = RunOptions::default().with_fresh(errand.fresh).with_run(Some(errand.run));
    errand.pipeline.run(lake, &Driven { runner: &jobs }, options, progress).await
}

async fn read(bucket: &Bucket, key: &Path) -> Result<Errand> {
    let text = bucket.get(key).await?;
    serde_json::from_slice(&text).map_err(|cause| {
        Error::invalid("read", bucket.address(key))
            .with_reason("it was written by another build of datalake")
            .with_hint("let the image be of the same build: datalake image save, or push")
            .with_source(cause)
    })
}

/// Jobs of a run whose driver may be moved: they go on meanwhile.
#[derive(Debug)]
struct Driven<'a> {
    runner: &'a dyn Runner,
}

#[async_trait]
impl Runner for Driven<'_> {
    async fn run(&self, step: &StepRun, context: &Context) -> Result<StepReport> {
        self.runner.run(step, context).await
    }

    async fn stop(&self, context: &Context) -> Result<()> {
        if self.is_moved(context).await? { Ok(()) } else { self.runner.stop(context).await }
    }

    /// Whether the driver's pod was asked to end, and not the run. Its next driver goes on with it; where there is none,
    /// its heart no longer beats.
    async fn is_moved(&self, context: &Context) -> Result<bool> {
        Ok(context.progress.is_cancelled() && !is_cancelled(context.lake.as_ref(), &context.run).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::lake::MemoryLake;
    use crate::pipeline::cancel;
    use crate::progress::Stopped;

    /// Counts how often it is stopped.
    #[derive(Debug, Default)]
    struct Counted(AtomicU32);

    #[async_trait]
    impl Runner for Counted {
        async fn run(&self, _step: &StepRun, _context: &Context) -> Result<StepReport> {
            std::future::pending().await
        }

        async fn stop(&self, _context: &Context) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    /// Fails at every step.
    #[derive(Debug)]
    struct Failing;

    #[async_trait]
    impl Runner for Failing {
        async fn run(&self, _step: &StepRun, _context: &Context) -> Result<StepReport> {
            Err(Error::invalid("carry out", "what fails"))
        }
    }

    async fn waiting(lake: &dyn Lake) -> RunId {
        let run = RunId::now();
        let bucket = ensure_bucket(lake, &BucketName::new(RUNS_BUCKET).unwrap()).await.unwrap();
        save(&bucket, &mut Pipeline::food_calories().blank_manifest(&run, Status::Waiting)).await.unwrap();
        run
    }

    /// A run whose driver was terminated within its first step, and how often its Jobs were stopped.
    async fn terminated(lake: &Arc<dyn Lake>, run: &RunId) -> (Result<Manifest>, u32) {
        let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
        crate::sample::land_if_missing(&raw, &"foods".into(), None, &Silent).await.unwrap();
        let stopped = Counted::default();
        let options = RunOptions::default().with_run(Some(run.clone()));
        let driven = Driven { runner: &stopped };
        let outcome = Pipeline::food_calories().run(Arc::clone(lake), &driven, options, Arc::new(Stopped)).await;
        (outcome, stopped.0.into_inner())
    }

    #[tokio::test]
    async fn a_driver_that_is_moved_leaves_its_jobs_and_its_run() {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let run = waiting(lake.as_ref()).await;
        let (outcome, stopped) = terminated(&lake, &run).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(stopped, 0);
        let manifest = load(lake.as_ref(), Some(&run)).await.unwrap();
        assert_eq!(
            (manifest.status, manifest.error, manifest.steps[0].status),
            (Status::Running, None, Status::Running)
        );
    }

    #[tokio::test]
    async fn a_step_that_fails_while_the_driver_is_moved_has_failed() {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let run = waiting(lake.as_ref()).await;
        let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
        crate::sample::land_if_missing(&raw, &"foods".into(), None, &Silent).await.unwrap();
        let options = RunOptions::default().with_run(Some(run.clone()));
        let driven = Driven { runner: &Failing };
        let outcome = Pipeline::food_calories().run(Arc::clone(&lake), &driven, options, Arc::new(Stopped)).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
        let manifest = load(lake.as_ref(), Some(&run)).await.unwrap();
        assert_eq!((manifest.status, manifest.steps[0].status), (Status::Failed, Status::Failed));
        assert!(manifest.error.unwrap().contains("what fails"));
    }

    #[tokio::test]
    async fn a_run_that_is_cancelled_takes_its_jobs_with_it() {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let run = waiting(lake.as_ref()).await;
        cancel(lake.as_ref(), &run).await.unwrap();
        let (outcome, stopped) = terminated(&lake, &run).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(stopped, 1);
        assert_eq!(load(lake.as_ref(), Some(&run)).await.unwrap().status, Status::Cancelled);
    }

    #[tokio::test]
    async fn what_keeps_a_run_from_its_beginning_is_in_its_manifest() {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let run = waiting(lake.as_ref()).await;
        let bucket = runs_bucket(lake.as_ref()).await.unwrap();
        let key = run.key("errand.json");
        bucket.put(&key, "{}", object_store::PutMode::Overwrite).await.unwrap();
        let error = drive(&bucket.address(&key), Arc::clone(&lake), Arc::new(Silent)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let manifest = load(lake.as_ref(), Some(&run)).await.unwrap();
        assert_eq!(manifest.status, Status::Failed);
        assert!(manifest.error.unwrap().contains("another build"));

        // What is over stays so.
        let other = Error::internal("start", "it");
        never_began(lake.as_ref(), &run, &other).await.unwrap();
        assert!(load(lake.as_ref(), Some(&run)).await.unwrap().error.unwrap().contains("another build"));
    }
}
