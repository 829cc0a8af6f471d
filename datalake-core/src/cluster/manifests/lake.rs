//! What Jobs read through their environment to reach the lake, and the root key of the store.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;

use super::super::names::{LAKE, REPLACED_KEYS_ANNOTATION, STORE_LABEL, STORE_ROOT};
use super::super::store::{Key, StoreKind};
use super::kube_object::{KubeObject, metadata};
use super::store::slug;
use crate::error::Result;
use crate::lake::{BucketName, bucket_names_text};

/// What the keys of all our Secrets are called: the names of the variables that carry them.
pub(crate) const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// See [`ACCESS_KEY_ID`].
pub(crate) const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// What the keys of the ConfigMap are called: the names of the variables that a lake is found by.
pub(crate) const LAKE_URL: &str = "DATALAKE_URL";
/// See [`LAKE_URL`].
pub(crate) const BUCKET_PREFIX: &str = "DATALAKE_BUCKET_PREFIX";

/// See [`LAKE_URL`].
pub(crate) const BUCKET_NAMES: &str = "DATALAKE_BUCKETS";

/// The Secret with the root key of the store, which only the store and people read.
pub(crate) fn root_secret(namespace: &str, root: &Key) -> Result<KubeObject> {
    secret(namespace, STORE_ROOT, "store", root)
}

/// The Secret with the key of Jobs, and the kind of store that it is for. The names of those that it replaces are kept with
/// it until they have ended, so that they do even where a setup is cut short.
pub(crate) fn lake_secret(namespace: &str, kind: StoreKind, jobs: &Key, replaced: &[String]) -> Result<KubeObject> {
    let mut secret = secret(namespace, LAKE, "lake", jobs)?;
    secret.json["metadata"]["labels"][STORE_LABEL] = json!(slug(kind));
    if !replaced.is_empty() {
        secret.json["metadata"]["annotations"] = json!({ REPLACED_KEYS_ANNOTATION: replaced.join(",") });
    }
    Ok(secret)
}

/// Where the lake is, for Jobs.
pub(crate) fn lake_config(
    namespace: &str,
    url: &str,
    region: &str,
    prefix: Option<&str>,
    names: &BTreeMap<BucketName, BucketName>,
) -> Result<KubeObject> {
    let mut data = BTreeMap::from([(LAKE_URL, url), ("AWS_REGION", region)]);
    if let Some(prefix) = prefix {
        data.insert(BUCKET_PREFIX, prefix);
    }
    // Empty ones, too: so it is known that there are none.
    let names = bucket_names_text(names);
    data.insert(BUCKET_NAMES, &names);
    KubeObject::new::<ConfigMap>(json!({ "metadata": metadata(namespace, LAKE, "lake"), "data": data }))
}

fn secret(namespace: &str, name: &str, component: &str, key: &Key) -> Result<KubeObject> {
    let data = [(ACCESS_KEY_ID, &key.access_key_id), (SECRET_ACCESS_KEY, &key.secret_access_key)];
    let data: BTreeMap<_, _> = data.map(|(name, value)| (name, STANDARD.encode(value))).into();
    KubeObject::new::<Secret>(json!({
        "metadata": metadata(namespace, name, component),
        "type": "Opaque",
        "data": data,
    }))
}
