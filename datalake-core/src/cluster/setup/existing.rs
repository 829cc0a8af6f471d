//! What is in a cluster already before a lake is set up in it.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::super::client::{Cluster, failed};
use super::super::manifests::{ACCESS_KEY_ID, BUCKET_NAMES, BUCKET_PREFIX, LAKE_URL, SECRET_ACCESS_KEY, store_slug};
use super::super::names::{
    BUCKET_PREFIX_ANNOTATION, BUCKETS_ANNOTATION, CONSOLE_NODE_PORT, FIELD_MANAGER, LAKE, REPLACED_KEYS_ANNOTATION,
    STORE, STORE_LABEL, STORE_NODES, STORE_ROOT,
};
use super::super::store::{Key, StoreKind};
use super::named_buckets::NamedBuckets;
use super::opening::NodePorts;
use super::settings::SetupSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::check_names;

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
    /// The kind of store that the key of Jobs is for, where its Secret says so.
    pub(super) jobs_of: Option<String>,
    /// Names of keys of Jobs that were replaced by that one and may still be valid.
    pub(super) replaced: Vec<String>,
    pub(super) volume: Option<Volume>,
    /// Where Jobs are told that the lake is.
    pub(super) told: Option<Endpoint>,
    pub(super) has_store: bool,
    /// The ports at which every node opens the store.
    pub(super) node_ports: Option<NodePorts>,
    /// The host name at which an ingress opens the store.
    pub(super) ingress: Option<String>,
}

/// The store's volume.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) size: Option<String>,
    /// The storage class that a setup has asked for; none where it is the cluster's choice.
    pub(super) chosen_class: Option<String>,
    /// Which server wrote the data, as its label says.
    pub(super) data_of: Option<String>,
    /// What the names of its buckets begin with; empty where they have no prefix, none where that is not known.
    pub(super) bucket_prefix: Option<String>,
    /// What is known of its buckets, as it is written there.
    pub(super) buckets: Option<String>,
}

/// Where Jobs find the lake.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: String,
    /// Empty where the names of buckets have no prefix.
    pub(super) bucket_prefix: String,
    /// Real names of single buckets, as they are written there; an older version has written none.
    pub(super) buckets: Option<String>,
}

impl Existing {
    /// A cluster with nothing in it.
    pub(super) fn nothing() -> Self {
        Self {
            namespace: NamespaceState::Missing,
            root: None,
            jobs: None,
            jobs_of: None,
            replaced: Vec::new(),
            volume: None,
            told: None,
            has_store: false,
            node_ports: None,
            ingress: None,
        }
    }

    /// Looks.
    pub(super) async fn look(cluster: &Cluster) -> Result<Self> {
        let namespace = namespace(cluster).await?;
        let claim: Option<PersistentVolumeClaim> = found(cluster, STORE).await?;
        let set: Option<StatefulSet> = found(cluster, STORE).await?;
        let service: Option<Service> = found(cluster, STORE_NODES).await?;
        let map: Option<ConfigMap> = found(cluster, LAKE).await?;
        let root: Option<Secret> = found(cluster, STORE_ROOT).await?;
        let lake: Option<Secret> = found(cluster, LAKE).await?;
        let replaced = lake.as_ref().and_then(|secret| annotation(&secret.metadata, REPLACED_KEYS_ANNOTATION));
        Ok(Self {
            namespace,
            root: root.map(|secret| key(STORE_ROOT, secret)).transpose()?,
            replaced: replaced.iter().flat_map(|names| names.split(',')).map(ToOwned::to_owned).collect(),
            jobs_of: lake.as_ref().and_then(|secret| label(&secret.metadata, STORE_LABEL)),
            jobs: lake.map(|secret| key(LAKE, secret)).transpose()?,
            volume: claim.map(Volume::of),
            told: map.and_then(Endpoint::of),
            has_store: set.is_some(),
            node_ports: service.and_then(ports_on_nodes),
            ingress: ingress_host(cluster).await?,
        })
    }

    /// What the names of buckets of the store that these settings mean begin with, as far as it is known: empty where they
    /// have no prefix. What Jobs are told may be of another store than that.
    pub(super) fn bucket_prefix(&self, settings: &SetupSettings, namespace: &str) -> Option<&str> {
        let of_volume = || self.volume.as_ref()?.bucket_prefix.as_deref();
        let is_ours = settings.store != StoreKind::External;
        let known = if is_ours { of_volume() } else { None };
        known.or_else(|| self.told_of(settings, namespace).map(|told| told.bucket_prefix.as_str()))
    }

    /// What is known of the buckets of the store that these settings mean; none where that store is not known.
    pub(super) fn named_buckets(&self, settings: &SetupSettings, namespace: &str) -> Result<Option<NamedBuckets>> {
        let (place, text) = match settings.store {
            StoreKind::External => {
                ("ConfigMap", self.told_of(settings, namespace).and_then(|told| told.buckets.as_deref()))
            }
            StoreKind::Minio | StoreKind::Versitygw => {
                ("PersistentVolumeClaim", self.volume.as_ref().and_then(|volume| volume.buckets.as_deref()))
            }
        };
        let read = |text: &str| {
            let named = NamedBuckets::parse(text)?;
            check_names(&named.real).map(|()| named)
        };
        let named = text.map(read).transpose();
        named.map_err(|error| {
            error.with_hint(format_args!(
                "somebody has written that: mend {BUCKETS_ANNOTATION}, or {BUCKET_NAMES}, of the {place} in the namespace \
                 {namespace}"
            ))
        })
    }

    /// What Jobs are told of the store that these settings mean.
    fn told_of(&self, settings: &SetupSettings, namespace: &str) -> Option<&Endpoint> {
        let (url, _) = settings.within(namespace);
        self.told.as_ref().filter(|told| told.url.trim_end_matches('/') == url.trim_end_matches('/'))
    }

    /// Sees whether a store of this kind fits to what is there.
    pub(super) fn fits(&self, kind: StoreKind, cluster: &Cluster) -> Result<()> {
        let subject = format!("a lake in the namespace {}", cluster.namespace());
        if self.namespace == NamespaceState::Leaving {
            return Err(Error::new(ErrorKind::Unavailable, "set up", subject)
                .with_reason("the namespace is being removed")
                .with_hint("wait until it is gone, then run again"));
        }
        if kind == StoreKind::External && self.has_store {
            return Err(Error::invalid("set up", subject).with_reason("it has a store of its own already").with_hint(
                format_args!(
                    "take that down, which keeps its data: datalake teardown {}; or choose another --namespace",
                    cluster.arguments()
                ),
            ));
        }
        match self.volume.as_ref().and_then(|volume| volume.data_of.as_ref()) {
            Some(found) if kind != StoreKind::External && found != store_slug(kind) => {
                Err(Error::invalid("set up", subject)
                    .with_reason(format_args!("its volume holds the data of {found}, which {kind} cannot read"))
                    .with_hint(format_args!(
                        "keep to --store {found}, choose another --namespace, or remove the data: datalake teardown {} \
                         --delete-data",
                        cluster.arguments()
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

/// An object of ours, if it is there.
async fn found<K>(cluster: &Cluster, name: &str) -> Result<Option<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let all: Api<K> = cluster.api();
    all.get_opt(name).await.map_err(|cause| failed("look at", format_args!("the {} {name}", K::kind(&())), cause))
}

/// The key in it. Half a key is not none: a new one in its place would not open what it opened.
fn key(name: &str, secret: Secret) -> Result<Key> {
    let data = secret.data.unwrap_or_default();
    let text = |field: &str| {
        let found = data.get(field).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
        found.filter(|text| !text.is_empty()).ok_or_else(|| {
            Error::invalid("read", format_args!("the Secret {name}"))
                .with_reason(format_args!("there is no {field} in it"))
                .with_hint("put it back from a copy; or remove the Secret, and a setup makes a new key")
        })
    };
    Ok(Key { access_key_id: text(ACCESS_KEY_ID)?, secret_access_key: text(SECRET_ACCESS_KEY)? })
}

fn annotation(metadata: &ObjectMeta, name: &str) -> Option<String> {
    metadata.annotations.as_ref()?.get(name).cloned()
}

fn label(metadata: &ObjectMeta, name: &str) -> Option<String> {
    metadata.labels.as_ref()?.get(name).cloned()
}

impl Volume {
    fn of(claim: PersistentVolumeClaim) -> Self {
        // A class by default is not ours to ask for: it may be another one for the next volume.
        let is_chosen = claim.metadata.managed_fields.iter().flatten().any(|entry| {
            let spec = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
            entry.manager.as_deref() == Some(FIELD_MANAGER)
                && spec.is_some_and(|spec| spec.get("f:storageClassName").is_some())
        });
        let (data_of, bucket_prefix) =
            (label(&claim.metadata, STORE_LABEL), annotation(&claim.metadata, BUCKET_PREFIX_ANNOTATION));
        let buckets = annotation(&claim.metadata, BUCKETS_ANNOTATION);
        let spec = claim.spec.unwrap_or_default();
        let size = spec.resources.and_then(|resources| resources.requests?.remove("storage"));
        Self {
            size: size.map(|size| size.0),
            chosen_class: spec.storage_class_name.filter(|_| is_chosen),
            data_of,
            bucket_prefix,
            buckets,
        }
    }
}

impl Endpoint {
    fn of(map: ConfigMap) -> Option<Self> {
        let mut data = map.data?;
        let mut text = |name: &str| data.remove(name);
        Some(Self {
            url: text(LAKE_URL)?,
            bucket_prefix: text(BUCKET_PREFIX).unwrap_or_default(),
            buckets: text(BUCKET_NAMES),
        })
    }
}

/// The ports at which nodes open a Service.
fn ports_on_nodes(service: Service) -> Option<NodePorts> {
    let ports = service.spec?.ports?;
    let on_node = |name: &str| {
        let port = ports.iter().find(|port| port.name.as_deref() == Some(name))?;
        u16::try_from(port.node_port?).ok()
    };
    // Not every store has a console.
    Some(NodePorts { s3: on_node("s3")?, console: on_node("console").unwrap_or(CONSOLE_NODE_PORT) })
}

/// The host name at which an ingress opens the store.
async fn ingress_host(cluster: &Cluster) -> Result<Option<String>> {
    let ingresses: Api<Ingress> = cluster.api();
    match ingresses.get_opt(STORE).await {
        Ok(found) => Ok(found.and_then(|found| found.spec?.rules?.into_iter().next()?.host)),
        // Whoever may not look at ingresses has made none.
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(cause) => Err(failed("look at", format_args!("the Ingress {STORE}"), cause)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::manifests::{self, Contents, KubeObject, claim, lake_config, nodes_service};
    use super::*;
    use crate::lake::bucket_names;

    fn read<K: serde::de::DeserializeOwned>(object: &KubeObject) -> K {
        manifests::object(&object.resource.kind, &object.json).unwrap()
    }

    #[test]
    fn what_was_applied_is_found_again() {
        let ports = NodePorts { s3: 31900, console: 31901 };
        let found = ports_on_nodes(read(&nodes_service("ns", true, ports).unwrap()));
        assert_eq!(found, Some(ports));
        let found = ports_on_nodes(read(&nodes_service("ns", false, ports).unwrap()));
        assert_eq!(found.map(|ports| ports.s3), Some(31900));
        for prefix in [Some("acme-"), None] {
            let named = "exports,sales=acme-sales";
            let contents = Contents { kind: StoreKind::Minio, bucket_prefix: prefix, buckets: named };
            let volume = Volume::of(read(&claim("ns", "5Gi", Some("fast"), &contents).unwrap()));
            assert_eq!(volume.buckets.as_deref(), Some(named));
            assert_eq!((volume.size.as_deref(), volume.data_of.as_deref()), (Some("5Gi"), Some("minio")));
            assert_eq!(volume.bucket_prefix.as_deref(), Some(prefix.unwrap_or_default()));
            for names in ["", "sales=acme-sales"] {
                let config = lake_config("ns", "http://h", "r", prefix, &bucket_names(names).unwrap()).unwrap();
                let told = Endpoint::of(read(&config)).unwrap();
                assert_eq!((&*told.url, &*told.bucket_prefix), ("http://h", prefix.unwrap_or_default()));
                assert_eq!(told.buckets.as_deref(), Some(names));
            }
        }
    }

    #[test]
    fn a_class_is_kept_where_a_setup_has_chosen_it() {
        let contents = Contents { kind: StoreKind::Minio, bucket_prefix: None, buckets: "" };
        let mut object = claim("ns", "5Gi", Some("fast"), &contents).unwrap();
        let volume = |object: &KubeObject| Volume::of(read(object));
        assert_eq!(volume(&object).chosen_class, None, "the cluster has chosen it");
        object.json["metadata"]["managedFields"] = json!([{
            "manager": FIELD_MANAGER,
            "operation": "Apply",
            "fieldsType": "FieldsV1",
            "fieldsV1": { "f:spec": { "f:storageClassName": {} } },
        }]);
        assert_eq!(volume(&object).chosen_class.as_deref(), Some("fast"));
    }

    #[test]
    fn half_a_key_is_an_error_that_shows_no_secret() {
        let secret = json!({ "data": { "AWS_SECRET_ACCESS_KEY": "aHVzaA==" } });
        let error = key(STORE_ROOT, manifests::object("Secret", &secret).unwrap()).unwrap_err();
        assert!(error.reason().unwrap().contains("AWS_ACCESS_KEY_ID"), "{error:?}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}
