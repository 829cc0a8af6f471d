//! Tables at the edge of what can be learnt from: a right answer or a clear error, never a panic.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, NullArray, RecordBatch, StringArray};

use super::*;
use crate::ml::{Envelope, Frame, PermutationParams, decode, digest, encode, evaluate, permutation_importance};
use crate::progress::Silent;

fn try_fit(frame: &Frame, params: ForestParams) -> Result<Forest> {
    ForestTrainer::new(frame.task(), params)?.fit(frame, &Silent)
}

fn few() -> ForestParams {
    ForestParams { n_estimators: 8, ..ForestParams::default() }
}

/// One tree from all rows and features.
fn single() -> ForestParams {
    ForestParams { n_estimators: 1, bootstrap: false, max_features: MaxFeatures::All, ..ForestParams::default() }
}

fn numbers(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Everything that can be asked of a forest is answered, and predictions lie within `low..=high`.
fn answers(forest: &Forest, frame: &Frame, batch: &RecordBatch, [low, high]: [f64; 2]) {
    let raw = forest.raw(batch).unwrap();
    assert!(raw.iter().all(|value| (low..=high).contains(value)), "{raw:?} from {low} to {high}");
    let shares = forest.importances().unwrap();
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
    forest.apply(batch).unwrap();
    forest.decision_path(batch).unwrap();
    for number in 0..forest.trees() {
        let found = forest.leaf_statistics(number, frame).unwrap();
        assert!(found.mean.iter().all(|mean| (low..=high).contains(mean)), "{found:?}");
    }
    if let Some(seen) = forest.out_of_bag() {
        assert!(seen.predictions.iter().all(|value| value.is_nan() || (low..=high).contains(value)), "{seen:?}");
        assert!(seen.score.is_none_or(f64::is_finite) && seen.error.is_none_or(f64::is_finite), "{seen:?}");
        forest.out_of_bag_importances(frame, &PermutationParams::default(), &Silent).unwrap();
    }
    evaluate(forest, batch).unwrap();
    permutation_importance(forest, batch, &PermutationParams::default(), &Silent).unwrap();
    let (again, _) = decode(&encode(forest, &Envelope::default()).unwrap()).unwrap();
    assert_eq!(digest(again.as_ref()).unwrap(), digest(forest).unwrap());
    assert_eq!(again.as_forest().unwrap().raw(batch).unwrap(), raw);
}

#[test]
fn more_features_than_rows_are_learnt() {
    let rows = 6;
    let names: Vec<String> = (0..400).map(|column| format!("x{column}")).collect();
    let column = |column: usize| numbers((0..rows).map(|row| ((row * 7 + column * 3) % 11) as f64));
    let mut columns: Vec<(&str, ArrayRef)> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), column(index))).collect();
    columns.push(("y", numbers((0..rows).map(|row| row as f64))));
    columns.push(("class", texts((0..rows).map(|row| ["a", "b", "c"][row % 3]))));
    let table = batch(columns);
    let features: Vec<&str> = names.iter().map(String::as_str).collect();
    for (task, target, most) in [(Task::Regression, "y", 5.0), (Task::Classification, "class", 1.0)] {
        let frame = Frame::new(&table, &features, target, task).unwrap();
        answers(&try_fit(&frame, few()).unwrap(), &frame, &table, [0.0, most]);
        let by_heart = try_fit(&frame, single()).unwrap();
        let figures = evaluate(&by_heart, &table).unwrap().figures();
        assert!(figures.get("rmse").is_none_or(|error| *error <= 0.0), "{figures:?}");
        assert!(figures.get("accuracy").is_none_or(|accuracy| *accuracy >= 1.0), "{figures:?}");
    }
}

#[test]
fn two_rows_are_enough() {
    let table = batch(vec![("x", numbers([1.0, 2.0])), ("y", numbers([3.0, 4.0])), ("class", texts(["a", "b"]))]);
    for (task, target, range) in [(Task::Regression, "y", [3.0, 4.0]), (Task::Classification, "class", [0.0, 1.0])] {
        let frame = Frame::new(&table, &["x"], target, task).unwrap();
        answers(&try_fit(&frame, few()).unwrap(), &frame, &table, range);
    }
}

#[test]
fn columns_of_nothing_in_any_type_are_learnt_from_and_predicted_from() {
    let rows = 30;
    let table = batch(vec![
        ("none", Arc::new(NullArray::new(rows))),
        ("number", Arc::new(Float64Array::from(vec![None; rows]))),
        ("nan", numbers(vec![f64::NAN; rows])),
        ("text", Arc::new(StringArray::from(vec![None::<&str>; rows]))),
        ("y", numbers((0..rows).map(|row| row as f64))),
    ]);
    let frame = Frame::new(&table, &[], "y", Task::Regression).unwrap();
    let forest = try_fit(&frame, few()).unwrap();
    assert_eq!((forest.nodes(), forest.importances().unwrap()), (8, vec![0.0; 4]));
    answers(&forest, &frame, &table, [0.0, 29.0]);
}

#[test]
fn numbers_at_the_ends_of_their_range_are_answered_for() {
    let ends = [-1.7e308, -1e308, -5e-324, 0.0, 5e-324, 1e-310, 1.0, 1e308, 1.7e308];
    let rows = 5 * ends.len();
    let all = |scale: fn(f64) -> f64| numbers((0..rows).map(|row| scale(ends[row % ends.len()])));
    let table = batch(vec![
        ("x", all(|x| x)),
        ("again", numbers((0..rows).map(|row| ends[(row * 4 + 1) % ends.len()]))),
        ("y", all(|y| y)),
        ("positive", all(f64::abs)),
        ("tiny", numbers((0..rows).map(|row| (row % 4) as f64 * 5e-324))),
        ("class", texts((0..rows).map(|row| if ends[row % ends.len()] > 0.0 { "above" } else { "not" }))),
    ]);
    let features = ["x", "again"];
    for criterion in [Criterion::SquaredError, Criterion::AbsoluteError, Criterion::Poisson] {
        let targets: &[(&str, [f64; 2])] = match criterion {
            Criterion::Poisson => &[("positive", [0.0, 1.7e308]), ("tiny", [0.0, 1.5e-323])],
            _ => &[("y", [-1.7e308, 1.7e308]), ("tiny", [0.0, 1.5e-323])],
        };
        for &(target, range) in targets {
            for splitter in [Splitter::Best, Splitter::Random] {
                let frame = Frame::new(&table, &features, target, Task::Regression).unwrap();
                let params = ForestParams { criterion: Some(criterion), splitter, ..few() };
                answers(&try_fit(&frame, params).unwrap(), &frame, &table, range);
            }
        }
    }
    let frame = Frame::new(&table, &features, "class", Task::Classification).unwrap();
    answers(&try_fit(&frame, few()).unwrap(), &frame, &table, [0.0, 1.0]);
    let limits = GrowthLimits { auto: true, ..GrowthLimits::default() };
    let frame = Frame::new(&table, &features, "y", Task::Regression).unwrap();
    let trainer = ForestTrainer::new(Task::Regression, few()).unwrap().with_limits(limits).unwrap();
    answers(&trainer.fit(&frame, &Silent).unwrap(), &frame, &table, [-1.7e308, 1.7e308]);
}

#[test]
fn denormal_targets_are_told_apart() {
    let table = batch(vec![("x", numbers([1.0, 2.0, 3.0])), ("y", numbers([0.0, 5e-324, 1e-323]))]);
    let frame = Frame::new(&table, &["x"], "y", Task::Regression).unwrap();
    let found = try_fit(&frame, single()).unwrap().raw(&table).unwrap();
    assert_eq!(found.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn weights_of_any_size_are_weighed() {
    let rows = 40;
    let table = batch(vec![
        ("x", numbers((0..rows).map(f64::from))),
        ("y", numbers((0..rows).map(|row| f64::from(row * row % 23)))),
        ("class", texts((0..rows).map(|row| ["a", "b", "c"][row as usize % 3]))),
    ]);
    let weights: [fn(i32) -> f64; 5] = [
        |row| if row % 2 == 0 { 5e-324 } else { 1.7e308 },
        |row| libm::exp2(f64::from(row * 50 - 1000)),
        |_| 1.7e308,
        |_| 5e-324,
        // All but one row are not there.
        |row| f64::from(u8::from(row == 7)),
    ];
    for weigh in weights {
        let weights: Vec<f64> = (0..rows).map(weigh).collect();
        for (task, target, most) in [(Task::Regression, "y", 22.0), (Task::Classification, "class", 1.0)] {
            let frame = Frame::new(&table, &["x"], target, task).unwrap().with_weights(weights.clone()).unwrap();
            let criteria: &[Criterion] = match task {
                Task::Regression => &[Criterion::SquaredError, Criterion::AbsoluteError, Criterion::Poisson],
                Task::Classification => &[Criterion::Gini, Criterion::Entropy],
            };
            for &criterion in criteria {
                let params = ForestParams { criterion: Some(criterion), ..few() };
                let forest = try_fit(&frame, params).unwrap();
                let raw = forest.raw(&table).unwrap();
                assert!(raw.iter().all(|value| (0.0..=most).contains(value)), "{raw:?}");
            }
        }
    }
}

#[test]
fn where_all_that_weighs_is_alike_there_is_one_answer() {
    let table = batch(vec![
        ("x", numbers((0..20).map(f64::from))),
        ("y", numbers((0..20).map(|row| f64::from(u8::from(row < 10))))),
        ("class", texts((0..20).map(|row| if row < 10 { "a" } else { "b" }))),
    ]);
    let weights: Vec<f64> = (0..20).map(|row| f64::from(u8::from(row < 10))).collect();
    for (task, target) in [(Task::Regression, "y"), (Task::Classification, "class")] {
        let frame = Frame::new(&table, &["x"], target, task).unwrap().with_weights(weights.clone()).unwrap();
        let forest = try_fit(&frame, few()).unwrap();
        assert_eq!(forest.nodes(), 8);
        let raw = forest.raw(&table).unwrap();
        assert!(raw.chunks_exact(forest.width()).all(|row| row[0].to_bits() == 1.0_f64.to_bits()), "{raw:?}");
    }
}

#[test]
fn weights_beyond_all_numbers_are_refused() {
    let table = batch(vec![("x", numbers((0..9).map(f64::from))), ("class", texts(["a", "b", "c"].repeat(3)))]);
    let frame = Frame::new(&table, &["x"], "class", Task::Classification).unwrap();
    let class_weight = |weight| Some(ClassWeight::Of([("a".to_owned(), weight)].into()));
    let heavy = frame.clone().with_weights(vec![1e10; 9]).unwrap();
    let error = try_fit(&heavy, ForestParams { class_weight: class_weight(1e300), ..few() }).unwrap_err();
    assert!(error.to_string().contains("class `a`") && error.to_string().contains("row 1"), "{error}");
    // The same without rows that weigh so much, and classes of no weight.
    try_fit(&frame, ForestParams { class_weight: class_weight(1e300), ..few() }).unwrap();
    let none = try_fit(&frame, ForestParams { class_weight: class_weight(0.0), ..few() }).unwrap();
    assert!(none.raw(&table).unwrap().chunks_exact(3).all(|row| row[0] <= 0.0));
}

#[test]
fn ten_thousand_categories_tell_classes_apart() {
    let rows: u32 = 20_000;
    let code = |row: u32| row.wrapping_mul(2_654_435_761) % 10_000;
    for classes in [2, 3] {
        let table = batch(vec![
            ("food", texts((0..rows).map(|row| format!("{:05}", code(row))))),
            ("class", texts((0..rows).map(|row| format!("k{}", code(row) % classes)))),
        ]);
        let frame = Frame::new(&table, &["food"], "class", Task::Classification).unwrap();
        for splitter in [Splitter::Best, Splitter::Random] {
            let forest = try_fit(&frame, ForestParams { splitter, ..single() }).unwrap();
            let figures = evaluate(&forest, &table).unwrap().figures();
            assert!(figures["accuracy"] >= 1.0, "{classes} classes, {splitter:?}: {figures:?}");
        }
        // Those never seen have an answer as well.
        let unseen = batch(vec![("food", texts(["a", "b"]))]);
        let shares = try_fit(&frame, ForestParams { max_depth: Some(4), ..few() }).unwrap().raw(&unseen).unwrap();
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
    }
}

#[test]
fn rows_that_share_the_coarse_bin_of_every_feature_are_split_too() {
    // More than 255 times as many rows as a block takes.
    const ROWS: u32 = 1_100_000;
    let x: ArrayRef = Arc::new(Float32Array::from_iter_values((0..ROWS).map(|row| row as f32)));
    let table = batch(vec![("x", Arc::clone(&x)), ("y", x)]);
    let frame = Frame::new(&table, &[], "y", Task::Regression).unwrap();
    let forest = try_fit(&frame, single()).unwrap();
    assert_eq!(forest.nodes() as u32, 2 * ROWS - 1);
}

#[test]
fn a_tree_that_is_pruned_to_a_leaf_has_no_importances() {
    let table = batch(vec![
        ("a", numbers([0.0, 0.0, 1.0, 1.0])),
        ("b", numbers([0.0, 1.0, 0.0, 1.0])),
        ("y", numbers([0.0, 1.0, 1.0, 0.0])),
    ]);
    let frame = Frame::new(&table, &[], "y", Task::Regression).unwrap();
    assert_eq!(try_fit(&frame, single()).unwrap().nodes(), 7);
    // Each of the lower splits is worth it, but not with the one above them, which lowers nothing.
    let forest = try_fit(&frame, ForestParams { ccp_alpha: 0.1, ..single() }).unwrap();
    assert_eq!((forest.nodes(), forest.importances().unwrap()), (1, vec![0.0, 0.0]));
}

#[test]
fn targets_of_any_scale_are_split_in_large_nodes() {
    let nodes = |exponent: i32| {
        let row = |row: i32| f64::from(row * 7919 % 6007);
        let table = batch(vec![
            ("x", numbers((0..6000).map(row))),
            ("y", numbers((0..6000).map(|number| libm::scalbn(row(number) * f64::from(number % 3), exponent)))),
        ]);
        let frame = Frame::new(&table, &[], "y", Task::Regression).unwrap();
        try_fit(&frame, single()).unwrap().nodes()
    };
    assert!(nodes(0) > 5000);
    for exponent in [-900, -600, -460, 400, 900] {
        assert_eq!(nodes(exponent), nodes(0), "times 2^{exponent}");
    }
}
