//! Where bytes come from, and how drivers fetch them: by ranges, always of the same version of an object.

use std::fmt::{self, Debug, Display};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, store_error};

/// How many bytes are fetched at a time.
pub(crate) const CHUNK: u64 = 4 * 1024 * 1024;

/// Where bytes come from.
pub enum Source {
    /// An object of a bucket.
    Object {
        /// The bucket.
        bucket: Bucket,
        /// The object's key.
        path: Path,
    },
    /// A file on this machine.
    LocalFile(PathBuf),
    /// Bytes that can be read once, such as stdin. They are kept in a temporary file, because finding the types
    /// of columns takes a second look.
    Stream {
        /// What messages call it.
        name: String,
        /// The bytes.
        reader: Pin<Box<dyn AsyncRead + Send + Sync>>,
    },
    /// The bytes of a former stream, kept in a temporary file.
    Spooled(Spooled),
    /// Bytes in memory.
    Bytes {
        /// What messages call it; its last part may tell the format.
        name: Arc<str>,
        /// The bytes.
        bytes: Bytes,
    },
}

/// Bytes kept in an unnamed temporary file, which is gone when the last clone is dropped, even after a kill; or those of a
/// file that was opened, whatever takes its place.
#[derive(Clone)]
pub struct Spooled {
    name: Arc<str>,
    file: Arc<Mutex<File>>,
}

impl Spooled {
    /// The bytes of an open file.
    pub(crate) fn opened(name: Arc<str>, file: File) -> Self {
        Self { name, file: Arc::new(Mutex::new(file)) }
    }
}

impl Source {
    /// Something that can be read again: a stream is copied into a temporary file, all else is as it was.
    ///
    /// # Errors
    /// If the stream cannot be read, or the temporary file cannot be written.
    pub async fn spool(self) -> Result<Self> {
        match self {
            Self::Stream { name, reader } => Ok(Self::Spooled(spool(name, reader).await?)),
            Self::LocalFile(path) if is_pipe(&path) => {
                let name = path.display().to_string();
                let reader = tokio::fs::File::open(&path).await.map_err(|cause| Error::io("open", &name, cause))?;
                Ok(Self::Spooled(spool(name, Box::pin(reader)).await?))
            }
            again => Ok(again),
        }
    }

    /// The same source once more, where it can be read again.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Object { bucket, path } => Some(Self::Object { bucket: bucket.clone(), path: path.clone() }),
            Self::LocalFile(path) => Some(Self::LocalFile(path.clone())),
            Self::Spooled(spooled) => Some(Self::Spooled(spooled.clone())),
            Self::Bytes { name, bytes } => Some(Self::Bytes { name: Arc::clone(name), bytes: bytes.clone() }),
            Self::Stream { .. } => None,
        }
    }

    /// The last part of its name, from which a format may be told.
    pub(crate) fn file_name(&self) -> Option<String> {
        match self {
            Self::Object { path, .. } => path.filename().map(ToOwned::to_owned),
            Self::LocalFile(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
            // A named pipe has kept its name.
            Self::Spooled(Spooled { name, .. }) | Self::Bytes { name, .. } => {
                Some(FilePath::new(&**name).file_name()?.to_string_lossy().into_owned())
            }
            Self::Stream { .. } => None,
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, path } => f.write_str(&bucket.address(path)),
            Self::LocalFile(path) => write!(f, "{}", path.display()),
            Self::Stream { name, .. } => f.write_str(name),
            Self::Spooled(spooled) => f.write_str(&spooled.name),
            Self::Bytes { name, .. } => f.write_str(name),
        }
    }
}

impl Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

impl Debug for Spooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spooled({})", self.name)
    }
}

/// Whether a path leads to something that can be read only once, such as a named pipe.
fn is_pipe(path: &FilePath) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

async fn spool(name: String, mut reader: Pin<Box<dyn AsyncRead + Send + Sync>>) -> Result<Spooled> {
    let full = |cause| Error::io("keep a copy of", &name, cause);
    let mut copy = tokio::fs::File::from_std(tempfile::tempfile().map_err(full)?);
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = reader.read(&mut piece).await.map_err(|cause| Error::io("read", &name, cause))?;
        if read == 0 {
            break;
        }
        tokio::io::AsyncWriteExt::write_all(&mut copy, &piece[..read]).await.map_err(full)?;
    }
    tokio::io::AsyncWriteExt::flush(&mut copy).await.map_err(full)?;
    Ok(Spooled { file: Arc::new(Mutex::new(copy.into_std().await)), name: name.into() })
}

/// An opened source: its size is known, and any range of it can be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    name: Arc<str>,
    size: u64,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    Object { bucket: Bucket, path: Path, e_tag: Option<String> },
    File(Arc<Mutex<File>>),
    Memory(Bytes),
}

impl Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { e_tag, .. } => f.debug_struct("Object").field("e_tag", e_tag).finish_non_exhaustive(),
            Self::File(_) => f.write_str("File"),
            Self::Memory(_) => f.write_str("Memory"),
        }
    }
}

impl Input {
    /// Opens a source that can be read again.
    pub(crate) async fn open(source: &Source) -> Result<Self> {
        let name: Arc<str> = source.to_string().into();
        let (size, origin) = match source {
            Source::Object { bucket, path } => {
                let meta = bucket.head(path).await?;
                (meta.size, Origin::Object { bucket: bucket.clone(), path: path.clone(), e_tag: meta.e_tag })
            }
            Source::LocalFile(path) => {
                let (file, size) = open_file(path).map_err(|cause| Error::io("open", &name, cause))?;
                (size, Origin::File(Arc::new(Mutex::new(file))))
            }
            Source::Spooled(spooled) => {
                let size = lock(&spooled.file).metadata().map_err(|cause| Error::io("read", &name, cause))?.len();
                (size, Origin::File(Arc::clone(&spooled.file)))
            }
            Source::Bytes { bytes, .. } => (bytes.len() as u64, Origin::Memory(bytes.clone())),
            Source::Stream { .. } => {
                return Err(Error::new(ErrorKind::Unsupported, "read", &name)
                    .with_reason("it can be read only once")
                    .with_hint("spool it first"));
            }
        };
        Ok(Self { name, size, origin })
    }

    /// An object as it was listed, of which nothing more needs to be asked.
    pub(crate) fn listed(bucket: &Bucket, meta: &ObjectMeta) -> Self {
        let (path, e_tag) = (meta.location.clone(), meta.e_tag.clone());
        let name = bucket.address(&path).into();
        Self { name, size: meta.size, origin: Origin::Object { bucket: bucket.clone(), path, e_tag } }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it comes from a store.
    pub(super) fn is_object(&self) -> bool {
        matches!(self.origin, Origin::Object { .. })
    }

    /// Its size in bytes, as stored.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes from `offset` on, up to `stop`; none at the end. They may come in memory that is no longer needed.
    pub(crate) async fn chunk(&self, offset: u64, stop: u64, memory: Vec<u8>) -> Result<Bytes> {
        let end = self.size.min(stop).min(offset.saturating_add(CHUNK));
        if offset < end { self.range_in(offset..end, memory).await } else { Ok(Bytes::new()) }
    }

    /// The bytes of a range that lies within the source.
    pub(crate) async fn range(&self, range: Range<u64>) -> Result<Bytes> {
        self.range_in(range, Vec::new()).await
    }

    async fn range_in(&self, range: Range<u64>, memory: Vec<u8>) -> Result<Bytes> {
        if range.is_empty() {
            // Stores take a request for nothing as a mistake.
            return Ok(Bytes::new());
        }
        match &self.origin {
            Origin::Object { bucket, path, e_tag } => {
                object_range(bucket.store().as_ref(), path, e_tag.as_deref(), range)
                    .await
                    .map_err(|cause| self.changed(cause))
            }
            Origin::Memory(bytes) => {
                let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.slice(place(range.start)..place(range.end)))
            }
            Origin::File(file) => {
                let file = Arc::clone(file);
                let read = tokio::task::spawn_blocking(move || file_range(&mut lock(&file), &range, memory)).await;
                let read = read.map_err(|_| Error::internal("read", &self.name))?;
                read.map_err(|cause| self.cut(cause))
            }
        }
    }

    fn changed(&self, cause: object_store::Error) -> Error {
        match cause {
            object_store::Error::Precondition { .. } => Error::invalid("read", &self.name)
                .with_reason("it was replaced while it was being read")
                .with_hint("run again"),
            other => store_error("read", &self.name, other),
        }
    }

    fn cut(&self, cause: std::io::Error) -> Error {
        let error = Error::io("read", &self.name, cause);
        match error.kind() {
            ErrorKind::Invalid => error.with_reason(format_args!("it had {} bytes and became shorter", self.size)),
            _ => error,
        }
    }
}

fn open_file(path: &FilePath) -> std::io::Result<(File, u64)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    Ok((file, metadata.len()))
}

fn lock(file: &Mutex<File>) -> std::sync::MutexGuard<'_, File> {
    // Every use seeks first, so a panic elsewhere leaves nothing behind that matters.
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn object_range(
    store: &dyn ObjectStore,
    path: &Path,
    e_tag: Option<&str>,
    range: Range<u64>,
) -> object_store::Result<Bytes> {
    let options =
        GetOptions { if_match: e_tag.map(ToOwned::to_owned), range: Some(range.into()), ..Default::default() };
    store.get_opts(path, options).await?.bytes().await
}

fn file_range(file: &mut File, range: &Range<u64>, mut bytes: Vec<u8>) -> std::io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(std::io::Error::other)?;
    file.seek(SeekFrom::Start(range.start))?;
    // Unlike `read_exact` this needs no bytes to be there before.
    bytes.clear();
    bytes.reserve_exact(length);
    file.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::BucketName;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_stream_can_be_read_again_once_it_is_spooled() {
        let stream = Source::Stream { name: "stdin".into(), reader: Box::pin(&b"a,b\n1,2\n"[..]) };
        let spooled = stream.spool().await.unwrap();
        for _ in 0..2 {
            let input = Input::open(&spooled).await.unwrap();
            assert_eq!(input.size(), 8);
            assert_eq!(&input.range(4..7).await.unwrap()[..], b"1,2");
            let memory = vec![7; 100];
            let address = memory.as_ptr();
            let chunk = input.chunk(2, u64::MAX, memory).await.unwrap();
            assert_eq!((&chunk[..], chunk.as_ptr()), (&b"b\n1,2\n"[..], address));
        }
        assert_eq!(spooled.to_string(), "stdin");
    }

    #[tokio::test]
    async fn an_object_replaced_in_mid_read_is_an_error() {
        let store = Arc::new(InMemory::new());
        let bucket = Bucket::new(BucketName::new("raw-data").unwrap(), store.clone());
        let path = Path::from("a.csv");
        store.put(&path, "old".into()).await.unwrap();
        let input = Input::open(&Source::Object { bucket, path: path.clone() }).await.unwrap();
        store.put(&path, "new".into()).await.unwrap();
        let error = input.chunk(0, u64::MAX, Vec::new()).await.unwrap_err();
        assert_eq!(error.reason(), Some("it was replaced while it was being read"));
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let missing = Source::LocalFile("/nowhere/x.csv".into());
        assert_eq!(Input::open(&missing).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
