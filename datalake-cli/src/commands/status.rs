//! `status` and `runs`: what is in the lake, and how runs went.

use datalake_core::cluster::{Cluster, Overview};
use datalake_core::pipeline::{
    Heartbeat, Manifest, RunId, RunProgress, Status, load, progress_of, run_ids, runs_bucket,
};
use datalake_core::{Error, ErrorKind, Result};
use serde::Serialize;
use std::time::Duration;

use crate::commands::Tools;
use crate::output::size;
use crate::settings;

#[derive(Debug, Serialize)]
struct BucketState {
    bucket: String,
    objects: u64,
    bytes: u64,
}

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(2);
/// How long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Shows buckets, the last run and, where a cluster is there, its pods and Jobs.
pub(crate) async fn status(arguments: &crate::cli::Status, tools: &Tools) -> Result<()> {
    let screen = console::Term::stdout();
    loop {
        if arguments.watch && screen.is_term() {
            // Where it cannot be cleared, one state follows the other.
            let _ = screen.clear_screen();
        }
        show(arguments, tools).await?;
        if !arguments.watch {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn show(arguments: &crate::cli::Status, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let mut buckets = Vec::new();
    for info in lake.buckets().await? {
        let objects = lake.bucket(&info.name).await?.list(None).await?;
        buckets.push(BucketState {
            bucket: info.name.to_string(),
            objects: objects.len() as u64,
            bytes: objects.iter().map(|object| object.size).sum(),
        });
    }
    let last = match load(lake.as_ref(), None).await {
        Ok(manifest) => Some(manifest),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) if error.kind() == ErrorKind::Invalid => {
            tools.printer.say(&format!("the last run: {error}"));
            None
        }
        Err(error) => return Err(error),
    };
    let overview = overview(arguments, tools).await;
    if tools.printer.is_json() {
        let state =
            serde_json::json!({ "lake": lake.to_string(), "buckets": buckets, "last_run": last, "cluster": overview });
        return tools.printer.document(&state);
    }
    tools.printer.line(&format!("lake {lake}"))?;
    tools.printer.rows(&["bucket", "objects", "size"], &buckets, |state| {
        vec![state.bucket.clone(), state.objects.to_string(), size(state.bytes)]
    })?;
    if let Some(overview) = overview {
        print_cluster(overview, last.as_ref().map(|manifest| manifest.run.to_string()).as_deref(), tools)?;
    }
    let Some(manifest) = last else { return tools.printer.line("no run yet; start one: datalake ml-pipeline") };
    tools.printer.line(&summary(&manifest))?;
    if manifest.status == Status::Running {
        let found = progress_of(lake.as_ref(), &manifest.run).await?;
        for line in how_far(&found) {
            tools.printer.line(&line)?;
        }
    }
    Ok(())
}

/// What is at work in the cluster, where one is there: a lake is well without.
async fn overview(arguments: &crate::cli::Status, tools: &Tools) -> Option<Overview> {
    let asked = async { Cluster::connect(&settings::cluster(&arguments.cluster)?).await?.overview().await };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(overview)) => Some(overview),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => None,
        Ok(Err(error)) => {
            tools.printer.say(&format!("the cluster: {error}"));
            None
        }
        Err(_) => {
            tools.printer.say("the cluster does not answer");
            None
        }
    }
}

/// What is at work, what has failed, and what the last run has done: all else is over.
fn print_cluster(mut overview: Overview, last: Option<&str>, tools: &Tools) -> Result<()> {
    overview.jobs.retain(|job| job.status != "complete" || (job.run.is_some() && job.run.as_deref() == last));
    overview.pods.retain(|pod| pod.phase != "Succeeded");
    if !overview.jobs.is_empty() {
        tools.printer.rows(&["job", "status", "done", "at work", "run"], &overview.jobs, |job| {
            let done = format!("{} of {}", job.done, job.total);
            let run = job.run.clone().unwrap_or_default();
            vec![job.name.clone(), job.status.clone(), done, job.active.to_string(), run]
        })?;
    }
    if overview.pods.is_empty() {
        return Ok(());
    }
    tools.printer.rows(&["pod", "phase", "node", "restarts", "in its way"], &overview.pods, |pod| {
        let (node, trouble) = (pod.node.clone().unwrap_or_default(), pod.trouble.clone().unwrap_or_default());
        vec![pod.name.clone(), pod.phase.clone(), node, pod.restarts.to_string(), trouble]
    })
}

/// A line for each that is at work: what it does, how far it is, how fast, and how long it will take.
fn how_far(found: &RunProgress) -> Vec<String> {
    let now = chrono::Utc::now();
    let own = found.driver.iter().map(|beat| ("", beat));
    let workers = found.workers.iter().map(|(name, beat)| (name.as_str(), beat));
    let line = |(name, beat): (&str, &Heartbeat)| {
        let stage = beat.stages.last()?;
        let mut text = format!("  {name:<32} {}", stage.stage);
        if let Some(total) = stage.total {
            text.push_str(&format!("  {} of {total}", stage.done));
        }
        if let Some(rate) = stage.rate(now) {
            text.push_str(&format!("  {rate:.1}/s"));
        }
        if let Some(seconds) = stage.eta(now) {
            text.push_str(&format!("  {seconds:.0} s to go"));
        }
        Some(text)
    };
    own.chain(workers).filter_map(line).collect()
}

/// Lists all runs, oldest first.
pub(crate) async fn runs(tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let mut manifests = Vec::new();
    for run in ids(lake.as_ref()).await? {
        match load(lake.as_ref(), Some(&run)).await {
            Ok(manifest) => manifests.push(manifest),
            // Killed before it had written its manifest.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::Invalid => tools.printer.say(&format!("run {run}: {error}")),
            Err(error) => return Err(error),
        }
    }
    tools.printer.rows(&["run", "pipeline", "status", "steps", "seconds"], &manifests, |manifest| {
        let done = |status| manifest.steps.iter().filter(|step| step.status == status).count();
        let seconds = (manifest.updated - manifest.started).num_milliseconds() as f64 / 1e3;
        vec![
            manifest.run.to_string(),
            manifest.pipeline.clone(),
            manifest.status.to_string(),
            format!("{} done, {} skipped", done(Status::Done), done(Status::Skipped)),
            format!("{seconds:.1}"),
        ]
    })
}

async fn ids(lake: &dyn datalake_core::Lake) -> Result<Vec<RunId>, Error> {
    match runs_bucket(lake).await {
        Ok(bucket) => run_ids(&bucket).await,
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A run in a few lines: each step, how many rows, the digests, and where to look.
pub(crate) fn summary(manifest: &Manifest) -> String {
    let mut text = format!("run {} of {}: {}\n", manifest.run, manifest.pipeline, manifest.status);
    for step in &manifest.steps {
        // How long it took is known at its end.
        let seconds = match step.status {
            Status::Done | Status::Skipped => format!("{:.2} s", step.seconds),
            _ => String::new(),
        };
        text.push_str(&format!("  {:<9} {:<12} {:<9} {seconds:>9}", step.kind, step.name, step.status.to_string(),));
        if let Some(balance) = &step.report.balance {
            text.push_str(&format!(
                "  {} seen = {} kept + {} quarantined + {} dropped; {} duplicates",
                balance.seen(),
                balance.combine_in,
                balance.quarantined(),
                balance.dropped(),
                balance.duplicates
            ));
        }
        if !step.report.highlights.is_empty() {
            text.push_str(&format!("  {}", step.report.highlights.join("; ")));
        }
        text.push('\n');
        for output in &step.report.outputs {
            let digest = output.digest.as_deref().map(|digest| format!("  digest {}", &digest[..digest.len().min(16)]));
            let rows = output.rows.map(|rows| format!("  {rows} rows"));
            text.push_str(&format!(
                "            {}{}{}\n",
                output.object.path,
                rows.unwrap_or_default(),
                digest.unwrap_or_default()
            ));
        }
    }
    if let Some(error) = &manifest.error {
        text.push_str(&format!("  error: {error}\n"));
    }
    text.trim_end().to_owned()
}
