//! Settings into objects of Kubernetes: pure functions, so that what would be applied can be printed and compared.

mod driver;
mod job;
mod pod;
mod submitted;

pub(crate) use driver::driver_job;
pub use job::{JobSettings, Toleration};
pub(crate) use job::{WorkerJob, worker_job};
pub(crate) use submitted::{script_map, submitted_job};

use super::submit::Script;

use serde_json::Value;

use crate::error::{Error, Result};

/// An object of the API from the same as JSON.
pub(crate) fn object<K: serde::de::DeserializeOwned>(what: &str, json: Value) -> Result<K> {
    serde_json::from_value(json).map_err(|cause| Error::internal("describe", what).with_source(cause))
}
