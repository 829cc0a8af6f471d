//! Where strings and numbers of a JSON text may end, found 64 bytes at a time before anything is read.

use crate::format::masks::{self, Kernel, Masks, STEP};

/// A bit for each byte of a text, and one more word.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Quotes, backslashes and control characters.
    specials: Vec<u64>,
    /// Commas, closing brackets, blanks and control characters.
    ends: Vec<u64>,
    line_ends: u64,
}

struct Whole<'a> {
    specials: &'a mut [u64],
    ends: &'a mut [u64],
    text: &'a [u8],
}

impl Kernel for Whole<'_> {
    /// How many lines end.
    type Output = u64;

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) -> u64 {
        let marks = |bytes: &[u8; STEP]| {
            let [lines] = masks.equal(bytes, *b"\n");
            (masks.among(bytes, *b"\"\\", 0x20), masks.among(bytes, *b",]}", 0x21), u64::from(lines.count_ones()))
        };
        let (whole, rest) = self.text.as_chunks::<STEP>();
        let mut words = self.specials.iter_mut().zip(self.ends);
        let mut line_ends = 0;
        for (bytes, (specials, ends)) in whole.iter().zip(&mut words) {
            let lines;
            (*specials, *ends, lines) = marks(bytes);
            line_ends += lines;
        }
        if let Some((specials, ends)) = words.next() {
            // What is no part of the text ends whatever it may be.
            let mut bytes = [0; STEP];
            bytes[..rest.len()].copy_from_slice(rest);
            let lines;
            (*specials, *ends, lines) = marks(&bytes);
            line_ends += lines;
        }
        line_ends
    }
}

impl Marks {
    pub(super) fn of(text: &[u8]) -> Self {
        let words = text.len() / STEP + 2;
        let (mut specials, mut ends) = (vec![0; words], vec![0; words]);
        let line_ends = masks::run(Whole { specials: &mut specials, ends: &mut ends, text });
        Self { specials, ends, line_ends }
    }

    /// How many lines end in the text.
    pub(super) fn line_ends(&self) -> u64 {
        self.line_ends
    }

    /// Where a string has its next quote, backslash or control character, from a place on.
    #[inline(always)]
    pub(super) fn special(&self, at: usize) -> Option<usize> {
        next(&self.specials, at)
    }

    /// Where a number or a word ends that begins at a place.
    #[inline(always)]
    pub(super) fn end(&self, at: usize) -> Option<usize> {
        next(&self.ends, at)
    }
}

/// The next bit that is set, which may be one behind the text.
#[inline(always)]
fn next(words: &[u64], at: usize) -> Option<usize> {
    let (place, bit) = (at / STEP, at % STEP);
    let [low, high] = *words.get(place..)?.first_chunk()?;
    // The 64 bits from a place on, whichever word they are in: that is not to be foreseen.
    let bits = low >> bit | high << 1 << (STEP - 1 - bit);
    if bits == 0 { far(words, place + 1) } else { Some(at + bits.trailing_zeros() as usize) }
}

#[inline(never)]
fn far(words: &[u64], from: usize) -> Option<usize> {
    let (place, bits) = words.iter().enumerate().skip(from).find(|(_, bits)| **bits != 0)?;
    Some(place * STEP + bits.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_are_what_a_search_byte_by_byte_finds(text in "[a\"\\\\,\\]}\n\t 1é]{0,200}", blank in 0_usize..200, from in 0_usize..210) {
            let mut text = text.into_bytes();
            // A long stretch without marks.
            let length = text.len();
            text[blank.min(length)..].fill(b'x');
            let marks = Marks::of(&text);
            let search = |is_wanted: fn(u8) -> bool| {
                (from..text.len()).find(|at| is_wanted(text[*at]))
            };
            let within = |at: Option<usize>| at.filter(|at| *at < text.len());
            prop_assert_eq!(within(marks.special(from)), search(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')));
            prop_assert_eq!(within(marks.end(from)), search(|byte| byte <= 0x20 || matches!(byte, b',' | b']' | b'}')));
            prop_assert_eq!(marks.line_ends(), text.iter().filter(|byte| **byte == b'\n').count() as u64);
        }
    }
}
