//! Rejected records of a read that may be taken back: they are handed on when it has come to its end.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::format::reject::{Reject, Rejects};
use crate::format::schema::Misfit;

/// So many bytes of them are held in memory, about. Of more, the read is taken back.
const MOST: usize = 16 * 1024 * 1024;
/// What an event takes beside its texts, about.
const EVENT: usize = 128;

/// Keeps what it is told for another one.
#[derive(Debug)]
pub(crate) struct Deferred {
    to: Arc<dyn Rejects>,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    events: Vec<Event>,
    bytes: usize,
}

#[derive(Debug)]
enum Event {
    Reached(String, u64),
    Reject(Box<Reject>),
}

impl Deferred {
    pub(crate) fn new(to: Arc<dyn Rejects>) -> Self {
        Self { to, told: Mutex::default() }
    }

    /// Hands on what was told so far.
    pub(crate) fn hand_on(&self) -> Result<()> {
        let told = take(&mut *self.told());
        told.events.into_iter().try_for_each(|event| match event {
            Event::Reached(source, row) => {
                self.to.reached(&source, row);
                Ok(())
            }
            Event::Reject(reject) => self.to.reject(*reject),
        })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Each use leaves it whole.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rejects for Deferred {
    fn reject(&self, reject: Reject) -> Result<()> {
        let mut told = self.told();
        told.bytes += EVENT + reject.source.len() + reject.reason.len() + reject.raw.len();
        if told.bytes > MOST {
            return Err(Error::invalid("read", &reject.source).with_reason("many records are bad").with_source(Misfit));
        }
        told.events.push(Event::Reject(Box::new(reject)));
        Ok(())
    }

    fn reached(&self, source: &str, row: u64) {
        let mut told = self.told();
        match told.events.last_mut() {
            Some(Event::Reached(last, known)) if last == source => *known = row.max(*known),
            _ => told.events.push(Event::Reached(source.to_owned(), row)),
        }
    }

    fn end(&self, seen: u64) -> Result<()> {
        self.hand_on()?;
        self.to.end(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Limit, Quarantine};

    fn reject(row: u64, raw: &str) -> Reject {
        let (source, code) = ("a.csv".to_owned(), "type".to_owned());
        Reject { source, row, line: None, byte: None, column: None, code, reason: "bad".into(), raw: raw.into() }
    }

    #[test]
    fn nothing_is_handed_on_before_the_end() {
        let quarantine = Arc::new(Quarantine::new(Limit::Rows(1)));
        let deferred = Deferred::new(Arc::clone(&quarantine) as _);
        for row in [1, 2] {
            deferred.reached("a.csv", row);
            deferred.reject(reject(row, "x")).unwrap();
        }
        assert!(quarantine.counts().is_empty());
        let error = deferred.end(10).unwrap_err();
        assert_eq!(error.reason(), Some("2 of 2 rows are bad, and the limit is 1"));
    }

    #[test]
    fn too_many_are_a_misfit() {
        let deferred = Deferred::new(Arc::new(Quarantine::new(Limit::default())));
        let raw = "x".repeat(1024 * 1024);
        let ended = (0..20).try_for_each(|row| deferred.reject(reject(row, &raw)));
        assert!(Misfit::is_cause_of(&ended.unwrap_err()));
    }
}
