//! What the texts of a column have in common, a block at a time.

use super::column::{Reading, Wanted};
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
    reading: &'a Reading,
    mark: DecimalMark,
}

impl<'a> Kindred<'a> {
    pub(super) fn new(wanted: &Wanted, reading: &'a Reading) -> Self {
        Self { kinds: Kinds::ALL, values: 0, reading, mark: wanted.spec.decimal }
    }
}

impl<'a> Fields<'a> for Kindred<'_> {
    #[inline(always)]
    fn take(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        for field in fields {
            let text = self.reading.unquoted(field);
            if self.reading.is_null(&text) {
                continue;
            }
            self.values += 1;
            if self.kinds != Kinds::NONE {
                self.kinds = self.kinds.and(kinds(&text, self.mark));
            }
        }
    }
}

/// The types that a text could be of.
fn kinds(text: &[u8], mark: DecimalMark) -> Kinds {
    match text.first() {
        Some(b'0'..=b'9' | b'-') if mark != DecimalMark::Comma => {}
        _ => return Kinds::of(str::from_utf8(text).unwrap_or_default(), mark),
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
            None => Kinds::of(str::from_utf8(text).unwrap_or_default(), mark),
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
                self.kinds = self.kinds.and(kinds(&text, self.mark));
                if self.kinds == Kinds::NONE && self.has_values {
                    self.found = Some((self.row, shortened(&String::from_utf8_lossy(&text))));
                }
                self.has_values = true;
            }
            self.row += 1;
        }
    }
}
