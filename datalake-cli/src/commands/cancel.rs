//! `cancel`: stops a run, wherever it is driven from.

use datalake_core::cluster::{Cluster, KubeJobs};
use datalake_core::pipeline::{RunId, Status, cancel as ask};
use datalake_core::{ErrorKind, Result};

use crate::cli_jobs::InCluster;
use crate::commands::Tools;
use crate::settings;

/// Asks the run to stop, and removes its Jobs where a cluster is there.
pub(crate) async fn cancel(run: &str, cluster: &InCluster, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let run = RunId::from(run);
    let manifest = ask(lake.as_ref(), &run).await?;
    let removed = match remove_jobs(&run, cluster).await {
        Ok(removed) => removed,
        // A run in a process has none.
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        // What matters is done: the run was asked.
        Err(error) => {
            tools.printer.say(&format!("{error}; Jobs of the run may be left at work until whoever drives it stops"));
            0
        }
    };
    if tools.printer.is_json() {
        return tools
            .printer
            .document(&serde_json::json!({ "run": run, "was": manifest.status, "jobs_removed": removed }));
    }
    let jobs = if removed > 0 { format!("; {removed} of its Jobs removed") } else { String::new() };
    tools.printer.line(&match manifest.status {
        Status::Running | Status::Waiting => format!("run {run} is asked to stop{jobs}"),
        ended => format!("run {run} was {ended} already{jobs}"),
    })
}

/// Removes the Jobs of a run that are at work, and says how many those were.
async fn remove_jobs(run: &RunId, cluster: &InCluster) -> Result<usize> {
    KubeJobs::remove_of(&Cluster::connect(&settings::cluster(cluster)?).await?, run).await
}
