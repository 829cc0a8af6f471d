//! The door between Python and the engine: one async runtime, waited for without the interpreter, open to Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use datalake_core::progress::Progress;
use datalake_core::{Error, Result, compute};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::raised;

/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(50);
/// How long interrupted work may take to put things in order, such as the manifest of a run.
const GRACE: Duration = Duration::from_secs(2);

static RUNTIME: OnceLock<(u32, Runtime)> = OnceLock::new();

/// Something to show, by the method of the display that shows it.
#[derive(Debug)]
enum Event {
    Begin(String, Option<u64>),
    Advance(u64),
    End,
    Note(String),
}

/// Tells long work to stop, and a display of Python's, where there is one, how far it is.
#[derive(Debug)]
pub(crate) struct Listener {
    is_stopped: AtomicBool,
    grace: Duration,
    display: Option<Py<PyAny>>,
    /// What the display has not shown yet: only the thread that waits calls into Python.
    events: Mutex<Vec<Event>>,
}

impl Default for Listener {
    fn default() -> Self {
        Self { is_stopped: AtomicBool::new(false), grace: GRACE, display: None, events: Mutex::default() }
    }
}

impl Listener {
    /// Reports to an object with `begin`, `advance`, `end` and `note`.
    pub(crate) fn with_display(mut self, display: Option<Py<PyAny>>) -> Self {
        self.display = display;
        self
    }

    /// Leaves interrupted work more time than the little that a process of its own needs.
    pub(crate) fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn push(&self, event: Event) {
        if self.display.is_none() {
            return;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match (events.last_mut(), event) {
            (Some(Event::Advance(units)), Event::Advance(more)) => *units += more,
            (_, event) => events.push(event),
        }
    }

    fn show(&self, py: Python<'_>) -> PyResult<()> {
        let Some(display) = &self.display else { return Ok(()) };
        let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        for event in events {
            match event {
                Event::Begin(stage, total) => display.call_method1(py, "begin", (stage, total)),
                Event::Advance(units) => display.call_method1(py, "advance", (units,)),
                Event::End => display.call_method0(py, "end"),
                Event::Note(line) => display.call_method1(py, "note", (line,)),
            }?;
        }
        Ok(())
    }
}

impl Progress for Listener {
    fn begin(&self, stage: &str, total: Option<u64>) {
        self.push(Event::Begin(stage.to_owned(), total));
    }
    fn advance(&self, units: u64) {
        self.push(Event::Advance(units));
    }
    fn end(&self) {
        self.push(Event::End);
    }
    fn note(&self, line: &str) {
        self.push(Event::Note(line.to_owned()));
    }
    fn is_cancelled(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Waits for work with the interpreter released. Ctrl-C drops the work and raises what its handler says.
pub(crate) fn wait<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    wait_with(py, &Arc::default(), work)
}

/// As [`wait`], for work that reports to `listener`, looks at it, and ends by itself when told.
pub(crate) fn wait_with<T, F>(py: Python<'_>, listener: &Arc<Listener>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let runtime = runtime()?;
    py.detach(|| watched(runtime, listener, work))?.map_err(|error| raised(py, &error))
}

/// The work runs on the runtime's threads, so that this one, to which Python delivers signals, stays free. Python is called
/// between two waits, not within one: a handler of a signal may wait for other work of the engine.
fn watched<T, F>(runtime: &Runtime, listener: &Listener, work: F) -> PyResult<Result<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut work = runtime.spawn(work);
    loop {
        match tick(runtime, &mut work) {
            Some(ended) => {
                // All that was said, before the result, which an error of the display does not replace.
                Python::attach(|py| listener.show(py).unwrap_or_else(|error| error.write_unraisable(py, None)));
                return Ok(ended);
            }
            None => {
                if let Err(interrupt) = between(listener) {
                    stop(runtime, listener, &mut work);
                    return Err(interrupt);
                }
            }
        }
    }
}

/// What the work ended in, if it did within a tick.
fn tick<T>(runtime: &Runtime, work: &mut JoinHandle<Result<T>>) -> Option<Result<T>> {
    let ended = runtime.block_on(async { timeout(TICK, work).await }).ok()?;
    Some(ended.unwrap_or_else(|lost| Err(Error::internal("finish", "the work").with_reason(lost))))
}

/// Tells the work to stop, and gives it time to put things in order; no longer where the user insists.
fn stop<T>(runtime: &Runtime, listener: &Listener, work: &mut JoinHandle<Result<T>>) {
    listener.is_stopped.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    while tick(runtime, work).is_none() {
        if begun.elapsed() > listener.grace || Python::attach(|py| py.check_signals().is_err()) {
            return work.abort();
        }
    }
}

/// What Python has to do between two looks at the work: handlers of signals, of which Ctrl-C's raises, and the display.
fn between(listener: &Listener) -> PyResult<()> {
    Python::attach(|py| {
        py.check_signals()?;
        listener.show(py)
    })
}

fn runtime() -> PyResult<&'static Runtime> {
    let process = std::process::id();
    let (owner, runtime) = match RUNTIME.get() {
        Some(started) => started,
        None => {
            let started = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            RUNTIME.get_or_init(|| (process, started))
        }
    };
    if *owner == process {
        return Ok(runtime);
    }
    // Threads do not survive a fork: to wait for them would be for ever.
    Err(PyRuntimeError::new_err(
        "datalake was used before this process was forked from its parent; start processes by `spawn` instead",
    ))
}

/// Fixes the number of CPU threads of this process. Results never depend on it.
#[pyfunction]
pub(crate) fn set_threads(py: Python<'_>, threads: usize) -> PyResult<()> {
    compute::set_threads(threads).map_err(|error| raised(py, &error))
}

/// The number of CPU threads of this process.
#[pyfunction]
pub(crate) fn threads() -> usize {
    compute::threads()
}
