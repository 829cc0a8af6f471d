//! Keeps two replays of one conversion apart whose document lies beside a local file. In a lake a document is replaced only where
//! it is still the one that was read.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::conversion::Home;
use crate::error::{Error, ErrorKind, Result};

/// The name of the file that is locked. Some file systems lock only what is open for writing.
const NAME: &str = ".replay.lock";

/// Says that a replay is at work, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct ReplayLock(Option<(PathBuf, File)>);

impl ReplayLock {
    /// Begins a replay.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where another one is at work; what the operating system says otherwise.
    pub(super) fn of(home: &Home) -> Result<Self> {
        match home {
            Home::Run(..) => Ok(Self(None)),
            Home::Folder(folder) => lock(folder.join(NAME)).map(Self),
        }
    }

    /// Whether no other one can be at work.
    pub(super) fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for ReplayLock {
    fn drop(&mut self) {
        if let Some((path, _)) = &self.0 {
            // Whoever has opened it before sees that it is gone.
            let _ = fs::remove_file(path);
        }
    }
}

/// Where nothing can be locked, a replay goes on without.
fn lock(path: PathBuf) -> Result<Option<(PathBuf, File)>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|cause| Error::io("open", path.display(), cause))?;
    match file.try_lock() {
        Ok(()) if is_linked(&file, &path) => Ok(Some((path, file))),
        Ok(()) | Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::AlreadyExists, "replay", path.parent().unwrap_or(&path).display())
                .with_reason("another replay of this conversion is at work")
                .with_hint("wait for it, then replay what is left"))
        }
        Err(TryLockError::Error(_)) => {
            let _ = fs::remove_file(&path);
            Ok(None)
        }
    }
}

/// Whether a file still has its name.
fn is_linked(file: &File, path: &Path) -> bool {
    let inode = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(own), Ok(named)) if inode(&own) == inode(&named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::Folder(folder.path().to_owned());
        let first = ReplayLock::of(&home).unwrap();
        assert_eq!(ReplayLock::of(&home).unwrap_err().kind(), ErrorKind::AlreadyExists);
        drop(first);
        ReplayLock::of(&home).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
