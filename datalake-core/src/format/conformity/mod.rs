//! What specifications say, case by case, and what comes of dirt: each with the outcome stated.

mod dirt;
mod nested;
mod pairs;
mod parquet_types;
mod rfc4180;
mod rfc8259;

use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use futures::TryStreamExt;

use object_store::memory::InMemory;
use object_store::path::Path;

use super::{Format, OnRowError, ReadOptions, Reject, Rejects, Sink, Source};
use crate::error::Result;
use crate::lake::{Bucket, BucketName};

/// Remembers what is rejected.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Reject>>);

impl Rejects for Seen {
    fn reject(&self, reject: Reject) -> Result<()> {
        self.0.lock().unwrap().push(reject);
        Ok(())
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// A place for objects in memory, which no disk has to keep.
fn bucket() -> Bucket {
    Bucket::new(BucketName::new("raw-data").unwrap(), Arc::new(InMemory::new()))
}

fn source(bucket: &Bucket, key: &str) -> Source {
    Source::Object { bucket: bucket.clone(), path: Path::from(key) }
}

fn sink(bucket: &Bucket, key: &str) -> Sink {
    Sink::Object { bucket: bucket.clone(), path: Path::from(key) }
}

/// All rows of a text, and its notes.
fn read_noted(format: &dyn Format, text: &[u8], options: ReadOptions) -> Result<(RecordBatch, Vec<String>)> {
    let source = Source::Stream { name: "test".into(), reader: Box::pin(std::io::Cursor::new(text.to_vec())) };
    wait(async {
        let mut batches = format.read(source, options).await?;
        let (schema, notes) = (SchemaRef::clone(batches.schema()), batches.notes().to_vec());
        let mut all = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            all.push(batch);
        }
        Ok((concat_batches(&schema, &all).unwrap(), notes))
    })
}

/// All rows of a file.
pub(crate) fn read(format: &dyn Format, text: &[u8], options: ReadOptions) -> Result<RecordBatch> {
    Ok(read_noted(format, text, options)?.0)
}

/// What was set aside: line, byte, code and reason.
type Told = (u64, u64, String, String);

/// The rows, and what was set aside.
fn set_aside(format: &dyn Format, text: &[u8], options: ReadOptions) -> Result<(RecordBatch, Vec<Told>)> {
    let seen = Arc::new(Seen::default());
    let options = options.with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
    let table = read(format, text, options)?;
    let rejects = seen.0.lock().unwrap().clone();
    let told = |reject: Reject| (reject.line.unwrap(), reject.byte.unwrap(), reject.code, reject.reason);
    Ok((table, rejects.into_iter().map(told).collect()))
}

/// The cells as text, row by row; a missing one is `-`.
fn cells(table: &RecordBatch) -> Vec<Vec<String>> {
    let cell = |column: usize, row: usize| {
        let text = super::text::value_text(table.column(column).as_ref(), row).unwrap();
        text.unwrap_or_else(|| "-".to_owned())
    };
    (0..table.num_rows()).map(|row| (0..table.num_columns()).map(|column| cell(column, row)).collect()).collect()
}

/// The names and types of the columns.
fn types(table: &RecordBatch) -> Vec<String> {
    let name = |field: &Arc<arrow::datatypes::Field>| {
        format!("{}:{}", field.name(), super::spec::type_name(field.data_type()))
    };
    table.schema().fields().iter().map(name).collect()
}
