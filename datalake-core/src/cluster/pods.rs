//! What the pods of a Job say: what is in their way, and why they have failed.

use std::cmp::Reverse;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod};

use crate::error::{Error, ErrorKind};

/// Something in the way of a pod.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// The pod; empty where there is none.
    pub(crate) pod: String,
    pub(crate) words: String,
    pub(crate) kind: ErrorKind,
    pub(crate) hint: String,
    /// Whether it waits for a node, which may still come.
    pub(crate) waits_for_node: bool,
    pub(crate) limit: Limit,
}

/// How long something may be in the way before nothing will come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Kubernetes helps itself.
    None,
    /// Somebody else decides; whoever waits should know.
    Told,
    /// Some seconds: kubelets and controllers try again.
    Moment,
    /// As long as pods may be pending.
    Pending,
}

impl Trouble {
    /// The controller of Jobs is not let to make pods.
    pub(crate) fn refused(words: &str) -> Self {
        let (kind, hint) = if words.contains("exceeded quota") {
            (ErrorKind::Exhausted, "ask for less by --memory and --cpu, or raise the ResourceQuota of the namespace")
        } else if words.contains("PodSecurity") {
            (ErrorKind::Denied, "let the namespace admit pods of the standard `restricted`")
        } else if words.contains("serviceaccount") {
            (ErrorKind::NotFound, "make the service accounts of Jobs: datalake setup-datalake")
        } else {
            (ErrorKind::Invalid, "look at the events of the Job: kubectl describe job")
        };
        let words = format!("no pod can be made: {words}");
        Self::of_job(words, kind, hint, Limit::Moment)
    }

    /// The controller of Jobs makes no pods, and does not say why.
    pub(crate) fn no_pods() -> Self {
        let hint = "is the controller of Jobs at work? Look at kube-system, and at the Job: kubectl describe job";
        Self::of_job("no pod of it has been made".to_owned(), ErrorKind::Unavailable, hint, Limit::Pending)
    }

    /// A pod that its node cannot make.
    pub(crate) fn stuck(pod: &Pod, words: &str) -> Self {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let hint = match words.contains("memory limit too low") {
            true => "raise --memory".to_owned(),
            false => format!(
                "look at it: kubectl -n {} describe pod {name}",
                pod.metadata.namespace.as_deref().unwrap_or_default()
            ),
        };
        Self {
            words: format!("{name} cannot be made on its node: {}", words.trim()),
            pod: name,
            kind: ErrorKind::Exhausted,
            hint,
            waits_for_node: false,
            limit: Limit::Pending,
        }
    }

    /// A Job that somebody else lets begin.
    pub(crate) fn suspended(words: &str) -> Self {
        Self::of_job(words.to_owned(), ErrorKind::Exhausted, "is there a queue of this name?", Limit::Told)
    }

    fn of_job(words: String, kind: ErrorKind, hint: &str, limit: Limit) -> Self {
        Self { pod: String::new(), words, kind, hint: hint.to_owned(), waits_for_node: false, limit }
    }

    pub(crate) fn into_error(self, job: &str) -> Error {
        Error::new(self.kind, "run", format_args!("the Job {job}")).with_reason(self.words).with_hint(self.hint)
    }
}

/// What is in the way of a pod, if anything is.
pub(crate) fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    for container in status.init_container_statuses.iter().chain(&status.container_statuses).flatten() {
        let state = container.state.as_ref();
        let waiting = state.and_then(|state| state.waiting.as_ref());
        if let Some(found) = waiting.and_then(|waiting| waits(pod, container, waiting)) {
            return Some(found);
        }
        if state.and_then(|state| state.terminated.as_ref()).is_some_and(is_out_of_memory) {
            return Some(Trouble {
                pod: name.to_owned(),
                words: format!("{name} was killed: it needed more memory than its limit of {}", memory(pod)),
                kind: ErrorKind::Exhausted,
                hint: "raise --memory".to_owned(),
                waits_for_node: false,
                limit: Limit::None,
            });
        }
    }
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    Some(Trouble {
        pod: name.to_owned(),
        words: format!("{name} waits for a node: {}", unscheduled.message.as_deref().unwrap_or("none fits")),
        kind: ErrorKind::Exhausted,
        hint: "ask for less by --memory and --cpu, choose fewer --workers, or add a node".to_owned(),
        waits_for_node: true,
        limit: Limit::Pending,
    })
}

/// Whether a pod has its node, and none of its containers yet.
pub(crate) fn is_being_made(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let reasons = statuses.filter_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    reasons.into_iter().any(|reason| reason == "ContainerCreating")
}

/// Whether a pod is on a node and stays there, so that its Job may move on.
pub(crate) fn is_at_work(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    has_node && pod.metadata.deletion_timestamp.is_none() && matches!(phase, Some("Pending" | "Running"))
}

fn waits(pod: &Pod, container: &ContainerStatus, waiting: &ContainerStateWaiting) -> Option<Trouble> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("its node");
    let image = &container.image;
    let said = waiting.message.as_deref().unwrap_or_default();
    let (words, kind, hint) = match waiting.reason.as_deref()? {
        "ErrImageNeverPull" => (
            format!("the image {image} is not on the node {node}, and may not be pulled"),
            ErrorKind::NotFound,
            "import it on each node: datalake image save datalake.tar, then k3s ctr images import datalake.tar".to_owned(),
        ),
        reason @ ("ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "RegistryUnavailable") => (
            format!("the node {node} cannot pull the image {image} ({reason}): {said}"),
            ErrorKind::NotFound,
            "push it to a registry that the nodes reach (datalake image push), or import it on each node (datalake image \
             save) and name it by --image"
                .to_owned(),
        ),
        reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => (
            format!("the node {node} cannot start {} ({reason}): {said}", container.name),
            ErrorKind::Invalid,
            "where a Secret or ConfigMap is missing, make it: datalake setup-datalake".to_owned(),
        ),
        "CrashLoopBackOff" => (
            format!("{} ends again and again{}", container.name, last_words(container)),
            ErrorKind::Invalid,
            format!(
                "look at its log: kubectl -n {} logs {} --previous",
                pod.metadata.namespace.as_deref().unwrap_or_default(),
                pod.metadata.name.as_deref().unwrap_or_default()
            ),
        ),
        _ => return None,
    };
    let name = pod.metadata.name.clone().unwrap_or_default();
    Some(Trouble { pod: name, words, kind, hint, waits_for_node: false, limit: Limit::Moment })
}

/// What a container said before it ended the last time.
fn last_words(container: &ContainerStatus) -> String {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let Some(last) = last else { return String::new() };
    let said = last.message.as_deref().map(str::trim).filter(|said| !said.is_empty());
    match said {
        Some(said) => format!(", with exit code {}: {said}", last.exit_code),
        None => format!(", with exit code {}", last.exit_code),
    }
}

/// Why a Job has failed: what the pod says that it failed for, else what the Job itself says.
pub(crate) fn failure(job: &Job, pods: &[Pod]) -> Error {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let failed = conditions.into_iter().find(|condition| condition.type_ == "Failed");
    let reason = failed.and_then(|condition| condition.reason.as_deref()).unwrap_or("unknown");
    let said = failed.and_then(|condition| condition.message.as_deref()).unwrap_or("its pods are gone");
    let failed_indexes = job.status.as_ref().and_then(|status| status.failed_indexes.as_deref()).unwrap_or_default();
    // One that failed and was made good by its successor is there as well.
    let cause = pods.iter().filter_map(ended).min_by_key(|(index, pod, end)| {
        let is_named = pod.metadata.name.as_deref().is_some_and(|pod| said.contains(pod));
        let age = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        // A kill is rather a consequence than a cause.
        (!is_named, !is_among(*index, failed_indexes), is_killed(end), *index, Reverse(age))
    });
    if let Some((index, pod, end)) = cause.filter(|_| reason != "DeadlineExceeded") {
        return of_pod(name, index, pod, end);
    }
    let error =
        |kind| Error::new(kind, "run", format_args!("the Job {name}")).with_reason(format_args!("{said} ({reason})"));
    match reason {
        "DeadlineExceeded" => error(ErrorKind::Exhausted).with_hint("give it more time by --active-deadline"),
        _ => error(ErrorKind::Unavailable),
    }
}

/// Whether an index is in a list such as `1,3-5`.
fn is_among(index: u32, list: &str) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((first.parse(), last.parse()), (Ok(first), Ok(last)) if (first..=last).contains(&index))
    })
}

fn ended(pod: &Pod) -> Option<(u32, &Pod, &ContainerStateTerminated)> {
    let statuses = pod.status.as_ref()?.container_statuses.iter().flatten();
    let end =
        statuses.filter_map(|container| container.state.as_ref()?.terminated.as_ref()).find(|end| end.exit_code != 0);
    Some((index(pod), pod, end?))
}

/// Which index of its Job a pod works on.
pub(crate) fn index(pod: &Pod) -> u32 {
    let annotations = pod.metadata.annotations.as_ref();
    let index = annotations.and_then(|all| all.get("batch.kubernetes.io/job-completion-index"));
    index.and_then(|index| index.parse().ok()).unwrap_or(0)
}

fn of_pod(job: &str, index: u32, pod: &Pod, end: &ContainerStateTerminated) -> Error {
    let subject = format!("worker {} of the Job {job}", index + 1);
    if is_out_of_memory(end) {
        return Error::new(ErrorKind::Exhausted, "run", subject)
            .with_reason(format_args!("it needs more memory than its limit of {} (OOMKilled)", memory(pod)))
            .with_hint("raise --memory");
    }
    let said = end.message.as_deref().unwrap_or_default();
    if matches!(end.reason.as_deref(), Some("StartError" | "ContainerCannotRun")) {
        return Error::new(ErrorKind::Invalid, "run", subject)
            .with_reason(format_args!("its container cannot start: {}", said.trim()))
            .with_hint("is the command in the image, at this path?");
    }
    let kind = kind_of_exit(end.exit_code);
    let lines = |mark: &str| said.lines().find_map(|line| line.trim_start().strip_prefix(mark)).map(str::trim);
    let error = Error::new(kind, "run", subject);
    let error = match lines("error:") {
        Some(words) => error.with_reason(words),
        None if said.trim().is_empty() => error.with_reason(format_args!("it ended with exit code {}", end.exit_code)),
        None => error.with_reason(format_args!("it ended with exit code {}: {}", end.exit_code, said.trim())),
    };
    // By its name in the store, which need not be the one in the lake.
    let is_closed = kind == ErrorKind::Denied && lines("error:").is_some_and(|words| words.contains("bucket `"));
    match (lines("hint:"), is_closed) {
        (hint, true) => error.with_hint(format_args!(
            "{}may Jobs open this bucket? set up the namespace {} as before, with its name in the lake in --more-buckets",
            hint.map(|hint| format!("{hint}; ")).unwrap_or_default(),
            pod.metadata.namespace.as_deref().unwrap_or_default()
        )),
        (Some(hint), false) => error.with_hint(hint),
        (None, false) => error,
    }
}

fn is_out_of_memory(end: &ContainerStateTerminated) -> bool {
    end.reason.as_deref() == Some("OOMKilled")
}

fn is_killed(end: &ContainerStateTerminated) -> bool {
    matches!(end.exit_code, 130 | 137 | 143) && !is_out_of_memory(end)
}

/// The kind of outcome that an exit code stands for.
fn kind_of_exit(code: i32) -> ErrorKind {
    match code {
        1 | 2 => ErrorKind::Invalid,
        3 => ErrorKind::Denied,
        5 => ErrorKind::Exhausted,
        70 | 101 | 134 | 139 => ErrorKind::Internal,
        _ => ErrorKind::Unavailable,
    }
}

/// The memory limit of a pod's first container.
fn memory(pod: &Pod) -> String {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let limits = container.and_then(|container| container.resources.as_ref()?.limits.as_ref());
    limits.and_then(|limits| limits.get("memory")).map_or_else(|| "none".to_owned(), |limit| limit.0.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::manifests::object;
    use super::*;

    fn pod(node: Option<&str>, status: &Value) -> Pod {
        let spec = json!({ "containers": [], "nodeName": node });
        object("Pod", &json!({ "metadata": { "name": "a" }, "spec": spec, "status": status })).unwrap()
    }

    #[test]
    fn a_pod_is_at_work_from_its_node_to_its_end() {
        assert!(!is_at_work(&pod(None, &json!({ "phase": "Pending" }))));
        assert!(is_at_work(&pod(Some("n"), &json!({ "phase": "Pending" }))));
        assert!(is_at_work(&pod(Some("n"), &json!({ "phase": "Running" }))));
        assert!(!is_at_work(&pod(Some("n"), &json!({ "phase": "Succeeded" }))));
        // On a node that is away it may stay so for ever.
        let mut leaving = pod(Some("n"), &json!({ "phase": "Running" }));
        leaving.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-26T12:00:00Z")).unwrap();
        assert!(!is_at_work(&leaving));
    }

    #[test]
    fn a_node_that_cannot_make_a_pod_says_why() {
        let found = Trouble::stuck(&pod(Some("n"), &json!({})), "no space left on device\n");
        assert_eq!((found.kind, found.limit), (ErrorKind::Exhausted, Limit::Pending));
        assert!(found.words.ends_with("on its node: no space left on device"), "{}", found.words);
        assert!(found.hint.contains("describe pod a"), "{}", found.hint);
        let small =
            Trouble::stuck(&pod(Some("n"), &json!({})), "container init was OOM-killed (memory limit too low?)");
        assert_eq!(small.hint, "raise --memory");
    }

    #[test]
    fn what_a_worker_was_denied_leads_to_the_buckets_of_jobs() {
        let end = |code: i32, said: &str| ContainerStateTerminated {
            exit_code: code,
            message: Some(said.to_owned()),
            ..ContainerStateTerminated::default()
        };
        let hint = |end| of_pod("j", 0, &Pod::default(), &end).hint().map(ToOwned::to_owned);
        let denied = hint(end(3, "error: cannot open bucket `exports`: refused\nhint: check the key")).unwrap();
        assert!(denied.starts_with("check the key; ") && denied.ends_with("in --more-buckets"), "{denied}");
        assert!(hint(end(3, "error: cannot open bucket `exports`")).unwrap().starts_with("may Jobs open"));
        // Of other exits, and where no bucket is named, nothing is guessed.
        for code in [1, 3] {
            assert_eq!(hint(end(code, "error: no\nhint: look")).as_deref(), Some("look"));
            assert_eq!(hint(end(code, "it ends so by itself")), None);
        }
    }

    #[test]
    fn a_job_fails_for_the_worker_that_was_not_made_good() {
        let ended = |name: &str, index: u32, created: u32, code: i32, reason: &str| -> Pod {
            let state =
                json!({ "terminated": { "exitCode": code, "reason": reason, "message": format!("error: {name}") } });
            let status = json!({ "name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state });
            let metadata = json!({
                "name": name,
                "annotations": { "batch.kubernetes.io/job-completion-index": index.to_string() },
                "creationTimestamp": format!("2026-11-26T12:00:{created:02}Z"),
            });
            let status = json!({ "containerStatuses": [status] });
            object("Pod", &json!({ "metadata": metadata, "spec": { "containers": [] }, "status": status })).unwrap()
        };
        let why = |reason: &str, message: &str, indexes: Option<&str>, pods: &[Pod]| {
            let condition = json!({ "type": "Failed", "status": "True", "reason": reason, "message": message });
            let status = json!({ "conditions": [condition], "failedIndexes": indexes });
            let job = object("Job", &json!({ "metadata": { "name": "j" }, "status": status })).unwrap();
            failure(&job, pods).to_string()
        };
        // Index 0 was made good; 2 was killed for its memory, again and again.
        let retried = || ended("j-0-a", 0, 1, 4, "Error");
        let pods = [retried(), ended("j-2-a", 2, 2, 4, "Error"), ended("j-2-b", 2, 9, 137, "OOMKilled")];
        let found = why("FailedIndexes", "Job has failed indexes", Some("2,5-7"), &pods);
        assert!(found.contains("worker 3 ") && found.contains("OOMKilled"), "{found}");
        // The one that the Job names, whatever else was killed with it.
        let pods = [retried(), ended("j-1-a", 1, 2, 143, "Error"), ended("j-3-a", 3, 2, 1, "Error")];
        let message = "Container worker for pod n/j-3-a failed with exit code 1 matching FailJob rule at index 1";
        let found = why("PodFailurePolicy", message, None, &pods);
        assert!(found.contains("worker 4 ") && found.ends_with("j-3-a"), "{found}");
        let found = why("DeadlineExceeded", "Job was active longer than specified deadline", None, &pods);
        assert!(found.contains("deadline (DeadlineExceeded)"), "{found}");
        // Nothing says which: a kill is rather a consequence.
        let found = why("BackoffLimitExceeded", "limit", None, &pods[1..]);
        assert!(found.contains("worker 4 "), "{found}");
        assert!(is_among(4, "1,3-5") && !is_among(2, "1,3-5") && !is_among(0, ""));
    }

    #[test]
    fn a_trouble_knows_its_pod_and_how_long_it_may_last() {
        let waiting = |reason: &str| {
            let state = json!({ "waiting": { "reason": reason } });
            let status = json!({ "name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state });
            trouble(&pod(Some("n"), &json!({ "containerStatuses": [status] })))
        };
        // They take turns, and are one trouble.
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let found = waiting(reason).unwrap();
            assert_eq!((found.pod.as_str(), found.kind, found.limit), ("a", ErrorKind::NotFound, Limit::Moment));
        }
        assert!(waiting("ContainerCreating").is_none());
        let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" });
        let found = trouble(&pod(None, &json!({ "conditions": [condition] }))).unwrap();
        assert_eq!((found.pod.as_str(), found.waits_for_node, found.limit), ("a", true, Limit::Pending));
    }
}
