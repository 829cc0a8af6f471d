//! What it takes to run on Kubernetes: container images, made without a container engine, and an object store with
//! a key for Jobs.

#[cfg(feature = "image")]
pub mod image;
#[cfg(feature = "k8s")]
pub mod store;
