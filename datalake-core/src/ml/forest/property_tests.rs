//! What holds of every forest, whatever the table: properties over random ones.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use proptest::prelude::*;

use super::*;
use crate::ml::conformance::{FEATURES, foods};
use crate::ml::{Frame, digest};
use crate::progress::Silent;
use crate::random::Draws;

/// A number, a category and the target.
type Row = (Option<i32>, u8, i32);

/// Small tables with ties, missing values and categories.
fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((prop::option::weighted(0.9, -20_i32..20), 0_u8..5, -100_i32..100), 3..40)
        .prop_filter("a target that varies", |rows| {
            rows.iter().any(|row| row.2.rem_euclid(3) != rows[0].2.rem_euclid(3))
        })
}

/// A table whose nodes are at first too large to try every cut.
fn many_rows() -> Vec<Row> {
    let mut draws = Draws::new(11, 0);
    let mut below = |most: u64| draws.below(most) as i32;
    let row = |_| {
        let x = below(2900);
        ((x % 13 > 0).then_some(x), below(5) as u8, x / 100 * (x % 2) + below(40))
    };
    (0..6000).map(row).collect()
}

fn task_of(classes: bool) -> Task {
    if classes { Task::Classification } else { Task::Regression }
}

fn batch_of(rows: &[Row], classes: bool) -> RecordBatch {
    let target: ArrayRef = if classes {
        Arc::new(rows.iter().map(|row| Some(format!("t{}", row.2.rem_euclid(3)))).collect::<StringArray>())
    } else {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| f64::from(row.2))))
    };
    RecordBatch::try_from_iter([
        ("n", Arc::new(rows.iter().map(|row| row.0.map(f64::from)).collect::<Float64Array>()) as ArrayRef),
        ("c", Arc::new(rows.iter().map(|row| Some(format!("c{}", row.1))).collect::<StringArray>())),
        ("y", target),
    ])
    .unwrap()
}

fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().map(|field| field.name().as_str()).zip(batch.columns().iter().cloned());
    RecordBatch::try_from_iter(columns.chain([(name, column)])).unwrap()
}

fn fit(batch: &RecordBatch, classes: bool, params: ForestParams) -> Forest {
    let frame = Frame::new(batch, &[], "y", task_of(classes)).unwrap();
    ForestTrainer::new(frame.task(), params).unwrap().fit(&frame, &Silent).unwrap()
}

/// What trees of all rows and features say of the rows that they were grown from. The targets are whole numbers, so
/// that means are the same bits in any order of the rows.
fn exact(batch: &RecordBatch, classes: bool, min_samples_leaf: u32) -> Vec<f64> {
    let params = ForestParams {
        n_estimators: 3,
        bootstrap: false,
        max_features: MaxFeatures::All,
        min_samples_leaf,
        ..ForestParams::default()
    };
    fit(batch, classes, params).raw(batch).unwrap()
}

fn order_of(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    Draws::new(seed, 1).shuffle(&mut order);
    order
}

/// In another order, every row is predicted as it was.
fn in_another_order(rows: &[Row], classes: bool, least: u32, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let order = order_of(rows.len(), seed);
    let turned: Vec<Row> = order.iter().map(|&row| rows[row]).collect();
    let plain = exact(&batch_of(rows, classes), classes, least);
    let width = plain.len() / rows.len();
    let wanted = order.iter().flat_map(|&row| &plain[row * width..][..width]).copied().collect();
    (exact(&batch_of(&turned, classes), classes, least), wanted)
}

/// A column of one number, of one category, or of nothing.
fn constant(kind: usize, rows: usize) -> ArrayRef {
    match kind {
        0 => Arc::new(Float64Array::from(vec![3.0; rows])),
        1 => Arc::new(StringArray::from(vec!["same"; rows])),
        _ => Arc::new(Float64Array::from(vec![None; rows])),
    }
}

/// The table with other numbers in the same order, exact in 32 bits.
fn risen(rows: &[Row], classes: bool, rise: impl Fn(i32) -> f64) -> RecordBatch {
    let plain = batch_of(rows, classes);
    let mut columns = plain.columns().to_vec();
    columns[0] = Arc::new(rows.iter().map(|row| row.0.map(&rise)).collect::<Float64Array>());
    RecordBatch::try_new(plain.schema(), columns).unwrap()
}

proptest! {
    #[test]
    fn predictions_lie_within_the_targets(
        rows in any_rows(),
        seed: u64,
        criterion in prop::sample::select(vec![Criterion::SquaredError, Criterion::AbsoluteError, Criterion::Poisson]),
        random: bool,
        weighted: bool,
    ) {
        let rows: Vec<Row> = rows.into_iter().map(|row| (row.0, row.1, row.2 + 100)).collect();
        let (low, high) = (rows.iter().map(|row| row.2).min(), rows.iter().map(|row| row.2).max());
        let (low, high) = (f64::from(low.unwrap()), f64::from(high.unwrap()));
        let mut frame = Frame::new(&batch_of(&rows, false), &[], "y", Task::Regression).unwrap();
        if weighted {
            frame = frame.with_weights((0..rows.len()).map(|row| 0.1 + (row % 7) as f64).collect()).unwrap();
        }
        let splitter = if random { Splitter::Random } else { Splitter::Best };
        let params = ForestParams { n_estimators: 10, seed, criterion: Some(criterion), splitter, ..ForestParams::default() };
        let forest = ForestTrainer::new(Task::Regression, params).unwrap().fit(&frame, &Silent).unwrap();
        // Rows never seen, below and above all that were, among them.
        let mut asked = rows;
        asked.extend((-50_i32..50).map(|n| (Some(n), n.unsigned_abs() as u8, 0)));
        let predicted = forest.predict(&batch_of(&asked, false)).unwrap();
        let within = predicted.as_primitive::<Float64Type>().values().iter().all(|value| (low..=high).contains(value));
        prop_assert!(within, "{predicted:?} from {low} to {high}");
        let seen = forest.out_of_bag().map_or(Vec::new(), |seen| seen.predictions.clone());
        prop_assert!(seen.iter().all(|value| value.is_nan() || (low..=high).contains(value)));
    }

    #[test]
    fn the_order_of_rows_changes_no_prediction(rows in any_rows(), classes: bool, least in 1_u32..3, seed: u64) {
        let (found, wanted) = in_another_order(&rows, classes, least, seed);
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn a_constant_column_changes_no_prediction(rows in any_rows(), classes: bool, least in 1_u32..3, kind in 0_usize..3) {
        let batch = batch_of(&rows, classes);
        let more = with_column(&batch, "k", constant(kind, rows.len()));
        prop_assert_eq!(exact(&more, classes, least), exact(&batch, classes, least));
    }

    #[test]
    fn a_rising_transform_of_a_column_changes_no_prediction(
        rows in any_rows(),
        classes: bool,
        least in 1_u32..3,
        steps in prop::collection::vec(1_u16..3000, 40),
    ) {
        let rise = |n: i32| steps[..(n + 20) as usize].iter().map(|step| f64::from(*step)).sum::<f64>() - 500.0;
        prop_assert_eq!(exact(&risen(&rows, classes, rise), classes, least), exact(&batch_of(&rows, classes), classes, least));
    }

    #[test]
    fn parts_cut_anywhere_make_the_whole(
        rows in any_rows(), classes: bool, seed: u64, cuts in prop::collection::btree_set(1_u32..10, 0..5),
    ) {
        let frame = Frame::new(&batch_of(&rows, classes), &[], "y", task_of(classes)).unwrap();
        let weights = (0..rows.len()).map(|row| (row % 3) as f64 + 0.25).collect();
        let frame = frame.with_weights(weights).unwrap();
        let params = ForestParams { n_estimators: 10, seed, ..ForestParams::default() };
        let trainer = ForestTrainer::new(frame.task(), params).unwrap();
        let bounds: Vec<u32> = [0].into_iter().chain(cuts).chain([10]).collect();
        let parts = bounds.windows(2).map(|cut| trainer.fit_trees(&frame, cut[0]..cut[1], &Silent).unwrap());
        let mut parts: Vec<Forest> = parts.collect();
        Draws::new(seed, 2).shuffle(&mut parts);
        let mut merged = Forest::merge(&parts.iter().collect::<Vec<_>>()).unwrap();
        let whole = trainer.fit(&frame, &Silent).unwrap();
        prop_assert_eq!(digest(&merged).unwrap(), digest(&whole).unwrap());
        merged.score_out_of_bag(&frame).unwrap();
        // A row that no tree has seen has no number, which equals nothing.
        prop_assert_eq!(format!("{:?}", merged.out_of_bag()), format!("{:?}", whole.out_of_bag()));
    }
}

#[test]
fn large_nodes_are_the_same_in_any_order_beside_a_constant_and_risen() {
    let rows = many_rows();
    for classes in [false, true] {
        for least in [1, 2] {
            let (found, wanted) = in_another_order(&rows, classes, least, 5);
            assert!(found == wanted, "in another order");
            let batch = batch_of(&rows, classes);
            let plain = exact(&batch, classes, least);
            for kind in 0..3 {
                let more = with_column(&batch, "k", constant(kind, rows.len()));
                assert!(exact(&more, classes, least) == plain, "beside a constant of kind {kind}");
            }
            let squares = risen(&rows, classes, |n| f64::from(n * n));
            assert!(exact(&squares, classes, least) == plain, "squared");
        }
    }
}

#[test]
fn rows_of_large_nodes_weigh_as_often_as_they_are_there() {
    // Where more than 255 values share bins of about equally many rows, more rows make other bins.
    let rows: Vec<Row> = many_rows().into_iter().map(|row| (row.0.map(|n| n % 250), row.1, row.2)).collect();
    let repeated = (0..rows.len() as u32).flat_map(|row| std::iter::repeat_n(row, row as usize % 3 + 1));
    let repeated: Vec<u32> = repeated.collect();
    let params = ForestParams { n_estimators: 2, bootstrap: false, ..ForestParams::default() };
    for classes in [false, true] {
        let batch = batch_of(&rows, classes);
        let frame = Frame::new(&batch, &[], "y", task_of(classes)).unwrap();
        let trainer = ForestTrainer::new(frame.task(), params.clone()).unwrap();
        let weights = (0..rows.len()).map(|row| (row % 3 + 1) as f64).collect();
        let weighted = trainer.fit(&frame.clone().with_weights(weights).unwrap(), &Silent).unwrap();
        let more = trainer.fit(&frame.select(&repeated).unwrap(), &Silent).unwrap();
        assert_eq!(weighted.nodes(), more.nodes());
        assert!(weighted.raw(&batch).unwrap() == more.raw(&batch).unwrap());
    }
}

#[test]
fn one_to_sixteen_threads_give_one_digest() {
    // Large nodes, which threads share, and trees that are fewer than they.
    let batch = foods(6000, 3);
    for (task, target) in [(Task::Regression, "kcal"), (Task::Classification, "group")] {
        let frame = Frame::new(&batch, &FEATURES, target, task).unwrap();
        let params = ForestParams { n_estimators: 5, max_depth: Some(6), ..ForestParams::default() };
        let trainer = ForestTrainer::new(task, params).unwrap();
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let forest = trainer.fit(&frame, &Silent).unwrap();
                (digest(&forest).unwrap(), format!("{:?}", forest.out_of_bag()))
            })
        };
        let one = of(1);
        for threads in 2..=16 {
            assert_eq!(of(threads), one, "{threads} threads");
        }
    }
}
