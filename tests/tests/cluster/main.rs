//! The command line against a real Kubernetes: `DATALAKE_CLI` is the program, `KUBECONFIG` leads to the cluster, which
//! `kube.sh` brings up.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod faults;
mod harness;
mod jobs;
mod obstacles;
mod rights;
mod setup;
