//! Which lake a URL or folder path leads to.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::{BucketName, Lake, LocalLake, MemoryLake, Renamed, endpoint};
use crate::error::{Error, Result};

/// How a lake is opened, beside its URL.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LakeOptions {
    /// What the real names of buckets begin with.
    pub bucket_prefix: Option<String>,
    /// Real names of buckets that do not follow the prefix, by logical name.
    pub buckets: BTreeMap<BucketName, BucketName>,
    /// How long a request to an endpoint that does not answer is tried again: 5 seconds unless told, so that a user
    /// is not kept waiting; a job in the background may take 60.
    pub retry_timeout: Duration,
    /// How long an unfinished upload on S3 must have shown no sign of life before a sweep takes its writer for dead:
    /// 24 hours unless told.
    pub sweep_after: Duration,
    pub(super) variables: BTreeMap<String, String>,
}

impl Debug for LakeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeOptions")
            .field("bucket_prefix", &self.bucket_prefix)
            .field("buckets", &self.buckets)
            .field("retry_timeout", &self.retry_timeout)
            .field("sweep_after", &self.sweep_after)
            // Their values may be secrets.
            .field("variables", &self.variables.keys())
            .finish()
    }
}

impl Default for LakeOptions {
    fn default() -> Self {
        Self {
            bucket_prefix: None,
            buckets: BTreeMap::new(),
            retry_timeout: Duration::from_secs(5),
            sweep_after: Duration::from_secs(24 * 60 * 60),
            variables: BTreeMap::new(),
        }
    }
}

/// The variable that says what the real names of buckets begin with.
const PREFIX: &str = "DATALAKE_BUCKET_PREFIX";
/// The variable that gives single buckets real names of their own: `logical=real`, with commas between them.
const NAMES: &str = "DATALAKE_BUCKETS";

/// Reads `raw-data=acme-landing,models=acme-forests`.
pub(crate) fn bucket_names(names: &str) -> Result<BTreeMap<BucketName, BucketName>> {
    let pairs = names.split(',').filter(|_| !names.is_empty()).map(|pair| {
        let (logical, real) = pair.split_once('=').ok_or_else(|| {
            Error::invalid("use", format_args!("{NAMES}={names}"))
                .with_reason(format_args!("`{pair}` is no pair: wanted is logical=real, with commas between them"))
        })?;
        Ok((BucketName::new(logical)?, BucketName::new(real)?))
    });
    pairs.collect()
}

/// The text that [`bucket_names`] reads.
pub(crate) fn bucket_names_text(names: &BTreeMap<BucketName, BucketName>) -> String {
    names.iter().map(|(logical, real)| format!("{logical}={real}")).collect::<Vec<_>>().join(",")
}

impl LakeOptions {
    /// Takes the real names of buckets from the variables `DATALAKE_BUCKET_PREFIX` and `DATALAKE_BUCKETS`
    /// (`raw-data=acme-landing,models=acme-forests`), in place of what is set here.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what cannot be names.
    pub fn with_names_of(mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        self.bucket_prefix = variable(PREFIX).or(self.bucket_prefix);
        let Some(names) = variable(NAMES) else { return Ok(self) };
        self.buckets.extend(bucket_names(&names)?);
        Ok(self)
    }

    /// The variables by which another process gives buckets the same real names.
    #[must_use]
    pub fn names(&self) -> BTreeMap<String, String> {
        let prefix = self.bucket_prefix.clone().unwrap_or_default();
        BTreeMap::from([(PREFIX.to_owned(), prefix), (NAMES.to_owned(), bucket_names_text(&self.buckets))])
    }

    /// Sets what the real names of buckets begin with.
    #[must_use]
    pub fn with_bucket_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.bucket_prefix = Some(prefix.into());
        self
    }

    /// Gives one bucket a real name of its own.
    #[must_use]
    pub fn with_bucket(mut self, logical: BucketName, real: BucketName) -> Self {
        self.buckets.insert(logical, real);
        self
    }

    /// Sets how long requests are tried again.
    #[must_use]
    pub fn with_retry_timeout(mut self, timeout: Duration) -> Self {
        self.retry_timeout = timeout;
        self
    }

    /// Sets after how long without a sign of life an unfinished upload counts as dead.
    #[must_use]
    pub fn with_sweep_after(mut self, age: Duration) -> Self {
        self.sweep_after = age;
        self
    }

    /// Sets the key that opens this lake, in place of what the environment and the AWS files say.
    #[must_use]
    pub fn with_credentials(self, access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        self.with_variable("AWS_ACCESS_KEY_ID", access_key_id)
            .with_variable("AWS_SECRET_ACCESS_KEY", secret_access_key)
            // One of the environment belongs to another key.
            .with_variable("AWS_SESSION_TOKEN", "")
    }

    /// Sets a variable such as `AWS_ACCESS_KEY_ID` for this lake, in place of the one of the environment.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

/// Opens the lake at a URL: a folder (`./lake`, `file:///srv/lake`), an S3 endpoint (`http://host:9000`,
/// `https://s3.eu-central-1.amazonaws.com`, or `s3:` for what `AWS_ENDPOINT_URL` and `AWS_REGION` say), or `memory:`.
/// Nothing is made, and nothing is asked of an endpoint yet.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the URL or the options cannot be right;
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for an endpoint where the feature `s3` is not built in;
/// [`ErrorKind::Denied`](crate::ErrorKind::Denied) if an endpoint needs credentials and there are none.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use datalake_core::lake::{self, LakeOptions};
///
/// let lake = lake::open("memory:", &LakeOptions::default())?;
/// assert!(lake.buckets().await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub fn open(url: &str, options: &LakeOptions) -> Result<Arc<dyn Lake>> {
    let lake = backend(url, options)?;
    match &options.bucket_prefix {
        None if options.buckets.is_empty() => Ok(lake),
        prefix => Ok(Arc::new(Renamed::new(lake, prefix.as_deref().unwrap_or(""), options.buckets.clone())?)),
    }
}

fn backend(url: &str, options: &LakeOptions) -> Result<Arc<dyn Lake>> {
    let invalid = |reason: &str| {
        Error::invalid("open", format_args!("lake `{url}`"))
            .with_reason(reason)
            .with_hint("name a folder such as ./lake, an endpoint such as http://127.0.0.1:9000, or memory:")
    };
    match url.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest)) {
        _ if url.is_empty() => Err(invalid("it is empty")),
        Some((scheme, "")) if scheme == "memory" => Ok(Arc::new(MemoryLake::default())),
        Some((scheme, _)) if scheme == "memory" => Err(invalid("nothing may follow `memory:`")),
        Some((scheme, rest)) if scheme == "file" => file_path(url, rest).map(local).map_err(invalid),
        Some((scheme, _)) if matches!(scheme.as_str(), "http" | "https" | "s3") => endpoint::open(url, options),
        Some((_, rest)) if rest.starts_with("//") => Err(invalid("no kind of lake has URLs of this scheme")),
        _ => Ok(local(PathBuf::from(url))),
    }
}

fn local(folder: PathBuf) -> Arc<dyn Lake> {
    Arc::new(LocalLake::new(folder))
}

fn file_path(url: &str, rest: &str) -> Result<PathBuf, &'static str> {
    // `file:lake` is not by the book, but plain.
    if !rest.starts_with('/') {
        return Ok(PathBuf::from(rest));
    }
    Url::parse(url).ok().and_then(|url| url.to_file_path().ok()).ok_or("it is no path on this machine")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn shown(url: &str) -> Result<String> {
        open(url, &LakeOptions::default()).map(|lake| lake.to_string())
    }

    #[test]
    fn folders_are_lakes() {
        assert_eq!(shown("./lake").unwrap(), "./lake");
        assert_eq!(shown("my lake").unwrap(), "my lake");
        assert_eq!(shown("/srv/a:b/lake").unwrap(), "/srv/a:b/lake");
        assert_eq!(shown("file:///srv/my%20lake").unwrap(), "/srv/my lake");
        assert_eq!(shown("memory:").unwrap(), "memory:");
    }

    #[test]
    fn names_of_buckets_reach_another_process() {
        let name = |name: &str| BucketName::new(name).unwrap();
        let options = LakeOptions::default()
            .with_bucket_prefix("acme-")
            .with_bucket(name("raw-data"), name("landing"))
            .with_bucket(name("models"), name("forests"));
        let names = options.names();
        let there = LakeOptions::default().with_names_of(&|name| names.get(name).cloned()).unwrap();
        assert_eq!(there, options);
        let none = LakeOptions::default();
        assert_eq!(none.clone().with_names_of(&|_| Some(String::new())).unwrap(), none);
        let wrong = none.with_names_of(&|name| (name == NAMES).then(|| "raw-data".to_owned())).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn other_urls_are_refused_with_a_hint() {
        for url in ["", "ftp://host/lake", "memory:a", "file://host.example/lake"] {
            let error = shown(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}");
            assert!(error.hint().is_some(), "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = LakeOptions::default().with_credentials("id", "hush");
        assert!(!format!("{options:?}").contains("hush"));
    }

    #[tokio::test]
    async fn bucket_names_are_mapped() {
        let options = LakeOptions::default().with_bucket_prefix("acme-");
        let folder = tempfile::tempdir().unwrap();
        let lake = open(folder.path().to_str().unwrap(), &options).unwrap();
        lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        assert!(folder.path().join("acme-raw-data").is_dir());
    }
}
