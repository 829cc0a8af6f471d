//! Where a value stands in a block.

use super::columns::Text;
use super::strings::{copy, string};

/// Where a value stands in a block of less than 2 GiB: with its quotes, if it has any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slot {
    start: u32,
    /// Behind its last byte. The highest bit says that there are escapes in it.
    end: u32,
}

const ESCAPES: u32 = 1 << 31;

impl Slot {
    /// Longer texts have places for which there is no slot.
    pub(super) const LONGEST: usize = (ESCAPES - 1) as usize;
    /// No value.
    pub(super) const MISSING: Self = Self { start: 0, end: 0 };
    /// A value that has been read already.
    pub(super) const READ: Self = Self { start: 1, end: 1 };

    #[inline(always)]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// That of a string with escapes.
    #[inline(always)]
    pub(super) fn with_escapes(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 | ESCAPES }
    }

    /// The value as it stands in the text; of a missing one nothing. A string with escapes is no such value.
    #[inline(always)]
    pub(super) fn bytes(self, text: Text<'_>) -> Option<&[u8]> {
        text.bytes.get(self.start as usize..self.end as usize)
    }

    /// Appends what a string says; says whether there is one.
    #[inline(always)]
    pub(super) fn string(self, text: Text<'_>, into: &mut Vec<u8>) -> Option<bool> {
        let (start, end) = (self.start as usize, self.end as usize);
        if self.end & ESCAPES != 0 {
            return string(text, start, into).map(|_| true);
        }
        match text.bytes.get(start..end)? {
            [b'"', .., b'"'] => {
                copy(text.bytes, start + 1, end - 1, into);
                Some(true)
            }
            b"" | b"null" => Some(false),
            _ => None,
        }
    }
}
