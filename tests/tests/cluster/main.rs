//! The command line against a real Kubernetes: `DATALAKE_CLI` is the program, `KUBECONFIG` leads to the cluster, which
//! `kube.sh` brings up.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "figures are printed for who asks for them by --nocapture")]

mod faults;
mod figures;
mod harness;
mod jobs;
mod lost_answers;
mod obstacles;
mod rights;
mod setup;
