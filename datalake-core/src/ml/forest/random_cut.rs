//! A cut drawn at random for a feature, as extremely randomized trees have it: between the least and the greatest
//! value, or a set of categories by the toss of a coin for each.
//!
//! After Geurts, Ernst and Wehenkel, "Extremely randomized trees" (Machine Learning 63, 2006).

use super::columns::Cells;
use super::split::{Split, set_words};
use super::tally::Tally;
use crate::ml::feature::MISSING;
use crate::random::mix;

/// The feature under trial in a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) feature: u32,
    pub(super) cells: &'a Cells,
    /// The number of categories; zero for numbers.
    pub(super) categories: usize,
    pub(super) min_leaf: usize,
    /// What the draw follows from.
    pub(super) key: u64,
}

/// Keeps what is drawn for a threshold, missing values and categories apart.
const THRESHOLD: u64 = 1;
const SIDE: u64 = 2;
const CATEGORY: u64 = 3;

impl Trial<'_> {
    /// The drawn cut and its score, where both sides have enough rows, and whether the feature varies. `rows` are those
    /// of the node, by their names in the tally and in the table.
    pub(super) fn draw<T: Tally>(
        self,
        tally: &mut T,
        rows: impl Iterator<Item = (usize, u32)> + Clone,
    ) -> (bool, Option<(f64, Split)>) {
        let table_rows = rows.clone().map(|(_, row)| row);
        let split = match self.cells {
            Cells::Numeric(values) => self.threshold(table_rows.map(|row| values[row as usize])),
            Cells::Categorical(codes) => self.set(table_rows.map(|row| codes[row as usize])),
        };
        let Some(mut split) = split else { return (false, None) };
        tally.rewind();
        let (mut left, mut all, mut any_missing) = (0, 0, false);
        for (row, table_row) in rows {
            let bits = self.cells.bits(table_row as usize);
            any_missing |= self.is_missing(bits);
            all += 1;
            if split.goes_left(bits) {
                left += 1;
                tally.move_left(row);
            }
        }
        if left.min(all - left) < self.min_leaf.max(1) {
            return (true, None);
        }
        if !any_missing {
            let (on_left, on_right) = tally.weights();
            split.send_missing(on_left >= on_right);
        }
        let score = tally.score();
        (true, (score > f64::NEG_INFINITY).then_some((score, split)))
    }

    fn is_missing(self, bits: u32) -> bool {
        match self.cells {
            Cells::Numeric(_) => f32::from_bits(bits).is_nan(),
            Cells::Categorical(_) => bits == MISSING,
        }
    }

    fn missing_left(self) -> bool {
        mix(self.key, SIDE) >> 63 == 1
    }

    /// A threshold that leaves the least value on the left and the greatest on the right; none where all are the same.
    fn threshold(self, values: impl Iterator<Item = f32>) -> Option<Split> {
        let (mut low, mut high, mut any_missing) = (f32::INFINITY, f32::NEG_INFINITY, false);
        for value in values {
            any_missing |= value.is_nan();
            // Both skip what is missing.
            low = low.min(value);
            high = high.max(value);
        }
        let feature = self.feature;
        if low < high {
            let share = (mix(self.key, THRESHOLD) >> 11) as f64 / (1_u64 << 53) as f64;
            let drawn = (f64::from(low) + share * (f64::from(high) - f64::from(low))) as f32;
            let threshold = if drawn >= high { low } else { drawn };
            return Some(Split::Numeric { feature, threshold, missing_left: self.missing_left() });
        }
        let known = low.is_finite();
        (known && any_missing).then_some(Split::Numeric { feature, threshold: f32::INFINITY, missing_left: false })
    }

    /// A set that is neither empty nor all of the node's categories; none where there is but one.
    fn set(self, codes: impl Iterator<Item = u32>) -> Option<Split> {
        let missing_left = self.missing_left();
        let mut left = vec![0_u64; set_words(self.categories)];
        let (mut first, mut varies, mut sides) = (None, false, [false; 2]);
        for code in codes {
            let first = *first.get_or_insert(code);
            varies |= code != first;
            let goes_left = if code == MISSING { missing_left } else { self.category_left(code) };
            sides[usize::from(goes_left)] = true;
            if code != MISSING && goes_left {
                left[(code / 64) as usize] |= 1 << (code % 64);
            }
        }
        let first = first.filter(|_| varies)?;
        let mut split = Split::Categorical { feature: self.feature, left, missing_left };
        if sides != [true; 2] {
            split.toggle(first);
        }
        Some(split)
    }

    fn category_left(self, code: u32) -> bool {
        mix(mix(self.key, CATEGORY), u64::from(code)) >> 63 == 1
    }
}
