//! Reads what a run said, and its workers, from the pieces in its folder: while it runs, and after.

use std::collections::BTreeSet;

use object_store::path::Path;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::lake::{Bucket, Lake};
use crate::pipeline::log::LogLine;
use crate::pipeline::manifest::{Manifest, RunId, Status, load, runs_bucket};

/// Reads the log of a run, piece by piece as they come.
///
/// ```
/// # async fn example(lake: &dyn datalake_core::Lake) -> datalake_core::Result<()> {
/// use datalake_core::pipeline::{LogReader, RunId};
///
/// let mut reader = LogReader::new(RunId::from("20261126T120000.000Z-1234"));
/// let (lines, manifest) = reader.more(lake).await?;
/// for line in lines {
///     println!("{} {}", line.from, line.said.text);
/// }
/// println!("{}", manifest.status);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LogReader {
    run: RunId,
    seen: BTreeSet<Path>,
}

/// A line, and who said it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// The step, and for a worker its stage and shard.
    pub from: String,
    /// What was said.
    #[serde(flatten)]
    pub said: LogLine,
}

/// A piece of a log.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    from: String,
    key: Path,
}

impl LogReader {
    /// From the first line on.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self { run, seen: BTreeSet::new() }
    }

    /// The lines that came since the last time, oldest first, and how the run stood before they were read: where it is
    /// [over](Self::is_over), these are the last.
    ///
    /// # Errors
    /// What the lake says; [`Invalid`](crate::ErrorKind::Invalid) for lines of another version.
    pub async fn more(&mut self, lake: &dyn Lake) -> Result<(Vec<LogEntry>, Manifest)> {
        let manifest = load(lake, Some(&self.run)).await?;
        let bucket = runs_bucket(lake).await?;
        let folder = self.run.key("steps");
        let mut lines = Vec::new();
        for object in bucket.list(Some(&folder)).await? {
            let Some(piece) = piece(&folder, object.location) else { continue };
            if !self.seen.contains(&piece.key) {
                lines.extend(piece.lines(&bucket).await?);
                self.seen.insert(piece.key);
            }
        }
        lines.sort_by_key(|line| line.said.time);
        Ok((lines, manifest))
    }

    /// Whether nothing more will come of a run that stands so.
    #[must_use]
    pub fn is_over(status: Status) -> bool {
        !matches!(status, Status::Running | Status::Waiting)
    }
}

/// `steps/NN-KIND-NAME/SHARD/ATTEMPT/log-NNNNNN.jsonl`.
fn piece(folder: &Path, key: Path) -> Option<Piece> {
    let parts: Vec<String> = key.prefix_match(folder)?.map(|part| part.as_ref().to_owned()).collect();
    let [step, shard, attempt, file] = parts.as_slice() else { return None };
    if !(file.starts_with("log-") && file.ends_with(".jsonl")) {
        return None;
    }
    let step = step.split_once('-').map_or(step.as_str(), |(_, step)| step);
    let from = match (shard.as_str(), attempt.as_str()) {
        ("0", _) => step.to_owned(),
        (shard, "0") => format!("{step} {shard}"),
        (shard, again) => format!("{step} {shard} #{again}"),
    };
    Some(Piece { from, key })
}

impl Piece {
    async fn lines(&self, bucket: &Bucket) -> Result<Vec<LogEntry>> {
        let bytes = bucket.get(&self.key).await?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let read = |line| match serde_json::from_slice(line) {
            Ok(said) => Ok(LogEntry { from: self.from.clone(), said }),
            Err(cause) => Err(Error::invalid("read", bucket.address(&self.key))
                .with_reason("it is no log of this version of datalake")
                .with_source(cause)),
        };
        lines.map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_says_who_speaks() {
        let run = RunId::from("r");
        let from = |key: &str| piece(&run.key("steps"), run.key(key)).map(|piece| piece.from);
        assert_eq!(from("steps/02-train-a-b/0/0/log-000001.jsonl").as_deref(), Some("train-a-b"));
        assert_eq!(from("steps/02-train-a/grow-00001/0/log-000002.jsonl").as_deref(), Some("train-a grow-00001"));
        assert_eq!(from("steps/02-train-a/grow-00001/2/log-000002.jsonl").as_deref(), Some("train-a grow-00001 #2"));
        assert_eq!(from("steps/02-train-a/0a1b2c3d4e5f/order.json"), None);
        assert_eq!(from("steps/02-train-a/0a1b2c3d4e5f/parts/grow-00001.json"), None);
        assert_eq!(from("steps/02-train-a/0/0/manifest.json"), None);
    }
}
