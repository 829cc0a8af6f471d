//! Objects of a local bucket: reads by `object_store`, writes whole, durable and conditional.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, UpdateVersion,
    UploadPart,
};

use super::staging::{Session, Staged, is_linked, sync_folder};

/// How this store is called in the errors of `object_store`.
const STORE: &str = "local lake";
/// How many deletions run at a time.
const DELETIONS: usize = 10;

/// The writers' session of a lake, begun by the first write.
#[derive(Debug)]
pub(super) struct Writers {
    lake: PathBuf,
    session: Mutex<Option<Arc<Session>>>,
}

impl Writers {
    pub(super) fn new(lake: PathBuf) -> Self {
        Self { lake, session: Mutex::new(None) }
    }

    fn session(&self) -> io::Result<Arc<Session>> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = session.as_ref() {
            return Ok(Arc::clone(session));
        }
        Ok(Arc::clone(session.insert(Arc::new(Session::begin(&self.lake)?))))
    }
}

/// The objects of one bucket folder.
#[derive(Debug, Clone)]
pub(super) struct LocalStore {
    reads: LocalFileSystem,
    place: Arc<Place>,
}

/// Where objects are put, and how.
#[derive(Debug)]
struct Place {
    root: PathBuf,
    writers: Arc<Writers>,
}

impl LocalStore {
    pub(super) fn new(root: &FilePath, writers: Arc<Writers>) -> Result<Self> {
        let root = fs::canonicalize(root).map_err(|cause| failure(cause, root))?;
        let reads = LocalFileSystem::new_with_prefix(&root)?;
        Ok(Self { reads, place: Arc::new(Place { root, writers }) })
    }

    /// The file of a key. The few keys that `object_store` does not read from folders are refused here, so that
    /// nothing is written that cannot be read.
    fn path(&self, key: &Path) -> Result<PathBuf> {
        let staged = |(_, end): (&str, &str)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
        let name = key.filename().unwrap_or_default();
        if name.ends_with(':') || name.split_once('#').is_some_and(staged) {
            let reason = format!("a local lake has no keys that end with `:` or `#` and digits, such as `{key}`");
            return Err(Error::NotSupported { source: reason.into() });
        }
        self.reads.path_to_filesystem(key)
    }
}

impl Place {
    fn stage(&self) -> Result<Staged> {
        self.writers.session().and_then(|session| Staged::create(&session)).map_err(|cause| failure(cause, &self.root))
    }

    /// Puts a sealed file where the object belongs, if the condition holds.
    fn publish(&self, staged: &Staged, to: &FilePath, mode: &PutMode) -> Result<PutResult> {
        staged.seal().map_err(|cause| failure(cause, to))?;
        let lock = self.lock()?;
        if let PutMode::Update(expected) = mode {
            check_version(to, expected)?;
        }
        self.make_parents(to)?;
        let placed = match mode {
            PutMode::Create => fs::hard_link(staged.path(), to),
            PutMode::Overwrite | PutMode::Update(_) => fs::rename(staged.path(), to),
        };
        let e_tag = placed.and_then(|()| e_tag(to)).map_err(|cause| failure(cause, to))?;
        drop(lock);
        sync_parent(to)?;
        Ok(PutResult { e_tag: Some(e_tag), version: None })
    }

    fn rename(&self, from: &FilePath, to: &FilePath, mode: RenameTargetMode) -> Result<()> {
        let _lock = self.lock()?;
        // Asked first, so that a missing source is not taken for a missing target.
        fs::metadata(from).map_err(|cause| failure(cause, from))?;
        self.make_parents(to)?;
        match mode {
            RenameTargetMode::Overwrite => fs::rename(from, to),
            RenameTargetMode::Create => fs::hard_link(from, to).and_then(|()| fs::remove_file(from)),
        }
        .map_err(|cause| failure(cause, to))?;
        sync_parent(to)?;
        self.remove_empty_parents(from);
        Ok(())
    }

    fn delete(&self, path: &FilePath) -> Result<()> {
        let _lock = self.lock()?;
        fs::remove_file(path).map_err(|cause| failure(cause, path))?;
        self.remove_empty_parents(path);
        Ok(())
    }

    /// Keeps every other writer of this bucket out, in this process and in others.
    fn lock(&self) -> Result<File> {
        lock_folder(&self.root).map_err(|cause| failure(cause, &self.root))
    }

    /// Makes the folders between the bucket and a file; never the bucket itself, which may have been deleted.
    fn make_parents(&self, file: &FilePath) -> Result<()> {
        let mut missing = Vec::new();
        let inside = file.ancestors().skip(1).take_while(|folder| *folder != self.root);
        for folder in inside {
            match fs::metadata(folder) {
                Ok(_) => break,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => missing.push(folder),
                Err(cause) => return Err(failure(cause, folder)),
            }
        }
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).map_err(|cause| failure(cause, folder))?;
            sync_parent(folder)?;
        }
        Ok(())
    }

    /// A prefix exists as long as it has objects, so empty folders go; one in use is not empty and stays.
    fn remove_empty_parents(&self, file: &FilePath) {
        let inside = file.ancestors().skip(1).take_while(|folder| *folder != self.root);
        for folder in inside {
            if fs::remove_dir(folder).is_err() {
                // Makes the removals durable, so that a deleted object does not come back after a power cut.
                let _ = sync_folder(folder);
                return;
            }
        }
        let _ = sync_folder(&self.root);
    }
}

/// Locks a bucket's folder against other writers, until the result is dropped.
pub(super) fn lock_folder(folder: &FilePath) -> io::Result<File> {
    let file = File::open(folder)?;
    file.lock()?;
    if is_linked(&file, folder)? { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn sync_parent(path: &FilePath) -> Result<()> {
    path.parent().map_or(Ok(()), sync_folder).map_err(|cause| failure(cause, path))
}

fn check_version(path: &FilePath, expected: &UpdateVersion) -> Result<()> {
    let found = match e_tag(path) {
        Ok(found) => Some(found),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(failure(cause, path)),
    };
    if found.is_some() && found == expected.e_tag {
        return Ok(());
    }
    let [expected, found] = [&expected.e_tag, &found].map(|tag| tag.as_deref().unwrap_or("none").to_owned());
    let reason = format!("expected entity tag {expected}, found {found}");
    Err(Error::Precondition { path: path.display().to_string(), source: reason.into() })
}

/// The entity tag that `object_store` gives a local file: a put has to return the tag that a later read shows.
fn e_tag(path: &FilePath) -> io::Result<String> {
    let found = fs::metadata(path)?;
    let since = found.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{:x}-{:x}-{:x}", found.ino(), since.as_micros(), found.len()))
}

/// An operating system error in the terms of `object_store`, which stays the cause.
fn failure(cause: io::Error, path: &FilePath) -> Error {
    let path = path.display().to_string();
    match cause.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path, source: cause.into() },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: cause.into() },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: cause.into() },
        _ => Error::Generic { store: STORE, source: cause.into() },
    }
}

/// Runs blocking file work beside the async threads, or here where there is no runtime.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

fn refuse_attributes(empty: bool) -> Result<()> {
    if empty {
        return Ok(());
    }
    Err(Error::NotSupported { source: "a local lake keeps no attributes of objects".into() })
}

impl Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place.root.display())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for LocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        refuse_attributes(options.attributes.is_empty())?;
        let to = self.path(location)?;
        let place = Arc::clone(&self.place);
        blocking(move || {
            let staged = place.stage()?;
            write_chunks(&staged, &payload, 0).map_err(|cause| failure(cause, &to))?;
            place.publish(&staged, &to, &options.mode)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        refuse_attributes(options.attributes.is_empty())?;
        let to = self.path(location)?;
        let place = Arc::clone(&self.place);
        blocking(move || {
            let parts = Arc::new(Parts { staged: place.stage()?, missing: AtomicUsize::new(0) });
            Ok(Box::new(Upload { place, to, parts: Some(parts), length: 0 }) as Box<dyn MultipartUpload>)
        })
        .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.path(location)?;
        self.reads.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.path(location)?;
        self.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            blocking(move || {
                let location = location?;
                let path = store.path(&location)?;
                store.place.delete(&path)?;
                Ok(location)
            })
        };
        locations.map(delete).buffered(DELETIONS).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reads.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reads.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.reads.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let from = self.path(from)?;
        let to = self.path(to)?;
        let place = Arc::clone(&self.place);
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        blocking(move || {
            let mut source = File::open(&from).map_err(|cause| failure(cause, &from))?;
            let mut staged = place.stage()?;
            staged.copy_from(&mut source).map_err(|cause| failure(cause, &to))?;
            place.publish(&staged, &to, &mode).map(drop)
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let from = self.path(from)?;
        let to = self.path(to)?;
        let place = Arc::clone(&self.place);
        blocking(move || place.rename(&from, &to, options.target_mode)).await
    }
}

/// An object that arrives in parts.
#[derive(Debug)]
struct Upload {
    place: Arc<Place>,
    to: PathBuf,
    // None once it is completed or aborted.
    parts: Option<Arc<Parts>>,
    length: u64,
}

#[derive(Debug)]
struct Parts {
    staged: Staged,
    // Begun, but not written (yet).
    missing: AtomicUsize,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(parts) = self.parts.clone() else { return async { Err(ended()) }.boxed() };
        let (offset, to) = (self.length, self.to.clone());
        self.length += data.content_length() as u64;
        parts.missing.fetch_add(1, Ordering::AcqRel);
        blocking(move || {
            write_chunks(&parts.staged, &data, offset).map_err(|cause| failure(cause, &to))?;
            parts.missing.fetch_sub(1, Ordering::AcqRel);
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = self.parts.take().ok_or_else(ended)?;
        let missing = parts.missing.load(Ordering::Acquire);
        if missing > 0 {
            return Err(Error::Generic { store: STORE, source: format!("{missing} parts are not written").into() });
        }
        let (place, to) = (Arc::clone(&self.place), self.to.clone());
        blocking(move || place.publish(&parts.staged, &to, &PutMode::Overwrite)).await
    }

    async fn abort(&mut self) -> Result<()> {
        drop(self.parts.take().ok_or_else(ended)?);
        Ok(())
    }
}

fn ended() -> Error {
    Error::Generic { store: STORE, source: "the upload has been completed or aborted".into() }
}

fn write_chunks(staged: &Staged, payload: &PutPayload, mut offset: u64) -> io::Result<()> {
    for chunk in payload {
        staged.write_at(chunk, offset)?;
        offset += chunk.len() as u64;
    }
    Ok(())
}
