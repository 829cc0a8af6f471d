//! The table as the forest sees it: 32-bit cells for walking trees, ranks for finding splits.

use crate::ml::feature::{Column, Feature, FeatureKind, MISSING};

/// One feature in 32 bits a row.
#[derive(Debug)]
pub(super) enum Cells {
    /// Rounded once to `f32`; NaN is missing.
    Numeric(Vec<f32>),
    /// Category codes; [`MISSING`] is missing or unseen.
    Categorical(Vec<u32>),
}

impl Cells {
    pub(super) fn of(column: &Column) -> Self {
        match column {
            Column::Numeric(values) => Self::Numeric(values.iter().map(|value| rounded(*value)).collect()),
            Column::Categorical(codes) => Self::Categorical(codes.clone()),
        }
    }

    /// The row's bits, as [`Tree::leaf_of`](super::tree::Tree::leaf_of) takes them.
    pub(super) fn bits(&self, row: usize) -> u32 {
        match self {
            Self::Numeric(values) => values[row].to_bits(),
            Self::Categorical(codes) => codes[row],
        }
    }
}

/// A number in the forest's precision. Beyond its range lies its largest, so that order is kept.
fn rounded(value: f64) -> f32 {
    // `max` and `min` would turn NaN, which is missing, into a number.
    let value = value as f32;
    if value.is_infinite() { f32::MAX.copysign(value) } else { value + 0.0 }
}

/// A feature prepared for the search of splits.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Each row's place among the column's distinct values, or its category; [`MISSING`] where there is none.
    pub(super) ranks: Vec<u32>,
    /// The distinct values in rising order; empty for categories.
    pub(super) values: Vec<f32>,
    /// The number of categories; zero for numbers.
    pub(super) categories: usize,
    /// How many distinct values the rounding to `f32` has merged.
    pub(super) lost: usize,
}

impl Ranked {
    pub(super) fn of(feature: &Feature, column: &Column, cells: &Cells) -> Self {
        match (cells, column) {
            (Cells::Numeric(values), Column::Numeric(exact)) => numeric(values, exact),
            (Cells::Categorical(codes), _) => {
                let categories = match &feature.kind {
                    FeatureKind::Categorical { categories } => categories.len(),
                    FeatureKind::Numeric { .. } => 0,
                };
                Self { ranks: codes.clone(), values: Vec::new(), categories, lost: 0 }
            }
            (Cells::Numeric(values), Column::Categorical(_)) => numeric(values, &[]),
        }
    }

    pub(super) fn is_categorical(&self) -> bool {
        self.categories > 0
    }

    /// Where to cut between two neighbouring ranks of a node: half-way, and never as high as the upper value.
    pub(super) fn threshold(&self, lower: u32, upper: u32) -> f32 {
        let (lower, upper) = (self.values[lower as usize], self.values[upper as usize]);
        let middle = ((f64::from(lower) + f64::from(upper)) * 0.5) as f32;
        if middle >= upper { lower } else { middle }
    }
}

fn numeric(values: &[f32], exact: &[f64]) -> Ranked {
    let mut order: Vec<(f32, u32)> =
        values.iter().zip(0..).filter(|(value, _)| !value.is_nan()).map(|(value, row)| (*value, row)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut ranks = vec![MISSING; values.len()];
    let mut distinct: Vec<f32> = Vec::new();
    for (value, row) in order {
        if distinct.last().is_none_or(|last| *last < value) {
            distinct.push(value);
        }
        ranks[row as usize] = distinct.len() as u32 - 1;
    }
    let lost = distinct_numbers(exact).saturating_sub(distinct.len());
    Ranked { ranks, values: distinct, categories: 0, lost }
}

fn distinct_numbers(values: &[f64]) -> usize {
    // Numbers that fit into `f32` lose nothing, and most columns are of such.
    if values.iter().all(|value| value.is_nan() || f64::from(*value as f32).to_bits() == value.to_bits()) {
        return 0;
    }
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.dedup_by(|a, b| a.to_bits() == b.to_bits());
    sorted.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(values: &[f64]) -> Ranked {
        let column = Column::Numeric(values.to_vec());
        let feature = Feature { name: "x".into(), kind: FeatureKind::Numeric { range: None }, unit: None };
        Ranked::of(&feature, &column, &Cells::of(&column))
    }

    #[test]
    fn equal_values_share_a_rank() {
        let column = ranked(&[3.0, 1.0, f64::NAN, 3.0, 0.5]);
        assert_eq!(column.ranks, [2, 1, MISSING, 2, 0]);
        assert_eq!(column.values, [0.5, 1.0, 3.0]);
        assert_eq!(column.lost, 0);
    }

    #[test]
    fn values_that_the_rounding_merges_are_counted() {
        assert_eq!(ranked(&[1.0, 1.0 + 1e-12, 1.0 + 2e-12]).lost, 2);
        assert_eq!(ranked(&[0.1, 0.2]).lost, 0);
        let huge = ranked(&[1e300, 2e300, -1e300]);
        assert_eq!((huge.lost, huge.values), (1, vec![f32::MIN, f32::MAX]));
    }

    #[test]
    fn a_threshold_lies_below_the_upper_value() {
        let column = ranked(&[1.0, 2.0]);
        assert!((column.threshold(0, 1) - 1.5).abs() < f32::EPSILON);
        let next = f64::from(1.0_f32.next_up());
        let neighbours = ranked(&[1.0, next]);
        assert!(neighbours.threshold(0, 1) < neighbours.values[1]);
    }
}
