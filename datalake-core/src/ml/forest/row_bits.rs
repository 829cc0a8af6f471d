//! Rows as trees are walked with: 32 bits a feature, one row after the other.

use super::columns::Cells;
use crate::ml::numbers::any_of;

/// Rows that are turned from columns into rows together, so that they stay in the first cache.
const TILE: usize = 256;

/// Rows, each of them the bits of its features; see [`Cells::bits`].
#[derive(Debug)]
pub(super) struct RowBits {
    words: Vec<u32>,
    features: usize,
    /// Whether any word, of a category's too, may be that of a NaN. Walks that need not ask rely on it for memory safety.
    missing: bool,
}

impl RowBits {
    /// No rows yet.
    pub(super) fn new(features: usize) -> Self {
        Self { words: Vec::new(), features, missing: false }
    }

    /// So many rows of a table, from `first` on.
    pub(super) fn of(cells: &[Cells], first: usize, rows: usize) -> Self {
        let features = cells.len();
        let mut words = vec![0; rows * features];
        for (tile, words) in words.chunks_mut(TILE * features).enumerate() {
            for (feature, column) in cells.iter().enumerate() {
                column.copy_bits(first + tile * TILE, words[feature..].iter_mut().step_by(features));
            }
        }
        let missing = any_of(&words, is_missing);
        Self { words, features, missing }
    }

    #[cfg(test)]
    pub(super) fn of_words(words: Vec<u32>, features: usize) -> Self {
        let missing = any_of(&words, is_missing);
        Self { words, features, missing }
    }

    /// The rows of a table that `rows` names.
    pub(super) fn of_rows(cells: &[Cells], rows: &[u32]) -> Self {
        let features = cells.len();
        let mut bits = Self { words: vec![0; rows.len() * features], features, missing: false };
        for (feature, column) in cells.iter().enumerate() {
            bits.set_feature(feature, rows.iter().map(|&row| column.bits(row as usize)));
        }
        bits
    }

    /// Gives each row another value of a feature.
    pub(super) fn set_feature(&mut self, feature: usize, values: impl Iterator<Item = u32>) {
        for (place, value) in self.words.iter_mut().skip(feature).step_by(self.features).zip(values) {
            *place = value;
            self.missing |= is_missing(value);
        }
    }

    /// Takes the place of what was here: the rows that are wanted. `each` is told their numbers.
    pub(super) fn select(&mut self, rows: &Self, wanted: impl Fn(usize) -> bool, mut each: impl FnMut(usize)) {
        self.words.clear();
        (self.features, self.missing) = (rows.features, rows.missing);
        for (number, row) in rows.iter().enumerate().filter(|(number, _)| wanted(*number)) {
            self.words.extend_from_slice(row);
            each(number);
        }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.words.len() / self.features
    }

    /// The rows, one after the other.
    pub(super) fn iter(&self) -> std::slice::ChunksExact<'_, u32> {
        self.words.chunks_exact(self.features)
    }

    /// All rows in one piece.
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }

    pub(super) fn features(&self) -> usize {
        self.features
    }

    /// Whether a number may be missing.
    pub(super) fn may_miss(&self) -> bool {
        self.missing
    }
}

/// Whether the bits are those of NaN. Of a category's codes it is so of the missing one.
pub(super) fn is_missing(bits: u32) -> bool {
    bits << 1 > f32::INFINITY.to_bits() << 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::feature::MISSING;

    #[test]
    fn missing_is_what_is_not_a_number() {
        let numbers = [0.0, -0.0, 1.0, f32::MIN, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE];
        assert!(!any_of(&numbers.map(f32::to_bits), is_missing));
        let none = [f32::NAN.to_bits(), (-f32::NAN).to_bits(), f32::INFINITY.to_bits() + 1, MISSING];
        assert!(none.iter().all(|bits| any_of(&[0, *bits, 0], is_missing)));
    }

    #[test]
    fn rows_come_from_columns() {
        let columns = [0.0_f32, 1000.0].map(|first| (0..600).map(|row| first + row as f32).collect::<Vec<_>>());
        let cells: Vec<Cells> = columns.iter().map(|column| Cells::Numeric(column.clone().into())).collect();
        let rows = RowBits::of(&cells, 10, 590);
        assert_eq!((rows.len(), rows.may_miss()), (590, false));
        let expected = |row: usize| [columns[0][row].to_bits(), columns[1][row].to_bits()];
        assert!(rows.iter().enumerate().all(|(row, bits)| *bits == expected(row + 10)));

        let (mut odd, mut numbers) = (RowBits::new(2), Vec::new());
        odd.select(&rows, |row| row % 2 == 1, |row| numbers.push(row));
        assert_eq!((odd.len(), numbers[7]), (295, 15));
        assert_eq!(odd.iter().nth(7), Some(&expected(25)[..]));

        let mut named = RowBits::of_rows(&cells, &[5, 3]);
        named.set_feature(1, [f32::NAN.to_bits(), 7].into_iter());
        assert_eq!(named.words(), [columns[0][5].to_bits(), f32::NAN.to_bits(), columns[0][3].to_bits(), 7]);
        assert!(named.may_miss());
    }
}
