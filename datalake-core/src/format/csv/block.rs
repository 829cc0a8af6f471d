//! Whole records of a CSV text, and where their fields end.

use std::ops::Range;

use super::careful::{self, GivenUp, line_ends};
use super::even_fields::EvenFields;
use super::structure::Row;
use crate::format::intake::escaped;
use crate::format::schema::shortened;

/// The byte order mark of UTF-8.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// Whole records of a text, and where their fields end.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) text: Vec<u8>,
    /// Where its first byte stands in the whole text.
    pub(super) byte: u64,
    /// How many lines end between the block before and this one, all of them blank, comments or before the first record.
    pub(super) skipped: u64,
    /// The byte before it.
    pub(super) before: u8,
    /// The fields of the first record, where it names the columns.
    pub(super) header: Option<Vec<Vec<u8>>>,
    /// Where each field ends, before a delimiter or a line end.
    pub(super) ends: Vec<u32>,
    pub(super) rows: Vec<Row>,
    pub(super) given_up: Vec<Gap>,
    /// Whether nothing follows.
    pub(super) is_last: bool,
}

/// A record given up.
#[derive(Debug)]
pub(super) struct Gap {
    /// How many rows come before it.
    pub(super) rows: usize,
    /// Where it begins.
    pub(super) start: usize,
    pub(super) given_up: GivenUp,
}

impl Block {
    /// How many records could be cut.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How many records there are in all.
    pub(super) fn records(&self) -> u64 {
        (self.rows.len() + self.given_up.len()) as u64
    }

    /// The number of a row among all records, from 0.
    pub(super) fn number(&self, row: usize) -> u64 {
        (row + self.given_up.partition_point(|gap| gap.rows <= row)) as u64
    }

    /// Where a record begins.
    pub(super) fn start(&self, row: usize) -> usize {
        self.rows[row].start as usize
    }

    /// How many fields a record has.
    pub(super) fn width(&self, row: usize) -> usize {
        self.ends(row).len()
    }

    /// Where the fields of a record end.
    pub(super) fn ends(&self, row: usize) -> &[u32] {
        let last = self.rows.get(row + 1).map_or(self.ends.len(), |next| next.first as usize);
        &self.ends[self.rows[row].first as usize..last]
    }

    /// A record as it stands in the text, without its line end.
    pub(super) fn raw(&self, row: usize) -> &[u8] {
        let end = self.ends(row).last().map_or(0, |end| *end as usize);
        trimmed(&self.text, self.start(row), end)
    }

    /// A field as it stands in the text, with its quotes.
    pub(super) fn field(&self, row: usize, column: usize) -> &[u8] {
        let ends = self.ends(row);
        let start = if column == 0 { self.start(row) } else { ends[column - 1] as usize + 1 };
        let end = ends[column] as usize;
        if column + 1 == ends.len() { trimmed(&self.text, start, end) } else { &self.text[start..end] }
    }

    /// Where the header begins, or the first record of a text without one.
    pub(super) fn begin(&self) -> usize {
        let mark = if self.byte == 0 && self.text.starts_with(MARK) { MARK.len() } else { 0 };
        mark + self.text[mark..].iter().take_while(|byte| careful::is_line_end(byte)).count()
    }

    /// How many lines end between two places.
    pub(super) fn lines(&self, from: usize, to: usize) -> u64 {
        line_ends(&self.text[from..to], from.checked_sub(1).map_or(self.before, |before| self.text[before]))
    }

    /// What is wrong with the quote of a record given up, which begins in this line.
    pub(super) fn misquoted(&self, gap: &Gap, line: u64) -> String {
        let line = line + self.lines(gap.start, gap.given_up.open);
        match &gap.given_up.follows {
            None => format!("a quote opened in line {line} is not closed"),
            Some(follows) => format!(
                "after the closing quote of a field that begins in line {line} stands `{}`, and no delimiter",
                shortened(&escaped(follows))
            ),
        }
    }

    /// Whether each record has so many fields.
    pub(super) fn is_even(&self, width: usize) -> bool {
        self.rows.windows(2).all(|rows| (rows[1].first - rows[0].first) as usize == width)
            && self.rows.last().is_none_or(|last| self.ends.len() - last.first as usize == width)
    }

    /// The fields of a column, where each record has `width` of them.
    #[inline(always)]
    pub(super) fn even_fields(&self, width: usize, column: usize, rows: Range<usize>) -> EvenFields<'_> {
        let rows = &self.rows[rows];
        let first = rows.first().map_or(0, |row| row.first as usize);
        let ends = self.ends[first..first + rows.len() * width].chunks_exact(width);
        EvenFields::new(&self.text, rows, ends, column, width)
    }
}

/// A field at the end of a record, or the whole record: the CR of CR LF is no part of it.
#[inline(always)]
pub(super) fn trimmed(text: &[u8], start: usize, end: usize) -> &[u8] {
    let field = &text[start..end];
    match field {
        [rest @ .., b'\r'] if text.get(end) == Some(&b'\n') => rest,
        field => field,
    }
}
