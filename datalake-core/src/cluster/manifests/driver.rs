//! The Job that drives a run in the cluster: the only pod with a token, for Jobs of its namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use super::super::names::{DRIVER, RUN_LABEL, labels};
use super::JobSettings;
use super::job::{LakeJob, failure_policy, variables};
use crate::error::Result;
use crate::pipeline::RunId;

/// The container of a driver, and the component that its Job is.
pub(crate) const CONTAINER: &str = "driver";
/// Exit codes that come again however often it is started, and that of a run that was cancelled.
const FATAL: [u8; 9] = [1, 2, 3, 5, 70, 101, 130, 134, 139];
/// How often a driver that dies is started again: it finds what is done and goes on.
const RETRIES: u32 = 6;

/// The Job that drives a run by the errand at this path of the lake.
pub(crate) fn driver_job(name: &str, run: &RunId, errand: &str, settings: &JobSettings) -> Result<Job> {
    let mut labels = labels(CONTAINER);
    labels.insert(RUN_LABEL.to_owned(), run.to_string());
    let job = LakeJob {
        name,
        labels,
        annotations: BTreeMap::new(),
        pod_annotations: BTreeMap::new(),
        service_account: DRIVER,
        has_token: true,
        container: CONTAINER,
        fields: json!({
            "args": ["drive", errand],
            // It reads lists and small documents; tables and models are the business of workers.
            "resources": { "requests": { "cpu": "50m", "memory": "256Mi" }, "limits": { "memory": "256Mi" } },
        }),
        env: variables(settings).collect(),
        volumes: Vec::new(),
        spec: json!({
            "backoffLimit": RETRIES,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": failure_policy(CONTAINER, &FATAL),
        }),
        is_work: false,
    };
    job.build(settings)
}
