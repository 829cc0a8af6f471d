//! Conversion of a table from one format and place to another.

use std::path::PathBuf;

use datalake_core::format::{self, Files, Sink, Source, WriteOptions, Written};
use datalake_core::lake::Location;
use datalake_core::pipeline::{keep_rejects, told};
use datalake_core::{Error, Lake, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::lake::{LakeLike, document};
use crate::options::{reading, writing};
use crate::runtime::wait;

/// Converts one table between CSV, NDJSON, JSON and Parquet; files and objects (`lake://bucket/key`) alike, and many of them
/// as one table.
#[pyfunction]
#[pyo3(signature = (
    source, destination, *, lake=None, to=None, to_compression=None, row_group_rows=None, zstd_level=None, partition_by=None,
    max_rows_per_file=None, overwrite=false, **options
))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn convert<'py>(
    py: Python<'py>,
    source: PathBuf,
    destination: PathBuf,
    lake: Option<LakeLike<'py>>,
    to: Option<String>,
    to_compression: Option<&Bound<'py, PyAny>>,
    row_group_rows: Option<usize>,
    zstd_level: Option<i32>,
    partition_by: Option<Vec<String>>,
    max_rows_per_file: Option<u64>,
    overwrite: bool,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let reading = reading(options)?;
    let write = writing(to, to_compression, row_group_rows, zstd_level)?
        .with_partition_by(partition_by.unwrap_or_default())
        .with_max_rows_per_file(max_rows_per_file)
        .with_overwrite(overwrite);
    let lake = LakeLike::open_or_default(lake, py)?;
    let (done, kept) = wait(py, async move {
        let to = location(destination)?;
        let sink = sink_at(&to, &write, lake.as_ref()).await?;
        let files = match source.to_str() {
            Some(text) => Files::named(text, || Ok(lake.clone())).await?,
            None => None,
        };
        let done = match files {
            Some(files) => format::convert_many(files, sink, reading.options, write).await,
            None => {
                let source = source_at(&location(source)?, lake.as_ref()).await?;
                format::convert(source, sink, reading.options, write).await
            }
        };
        let kept = keep_rejects(&reading.quarantine, &to, "convert", || Ok(lake)).await?;
        let done = match done {
            Ok(done) => done,
            Err(error) => return Err(told(error, kept)),
        };
        Ok((done, kept))
    })?;
    let result = written(py, &done.written)?;
    result.set_item("balance", document(py, &done.balance)?)?;
    result.set_item("files", document(py, &done.files)?)?;
    result.set_item("notes", done.notes)?;
    result.set_item("quarantine", kept)?;
    Ok(result)
}

/// What a write left behind, as a dictionary.
pub(crate) fn written<'py>(py: Python<'py>, done: &Written) -> PyResult<Bound<'py, PyDict>> {
    Ok(document(py, done)?.cast_into()?)
}

fn location(path: PathBuf) -> Result<Location> {
    match path.to_str() {
        // stdin and stdout belong to the command line; here this is a file's name.
        Some("-") | None => Ok(Location::Local(path)),
        Some(text) => text.parse(),
    }
}

async fn source_at(location: &Location, lake: &dyn Lake) -> Result<Source> {
    match location {
        Location::Object { bucket, key } => {
            Ok(Source::Object { bucket: lake.bucket(bucket).await?, path: key.clone() })
        }
        Location::Local(path) => Ok(Source::LocalFile(path.clone())),
        other => Err(many(other)),
    }
}

async fn sink_at(location: &Location, options: &WriteOptions, lake: &dyn Lake) -> Result<Sink> {
    match location {
        Location::Object { bucket, key } => Ok(Sink::Object { bucket: lake.bucket(bucket).await?, path: key.clone() }),
        Location::Prefix { bucket, prefix } => {
            Ok(Sink::Prefix { bucket: lake.bucket(bucket).await?, prefix: prefix.clone() })
        }
        Location::Local(path) => Ok(Sink::local(path.clone(), options)),
        Location::Stdio => Err(many(location)),
    }
}

fn many(location: &Location) -> Error {
    Error::invalid("use", location)
        .with_reason("it names a prefix, and one object is needed")
        .with_hint("name the object: `lake://bucket/key.parquet`")
}
