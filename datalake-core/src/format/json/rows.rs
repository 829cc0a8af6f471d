//! The objects of a block as columns, some at a time: first where their values stand, then each column's values in one go.
//!
//! A name is first compared with that of the field which followed the last time. Lists and objects within are read where they
//! stand, as their end is not known before.

use arrow::array::ArrayRef;

use super::column::Column;
use super::columns::{Room, Text};
use super::marks::Marks;
use super::name::{Name, Places, find};
use super::shape::Kind;
use super::slot::Slot;
use super::strings::past_escapes;
use crate::error::Result;

/// About so many bytes of text go into all columns before the next ones, and stay in the first cache meanwhile.
const PASS: usize = 16 * 1024;
/// Of wide rows it does not count to begin with a column again after so many.
const FEW: usize = 64;

/// Rows in the making.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    text: Text<'a>,
    kinds: &'a [(String, Kind)],
    names: Vec<Name>,
    places: Places,
    columns: Vec<Column>,
    /// Which columns have values that end nobody knows where.
    is_nested: Vec<bool>,
    has_nested: bool,
    /// Of each row that waits, where the values of all columns stand.
    slots: Vec<Slot>,
    /// So many bytes of text were read when the first of them began.
    begun: usize,
    rows: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(kinds: &'a [(String, Kind)], room: Room, text: Text<'a>) -> Self {
        let is_nested: Vec<bool> =
            kinds.iter().map(|(_, kind)| matches!(kind, Kind::List(_) | Kind::Struct(_))).collect();
        Self {
            text,
            kinds,
            names: kinds.iter().map(|(name, _)| Name::new(name)).collect(),
            places: Places::of(kinds),
            columns: kinds.iter().map(|(_, kind)| Column::new(kind, room)).collect(),
            has_nested: is_nested.contains(&true),
            is_nested,
            slots: Vec::new(),
            begun: 0,
            rows: 0,
        }
    }

    pub(super) fn text(&self) -> Text<'a> {
        self.text
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Reads the object that begins at a place; gives where it ends.
    pub(super) fn read(&mut self, at: usize) -> Option<usize> {
        let (text, width) = (self.text, self.names.len());
        let bytes = text.bytes;
        if bytes.get(at) != Some(&b'{') {
            return None;
        }
        if at - self.begun > PASS && self.slots.len() >= FEW * width {
            self.pass()?;
            self.begun = at;
        }
        self.rows += 1;
        let first = self.slots.len();
        self.slots.resize(first + width, Slot::MISSING);
        let slots = &mut self.slots[first..];
        let (mut at, mut guess, mut known) = (text.skip(at + 1), 0, 0);
        if bytes.get(at) == Some(&b'}') {
            return self.end(known, at + 1);
        }
        loop {
            let field;
            (field, at) = match self.names.get(guess).and_then(|name| name.end(bytes, at)) {
                Some(end) => (guess, end),
                None => find(self.kinds, &self.places, text, at)?,
            };
            at = text.skip(at);
            let slot = slots.get_mut(field)?;
            // A name is repeated.
            if *slot != Slot::MISSING {
                return None;
            }
            (*slot, at) = if self.has_nested && self.is_nested[field] {
                (Slot::READ, nested(&mut self.columns[field], text, at)?)
            } else {
                value(bytes, text.marks, at)?
            };
            known += 1;
            guess = field + 1;
            // Mostly there are no blanks.
            if bytes.get(at)? == &b',' {
                at += 1;
                if bytes.get(at)? != &b'"' {
                    at = text.skip(at);
                }
                continue;
            }
            at = text.skip(at);
            match bytes.get(at)? {
                b',' => at = text.skip(at + 1),
                b'}' => return self.end(known, at + 1),
                _ => return None,
            }
        }
    }

    /// Fields that were not there are missing.
    #[inline(always)]
    fn end(&mut self, known: usize, end: usize) -> Option<usize> {
        if known < self.names.len() {
            let nested = self.columns.iter_mut().zip(&self.is_nested).filter(|(_, is_nested)| **is_nested);
            nested.map(|(column, _)| column).filter(|column| column.rows < self.rows).for_each(Column::append_null);
        }
        Some(end)
    }

    /// Hands the values of the rows that wait to their columns.
    fn pass(&mut self) -> Option<()> {
        let width = self.names.len();
        for (place, column) in self.columns.iter_mut().enumerate() {
            if !self.is_nested[place] {
                column.take(self.text, self.slots.chunks_exact(width).map(|row| row[place]))?;
            }
        }
        self.slots.clear();
        Some(())
    }

    /// The columns, unless a value is not as its column expects it.
    pub(super) fn finish(mut self) -> Result<Option<Vec<ArrayRef>>> {
        if self.pass().is_none() {
            return Ok(None);
        }
        self.columns.into_iter().map(Column::finish).collect::<Result<_>>().map(Some)
    }
}

/// Reads a list or an object where it stands.
#[inline(never)]
fn nested(column: &mut Column, text: Text<'_>, at: usize) -> Option<usize> {
    column.read(text, at)
}

/// Where a value stands that is a string, a number or a word, and where what follows it begins. What it is is not looked at.
#[inline(always)]
fn value(bytes: &[u8], marks: &Marks, at: usize) -> Option<(Slot, usize)> {
    if bytes.get(at)? != &b'"' {
        let end = marks.end(at)?;
        // One that has no bytes is none.
        return (at < end).then_some((Slot::new(at, end), end));
    }
    let end = marks.special(at + 1)?;
    if bytes.get(end)? == &b'"' {
        return Some((Slot::new(at, end + 1), end + 1));
    }
    let end = past_escapes(bytes, marks, end)?;
    Some((Slot::with_escapes(at, end), end))
}
