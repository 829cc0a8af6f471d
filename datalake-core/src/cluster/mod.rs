//! What it takes to run on Kubernetes: container images, the store, and Jobs that carry out the steps of a pipeline.
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

pub use client::{Cluster, ClusterOptions};
pub use detach::{Detached, drive};
pub use manifests::{JobSettings, Toleration};
pub use overview::{JobState, Overview, PodState};
pub use runner::KubeJobs;
pub use setup::{Checked, NodePorts, SetupDone, SetupSettings, TornDown};
pub use submit::{Script, Submitted};
