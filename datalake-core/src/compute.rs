//! The one door from async code to CPU threads: a single rayon pool.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// Why there is no pool is kept too: the answer stays the same.
static POOL: OnceLock<std::result::Result<ThreadPool, String>> = OnceLock::new();

/// More threads than any machine has use for.
const MOST_THREADS: usize = 1024;

/// Fixes the number of CPU threads. Results never depend on it.
///
/// # Errors
/// [`ErrorKind::Invalid`] for zero, or more than 1024; [`ErrorKind::AlreadyExists`] when the pool has
/// been started with another number; [`ErrorKind::Exhausted`] when the operating system grants no threads.
pub fn set_threads(threads: usize) -> Result<()> {
    if !(1..=MOST_THREADS).contains(&threads) {
        return Err(Error::invalid("start", "the CPU threads")
            .with_reason(format_args!("threads must be between 1 and {MOST_THREADS}, got {threads}")));
    }
    let started = granted(POOL.get_or_init(|| build(threads)))?.current_num_threads();
    if started == threads {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::AlreadyExists, "start", format_args!("{threads} CPU threads"))
            .with_reason(format_args!("the pool already runs with {started}"))
            .with_hint("set the number of threads before the first read, query or fit"))
    }
}

/// The number of CPU threads: what was set, else what the machine or the cgroup grants.
#[must_use]
pub fn threads() -> usize {
    // Where there are none, the first work says so.
    pool().map_or(1, ThreadPool::current_num_threads)
}

/// Runs CPU-bound work on the pool and waits for it without blocking the async threads. Where [`finish`] has brought the
/// caller onto a CPU thread, it is done there and then.
///
/// # Errors
/// Whatever the work returns; a panic in it becomes [`ErrorKind::Internal`]; [`ErrorKind::Exhausted`] when the operating
/// system grants no threads.
pub async fn run<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    if rayon::current_thread_index().is_some() {
        return guarded(work);
    }
    let (sender, receiver) = oneshot::channel();
    pool()?.spawn(move || {
        // The receiver is gone when the caller was cancelled: nobody waits for the result.
        let _ = sender.send(guarded(work));
    });
    match receiver.await {
        Ok(result) => result,
        Err(_) => Err(Error::internal("finish", "work on the CPU threads")),
    }
}

/// Runs CPU-bound work on the pool from code that is not async.
///
/// # Errors
/// Those of [`run`].
pub fn install<T, F>(work: F) -> Result<T>
where
    T: Send,
    F: FnOnce() -> Result<T> + Send,
{
    pool()?.install(|| guarded(work))
}

/// Carries async work to its end on a single CPU thread. It must wait for nothing but the CPU: what would be done on other
/// threads is done on this one, so many small pieces of work cost no handing over.
///
/// # Errors
/// Those of [`run`].
pub(crate) async fn finish<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    run(|| futures_executor::block_on(work())).await
}

/// Runs little work on this thread, which needs no others.
///
/// # Errors
/// Whatever the work returns; a panic in it becomes [`ErrorKind::Internal`].
pub fn here<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    guarded(work)
}

fn pool() -> Result<&'static ThreadPool> {
    granted(POOL.get_or_init(|| build(std::thread::available_parallelism().map_or(1, usize::from))))
}

fn build(threads: usize) -> std::result::Result<ThreadPool, String> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("datalake-cpu-{index}"))
        .build()
        .map_err(|cause| cause.to_string())
}

fn granted(pool: &std::result::Result<ThreadPool, String>) -> Result<&ThreadPool> {
    pool.as_ref().map_err(|cause| {
        Error::new(ErrorKind::Exhausted, "start", "the CPU threads")
            .with_reason(cause)
            .with_hint("use fewer threads, or raise the limit of processes")
    })
}

fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::internal("finish", "work on the CPU threads").with_reason(message(&*panic))))
}

thread_local! {
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread would be that of a decoder of others over a damaged file, which becomes an error as any other:
/// what prints panics need not print it.
#[must_use]
pub fn is_panic_expected() -> bool {
    IS_EXPECTED.get()
}

/// Runs a decoder of others, which may panic over a damaged file.
pub(crate) fn expecting_panics<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IS_EXPECTED.set(self.0);
        }
    }
    let _before = Before(IS_EXPECTED.replace(true));
    work()
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_expected_while_a_decoder_runs() {
        assert!(!is_panic_expected());
        assert!(catch_unwind(|| expecting_panics(|| assert!(!is_panic_expected(), "it is"))).is_err());
        assert!(!is_panic_expected());
        assert!(expecting_panics(|| expecting_panics(is_panic_expected) && is_panic_expected()));
    }

    #[tokio::test]
    async fn a_panic_becomes_an_internal_error() {
        let error = run(|| -> Result<()> { panic!("boom {}", 7) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().ends_with(": boom 7"), "{error}");
    }

    #[tokio::test]
    async fn work_within_work_stays_on_its_thread() {
        let name = || std::thread::current().name().map(ToOwned::to_owned);
        let (outer, inner) = finish(move || async move { Ok((name(), run(move || Ok(name())).await?)) }).await.unwrap();
        assert!(outer.as_ref().is_some_and(|name| name.starts_with("datalake-cpu-")) && outer == inner);
        let error = finish(|| run(|| -> Result<()> { panic!("boom") })).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[test]
    fn threads_that_are_not_granted_are_an_error() {
        let error = granted(&Err("Resource temporarily unavailable".to_owned())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert_eq!(error.reason(), Some("Resource temporarily unavailable"));
    }

    #[test]
    fn no_threads_and_too_many_are_refused() {
        assert_eq!(set_threads(0).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(set_threads(100_000).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
