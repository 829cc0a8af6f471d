//! The Job that drives a run in the cluster: the only pod with a token, for Jobs of its namespace.

use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use super::super::names::{DRIVER, LAKE, RUN_LABEL, labels};
use super::pod::{container_security, pod_security};
use super::{JobSettings, object};
use crate::error::Result;
use crate::pipeline::RunId;

/// How often a driver that dies is started again: it finds what is done and goes on.
const RETRIES: u32 = 6;

/// The Job that drives a run by the errand at this path of the lake.
pub(crate) fn driver_job(name: &str, run: &RunId, errand: &str, settings: &JobSettings) -> Result<Job> {
    let mut labels = labels("driver");
    labels.insert(RUN_LABEL.to_owned(), run.to_string());
    let mut container = json!({
        "name": "driver",
        "image": settings.image,
        "args": ["drive", errand],
        "env": [{ "name": "TMPDIR", "value": "/tmp" }],
        "envFrom": [{ "configMapRef": { "name": LAKE } }, { "secretRef": { "name": LAKE } }],
        // It reads lists and small documents; tables and models are the business of workers.
        "resources": { "requests": { "cpu": "50m", "memory": "256Mi" }, "limits": { "memory": "256Mi" } },
        "securityContext": container_security(),
        "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if let Some(policy) = &settings.image_pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "serviceAccountName": DRIVER,
        "automountServiceAccountToken": true,
        "enableServiceLinks": false,
        "securityContext": pod_security(),
        "containers": [container],
        "volumes": [{ "name": "tmp", "emptyDir": {} }],
    });
    for (field, value) in settings.placement() {
        pod[field] = value;
    }
    object(
        "a Job",
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": name, "labels": labels },
            "spec": {
                "backoffLimit": RETRIES,
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": { "rules": [
                    { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
                    { "action": "FailJob", "onExitCodes": {
                        "containerName": "driver", "operator": "In", "values": [1, 2, 3, 5, 70, 101, 130, 134, 139],
                    }},
                ]},
                "ttlSecondsAfterFinished": settings.ttl_seconds_after_finished,
                "template": { "metadata": { "labels": labels }, "spec": pod },
            },
        }),
    )
}
