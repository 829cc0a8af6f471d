//! The weights of classes where rows have weights of their own, of several targets, or under rules: slower than
//! [`ClassTally`](super::ClassTally), and without its limits.

use std::ops::Range;

use super::super::rules::Rules;
use super::{NoPack, Packed, Tally};

/// The weight of the rows of a node by class.
///
/// Its sums are the weight of all rows, then that of each class, one target after the other.
#[derive(Debug, Clone)]
pub(in crate::ml::forest) struct ShareTally<'a> {
    /// Row-major, one class a target, counted from the first of all targets.
    codes: &'a [u32],
    /// The places of each target's classes in sums.
    targets: Vec<Range<usize>>,
    /// What a row weighs that is drawn once.
    weights: &'a [i64],
    entropy: bool,
    rules: Rules,
    counts: &'a [u32],
    loaded: bool,
    /// By loaded row: its codes, and its weight.
    own_codes: Vec<u32>,
    own_weights: Vec<i64>,
    total: Vec<i64>,
    left: Vec<i64>,
}

impl<'a> ShareTally<'a> {
    /// `classes` is the number of each target's classes.
    pub(in crate::ml::forest) fn new(
        codes: &'a [u32],
        classes: &[usize],
        weights: &'a [i64],
        entropy: bool,
        rules: Rules,
        counts: &'a [u32],
    ) -> Self {
        let next = |begin: &mut usize, classes: &usize| {
            let range = *begin..*begin + classes;
            *begin = range.end;
            Some(range)
        };
        let targets: Vec<Range<usize>> = classes.iter().scan(1, next).collect();
        let none = vec![0; 1 + classes.iter().sum::<usize>()];
        Self {
            codes,
            targets,
            weights,
            entropy,
            rules,
            counts,
            loaded: false,
            own_codes: Vec::new(),
            own_weights: Vec::new(),
            total: none.clone(),
            left: none,
        }
    }

    fn codes(&self, row: usize) -> &[u32] {
        let (targets, codes) = (self.targets.len(), if self.loaded { &self.own_codes } else { self.codes });
        &codes[row * targets..][..targets]
    }

    fn weight(&self, row: usize) -> i64 {
        if self.loaded { self.own_weights[row] } else { self.weights[row] * i64::from(self.counts[row]) }
    }

    /// Adds a row to a weight and the weights of classes behind it.
    fn add_row(&self, row: usize, sums: &mut [i64]) {
        let weight = self.weight(row);
        sums[0] += weight;
        self.codes(row).iter().for_each(|code| sums[1 + *code as usize] += weight);
    }

    /// What a side adds to the score of a target: the squared weights over their sum, or `w log2 w` less that of the
    /// sum.
    fn side(&self, weights: impl Iterator<Item = i64>, sum: f64) -> f64 {
        let weights = weights.map(|weight| weight as f64).filter(|weight| *weight > 0.0);
        if self.entropy {
            weights.fold(0.0, |score, weight| score + weight * libm::log2(weight / sum))
        } else {
            weights.fold(0.0, |score, weight| score + weight * weight) / sum
        }
    }

    fn score_sums(&self, left: &[i64], total: &[i64]) -> f64 {
        let sides = [left[0] as f64, (total[0] - left[0]) as f64];
        // Rules are for two classes, of which the second moves.
        let means = [left[2] as f64 / sides[0], (total[2] - left[2]) as f64 / sides[1]];
        if !self.rules.allow(sides, means) {
            return f64::NEG_INFINITY;
        }
        self.targets.iter().fold(0.0, |score, classes| {
            let on_left = self.side(classes.clone().map(|class| left[class]), sides[0]);
            score + (on_left + self.side(classes.clone().map(|class| total[class] - left[class]), sides[1]))
        })
    }
}

impl Tally for ShareTally<'_> {
    type Pack = NoPack;
    type Entry = u32;

    fn load(&mut self, rows: &[u32]) {
        self.loaded = true;
        let targets = self.targets.len();
        self.own_codes.clear();
        self.own_codes.extend(rows.iter().flat_map(|row| &self.codes[*row as usize * targets..][..targets]));
        self.own_weights.clear();
        let weight = |&row: &u32| self.weights[row as usize] * i64::from(self.counts[row as usize]);
        self.own_weights.extend(rows.iter().map(weight));
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        let mut total = std::mem::take(&mut self.total);
        total.fill(0);
        node.for_each(|row| self.add_row(row, &mut total));
        self.total = total;
    }

    fn is_pure(&self, _node: impl Iterator<Item = usize>) -> bool {
        let present = |classes: &Range<usize>| self.total[classes.clone()].iter().filter(|weight| **weight > 0).count();
        self.targets.iter().all(|classes| present(classes) <= 1)
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
        let mut left = std::mem::take(&mut self.left);
        self.add_row(row, &mut left);
        self.left = left;
    }

    fn score(&self) -> f64 {
        self.score_sums(&self.left, &self.total)
    }

    fn weights(&self) -> (u64, u64) {
        (self.left[0] as u64, (self.total[0] - self.left[0]) as u64)
    }

    /// The share of the second class.
    fn means(&self) -> [f64; 2] {
        let (left, right) = self.weights();
        [self.left[2] as f64 / left as f64, (self.total[2] - self.left[2]) as f64 / right as f64]
    }

    /// The number of rows, their weight, and that of each class.
    fn words(&self) -> usize {
        1 + self.total.len()
    }

    fn entry(&self, row: usize) -> u32 {
        row as u32
    }

    fn add(&self, row: u32, sums: &mut [i64]) {
        sums[0] += 1;
        self.add_row(row as usize, &mut sums[1..]);
    }

    fn rows_and_weight(&self, sums: &[i64]) -> (usize, u64) {
        (sums[0] as usize, sums[1] as u64)
    }

    fn score_of(&self, left: &[i64], total: &[i64]) -> f64 {
        self.score_sums(&left[1..], &total[1..])
    }

    fn decrease(&self, score: f64) -> f64 {
        let whole = self.total[0] as f64;
        let side = |classes: &Range<usize>| self.side(self.total[classes.clone()].iter().copied(), whole);
        let before = self.targets.iter().fold(0.0, |sum, classes| sum + side(classes));
        ((score - before) / self.targets.len() as f64).max(0.0)
    }

    /// As for [`ClassTally`](super::ClassTally): one for two classes, else one for each class; of every target.
    fn orders(&self) -> usize {
        self.targets.iter().map(orders_of).sum()
    }

    fn pull(&self, sums: &[i64], order: usize) -> i64 {
        let mut order = order;
        for classes in &self.targets {
            if order < orders_of(classes) {
                return sums[1 + classes.start + order];
            }
            order -= orders_of(classes);
        }
        0
    }

    fn weight_of(&self, sums: &[i64]) -> u64 {
        sums[1] as u64
    }

    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let begin = leaf.len();
        leaf.resize(begin + self.total.len() - 1, 0.0);
        let mut sum = 0;
        for row in node {
            let weight = self.weight(row);
            self.codes(row).iter().for_each(|code| leaf[begin + *code as usize] += weight as f64);
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

fn orders_of(classes: &Range<usize>) -> usize {
    if classes.len() == 2 { 1 } else { classes.len() }
}
