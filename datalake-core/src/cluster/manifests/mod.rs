//! Settings into objects of Kubernetes: pure functions, so that what would be applied can be printed and compared.

mod job;
mod pod;

pub use job::{JobSettings, Toleration};
pub(crate) use job::{WorkerJob, worker_job};

use serde_json::Value;

use crate::error::{Error, Result};

/// An object of the API from the same as JSON.
pub(crate) fn object<K: serde::de::DeserializeOwned>(what: &str, json: Value) -> Result<K> {
    serde_json::from_value(json).map_err(|cause| Error::internal("describe", what).with_source(cause))
}
