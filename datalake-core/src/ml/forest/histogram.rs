//! Sums by coarse bin: what the cuts of a large node are scored by, for some of its features.

use rayon::prelude::*;

use super::columns::Binned;
use super::tally::Tally;

/// Coarse bins of a column, that of missing values, the last, included.
pub(super) const BINS: usize = 256;
/// What the histograms of a node may take: more features are filled some at a time, and those of no node are kept.
const NODE_BYTES: usize = 1 << 20;
/// What the histograms of all nodes that wait may take, for each thread.
const KEPT_BYTES: usize = 4 << 20;
/// Rows whose targets are looked up at once, and then added for one feature after the other: they stay in the first
/// cache.
const CHUNK: usize = 1024;

/// How many features are filled at a time, where each takes so many words a bin.
pub(super) fn together(words: usize) -> usize {
    (NODE_BYTES / bytes(1, words)).max(1)
}

/// Whether the histograms of a node are kept for its children, beside those of as many nodes that wait.
pub(super) fn may_keep(features: usize, words: usize, waiting: usize) -> bool {
    let bytes = bytes(features, words);
    bytes <= NODE_BYTES && (waiting + 1) * bytes <= KEPT_BYTES
}

fn bytes(features: usize, words: usize) -> usize {
    features * BINS * words * size_of::<i64>()
}

/// As [`fill`], of every column.
pub(super) fn fill_all<T: Tally>(tally: &T, rows: &[u32], columns: &[Binned], sums: &mut Vec<i64>, share: bool) {
    let bins: Vec<&[u16]> = columns.iter().map(|column| &*column.bins).collect();
    fill(tally, rows, &bins, sums, share);
}

/// The sums of rows by the coarse bins of each column; `bins` are those of [`Binned`](super::columns::Binned), none for
/// columns of categories, which are left out. Several threads `share` the columns: sums are exact, so nothing else
/// depends on it.
pub(super) fn fill<T: Tally>(tally: &T, rows: &[u32], bins: &[&[u16]], sums: &mut Vec<i64>, share: bool) {
    let size = BINS * tally.words();
    sums.clear();
    sums.resize(bins.len() * size, 0);
    if share {
        let part = bins.len().div_ceil(rayon::current_num_threads());
        let parts = bins.par_chunks(part).zip(sums.par_chunks_mut(part * size));
        parts.for_each(|(bins, sums)| add(tally, rows, bins, sums));
    } else {
        add(tally, rows, bins, sums);
    }
}

fn add<T: Tally>(tally: &T, rows: &[u32], bins: &[&[u16]], sums: &mut [i64]) {
    let words = tally.words();
    let mut entries = Vec::with_capacity(CHUNK);
    for rows in rows.chunks(CHUNK) {
        entries.clear();
        entries.extend(rows.iter().map(|&row| tally.entry(row as usize)));
        for (bins, sums) in bins.iter().zip(sums.chunks_exact_mut(BINS * words)).filter(|(bins, _)| !bins.is_empty()) {
            for (&row, &entry) in rows.iter().zip(&entries) {
                let bin = usize::from(bins[row as usize] >> 8);
                tally.add(entry, &mut sums[bin * words..][..words]);
            }
        }
    }
}

/// Turns the sums of a node into those of one child by taking away those of the other.
pub(super) fn take_away(sums: &mut [i64], other: &[i64]) {
    sums.iter_mut().zip(other).for_each(|(sum, other)| *sum = sum.wrapping_sub(*other));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
    use arrow::datatypes::Float64Type;
    use proptest::prelude::*;

    use super::super::columns::MISSING_BIN;
    use super::super::tally::NumberTally;
    use super::*;
    use crate::ml::forest::{ForestParams, ForestTrainer};
    use crate::ml::{Frame, Model, Task};
    use crate::progress::Silent;
    use crate::random::Draws;

    proptest! {
        #[test]
        fn the_sums_of_one_child_are_those_of_the_node_less_the_others(
            table in prop::collection::vec((-1000_i64..1000, 0_u32..5, prop::bool::ANY, 0_u16..9, any::<u16>()), 1..3000),
        ) {
            let fixed: Vec<i64> = table.iter().map(|row| row.0).collect();
            let counts: Vec<u32> = table.iter().map(|row| row.1).collect();
            let truth = vec![0.0; table.len()];
            let tally = NumberTally::new(&fixed, &truth, &counts);
            let few: Vec<u16> = table.iter().map(|row| if row.3 == 8 { MISSING_BIN } else { row.3 << 8 }).collect();
            let many: Vec<u16> = table.iter().map(|row| row.4).collect();
            let bins: [&[u16]; 4] = [&few, &[], &many, &few];
            let all: Vec<u32> = (0..table.len() as u32).collect();
            let (left, right): (Vec<u32>, Vec<u32>) = all.iter().partition(|row| table[**row as usize].2);
            let of = |rows: &[u32], share| {
                let mut sums = vec![7; 3];
                fill(&tally, rows, &bins, &mut sums, share);
                sums
            };
            let mut sums = of(&all, true);
            prop_assert_eq!(&sums, &of(&all, false));
            let block = BINS * tally.words();
            prop_assert!(sums[block..2 * block].iter().all(|sum| *sum == 0), "categories have no bins");
            let weight: u64 = sums[..block].chunks(2).map(|bin| tally.rows_and_weight(bin).1).sum();
            prop_assert_eq!(weight, counts.iter().map(|count| u64::from(*count)).sum::<u64>());
            take_away(&mut sums, &of(&left, false));
            prop_assert_eq!(sums, of(&right, false));
        }
    }

    /// Columns of one value are never split by; so many of them are beyond what is kept, or filled at once. No value
    /// shares a bin, so that nodes of any size have exact splits.
    #[test]
    fn a_table_too_wide_for_kept_histograms_has_the_same_trees() {
        const ROWS: usize = 9000;
        let mut draws = Draws::new(5, 0);
        let mut column = || -> Vec<f64> { (0..ROWS).map(|_| draws.below(200) as f64).collect() };
        let columns = [column(), column(), column()];
        let target: Vec<f64> =
            (0..ROWS).map(|row| columns[0][row].sqrt() * columns[1][row] + columns[2][row]).collect();
        let predictions = |constants: usize| {
            let numbers = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
            let mut table: Vec<(String, ArrayRef)> =
                (0..).zip(&columns).map(|(index, values)| (format!("x{index}"), numbers(values))).collect();
            let constant = numbers(&[1.0; ROWS]);
            table.extend((0..constants).map(|index| (format!("constant{index}"), Arc::clone(&constant))));
            table.push(("y".into(), numbers(&target)));
            let table = RecordBatch::try_from_iter(table).unwrap();
            let params = ForestParams { n_estimators: 1, max_depth: Some(6), ..ForestParams::default() };
            let frame = Frame::new(&table, &[], "y", Task::Regression).unwrap();
            let forest = ForestTrainer::new(Task::Regression, params).unwrap().fit(&frame, &Silent).unwrap();
            forest.predict(&table).unwrap().as_primitive::<Float64Type>().values().to_vec()
        };
        let wide = NODE_BYTES / bytes(1, 2) + 1;
        assert!(may_keep(3, 2, 0) && !may_keep(wide, 2, 0) && together(2) < wide);
        assert_eq!(predictions(0), predictions(wide - 3));
    }

    #[test]
    fn histograms_of_many_nodes_are_not_kept() {
        assert!(may_keep(256, 2, 3) && !may_keep(256, 2, 4) && !may_keep(257, 2, 0));
    }
}
