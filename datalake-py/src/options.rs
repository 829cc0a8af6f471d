//! Keyword options of Python as options of readers and writers.

use std::path::PathBuf;
use std::sync::Arc;

use datalake_core::format::{
    ColumnSpec, Compression, DecimalMark, Limit, OnRowError, Quarantine, ReadOptions, WriteOptions, declared_schema,
};
use datalake_core::{Error, Result, quantity};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping};
use serde::de::DeserializeOwned;

use crate::error::raised;

/// How to read, and who takes the rows that do not fit.
pub(crate) struct Reading {
    pub(crate) options: ReadOptions,
    pub(crate) quarantine: Arc<Quarantine>,
}

/// The options of a reader, by name as in `ReadOptions` of the stubs.
pub(crate) fn reading(given: Option<&Bound<'_, PyDict>>) -> PyResult<Reading> {
    let mut options = ReadOptions::default();
    let mut limit = None;
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        match name.as_str() {
            "format" => options.format = value.extract()?,
            "compression" => {
                let name = value.extract::<Option<String>>()?;
                let compression = name.map(|name| name.parse::<Compression>()).transpose();
                options.compression = compression.map_err(|error| raised(value.py(), &error))?;
            }
            "encoding" => options.encoding = value.extract()?,
            "member" => options.member = value.extract()?,
            "delimiter" => options.delimiter = value.extract()?,
            "quote" => options.quote = parsed(&name, &value)?,
            "escape" => options.escape = value.extract()?,
            "comment" => options.comment = value.extract()?,
            "skip_lines" => options.skip_lines = value.extract()?,
            "decimal" => options.decimal = decimal(&name, &value)?,
            "thousands" => options.thousands = value.extract()?,
            "header" => options.header = value.extract()?,
            "nulls" => options.nulls.extend(value.extract::<Vec<String>>()?),
            "schema" => options.schema = schema(&value)?,
            "text" => options.text = value.extract()?,
            "columns" => options.columns = value.extract()?,
            "on_row_error" => options.on_row_error = parsed::<OnRowError>(&name, &value)?,
            "max_bad_rows" => limit = Some((parsed::<Limit>(&name, &value)?, value.py())),
            "flatten" => options.flatten = value.extract()?,
            "rows" => options.rows = value.extract()?,
            "row_number" => options.row_number = value.extract()?,
            "source_column" => options.source_column = value.extract()?,
            _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument `{name}`"))),
        }
    }
    if let Some((_, py)) = &limit {
        options.on_row_error.check_limit().map_err(|error| raised(*py, &error))?;
    }
    let quarantine = Arc::new(Quarantine::new(limit.map(|(limit, _)| limit).unwrap_or_default()));
    if options.on_row_error.keeps() {
        options = options.with_rejects(Some(Arc::clone(&quarantine) as _));
    }
    Ok(Reading { options, quarantine })
}

/// The options of a writer, by name as in `WriteOptions` of the stubs; each begins with this prefix.
pub(crate) fn writing(prefix: &str, given: Option<&Bound<'_, PyDict>>) -> PyResult<WriteOptions> {
    let mut options = WriteOptions::default();
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        match name.strip_prefix(prefix).unwrap_or_default() {
            "delimiter" => options.delimiter = value.extract()?,
            "quote" => options.quote = parsed(&name, &value)?,
            "decimal" => options.decimal = decimal(&name, &value)?,
            "null" => options.null = value.extract()?,
            "line_end" => options.line_end = parsed(&name, &value)?,
            "header" => options.header = value.extract()?,
            _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument `{name}`"))),
        }
    }
    Ok(options)
}

/// Of some keywords, those that begin with a prefix, and the others.
pub(crate) fn parted<'py>(
    given: Option<&Bound<'py, PyDict>>,
    py: Python<'py>,
    prefix: &str,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let (with, without) = (PyDict::new(py), PyDict::new(py));
    for (name, value) in given.into_iter().flatten() {
        let has_prefix = name.extract::<&str>()?.starts_with(prefix);
        let part = if has_prefix { &with } else { &without };
        part.set_item(name, value)?;
    }
    Ok((with, without))
}

/// The options of a writer that are no matter of CSV.
pub(crate) fn packed(
    mut options: WriteOptions,
    format: Option<String>,
    compression: Option<&str>,
    row_group_rows: Option<usize>,
    zstd_level: Option<i32>,
) -> Result<WriteOptions> {
    options.format = format;
    options.row_group_rows = row_group_rows.unwrap_or(options.row_group_rows);
    options.zstd_level = zstd_level.unwrap_or(options.zstd_level);
    match compression {
        Some(name) => options.with_compression_of_name(name),
        None => Ok(options),
    }
}

fn decimal(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<DecimalMark>> {
    match value.extract::<&str>() {
        Ok(".") => Ok(Some(DecimalMark::Dot)),
        Ok(",") => Ok(Some(DecimalMark::Comma)),
        _ => parsed(name, value),
    }
}

/// A schema is a text or a path as for the command line, or what a file would hold: a list of columns, or names with types.
pub(crate) fn schema(value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<ColumnSpec>>> {
    let py = value.py();
    if value.is_none() {
        return Ok(None);
    }
    let text = match value.extract::<PathBuf>() {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(_) => {
            // A mapping of any kind, a sequence of any.
            let plain = match value.cast::<PyMapping>() {
                Ok(names) => py.get_type::<PyDict>().call1((names,))?,
                Err(_) => py.get_type::<PyList>().call1((value,))?,
            };
            py.import("json")?.call_method1("dumps", (plain,))?.extract()?
        }
    };
    declared_schema(&text).map(Some).map_err(|error| raised(py, &error))
}

/// Bytes as a number, or a size as people write it.
pub(crate) fn size(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    quantity::size(value.str()?.to_str()?).map_err(|error| raised(value.py(), &error))
}

/// Anything that JSON can say, read as the engine reads it from a file.
fn parsed<T: DeserializeOwned>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    let text: String = value.py().import("json")?.call_method1("dumps", (value,))?.extract()?;
    serde_json::from_str(&text).map_err(|cause| refused(value.py(), name, &cause))
}

fn refused(py: Python<'_>, name: &str, cause: &serde_json::Error) -> PyErr {
    raised(py, &Error::invalid("use", format_args!("the option `{name}`")).with_reason(cause))
}
