//! The best cut of a feature of categories: sums by category, put in the order of their mean target, and cut there.
//!
//! For a regression and for two classes that finds the best of all sets (Fisher, "On grouping for maximum
//! homogeneity", 1958; Breiman et al., 1984). For more classes it is a heuristic: the order of each class's share in turn,
//! of very many those of the classes that the categories tell most of.

use super::split::set_words;
use super::tally::Tally;
use crate::ml::feature::MISSING;

/// So many orders are tried at most: the work of each grows with the numbers of categories and of classes.
const MOST_ORDERS: usize = 16;

/// The best cut found.
#[derive(Debug, Clone, Copy)]
pub(super) struct CategoryCut {
    pub(super) score: f64,
    /// How many categories of [`Categories::best_order`] go left.
    places: usize,
    pub(super) missing_left: bool,
    left_heavier: bool,
}

/// Buffers for the search, used again for every node.
#[derive(Debug, Default)]
pub(super) struct Categories {
    /// By category, the sums of the tally; zero but for those of the node.
    sums: Vec<i64>,
    missing: Vec<i64>,
    total: Vec<i64>,
    left: Vec<i64>,
    /// The node's categories, in the order under trial.
    order: Vec<u32>,
    best_order: Vec<u32>,
    /// Where rows have to be moved one by one: the node's rows and their categories, then by category its place.
    rows: Vec<(u32, usize)>,
    places: Vec<u32>,
}

impl Categories {
    /// The best cut better than `least` through the node that was collected; also whether the feature varies in it.
    pub(super) fn best<T: Tally>(&mut self, tally: &mut T, min_leaf: usize, least: f64) -> (bool, Option<CategoryCut>) {
        let words = tally.words();
        let missing = self.missing.iter().any(|word| *word != 0);
        let varies = self.order.len() + usize::from(missing) > 1;
        let mut best: Option<CategoryCut> = None;
        if varies {
            for order in self.orders(tally) {
                self.sort(tally, order);
                for missing_left in [false, true] {
                    if missing_left && !missing {
                        continue;
                    }
                    let least = best.map_or(least, |cut| cut.score);
                    let cut = if T::BY_ROWS {
                        self.cut_by_rows(tally, missing_left, min_leaf, least)
                    } else {
                        self.cut(tally, missing_left, min_leaf, least)
                    };
                    if let Some(cut) = cut {
                        best = Some(cut);
                        self.best_order.clone_from(&self.order);
                    }
                }
            }
        }
        for &category in &self.order {
            self.sums[category as usize * words..][..words].fill(0);
        }
        // Where no value is missing, those that come later go with the heavier side, left if both weigh the same.
        (varies, best.map(|cut| if missing { cut } else { CategoryCut { missing_left: cut.left_heavier, ..cut } }))
    }

    /// Takes up a node given by its rows, what they bring, and their categories.
    pub(super) fn collect<T: Tally>(
        &mut self,
        tally: &T,
        node: impl Iterator<Item = (usize, T::Entry, u32)>,
        categories: usize,
    ) {
        let words = tally.words();
        if self.sums.len() < categories * words {
            self.sums.resize(categories * words, 0);
        }
        self.order.clear();
        for sums in [&mut self.missing, &mut self.total, &mut self.left] {
            sums.clear();
            sums.resize(words, 0);
        }
        self.rows.clear();
        for (row, entry, category) in node {
            if T::BY_ROWS {
                self.rows.push((category, row));
            }
            if category == MISSING {
                tally.add(entry, &mut self.missing);
                continue;
            }
            let sums = &mut self.sums[category as usize * words..][..words];
            if sums.iter().all(|word| *word == 0) {
                self.order.push(category);
            }
            tally.add(entry, sums);
        }
        self.total.copy_from_slice(&self.missing);
        for &category in &self.order {
            let sums = &self.sums[category as usize * words..][..words];
            self.total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
    }

    /// The orders to try: all, or those of the classes (or targets) whose means differ most from category to
    /// category, each measured by its own range.
    fn orders<T: Tally>(&mut self, tally: &T) -> Vec<usize> {
        let mut orders: Vec<usize> = (0..tally.orders()).collect();
        if orders.len() <= MOST_ORDERS {
            return orders;
        }
        let words = tally.words();
        // Sums of fractions depend on their order.
        self.order.sort_unstable();
        let sums = |category: u32| &self.sums[category as usize * words..][..words];
        let weights: Vec<f64> = self.order.iter().map(|&category| tally.weight_of(sums(category)) as f64).collect();
        let weight: f64 = weights.iter().sum();
        let spread = |order: usize| {
            let (mut squares, mut all) = (0.0, 0.0);
            for (&category, weight) in self.order.iter().zip(&weights) {
                let pull = tally.pull(sums(category), order) as f64;
                squares += pull * pull / weight;
                all += pull;
            }
            squares - all * all / weight
        };
        let mut spreads: Vec<(f64, usize)> = orders.iter().map(|&order| (spread(order), order)).collect();
        spreads.sort_by(|a, b| b.0.total_cmp(&a.0));
        orders.clear();
        orders.extend(spreads[..MOST_ORDERS].iter().map(|(_, order)| order));
        orders.sort_unstable();
        orders
    }

    /// Sorts the node's categories by the mean of their pulls, equal ones by their code.
    fn sort<T: Tally>(&mut self, tally: &T, order: usize) {
        let words = tally.words();
        let key = |&category: &u32| {
            let sums = &self.sums[category as usize * words..][..words];
            (tally.pull(sums, order), tally.weight_of(sums), category)
        };
        let mut keys: Vec<(i64, u64, u32)> = self.order.iter().map(key).collect();
        keys.sort_unstable_by(|(pull_a, weight_a, a), (pull_b, weight_b, b)| {
            let (left, right) =
                (i128::from(*pull_a) * i128::from(*weight_b), i128::from(*pull_b) * i128::from(*weight_a));
            left.cmp(&right).then(a.cmp(b))
        });
        self.order.clear();
        self.order.extend(keys.into_iter().map(|(_, _, category)| category));
    }

    fn cut<T: Tally>(&mut self, tally: &T, missing_left: bool, min_leaf: usize, least: f64) -> Option<CategoryCut> {
        let words = tally.words();
        if missing_left {
            self.left.copy_from_slice(&self.missing);
        } else {
            self.left.fill(0);
        }
        let (rows, weight) = tally.rows_and_weight(&self.total);
        let (mut best, mut score) = (None, least);
        for (place, &category) in self.order.iter().enumerate() {
            let sums = &self.sums[category as usize * words..][..words];
            self.left.iter_mut().zip(sums).for_each(|(left, sum)| *left += sum);
            let (left_rows, left_weight) = tally.rows_and_weight(&self.left);
            if left_rows == rows || left_rows.min(rows - left_rows) < min_leaf {
                continue;
            }
            let own = tally.score_of(&self.left, &self.total);
            if own > score {
                score = own;
                let left_heavier = 2 * left_weight >= weight;
                best = Some(CategoryCut { score, places: place + 1, missing_left, left_heavier });
            }
        }
        best
    }

    /// The same, by moving the rows of one category after the other.
    fn cut_by_rows<T: Tally>(
        &mut self,
        tally: &mut T,
        missing_left: bool,
        min_leaf: usize,
        least: f64,
    ) -> Option<CategoryCut> {
        let greatest = self.order.iter().copied().max()? as usize;
        self.places.resize(self.places.len().max(greatest + 1), 0);
        (0..).zip(&self.order).for_each(|(place, category)| self.places[*category as usize] = place);
        let place = |category: u32| if category == MISSING { MISSING } else { self.places[category as usize] };
        self.rows.sort_unstable_by_key(|(category, row)| (place(*category), *row));
        tally.rewind();
        let mut left = 0;
        if missing_left {
            let missing = self.rows.iter().rev().take_while(|row| row.0 == MISSING);
            missing.for_each(|row| {
                tally.move_left(row.1);
                left += 1;
            });
        }
        let (mut best, mut score) = (None, least);
        for (place, run) in self.rows.chunk_by(|a, b| a.0 == b.0).take(self.order.len()).enumerate() {
            run.iter().for_each(|row| tally.move_left(row.1));
            left += run.len();
            let right = self.rows.len() - left;
            if right == 0 || left.min(right) < min_leaf {
                continue;
            }
            let own = tally.score();
            if own > score {
                score = own;
                let (left, right) = tally.weights();
                best = Some(CategoryCut { score, places: place + 1, missing_left, left_heavier: left >= right });
            }
        }
        best
    }

    /// The set of categories that go left; those that the node has not seen go where missing values go.
    pub(super) fn left_set(&self, cut: CategoryCut, categories: usize) -> Vec<u64> {
        let mut set = vec![if cut.missing_left { u64::MAX } else { 0 }; set_words(categories)];
        for (place, &category) in self.best_order.iter().enumerate() {
            let (word, bit) = ((category / 64) as usize, 1_u64 << (category % 64));
            if place < cut.places {
                set[word] |= bit;
            } else {
                set[word] &= !bit;
            }
        }
        clear_tail(&mut set, categories);
        set
    }
}

/// Bits beyond the last category are zero, so that equal sets have equal bytes.
fn clear_tail(set: &mut [u64], categories: usize) {
    if let (Some(last), used @ 1..) = (set.last_mut(), categories % 64) {
        *last &= (1 << used) - 1;
    }
}
