//! Record batches to JSON text: one object a line, or an array of objects.

use arrow::array::RecordBatch;

use crate::error::Result;
use crate::format::drive::Encode;
use crate::format::text::push_object;

/// Gives JSON text. Missing values are written as `null`, so that the schema does not depend on the rows.
pub(crate) struct Encoder {
    is_array: bool,
    has_rows: bool,
}

impl Encoder {
    pub(crate) fn new(is_array: bool) -> Self {
        Self { is_array, has_rows: false }
    }
}

impl Encode for Encoder {
    fn encode(&mut self, batch: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()> {
        let schema = batch.schema();
        let mut json = String::new();
        for row in 0..batch.num_rows() {
            json.clear();
            let names = schema.fields().iter().map(|field| field.name().as_str());
            push_object(names.zip(batch.columns()), row, &mut json)?;
            if self.is_array {
                bytes.extend_from_slice(if self.has_rows { b",\n" } else { b"[\n" });
            }
            self.has_rows = true;
            bytes.extend_from_slice(json.as_bytes());
            if !self.is_array {
                bytes.push(b'\n');
            }
        }
        Ok(())
    }

    fn finish(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if self.is_array {
            bytes.extend_from_slice(if self.has_rows { b"\n]\n" } else { b"[]\n" });
        }
        Ok(())
    }
}
