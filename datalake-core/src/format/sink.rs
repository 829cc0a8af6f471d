//! Where bytes go: counted, hashed, and visible whole or not at all.

use std::fmt::{self, Debug, Display};
use std::path::PathBuf;
use std::pin::Pin;

use bytes::Bytes;
use futures::future::try_join;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::detect::by_name;
use super::options::WriteOptions;
use crate::compute;
use crate::error::{Error, Result};
use crate::lake::{AtomicFile, Bucket, ObjectWriter};

/// Where bytes go. Objects and files appear whole or not at all.
pub enum Sink {
    /// An object of a bucket, replaced if it is there.
    Object {
        /// The bucket.
        bucket: Bucket,
        /// The object's key.
        path: Path,
    },
    /// A file on this machine, replaced if it is there.
    LocalFile(PathBuf),
    /// A folder on this machine that becomes a table of several files, see
    /// [`WriteOptions::partition_by`](super::WriteOptions::partition_by).
    Folder(PathBuf),
    /// A prefix in a bucket, below which a table becomes several objects.
    Prefix {
        /// The bucket.
        bucket: Bucket,
        /// The prefix in whole path segments; empty for the whole bucket.
        prefix: Path,
    },
    /// Bytes written as they come, such as stdout.
    Stream {
        /// What messages call it.
        name: String,
        /// The bytes.
        writer: Pin<Box<dyn AsyncWrite + Send>>,
    },
}

/// What a write left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Rows written.
    pub rows: u64,
    /// Bytes of the object or file.
    pub bytes: u64,
    /// The SHA-256 of the object's or file's bytes, in hex.
    pub sha256: String,
    /// The digest of the table (schema and values in row order), in hex; see [`digest`](crate::format::digest).
    pub digest: String,
}

impl Sink {
    /// A file of this machine; a folder where the path ends in `/`, or where options ask for several files and the name tells no
    /// format.
    ///
    /// ```
    /// use datalake_core::format::{Sink, WriteOptions};
    ///
    /// let by_year = WriteOptions::default().with_partition_by(vec!["year".into()]);
    /// assert!(matches!(Sink::local("foods/".into(), &WriteOptions::default()), Sink::Folder(_)));
    /// assert!(matches!(Sink::local("foods".into(), &by_year), Sink::Folder(_)));
    /// assert!(matches!(Sink::local("foods".into(), &WriteOptions::default()), Sink::LocalFile(_)));
    /// ```
    #[must_use]
    pub fn local(path: PathBuf, options: &WriteOptions) -> Self {
        let is_said = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let is_meant = !options.partition_by.is_empty() || options.max_rows_per_file.is_some();
        let tells = path.file_name().is_some_and(|name| by_name(&name.to_string_lossy()).is_some());
        if is_said || is_meant && !tells { Self::Folder(path) } else { Self::LocalFile(path) }
    }

    /// The same sink once more, where nothing is given away before the end.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Object { bucket, path } => Some(Self::Object { bucket: bucket.clone(), path: path.clone() }),
            Self::LocalFile(path) => Some(Self::LocalFile(path.clone())),
            Self::Folder(path) => Some(Self::Folder(path.clone())),
            Self::Prefix { bucket, prefix } => Some(Self::Prefix { bucket: bucket.clone(), prefix: prefix.clone() }),
            Self::Stream { .. } => None,
        }
    }

    /// Whether it takes a table as several files.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self, Self::Folder(_) | Self::Prefix { .. })
    }

    /// The last part of its name, from which a format may be told.
    pub(crate) fn file_name(&self) -> Option<String> {
        match self {
            Self::Object { path, .. } => path.filename().map(ToOwned::to_owned),
            Self::LocalFile(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
            Self::Folder(_) | Self::Prefix { .. } | Self::Stream { .. } => None,
        }
    }
}

impl Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, path } => f.write_str(&bucket.address(path)),
            Self::LocalFile(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Prefix { bucket, prefix } => write!(f, "{}/", bucket.address(prefix)),
            Self::Stream { name, .. } => f.write_str(name),
        }
    }
}

impl Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink({self})")
    }
}

/// An opened sink. Dropped before [`Output::finish`], it leaves an object or a file as it was.
pub(crate) struct Output {
    name: String,
    bytes: u64,
    hash: Sha256,
    target: Target,
}

enum Target {
    Object(Box<ObjectWriter>),
    File(AtomicFile),
    Stream(Pin<Box<dyn AsyncWrite + Send>>),
}

impl Output {
    pub(crate) async fn open(sink: Sink) -> Result<Self> {
        let name = sink.to_string();
        let target = match sink {
            Sink::Object { bucket, path } => Target::Object(Box::new(bucket.writer(&path))),
            Sink::LocalFile(path) => Target::File(AtomicFile::create(path).await?),
            Sink::Stream { writer, .. } => Target::Stream(writer),
            Sink::Folder(_) | Sink::Prefix { .. } => {
                return Err(Error::invalid("write", name)
                    .with_reason("it is a folder, and one file is to be written")
                    .with_hint("name a file in it"));
            }
        };
        Ok(Self { name, bytes: 0, hash: Sha256::new(), target })
    }

    /// Appends bytes.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.bytes += bytes.len() as u64;
        let (mut hash, copy) = (std::mem::take(&mut self.hash), bytes.clone());
        let hashed = compute::run(move || {
            hash.update(&copy);
            Ok(hash)
        });
        let name = &self.name;
        let stored = async {
            match &mut self.target {
                Target::Object(object) => object.write(bytes).await,
                Target::File(file) => file.write(bytes).await,
                Target::Stream(writer) => {
                    writer.write_all(&bytes).await.map_err(|cause| Error::io("write", name, cause))
                }
            }
        };
        (self.hash, ()) = try_join(hashed, stored).await?;
        Ok(())
    }

    /// The size and the SHA-256 of what was written so far.
    pub(crate) fn so_far(&self) -> (u64, String) {
        (self.bytes, crate::format::digest::hex(&self.hash.clone().finalize()))
    }

    /// Makes what was written visible; gives its size and SHA-256.
    pub(crate) async fn finish(self) -> Result<(u64, String)> {
        let written = self.so_far();
        match self.target {
            Target::Object(object) => {
                object.finish().await?;
            }
            Target::File(file) => {
                file.finish().await?;
            }
            Target::Stream(mut writer) => {
                writer.flush().await.map_err(|cause| Error::io("write", &self.name, cause))?;
            }
        }
        Ok(written)
    }
}
