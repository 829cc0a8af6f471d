//! What it takes to run on Kubernetes: container images, the store, and Jobs that carry out the steps of a pipeline.
//!
//! `image` needs no cluster. All else is behind the feature `k8s`; the version of the API is chosen by whoever links the
//! crate, by a feature of `k8s-openapi`.

#[cfg(feature = "k8s")]
mod client;
#[cfg(feature = "k8s")]
mod detach;
pub mod image;
#[cfg(feature = "k8s")]
mod jobs;
#[cfg(feature = "k8s")]
mod manifests;
#[cfg(feature = "k8s")]
pub mod names;
#[cfg(feature = "k8s")]
mod overview;
#[cfg(feature = "k8s")]
mod pods;
#[cfg(feature = "k8s")]
pub mod profile;
#[cfg(feature = "k8s")]
mod runner;
#[cfg(feature = "k8s")]
mod setup;
#[cfg(feature = "k8s")]
pub mod store;
#[cfg(feature = "k8s")]
mod submit;

#[cfg(feature = "k8s")]
pub use client::{Cluster, ClusterOptions};
#[cfg(feature = "k8s")]
pub use detach::{Detached, drive};
#[cfg(feature = "k8s")]
pub use manifests::{JobSettings, Toleration};
#[cfg(feature = "k8s")]
pub use overview::{JobState, Overview, PodState};
#[cfg(feature = "k8s")]
pub use runner::KubeJobs;
#[cfg(feature = "k8s")]
pub use setup::{Checked, NodePorts, SetupDone, SetupSettings, TornDown};
#[cfg(feature = "k8s")]
pub use submit::{Script, Submitted};
