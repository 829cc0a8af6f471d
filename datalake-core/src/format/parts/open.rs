//! The files that are open, and the folder or prefix that they will be in.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Tasks, WrittenFile};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::format::batches::{Batches, Tally};
use crate::format::compression::Compression;
use crate::format::options::WriteOptions;
use crate::format::parquet::batch_bytes;
use crate::format::sink::{Output, Sink};
use crate::lake::{AtomicFolder, Bucket, unique_name};

/// The file that names all others.
pub(crate) const MANIFEST: &str = "_manifest.json";
/// So many files of a folder are open at most.
const MOST_FILES: usize = 64;
/// So many objects: each holds parts of its upload.
const MOST_OBJECTS: usize = 8;

/// Of what was handed over to files, but is not encoded yet, so many units are in memory at most; one more is that of each file
/// that encodes.
const IN_FLIGHT: usize = 32 * 1024;
/// Such a unit in bytes.
const ROOM_UNIT: usize = 1024;

/// What a table of several files consists of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) rows: u64,
    /// The digest of the table as it was written, with the columns that became folders.
    pub(crate) digest: String,
    pub(crate) files: Vec<WrittenFile>,
}

/// Where the files go.
pub(super) enum Place {
    Folder(AtomicFolder),
    Prefix {
        bucket: Bucket,
        prefix: Path,
        /// What lay there before.
        old: Vec<Path>,
        /// What tells the objects of this write from others.
        attempt: String,
    },
}

/// A file that takes rows.
pub(super) struct Open {
    sender: mpsc::Sender<(RecordBatch, OwnedSemaphorePermit)>,
    in_flight: Arc<Semaphore>,
    pub(super) rows: u64,
}

impl Open {
    pub(super) async fn send(&self, batch: RecordBatch) -> Result<()> {
        let gone = || Error::new(ErrorKind::Cancelled, "write", "a file of the table");
        let room = (batch_bytes(&batch) / ROOM_UNIT + 1).min(IN_FLIGHT);
        let room = Arc::clone(&self.in_flight).acquire_many_owned(u32::try_from(room).unwrap_or(1));
        let room = room.await.map_err(|_| gone())?;
        self.sender.send((batch, room)).await.map_err(|_| gone())
    }
}

impl Place {
    pub(super) async fn open(sink: Sink, format: &Arc<dyn Format>, options: &WriteOptions) -> Result<Self> {
        let name = sink.to_string();
        match sink {
            Sink::Folder(path) => {
                let overwrite = options.overwrite;
                let made = tokio::task::spawn_blocking(move || AtomicFolder::create(&path, overwrite)).await;
                made.unwrap_or_else(|_| Err(Error::internal("make", &name))).map(Self::Folder)
            }
            Sink::Prefix { bucket, prefix } => {
                let below = (!prefix.as_ref().is_empty()).then_some(&prefix);
                let old: Vec<Path> = bucket.list(below).await?.into_iter().map(|meta| meta.location).collect();
                if !old.is_empty() && !options.overwrite {
                    return Err(Error::new(ErrorKind::AlreadyExists, "write", &name)
                        .with_reason(format_args!("there are objects below it, such as `{}`", old[0]))
                        .with_hint("name another prefix, or say that they are to be replaced: overwrite"));
                }
                Ok(Self::Prefix { bucket, prefix, old, attempt: unique_name() })
            }
            _ => Err(Error::internal("write", &name).with_reason(format_args!("as several {} files", format.name()))),
        }
    }

    fn sink(&self, path: &str) -> Result<Sink> {
        match self {
            Self::Folder(folder) => {
                let path = folder.path().join(path);
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(|cause| Error::io("make", parent.display(), cause))?;
                }
                Ok(Sink::LocalFile(path))
            }
            Self::Prefix { bucket, prefix, .. } => {
                Ok(Sink::Object { bucket: bucket.clone(), path: below(prefix, path)? })
            }
        }
    }
}

fn below(prefix: &Path, path: &str) -> Result<Path> {
    let slash = if prefix.as_ref().is_empty() { "" } else { "/" };
    let key = format!("{prefix}{slash}{path}");
    Path::parse(&key).map_err(|cause| Error::invalid("write", key).with_source(cause))
}

/// All files of the table, open and done.
pub(super) struct Files {
    place: Place,
    format: Arc<dyn Format>,
    options: WriteOptions,
    suffix: String,
    tasks: Tasks,
    done: Vec<WrittenFile>,
    in_flight: Arc<Semaphore>,
}

impl Files {
    pub(super) fn new(place: Place, format: Arc<dyn Format>, mut options: WriteOptions) -> Self {
        let mut suffix = format.name().to_owned();
        if suffix != "parquet" {
            suffix.push_str(match options.compression {
                Some(Compression::Gzip) => ".gz",
                Some(Compression::Zstd) => ".zst",
                _ => "",
            });
        }
        options.format = Some(format.name().to_owned());
        options.batch_is_group = !options.partition_by.is_empty();
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        Self { place, format, options, suffix, tasks: Tasks::new(), done: Vec::new(), in_flight }
    }

    pub(super) fn most_open(&self) -> usize {
        match self.place {
            Place::Folder(_) => MOST_FILES,
            Place::Prefix { .. } => MOST_OBJECTS,
        }
    }

    /// After so many rows a file is full.
    pub(super) fn most_rows(&self) -> u64 {
        self.options.max_rows_per_file.unwrap_or(u64::MAX)
    }

    /// So many rows are handed over at once.
    pub(super) fn group_rows(&self) -> usize {
        self.options.row_group_rows.max(1)
    }

    /// Begins the file of a folder that has this number.
    pub(super) async fn begin(&mut self, folder: &str, number: usize, schema: &SchemaRef) -> Result<Open> {
        let attempt = match &self.place {
            Place::Folder(_) => String::new(),
            Place::Prefix { attempt, .. } => format!("-{attempt}"),
        };
        let path = format!("{folder}part-{number:05}{attempt}.{}", self.suffix);
        let sink = self.place.sink(&path)?;
        let (sender, receiver) = mpsc::channel(1);
        // Whoever asks for the next rows is done with those before, or about to be.
        let stream = futures::stream::unfold((receiver, None), |(mut receiver, before)| async move {
            drop::<Option<OwnedSemaphorePermit>>(before);
            let (batch, room) = mpsc::Receiver::recv(&mut receiver).await?;
            Some((Ok(batch), (receiver, Some(room))))
        });
        let stream = stream.boxed();
        let batches = Batches::new(Arc::clone(schema), stream, Arc::new(Tally::default()));
        let (format, options) = (Arc::clone(&self.format), self.options.clone());
        self.tasks.spawn(async move {
            let written = format.write(sink, batches, options).await?;
            let (rows, bytes, sha256, digest) = (written.rows, written.bytes, written.sha256, written.digest);
            Ok(WrittenFile { path, rows, bytes, sha256, digest })
        });
        Ok(Open { sender, in_flight: Arc::clone(&self.in_flight), rows: 0 })
    }

    /// Waits until no more files are under way than may be open.
    pub(super) async fn wait_for_few(&mut self) -> Result<()> {
        while let Some(done) = self.tasks.try_join_next() {
            self.done.push(finished(done)?);
        }
        while self.tasks.len() >= self.most_open() {
            let Some(done) = self.tasks.join_next().await else { break };
            self.done.push(finished(done)?);
        }
        Ok(())
    }

    /// Waits for all files, none of which takes rows any more.
    pub(super) async fn end(&mut self) -> Result<()> {
        while let Some(done) = self.tasks.join_next().await {
            self.done.push(finished(done)?);
        }
        Ok(())
    }

    /// Why a file takes no rows.
    pub(super) async fn failure(&mut self) -> Option<Error> {
        while let Some(done) = self.tasks.join_next().await {
            match finished(done) {
                Ok(file) => self.done.push(file),
                Err(error) => return Some(error),
            }
        }
        None
    }

    /// Takes back what was written.
    pub(super) async fn abandon(&mut self) {
        self.tasks.abort_all();
        while let Some(done) = self.tasks.join_next().await {
            self.done.extend(done.ok().and_then(Result::ok));
        }
        if let Place::Prefix { bucket, prefix, .. } = &self.place {
            for file in &self.done {
                // What cannot be removed is named by no manifest.
                if let Ok(path) = below(prefix, &file.path) {
                    let _ = bucket.delete(&path).await;
                }
            }
        }
    }

    /// Makes the table visible; gives its bytes, the SHA-256 of what names its files, and the files by their paths.
    pub(super) async fn publish(mut self, digest: &str, rows: u64) -> Result<(u64, String, Vec<WrittenFile>)> {
        self.done.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = Manifest { rows, digest: digest.to_owned(), files: std::mem::take(&mut self.done) };
        let text = serde_json::to_vec_pretty(&manifest);
        let text = text.map_err(|cause| Error::internal("write", MANIFEST).with_source(cause))?;
        let mut output = Output::open(self.place.sink(MANIFEST)?).await?;
        output.write(text.into()).await?;
        let (_, sha256) = output.finish().await?;
        match self.place {
            Place::Folder(folder) => {
                let placed = tokio::task::spawn_blocking(move || folder.finish()).await;
                placed.unwrap_or_else(|_| Err(Error::internal("put in place", "a folder")))?;
            }
            Place::Prefix { bucket, prefix, old, .. } => {
                let named = below(&prefix, MANIFEST)?;
                for path in old.iter().filter(|path| **path != named) {
                    bucket.delete(path).await?;
                }
            }
        }
        let bytes = manifest.files.iter().map(|file| file.bytes).sum();
        Ok((bytes, sha256, manifest.files))
    }
}

fn finished(done: std::result::Result<Result<WrittenFile>, tokio::task::JoinError>) -> Result<WrittenFile> {
    done.unwrap_or_else(|cause| Err(Error::internal("write", "a file of the table").with_source(cause)))
}
