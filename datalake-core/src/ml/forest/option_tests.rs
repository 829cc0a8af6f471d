//! What the forest's options promise: weights, pruning, monotone predictions, random cuts, other losses.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use proptest::prelude::*;

use super::*;
use crate::ml::conformance::{FEATURES, foods};
use crate::ml::metrics::Metrics;
use crate::ml::{Frame, Target, digest, evaluate};
use crate::progress::Silent;

fn target_of(task: Task) -> &'static str {
    if task == Task::Regression { "kcal" } else { "group" }
}

fn frame_of(batch: &RecordBatch, task: Task) -> Frame {
    Frame::new(batch, &FEATURES, target_of(task), task).unwrap()
}

fn try_fit(frame: &Frame, params: ForestParams) -> Result<Forest> {
    ForestTrainer::new(frame.task(), params)?.fit(frame, &Silent)
}

fn fit(frame: &Frame, params: ForestParams) -> Forest {
    try_fit(frame, params).unwrap()
}

/// One tree from all rows.
fn single() -> ForestParams {
    ForestParams { n_estimators: 1, bootstrap: false, max_features: MaxFeatures::All, ..ForestParams::default() }
}

fn few() -> ForestParams {
    ForestParams { n_estimators: 8, ..ForestParams::default() }
}

fn raw(forest: &Forest, batch: &RecordBatch) -> Vec<f64> {
    forest.raw(batch).unwrap()
}

fn refused(frame: &Frame, params: ForestParams) -> String {
    let error = try_fit(frame, params).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Invalid);
    error.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    #[test]
    fn a_weight_of_two_is_a_row_twice(
        weights in prop::collection::vec(1_u8..4, 60),
        classes: bool,
        leaf in 1_u32..3,
        scale in prop::sample::select(vec![1.0, 0.25, 8.0]),
    ) {
        let task = if classes { Task::Classification } else { Task::Regression };
        let batch = foods(60, 5);
        let rows = |row: u32| std::iter::repeat_n(row, usize::from(weights[row as usize]));
        let frame = frame_of(&batch, task);
        let repeated = frame.select(&(0..60).flat_map(rows).collect::<Vec<u32>>()).unwrap();
        let weighted = frame.with_weights(weights.iter().map(|weight| f64::from(*weight) * scale).collect()).unwrap();
        // The least rows of a leaf are counted, not weighed.
        let params = ForestParams { min_weight_fraction_leaf: f64::from(leaf - 1) * 0.05, ..single() };
        let (weighted, repeated) = (fit(&weighted, params.clone()), fit(&repeated, params));
        let pairs: Vec<(f64, f64)> = raw(&weighted, &batch).into_iter().zip(raw(&repeated, &batch)).collect();
        prop_assert!(pairs.iter().all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0)), "{pairs:?}");
        prop_assert_eq!(weighted.nodes(), repeated.nodes());
    }

    #[test]
    fn rows_of_no_weight_are_not_there(
        kept in prop::collection::vec(prop::bool::weighted(0.7), 80),
        classes: bool,
        seed: u64,
    ) {
        prop_assume!(kept.iter().filter(|kept| **kept).count() > 40);
        let task = if classes { Task::Classification } else { Task::Regression };
        let batch = foods(80, 6);
        let frame = frame_of(&batch, task);
        let rows: Vec<u32> = (0..80).filter(|row| kept[*row as usize]).collect();
        let without = frame.select(&rows).unwrap();
        let weighted = frame.with_weights(kept.iter().map(|kept| f64::from(u8::from(*kept))).collect()).unwrap();
        let params = ForestParams { seed, ..few() };
        let (weighted, without) = (fit(&weighted, params.clone()), fit(&without, params));
        prop_assert_eq!(raw(&weighted, &batch), raw(&without, &batch));
        let seen = |forest: &Forest| forest.out_of_bag().map(|seen| (seen.score, seen.rows));
        prop_assert_eq!(seen(&weighted), seen(&without));
    }

    #[test]
    fn predictions_follow_a_monotone_feature(
        rows in prop::collection::vec((0_u8..20, 0_u8..4, -10_i8..10), 30..120),
        direction in prop::sample::select(vec![-1_i8, 1]),
        classes: bool,
        random: bool,
        depth in prop::option::of(1_u32..5),
        missing in 0_u8..4,
    ) {
        let x = rows.iter().map(|row| (row.0 >= missing).then_some(f64::from(row.0)));
        let target: ArrayRef = if classes {
            Arc::new(rows.iter().map(|row| Some(if row.2 > 0 { "b" } else { "a" })).collect::<StringArray>())
        } else {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| f64::from(row.2) + f64::from(row.0) * 0.3)))
        };
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(x.collect::<Float64Array>()) as ArrayRef),
            ("other", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| f64::from(row.1))))),
            ("y", target),
        ]).unwrap();
        let task = if classes { Task::Classification } else { Task::Regression };
        let Ok(frame) = Frame::new(&batch, &["x", "other"], "y", task) else { return Ok(()) };
        let params = ForestParams {
            monotonic_cst: [("x".to_owned(), direction)].into(),
            splitter: if random { Splitter::Random } else { Splitter::Best },
            max_depth: depth,
            ..few()
        };
        let forest = fit(&frame, params);
        for other in 0..4 {
            let grid = RecordBatch::try_from_iter([
                ("x", Arc::new(Float64Array::from_iter_values((-2..44).map(|x| f64::from(x) * 0.5))) as ArrayRef),
                ("other", Arc::new(Float64Array::from_value(f64::from(other), 46))),
            ]).unwrap();
            // Of two classes, the share of the second.
            let found = raw(&forest, &grid);
            let moves: Vec<f64> = if classes { found.chunks_exact(2).map(|row| row[1]).collect() } else { found };
            let ordered = moves.windows(2).all(|pair| (pair[1] - pair[0]) * f64::from(direction) >= -1e-12);
            prop_assert!(ordered, "{moves:?}");
        }
    }
}

#[test]
fn a_forest_has_at_most_so_many_leaves_and_the_best_of_them() {
    for task in [Task::Regression, Task::Classification] {
        let frame = frame_of(&foods(300, 1), task);
        let full = fit(&frame, single());
        let leaves = full.nodes().div_ceil(2) as u32;
        let same = fit(&frame, ForestParams { max_leaf_nodes: Some(leaves), ..single() });
        assert_eq!(raw(&same, &foods(300, 2)), raw(&full, &foods(300, 2)));
        let mut before = f64::NEG_INFINITY;
        for most in [2, 3, 5, 9, 20] {
            let pruned = fit(&frame, ForestParams { max_leaf_nodes: Some(most), ..single() });
            assert_eq!(pruned.nodes(), 2 * most as usize - 1);
            let fitted = match evaluate(&pruned, &foods(300, 1)).unwrap() {
                Metrics::Regression(metrics) => metrics.r2.unwrap(),
                Metrics::Classification(metrics) => metrics.accuracy,
                Metrics::Several(_) => unreachable!("one target"),
            };
            assert!(fitted >= before, "{most} leaves fit by {fitted}, fewer by {before}");
            before = fitted;
        }
    }
}

#[test]
fn a_greater_alpha_cuts_more() {
    let frame = frame_of(&foods(300, 1), Task::Regression);
    let nodes = |alpha: f64| fit(&frame, ForestParams { ccp_alpha: alpha, ..single() }).nodes();
    let found = [0.0, 1.0, 100.0, 1e9].map(nodes);
    assert!(found.is_sorted_by(|a, b| a >= b) && found[0] > found[2] && found[3] == 1, "{found:?}");
}

#[test]
fn pruning_keeps_what_is_worth_its_leaves() {
    // Values 0 0 | 10 11: the first split lowers the mean squared error by 27.5625, that of 10 and 11 by 0.125.
    let batch = RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0])) as ArrayRef),
        ("y", Arc::new(Float64Array::from(vec![0.0, 0.0, 10.0, 11.0]))),
    ])
    .unwrap();
    let frame = Frame::new(&batch, &["x"], "y", Task::Regression).unwrap();
    let nodes = |alpha: f64| fit(&frame, ForestParams { ccp_alpha: alpha, ..single() }).nodes();
    assert_eq!([0.12, 0.125, 27.5, 27.57].map(nodes), [5, 3, 3, 1]);
    let forest = fit(&frame, ForestParams { ccp_alpha: 0.2, ..single() });
    assert_eq!(raw(&forest, &batch), [0.0, 0.0, 10.5, 10.5]);
}

#[test]
fn a_leaf_has_its_share_of_the_weight() {
    let batch = foods(200, 1);
    let weights: Vec<f64> = (0..200).map(|row| f64::from(row % 7) + 0.1).collect();
    let all: f64 = weights.iter().sum();
    let frame = frame_of(&batch, Task::Regression).with_weights(weights.clone()).unwrap();
    let forest = fit(&frame, ForestParams { min_weight_fraction_leaf: 0.08, ..single() });
    let leaves = forest.apply(&batch).unwrap();
    let mut by_leaf = std::collections::BTreeMap::new();
    leaves.iter().zip(&weights).for_each(|(leaf, weight)| *by_leaf.entry(*leaf).or_insert(0.0) += weight);
    assert!(by_leaf.len() > 3 && by_leaf.values().all(|weight| *weight >= 0.08 * all - 1e-9), "{by_leaf:?}");
}

#[test]
fn classes_weigh_what_they_are_told_to() {
    let batch = foods(300, 1);
    let frame = frame_of(&batch, Task::Classification);
    let share = |class_weight: Option<ClassWeight>| {
        let forest = fit(&frame, ForestParams { class_weight, max_depth: Some(1), ..few() });
        raw(&forest, &batch).chunks_exact(3).map(|row| row[0]).sum::<f64>() / 300.0
    };
    let plain = share(None);
    let heavy = share(Some(ClassWeight::Of([("high".to_owned(), 10.0)].into())));
    assert!(heavy > plain + 0.2, "{heavy} {plain}");
    for balanced in [ClassWeight::Balanced, ClassWeight::BalancedSubsample] {
        assert!(share(Some(balanced.clone())) > 0.2, "{balanced:?}");
        let text = serde_json::to_string(&balanced).unwrap();
        assert_eq!(serde_json::from_str::<ClassWeight>(&text).unwrap(), balanced);
    }
    let unknown = Some(ClassWeight::Of([("hihg".to_owned(), 1.0)].into()));
    assert!(refused(&frame, ForestParams { class_weight: unknown, ..few() }).contains("`hihg`, which is no class"));
    let nothing = ["high", "low", "middle"].map(|class| (class.to_owned(), 0.0));
    let nothing = Some(ClassWeight::Of(nothing.into()));
    assert!(refused(&frame, ForestParams { class_weight: nothing, ..few() }).contains("every row weighs nothing"));
}

#[test]
fn every_loss_learns() {
    let (seen, unseen) = (foods(600, 1), foods(400, 2));
    for criterion in [Criterion::SquaredError, Criterion::AbsoluteError, Criterion::Poisson] {
        for splitter in [Splitter::Best, Splitter::Random] {
            let frame = frame_of(&seen, Task::Regression);
            let params = ForestParams { criterion: Some(criterion), splitter, n_estimators: 30, ..few() };
            let forest = fit(&frame, params);
            let Metrics::Regression(metrics) = evaluate(&forest, &unseen).unwrap() else { unreachable!("numbers") };
            assert!(metrics.r2.unwrap() > 0.85, "{criterion:?} {splitter:?} {metrics:?}");
        }
    }
}

#[test]
fn an_outlier_does_not_move_a_median() {
    let batch = RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from(vec![1.0, 1.0, 1.0, 2.0, 2.0])) as ArrayRef),
        ("y", Arc::new(Float64Array::from(vec![3.0, 4.0, 1e6, 7.0, 9.0]))),
    ])
    .unwrap();
    let frame = Frame::new(&batch, &["x"], "y", Task::Regression).unwrap();
    let forest = fit(&frame, ForestParams { criterion: Some(Criterion::AbsoluteError), ..single() });
    assert_eq!(raw(&forest, &batch), [4.0, 4.0, 4.0, 8.0, 8.0]);
}

#[test]
fn of_many_classes_those_are_tried_that_the_categories_tell() {
    // Twenty frequent classes that are everywhere alike, and two rare ones: either in every other category.
    let (mut foods, mut groups) = (Vec::new(), Vec::new());
    for category in 0..24 {
        for row in 0..42 {
            foods.push(format!("c{category:02}"));
            groups.push(if row < 40 { format!("a{}", row % 20) } else { format!("z{}", category % 2) });
        }
    }
    let table = RecordBatch::try_from_iter([
        ("food", Arc::new(StringArray::from(foods)) as ArrayRef),
        ("group", Arc::new(StringArray::from(groups))),
    ])
    .unwrap();
    let frame = Frame::new(&table, &["food"], "group", Task::Classification).unwrap();
    let params = ForestParams { n_estimators: 1, max_depth: Some(1), bootstrap: false, ..ForestParams::default() };
    let forest = ForestTrainer::new(Task::Classification, params).unwrap().fit(&frame, &Silent).unwrap();
    let mut left = forest.tree(0).unwrap().categories_left[0].clone();
    if left[0] == 1 {
        left = (0..24).filter(|code| !left.contains(code)).collect();
    }
    assert_eq!(left, (0..24).step_by(2).collect::<Vec<_>>());
}

#[test]
fn what_an_option_cannot_do_is_said() {
    let (regression, classes) =
        (frame_of(&foods(100, 1), Task::Regression), frame_of(&foods(100, 1), Task::Classification));
    let bound = |name: &str| ForestParams { monotonic_cst: [(name.to_owned(), 1)].into(), ..few() };
    assert!(refused(&regression, bound("nothing")).contains("it is no feature"));
    assert!(refused(&classes, bound(FEATURES[0])).contains("of 3 classes"));
    let negative = RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from(vec![1.0, 2.0])) as ArrayRef),
        ("y", Arc::new(Float64Array::from(vec![1.0, -2.0]))),
    ])
    .unwrap();
    let negative = Frame::new(&negative, &["x"], "y", Task::Regression).unwrap();
    let poisson = ForestParams { criterion: Some(Criterion::Poisson), ..few() };
    assert!(refused(&negative, poisson).contains("must not be negative, got `-2`"));
    for weights in [vec![1.0; 3], vec![-1.0, 1.0], vec![f64::NAN, 1.0], vec![0.0; 2]] {
        assert!(negative.clone().with_weights(weights).is_err());
    }
}

#[test]
fn options_leave_the_digest_to_rows_parameters_and_seed_alone() {
    let text = Arc::new(StringArray::from_iter_values((0..6000).map(|row| format!("c{}", row * 7 % 11))));
    let numbers =
        |step: i32| Arc::new(Float64Array::from_iter_values((0..6000).map(|row| f64::from(row * step % 4999))));
    let batch = RecordBatch::try_from_iter([
        ("kind", text as ArrayRef),
        ("a", numbers(17)),
        ("b", numbers(31)),
        ("y", numbers(13)),
    ])
    .unwrap();
    let frame = Frame::new(&batch, &["kind", "a", "b"], "y", Task::Regression).unwrap();
    let weighted = frame.clone().with_weights((0..6000).map(|row| f64::from(row % 5) + 0.3).collect()).unwrap();
    for (frame, params) in [
        (&weighted, few()),
        (&frame, ForestParams { splitter: Splitter::Random, ..few() }),
        (&frame, ForestParams { max_leaf_nodes: Some(40), ccp_alpha: 10.0, ..few() }),
        (&frame, ForestParams { monotonic_cst: [("a".to_owned(), 1)].into(), ..few() }),
        (&frame, ForestParams { criterion: Some(Criterion::AbsoluteError), n_estimators: 2, ..few() }),
    ] {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| digest(&fit(frame, params.clone())).unwrap())
        };
        assert_eq!(with(1), with(5), "{params:?}");
    }
}

#[test]
fn options_come_back_from_a_file() {
    let frame = frame_of(&foods(200, 1), Task::Regression);
    let forest = fit(&frame, ForestParams { max_leaf_nodes: Some(7), splitter: Splitter::Random, ..few() });
    let file = crate::ml::encode(&forest, &crate::ml::Envelope::default()).unwrap();
    let (again, _) = crate::ml::decode(&file).unwrap();
    assert_eq!(again.as_forest().unwrap().forest_params(), forest.forest_params());
    assert_eq!(digest(again.as_ref()).unwrap(), digest(&forest).unwrap());
}

#[test]
fn the_whole_is_what_batches_make() {
    // Weights come from a column as well as from numbers.
    let batch = concat_batches(&foods(50, 1).schema(), [&foods(50, 1), &foods(50, 2)]).unwrap();
    let frame = frame_of(&batch, Task::Regression);
    let column = batch.column_by_name(FEATURES[0]).unwrap().as_primitive::<Float64Type>().values().to_vec();
    let (by_column, by_numbers) =
        (frame.clone().with_weight_column(&batch, FEATURES[0]).unwrap(), frame.with_weights(column).unwrap());
    assert!(by_column.weights().is_some() && by_column.weights() == by_numbers.weights());
    assert!(matches!(by_column.target(), Target::Numbers(_)));
}
