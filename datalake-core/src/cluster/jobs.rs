//! Jobs in a cluster: made or adopted by their names, followed to their end, removed.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::core::Selector;

use super::client::{Cluster, failed, is_missing, is_taken, kubectl};
use super::manifests::{DRIVERS, QUEUE_LABEL, WORKERS};
use super::names::{RUN_LABEL, selector};
use super::pods::{Limit, Trouble, failure, is_at_work, is_being_made, trouble};
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
pub(crate) const OUTAGE: Duration = Duration::from_secs(300);
/// How long an answer may take before the API server counts as away: a connection may be dead without a word.
const ANSWER: Duration = Duration::from_secs(30);
/// The same for somebody who does not want to wait.
const ANSWER_AT_ONCE: Duration = Duration::from_secs(5);
/// How long it may be away for somebody who does not want to wait, as at a stop: a command has two seconds for it.
const OUTAGE_AT_ONCE: Duration = Duration::from_secs(1);
/// How often a Job that is being removed is looked at before that takes too long: 90 seconds of an API server that answers.
const LOOKS_AT_REMOVAL: u32 = 180;

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

/// Asks the API server, and again while it does not answer, for as long as an outage may last.
pub(crate) async fn patiently<T, F, A>(outage: Duration, progress: &dyn Progress, ask: F) -> Result<T>
where
    F: Fn() -> A,
    A: Future<Output = Result<T>>,
{
    let mut away: Option<Instant> = None;
    let limit = if outage > OUTAGE_AT_ONCE { ANSWER } else { ANSWER_AT_ONCE };
    loop {
        let asked = Instant::now();
        match in_time(limit, ask()).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                if away.is_none() {
                    progress.note(&format!("{error}; Jobs go on meanwhile, and it is tried again"));
                }
                if away.get_or_insert(asked).elapsed() >= outage {
                    return Err(error);
                }
                tokio::time::sleep(LOOK).await;
            }
            answer => return answer,
        }
    }
}

/// An answer, or that there was none in time.
async fn in_time<T>(limit: Duration, answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Unavailable, "ask", "the API server")
            .with_reason(format_args!("it has not answered within {limit:?}"))
            .with_hint("is the cluster up, and the way to it open?"))
    })
}

/// The Jobs of one namespace. Whatever is asked of them is asked again while the API server does not answer.
#[derive(Debug, Clone)]
pub(crate) struct Jobs<'a> {
    cluster: Cluster,
    api: Api<Job>,
    /// How long pods may wait for a node.
    pending: Duration,
    outage: Duration,
    progress: &'a dyn Progress,
}

impl<'a> Jobs<'a> {
    pub(crate) fn new(cluster: &Cluster, pending: Duration, progress: &'a dyn Progress) -> Self {
        Self { cluster: cluster.clone(), api: cluster.api(), pending, outage: OUTAGE, progress }
    }

    /// For somebody who does not want to wait.
    pub(crate) fn at_once(cluster: &Cluster, progress: &'a dyn Progress) -> Self {
        Self { outage: OUTAGE_AT_ONCE, ..Self::new(cluster, Duration::ZERO, progress) }
    }

    async fn patiently<T, F, A>(&self, ask: F) -> Result<T>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T>>,
    {
        patiently(self.outage, self.progress, ask).await
    }

    /// Makes a Job; none where there is one of its name, which may be of an earlier try whose answer was lost.
    pub(crate) async fn create(&self, job: &Job) -> Result<Option<Job>> {
        let (name, parameters) = (name(job), PostParams::default());
        self.patiently(|| async {
            match self.api.create(&parameters, job).await {
                Ok(made) => Ok(Some(made)),
                Err(cause) if is_taken(&cause) => Ok(None),
                Err(cause) => Err(failed("start", format_args!("the Job {name}"), cause)),
            }
        })
        .await
    }

    /// The Job of this name, if there is one.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Job>> {
        self.patiently(|| async {
            self.api.get_opt(name).await.map_err(|cause| failed("look at", format_args!("the Job {name}"), cause))
        })
        .await
    }

    /// Jobs with these labels.
    pub(crate) async fn list(&self, selector: &Selector) -> Result<Vec<Job>> {
        let wanted = ListParams::default().labels_from(selector);
        let found =
            self.patiently(|| async { self.api.list(&wanted).await.map_err(|cause| failed("list", "Jobs", cause)) });
        Ok(found.await?.items)
    }

    /// Removes the Jobs of a run that are at work, and says how many those were.
    pub(crate) async fn remove_of(&self, run: &RunId) -> Result<usize> {
        let mut removed = self.remove_workers_of(run).await?;
        removed += self.remove_component(run, DRIVERS).await?;
        // The driver may have made more meanwhile.
        Ok(removed + self.remove_workers_of(run).await?)
    }

    /// The same for its workers alone: a driver that ends its run has yet to say so.
    pub(crate) async fn remove_workers_of(&self, run: &RunId) -> Result<usize> {
        self.remove_component(run, WORKERS).await
    }

    async fn remove_component(&self, run: &RunId, component: &str) -> Result<usize> {
        let mut wanted = selector(component);
        wanted.insert(RUN_LABEL.to_owned(), run.to_string());
        let mut removed = 0;
        for job in self.list(&Selector::from_iter(wanted)).await? {
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
        let is_leaving = self.patiently(|| async {
            match self.api.delete(name, &parameters).await {
                Ok(_) => Ok(true),
                Err(cause) if is_missing(&cause) => Ok(false),
                // It is another one by now: somebody else has done it.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(cause) => Err(failed("remove", format_args!("the Job {name}"), cause)),
            }
        });
        if is_leaving.await? { self.wait_until_gone(job).await } else { Ok(()) }
    }

    /// Waits until this very Job is gone.
    pub(crate) async fn wait_until_gone(&self, job: &Job) -> Result<()> {
        let name = name(job);
        for _ in 0..LOOKS_AT_REMOVAL {
            match self.find(name).await? {
                Some(found) if found.metadata.uid == job.metadata.uid => tokio::time::sleep(LOOK).await,
                _ => return Ok(()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "remove", format_args!("the Job {name}"))
            .with_reason(format_args!("it is still there after {} s", (LOOK * LOOKS_AT_REMOVAL).as_secs()))
            .with_hint(format_args!(
                "see what holds it: {} describe job {name}",
                kubectl(self.cluster.context(), self.cluster.namespace())
            )))
    }

    /// Waits until a Job ends, tells how many of its shards are done, and gives up where nothing can come of it.
    pub(crate) async fn follow(&self, job: &Job) -> Result<Ending> {
        let mut seen = Seen::default();
        let mut looked_at_pods = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let found = self.find(name(job)).await?;
            let Some(found) = found.filter(|found| found.metadata.uid == job.metadata.uid) else {
                return Ok(Ending::Gone);
            };
            seen.tell(&found, self.progress);
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
                if let Some(error) = self.hopeless(&found, &mut seen).await? {
                    return Ok(Ending::Failed(error));
                }
            }
        }
    }

    /// The pods of a Job.
    pub(crate) async fn pods(&self, job: &Job) -> Result<Vec<Pod>> {
        let labels = format!("batch.kubernetes.io/job-name={}", name(job));
        let pods: Api<Pod> = self.cluster.api();
        let wanted = ListParams::default().labels(&labels);
        let found = self.patiently(|| async {
            pods.list(&wanted).await.map_err(|cause| failed("list", format_args!("the pods of {}", name(job)), cause))
        });
        let mut found = found.await?.items;
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
    async fn hopeless(&self, job: &Job, seen: &mut Seen) -> Result<Option<Error>> {
        let pods = self.pods(job).await?;
        let mut troubles: Vec<Trouble> = pods.iter().filter_map(trouble).collect();
        let is_suspended = job.spec.as_ref().and_then(|spec| spec.suspend).unwrap_or(false);
        if pods.is_empty() {
            troubles.push(match is_suspended {
                true => suspended(job),
                false => self.refused(job).await?.unwrap_or_else(Trouble::no_pods),
            });
        }
        for pod in pods.iter().filter(|pod| is_being_made(pod)) {
            troubles.extend(self.stuck(pod).await);
        }
        let is_at_work = pods.iter().any(is_at_work);
        let found = seen.weigh(troubles, is_at_work, self.pending, Instant::now(), self.progress);
        Ok(found.map(|found| found.into_error(name(job))))
    }

    /// What keeps a node from making a pod, where it warns of something. Whoever may not see events waits without a word.
    async fn stuck(&self, pod: &Pod) -> Option<Trouble> {
        let events: Api<Event> = self.cluster.api();
        let uid = pod.metadata.uid.as_deref()?;
        let wanted = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        last_warning(events.list(&wanted).await.ok()?.items).map(|words| Trouble::stuck(pod, &words))
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

/// What a node warns of, where it has come no further since: events stay for an hour.
fn last_warning(events: Vec<Event>) -> Option<String> {
    let is = |event: &Event, reasons: &[&str]| event.reason.as_deref().is_some_and(|reason| reasons.contains(&reason));
    let comes_further = |event: &Event| is(event, &["Scheduled", "Pulling", "Pulled"]);
    let warns = |event: &Event| event.type_.as_deref() == Some("Warning");
    let time = |event: &Event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        let only = event.event_time.as_ref().map(|time| time.0);
        last.or(only).or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
    };
    let told = events.into_iter().filter(|event| warns(event) || comes_further(event));
    // Of two within one second, which is as fine as some are, the trouble is the one that is over.
    let last = told.max_by_key(|event| (time(event), comes_further(event)))?;
    (warns(&last) && !is(&last, &["FailedScheduling"])).then_some(last.message)?
}

/// What a Job is told to wait for by whoever admits Jobs.
fn suspended(job: &Job) -> Trouble {
    let name = name(job);
    let queue = job.metadata.labels.as_ref().and_then(|labels| labels.get(QUEUE_LABEL));
    Trouble::suspended(&match queue {
        Some(queue) => format!("{name} is suspended; it waits for the queue {queue} to admit it"),
        None => format!("{name} is suspended; it waits for whoever has suspended it"),
    })
}

/// What was told of a Job, and since when what is in its way.
#[derive(Debug, Default)]
struct Seen {
    succeeded: u64,
    notes: BTreeSet<String>,
    in_the_way: Vec<InTheWay>,
}

/// A trouble of one kind of one pod, and since when it is seen.
#[derive(Debug)]
struct InTheWay {
    pod: String,
    kind: ErrorKind,
    waits_for_node: bool,
    since: Instant,
}

impl Seen {
    /// Notes what is in the way now, and gives the trouble that has lasted too long, if one has. A trouble that is over
    /// counts no more. A wait for a node counts only while no pod is at work: the Job moves on without it.
    fn weigh(
        &mut self,
        troubles: Vec<Trouble>,
        is_at_work: bool,
        pending: Duration,
        now: Instant,
        progress: &dyn Progress,
    ) -> Option<Trouble> {
        let (mut in_the_way, mut too_long) = (Vec::new(), None);
        for trouble in troubles {
            let is_same = |seen: &&InTheWay| {
                seen.pod == trouble.pod && seen.kind == trouble.kind && seen.waits_for_node == trouble.waits_for_node
            };
            let counts = !(trouble.waits_for_node && is_at_work);
            let known = self.in_the_way.iter().find(is_same).map(|seen| seen.since);
            let since = known.filter(|_| counts).unwrap_or(now);
            let lasts = now.duration_since(since);
            let (pod, waits_for_node) = (trouble.pod.clone(), trouble.waits_for_node);
            in_the_way.push(InTheWay { pod, kind: trouble.kind, waits_for_node, since });
            let (told_after, ended_after) = match trouble.limit {
                Limit::None => (Duration::ZERO, None),
                Limit::Told => (PATIENCE, None),
                Limit::Moment => (LOOK_AT_PODS, Some(PATIENCE)),
                // A controller may be slow.
                Limit::Pending if trouble.pod.is_empty() => (PATIENCE, Some(pending)),
                Limit::Pending => (LOOK_AT_PODS, Some(pending)),
            };
            if counts && lasts >= told_after {
                self.note(&trouble.words, progress);
            }
            if ended_after.is_some_and(|limit| lasts > limit) {
                too_long.get_or_insert(trouble);
            }
        }
        self.in_the_way = in_the_way;
        too_long
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    const PENDING: Duration = Duration::from_secs(300);

    fn trouble_of(pod: &str, waits_for_node: bool) -> Trouble {
        let (kind, limit) = match waits_for_node {
            true => (ErrorKind::Exhausted, Limit::Pending),
            false => (ErrorKind::NotFound, Limit::Moment),
        };
        let (pod, words) = (pod.to_owned(), format!("{pod}: {kind:?}"));
        Trouble { pod, words, kind, hint: String::new(), waits_for_node, limit }
    }

    /// What is found too long in the way, of a trouble that is seen at these seconds.
    fn weighed(looks: &[(u64, Vec<Trouble>, bool)]) -> Option<String> {
        let (begun, mut seen) = (Instant::now(), Seen::default());
        let mut found = None;
        for (second, troubles, is_at_work) in looks {
            let troubles = troubles.iter().map(|trouble| trouble_of(&trouble.pod, trouble.waits_for_node)).collect();
            let now = begun + Duration::from_secs(*second);
            found = found.or(seen.weigh(troubles, *is_at_work, PENDING, now, &Silent));
        }
        found.map(|found| found.words)
    }

    #[test]
    fn a_job_that_moves_on_may_have_pods_that_wait_for_a_node() {
        let waits = || vec![trouble_of("a", true)];
        assert!(weighed(&[(0, waits(), true), (600, waits(), true), (700, waits(), false)]).is_none());
        assert!(weighed(&[(0, waits(), false), (250, waits(), true), (400, waits(), false)]).is_none());
        assert!(weighed(&[(0, waits(), false), (301, waits(), false)]).is_some());
    }

    #[test]
    fn another_trouble_begins_anew() {
        let (node, image) = (|| trouble_of("a", true), || trouble_of("a", false));
        assert!(weighed(&[(0, vec![node()], false), (60, vec![image()], false)]).is_none());
        assert!(weighed(&[(0, vec![image()], false), (16, vec![trouble_of("b", false)], false)]).is_none());
        assert!(weighed(&[(0, vec![image()], false), (8, vec![], false), (16, vec![image()], false)]).is_none());
        let both = || vec![image(), node()];
        assert_eq!(weighed(&[(0, both(), false), (16, both(), false)]).as_deref(), Some("a: NotFound"));
    }

    #[test]
    fn a_job_that_is_suspended_waits_without_end_and_says_so() {
        let suspended = || vec![Trouble::suspended("x is suspended")];
        let (begun, mut seen) = (Instant::now(), Seen::default());
        for (second, told) in [(0, 0), (10, 0), (15, 1), (9000, 1)] {
            let now = begun + Duration::from_secs(second);
            assert!(seen.weigh(suspended(), false, PENDING, now, &Silent).is_none());
            assert_eq!(seen.notes.len(), told, "{second}");
        }
    }

    #[test]
    fn a_job_without_pods_comes_to_an_end() {
        let (begun, mut seen) = (Instant::now(), Seen::default());
        let mut weigh = |second| {
            let now = begun + Duration::from_secs(second);
            seen.weigh(vec![Trouble::no_pods()], false, PENDING, now, &Silent)
        };
        assert!(weigh(0).is_none() && weigh(299).is_none());
        assert_eq!(weigh(301).unwrap().kind, ErrorKind::Unavailable);
    }

    #[test]
    fn a_pod_that_got_its_node_does_not_go_on_waiting() {
        let (begun, mut seen) = (Instant::now(), Seen::default());
        let mut weigh = |second, trouble| {
            let now = begun + Duration::from_secs(second);
            seen.weigh(vec![trouble], false, PENDING, now, &Silent).is_some()
        };
        assert!(!weigh(0, trouble_of("a", true)) && !weigh(290, trouble_of("a", true)));
        // Of the same kind, and just begun.
        let stuck = || Trouble { kind: ErrorKind::Exhausted, limit: Limit::Pending, ..trouble_of("a", false) };
        assert!(!weigh(310, stuck()) && !weigh(600, stuck()));
        assert!(weigh(611, stuck()));
    }

    #[test]
    fn what_was_warned_of_is_over_once_the_node_comes_further() {
        let event = |second: u32, kind: &str, reason: &str| -> Event {
            let json = serde_json::json!({
                "metadata": {}, "involvedObject": {}, "type": kind, "reason": reason, "message": reason,
                "lastTimestamp": format!("2026-11-26T12:00:{second:02}Z"),
            });
            serde_json::from_value(json).unwrap()
        };
        let unscheduled = || event(1, "Warning", "FailedScheduling");
        let mount = |second| event(second, "Warning", "FailedMount");
        let normal = |second, reason| event(second, "Normal", reason);
        assert_eq!(last_warning(Vec::new()), None);
        assert_eq!(last_warning(vec![unscheduled()]), None);
        assert_eq!(last_warning(vec![normal(5, "Scheduled"), unscheduled()]), None);
        assert_eq!(last_warning(vec![normal(5, "Scheduled"), mount(6), unscheduled()]).as_deref(), Some("FailedMount"));
        assert_eq!(last_warning(vec![mount(6), normal(6, "Pulling"), normal(5, "Scheduled")]), None);
        // A sandbox that fails is torn down and tried again, which is no way forward.
        let torn_down = vec![event(6, "Warning", "FailedCreatePodSandBox"), normal(7, "SandboxChanged")];
        assert_eq!(last_warning(torn_down).as_deref(), Some("FailedCreatePodSandBox"));
    }

    #[tokio::test]
    async fn an_api_server_that_does_not_answer_counts_as_away() {
        let away = in_time(Duration::from_millis(1), std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(away.kind(), ErrorKind::Unavailable);
        assert!(away.reason().unwrap().contains("within 1ms"), "{away:?}");
        assert_eq!(in_time(ANSWER, std::future::ready(Ok(7))).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_api_server_may_be_away_for_a_while() {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let ask = |kind| {
            let count = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            std::future::ready(match count {
                0..3 => Err(Error::new(kind, "find", "a Job")),
                count => Ok(count),
            })
        };
        assert_eq!(patiently(OUTAGE, &Silent, || ask(ErrorKind::Unavailable)).await.unwrap(), 3);
        asked.store(0, std::sync::atomic::Ordering::Relaxed);
        let refused = patiently(OUTAGE, &Silent, || ask(ErrorKind::Denied)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied);
        asked.store(0, std::sync::atomic::Ordering::Relaxed);
        let away = patiently(Duration::ZERO, &Silent, || ask(ErrorKind::Unavailable)).await.unwrap_err();
        assert_eq!(away.kind(), ErrorKind::Unavailable);
    }
}
