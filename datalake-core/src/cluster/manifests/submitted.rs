//! Anybody's Job: an image and a command, with the lake's access in its environment.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::super::names::{LAKE, WORKER, labels};
use super::object;
use super::pod::{container_security, pod_security};
use super::{JobSettings, Script};
use crate::error::Result;

/// The component of submitted Jobs.
pub(crate) const SUBMITTED: &str = "submitted";
/// Where a script lies in its container.
const FOLDER: &str = "/script";

/// The ConfigMap that carries a script.
pub(crate) fn script_map(job: &str, script: &Script) -> Result<ConfigMap> {
    object(
        "a script",
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": job, "labels": labels(SUBMITTED) },
            "immutable": true,
            "data": { script.file.as_str(): script.text },
        }),
    )
}

/// The Job: its user is never root, its home is `/tmp`, and its image's own user does not matter.
pub(crate) fn submitted_job(
    name: &str,
    script: Option<&Script>,
    command: &[String],
    settings: &JobSettings,
) -> Result<Job> {
    let mut env = vec![
        json!({ "name": "HOME", "value": "/tmp" }),
        json!({ "name": "TMPDIR", "value": "/tmp" }),
        // Output that is seen when it is printed.
        json!({ "name": "PYTHONUNBUFFERED", "value": "1" }),
    ];
    env.extend(settings.env.iter().map(|(name, value)| json!({ "name": name, "value": value })));
    let mut container = json!({
        "name": SUBMITTED,
        "image": settings.image,
        "env": env,
        "envFrom": [{ "configMapRef": { "name": LAKE } }, { "secretRef": { "name": LAKE } }],
        "resources": settings.resources(),
        "securityContext": container_security(),
        "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if let Some(policy) = &settings.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    let mut volumes = vec![json!({ "name": "tmp", "emptyDir": {} })];
    match script {
        Some(script) => {
            let mut whole = vec![script.interpreter.clone(), format!("{FOLDER}/{}", script.file)];
            whole.extend_from_slice(command);
            container["command"] = json!(whole);
            container["workingDir"] = json!("/tmp");
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(json!({ "name": "script", "mountPath": FOLDER, "readOnly": true }));
            }
            volumes.push(json!({ "name": "script", "configMap": { "name": name } }));
        }
        None if !command.is_empty() => container["command"] = json!(command),
        None => {}
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "serviceAccountName": WORKER,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": pod_security(),
        "containers": [container],
        "volumes": volumes,
    });
    for (field, value) in settings.placement() {
        pod[field] = value;
    }
    let mut job_labels = labels(SUBMITTED);
    if let Some(queue) = &settings.queue {
        job_labels.insert("kueue.x-k8s.io/queue-name".to_owned(), queue.clone());
    }
    let mut spec = json!({
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": settings.ttl_seconds_after_finished,
        "template": { "metadata": { "labels": labels(SUBMITTED) }, "spec": pod },
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
            "metadata": { "name": name, "labels": job_labels },
            "spec": spec,
        }),
    )
}
