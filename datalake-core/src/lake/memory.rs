//! A lake in memory, for tests and for trying things out.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::{Bucket, BucketInfo, BucketName, Lake, store_error};
use crate::error::{Error, ErrorKind, Result};

/// A lake that lives as long as the value and its clones, which share it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use datalake_core::lake::{BucketName, Lake, MemoryLake};
///
/// let lake = MemoryLake::default();
/// lake.create_bucket(&BucketName::new("raw-data")?).await?;
/// assert_eq!(lake.clone().buckets().await?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryLake {
    buckets: Arc<Mutex<BTreeMap<BucketName, Stored>>>,
}

#[derive(Debug)]
struct Stored {
    objects: Arc<InMemory>,
    created: DateTime<Utc>,
}

impl MemoryLake {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<BucketName, Stored>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, action: &str, name: &BucketName) -> Result<Arc<InMemory>> {
        let found = self.locked().get(name).map(|stored| Arc::clone(&stored.objects));
        found.ok_or_else(|| {
            Error::not_found(action, called(name)).with_hint("a lake in memory is empty when the program starts")
        })
    }
}

fn called(name: &BucketName) -> String {
    format!("bucket `{name}` of memory:")
}

impl Display for MemoryLake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory:")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Lake for MemoryLake {
    async fn bucket(&self, name: &BucketName) -> Result<Bucket> {
        self.find("open", name).map(|objects| Bucket::new(name.clone(), objects))
    }

    async fn create_bucket(&self, name: &BucketName) -> Result<Bucket> {
        let mut buckets = self.locked();
        if buckets.contains_key(name) {
            return Err(Error::new(ErrorKind::AlreadyExists, "create", called(name)));
        }
        let objects = Arc::new(InMemory::new());
        buckets.insert(name.clone(), Stored { objects: Arc::clone(&objects), created: Utc::now() });
        Ok(Bucket::new(name.clone(), objects))
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>> {
        let info =
            |(name, stored): (&BucketName, &Stored)| BucketInfo { name: name.clone(), created: Some(stored.created) };
        Ok(self.locked().iter().map(info).collect())
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<()> {
        let objects = self.find("delete", name)?;
        let first = objects.list(None).try_next().await.map_err(|cause| store_error("list", called(name), cause))?;
        if first.is_some() {
            return Err(super::not_empty(&called(name), name));
        }
        self.locked().remove(name);
        Ok(())
    }

    async fn sweep(&self, name: &BucketName) -> Result<u64> {
        // An upload in parts lives in its writer and ends with it.
        self.find("sweep", name).map(|_| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn a_lake_in_memory_keeps_every_promise() {
        conformance::run_all(&MemoryLake::default()).await;
    }
}
