//! Whether more trees would help: the out-of-bag error, kept up to date tree by tree, and what it would still lose.

use std::ops::Range;

use rayon::prelude::*;

use super::columns::Cells;
use super::predict::{Bag, divide};
use super::row_bits::RowBits;
use super::sample::Sampler;
use super::tree::Tree;
use super::walk::{Slots, Tile};
use crate::ml::target::parts;
use crate::ml::{Target, Task};

/// The least number of trees: of fewer, the variance of a tree is known too badly.
pub(super) const LEAST: u32 = 30;
/// The most, where the error never becomes flat.
pub(super) const MOST: u32 = 1000;
/// How many trees are grown from one look at the error to the next.
pub(super) const STEP: u32 = 10;
/// The share of the error that more trees may still take away.
const TOLERANCE: f64 = 0.01;
/// Rows that one thread looks at together.
const BLOCK: usize = 4096;

/// What the trees grown so far say of the rows that they have not seen.
#[derive(Debug)]
pub(super) struct Plateau<'a> {
    cells: &'a [Cells],
    parts: Vec<(Range<usize>, &'a Target)>,
    sampler: &'a Sampler<'a>,
    width: usize,
    /// By row, `width` numbers: sums in the order of the trees.
    sums: Vec<f64>,
    /// By row: the sum of squares, of numbers around `centers` in units of `reach`.
    squares: Vec<f64>,
    /// By row: how many trees have not seen it.
    asked: Vec<u32>,
    /// By place in a row of predictions.
    centers: Vec<f64>,
    reach: f64,
}

impl<'a> Plateau<'a> {
    pub(super) fn new(
        cells: &'a [Cells],
        targets: &'a [(String, Target)],
        sampler: &'a Sampler<'a>,
        ranges: &[[f64; 2]],
    ) -> Self {
        let (parts, rows) = (parts(targets), targets[0].1.len());
        let width = parts.last().map_or(0, |(places, _)| places.end);
        let (centers, reach) = if targets[0].1.task() == Task::Regression {
            // Halves first: the range of the largest numbers has no number of its own.
            let centers: Vec<f64> = ranges.iter().map(|[low, high]| low * 0.5 + high * 0.5).collect();
            let reaches = ranges.iter().zip(&centers).map(|([_, high], center)| high - center);
            let reach = reaches.fold(f64::MIN_POSITIVE, f64::max);
            (centers, reach)
        } else {
            (vec![0.0; width], 1.0)
        };
        let (sums, squares, asked) = (vec![0.0; rows * width], vec![0.0; rows], vec![0; rows]);
        Self { cells, parts, sampler, width, sums, squares, asked, centers, reach }
    }

    /// Asks further trees, of which the first has this number.
    pub(super) fn add(&mut self, first: u32, trees: &[Tree]) {
        let numbers = first..first + trees.len() as u32;
        let bags: Vec<Bag> = numbers.into_par_iter().map(|tree| Bag::of(&self.sampler.counts(tree))).collect();
        let (cells, width) = (self.cells, self.width);
        let (centers, reach) = (&self.centers, self.reach);
        let blocks = self.sums.par_chunks_mut(BLOCK * width).zip(self.squares.par_chunks_mut(BLOCK));
        blocks.zip(self.asked.par_chunks_mut(BLOCK)).enumerate().for_each(|(block, ((sums, squares), asked))| {
            let bits = RowBits::of(cells, block * BLOCK, asked.len());
            let (mut rows, mut unseen) = (Vec::new(), RowBits::new(cells.len()));
            let (mut slots, mut tile, mut leaves) = (Slots::default(), Tile::default(), Vec::new());
            for (tree, bag) in trees.iter().zip(&bags) {
                rows.clear();
                unseen.select(&bits, |row| !bag.contains(block * BLOCK + row), |row| rows.push(row));
                slots.of(tree, cells.len(), unseen.len()).leaves(&unseen, &mut tile, &mut leaves);
                for (&row, &leaf) in rows.iter().zip(&leaves) {
                    asked[row] += 1;
                    for ((sum, center), value) in sums[row * width..].iter_mut().zip(centers).zip(tree.leaf(leaf)) {
                        *sum += value;
                        let away = (value - center) / reach;
                        squares[row] += away * away;
                    }
                }
            }
        });
    }

    /// Whether more than these trees would lower the squared error by next to nothing.
    pub(super) fn is_flat(&self, trees: usize) -> bool {
        let (mut error, mut known, mut variance, mut spread) = (0.0, 0_u64, 0.0, 0_u64);
        let mut means = Vec::new();
        for row in 0..self.asked.len() {
            if self.asked[row] == 0 || self.sampler.weights.at(row) == 0 {
                continue;
            }
            let count = f64::from(self.asked[row]);
            means.clear();
            means.extend(self.sums[row * self.width..][..self.width].iter().map(|sum| sum / count));
            let around = means.iter().zip(&self.centers);
            let mean_squares: f64 = around.map(|(mean, center)| squared((mean - center) / self.reach)).sum();
            let squares =
                |(places, target): &(Range<usize>, &Target)| self.squared_error(target, row, &means[places.clone()]);
            error += self.parts.iter().map(squares).sum::<f64>();
            known += 1;
            if self.asked[row] > 1 {
                variance += ((self.squares[row] - count * mean_squares) / (count - 1.0)).max(0.0);
                spread += 1;
            }
        }
        let still = variance / spread.max(1) as f64 / trees as f64;
        spread > 0 && still <= TOLERANCE * error / known as f64
    }

    /// That of one target.
    fn squared_error(&self, target: &Target, row: usize, means: &[f64]) -> f64 {
        match target {
            Target::Numbers(values) => squared((means[0] - values[row]) / self.reach),
            Target::Labels { codes, .. } => {
                let truth = |class| if codes[row] == class { 1.0 } else { 0.0 };
                (0..).zip(means).map(|(class, mean)| squared(mean - truth(class))).sum()
            }
        }
    }

    /// The mean over the trees that have not seen each row; NaN for one that all have.
    pub(super) fn into_means(mut self) -> Vec<f64> {
        for (sums, &count) in self.sums.chunks_exact_mut(self.width).zip(&self.asked) {
            divide(sums, count);
        }
        self.sums
    }
}

fn squared(value: f64) -> f64 {
    value * value
}
