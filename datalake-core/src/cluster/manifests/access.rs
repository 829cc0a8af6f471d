//! Where the lake lives and who may do what there: the namespace, accounts, the role of the driver.

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde_json::json;

use super::super::names::{DRIVER, STORE, WORKER, labels};
use super::kube_object::{KubeObject, metadata};
use crate::error::Result;

/// The namespace, which admits pods of the standard `restricted` and no others.
pub(crate) fn namespace(name: &str) -> Result<KubeObject> {
    let mut labels = labels("lake");
    for mode in ["enforce", "warn", "audit"] {
        labels.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".to_owned());
    }
    KubeObject::new::<Namespace>(json!({ "metadata": { "name": name, "labels": labels } }))
}

/// The account of the store's pod: no role, no token.
pub(crate) fn store_account(namespace: &str) -> Result<KubeObject> {
    account(namespace, STORE, "store")
}

/// The account of workers: no role, no token. The account of drivers, and what it may do. Its pod asks for the token
/// itself, so that no other pod of this account has one.
pub(crate) fn job_accounts(namespace: &str) -> Result<Vec<KubeObject>> {
    let role = json!({
        "metadata": metadata(namespace, DRIVER, "driver"),
        "rules": [
            { "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "delete"] },
            { "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] },
            { "apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"] },
            { "apiGroups": [""], "resources": ["events"], "verbs": ["list"] },
        ],
    });
    let binding = json!({
        "metadata": metadata(namespace, DRIVER, "driver"),
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": DRIVER },
        "subjects": [{ "kind": "ServiceAccount", "name": DRIVER, "namespace": namespace }],
    });
    Ok(vec![
        account(namespace, WORKER, "worker")?,
        account(namespace, DRIVER, "driver")?,
        KubeObject::new::<Role>(role)?,
        KubeObject::new::<RoleBinding>(binding)?,
    ])
}

fn account(namespace: &str, name: &str, component: &str) -> Result<KubeObject> {
    KubeObject::new::<ServiceAccount>(json!({
        "metadata": metadata(namespace, name, component),
        "automountServiceAccountToken": false,
    }))
}
