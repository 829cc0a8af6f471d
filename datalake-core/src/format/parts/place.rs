//! The folder or prefix that a table's files are written to, and how they become the table that is there.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};

use super::WrittenFile;
use super::existing::{Before, below_prefix, in_folder, is_unchanged};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::format::options::WriteOptions;
use crate::format::sink::{Output, Sink};
use crate::lake::{AtomicFolder, Bucket};

/// The file that names all others.
pub(crate) const MANIFEST: &str = "_manifest.json";
/// So many objects are removed at a time.
const REMOVALS: usize = 8;

/// What a table of several files consists of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) rows: u64,
    /// The digest of the table as it was written, with the columns that became folders.
    pub(crate) digest: String,
    pub(crate) files: Vec<WrittenFile>,
}

/// Where the files go.
pub(super) enum Place {
    Folder {
        draft: AtomicFolder,
        to: PathBuf,
        overwrite: bool,
        /// The manifest of the table to which files are added.
        before: Option<Vec<u8>>,
        /// The folders that were made in it, with a slash at their ends.
        made: HashSet<String>,
    },
    Prefix {
        bucket: Bucket,
        prefix: Path,
        before: Before,
    },
}

impl Place {
    pub(super) async fn open(sink: Sink, format: &Arc<dyn Format>, options: &WriteOptions) -> Result<Self> {
        let (name, overwrite) = (sink.to_string(), options.overwrite);
        match sink {
            Sink::Folder(to) => {
                let made = tokio::task::spawn_blocking(move || {
                    in_folder(&to, overwrite)?;
                    let draft = AtomicFolder::create(&to, overwrite)?;
                    Ok(Self::Folder { draft, to, overwrite, before: None, made: HashSet::new() })
                });
                made.await.unwrap_or_else(|_| Err(Error::internal("make", &name)))
            }
            Sink::Prefix { bucket, prefix } => {
                let before = below_prefix(&bucket, &prefix, &name, overwrite).await?;
                Ok(Self::Prefix { bucket, prefix, before })
            }
            _ => Err(Error::internal("write", &name).with_reason(format_args!("as several {} files", format.name()))),
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }

    /// Where a file goes: the name of its folder has a slash at its end, unless it is that of the table.
    pub(super) fn sink(&mut self, folder: &str, file: &str) -> Result<Sink> {
        match self {
            Self::Folder { draft, to, made, .. } => {
                let ends = folder.match_indices('/').map(|(end, _)| end + 1);
                for part in ends.map(|end| &folder[..end]) {
                    if !made.contains(part) {
                        let path = draft.path().join(part);
                        std::fs::create_dir(&path).map_err(|cause| not_made(&to.join(part), cause))?;
                        made.insert(part.to_owned());
                    }
                }
                Ok(Sink::LocalFile(draft.path().join(folder).join(file)))
            }
            Self::Prefix { bucket, prefix, .. } => {
                Ok(Sink::Object { bucket: bucket.clone(), path: key_below(prefix, &format!("{folder}{file}"))? })
            }
        }
    }

    /// Takes objects back; what is in a folder goes with it.
    pub(super) async fn abandon(&self, files: &[WrittenFile]) {
        if let Self::Prefix { bucket, prefix, .. } = self {
            let paths = files.iter().filter_map(|file| key_below(prefix, &file.path).ok()).collect();
            // What cannot be removed is named by no manifest.
            remove(bucket, paths).await;
        }
    }

    /// Makes the table visible, of which the files are new, or takes it back; gives what a user should know.
    pub(super) async fn publish(self, text: Bytes, new: &[WrittenFile]) -> Result<Vec<String>> {
        match self {
            Self::Folder { draft, to, overwrite, before, .. } => {
                let mut output = Output::open(Sink::LocalFile(draft.path().join(MANIFEST))).await?;
                output.write(text).await?;
                output.finish().await?;
                // Writing takes its time, in which somebody may have laid something down there.
                let placed = tokio::task::spawn_blocking(move || {
                    draft.finish(|_| {
                        in_folder(&to, overwrite)?;
                        before.map_or(Ok(()), |manifest| is_unchanged(&to, &manifest))
                    })
                });
                placed.await.unwrap_or_else(|_| Err(Error::internal("put in place", "a folder")))?;
                Ok(Vec::new())
            }
            Self::Prefix { ref bucket, ref prefix, ref before } => {
                let named = key_below(prefix, MANIFEST)?;
                match put_manifest(bucket, &named, text, before.manifest.clone()).await {
                    Stands::Yes => {}
                    Stands::No(error) => {
                        self.abandon(new).await;
                        return Err(error);
                    }
                    Stands::Perhaps(error) => return Err(error),
                }
                let notes = remove(bucket, before.replaced.clone()).await.map(|(failed, first, error)| {
                    format!(
                        "the table is written; of the one before, {failed} {} could not be removed, such as {}: {}. \
                         `{MANIFEST}` does not name them, so they are no part of the table",
                        if failed == 1 { "object" } else { "objects" },
                        bucket.address(&first),
                        error.in_one_line()
                    )
                });
                Ok(notes.into_iter().collect())
            }
        }
    }
}

/// Whether a manifest is there after it was put.
enum Stands {
    Yes,
    No(Error),
    /// Nothing may be taken back then.
    Perhaps(Error),
}

/// Puts the manifest where it is still as it was before: so of several writers one wins, and no one removes the files of another.
async fn put_manifest(bucket: &Bucket, named: &Path, text: Bytes, before: Option<UpdateVersion>) -> Stands {
    let mode = before.map_or(PutMode::Create, PutMode::Update);
    let Err(error) = bucket.put(named, text.clone(), mode).await else { return Stands::Yes };
    // An answer may be lost on its way, and the request sent again is told then that there is one already: this one.
    match bucket.get(named).await {
        Ok(found) if found == text => Stands::Yes,
        Err(other) if other.kind() != ErrorKind::NotFound => Stands::Perhaps(error.with_hint(format_args!(
            "whether the table is there cannot be told, since `{MANIFEST}` can be neither written nor read; look there later"
        ))),
        _ if error.kind() == ErrorKind::AlreadyExists => Stands::No(
            Error::new(ErrorKind::AlreadyExists, "write", bucket.address(named))
                .with_reason("another writer has written a table there meanwhile, or removed it")
                .with_hint("what was written here is taken back; look at what is there before you do it again")
                .with_source(error),
        ),
        _ => Stands::No(error),
    }
}

/// Removes objects; gives how many stay, the first of them and why.
async fn remove(bucket: &Bucket, paths: Vec<Path>) -> Option<(usize, Path, Error)> {
    let removals = paths.into_iter().map(|path| async {
        match bucket.delete(&path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Some((path, error)),
            _ => None,
        }
    });
    let mut failed: Vec<(Path, Error)> =
        futures::stream::iter(removals).buffered(REMOVALS).filter_map(futures::future::ready).collect().await;
    let number = failed.len();
    (number > 0).then(|| failed.swap_remove(0)).map(|(first, error)| (number, first, error))
}

/// The key of an object of a table, by its path below the table's prefix.
///
/// # Errors
/// [`ErrorKind::Invalid`] where that is no key.
pub(crate) fn key_below(prefix: &Path, path: &str) -> Result<Path> {
    let slash = if prefix.as_ref().is_empty() { "" } else { "/" };
    let key = format!("{prefix}{slash}{path}");
    Path::parse(&key)
        .map_err(|cause| Error::invalid("use", format_args!("`{key}` as the key of an object")).with_source(cause))
}

/// Why a folder of values was not made. One that nobody has made under its name is there under another one.
fn not_made(path: &std::path::Path, cause: std::io::Error) -> Error {
    let is_taken = cause.kind() == std::io::ErrorKind::AlreadyExists;
    let error = Error::io("make", path.display(), cause);
    if !is_taken {
        return error;
    }
    error
        .with_reason(
            "its name differs from that of another folder of the table only in case, or in how its characters are \
             composed, and the file system takes the two for one",
        )
        .with_hint("write to a lake, or to a file system that tells them apart, or make these values the same first")
}

#[cfg(test)]
mod tests;
