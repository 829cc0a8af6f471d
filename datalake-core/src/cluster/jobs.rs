//! Jobs in a cluster: made or adopted by their names, followed to their end, removed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};

use super::client::{Cluster, failed, is_missing, is_taken};
use super::names::RUN_LABEL;
use super::pods::{Trouble, failure, trouble};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::RunId;
use crate::progress::Progress;

/// How often a Job is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often the pods of a Job are looked at while it runs.
const LOOK_AT_PODS: Duration = Duration::from_secs(2);
/// How long a pod may be in the way of itself, as by an image that is missing: kubelets try again meanwhile.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an API server may be away.
const OUTAGE: Duration = Duration::from_secs(300);
/// How long a Job that is removed may take.
const REMOVAL: Duration = Duration::from_secs(90);

/// How a Job ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Complete,
    Failed(Error),
    /// Somebody has removed it.
    Gone,
}

/// How a Job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Running,
    Complete,
    Failed,
    /// It is being removed.
    Leaving,
}

/// How a Job stands by its own account.
pub(crate) fn standing(job: &Job) -> Standing {
    if job.metadata.deletion_timestamp.is_some() {
        return Standing::Leaving;
    }
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let holds = |wanted: &str| conditions.clone().any(|found| found.type_ == wanted && found.status == "True");
    match (holds("Complete"), holds("Failed")) {
        (true, _) => Standing::Complete,
        (_, true) => Standing::Failed,
        _ => Standing::Running,
    }
}

/// The Jobs of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    cluster: Cluster,
    api: Api<Job>,
    /// How long pods may wait for a node.
    pending: Duration,
}

impl Jobs {
    pub(crate) fn new(cluster: &Cluster, pending: Duration) -> Self {
        Self { cluster: cluster.clone(), api: cluster.api(), pending }
    }

    /// Makes a Job; none where there is one of its name.
    pub(crate) async fn create(&self, job: &Job) -> Result<Option<Job>> {
        let name = name(job);
        match self.api.create(&PostParams::default(), job).await {
            Ok(made) => Ok(Some(made)),
            Err(cause) if is_taken(&cause) => Ok(None),
            Err(cause) => Err(failed("start", format_args!("the Job {name}"), cause)),
        }
    }

    /// The Job of this name, if there is one.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Job>> {
        self.api.get_opt(name).await.map_err(|cause| failed("look at", format_args!("the Job {name}"), cause))
    }

    /// Jobs with these labels.
    pub(crate) async fn list(&self, labels: &str) -> Result<Vec<Job>> {
        let found = self.api.list(&ListParams::default().labels(labels)).await;
        Ok(found.map_err(|cause| failed("list", "Jobs", cause))?.items)
    }

    /// Removes the Jobs of a run that are at work, and says how many those were.
    pub(crate) async fn remove_of(&self, run: &RunId) -> Result<usize> {
        let mut removed = 0;
        for job in self.list(&format!("{RUN_LABEL}={run}")).await? {
            if standing(&job) == Standing::Running {
                self.remove(&job).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes this very Job, and its pods, and waits until it is gone.
    pub(crate) async fn remove(&self, job: &Job) -> Result<()> {
        let name = name(job);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: job.metadata.uid.clone(), ..Preconditions::default() }),
            ..DeleteParams::background()
        };
        match self.api.delete(name, &parameters).await {
            Err(cause) if is_missing(&cause) => return Ok(()),
            // It is another one by now: somebody else has done it.
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()),
            done => drop(done.map_err(|cause| failed("remove", format_args!("the Job {name}"), cause))?),
        }
        self.wait_until_gone(job).await
    }

    /// Waits until this very Job is gone.
    pub(crate) async fn wait_until_gone(&self, job: &Job) -> Result<()> {
        let name = name(job);
        let begun = Instant::now();
        while begun.elapsed() < REMOVAL {
            match self.find(name).await? {
                Some(found) if found.metadata.uid == job.metadata.uid => tokio::time::sleep(LOOK).await,
                _ => return Ok(()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "remove", format_args!("the Job {name}"))
            .with_reason(format_args!("it is still there after {} s", REMOVAL.as_secs()))
            .with_hint(format_args!("see what holds it: kubectl -n {} describe job {name}", self.cluster.namespace())))
    }

    /// Waits until a Job ends, tells how many of its shards are done, and gives up where nothing can come of it.
    pub(crate) async fn follow(&self, job: &Job, progress: &dyn Progress) -> Result<Ending> {
        let name = name(job);
        let mut seen = Seen::default();
        let mut away: Option<Instant> = None;
        let mut looked_at_pods = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let found = match self.find(name).await {
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let since = *away.get_or_insert_with(|| {
                        progress.note("the API server does not answer; Jobs go on without it");
                        Instant::now()
                    });
                    if since.elapsed() > OUTAGE {
                        return Err(error);
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            away = None;
            let Some(found) = found.filter(|found| found.metadata.uid == job.metadata.uid) else {
                return Ok(Ending::Gone);
            };
            seen.tell(&found, progress);
            match standing(&found) {
                Standing::Complete => return Ok(Ending::Complete),
                Standing::Failed => return Ok(Ending::Failed(self.reason(&found).await?)),
                Standing::Leaving => {
                    self.wait_until_gone(&found).await?;
                    return Ok(Ending::Gone);
                }
                Standing::Running => {}
            }
            if looked_at_pods.elapsed() > LOOK_AT_PODS {
                looked_at_pods = Instant::now();
                if let Some(error) = self.hopeless(&found, &mut seen, progress).await? {
                    return Ok(Ending::Failed(error));
                }
            }
        }
    }

    /// The pods of a Job.
    pub(crate) async fn pods(&self, job: &Job) -> Result<Vec<Pod>> {
        let labels = format!("batch.kubernetes.io/job-name={}", name(job));
        let pods: Api<Pod> = self.cluster.api();
        let found = pods.list(&ListParams::default().labels(&labels)).await;
        let mut found = found.map_err(|cause| failed("list", format_args!("the pods of {}", name(job)), cause))?.items;
        // Those of an earlier Job of this name may still be leaving.
        found.retain(|pod| {
            pod.metadata.owner_references.iter().flatten().any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
        });
        Ok(found)
    }

    /// Why a Job has failed.
    async fn reason(&self, job: &Job) -> Result<Error> {
        Ok(failure(job, &self.pods(job).await?))
    }

    /// Why a Job that runs will never end, where that is so.
    async fn hopeless(&self, job: &Job, seen: &mut Seen, progress: &dyn Progress) -> Result<Option<Error>> {
        let pods = match self.pods(job).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => return Ok(None),
            pods => pods?,
        };
        let is_suspended = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or(false);
        let found = if pods.is_empty() && !is_suspended {
            self.refused(job).await?
        } else {
            let mut troubles: Vec<Trouble> = pods.iter().filter_map(trouble).collect();
            for trouble in troubles.extract_if(.., |trouble| trouble.passes) {
                seen.note(&trouble.words, progress);
            }
            troubles.pop()
        };
        let Some(found) = found else {
            seen.in_the_way = None;
            return Ok(None);
        };
        let since = *seen.in_the_way.get_or_insert_with(Instant::now);
        let patience = if found.waits_for_node { self.pending } else { PATIENCE };
        if since.elapsed() > LOOK_AT_PODS {
            seen.note(&found.words, progress);
        }
        Ok((since.elapsed() > patience).then(|| found.into_error(name(job))))
    }

    /// Why the Job's controller can make no pods, where that is so.
    async fn refused(&self, job: &Job) -> Result<Option<Trouble>> {
        let Some(uid) = &job.metadata.uid else { return Ok(None) };
        let events: Api<Event> = self.cluster.api();
        let wanted = ListParams::default().fields(&format!("involvedObject.uid={uid},reason=FailedCreate"));
        match events.list(&wanted).await {
            Ok(found) => {
                Ok(found.items.into_iter().find_map(|event| event.message).map(|words| Trouble::refused(&words)))
            }
            // Whoever may not see events still learns that nothing begins.
            Err(_) => Ok(None),
        }
    }
}

/// What was told of a Job.
#[derive(Debug, Default)]
struct Seen {
    succeeded: u64,
    notes: BTreeSet<String>,
    in_the_way: Option<Instant>,
}

impl Seen {
    fn tell(&mut self, job: &Job, progress: &dyn Progress) {
        let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
        let succeeded = u64::try_from(succeeded).unwrap_or(0);
        if succeeded > self.succeeded {
            progress.advance(succeeded - self.succeeded);
            self.succeeded = succeeded;
        }
    }

    fn note(&mut self, words: &str, progress: &dyn Progress) {
        if self.notes.insert(words.to_owned()) {
            progress.note(words);
        }
    }
}

/// The name of an object that the API server has given.
pub(crate) fn name(job: &Job) -> &str {
    job.metadata.name.as_deref().unwrap_or_default()
}
