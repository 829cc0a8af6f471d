//! Turns a command's outcome into an exit code, and an error into words.

use std::error::Error as _;
use std::io::{self, Write};
use std::process::ExitCode;

use datalake_core::{Error, ErrorKind, Result};

use crate::output::visible;
use crate::typed::{typed, typed_subject};

/// A signal that ends a command in good order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StopSignal {
    /// Ctrl-C.
    Interrupt,
    /// What schedulers send before they kill.
    Terminate,
}

/// The exit code of an outcome; an error is printed first. A command that ended in time has done its work, whatever
/// signal came.
pub(crate) fn code(outcome: Result<()>, stopped_by: Option<StopSignal>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell when stderr is gone too.
            let _ = io::stderr().write_all(visible(&words(&error)).as_bytes());
            ExitCode::from(match (error.kind(), stopped_by) {
                (ErrorKind::Cancelled, Some(StopSignal::Terminate)) => 143,
                (kind, _) => kind.exit_code(),
            })
        }
    }
}

/// An error with its causes and its hint, a line each.
fn words(error: &Error) -> String {
    let mut text = format!("error: {error}\n");
    if let Some(flag) = typed_subject(error.subject()) {
        text = text.replacen(error.subject(), &flag, 1);
    }
    let mut cause = error.source();
    while let Some(current) = cause {
        let said = current.to_string();
        if !text.contains(&said) {
            text.push_str(&format!("  caused by: {said}\n"));
        }
        cause = current.source();
    }
    if let Some(hint) = error.first_hint() {
        text.push_str(&format!("hint: {}\n", typed(hint)));
    }
    text
}

/// Whether whoever read our output has gone: the command has then done its work. A connection to a store can break
/// too, and that is an error.
fn is_broken_pipe(error: &Error) -> bool {
    if error.subject() != "stdout" {
        return false;
    }
    let mut cause = error.source();
    while let Some(current) = cause {
        if current.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = current.source();
    }
    false
}
