//! What is at work in a cluster: the Jobs and pods of the lake.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;

use super::client::{Cluster, failed};
use super::jobs::{Standing, standing};
use super::names::{RUN_LABEL, STAGE_LABEL, STEP_LABEL};
use super::pods::trouble;
use crate::error::Result;

/// What every object of the lake is labelled with.
const OURS: &str = "app.kubernetes.io/name=datalake";

/// The Jobs and pods of the lake.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// The Jobs, by name.
    pub jobs: Vec<JobState>,
    /// The pods, by name.
    pub pods: Vec<PodState>,
}

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobState {
    /// Its name.
    pub name: String,
    /// The run that it belongs to, if any.
    pub run: Option<String>,
    /// The step of the run.
    pub step: Option<String>,
    /// The stage of the step.
    pub stage: Option<String>,
    /// `running`, `complete`, `failed` or `leaving`.
    pub status: String,
    /// Shards done.
    pub done: u32,
    /// Shards in all.
    pub total: u32,
    /// Pods at work.
    pub active: u32,
}

/// How a pod stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PodState {
    /// Its name.
    pub name: String,
    /// `Pending`, `Running`, `Succeeded` or `Failed`.
    pub phase: String,
    /// The node that it runs on.
    pub node: Option<String>,
    /// How often its containers were started again.
    pub restarts: u32,
    /// What is in its way.
    pub trouble: Option<String>,
}

impl Cluster {
    /// The Jobs and pods of the lake in its namespace.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn overview(&self) -> Result<Overview> {
        let ours = ListParams::default().labels(OURS);
        let jobs: Api<Job> = self.api();
        let jobs = jobs.list(&ours).await.map_err(|cause| failed("list", "Jobs", cause))?;
        let pods: Api<Pod> = self.api();
        let pods = pods.list(&ours).await.map_err(|cause| failed("list", "pods", cause))?;
        Ok(Overview { jobs: jobs.iter().map(job_state).collect(), pods: pods.iter().map(pod_state).collect() })
    }
}

/// How a Job stands.
pub(crate) fn job_state(job: &Job) -> JobState {
    let label = |name: &str| job.metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
    let status = job.status.as_ref();
    let count = |number: Option<i32>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
    let words = match standing(job) {
        Standing::Running => "running",
        Standing::Complete => "complete",
        Standing::Failed => "failed",
        Standing::Leaving => "leaving",
    };
    JobState {
        name: job.metadata.name.clone().unwrap_or_default(),
        run: label(RUN_LABEL),
        step: label(STEP_LABEL),
        stage: label(STAGE_LABEL),
        status: words.to_owned(),
        done: count(status.and_then(|status| status.succeeded)),
        total: count(job.spec.as_ref().and_then(|spec| spec.completions)).max(1),
        active: count(status.and_then(|status| status.active)),
    }
}

fn pod_state(pod: &Pod) -> PodState {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    let restarts: i32 = containers.into_iter().flatten().map(|container| container.restart_count).sum();
    PodState {
        name: pod.metadata.name.clone().unwrap_or_default(),
        phase: status.and_then(|status| status.phase.clone()).unwrap_or_default(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        restarts: u32::try_from(restarts).unwrap_or(0),
        trouble: trouble(pod).map(|trouble| trouble.words),
    }
}
