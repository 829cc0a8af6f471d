//! Work with heartbeats beside it: neither waits for the other, so a store that is away holds up nothing but the beats.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::manifest::HEARTBEAT;
use crate::progress::Progress;

/// How often it is looked whether the work should stop.
const LOOK: Duration = Duration::from_millis(50);

/// Carries out `work` with a `beat` at every heartbeat, the first after `first`.
///
/// It ends with the work; with the first beat that fails; or when `progress` asks to stop, for which `stopped` is the error.
/// What has not ended then is dropped where it is.
pub(crate) async fn with_beats<T, F>(
    work: impl Future<Output = Result<T>>,
    first: Duration,
    mut beat: impl FnMut() -> F,
    progress: &dyn Progress,
    stopped: impl FnOnce() -> Error,
) -> Result<T>
where
    F: Future<Output = Result<()>>,
{
    let beats = async {
        let mut tick = interval_at(Instant::now() + first, HEARTBEAT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match beat().await {
                // The work has a patience of its own, and may not even notice.
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return error,
                Ok(()) => {}
            }
        }
    };
    let asked = async {
        let mut tick = interval(LOOK);
        while !progress.is_cancelled() {
            tick.tick().await;
        }
    };
    tokio::select! {
        // Work that is done is done, whatever else has come to an end meanwhile.
        biased;
        outcome = work => outcome,
        () = asked => Err(stopped()),
        error = beats => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::progress::Silent;

    fn stopped() -> Error {
        Error::new(ErrorKind::Cancelled, "finish", "the work").with_reason("stopped by the user")
    }

    /// Asks to stop once something has come to pass.
    #[derive(Debug, Default)]
    struct Once(AtomicBool);

    impl Progress for Once {
        fn begin(&self, _stage: &str, _total: Option<u64>) {}
        fn advance(&self, _units: u64) {}
        fn end(&self) {}
        fn note(&self, _line: &str) {}
        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn a_beat_that_never_ends_holds_up_neither_the_work_nor_a_stop() {
        let (begun, go_on) = tokio::sync::oneshot::channel();
        let mut begun = Some(begun);
        let beat = || {
            let _ = begun.take().map(|begun| begun.send(()));
            pending()
        };
        let work = async { go_on.await.map_err(|_| stopped()) };
        with_beats(work, Duration::ZERO, beat, &Silent, stopped).await.unwrap();

        let once = Once::default();
        let beat = || {
            once.0.store(true, Ordering::Relaxed);
            pending()
        };
        let error = with_beats(pending::<Result<()>>(), Duration::ZERO, beat, &once, stopped).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }

    #[tokio::test]
    async fn a_beat_that_fails_ends_the_work() {
        let beat = || ready(Err(Error::new(ErrorKind::Denied, "put", "a heartbeat")));
        let error = with_beats(pending::<Result<()>>(), Duration::ZERO, beat, &Silent, stopped).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
}
