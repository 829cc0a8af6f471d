//! Conversion of a table from one format and place to another.

use std::path::PathBuf;
use std::sync::Arc;

use datalake_core::format::{Files, Sink, Source, WriteOptions, Written};
use datalake_core::lake::Location;
use datalake_core::pipeline::{self, ConversionOrder, Done, Fix, Tables, carry_out};
use datalake_core::{Error, Lake, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::raised;
use crate::lake::{LakeLike, document};
use crate::options::{packed, parted, reading, size, writing};
use crate::runtime::wait;

/// Converts one table between CSV, NDJSON, JSON and Parquet; files and objects (`lake://bucket/key`) alike, and many of them
/// as one table.
#[pyfunction]
#[pyo3(signature = (
    source, destination, *, lake=None, to=None, to_compression=None, row_group_rows=None, zstd_level=None,
    bloom_filters=None, exact=false, partition_by=None, max_rows_per_file=None, overwrite=false, memory=None,
    **options
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
    bloom_filters: Option<Vec<String>>,
    exact: bool,
    partition_by: Option<Vec<String>>,
    max_rows_per_file: Option<u64>,
    overwrite: bool,
    memory: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let (of_destination, of_source) = parted(options, py, "to_")?;
    let memory = memory.map(size).transpose()?;
    let reading = reading(Some(&of_source))?;
    let write = writing("to_", Some(&of_destination))?;
    let write = packed(write, to, to_compression, row_group_rows, zstd_level)
        .map_err(|error| raised(py, &error))?
        .with_bloom_filters(bloom_filters.unwrap_or_default())
        .with_exact(exact)
        .with_partition_by(partition_by.unwrap_or_default())
        .with_max_rows_per_file(max_rows_per_file)
        .with_overwrite(overwrite)
        .with_memory(memory);
    let lake = LakeLike::open_or_default(lake, py)?;
    let done = wait(py, async move {
        let name = source.display().to_string();
        let to = location(destination)?;
        let files = match source.to_str() {
            Some(text) => Files::named(text, || Ok(lake.clone())).await?,
            None => None,
        };
        let tables = match files {
            Some(files) => Tables::Many(files),
            None => Tables::One(source_at(&location(source)?, lake.as_ref()).await?),
        };
        let order = ConversionOrder {
            source: (tables, name),
            sink: sink_at(&to, &write, lake.as_ref()).await?,
            destination: to,
            read: reading.options.with_memory(memory),
            write,
        };
        carry_out(order, &reading.quarantine, || Ok(Arc::clone(&lake))).await
    })?;
    let Done { converted, quarantine, run, .. } = done;
    let result = written(py, &converted.written)?;
    result.set_item("balance", document(py, &converted.balance)?)?;
    result.set_item("files", document(py, &converted.files)?)?;
    result.set_item("notes", converted.notes)?;
    result.set_item("dialect", document(py, &converted.dialect)?)?;
    result.set_item("rows_digest", converted.rows_digest)?;
    result.set_item("quarantine", quarantine)?;
    result.set_item("run", run)?;
    Ok(result)
}

/// Holds a run, or a file that a conversion wrote, against its objects.
#[pyfunction]
#[pyo3(signature = (run, *, lake=None))]
pub(crate) fn verify<'py>(py: Python<'py>, run: &str, lake: Option<LakeLike<'py>>) -> PyResult<Bound<'py, PyAny>> {
    let lake = LakeLike::open_or_default(lake, py)?;
    let run = run.to_owned();
    let verified = wait(py, async move { pipeline::verify(&run, || Ok(Arc::clone(&lake))).await })?;
    document(py, &verified.checks)
}

/// Reads the quarantined records of a conversion once more.
#[pyfunction]
#[pyo3(signature = (run, *, lake=None, schema=None, nulls=None))]
pub(crate) fn replay<'py>(
    py: Python<'py>,
    run: &str,
    lake: Option<LakeLike<'py>>,
    schema: Option<&Bound<'py, PyAny>>,
    nulls: Option<Vec<String>>,
) -> PyResult<Bound<'py, PyAny>> {
    let lake = LakeLike::open_or_default(lake, py)?;
    let mut fix = Fix::default();
    fix.schema = schema.map(crate::options::schema).transpose()?.flatten();
    fix.nulls = nulls.map(|nulls| std::iter::once(String::new()).chain(nulls).collect());
    let run = run.to_owned();
    let replayed = wait(py, async move { pipeline::replay(&run, fix, || Ok(Arc::clone(&lake))).await })?;
    document(py, &replayed)
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
