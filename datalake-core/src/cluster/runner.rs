//! Runs the steps of a pipeline as Jobs: the results are the same bytes as in one process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use sha2::{Digest, Sha256};

use super::client::Cluster;
use super::jobs::{Ending, Jobs, Standing, name, standing};
use super::manifests::{JobSettings, WorkerJob, worker_job};
use super::names::{ORDER_ANNOTATION, RUN_LABEL, SETTINGS_ANNOTATION, slug};
use crate::error::{Error, ErrorKind, Result};
use crate::format::digest::hex;
use crate::lake::Lake;
use crate::pipeline::{
    Context, LogReader, Order, RunId, Runner, Sharing, Stage, StepReport, StepRun, is_cancelled, load, stands,
};
use crate::progress::{Progress, Silent};

/// How often a Job that somebody has removed is made again.
const REMADE: u32 = 3;

/// Carries out steps as Jobs of a cluster, in the namespace of the lake.
///
/// Each stage of a step is one Job, whose name is a digest of the step, its inputs and the code. So whoever runs the same
/// pipeline meanwhile, or again after an interruption, finds the Jobs that are there and goes on with them.
#[derive(Debug, Clone)]
pub struct KubeJobs {
    cluster: Cluster,
    pending: Duration,
    settings: JobSettings,
    sharing: Sharing,
    /// Jobs of other runs that were gone on with.
    adopted: Arc<Mutex<Vec<Job>>>,
}

impl KubeJobs {
    /// How long the pods of a Job may wait for a node where nothing else is set.
    pub const PENDING_LIMIT: Duration = Duration::from_secs(300);

    /// Jobs in this cluster, made and shared out like this.
    #[must_use]
    pub fn new(cluster: &Cluster, settings: JobSettings, sharing: Sharing) -> Self {
        let adopted = Arc::default();
        Self { cluster: cluster.clone(), pending: Self::PENDING_LIMIT, settings, sharing, adopted }
    }

    /// Sets how long the pods of a Job may wait for a node; [`PENDING_LIMIT`](Self::PENDING_LIMIT) where not set.
    #[must_use]
    pub fn with_pending_limit(mut self, limit: Duration) -> Self {
        self.pending = limit;
        self
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn settings(&self) -> &JobSettings {
        &self.settings
    }

    pub(crate) fn sharing(&self) -> Sharing {
        self.sharing
    }

    pub(crate) fn pending_limit(&self) -> Duration {
        self.pending
    }

    /// Removes the Jobs of a run that are at work, and says how many those were.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn remove_of(cluster: &Cluster, run: &RunId) -> Result<usize> {
        Jobs::at_once(cluster, &Silent).remove_of(run).await
    }

    fn jobs<'a>(&self, progress: &'a dyn Progress) -> Jobs<'a> {
        Jobs::new(&self.cluster, self.pending, progress)
    }

    async fn stage(&self, run: &StepRun, order: Order, stage: Stage, context: &Context) -> Result<Order> {
        let mut order = order;
        let jobs = self.jobs(context.progress.as_ref());
        for _ in 0..=REMADE {
            let work = WorkerJob {
                name: job_name(run, stage, context, &self.settings),
                // Whoever makes a Job removes it, whosever order it carries out.
                run: &context.run,
                folder: order.folder(),
                order: order.path(),
                stage,
                shards: shards(&order, stage),
                workers: self.sharing.workers,
            };
            let claim = self.claim(&jobs, &worker_job(&work, &self.settings)?, stage, context).await?;
            if made_by(&claim.job).is_some_and(|maker| maker != context.run) {
                self.adopted.lock().unwrap_or_else(PoisonError::into_inner).push(claim.job.clone());
            }
            if let Some(other) = claim.adopted {
                let stands = match standing(&claim.job) {
                    Standing::Complete => "has done it",
                    _ => "is at it already",
                };
                context.progress.note(&format!(
                    "{}: the Job {} of run {} {stands}; going on with it",
                    run.step.title(),
                    name(&claim.job),
                    other.run()
                ));
                order = other;
            }
            let shards = claim.job.spec.as_ref().and_then(|spec| spec.completions).unwrap_or(1);
            context.progress.begin(&format!("{}: {}", run.step.title(), stage.name()), u64::try_from(shards).ok());
            let ending = jobs.follow(&claim.job).await;
            context.progress.end();
            match ending? {
                Ending::Complete => return Ok(order),
                Ending::Failed(error) => {
                    // It would be in the way of the next run, and its pods would go on waiting.
                    if let Err(left) = jobs.remove(&claim.job).await {
                        context.progress.note(&format!("{left}; it failed, and may be left at work"));
                    }
                    return Err(error);
                }
                Ending::Gone if is_cancelled(context.lake.as_ref(), &context.run).await? => {
                    return Err(Error::new(ErrorKind::Cancelled, "finish", run.step.title())
                        .with_reason("the run was cancelled"));
                }
                // It had ended, and was removed for its age.
                Ending::Gone if has_left(&order, stage, context.lake.as_ref()).await? => return Ok(order),
                Ending::Gone => context.progress.note(&format!(
                    "{}: somebody has removed the Job {}; it is made again",
                    run.step.title(),
                    name(&claim.job)
                )),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "finish", run.step.title())
            .with_reason(format_args!("its Job was removed {} times while it ran", REMADE + 1))
            .with_hint("find out who removes it: is there a policy, or another run with --fresh?"))
    }

    /// Makes a Job, or takes the one of its name where that is at work or has left what is wanted.
    async fn claim(&self, jobs: &Jobs<'_>, job: &Job, stage: Stage, context: &Context) -> Result<Claim> {
        let lake = context.lake.as_ref();
        for _ in 0..=REMADE {
            if let Some(job) = jobs.create(job).await? {
                return Ok(Claim { job, adopted: None });
            }
            let Some(found) = jobs.find(name(job)).await? else { continue };
            let order = match standing(&found) {
                Standing::Leaving => {
                    jobs.wait_until_gone(&found).await?;
                    continue;
                }
                Standing::Failed => None,
                Standing::Running => {
                    let order = order_at_work(&found, lake).await?;
                    let is_left = is_left_behind(&found, job, lake).await?;
                    if is_left {
                        context.progress.note(&format!(
                            "the Job {} was made with other settings by a run that is over; it is made again",
                            name(&found)
                        ));
                    }
                    (!is_left).then_some(order)
                }
                Standing::Complete => match order_of(&found, lake).await {
                    Ok(order) => has_left(&order, stage, lake).await?.then_some(order),
                    Err(error) if is_unreadable(&error) => None,
                    Err(error) => return Err(error),
                },
            };
            match order {
                Some(order) => {
                    let adopted = (order.run() != &context.run).then_some(order);
                    return Ok(Claim { job: found, adopted });
                }
                None => jobs.remove(&found).await?,
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "start", format_args!("the Job {}", name(job)))
            .with_reason("others make and remove it all the time")
            .with_hint("run one at a time"))
    }

    /// Removes adopted Jobs whose makers are over: nobody else will.
    async fn remove_orphans(&self, jobs: &Jobs<'_>, lake: &dyn Lake) -> Result<()> {
        let adopted = std::mem::take(&mut *self.adopted.lock().unwrap_or_else(PoisonError::into_inner));
        for job in adopted {
            if !is_maker_over(&job, lake).await? {
                continue;
            }
            if jobs.find(name(&job)).await?.is_some_and(|found| standing(&found) == Standing::Running) {
                jobs.remove(&job).await?;
            }
        }
        Ok(())
    }
}

/// Into how many shards an order cuts a stage: that of another run may do so differently.
fn shards(order: &Order, stage: Stage) -> u32 {
    order.stages().iter().find(|(known, _)| *known == stage).map_or(1, |(_, shards)| *shards)
}

/// The run that has made a Job.
fn made_by(job: &Job) -> Option<RunId> {
    let labels = job.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(RUN_LABEL)).map(|run| RunId::from(run.as_str()))
}

/// Whether the run that has made a Job is over, so that nobody else drives it.
async fn is_maker_over(job: &Job, lake: &dyn Lake) -> Result<bool> {
    let Some(maker) = made_by(job) else { return Ok(true) };
    match load(lake, Some(&maker)).await {
        Ok(manifest) => Ok(LogReader::is_over(manifest.status)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether a Job at work was left by a run that is over, and made otherwise than it is wanted now: of an image that is
/// missing, it may be, or for a queue that does not exist.
async fn is_left_behind(found: &Job, wanted: &Job, lake: &dyn Lake) -> Result<bool> {
    let settings = |job: &Job| job.metadata.annotations.as_ref().and_then(|all| all.get(SETTINGS_ANNOTATION)).cloned();
    Ok(settings(found) != settings(wanted) && is_maker_over(found, lake).await?)
}

/// The order of a Job.
async fn order_of(job: &Job, lake: &dyn Lake) -> Result<Order> {
    let annotations = job.metadata.annotations.as_ref();
    match annotations.and_then(|all| all.get(ORDER_ANNOTATION)) {
        Some(path) => Order::read(lake, path).await,
        None => Err(Error::not_found("find", format_args!("the order of the Job {}", name(job)))
            .with_reason(format_args!("it has no annotation {ORDER_ANNOTATION}"))),
    }
}

/// The order of a Job that is at work. Where it cannot be read, the Job is somebody else's, and none of ours to remove.
async fn order_at_work(job: &Job, lake: &dyn Lake) -> Result<Order> {
    order_of(job, lake).await.map_err(|error| match is_unreadable(&error) {
        true => Error::invalid("start", format_args!("the Job {}", name(job)))
            .with_reason(format_args!("there is one of this name at work, whose order cannot be read in {lake}"))
            .with_hint(
                "is it of another lake? Use a namespace for each, or wait until it has ended; where it is nobody's: kubectl \
                 delete job",
            )
            .with_source(error),
        false => error,
    })
}

fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid)
}

/// Whether all that a stage leaves is there, or what the whole step leaves still stands.
async fn has_left(order: &Order, stage: Stage, lake: &dyn Lake) -> Result<bool> {
    match order.report(lake).await? {
        Some(report) => stands(lake, &report).await,
        None => order.is_through(stage, lake).await,
    }
}

/// A Job to follow, and the order of another run where it is of one.
struct Claim {
    job: Job,
    adopted: Option<Order>,
}

#[async_trait]
impl Runner for KubeJobs {
    async fn run(&self, run: &StepRun, context: &Context) -> Result<StepReport> {
        let lake = context.lake.as_ref();
        let mut order = Order::plan(run, self.sharing, context).await?;
        for (stage, _) in order.stages().to_vec() {
            order = self.stage(run, order, stage, context).await?;
            // Whoever drives it as well may be ahead, and has cleared away what the next stage would begin with.
            if order.run() != &context.run && order.report(lake).await?.is_some() {
                break;
            }
        }
        let report = order.report(lake).await?.ok_or_else(|| {
            Error::internal("finish", run.step.title()).with_reason(format_args!("{} has no report", order.path()))
        })?;
        order.clear(lake).await?;
        report.notes.iter().for_each(|note| context.progress.note(note));
        Ok(report)
    }

    async fn stop(&self, context: &Context) -> Result<()> {
        let jobs = Jobs::at_once(&self.cluster, context.progress.as_ref());
        jobs.remove_workers_of(&context.run).await?;
        self.remove_orphans(&jobs, context.lake.as_ref()).await
    }
}

/// The name of a stage's Job: the same for whoever wants the same of the same buckets, another for a run that does
/// everything again.
fn job_name(run: &StepRun, stage: Stage, context: &Context, settings: &JobSettings) -> String {
    let mut subject = Sha256::new();
    subject.update(&run.fingerprint);
    for (name, value) in settings.names_of_buckets() {
        subject.update(format!("\n{name}={value}"));
    }
    if run.fresh {
        subject.update(context.run.as_str());
    }
    let digest = hex(&subject.finalize());
    format!("{}-{}-{}", slug(&run.step.title(), 30), &digest[..12], stage.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{BucketName, LakeOptions, MemoryLake, parse_object};
    use crate::pipeline::{Pipeline, RUNS_BUCKET, Status, ensure_bucket};

    async fn context() -> Context {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        for name in [RUNS_BUCKET, "raw-data"] {
            ensure_bucket(lake.as_ref(), &BucketName::new(name).unwrap()).await.unwrap();
        }
        Context { lake, run: RunId::now(), progress: Arc::new(Silent) }
    }

    fn step() -> StepRun {
        StepRun {
            step: Pipeline::food_calories().steps()[0].clone(),
            folder: "steps/01".to_owned(),
            inputs: Vec::new(),
            fingerprint: "f".to_owned(),
            fresh: false,
        }
    }

    fn job_of(order: Option<&str>) -> Job {
        let mut job = Job::default();
        job.metadata.name = Some("j".to_owned());
        job.metadata.annotations = order.map(|path| [(ORDER_ANNOTATION.to_owned(), path.to_owned())].into());
        job
    }

    #[tokio::test]
    async fn jobs_for_other_buckets_have_other_names() {
        let context = context().await;
        let name = |settings: &JobSettings| job_name(&step(), Stage::Scan, &context, settings);
        let plain = JobSettings::new("i");
        let of = |options: LakeOptions| name(&plain.clone().with_names_of(&options));
        let (mine, yours) = (
            of(LakeOptions::default().with_bucket_prefix("mine-")),
            of(LakeOptions::default().with_bucket_prefix("yours-")),
        );
        assert_ne!(mine, yours);
        assert_ne!(mine, name(&plain));
        assert_eq!(of(LakeOptions::default()), name(&plain));
        let bucket = |name: &str| BucketName::new(name).unwrap();
        assert_ne!(of(LakeOptions::default().with_bucket(bucket("models"), bucket("my-models"))), name(&plain));
        // What else is in the environment changes no result.
        let mut told = plain.clone();
        told.env.insert("RUST_BACKTRACE".to_owned(), "1".to_owned());
        assert_eq!(name(&told), name(&plain));
    }

    #[tokio::test]
    async fn a_job_at_work_whose_order_cannot_be_read_is_somebody_elses() {
        let context = context().await;
        let lake = context.lake.as_ref();
        for order in [Some("processed-data/_runs/x/steps/01/order.json"), Some("no-such/order.json"), None] {
            let error = order_at_work(&job_of(order), lake).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{order:?}");
            assert!(error.reason().unwrap().contains("order cannot be read"), "{error:?}");
        }
        let planned = Order::plan(&step(), Sharing::new(1), &context).await.unwrap();
        let found = order_at_work(&job_of(Some(&planned.path())), lake).await.unwrap();
        assert_eq!(found, planned);
    }

    #[tokio::test]
    async fn a_job_of_other_settings_is_gone_on_with_as_long_as_its_maker_is_there() {
        let context = context().await;
        let lake = context.lake.as_ref();
        let bucket = crate::pipeline::runs_bucket(lake).await.unwrap();
        let made = |run: &RunId, settings: &str| {
            let mut job = job_of(None);
            job.metadata.labels = Some([(RUN_LABEL.to_owned(), run.to_string())].into());
            job.metadata.annotations = Some([(SETTINGS_ANNOTATION.to_owned(), settings.to_owned())].into());
            job
        };
        let (maker, wanted) = (RunId::now(), made(&context.run, "mine"));
        let left = async |settings: &str| is_left_behind(&made(&maker, settings), &wanted, lake).await.unwrap();
        // Nothing is known of its maker.
        assert!(left("other").await && !left("mine").await);
        for (status, is_over) in [(Status::Running, false), (Status::Waiting, false), (Status::Failed, true)] {
            let mut manifest = Pipeline::food_calories().blank_manifest(&maker, status);
            crate::pipeline::save(&bucket, &mut manifest).await.unwrap();
            assert_eq!(left("other").await, is_over, "{status:?}");
            assert!(!left("mine").await, "{status:?}");
        }
    }

    #[tokio::test]
    async fn a_job_that_is_gone_may_have_left_all_that_was_wanted() {
        let context = context().await;
        let lake = context.lake.as_ref();
        let order = Order::plan(&step(), Sharing::new(1), &context).await.unwrap();
        assert!(!has_left(&order, Stage::Whole, lake).await.unwrap());
        let bucket = crate::pipeline::runs_bucket(lake).await.unwrap();
        let report = serde_json::to_vec(&StepReport::default()).unwrap();
        let (_, key) = parse_object(&order.path().replace("order.json", "report.json")).unwrap();
        bucket.put(&key, report, object_store::PutMode::Overwrite).await.unwrap();
        assert!(has_left(&order, Stage::Whole, lake).await.unwrap());
    }
}
