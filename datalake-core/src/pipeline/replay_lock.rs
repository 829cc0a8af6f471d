//! Keeps two replays of one conversion apart whose document lies beside a local file. Those of a lake tell each other by the
//! version of the document.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::conversion::Home;
use crate::error::{Error, ErrorKind, Result};

/// Says that a replay is at work, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct ReplayLock {
    _held: Option<File>,
}

impl ReplayLock {
    /// Begins a replay.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where another one is at work.
    pub(super) fn of(home: &Home) -> Result<Self> {
        let held = match home {
            Home::Run(..) => None,
            Home::Folder(folder) => lock(folder)?,
        };
        Ok(Self { _held: held })
    }
}

/// Locks the folder itself: so nothing is left of it. Some file systems lock no folders, and a replay goes on without.
fn lock(folder: &Path) -> Result<Option<File>> {
    let file = File::open(folder).map_err(|cause| Error::io("open", folder.display(), cause))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::AlreadyExists, "replay", folder.display())
            .with_reason("another replay of this conversion is at work")
            .with_hint("wait for it, then replay what is left")),
        Err(TryLockError::Error(_)) => Ok(None),
    }
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
