//! The Jobs of a run: each stage of a step is one Indexed Job, whose indexes are the shards.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::super::names::{
    ORDER_ANNOTATION, RUN_LABEL, SETTINGS_ANNOTATION, STAGE_LABEL, STEP_LABEL, WORKER, labels, slug,
};
use super::JobSettings;
use super::job::{LakeJob, failure_policy, variables};
use crate::error::Result;
use crate::pipeline::{RunId, Stage};

/// The container of a worker, and the component that its Job is.
pub(crate) const CONTAINER: &str = "worker";
/// Exit codes that come again however often a worker is started: wrong input, wrong command line, refused, exhausted, a
/// bug, and what panics, aborts and faults of memory end in.
const FATAL: [u8; 8] = [1, 2, 3, 5, 70, 101, 134, 139];
/// How often an index is started again for any other reason.
const RETRIES: u32 = 3;

/// One stage of a step, as a Job.
#[derive(Debug)]
pub(crate) struct WorkerJob<'a> {
    pub(crate) name: String,
    pub(crate) run: &'a RunId,
    /// The folder of the step in that of the run.
    pub(crate) folder: &'a str,
    /// Where the order lies: `bucket/key`.
    pub(crate) order: String,
    pub(crate) stage: Stage,
    pub(crate) shards: u32,
    /// How many workers there are at a time.
    pub(crate) workers: u32,
}

/// The Job of a stage.
pub(crate) fn worker_job(work: &WorkerJob<'_>, settings: &JobSettings) -> Result<Job> {
    let mut labels = labels(CONTAINER);
    labels.insert(RUN_LABEL.to_owned(), work.run.to_string());
    labels.insert(STEP_LABEL.to_owned(), slug(work.folder.trim_start_matches("steps/"), 63));
    labels.insert(STAGE_LABEL.to_owned(), work.stage.name().to_owned());
    let mut pod_annotations = BTreeMap::from([(ORDER_ANNOTATION.to_owned(), work.order.clone())]);
    let mut annotations = pod_annotations.clone();
    annotations.insert(SETTINGS_ANNOTATION.to_owned(), settings.digest());
    let mut args = vec!["run-step".to_owned(), work.order.clone(), "--stage".to_owned(), work.stage.name().to_owned()];
    let mut fields = json!({ "resources": settings.resources() });
    if settings.metrics_port != 0 {
        args.extend(["--metrics-addr".to_owned(), format!("0.0.0.0:{}", settings.metrics_port)]);
        pod_annotations.insert("prometheus.io/scrape".to_owned(), "true".to_owned());
        pod_annotations.insert("prometheus.io/port".to_owned(), settings.metrics_port.to_string());
        fields["ports"] = json!([{ "name": "metrics", "containerPort": settings.metrics_port }]);
    }
    fields["args"] = json!(args);
    let counted = |name: &str, annotation: &str| -> Value {
        let path = format!("metadata.annotations['{annotation}']");
        json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } })
    };
    let mut env = vec![
        counted("DATALAKE_FAILURES", "batch.kubernetes.io/job-index-failure-count"),
        counted("DATALAKE_DISRUPTIONS", "batch.kubernetes.io/job-index-ignored-failure-count"),
    ];
    env.extend(variables(settings));
    let job = LakeJob {
        name: &work.name,
        labels,
        annotations,
        pod_annotations,
        service_account: WORKER,
        has_token: false,
        container: CONTAINER,
        fields,
        env,
        volumes: Vec::new(),
        spec: json!({
            "completionMode": "Indexed",
            "completions": work.shards,
            "parallelism": work.workers.min(work.shards),
            "backoffLimitPerIndex": RETRIES,
            "maxFailedIndexes": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": failure_policy(CONTAINER, &FATAL),
        }),
        is_work: true,
    };
    job.build(settings)
}
