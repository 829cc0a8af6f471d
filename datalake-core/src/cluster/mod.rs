//! What it takes to run on Kubernetes: container images, the store, and Jobs that carry out the steps of a pipeline.
//!
//! ```no_run
//! # async fn example() -> datalake_core::Result<()> {
//! use std::sync::Arc;
//!
//! use datalake_core::cluster::{Cluster, ClusterOptions, JobSettings, KubeJobs, SetupSettings};
//! use datalake_core::lake::{LakeOptions, open};
//! use datalake_core::pipeline::{Pipeline, RunOptions, Sharing};
//! use datalake_core::progress::Silent;
//!
//! let cluster = Cluster::connect(&ClusterOptions::default()).await?;
//! let done = cluster.setup(&SetupSettings::minio("localhost/minio:1"), &Silent).await?;
//! let key = done.key.expect("a store of our own has one");
//! let options = LakeOptions::default().with_credentials(key.access_key_id, key.secret_access_key);
//!
//! let jobs = KubeJobs::new(&cluster, JobSettings::new("registry.local/datalake:1.0"), Sharing::new(3));
//! let pipeline = Pipeline::from_toml("foods.toml", &std::fs::read_to_string("foods.toml").expect("a file"), &[])?;
//! let manifest = pipeline.run(open(&done.url, &options)?, &jobs, RunOptions::default(), Arc::new(Silent)).await?;
//! println!("{}", manifest.status);
//! # Ok(()) }
//! ```
//!
//! `image` needs no cluster. The version of the API is chosen by whoever links the crate, by a feature of `k8s-openapi`.

mod client;
mod defaults;
mod detach;
pub mod image;
mod jobs;
mod manifests;
pub mod names;
mod overview;
mod pods;
pub mod profile;
mod runner;
mod setup;
pub mod store;
mod submit;
mod submitted;

pub use client::{Cluster, ClusterOptions};
pub use detach::{Detached, drive};
pub use manifests::{JobSettings, Toleration};
pub use overview::{JobState, Overview, PodState};
pub use runner::KubeJobs;
pub use setup::{Checked, NodePorts, Opening, SetupDone, SetupSettings, TornDown};
pub use submit::Script;
pub use submitted::Submitted;
