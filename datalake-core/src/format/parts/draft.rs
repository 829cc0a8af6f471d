//! A table of several files that is written, but not yet to be seen.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::WrittenFile;
use super::place::{MANIFEST, Manifest, Place};
use crate::error::{Error, Result};
use crate::format::digest::hex;
use crate::format::sink::Written;

/// A table of several files whose manifest is yet to be put in its place, and with it the table.
pub(crate) struct TableDraft {
    place: Place,
    manifest: Manifest,
    /// The manifest's bytes, and their SHA-256.
    text: Bytes,
    sha256: String,
    /// The files that are taken back where the table does not come to be.
    new: Vec<WrittenFile>,
}

impl TableDraft {
    /// Of the files that a manifest names, `new` ones are of this draft.
    pub(super) fn new(place: Place, manifest: Manifest, new: Vec<WrittenFile>) -> Result<Self> {
        let text = serde_json::to_vec_pretty(&manifest);
        let text = Bytes::from(text.map_err(|cause| Error::internal("write", MANIFEST).with_source(cause))?);
        let sha256 = hex(&Sha256::digest(&text));
        Ok(Self { place, manifest, text, sha256, new })
    }

    /// The whole table: rows and bytes of all files, and the SHA-256 of what names them.
    pub(crate) fn written(&self) -> Written {
        let Manifest { rows, digest, files } = &self.manifest;
        let bytes = files.iter().map(|file| file.bytes).sum();
        Written { rows: *rows, bytes, sha256: self.sha256.clone(), digest: digest.clone() }
    }

    /// All files of the table, by their paths.
    pub(crate) fn files(&self) -> &[WrittenFile] {
        &self.manifest.files
    }

    /// Makes the table visible, or takes it back; gives what a user should know.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) where another writer has written a table there meanwhile.
    pub(crate) async fn publish(self) -> Result<Vec<String>> {
        self.place.publish(self.text, &self.new).await
    }

    /// Takes it back.
    #[cfg(feature = "pipeline")]
    pub(crate) async fn abandon(self) {
        self.place.abandon(&self.new).await;
    }
}
