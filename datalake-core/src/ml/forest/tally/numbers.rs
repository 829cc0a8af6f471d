//! The sums of a regression.

use super::super::pack::Squares;
use super::{Packed, Tally, count_of, mean_of, split_count};

/// The sums of a regression: the squared error around the mean.
#[derive(Debug, Clone)]
pub(in crate::ml::forest) struct NumberTally<'a> {
    fixed: &'a [i64],
    truth: &'a [f64],
    counts: &'a [u32],
    loaded: bool,
    /// By loaded row: the target, around the mean of the loaded rows and without its last `cut` bits.
    values: Vec<i64>,
    weights: Vec<u32>,
    /// By loaded row, `values * weight << shift | weight`; empty where that does not fit.
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
    /// `counts` has the weight of each row of the table.
    pub(in crate::ml::forest) fn new(fixed: &'a [i64], truth: &'a [f64], counts: &'a [u32]) -> Self {
        Self {
            fixed,
            truth,
            counts,
            loaded: false,
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

    fn values(&self) -> &[i64] {
        if self.loaded { &self.values } else { self.fixed }
    }

    fn weights(&self) -> &[u32] {
        if self.loaded { &self.weights } else { self.counts }
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

    fn load(&mut self, rows: &[u32]) {
        self.loaded = true;
        self.values.clear();
        self.weights.clear();
        self.words.clear();
        self.raw.clear();
        (self.shift, self.cut) = (0, 0);
        let mut total = Sum::default();
        for &row in rows {
            let (value, weight) = (self.fixed[row as usize], self.counts[row as usize]);
            self.values.push(value);
            self.weights.push(weight);
            total.add(value, i64::from(weight));
        }
        self.pack(rows, total);
        self.raw.extend(rows.iter().map(|&row| self.truth[row as usize]));
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        let mut total = Sum::default();
        if self.words.is_empty() {
            let (values, weights) = (self.values(), self.weights());
            node.for_each(|row| total.add(values[row], i64::from(weights[row])));
        } else {
            let word = node.fold(0_i64, |sum, row| sum.wrapping_add(self.words[row]));
            total = Sum { weight: word & ((1 << self.shift) - 1), value: word >> self.shift };
        }
        self.total = total;
    }

    fn is_pure(&self, mut node: impl Iterator<Item = usize>) -> bool {
        let values = self.values();
        let first = node.next().map(|row| values[row]);
        node.all(|row| Some(values[row]) == first)
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
        self.left.add(self.values()[row], i64::from(self.weights()[row]));
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
        let weight = self.weights()[row];
        [self.values()[row] * i64::from(weight), count_of(weight)]
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

    fn pull(&self, sums: &[i64], _order: usize) -> i64 {
        sums[0]
    }

    fn weight_of(&self, sums: &[i64]) -> u64 {
        split_count(sums[1]).1
    }

    /// The mean, in row order, kept between the least and the greatest value of the leaf.
    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let truth = if self.loaded { &self.raw } else { self.truth };
        let weights = self.weights();
        leaf.push(mean_of(node.map(|row| (truth[row], f64::from(weights[row])))));
    }
}
