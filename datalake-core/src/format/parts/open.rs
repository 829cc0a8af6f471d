//! The files that are open, and those that are done.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::draft::TableDraft;
use super::place::{Manifest, Place};
use super::{Tasks, WrittenFile};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::format::batches::{Batches, Tally};
use crate::format::compression::Compression;
use crate::format::options::WriteOptions;
use crate::format::parquet::batch_bytes;
use crate::lake::unique_name;

/// So many files of a folder are open at most.
const MOST_FILES: usize = 64;
/// So many objects: each holds parts of its upload.
const MOST_OBJECTS: usize = 8;

/// Of what was handed over to files, but is not encoded yet, so many units are in memory at most; one more is that of each file
/// that encodes.
const IN_FLIGHT: usize = 32 * 1024;
/// Such a unit in bytes.
const ROOM_UNIT: usize = 1024;

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

/// All files of the table, open and done.
pub(super) struct Files {
    place: Place,
    format: Arc<dyn Format>,
    options: WriteOptions,
    suffix: String,
    /// The table to which these files are added.
    before: Option<Manifest>,
    tasks: Tasks,
    done: Vec<WrittenFile>,
    in_flight: Arc<Semaphore>,
}

impl Files {
    pub(super) fn new(
        place: Place,
        before: Option<Manifest>,
        format: Arc<dyn Format>,
        mut options: WriteOptions,
    ) -> Self {
        // A name that ends so is what tells readers of the tabs.
        let is_tsv = options.format.as_ref().is_some_and(|format| format.eq_ignore_ascii_case("tsv"));
        let has_tabs = options.delimiter.is_none_or(|delimiter| delimiter == '\t');
        let mut suffix = if is_tsv && has_tabs { "tsv" } else { format.name() }.to_owned();
        if suffix != "parquet" {
            suffix.push_str(options.compression.map_or("", Compression::suffix));
        }
        options.format = Some(format.name().to_owned());
        options.batch_is_group = !options.partition_by.is_empty();
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        Self { place, format, options, suffix, before, tasks: Tasks::new(), done: Vec::new(), in_flight }
    }

    /// The number of the first file in a folder: behind those that are there.
    pub(super) fn first_number(&self, folder: &str) -> usize {
        let names =
            self.before.iter().flat_map(|before| &before.files).filter_map(|file| file.path.strip_prefix(folder));
        names.filter_map(number_of).max().map_or(0, |last| last + 1)
    }

    pub(super) fn most_open(&self) -> usize {
        if self.place.is_folder() { MOST_FILES } else { MOST_OBJECTS }
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
        // An object must have another name than one that is there, and than one of a folder that the store takes for this one.
        let attempt = if self.place.is_folder() { String::new() } else { format!("-{}", unique_name()) };
        let file = format!("part-{number:05}{attempt}.{}", self.suffix);
        let sink = self.place.sink(folder, &file)?;
        let path = format!("{folder}{file}");
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
        self.place.abandon(&self.done).await;
    }

    /// The table as it will be. There is no digest of one that rows were added to.
    pub(super) fn drafted(self, digest: String, rows: u64) -> Result<TableDraft> {
        let (mut files, new) = (self.done.clone(), self.done);
        let (rows, digest) = match self.before {
            None => (rows, digest),
            Some(before) => {
                files.extend(before.files);
                (before.rows + rows, String::new())
            }
        };
        files.sort_by(|a, b| a.path.cmp(&b.path));
        TableDraft::new(self.place, Manifest { rows, digest, files }, new)
    }
}

/// The number of a file, by its name within its folder.
fn number_of(name: &str) -> Option<usize> {
    let number = name.strip_prefix("part-")?;
    let end = number.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(number.len());
    if name.contains('/') { None } else { number[..end].parse().ok() }
}

fn finished(done: std::result::Result<Result<WrittenFile>, tokio::task::JoinError>) -> Result<WrittenFile> {
    done.unwrap_or_else(|cause| Err(Error::internal("write", "a file of the table").with_source(cause)))
}
