//! The fields of a column, record by record, where each record has as many fields.

use std::slice::{ChunksExact, Iter};

use super::block::trimmed;
use super::structure::Row;

/// The fields of a column of even records.
pub(super) struct EvenFields<'a> {
    text: &'a [u8],
    rows: Iter<'a, Row>,
    /// Where the fields of each row end.
    ends: ChunksExact<'a, u32>,
    column: usize,
    is_last: bool,
}

impl<'a> EvenFields<'a> {
    #[inline(always)]
    pub(super) fn new(
        text: &'a [u8],
        rows: &'a [Row],
        ends: ChunksExact<'a, u32>,
        column: usize,
        width: usize,
    ) -> Self {
        Self { text, rows: rows.iter(), ends, column, is_last: column + 1 == width }
    }
}

impl<'a> Iterator for EvenFields<'a> {
    type Item = &'a [u8];

    // Without a call: there is one for each field.
    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (row, ends) = (self.rows.next()?, self.ends.next()?);
        let start = if self.column == 0 { row.start as usize } else { ends[self.column - 1] as usize + 1 };
        let end = ends[self.column] as usize;
        Some(if self.is_last { trimmed(self.text, start, end) } else { &self.text[start..end] })
    }
}
