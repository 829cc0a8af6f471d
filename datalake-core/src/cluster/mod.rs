//! What it takes to run on Kubernetes: container images, made without a container engine.

pub mod image;
