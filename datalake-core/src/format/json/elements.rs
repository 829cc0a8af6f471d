//! Where the elements of a JSON array end, 64 bytes at a time.
//!
//! What stands within strings is told by a running exclusive or over the quotes that no backslash escapes (Langdale and
//! Lemire, "Parsing gigabytes of JSON per second", 2019); outside of them, brackets are counted.

use crate::format::masks::{self, Kernel, Masks, STEP, running_xor};

/// How far an array has been looked through.
#[derive(Debug, Default)]
pub(super) struct Elements {
    /// The first byte that was not looked at.
    scanned: usize,
    /// Whether it is within a string, all bits or none.
    inside: u64,
    /// Whether a backslash escapes it.
    is_escaped: bool,
    /// How many brackets are open.
    depth: u32,
    /// Behind the last bracket that closes an element, or before the comma that follows one.
    end: usize,
}

/// A look through a text as far as there are 64 bytes more.
struct Whole<'a> {
    elements: &'a mut Elements,
    text: &'a [u8],
}

impl Kernel for Whole<'_> {
    type Output = ();

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) {
        while let Some(bytes) = self.text[self.elements.scanned..].first_chunk::<STEP>() {
            self.elements.step(bytes, masks.equal(bytes, *b"\"\\[{]},"));
        }
    }
}

impl Elements {
    /// Looks through what is new, and gives where the last element ends that is known to; 0 if none does.
    pub(super) fn last_end(&mut self, text: &[u8]) -> usize {
        masks::run(Whole { elements: self, text });
        self.end
    }

    /// Counts what follows from `end` on, where the last element ends.
    pub(super) fn cut(&mut self, end: usize) {
        self.scanned = self.scanned.saturating_sub(end);
        self.end = 0;
    }

    #[inline(always)]
    fn step(&mut self, bytes: &[u8; STEP], masks: [u64; 7]) {
        let [quotes, backslashes, lists, objects, list_ends, object_ends, commas] = masks;
        let was_escaped = self.is_escaped;
        let quotes = quotes & !self.escaped(backslashes);
        let inside = running_xor(quotes) ^ self.inside;
        if backslashes & !inside != 0 {
            // It escapes nothing outside of strings, where it is no JSON.
            self.is_escaped = was_escaped;
            self.by_hand(bytes);
            self.scanned += STEP;
            return;
        }
        self.inside = ((inside as i64) >> 63) as u64;
        let (opens, closes) = ((lists | objects) & !inside, (list_ends | object_ends) & !inside);
        // The outermost bracket is the array's.
        if self.depth > closes.count_ones() + 1 {
            self.depth = (self.depth + opens.count_ones()).saturating_sub(closes.count_ones());
        } else {
            self.count(opens, closes, commas & !inside);
        }
        self.scanned += STEP;
    }

    /// Byte by byte.
    #[cold]
    fn by_hand(&mut self, bytes: &[u8; STEP]) {
        let mut in_string = self.inside != 0;
        for (place, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = in_string,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => self.count(1 << place, 0, 0),
                b']' | b'}' if !in_string => self.count(0, 1 << place, 0),
                b',' if !in_string => self.count(0, 0, 1 << place),
                _ => {}
            }
        }
        self.inside = if in_string { u64::MAX } else { 0 };
    }

    /// Bracket by bracket, and comma by comma.
    fn count(&mut self, opens: u64, closes: u64, commas: u64) {
        let mut brackets = opens | closes | commas;
        while brackets != 0 {
            let place = brackets.trailing_zeros();
            if commas >> place & 1 == 1 {
                if self.depth == 1 {
                    self.end = self.scanned + place as usize;
                }
            } else if opens >> place & 1 == 1 {
                self.depth += 1;
            } else {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 1 {
                    self.end = self.scanned + place as usize + 1;
                }
            }
            brackets &= brackets.wrapping_sub(1);
        }
    }

    /// The bytes that a backslash escapes.
    #[inline(always)]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let mut escaped = u64::from(self.is_escaped);
        self.is_escaped = false;
        // Of two in a row the first escapes the second.
        let mut rest = backslashes & !escaped;
        while rest != 0 {
            let place = rest.trailing_zeros();
            if place == 63 {
                self.is_escaped = true;
                break;
            }
            escaped |= 2 << place;
            rest &= !(3 << place);
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where the last element ends among the bytes that are looked at.
    fn by_hand(text: &[u8]) -> usize {
        let (mut depth, mut end, mut in_string, mut is_escaped) = (0_u32, 0, false, false);
        for (place, byte) in text.iter().enumerate().take(text.len() / STEP * STEP) {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = in_string,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 {
                        end = place + 1;
                    }
                }
                b',' if depth == 1 => end = place,
                _ => {}
            }
        }
        end
    }

    proptest! {
        #[test]
        fn elements_end_where_brackets_close(text in "\\[([ab,{}\"\\\\]|\\[|\\]|\\{\"a\":\"b\"\\},){0,400}", piece in 1_usize..200) {
            let text = text.as_bytes();
            let mut elements = Elements::default();
            let mut end = 0;
            for known in (0..=text.len()).step_by(piece).chain([text.len()]) {
                end = elements.last_end(&text[..known]);
            }
            prop_assert_eq!(end, by_hand(text));
        }
    }
}
