//! Settings into objects of Kubernetes: pure functions, so that what would be applied can be printed and compared.

mod access;
mod driver;
mod job;
mod job_settings;
mod kube_object;
mod lake;
mod network;
mod pod;
mod store;
mod submitted;
mod worker;

pub(crate) use access::{job_accounts, namespace, store_account};
pub(crate) use driver::{CONTAINER as DRIVERS, driver_job};
pub(crate) use job::QUEUE_LABEL;
pub(crate) use job_settings::bytes;
pub use job_settings::{JobSettings, Toleration};
pub(crate) use kube_object::KubeObject;
pub(crate) use lake::{
    ACCESS_KEY_ID, BUCKET_NAMES, BUCKET_PREFIX, LAKE_URL, SECRET_ACCESS_KEY, lake_config, lake_secret, root_secret,
};
pub(crate) use network::{ingress, nodes_service, store_policy, store_service};
pub(crate) use store::{Contents, claim, disruption_budget, has_console, slug as store_slug, stateful_set};
pub(crate) use submitted::{SUBMITTED, script_map, script_name, submitted_job};
pub(crate) use worker::{CONTAINER as WORKERS, WorkerJob, worker_job};

use super::submit::Script;

use serde_json::Value;

use crate::error::{Error, Result};

/// An object of the API from the same as JSON; by its text, since that is how answers are read too, and a second way to read
/// all kinds would have to be compiled.
pub(crate) fn object<K: serde::de::DeserializeOwned>(what: &str, json: &Value) -> Result<K> {
    serde_json::from_str(&json.to_string()).map_err(|cause| Error::internal("describe", what).with_source(cause))
}
