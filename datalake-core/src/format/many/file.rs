//! One of several files: where its bytes come from, and that they are those of the file that was found.

use std::fs::{self, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectMeta;

use super::fetch::Look;
use crate::error::{Error, Result};
use crate::format::source::{Input, Source, Spooled};
use crate::lake::Bucket;

/// One of the files.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) size: u64,
    /// What its folders say of each column.
    pub(super) values: Vec<Option<String>>,
    place: Place,
    /// Its bytes, where they are kept for a second look.
    kept: Mutex<Option<Bytes>>,
}

/// Where a file lies, and what it was when it was found.
#[derive(Debug)]
pub(super) enum Place {
    Local(PathBuf, Version),
    Object(Bucket, ObjectMeta),
}

/// What tells a file from one that takes its place, and from what it is once somebody has written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Version {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.len(),
        }
    }
}

impl File {
    pub(super) fn new(name: String, size: u64, values: Vec<Option<String>>, place: Place) -> Self {
        Self { name: name.into(), size, values, place, kept: Mutex::default() }
    }

    /// The last part of its name, from which a format may be told.
    pub(super) fn file_name(&self) -> Option<String> {
        match &self.place {
            Place::Local(path, _) => Some(path.file_name()?.to_string_lossy().into_owned()),
            Place::Object(_, meta) => meta.location.filename().map(ToOwned::to_owned),
        }
    }

    /// Where its bytes come from. A file of this machine is opened, so that they stay those of the file that was found.
    pub(super) fn source(&self) -> Result<Source> {
        Ok(match &self.place {
            Place::Local(path, found) => {
                Source::Spooled(Spooled::opened(Arc::clone(&self.name), self.open(path, found)?))
            }
            Place::Object(bucket, meta) => Source::Object { bucket: bucket.clone(), path: meta.location.clone() },
        })
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(..))
    }

    /// It as an object, if it is one.
    pub(super) fn object(&self) -> Option<(&Bucket, &ObjectMeta)> {
        match &self.place {
            Place::Local(..) => None,
            Place::Object(bucket, meta) => Some((bucket, meta)),
        }
    }

    /// Its path, if it is a file of this machine.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(path, _) => Some(path),
            Place::Object(..) => None,
        }
    }

    /// All of its bytes, read on this thread.
    pub(super) fn read(&self) -> Result<Bytes> {
        let Place::Local(path, found) = &self.place else { return Err(Error::internal("read", &self.name)) };
        let mut file = self.open(path, found)?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        file.read_to_end(&mut bytes).map_err(|cause| Error::io("read", &self.name, cause))?;
        // Somebody may write into it.
        self.still(&file, found)?;
        Ok(bytes.into())
    }

    fn open(&self, path: &Path, found: &Version) -> Result<fs::File> {
        let file = fs::File::open(path).map_err(|cause| Error::io("open", &self.name, cause))?;
        self.still(&file, found)?;
        Ok(file)
    }

    /// Sees that a file that was opened is the one that was found: else rows of two tables would be mixed.
    fn still(&self, file: &fs::File, found: &Version) -> Result<()> {
        let metadata = file.metadata().map_err(|cause| Error::io("read", &self.name, cause))?;
        if Version::of(&metadata) == *found {
            return Ok(());
        }
        Err(Error::invalid("read", &self.name)
            .with_reason("it was replaced while it was being read")
            .with_hint("run again"))
    }

    /// All of its bytes.
    pub(super) async fn bytes(&self) -> Result<Bytes> {
        match &self.place {
            Place::Object(bucket, meta) => Input::listed(bucket, meta).range(0..self.size).await,
            Place::Local(..) => self.read(),
        }
    }

    /// Its bytes, where they were kept; after the last look they are no more.
    pub(super) fn kept(&self, look: Look) -> Option<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if look == Look::Last { kept.take() } else { kept.clone() }
    }

    /// Keeps its bytes for a second look.
    pub(super) fn keep(&self, bytes: Bytes) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }
}

impl Place {
    /// What files are sorted by.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Local(path, _) => path.as_os_str().as_encoded_bytes(),
            Self::Object(_, meta) => meta.location.as_ref().as_bytes(),
        }
    }
}
