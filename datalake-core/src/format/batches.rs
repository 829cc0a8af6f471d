//! A schema and its record batches as a stream that counts its rows.

use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use super::nulled::{Nulled, NulledColumn, NulledCounts};
use crate::error::Result;

/// A schema and the record batches that follow it, pulled one by one.
///
/// Dropping it cancels what feeds it. After the last batch [`Batches::balance`] is final.
pub struct Batches {
    schema: SchemaRef,
    stream: BoxStream<'static, Result<RecordBatch>>,
    tally: Arc<Tally>,
    notes: Vec<String>,
    dialect: Option<Dialect>,
    source_columns: Option<Vec<String>>,
}

impl Batches {
    /// Batches of `schema` from a stream, counted by `tally`.
    #[must_use]
    pub fn new(schema: SchemaRef, stream: BoxStream<'static, Result<RecordBatch>>, tally: Arc<Tally>) -> Self {
        Self { schema, stream, tally, notes: Vec::new(), dialect: None, source_columns: None }
    }

    /// Batches of `schema` that are in memory already, all counted as written.
    #[must_use]
    pub fn from_vec(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let tally = Arc::new(Tally::default());
        tally.add_written(batches.iter().map(|batch| batch.num_rows() as u64).sum());
        Self::new(schema, futures::stream::iter(batches.into_iter().map(Ok)).boxed(), tally)
    }

    /// Adds what a user should know of how the schema came about.
    #[must_use]
    pub fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// What a user should know of how the schema came about, such as a column that is text because of one value.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds how the CSV text behind them is written.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// How the text is written, if they come of one of CSV.
    #[must_use]
    pub fn dialect(&self) -> Option<&Dialect> {
        self.dialect.as_ref()
    }

    /// Says which columns stand in the source itself.
    pub(crate) fn with_source_columns(mut self, names: Vec<String>) -> Self {
        self.source_columns = Some(names);
        self
    }

    /// The columns that stand in the source itself, where its reader says so.
    pub(crate) fn source_columns(&self) -> Option<&[String]> {
        self.source_columns.as_deref()
    }

    /// The same rows in another shape, a batch at a time.
    pub(crate) fn mapped(
        self,
        schema: SchemaRef,
        mut shape: impl FnMut(RecordBatch) -> Result<RecordBatch> + Send + 'static,
    ) -> Self {
        let stream = self.stream.map(move |batch| shape(batch?)).boxed();
        Self { schema, stream, ..self }
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

/// A batch as batches of so many rows at most.
pub(crate) fn slices(batch: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(rows.max(1));
    starts.map(move |start| batch.slice(start, rows.min(batch.num_rows() - start)))
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
    /// Values that did not fit and became null, in rows that were handed on.
    #[serde(default)]
    pub nulled: u64,
}

/// Counts records while they are read.
#[derive(Debug, Default)]
pub struct Tally {
    written: AtomicU64,
    quarantined: AtomicU64,
    bytes: AtomicU64,
    nulled: Mutex<NulledCounts>,
    notes: Mutex<Vec<String>>,
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

    /// These values of a record became null.
    pub fn add_nulled(&self, values: &[Nulled]) {
        self.nulled.lock().unwrap_or_else(PoisonError::into_inner).add(values);
    }

    /// Adds the values that became null in another source.
    pub fn join_nulled(&self, columns: Vec<NulledColumn>) {
        self.nulled.lock().unwrap_or_else(PoisonError::into_inner).join(columns);
    }

    /// The values that became null, column by column.
    #[must_use]
    pub fn nulled_columns(&self) -> Vec<NulledColumn> {
        self.nulled.lock().unwrap_or_else(PoisonError::into_inner).columns()
    }

    /// This was seen while reading, and a user should know it.
    pub fn add_notes(&self, notes: Vec<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).extend(notes);
    }

    /// What a user should know that was seen only while reading, such as columns that some of many files lack. It is whole
    /// after the last batch.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        let nulled = self.nulled.lock().unwrap_or_else(PoisonError::into_inner).values();
        Balance { seen: written + quarantined, written, quarantined, nulled }
    }
}
