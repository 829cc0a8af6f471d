//! What the benchmarks share: seeded tables of the size that they ask for.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use datalake_core::random::Draws;

/// A regression table in the manner of Friedman 1: ten uniform columns, of which five matter, and a target `y`.
///
/// Friedman, "Multivariate adaptive regression splines" (1991), with the sine replaced by a parabola.
#[must_use]
pub fn friedman(rows: usize, seed: u64) -> RecordBatch {
    let columns: Vec<Vec<f64>> = (0..10)
        .map(|column| {
            let mut draws = Draws::new(seed, column);
            (0..rows).map(|_| draws.unit()).collect()
        })
        .collect();
    let target: Vec<f64> = (0..rows)
        .map(|row| {
            let x = |column: usize| columns[column][row];
            let arch = 4.0 * x(0) * x(1) * (1.0 - x(0) * x(1));
            10.0 * arch + 20.0 * (x(2) - 0.5) * (x(2) - 0.5) + 10.0 * x(3) + 5.0 * x(4)
        })
        .collect();
    let named = columns.into_iter().enumerate().map(|(index, values)| (format!("x{index}"), values));
    let fields = named.chain([("y".to_owned(), target)]);
    let arrays: Vec<(String, ArrayRef)> =
        fields.map(|(name, values)| (name, Arc::new(Float64Array::from(values)) as ArrayRef)).collect();
    RecordBatch::try_from_iter(arrays).expect("all columns have the same length")
}
