//! How much memory forests take beside their input, counted byte by byte: no second copy of a table.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datalake_core::ml::forest::{Forest, ForestParams, ForestTrainer};
use datalake_core::ml::{Envelope, Frame, Model, Task, encode};
use datalake_core::progress::Silent;

const ROWS: usize = 100_000;
const FEATURES: usize = 160;
const MB: usize = 1 << 20;

mod counted;

use counted::measured;

/// A table of many columns of floats, and a target that needs some of them.
fn table() -> RecordBatch {
    let value = |row: usize, column: usize| {
        ((row * 2_654_435_761 + column * 40_503) % 1_000_003 * (column + 1) % 65_521) as f32
    };
    let column = |column: usize| {
        let values = Float32Array::from_iter_values((0..ROWS).map(|row| value(row, column)));
        (format!("x{column}"), Arc::new(values) as ArrayRef)
    };
    let target = Float64Array::from_iter_values((0..ROWS).map(|row| f64::from(value(row, 0) + value(row, 7) / 2.0)));
    let target: ArrayRef = Arc::new(target);
    RecordBatch::try_from_iter((0..FEATURES).map(column).chain([("y".to_owned(), target)])).unwrap()
}

/// The same in 64 bits.
fn in_64_bits(table: &RecordBatch) -> RecordBatch {
    let columns = table.columns().iter().map(|column| cast(column, &DataType::Float64).unwrap());
    let names = table.schema();
    let names = names.fields().iter().map(|field| field.name().clone());
    RecordBatch::try_from_iter(names.zip(columns)).unwrap()
}

fn fit(table: &RecordBatch, threads: usize) -> (Forest, usize) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let params = ForestParams { n_estimators: 4, max_depth: Some(4), ..ForestParams::default() };
    let trainer = ForestTrainer::new(Task::Regression, params).unwrap();
    measured(|| pool.install(|| trainer.fit(&Frame::new(table, &[], "y", Task::Regression).unwrap(), &Silent).unwrap()))
}

/// What training may hold beside a table in 32 bits: the bins, the model, and some bytes a row and thread, blocks of
/// rows to predict out of bag among them. A copy of the table would be 61 MB more.
fn allowed(forest: &Forest, threads: usize) -> usize {
    let bins = 2 * ROWS * FEATURES;
    let model = encode(forest, &Envelope::default()).unwrap().len();
    let of_rows = 64 * ROWS;
    let of_threads = threads * (20 * ROWS + 32 * MB);
    bins + model + of_rows + of_threads + MB
}

/// One test: what others hold in the same process would be counted.
#[test]
fn a_table_is_not_copied() {
    let single = table();
    let copy = 4 * ROWS * FEATURES;
    for threads in [1, 2] {
        let (forest, held) = fit(&single, threads);
        let most = allowed(&forest, threads);
        assert!(held <= most, "{threads} threads held {held} bytes to train, allowed are {most}");

        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (_, held) = measured(|| pool.install(|| forest.predict(&single).unwrap()));
        let most = 16 * ROWS + threads * 32 * MB;
        assert!(held <= most, "{threads} threads held {held} bytes to predict, allowed are {most}");
    }
    let double = in_64_bits(&single);
    drop(single);
    // In 64 bits a table is copied once, to 32 bits.
    let (forest, held) = fit(&double, 1);
    let most = allowed(&forest, 1) + copy;
    assert!(held <= most, "held {held} bytes to train from 64 bits, allowed are {most}");
}
