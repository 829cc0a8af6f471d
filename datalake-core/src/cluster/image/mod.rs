//! Container images of static programs, made and pushed without a container engine.
//!
//! An image holds one program, the certificate authorities that Mozilla trusts and a user that is not root, in one layer:
//! nothing else. Times, owners and orders are fixed, so that one program gives one image, to the byte.
//!
//! After the Image Format Specification of the Open Container Initiative, 1.1.

mod archive;
mod entry;
mod layer;
mod open;
mod program;
mod push;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use oci_spec::distribution::Reference;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder, ImageManifestBuilder, MediaType, Os,
    RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use sha2::{Digest, Sha256};

pub use self::program::Program;
pub use self::push::{Credentials, Pushed};
use crate::error::{Error, Result};
use crate::format::digest::hex;

/// The user and the group that programs run as.
pub const USER: u32 = 65_532;

/// The name of the image of this very version of the command line tool, where no other is given.
#[must_use]
pub fn own_image() -> String {
    format!("localhost/datalake:{}", env!("CARGO_PKG_VERSION"))
}

/// An image of one program, in memory.
///
/// ```no_run
/// use datalake_core::cluster::image::{Image, Program};
///
/// let program = Program::read("target/x86_64-unknown-linux-musl/release/datalake".as_ref())?;
/// let image = Image::new("localhost/datalake:1.0", "/datalake", &program)?;
/// let mut archive = std::fs::File::create("datalake.tar")?;
/// image.write_archive(&mut archive)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Image {
    name: Reference,
    architecture: Arch,
    layer: Blob,
    config: Blob,
    manifest: Blob,
}

/// Bytes that are named by their digest.
#[derive(Debug, Clone)]
struct Blob {
    media_type: MediaType,
    bytes: Bytes,
    /// Of SHA-256, in hexadecimal digits.
    digest: String,
}

impl Blob {
    fn new(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = hex(&Sha256::digest(&bytes));
        Self { media_type, bytes, digest }
    }

    /// Its digest as registries write it: `sha256:…`.
    fn name(&self) -> String {
        format!("sha256:{}", self.digest)
    }

    fn descriptor(&self) -> Result<Descriptor> {
        let digest: Sha256Digest = self.digest.parse().map_err(|cause| internal("name", "a blob", cause))?;
        DescriptorBuilder::default()
            .media_type(self.media_type.clone())
            .size(self.bytes.len() as u64)
            .digest(digest)
            .build()
            .map_err(|cause| internal("describe", "a blob", cause))
    }
}

fn internal(action: &str, subject: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(action, subject).with_source(cause)
}

impl Image {
    /// An image of a program, which lies at `entrypoint` and is what its containers run.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a name that is no image's, and for an entrypoint that is no absolute path
    /// or lies where the image has a file of its own.
    pub fn new(name: &str, entrypoint: &str, program: &Program) -> Result<Self> {
        let name = reference(name)?;
        let layer = layer::write(entrypoint, program.bytes())?;
        let config = ConfigBuilder::default()
            .user(format!("{USER}:{USER}"))
            .entrypoint([entrypoint.to_owned()])
            .env(["PATH=/".to_owned(), format!("SSL_CERT_FILE=/{}", layer::CERTIFICATES)])
            .working_dir("/")
            .build()
            .map_err(|cause| internal("describe", "an image", cause))?;
        let config = ImageConfigurationBuilder::default()
            .architecture(program.architecture().clone())
            .os(Os::Linux)
            .config(config)
            .rootfs(
                RootFsBuilder::default()
                    .typ("layers")
                    .diff_ids([format!("sha256:{}", layer.digest)])
                    .build()
                    .map_err(|cause| internal("describe", "a layer", cause))?,
            )
            .build()
            .map_err(|cause| internal("describe", "an image", cause))?;
        let config = Blob::new(MediaType::ImageConfig, json(&config)?);
        let layer = Blob::new(MediaType::ImageLayerGzip, layer.compressed);
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor()?)
            .layers([layer.descriptor()?])
            .build()
            .map_err(|cause| internal("describe", "an image", cause))?;
        let manifest = Blob::new(MediaType::ImageManifest, json(&manifest)?);
        Ok(Self { name, architecture: program.architecture().clone(), layer, config, manifest })
    }

    /// Its name with registry, repository and tag.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.whole()
    }

    /// Its digest, that of its manifest: `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> String {
        self.manifest.name()
    }

    /// How many bytes a node has to fetch.
    #[must_use]
    pub fn size(&self) -> u64 {
        [&self.layer, &self.config, &self.manifest].map(|blob| blob.bytes.len() as u64).iter().sum()
    }

    /// Writes the image as a file, whole or not at all, that `k3s ctr images import`, `docker load` and `podman load` take.
    ///
    /// # Errors
    /// As the file system has them.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |cause| Error::io("write", path.display(), cause);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        // As any new file: what others may do is up to the process's mask.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
        let mut file = builder.tempfile_in(folder).map_err(failed)?;
        self.write_archive(&mut file)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|cause| failed(cause.error))?;
        Ok(())
    }
}

/// An image's name, as commands take it: a tag belongs to it, so that no cluster asks for `latest` again and again.
fn reference(name: &str) -> Result<Reference> {
    let invalid = || Error::invalid("name", format_args!("the image `{name}`"));
    let hint = "write it as REGISTRY/REPOSITORY:TAG, such as localhost/datalake:1.0";
    let reference: Reference = name.parse().map_err(|cause| invalid().with_hint(hint).with_source(cause))?;
    if reference.digest().is_some() {
        return Err(invalid().with_reason("a digest follows from what the image holds").with_hint(hint));
    }
    Ok(reference)
}

/// The JSON of something whose fields are in any order, in one order.
fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let failed = |cause| internal("write", "JSON", cause);
    let mut value = serde_json::to_value(value).map_err(failed)?;
    value.sort_all_objects();
    serde_json::to_vec(&value).map_err(failed)
}

#[cfg(test)]
mod tests;
