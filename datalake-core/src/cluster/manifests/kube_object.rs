//! An object to apply, of any kind: checked against the type of its kind, then kept as JSON.

use kube::Resource;
use kube::api::ApiResource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::names::labels;
use super::object;
use crate::error::{Error, Result};

/// An object of the API, and the resource that it is one of.
#[derive(Debug, Clone)]
pub(crate) struct KubeObject {
    pub(crate) resource: ApiResource,
    pub(crate) json: Value,
}

impl KubeObject {
    /// The object that this JSON describes. A field that its kind does not have would be dropped by the API server, so it
    /// is an error here.
    pub(super) fn new<K>(mut json: Value) -> Result<Self>
    where
        K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let resource = ApiResource::erase::<K>(&());
        json["apiVersion"] = json!(resource.api_version);
        json["kind"] = json!(resource.kind);
        let typed: K = object(&resource.kind, &json)?;
        let kept: Value = serde_json::to_vec(&typed)
            .and_then(|text| serde_json::from_slice(&text))
            .map_err(|cause| Error::internal("describe", &resource.kind).with_source(cause))?;
        if kept != json {
            return Err(Error::internal("describe", &resource.kind)
                .with_reason(format_args!("fields were dropped: {kept} is left of {json}")));
        }
        Ok(Self { resource, json })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.json["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The namespace that it is in; none for what belongs to the whole cluster.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.json["metadata"]["namespace"].as_str()
    }

    /// Kind and name, as people say them.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.resource.kind, self.name())
    }
}

/// Name, namespace and labels of an object.
pub(super) fn metadata(namespace: &str, name: &str, component: &str) -> Value {
    json!({ "name": name, "namespace": namespace, "labels": labels(component) })
}
