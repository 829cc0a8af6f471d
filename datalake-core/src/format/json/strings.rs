//! Strings of a JSON text, with their escapes.

use super::columns::Text;
use super::marks::Marks;

/// A string without escapes, which is no word for a missing value.
#[inline(always)]
pub(super) fn plain_string<'a>(text: Text<'a>, at: usize) -> Option<(&'a [u8], usize)> {
    if text.bytes.get(at) != Some(&b'"') {
        return None;
    }
    let end = text.marks.special(at + 1)?;
    let word = text.bytes.get(at + 1..end)?;
    let is_null = || text.nulls.iter().any(|null| null.as_bytes() == word);
    (text.bytes.get(end) == Some(&b'"') && !is_null()).then_some((word, end + 1))
}

/// Appends the string that begins at a place; gives where it ends.
#[inline(always)]
pub(super) fn string(text: Text<'_>, at: usize, into: &mut Vec<u8>) -> Option<usize> {
    let bytes = text.bytes;
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let (start, end) = (at + 1, text.marks.special(at + 1)?);
    let first = *bytes.get(end)?;
    copy(bytes, start, end, into);
    if first == b'"' { Some(end + 1) } else { escapes(text, end, into) }
}

/// Appends the bytes between two places.
#[inline(always)]
pub(super) fn copy(bytes: &[u8], start: usize, end: usize, into: &mut Vec<u8>) {
    /// Most are no more, and as many are copied without a call.
    const SHORT: usize = 32;
    match bytes[start..].first_chunk::<SHORT>() {
        Some(chunk) if end - start <= SHORT => {
            let length = into.len() + end - start;
            into.extend_from_slice(chunk);
            into.truncate(length);
        }
        _ => into.extend_from_slice(&bytes[start..end]),
    }
}

/// Goes on at a place that is special.
fn escapes(text: Text<'_>, mut at: usize, into: &mut Vec<u8>) -> Option<usize> {
    loop {
        match text.bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape(text.bytes, at, into)?,
            _ => return None,
        }
        let end = text.marks.special(at)?;
        into.extend_from_slice(text.bytes.get(at..end)?);
        at = end;
    }
}

/// Where a string ends of which a backslash stands at a place: behind its last quote. What its escapes are is not looked at.
#[inline(never)]
pub(super) fn past_escapes(bytes: &[u8], marks: &Marks, mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = marks.special(at + 2)?,
            _ => return None,
        }
    }
}

/// Appends what an escape stands for; gives where it ends.
fn escape(bytes: &[u8], at: usize, text: &mut Vec<u8>) -> Option<usize> {
    text.push(match bytes.get(at + 1)? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(bytes, at, text),
        _ => return None,
    });
    Some(at + 2)
}

/// `\uXXXX`, or two of them for a character beyond.
fn unicode(bytes: &[u8], at: usize, text: &mut Vec<u8>) -> Option<usize> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
        u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(at)?;
    let (units, end) = match first {
        0xd800..=0xdbff => (vec![first, unit(at + 6)?], at + 12),
        _ => (vec![first], at + 6),
    };
    for character in char::decode_utf16(units) {
        text.extend_from_slice(character.ok()?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(end)
}
