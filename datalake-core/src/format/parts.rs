//! One table as many files: parted by the values of columns, cut by rows.
//!
//! Rows are gathered by the folder that they go to. A folder's rows are handed to its open file when they make a row group, or
//! when all that is gathered is more than a budget and it has most. So the files depend on the rows and batches that come,
//! not on threads. So many files are open at most; where another one is needed, that with most rows is finished.

#[cfg(feature = "pipeline")]
mod addition;
mod draft;
mod existing;
mod open;
mod place;
mod sources;
mod split;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

#[cfg(feature = "pipeline")]
pub(crate) use self::addition::add;
pub(crate) use self::draft::TableDraft;
use self::open::{Files, Open};
use self::place::Place;
pub(crate) use self::place::{MANIFEST, Manifest, key_below};
pub(super) use self::sources::{refuse_objects, refuse_sources};
use self::split::Splitter;
use super::Format;
use super::batches::Batches;
use super::digest::TableDigest;
use super::options::WriteOptions;
use super::parquet::batch_bytes;
use super::sink::{Sink, Written};
use crate::compute;
use crate::error::{Error, Result};

/// So many bytes of rows are gathered, in all folders together.
const BUDGET: usize = 48 * 1024 * 1024;
/// So many bytes of one folder's rows are a row group.
const GROUP_BYTES: usize = 32 * 1024 * 1024;
/// What a column of a batch takes beside its values, about.
const COLUMN_BYTES: usize = 256;

/// A file of a table of several files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WrittenFile {
    /// Its path below the folder or prefix.
    pub path: String,
    /// Rows written.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// The digest of its rows, in hex; see [`digest`](crate::format::digest).
    pub digest: String,
}

/// What is known of a folder in the making.
struct Folder {
    /// Below the table's folder, with a slash at its end unless it is the same.
    path: String,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    open: Option<Open>,
    /// The number of its next file.
    next: usize,
}

impl Folder {
    fn new(path: String, next: usize) -> Self {
        Self { path, batches: Vec::new(), rows: 0, bytes: 0, open: None, next }
    }
}

/// What was written: the table, its files, and what a user should know.
pub(super) type Done = (Written, Vec<WrittenFile>, Vec<String>);

/// Writes all batches as files of a folder or prefix.
///
/// # Errors
/// Those of the batches and of writing; [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is something
/// and it is not to be replaced; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is no table that could be. What was
/// there is then as it was.
pub(super) async fn write(
    sink: Sink,
    batches: Batches,
    format: Arc<dyn Format>,
    options: &WriteOptions,
) -> Result<Done> {
    let name = sink.to_string();
    if options.max_rows_per_file == Some(0) {
        return Err(Error::invalid("write", &name).with_reason("max_rows_per_file must be at least 1, got 0"));
    }
    super::drive::refuse_repeated_names(batches.schema(), &name)?;
    let splitter = Splitter::new(&name, batches.schema(), &options.partition_by)?;
    let place = Place::open(sink, &format, options).await?;
    let table = Table::new(splitter, Files::new(place, None, format, options.clone()), batches.schema());
    let draft = table.drafted(batches).await?;
    let (written, files) = (draft.written(), draft.files().to_vec());
    Ok((written, files, draft.publish().await?))
}

/// A table in the making.
struct Table {
    splitter: Splitter,
    schema: SchemaRef,
    folders: Vec<Folder>,
    /// Those of which rows are gathered, by their bytes.
    waiting: BTreeSet<(usize, Reverse<usize>)>,
    /// Those whose file is open.
    open: BTreeSet<usize>,
    files: Files,
    /// Bytes of all that is gathered.
    bytes: usize,
    /// Away only while a batch is digested.
    digest: Option<TableDigest>,
    rows: u64,
}

impl Table {
    fn new(splitter: Splitter, files: Files, schema: &SchemaRef) -> Self {
        let own = splitter.schema();
        let digest = Some(TableDigest::new(schema));
        let (folders, waiting, open) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        Self { splitter, schema: own, folders, waiting, open, files, bytes: 0, digest, rows: 0 }
    }

    /// Writes all batches, or takes back what was written of them.
    async fn drafted(mut self, batches: Batches) -> Result<TableDraft> {
        if let Err(error) = self.take(batches).await {
            self.files.abandon().await;
            return Err(error);
        }
        let digest = self.digest.ok_or_else(|| Error::internal("digest", "a table"))?.finish();
        self.files.drafted(digest, self.rows)
    }

    async fn take(&mut self, mut batches: Batches) -> Result<()> {
        while let Some(batch) = batches.try_next().await? {
            self.rows += batch.num_rows() as u64;
            let (mut digest, mut splitter) = (self.digest.take(), std::mem::take(&mut self.splitter));
            let parts;
            (self.digest, self.splitter, parts) = compute::run(move || {
                digest.as_mut().map(|digest| digest.update(&batch)).transpose()?;
                let parts = splitter.split(&batch)?;
                Ok((digest, splitter, parts))
            })
            .await?;
            for path in self.splitter.new_folders() {
                let first = self.files.first_number(&path);
                self.folders.push(Folder::new(path, first));
            }
            for (folder, batch) in parts {
                if self.splitter.is_one() {
                    // Nothing waits for rows of its kind.
                    self.hand_over(folder, batch).await?;
                } else {
                    self.gather(folder, batch).await?;
                }
            }
        }
        if self.rows == 0 {
            // A table without rows is a file that says its columns: all of them, as there is no folder to say any.
            self.schema = self.splitter.whole_schema();
            self.folders.push(Folder::new(String::new(), 0));
            self.hand_over(0, RecordBatch::new_empty(Arc::clone(&self.schema))).await?;
        }
        for folder in 0..self.folders.len() {
            self.flush(folder).await?;
            self.close(folder).await?;
        }
        self.files.end().await
    }

    /// Keeps rows until there are enough of their folder, or too many of all.
    async fn gather(&mut self, number: usize, batch: RecordBatch) -> Result<()> {
        let bytes = batch_bytes(&batch) + batch.num_columns() * COLUMN_BYTES;
        let folder = &mut self.folders[number];
        self.waiting.remove(&(folder.bytes, Reverse(number)));
        folder.rows += batch.num_rows();
        folder.bytes += bytes;
        folder.batches.push(batch);
        self.waiting.insert((folder.bytes, Reverse(number)));
        self.bytes += bytes;
        if folder.rows >= self.files.group_rows() || folder.bytes >= GROUP_BYTES {
            self.flush(number).await?;
        }
        while self.bytes > BUDGET {
            let Some((_, Reverse(most))) = self.waiting.last().copied() else { break };
            self.flush(most).await?;
        }
        Ok(())
    }

    /// Hands all rows over that were gathered of a folder.
    async fn flush(&mut self, number: usize) -> Result<()> {
        let folder = &mut self.folders[number];
        if folder.rows == 0 {
            return Ok(());
        }
        self.waiting.remove(&(folder.bytes, Reverse(number)));
        self.bytes -= folder.bytes;
        (folder.rows, folder.bytes) = (0, 0);
        let (batches, schema) = (std::mem::take(&mut folder.batches), Arc::clone(&self.schema));
        let joined = compute::run(move || {
            concat_batches(&schema, &batches)
                .map_err(|cause| Error::internal("join", "the rows of a folder").with_source(cause))
        });
        let joined = joined.await?;
        self.hand_over(number, joined).await
    }

    /// Hands rows over to the open file of a folder, and to as many more as they fill.
    async fn hand_over(&mut self, number: usize, batch: RecordBatch) -> Result<()> {
        let mut from = 0;
        loop {
            if self.folders[number].open.is_none() {
                self.make_room().await?;
                let folder = &mut self.folders[number];
                folder.open = Some(self.files.begin(&folder.path, folder.next, &self.schema).await?);
                folder.next += 1;
                self.open.insert(number);
            }
            let Some(open) = &mut self.folders[number].open else { return Ok(()) };
            let room = usize::try_from(self.files.most_rows().saturating_sub(open.rows)).unwrap_or(usize::MAX);
            let rows = room.min(batch.num_rows() - from);
            open.rows += rows as u64;
            let is_full = rows == room;
            if let Err(gone) = open.send(batch.slice(from, rows)).await {
                return Err(self.files.failure().await.unwrap_or(gone));
            }
            from += rows;
            if is_full {
                self.close(number).await?;
            }
            if from == batch.num_rows() {
                return Ok(());
            }
        }
    }

    /// Finishes the open file with most rows where there are as many as there may be.
    async fn make_room(&mut self) -> Result<()> {
        let rows = |number: usize| self.folders[number].open.as_ref().map_or(0, |open| open.rows);
        match self.open.iter().max_by_key(|number| (rows(**number), Reverse(**number))) {
            Some(number) if self.open.len() >= self.files.most_open() => self.close(*number).await,
            _ => Ok(()),
        }
    }

    async fn close(&mut self, number: usize) -> Result<()> {
        drop(self.folders[number].open.take());
        self.open.remove(&number);
        self.files.wait_for_few().await
    }
}

/// The files that are being written, each by a task of its own.
type Tasks = JoinSet<Result<WrittenFile>>;

#[cfg(test)]
mod tests;
