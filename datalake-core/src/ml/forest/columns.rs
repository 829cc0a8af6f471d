//! The table as the forest sees it: 32-bit cells for walking trees, bins for finding splits.

use arrow::buffer::ScalarBuffer;

use crate::ml::feature::{Column, Feature, FeatureKind, MISSING};

/// The bin of a missing number: behind all others.
pub(super) const MISSING_BIN: u16 = u16::MAX;
/// How many coarse bins a column has; one more is for missing values.
const COARSE: u64 = 255;
/// How many fine bins a coarse one has.
const FINE: usize = 256;

/// One feature in 32 bits a row, shared with the table's column where that is in 32 bits.
#[derive(Debug)]
pub(super) enum Cells {
    /// Rounded once to `f32`; NaN is missing.
    Numeric(ScalarBuffer<f32>),
    /// Category codes; [`MISSING`] is missing or unseen.
    Categorical(ScalarBuffer<u32>),
}

impl From<Column> for Cells {
    fn from(column: Column) -> Self {
        match column {
            Column::Numeric(values) => Self::Numeric(values.into_single()),
            Column::Categorical(codes) => Self::Categorical(codes),
        }
    }
}

impl Cells {
    pub(super) fn of(column: &Column) -> Self {
        column.clone().into()
    }

    /// The row's bits, as [`Split::goes_left`](super::split::Split::goes_left) takes them.
    pub(super) fn bits(&self, row: usize) -> u32 {
        match self {
            Self::Numeric(values) => values[row].to_bits(),
            Self::Categorical(codes) => codes[row],
        }
    }

    /// The bits of the rows from `first` on.
    pub(super) fn copy_bits<'a>(&self, first: usize, bits: impl Iterator<Item = &'a mut u32>) {
        match self {
            Self::Numeric(values) => bits.zip(&values[first..]).for_each(|(bits, value)| *bits = value.to_bits()),
            Self::Categorical(codes) => bits.zip(&codes[first..]).for_each(|(bits, code)| *bits = *code),
        }
    }

    /// The row's number; NaN where the column is of categories.
    pub(super) fn number(&self, row: u32) -> f32 {
        match self {
            Self::Numeric(values) => values[row as usize],
            Self::Categorical(_) => f32::NAN,
        }
    }

    /// The row's category; [`MISSING`] where the column is of numbers.
    pub(super) fn category(&self, row: u32) -> u32 {
        match self {
            Self::Numeric(_) => MISSING,
            Self::Categorical(codes) => codes[row as usize],
        }
    }
}

/// Where to cut between two neighbouring values of a node: half-way, or at the next `f32` below. A number lies on the
/// same side of both, which would not be so of the nearest `f32`: half-way from -0.6 to -0.4 lies just below -0.5.
pub(super) fn threshold(lower: f32, upper: f32) -> f32 {
    let middle = f64::from(lower) * 0.5 + f64::from(upper) * 0.5;
    let nearest = middle as f32;
    if f64::from(nearest) > middle { nearest.next_down() } else { nearest }
}

/// A feature prepared for the search of splits.
#[derive(Debug)]
pub(super) struct Binned {
    /// By row: the coarse bin, an equal share of the rows, in the high byte; the place of the value within it in the
    /// low one; [`MISSING_BIN`] where there is none. Empty for categories.
    pub(super) bins: Vec<u16>,
    /// Whether values that differ share a bin.
    pub(super) merged: bool,
    /// The number of categories; zero for numbers.
    pub(super) categories: usize,
    /// How many distinct values the rounding to `f32` has merged.
    pub(super) lost: usize,
}

impl Binned {
    pub(super) fn of(feature: &Feature, column: &Column, cells: &Cells) -> Self {
        match (cells, column) {
            (Cells::Numeric(values), Column::Numeric(numbers)) => numeric(values, numbers.lost()),
            (Cells::Numeric(values), Column::Categorical(_)) => numeric(values, 0),
            (Cells::Categorical(_), _) => {
                let categories = match &feature.kind {
                    FeatureKind::Categorical { categories } => categories.len(),
                    FeatureKind::Numeric { .. } => 0,
                };
                Self { bins: Vec::new(), merged: false, categories, lost: 0 }
            }
        }
    }

    pub(super) fn is_categorical(&self) -> bool {
        self.bins.is_empty()
    }
}

fn numeric(values: &[f32], lost: usize) -> Binned {
    // The row number in the low half makes the order, and with it the bins, one and the same everywhere.
    let mut order: Vec<u64> = values
        .iter()
        .zip(0_u64..)
        .filter(|(value, _)| !value.is_nan())
        .map(|(value, row)| u64::from(ordered(*value)) << 32 | row)
        .collect();
    order.sort_unstable();
    let runs = || order.chunk_by(|a, b| a >> 32 == b >> 32);
    let distinct = runs().count();
    let places = places(runs().map(<[u64]>::len), distinct, order.len());
    let mut bins = vec![MISSING_BIN; values.len()];
    for (run, bin) in runs().zip(&places) {
        run.iter().for_each(|key| bins[*key as u32 as usize] = *bin);
    }
    let merged = places.windows(2).any(|pair| pair[0] == pair[1]);
    Binned { bins, merged, categories: 0, lost }
}

/// The bin of each distinct value, from how many rows have it.
fn places(counts: impl Iterator<Item = usize>, distinct: usize, rows: usize) -> Vec<u16> {
    let mut below = 0_u64;
    let mut coarse: Vec<u16> = Vec::with_capacity(distinct);
    for (index, count) in (0_u64..).zip(counts) {
        // By the middle of the value's rows, so that a value of many rows has a bin to itself.
        let middle = 2 * below + count as u64;
        below += count as u64;
        coarse.push(if distinct as u64 <= COARSE { index } else { middle * COARSE / (2 * rows as u64) } as u16);
    }
    let groups = coarse.chunk_by(|a, b| a == b);
    groups
        .flat_map(|group| {
            let step = group.len().max(FINE);
            (0..group.len()).map(move |place| group[0] << 8 | (place * FINE / step) as u16)
        })
        .collect()
}

/// The bits of a number, in an order that is that of the numbers.
pub(super) fn ordered(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binned(values: &[f64]) -> Binned {
        let column = Column::Numeric(values.to_vec().into());
        let feature = Feature { name: "x".into(), kind: FeatureKind::Numeric { range: None }, unit: None };
        Binned::of(&feature, &column, &Cells::of(&column))
    }

    #[test]
    fn equal_values_share_a_bin() {
        let column = binned(&[3.0, 1.0, f64::NAN, 3.0, 0.5]);
        assert_eq!(column.bins, [2 << 8, 1 << 8, MISSING_BIN, 2 << 8, 0]);
        assert!(!column.merged);
        assert_eq!(column.lost, 0);
    }

    #[test]
    fn values_that_the_rounding_merges_are_counted() {
        assert_eq!(binned(&[1.0, 1.0 + 1e-12, 1.0 + 2e-12]).lost, 2);
        assert_eq!(binned(&[0.1, 0.2]).lost, 0);
        let huge = binned(&[1e300, 2e300, -1e300]);
        assert_eq!((huge.lost, huge.bins), (1, vec![1 << 8, 1 << 8, 0]));
    }

    #[test]
    fn a_value_of_many_rows_has_a_coarse_bin_to_itself() {
        let values: Vec<f64> = (0..4000).map(|row| if row < 2000 { 0.0 } else { f64::from(row) }).collect();
        let column = binned(&values);
        let zero = column.bins[0] >> 8;
        assert!(column.bins[2000..].iter().all(|bin| bin >> 8 != zero));
    }

    #[test]
    fn a_threshold_lies_below_the_upper_value() {
        assert!((threshold(1.0, 2.0) - 1.5).abs() < f32::EPSILON);
        assert!(threshold(1.0, 1.0_f32.next_up()) < 1.0_f32.next_up());
        assert!(threshold(f32::MIN, f32::MAX).abs() < f32::EPSILON);
        assert!(threshold(-0.6, -0.4) < -0.5);
    }

    proptest! {
        #[test]
        fn a_threshold_parts_numbers_as_the_exact_middle_does(a: f32, b: f32, steps in 0_i32..5) {
            prop_assume!(a < b || b < a);
            let (lower, upper) = if a < b { (a, b) } else { (b, a) };
            let (cut, middle) = (threshold(lower, upper), f64::from(lower) * 0.5 + f64::from(upper) * 0.5);
            prop_assert!(lower <= cut && cut < upper);
            // The values around it are those that it may part wrongly.
            let (mut below, mut above) = (cut, cut);
            for _ in 0..steps {
                (below, above) = (below.next_down(), above.next_up());
            }
            for value in [below, above] {
                prop_assert_eq!(value <= cut, f64::from(value) <= middle);
            }
        }

        #[test]
        fn bins_are_in_the_order_of_the_values(values in prop::collection::vec(-1e3_f64..1e3, 2..3000), copies in 1_usize..200) {
            let mut values = values;
            values.extend(std::iter::repeat_n(values[0], copies));
            let column = binned(&values);
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
            for pair in order.windows(2) {
                let (a, b) = (pair[0], pair[1]);
                prop_assert!(column.bins[a] <= column.bins[b] && column.bins[b] < 0xFF00);
                prop_assert!(column.merged || ((values[a] as f32).to_bits() == (values[b] as f32).to_bits()) == (column.bins[a] == column.bins[b]));
            }
        }
    }
}
