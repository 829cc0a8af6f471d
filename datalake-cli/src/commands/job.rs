//! `job`: Jobs of one's own on the cluster, with access to the lake.

use std::time::Duration;

use datalake_core::cluster::{Cluster, JobSettings, Script};
use datalake_core::{Error, Result};

use crate::cli_jobs::{InCluster, JobLogs, JobSubmit, Pods};
use crate::commands::Tools;
use crate::settings;

impl Pods {
    /// These settings with what was asked for.
    pub(crate) fn settings(&self, settings: JobSettings) -> JobSettings {
        let mut settings = settings.with_memory(&self.memory);
        if self.image_pull_policy.is_some() {
            settings.image_pull_policy.clone_from(&self.image_pull_policy);
        }
        settings.image_pull_secrets.clone_from(&self.image_pull_secret);
        settings.cpu.clone_from(&self.cpu);
        settings.node_selector = self.node_selector.iter().cloned().collect();
        settings.tolerations.clone_from(&self.toleration);
        settings.priority_class.clone_from(&self.priority_class);
        settings.queue.clone_from(&self.queue);
        settings.env.extend(self.env.iter().cloned());
        settings.active_deadline_seconds =
            self.active_deadline.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        settings.ttl_seconds_after_finished = i32::try_from(self.ttl).unwrap_or(i32::MAX);
        settings
    }

    /// How long pods may wait for a node.
    pub(crate) fn pending(&self) -> Duration {
        Duration::from_secs(self.pending_limit)
    }
}

/// Submits a Job, and follows it where asked to.
pub(crate) async fn submit(arguments: JobSubmit, tools: &Tools) -> Result<()> {
    let Some(image) = &arguments.pods.image else {
        return Err(Error::invalid("submit", format_args!("the Job {}", arguments.name))
            .with_reason("it has no image")
            .with_hint("name one, such as --image python:3.13"));
    };
    let script = arguments.script.as_deref().map(Script::read).transpose()?;
    let cluster = Cluster::connect(&settings::cluster(&arguments.cluster)?).await?;
    let pods = arguments.pods.settings(JobSettings::new(image));
    let job = cluster.submit(&arguments.name, script.as_ref(), &arguments.command, &pods).await?;
    if !arguments.follow {
        if tools.printer.is_json() {
            return tools.printer.document(&serde_json::json!({ "job": job.name(), "namespace": cluster.namespace() }));
        }
        return tools.printer.line(&format!(
            "Job {0} submitted; what it prints: datalake job logs -f {0} {1}",
            job.name(),
            cluster.arguments()
        ));
    }
    job.follow(arguments.pods.pending(), tools.progress.as_ref(), &|line| tools.printer.line(line)).await
}

/// Lists the Jobs that were submitted.
pub(crate) async fn list(cluster: &InCluster, tools: &Tools) -> Result<()> {
    let jobs = Cluster::connect(&settings::cluster(cluster)?).await?.submitted_jobs().await?;
    tools.printer.rows(&["job", "status"], &jobs, |job| vec![job.name.clone(), job.status.clone()])
}

/// Prints what a Job has printed; with `--follow` until it ends.
pub(crate) async fn logs(arguments: &JobLogs, tools: &Tools) -> Result<()> {
    let job = Cluster::connect(&settings::cluster(&arguments.cluster)?).await?.submitted_job(&arguments.name).await?;
    let print = |line: &str| tools.printer.line(line);
    if !arguments.follow {
        return job.log(&print).await;
    }
    job.follow(Duration::from_secs(arguments.pending_limit), tools.progress.as_ref(), &print).await
}

/// Removes a Job.
pub(crate) async fn delete(name: &str, cluster: &InCluster, tools: &Tools) -> Result<()> {
    Cluster::connect(&settings::cluster(cluster)?).await?.submitted_job(name).await?.delete().await?;
    tools.printer.say(&format!("Job {name} deleted"));
    Ok(())
}
