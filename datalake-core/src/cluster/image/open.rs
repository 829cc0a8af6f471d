//! Reads an image back from the archive that it was written to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use super::archive::{NAME, path_of};
use super::{Blob, Image, reference};
use crate::error::{Error, Result};

/// The files of an archive, by path.
type Files = BTreeMap<String, Bytes>;

impl Image {
    /// Reads an image from an archive that [`save`](Self::save) wrote, and sees that everything in it has its digest.
    ///
    /// ```no_run
    /// use datalake_core::cluster::image::Image;
    ///
    /// let image = Image::open("datalake.tar".as_ref())?;
    /// println!("{} {}", image.name(), image.digest());
    /// # Ok::<(), datalake_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a file that is no such archive, or is damaged; as the file system has
    /// them.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| Error::io("read", path.display(), cause))?;
        let refused = |complaint: Complaint| {
            let error = Error::invalid("read", format_args!("an image from {}", path.display()));
            let error = error.with_reason(complaint.reason);
            let error = error.with_hint("give an archive that `image pack` or `image save` wrote, and write it anew");
            match complaint.cause {
                Some(cause) => error.with_source(cause),
                None => error,
            }
        };
        let files = files(file).map_err(refused)?;
        image(&files).map_err(refused)
    }
}

/// Why something is no image.
struct Complaint {
    reason: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Complaint {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), cause: None }
    }

    fn of(reason: impl Into<String>, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { reason: reason.into(), cause: Some(cause.into()) }
    }
}

fn files(file: File) -> Result<Files, Complaint> {
    let no_archive = |cause| Complaint::of("it is no archive of tar, or ends too early", cause);
    let mut files = Files::new();
    for entry in tar::Archive::new(BufReader::new(file)).entries().map_err(no_archive)? {
        let mut entry = entry.map_err(no_archive)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(no_archive)?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(no_archive)?;
        files.insert(path, content.into());
    }
    Ok(files)
}

fn image(files: &Files) -> Result<Image, Complaint> {
    let index = files.get("index.json").ok_or_else(|| Complaint::new("it holds no image: it has no `index.json`"))?;
    let unreadable = |what: &str| {
        let reason = format!("{what} cannot be understood");
        move |cause| Complaint::of(reason, cause)
    };
    let index = ImageIndex::from_reader(&**index).map_err(unreadable("its `index.json`"))?;
    let [listed] = index.manifests().as_slice() else {
        return Err(Complaint::new(format!("it holds {} images instead of one", index.manifests().len())));
    };
    let manifest = blob(listed, files)?;
    let described = ImageManifest::from_reader(&*manifest.bytes).map_err(unreadable("the image's manifest"))?;
    let [layer] = described.layers().as_slice() else {
        return Err(Complaint::new(format!("its image has {} layers instead of one", described.layers().len())));
    };
    let (layer, config) = (blob(layer, files)?, blob(described.config(), files)?);
    let configuration = ImageConfiguration::from_reader(&*config.bytes).map_err(unreadable("the image's settings"))?;
    let name = listed.annotations().as_ref().and_then(|annotations| annotations.get(NAME));
    let name = name.ok_or_else(|| Complaint::new("its image has no name"))?;
    let name = reference(name).map_err(|cause| Complaint::of("the image's name is none", cause))?;
    Ok(Image { name, architecture: configuration.architecture().clone(), layer, config, manifest })
}

fn blob(descriptor: &Descriptor, files: &Files) -> Result<Blob, Complaint> {
    let digest = descriptor.as_digest_sha256();
    let digest = digest.ok_or_else(|| Complaint::new(format!("`{}` is no SHA-256", descriptor.digest())))?;
    let content = files.get(&path_of(digest)).ok_or_else(|| Complaint::new(format!("`{digest}` is missing in it")))?;
    let blob = Blob::new(descriptor.media_type().clone(), content.clone());
    if blob.digest != digest || blob.bytes.len() as u64 != descriptor.size() {
        return Err(Complaint::new(format!("`{digest}` is damaged: its content is that of `{}`", blob.digest)));
    }
    Ok(blob)
}
