//! A folder of files, outside of any lake, that appears whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::atomic_file::folder_of;
use super::staging::{gone_is_none, is_linked, open_to_lock, sync_folder, try_lock, unique_name};
use crate::error::{Error, ErrorKind, Result};

/// What the names of folders in the making begin and end with, beside those that they will become.
const TEMPORARY: (&str, &str) = (".datalake-", ".folder");
/// How the name ends of the file that is locked for such a folder.
const LOCK: &str = ".lock";
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
    draft: Draft,
    overwrite: bool,
}

/// The hidden folder.
#[derive(Debug)]
struct Draft {
    folder: PathBuf,
    /// A file beside it, not the folder itself: NFS locks only what is open for writing. It is made before the folder and
    /// removed after it.
    lock: PathBuf,
    /// Says that the writer lives, by a lock that the operating system lets go of when it does not.
    _held: File,
}

impl Draft {
    fn beside(place: &Path, try_lock: impl Fn(&File) -> io::Result<bool>) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let name = format!("{}{}", TEMPORARY.0, unique_name());
            let lock = place.join(format!("{name}{LOCK}"));
            let held = OpenOptions::new().write(true).create_new(true).open(&lock)?;
            // Dropped from here on, it takes its files with it.
            let draft = Self { folder: place.join(format!("{name}{}", TEMPORARY.1)), lock, _held: held };
            // Between making the file and locking it, a sweep may have taken it for a dead writer's.
            if try_lock(&draft._held)? && is_linked(&draft._held, &draft.lock)? {
                fs::create_dir(&draft.folder)?;
                return Ok(draft);
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "its temporary folder is removed again and again"))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already if it was moved into place.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(&self.lock);
    }
}

/// Whether a folder is one in the making, or lies in one.
pub(super) fn is_within_draft(folder: &Path) -> bool {
    let is_draft = |name: &[u8]| name.starts_with(TEMPORARY.0.as_bytes()) && name.ends_with(TEMPORARY.1.as_bytes());
    folder.components().any(|part| is_draft(part.as_os_str().as_encoded_bytes()))
}

impl AtomicFolder {
    /// Begins a folder that will be at `path`, where there may be an empty one; with `overwrite` also one that has files, all
    /// of which will be gone.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self> {
        let failed = |cause| write_error(path, cause);
        let to = gone_is_none(fs::canonicalize(path)).map_err(failed)?.unwrap_or_else(|| path.components().collect());
        let beside = folder_of(&to);
        if let Some(found) = check(path, &to, overwrite)? {
            // A mount point can be neither renamed nor replaced, which would else be told at the very end.
            let is_mounted = to.parent().is_none() || fs::metadata(beside).map_err(failed)?.dev() != found.dev();
            if is_mounted {
                return Err(Error::new(ErrorKind::Unsupported, "write", path.display())
                    .with_reason("a file system is mounted there, so no other folder can take its place")
                    .with_hint(format_args!("name a folder within it, such as `{}`", path.join("table/").display())));
            }
        }
        // A leftover that cannot be removed is no reason not to write.
        let _ = sweep(beside);
        let draft = Draft::beside(beside, try_lock).map_err(failed)?;
        Ok(Self { to, draft, overwrite })
    }

    /// Where its files are to be written.
    pub(crate) fn path(&self) -> &Path {
        &self.draft.folder
    }

    /// Puts it in place, unless what is there may not be replaced: that is asked last.
    pub(crate) fn finish(self, may_replace: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let failed = |cause| write_error(&self.to, cause);
        sync_all(&self.draft.folder).map_err(failed)?;
        let replaced = check(&self.to, &self.to, self.overwrite)?;
        may_replace(&self.to)?;
        // Who may read a folder is not for its next content to say.
        let kept = replaced.map_or(Ok(()), |found| fs::set_permissions(&self.draft.folder, found.permissions()));
        kept.map_err(failed)?;
        self.place().map_err(failed)?;
        sync_folder(folder_of(&self.to)).map_err(failed)
    }

    fn place(&self) -> io::Result<()> {
        // An empty folder gives way to another one.
        match fs::rename(&self.draft.folder, &self.to) {
            Err(error) if is_not_empty(&error) && self.overwrite => {}
            placed => return placed,
        }
        // What was there before is then removed as the draft is. Not every file system can do it in one step.
        swap(&self.draft.folder, &self.to).or_else(|_| self.place_in_two_steps())
    }

    fn place_in_two_steps(&self) -> io::Result<()> {
        let aside = folder_of(&self.to).join(format!("{}{}{REPLACED}", TEMPORARY.0, unique_name()));
        fs::rename(&self.to, &aside)?;
        if let Err(error) = fs::rename(&self.draft.folder, &self.to) {
            return Err(match fs::rename(&aside, &self.to) {
                Ok(()) => error,
                Err(other) => io::Error::other(format!("{error}; what was there lies in {}: {other}", aside.display())),
            });
        }
        sync_folder(folder_of(&self.to))?;
        // The new one is in its place; what cannot be removed of the old one does no harm.
        let _ = fs::remove_dir_all(&aside);
        Ok(())
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

/// What is there, if it may be replaced.
fn check(name: &Path, to: &Path, overwrite: bool) -> Result<Option<Metadata>> {
    let Some(found) = gone_is_none(fs::metadata(to)).map_err(|cause| write_error(name, cause))? else {
        return Ok(None);
    };
    if !found.is_dir() {
        return Err(Error::invalid("write", name.display())
            .with_reason("it is a file, and a folder is to be written")
            .with_hint("name another folder"));
    }
    let mut entries = fs::read_dir(to).map_err(|cause| write_error(name, cause))?;
    if overwrite || entries.next().is_none() {
        return Ok(Some(found));
    }
    Err(Error::new(ErrorKind::AlreadyExists, "write", name.display())
        .with_reason("the folder is not empty")
        .with_hint("name another one, or say that it is to be replaced: `overwrite = true`"))
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
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = name.strip_prefix(TEMPORARY.0) else { continue };
        if let Some(name) = name.strip_suffix(LOCK) {
            let Ok(Some(lock)) = open_to_lock(&path) else { continue };
            if try_lock(&lock).is_ok_and(|is_free| is_free) {
                let _ = fs::remove_dir_all(path.with_file_name(format!("{}{name}{}", TEMPORARY.0, TEMPORARY.1)));
                let _ = fs::remove_file(&path);
            }
        } else if let Some(name) = name.strip_suffix(TEMPORARY.1)
            // The lock of a living writer is there as long as the folder is.
            && !path.with_file_name(format!("{}{name}{LOCK}", TEMPORARY.0)).try_exists()?
        {
            let _ = fs::remove_dir_all(&path);
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
        folder.finish(|_| Ok(())).unwrap();
        assert_eq!((names(&to), names(base.path())), (vec!["a".to_owned()], vec!["out".to_owned()]));
    }

    #[test]
    fn one_with_files_is_replaced_only_if_that_is_said() {
        let base = tempfile::tempdir().unwrap();
        let to = base.path().join("out");
        fs::create_dir(&to).unwrap();
        AtomicFolder::create(&to, false).unwrap().finish(|_| Ok(())).unwrap();
        fs::write(to.join("old"), "1").unwrap();
        let error = AtomicFolder::create(&to, false).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::AlreadyExists, Some("the folder is not empty")));
        for is_at_once in [true, false] {
            let folder = AtomicFolder::create(&to, true).unwrap();
            fs::write(folder.path().join(format!("new {is_at_once}")), "1").unwrap();
            if is_at_once {
                folder.finish(|_| Ok(())).unwrap();
            } else {
                folder.place_in_two_steps().unwrap();
                drop(folder);
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
        for dead in [".datalake-1-2-3.folder", ".datalake-1-2-4.folder"] {
            fs::create_dir(base.path().join(dead)).unwrap();
        }
        fs::write(base.path().join(".datalake-1-2-4.lock"), "").unwrap();
        let first = AtomicFolder::create(&base.path().join("a"), false).unwrap();
        assert_eq!(names(base.path()).len(), 2, "the folder and the lock of a living writer");
        drop(AtomicFolder::create(&base.path().join("b"), false).unwrap());
        assert!(first.path().exists(), "a living writer's folder stays");
        drop(first);
        assert!(names(base.path()).is_empty());
        let error = AtomicFolder::create(&base.path().join("none/a"), false).unwrap_err();
        assert!(error.hint().unwrap().starts_with("make the folder"));
    }
    #[test]
    fn a_lock_that_cannot_be_had_is_told_at_once_and_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let tries = std::cell::Cell::new(0);
        let refused = |_: &File| {
            tries.set(tries.get() + 1);
            Err(io::Error::other("no locks here"))
        };
        assert_eq!(Draft::beside(base.path(), refused).unwrap_err().to_string(), "no locks here");
        assert_eq!((tries.get(), names(base.path()).len()), (1, 0));
        // One that is held for a moment is tried again, under another name.
        let held = |file: &File| if tries.replace(tries.get() + 1) < 3 { Ok(false) } else { try_lock(file) };
        drop(Draft::beside(base.path(), held).unwrap());
        assert_eq!((tries.get(), names(base.path()).len()), (4, 0));
    }

    #[test]
    fn a_living_writer_has_a_lock_on_a_file_open_for_writing() {
        let base = tempfile::tempdir().unwrap();
        let folder = AtomicFolder::create(&base.path().join("a"), false).unwrap();
        let lock = names(base.path()).into_iter().find(|name| name.ends_with(LOCK)).unwrap();
        assert!(!try_lock(&open_to_lock(&base.path().join(lock)).unwrap().unwrap()).unwrap());
        assert!(is_within_draft(&folder.path().join("k=1")) && !is_within_draft(base.path()));
        folder.finish(|_| Ok(())).unwrap();
        assert_eq!(names(base.path()), ["a"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_mount_point_is_refused_before_anything_is_written() {
        for overwrite in [true, false] {
            for mounted in ["/proc", "/"] {
                let error = AtomicFolder::create(Path::new(mounted), overwrite).unwrap_err();
                // Neither is empty.
                let expected = if overwrite { ErrorKind::Unsupported } else { ErrorKind::AlreadyExists };
                assert_eq!(error.kind(), expected, "{error:?}");
                assert!(!overwrite || error.hint().unwrap().contains("table/"), "{error:?}");
            }
        }
    }

    #[test]
    fn the_permissions_of_a_replaced_folder_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let to = base.path().join("out");
        fs::create_dir(&to).unwrap();
        fs::write(to.join("old"), "1").unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o2750)).unwrap();
        AtomicFolder::create(&to, true).unwrap().finish(|_| Ok(())).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o2750);
        assert!(names(&to).is_empty());
    }
}
