//! A lake in a folder: each bucket is a sub-folder, each object a file.

use std::fmt::{self, Display};
use std::fs;
use std::io::{self, ErrorKind as Io};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::local_store::{LocalStore, Writers, lock_folder};
use super::staging::{gone_is_none, sweep, sync_folder};
use super::{Bucket, BucketInfo, BucketName, Lake, store_error};
use crate::error::{Error, ErrorKind, Result};

/// A lake in a folder of this machine.
///
/// Every put is whole or not at all, and durable: a temporary file on the same file system, made durable, then renamed
/// or linked into place. Writers in any number of processes keep out of each other's way by locks on the
/// bucket's folder. What a killed writer leaves is removed by the next one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use datalake_core::lake::{BucketName, Lake, LocalLake};
///
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let folder = folder.path();
/// let lake = LocalLake::new(folder.join("lake"));
/// let bucket = lake.create_bucket(&BucketName::new("raw-data")?).await?;
/// bucket.put(&"foods/a.csv".into(), "name,kcal\n", Default::default()).await?;
/// assert_eq!(bucket.get(&"foods/a.csv".into()).await?, "name,kcal\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LocalLake {
    folder: PathBuf,
    writers: Arc<Writers>,
}

impl LocalLake {
    /// The lake in this folder, which is made with the first bucket.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let writers = Arc::new(Writers::new(folder.clone()));
        Self { folder, writers }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &BucketName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    fn open(&self, name: &BucketName) -> Result<Bucket> {
        let store = LocalStore::new(&self.path(name), Arc::clone(&self.writers))
            .map_err(|cause| store_error("open", self.bucket_called(name), cause))?;
        Ok(Bucket::new(name.clone(), Arc::new(store)))
    }

    fn bucket_called(&self, name: &BucketName) -> String {
        format!("bucket `{name}` of {self}")
    }

    fn missing(&self, action: &str, name: &BucketName) -> Error {
        let error = Error::not_found(action, self.bucket_called(name));
        let known = self.list().unwrap_or_default();
        let known: Vec<&str> = known.iter().map(|bucket| bucket.name.as_str()).collect();
        error.with_hint(match known.is_empty() {
            true => format!("there are no buckets in {self}: is that the lake? `datalake mb {name}` makes the bucket"),
            false => format!("it has {}; `datalake mb {name}` makes the bucket", known.join(", ")),
        })
    }

    fn create(&self, name: &BucketName) -> Result<Bucket> {
        let failed = |cause| Error::io("create", self.bucket_called(name), cause);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        match fs::create_dir(self.path(name)) {
            Err(cause) if cause.kind() == Io::AlreadyExists => {
                Err(Error::new(ErrorKind::AlreadyExists, "create", self.bucket_called(name)))
            }
            done => done.and_then(|()| sync_folder(&self.folder)).map_err(failed).and_then(|()| self.open(name)),
        }
    }

    fn list(&self) -> io::Result<Vec<BucketInfo>> {
        let Some(entries) = gone_is_none(fs::read_dir(&self.folder))? else { return Ok(Vec::new()) };
        let mut buckets = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().and_then(|name| BucketName::new(name).ok());
            // Follows links, as opening does. What is not a bucket's name, or no folder, is the user's own.
            if let (Some(name), Ok(found)) = (name, fs::metadata(entry.path()))
                && found.is_dir()
            {
                buckets.push(BucketInfo { name, created: found.created().ok().map(DateTime::<Utc>::from) });
            }
        }
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(buckets)
    }

    fn delete(&self, name: &BucketName) -> Result<()> {
        let path = self.path(name);
        let deleted = lock_folder(&path).and_then(|_lock| {
            remove_empty_tree(&path)?;
            sync_folder(&self.folder)
        });
        deleted.map_err(|cause| match cause.kind() {
            Io::NotFound => self.missing("delete", name),
            Io::DirectoryNotEmpty => super::not_empty(&self.bucket_called(name), name),
            _ => Error::io("delete", self.bucket_called(name), cause),
        })
    }
}

/// Removes a folder and the folders in it, as long as there is no file in any of them.
fn remove_empty_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            return Err(Io::DirectoryNotEmpty.into());
        }
        remove_empty_tree(&entry.path())?;
    }
    fs::remove_dir(folder)
}

impl Display for LocalLake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.folder.display())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Lake for LocalLake {
    async fn bucket(&self, name: &BucketName) -> Result<Bucket> {
        if self.path(name).is_dir() { self.open(name) } else { Err(self.missing("open", name)) }
    }

    async fn create_bucket(&self, name: &BucketName) -> Result<Bucket> {
        self.create(name)
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>> {
        self.list().map_err(|cause| Error::io("list the buckets of", self, cause))
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<()> {
        self.delete(name)
    }

    async fn sweep(&self, name: &BucketName) -> Result<u64> {
        // A writer's session serves all buckets. It is dead when its lock is free, and then for all of them.
        self.bucket(name).await?;
        sweep(&self.folder).map_err(|cause| Error::io("sweep", self, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[test]
    fn a_local_lake_keeps_every_promise() {
        let folder = tempfile::tempdir().unwrap();
        let lake = LocalLake::new(folder.path().join("my lake"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(conformance::run_all(&lake));
        drop(lake);
        // An upload that was dropped in the midst of a write lasts as long as the write: this waits for it.
        drop(runtime);
        assert_eq!(fs::read_dir(folder.path().join("my lake")).unwrap().count(), 0);
    }
}
