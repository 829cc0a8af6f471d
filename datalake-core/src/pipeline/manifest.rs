//! What a run leaves behind: a manifest of its steps, their inputs, outputs and row balances.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::PutMode;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::format::{NulledColumn, Profile};
use crate::lake::parse_object;
use crate::lake::{Bucket, BucketName, Lake};
use crate::ml::InputReport;
use crate::random::mix;

/// The bucket that holds what runs leave, beside the prepared tables.
pub const RUNS_BUCKET: &str = "processed-data";
/// The prefix of run folders.
pub const RUNS_PREFIX: &str = "_runs";
/// The prefix of records of finished steps, by fingerprint.
const STEPS_PREFIX: &str = "_steps";

/// The object that asks a run to stop.
const CANCEL: &str = "cancel.json";

/// A run's name: sorts by time, enters no digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A new name from the clock and the process.
    #[must_use]
    pub fn now() -> Self {
        let now = Utc::now();
        let nanos = now.timestamp_nanos_opt().unwrap_or_default() as u64;
        let tail = mix(nanos, u64::from(std::process::id())) as u16;
        Self(format!("{}-{tail:04x}", now.format("%Y%m%dT%H%M%S%3f")))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of an object in the run's folder.
    #[must_use]
    pub fn key(&self, object: &str) -> Path {
        Path::from(format!("{RUNS_PREFIX}/{}/{object}", self.0))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for RunId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// How a run or a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    Waiting,
    /// At work.
    Running,
    /// Finished.
    Done,
    /// Finished earlier with the same inputs, settings and code; its results stand.
    Skipped,
    /// Ended by an error.
    Failed,
    /// Stopped by the user.
    Cancelled,
    /// Ended without a word: its heart no longer beats.
    Interrupted,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        })
    }
}

/// A run, from its first step to its last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manifest's own version.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// How it stands.
    pub status: Status,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When this was last written.
    pub updated: DateTime<Utc>,
    /// The version and source digest of the code that ran.
    pub code: String,
    /// The steps, in order.
    pub steps: Vec<StepRecord>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// `prepare`, `train`, `evaluate` or `predict`.
    pub kind: String,
    /// The name of its table or model.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// The run that did the work, for a step that was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_run: Option<RunId>,
    /// How long the work took.
    pub seconds: f64,
    /// SHA-256 over the step, its inputs and the code: equal means that the results stand.
    pub fingerprint: String,
    /// The objects that it read.
    pub inputs: Vec<ObjectVersion>,
    /// What it found and wrote.
    pub report: StepReport,
}

/// An object at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// `bucket/key`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The store's tag of this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What a step found and wrote.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The objects that it wrote.
    pub outputs: Vec<Output>,
    /// The row balance of a prepare step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<PrepareBalance>,
    /// What the columns of a prepared table hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The units of measure that a prepare step declares, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, String>,
    /// What the rows of a predict step hold that the model has not seen in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputReport>,
    /// Rows used, held out and dropped by a training step, and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// The figures that matter most, for summaries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub highlights: Vec<String>,
    /// What the user should know: widened columns, columns that are missing in a source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An object that a step wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The object as it was written.
    #[serde(flatten)]
    pub object: ObjectVersion,
    /// The SHA-256 of its bytes.
    pub sha256: String,
    /// The digest of the table or model in it, the same in every format and on every machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The rows of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// The row balance of a prepare step: nothing is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareBalance {
    /// Each object that was read.
    pub sources: Vec<SourceBalance>,
    /// Rows that entered the combine stage: all that were written by the scan.
    pub combine_in: u64,
    /// Rows left out as duplicates of an earlier row.
    pub duplicates: u64,
    /// Rows of the finished table.
    pub combine_out: u64,
    /// The object that holds the quarantined records, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

/// The balance of one source: `seen = written + all quarantined + all dropped`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceBalance {
    /// `bucket/key`.
    pub path: String,
    /// The bytes that were covered, from 0, after decompression.
    pub span: u64,
    /// Records found.
    pub seen: u64,
    /// Rows handed to the combine stage.
    pub written: u64,
    /// Records quarantined, by code.
    pub quarantined: BTreeMap<String, u64>,
    /// Rows dropped, by rule.
    pub dropped: BTreeMap<String, u64>,
    /// Values that did not fit and became null in rows that were kept, by column.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nulled: Vec<NulledColumn>,
    /// Rows with such values.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nulled_rows: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl SourceBalance {
    /// Whether every record is accounted for.
    #[must_use]
    pub fn holds(&self) -> bool {
        let quarantined: u64 = self.quarantined.values().sum();
        let dropped: u64 = self.dropped.values().sum();
        self.seen == self.written + quarantined + dropped
    }
}

impl PrepareBalance {
    /// Records found in all sources.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.sources.iter().map(|source| source.seen).sum()
    }

    /// Records quarantined in all sources.
    #[must_use]
    pub fn quarantined(&self) -> u64 {
        self.sources.iter().flat_map(|source| source.quarantined.values()).sum()
    }

    /// Rows with values that became null in all sources.
    #[must_use]
    pub fn nulled_rows(&self) -> u64 {
        self.sources.iter().map(|source| source.nulled_rows).sum()
    }

    /// Rows dropped by a named rule in all sources.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.sources.iter().flat_map(|source| source.dropped.values()).sum()
    }
}

/// The version and source digest of this code.
#[must_use]
pub fn code_version() -> String {
    concat!(env!("CARGO_PKG_VERSION"), "+", env!("DATALAKE_CODE")).to_owned()
}

/// The bucket of run folders.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) where no pipeline has run in this lake.
pub async fn runs_bucket(lake: &dyn Lake) -> Result<Bucket> {
    lake.bucket(&BucketName::new(RUNS_BUCKET)?).await
}

/// Writes a JSON document into the runs bucket, replacing what is there.
pub(crate) async fn put_json<T: Serialize + Sync>(bucket: &Bucket, key: &Path, document: &T) -> Result<()> {
    put_json_as(bucket, key, document, PutMode::Overwrite).await
}

/// Writes a JSON document into the runs bucket, where the mode lets it.
pub(crate) async fn put_json_as<T: Serialize + Sync>(
    bucket: &Bucket,
    key: &Path,
    document: &T,
    mode: PutMode,
) -> Result<()> {
    let json = serde_json::to_vec_pretty(document)
        .map_err(|cause| Error::internal("write", bucket.address(key)).with_source(cause))?;
    bucket.put(key, Bytes::from(json), mode).await.map(drop)
}

/// Writes a manifest into the folder of its run.
pub(crate) async fn save(bucket: &Bucket, manifest: &mut Manifest) -> Result<()> {
    manifest.updated = Utc::now();
    put_json(bucket, &manifest.run.key("manifest.json"), manifest).await
}

/// Reads a JSON document.
pub(crate) async fn get_json<T: for<'de> Deserialize<'de>>(bucket: &Bucket, key: &Path) -> Result<T> {
    let bytes = bucket.get(key).await?;
    serde_json::from_slice(&bytes).map_err(|cause| {
        Error::invalid("read", bucket.address(key))
            .with_reason("it is no document of this version of datalake")
            .with_source(cause)
    })
}

/// The manifest of a run; the last one where no name is given.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) if there is no such run.
pub async fn load(lake: &dyn Lake, run: Option<&RunId>) -> Result<Manifest> {
    let bucket = runs_bucket(lake).await?;
    if let Some(run) = run {
        return load_from(&bucket, run).await;
    }
    for run in run_ids(&bucket).await?.iter().rev() {
        match load_from(&bucket, run).await {
            // Killed before it had written its manifest.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            loaded => return loaded,
        }
    }
    Err(Error::not_found("find", format_args!("a run in {lake}")).with_hint("start one: `datalake ml-pipeline`"))
}

async fn load_from(bucket: &Bucket, run: &RunId) -> Result<Manifest> {
    let found = get_json(bucket, &run.key("manifest.json")).await;
    let mut manifest: Manifest = found.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::not_found("find", format_args!("the run {run}"))
            .with_hint("`datalake runs` lists those that are there"),
        _ => error,
    })?;
    if manifest.status == Status::Running && !heart_beats(bucket, run).await? {
        manifest.status = Status::Interrupted;
    }
    Ok(manifest)
}

/// The names of all runs, oldest first.
///
/// # Errors
/// What the lake says.
pub async fn run_ids(bucket: &Bucket) -> Result<Vec<RunId>> {
    let prefix = Path::from(RUNS_PREFIX);
    let listing = bucket
        .store()
        .list_with_delimiter(Some(&prefix))
        .await
        .map_err(|cause| crate::lake::store_error("list", bucket.address(&prefix), cause))?;
    let mut runs: Vec<RunId> = listing
        .common_prefixes
        .iter()
        .filter_map(|prefix| prefix.parts().next_back().map(|part| RunId(part.as_ref().to_owned())))
        .collect();
    runs.sort();
    Ok(runs)
}

/// The last run of each pipeline, of the last `most` runs.
///
/// # Errors
/// What the lake says.
pub async fn last_of_each(lake: &dyn Lake, most: usize) -> Result<Vec<Manifest>> {
    let bucket = runs_bucket(lake).await?;
    let mut found: BTreeMap<String, Manifest> = BTreeMap::new();
    for run in run_ids(&bucket).await?.iter().rev().take(most) {
        match load_from(&bucket, run).await {
            // Without a manifest yet, or of another version.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => {}
            manifest => {
                let manifest = manifest?;
                found.entry(manifest.pipeline.clone()).or_insert(manifest);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// How often a run shows that it is alive.
pub(crate) const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(5);

/// Whether a run has shown itself within the last few heartbeats.
async fn heart_beats(bucket: &Bucket, run: &RunId) -> Result<bool> {
    let mut newest: Option<DateTime<Utc>> = None;
    for key in ["progress.json", "manifest.json"] {
        match bucket.head(&run.key(key)).await {
            Ok(meta) => newest = newest.max(Some(meta.last_modified)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let limit = chrono::Duration::seconds(HEARTBEAT.as_secs() as i64 * 6);
    Ok(newest.is_some_and(|beat| Utc::now() - beat < limit))
}

/// The record of a finished step with this fingerprint, if all its outputs are still as it left them.
pub(crate) async fn finished(lake: &Arc<dyn Lake>, fingerprint: &str) -> Result<Option<(RunId, StepRecord)>> {
    let bucket = runs_bucket(lake.as_ref()).await?;
    let found: (RunId, StepRecord) = match get_json(&bucket, &step_key(fingerprint)).await {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(stands(lake.as_ref(), &found.1.report).await?.then_some(found))
}

/// Whether all that a step wrote is still as it left it.
///
/// # Errors
/// What the lake says.
pub async fn stands(lake: &dyn Lake, report: &StepReport) -> Result<bool> {
    for output in &report.outputs {
        if version(lake, &output.object.path).await?.as_ref() != Some(&output.object) {
            return Ok(false);
        }
    }
    match report.balance.as_ref().and_then(|balance| balance.quarantine.as_deref()) {
        Some(kept) => Ok(version(lake, kept).await?.is_some()),
        None => Ok(true),
    }
}

/// Asks a run to stop, wherever it is driven from: it looks before every step and at every
/// heartbeat. One that nobody drives, yet or any more,
/// is cancelled with that. Returns how it stood.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound) if there is no such run; what the lake says.
pub async fn cancel(lake: &dyn Lake, run: &RunId) -> Result<Manifest> {
    let manifest = load(lake, Some(run)).await?;
    let bucket = runs_bucket(lake).await?;
    put_json(&bucket, &run.key(CANCEL), &serde_json::json!({ "asked": Utc::now() })).await?;
    if matches!(manifest.status, Status::Waiting | Status::Interrupted) {
        let mut ended = Manifest { status: Status::Cancelled, ..manifest.clone() };
        save(&bucket, &mut ended).await?;
    }
    Ok(manifest)
}

/// Whether a run was asked to stop.
///
/// # Errors
/// What the lake says.
pub async fn is_cancelled(lake: &dyn Lake, run: &RunId) -> Result<bool> {
    match runs_bucket(lake).await?.head(&run.key(CANCEL)).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Remembers a finished step by its fingerprint.
pub(crate) async fn remember(bucket: &Bucket, run: &RunId, record: &StepRecord) -> Result<()> {
    put_json(bucket, &step_key(&record.fingerprint), &(run, record)).await
}

fn step_key(fingerprint: &str) -> Path {
    Path::from(format!("{STEPS_PREFIX}/{fingerprint}.json"))
}

/// An object as it is now; none if it is not there.
pub(crate) async fn version(lake: &dyn Lake, path: &str) -> Result<Option<ObjectVersion>> {
    let (bucket, key) = parse_object(path)?;
    let found = async { lake.bucket(&bucket).await?.head(&key).await };
    match found.await {
        Ok(meta) => Ok(Some(ObjectVersion { path: path.to_owned(), size: meta.size, etag: meta.e_tag })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_that_loses_a_row_does_not_hold() {
        let mut balance = SourceBalance { seen: 10, written: 7, ..SourceBalance::default() };
        balance.quarantined.insert("type".into(), 2);
        assert!(!balance.holds());
        balance.dropped.insert("no_energy".into(), 1);
        assert!(balance.holds());
    }

    #[test]
    fn run_names_sort_by_time() {
        let first = RunId::now();
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert!(first < RunId::now());
    }
}
