//! A folder of files, outside of any lake, that appears whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::atomic_file::folder_of;
use super::staging::{gone_is_none, sync_folder, unique_name};
use crate::error::{Error, ErrorKind, Result};

/// What the names of folders in the making begin and end with, beside those that they will become.
const TEMPORARY: (&str, &str) = (".datalake-", ".folder");
/// How the name ends of a folder that is replaced, where two folders cannot change places in one step.
const REPLACED: &str = ".replaced";
/// How often another writer's clean-up may get in the way.
const ATTEMPTS: usize = 1000;

/// A local folder in the making: its files are written into a hidden folder beside its destination, which
/// [`AtomicFolder::finish`] puts in its place.
///
/// Until then the destination is as it was; dropping the value leaves it so. A process that is killed leaves the hidden
/// folder, which the next `AtomicFolder` beside it removes.
#[derive(Debug)]
pub(crate) struct AtomicFolder {
    to: PathBuf,
    temporary: PathBuf,
    /// Says that the writer lives, by a lock that the operating system lets go of when it does not.
    _held: File,
    overwrite: bool,
}

impl AtomicFolder {
    /// Begins a folder that will be at `path`, where there may be an empty one; with `overwrite` also one that has files, all
    /// of which will be gone.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self> {
        let failed = |cause| write_error(path, cause);
        let to = gone_is_none(fs::canonicalize(path)).map_err(failed)?.unwrap_or_else(|| path.components().collect());
        check(path, &to, overwrite)?;
        let beside = folder_of(&to);
        // A leftover that cannot be removed is no reason not to write.
        let _ = sweep(beside);
        for _ in 0..ATTEMPTS {
            let temporary = beside.join(format!("{}{}{}", TEMPORARY.0, unique_name(), TEMPORARY.1));
            fs::create_dir(&temporary).map_err(failed)?;
            // Between making the folder and locking it, a sweep may have taken it for a dead writer's.
            let Some(held) = gone_is_none(File::open(&temporary)).map_err(failed)? else { continue };
            if held.try_lock().is_ok() && temporary.exists() {
                return Ok(Self { to, temporary, _held: held, overwrite });
            }
        }
        Err(failed(io::Error::new(io::ErrorKind::ResourceBusy, "its temporary folder is removed again and again")))
    }

    /// Where its files are to be written.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Puts it in place.
    pub(crate) fn finish(self) -> Result<()> {
        check(&self.to, &self.to, self.overwrite)?;
        let failed = |cause| write_error(&self.to, cause);
        sync_all(&self.temporary).map_err(failed)?;
        self.place().map_err(failed)?;
        sync_folder(folder_of(&self.to)).map_err(failed)
    }

    fn place(&self) -> io::Result<()> {
        // An empty folder gives way to another one.
        match fs::rename(&self.temporary, &self.to) {
            Err(error) if is_not_empty(&error) && self.overwrite => {}
            placed => return placed,
        }
        // What was there before is then removed as the draft is. Not every file system can do it in one step.
        swap(&self.temporary, &self.to).or_else(|_| self.place_in_two_steps())
    }

    fn place_in_two_steps(&self) -> io::Result<()> {
        let aside = folder_of(&self.to).join(format!("{}{}{REPLACED}", TEMPORARY.0, unique_name()));
        fs::rename(&self.to, &aside)?;
        if let Err(error) = fs::rename(&self.temporary, &self.to) {
            fs::rename(&aside, &self.to)?;
            return Err(error);
        }
        // The new one is in its place; what cannot be removed of the old one does no harm.
        let _ = fs::remove_dir_all(&aside);
        Ok(())
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        // Gone already if it was moved into place.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

fn is_not_empty(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}

/// Two folders change places.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn swap(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(io::Error::from)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn swap(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn check(name: &Path, to: &Path, overwrite: bool) -> Result<()> {
    let Some(found) = gone_is_none(fs::metadata(to)).map_err(|cause| write_error(name, cause))? else { return Ok(()) };
    if !found.is_dir() {
        return Err(Error::invalid("write", name.display())
            .with_reason("it is a file, and a folder is to be written")
            .with_hint("name another folder"));
    }
    let mut entries = fs::read_dir(to).map_err(|cause| write_error(name, cause))?;
    if overwrite || entries.next().is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::AlreadyExists, "write", name.display())
        .with_reason("the folder is not empty")
        .with_hint("name another one, or say that it is to be replaced: overwrite"))
}

/// Makes the names of all files durable; their content is already.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(folder).contents_first(true) {
        let entry = entry?;
        if entry.file_type().is_dir() {
            sync_folder(entry.path())?;
        }
    }
    Ok(())
}

/// Removes the temporary folders of dead writers.
fn sweep(beside: &Path) -> io::Result<()> {
    for entry in fs::read_dir(beside)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(TEMPORARY.0) || !name.ends_with(TEMPORARY.1) {
            continue;
        }
        let Ok(folder) = File::open(entry.path()) else { continue };
        if folder.try_lock().is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn write_error(path: &Path, cause: io::Error) -> Error {
    let missing = cause.kind() == io::ErrorKind::NotFound;
    let error = Error::io("write", path.display(), cause);
    if missing { error.with_hint(format_args!("make the folder `{}` first", folder_of(path).display())) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_whole() {
        let base = tempfile::tempdir().unwrap();
        let to = base.path().join("out");
        let folder = AtomicFolder::create(&to, false).unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        assert!(!to.exists());
        folder.finish().unwrap();
        assert_eq!((names(&to), names(base.path())), (vec!["a".to_owned()], vec!["out".to_owned()]));
    }

    #[test]
    fn one_with_files_is_replaced_only_if_that_is_said() {
        let base = tempfile::tempdir().unwrap();
        let to = base.path().join("out");
        fs::create_dir(&to).unwrap();
        AtomicFolder::create(&to, false).unwrap().finish().unwrap();
        fs::write(to.join("old"), "1").unwrap();
        let error = AtomicFolder::create(&to, false).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::AlreadyExists, Some("the folder is not empty")));
        for is_at_once in [true, false] {
            let folder = AtomicFolder::create(&to, true).unwrap();
            fs::write(folder.path().join(format!("new {is_at_once}")), "1").unwrap();
            if is_at_once {
                folder.finish().unwrap();
            } else {
                folder.place_in_two_steps().unwrap();
            }
            assert_eq!(names(&to), [format!("new {is_at_once}")]);
            assert_eq!(names(base.path()), ["out"]);
        }
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(AtomicFolder::create(&file, true).unwrap_err().reason().unwrap().starts_with("it is a file"));
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_and_what_was_killed_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join(".datalake-1-2-3.folder");
        fs::create_dir(&dead).unwrap();
        let first = AtomicFolder::create(&base.path().join("a"), false).unwrap();
        assert!(!dead.exists());
        drop(AtomicFolder::create(&base.path().join("b"), false).unwrap());
        assert!(first.path().exists(), "a living writer's folder stays");
        drop(first);
        assert!(names(base.path()).is_empty());
        let error = AtomicFolder::create(&base.path().join("none/a"), false).unwrap_err();
        assert!(error.hint().unwrap().starts_with("make the folder"));
    }
}
