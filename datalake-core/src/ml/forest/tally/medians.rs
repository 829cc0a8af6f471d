//! The absolute errors of a regression around the medians of both sides, row by row.
//!
//! A Fenwick tree over the node's distinct targets keeps the weight and the sum below each, so that moving a row and
//! finding a median take the logarithm of their number (Fenwick, "A new data structure for cumulative frequency
//! tables", 1994).

use super::super::rules::Rules;
use super::super::sample::RowWeights;
use super::{NoPack, Packed, Tally};

/// A regression's target by its place among the distinct values.
#[derive(Debug)]
pub(in crate::ml::forest) struct Ranked<'a> {
    truth: &'a [f64],
    /// By row.
    ranks: Vec<u32>,
    /// By rank: the value as a whole number, and as it is.
    fixed: Vec<i64>,
    values: Vec<f64>,
    shift: i32,
}

/// Bits of the largest value: that of an `f64`, less one for the difference of two.
const BITS: i32 = 51;

impl<'a> Ranked<'a> {
    pub(in crate::ml::forest) fn new(truth: &'a [f64]) -> Self {
        let mut values = truth.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup_by(|a, b| a.to_bits() == b.to_bits());
        let rank = |value: &f64| values.partition_point(|other| other.total_cmp(value).is_lt()) as u32;
        let ranks = truth.iter().map(rank).collect();
        let (low, high) = (values[0], values[values.len() - 1]);
        let center = low * 0.5 + high * 0.5;
        let reach = (high - center).max(center - low);
        let shift = if reach > 0.0 { BITS - 1 - libm::ilogb(reach) } else { 0 };
        let fixed = values.iter().map(|value| libm::scalbn(value - center, shift).round_ties_even() as i64).collect();
        Self { truth, ranks, fixed, values, shift }
    }

    /// How much one of the units of [`Tally::decrease`] is.
    pub(in crate::ml::forest) fn unit(&self) -> i32 {
        self.shift
    }
}

/// Weights and weighted sums by place, cumulative.
#[derive(Debug, Default, Clone)]
struct Side {
    weights: Vec<i64>,
    sums: Vec<i128>,
    weight: i64,
    sum: i128,
}

impl Side {
    fn clear(&mut self, places: usize) {
        self.weights.clear();
        self.weights.resize(places + 1, 0);
        self.sums.clear();
        self.sums.resize(places + 1, 0);
        (self.weight, self.sum) = (0, 0);
    }

    fn add(&mut self, place: usize, weight: i64, value: i64) {
        let product = i128::from(weight) * i128::from(value);
        self.weight += weight;
        self.sum += product;
        let mut at = place + 1;
        while at < self.weights.len() {
            self.weights[at] += weight;
            self.sums[at] += product;
            at += at & at.wrapping_neg();
        }
    }

    /// The first place that at least half of the weight lies up to, and weight and sum before it.
    fn median(&self) -> (usize, i64, i128) {
        let (mut at, mut weight, mut sum) = (0, 0, 0);
        let mut step = (self.weights.len() - 1).checked_ilog2().map_or(0, |bits| 1 << bits);
        while step > 0 {
            let next = at + step;
            if next < self.weights.len() && 2 * (weight + self.weights[next]) < self.weight {
                at = next;
                weight += self.weights[next];
                sum += self.sums[next];
            }
            step /= 2;
        }
        (at, weight, sum)
    }

    /// The weighted distance of all rows from their median.
    fn error(&self, values: &[i64]) -> i128 {
        if self.weight == 0 {
            return 0;
        }
        let (place, weight, sum) = self.median();
        let median = i128::from(values[place]);
        let below = median * i128::from(weight) - sum;
        below + (self.sum - sum) - median * i128::from(self.weight - weight)
    }

    /// Half-way between the two middle values, where the weight is cut in halves between them.
    fn center(&self, values: &[f64]) -> f64 {
        let (place, weight, _) = self.median();
        let own = |place: usize| self.weight_at(place);
        if 2 * (weight + own(place)) > self.weight {
            return values[place];
        }
        let next = (place + 1..values.len()).find(|place| own(*place) > 0).unwrap_or(place);
        values[place] * 0.5 + values[next] * 0.5
    }

    fn weight_at(&self, place: usize) -> i64 {
        let upto = |mut at: usize| {
            let mut weight = 0;
            while at > 0 {
                weight += self.weights[at];
                at &= at - 1;
            }
            weight
        };
        upto(place + 1) - upto(place)
    }
}

/// The rows of a node on both sides of a cut.
#[derive(Debug, Clone)]
pub(in crate::ml::forest) struct MedianTally<'a> {
    target: &'a Ranked<'a>,
    weights: &'a RowWeights,
    rules: Rules,
    counts: &'a [u32],
    loaded: bool,
    /// By loaded row, its number in the table.
    rows: Vec<u32>,
    /// By row: the place of its value among those of the node.
    places: Vec<u32>,
    /// By place: the value.
    fixed: Vec<i64>,
    values: Vec<f64>,
    order: Vec<u64>,
    /// The last bits of products that a sum of them has no room for, and that the order of means can do without.
    cut: i32,
    left: Side,
    right: Side,
    whole: Side,
}

impl<'a> MedianTally<'a> {
    /// `counts` says how often each row of the table counts.
    pub(in crate::ml::forest) fn new(
        target: &'a Ranked<'a>,
        weights: &'a RowWeights,
        rules: Rules,
        counts: &'a [u32],
    ) -> Self {
        let [left, right, whole] = [(); 3].map(|()| Side::default());
        let mut tally = Self {
            target,
            weights,
            rules,
            counts,
            loaded: false,
            rows: Vec::new(),
            places: Vec::new(),
            fixed: Vec::new(),
            values: Vec::new(),
            order: Vec::new(),
            cut: 0,
            left,
            right,
            whole,
        };
        tally.make_room(counts.len());
        tally
    }

    /// The row's number in the table.
    fn table_row(&self, row: usize) -> usize {
        if self.loaded { self.rows[row] as usize } else { row }
    }

    fn weight(&self, row: usize) -> i64 {
        let row = self.table_row(row);
        self.weights.at(row) * i64::from(self.counts[row])
    }

    fn rank(&self, row: usize) -> u32 {
        self.target.ranks[self.table_row(row)]
    }

    fn value(&self, row: usize) -> i64 {
        self.target.fixed[self.rank(row) as usize]
    }

    /// For so many rows.
    fn make_room(&mut self, rows: usize) {
        self.places.clear();
        self.places.resize(rows, 0);
        let weight: i64 = (0..rows).map(|row| self.weight(row)).sum();
        self.cut = (BITS + 64 - weight.leading_zeros() as i32 - 62).max(0);
    }
}

impl Tally for MedianTally<'_> {
    type Pack = NoPack;
    type Entry = u32;
    const BY_ROWS: bool = true;

    fn load(&mut self, rows: &[u32]) {
        self.loaded = true;
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        self.make_room(rows.len());
    }

    fn enter(&mut self, node: impl Iterator<Item = usize> + Clone) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(node.clone().map(|row| u64::from(self.rank(row)) << 32 | row as u64));
        self.order = order;
        self.order.sort_unstable();
        self.fixed.clear();
        self.values.clear();
        for run in self.order.chunk_by(|a, b| a >> 32 == b >> 32) {
            let rank = (run[0] >> 32) as usize;
            run.iter().for_each(|key| self.places[*key as u32 as usize] = self.fixed.len() as u32);
            self.fixed.push(self.target.fixed[rank]);
            self.values.push(self.target.values[rank]);
        }
        let mut whole = std::mem::take(&mut self.whole);
        whole.clear(self.fixed.len());
        node.for_each(|row| whole.add(self.places[row] as usize, self.weight(row), self.value(row)));
        self.whole = whole;
    }

    fn is_pure(&self, _node: impl Iterator<Item = usize>) -> bool {
        self.fixed.len() <= 1
    }

    fn packed(&self) -> Option<Packed<'_, NoPack>> {
        None
    }

    fn rules(&mut self) -> Option<&mut Rules> {
        Some(&mut self.rules)
    }

    fn rewind(&mut self) {
        self.left.clear(self.fixed.len());
        self.right.clone_from(&self.whole);
    }

    fn move_left(&mut self, row: usize) {
        let (place, weight, value) = (self.places[row] as usize, self.weight(row), self.value(row));
        self.left.add(place, weight, value);
        self.right.add(place, -weight, value);
    }

    fn score(&self) -> f64 {
        let means = if self.rules.is_monotone() { self.means() } else { [0.0; 2] };
        if !self.rules.allow([self.left.weight as f64, self.right.weight as f64], means) {
            return f64::NEG_INFINITY;
        }
        -((self.left.error(&self.fixed) + self.right.error(&self.fixed)) as f64)
    }

    fn weights(&self) -> (u64, u64) {
        (self.left.weight as u64, self.right.weight as u64)
    }

    fn means(&self) -> [f64; 2] {
        [self.left.center(&self.values), self.right.center(&self.values)]
    }

    /// The number of rows, the weight and the sum, by whose means categories are put in order.
    fn words(&self) -> usize {
        3
    }

    fn entry(&self, row: usize) -> u32 {
        row as u32
    }

    fn add(&self, row: u32, sums: &mut [i64]) {
        let row = row as usize;
        if let [rows, weight, sum] = sums {
            *rows += 1;
            *weight += self.weight(row);
            let product = i128::from(self.value(row)) * i128::from(self.weight(row));
            *sum += (product >> self.cut) as i64;
        }
    }

    fn rows_and_weight(&self, sums: &[i64]) -> (usize, u64) {
        (sums[0] as usize, sums[1] as u64)
    }

    fn score_of(&self, _left: &[i64], _total: &[i64]) -> f64 {
        f64::NEG_INFINITY
    }

    fn decrease(&self, score: f64) -> f64 {
        (self.whole.error(&self.fixed) as f64 + score).max(0.0)
    }

    fn orders(&self) -> usize {
        1
    }

    fn pull(&self, sums: &[i64], _order: usize) -> i64 {
        sums[2]
    }

    fn weight_of(&self, sums: &[i64]) -> u64 {
        sums[1] as u64
    }

    /// The median of the weighted rows.
    fn leaf(&self, node: impl Iterator<Item = usize> + Clone, leaf: &mut Vec<f64>) {
        let mut pairs: Vec<(f64, i64)> =
            node.map(|row| (self.target.truth[self.table_row(row)], self.weight(row))).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let values: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        let mut side = Side::default();
        side.clear(pairs.len());
        (0..).zip(&pairs).for_each(|(place, pair)| side.add(place, pair.1, 0));
        leaf.push(self.rules.clip(side.center(&values)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn errors_are_those_of_the_definition(rows in prop::collection::vec((-9_i32..9, 1_u32..4, any::<bool>()), 2..40)) {
            let truth: Vec<f64> = rows.iter().map(|row| f64::from(row.0) * 0.25).collect();
            let target = Ranked::new(&truth);
            let counts: Vec<u32> = rows.iter().map(|row| row.1).collect();
            let mut tally = MedianTally::new(&target, &RowWeights::Equal, Rules::new(0.0), &counts);
            tally.enter(0..rows.len());
            tally.rewind();
            (0..rows.len()).filter(|row| rows[*row].2).for_each(|row| tally.move_left(row));
            let error = |left: bool| {
                let mut values: Vec<f64> = Vec::new();
                let side = (0..rows.len()).filter(|row| rows[*row].2 == left);
                side.for_each(|row| values.extend(std::iter::repeat_n(truth[row], rows[row].1 as usize)));
                values.sort_unstable_by(f64::total_cmp);
                let middle = values.get(values.len() / 2).copied().unwrap_or(0.0);
                values.iter().map(|value| (value - middle).abs()).sum::<f64>()
            };
            let found = libm::scalbn(-tally.score(), -target.unit());
            prop_assert!((found - error(true) - error(false)).abs() < 1e-9, "{found} {} {}", error(true), error(false));
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_half_way() {
        let truth = [4.0, 1.0, 2.0, 9.0];
        let target = Ranked::new(&truth);
        let tally = MedianTally::new(&target, &RowWeights::Equal, Rules::new(0.0), &[1; 4]);
        let mut leaf = Vec::new();
        tally.leaf(0..4, &mut leaf);
        tally.leaf([0, 1, 2].into_iter(), &mut leaf);
        assert_eq!(leaf, [3.0, 2.0]);
    }
}
