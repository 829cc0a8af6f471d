//! The digest of the rows of a table in any order, with values as text: equal for the same rows in every format, however they
//! are shared among files.
//!
//! Each row has a SHA-256 over its values as the text formats write them, a missing one apart; the digest is their sum modulo
//! 2^256 (Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997). It tells accidents, not forgeries.

use std::hash::{DefaultHasher, Hasher};

use arrow::array::RecordBatch;
use sha2::{Digest, Sha256};

use super::cells::{Cell, Cells};
use super::digest::hex;
use crate::error::Result;

/// The digest of rows, and what tells the column at fault where two differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowsDigest {
    rows: u64,
    /// The least significant word first.
    sum: [u64; 4],
    /// For each column the sum of quick hashes of its values.
    columns: Vec<u64>,
}

impl RowsDigest {
    /// That of no row of so many columns.
    pub(crate) fn new(columns: usize) -> Self {
        Self { rows: 0, sum: [0; 4], columns: vec![0; columns] }
    }

    /// That of the rows of a batch.
    ///
    /// # Errors
    /// If a value has no text.
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self> {
        let mut digest = Self::new(batch.num_columns());
        let columns: Vec<Cells<'_>> = batch.columns().iter().map(Cells::of).collect();
        let mut value = Vec::new();
        for row in 0..batch.num_rows() {
            let mut subject = Sha256::new();
            for (column, sum) in columns.iter().zip(&mut digest.columns) {
                value.clear();
                let text = match column.push(row, &mut value)? {
                    Cell::Missing => None,
                    Cell::Text(text) => Some(text.as_bytes()),
                    Cell::Bare | Cell::Any => Some(&value[..]),
                };
                let mut quick = DefaultHasher::new();
                quick.write_u8(u8::from(text.is_some()));
                subject.update([u8::from(text.is_some())]);
                if let Some(text) = text {
                    subject.update((text.len() as u64).to_le_bytes());
                    subject.update(text);
                    quick.write(text);
                }
                *sum = sum.wrapping_add(quick.finish());
            }
            digest.add_row(&subject.finalize().into());
        }
        Ok(digest)
    }

    fn add_row(&mut self, hash: &[u8; 32]) {
        let (words, _) = hash.as_chunks::<8>();
        let mut other = [0; 4];
        for (word, bytes) in other.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.rows += 1;
        self.add(&other);
    }

    fn add(&mut self, other: &[u64; 4]) {
        let mut carry = false;
        for (word, other) in self.sum.iter_mut().zip(other) {
            let (sum, first) = word.overflowing_add(*other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, first || second);
        }
    }

    /// Adds the rows of another table of the same columns.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.rows += other.rows;
        self.add(&other.sum);
        for (sum, other) in self.columns.iter_mut().zip(&other.columns) {
            *sum = sum.wrapping_add(*other);
        }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The columns, by their places, whose values differ from those of another table.
    pub(crate) fn differing(&self, other: &Self) -> Vec<usize> {
        let pairs = self.columns.iter().zip(&other.columns).enumerate();
        pairs.filter(|(_, (mine, others))| mine != others).map(|(place, _)| place).collect()
    }

    /// The digest in hex.
    pub(crate) fn finish(&self) -> String {
        hex(&self.sum.map(u64::to_le_bytes).concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn table(numbers: &[Option<i64>], texts: &[Option<&str>]) -> RecordBatch {
        batch(vec![
            ("n", Arc::new(numbers.iter().copied().collect::<Int64Array>()) as _),
            ("t", Arc::new(texts.iter().copied().collect::<StringArray>()) as _),
        ])
    }

    #[test]
    fn the_order_of_rows_and_their_batches_do_not_count() {
        let whole = RowsDigest::of(&table(&[Some(1), None, Some(3)], &[Some("a"), Some(""), None])).unwrap();
        let mut parts = RowsDigest::of(&table(&[Some(3)], &[None])).unwrap();
        parts.absorb(&RowsDigest::of(&table(&[None, Some(1)], &[Some(""), Some("a")])).unwrap());
        assert_eq!(whole, parts);
        assert_eq!(whole.rows(), 3);
        assert_eq!(whole.finish().len(), 64);
    }

    #[test]
    fn types_do_not_count_but_texts_do() {
        let typed = batch(vec![("x", Arc::new(Float64Array::from(vec![1.5, -0.1])) as _)]);
        let text = batch(vec![("x", Arc::new(StringArray::from(vec!["1.5", "-0.1"])) as _)]);
        assert_eq!(RowsDigest::of(&typed).unwrap(), RowsDigest::of(&text).unwrap());
    }

    #[test]
    fn everything_else_counts_and_the_column_is_told() {
        let base = RowsDigest::of(&table(&[Some(1), Some(2)], &[Some("a"), Some("b")])).unwrap();
        for (other, columns) in [
            (table(&[Some(1), Some(3)], &[Some("a"), Some("b")]), vec![0]),
            (table(&[Some(1), Some(2)], &[Some("a"), None]), vec![1]),
            (table(&[Some(1), Some(2)], &[Some("a"), Some("")]), vec![1]),
            // Each column has its values; it is the rows that are others.
            (table(&[Some(2), Some(1)], &[Some("a"), Some("b")]), vec![]),
        ] {
            let other = RowsDigest::of(&other).unwrap();
            assert_ne!(base.finish(), other.finish());
            assert_eq!(base.differing(&other), columns);
        }
        // What stands in one column does not pass for the end of the one before.
        let (left, right) = (table(&[None], &[Some("ab")]), table(&[None], &[Some("a")]));
        assert_ne!(RowsDigest::of(&left).unwrap().finish(), RowsDigest::of(&right).unwrap().finish());
    }

    #[test]
    fn sums_carry_over() {
        let mut digest = RowsDigest { rows: 0, sum: [u64::MAX, u64::MAX, 0, u64::MAX], columns: Vec::new() };
        digest.add(&[1, 0, 0, 1]);
        assert_eq!(digest.sum, [0, 0, 1, 0]);
    }
}
