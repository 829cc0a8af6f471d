//! Temporary files on the lake's own file system, and who may remove them.
//!
//! A writer works in a [`Session`]: a folder `.datalake/tmp/NAME/` and beside it `NAME.lock`, locked for as long
//! as the writer lives. The operating system frees the lock when the process ends, however it ends; so a session
//! whose lock can be taken is dead, and [`sweep`] removes what it left.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The folder inside of a lake that holds no bucket (its name cannot be one).
const PRIVATE: &str = ".datalake";
/// Where sessions stage their files.
const STAGING: &str = ".datalake/tmp";
/// How often another writer's clean-up may get in the way of a beginning session.
const ATTEMPTS: usize = 1000;

/// Distinguishes the sessions and temporary files of one process.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// The places of this process's living writers.
static LIVING: Mutex<Vec<Place>> = Mutex::new(Vec::new());

/// Where a writer's temporary files are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    lake: PathBuf,
    folder: PathBuf,
    lock: PathBuf,
}

impl Place {
    fn remove(&self) {
        // What cannot be removed now is swept by the next writer.
        let _ = fs::remove_dir_all(&self.folder);
        let _ = fs::remove_file(&self.lock);
        remove_if_empty(&self.lake);
    }
}

fn living() -> MutexGuard<'static, Vec<Place>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of all writers of this process: what they were writing never appears.
///
/// For a program that ends while work on other threads has not: nobody would take its files back then, before the next
/// writer of the same lake.
pub fn abandon_writes() {
    // The lock is held to the end, so that a writer that ends meanwhile does not leave it half done.
    living().drain(..).for_each(|place| place.remove());
}

/// A living writer's place for temporary files.
#[derive(Debug)]
pub(super) struct Session {
    place: Place,
    // Holds the lock; the operating system lets go of it when the process ends.
    _held: File,
}

impl Session {
    /// Removes what dead writers left, then begins a session.
    pub(super) fn begin(lake: &Path) -> io::Result<Self> {
        // A leftover that cannot be removed, say another user's, is no reason not to write.
        let _ = sweep(lake);
        let staging = lake.join(STAGING);
        for _ in 0..ATTEMPTS {
            // An ending session may remove the empty staging folder at any moment, so each step may find it gone.
            if let Some(session) = gone_is_none(Self::try_begin(lake, &staging))?.flatten() {
                return Ok(session);
            }
        }
        Err(io::Error::new(ErrorKind::ResourceBusy, format!("{} is removed again and again", staging.display())))
    }

    fn try_begin(lake: &Path, staging: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(staging)?;
        let name = unique_name();
        let lock = staging.join(format!("{name}.lock"));
        let held = OpenOptions::new().write(true).create_new(true).open(&lock)?;
        let is_ours = try_lock(&held).inspect_err(|_| {
            let _ = fs::remove_file(&lock);
            remove_if_empty(lake);
        })?;
        // Between creating the file and locking it, a sweep may have taken it for a dead session's.
        if !is_ours || !is_linked(&held, &lock)? {
            return Ok(None);
        }
        let folder = staging.join(name);
        fs::create_dir(&folder)?;
        let place = Place { lake: lake.to_owned(), folder, lock };
        living().push(place.clone());
        Ok(Some(Self { place, _held: held }))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut living = living();
        self.place.remove();
        living.retain(|place| *place != self.place);
    }
}

/// Removes the files of sessions whose writer is dead. Returns how many temporary files there were.
pub(super) fn sweep(lake: &Path) -> io::Result<u64> {
    let staging = lake.join(STAGING);
    let Some(entries) = gone_is_none(fs::read_dir(&staging))? else { return Ok(0) };
    let mut removed = 0;
    for entry in entries {
        let path = entry?.path();
        removed += match path.extension() {
            Some(extension) if extension == "lock" => sweep_session(&path)?,
            // A session makes its lock before its folder and removes it after: without one it is dead.
            _ if !path.with_extension("lock").try_exists()? => remove_session(&path)?,
            _ => 0,
        };
    }
    remove_if_empty(lake);
    Ok(removed)
}

fn sweep_session(lock: &Path) -> io::Result<u64> {
    let Some(file) = gone_is_none(open_to_lock(lock))?.flatten() else { return Ok(0) };
    if !try_lock(&file)? {
        return Ok(0);
    }
    let removed = remove_session(&lock.with_extension(""))?;
    gone_is_none(fs::remove_file(lock))?;
    Ok(removed)
}

fn remove_session(folder: &Path) -> io::Result<u64> {
    let Some(files) = gone_is_none(fs::read_dir(folder))? else { return Ok(0) };
    let files = files.count() as u64;
    gone_is_none(fs::remove_dir_all(folder))?;
    Ok(files)
}

/// Takes the lock of a file that is open for writing; says whether that went well, or somebody else has it.
///
/// # Errors
/// Where there are no locks: who holds one cannot be told then, and to try again is of no use.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(cause)) => {
            Err(io::Error::new(cause.kind(), format!("a file cannot be locked there: {cause}")))
        }
    }
}

/// Opens a file to see whether its lock is free; none where that is not for this user to say.
pub(super) fn open_to_lock(path: &Path) -> io::Result<Option<File>> {
    // NFS gives a lock of this kind only on what is open for writing.
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes the private folder if nothing is in it; a folder in use is not empty and stays.
fn remove_if_empty(lake: &Path) {
    let _ = fs::remove_dir(lake.join(STAGING));
    let _ = fs::remove_dir(lake.join(PRIVATE));
}

/// A name that no other session or temporary file on this machine has.
pub(crate) fn unique_name() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{:x}-{count}", std::process::id(), since.as_nanos())
}

/// A temporary file that becomes a whole object, or vanishes when it is dropped.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    path: PathBuf,
    // Keeps the folder of the file alive.
    _session: Arc<Session>,
}

impl Staged {
    /// An empty temporary file.
    pub(super) fn create(session: &Arc<Session>) -> io::Result<Self> {
        let path = session.place.folder.join(unique_name());
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { file, path, _session: Arc::clone(session) })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes at an offset; writers of different ranges do not disturb each other.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Fills it with another file's content.
    pub(super) fn copy_from(&mut self, source: &mut File) -> io::Result<u64> {
        io::copy(source, &mut self.file)
    }

    /// Makes the content durable, after which it may be put in place.
    pub(super) fn seal(&self) -> io::Result<()> {
        seal(&self.file)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already if it was renamed into place.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes a file's content durable and gives it a time of its own.
pub(super) fn seal(file: &File) -> io::Result<()> {
    // Entity tags are made of inode, size and time. File systems stamp by the tick of some milliseconds, in which
    // an inode may be freed and used again; the exact clock keeps two versions of an object apart.
    file.set_modified(SystemTime::now())?;
    file.sync_all()
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether `path` still leads to this open file.
pub(super) fn is_linked(file: &File, path: &Path) -> io::Result<bool> {
    let Some(found) = gone_is_none(fs::metadata(path))? else { return Ok(false) };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
}

/// Turns "not found" into `None`: somebody else was faster.
pub(super) fn gone_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_cannot_be_had_is_not_taken_for_one_that_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let held = File::create(&path).unwrap();
        assert!(try_lock(&held).unwrap());
        assert!(!try_lock(&open_to_lock(&path).unwrap().unwrap()).unwrap());
        drop(held);
        assert!(try_lock(&open_to_lock(&path).unwrap().unwrap()).unwrap());
        // What was opened as a mere name has no lock, as what was opened for reading has none on NFS.
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Mode, OFlags, open};
            let name = File::from(open(&path, OFlags::PATH, Mode::empty()).unwrap());
            let error = try_lock(&name).unwrap_err().to_string();
            assert!(error.contains("cannot be locked there: "), "{error}");
        }
    }
}
