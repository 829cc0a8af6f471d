//! A file outside of any lake that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::atomic_folder::is_within_draft;
use super::staging::{gone_is_none, is_linked, open_to_lock, seal, sync_folder, try_lock, unique_name};
use crate::error::{Error, ErrorKind, Result};

/// What the names of temporary files begin and end with, beside the files that they will become.
const TEMPORARY: (&str, &str) = (".datalake-", ".part");
/// How often another writer's clean-up may get in the way.
const ATTEMPTS: usize = 1000;

/// A local file in the making: written beside its destination, and moved there by [`AtomicFile::finish`].
///
/// Until then the destination is as it was; dropping the value, or an error, leaves it so. A process that is killed
/// leaves a hidden temporary file, which the next `AtomicFile` in the same folder removes. A destination that is no
/// regular file, such as a pipe or `/dev/null`, is written as it comes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use datalake_core::lake::AtomicFile;
///
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// let path = folder.path().join("foods.csv");
/// let mut file = AtomicFile::create(&path).await?;
/// file.write("name,kcal\n".into()).await?;
/// assert!(!path.exists());
/// file.finish().await?;
/// assert!(path.exists());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    draft: Arc<Draft>,
    written: u64,
    /// Up to where the content is durable, or about to be.
    flushed: u64,
    /// Makes content durable while more of it is written: at the end, less is left to wait for.
    flushing: Option<tokio::task::JoinHandle<io::Result<()>>>,
}

/// How many bytes are made durable at a time.
const FLUSH: u64 = 8 * 1024 * 1024;

#[derive(Debug)]
struct Draft {
    file: File,
    to: PathBuf,
    // None where the destination itself is written.
    temporary: Option<PathBuf>,
}

impl AtomicFile {
    /// Begins a file that will replace what is at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the folder is not there; [`ErrorKind::Invalid`] if `path` is a folder; what the
    /// operating system says otherwise.
    pub async fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let draft = blocking(move || Draft::create(&path)).await?;
        Ok(Self { draft: Arc::new(draft), written: 0, flushed: 0, flushing: None })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`] if the disk is full; what the operating system says otherwise.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let length = bytes.len() as u64;
        let draft = Arc::clone(&self.draft);
        blocking(move || (&draft.file).write_all(&bytes).map_err(|cause| write_error(&draft.to, cause))).await?;
        self.written += length;
        if self.written - self.flushed >= FLUSH && self.draft.temporary.is_some() {
            self.flush().await?;
        }
        Ok(())
    }

    /// Begins to make what was written durable, unless that goes on already.
    async fn flush(&mut self) -> Result<()> {
        if self.flushing.as_ref().is_some_and(|flushing| !flushing.is_finished()) {
            return Ok(());
        }
        self.flushed_all().await?;
        // A descriptor of its own: what is left of a draft is removed as soon as that is dropped.
        let file = self.draft.file.try_clone().map_err(|cause| write_error(&self.draft.to, cause))?;
        self.flushing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        self.flushed = self.written;
        Ok(())
    }

    /// Waits for what goes on. The operating system tells of an error once, so each is looked at.
    async fn flushed_all(&mut self) -> Result<()> {
        let Some(flushing) = self.flushing.take() else { return Ok(()) };
        let flushed = flushing.await.unwrap_or_else(|cause| Err(io::Error::other(cause)));
        flushed.map_err(|cause| write_error(&self.draft.to, cause))
    }

    /// How many bytes were written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the content durable and puts it in place. Returns its size in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`] if the disk is full; what the operating system says otherwise. The destination is
    /// then as it was before.
    pub async fn finish(mut self) -> Result<u64> {
        self.flushed_all().await?;
        let Self { draft, written, .. } = self;
        blocking(move || draft.publish().map_err(|cause| write_error(&draft.to, cause))).await?;
        Ok(written)
    }
}

impl Draft {
    fn create(path: &Path) -> Result<Self> {
        let failed = |cause| write_error(path, cause);
        // Through a symbolic link the file is replaced, not the link.
        let to = gone_is_none(fs::canonicalize(path)).map_err(failed)?.unwrap_or_else(|| path.to_owned());
        match gone_is_none(fs::metadata(&to)).map_err(failed)? {
            Some(found) if found.is_dir() => Err(Error::invalid("write", path.display())
                .with_reason("it is a folder")
                .with_hint("name a file in it")),
            Some(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(&to).map_err(failed)?;
                Ok(Self { file, to, temporary: None })
            }
            found => {
                let draft = Self::beside(to).map_err(failed)?;
                let kept = found.map_or(Ok(()), |found| draft.file.set_permissions(found.permissions()));
                kept.map_err(failed).map(|()| draft)
            }
        }
    }

    fn beside(to: PathBuf) -> io::Result<Self> {
        let folder = folder_of(&to);
        // A folder in the making holds what its one writer has put there; to look through it for each file would take the longer,
        // the more there are.
        if !is_within_draft(folder) {
            // A leftover that cannot be removed is no reason not to write.
            let _ = sweep(folder);
        }
        for _ in 0..ATTEMPTS {
            let (begin, end) = TEMPORARY;
            let temporary = folder.join(format!("{begin}{}{end}", unique_name()));
            let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
            let is_ours = try_lock(&file).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
            // Between creating the file and locking it, a sweep may have taken it for a dead writer's.
            if is_ours && is_linked(&file, &temporary)? {
                return Ok(Self { file, to, temporary: Some(temporary) });
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "its temporary file is removed again and again"))
    }

    fn publish(&self) -> io::Result<()> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        seal(&self.file)?;
        fs::rename(temporary, &self.to)?;
        sync_folder(folder_of(&self.to))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // Gone already if it was renamed into place.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Removes the temporary files of dead writers from a folder.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(TEMPORARY.0) || !name.ends_with(TEMPORARY.1) {
            continue;
        }
        // A file that cannot be opened is another user's, or has just become whole.
        let Ok(Some(file)) = open_to_lock(&entry.path()) else { continue };
        if try_lock(&file).is_ok_and(|is_free| is_free) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// The folder of a file; `foods.csv` lies in `.`, not in a folder without a name.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

fn write_error(path: &Path, cause: io::Error) -> Error {
    let missing = cause.kind() == io::ErrorKind::NotFound;
    let error = Error::io("write", path.display(), cause);
    if missing { error.with_hint(format_args!("make the folder `{}` first", folder_of(path).display())) } else { error }
}

/// Runs blocking file work beside the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(cause) => Err(Error::new(ErrorKind::Cancelled, "finish", "work on a file").with_source(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_appears_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).await.unwrap();
        file.write("new ".into()).await.unwrap();
        file.write("text".into()).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(file.finish().await.unwrap(), 8);
        assert_eq!(fs::read(&path).unwrap(), b"new text");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[tokio::test]
    async fn a_file_dropped_unfinished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(folder.path().join("a.txt")).await.unwrap();
        file.write("half".into()).await.unwrap();
        drop(file);
        assert!(names(folder.path()).is_empty());
    }

    #[tokio::test]
    async fn dead_writers_are_swept_and_living_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".datalake-1-2-3.part"), "left by a dead writer").unwrap();
        let mut living = AtomicFile::create(folder.path().join("a.txt")).await.unwrap();
        living.write("a".into()).await.unwrap();
        let other = AtomicFile::create(folder.path().join("b.txt")).await.unwrap();
        assert_eq!(names(folder.path()).len(), 2);
        living.finish().await.unwrap();
        other.finish().await.unwrap();
        assert_eq!(names(folder.path()), ["a.txt", "b.txt"]);
    }

    #[tokio::test]
    async fn a_device_is_written_as_it_comes() {
        let mut file = AtomicFile::create("/dev/null").await.unwrap();
        file.write("gone".into()).await.unwrap();
        assert_eq!(file.finish().await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_missing_folder_and_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(folder.path().join("no/a.txt")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.hint().unwrap().contains("no` first"), "{error:?}");
        assert_eq!(AtomicFile::create(folder.path()).await.unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn a_symbolic_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut file = AtomicFile::create(&link).await.unwrap();
        file.write("new".into()).await.unwrap();
        file.finish().await.unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
