//! The best split of a large node: sums by coarse bin, and a cut behind each bin.

use super::by_rows::{ByRows, RowCut};
use super::categories::Categories;
use super::columns::{Binned, Cells, threshold};
use super::draw::NodeDraw;
use super::grow::Plan;
use super::histogram::{BINS, fill, may_keep, together};
use super::random_cut::Trial;
use super::split::Split;
use super::tally::Tally;

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
pub(super) struct LargeNode<'a> {
    pub(super) plan: &'a Plan,
    pub(super) rows: &'a [u32],
    pub(super) draw: NodeDraw<'a>,
    /// Whether threads are idle.
    pub(super) share: bool,
}

impl<'a> LargeNode<'a> {
    fn bins(self, order: &[u64]) -> Vec<&'a [u16]> {
        order.iter().map(|priority| &*self.plan.columns[*priority as u32 as usize].bins).collect()
    }
}

/// Whether the histograms of a node are kept for its children, while those of so many nodes wait. That pays where a node
/// tries half of the features or more, since those of one child have to be made for all.
pub(super) fn keeps<T: Tally>(plan: &Plan, tally: &T, waiting: usize) -> bool {
    let features = plan.columns.len();
    let any = !T::BY_ROWS && !plan.random && !plan.layout.numeric.is_empty();
    any && 2 * plan.draw.tried >= features && may_keep(features, tally.words(), waiting)
}

/// Buffers for the search, used again for every node.
#[derive(Debug, Default)]
pub(super) struct Top {
    sums: Vec<i64>,
    left: Vec<i64>,
    total: Vec<i64>,
    order: Vec<u64>,
    categories: Categories,
    by_rows: ByRows,
}

impl Top {
    /// The best split of the node. `kept` are the histograms of every feature, if the node has them.
    pub(super) fn best<T: Tally>(&mut self, tally: &mut T, node: LargeNode<'_>, kept: Option<&[i64]>) -> Option<Found> {
        let LargeNode { plan, rows, draw, .. } = node;
        let Plan { columns, cells, directions, limits, .. } = plan;
        let min_leaf = limits.min_leaf;
        let mut order = std::mem::take(&mut self.order);
        draw.features(&mut order);
        let tried = draw.tried();
        let histogram = BINS * tally.words();
        let mut filled = 0..0;
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
                let row = |&row: &u32| (row as usize, tally.entry(row as usize), cells.category(row));
                self.categories.collect(tally, rows.iter().map(row), column.categories);
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
                if kept.is_none() && !filled.contains(&place) {
                    // Features beyond those tried are only looked at until one varies.
                    let end = if place < tried { tried.min(place + together(tally.words())) } else { place + 1 };
                    filled = place..end;
                    fill(tally, rows, &node.bins(&order[filled.clone()]), &mut self.sums, node.share);
                }
                let own = kept.map_or(place - filled.start, |_| feature as usize);
                let sums = &kept.unwrap_or(&self.sums)[own * histogram..][..histogram];
                let (varies, cut) = best_cut(tally, sums, [&mut self.left, &mut self.total], min_leaf, least);
                varied |= varies;
                best = cut.map(|cut| (cut.score, feature, Side::Bin(cut))).or(best);
            }
        }
        if !varied && !plan.random && !T::BY_ROWS {
            // Every feature lies within one coarse bin: rows are sorted instead.
            for (place, feature) in order.iter().map(|priority| *priority as u32).enumerate() {
                if place >= tried && varied {
                    break;
                }
                if columns[feature as usize].is_categorical() {
                    continue;
                }
                if let (Some(rules), Some(direction)) = (tally.rules(), directions.get(feature as usize)) {
                    rules.direction = *direction;
                }
                let least = best.as_ref().map_or(f64::NEG_INFINITY, |(score, ..)| *score);
                let (varies, cut) = self.by_rows.best(tally, rows, &cells[feature as usize], min_leaf, least);
                varied |= varies;
                best = cut.map(|cut| (cut.score, feature, Side::Row(cut))).or(best);
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
}

/// The best cut of a histogram that is better than `least`, and whether more than one bin has rows. `left` and `total`
/// are buffers.
fn best_cut<T: Tally>(
    tally: &T,
    sums: &[i64],
    [left, total]: [&mut Vec<i64>; 2],
    min_leaf: usize,
    least: f64,
) -> (bool, Option<Cut>) {
    let words = tally.words();
    total.clear();
    total.resize(words, 0);
    for bin in sums.chunks_exact(words) {
        total.iter_mut().zip(bin).for_each(|(total, sum)| *total += sum);
    }
    let (known, missing) = sums.split_at((BINS - 1) * words);
    let (rows, weight) = tally.rows_and_weight(total);
    let missing_rows = tally.rows_and_weight(missing).0;
    let (mut best, mut score, mut varies) = (None, least, false);
    for missing_left in [false, true] {
        if missing_left && missing_rows == 0 {
            break;
        }
        left.clear();
        left.resize(words, 0);
        if missing_left {
            left.copy_from_slice(missing);
        }
        for (place, bin) in known.chunks_exact(words).enumerate() {
            if tally.rows_and_weight(bin).0 == 0 {
                continue;
            }
            left.iter_mut().zip(bin).for_each(|(left, sum)| *left += sum);
            let (left_rows, left_weight) = tally.rows_and_weight(left);
            if left_rows == rows {
                break;
            }
            varies = true;
            if left_rows.min(rows - left_rows) < min_leaf {
                continue;
            }
            let own = tally.score_of(left, total);
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

/// Cuts half-way between the node's values on both sides of the bin's end.
fn numeric(feature: u32, cut: Cut, rows: &[u32], column: &Binned, cells: &Cells) -> Split {
    let (mut lower, mut upper) = (f32::NEG_INFINITY, f32::INFINITY);
    for &row in rows {
        let number = cells.number(row);
        let on_left = usize::from(column.bins[row as usize] >> 8) <= cut.bin;
        // Which side comes next cannot be foretold, so there is no branch; what is missing is never greater or less.
        let (low, high) = if on_left { (number, f32::INFINITY) } else { (f32::NEG_INFINITY, number) };
        lower = if low > lower { low } else { lower };
        upper = if high < upper { high } else { upper };
    }
    // Only missing values on the right: every number goes left.
    let threshold = if upper.is_infinite() { upper } else { threshold(lower, upper) };
    Split::Numeric { feature, threshold, missing_left: cut.missing_left }
}
