//! The names of fields as they stand in JSON before their values.

use std::collections::HashMap;

use super::columns::Text;
use super::shape::Kind;

/// A name as it stands before its value: in quotes, with a colon.
#[derive(Debug)]
pub(super) struct Name {
    bytes: Vec<u8>,
    /// Its first eight bytes, or all that it has, and which bits of a word these are.
    first: u64,
    mask: u64,
    /// Its last eight bytes, if it has more.
    last: [u8; 8],
}

impl Name {
    pub(super) fn new(name: &str) -> Self {
        let mut bytes = serde_json::to_vec(name).unwrap_or_default();
        bytes.push(b':');
        let mut first = [0; 8];
        let length = bytes.len().min(8);
        first[..length].copy_from_slice(&bytes[..length]);
        let last = bytes.last_chunk().copied().unwrap_or_default();
        Self { first: u64::from_le_bytes(first), mask: u64::MAX >> (64 - 8 * length), last, bytes }
    }

    /// Where it ends, if it stands at a place. One word or two say so of most names, sooner than a call would.
    #[inline(always)]
    pub(super) fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let length = self.bytes.len();
        let end = at + length;
        let Some(first) = text.get(at..).and_then(<[u8]>::first_chunk) else {
            // Near the end of a text there is no whole word.
            return text.get(at..end).is_some_and(|text| text == self.bytes).then_some(end);
        };
        let is_it = u64::from_le_bytes(*first) & self.mask == self.first
            && (length <= 8 || text.get(at..end).is_some_and(|text| text.last_chunk() == Some(&self.last)))
            && (length <= 16 || text[at..end] == self.bytes);
        is_it.then_some(end)
    }
}

/// Of more names than this each is found by its hash.
const FEW: usize = 16;

/// Where each name stands, of many.
#[derive(Debug)]
pub(super) struct Places(HashMap<Vec<u8>, usize>);

impl Places {
    pub(super) fn of(kinds: &[(String, Kind)]) -> Self {
        let kinds = if kinds.len() > FEW { kinds } else { &[] };
        Self(kinds.iter().enumerate().map(|(place, (name, _))| (name.clone().into_bytes(), place)).collect())
    }

    fn of_name(&self, kinds: &[(String, Kind)], name: &[u8]) -> Option<usize> {
        if kinds.len() > FEW {
            return self.0.get(name).copied();
        }
        kinds.iter().position(|(known, _)| known.as_bytes() == name)
    }
}

/// The field whose name begins at a place, and where its value may begin.
#[cold]
#[inline(never)]
pub(super) fn find(kinds: &[(String, Kind)], places: &Places, text: Text<'_>, at: usize) -> Option<(usize, usize)> {
    let bytes = text.bytes;
    let rest = bytes.get(at..)?.strip_prefix(b"\"")?;
    let length = text.marks.special(at + 1)?.checked_sub(at + 1).filter(|length| rest.get(*length) == Some(&b'"'))?;
    let name = &rest[..length];
    let field = places.of_name(kinds, name)?;
    let colon = text.skip(at + length + 2);
    (bytes.get(colon) == Some(&b':')).then_some((field, colon + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_are_found_where_they_stand(name in "[a-z\"é]{0,20}", before in "[a-z]{0,3}", after in "[0-9]{0,10}", at in 0_usize..40) {
            let json = serde_json::to_string(&name).unwrap() + ":";
            let text = format!("{before}{json}{after}").into_bytes();
            let name = Name::new(&name);
            let place = before.len();
            prop_assert_eq!(name.end(&text, place), Some(place + json.len()));
            for end in 0..place + json.len() {
                prop_assert_eq!(name.end(&text[..end], place.min(end)), None);
            }
            let mut other = text;
            let changed = place + at % json.len();
            other[changed] ^= 1;
            prop_assert_eq!(name.end(&other, place), None);
        }
    }
}
