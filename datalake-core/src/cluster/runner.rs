//! Runs the steps of a pipeline as Jobs: the results are the same bytes as in one process.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use sha2::{Digest, Sha256};

use super::client::Cluster;
use super::jobs::{Ending, Jobs, Standing, name, standing};
use super::manifests::{JobSettings, WorkerJob, worker_job};
use super::names::{ORDER_ANNOTATION, slug};
use crate::error::{Error, ErrorKind, Result};
use crate::format::digest::hex;
use crate::pipeline::{Context, Order, RunId, Runner, Sharing, Stage, StepReport, StepRun, is_cancelled, stands};

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
}

impl KubeJobs {
    /// How long the pods of a Job may wait for a node where nothing else is set.
    pub const PENDING_LIMIT: Duration = Duration::from_secs(300);

    /// Jobs in this cluster, made and shared out like this.
    #[must_use]
    pub fn new(cluster: &Cluster, settings: JobSettings, sharing: Sharing) -> Self {
        Self { cluster: cluster.clone(), pending: Self::PENDING_LIMIT, settings, sharing }
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
        Jobs::new(cluster, Duration::ZERO).remove_of(run).await
    }

    fn jobs(&self) -> Jobs {
        Jobs::new(&self.cluster, self.pending)
    }

    async fn stage(&self, run: &StepRun, order: Order, stage: Stage, shards: u32, context: &Context) -> Result<Order> {
        let mut order = order;
        for _ in 0..=REMADE {
            let work = WorkerJob {
                name: job_name(run, stage, context),
                run: order.run(),
                folder: order.folder(),
                order: order.path(),
                stage,
                shards,
                workers: self.sharing.workers,
            };
            let claim = self.claim(&worker_job(&work, &self.settings)?, stage, context).await?;
            if let Some(other) = claim.adopted {
                context.progress.note(&format!(
                    "{}: the Job {} of run {} is at it already; going on with it",
                    run.step.title(),
                    name(&claim.job),
                    other.run()
                ));
                order = other;
            }
            let shards = claim.job.spec.as_ref().and_then(|spec| spec.completions).unwrap_or(1);
            context.progress.begin(&format!("{}: {}", run.step.title(), stage.name()), u64::try_from(shards).ok());
            let ending = self.jobs().follow(&claim.job, context.progress.as_ref()).await;
            context.progress.end();
            match ending? {
                Ending::Complete => return Ok(order),
                Ending::Failed(error) => {
                    // It would be in the way of the next run, and its pods would go on waiting.
                    self.jobs().remove(&claim.job).await?;
                    return Err(error);
                }
                Ending::Gone if is_cancelled(context.lake.as_ref(), &context.run).await? => {
                    return Err(Error::new(ErrorKind::Cancelled, "finish", run.step.title())
                        .with_reason("the run was cancelled"));
                }
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
    async fn claim(&self, job: &Job, stage: Stage, context: &Context) -> Result<Claim> {
        for _ in 0..=REMADE {
            if let Some(job) = self.jobs().create(job).await? {
                return Ok(Claim { job, adopted: None });
            }
            let Some(found) = self.jobs().find(name(job)).await? else { continue };
            match standing(&found) {
                Standing::Leaving => self.jobs().wait_until_gone(&found).await?,
                Standing::Failed => self.jobs().remove(&found).await?,
                Standing::Running | Standing::Complete => match self.order_of(&found, stage, context).await? {
                    Some(order) => return Ok(Claim { adopted: self.of_others(&order, context), job: found }),
                    None => self.jobs().remove(&found).await?,
                },
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "start", format_args!("the Job {}", name(job)))
            .with_reason("others make and remove it all the time")
            .with_hint("run one at a time"))
    }

    fn of_others(&self, order: &Order, context: &Context) -> Option<Order> {
        (order.run() != &context.run).then(|| order.clone())
    }

    /// The order of a Job that is worth going on with: it is at work, or what it left still stands.
    async fn order_of(&self, job: &Job, stage: Stage, context: &Context) -> Result<Option<Order>> {
        let lake = context.lake.as_ref();
        let annotations = job.metadata.annotations.as_ref();
        let Some(path) = annotations.and_then(|all| all.get(ORDER_ANNOTATION)) else { return Ok(None) };
        let order = match Order::read(lake, path).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => return Ok(None),
            order => order?,
        };
        if standing(job) == Standing::Running {
            return Ok(Some(order));
        }
        let stands = match order.report(lake).await? {
            Some(report) => stands(lake, &report).await?,
            None => order.is_through(stage, lake).await?,
        };
        Ok(stands.then_some(order))
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
        let mut order = Order::plan(run, self.sharing, context).await?;
        for (stage, shards) in order.stages().to_vec() {
            order = self.stage(run, order, stage, shards, context).await?;
        }
        let lake = context.lake.as_ref();
        let report = order.report(lake).await?.ok_or_else(|| {
            Error::internal("finish", run.step.title()).with_reason(format_args!("{} has no report", order.path()))
        })?;
        order.clear(lake).await?;
        report.notes.iter().for_each(|note| context.progress.note(note));
        Ok(report)
    }

    async fn stop(&self, context: &Context) -> Result<()> {
        self.jobs().remove_of(&context.run).await.map(drop)
    }
}

/// The name of a stage's Job: the same for whoever wants the same, another for a run that does everything again.
fn job_name(run: &StepRun, stage: Stage, context: &Context) -> String {
    let mut subject = Sha256::new();
    subject.update(&run.fingerprint);
    if run.fresh {
        subject.update(context.run.as_str());
    }
    let digest = hex(&subject.finalize());
    format!("{}-{}-{}", slug(&run.step.title(), 30), &digest[..12], stage.name())
}
