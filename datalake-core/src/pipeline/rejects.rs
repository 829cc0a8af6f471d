//! Where the records go that a single conversion or query has rejected: into the lake, or beside a local file.

use std::io::ErrorKind as Io;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::{Quarantine, Sink};
use crate::lake::{BucketName, Lake, Location};
use crate::pipeline::conversion::{DOCUMENT, Kept, folder_of};
use crate::pipeline::manifest::{RUNS_BUCKET, RunId};
use crate::pipeline::run::ensure_bucket;

/// What stands behind the name of a local file in that of the folder beside it.
pub(super) const FOLDER_SUFFIX: &str = ".run";
pub(super) const QUARANTINE: &str = "quarantine.ndjson";
/// Where those go that were rejected on the way to a table that was not written, while that of an earlier conversion stands.
const FAILED: &str = "failed.ndjson";

/// What became of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Written,
    /// What was there before still is.
    Failed,
}

/// Keeps what was quarantined on the way to `to`, and says where: for a lake object under
/// `processed-data/_quarantine/RUN/COMMAND.ndjson`, for a local file as `FILE.run/quarantine.ndjson`, for stdout as
/// `stdout.run/quarantine.ndjson`. What an earlier conversion left beside the same file goes. The lake is opened only
/// where it is needed.
///
/// # Errors
/// Those of the lake and the operating system.
pub async fn keep_rejects(
    quarantine: &Quarantine,
    to: &Location,
    command: &str,
    lake: impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<Option<String>> {
    let kept = keep_rejects_of(quarantine, to, command, &RunId::now(), End::Written, &lake).await?;
    Ok(kept.map(|kept| kept.path))
}

/// The same for this run, with what is in the quarantine.
pub(super) async fn keep_rejects_of(
    quarantine: &Quarantine,
    to: &Location,
    command: &str,
    run: &RunId,
    end: End,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<Option<Kept>> {
    let is_empty = quarantine.counts().is_empty();
    match to {
        Location::Object { .. } | Location::Prefix { .. } if is_empty => Ok(None),
        Location::Object { .. } | Location::Prefix { .. } => {
            let bucket = ensure_bucket(lake()?.as_ref(), &BucketName::new(RUNS_BUCKET)?).await?;
            let key = format!("_quarantine/{run}/{command}.ndjson").into();
            let kept = quarantine.finish(&bucket, &key).await?;
            Ok(kept.map(|records| Kept { path: bucket.address(&key), records }))
        }
        Location::Local(path) => beside(quarantine, path, is_empty, end).await,
        Location::Stdio => beside(quarantine, Path::new("stdout"), is_empty, end).await,
    }
}

/// An error that tells where the records rejected until then are.
#[must_use]
pub fn told(error: Error, kept: Option<String>) -> Error {
    let Some(place) = kept else { return error };
    let place = format!("the records rejected so far, with reasons, are in {place}");
    let hint = error.hint().map_or_else(|| place.clone(), |own| format!("{own}; {place}"));
    error.with_hint(hint)
}

/// `DESTINATION.run/quarantine.ndjson`.
async fn beside(quarantine: &Quarantine, path: &Path, is_empty: bool, end: End) -> Result<Option<Kept>> {
    let folder = folder_of(path);
    // What an earlier conversion into the same file left goes with its table, and not before.
    let stays = end == End::Failed && folder.join(DOCUMENT).is_file();
    if stays && is_empty {
        return Ok(None);
    }
    let name = if stays { FAILED } else { QUARANTINE };
    if !stays {
        forget(&folder, DOCUMENT)?;
        forget(&folder, FAILED)?;
    }
    if is_empty {
        forget(&folder, QUARANTINE)?;
        // What else is in the folder is not ours, and a reason to leave it.
        let _ = std::fs::remove_dir(&folder);
        return Ok(None);
    }
    let file = folder.join(name);
    std::fs::create_dir_all(&folder).map_err(|cause| Error::io("make the folder", folder.display(), cause))?;
    let kept = quarantine.finish_to(Sink::LocalFile(file.clone())).await?;
    Ok(kept.map(|records| Kept { path: file.display().to_string(), records }))
}

fn forget(folder: &Path, file: &str) -> Result<()> {
    let file = folder.join(file);
    match std::fs::remove_file(&file) {
        Ok(()) => Ok(()),
        Err(cause) if matches!(cause.kind(), Io::NotFound | Io::NotADirectory) => Ok(()),
        Err(cause) => Err(Error::io("remove", file.display(), cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_rejected_is_told_beside_an_errors_own_hint() {
        let error = || Error::invalid("convert", "foods.csv");
        let hint = |error: Error| error.hint().map(str::to_owned);
        assert_eq!(hint(told(error(), None)), None);
        let place = || Some("foods.run/quarantine.ndjson".to_owned());
        let alone = hint(told(error(), place())).unwrap();
        assert!(alone.starts_with("the records rejected") && alone.ends_with("in foods.run/quarantine.ndjson"));
        assert_eq!(
            hint(told(error().with_hint("free some space"), place())),
            Some(format!("free some space; {alone}"))
        );
    }
}
