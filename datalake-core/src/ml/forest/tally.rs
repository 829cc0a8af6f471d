//! Exact sums on both sides of a split, and the scores that follow from them.

/// What lies left and right of a cut through one node, in whole numbers.
///
/// The score of a cut is computed from the exact sums by the same few operations in the same order, so that equal
/// cuts have equal bits, whichever feature, thread or machine found them.
pub(super) trait Tally {
    /// What one row of the node brings.
    type Item: Copy;

    /// Takes up a node: one item a row, in the order of the rows, and the totals.
    fn load(&mut self, rows: &[u32], weights: &[u32], items: &mut Vec<Self::Item>);

    /// Whether no cut could better the node.
    fn is_pure(&self) -> bool;

    /// Puts everything to the right.
    fn rewind(&mut self);

    /// Moves one row to the left.
    fn move_left(&mut self, item: Self::Item);

    /// How good the cut is; higher is better, within one node.
    fn score(&self) -> f64;

    /// The decrease of impurity that a score of this node stands for, times the node's weight.
    fn decrease(&self, score: f64) -> f64;

    /// The weight of the rows on the left and on the right.
    fn weights(&self) -> (u64, u64);

    /// In how many ways categories can be put in order before they are cut.
    fn orders(&self) -> usize;

    /// A row's share in its category's place: categories are sorted by `sum of pulls / sum of weights`.
    fn pull(item: Self::Item, order: usize) -> (i64, u64);

    /// Appends what a leaf of these rows says.
    fn leaf(&self, rows: &[u32], weights: &[u32], leaf: &mut Vec<f64>);
}

/// The sums of a regression: the squared error around the mean.
#[derive(Debug)]
pub(super) struct NumberTally<'a> {
    fixed: &'a [i64],
    values: &'a [f64],
    pure: bool,
    total: Sum,
    left: Sum,
}

/// A weight, and the weighted sum of distances from the node's mean.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    weight: u64,
    distance: i64,
}

impl Sum {
    /// The squared sum over the weight.
    fn score(self) -> f64 {
        let sum = self.distance as f64;
        sum * sum / self.weight as f64
    }
}

impl<'a> NumberTally<'a> {
    pub(super) fn new(fixed: &'a [i64], values: &'a [f64]) -> Self {
        Self { fixed, values, pure: true, total: Sum::default(), left: Sum::default() }
    }
}

impl Tally for NumberTally<'_> {
    type Item = Sum;

    /// Distances are taken from the node's own mean, rounded down: scores then lose nothing to cancellation.
    fn load(&mut self, rows: &[u32], weights: &[u32], items: &mut Vec<Sum>) {
        let (mut weight, mut sum) = (0_i64, 0_i64);
        let first = self.fixed[rows[0] as usize];
        self.pure = true;
        for &row in rows {
            let (value, own) = (self.fixed[row as usize], i64::from(weights[row as usize]));
            weight += own;
            sum += value * own;
            self.pure &= value == first;
        }
        let mean = sum.div_euclid(weight);
        items.clear();
        items.extend(rows.iter().map(|&row| {
            let own = weights[row as usize];
            Sum { weight: u64::from(own), distance: (self.fixed[row as usize] - mean) * i64::from(own) }
        }));
        self.total = Sum { weight: weight as u64, distance: sum - mean * weight };
    }

    fn is_pure(&self) -> bool {
        self.pure
    }

    fn rewind(&mut self) {
        self.left = Sum::default();
    }

    fn move_left(&mut self, item: Sum) {
        self.left.weight += item.weight;
        self.left.distance += item.distance;
    }

    fn score(&self) -> f64 {
        let right =
            Sum { weight: self.total.weight - self.left.weight, distance: self.total.distance - self.left.distance };
        self.left.score() + right.score()
    }

    fn decrease(&self, score: f64) -> f64 {
        (score - self.total.score()).max(0.0)
    }

    fn weights(&self) -> (u64, u64) {
        (self.left.weight, self.total.weight - self.left.weight)
    }

    fn orders(&self) -> usize {
        1
    }

    fn pull(item: Sum, _order: usize) -> (i64, u64) {
        (item.distance, item.weight)
    }

    /// The mean, in row order, kept between the least and the greatest value of the leaf.
    fn leaf(&self, rows: &[u32], weights: &[u32], leaf: &mut Vec<f64>) {
        let pairs = || rows.iter().map(|&row| (self.values[row as usize], f64::from(weights[row as usize])));
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

impl Tally for ClassTally<'_> {
    type Item = Vote;

    fn load(&mut self, rows: &[u32], weights: &[u32], items: &mut Vec<Vote>) {
        self.total.fill(0);
        items.clear();
        for &row in rows {
            let vote = Vote { class: self.codes[row as usize], weight: weights[row as usize] };
            self.total[vote.class as usize] += u64::from(vote.weight);
            items.push(vote);
        }
        self.total_weight = self.total.iter().sum();
        self.total_squares = self.total.iter().map(|count| count * count).sum();
    }

    fn is_pure(&self) -> bool {
        self.total.iter().filter(|count| **count > 0).count() <= 1
    }

    fn rewind(&mut self) {
        self.left.fill(0);
        self.right.copy_from_slice(&self.total);
        (self.left_squares, self.right_squares, self.left_weight) = (0, self.total_squares, 0);
    }

    /// The squares follow from `(a + w)² = a² + w(2a + w)`.
    fn move_left(&mut self, item: Vote) {
        let (class, weight) = (item.class as usize, u64::from(item.weight));
        self.left_squares += weight * (2 * self.left[class] + weight);
        self.left[class] += weight;
        self.right[class] -= weight;
        self.right_squares -= weight * (2 * self.right[class] + weight);
        self.left_weight += weight;
    }

    fn score(&self) -> f64 {
        let right_weight = self.total_weight - self.left_weight;
        self.left_squares as f64 / self.left_weight as f64 + self.right_squares as f64 / right_weight as f64
    }

    fn decrease(&self, score: f64) -> f64 {
        (score - self.total_squares as f64 / self.total_weight as f64).max(0.0)
    }

    fn weights(&self) -> (u64, u64) {
        (self.left_weight, self.total_weight - self.left_weight)
    }

    /// By the share of each class in turn. For two classes one order is enough and the best cut is found;
    /// for more it is a heuristic: the best of "this class against the rest" over all classes.
    fn orders(&self) -> usize {
        if self.total.len() == 2 { 1 } else { self.total.len() }
    }

    fn pull(item: Vote, order: usize) -> (i64, u64) {
        let own = if item.class as usize == order { item.weight } else { 0 };
        (i64::from(own), u64::from(item.weight))
    }

    fn leaf(&self, rows: &[u32], weights: &[u32], leaf: &mut Vec<f64>) {
        let begin = leaf.len();
        leaf.resize(begin + self.total.len(), 0.0);
        let mut sum = 0.0;
        for &row in rows {
            let own = f64::from(weights[row as usize]);
            leaf[begin + self.codes[row as usize] as usize] += own;
            sum += own;
        }
        leaf[begin..].iter_mut().for_each(|share| *share /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_of_numbers_scores_the_decrease_of_the_squared_error() {
        let (fixed, values) = ([0, 0, 6, 6], [0.0, 0.0, 6.0, 6.0]);
        let mut tally = NumberTally::new(&fixed, &values);
        let mut items = Vec::new();
        tally.load(&[0, 1, 2, 3], &[1; 4], &mut items);
        tally.rewind();
        tally.move_left(items[0]);
        tally.move_left(items[1]);
        // Squared error 36 before, none after.
        assert!((tally.decrease(tally.score()) - 36.0).abs() < 1e-12);
        assert_eq!(tally.weights(), (2, 2));
    }

    #[test]
    fn a_cut_of_classes_scores_the_decrease_of_gini() {
        let mut tally = ClassTally::new(&[0, 0, 1, 1], 2);
        let mut items = Vec::new();
        tally.load(&[0, 1, 2, 3], &[1; 4], &mut items);
        tally.rewind();
        tally.move_left(items[0]);
        // Gini 1/2 over 4 rows before; after, 0 over one row and 4/9 over three.
        assert!((tally.decrease(tally.score()) - (2.0 - 4.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn a_leaf_of_the_largest_numbers_stays_among_them() {
        let values = [1.6e308, 1.7e308];
        let tally = NumberTally::new(&[0, 1], &values);
        let mut leaf = Vec::new();
        tally.leaf(&[0, 1], &[1, 1], &mut leaf);
        assert!((values[0]..=values[1]).contains(&leaf[0]), "{leaf:?}");
    }
}
