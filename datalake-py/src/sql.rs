//! SQL over lake objects and tables of Python.

use datalake_core::query::{Session, SessionOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::raised;
use crate::lake::LakeLike;
use crate::options::reading;
use crate::runtime::wait;
use crate::table::Table;

/// Runs one query over the objects of a lake, and over tables of Python by name.
#[pyfunction]
#[pyo3(signature = (query, lake=None, *, tables=None, memory=None, **options))]
pub(crate) fn sql(
    py: Python<'_>,
    query: String,
    lake: Option<LakeLike<'_>>,
    tables: Option<&Bound<'_, PyDict>>,
    memory: Option<usize>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Table> {
    let reading = reading(options)?;
    let mut settings = SessionOptions::default().with_read(reading.options);
    settings.memory = memory;
    let session = Session::new(LakeLike::open_or_default(lake, py)?, settings).map_err(|error| raised(py, &error))?;
    for (name, rows) in tables.into_iter().flatten() {
        let (name, rows) = (name.extract::<String>()?, Table::from_arrow(&rows)?);
        let named = rows.plain().and_then(|rows| session.register(&name, rows));
        named.map_err(|error| raised(py, &error))?;
    }
    wait(py, async move {
        let rows = session.sql(&query).await?;
        let table = Table::collected(rows, &reading.quarantine, Vec::new()).await?;
        // Some things are seen only while objects are read.
        Ok(table.noted(session.notes()))
    })
}
