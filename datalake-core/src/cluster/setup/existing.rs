//! What is in a cluster already before a lake is set up in it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Secret};
use kube::Api;

use super::super::client::{Cluster, failed};
use super::super::manifests::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, store_slug};
use super::super::names::{FIELD_MANAGER, LAKE, REPLACED_KEYS_ANNOTATION, STORE, STORE_LABEL, STORE_ROOT};
use super::super::store::{Key, StoreKind};
use crate::error::{Error, ErrorKind, Result};

/// How the namespace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamespaceState {
    Missing,
    /// This project has made it.
    Ours,
    /// Somebody else has, or nobody lets us look.
    Others,
    /// It is being removed.
    Leaving,
}

/// What is there already.
#[derive(Debug)]
pub(super) struct Existing {
    pub(super) namespace: NamespaceState,
    pub(super) root: Option<Key>,
    pub(super) jobs: Option<Key>,
    /// Names of keys of Jobs that were replaced by that one and may still be valid.
    pub(super) replaced: Vec<String>,
    /// The size of the store's volume.
    pub(super) size: Option<String>,
    /// What the label of the volume says.
    pub(super) data_of: Option<String>,
    pub(super) has_store: bool,
}

impl Existing {
    /// Looks.
    pub(super) async fn look(cluster: &Cluster) -> Result<Self> {
        let namespace = namespace(cluster).await?;
        let claims: Api<PersistentVolumeClaim> = cluster.api();
        let claim = claims
            .get_opt(STORE)
            .await
            .map_err(|cause| failed("look at", format_args!("the volume {STORE}"), cause))?;
        let sets: Api<StatefulSet> = cluster.api();
        let set =
            sets.get_opt(STORE).await.map_err(|cause| failed("look at", format_args!("the store {STORE}"), cause))?;
        let labels = claim.as_ref().and_then(|claim| claim.metadata.labels.as_ref());
        let requests = claim.as_ref().and_then(|claim| claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref());
        let lake = secret(cluster, LAKE).await?;
        let annotations = lake.as_ref().and_then(|secret| secret.metadata.annotations.as_ref());
        let replaced = annotations.and_then(|annotations| annotations.get(REPLACED_KEYS_ANNOTATION));
        Ok(Self {
            namespace,
            root: secret(cluster, STORE_ROOT).await?.and_then(key),
            replaced: replaced.into_iter().flat_map(|names| names.split(',')).map(ToOwned::to_owned).collect(),
            jobs: lake.and_then(key),
            size: requests.and_then(|requests| requests.get("storage")).map(|size| size.0.clone()),
            data_of: labels.and_then(|labels| labels.get(STORE_LABEL)).cloned(),
            has_store: set.is_some(),
        })
    }

    /// Sees whether a store of this kind fits to what is there.
    pub(super) fn fits(&self, kind: StoreKind, namespace: &str) -> Result<()> {
        let subject = format!("a lake in the namespace {namespace}");
        if self.namespace == NamespaceState::Leaving {
            return Err(Error::new(ErrorKind::Unavailable, "set up", subject)
                .with_reason("the namespace is being removed")
                .with_hint("wait until it is gone, then run again"));
        }
        if kind == StoreKind::External && self.has_store {
            return Err(Error::invalid("set up", subject)
                .with_reason("it has a store of its own already")
                .with_hint("take that down, which keeps its data: datalake teardown; or choose another --namespace"));
        }
        match &self.data_of {
            Some(found) if kind != StoreKind::External && found != store_slug(kind) => {
                Err(Error::invalid("set up", subject)
                    .with_reason(format_args!("its volume holds the data of {found}, which {kind} cannot read"))
                    .with_hint(format_args!(
                        "keep to --store {found}, choose another --namespace, or remove the data: datalake teardown \
                         --delete-data"
                    )))
            }
            _ => Ok(()),
        }
    }
}

/// How the namespace stands. Whoever may not look at namespaces may still work within one.
pub(super) async fn namespace(cluster: &Cluster) -> Result<NamespaceState> {
    let namespaces: Api<Namespace> = Api::all(cluster.client().clone());
    let found = match namespaces.get_opt(cluster.namespace()).await {
        Ok(found) => found,
        Err(kube::Error::Api(status)) if status.code == 403 => return Ok(NamespaceState::Others),
        Err(cause) => return Err(failed("look at", format_args!("the namespace {}", cluster.namespace()), cause)),
    };
    let Some(found) = found else { return Ok(NamespaceState::Missing) };
    if found.metadata.deletion_timestamp.is_some() {
        return Ok(NamespaceState::Leaving);
    }
    let manager = found.metadata.labels.as_ref().and_then(|labels| labels.get("app.kubernetes.io/managed-by"));
    Ok(if manager.is_some_and(|manager| manager == FIELD_MANAGER) {
        NamespaceState::Ours
    } else {
        NamespaceState::Others
    })
}

/// A Secret of ours.
async fn secret(cluster: &Cluster, name: &str) -> Result<Option<Secret>> {
    let secrets: Api<Secret> = cluster.api();
    secrets.get_opt(name).await.map_err(|cause| failed("read", format_args!("the Secret {name}"), cause))
}

/// The key in it.
fn key(secret: Secret) -> Option<Key> {
    let data = secret.data.unwrap_or_default();
    let text = |name: &str| data.get(name).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    Some(Key { access_key_id: text(ACCESS_KEY_ID)?, secret_access_key: text(SECRET_ACCESS_KEY)? })
}
