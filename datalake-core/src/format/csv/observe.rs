//! What the texts of a column have in common, a block at a time.

use super::advice::Lenient;
use super::column::{Reading, Wanted};
use super::grouped::is_grouped_number;
use super::parse::Fields;
use crate::format::cell::Kinds;
use crate::format::quick;
use crate::format::schema::shortened;
use crate::format::spec::DecimalMark;

/// The types that all texts of a block could be of.
#[derive(Debug)]
pub(super) struct Kindred<'a> {
    pub(super) kinds: Kinds,
    /// How many are not missing.
    pub(super) values: u64,
    /// What they would be if a comma were the decimal mark.
    pub(super) comma: Comma,
    /// What would make numbers of them.
    pub(super) lenient: Lenient,
    row: u64,
    reading: &'a Reading,
    mark: DecimalMark,
}

impl<'a> Kindred<'a> {
    pub(super) fn new(wanted: &Wanted, reading: &'a Reading, asks: bool) -> Self {
        let comma = if asks { Comma::ANY } else { Comma::NONE };
        let mark = wanted.spec.decimal;
        Self { kinds: Kinds::ALL, values: 0, comma, lenient: Lenient::new(mark), row: 0, reading, mark }
    }
}

/// The types that texts could be of if a comma were the decimal mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comma {
    pub(super) kinds: Kinds,
    /// Whether one of them could not be a whole number grouped by thousands.
    pub(super) is_clear: bool,
}

impl Comma {
    /// Of no text.
    pub(super) const ANY: Self = Self { kinds: Kinds::ALL, is_clear: false };
    /// Where it is not asked.
    pub(super) const NONE: Self = Self { kinds: Kinds::NONE, is_clear: false };

    /// Takes a text whose types with a dot are known.
    fn take(&mut self, text: &[u8], with_dot: Kinds, reading: &Reading) {
        // An integer has no mark.
        if with_dot.has(Kinds::INT) || memchr::memchr2(b'.', b',', text).is_none() {
            self.kinds = self.kinds.and(with_dot);
            return;
        }
        let text = str::from_utf8(text).unwrap_or_default();
        self.kinds = self.kinds.and(reading.kinds(text, DecimalMark::Comma));
        self.is_clear |= text.contains(',') && !is_grouped_number(text, ',');
    }

    /// Takes what comes of others.
    pub(super) fn absorb(&mut self, others: Self) {
        self.kinds = self.kinds.and(others.kinds);
        self.is_clear |= others.is_clear;
    }

    /// Whether they are numbers.
    pub(super) fn is_number(self) -> bool {
        self.kinds.has(Kinds::FLOAT)
    }
}

impl<'a> Fields<'a> for Kindred<'_> {
    #[inline(always)]
    fn take(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        for field in fields {
            let row = self.row;
            self.row += 1;
            let text = self.reading.unquoted(field);
            if self.reading.is_null(&text) {
                continue;
            }
            self.values += 1;
            let is_asked = self.kinds != Kinds::NONE || self.comma.kinds != Kinds::NONE || self.lenient.is_alive();
            if is_asked {
                let kinds = kinds(&text, self.mark, self.reading);
                self.kinds = self.kinds.and(kinds);
                if self.comma.kinds != Kinds::NONE {
                    self.comma.take(&text, kinds, self.reading);
                }
                if self.lenient.is_alive() {
                    self.lenient.take(row, &text, kinds);
                }
            }
        }
    }
}

/// The types that a text could be of.
pub(super) fn kinds(text: &[u8], mark: DecimalMark, reading: &Reading) -> Kinds {
    match text.first() {
        Some(b'0'..=b'9' | b'-') if mark != DecimalMark::Comma => {}
        _ => return reading.kinds(str::from_utf8(text).unwrap_or_default(), mark),
    }
    // Every integer of so few digits is a float.
    if text.len() <= 15 && quick::int(text).is_some() {
        Kinds::SHORT_INT
    } else if quick::float(text).is_some() && quick::int(text).is_none() {
        Kinds::FLOAT
    } else if quick::date(text).is_some() {
        Kinds::DATE
    } else {
        match quick::timestamp(text) {
            Some((_, true)) => Kinds::TIMESTAMP_UTC,
            Some((_, false)) => Kinds::TIMESTAMP,
            None => reading.kinds(str::from_utf8(text).unwrap_or_default(), mark),
        }
    }
}

/// Looks for the text with which a column has no type left but text.
#[derive(Debug)]
pub(super) struct Spoiler<'a> {
    pub(super) kinds: Kinds,
    /// Whether there was a value before.
    pub(super) has_values: bool,
    pub(super) row: usize,
    pub(super) found: Option<(usize, String)>,
    pub(super) reading: &'a Reading,
    pub(super) mark: DecimalMark,
}

impl<'a> Fields<'a> for Spoiler<'_> {
    fn take(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        for field in fields {
            let text = self.reading.unquoted(field);
            if self.kinds != Kinds::NONE && !self.reading.is_null(&text) {
                self.kinds = self.kinds.and(kinds(&text, self.mark, self.reading));
                if self.kinds == Kinds::NONE && self.has_values {
                    self.found = Some((self.row, shortened(&String::from_utf8_lossy(&text))));
                }
                self.has_values = true;
            }
            self.row += 1;
        }
    }
}
