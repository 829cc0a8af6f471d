//! Sees how many lengths of texts a page says it has, before it is decoded: the decoders of `DELTA_LENGTH_BYTE_ARRAY` and
//! `DELTA_BYTE_ARRAY` ask for as much memory as a damaged page claims, and end the process where there is not as much.
//!
//! How lengths are packed: the Parquet format, "Delta Encoding" (`DELTA_BINARY_PACKED`).

use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

/// The bytes of a column chunk, at their place in the file.
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl Chunk {
    fn place(&self, start: u64) -> Result<usize> {
        let place = start.checked_sub(self.start).and_then(|place| usize::try_from(place).ok());
        place
            .filter(|place| *place <= self.bytes.len())
            .ok_or_else(|| ParquetError::EOF("a page ends early".to_owned()))
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunk {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(Cursor::new(self.bytes.slice(self.place(start)?..)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let place = self.place(start)?;
        let end = place.checked_add(length).filter(|end| *end <= self.bytes.len());
        end.map(|end| self.bytes.slice(place..end)).ok_or_else(|| ParquetError::EOF("a page ends early".to_owned()))
    }
}

/// Looks at a column chunk, of which these are the bytes.
pub(super) fn check(column: &ColumnChunkMetaData, bytes: &Bytes) -> Result<()> {
    if !matches!(column.column_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) {
        return Ok(());
    }
    let chunk = Arc::new(Chunk { start: column.byte_range().0, bytes: bytes.clone() });
    let pages = |column| SerializedPageReader::new(Arc::clone(&chunk), column, usize::MAX, None);
    // Only the headers: nothing is unpacked.
    let as_packed = column.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
    if pages(&as_packed)?.all(|page| page.is_ok_and(|page| !has_lengths(&page))) {
        return Ok(());
    }
    for page in pages(column)? {
        // What cannot be read is the decoder's business, as is what follows the last page.
        let Ok(page) = page else { break };
        if has_lengths(&page) {
            check_page(column, &page)?;
        }
    }
    Ok(())
}

fn has_lengths(page: &Page) -> bool {
    matches!(page.encoding(), Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY)
}

fn check_page(column: &ColumnChunkMetaData, page: &Page) -> Result<()> {
    let descriptor = column.column_descr();
    let levels = [descriptor.max_rep_level(), descriptor.max_def_level()];
    let mut values = Values { bytes: page.buffer(), at: 0, most: u64::from(page.num_values()) };
    match page {
        Page::DataPage { rep_level_encoding, def_level_encoding, .. } => {
            for (most, encoding) in levels.into_iter().zip([rep_level_encoding, def_level_encoding]) {
                values.pass_levels(most, *encoding)?;
            }
        }
        Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
            values.pass(u64::from(*rep_levels_byte_len) + u64::from(*def_levels_byte_len))?;
        }
        Page::DictionaryPage { .. } => return Ok(()),
    }
    values.pass_lengths()?;
    if page.encoding() == Encoding::DELTA_BYTE_ARRAY {
        // Those of prefixes come first.
        values.pass_lengths()?;
    }
    Ok(())
}

/// What a page holds, as far as it was passed over.
struct Values<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many there are, nulls included.
    most: u64,
}

impl Values<'_> {
    fn early() -> ParquetError {
        ParquetError::EOF("a page of texts ends before their lengths do".to_owned())
    }

    fn pass(&mut self, bytes: u64) -> Result<()> {
        let end = usize::try_from(bytes).ok().and_then(|bytes| self.at.checked_add(bytes));
        self.at = end.filter(|end| *end <= self.bytes.len()).ok_or_else(Self::early)?;
        Ok(())
    }

    fn pass_levels(&mut self, most: i16, encoding: Encoding) -> Result<()> {
        if most == 0 {
            return Ok(());
        }
        #[expect(deprecated, reason = "old files have it")]
        if encoding == Encoding::BIT_PACKED {
            let bits = u64::from(16 - most.unsigned_abs().leading_zeros());
            return self.pass((self.most * bits).div_ceil(8));
        }
        let length = *self.bytes[self.at..].first_chunk::<4>().ok_or_else(Self::early)?;
        self.pass(4 + u64::from(u32::from_le_bytes(length)))
    }

    /// An unsigned LEB128.
    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(Self::early)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ParquetError::General("a number is longer than may be".to_owned()))
    }

    fn pass_lengths(&mut self) -> Result<()> {
        let (block, parts, count) = (self.number()?, self.number()?, self.number()?);
        if count > self.most {
            let what = format!("a page of {} texts would have {count} lengths", self.most);
            return Err(ParquetError::General(what));
        }
        self.number()?;
        if count == 0 {
            return Ok(());
        }
        let each = block.checked_div(parts).unwrap_or(0);
        if each == 0 {
            return Err(ParquetError::General(format!("{parts} parts of a block of {block} lengths")));
        }
        // The first stands in the header.
        let mut left = count.saturating_sub(1);
        while left > 0 {
            self.number()?;
            let widths = self.at;
            self.pass(parts)?;
            for part in 0..parts as usize {
                if left == 0 {
                    break;
                }
                left = left.saturating_sub(each);
                self.pass(u64::from(self.bytes[widths + part]).saturating_mul(each) / 8)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, FixedSizeBinaryArray, ListArray, RecordBatch, StringArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{DataType, Field};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use parquet::file::reader::FileReader;
    use parquet::file::serialized_reader::SerializedFileReader;

    use super::*;
    use crate::format::conformity::read;
    use crate::format::{Parquet, ReadOptions};

    const ENCODINGS: [Encoding; 2] = [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];

    fn file(column: ArrayRef, encoding: Encoding, version: WriterVersion, compression: Compression) -> Bytes {
        let table = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_writer_version(version)
            .set_compression(compression)
            .set_encoding(encoding)
            .set_data_page_row_count_limit(1_000)
            .build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties)).unwrap();
        writer.write(&table).unwrap();
        writer.close().unwrap();
        bytes.into()
    }

    /// All ways to write a column.
    fn files(column: &ArrayRef) -> Vec<Bytes> {
        let mut files = Vec::new();
        for encoding in ENCODINGS {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
                    files.push(file(Arc::clone(column), encoding, version, compression));
                }
            }
        }
        files
    }

    fn text(row: usize) -> Option<String> {
        (!row.is_multiple_of(5)).then(|| "a longer text ".repeat(row * 7919 % 13) + &row.to_string())
    }

    #[test]
    fn whole_pages_are_whole() {
        for rows in [0, 1, 2, 31, 32, 33, 129, 130, 3_000] {
            let texts: ArrayRef = Arc::new((0..rows).map(text).collect::<StringArray>());
            let lists = ListArray::new(
                Arc::new(Field::new_list_field(DataType::Utf8, true)),
                OffsetBuffer::from_lengths(std::iter::repeat_n(1, rows)),
                Arc::clone(&texts),
                None,
            );
            for bytes in files(&texts).into_iter().chain(files(&(Arc::new(lists) as ArrayRef))) {
                let reader = SerializedFileReader::new(bytes.clone()).unwrap();
                for group in reader.metadata().row_groups() {
                    let (start, length) = group.column(0).byte_range();
                    let chunk = bytes.slice(start as usize..(start + length) as usize);
                    check(group.column(0), &chunk).unwrap();
                }
                let table = read(&Parquet, &bytes, ReadOptions::default()).unwrap();
                assert_eq!(table.num_rows(), rows);
            }
        }
        let fixed = FixedSizeBinaryArray::try_from_iter([[1, 2, 3], [1, 2, 4]].into_iter()).unwrap();
        let bytes = file(Arc::new(fixed), ENCODINGS[1], WriterVersion::PARQUET_1_0, Compression::UNCOMPRESSED);
        let table = read(&Parquet, &bytes, ReadOptions::default()).unwrap();
        assert_eq!(table.column(0).as_fixed_size_binary().value(1), [1, 2, 4]);
    }

    #[test]
    fn what_a_damaged_page_claims_is_not_asked_for() {
        let texts: ArrayRef = Arc::new((0..300).map(|row| Some(row.to_string())).collect::<StringArray>());
        for encoding in ENCODINGS {
            let bytes = file(Arc::clone(&texts), encoding, WriterVersion::PARQUET_1_0, Compression::UNCOMPRESSED);
            // Of 128 in four parts: 300, as two bytes.
            let header = [0x80, 1, 4, 0xac, 2];
            let places: Vec<usize> = memchr::memmem::find_iter(&bytes, &header).collect();
            assert_eq!(places.len(), if encoding == ENCODINGS[0] { 1 } else { 2 });
            for place in places {
                let mut damaged = bytes.to_vec();
                // Some 2^48, in the place of what follows.
                damaged[place + 3..place + 10].fill(0xff);
                damaged[place + 10] = 0x7f;
                let error = read(&Parquet, &damaged, ReadOptions::default()).unwrap_err();
                assert!(error.to_string().contains("a page of 300 texts would have"), "{error}");
            }
        }
    }
}
