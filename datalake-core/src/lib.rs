//! A data lake with batch machine learning in one engine.
//!
//! - [`lake`]: buckets and objects, in a folder, in memory or on S3;
//! - [`mod@format`]: CSV, JSON and Parquet as streams of record batches, in both directions;
//! - `query`: SQL over lake objects;
//! - `ml`: random forests, baselines, metrics and model files;
//! - `pipeline`: prepare, train, evaluate and predict from one file, with a manifest of what happened;
//! - `cluster`: container images, and pipelines as Jobs on Kubernetes.

// The report of the example is tested here too, and names the crate as an example does.
#[cfg(all(test, feature = "report"))]
extern crate self as datalake_core;

#[cfg(feature = "k8s")]
pub mod cluster;
pub mod compute;
mod error;
pub mod format;
pub mod lake;
#[cfg(feature = "ml")]
pub mod ml;
#[cfg(feature = "pipeline")]
pub mod pipeline;
pub mod progress;
pub mod quantity;
#[cfg(feature = "sql")]
pub mod query;
pub mod random;
#[cfg(feature = "report")]
pub mod report;
#[cfg(feature = "sample")]
pub mod sample;

pub use error::{Error, ErrorKind, Position, Result, kind_of_io};
pub use lake::{Bucket, BucketName, Lake};
