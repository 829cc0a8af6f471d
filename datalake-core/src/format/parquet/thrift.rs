//! Sees that no list in a file's metadata, or in the header of a page, claims more elements than it has bytes for: the decoder
//! passes over fields that it does not know, and for six bytes counts to two thousand million.
//!
//! How they are written: the Thrift compact protocol.

use parquet::errors::{ParquetError, Result};

/// How deep the decoder follows what it passes over.
const DEEPEST: u8 = 64;

/// Looks at a file's metadata.
pub(super) fn check_metadata(bytes: &[u8]) -> Result<()> {
    Walk::of(bytes).map(|_| ())
}

/// Looks at the headers of the pages of a column chunk.
pub(super) fn check_pages(chunk: &[u8]) -> Result<()> {
    let mut rest = chunk;
    while let Some(Walk { at, page_bytes, .. }) = Walk::of(rest)? {
        let next = page_bytes.and_then(|bytes| at.checked_add(usize::try_from(bytes).ok()?));
        match next.and_then(|next| rest.get(next..)) {
            Some(pages) if !pages.is_empty() => rest = pages,
            _ => break,
        }
    }
    Ok(())
}

/// Why a walk ends before the struct does.
enum Stop {
    /// What is there is none, or not whole: the decoder says so better.
    Broken,
    /// A list of so many elements.
    TooLong(u64),
}

/// Where a walk through a struct is.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The elements of all lists so far.
    elements: u64,
    /// In the header of a page: how many bytes the page has.
    page_bytes: Option<i64>,
}

impl<'a> Walk<'a> {
    /// Walks to the end of the struct that these bytes begin with, if it has one.
    fn of(bytes: &'a [u8]) -> Result<Option<Self>> {
        let mut walk = Self { bytes, at: 0, elements: 0, page_bytes: None };
        match walk.pass_struct(DEEPEST) {
            // An element has a byte at least.
            Ok(()) if walk.elements <= walk.at as u64 => Ok(Some(walk)),
            Err(Stop::Broken) => Ok(None),
            Ok(()) => Err(too_long(walk.elements, walk.at)),
            Err(Stop::TooLong(elements)) => Err(too_long(elements, bytes.len())),
        }
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::Broken)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, bytes: u64) -> Result<(), Stop> {
        let end = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes));
        self.at = end.filter(|end| *end <= self.bytes.len()).ok_or(Stop::Broken)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Stop> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Stop::Broken)
    }

    fn pass_struct(&mut self, depth: u8) -> Result<(), Stop> {
        let mut field = 0;
        loop {
            let head = self.byte()?;
            if head & 0xf == 0 {
                return Ok(());
            }
            field = if head >> 4 == 0 { zigzag(self.varint()?) } else { field + i64::from(head >> 4) };
            let begin = self.at;
            self.pass_value(head & 0xf, depth - 1)?;
            if depth == DEEPEST && (field, head & 0xf) == (3, 5) {
                let end = std::mem::replace(&mut self.at, begin);
                self.page_bytes = Some(zigzag(self.varint()?));
                self.at = end;
            }
        }
    }

    /// Passes over a value of a type, by its number in the protocol.
    fn pass_value(&mut self, kind: u8, depth: u8) -> Result<(), Stop> {
        if depth == 0 {
            return Err(Stop::Broken);
        }
        match kind {
            // The field says which: it has no byte of its own. In a list the decoder takes it for the same.
            1 | 2 => Ok(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let size = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                self.pass_elements(size, &[head & 0xf], depth)
            }
            11 => {
                let size = self.varint()?;
                let kinds = if size == 0 { 0 } else { self.byte()? };
                self.pass_elements(size, &[kinds >> 4, kinds & 0xf], depth)
            }
            12 => self.pass_struct(depth),
            13 => self.pass(16),
            _ => Err(Stop::Broken),
        }
    }

    fn pass_elements(&mut self, size: u64, kinds: &[u8], depth: u8) -> Result<(), Stop> {
        if size > (self.bytes.len() - self.at) as u64 {
            return Err(Stop::TooLong(size));
        }
        self.elements += size;
        if kinds.iter().all(|kind| matches!(kind, 1 | 2)) {
            return Ok(());
        }
        for _ in 0..size {
            for kind in kinds {
                self.pass_value(*kind, depth - 1)?;
            }
        }
        Ok(())
    }
}

fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn too_long(elements: u64, bytes: usize) -> ParquetError {
    ParquetError::General(format!("in its metadata, lists have {elements} elements and {bytes} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of a struct with a list of so many truths, which none of its bytes is for.
    fn truths(count: [u8; 5]) -> Vec<u8> {
        [&[0x19, 0xf1][..], &count, &[0]].concat()
    }

    #[test]
    fn a_list_has_no_more_elements_than_bytes() {
        let error = check_metadata(&truths([0xff, 0xff, 0xff, 0xff, 0x07])).unwrap_err();
        let expected = "Parquet error: in its metadata, lists have 2147483647 elements and 8 bytes";
        assert_eq!(error.to_string(), expected);
        // Each has its bytes before it in the file, all together have not.
        let each: Vec<u8> = [0x19, 0xf1, 60].repeat(40);
        assert!(check_metadata(&[&each[..], &[0], &[0; 64]].concat()).is_err());
        // A map of as many, a list of lists.
        assert!(check_metadata(&[0x1b, 0xff, 0xff, 0x7f, 0x11, 0]).is_err());
        assert!(check_metadata(&[0x19, 0x19, 0xf1, 0xff, 0x7f, 0]).is_err());
        // All types: whole numbers, a double, a text, a list, a set of structs, a map, an identifier.
        let mut all =
            vec![0x11, 0x13, 7, 0x14, 0x80, 1, 0x15, 2, 0x16, 2, 0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x18, 2, b'a', b'b'];
        all.extend([0x19, 0x25, 1, 2, 0x1a, 0x2c, 0x15, 2, 0, 0, 0x1b, 1, 0x85, 1, b'k', 2, 0x1d]);
        all.extend([0; 16]);
        assert!(Walk::of(&all).unwrap().is_none(), "its end is not there");
        all.push(0);
        assert_eq!(Walk::of(&all).unwrap().unwrap().at, all.len());
        // A struct in a struct, deeper than the decoder goes.
        assert!(Walk::of(&[0x1c; 100]).unwrap().is_none());
    }

    #[test]
    fn each_header_of_a_page_is_looked_at() {
        // Its type, its sizes unpacked and as it is.
        let header = |bytes: u8, rest: &[u8]| [&[0x15, 0, 0x15, 20, 0x15, 2 * bytes][..], rest, &[0]].concat();
        let page = [header(5, &[]), vec![0xff; 5]].concat();
        let long = header(5, &[0x19, 0xf1, 0xff, 0xff, 0x03]);
        assert!(check_pages(&[&page[..], &page].concat()).is_ok());
        assert!(check_pages(&[&page[..], &long].concat()).is_err());
        // What no header says the size of, or less than none, is the decoder's business.
        let negative = [0x15, 0, 0x15, 20, 0x15, 9, 0];
        assert!(check_pages(&[&[0x15, 0, 0][..], &long].concat()).is_ok());
        assert!(check_pages(&[&negative[..], &long].concat()).is_ok());
    }
}
