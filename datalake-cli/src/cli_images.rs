//! The command line of images.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Packs a static Linux program into an image.
    #[command(after_help = "Example:
  datalake image pack --name localhost/minio:1 --entrypoint /minio -o minio.tar ~/go/bin/minio
  k3s ctr images import minio.tar          # on each node")]
    Pack(ImagePack),
    /// Packs this binary into an image, where it is static.
    #[command(after_help = "Example:
  datalake image save datalake.tar")]
    Save {
        /// The archive to write.
        file: PathBuf,
        /// The image's name, with a tag [default: localhost/datalake:VERSION].
        #[arg(long, value_name = "REPOSITORY:TAG")]
        name: Option<String>,
    },
    /// Pushes an image to a registry: this binary's, where it is static, or one from an archive.
    ///
    /// What the registry has already is not sent again. Credentials are those of `docker login`, `podman login` or
    /// `crane auth login`. Plain HTTP is spoken to `localhost`, `127.0.0.1` and `[::1]` alone.
    #[command(after_help = "Examples:
  datalake image push registry.local/datalake:1.0
  datalake image push registry.local/minio:1 --from minio.tar")]
    Push {
        /// The image's name there, with registry and tag.
        #[arg(value_name = "REGISTRY/REPOSITORY:TAG")]
        name: String,
        /// An archive that `image pack` or `image save` wrote [default: this binary].
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ImagePack {
    /// The program.
    pub(crate) binary: PathBuf,
    /// The image's name, with a tag.
    #[arg(long, value_name = "REPOSITORY:TAG")]
    pub(crate) name: String,
    /// Where the program lies in the image, which is what its containers run.
    #[arg(long, value_name = "PATH")]
    pub(crate) entrypoint: String,
    /// The archive to write.
    #[arg(short = 'o', long = "file", value_name = "FILE")]
    pub(crate) file: PathBuf,
}
