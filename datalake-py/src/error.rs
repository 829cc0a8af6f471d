//! Errors of the engine as Python exceptions, by the table of outcomes.

use std::error::Error as _;

use datalake_core::{Error, ErrorKind};
use pyo3::prelude::*;

/// The exception for an error: its class by kind, with what is known of the place, and the hint as a note.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, class(error.kind()), error).unwrap_or_else(|failed| failed)
}

/// The class in `datalake.errors`.
fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::AlreadyExists => "AlreadyExistsError",
        ErrorKind::Invalid => "InvalidError",
        ErrorKind::Unsupported => "UnsupportedError",
        ErrorKind::Denied => "DeniedError",
        ErrorKind::Unavailable => "UnavailableError",
        ErrorKind::Exhausted => "ExhaustedError",
        // By somebody else: an interruption from here is Python's own, and raised where it is seen.
        ErrorKind::Cancelled => "CancelledError",
        // A kind that this module does not know is a bug in it.
        _ => "InternalError",
    }
}

fn exception(py: Python<'_>, name: &str, error: &Error) -> PyResult<PyErr> {
    let raised = py.import("datalake.errors")?.getattr(name)?.call1((message(error),))?;
    if let Some(position) = error.position() {
        raised.setattr("row", position.row)?;
        raised.setattr("line", position.line)?;
        raised.setattr("column", position.column.as_deref())?;
        raised.setattr("byte", position.byte)?;
    }
    if let Some(hint) = error.first_hint() {
        raised.setattr("hint", hint)?;
        raised.call_method1("add_note", (format!("hint: {hint}"),))?;
    }
    Ok(PyErr::from_value(raised))
}

/// The error and its causes, a line each.
fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!("\ncaused by: {cause}"));
        source = cause.source();
    }
    text
}
