//! The user's profile: which lake and cluster are meant where nothing else says so.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::store::Key;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::BucketName;

/// What the user's configuration file says. It holds a secret, so only the user may read the file.
///
/// ```
/// use datalake_core::cluster::profile::Profile;
///
/// let folder = tempfile::tempdir().unwrap();
/// let file = folder.path().join("config.toml");
/// let mut profile = Profile::read(&file)?;
/// profile.images.store = Some("localhost/minio:1".to_owned());
/// profile.write(&file)?;
/// assert_eq!(Profile::read(&file)?.images.store.as_deref(), Some("localhost/minio:1"));
/// # Ok::<(), datalake_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Profile {
    /// The lake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lake: Option<LakeProfile>,
    /// The cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterProfile>,
    /// Images.
    #[serde(default, skip_serializing_if = "ImagesProfile::is_empty")]
    pub images: ImagesProfile,
    /// What a newer version may have written.
    #[serde(flatten)]
    others: toml::Table,
}

/// A lake, and the key that opens it. `Debug` hides the secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LakeProfile {
    /// Its endpoint.
    pub url: String,
    /// The name of the key; none where the key comes from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<String>,
    /// What the real names of buckets begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_prefix: Option<String>,
    /// The region that requests with the key are signed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Real names of single buckets, by logical name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<BucketName, BucketName>,
}

/// A cluster, and where in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterProfile {
    /// The context of kubectl's configuration by which the cluster was found; its current one where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The namespace of the lake.
    pub namespace: String,
    /// The URL of its API server; none in the profile of an older version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Images, and how nodes get them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ImagesProfile {
    /// That of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Which server that is: `minio` or `versitygw`; none in the profile of an older version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_kind: Option<String>,
    /// How nodes get that of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_pull_policy: Option<String>,
    /// That of Jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<String>,
    /// How nodes get that of Jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_pull_policy: Option<String>,
}

impl LakeProfile {
    /// A lake at this endpoint.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(mut self, key: &Key) -> Self {
        self.access_key_id = Some(key.access_key_id.clone());
        self.secret_access_key = Some(key.secret_access_key.clone());
        self
    }

    /// Sets what the real names of buckets begin with.
    #[must_use]
    pub fn with_bucket_prefix(mut self, prefix: Option<String>) -> Self {
        self.bucket_prefix = prefix;
        self
    }

    /// Sets the real names of single buckets.
    #[must_use]
    pub fn with_buckets(mut self, buckets: BTreeMap<BucketName, BucketName>) -> Self {
        self.buckets = buckets;
        self
    }

    /// Sets the region.
    #[must_use]
    pub fn with_region(mut self, region: Option<String>) -> Self {
        self.region = region;
        self
    }

    /// The key, where there is one.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        let (access_key_id, secret_access_key) = (self.access_key_id.clone()?, self.secret_access_key.clone()?);
        Some(Key { access_key_id, secret_access_key })
    }

    /// Whether this URL leads to the same endpoint, so that the key may be sent there.
    #[must_use]
    pub fn is_at(&self, url: &str) -> bool {
        self.url.trim_end_matches('/') == url.trim_end_matches('/')
    }
}

impl fmt::Debug for LakeProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeProfile")
            .field("url", &self.url)
            .field("access_key_id", &self.access_key_id)
            .field("bucket_prefix", &self.bucket_prefix)
            .field("region", &self.region)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

impl ClusterProfile {
    /// A namespace of the cluster of this context.
    #[must_use]
    pub fn new(context: Option<String>, namespace: impl Into<String>) -> Self {
        Self { context, namespace: namespace.into(), address: None }
    }

    /// Sets the URL of the API server.
    #[must_use]
    pub fn with_address(mut self, address: Option<String>) -> Self {
        self.address = address;
        self
    }

    /// Whether this is the same namespace of the same cluster. The profile of an older version knows the context alone.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_cluster = match (&self.address, &other.address) {
            (Some(one), Some(another)) => one == another,
            _ => self.context == other.context,
        };
        self.namespace == other.namespace && is_same_cluster
    }
}

impl ImagesProfile {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Profile {
    /// Where the profile of this user is: `datalake/config.toml` below `XDG_CONFIG_HOME` or `~/.config`. None for who has
    /// no home.
    #[must_use]
    pub fn file() -> Option<PathBuf> {
        let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
        let folder = named.or_else(|| std::env::home_dir().map(|home| home.join(".config")))?;
        Some(folder.join("datalake/config.toml"))
    }

    /// Reads a profile; one that is not there says nothing.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for what is no profile; whatever reading ends in.
    pub fn read(file: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(cause) if matches!(cause.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Ok(Self::default());
            }
            Err(cause) => return Err(Error::io("read", file.display(), cause)),
        };
        // Never with the line at fault: there may be a secret in it.
        toml::from_str(&text).map_err(|cause| {
            Error::invalid("read", file.display())
                .with_reason(cause.message())
                .with_hint("correct it, or remove it and run `datalake setup-datalake` again")
        })
    }

    /// Writes a profile, whole or not at all, for the eyes of the user alone. One that says nothing is removed.
    ///
    /// # Errors
    /// Whatever writing ends in.
    pub fn write(&self, file: &Path) -> Result<()> {
        // A link stays a link.
        let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let file = target.as_path();
        let failed = |cause| Error::io("write", file.display(), cause);
        if *self == Self::default() {
            return match std::fs::remove_file(file) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(failed(cause)),
                _ => Ok(()),
            };
        }
        let text =
            toml::to_string(self).map_err(|cause| Error::internal("write", file.display()).with_source(cause))?;
        let no_folder = || Error::new(ErrorKind::Invalid, "write", file.display()).with_reason("it is in no folder");
        let folder = file.parent().ok_or_else(no_folder)?;
        std::fs::create_dir_all(folder).map_err(failed)?;
        // Temporary files are the user's own: mode 0600.
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        temporary.write_all(text.as_bytes()).and_then(|()| temporary.as_file().sync_all()).map_err(failed)?;
        temporary.persist(file).map_err(|cause| failed(cause.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key() -> Key {
        Key { access_key_id: "ID".to_owned(), secret_access_key: "hush".to_owned() }
    }

    #[test]
    fn a_profile_is_of_the_user_alone_and_hides_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/config.toml");
        let name = |name: &str| BucketName::new(name).unwrap();
        let names = BTreeMap::from([(name("raw-data"), name("landing"))]);
        let profile = Profile {
            lake: Some(LakeProfile::new("http://h:1").with_key(&key()).with_buckets(names)),
            cluster: Some(ClusterProfile::new(None, "big-data")),
            ..Profile::default()
        };
        profile.write(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Profile::read(&file).unwrap(), profile);
        assert!(!format!("{profile:?}").contains("hush"));
        Profile::default().write(&file).unwrap();
        assert!(!file.exists());
        Profile::default().write(&file).unwrap();
    }

    #[test]
    fn what_others_have_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "[newer]\nx = 1\n\n[lake]\nurl = \"http://h:1\"\n").unwrap();
        let mut profile = Profile::read(&file).unwrap();
        profile.lake = None;
        profile.write(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "[newer]\nx = 1\n");
    }

    #[test]
    fn what_is_no_profile_is_said_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "[lake]\nsecret_access_key = \"hush\"\n").unwrap();
        let error = Profile::read(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }

    #[test]
    fn a_key_goes_to_its_own_lake_only() {
        let lake = LakeProfile::new("http://h:1").with_key(&key());
        assert!(lake.is_at("http://h:1/") && !lake.is_at("http://h:12") && !lake.is_at("./lake"));
    }
}
