//! Inputs that are broken on purpose, and what must hold whatever comes in: for tests and fuzzers.
//!
//! Each `try_…` function takes any bytes, the first of which choose how the rest is read. It panics where a promise is
//! broken: a record that is neither a row nor rejected, a read that differs by where blocks are cut or by whether the quick
//! ways are taken, an error that says that we are at fault.

mod changes;
mod csv;
mod json;
mod parquet;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef, UInt64Type};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;

pub use self::changes::changed;
pub use self::csv::{csv_texts, try_csv, try_dialect};
pub use self::json::{json_texts, try_json};
pub use self::parquet::{parquet_files, try_parquet};
use super::trial::Trial;
use super::{Balance, ColumnSpec, Format, OnRowError, ReadOptions, Reject, Rejects, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, BucketName};

/// The bytes that choose how the others are read.
pub(crate) const CHOICES: usize = 8;
/// A name that no text has by chance.
const ROW: &str = "\u{1}row";

/// The bytes that choose, and the others.
fn split(data: &[u8]) -> ([u8; CHOICES], &[u8]) {
    match data.split_first_chunk() {
        Some((choices, rest)) => (*choices, rest),
        None => ([0; CHOICES], data),
    }
}

/// A text with the bytes before it that choose nothing out of the ordinary.
fn seed(choices: [u8; CHOICES], text: &[u8]) -> Vec<u8> {
    [&choices, text].concat()
}

/// Texts of all kinds as they are, without the bytes that choose.
#[must_use]
pub fn texts() -> Vec<Vec<u8>> {
    csv_texts().into_iter().chain(json_texts()).map(|text| text[CHOICES..].to_vec()).collect()
}

/// Remembers what is rejected.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Reject>>);

impl Rejects for Seen {
    fn reject(&self, reject: Reject) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(reject);
        Ok(())
    }
}

/// What came of a read.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    schema: SchemaRef,
    table: RecordBatch,
    rejects: Vec<Reject>,
    notes: Vec<String>,
}

/// Bytes in a lake in memory.
struct Bench {
    bucket: Bucket,
}

impl Bench {
    fn new(bytes: &[u8]) -> Self {
        let name = BucketName::new("raw-data").expect("a bucket's name");
        let bucket = Bucket::new(name, Arc::new(InMemory::new()));
        let bytes = Bytes::copy_from_slice(bytes);
        wait(bucket.put(&Path::from("x"), bytes, object_store::PutMode::Create)).expect("memory");
        Self { bucket }
    }

    fn source(&self) -> Source {
        Source::Object { bucket: self.bucket.clone(), path: Path::from("x") }
    }

    /// Reads all, sets aside what is broken, and sees whether each record is accounted for.
    fn read(&self, format: &dyn Format, options: &ReadOptions, trial: Trial) -> Result<Outcome> {
        let seen = Arc::new(Seen::default());
        let options = options
            .clone()
            .with_on_row_error(OnRowError::Quarantine)
            .with_rejects(Some(seen.clone()))
            .with_row_number(Some(ROW.to_owned()));
        let most = options.batch_rows.max(1);
        let read = trial.run(|| {
            wait(async {
                let mut batches = format.read(self.source(), options).await?;
                let (schema, mut notes) = (SchemaRef::clone(batches.schema()), batches.notes().to_vec());
                let mut all = Vec::new();
                while let Some(batch) = batches.try_next().await? {
                    assert!((1..=most).contains(&batch.num_rows()), "{} rows in a batch", batch.num_rows());
                    assert_eq!(batch.schema(), schema);
                    all.push(batch);
                }
                notes.extend(batches.tally().notes());
                let table = concat_batches(&schema, &all).map_err(|cause| Error::invalid("join", cause));
                Ok::<_, Error>((schema, notes, table?, batches.balance()))
            })
        });
        let (schema, notes, table, balance) = read.inspect_err(not_our_fault)?;
        let rejects = seen.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        balanced(&table, &rejects, balance);
        Ok(Outcome { schema, table, rejects, notes })
    }
}

/// Every record is a row or rejected, and none is both.
fn balanced(table: &RecordBatch, rejects: &[Reject], balance: Balance) {
    let numbers = table.column(table.num_columns() - 1).as_primitive::<UInt64Type>();
    let mut records: Vec<u64> = numbers.values().to_vec();
    assert!(records.is_sorted_by(|a, b| a < b), "rows out of order: {records:?}");
    assert!(rejects.is_sorted_by(|a, b| (a.row, a.line, a.byte) < (b.row, b.line, b.byte)), "{rejects:?}");
    records.extend(rejects.iter().map(|reject| reject.row));
    records.sort_unstable();
    assert_eq!(records, (1..=records.len() as u64).collect::<Vec<_>>(), "records that are no row, or two");
    let (seen, written, quarantined) = (records.len() as u64, table.num_rows() as u64, rejects.len() as u64);
    let expected = Balance { seen, written, quarantined, nulled: 0 };
    assert_eq!(balance, expected);
    assert!(rejects.iter().all(|reject| !reject.reason.is_empty() && !reject.code.is_empty()));
}

/// A panic within, or a broken invariant, is an error of this kind.
fn not_our_fault(error: &Error) {
    assert_ne!(error.kind(), ErrorKind::Internal, "{error:?}");
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

/// A type for each column, chosen by a byte.
fn declared(names: &[String], choice: u8) -> Vec<ColumnSpec> {
    use arrow::datatypes::TimeUnit;
    let types = [
        DataType::Int64,
        DataType::Float64,
        DataType::Utf8,
        DataType::Boolean,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        super::spec::timestamp_utc(),
    ];
    let spec = |(place, name): (usize, &String)| {
        let data_type = types[(usize::from(choice) + place * 3) % types.len()].clone();
        ColumnSpec::new(name.as_str(), data_type).with_nullable((usize::from(choice) + place) % 3 != 0)
    };
    names.iter().filter(|name| *name != ROW).enumerate().map(spec).collect()
}

/// What two reads of the same text must have in common.
fn same(a: &Result<Outcome>, b: &Result<Outcome>, how: &str) {
    match (a, b) {
        (Ok(a), Ok(b)) => assert_eq!(a, b, "{how}"),
        (Err(a), Err(b)) => assert_eq!((a.kind(), a.to_string()), (b.kind(), b.to_string()), "{how}"),
        _ => panic!("{how}: {a:?}\n\n{b:?}"),
    }
}

#[cfg(test)]
mod tests;
