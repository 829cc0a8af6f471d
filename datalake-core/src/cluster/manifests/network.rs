//! How the store is reached: services, from outside by every node or an ingress, and who is let through.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use serde_json::{Value, json};

use super::super::names::{CONSOLE_PORT, S3_PORT, STORE, STORE_NODES, selector};
use super::super::setup::NodePorts;
use super::kube_object::{KubeObject, metadata};
use crate::error::Result;

/// The store within the cluster.
pub(crate) fn store_service(namespace: &str, has_console: bool) -> Result<KubeObject> {
    service(namespace, STORE, "ClusterIP", &ports(has_console, None))
}

/// The store on every node.
pub(crate) fn nodes_service(namespace: &str, has_console: bool, on_nodes: NodePorts) -> Result<KubeObject> {
    service(namespace, STORE_NODES, "NodePort", &ports(has_console, Some(on_nodes)))
}

fn service(namespace: &str, name: &str, kind: &str, ports: &[Value]) -> Result<KubeObject> {
    KubeObject::new::<Service>(json!({
        "metadata": metadata(namespace, name, "store"),
        "spec": { "type": kind, "selector": selector("store"), "ports": ports },
    }))
}

fn ports(has_console: bool, on_nodes: Option<NodePorts>) -> Vec<Value> {
    let port = |name: &str, port: u16, on_node: Option<u16>| {
        let mut json = json!({ "name": name, "protocol": "TCP", "port": port, "targetPort": name });
        if let Some(on_node) = on_node {
            json["nodePort"] = json!(on_node);
        }
        json
    };
    let mut ports = vec![port("s3", S3_PORT, on_nodes.map(|ports| ports.s3))];
    if has_console {
        ports.push(port("console", CONSOLE_PORT, on_nodes.map(|ports| ports.console)));
    }
    ports
}

/// The store at port 80 of a host name, by the controller that K3s comes with.
pub(crate) fn ingress(namespace: &str, host: &str) -> Result<KubeObject> {
    let mut metadata = metadata(namespace, STORE, "store");
    metadata["annotations"] = json!({ "traefik.ingress.kubernetes.io/router.entrypoints": "web" });
    let backend = json!({ "service": { "name": STORE, "port": { "name": "s3" } } });
    KubeObject::new::<Ingress>(json!({
        "metadata": metadata,
        "spec": {
            "ingressClassName": "traefik",
            "rules": [{ "host": host, "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] } }],
        },
    }))
}

/// Who reaches the store's pod: anybody where it is open on every node, since the sources of such connections are not
/// known; else pods of this project in this namespace, and the ingress controller where there is an ingress.
pub(crate) fn store_policy(namespace: &str, is_on_nodes: bool, has_ingress: bool) -> Result<KubeObject> {
    let s3 = json!({ "protocol": "TCP", "port": "s3" });
    let mut rules = Vec::new();
    if is_on_nodes {
        rules.push(json!({ "ports": [s3, { "protocol": "TCP", "port": "console" }] }));
    } else {
        let ours = json!({ "podSelector": { "matchLabels": { "app.kubernetes.io/name": "datalake" } } });
        rules.push(json!({ "ports": [s3], "from": [ours] }));
        if has_ingress {
            let controller = json!({
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "kube-system" } },
                "podSelector": { "matchLabels": { "app.kubernetes.io/name": "traefik" } },
            });
            rules.push(json!({ "ports": [s3], "from": [controller] }));
        }
    }
    KubeObject::new::<NetworkPolicy>(json!({
        "metadata": metadata(namespace, STORE, "store"),
        "spec": {
            "podSelector": { "matchLabels": selector("store") },
            "policyTypes": ["Ingress"],
            "ingress": rules,
        },
    }))
}
