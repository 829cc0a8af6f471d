//! Buckets and their objects: what a lake promises, whichever backend holds it.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, PutResult};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

mod atomic_file;
mod atomic_folder;
pub mod conformance;
#[cfg(test)]
mod crash_tests;
#[cfg(not(feature = "s3"))]
#[path = "endpoint_absent.rs"]
mod endpoint;
mod local;
mod local_store;
mod location;
mod meant;
mod memory;
mod pattern;
mod renamed;
#[cfg(feature = "s3")]
mod s3;
mod staging;
mod store_error;
mod transfer;
mod url;
mod writer;

pub use self::url::{LakeOptions, open};
#[cfg(feature = "k8s")]
pub(crate) use self::url::{bucket_names, bucket_names_text};
pub use atomic_file::AtomicFile;
pub(crate) use atomic_folder::AtomicFolder;
pub use local::LocalLake;
pub use location::{Location, parse_object};
pub use meant::meant;
pub use memory::MemoryLake;
pub use pattern::ObjectPattern;
pub use renamed::Renamed;
#[cfg(feature = "k8s")]
pub(crate) use renamed::{check_names, real_name};
#[cfg(feature = "s3")]
use s3 as endpoint;
#[cfg(feature = "s3")]
pub use s3::S3Lake;
#[cfg(feature = "k8s")]
pub(crate) use s3::{S3Failure, S3Request, endpoint_of, knock};
pub use staging::abandon_writes;
pub(crate) use staging::unique_name;
pub use store_error::store_error;
pub use transfer::{Copied, copy};
#[cfg(feature = "pipeline")]
pub(crate) use writer::PART;
pub use writer::{ObjectWriter, Stored};

/// A place that holds buckets: a folder, memory, or an S3 endpoint.
#[async_trait]
pub trait Lake: Debug + Display + Send + Sync + 'static {
    /// The bucket of this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none.
    async fn bucket(&self, name: &BucketName) -> Result<Bucket>;

    /// Makes an empty bucket.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is one of this name.
    async fn create_bucket(&self, name: &BucketName) -> Result<Bucket>;

    /// All buckets, by name.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] or [`ErrorKind::Unavailable`] if the backend does not say.
    async fn buckets(&self) -> Result<Vec<BucketInfo>>;

    /// Removes a bucket that holds nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::Invalid`] if it holds an object.
    async fn delete_bucket(&self, name: &BucketName) -> Result<()>;

    /// Removes what dead writers to this bucket left unfinished, and returns how many temporary files or uploads
    /// that were. Nothing that is visible or being written is touched. Each backend says whom it takes for dead.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such bucket; [`ErrorKind::Denied`] or [`ErrorKind::Unavailable`] if the
    /// backend does not let us.
    async fn sweep(&self, name: &BucketName) -> Result<u64>;
}

/// What a listing of buckets says of each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketInfo {
    /// Its logical name.
    pub name: BucketName,
    /// When it was made, where the backend knows.
    pub created: Option<DateTime<Utc>>,
}

/// A bucket's name by the rules of S3.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(String);

/// A bucket at hand: its name and the store of its objects.
///
/// Objects are the business of [`ObjectStore`]; [`Bucket::store`] hands it out. The verbs here add what it
/// leaves open: errors that name bucket and key.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: BucketName,
    store: Arc<dyn ObjectStore>,
}

impl BucketName {
    /// Checks a name against the rules of S3: 3 to 63 characters of `a-z`, `0-9`, `-` and `.`, a letter or
    /// digit at both ends, no `..`, not the form of an IPv4 address, no reserved prefix or suffix.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the rule that is broken.
    ///
    /// ```
    /// use datalake_core::BucketName;
    /// assert!(BucketName::new("raw-data").is_ok());
    /// assert!(BucketName::new("Raw_Data").is_err());
    /// ```
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        match broken_rule(&name) {
            None => Ok(Self(name)),
            Some(rule) => Err(Error::invalid("use", format_args!("`{name}` as a bucket name")).with_reason(rule)),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BucketName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<BucketName> for String {
    fn from(name: BucketName) -> Self {
        name.0
    }
}

/// The first rule for bucket names that `name` breaks
/// (Amazon S3 User Guide, "General purpose bucket naming rules").
fn broken_rule(name: &str) -> Option<&'static str> {
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Some("it must have 3 to 63 characters");
    }
    if !bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.')) {
        return Some("only lower-case letters, digits, `-` and `.` are allowed");
    }
    if !edge(bytes.first()) || !edge(bytes.last()) {
        return Some("it must begin and end with a letter or a digit");
    }
    if name.contains("..") {
        return Some("two dots must not follow each other");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some("it must not have the form of an IPv4 address");
    }
    if ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix)) {
        return Some("the prefixes `xn--`, `sthree-` and `amzn-s3-demo-` are reserved");
    }
    if ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix)) {
        return Some("the suffixes `-s3alias`, `--ol-s3`, `.mrap`, `--x-s3` and `--table-s3` are reserved");
    }
    None
}

/// The refusal to delete a bucket that holds something.
fn not_empty(called: &str, name: &BucketName) -> Error {
    Error::new(ErrorKind::Invalid, "delete", called)
        .with_reason("it is not empty")
        .with_hint(format_args!("remove its objects first: datalake rm --recursive {name}/"))
}

impl Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BucketName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl Bucket {
    /// A bucket over any store whose keys begin at the bucket's root.
    #[must_use]
    pub fn new(name: BucketName, store: Arc<dyn ObjectStore>) -> Self {
        Self { name, store }
    }

    /// Its logical name.
    #[must_use]
    pub fn name(&self) -> &BucketName {
        &self.name
    }

    /// The same bucket under another logical name.
    fn renamed(self, name: &BucketName) -> Self {
        Self { name: name.clone(), ..self }
    }

    /// The store of its objects, for all that the verbs here leave out.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// How messages call an object of this bucket.
    #[must_use]
    pub fn address(&self, key: &Path) -> String {
        format!("{}/{key}", self.name)
    }

    /// A whole object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; what the store says otherwise.
    pub async fn get(&self, key: &Path) -> Result<Bytes> {
        let read = async { self.store.get(key).await?.bytes().await };
        read.await.map_err(|cause| store_error("read", self.address(key), cause))
    }

    /// Size, time and entity tag of an object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none; what the store says otherwise.
    pub async fn head(&self, key: &Path) -> Result<ObjectMeta> {
        self.store.head(key).await.map_err(|cause| store_error("look up", self.address(key), cause))
    }

    /// Puts a whole object: it appears complete or not at all.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] with [`PutMode::Create`] if the key is taken; what the store says otherwise.
    pub async fn put(&self, key: &Path, object: impl Into<PutPayload>, mode: PutMode) -> Result<PutResult> {
        self.store
            .put_opts(key, object.into(), mode.into())
            .await
            .map_err(|cause| store_error("write", self.address(key), cause))
    }

    /// Begins an object that is written piece by piece, of any size, in bounded memory. It appears when the
    /// writer is finished, in place of one of the same key.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> datalake_core::Result<()> {
    /// # use datalake_core::lake::{BucketName, Lake, LocalLake};
    /// # let folder = tempfile::tempdir().expect("a temporary folder");
    /// # let bucket = LocalLake::new(folder.path()).create_bucket(&BucketName::new("raw-data")?).await?;
    /// let mut writer = bucket.writer(&"foods.csv".into());
    /// writer.write("name,kcal\n".into()).await?;
    /// writer.write("apple,52\n".into()).await?;
    /// assert_eq!(writer.finish().await?.bytes, 19);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn writer(&self, key: &Path) -> ObjectWriter {
        ObjectWriter::new(self.clone(), key.clone())
    }

    /// All objects under a prefix (whole path segments), sorted by key.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let mut objects: Vec<ObjectMeta> =
            self.store.list(prefix).try_collect().await.map_err(|cause| store_error("list", &self.name, cause))?;
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// Removes an object.
    ///
    /// # Errors
    /// What the store says; S3 does not tell whether the object was there.
    pub async fn delete(&self, key: &Path) -> Result<()> {
        self.store.delete(key).await.map_err(|cause| store_error("delete", self.address(key), cause))
    }
}
