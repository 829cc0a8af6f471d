//! What all Jobs of the lake have in common: one container that reaches the lake by its environment, with a folder for
//! temporary files and nothing to gain.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::super::names::LAKE;
use super::pod::{container_security, pod_security};
use super::{JobSettings, object};
use crate::error::Result;

/// The label by which Kueue finds the queue of a Job.
pub(crate) const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";

/// A Job of the lake, as far as it differs from others.
pub(super) struct LakeJob<'a> {
    pub(super) name: &'a str,
    /// Of the Job and its pods.
    pub(super) labels: BTreeMap<String, String>,
    /// Of the Job.
    pub(super) annotations: BTreeMap<String, String>,
    /// Of its pods.
    pub(super) pod_annotations: BTreeMap<String, String>,
    pub(super) service_account: &'a str,
    pub(super) has_token: bool,
    /// Its container's name, and what else is said of it.
    pub(super) container: &'a str,
    pub(super) fields: Value,
    /// Variables beside those of the lake and of the settings.
    pub(super) env: Vec<Value>,
    /// Volumes beside that of temporary files, each with where it is mounted.
    pub(super) volumes: Vec<(Value, Value)>,
    /// How often it is tried, and how else the Job goes about it.
    pub(super) spec: Value,
    /// Whether it waits for its queue and ends at its deadline, where the settings have them.
    pub(super) is_work: bool,
}

impl LakeJob<'_> {
    /// The Job. Secrets are named in it, never written.
    pub(super) fn build(mut self, settings: &JobSettings) -> Result<Job> {
        settings.check()?;
        self.volumes
            .insert(0, (json!({ "name": "tmp", "emptyDir": {} }), json!({ "name": "tmp", "mountPath": "/tmp" })));
        let (volumes, mounts): (Vec<Value>, Vec<Value>) = self.volumes.into_iter().unzip();
        self.env.insert(0, variable("TMPDIR", "/tmp"));
        let mut container = json!({
            "name": self.container,
            "image": settings.image,
            "env": self.env,
            "envFrom": [{ "configMapRef": { "name": LAKE } }, { "secretRef": { "name": LAKE } }],
            "securityContext": container_security(),
            "volumeMounts": mounts,
            // The last words of a container are in its pod's status.
            "terminationMessagePolicy": "FallbackToLogsOnError",
        });
        merge(&mut container, self.fields);
        if let Some(policy) = &settings.image_pull_policy {
            container["imagePullPolicy"] = json!(policy);
        }
        let mut pod = json!({
            "restartPolicy": "Never",
            "serviceAccountName": self.service_account,
            "automountServiceAccountToken": self.has_token,
            "enableServiceLinks": false,
            "securityContext": pod_security(),
            "containers": [container],
            "volumes": volumes,
        });
        merge(&mut pod, Value::Object(settings.placement()));
        let mut spec = json!({
            "ttlSecondsAfterFinished": settings.ttl_seconds_after_finished,
            "template": { "metadata": metadata(&self.labels, &self.pod_annotations), "spec": pod },
        });
        merge(&mut spec, self.spec);
        if let Some(seconds) = settings.active_deadline_seconds.filter(|_| self.is_work) {
            spec["activeDeadlineSeconds"] = json!(seconds);
        }
        if let Some(queue) = settings.queue.as_ref().filter(|_| self.is_work) {
            spec["suspend"] = json!(true);
            // Not of its pods, which Kueue would queue as well.
            self.labels.insert(QUEUE_LABEL.to_owned(), queue.clone());
        }
        let mut metadata = metadata(&self.labels, &self.annotations);
        metadata["name"] = json!(self.name);
        object("a Job", &json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec }))
    }
}

/// A variable of the environment.
pub(super) fn variable(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

/// What the settings add to the environment.
pub(super) fn variables(settings: &JobSettings) -> impl Iterator<Item = Value> {
    settings.env.iter().map(|(name, value)| variable(name, value))
}

/// Exit codes after which a container is not started again, and pods that were taken away count for nothing.
pub(super) fn failure_policy(container: &str, fatal: &[u8]) -> Value {
    json!({ "rules": [
        { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
        { "action": "FailJob", "onExitCodes": { "containerName": container, "operator": "In", "values": fatal } },
    ]})
}

fn metadata(labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> Value {
    let mut metadata = json!({ "labels": labels });
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    metadata
}

fn merge(value: &mut Value, fields: Value) {
    if let (Value::Object(value), Value::Object(fields)) = (value, fields) {
        value.extend(fields);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Script, WorkerJob, driver_job, submitted_job, worker_job};
    use super::*;
    use crate::pipeline::{RunId, Stage};

    fn settings() -> JobSettings {
        let mut settings = JobSettings::new("registry.local/datalake:1.0").with_memory("2Gi");
        settings.image_pull_policy = Some("IfNotPresent".to_owned());
        settings.image_pull_secrets = vec!["registry".to_owned()];
        settings.cpu = Some("500m".to_owned());
        settings.node_selector.insert("disk".to_owned(), "fast".to_owned());
        settings.tolerations = vec!["team=ml:NoSchedule".parse().unwrap(), "gpu".parse().unwrap()];
        settings.priority_class = Some("batch".to_owned());
        settings.queue = Some("nightly".to_owned());
        settings.env.insert("RUST_BACKTRACE".to_owned(), "0".to_owned());
        settings.active_deadline_seconds = Some(7200);
        settings
    }

    /// Compares a Job with a file in `tests/jobs`, which is no part of the source; `UPDATE_MANIFESTS=1` writes it anew.
    fn is_as_written(job: &Job, name: &str) {
        let yaml = serde_saphyr::to_string(job).unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jobs");
        let file = std::path::Path::new(folder).join(format!("{name}.yaml"));
        if std::env::var_os("UPDATE_MANIFESTS").is_some() {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(&file, &yaml).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(yaml == written, "{} differs; UPDATE_MANIFESTS=1 writes it anew:\n{yaml}", file.display());
    }

    #[test]
    fn a_worker() {
        let work = WorkerJob {
            name: "prepare-foods-0123456789ab-scan".to_owned(),
            run: &RunId::from("20261126T120000.000Z-1234"),
            folder: "steps/01-prepare-foods",
            order: "processed-data/_runs/20261126T120000.000Z-1234/steps/01-prepare-foods/order.json".to_owned(),
            stage: Stage::Scan,
            shards: 5,
            workers: 3,
        };
        is_as_written(&worker_job(&work, &settings()).unwrap(), "worker");
    }

    #[test]
    fn a_driver() {
        let (run, errand) = (RunId::from("20261126T120000.000Z-1234"), "processed-data/_runs/x/errand.json");
        is_as_written(&driver_job("run-x", &run, errand, &settings()).unwrap(), "driver");
    }

    #[test]
    fn a_script_of_ones_own() {
        let (file, text) = ("train.py".to_owned(), "print(1)".to_owned());
        let script = Script { file, text, interpreter: "python3".to_owned() };
        let settings = JobSettings::new("python:3.13");
        let job = submitted_job("mine", "first", Some(&script), &["--fast".to_owned()], &settings);
        is_as_written(&job.unwrap(), "script");
    }

    #[test]
    fn a_command_of_ones_own() {
        let command = ["/datalake".to_owned(), "ls".to_owned()];
        let job = submitted_job("mine", "first", None, &command, &settings());
        is_as_written(&job.unwrap(), "command");
    }
}
