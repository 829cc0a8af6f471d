//! What things are called in a cluster: namespace, objects, ports, labels.

use std::collections::BTreeMap;

/// The namespace of the lake where none is named.
pub const NAMESPACE: &str = "big-data";
/// Who has applied a field, in server-side apply.
pub const FIELD_MANAGER: &str = "datalake";
/// The store: its workload, services and configuration.
pub const STORE: &str = "datalake-store";
/// The Secret with the root key of the store.
pub const STORE_ROOT: &str = "datalake-store-root";
/// The Service that opens the store on every node.
pub const STORE_NODES: &str = "datalake-store-nodes";
/// What Jobs need to reach the lake: a Secret with the key of Jobs, a ConfigMap with the endpoint.
pub const LAKE: &str = "datalake-lake";
/// The service account of workers: no role, no token.
pub const WORKER: &str = "datalake-worker";
/// The service account of the pod that drives a run in the cluster: may manage Jobs of its namespace.
pub const DRIVER: &str = "datalake-driver";
/// The port of the store's S3 API within the cluster.
pub const S3_PORT: u16 = 9000;
/// The port of the store's console within the cluster.
pub const CONSOLE_PORT: u16 = 9001;
/// The port of the store's S3 API on every node.
pub const S3_NODE_PORT: u16 = 30900;
/// The port of the store's console on every node.
pub const CONSOLE_NODE_PORT: u16 = 30901;
/// The user and group of every container: `nonroot` of the images that this project makes.
pub const USER: i64 = 65532;

/// Which server keeps the objects of a claim: the data of one are not readable for another.
pub const STORE_LABEL: &str = "datalake/store";
/// What the names of the buckets on a claim begin with; empty where they have no prefix.
pub const BUCKET_PREFIX_ANNOTATION: &str = "datalake/bucket-prefix";
/// The buckets on a claim that Jobs may open beside the usual ones, and real names: `exports,sales=acme-sales`.
pub const BUCKETS_ANNOTATION: &str = "datalake/buckets";
/// A digest of the name of the root key: another key is another pod.
pub const ROOT_KEY_ANNOTATION: &str = "datalake/root-key";
/// Names of keys of Jobs that were replaced and have not ended yet.
pub const REPLACED_KEYS_ANNOTATION: &str = "datalake/replaced-keys";
/// The run that an object belongs to.
pub const RUN_LABEL: &str = "datalake/run";
/// Which step of the run, by its number and name.
pub const STEP_LABEL: &str = "datalake/step";
/// Which stage of the step.
pub const STAGE_LABEL: &str = "datalake/stage";
/// Where the order of a Job lies in the lake.
pub const ORDER_ANNOTATION: &str = "datalake/order";
/// A digest of how the pods of a Job are made.
pub const SETTINGS_ANNOTATION: &str = "datalake/settings";
/// On a Job of somebody's own: the call that has submitted it.
pub const SUBMISSION_ANNOTATION: &str = "datalake/submission";

/// The labels of every object: the recommended ones of Kubernetes.
#[must_use]
pub fn labels(component: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "datalake"),
        ("app.kubernetes.io/component", component),
        ("app.kubernetes.io/managed-by", FIELD_MANAGER),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// What selects every object that this project has made.
#[must_use]
pub fn managed() -> String {
    format!("app.kubernetes.io/managed-by={FIELD_MANAGER}")
}

/// The labels that select the pods of a component.
#[must_use]
pub fn selector(component: &str) -> BTreeMap<String, String> {
    let mut labels = labels(component);
    labels.remove("app.kubernetes.io/managed-by");
    labels
}

/// A text as a part of an object's name or label: small letters, digits and single hyphens, at most `most` characters.
#[must_use]
pub fn slug(text: &str, most: usize) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if slug.len() == most {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_fits_into_names_of_objects() {
        assert_eq!(slug("Food group_2 (new)", 63), "food-group-2-new");
        assert_eq!(slug("__x__", 63), "x");
        assert_eq!(slug("Kalorien für Äpfel", 11), "kalorien-f");
        assert_eq!(slug("ÄÖ", 63), "");
    }
}
