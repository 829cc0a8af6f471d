//! Sees that neither a list in a file's metadata, or in the header of a page, nor a dictionary claims more elements than it has
//! bytes for: the decoder counts to two thousand million for a list that it passes over, and takes memory for a dictionary
//! before it looks at it.
//!
//! How they are written: the Thrift compact protocol, and `parquet.thrift` of the Parquet format.

use parquet::basic::Type;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

/// How deep the decoder follows what it passes over.
const DEEPEST: u8 = 64;

/// Looks at a file's metadata.
pub(super) fn check_metadata(bytes: &[u8]) -> Result<()> {
    Walk::of(bytes).map(|_| ())
}

/// The fewest bytes that a value takes in a dictionary.
pub(super) fn least_width(column: &ColumnChunkMetaData) -> i64 {
    match column.column_type() {
        Type::BOOLEAN => 0,
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => column.column_descr().type_length().into(),
    }
}

/// Looks at the headers of the pages of a column chunk whose values take so many bytes at least.
pub(super) fn check_pages(chunk: &[u8], width: i64) -> Result<()> {
    let mut rest = chunk;
    while let Some(Walk { at, page_bytes, unpacked, dictionary, .. }) = Walk::of(rest)? {
        let (values, unpacked) = (dictionary.unwrap_or(0), unpacked.unwrap_or(0));
        if values.saturating_mul(width) > unpacked {
            let reason = format!("a dictionary of {unpacked} bytes would have {values} values");
            return Err(ParquetError::General(reason));
        }
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
    /// The field of the outermost struct that it is in.
    field: i64,
    /// In the header of a page: how many bytes the page has, and how many unpacked.
    page_bytes: Option<i64>,
    unpacked: Option<i64>,
    /// In that of a dictionary: how many values it has.
    dictionary: Option<i64>,
}

impl<'a> Walk<'a> {
    /// Walks to the end of the struct that these bytes begin with, if it has one.
    fn of(bytes: &'a [u8]) -> Result<Option<Self>> {
        let (page_bytes, unpacked, dictionary) = (None, None, None);
        let mut walk = Self { bytes, at: 0, elements: 0, field: 0, page_bytes, unpacked, dictionary };
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
            field = if head >> 4 == 0 { zigzag(self.varint()?) } else { field.wrapping_add(i64::from(head >> 4)) };
            if depth == DEEPEST {
                self.field = field;
            }
            match head & 0xf {
                5 => {
                    let value = zigzag(self.varint()?);
                    self.take(depth, field, value);
                }
                kind => self.pass_value(kind, depth - 1)?,
            }
        }
    }

    /// Takes an integer of 32 bits that may be of a page.
    fn take(&mut self, depth: u8, field: i64, value: i64) {
        match (DEEPEST - depth, field) {
            (0, 2) => self.unpacked = Some(value),
            (0, 3) => self.page_bytes = Some(value),
            (1, 1) if self.field == 7 => self.dictionary = Some(value),
            _ => {}
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
        assert!(check_pages(&[&page[..], &page].concat(), 8).is_ok());
        assert!(check_pages(&[&page[..], &long].concat(), 8).is_err());
        // What no header says the size of, or less than none, is the decoder's business.
        let negative = [0x15, 0, 0x15, 20, 0x15, 9, 0];
        assert!(check_pages(&[&[0x15, 0, 0][..], &long].concat(), 8).is_ok());
        assert!(check_pages(&[&negative[..], &long].concat(), 8).is_ok());
    }
    #[test]
    fn a_dictionary_has_no_more_values_than_bytes() {
        // Ten bytes unpacked, as many as it is; field 7 is a struct whose first field tells the values.
        let page =
            |values: u8| [&[0x15, 4, 0x15, 20, 0x15, 20, 0x4c, 0x15, 2 * values, 0x15, 0, 0, 0][..], &[1; 10]].concat();
        assert!(check_pages(&page(2), 4).is_ok());
        let error = check_pages(&page(3), 4).unwrap_err();
        assert_eq!(error.to_string(), "Parquet error: a dictionary of 10 bytes would have 3 values");
        assert!(check_pages(&page(3), 0).is_ok());
        assert!(check_pages(&[page(1), page(3)].concat(), 4).is_err());
    }
}
