//! Record batches to CSV text by RFC 4180: `\n` after each record, quotes only where they are needed.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::error::Result;
use crate::format::cells::{Cell, Cells};
use crate::format::drive::Encode;

/// Gives CSV text. A missing value is an empty field; an empty text is `""`, so that readers which tell quoted fields
/// from others can tell the two apart (ours takes both for missing).
#[derive(Debug)]
pub(crate) struct Encoder {
    delimiter: u8,
    /// The first record, if it names the columns.
    header: Vec<u8>,
    /// The bytes for which a field is quoted.
    quoted: [bool; 256],
    /// Whether the delimiter may stand in a number, date or time.
    is_odd: bool,
}

impl Encoder {
    pub(crate) fn new(schema: &Schema, delimiter: u8, has_header: bool) -> Self {
        let mut quoted = [false; 256];
        // In a table of one column, another mark could pass for the delimiter.
        let others = if schema.fields().len() == 1 { &b",;\t|"[..] } else { b"" };
        for byte in b"\"\n\r".iter().chain([&delimiter]).chain(others) {
            quoted[usize::from(*byte)] = true;
        }
        let is_odd = delimiter.is_ascii_alphanumeric() || b"+-.:".contains(&delimiter);
        let mut encoder = Self { delimiter, header: Vec::new(), quoted, is_odd };
        if has_header {
            let mut header = Vec::new();
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    header.push(delimiter);
                }
                encoder.field(field.name(), &mut header);
            }
            header.push(b'\n');
            encoder.header = header;
        }
        encoder
    }

    #[inline]
    fn field(&self, text: &str, bytes: &mut Vec<u8>) {
        // A byte order mark at the very start would be taken for none of the text.
        let must_quote =
            text.is_empty() || text.bytes().any(|byte| self.quoted[usize::from(byte)]) || text.starts_with('\u{feff}');
        if !must_quote {
            bytes.extend_from_slice(text.as_bytes());
            return;
        }
        bytes.push(b'"');
        for (index, part) in text.split('"').enumerate() {
            if index > 0 {
                bytes.extend_from_slice(b"\"\"");
            }
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.push(b'"');
    }

    /// Quotes what was written from `begin` on, where it must be.
    #[cold]
    fn quote(&self, begin: usize, bytes: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes.split_off(begin)).into_owned();
        self.field(&text, bytes);
    }
}

impl Encode for Encoder {
    fn begin(&self) -> Vec<u8> {
        self.header.clone()
    }

    fn encode(&self, batch: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()> {
        let columns: Vec<Cells<'_>> = batch.columns().iter().map(Cells::of).collect();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    bytes.push(self.delimiter);
                }
                let begin = bytes.len();
                match column.push(row, bytes)? {
                    // A line without a character would be no record.
                    Cell::Missing if columns.len() == 1 => bytes.extend_from_slice(b"\"\""),
                    Cell::Missing => {}
                    Cell::Bare if self.is_odd => self.quote(begin, bytes),
                    Cell::Bare => {}
                    Cell::Text(text) => self.field(text, bytes),
                    Cell::Any => self.quote(begin, bytes),
                }
            }
            bytes.push(b'\n');
        }
        Ok(())
    }

    fn end(&self, _rows: u64) -> Vec<u8> {
        Vec::new()
    }
}
