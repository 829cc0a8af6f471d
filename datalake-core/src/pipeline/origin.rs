//! Where a table comes from: the prepare step that wrote it, its sources and what became of their records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result};
use crate::pipeline::manifest::{Manifest, ObjectVersion, RunId, StepRecord, get_json, run_ids, runs_bucket};
use crate::pipeline::run::Context;

/// How many runs are looked through, the last ones first.
const MOST_RUNS: usize = 100;

/// The prepare step that wrote a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The run that did it.
    pub(crate) run: RunId,
    /// The step.
    pub(crate) step: String,
    /// The digest of the table.
    pub(crate) digest: Option<String>,
    /// What became of the records of all sources.
    pub(crate) rows: BTreeMap<String, u64>,
    /// The objects that were read.
    pub(crate) sources: Vec<Origins>,
    /// The units of its columns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) units: BTreeMap<String, String>,
}

/// A source object, and what became of its records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origins {
    #[serde(flatten)]
    pub(crate) object: ObjectVersion,
    pub(crate) seen: u64,
    pub(crate) written: u64,
    pub(crate) quarantined: u64,
    pub(crate) dropped: u64,
}

/// Finds the step that wrote this very version of an object, in this run or in one of the last; none where nobody
/// knows, as for a table that was put there by hand.
pub(crate) async fn origin(table: &ObjectVersion, context: &Context) -> Result<Option<Origin>> {
    let bucket = match runs_bucket(context.lake.as_ref()).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        bucket => bucket?,
    };
    let runs = run_ids(&bucket).await?;
    for run in runs.into_iter().rev().take(MOST_RUNS) {
        let manifest: Manifest = match get_json(&bucket, &run.key("manifest.json")).await {
            // Killed before it had a manifest, or by another version of this program: it says nothing.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => continue,
            manifest => manifest?,
        };
        let wrote = |step: &&StepRecord| step.report.outputs.iter().any(|output| output.object == *table);
        if let Some(step) = manifest.steps.iter().find(wrote) {
            return Ok(Some(of_step(step, table, run)));
        }
    }
    Ok(None)
}

fn of_step(step: &StepRecord, table: &ObjectVersion, run: RunId) -> Origin {
    let balance = step.report.balance.clone().unwrap_or_default();
    let counts = |path: &str| balance.sources.iter().find(|source| source.path == path).cloned().unwrap_or_default();
    let sources = step.inputs.iter().map(|object| {
        let source = counts(&object.path);
        Origins {
            object: object.clone(),
            seen: source.seen,
            written: source.written,
            quarantined: source.quarantined.values().sum(),
            dropped: source.dropped.values().sum(),
        }
    });
    let rows = [
        ("seen", balance.seen()),
        ("quarantined", balance.quarantined()),
        ("dropped", balance.dropped()),
        ("duplicates", balance.duplicates),
        ("written", balance.combine_out),
    ];
    let output = step.report.outputs.iter().find(|output| output.object == *table);
    Origin {
        run: step.from_run.clone().unwrap_or(run),
        step: format!("{} {}", step.kind, step.name),
        digest: output.and_then(|output| output.digest.clone()),
        rows: rows.map(|(name, count)| (name.to_owned(), count)).into(),
        sources: sources.collect(),
        units: step.report.units.clone(),
    }
}
