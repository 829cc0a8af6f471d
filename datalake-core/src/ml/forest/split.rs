//! The best split of one node: every cut of every feature tried, exactly, ties broken by a fixed order.
//!
//! Between equal scores the winner is the feature drawn first, then the cut with missing values on the right, then
//! the lowest threshold. A category that the node has not seen, and, where the node has seen no missing value, a
//! missing one, goes with the heavier side, left if both weigh the same.

use super::columns::Ranked;
use super::tally::Tally;
use super::tree::{Split, set_words};
use crate::ml::feature::MISSING;

/// A split and the decrease of impurity that it brings, times the node's weight.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) split: Split,
    pub(super) decrease: f64,
}

/// A cut between two neighbouring ranks of a node.
#[derive(Debug, Clone, Copy)]
struct Cut {
    score: f64,
    /// The last rank on the left.
    lower: u32,
    /// The first rank on the right; none if only missing values are there.
    upper: Option<u32>,
    missing_left: bool,
}

/// Buffers for the search, used again for every node.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// `rank << 32 | position in the node`, sorted.
    keys: Vec<u64>,
    /// Positions of rows that miss the value.
    missing: Vec<u32>,
    categories: Categories,
}

#[derive(Debug, Default)]
struct Categories {
    /// By category: sum of pulls and weight, only those of the node filled.
    sums: Vec<(i64, u64)>,
    /// The node's categories, in the order under trial.
    order: Vec<u32>,
    /// By category: its place in `order`.
    place: Vec<u32>,
}

/// What does not change while a node is searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeRows<'a, I> {
    pub(super) rows: &'a [u32],
    pub(super) items: &'a [I],
    pub(super) min_leaf: usize,
}

impl Search {
    /// Tries features in the order given, `tried` of them and then on until one varies, and gives the best split.
    pub(super) fn best<T: Tally>(
        &mut self,
        tally: &mut T,
        node: NodeRows<'_, T::Item>,
        columns: &[Ranked],
        tried: usize,
        features: impl Iterator<Item = u32>,
    ) -> Option<Found> {
        let mut best: Option<(f64, Split)> = None;
        let mut varied = false;
        for (count, feature) in features.enumerate() {
            if count >= tried && varied {
                break;
            }
            let column = &columns[feature as usize];
            if !self.gather(column, node.rows) {
                continue;
            }
            varied = true;
            let least = best.as_ref().map_or(f64::NEG_INFINITY, |(score, _)| *score);
            let found = if column.is_categorical() {
                self.by_category(tally, node, column, feature, least)
            } else {
                self.by_number(tally, node, column, feature, least)
            };
            best = found.or(best);
        }
        best.map(|(score, split)| Found { decrease: tally.decrease(score), split })
    }

    /// Collects the node's ranks of one feature; false if they are all the same.
    fn gather(&mut self, column: &Ranked, rows: &[u32]) -> bool {
        self.keys.clear();
        self.missing.clear();
        let (mut low, mut high) = (MISSING, 0);
        for (position, &row) in (0_u32..).zip(rows) {
            let rank = column.ranks[row as usize];
            if rank == MISSING {
                self.missing.push(position);
            } else {
                low = low.min(rank);
                high = high.max(rank);
                self.keys.push(u64::from(rank) << 32 | u64::from(position));
            }
        }
        low < high || (!self.missing.is_empty() && !self.keys.is_empty())
    }

    fn by_number<T: Tally>(
        &mut self,
        tally: &mut T,
        node: NodeRows<'_, T::Item>,
        column: &Ranked,
        feature: u32,
        least: f64,
    ) -> Option<(f64, Split)> {
        self.keys.sort_unstable();
        let (cut, left_heavier) = self.scan(tally, node, least)?;
        let threshold = cut.upper.map_or(f32::INFINITY, |upper| column.threshold(cut.lower, upper));
        let missing_left = if self.missing.is_empty() { left_heavier } else { cut.missing_left };
        Some((cut.score, Split::Numeric { feature, threshold, missing_left }))
    }

    fn by_category<T: Tally>(
        &mut self,
        tally: &mut T,
        node: NodeRows<'_, T::Item>,
        column: &Ranked,
        feature: u32,
        mut least: f64,
    ) -> Option<(f64, Split)> {
        let mut best = None;
        self.categories.collect(column, node.rows);
        for order in 0..tally.orders() {
            self.categories.sort::<T>(column, node, order);
            self.rekey(column, node.rows);
            let Some((cut, left_heavier)) = self.scan(tally, node, least) else { continue };
            least = cut.score;
            let missing_left = if self.missing.is_empty() { left_heavier } else { cut.missing_left };
            let left = self.categories.left_set(column.categories, cut.lower, missing_left);
            best = Some((cut.score, Split::Categorical { feature, left, missing_left }));
        }
        best
    }

    /// Sorts the node's rows by the place of their category.
    fn rekey(&mut self, column: &Ranked, rows: &[u32]) {
        for key in &mut self.keys {
            let position = *key as u32;
            let category = column.ranks[rows[position as usize] as usize];
            *key = u64::from(self.categories.place[category as usize]) << 32 | u64::from(position);
        }
        self.keys.sort_unstable();
    }

    /// The best cut through the sorted keys that is better than `least`, and whether its left side is the heavier.
    fn scan<T: Tally>(&self, tally: &mut T, node: NodeRows<'_, T::Item>, least: f64) -> Option<(Cut, bool)> {
        let mut best = None;
        self.scan_side(tally, node, false, least, &mut best);
        if !self.missing.is_empty() {
            self.scan_side(tally, node, true, least, &mut best);
        }
        best
    }

    fn scan_side<T: Tally>(
        &self,
        tally: &mut T,
        node: NodeRows<'_, T::Item>,
        missing_left: bool,
        least: f64,
        best: &mut Option<(Cut, bool)>,
    ) {
        tally.rewind();
        let mut left_rows = 0;
        if missing_left {
            self.missing.iter().for_each(|&position| tally.move_left(node.items[position as usize]));
            left_rows = self.missing.len();
        }
        for (index, &key) in self.keys.iter().enumerate() {
            tally.move_left(node.items[key as u32 as usize]);
            left_rows += 1;
            let lower = (key >> 32) as u32;
            let upper = self.keys.get(index + 1).map(|next| (next >> 32) as u32);
            let right_rows = node.rows.len() - left_rows;
            if upper == Some(lower) || right_rows == 0 || left_rows.min(right_rows) < node.min_leaf {
                continue;
            }
            let score = tally.score();
            if score > best.map_or(least, |(cut, _)| cut.score) {
                let (left, right) = tally.weights();
                *best = Some((Cut { score, lower, upper, missing_left }, left >= right));
            }
        }
    }
}

impl Categories {
    /// Lists the node's categories.
    fn collect(&mut self, column: &Ranked, rows: &[u32]) {
        self.order.clear();
        self.order.extend(rows.iter().map(|&row| column.ranks[row as usize]).filter(|code| *code != MISSING));
        self.order.sort_unstable();
        self.order.dedup();
        if self.sums.len() < column.categories {
            self.sums.resize(column.categories, (0, 0));
            self.place.resize(column.categories, 0);
        }
    }

    /// Puts them in order by their mean pull, equal ones by their code.
    fn sort<T: Tally>(&mut self, column: &Ranked, node: NodeRows<'_, T::Item>, order: usize) {
        let Self { sums, order: categories, place } = self;
        categories.iter().for_each(|&category| sums[category as usize] = (0, 0));
        for (&row, &item) in node.rows.iter().zip(node.items) {
            let category = column.ranks[row as usize];
            if category != MISSING {
                let (pull, weight) = T::pull(item, order);
                let sum = &mut sums[category as usize];
                *sum = (sum.0 + pull, sum.1 + weight);
            }
        }
        categories.sort_unstable_by(|&a, &b| {
            let ((pull_a, weight_a), (pull_b, weight_b)) = (sums[a as usize], sums[b as usize]);
            // Means compared as fractions: exact.
            let (left, right) = (i128::from(pull_a) * i128::from(weight_b), i128::from(pull_b) * i128::from(weight_a));
            left.cmp(&right).then(a.cmp(&b))
        });
        (0..).zip(categories.iter()).for_each(|(rank, &category)| place[category as usize] = rank);
    }

    /// The set of categories that go left; those that the node has not seen go where missing values go.
    fn left_set(&self, categories: usize, last: u32, missing_left: bool) -> Vec<u64> {
        let mut set = vec![if missing_left { u64::MAX } else { 0 }; set_words(categories)];
        for (place, &category) in (0_u32..).zip(&self.order) {
            let (word, bit) = ((category / 64) as usize, 1_u64 << (category % 64));
            if place <= last {
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

#[cfg(test)]
mod tests {
    use super::super::columns::Cells;
    use super::super::tally::{ClassTally, NumberTally};
    use super::*;
    use crate::ml::feature::{Column, Feature, FeatureKind};

    fn numeric(values: &[f64]) -> Ranked {
        let column = Column::Numeric(values.to_vec());
        let feature = Feature { name: "x".into(), kind: FeatureKind::Numeric { range: None }, unit: None };
        Ranked::of(&feature, &column, &Cells::of(&column))
    }

    fn categorical(codes: &[u32], categories: usize) -> Ranked {
        Ranked { ranks: codes.to_vec(), values: Vec::new(), categories, lost: 0 }
    }

    fn best_number(target: &[i64], columns: &[Ranked], min_leaf: usize) -> Option<Found> {
        let values: Vec<f64> = target.iter().map(|value| *value as f64).collect();
        let mut tally = NumberTally::new(target, &values);
        let rows: Vec<u32> = (0..target.len() as u32).collect();
        let mut items = Vec::new();
        tally.load(&rows, &vec![1; rows.len()], &mut items);
        let node = NodeRows { rows: &rows, items: &items, min_leaf };
        Search::default().best(&mut tally, node, columns, columns.len(), 0..columns.len() as u32)
    }

    #[test]
    fn the_cut_lies_half_way() {
        let found = best_number(&[0, 0, 9, 9], &[numeric(&[4.0, 1.0, 8.0, 6.0])], 1).unwrap();
        assert_eq!(found.split, Split::Numeric { feature: 0, threshold: 5.0, missing_left: true });
        assert!((found.decrease - 81.0).abs() < 1e-9);
    }

    #[test]
    fn a_tie_goes_to_the_first_feature() {
        let columns = [numeric(&[5.0; 4]), numeric(&[1.0, 2.0, 3.0, 4.0]), numeric(&[4.0, 3.0, 2.0, 1.0])];
        assert_eq!(best_number(&[0, 0, 9, 9], &columns, 1).unwrap().split.feature(), 1);
    }

    #[test]
    fn missing_values_go_where_they_help() {
        let column = numeric(&[1.0, 2.0, 3.0, f64::NAN]);
        let high = best_number(&[0, 0, 9, 9], std::slice::from_ref(&column), 1).unwrap().split;
        assert_eq!(high, Split::Numeric { feature: 0, threshold: 2.5, missing_left: false });
        let low = best_number(&[0, 0, 9, 0], std::slice::from_ref(&column), 1).unwrap().split;
        assert_eq!(low, Split::Numeric { feature: 0, threshold: 2.5, missing_left: true });
        let apart = best_number(&[0, 0, 0, 9], &[column], 1).unwrap().split;
        assert_eq!(apart, Split::Numeric { feature: 0, threshold: f32::INFINITY, missing_left: false });
    }

    #[test]
    fn a_side_has_its_least_rows() {
        let column = numeric(&[1.0, 2.0, 3.0, 4.0]);
        let found = best_number(&[0, 9, 9, 9], std::slice::from_ref(&column), 2).unwrap().split;
        assert_eq!(found, Split::Numeric { feature: 0, threshold: 2.5, missing_left: true });
        assert!(best_number(&[0, 9, 9, 9], &[column], 3).is_none());
    }

    #[test]
    fn categories_are_cut_by_their_mean() {
        // Means by category: 0 -> 9, 1 -> 0, 2 -> 9, 3 -> 0; category 4 is not in the node.
        let found = best_number(&[9, 0, 9, 0], &[categorical(&[0, 1, 2, 3], 5)], 1).unwrap();
        assert_eq!(found.split, Split::Categorical { feature: 0, left: vec![0b11010], missing_left: true });
        assert!((found.decrease - 81.0).abs() < 1e-9);
    }

    #[test]
    fn one_class_of_three_is_cut_from_the_rest() {
        let codes = [0, 1, 2, 1, 0, 2];
        let mut tally = ClassTally::new(&codes, 3);
        let rows: Vec<u32> = (0..6).collect();
        let mut items = Vec::new();
        tally.load(&rows, &[1; 6], &mut items);
        let node = NodeRows { rows: &rows, items: &items, min_leaf: 1 };
        let column = [categorical(&[0, 1, 2, 1, 0, 3], 4)];
        let found = Search::default().best(&mut tally, node, &column, 1, std::iter::once(0)).unwrap();
        let Split::Categorical { left, .. } = &found.split else { panic!("{found:?}") };
        // Class 0 is category 0: the best cut parts one class from the two others.
        assert!([0b0001, 0b1110, 0b0010, 0b1101, 0b1100, 0b0011].contains(&left[0]), "{left:?}");
        assert!((found.decrease - 2.0).abs() < 1e-9, "{found:?}");
    }
}
