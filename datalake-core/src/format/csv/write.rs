//! Record batches to CSV text by RFC 4180: `\n` after each record, quotes only where they are needed.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::format::drive::Encode;
use crate::format::text::push_text;

/// Gives CSV text. A missing value is an empty field; an empty text is `""`, so that readers which tell quoted fields
/// from others can tell the two apart (ours takes both for missing).
pub(crate) struct Encoder {
    delimiter: u8,
    header: Option<SchemaRef>,
    is_single: bool,
}

impl Encoder {
    pub(crate) fn new(schema: &SchemaRef, delimiter: u8, has_header: bool) -> Self {
        let is_single = schema.fields().len() == 1;
        Self { delimiter, header: has_header.then(|| SchemaRef::clone(schema)), is_single }
    }

    fn header(&mut self, bytes: &mut Vec<u8>) {
        if let Some(schema) = self.header.take() {
            for (index, field) in schema.fields().iter().enumerate() {
                self.separate(index, bytes);
                self.field(field.name(), bytes);
            }
            bytes.push(b'\n');
        }
    }

    fn separate(&self, index: usize, bytes: &mut Vec<u8>) {
        if index > 0 {
            bytes.push(self.delimiter);
        }
    }

    fn field(&self, text: &str, bytes: &mut Vec<u8>) {
        let must_quote = |byte: u8| {
            // In a table of one column, another mark could pass for the delimiter.
            byte == self.delimiter
                || matches!(byte, b'"' | b'\n' | b'\r')
                || self.is_single && matches!(byte, b',' | b';' | b'\t' | b'|')
        };
        // A byte order mark at the very start would be taken for none of the text.
        if !text.is_empty() && !text.bytes().any(must_quote) && !text.starts_with('\u{feff}') {
            bytes.extend_from_slice(text.as_bytes());
            return;
        }
        bytes.push(b'"');
        for byte in text.bytes() {
            if byte == b'"' {
                bytes.push(b'"');
            }
            bytes.push(byte);
        }
        bytes.push(b'"');
    }
}

impl Encode for Encoder {
    fn encode(&mut self, batch: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()> {
        self.header(bytes);
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (index, column) in batch.columns().iter().enumerate() {
                self.separate(index, bytes);
                text.clear();
                if push_text(column.as_ref(), row, &mut text)? {
                    self.field(&text, bytes);
                } else if batch.num_columns() == 1 {
                    // A line without a character would be no record.
                    bytes.extend_from_slice(b"\"\"");
                }
            }
            bytes.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        self.header(bytes);
        Ok(())
    }
}
