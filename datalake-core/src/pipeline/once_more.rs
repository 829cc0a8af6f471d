//! Quarantined records read once more, each for itself where one could swallow others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::UInt64Type;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::PutMode;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::added_columns::AddedColumns;
use super::conversion::Conversion;
use super::known_fields::Known;
use crate::error::{Error, Result};
use crate::format::{
    self, ColumnSpec, DecimalMark, Dialect, Format, Misfit, ReadOptions, Reject, Rejects, Source, SourceColumns,
};
use crate::lake::{Bucket, BucketName};

/// The column that holds the place of a record in the quarantine.
pub(super) const INDEX: &str = "datalake.record";

/// A place for texts that are read or written once.
pub(super) fn memory() -> Result<Bucket> {
    Ok(Bucket::new(BucketName::new("memory")?, Arc::new(InMemory::new())))
}

/// What came of reading records once more, in the order of the quarantine.
pub(super) struct Outcome {
    pub(super) batches: Vec<RecordBatch>,
    /// The records that still do not fit, by their places in the quarantine.
    pub(super) left: BTreeMap<usize, Reject>,
}

/// Reads the records of each source: those that surely are one line each together, every other alone, so that a quote that is
/// not closed swallows nothing.
pub(super) async fn once_more(
    conversion: &Conversion,
    records: &[Reject],
    read: &ReadOptions,
    added: &AddedColumns,
) -> Result<Outcome> {
    let mut by_source: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let are_found = conversion.read.schema.is_none();
    let mut found = Found { rows: Vec::new(), left: BTreeMap::new(), are_found, added };
    // Who declared or chose columns wanted no others.
    let has_all = are_found && conversion.read.columns.is_none();
    let known = Known::of(read.schema.as_deref().unwrap_or_default(), read.flatten);
    for (index, record) in records.iter().enumerate() {
        if is_escaped(record) {
            found.left.insert(index, record.clone());
        } else if record.raw.trim().is_empty() && !conversion.columns.contains_key(&record.source) {
            // A blank line is no record of JSON; of CSV with one column it may be.
            found.left.insert(index, not_one(record, 0));
        } else if let Some(name) =
            known.stranger(record).filter(|_| has_all && !conversion.columns.contains_key(&record.source))
        {
            found.left.insert(index, with_stranger(record, &name));
        } else {
            by_source.entry(&record.source).or_default().push(index);
        }
    }
    for (source, indices) in by_source {
        let columns = conversion.columns.get(source);
        let is_alone = |index: &usize| columns.is_some_and(|columns| is_odd(&records[*index].raw, &columns.dialect));
        let (alone, together): (Vec<usize>, Vec<usize>) = indices.into_iter().partition(is_alone);
        for indices in alone.into_iter().map(|index| vec![index]).chain([together]) {
            if !indices.is_empty() && !found.read(records, &indices, columns, read).await? {
                // One of them is no longer one record, or not of these types: each by itself, so that only that stays.
                for index in indices {
                    found.read(records, &[index], columns, read).await?;
                }
            }
        }
    }
    let mut rows = found.rows;
    rows.sort_by_key(|(index, _)| *index);
    let left = found.left;
    let count: usize = rows.len();
    if count + left.len() != records.len() {
        return Err(Error::internal("replay", &conversion.destination).with_reason(format_args!(
            "of {} records {count} were brought back, and {} are left",
            records.len(),
            left.len()
        )));
    }
    let batches = match rows.first() {
        None => Vec::new(),
        Some((_, first)) => {
            let parts: Vec<&RecordBatch> = rows.iter().map(|(_, row)| row).collect();
            let joined = concat_batches(first.schema_ref(), parts)
                .map_err(|cause| Error::internal("join", "the rows that were brought back").with_source(cause))?;
            vec![joined]
        }
    };
    Ok(Outcome { batches, left })
}

/// Whether a record still has bytes that were no text, as the quarantine writes them: they are no text of this kind either.
fn is_escaped(record: &Reject) -> bool {
    let is_byte =
        |text: &[u8]| matches!(text, [b'\\', b'x', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    record.code == "utf8" && record.raw.as_bytes().windows(4).any(is_byte)
}

/// Whether a record of CSV could be more or less than one line.
fn is_odd(raw: &str, dialect: &Dialect) -> bool {
    let marks = ['\n', '\r'].into_iter().chain(dialect.quote.mark()).chain(dialect.escape);
    raw.is_empty() || marks.into_iter().any(|mark| raw.contains(mark))
}

/// Records with a header that names their columns.
fn csv(columns: &SourceColumns, records: &[Reject], indices: &[usize]) -> String {
    let SourceColumns { names, dialect } = columns;
    let name = |name: &String| match dialect.quote.mark() {
        None => name.clone(),
        Some(quote) => {
            let escaped = match dialect.escape {
                Some(escape) => name.replace(escape, &format!("{escape}{escape}")),
                None => name.clone(),
            };
            format!("{quote}{}{quote}", escaped.replace(quote, &format!("{quote}{quote}")))
        }
    };
    let mut text = names.iter().map(name).collect::<Vec<_>>().join(&dialect.delimiter.to_string());
    for index in indices {
        text.push('\n');
        text.push_str(&records[*index].raw);
    }
    text.push('\n');
    text
}

/// Objects of JSON, each in a line: a line end within one can only stand between its parts.
fn lines(records: &[Reject], indices: &[usize]) -> String {
    let mut text = String::new();
    for index in indices {
        text.push_str(&records[*index].raw.replace(['\n', '\r'], " "));
        text.push('\n');
    }
    text
}

/// Rows with the places of their records in the quarantine, and the records that still do not fit.
struct Found<'a> {
    rows: Vec<(usize, RecordBatch)>,
    left: BTreeMap<usize, Reject>,
    /// Whether the types of columns were found, and with them how numbers are written.
    are_found: bool,
    /// The columns that stand in no record.
    added: &'a AddedColumns,
}

impl Found<'_> {
    /// Reads some records of one source once more. Says whether something is known of them now: nothing is of several
    /// that are not as many records as before.
    async fn read(
        &mut self,
        records: &[Reject],
        indices: &[usize],
        columns: Option<&SourceColumns>,
        read: &ReadOptions,
    ) -> Result<bool> {
        let (format, text): (Arc<dyn Format>, String) = match columns {
            Some(columns) => (Arc::new(format::Csv), csv(columns, records, indices)),
            None => (Arc::new(format::Json::lines()), lines(records, indices)),
        };
        let bucket = memory()?;
        let path = Path::from("records");
        bucket.put(&path, Bytes::from(text), PutMode::Overwrite).await?;
        let rejected = Arc::new(Rejected::default());
        let mut read = read.clone().with_rejects(Some(Arc::clone(&rejected) as _));
        if let Some(SourceColumns { dialect, .. }) = columns {
            read = read.with_delimiter(Some(dialect.delimiter)).with_quote(dialect.quote);
            read.escape = dialect.escape;
            if dialect.decimal != DecimalMark::Dot && self.are_found {
                let marked = |spec: ColumnSpec| spec.with_decimal(dialect.decimal);
                read.schema = read.schema.map(|specs| specs.into_iter().map(marked).collect());
            }
        }
        let mut batches = format.read(Source::Object { bucket, path }, read).await?;
        let mut rows = Vec::new();
        loop {
            match batches.try_next().await {
                Ok(Some(batch)) => rows.extend(numbered(&batch)?),
                Ok(None) => break,
                // A value within a list or an object is not of its type.
                Err(error) if Misfit::is_cause_of(&error) => {
                    let &[index] = indices else { return Ok(false) };
                    let reason = error.reason().unwrap_or("a value is not of the type of its column").to_owned();
                    let code = "type".to_owned();
                    self.left.insert(index, Reject { column: None, code, reason, ..records[index].clone() });
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        let seen = batches.balance().seen;
        if seen != indices.len() as u64 {
            let &[index] = indices else { return Ok(false) };
            self.left.insert(index, not_one(&records[index], seen));
            return Ok(true);
        }
        let said = match indices {
            [] => Vec::new(),
            [first, ..] => self.added.said_by(&records[*first].source)?,
        };
        for (row, batch) in rows {
            let index = indices[row];
            self.rows.push((index, self.added.joined(&batch, &said, records[index].row)?));
        }
        for reject in rejected.take() {
            let index = indices[reject.row as usize - 1];
            let Reject { column, code, reason, .. } = reject;
            self.left.insert(index, Reject { column, code, reason, ..records[index].clone() });
        }
        Ok(true)
    }
}

/// A record that a correction has made none, or several: it stays, with this as the reason.
fn not_one(record: &Reject, seen: u64) -> Reject {
    let reason = match seen {
        0 => "it is no record any more, but empty; correct `raw`, which was one record".to_owned(),
        seen => format!(
            "it is {seen} records now, and was one; leave one in `raw`, and add the others to the source or to another table"
        ),
    };
    Reject { column: None, code: "records".to_owned(), reason, ..record.clone() }
}

/// A record with a field that the table has not: it stays, as what is in it would be lost.
fn with_stranger(record: &Reject, name: &str) -> Reject {
    let reason = format!(
        "the table has no column for its field `{name}`; take the field out of `raw`, or convert the whole source again"
    );
    Reject { column: Some(name.to_owned()), code: "field".to_owned(), reason, ..record.clone() }
}

/// The rows of a batch, each with the place of its record, which its last column has as a number from 1.
fn numbered(batch: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
    let last = batch.num_columns() - 1;
    let numbers = batch.column(last).as_primitive::<UInt64Type>();
    let others: Vec<usize> = (0..last).collect();
    let rows = batch
        .project(&others)
        .map_err(|cause| Error::internal("take", "the rows that were brought back").with_source(cause))?;
    Ok(numbers.values().iter().enumerate().map(|(row, number)| (*number as usize - 1, rows.slice(row, 1))).collect())
}

/// Keeps what is rejected.
#[derive(Debug, Default)]
struct Rejected(Mutex<Vec<Reject>>);

impl Rejected {
    fn take(&self) -> Vec<Reject> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Rejects for Rejected {
    fn reject(&self, reject: Reject) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(reject);
        Ok(())
    }
}
