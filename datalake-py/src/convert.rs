//! Conversion of a table from one format and place to another.

use std::path::PathBuf;

use datalake_core::format::{self, Sink, Source, Written};
use datalake_core::lake::Location;
use datalake_core::pipeline::{keep_rejects, told};
use datalake_core::{Error, Lake, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::raised;
use crate::lake::{LakeLike, document};
use crate::options::{reading, writing};
use crate::runtime::wait;

/// Converts one table between CSV, NDJSON, JSON and Parquet; files and objects (`lake://bucket/key`) alike.
#[pyfunction]
#[pyo3(signature = (
    source, destination, *, lake=None, to=None, to_compression=None, row_group_rows=None, zstd_level=None, **options
))]
#[expect(clippy::too_many_arguments, reason = "keywords of Python")]
pub(crate) fn convert<'py>(
    py: Python<'py>,
    source: PathBuf,
    destination: PathBuf,
    lake: Option<LakeLike<'py>>,
    to: Option<String>,
    to_compression: Option<&str>,
    row_group_rows: Option<usize>,
    zstd_level: Option<i32>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let reading = reading(options)?;
    let write = writing(to, to_compression, row_group_rows, zstd_level).map_err(|error| raised(py, &error))?;
    let lake = LakeLike::open_or_default(lake, py)?;
    let (done, kept) = wait(py, async move {
        let (from, to) = (location(source)?, location(destination)?);
        let (source, sink) = (source_at(&from, lake.as_ref()).await?, sink_at(&to, lake.as_ref()).await?);
        let done = format::convert(source, sink, reading.options, write).await;
        let kept = keep_rejects(&reading.quarantine, &to, "convert", || Ok(lake)).await?;
        let done = match done {
            Ok(done) => done,
            Err(error) => return Err(told(error, kept)),
        };
        Ok((done, kept))
    })?;
    let result = written(py, &done.written)?;
    result.set_item("balance", document(py, &done.balance)?)?;
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

async fn sink_at(location: &Location, lake: &dyn Lake) -> Result<Sink> {
    match location {
        Location::Object { bucket, key } => Ok(Sink::Object { bucket: lake.bucket(bucket).await?, path: key.clone() }),
        Location::Local(path) => Ok(Sink::LocalFile(path.clone())),
        other => Err(many(other)),
    }
}

fn many(location: &Location) -> Error {
    Error::invalid("use", location)
        .with_reason("it names a prefix, and one object is needed")
        .with_hint("name the object: `lake://bucket/key.parquet`")
}
