//! The sums of a regression whose rows have weights of their own, of several targets, by the Poisson deviance, or
//! under rules: slower than [`NumberTally`](super::NumberTally), and without its limits.

use std::borrow::Cow;

use super::super::rules::Rules;
use super::super::sample::RowWeights;
use super::{NoPack, Packed, Tally, mean_of};

/// A regression's targets as whole numbers that already contain the weights of the rows.
#[derive(Debug)]
pub(in crate::ml::forest) struct WeightedNumbers<'a> {
    /// Row-major, one number a target.
    truth: Cow<'a, [f64]>,
    /// By row, target by target: the weight times the distance from `center`, times `2^shift`.
    products: Vec<i64>,
    center: Vec<f64>,
    /// By target, so that each has its whole precision.
    shift: Vec<i32>,
    /// By target, what makes its squares those of the common shift: a power of two.
    scale: Vec<f64>,
    /// The least of the shifts, in whose units impurities are.
    common: i32,
    poisson: bool,
}

impl<'a> WeightedNumbers<'a> {
    /// `truth` has `width` numbers a row; `most` bounds the weight of all rows of a tree.
    pub(in crate::ml::forest) fn new(
        truth: impl Into<Cow<'a, [f64]>>,
        width: usize,
        weights: &RowWeights,
        most: u64,
        poisson: bool,
    ) -> Self {
        let truth = truth.into();
        let (mut center, mut shift) = (vec![0.0; width], vec![None; width]);
        let bits = 60 - (64 - most.leading_zeros() as i32);
        for (target, (center, shift)) in center.iter_mut().zip(&mut shift).enumerate() {
            let values = || truth.iter().skip(target).step_by(width).copied();
            let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
            if !poisson {
                // Halves first: the range of the largest numbers has no number of its own.
                *center = low * 0.5 + high * 0.5;
            }
            let reach = f64::max(high - *center, *center - low);
            *shift = (reach > 0.0).then(|| bits - libm::ilogb(reach));
        }
        let common = shift.iter().flatten().copied().min().unwrap_or(0);
        let shift: Vec<i32> = shift.into_iter().map(|shift| shift.unwrap_or(common)).collect();
        let scale = shift.iter().map(|shift| libm::scalbn(1.0, 2 * (common - shift))).collect();
        let product = |(index, value): (usize, &f64)| {
            let weight = weights.at(index / width) as f64;
            let distance = libm::scalbn(value - center[index % width], shift[index % width]);
            (weight * distance).round_ties_even() as i64
        };
        let products = truth.iter().enumerate().map(product).collect();
        Self { truth, products, center, shift, scale, common, poisson }
    }

    /// How many targets there are.
    pub(in crate::ml::forest) fn width(&self) -> usize {
        self.center.len()
    }

    /// How much one of the units of [`Tally::decrease`] is.
    pub(in crate::ml::forest) fn unit(&self) -> i32 {
        if self.poisson { 0 } else { 2 * self.common }
    }
}

/// The sums of the rows of a node.
#[derive(Debug, Clone)]
pub(in crate::ml::forest) struct SumTally<'a> {
    numbers: &'a WeightedNumbers<'a>,
    weights: &'a RowWeights,
    rules: Rules,
    counts: &'a [u32],
    loaded: bool,
    /// By loaded row, its number in the table.
    rows: Vec<u32>,
    /// The weight, then the sum of each target.
    total: Vec<i64>,
    left: Vec<i64>,
}

impl<'a> SumTally<'a> {
    /// `counts` says how often each row of the table counts.
    pub(in crate::ml::forest) fn new(
        numbers: &'a WeightedNumbers<'a>,
        weights: &'a RowWeights,
        rules: Rules,
        counts: &'a [u32],
    ) -> Self {
        let none = vec![0; numbers.width() + 1];
        Self { numbers, weights, rules, counts, loaded: false, rows: Vec::new(), total: none.clone(), left: none }
    }

    /// The row's number in the table.
    fn table_row(&self, row: usize) -> usize {
        if self.loaded { self.rows[row] as usize } else { row }
    }

    fn weight(&self, row: usize) -> i64 {
        let row = self.table_row(row);
        self.weights.at(row) * i64::from(self.counts[row])
    }

    /// Adds a row to a weight and the sums behind it.
    fn add_row(&self, row: usize, sums: &mut [i64]) {
        let (width, table_row) = (self.numbers.width(), self.table_row(row));
        sums[0] += self.weight(row);
        let products = &self.numbers.products[table_row * width..][..width];
        sums[1..]
            .iter_mut()
            .zip(products)
            .for_each(|(sum, product)| *sum += product * i64::from(self.counts[table_row]));
    }

    fn score_sums(&self, left: &[i64], total: &[i64]) -> f64 {
        let (weight, whole) = (left[0], total[0]);
        let sides = [weight as f64, (whole - weight) as f64];
        let mean = |index: usize| [left[index] as f64 / sides[0], (total[index] - left[index]) as f64 / sides[1]];
        if !self.rules.allow(sides, mean(1)) {
            return f64::NEG_INFINITY;
        }
        if self.numbers.poisson {
            let terms = (1..left.len()).map(|index| {
                self.poisson(index, left[index], weight)
                    + self.poisson(index, total[index] - left[index], whole - weight)
            });
            return terms.fold(0.0, |sum, term| sum + term);
        }
        let squares = (1..left.len()).map(|index| {
            let covariance =
                i128::from(whole) * i128::from(left[index]) - i128::from(weight) * i128::from(total[index]);
            covariance as f64 * covariance as f64 * self.numbers.scale[index - 1]
        });
        squares.fold(0.0, |sum, square| sum + square) / (i128::from(weight) * i128::from(whole - weight)) as f64
    }

    /// The sum times the logarithm of the mean; a side of zeros alone is not allowed.
    fn poisson(&self, index: usize, sum: i64, weight: i64) -> f64 {
        if sum <= 0 {
            return f64::NEG_INFINITY;
        }
        let sum = libm::scalbn(sum as f64, -self.numbers.shift[index - 1]);
        sum * libm::log(sum / weight as f64)
    }
}

impl Tally for SumTally<'_> {
    type Pack = NoPack;
    type Entry = u32;

    fn load(&mut self, rows: &[u32]) {
        self.loaded = true;
        self.rows.clear();
        self.rows.extend_from_slice(rows);
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        let mut total = std::mem::take(&mut self.total);
        total.fill(0);
        node.for_each(|row| self.add_row(row, &mut total));
        self.total = total;
    }

    fn is_pure(&self, mut node: impl Iterator<Item = usize>) -> bool {
        let width = self.numbers.width();
        let targets = |row: usize| &self.numbers.truth[self.table_row(row) * width..][..width];
        let Some(first) = node.next() else { return true };
        node.all(|row| targets(row).iter().zip(targets(first)).all(|(a, b)| a.to_bits() == b.to_bits()))
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

    fn means(&self) -> [f64; 2] {
        let (left, total) = (&self.left, &self.total);
        [left[1] as f64 / left[0] as f64, (total[1] - left[1]) as f64 / (total[0] - left[0]) as f64]
    }

    /// The number of rows, the weight, and the sums.
    fn words(&self) -> usize {
        self.numbers.width() + 2
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
        let whole = self.total[0];
        let sum = if self.numbers.poisson {
            score
                - (1..).zip(&self.total[1..]).fold(0.0, |sum, (index, total)| sum + self.poisson(index, *total, whole))
        } else {
            score / whole as f64
        };
        (sum / self.numbers.width() as f64).max(0.0)
    }

    fn orders(&self) -> usize {
        self.numbers.width()
    }

    fn pull(&self, sums: &[i64], order: usize) -> i64 {
        sums[2 + order]
    }

    fn weight_of(&self, sums: &[i64]) -> u64 {
        sums[1] as u64
    }

    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let width = self.numbers.width();
        for target in 0..width {
            let value = |row: usize| self.numbers.truth[self.table_row(row) * width + target];
            let pairs = node.clone().map(|row| (value(row), self.weight(row) as f64));
            let scale = |bound: f64| self.numbers.center[target] + libm::scalbn(bound, -self.numbers.shift[target]);
            let bounds = Rules { bounds: self.rules.bounds.map(scale), ..self.rules };
            leaf.push(bounds.clip(mean_of(pairs)));
        }
    }
}
