//! An image as one file: an OCI image layout that is a Docker archive, too.

use std::io::Write;

use oci_spec::image::{ImageIndexBuilder, MediaType, Os, PlatformBuilder, SCHEMA_VERSION};
use serde_json::json;
use tar::{Builder, EntryType};

use super::entry::append;
use super::{Blob, Image, internal, json};
use crate::error::{Error, Result};

/// What containerd takes an image's whole name from, where it would put its folder's name before the tag else.
pub(super) const NAME: &str = "io.containerd.image.name";

impl Image {
    /// Writes the image as an archive that `k3s ctr images import`, `docker load` and `podman load` take.
    ///
    /// # Errors
    /// As the sink has them.
    pub fn write_archive(&self, sink: &mut dyn Write) -> Result<()> {
        let mut tar = Builder::new(sink);
        let layer_path = path(&self.layer);
        // What Docker reads; it ignores the rest, as others ignore this.
        let docker = json!([{ "Config": path(&self.config), "RepoTags": [self.name.whole()], "Layers": [layer_path] }]);
        let layout = json!({ "imageLayoutVersion": "1.0.0" });
        let mut files = vec![
            ("index.json".to_owned(), self.index()?),
            ("manifest.json".to_owned(), json(&docker)?),
            ("oci-layout".to_owned(), json(&layout)?),
        ];
        files.extend([&self.config, &self.layer, &self.manifest].map(|blob| (path(blob), blob.bytes.to_vec())));
        files.sort();
        let mut all = || -> std::io::Result<()> {
            for (path, content) in &files {
                append(&mut tar, path, EntryType::Regular, 0o644, content)?;
            }
            tar.finish()
        };
        all().map_err(|cause| Error::io("write", format_args!("the image `{}`", self.name.whole()), cause))
    }

    fn index(&self) -> Result<Vec<u8>> {
        let mut manifest = self.manifest.descriptor()?;
        let platform = PlatformBuilder::default()
            .architecture(self.architecture.clone())
            .os(Os::Linux)
            .build()
            .map_err(|cause| internal("describe", "a platform", cause))?;
        manifest.set_platform(Some(platform));
        let names = [
            (NAME.to_owned(), self.name.whole()),
            ("org.opencontainers.image.ref.name".to_owned(), self.name.tag().unwrap_or("latest").to_owned()),
        ];
        manifest.set_annotations(Some(names.into()));
        let index = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests([manifest])
            .build()
            .map_err(|cause| internal("describe", "an image", cause))?;
        json(&index)
    }
}

fn path(blob: &Blob) -> String {
    path_of(&blob.digest)
}

/// Where the blob of a digest is in an archive.
pub(super) fn path_of(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}
