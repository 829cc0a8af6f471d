//! Record batches to JSON text: one object a line, or an array of objects.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::error::Result;
use crate::format::cells::{Cells, push_string};
use crate::format::drive::Encode;

/// Gives JSON text. Missing values are written as `null`, so that the schema does not depend on the rows.
#[derive(Debug)]
pub(crate) struct Encoder {
    is_array: bool,
    /// What stands before each value: a bracket or comma, and the name.
    names: Vec<Vec<u8>>,
}

impl Encoder {
    pub(crate) fn new(schema: &Schema, is_array: bool) -> Self {
        let name = |(index, name): (usize, &str)| {
            let mut bytes = vec![if index == 0 { b'{' } else { b',' }];
            push_string(name, &mut bytes);
            bytes.push(b':');
            bytes
        };
        let names = schema.fields().iter().map(|field| field.name().as_str()).enumerate().map(name).collect();
        Self { is_array, names }
    }
}

impl Encode for Encoder {
    fn begin(&self) -> Vec<u8> {
        Vec::new()
    }

    /// In an array each row has what separates it from the one before, which for the first of all is replaced.
    fn encode(&self, batch: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()> {
        let columns: Vec<Cells<'_>> = batch.columns().iter().map(Cells::of).collect();
        for row in 0..batch.num_rows() {
            if self.is_array {
                bytes.extend_from_slice(b",\n");
            }
            if columns.is_empty() {
                bytes.push(b'{');
            }
            for (name, column) in self.names.iter().zip(&columns) {
                bytes.extend_from_slice(name);
                column.push_json(row, bytes)?;
            }
            bytes.push(b'}');
            if !self.is_array {
                bytes.push(b'\n');
            }
        }
        Ok(())
    }

    fn first(&self, bytes: &mut [u8]) {
        if let (true, Some(first)) = (self.is_array, bytes.first_mut()) {
            *first = b'[';
        }
    }

    fn end(&self, rows: u64) -> Vec<u8> {
        match (self.is_array, rows) {
            (false, _) => Vec::new(),
            (true, 0) => b"[]\n".to_vec(),
            (true, _) => b"\n]\n".to_vec(),
        }
    }
}
