//! CSV, JSON and Parquet as streams of record batches, in both directions.
//!
//! A [`Format`] reads a [`Source`] into [`Batches`] and writes [`Batches`] into a [`Sink`]; to convert is to
//! read with one and write with the other. Every reader counts: records seen = rows given + rows rejected.

use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::Stream;
use futures::stream::BoxStream;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{Position, Result};
use crate::lake::Bucket;

/// A schema and the record batches that follow it, pulled one by one.
///
/// Dropping it cancels what feeds it. After the last batch [`Batches::balance`] is final.
pub struct Batches {
    schema: SchemaRef,
    stream: BoxStream<'static, Result<RecordBatch>>,
    tally: Arc<Tally>,
}

impl Batches {
    /// Batches of `schema` from a stream, counted by `tally`.
    #[must_use]
    pub fn new(schema: SchemaRef, stream: BoxStream<'static, Result<RecordBatch>>, tally: Arc<Tally>) -> Self {
        Self { schema, stream, tally }
    }

    /// The schema of every batch.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What the readers behind this stream have counted so far.
    #[must_use]
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// The row balance so far.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.tally.balance()
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(context)
    }
}

impl Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("schema", &self.schema)
            .field("balance", &self.balance())
            .finish_non_exhaustive()
    }
}

/// The row balance of a reader: `seen = written + quarantined`, to which a pipeline adds rows dropped by a named rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Records found in the source, good or bad.
    pub seen: u64,
    /// Rows handed on.
    pub written: u64,
    /// Records rejected and kept in the quarantine.
    pub quarantined: u64,
}

/// Counts records while they are read.
#[derive(Debug, Default)]
pub struct Tally {
    written: AtomicU64,
    quarantined: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// So many rows were handed on.
    pub fn add_written(&self, rows: u64) {
        self.written.fetch_add(rows, Ordering::Relaxed);
    }

    /// So many records were rejected.
    pub fn add_quarantined(&self, records: u64) {
        self.quarantined.fetch_add(records, Ordering::Relaxed);
    }

    /// So many more bytes of (decompressed) input were consumed.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The span of the input consumed so far, in (decompressed) bytes from its start.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The balance so far.
    #[must_use]
    pub fn balance(&self) -> Balance {
        let written = self.written.load(Ordering::Relaxed);
        let quarantined = self.quarantined.load(Ordering::Relaxed);
        Balance { seen: written + quarantined, written, quarantined }
    }
}

/// Where bytes come from.
pub enum Source {
    /// An object of a bucket.
    Object {
        /// The bucket.
        bucket: Bucket,
        /// The object's key.
        path: Path,
    },
    /// A file on this machine.
    LocalFile(PathBuf),
    /// Bytes that can be read once, such as stdin.
    Stream {
        /// What messages call it.
        name: String,
        /// The bytes.
        reader: Pin<Box<dyn AsyncRead + Send>>,
    },
}

/// Where bytes go. Objects and files appear whole or not at all.
pub enum Sink {
    /// An object of a bucket, replaced if it is there.
    Object {
        /// The bucket.
        bucket: Bucket,
        /// The object's key.
        path: Path,
    },
    /// A file on this machine, replaced if it is there.
    LocalFile(PathBuf),
    /// Bytes written as they come, such as stdout.
    Stream {
        /// What messages call it.
        name: String,
        /// The bytes.
        writer: Pin<Box<dyn AsyncWrite + Send>>,
    },
}

/// What a write left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Rows written.
    pub rows: u64,
    /// Bytes of the object or file.
    pub bytes: u64,
    /// The SHA-256 of the object's or file's bytes, in hex.
    pub sha256: String,
    /// The digest of the table (schema and values in row order), in hex; see [`digest`](crate::format::digest).
    pub digest: String,
}

/// What becomes of a record that does not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRowError {
    /// The read ends with an error that names the record.
    #[default]
    Fail,
    /// The record goes to the quarantine, the read goes on.
    Quarantine,
}

/// A record that was not handed on, with all that is needed to find, understand and repair it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The object or file.
    pub source: String,
    /// The record's number, from 1, without a header.
    pub row: u64,
    /// The line of its first byte, from 1, where the format has lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The offset of its first byte in the decompressed input, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// The column at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// A stable code, such as `ragged`, `utf8`, `syntax`, `type`, `null`, or the name of a quality rule.
    pub code: String,
    /// Why, with the value found.
    pub reason: String,
    /// The record as it stood; bytes that are no UTF-8 are escaped as `\xNN`.
    pub raw: String,
}

impl Reject {
    /// Where the record stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { row: Some(self.row), line: self.line, column: self.column.clone(), byte: self.byte }
    }
}

/// Takes rejected records, in the order of the source.
pub trait Rejects: Debug + Send + Sync {
    /// Keeps one.
    ///
    /// # Errors
    /// When it cannot be kept, or the limit of bad rows is passed: the read must end.
    fn reject(&self, reject: Reject) -> Result<()>;
}

/// A file format: reads and writes record batches.
#[async_trait]
pub trait Format: Debug + Send + Sync + 'static {
    /// Its name in options and messages: `csv`, `ndjson`, `json`, `parquet`.
    fn name(&self) -> &'static str;

    /// The schema that [`Format::read`] would give with these options, and how it was found.
    ///
    /// # Errors
    /// If the source cannot be read or is not of this format.
    async fn infer_schema(&self, source: &Source, options: &ReadOptions) -> Result<Inferred>;

    /// Opens a source as a stream of record batches.
    ///
    /// # Errors
    /// If the source cannot be opened or is not of this format; later errors come through the stream.
    async fn read(&self, source: Source, options: ReadOptions) -> Result<Batches>;

    /// Writes all batches. The sink appears whole or not at all.
    ///
    /// # Errors
    /// Those of the batches, and of the sink.
    async fn write(&self, sink: Sink, batches: Batches, options: WriteOptions) -> Result<Written>;
}

/// How a source is read. Options that a format has no use for are ignored by it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {}

/// How a sink is written.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {}

/// A schema and how it was found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inferred {
    /// The schema.
    pub schema: SchemaRef,
}
