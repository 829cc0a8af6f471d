//! Keyword options of Python as options of readers and writers.

use std::sync::Arc;

use datalake_core::format::{
    ColumnSpec, Compression, DecimalMark, Limit, OnRowError, Quarantine, ReadOptions, WriteOptions,
};
use datalake_core::{Error, Result};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::raised;

/// How to read, and who takes the rows that do not fit.
pub(crate) struct Reading {
    pub(crate) options: ReadOptions,
    pub(crate) quarantine: Arc<Quarantine>,
}

/// The options of a reader, by name as in `ReadOptions` of the stubs.
pub(crate) fn reading(given: Option<&Bound<'_, PyDict>>) -> PyResult<Reading> {
    let mut options = ReadOptions::default();
    let mut limit = Limit::default();
    let mut keeps = false;
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
            "quote" => options.quote = value.extract()?,
            "decimal" => options.decimal = decimal(&value)?,
            "header" => options.header = value.extract()?,
            "nulls" => options.nulls.extend(value.extract::<Vec<String>>()?),
            "schema" => options.schema = schema(&value)?,
            "text" => options.text = value.extract()?,
            "columns" => options.columns = value.extract()?,
            "on_row_error" => keeps = parsed::<OnRowError>(&name, &value)? == OnRowError::Quarantine,
            "max_bad_rows" => limit = parsed(&name, &value)?,
            "flatten" => options.flatten = value.extract()?,
            "rows" => options.rows = value.extract()?,
            "row_number" => options.row_number = value.extract()?,
            _ => return Err(PyTypeError::new_err(format!("unexpected keyword argument `{name}`"))),
        }
    }
    let quarantine = Arc::new(Quarantine::new(limit));
    if keeps {
        options = options.with_on_row_error(OnRowError::Quarantine).with_rejects(Some(Arc::clone(&quarantine) as _));
    }
    Ok(Reading { options, quarantine })
}

/// The options of a writer that Python offers.
pub(crate) fn writing(
    format: Option<String>,
    compression: Option<&str>,
    row_group_rows: Option<usize>,
    zstd_level: Option<i32>,
) -> Result<WriteOptions> {
    let mut options = WriteOptions::default().with_format(format);
    options.row_group_rows = row_group_rows.unwrap_or(options.row_group_rows);
    options.zstd_level = zstd_level.unwrap_or(options.zstd_level);
    match compression {
        Some(name) => options.with_compression_of_name(name),
        None => Ok(options),
    }
}

fn decimal(value: &Bound<'_, PyAny>) -> PyResult<DecimalMark> {
    match value.extract::<&str>() {
        Ok(".") => Ok(DecimalMark::Dot),
        Ok(",") => Ok(DecimalMark::Comma),
        _ => parsed("decimal", value),
    }
}

/// A schema is a list of column specifications, or names with their types.
fn schema(value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<ColumnSpec>>> {
    let Ok(names) = value.cast::<PyDict>() else {
        return parsed("schema", value);
    };
    let columns = names.iter().map(|(name, kind)| {
        let column = json!({ "name": name.extract::<String>()?, "type": kind.extract::<String>()? });
        serde_json::from_value(column).map_err(|cause| refused(value.py(), "schema", &cause))
    });
    columns.collect::<PyResult<Vec<ColumnSpec>>>().map(Some)
}

/// Anything that JSON can say, read as the engine reads it from a file.
fn parsed<T: DeserializeOwned>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    let text: String = value.py().import("json")?.call_method1("dumps", (value,))?.extract()?;
    serde_json::from_str(&text).map_err(|cause| refused(value.py(), name, &cause))
}

fn refused(py: Python<'_>, name: &str, cause: &serde_json::Error) -> PyErr {
    raised(py, &Error::invalid("use", format_args!("the option `{name}`")).with_reason(cause))
}
