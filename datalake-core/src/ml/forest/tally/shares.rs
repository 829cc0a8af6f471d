//! The weights of classes where rows have weights of their own or splits have rules: slower than
//! [`ClassTally`](super::ClassTally), and without its limits.

use super::super::rules::Rules;
use super::{NoPack, Packed, Tally};

/// The weight of the rows of a node by class.
#[derive(Debug, Clone)]
pub(in crate::ml::forest) struct ShareTally<'a> {
    codes: &'a [u32],
    /// What a row weighs that is drawn once.
    weights: &'a [i64],
    entropy: bool,
    rules: Rules,
    counts: &'a [u32],
    loaded: bool,
    /// By loaded row.
    votes: Vec<(u32, i64)>,
    total: Vec<i64>,
    left: Vec<i64>,
}

impl<'a> ShareTally<'a> {
    pub(in crate::ml::forest) fn new(
        codes: &'a [u32],
        classes: usize,
        weights: &'a [i64],
        entropy: bool,
        rules: Rules,
        counts: &'a [u32],
    ) -> Self {
        let (total, left) = (vec![0; classes], vec![0; classes]);
        Self { codes, weights, entropy, rules, counts, loaded: false, votes: Vec::new(), total, left }
    }

    /// A row's class and weight.
    fn vote(&self, row: usize) -> (u32, i64) {
        if self.loaded { self.votes[row] } else { self.vote_of(row) }
    }

    /// Those of a row of the table.
    fn vote_of(&self, row: usize) -> (u32, i64) {
        (self.codes[row], self.weights[row] * i64::from(self.counts[row]))
    }

    /// What a side adds to the score: the squared weights over their sum, or `w log2 w` less that of the sum.
    fn side(&self, weight: impl Fn(usize) -> i64, sum: i64) -> f64 {
        let sum = sum as f64;
        let weights = (0..self.total.len()).map(|class| weight(class) as f64).filter(|weight| *weight > 0.0);
        if self.entropy {
            weights.fold(0.0, |score, weight| score + weight * libm::log2(weight / sum))
        } else {
            weights.fold(0.0, |score, weight| score + weight * weight) / sum
        }
    }

    fn sum(&self, weight: impl Fn(usize) -> i64) -> i64 {
        (0..self.total.len()).map(weight).sum()
    }

    fn score_between(&self, left: impl Fn(usize) -> i64 + Copy, total: impl Fn(usize) -> i64) -> f64 {
        let right = |class| total(class) - left(class);
        let (on_left, on_right) = (self.sum(left), self.sum(right));
        let means = [left(1) as f64 / on_left as f64, right(1) as f64 / on_right as f64];
        if !self.rules.allow([on_left as f64, on_right as f64], means) {
            return f64::NEG_INFINITY;
        }
        self.side(left, on_left) + self.side(right, on_right)
    }
}

/// Words of a class: its rows and their weight.
const WORDS: usize = 2;

fn weight_in(sums: &[i64]) -> impl Fn(usize) -> i64 + Copy {
    move |class| sums[class * WORDS + 1]
}

impl Tally for ShareTally<'_> {
    type Pack = NoPack;
    type Entry = (u32, i64);

    fn load(&mut self, rows: &[u32]) {
        self.loaded = true;
        let mut votes = std::mem::take(&mut self.votes);
        votes.clear();
        votes.extend(rows.iter().map(|&row| self.vote_of(row as usize)));
        self.votes = votes;
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        self.total.fill(0);
        for row in node {
            let (class, weight) = self.vote(row);
            self.total[class as usize] += weight;
        }
    }

    fn is_pure(&self, _node: impl Iterator<Item = usize>) -> bool {
        self.total.iter().filter(|weight| **weight > 0).count() <= 1
    }

    fn packed(&self) -> Option<Packed<'_, NoPack>> {
        None
    }

    fn rules(&mut self) -> Option<&mut Rules> {
        Some(&mut self.rules)
    }

    fn rewind(&mut self) {
        self.left.fill(0);
    }

    fn move_left(&mut self, row: usize) {
        let (class, weight) = self.vote(row);
        self.left[class as usize] += weight;
    }

    fn score(&self) -> f64 {
        self.score_between(|class| self.left[class], |class| self.total[class])
    }

    fn weights(&self) -> (u64, u64) {
        let (left, total): (i64, i64) = (self.left.iter().sum(), self.total.iter().sum());
        (left as u64, (total - left) as u64)
    }

    /// The share of the second class.
    fn means(&self) -> [f64; 2] {
        let (left, right) = self.weights();
        [self.left[1] as f64 / left as f64, (self.total[1] - self.left[1]) as f64 / right as f64]
    }

    /// By class the number of rows and their weight.
    fn words(&self) -> usize {
        WORDS * self.total.len()
    }

    fn entry(&self, row: usize) -> (u32, i64) {
        self.vote(row)
    }

    fn add(&self, (class, weight): (u32, i64), sums: &mut [i64]) {
        let class = class as usize * WORDS;
        sums[class] += 1;
        sums[class + 1] += weight;
    }

    fn rows_and_weight(&self, sums: &[i64]) -> (usize, u64) {
        let rows: i64 = sums.iter().step_by(WORDS).sum();
        (rows as usize, self.sum(weight_in(sums)) as u64)
    }

    fn score_of(&self, left: &[i64], total: &[i64]) -> f64 {
        self.score_between(weight_in(left), weight_in(total))
    }

    fn decrease(&self, score: f64) -> f64 {
        let total = |class: usize| self.total[class];
        (score - self.side(total, self.sum(total))).max(0.0)
    }

    /// As for [`ClassTally`](super::ClassTally).
    fn orders(&self) -> usize {
        if self.total.len() == 2 { 1 } else { self.total.len() }
    }

    fn pull(&self, sums: &[i64], order: usize) -> (i64, u64) {
        (sums[order * WORDS + 1], self.rows_and_weight(sums).1)
    }

    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let begin = leaf.len();
        leaf.resize(begin + self.total.len(), 0.0);
        let mut sum = 0;
        for (class, weight) in node.map(|row| self.vote(row)) {
            leaf[begin + class as usize] += weight as f64;
            sum += weight;
        }
        let shares = &mut leaf[begin..];
        shares.iter_mut().for_each(|share| *share /= sum as f64);
        if let [first, second] = shares {
            let clipped = self.rules.clip(*second);
            if clipped.to_bits() != second.to_bits() {
                (*first, *second) = (1.0 - clipped, clipped);
            }
        }
    }
}
