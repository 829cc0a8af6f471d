//! Exact sums on both sides of a split, and the scores that follow from them.

use super::pack::{Gini, Pack, Squares};

/// What a search may use of a tally when a row fits into one word; see [`Pack`].
pub(super) struct Packed<'a, P> {
    /// By row.
    pub(super) items: &'a [i64],
    /// The node.
    pub(super) pack: P,
}

/// The rows of a part of a tree, and what lies left and right of a cut through one of its nodes, in whole numbers.
///
/// The score of a cut is computed from the exact sums by the same few operations in the same order, so that equal
/// cuts have equal bits, whichever feature, thread or machine found them. Rows are named by their place among those
/// loaded.
pub(super) trait Tally {
    /// How a row is packed into a word, where it can be.
    type Pack: Pack;
    /// What a row brings.
    type Entry: Copy + std::fmt::Debug;

    /// Takes up rows. `local` rows are few enough for their targets to be cut to what a word can hold.
    fn load(&mut self, rows: &[u32], weights: &[u32], local: bool);

    /// Takes up one node: its rows, and the totals.
    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone);

    /// Whether all of the node's targets are the same.
    fn is_pure(&self, node: impl Iterator<Item = usize>) -> bool;

    /// The node in words, if that is exact.
    fn packed(&self) -> Option<Packed<'_, Self::Pack>>;

    /// Puts everything to the right.
    fn rewind(&mut self);

    /// Moves one row to the left.
    fn move_left(&mut self, row: usize);

    /// How good the cut is; higher is better, within one node.
    fn score(&self) -> f64;

    /// The weight of the rows on the left and on the right.
    fn weights(&self) -> (u64, u64);

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

    /// A category's place: categories are sorted by `pull / weight`.
    fn pull(&self, sums: &[i64], order: usize) -> (i64, u64);

    /// Appends what a leaf of these rows says.
    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>);
}

/// A weight in the low half of a word and the number of rows in the high one.
fn count_of(weight: u32) -> i64 {
    1 << 32 | i64::from(weight)
}

fn split_count(word: i64) -> (usize, u64) {
    ((word >> 32) as usize, word as u64 & 0xFFFF_FFFF)
}

/// The sums of a regression: the squared error around the mean.
#[derive(Debug)]
pub(super) struct NumberTally<'a> {
    fixed: &'a [i64],
    truth: &'a [f64],
    /// By row: the target, around the mean of the loaded rows and without its last `cut` bits.
    values: Vec<i64>,
    weights: Vec<u32>,
    /// By row, `values * weight << shift | weight`; empty where that does not fit.
    words: Vec<i64>,
    raw: Vec<f64>,
    shift: u32,
    cut: u32,
    total: Sum,
    left: Sum,
}

/// A weight, and the weighted sum of values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    weight: i64,
    value: i64,
}

impl Sum {
    fn add(&mut self, value: i64, weight: i64) {
        self.weight += weight;
        self.value += value * weight;
    }

    /// The squared distance of the left mean from the whole one, times what does not differ between cuts.
    fn score(self, total: Self) -> f64 {
        let covariance =
            i128::from(total.weight) * i128::from(self.value) - i128::from(self.weight) * i128::from(total.value);
        let covariance = covariance as f64;
        let spread = i128::from(self.weight) * i128::from(total.weight - self.weight);
        covariance * covariance / spread as f64
    }
}

impl<'a> NumberTally<'a> {
    pub(super) fn new(fixed: &'a [i64], truth: &'a [f64]) -> Self {
        Self {
            fixed,
            truth,
            values: Vec::new(),
            weights: Vec::new(),
            words: Vec::new(),
            raw: Vec::new(),
            shift: 0,
            cut: 0,
            total: Sum::default(),
            left: Sum::default(),
        }
    }

    /// Cuts the values to what fits into a word together with its weight: `|value| * weight < 2^(62 - shift)`.
    fn pack(&mut self, rows: &[u32], total: Sum) {
        let mean = total.value.div_euclid(total.weight);
        let reach = rows.iter().fold(0, |reach, &row| reach | (self.fixed[row as usize] - mean).unsigned_abs());
        self.shift = 64 - total.weight.leading_zeros();
        let bits = 62_u32.saturating_sub(2 * self.shift);
        if bits < LEAST_BITS {
            return;
        }
        self.cut = (64 - reach.leading_zeros()).saturating_sub(bits);
        for (value, &weight) in self.values.iter_mut().zip(&self.weights) {
            *value = (*value - mean) >> self.cut;
            self.words.push(((*value * i64::from(weight)) << self.shift) + i64::from(weight));
        }
    }
}

/// With fewer bits the rows are not packed.
const LEAST_BITS: u32 = 24;

impl Tally for NumberTally<'_> {
    type Pack = Squares;
    type Entry = [i64; 2];

    fn load(&mut self, rows: &[u32], weights: &[u32], local: bool) {
        self.values.clear();
        self.weights.clear();
        self.words.clear();
        self.raw.clear();
        (self.shift, self.cut) = (0, 0);
        let mut total = Sum::default();
        for &row in rows {
            let (value, weight) = (self.fixed[row as usize], weights[row as usize]);
            self.values.push(value);
            self.weights.push(weight);
            total.add(value, i64::from(weight));
        }
        if local {
            self.pack(rows, total);
            self.raw.extend(rows.iter().map(|&row| self.truth[row as usize]));
        }
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        let mut total = Sum::default();
        if self.words.is_empty() {
            node.for_each(|row| total.add(self.values[row], i64::from(self.weights[row])));
        } else {
            let word = node.fold(0_i64, |sum, row| sum.wrapping_add(self.words[row]));
            total = Sum { weight: word & ((1 << self.shift) - 1), value: word >> self.shift };
        }
        self.total = total;
    }

    fn is_pure(&self, mut node: impl Iterator<Item = usize>) -> bool {
        let first = node.next().map(|row| self.values[row]);
        node.all(|row| Some(self.values[row]) == first)
    }

    fn packed(&self) -> Option<Packed<'_, Squares>> {
        if self.words.is_empty() {
            return None;
        }
        let pack = Squares::new(self.total.weight, self.total.value, self.shift);
        Some(Packed { items: &self.words, pack })
    }

    fn rewind(&mut self) {
        self.left = Sum::default();
    }

    fn move_left(&mut self, row: usize) {
        self.left.add(self.values[row], i64::from(self.weights[row]));
    }

    fn score(&self) -> f64 {
        self.left.score(self.total)
    }

    fn weights(&self) -> (u64, u64) {
        (self.left.weight as u64, (self.total.weight - self.left.weight) as u64)
    }

    fn words(&self) -> usize {
        2
    }

    fn entry(&self, row: usize) -> [i64; 2] {
        let weight = self.weights[row];
        [self.values[row] * i64::from(weight), count_of(weight)]
    }

    fn add(&self, entry: [i64; 2], sums: &mut [i64]) {
        if let [value, count] = sums {
            *value = value.wrapping_add(entry[0]);
            *count = count.wrapping_add(entry[1]);
        }
    }

    fn rows_and_weight(&self, sums: &[i64]) -> (usize, u64) {
        split_count(sums[1])
    }

    fn score_of(&self, left: &[i64], total: &[i64]) -> f64 {
        let sum = |words: &[i64]| Sum { value: words[0], weight: split_count(words[1]).1 as i64 };
        sum(left).score(sum(total))
    }

    fn decrease(&self, score: f64) -> f64 {
        // A square of `2^cut` for each of the two factors of the square.
        score / self.total.weight as f64 * (1_u64 << self.cut) as f64 * (1_u64 << self.cut) as f64
    }

    fn orders(&self) -> usize {
        1
    }

    fn pull(&self, sums: &[i64], _order: usize) -> (i64, u64) {
        (sums[0], split_count(sums[1]).1)
    }

    /// The mean, in row order, kept between the least and the greatest value of the leaf.
    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let truth = if self.raw.is_empty() { self.truth } else { &self.raw };
        let pairs = || node.clone().map(|row| (truth[row], f64::from(self.weights[row])));
        let (mut sum, mut weight) = (0.0, 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (value, own) in pairs() {
            sum += value * own;
            weight += own;
            low = low.min(value);
            high = high.max(value);
        }
        let mut mean = sum / weight;
        if !mean.is_finite() {
            // The sum is beyond the largest number, but the mean is not.
            mean = pairs().map(|(value, own)| value * (own / weight)).sum();
        }
        leaf.push(mean.max(low).min(high));
    }
}

/// The counts of a classification: the Gini impurity.
#[derive(Debug)]
pub(super) struct ClassTally<'a> {
    codes: &'a [u32],
    classes: usize,
    votes: Vec<Vote>,
    /// By row, its weight in the field of its class; empty where that does not fit.
    words: Vec<i64>,
    total: Vec<u64>,
    left: Vec<u64>,
    right: Vec<u64>,
    total_squares: u64,
    left_squares: u64,
    right_squares: u64,
    total_weight: u64,
    left_weight: u64,
}

/// A row's class and weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vote {
    class: u32,
    weight: u32,
}

impl<'a> ClassTally<'a> {
    pub(super) fn new(codes: &'a [u32], classes: usize) -> Self {
        let none = vec![0; classes];
        Self {
            codes,
            classes,
            votes: Vec::new(),
            words: Vec::new(),
            total: none.clone(),
            left: none.clone(),
            right: none,
            total_squares: 0,
            left_squares: 0,
            right_squares: 0,
            total_weight: 0,
            left_weight: 0,
        }
    }
}

/// From the sums of squared counts and the weights of both sides: the sum of both sides' squares over their weights.
fn gini_score(left: (u64, u64), right: (u64, u64)) -> f64 {
    let numerator = u128::from(left.0) * u128::from(right.1) + u128::from(right.0) * u128::from(left.1);
    numerator as f64 / (u128::from(left.1) * u128::from(right.1)) as f64
}

impl Tally for ClassTally<'_> {
    type Pack = Gini;
    type Entry = Vote;

    fn load(&mut self, rows: &[u32], weights: &[u32], local: bool) {
        self.words.clear();
        self.votes.clear();
        self.votes
            .extend(rows.iter().map(|&row| Vote { class: self.codes[row as usize], weight: weights[row as usize] }));
        let weight: u64 = self.votes.iter().map(|vote| u64::from(vote.weight)).sum();
        if local && self.classes <= Gini::CLASSES && weight < Gini::WEIGHT {
            self.words.extend(self.votes.iter().map(|vote| Gini::word(vote.class, vote.weight)));
        }
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        self.total.fill(0);
        for row in node {
            let vote = self.votes[row];
            self.total[vote.class as usize] += u64::from(vote.weight);
        }
        self.total_weight = self.total.iter().sum();
        self.total_squares = self.total.iter().map(|count| count * count).sum();
    }

    fn is_pure(&self, _node: impl Iterator<Item = usize>) -> bool {
        self.total.iter().filter(|count| **count > 0).count() <= 1
    }

    fn packed(&self) -> Option<Packed<'_, Gini>> {
        (!self.words.is_empty()).then(|| Packed { items: &self.words, pack: Gini::new(&self.total) })
    }

    fn rewind(&mut self) {
        self.left.fill(0);
        self.right.copy_from_slice(&self.total);
        (self.left_squares, self.right_squares, self.left_weight) = (0, self.total_squares, 0);
    }

    /// The squares follow from `(a + w)² = a² + w(2a + w)`.
    fn move_left(&mut self, row: usize) {
        let vote = self.votes[row];
        let (class, weight) = (vote.class as usize, u64::from(vote.weight));
        self.left_squares += weight * (2 * self.left[class] + weight);
        self.left[class] += weight;
        self.right[class] -= weight;
        self.right_squares -= weight * (2 * self.right[class] + weight);
        self.left_weight += weight;
    }

    fn score(&self) -> f64 {
        let right_weight = self.total_weight - self.left_weight;
        gini_score((self.left_squares, self.left_weight), (self.right_squares, right_weight))
    }

    fn weights(&self) -> (u64, u64) {
        (self.left_weight, self.total_weight - self.left_weight)
    }

    fn words(&self) -> usize {
        self.classes
    }

    fn entry(&self, row: usize) -> Vote {
        self.votes[row]
    }

    fn add(&self, vote: Vote, sums: &mut [i64]) {
        let sum = &mut sums[vote.class as usize];
        *sum = sum.wrapping_add(count_of(vote.weight));
    }

    fn rows_and_weight(&self, sums: &[i64]) -> (usize, u64) {
        sums.iter().map(|word| split_count(*word)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    fn score_of(&self, left: &[i64], total: &[i64]) -> f64 {
        let side = |counts: &mut dyn Iterator<Item = u64>| counts.fold((0, 0), |(s, w), c| (s + c * c, w + c));
        let of_left = side(&mut left.iter().map(|word| split_count(*word).1));
        let of_right = side(&mut total.iter().zip(left).map(|(t, l)| split_count(*t).1 - split_count(*l).1));
        gini_score(of_left, of_right)
    }

    fn decrease(&self, score: f64) -> f64 {
        (score - self.total_squares as f64 / self.total_weight as f64).max(0.0)
    }

    /// By the share of each class in turn. For two classes one order is enough and the best cut is found;
    /// for more it is a heuristic: the best of "this class against the rest" over all classes.
    fn orders(&self) -> usize {
        if self.classes == 2 { 1 } else { self.classes }
    }

    fn pull(&self, sums: &[i64], order: usize) -> (i64, u64) {
        (split_count(sums[order]).1 as i64, self.rows_and_weight(sums).1)
    }

    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let begin = leaf.len();
        leaf.resize(begin + self.classes, 0.0);
        let mut sum = 0.0;
        for row in node {
            let own = f64::from(self.votes[row].weight);
            leaf[begin + self.votes[row].class as usize] += own;
            sum += own;
        }
        leaf[begin..].iter_mut().for_each(|share| *share /= sum);
    }
}
