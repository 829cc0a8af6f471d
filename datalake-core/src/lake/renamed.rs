//! Logical bucket names over real ones: the one place that maps them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::Arc;

use async_trait::async_trait;

use super::{Bucket, BucketInfo, BucketName, Lake};
use crate::error::{Error, ErrorKind, Result};

/// A lake whose buckets have other names in the lake beneath.
///
/// A name in the table is mapped by it, every other name gets the prefix. A bucket of the table goes by its name there
/// alone. Buckets that no logical name leads to do not belong to this lake and are not listed.
#[derive(Debug)]
pub struct Renamed {
    inner: Arc<dyn Lake>,
    prefix: String,
    real: BTreeMap<BucketName, BucketName>,
}

impl Renamed {
    /// Names over `inner`: a prefix (possibly empty), and exceptions from logical to real.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if two logical names of the table lead to one real bucket.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> datalake_core::Result<()> {
    /// use std::sync::Arc;
    /// use datalake_core::lake::{BucketName, Lake, MemoryLake, Renamed};
    ///
    /// let inner = Arc::new(MemoryLake::default());
    /// let lake = Renamed::new(inner.clone(), "acme-", Default::default())?;
    /// lake.create_bucket(&BucketName::new("raw-data")?).await?;
    /// assert_eq!(inner.buckets().await?[0].name.as_str(), "acme-raw-data");
    /// assert_eq!(lake.buckets().await?[0].name.as_str(), "raw-data");
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(
        inner: Arc<dyn Lake>,
        prefix: impl Into<String>,
        real: BTreeMap<BucketName, BucketName>,
    ) -> Result<Self> {
        check_names(&real)?;
        Ok(Self { inner, prefix: prefix.into(), real })
    }

    fn real(&self, logical: &BucketName) -> Result<BucketName> {
        real_name(logical, &self.prefix, &self.real)
    }

    /// The logical name that leads to a real one, if one does.
    fn logical(&self, real: &BucketName) -> Option<BucketName> {
        let prefixed = || real.as_str().strip_prefix(&self.prefix).and_then(|name| BucketName::new(name).ok());
        // A name with an entry of its own is not reached by the prefix.
        let listed = names_of(real, &self.real).next().cloned();
        listed.or_else(|| prefixed().filter(|name| !self.real.contains_key(name)))
    }

    /// The errors of the lake beneath speak of the real bucket; what to do is said in logical names.
    fn explain(error: Error, logical: &BucketName) -> Error {
        match error.kind() {
            ErrorKind::NotFound => {
                error.with_hint(format_args!("`datalake ls` lists the buckets; `datalake mb {logical}` makes one"))
            }
            _ => error,
        }
    }
}

impl Display for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The names in a table that lead to a real one.
fn names_of<'a>(
    real: &'a BucketName,
    table: &'a BTreeMap<BucketName, BucketName>,
) -> impl Iterator<Item = &'a BucketName> {
    table.iter().filter(move |(_, found)| *found == real).map(|(logical, _)| logical)
}

/// Sees whether every name of a table leads to a bucket of its own.
pub(crate) fn check_names(table: &BTreeMap<BucketName, BucketName>) -> Result<()> {
    for (logical, real) in table {
        if let Some(other) = names_of(real, table).find(|other| *other != logical) {
            return Err(Error::invalid("map", format_args!("bucket `{logical}`"))
                .with_reason(format_args!("`{other}` leads to `{real}` too"))
                .with_hint("give each a real name of its own, or leave one of them out"));
        }
    }
    Ok(())
}

/// The name that a bucket has in the lake beneath: that of the table, else its own after the prefix, unless that is the
/// real name of one in the table.
pub(crate) fn real_name(
    logical: &BucketName,
    prefix: &str,
    table: &BTreeMap<BucketName, BucketName>,
) -> Result<BucketName> {
    if let Some(real) = table.get(logical) {
        return Ok(real.clone());
    }
    let real = BucketName::new(format!("{prefix}{logical}"))?;
    let taken = names_of(&real, table).next().cloned();
    match taken {
        None => Ok(real),
        Some(name) => Err(Error::invalid("open", format_args!("bucket `{logical}`"))
            .with_reason(format_args!("`{real}` goes by the name `{name}` in this lake"))
            .with_hint(format_args!("say `{name}`, or give that one another real name"))),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Lake for Renamed {
    async fn bucket(&self, name: &BucketName) -> Result<Bucket> {
        let found = self.inner.bucket(&self.real(name)?).await.map_err(|error| Self::explain(error, name))?;
        Ok(found.renamed(name))
    }

    async fn create_bucket(&self, name: &BucketName) -> Result<Bucket> {
        Ok(self.inner.create_bucket(&self.real(name)?).await?.renamed(name))
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>> {
        let found = self.inner.buckets().await?;
        let named = |info: BucketInfo| self.logical(&info.name).map(|name| BucketInfo { name, created: info.created });
        let mut buckets: Vec<_> = found.into_iter().filter_map(named).collect();
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(buckets)
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<()> {
        self.inner.delete_bucket(&self.real(name)?).await.map_err(|error| Self::explain(error, name))
    }

    async fn sweep(&self, name: &BucketName) -> Result<u64> {
        self.inner.sweep(&self.real(name)?).await.map_err(|error| Self::explain(error, name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryLake, conformance};
    use super::*;

    fn name(name: &str) -> BucketName {
        BucketName::new(name).unwrap()
    }

    #[tokio::test]
    async fn a_renamed_lake_keeps_every_promise() {
        let lake = Renamed::new(Arc::new(MemoryLake::default()), "acme-", BTreeMap::new()).unwrap();
        conformance::run_all(&lake).await;
    }

    #[tokio::test]
    async fn buckets_out_of_reach_are_not_listed() {
        let inner = Arc::new(MemoryLake::default());
        for real in ["acme-raw-data", "other", "old-models", "acme-models"] {
            inner.create_bucket(&name(real)).await.unwrap();
        }
        let table = BTreeMap::from([(name("models"), name("old-models"))]);
        let lake = Renamed::new(inner, "acme-", table).unwrap();
        let listed: Vec<_> = lake.buckets().await.unwrap().into_iter().map(|info| info.name.to_string()).collect();
        assert_eq!(listed, ["models", "raw-data"]);
        assert_eq!(lake.bucket(&name("models")).await.unwrap().name().as_str(), "models");
    }

    #[tokio::test]
    async fn errors_say_what_to_do_in_logical_names() {
        let lake = Renamed::new(Arc::new(MemoryLake::default()), "acme-", BTreeMap::new()).unwrap();
        let error = lake.bucket(&name("raw-data")).await.unwrap_err();
        assert!(error.to_string().contains("acme-raw-data"), "{error}");
        assert_eq!(error.hint(), Some("`datalake ls` lists the buckets; `datalake mb raw-data` makes one"));
    }

    #[test]
    fn two_names_of_one_bucket_are_refused() {
        let inner = Arc::new(MemoryLake::default());
        let table = BTreeMap::from([(name("aaa"), name("ccc")), (name("bbb"), name("ccc"))]);
        assert_eq!(Renamed::new(inner, "", table).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn a_bucket_of_the_table_goes_by_its_name_there_alone() {
        for prefix in ["", "x-"] {
            let inner = Arc::new(MemoryLake::default());
            let table = BTreeMap::from([(name("sales"), name(&format!("{prefix}sales-2")))]);
            let lake = Renamed::new(inner.clone(), prefix, table).unwrap();
            lake.create_bucket(&name("sales")).await.unwrap();
            lake.create_bucket(&name("other")).await.unwrap();
            // One of the plain name is another, and out of reach.
            inner.create_bucket(&name(&format!("{prefix}sales"))).await.unwrap();
            let listed: Vec<_> = lake.buckets().await.unwrap().into_iter().map(|info| info.name.to_string()).collect();
            assert_eq!(listed, ["other", "sales"]);
            for taken in [lake.bucket(&name("sales-2")).await, lake.create_bucket(&name("sales-2")).await] {
                let error = taken.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.to_string().contains("by the name `sales`"), "{error}");
            }
            lake.delete_bucket(&name("sales")).await.unwrap();
            assert!(inner.buckets().await.unwrap().iter().all(|info| info.name.as_str() != format!("{prefix}sales-2")));
        }
    }
}
