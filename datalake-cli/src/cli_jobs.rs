//! The command line of Jobs: where a pipeline runs, what its pods get, and what one of them does.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use datalake_core::cluster::{ClusterOptions, Toleration};
use datalake_core::quantity;

use crate::cli::setting;

/// Where the steps of a pipeline run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    /// In this process.
    #[default]
    Process,
    /// As Jobs of a cluster.
    Kubernetes,
}

/// Which cluster.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct InCluster {
    /// The context of the kubectl configuration [default: that of the last `setup-datalake`, else its current one].
    #[arg(long, env = "DATALAKE_CONTEXT")]
    pub(crate) context: Option<String>,
    /// The namespace of the lake [default: that of the last `setup-datalake`, else big-data].
    #[arg(long, env = "DATALAKE_NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

impl InCluster {
    /// What was said of it; the profile knows the rest.
    pub(crate) fn options(&self) -> ClusterOptions {
        ClusterOptions::default().with_context(self.context.clone()).with_namespace(self.namespace.clone())
    }
}

/// Where a pipeline runs, and how it is shared out.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Jobs")]
pub(crate) struct Where {
    /// Where the steps run: the results are the same, bit for bit.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) on: On,
    /// How many workers there are at a time [default: 2].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) workers: Option<u32>,
    /// Returns once a Job in the cluster drives the run.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Small objects are gathered for one worker up to this size: 1MB, 64MiB.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = quantity::size)]
    pub(crate) shard_size: u64,
    #[command(flatten)]
    pub(crate) pods: Pods,
    #[command(flatten)]
    pub(crate) cluster: InCluster,
}

/// What the pods of Jobs get.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pods")]
pub(crate) struct Pods {
    /// The image: for a Job of your own any; for a run one of this very build [default: the one of the profile, or
    /// localhost/datalake:VERSION].
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Whether nodes pull the image.
    #[arg(long, value_name = "POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub(crate) image_pull_policy: Option<String>,
    /// A Secret with the credentials of a registry; may be given several times.
    #[arg(long, value_name = "SECRET")]
    pub(crate) image_pull_secret: Vec<String>,
    /// CPUs that each worker is granted: 1, 500m [default: what is free].
    #[arg(long, value_name = "CPUS")]
    pub(crate) cpu: Option<String>,
    /// Memory that each worker gets and may not pass.
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    pub(crate) memory: String,
    /// A label that nodes must have; may be given several times.
    #[arg(long, value_name = "LABEL=VALUE", value_parser = setting)]
    pub(crate) node_selector: Vec<(String, String)>,
    /// A taint of nodes that does not matter; may be given several times.
    #[arg(long, value_name = "KEY=VALUE:EFFECT")]
    pub(crate) toleration: Vec<Toleration>,
    /// The priority class of the pods.
    #[arg(long, value_name = "CLASS")]
    pub(crate) priority_class: Option<String>,
    /// The queue of Kueue that admits the Jobs.
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// A variable of the environment, never a secret: it stands in the Job; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) env: Vec<(String, String)>,
    /// Ends a Job after this time: 30min, 2h.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) active_deadline: Option<u64>,
    /// Removes a Job so long after its end.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
    pub(crate) ttl: u64,
    /// How long pods may wait for a node.
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = seconds)]
    pub(crate) pending_limit: u64,
}

/// One shard of an order.
#[derive(Debug, Args)]
pub(crate) struct RunStep {
    /// The order: `bucket/key`.
    pub(crate) order: String,
    /// The stage.
    #[arg(long)]
    pub(crate) stage: String,
    /// The shard, from 0.
    #[arg(long, env = "JOB_COMPLETION_INDEX", default_value_t = 0)]
    pub(crate) shard: u32,
    /// How often it has failed before.
    #[arg(long, env = "DATALAKE_FAILURES", default_value = "0")]
    pub(crate) failures: String,
    /// How often its pod was taken away before.
    #[arg(long, env = "DATALAKE_DISRUPTIONS", default_value = "0")]
    pub(crate) disruptions: String,
    /// Shows metrics at this address meanwhile.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_addr: Option<std::net::SocketAddr>,
}

/// A Job of one's own.
#[derive(Debug, Args)]
pub(crate) struct JobSubmit {
    /// Its name.
    #[arg(long)]
    pub(crate) name: String,
    /// A script that is run by the interpreter of its suffix: .py by python3, .sh by sh.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) pods: Pods,
    #[command(flatten)]
    pub(crate) cluster: InCluster,
    /// Waits until it ends, and shows what it says.
    #[arg(long, help_heading = None)]
    pub(crate) follow: bool,
    /// The command, after `--`, or the arguments of the script.
    #[arg(last = true, help_heading = None)]
    pub(crate) command: Vec<String>,
}

/// The log of a Job of one's own.
#[derive(Debug, Args)]
pub(crate) struct JobLogs {
    /// The Job, as `datalake job list` lists it.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cluster: InCluster,
    /// Goes on until the Job ends, and fails where that has.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How long its pod may wait for a node.
    #[arg(long, value_name = "TIME", default_value = "5min", value_parser = seconds, requires = "follow")]
    pub(crate) pending_limit: u64,
}

/// In whole seconds, as Kubernetes counts.
fn seconds(text: &str) -> datalake_core::Result<u64> {
    quantity::time(text).map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0))
}
