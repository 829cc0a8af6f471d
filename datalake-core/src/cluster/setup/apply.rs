//! Objects on their way to the cluster: server-side apply, and what its refusals mean.

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};

use super::super::client::{Cluster, failed};
use super::super::manifests::KubeObject;
use super::super::names::FIELD_MANAGER;
use crate::error::{Error, ErrorKind, Result};

/// Applies an object, whoever has set its fields before. In a dry run the API server does all but keep it.
pub(super) async fn apply(cluster: &Cluster, object: &KubeObject, is_dry_run: bool) -> Result<DynamicObject> {
    let mut parameters = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
    parameters.dry_run = is_dry_run;
    let done = dynamic(cluster, object).patch(object.name(), &parameters, &Patch::Apply(&object.json)).await;
    done.map_err(|cause| refused(&cluster.arguments(), object, cause))
}

/// The objects of this one's kind, where it is.
pub(super) fn dynamic(cluster: &Cluster, object: &KubeObject) -> Api<DynamicObject> {
    let client = cluster.client().clone();
    match object.namespace() {
        Some(namespace) => Api::namespaced_with(client, namespace, &object.resource),
        None => Api::all_with(client, &object.resource),
    }
}

/// Whether an answer means that the namespace is not there.
pub(super) fn lacks_namespace(cause: &kube::Error) -> bool {
    matches!(cause, kube::Error::Api(status) if status.code == 404 && status.message.contains("namespaces \""))
}

/// What a refusal means, in the cluster and namespace that commands name so.
fn refused(place: &str, object: &KubeObject, cause: kube::Error) -> Error {
    let message = match &cause {
        kube::Error::Api(status) => status.message.clone(),
        _ => String::new(),
    };
    let no_namespace = lacks_namespace(&cause);
    let error = failed("apply", object.title(), cause);
    let kind = object.resource.kind.as_str();
    if no_namespace {
        return error.with_hint(format_args!(
            "make the namespace, or {}",
            namespace_rule(object.namespace().unwrap_or_default())
        ));
    }
    match error.kind() {
        ErrorKind::Denied if kind == "Namespace" => error.with_hint(namespace_rule(object.name())),
        ErrorKind::Denied if message.contains("attempting to grant") => error.with_hint(format_args!(
            "nobody grants rights that they lack: ask for a Role in the namespace {} with the rules that the message names",
            object.namespace().unwrap_or_default()
        )),
        ErrorKind::Exhausted => error.with_hint("raise the ResourceQuota of the namespace, or choose less by --size"),
        ErrorKind::Invalid if message.contains("already allocated") => {
            error.with_hint("choose other ports by --node-ports=S3,CONSOLE, or none by --no-node-ports")
        }
        ErrorKind::Invalid if message.contains("nodePort") => {
            error.with_hint("choose ports that the cluster opens, mostly 30000 to 32767, by --node-ports=S3,CONSOLE")
        }
        ErrorKind::Invalid if kind == "PersistentVolumeClaim" => error.with_hint(
            "a volume can neither shrink nor change its class: leave --size and --storage-class out to keep the one that is \
             there",
        ),
        ErrorKind::Invalid if message.contains("updates to statefulset spec") => {
            error.with_hint(format_args!(
                "take the store down, which keeps its data, and set it up again: datalake teardown {place}"
            ))
        }
        _ => error,
    }
}

/// The rule that lets somebody make the namespace.
fn namespace_rule(name: &str) -> String {
    format!(
        "ask for a ClusterRole with the rule {{apiGroups: [\"\"], resources: [\"namespaces\"], verbs: [\"create\", \"get\", \
         \"patch\"]}}, or have somebody make the namespace {name}: setup goes on in one that is there"
    )
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::super::super::manifests::{Contents, claim, namespace, nodes_service};
    use super::super::super::store::StoreKind;
    use super::super::opening::NodePorts;
    use super::*;

    fn refusal(object: &KubeObject, code: u16, reason: &str, message: &str) -> Error {
        let status = Status { code, reason: reason.to_owned(), message: message.to_owned(), ..Status::default() };
        refused("--context here --namespace big-data", object, kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn refusals_say_what_to_ask_for_or_to_choose() {
        let lake = namespace("big-data").unwrap();
        let nodes = nodes_service("big-data", true, NodePorts::default()).unwrap();
        let contents = Contents { kind: StoreKind::Minio, bucket_prefix: None, buckets: "" };
        let volume = claim("big-data", "1Gi", None, &contents).unwrap();
        for (object, code, reason, message, kind, hint) in [
            (
                &lake,
                403,
                "Forbidden",
                "namespaces is forbidden: User \"u\" cannot patch",
                ErrorKind::Denied,
                "\"create\"",
            ),
            (&volume, 404, "NotFound", "namespaces \"big-data\" not found", ErrorKind::NotFound, "\"create\""),
            (&volume, 403, "Forbidden", "exceeded quota: q", ErrorKind::Exhausted, "--size"),
            (&volume, 422, "Invalid", "field can not be less than status.capacity", ErrorKind::Invalid, "--size"),
            (
                &nodes,
                422,
                "Invalid",
                "nodePort: provided port is already allocated",
                ErrorKind::Invalid,
                "--node-ports=",
            ),
            (
                &nodes,
                422,
                "Invalid",
                "updates to statefulset spec for fields other than 'replicas' are forbidden",
                ErrorKind::Invalid,
                "teardown --context here --namespace big-data",
            ),
        ] {
            let error = refusal(object, code, reason, message);
            assert_eq!(error.kind(), kind, "{message}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
        }
    }
}
