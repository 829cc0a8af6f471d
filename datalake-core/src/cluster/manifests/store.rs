//! The store: one pod with one volume.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use super::super::names::{
    BUCKET_PREFIX_ANNOTATION, BUCKETS_ANNOTATION, CONSOLE_PORT, ROOT_KEY_ANNOTATION, S3_PORT, STORE, STORE_LABEL,
    STORE_ROOT, labels, selector,
};
use super::super::store::StoreKind;
use super::kube_object::{KubeObject, metadata};
use super::lake::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use super::pod::{container_security, pod_security};
use crate::error::Result;

/// The container of the store.
pub(crate) const CONTAINER: &str = "store";
/// Where the volume is in it.
const DATA: &str = "/data";

/// What must be known of the data on a volume to find them again.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    /// Which server reads them.
    pub(crate) kind: StoreKind,
    /// What the real names of buckets begin with.
    pub(crate) bucket_prefix: Option<&'a str>,
    /// The buckets that Jobs may open beside the usual ones, and real names: `exports,sales=acme-sales`.
    pub(crate) buckets: &'a str,
}

/// The claim to the volume. It is not of the StatefulSet, so that it stays when that goes.
pub(crate) fn claim(
    namespace: &str,
    size: &str,
    storage_class: Option<&str>,
    contents: &Contents<'_>,
) -> Result<KubeObject> {
    let mut metadata = metadata(namespace, STORE, "store");
    metadata["labels"][STORE_LABEL] = json!(slug(contents.kind));
    metadata["annotations"] = json!({
        BUCKET_PREFIX_ANNOTATION: contents.bucket_prefix.unwrap_or_default(),
        BUCKETS_ANNOTATION: contents.buckets,
    });
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": size } },
    });
    if let Some(class) = storage_class {
        spec["storageClassName"] = json!(class);
    }
    KubeObject::new::<PersistentVolumeClaim>(json!({ "metadata": metadata, "spec": spec }))
}

/// A kind of store as the value of a label.
pub(crate) fn slug(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Minio => "minio",
        StoreKind::Versitygw => "versitygw",
        StoreKind::External => "external",
    }
}

/// Whether a store of this kind shows a console.
pub(crate) fn has_console(kind: StoreKind) -> bool {
    kind == StoreKind::Minio
}

/// Lets a node be drained although there is one pod only.
pub(crate) fn disruption_budget(namespace: &str) -> Result<KubeObject> {
    KubeObject::new::<PodDisruptionBudget>(json!({
        "metadata": metadata(namespace, STORE, "store"),
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": selector("store") } },
    }))
}

/// The pod of the store, kept running.
pub(crate) fn stateful_set(
    namespace: &str,
    kind: StoreKind,
    image: &str,
    pull_policy: Option<&str>,
    root_key_digest: Option<&str>,
) -> Result<KubeObject> {
    let program = Program::of(kind);
    let mut ports = vec![json!({ "name": "s3", "containerPort": S3_PORT, "protocol": "TCP" })];
    if has_console(kind) {
        ports.push(json!({ "name": "console", "containerPort": CONSOLE_PORT, "protocol": "TCP" }));
    }
    let mut container = json!({
        "name": CONTAINER,
        "image": image,
        "args": program.args,
        "env": program.env,
        "ports": ports,
        "resources": {
            "requests": { "cpu": "100m", "memory": "256Mi" },
            "limits": { "memory": "1Gi" },
        },
        "securityContext": container_security(),
        // Five minutes for a start with much data, then quick to say that it is ready, and slow to be killed.
        "startupProbe": probe(program.live, 1, 300),
        "readinessProbe": probe(program.ready, 2, 3),
        "livenessProbe": probe(program.live, 10, 6),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{ "name": "data", "mountPath": DATA }, { "name": "tmp", "mountPath": "/tmp" }],
    });
    if let Some(policy) = pull_policy {
        container["imagePullPolicy"] = json!(policy);
    }
    let mut template = json!({
        "metadata": { "labels": labels("store") },
        "spec": {
            "serviceAccountName": STORE,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 30,
            "securityContext": pod_security(),
            "containers": [container],
            "volumes": [
                { "name": "data", "persistentVolumeClaim": { "claimName": STORE } },
                { "name": "tmp", "emptyDir": {} },
            ],
        },
    });
    if let Some(digest) = root_key_digest {
        template["metadata"]["annotations"] = json!({ ROOT_KEY_ANNOTATION: digest });
    }
    KubeObject::new::<StatefulSet>(json!({
        "metadata": metadata(namespace, STORE, "store"),
        "spec": {
            "serviceName": STORE,
            "replicas": 1,
            // Otherwise a pod that cannot start would never be replaced by one that can.
            "podManagementPolicy": "Parallel",
            "selector": { "matchLabels": selector("store") },
            "template": template,
        },
    }))
}

/// How a server is started and asked for its health.
struct Program {
    args: Value,
    env: Value,
    live: &'static str,
    ready: &'static str,
}

impl Program {
    fn of(kind: StoreKind) -> Self {
        let of_root = |name: &str, key: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": STORE_ROOT, "key": key } } });
        let is = |name: &str, value: &str| json!({ "name": name, "value": value });
        match kind {
            StoreKind::Versitygw => Self {
                // Accounts are files beside the buckets, which are folders: the image has nothing to make folders with.
                args: json!([
                    "--port",
                    format!(":{S3_PORT}"),
                    "--iam-dir",
                    DATA,
                    "--health",
                    "/_health",
                    "posix",
                    DATA
                ]),
                env: json!([
                    of_root("ROOT_ACCESS_KEY", ACCESS_KEY_ID),
                    of_root("ROOT_SECRET_KEY", SECRET_ACCESS_KEY),
                    is("GOMEMLIMIT", "900MiB"),
                ]),
                live: "/_health",
                ready: "/_health",
            },
            StoreKind::Minio | StoreKind::External => Self {
                args: json!([
                    "server",
                    DATA,
                    "--address",
                    format!(":{S3_PORT}"),
                    "--console-address",
                    format!(":{CONSOLE_PORT}"),
                ]),
                env: json!([
                    of_root("MINIO_ROOT_USER", ACCESS_KEY_ID),
                    of_root("MINIO_ROOT_PASSWORD", SECRET_ACCESS_KEY),
                    is("MINIO_UPDATE", "off"),
                    is("MINIO_CALLHOME_ENABLE", "off"),
                    // Where it looks for certificates.
                    is("HOME", "/tmp"),
                    is("GOMEMLIMIT", "900MiB"),
                ]),
                live: "/minio/health/live",
                ready: "/minio/health/ready",
            },
        }
    }
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "s3" },
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    })
}
