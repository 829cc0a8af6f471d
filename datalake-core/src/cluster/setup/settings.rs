//! How a lake in a cluster is set up.

use std::time::Duration;

use super::super::names::{S3_PORT, STORE};
use super::super::store::{Key, StoreKind};
use super::opening::{NodePorts, Opening};
use crate::error::Result;
use crate::lake::BucketName;

/// How large the store's volume is where nothing says another size.
pub(super) const SIZE: &str = "10Gi";
/// The buckets that the built-in pipeline works in.
const BUCKETS: [&str; 3] = ["raw-data", "processed-data", "models"];
/// The region where nothing says another; servers other than Amazon's do not care.
const REGION: &str = "us-east-1";

/// How a lake in a cluster is set up.
///
/// ```
/// use datalake_core::cluster::SetupSettings;
///
/// let settings = SetupSettings::minio("localhost/minio:1");
/// let yaml = settings.to_yaml("big-data")?;
/// assert!(yaml.contains("kind: StatefulSet") && !yaml.contains("kind: Secret\n"));
/// # Ok::<(), datalake_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SetupSettings {
    /// Which server keeps the objects.
    pub store: StoreKind,
    /// The image of that server; none for an external one.
    pub image: Option<String>,
    /// `Always`, `IfNotPresent` or `Never`; what Kubernetes takes for the tag where not set.
    pub image_pull_policy: Option<String>,
    /// The storage class of the volume; that of the volume that is there, else the cluster's default where not set.
    pub storage_class: Option<String>,
    /// The size of the volume, such as `10Gi`; that of the volume that is there where not set.
    pub size: Option<String>,
    /// The ports at which every node opens the store; the [default ones](NodePorts::default) for a store that is not there
    /// yet.
    pub node_ports: Opening<NodePorts>,
    /// The host name at which an ingress opens the store; none for a store that is not there yet.
    pub ingress: Opening<String>,
    /// What the real names of buckets begin with; as in the lake that is there where not set. It cannot be changed.
    pub bucket_prefix: Option<String>,
    /// Makes new keys.
    pub rotate: bool,
    /// How long the store may take to be ready.
    pub timeout: Duration,
    pub(super) external: Option<External>,
}

/// A store that is there already.
#[derive(Debug, Clone)]
pub(super) struct External {
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) key: Key,
}

impl SetupSettings {
    /// MinIO from this image.
    #[must_use]
    pub fn minio(image: impl Into<String>) -> Self {
        Self::of(StoreKind::Minio, Some(image.into()), None)
    }

    /// versitygw from this image.
    #[must_use]
    pub fn versitygw(image: impl Into<String>) -> Self {
        Self::of(StoreKind::Versitygw, Some(image.into()), None)
    }

    /// An endpoint that is there already, and the key that opens it; the region is `us-east-1` where none is named.
    #[must_use]
    pub fn external(endpoint: impl Into<String>, key: Key, region: Option<String>) -> Self {
        let region = region.unwrap_or_else(|| REGION.to_owned());
        Self::of(StoreKind::External, None, Some(External { endpoint: endpoint.into(), region, key }))
    }

    fn of(store: StoreKind, image: Option<String>, external: Option<External>) -> Self {
        // Who runs a store that is there already has opened it.
        let is_theirs = store == StoreKind::External;
        Self {
            store,
            image,
            image_pull_policy: None,
            storage_class: None,
            size: None,
            node_ports: if is_theirs { Opening::Closed } else { Opening::AsItIs },
            ingress: if is_theirs { Opening::Closed } else { Opening::AsItIs },
            bucket_prefix: None,
            rotate: false,
            timeout: Duration::from_secs(120),
            external,
        }
    }

    /// The buckets, by the names that they have in the store.
    pub(super) fn buckets(&self) -> Result<Vec<BucketName>> {
        let prefix = self.bucket_prefix.as_deref().unwrap_or_default();
        BUCKETS.iter().map(|name| BucketName::new(format!("{prefix}{name}"))).collect()
    }

    /// Where pods find the store, and its region.
    pub(super) fn within(&self, namespace: &str) -> (String, &str) {
        match &self.external {
            Some(external) => (external.endpoint.clone(), &external.region),
            None => (format!("http://{STORE}.{namespace}.svc:{S3_PORT}"), REGION),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_have_the_prefix() {
        let mut settings = SetupSettings::minio("x:1");
        settings.bucket_prefix = Some("acme-".to_owned());
        assert_eq!(settings.buckets().unwrap()[0].as_str(), "acme-raw-data");
    }
}
