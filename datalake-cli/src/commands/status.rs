//! `status` and `runs`: what is in the lake, and how runs went.

use datalake_core::pipeline::{Manifest, RunId, Status, load, run_ids, runs_bucket};
use datalake_core::{Error, ErrorKind, Result};
use serde::Serialize;
use std::time::Duration;

use crate::commands::Tools;
use crate::output::size;

#[derive(Debug, Serialize)]
struct BucketState {
    bucket: String,
    objects: u64,
    bytes: u64,
}

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(2);

/// Shows buckets, the last run and, where a cluster is there, its pods and Jobs.
pub(crate) async fn status(arguments: &crate::cli::Status, tools: &Tools) -> Result<()> {
    loop {
        show(tools).await?;
        if !arguments.watch {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn show(tools: &Tools) -> Result<()> {
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
    if tools.printer.is_json() {
        let state = serde_json::json!({ "lake": lake.to_string(), "buckets": buckets, "last_run": last });
        return tools.printer.document(&state);
    }
    tools.printer.line(&format!("lake {lake}"))?;
    tools.printer.rows(&["bucket", "objects", "size"], &buckets, |state| {
        vec![state.bucket.clone(), state.objects.to_string(), size(state.bytes)]
    })?;
    match last {
        Some(manifest) => tools.printer.line(&summary(&manifest)),
        None => tools.printer.line("no run yet; start one: datalake ml-pipeline"),
    }
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
        text.push_str(&format!(
            "  {:<9} {:<12} {:<9} {:>7.2} s",
            step.kind,
            step.name,
            step.status.to_string(),
            step.seconds
        ));
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
