//! Sees that what a file's metadata and the headers of its pages say is of the types that the decoder takes it for, and that
//! neither a list nor a dictionary claims more elements than it has bytes for: the decoder counts to two thousand million for a
//! list that it passes over, reads on behind the end, and takes memory for a dictionary before it looks at it.
//!
//! How they are written: the Thrift compact protocol, and `parquet.thrift` of the Parquet format.

use parquet::basic::Type;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;

use super::structs::{FILE, Fields, Kind, PAGE};

/// How deep the decoder follows what it passes over.
const DEEPEST: u8 = 64;

/// Looks at a file's metadata.
pub(super) fn check_metadata(bytes: &[u8]) -> Result<()> {
    Walk::of("its metadata", bytes, FILE).map(|_| ())
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
    while !rest.is_empty() {
        let Walk { at, page_bytes, unpacked, dictionary, .. } = Walk::of("the header of a page", rest, PAGE)?;
        let (values, unpacked) = (i64::from(dictionary.unwrap_or(0)), i64::from(unpacked.unwrap_or(0)));
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
    /// What is there is none, not whole, or of another type.
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
    /// In the header of a page: how many bytes the page has, and how many unpacked.
    page_bytes: Option<i32>,
    unpacked: Option<i32>,
    /// In that of a dictionary: how many values it has.
    dictionary: Option<i32>,
}

impl<'a> Walk<'a> {
    /// Walks to the end of the struct of these fields that the bytes begin with; `what` is what messages call it.
    fn of(what: &str, bytes: &'a [u8], fields: Fields) -> Result<Self> {
        let (page_bytes, unpacked, dictionary) = (None, None, None);
        let mut walk = Self { bytes, at: 0, elements: 0, page_bytes, unpacked, dictionary };
        match walk.pass_fields(fields) {
            // An element has a byte at least.
            Ok(()) if walk.elements <= walk.at as u64 => Ok(walk),
            Ok(()) => Err(too_long(what, walk.elements, walk.at)),
            Err(Stop::TooLong(elements)) => Err(too_long(what, elements, bytes.len())),
            Err(Stop::Broken) => Err(ParquetError::General(format!("in {what}, byte {} is damaged", walk.at))),
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

    /// The type and the number of the next field behind another; none at the end of a struct.
    fn field(&mut self, last: i16) -> Result<Option<(u8, i16)>, Stop> {
        let head = self.byte()?;
        let field = match (head & 0xf, head >> 4) {
            (0, _) => return Ok(None),
            (_, 0) => i16::try_from(zigzag(self.varint()?)).ok(),
            (_, more) => last.checked_add(more.into()),
        };
        Ok(Some((head & 0xf, field.ok_or(Stop::Broken)?)))
    }

    /// Passes over a struct of which the decoder knows these fields.
    fn pass_fields(&mut self, fields: Fields) -> Result<(), Stop> {
        let mut last = 0;
        while let Some((wire, field)) = self.field(last)? {
            last = field;
            match fields.iter().find(|(number, _)| *number == field) {
                Some((_, kind)) => self.pass_known(kind, wire)?,
                None => self.pass_value(wire, DEEPEST)?,
            }
        }
        Ok(())
    }

    fn pass_known(&mut self, kind: &Kind, wire: u8) -> Result<(), Stop> {
        if !kind.is_written_as(wire) {
            return Err(Stop::Broken);
        }
        match kind {
            Kind::PageBytes => self.page_bytes = Some(self.whole()?),
            Kind::Unpacked => self.unpacked = Some(self.whole()?),
            Kind::DictionaryValues => self.dictionary = Some(self.whole()?),
            Kind::Struct(fields) => self.pass_fields(fields)?,
            Kind::List(element) => {
                let (wire, size) = self.list()?;
                self.count(size)?;
                (0..size).try_for_each(|_| self.pass_known(element, wire))?;
            }
            Kind::Truth | Kind::Byte | Kind::Number | Kind::Double | Kind::Bytes => self.pass_value(wire, DEEPEST)?,
        }
        Ok(())
    }

    /// An integer of 32 bits.
    fn whole(&mut self) -> Result<i32, Stop> {
        i32::try_from(zigzag(self.varint()?)).map_err(|_| Stop::Broken)
    }

    /// The type of the elements of a list, and how many there are.
    fn list(&mut self) -> Result<(u8, u64), Stop> {
        let head = self.byte()?;
        let size = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((head & 0xf, size))
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
                let (kind, size) = self.list()?;
                self.pass_elements(size, &[kind], depth)
            }
            11 => {
                let size = self.varint()?;
                let kinds = if size == 0 { 0 } else { self.byte()? };
                self.pass_elements(size, &[kinds >> 4, kinds & 0xf], depth)
            }
            12 => {
                // The numbers of fields that are passed over are not looked at.
                while let Some((kind, _)) = self.field(0)? {
                    self.pass_value(kind, depth - 1)?;
                }
                Ok(())
            }
            13 => self.pass(16),
            _ => Err(Stop::Broken),
        }
    }

    /// Sees that a list has no more elements than there are bytes.
    fn count(&mut self, size: u64) -> Result<(), Stop> {
        if size > (self.bytes.len() - self.at) as u64 {
            return Err(Stop::TooLong(size));
        }
        self.elements += size;
        Ok(())
    }

    fn pass_elements(&mut self, size: u64, kinds: &[u8], depth: u8) -> Result<(), Stop> {
        self.count(size)?;
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

fn too_long(what: &str, elements: u64, bytes: usize) -> ParquetError {
    ParquetError::General(format!("in {what}, lists have {elements} elements and {bytes} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that the decoder does not know, with a list of so many truths, which none of its bytes is for.
    fn truths(count: [u8; 5]) -> Vec<u8> {
        [&[0xa9, 0xf1][..], &count, &[0]].concat()
    }

    #[test]
    fn a_list_has_no_more_elements_than_bytes() {
        let error = check_metadata(&truths([0xff, 0xff, 0xff, 0xff, 0x07])).unwrap_err();
        let expected = "Parquet error: in its metadata, lists have 2147483647 elements and 8 bytes";
        assert_eq!(error.to_string(), expected);
        let too_long = |bytes: &[u8]| check_metadata(bytes).unwrap_err().to_string().contains("lists have");
        // Each has its bytes before it in the file, all together have not.
        let each: Vec<u8> = [0xa9, 0xf1, 60].into_iter().chain([0x19, 0xf1, 60].repeat(40)).collect();
        assert!(too_long(&[&each[..], &[0], &[0; 64]].concat()));
        // A map of as many, a list of lists, and one that the decoder knows.
        assert!(too_long(&[0xab, 0xff, 0xff, 0x7f, 0x11, 0]));
        assert!(too_long(&[0xa9, 0x19, 0xf1, 0xff, 0x7f, 0]));
        assert!(too_long(&[0x29, 0xfc, 0xff, 0x7f, 0]));
    }

    #[test]
    fn values_of_all_types_are_passed_over() {
        let walk = |bytes: &[u8]| Walk::of("a struct", bytes, &[]).map(|walk| walk.at);
        // Whole numbers, a double, a text, a list, a set of structs, a map, an identifier.
        let mut all =
            vec![0x11, 0x13, 7, 0x14, 0x80, 1, 0x15, 2, 0x16, 2, 0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x18, 2, b'a', b'b'];
        all.extend([0x19, 0x25, 1, 2, 0x1a, 0x2c, 0x15, 2, 0, 0, 0x1b, 1, 0x85, 1, b'k', 2, 0x1d]);
        all.extend([0; 16]);
        assert_eq!(walk(&all).unwrap_err().to_string(), "Parquet error: in a struct, byte 56 is damaged");
        all.push(0);
        assert_eq!(walk(&all).unwrap(), all.len());
        // A struct in a struct, deeper than the decoder goes; a number of too many bytes; one of a field.
        assert!(walk(&[0x1c; 100]).is_err());
        assert!(walk(&[&[0x16][..], &[0x80; 10], &[0, 0]].concat()).is_err());
        assert!(walk(&[0x06, 0x80, 0x80, 0x80, 0x80, 1, 2, 0]).is_err());
        // Identifiers behind the end, which the decoder finds there.
        assert!(walk(&[0x19, 0x7d, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn what_the_decoder_knows_is_of_the_type_that_it_takes_it_for() {
        // The number of rows as a list, which the decoder would take for a number and its elements for fields.
        assert!(check_metadata(&[0x39, 0x15, 2, 0]).is_err());
        assert!(check_metadata(&[0x36, 2, 0]).is_ok());
        // A schema of an element whose name is none.
        assert!(check_metadata(&[0x29, 0x1c, 0x48, 1, b'a', 0, 0]).is_ok());
        assert!(check_metadata(&[0x29, 0x1c, 0x46, 1, 0, 0]).is_err());
        // Sizes are numbers of 32 bits.
        assert!(check_pages(&[0x15, 0, 0x16, 0x80, 0x80, 0x80, 0x80, 0x40, 0], 8).is_err());
    }

    #[test]
    fn each_header_of_a_page_is_looked_at() {
        // Its type, its sizes unpacked and as it is.
        let header = |bytes: u8, rest: &[u8]| [&[0x15, 0, 0x15, 20, 0x15, 2 * bytes][..], rest, &[0]].concat();
        let page = [header(5, &[]), vec![0xff; 5]].concat();
        let long = header(5, &[0x69, 0xf1, 0xff, 0xff, 0x03]);
        assert!(check_pages(&[&page[..], &page].concat(), 8).is_ok());
        let error = check_pages(&[&page[..], &long].concat(), 8).unwrap_err();
        assert_eq!(error.to_string(), "Parquet error: in the header of a page, lists have 65535 elements and 12 bytes");
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
