//! Rejected records of a read that may be taken back: they are handed on when it has come to its end.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::format::nulled::Nulled;
use crate::format::reject::{Reject, Rejects, SourceColumns};
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

/// What whoever takes rejected records is told.
#[derive(Debug)]
pub(super) enum Event {
    Columns(String, Box<SourceColumns>),
    JsonText(Vec<String>),
    Reached(String, u64),
    Reject(Box<Reject>),
    Nulled(Vec<Nulled>),
}

impl Event {
    pub(super) fn tell(self, to: &dyn Rejects) -> Result<()> {
        match self {
            Self::Columns(source, columns) => to.columns(&source, *columns),
            Self::JsonText(columns) => to.json_text(columns),
            Self::Reached(source, row) => to.reached(&source, row),
            Self::Reject(reject) => return to.reject(*reject),
            Self::Nulled(values) => return to.nulled(&values),
        }
        Ok(())
    }

    /// Adds that a row of a source was reached: of several in a row the last counts.
    pub(super) fn reached(events: &mut Vec<Self>, source: &str, row: u64) {
        match events.last_mut() {
            Some(Self::Reached(last, known)) if last == source => *known = row.max(*known),
            _ => events.push(Self::Reached(source.to_owned(), row)),
        }
    }
}

impl Deferred {
    pub(crate) fn new(to: Arc<dyn Rejects>) -> Self {
        Self { to, told: Mutex::default() }
    }

    /// Hands on what was told so far.
    pub(crate) fn hand_on(&self) -> Result<()> {
        let told = take(&mut *self.told());
        told.events.into_iter().try_for_each(|event| event.tell(self.to.as_ref()))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Each use leaves it whole.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Makes room for what one of this source brings.
    fn add(&mut self, source: &str, bytes: usize) -> Result<()> {
        self.bytes += EVENT + bytes;
        if self.bytes > MOST {
            return Err(Error::invalid("read", source).with_reason("many records are bad").with_source(Misfit));
        }
        Ok(())
    }
}

impl Rejects for Deferred {
    fn reject(&self, reject: Reject) -> Result<()> {
        let mut told = self.told();
        told.add(&reject.source, reject.source.len() + reject.reason.len() + reject.raw.len())?;
        told.events.push(Event::Reject(Box::new(reject)));
        Ok(())
    }

    fn nulled(&self, values: &[Nulled]) -> Result<()> {
        let mut told = self.told();
        let bytes = values.iter().map(|value| EVENT + value.source.len() + value.column.len() + value.reason.len());
        told.add(values.first().map_or("", |value| value.source.as_str()), bytes.sum())?;
        told.events.push(Event::Nulled(values.to_vec()));
        Ok(())
    }

    fn columns(&self, source: &str, columns: SourceColumns) {
        self.told().events.push(Event::Columns(source.to_owned(), Box::new(columns)));
    }

    fn json_text(&self, columns: Vec<String>) {
        self.told().events.push(Event::JsonText(columns));
    }

    fn reached(&self, source: &str, row: u64) {
        Event::reached(&mut self.told().events, source, row);
    }

    fn end(&self, seen: u64) -> Result<()> {
        self.hand_on()?;
        self.to.end(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{DecimalMark, Dialect, Limit, Quarantine, Quote};

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
        assert_eq!(error.reason(), Some("at least 2 of 2 rows are bad, and the limit is 1"));
    }

    #[test]
    fn all_that_is_told_is_handed_on() {
        let quarantine = Arc::new(Quarantine::new(Limit::default()));
        let deferred = Deferred::new(Arc::clone(&quarantine) as _);
        let names = vec!["a".to_owned()];
        let dialect = Dialect {
            delimiter: ',',
            quote: Quote::default(),
            escape: None,
            comment: None,
            skip_lines: 0,
            header: true,
            decimal: DecimalMark::Dot,
            thousands: None,
        };
        deferred.columns("a.csv", SourceColumns { names, dialect });
        let position = crate::error::Position::row(7);
        deferred.nulled(&[Nulled::new("a.csv", position, "a", "`x` is not a int64")]).unwrap();
        assert!(quarantine.nulled_columns().is_empty() && quarantine.columns().is_empty());
        deferred.end(10).unwrap();
        assert_eq!(quarantine.nulled_columns()[0].values, 1);
        assert_eq!(quarantine.columns()["a.csv"].names, ["a"]);
    }

    #[test]
    fn too_many_are_a_misfit() {
        let deferred = Deferred::new(Arc::new(Quarantine::new(Limit::default())));
        let raw = "x".repeat(1024 * 1024);
        let ended = (0..20).try_for_each(|row| deferred.reject(reject(row, &raw)));
        assert!(Misfit::is_cause_of(&ended.unwrap_err()));
    }
}
