//! Record batches to JSON text: one object a line, or an array of objects.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::error::Result;
use crate::format::cells::{Cells, in_column, push_string};
use crate::format::drive::Encode;

/// Gives JSON text. Missing values are written as `null`, so that the schema does not depend on the rows.
#[derive(Debug)]
pub(crate) struct Encoder {
    is_array: bool,
    names: Vec<Name>,
}

/// What stands before each value of a column: a bracket or comma, and the name.
#[derive(Debug)]
struct Name {
    bytes: Vec<u8>,
    /// All of it, if it is short, and zeros: as many bytes as these are copied without a call.
    short: Option<[u8; 32]>,
}

impl Name {
    fn new(bytes: Vec<u8>) -> Self {
        let mut short = [0; 32];
        let is_short = short.get_mut(..bytes.len()).map(|short| short.copy_from_slice(&bytes)).is_some();
        Self { bytes, short: is_short.then_some(short) }
    }

    #[inline(always)]
    fn push(&self, bytes: &mut Vec<u8>) {
        match &self.short {
            Some(short) => {
                let length = bytes.len() + self.bytes.len();
                bytes.extend_from_slice(short);
                bytes.truncate(length);
            }
            None => bytes.extend_from_slice(&self.bytes),
        }
    }
}

impl Encoder {
    pub(crate) fn new(schema: &Schema, is_array: bool) -> Self {
        let name = |(index, name): (usize, &str)| {
            let mut bytes = vec![if index == 0 { b'{' } else { b',' }];
            push_string(name, &mut bytes);
            bytes.push(b':');
            Name::new(bytes)
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
            for (place, (name, column)) in self.names.iter().zip(&columns).enumerate() {
                name.push(bytes);
                column.push_json(row, bytes).map_err(|error| in_column(error, batch, place))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    #[test]
    fn names_of_all_lengths_are_written_whole() {
        for length in [0, 1, 27, 28, 29, 30, 100] {
            let name = "n".repeat(length);
            let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
            let batch = RecordBatch::try_from_iter([("a", Arc::clone(&column)), (name.as_str(), column)]).unwrap();
            let mut bytes = Vec::new();
            Encoder::new(&batch.schema(), false).encode(&batch, &mut bytes).unwrap();
            let expected = format!("{{\"a\":1,\"{name}\":1}}\n{{\"a\":2,\"{name}\":2}}\n");
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
    }
}
