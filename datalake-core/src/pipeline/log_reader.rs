//! Reads what a run said, and its workers, from the pieces in its folder.

use object_store::path::Path;

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::pipeline::log::LogLine;
use crate::pipeline::manifest::{RunId, runs_bucket};

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogPiece {
    /// Who said it: the step, and for a worker its stage and shard.
    pub from: String,
    /// Where it lies in the bucket of runs.
    pub key: Path,
}

/// The pieces of a run's log that are there, by place.
///
/// # Errors
/// What the lake says.
pub async fn log_pieces(lake: &dyn Lake, run: &RunId) -> Result<Vec<LogPiece>> {
    let bucket = runs_bucket(lake).await?;
    let folder = run.key("steps");
    let objects = bucket.list(Some(&folder)).await?;
    Ok(objects.into_iter().filter_map(|object| piece(&folder, object.location)).collect())
}

/// `steps/NN-KIND-NAME/SHARD/ATTEMPT/log-NNNNNN.jsonl`.
fn piece(folder: &Path, key: Path) -> Option<LogPiece> {
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
    Some(LogPiece { from, key })
}

impl LogPiece {
    /// Its lines.
    ///
    /// # Errors
    /// What the lake says; [`Invalid`](crate::ErrorKind::Invalid) for lines of another version.
    pub async fn lines(&self, lake: &dyn Lake) -> Result<Vec<LogLine>> {
        let bucket = runs_bucket(lake).await?;
        let bytes = bucket.get(&self.key).await?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let read = |line| {
            serde_json::from_slice(line).map_err(|cause| {
                Error::invalid("read", bucket.address(&self.key))
                    .with_reason("it is no log of this version of datalake")
                    .with_source(cause)
            })
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
        assert_eq!(from("steps/02-train-a/parts/grow-00001.json"), None);
        assert_eq!(from("steps/02-train-a/0/0/manifest.json"), None);
    }
}
