//! The command line of a lake in a cluster: how it is set up and taken down.

use clap::{Args, ValueEnum};
use datalake_core::cluster::NodePorts;
use datalake_core::lake::BucketName;

use crate::cli_jobs::InCluster;

pub(crate) const SETUP_EXAMPLES: &str = "Examples:
  CGO_ENABLED=0 go install github.com/minio/minio@latest
  datalake image pack --name localhost/minio:1 --entrypoint /minio -o minio.tar ~/go/bin/minio
  k3s ctr images import minio.tar                       # on each node; or push it to a registry
  datalake setup-datalake --image localhost/minio:1
  datalake ls

  datalake setup-datalake --image localhost/minio:1 --print yaml    # what would be applied; needs no cluster
  datalake setup-datalake --image localhost/minio:1 --dry-run       # what the API server says of it
  datalake setup-datalake --rotate                                  # new keys
  datalake setup-datalake --more-buckets exports,reports            # for pipelines that work in others, too
  datalake --lake https://s3.eu-central-1.amazonaws.com setup-datalake --store external";

pub(crate) const TEARDOWN_EXAMPLES: &str = "Examples:
  datalake teardown                        # the volume, its data and its keys stay
  datalake teardown --delete-data --yes";

#[derive(Debug, Args)]
pub(crate) struct Setup {
    #[command(flatten)]
    pub(crate) cluster: InCluster,
    /// Which server keeps the objects; `external` is the endpoint of --lake, opened by the AWS_* variables.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) store: StoreChoice,
    /// The image of that server, which has it as its entrypoint [default: that of the last `setup-datalake`].
    #[arg(long, value_name = "REPOSITORY:TAG")]
    pub(crate) image: Option<String>,
    /// When nodes pull the image: `Never` for one that was imported on them [default: as Kubernetes does by the tag].
    #[arg(long, value_name = "POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub(crate) image_pull_policy: Option<String>,
    /// The storage class of the volume [default: that of the volume that is there, else that of the cluster].
    #[arg(long, value_name = "NAME")]
    pub(crate) storage_class: Option<String>,
    /// The size of the volume [default: that of the volume that is there, else 10Gi].
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) size: Option<String>,
    /// Opens the store on every node, at these ports for S3 and for the console [default: as the store that is there, else
    /// 30900,30901].
    #[arg(
        long,
        value_name = "S3,CONSOLE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30900,30901"
    )]
    pub(crate) node_ports: Option<NodePorts>,
    /// Opens the store on no node.
    #[arg(long, conflicts_with = "node_ports")]
    pub(crate) no_node_ports: bool,
    /// Opens the store at port 80 of this host name, by the ingress controller of K3s [default: as the store that is there].
    #[arg(long, value_name = "HOST")]
    pub(crate) ingress: Option<String>,
    /// Opens the store at no host name.
    #[arg(long, conflicts_with = "ingress")]
    pub(crate) no_ingress: bool,
    /// Buckets that are made and opened to Jobs beside raw-data, processed-data, models, those with a real name of their
    /// own, and those of earlier setups.
    #[arg(long, value_name = "BUCKET,…", value_delimiter = ',', value_parser = bucket)]
    pub(crate) more_buckets: Vec<BucketName>,
    /// Closes those that earlier setups have added by --more-buckets to Jobs; they stay, with all that is in them, and those
    /// with a real name of their own stay open.
    #[arg(long)]
    pub(crate) no_more_buckets: bool,
    /// Makes new keys; the old ones end at once.
    #[arg(long)]
    pub(crate) rotate: bool,
    /// How many seconds the store may take to be ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) timeout: u64,
    /// Has the API server check everything, and keeps nothing of it.
    #[arg(long, conflicts_with = "print")]
    pub(crate) dry_run: bool,
    /// Prints what would be applied, without a cluster; Secrets are named, not written.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) print: Option<Print>,
}

/// Which server keeps the objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreChoice {
    /// MinIO.
    #[default]
    Minio,
    /// Versity's S3 gateway on a folder.
    Versitygw,
    /// Any S3 that is there already.
    External,
}

/// How objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Print {
    /// As `kubectl apply` takes them.
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct Teardown {
    #[command(flatten)]
    pub(crate) cluster: InCluster,
    /// Removes the volume, its data and its keys, too.
    #[arg(long)]
    pub(crate) delete_data: bool,
    /// Does not ask.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

fn bucket(text: &str) -> datalake_core::Result<BucketName> {
    BucketName::new(text)
}
