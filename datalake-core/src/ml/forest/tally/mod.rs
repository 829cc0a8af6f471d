//! Exact sums on both sides of a split, and the scores that follow from them.

mod classes;
mod medians;
mod numbers;
mod shares;
mod sums;

pub(super) use classes::{ClassTally, Impurity};
pub(super) use medians::{MedianTally, Ranked};
pub(super) use numbers::NumberTally;
pub(super) use shares::ShareTally;
pub(super) use sums::{SumTally, WeightedNumbers};

use super::pack::Pack;
use super::rules::Rules;

/// What a search may use of a tally when a row fits into one word; see [`Pack`].
pub(super) struct Packed<'a, P> {
    /// By row.
    pub(in crate::ml::forest) items: &'a [i64],
    /// The node.
    pub(in crate::ml::forest) pack: P,
}

/// The rows of a tree, and what lies left and right of a cut through one of its nodes, in whole numbers.
///
/// The score of a cut is computed from the exact sums by the same few operations in the same order, so that equal
/// cuts have equal bits, whichever feature, thread or machine found them. A new tally names rows as the table does, and
/// keeps nothing of each; once it is loaded with some, it names them by their place among those.
pub(super) trait Tally: Clone + Send + Sync {
    /// How a row is packed into a word, where it can be.
    type Pack: Pack;
    /// What a row brings.
    type Entry: Copy + std::fmt::Debug;
    /// Whether cuts can only be scored row by row, since sums do not say enough.
    const BY_ROWS: bool = false;

    /// Takes up rows of the table: few enough for their targets to be cut to what a word can hold.
    fn load(&mut self, rows: &[u32]);

    /// Takes up one node: its rows, and the totals.
    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone);

    /// Whether all of the node's targets are the same.
    fn is_pure(&self, node: impl Iterator<Item = usize>) -> bool;

    /// The node in words, if that is exact.
    fn packed(&self) -> Option<Packed<'_, Self::Pack>>;

    /// What splits of the node must leave; none where nothing is asked for but rows.
    fn rules(&mut self) -> Option<&mut Rules> {
        None
    }

    /// Puts everything to the right.
    fn rewind(&mut self);

    /// Moves one row to the left.
    fn move_left(&mut self, row: usize);

    /// How good the cut is; higher is better, within one node.
    fn score(&self) -> f64;

    /// The weight of the rows on the left and on the right.
    fn weights(&self) -> (u64, u64);

    /// What both sides predict, as [`Rules`] compares it.
    fn means(&self) -> [f64; 2] {
        [0.0; 2]
    }

    /// How many words the sums of any rows take in a histogram.
    fn words(&self) -> usize;

    /// What a row adds to such sums.
    fn entry(&self, row: usize) -> Self::Entry;

    /// Adds a row to sums of [`Tally::words`] words.
    fn add(&self, entry: Self::Entry, sums: &mut [i64]);

    /// How many rows, and of which weight, such sums are of.
    fn rows_and_weight(&self, sums: &[i64]) -> (usize, u64);

    /// [`Tally::score`] of the cut with these sums on the left and the rest of `total` on the right.
    fn score_of(&self, left: &[i64], total: &[i64]) -> f64;

    /// The decrease of impurity that a score of this node stands for, times the node's weight.
    fn decrease(&self, score: f64) -> f64;

    /// In how many ways categories can be put in order before they are cut.
    fn orders(&self) -> usize;

    /// Categories are sorted by their pull for each of their weight.
    fn pull(&self, sums: &[i64], order: usize) -> i64;

    /// What the rows of a category weigh.
    fn weight_of(&self, sums: &[i64]) -> u64;

    /// Appends what a leaf of these rows says.
    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>);
}

/// Of values and their weights the mean, in their order, kept between the least and the greatest.
fn mean_of(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (value, own) in pairs.clone() {
        sum += value * own;
        weight += own;
        low = low.min(value);
        high = high.max(value);
    }
    let mut mean: f64 = sum / weight;
    if !mean.is_finite() {
        // The sum is beyond the largest number, but the mean is not.
        mean = pairs.map(|(value, own)| value * (own / weight)).sum();
    }
    mean.max(low).min(high)
}

/// For tallies whose rows never fit into a word.
#[derive(Debug, Clone, Copy)]
pub(super) enum NoPack {}

impl Pack for NoPack {
    fn score(self, _left: i64) -> f64 {
        match self {}
    }

    fn total(self) -> i64 {
        match self {}
    }

    fn weight(self, _sum: i64) -> i64 {
        match self {}
    }
}

/// A weight in the low half of a word and the number of rows in the high one.
fn count_of(weight: u32) -> i64 {
    1 << 32 | i64::from(weight)
}

fn split_count(word: i64) -> (usize, u64) {
    ((word >> 32) as usize, word as u64 & 0xFFFF_FFFF)
}
