//! The best split of a large node: sums by coarse bin, and a cut behind each bin.

use super::by_rows::{ByRows, RowCut};
use super::categories::Categories;
use super::columns::{Binned, Cells, threshold};
use super::draw::NodeDraw;
use super::grow::Plan;
use super::random_cut::Trial;
use super::tally::Tally;
use super::tree::Split;

/// Coarse bins of a column, that of missing values, the last, included.
const BINS: usize = 256;

/// A split and its score.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) score: f64,
    pub(super) split: Split,
}

/// A cut behind a coarse bin.
#[derive(Debug, Clone, Copy)]
struct Cut {
    score: f64,
    bin: usize,
    missing_left: bool,
    left_heavier: bool,
}

#[derive(Debug)]
enum Side {
    Bin(Cut),
    Row(RowCut),
    Drawn(Split),
    Set(Vec<u64>, bool),
}

/// The node under search, which the tally has entered.
#[derive(Debug, Clone, Copy)]
pub(super) struct LargeNode<'a, E> {
    pub(super) plan: &'a Plan,
    pub(super) rows: &'a [u32],
    /// By place in `rows`.
    pub(super) entries: &'a [E],
    pub(super) draw: NodeDraw<'a>,
}

/// Buffers for the search, used again for every node.
#[derive(Debug, Default)]
pub(super) struct Top {
    histogram: Vec<i64>,
    left: Vec<i64>,
    total: Vec<i64>,
    order: Vec<u64>,
    categories: Categories,
    by_rows: ByRows,
}

impl Top {
    /// The best split of the node.
    pub(super) fn best<T: Tally>(&mut self, tally: &mut T, node: LargeNode<'_, T::Entry>) -> Option<Found> {
        let LargeNode { plan, rows, entries, draw } = node;
        let Plan { columns, cells, directions, limits, .. } = plan;
        let min_leaf = limits.min_leaf;
        let mut order = std::mem::take(&mut self.order);
        draw.features(&mut order);
        let tried = draw.tried();
        let mut best: Option<(f64, u32, Side)> = None;
        let mut varied = false;
        for place in 0..order.len() {
            if place >= tried && varied {
                break;
            }
            if place == tried {
                order[tried..].sort_unstable();
            }
            let feature = order[place] as u32;
            let column = &columns[feature as usize];
            if let (Some(rules), Some(direction)) = (tally.rules(), directions.get(feature as usize)) {
                rules.direction = *direction;
            }
            let least = best.as_ref().map_or(f64::NEG_INFINITY, |(score, ..)| *score);
            if plan.random {
                let categories = column.categories;
                let (cells, key) = (&cells[feature as usize], draw.cut_key(feature));
                let trial = Trial { feature, cells, categories, min_leaf, key };
                let (varies, found) = trial.draw(tally, rows.iter().map(|&row| (row as usize, row)));
                varied |= varies;
                best = found
                    .filter(|found| found.0 > least)
                    .map(|(score, split)| (score, feature, Side::Drawn(split)))
                    .or(best);
            } else if column.is_categorical() {
                let cells = &cells[feature as usize];
                let node = rows.iter().zip(entries).map(|(&row, entry)| (row as usize, *entry, cells.category(row)));
                self.categories.collect(tally, node, column.categories);
                let (varies, cut) = self.categories.best(tally, min_leaf, least);
                varied |= varies;
                if let Some(cut) = cut {
                    let set = self.categories.left_set(cut, column.categories);
                    best = Some((cut.score, feature, Side::Set(set, cut.missing_left)));
                }
            } else if T::BY_ROWS {
                let (varies, cut) = self.by_rows.best(tally, rows, &cells[feature as usize], min_leaf, least);
                varied |= varies;
                best = cut.map(|cut| (cut.score, feature, Side::Row(cut))).or(best);
            } else {
                self.fill(tally, rows, entries, column);
                let (varies, cut) = self.cut(tally, min_leaf, least);
                varied |= varies;
                best = cut.map(|cut| (cut.score, feature, Side::Bin(cut))).or(best);
            }
        }
        self.order = order;
        let (score, feature, side) = best?;
        let split = match side {
            Side::Set(left, missing_left) => Split::Categorical { feature, left, missing_left },
            Side::Drawn(split) => split,
            Side::Row(RowCut { lower, upper, missing_left, .. }) => {
                let threshold = if upper.is_infinite() { upper } else { threshold(lower, upper) };
                Split::Numeric { feature, threshold, missing_left }
            }
            Side::Bin(cut) => numeric(feature, cut, rows, &columns[feature as usize], &cells[feature as usize]),
        };
        Some(Found { score, split })
    }

    fn fill<T: Tally>(&mut self, tally: &T, rows: &[u32], entries: &[T::Entry], column: &Binned) {
        let words = tally.words();
        self.histogram.clear();
        self.histogram.resize(BINS * words, 0);
        for (&row, entry) in rows.iter().zip(entries) {
            let bin = usize::from(column.bins[row as usize] >> 8);
            tally.add(*entry, &mut self.histogram[bin * words..][..words]);
        }
    }

    /// The best cut of the histogram that is better than `least`, and whether more than one bin has rows.
    fn cut<T: Tally>(&mut self, tally: &T, min_leaf: usize, least: f64) -> (bool, Option<Cut>) {
        let words = tally.words();
        self.total.clear();
        self.total.resize(words, 0);
        for bin in self.histogram.chunks_exact(words) {
            self.total.iter_mut().zip(bin).for_each(|(total, sum)| *total += sum);
        }
        let (known, missing) = self.histogram.split_at((BINS - 1) * words);
        let (rows, weight) = tally.rows_and_weight(&self.total);
        let missing_rows = tally.rows_and_weight(missing).0;
        let (mut best, mut score, mut varies) = (None, least, false);
        for missing_left in [false, true] {
            if missing_left && missing_rows == 0 {
                break;
            }
            self.left.clear();
            self.left.resize(words, 0);
            if missing_left {
                self.left.copy_from_slice(missing);
            }
            for (place, bin) in known.chunks_exact(words).enumerate() {
                if tally.rows_and_weight(bin).0 == 0 {
                    continue;
                }
                self.left.iter_mut().zip(bin).for_each(|(left, sum)| *left += sum);
                let (left_rows, left_weight) = tally.rows_and_weight(&self.left);
                if left_rows == rows {
                    break;
                }
                varies = true;
                if left_rows.min(rows - left_rows) < min_leaf {
                    continue;
                }
                let own = tally.score_of(&self.left, &self.total);
                if own > score {
                    score = own;
                    let left_heavier = 2 * left_weight >= weight;
                    best = Some(Cut { score, bin: place, missing_left, left_heavier });
                }
            }
        }
        if missing_rows == 0 {
            best = best.map(|cut| Cut { missing_left: cut.left_heavier, ..cut });
        }
        (varies, best)
    }
}

/// Cuts half-way between the node's values on both sides of the bin's end.
fn numeric(feature: u32, cut: Cut, rows: &[u32], column: &Binned, cells: &Cells) -> Split {
    let (mut lower, mut upper) = (f32::NEG_INFINITY, f32::INFINITY);
    for &row in rows {
        let number = cells.number(row);
        if usize::from(column.bins[row as usize] >> 8) <= cut.bin {
            lower = lower.max(number);
        } else {
            upper = upper.min(number);
        }
    }
    // Only missing values on the right: every number goes left.
    let threshold = if upper.is_infinite() { upper } else { threshold(lower, upper) };
    Split::Numeric { feature, threshold, missing_left: cut.missing_left }
}
