//! JSON objects of known fields straight into columns, as most texts have them.
//!
//! Whatever is not as expected (an unknown field, a repeated one, another type, broken JSON) makes the whole block one for
//! [`build`](super::build), which takes or refuses it with a reason.

use arrow::array::ArrayRef;

use super::cut::Block;
use super::frame::Layout;
use super::marks::Marks;
use super::rows::Rows;
use super::shape::Kind;
use super::slot::Slot;
use crate::error::Result;

/// What a record's text is read with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) marks: &'a Marks,
    pub(super) nulls: &'a [String],
    /// Whether a line end ends a record.
    is_lines: bool,
}

impl Text<'_> {
    /// Past blanks within a record.
    #[inline(always)]
    pub(super) fn skip(self, mut at: usize) -> usize {
        loop {
            match self.bytes.get(at) {
                Some(b' ' | b'\t' | b'\r') => at += 1,
                Some(b'\n') if !self.is_lines => at += 1,
                _ => return at,
            }
        }
    }
}

/// Reads blocks.
#[derive(Debug)]
pub(super) struct Reader {
    kinds: Vec<(String, Kind)>,
    nulls: Vec<String>,
}

impl Reader {
    /// A reader of records of these fields; none where some are kept as JSON text.
    pub(super) fn new(kinds: &[(String, Kind)], nulls: &[String]) -> Option<Self> {
        let nulls = nulls.iter().filter(|null| !null.is_empty()).cloned().collect();
        kinds.iter().all(|(_, kind)| is_quick(kind)).then(|| Self { kinds: kinds.to_vec(), nulls })
    }

    /// The columns of a block and how many rows they have, if each record is an object of the fields that are known; and how many
    /// lines end in it.
    pub(super) fn columns(&self, block: &Block, layout: &Layout) -> Result<Option<(Vec<ArrayRef>, usize, u64)>> {
        if block.text.len() > Slot::LONGEST || simdutf8::basic::from_utf8(&block.text).is_err() {
            return Ok(None);
        }
        let is_lines = *layout == Layout::Lines;
        let marks = Marks::of(&block.text);
        let room = Room::of(block, marks.line_ends(), &self.kinds);
        let text = Text { bytes: &block.text, marks: &marks, nulls: &self.nulls, is_lines };
        let mut rows = Rows::new(&self.kinds, room, text);
        let read = match layout {
            Layout::Lines => lines(&mut rows),
            Layout::Array => elements(&mut rows, block.is_first, block.is_last),
            Layout::Document(_) => None,
        };
        if read.is_none() {
            return Ok(None);
        }
        let count = rows.len();
        rows.finish()?.map(|columns| Ok((columns, count, marks.line_ends()))).transpose()
    }
}

fn is_quick(kind: &Kind) -> bool {
    match kind {
        Kind::Scalar(_) | Kind::Text | Kind::Empty => true,
        Kind::List(element) => is_quick(element),
        Kind::Struct(fields) => fields.iter().all(|(_, kind)| is_quick(kind)),
        Kind::Json | Kind::NoFields => false,
    }
}

/// Reads objects, each in a line of its own.
fn lines(rows: &mut Rows<'_>) -> Option<()> {
    let text = rows.text();
    let mut at = 0;
    loop {
        at = text.skip(at);
        match text.bytes.get(at) {
            None => return Some(()),
            Some(b'\n') => at += 1,
            Some(_) => {
                at = text.skip(rows.read(at)?);
                if text.bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                    return None;
                }
            }
        }
    }
}

/// Reads objects that are elements of an array.
fn elements(rows: &mut Rows<'_>, is_first: bool, is_last: bool) -> Option<()> {
    let text = rows.text();
    let bytes = text.bytes;
    let mut at = text.skip(0);
    if is_first {
        if bytes.get(at) != Some(&b'[') {
            return None;
        }
        at = text.skip(at + 1);
        // Objects follow: what has none is taken by hand.
        at = text.skip(rows.read(at)?);
    }
    loop {
        match bytes.get(at) {
            None => return (!is_last).then_some(()),
            Some(b',') => at = text.skip(rows.read(text.skip(at + 1))?),
            Some(b']') => return (is_last && text.skip(at + 1) == bytes.len()).then_some(()),
            Some(_) => return None,
        }
    }
}

/// For how much a column has room before it must grow: more is only asked for than is touched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Room {
    /// For a block, in which so many lines end, of objects of these fields. Of arrays, most have a line for each element.
    fn of(block: &Block, lines: u64, kinds: &[(String, Kind)]) -> Self {
        let (bytes, columns) = (block.text.len(), leaves(kinds).max(1));
        // Where each object has all fields it takes some bytes for each.
        let rows = usize::try_from(lines).unwrap_or(0).min(bytes / (4 * columns)) + 1;
        Self { rows, bytes: bytes / (2 * columns) }
    }
}

/// How many columns without columns of their own there are.
fn leaves(kinds: &[(String, Kind)]) -> usize {
    let of_kind = |(_, kind): &(String, Kind)| match kind {
        Kind::Struct(fields) => leaves(fields),
        _ => 1,
    };
    kinds.iter().map(of_kind).sum()
}
