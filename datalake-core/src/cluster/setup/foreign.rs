//! What a namespace holds that is not of our making.

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::PartialObjectMeta;
use kube::discovery::{ApiGroup, Discovery, Scope, verbs};

use super::super::client::{Cluster, failed};
use super::super::names::FIELD_MANAGER;
use crate::error::Result;

/// Kinds that the cluster itself fills, in every namespace or for the objects of others.
const OF_THE_CLUSTER: [&str; 6] = ["Event", "Endpoints", "EndpointSlice", "PodMetrics", "ControllerRevision", "Lease"];

/// Objects in the lake's namespace that others have made, as `Kind name`; where a kind may not be listed, so is that.
pub(super) async fn foreign_objects(cluster: &Cluster) -> Result<Vec<String>> {
    let client = cluster.client();
    let discovery = Discovery::new(client.clone()).run().await;
    let discovery = discovery.map_err(|cause| failed("list", "the kinds of the cluster", cause))?;
    let mut foreign = Vec::new();
    for (resource, capabilities) in discovery.groups().flat_map(ApiGroup::recommended_resources) {
        let is_counted = capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST);
        if !is_counted || OF_THE_CLUSTER.contains(&resource.kind.as_str()) {
            continue;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), cluster.namespace(), &resource);
        match api.list_metadata(&ListParams::default()).await {
            Ok(found) => {
                let others = found.items.iter().filter(|object| !is_known(&resource.kind, object));
                foreign.extend(others.map(|object| {
                    format!("{} {}", resource.kind, object.metadata.name.as_deref().unwrap_or_default())
                }));
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                foreign.push(format!("{}, which this user may not list", resource.plural));
            }
            // It cannot be listed by anybody.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => {}
            Err(cause) => return Err(failed("list", &resource.plural, cause)),
        }
    }
    Ok(foreign)
}

/// Whether this project has made an object, something that is listed itself owns it, or every namespace has one.
fn is_known(kind: &str, object: &PartialObjectMeta<DynamicObject>) -> bool {
    let metadata = &object.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let manager = metadata.labels.as_ref().and_then(|labels| labels.get("app.kubernetes.io/managed-by"));
    manager.is_some_and(|manager| manager == FIELD_MANAGER)
        || metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty())
        || matches!((kind, name), ("ServiceAccount", "default") | ("ConfigMap", "kube-root-ca.crt"))
}
