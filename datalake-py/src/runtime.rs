//! The door between Python and the engine: one async runtime, waited for without the interpreter, open to Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use datalake_core::progress::Progress;
use datalake_core::{Error, Result, compute};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::error::raised;

/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(50);
/// How long interrupted work may take to put things in order, such as the manifest of a run.
const GRACE: Duration = Duration::from_secs(2);

static RUNTIME: OnceLock<(u32, Runtime)> = OnceLock::new();

/// Tells long work to stop, and reports to nobody.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicBool);

impl Progress for Stop {
    fn begin(&self, _stage: &str, _total: Option<u64>) {}
    fn advance(&self, _units: u64) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits for work with the interpreter released. Ctrl-C drops the work and raises what its handler says.
pub(crate) fn wait<T, F>(py: Python<'_>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    wait_or_stop(py, &Arc::default(), work)
}

/// As [`wait`], for work that looks at `stop` and ends by itself when told.
pub(crate) fn wait_or_stop<T, F>(py: Python<'_>, stop: &Arc<Stop>, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let runtime = runtime()?;
    py.detach(|| runtime.block_on(watched(runtime, stop, work)))?.map_err(|error| raised(py, &error))
}

/// The work runs on the runtime's threads, so that this one, to which Python delivers signals, stays free.
async fn watched<T, F>(runtime: &Runtime, stop: &Stop, work: F) -> PyResult<Result<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut work = runtime.spawn(work);
    loop {
        match timeout(TICK, &mut work).await {
            Ok(Ok(outcome)) => return Ok(outcome),
            Ok(Err(lost)) => return Ok(Err(Error::internal("finish", "the work").with_reason(lost))),
            Err(_) => {
                if let Err(interrupt) = signals() {
                    stop.0.store(true, Ordering::Relaxed);
                    if timeout(GRACE, &mut work).await.is_err() {
                        work.abort();
                    }
                    return Err(interrupt);
                }
            }
        }
    }
}

/// Runs the handlers of signals that have come; Ctrl-C's raises.
fn signals() -> PyResult<()> {
    Python::attach(|py| {
        py.check_signals()?;
        Ok(())
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
