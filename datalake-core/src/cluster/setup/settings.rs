//! How a lake in a cluster is set up.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexSet;

use super::super::names::{S3_PORT, STORE};
use super::super::store::{Key, StoreKind};
use super::opening::{NodePorts, Opening};
use crate::error::Result;
use crate::lake::{BucketName, check_names, real_name};

/// How large the store's volume is where nothing says another size.
pub(super) const SIZE: &str = "10Gi";
/// The buckets that the built-in pipeline works in.
pub(super) const BUCKETS: [&str; 3] = ["raw-data", "processed-data", "models"];
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
    /// Real names of single buckets, as in [`LakeOptions::buckets`](crate::lake::LakeOptions::buckets), beside those of the
    /// lake that is there, which cannot be changed. These buckets are made and opened to Jobs, too.
    pub buckets: BTreeMap<BucketName, BucketName>,
    /// Buckets that are made and opened to Jobs beside `raw-data`, `processed-data`, `models` and those of earlier setups.
    pub more_buckets: Vec<BucketName>,
    /// Whether those that earlier setups have added by [`more_buckets`](Self::more_buckets) are closed to Jobs. They stay,
    /// with all that is in them; and those with a real name of their own stay open.
    pub no_more_buckets: bool,
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
            buckets: BTreeMap::new(),
            more_buckets: Vec::new(),
            no_more_buckets: false,
            rotate: false,
            timeout: Duration::from_secs(120),
            external,
        }
    }

    /// All buckets that Jobs may open, by the names that they have in the store.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where two of their names would lead to one bucket.
    pub(super) fn real_buckets(&self) -> Result<Vec<BucketName>> {
        let prefix = self.bucket_prefix.as_deref().unwrap_or_default();
        let mut logical = BUCKETS.iter().map(|name| BucketName::new(*name)).collect::<Result<Vec<_>>>()?;
        logical.extend(self.more_buckets.iter().chain(self.buckets.keys()).cloned());
        check_names(&self.buckets)?;
        let real: Result<IndexSet<_>> = logical.iter().map(|name| real_name(name, prefix, &self.buckets)).collect();
        Ok(real?.into_iter().collect())
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

    fn names(settings: &SetupSettings) -> Vec<String> {
        settings.real_buckets().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn buckets_have_the_prefix() {
        let mut settings = SetupSettings::minio("x:1");
        settings.bucket_prefix = Some("acme-".to_owned());
        assert_eq!(names(&settings), ["acme-raw-data", "acme-processed-data", "acme-models"]);
    }

    #[test]
    fn buckets_are_those_of_the_pipeline_and_those_that_are_named() {
        let mut settings = SetupSettings::minio("x:1");
        let name = |name: &str| BucketName::new(name).unwrap();
        settings.bucket_prefix = Some("acme-".to_owned());
        settings.buckets = [("raw-data", "landing"), ("sales", "acme-sales-2")].map(|(l, r)| (name(l), name(r))).into();
        settings.more_buckets = vec![name("nutrients"), name("sales"), name("models")];
        assert_eq!(
            names(&settings),
            ["landing", "acme-processed-data", "acme-models", "acme-nutrients", "acme-sales-2"]
        );
    }
}
