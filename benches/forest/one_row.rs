//! One row's latency without Python, on a saved forest: the median over distinct rows, warm, as one JSON line.
//!
//! Arguments: model file, rows (little-endian `f32`, row by row), number of columns.
#![allow(clippy::print_stdout, reason = "its output is the figure")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use std::{env, fs};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use datalake_core::ml::{self, Model, Task};

/// How many rows are predicted, and how many of them only warm up.
const ROWS: usize = 4_000;
const WARM_UP: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, rows, columns] = arguments.as_slice() else {
        return Err("three arguments are needed: model, rows, columns".into());
    };
    let columns: usize = columns.parse()?;
    let (model, _) = ml::decode(&fs::read(model)?)?;
    let values: Vec<f32> = fs::read(rows)?.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
    let rows: Vec<RecordBatch> = values.chunks_exact(columns).take(ROWS).map(batch).collect::<Result<_, _>>()?;
    let mut each = Vec::with_capacity(rows.len());
    for row in &rows {
        let start = Instant::now();
        predict(model.as_ref(), row)?;
        each.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let mut warm = each.split_off(WARM_UP.min(each.len() / 2));
    warm.sort_by(f64::total_cmp);
    println!("{}", serde_json::json!({ "row_rust_us": warm[warm.len() / 2] }));
    Ok(())
}

fn batch(row: &[f32]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let column = |(index, value): (usize, &f32)| {
        let values: ArrayRef = Arc::new(Float32Array::from(vec![*value]));
        (format!("x{index}"), values)
    };
    RecordBatch::try_from_iter(row.iter().enumerate().map(column))
}

fn predict(model: &dyn Model, row: &RecordBatch) -> datalake_core::Result<()> {
    match model.task() {
        Task::Regression => drop(black_box(model.predict(row)?)),
        Task::Classification => drop(black_box(model.predict_proba(row)?)),
    }
    Ok(())
}
