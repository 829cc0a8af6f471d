//! The Jobs of a run: each stage of a step is one Indexed Job, whose indexes are the shards.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::api::batch::v1::Job;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::names::{LAKE, ORDER_ANNOTATION, RUN_LABEL, STAGE_LABEL, STEP_LABEL, WORKER, labels, slug};
use super::object;
use super::pod::{container_security, pod_security};
use crate::error::{Error, Result};
use crate::pipeline::{Order, Stage};

/// The container of a worker.
pub(crate) const CONTAINER: &str = "worker";
/// Exit codes that come again however often a worker is started: wrong input, wrong command line, refused, exhausted, a
/// bug, and what panics, aborts and faults of memory end in.
const FATAL: [u8; 8] = [1, 2, 3, 5, 70, 101, 134, 139];
/// How often an index is started again for any other reason.
const RETRIES: u32 = 3;

/// How the pods of Jobs are made.
///
/// ```
/// use datalake_core::cluster::JobSettings;
///
/// let settings = JobSettings::new("registry.local/datalake:1.0").with_memory("2Gi");
/// assert_eq!(settings.memory, "2Gi");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobSettings {
    /// The image of the workers: that of this very build.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`; what Kubernetes takes for the tag where not set.
    pub image_pull_policy: Option<String>,
    /// Secrets with the credentials of registries.
    pub image_pull_secrets: Vec<String>,
    /// CPUs that a worker is granted, such as `1` or `500m`; without it a quarter is reserved, and more taken where free.
    pub cpu: Option<String>,
    /// Memory that a worker gets and may not pass, such as `1Gi`.
    pub memory: String,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that do not matter.
    pub tolerations: Vec<Toleration>,
    /// The priority class of the pods.
    pub priority_class: Option<String>,
    /// A queue of Kueue: Jobs are suspended until it admits them.
    pub queue: Option<String>,
    /// More variables of the environment. Secrets do not belong here: they would stand in the Job.
    pub env: BTreeMap<String, String>,
    /// After so many seconds a Job is ended.
    pub active_deadline_seconds: Option<i64>,
    /// So many seconds after its end a Job is removed.
    pub ttl_seconds_after_finished: i32,
    /// The port at which workers show their metrics; none where 0.
    pub metrics_port: u16,
}

/// A taint that does not matter: `key=value:Effect`, `key:Effect`, `key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Toleration {
    /// The taint's key.
    pub key: String,
    /// Its value; any where none is named.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; all where none is named.
    pub effect: Option<String>,
}

impl JobSettings {
    /// Workers of this image, all else as it is meant for small data.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            cpu: None,
            memory: "1Gi".to_owned(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            priority_class: None,
            queue: None,
            env: BTreeMap::new(),
            active_deadline_seconds: None,
            ttl_seconds_after_finished: 3600,
            metrics_port: 9464,
        }
    }

    /// Sets the memory of a worker.
    #[must_use]
    pub fn with_memory(mut self, memory: impl Into<String>) -> Self {
        self.memory = memory.into();
        self
    }

    pub(super) fn resources(&self) -> Value {
        let mut limits = Map::from_iter([("memory".to_owned(), json!(self.memory))]);
        if let Some(cpu) = &self.cpu {
            limits.insert("cpu".to_owned(), json!(cpu));
        }
        let cpu = self.cpu.as_deref().unwrap_or("250m");
        json!({ "requests": { "cpu": cpu, "memory": self.memory }, "limits": limits })
    }

    /// Where pods may run and how urgent they are, as fields of their specification.
    pub(super) fn placement(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if !self.node_selector.is_empty() {
            set("nodeSelector", json!(self.node_selector));
        }
        if !self.tolerations.is_empty() {
            set("tolerations", self.tolerations.iter().map(Toleration::to_json).collect());
        }
        if let Some(class) = &self.priority_class {
            set("priorityClassName", json!(class));
        }
        if !self.image_pull_secrets.is_empty() {
            let names = self.image_pull_secrets.iter().map(|name| json!({ "name": name }));
            set("imagePullSecrets", names.collect());
        }
        fields
    }
}

impl Toleration {
    fn to_json(&self) -> Value {
        let mut json = match &self.value {
            Some(value) => json!({ "key": self.key, "operator": "Equal", "value": value }),
            None => json!({ "key": self.key, "operator": "Exists" }),
        };
        if let Some(effect) = &self.effect {
            json["effect"] = json!(effect);
        }
        json
    }
}

impl FromStr for Toleration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (taint, effect) = match text.split_once(':') {
            Some((taint, effect)) => (taint, Some(effect)),
            None => (text, None),
        };
        let (key, value) = match taint.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (taint, None),
        };
        let known = effect.is_none_or(|effect| ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect));
        if key.is_empty() || !known {
            return Err(Error::invalid("tolerate", format_args!("`{text}`")).with_reason(
                "wanted is key=value:Effect, key:Effect or key; Effect is NoSchedule, PreferNoSchedule or NoExecute",
            ));
        }
        Ok(Self { key: key.to_owned(), value, effect: effect.map(ToOwned::to_owned) })
    }
}

impl fmt::Display for Toleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, "={value}")?;
        }
        self.effect.as_ref().map_or(Ok(()), |effect| write!(f, ":{effect}"))
    }
}

/// One stage of a step, as a Job.
#[derive(Debug)]
pub(crate) struct WorkerJob<'a> {
    pub(crate) name: String,
    pub(crate) order: &'a Order,
    pub(crate) stage: Stage,
    pub(crate) shards: u32,
    /// How many workers there are at a time.
    pub(crate) workers: u32,
}

/// The Job of a stage. Secrets are named in it, never written.
pub(crate) fn worker_job(work: &WorkerJob<'_>, settings: &JobSettings) -> Result<Job> {
    let mut labels = labels(CONTAINER);
    labels.insert(RUN_LABEL.to_owned(), work.order.run().to_string());
    labels.insert(STEP_LABEL.to_owned(), slug(work.order.folder().trim_start_matches("steps/"), 63));
    labels.insert(STAGE_LABEL.to_owned(), work.stage.name().to_owned());
    let mut annotations = BTreeMap::from([(ORDER_ANNOTATION.to_owned(), work.order.path())]);
    let mut job_labels = labels.clone();
    if let Some(queue) = &settings.queue {
        job_labels.insert("kueue.x-k8s.io/queue-name".to_owned(), queue.clone());
    }
    let mut args = vec!["run-step".to_owned(), work.order.path(), "--stage".to_owned(), work.stage.name().to_owned()];
    if settings.metrics_port != 0 {
        args.extend(["--metrics-addr".to_owned(), format!("0.0.0.0:{}", settings.metrics_port)]);
    }
    let job_annotations = annotations.clone();
    if settings.metrics_port != 0 {
        annotations.insert("prometheus.io/scrape".to_owned(), "true".to_owned());
        annotations.insert("prometheus.io/port".to_owned(), settings.metrics_port.to_string());
    }
    let counted =
        |annotation: &str| json!({ "fieldRef": { "fieldPath": format!("metadata.annotations['{annotation}']") } });
    let mut env = vec![
        json!({ "name": "TMPDIR", "value": "/tmp" }),
        json!({ "name": "DATALAKE_FAILURES", "valueFrom": counted("batch.kubernetes.io/job-index-failure-count") }),
        json!({ "name": "DATALAKE_DISRUPTIONS", "valueFrom": counted("batch.kubernetes.io/job-index-ignored-failure-count") }),
    ];
    env.extend(settings.env.iter().map(|(name, value)| json!({ "name": name, "value": value })));
    let mut container = json!({
        "name": CONTAINER,
        "image": settings.image,
        "args": args,
        "env": env,
        "envFrom": [{ "configMapRef": { "name": LAKE } }, { "secretRef": { "name": LAKE } }],
        "resources": settings.resources(),
        "securityContext": container_security(),
        "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
        // The last words of a worker are in its pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if let Some(policy) = &settings.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    if settings.metrics_port != 0 {
        container["ports"] = json!([{ "name": "metrics", "containerPort": settings.metrics_port }]);
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "serviceAccountName": WORKER,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": pod_security(),
        "containers": [container],
        "volumes": [{ "name": "tmp", "emptyDir": {} }],
    });
    for (name, value) in settings.placement() {
        pod[name] = value;
    }
    let mut spec = json!({
        "completionMode": "Indexed",
        "completions": work.shards,
        "parallelism": work.workers.min(work.shards),
        "backoffLimitPerIndex": RETRIES,
        "maxFailedIndexes": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": { "rules": [
            { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
            { "action": "FailJob", "onExitCodes": { "containerName": CONTAINER, "operator": "In", "values": FATAL } },
        ]},
        "ttlSecondsAfterFinished": settings.ttl_seconds_after_finished,
        "template": { "metadata": { "labels": labels, "annotations": annotations }, "spec": pod },
    });
    if let Some(seconds) = settings.active_deadline_seconds {
        spec["activeDeadlineSeconds"] = json!(seconds);
    }
    if settings.queue.is_some() {
        spec["suspend"] = json!(true);
    }
    object(
        "a Job",
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": work.name, "labels": job_labels, "annotations": job_annotations },
            "spec": spec,
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_read_as_they_are_written() {
        for text in ["gpu", "gpu:NoSchedule", "team=ml:NoExecute", "team=ml"] {
            assert_eq!(text.parse::<Toleration>().unwrap().to_string(), text);
        }
        for text in ["", ":NoSchedule", "gpu:Never", "=x"] {
            assert!(text.parse::<Toleration>().is_err(), "{text}");
        }
    }
}
