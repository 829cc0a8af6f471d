//! The digests of a table of cases, `digests.txt`: the same on every machine, with vectors and without.
//!
//! Of each case the table names the model, what it says of other rows, and what its trees say out of bag. Whoever changes
//! one changes every model that was ever trained.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::ml::{Frame, digest};
use crate::progress::Silent;

const TABLE: &str = include_str!("digests.txt");
const FEATURES: [&str; 5] = ["wide", "ties", "gaps", "tiny", "food"];
/// Rows that the models have not seen.
const OTHERS: u32 = 300;

/// What the rows of a case weigh.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Weights {
    Even,
    /// Whole numbers, some of them zero.
    Whole,
    /// Fractions.
    Broken,
}

/// A case: its name, the number of rows, the target, the weights, and what differs from the usual parameters.
type Case = (&'static str, u32, &'static str, Weights, Value);

fn cases() -> Vec<Case> {
    use Weights::{Broken, Even, Whole};
    vec![
        ("regression", 300, "y", Even, json!({})),
        ("a third of the features", 300, "y", Even, json!({ "max_features": "third", "min_samples_leaf": 3 })),
        ("no bootstrap", 300, "y", Even, json!({ "bootstrap": false, "max_features": 2 })),
        ("few samples", 300, "y", Even, json!({ "max_samples": 0.3, "min_samples_split": 7 })),
        ("a target far from zero", 300, "far", Even, json!({})),
        ("absolute error", 300, "y", Even, json!({ "criterion": "absolute_error" })),
        ("poisson", 300, "count", Even, json!({ "criterion": "poisson" })),
        ("shallow", 300, "y", Even, json!({ "max_depth": 4, "min_impurity_decrease": 0.5 })),
        ("so many leaves", 300, "y", Even, json!({ "max_leaf_nodes": 20 })),
        ("pruned", 300, "y", Even, json!({ "ccp_alpha": 2.0 })),
        ("monotone", 300, "y", Even, json!({ "monotonic_cst": { "ties": 1, "gaps": -1 } })),
        ("extra-trees", 300, "y", Even, json!({ "splitter": "random", "bootstrap": false })),
        ("whole weights", 300, "y", Whole, json!({})),
        ("broken weights", 300, "y", Broken, json!({ "min_weight_fraction_leaf": 0.02 })),
        ("broken weights, absolute error", 300, "y", Broken, json!({ "criterion": "absolute_error" })),
        ("broken weights, poisson", 300, "count", Broken, json!({ "criterion": "poisson" })),
        ("two classes", 300, "two", Even, json!({})),
        ("three classes", 300, "three", Even, json!({})),
        ("thirteen classes", 300, "thirteen", Even, json!({ "max_features": "all" })),
        ("entropy", 300, "three", Even, json!({ "criterion": "entropy" })),
        ("log-loss, thirteen classes", 300, "thirteen", Even, json!({ "criterion": "log_loss" })),
        ("classes, so many leaves", 300, "three", Even, json!({ "max_leaf_nodes": 15 })),
        ("classes, pruned", 300, "three", Even, json!({ "ccp_alpha": 0.01 })),
        ("classes, monotone", 300, "two", Even, json!({ "monotonic_cst": { "ties": 1 } })),
        ("classes, extra-trees", 300, "three", Even, json!({ "splitter": "random" })),
        ("classes, whole weights", 300, "three", Whole, json!({})),
        ("classes, broken weights", 300, "three", Broken, json!({})),
        ("classes, broken weights, entropy", 300, "thirteen", Broken, json!({ "criterion": "entropy" })),
        ("classes, balanced", 300, "three", Even, json!({ "class_weight": "balanced" })),
        ("classes, balanced by tree", 300, "three", Even, json!({ "class_weight": "balanced_subsample" })),
        ("classes, weighed by name", 300, "two", Even, json!({ "class_weight": { "c1": 2.5 } })),
        ("large", 6000, "y", Even, json!({ "n_estimators": 2 })),
        ("large, a third of the features", 6000, "y", Even, json!({ "n_estimators": 2, "max_features": "third" })),
        ("large, absolute error", 5000, "y", Even, json!({ "n_estimators": 1, "criterion": "absolute_error" })),
        ("large, poisson", 6000, "count", Even, json!({ "n_estimators": 2, "criterion": "poisson" })),
        ("large, monotone", 6000, "y", Even, json!({ "n_estimators": 2, "monotonic_cst": { "ties": 1 } })),
        ("large, extra-trees", 6000, "y", Even, json!({ "n_estimators": 2, "splitter": "random" })),
        ("large, broken weights", 6000, "y", Broken, json!({ "n_estimators": 2 })),
        ("large, three classes", 6000, "three", Even, json!({ "n_estimators": 2 })),
        ("large, thirteen classes", 6000, "thirteen", Even, json!({ "n_estimators": 2 })),
        ("large, entropy", 6000, "three", Even, json!({ "n_estimators": 2, "criterion": "entropy" })),
        ("large, classes, broken weights", 6000, "three", Broken, json!({ "n_estimators": 2 })),
    ]
}

/// Bits that follow from a row and a column. All numbers of the tables are made of whole ones: no machine rounds them.
fn bits(row: u32, column: u32) -> u32 {
    let mixed = (row.wrapping_mul(0x9E37_79B1)).wrapping_add(column.wrapping_mul(0x85EB_CA77));
    let mixed = (mixed ^ mixed >> 16).wrapping_mul(0x21F0_AAAD);
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x735A_2D97);
    mixed ^ mixed >> 15
}

fn table(first: u32, rows: u32) -> RecordBatch {
    let rows = first..first + rows;
    let numbers = |number: &dyn Fn(u32) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.clone().map(number)))
    };
    let texts = |text: &dyn Fn(u32) -> Option<String>| -> ArrayRef {
        Arc::new(rows.clone().map(text).collect::<StringArray>())
    };
    let ties = |row| bits(row, 1) % 12;
    let gaps = |row| Some(bits(row, 2)).filter(|bits| !bits.is_multiple_of(5)).map(|bits| (bits / 5) as i32 % 1000);
    let food = |row| Some(bits(row, 4) % 77).filter(|food| *food < 70);
    // What there is to learn, with noise.
    let signal = |row| {
        let known = ties(row) as i32 * 40 - gaps(row).unwrap_or(300) / 4 + (food(row).unwrap_or(9) as i32 * 7 % 31) * 5;
        known + (bits(row, 0) >> 25) as i32 + (bits(row, 5) % 90) as i32
    };
    let class = |row, classes: i32| Some(format!("c{}", (signal(row) / 50).rem_euclid(classes)));
    RecordBatch::try_from_iter([
        // More bits than `f32` has.
        ("wide", numbers(&|row| f64::from(bits(row, 0)) / 8.0)),
        ("ties", numbers(&|row| f64::from(ties(row)))),
        ("gaps", numbers(&|row| gaps(row).map_or(f64::NAN, |gaps| f64::from(gaps) / 16.0))),
        // Numbers that `f32` has no full precision for.
        ("tiny", numbers(&|row| f64::from(bits(row, 3) % 64) * f64::from_bits(0x3730_0000_0000_0000))),
        ("food", texts(&|row| food(row).map(|food| format!("f{food:02}")))),
        ("y", numbers(&|row| f64::from(signal(row)) / 16.0)),
        ("far", numbers(&|row| f64::from(signal(row)) / 16.0 + f64::from(1 << 30) * 1024.0)),
        ("count", numbers(&|row| f64::from((signal(row) / 30).max(0)))),
        ("two", texts(&|row| class(row, 2))),
        ("three", texts(&|row| class(row, 3))),
        ("thirteen", texts(&|row| class(row, 13))),
    ])
    .unwrap()
}

fn frame(rows: u32, target: &str, weights: Weights) -> Frame {
    let task = match target {
        "y" | "far" | "count" => Task::Regression,
        _ => Task::Classification,
    };
    let frame = Frame::new(&table(0, rows), &FEATURES, target, task).unwrap();
    match weights {
        Weights::Even => frame,
        Weights::Whole => frame.with_weights((0..rows).map(|row| f64::from(bits(row, 6) % 4)).collect()).unwrap(),
        Weights::Broken => {
            frame.with_weights((0..rows).map(|row| f64::from(1 + bits(row, 6) % 900) / 700.0).collect()).unwrap()
        }
    }
}

/// The beginning of a digest of numbers' bits.
fn digest_of(numbers: impl IntoIterator<Item = f64>) -> String {
    let mut hash = Sha256::new();
    numbers.into_iter().for_each(|number| hash.update(number.to_bits().to_le_bytes()));
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line((name, rows, target, weights, changes): Case) -> String {
    let frame = frame(rows, target, weights);
    let mut params = json!({ "n_estimators": 5, "seed": 42 });
    for (name, value) in changes.as_object().unwrap() {
        params[name] = value.clone();
    }
    let params: ForestParams = serde_json::from_value(params).unwrap();
    let forest = ForestTrainer::new(frame.task(), params).unwrap().fit(&frame, &Silent).unwrap();
    let model = &digest(&forest).unwrap()[..16];
    let predictions = digest_of(forest.raw(&table(rows, OTHERS)).unwrap());
    let seen = forest.out_of_bag().map_or("none".to_owned(), |seen| {
        digest_of(seen.predictions.iter().copied().chain([seen.score.unwrap(), seen.error.unwrap()]))
    });
    format!("{model:18}{predictions:18}{seen:18}{name}")
}

fn assert_table(how: &str) {
    let mut found = format!("{:18}{:18}{:18}case\n", "model", "predictions", "out of bag");
    cases().into_iter().for_each(|case| writeln!(found, "{}", line(case)).unwrap());
    let differ: Vec<_> = found.lines().zip(TABLE.lines()).filter(|(found, table)| found != table).collect();
    assert!(found == TABLE, "{how}, lines differ: {differ:#?}; the table would be\n{found}");
}

#[test]
fn models_predictions_and_scores_are_those_of_the_table() {
    use std::sync::atomic::Ordering;
    assert_table("as the machine can");
    block::BY_NODE.store(true, Ordering::Relaxed);
    assert_table("ranked by each node");
    block::BY_NODE.store(false, Ordering::Relaxed);
    #[cfg(target_arch = "x86_64")]
    {
        pack::PORTABLE.store(true, Ordering::Relaxed);
        assert_table("without vectors");
        pack::PORTABLE.store(false, Ordering::Relaxed);
    }
}
