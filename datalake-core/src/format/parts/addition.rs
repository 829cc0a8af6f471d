//! Further files for a table of several files that is there.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use object_store::UpdateVersion;
use object_store::path::Path as Key;

use super::Table;
use super::draft::TableDraft;
use super::existing::{Before, What, foreign_manifest, in_folder, manifest};
use super::open::Files;
use super::place::{MANIFEST, Manifest, Place, key_below};
use super::split::Splitter;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::format::batches::Batches;
use crate::format::options::WriteOptions;
use crate::format::sink::Sink;
use crate::lake::{AtomicFolder, Bucket};

/// Writes all batches as further files of a table that was written as several, which is yet to be made visible. They have the
/// columns of the table, those of its folders among them; in each folder they stand behind the others.
///
/// # Errors
/// Those of the batches and of writing; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such table.
pub(crate) async fn add(
    sink: Sink,
    batches: Batches,
    format: Arc<dyn Format>,
    options: &WriteOptions,
) -> Result<TableDraft> {
    let splitter = Splitter::new(&sink.to_string(), batches.schema(), &options.partition_by)?;
    let (place, before) = Place::existing(sink).await?;
    Table::new(splitter, Files::new(place, Some(before), format, options.clone()), batches.schema())
        .drafted(batches)
        .await
}

impl Place {
    /// The table that is there, to which files are to be added.
    async fn existing(sink: Sink) -> Result<(Self, Manifest)> {
        let name = sink.to_string();
        match sink {
            Sink::Folder(to) => {
                let linked = tokio::task::spawn_blocking(move || {
                    let (manifest, text) = of_folder(&to)?;
                    in_folder(&to, true)?;
                    let draft = AtomicFolder::create(&to, true)?;
                    let mut place =
                        Self::Folder { draft, to, overwrite: true, before: Some(text), made: HashSet::new() };
                    manifest.files.iter().try_for_each(|file| place.link(&file.path))?;
                    Ok((place, manifest))
                });
                linked.await.unwrap_or_else(|_| Err(Error::internal("make", &name)))
            }
            Sink::Prefix { bucket, prefix } => {
                let (manifest, version) = of_prefix(&bucket, &prefix, &name).await?;
                let before = Before { manifest: Some(version), replaced: Vec::new() };
                Ok((Self::Prefix { bucket, prefix, before }, manifest))
            }
            _ => Err(Error::internal("write", &name).with_reason("to a table of several files")),
        }
    }

    /// Takes a file of the folder that is there into the one in the making.
    fn link(&mut self, path: &str) -> Result<()> {
        let (folder, file) = path.rsplit_once('/').map_or(("", path), |(folder, file)| (&path[..=folder.len()], file));
        let sink = self.sink(folder, file)?;
        if let (Self::Folder { to, .. }, Sink::LocalFile(new)) = (&*self, sink) {
            let old = to.join(path);
            // Where a file cannot have two names it is copied.
            fs::hard_link(&old, &new)
                .or_else(|_| fs::copy(&old, &new).and_then(|_| fs::File::open(&new)?.sync_all()))
                .map_err(|cause| Error::io("take over", old.display(), cause))?;
        }
        Ok(())
    }
}

/// The manifest of the table below a prefix, to which files are to be added, and its version.
async fn of_prefix(bucket: &Bucket, prefix: &Key, name: &str) -> Result<(Manifest, UpdateVersion)> {
    manifest(bucket, &key_below(prefix, MANIFEST)?, name).await?.ok_or_else(|| no_table(name))
}

/// That of the table in a folder, whose files lie where those of tables do, and its bytes.
fn of_folder(path: &Path) -> Result<(Manifest, Vec<u8>)> {
    let name = path.display().to_string();
    let text = match fs::read(path.join(MANIFEST)) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Err(no_table(&name)),
        text => text.map_err(|cause| Error::io("read", path.join(MANIFEST).display(), cause))?,
    };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|cause| foreign_manifest(&name, cause))?;
    match manifest.files.iter().find(|file| What::of(&file.path) != What::Rows) {
        None => Ok((manifest, text)),
        Some(file) => Err(Error::invalid("add rows to", name)
            .with_reason(format_args!("its `{MANIFEST}` names `{}`, which is no file of a table", file.path))),
    }
}

fn no_table(name: &str) -> Error {
    Error::not_found("add rows to", name).with_reason(format_args!("there is no `{MANIFEST}` that names its files"))
}
