//! What a grown forest promises, over small tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;

use super::*;
use crate::error::ErrorKind;
use crate::ml::conformance::{FEATURES, foods};
use crate::ml::metrics::Metrics;
use crate::ml::{Frame, Keep, Target, digest, evaluate, holdout};
use crate::progress::{Notes, Silent, Stopped};

fn frame(rows: usize, task: Task) -> Frame {
    let target = if task == Task::Regression { "kcal" } else { "group" };
    Frame::new(&foods(rows, 1), &FEATURES, target, task).unwrap()
}

fn fit(frame: &Frame, change: impl FnOnce(&mut ForestParams)) -> Forest {
    let mut params = ForestParams { n_estimators: 10, ..ForestParams::default() };
    change(&mut params);
    ForestTrainer::new(frame.task(), params).unwrap().fit(frame, &Silent).unwrap()
}

fn numbers(model: &Forest, batch: &RecordBatch) -> Vec<f64> {
    model.predict(batch).unwrap().as_primitive::<Float64Type>().values().to_vec()
}

/// Digests of small forests: whoever changes them changes every model that was ever trained.
#[test]
fn the_digests_of_small_forests_are_pinned() {
    let found = [
        digest(&fit(&frame(200, Task::Regression), |_| ())).unwrap(),
        digest(&fit(&frame(200, Task::Regression), |p| (p.max_features, p.seed) = (MaxFeatures::Third, 9))).unwrap(),
        digest(&fit(&frame(200, Task::Regression), |p| (p.bootstrap, p.min_samples_leaf) = (false, 3))).unwrap(),
        digest(&fit(&frame(200, Task::Classification), |_| ())).unwrap(),
        digest(&fit(&frame(200, Task::Classification), |p| p.max_depth = Some(3))).unwrap(),
    ];
    assert_eq!(
        found.map(|digest| digest[..16].to_owned()),
        ["6ee969704f66c89f", "c071dc36207e78bb", "0abef41d7b4af8b0", "bb7779f61318ea97", "afc9ce03ea5e126d"]
    );
}

#[test]
fn one_tree_without_bootstrap_knows_its_rows_by_heart() {
    let frame = frame(150, Task::Regression);
    let forest = fit(&frame, |params| (params.n_estimators, params.bootstrap) = (1, false));
    let Target::Numbers(truth) = frame.target() else { unreachable!("a regression") };
    assert_eq!(&numbers(&forest, &foods(150, 1)), truth);
    assert!(forest.out_of_bag().is_none());
}

#[test]
fn the_forest_learns_and_its_out_of_bag_score_says_how_well() {
    let frame = frame(600, Task::Regression);
    let forest = fit(&frame, |params| params.n_estimators = 50);
    let Metrics::Regression(metrics) = evaluate(&forest, &foods(600, 2)).unwrap() else { unreachable!("a regression") };
    let (held_out, seen) = (metrics.r2.unwrap(), forest.out_of_bag().unwrap());
    assert!(held_out > 0.9, "{held_out}");
    assert_eq!((seen.rows, seen.predictions.len()), (600, 600));
    assert!((seen.score.unwrap() - held_out).abs() < 0.05, "{seen:?}");
}

#[test]
fn a_classifier_learns_and_shares_sum_to_one() {
    let forest = fit(&frame(600, Task::Classification), |params| params.n_estimators = 50);
    let Metrics::Classification(metrics) = evaluate(&forest, &foods(600, 2)).unwrap() else { unreachable!("classes") };
    assert!(metrics.accuracy > 0.85, "{metrics:?}");
    assert_eq!(metrics.classes, ["high", "low", "middle"]);
    assert!((forest.out_of_bag().unwrap().score.unwrap() - metrics.accuracy).abs() < 0.07);
    for row in forest.predict_proba(&foods(50, 3)).unwrap().chunks_exact(3) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
    }
}

#[test]
fn importances_point_at_what_matters() {
    let forest = fit(&frame(600, Task::Regression), |_| ());
    let importances = forest.importances().unwrap();
    assert!((importances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(importances[1] > 0.5 && importances[2] < 0.05, "{importances:?}");
}

#[test]
fn depth_and_leaves_keep_their_limits() {
    let frame = frame(300, Task::Regression);
    let stump = fit(&frame, |params| (params.n_estimators, params.max_depth) = (4, Some(1)));
    assert_eq!(stump.nodes(), 4 * 3);
    let none = fit(&frame, |params| params.min_impurity_decrease = 1e12);
    assert_eq!(none.nodes(), none.trees());
    assert!(fit(&frame, |params| params.min_samples_leaf = 20).nodes() < fit(&frame, |_| ()).nodes() / 5);
}

#[test]
fn a_row_alone_is_predicted_as_among_others() {
    // With categories, with gaps, and with neither.
    let features: [&[&str]; 3] = [&FEATURES, &["protein_g", "fat_g"], &["protein_g", "water_g"]];
    for (task, target) in [(Task::Regression, "kcal"), (Task::Classification, "group")] {
        for (features, trees) in features.iter().flat_map(|features| [1, 5, 150].map(|trees| (*features, trees))) {
            let frame = Frame::new(&foods(200, 1), features, target, task).unwrap();
            let forest = fit(&frame, |params| params.n_estimators = trees);
            let (batch, width) = (foods(40, 3), forest.width());
            let together = forest.raw(&batch).unwrap();
            for rows in [1, 5] {
                for first in (0..40).step_by(rows) {
                    let alone = forest.raw(&batch.slice(first, rows)).unwrap();
                    let expected = &together[first * width..][..rows * width];
                    assert_eq!(alone, expected, "{rows} rows from {first} by {features:?}, {task}, {trees} trees");
                }
            }
        }
    }
}

#[test]
fn columns_of_nothing_are_never_split_by() {
    let rows = 40_i32;
    let batch = RecordBatch::try_from_iter([
        ("none", Arc::new(Float64Array::from(vec![None; 40])) as ArrayRef),
        ("same", Arc::new(Float64Array::from(vec![1.0; 40]))),
        ("text", Arc::new(StringArray::from(vec![None::<&str>; 40]))),
        ("x", Arc::new(Float64Array::from_iter_values((0..rows).map(f64::from)))),
        ("y", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| f64::from(row * row))))),
    ])
    .unwrap();
    let frame = Frame::new(&batch, &[], "y", Task::Regression).unwrap();
    let forest = fit(&frame, |params| params.max_features = MaxFeatures::Count(1));
    assert_eq!(forest.importances().unwrap(), [0.0, 0.0, 0.0, 1.0]);
    let blind = Frame::new(&batch, &["none", "same", "text"], "y", Task::Regression).unwrap();
    assert_eq!(fit(&blind, |_| ()).nodes(), 10);
}

#[test]
fn numbers_at_the_ends_of_their_range_are_learnt() {
    let values = [-1.7e308, -5e-324, 5e-324, 1.7e308];
    let batch = RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from(values.to_vec())) as ArrayRef),
        ("y", Arc::new(Float64Array::from(values.to_vec()))),
    ])
    .unwrap();
    let frame = Frame::new(&batch, &["x"], "y", Task::Regression).unwrap();
    let forest = fit(&frame, |params| (params.n_estimators, params.bootstrap) = (1, false));
    let found = numbers(&forest, &batch);
    assert_eq!([found[0].to_bits(), found[3].to_bits()], [values[0].to_bits(), values[3].to_bits()], "{found:?}");
}

#[test]
fn ten_thousand_categories_are_learnt() {
    let code = |row: u32| row.wrapping_mul(2_654_435_761) % 10_000;
    let rows = 20_000;
    let batch = RecordBatch::try_from_iter([
        ("food", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{:05}", code(row))))) as ArrayRef),
        ("kcal", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| f64::from(code(row) % 7))))),
    ])
    .unwrap();
    let frame = Frame::new(&batch, &["food"], "kcal", Task::Regression).unwrap();
    let forest = fit(&frame, |params| (params.n_estimators, params.bootstrap) = (1, false));
    let Metrics::Regression(metrics) = evaluate(&forest, &batch).unwrap() else { unreachable!("a regression") };
    assert!(metrics.rmse < 1e-9, "{metrics:?}");
    assert!(forest.nodes() < 20, "categories are split as sets: {}", forest.nodes());
}

#[test]
fn lost_values_are_named() {
    let batch = RecordBatch::try_from_iter([
        ("when", Arc::new(Float64Array::from(vec![1e9, 1e9 + 1.0, 1e9 + 2.0])) as ArrayRef),
        ("y", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0]))),
    ])
    .unwrap();
    let frame = Frame::new(&batch, &[], "y", Task::Regression).unwrap();
    let notes = Notes::default();
    ForestTrainer::new(Task::Regression, ForestParams::default()).unwrap().fit(&frame, &notes).unwrap();
    let notes = notes.0.into_inner().unwrap();
    assert_eq!(notes, ["columns lose distinct values, since a forest rounds numbers to 32 bits: `when` (2)"]);
}

#[test]
fn a_cancelled_fit_says_so() {
    let trainer = ForestTrainer::new(Task::Regression, ForestParams::default()).unwrap();
    let error = trainer.fit(&frame(20, Task::Regression), &Stopped).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

fn parts(frame: &Frame, cuts: &[u32]) -> Vec<Forest> {
    let params = ForestParams { n_estimators: 10, seed: 5, ..ForestParams::default() };
    let trainer = ForestTrainer::new(frame.task(), params).unwrap();
    cuts.windows(2).map(|cut| trainer.fit_trees(frame, cut[0]..cut[1], &Silent).unwrap()).collect()
}

#[test]
fn a_forest_of_parts_is_the_whole() {
    for task in [Task::Regression, Task::Classification] {
        let frame = frame(150, task);
        let whole = fit(&frame, |params| params.seed = 5);
        for cuts in [&[0, 10][..], &[0, 1, 10], &[0, 3, 4, 9, 10]] {
            let mut parts = parts(&frame, cuts);
            parts.reverse();
            assert!(parts.len() == 1 || parts.iter().all(Forest::is_part));
            let mut merged = Forest::merge(&parts.iter().collect::<Vec<_>>()).unwrap();
            assert!(!merged.is_part() && merged.out_of_bag().is_none());
            assert_eq!(digest(&merged).unwrap(), digest(&whole).unwrap());
            let bits = |seen: Option<&OutOfBag>| -> Vec<u64> {
                let seen = seen.unwrap();
                seen.predictions.iter().chain(&seen.score).chain(&seen.error).map(|value| value.to_bits()).collect()
            };
            assert_eq!(bits(merged.score_out_of_bag(&frame).unwrap()), bits(whole.out_of_bag()));
        }
    }
}

#[test]
fn a_part_comes_back_from_its_file_and_names_its_trees() {
    let frame = frame(60, Task::Regression);
    let [_, part] = <[Forest; 2]>::try_from(parts(&frame, &[0, 4, 10])).unwrap();
    let file = crate::ml::encode(&part, &crate::ml::Envelope::default()).unwrap();
    let (model, _) = crate::ml::decode(&file).unwrap();
    assert_eq!(model.as_forest().unwrap().tree_range(), 4..10);
    assert_eq!(digest(model.as_ref()).unwrap(), digest(&part).unwrap());
}

#[test]
fn parts_that_do_not_make_a_whole_are_refused() {
    let frame = frame(60, Task::Regression);
    let [first, middle, last] = <[Forest; 3]>::try_from(parts(&frame, &[0, 4, 7, 10])).unwrap();
    let other = fit(&frame, |params| params.seed = 6);
    let elsewhere = fit(&self::frame(61, Task::Regression), |params| params.seed = 5);
    let reason = |parts: &[&Forest]| Forest::merge(parts).unwrap_err().reason().unwrap_or_default().to_owned();
    assert_eq!(reason(&[]), "there is none");
    assert_eq!(reason(&[&first, &last]), "the trees 4..7 are in none of them");
    assert_eq!(reason(&[&first, &middle]), "the trees 7..10 are in none of them");
    assert_eq!(reason(&[&middle, &last]), "the trees 0..4 are in none of them");
    assert_eq!(reason(&[&first, &first]), "tree 0 is in two of them");
    assert!(reason(&[&first, &other]).contains("parameters differ"));
    assert!(reason(&[&first, &elsewhere]).contains("differ"));
    let trainer = ForestTrainer::new(Task::Regression, ForestParams::default()).unwrap();
    let error = trainer.fit_trees(&frame, 90..101, &Silent).unwrap_err();
    assert_eq!(error.reason(), Some("the forest has the trees 0..100"));
}

#[test]
fn rows_of_another_table_have_no_out_of_bag_score() {
    let mut forest = fit(&frame(60, Task::Regression), |_| ());
    let error = forest.score_out_of_bag(&frame(61, Task::Regression)).unwrap_err();
    assert!(error.reason().unwrap().contains("not the one that it was grown from"), "{error:?}");
}

#[test]
fn the_forest_beats_the_mean_on_rows_kept_apart() {
    let whole = frame(400, Task::Regression);
    let split = holdout(400, 0.25, 3, Keep::Nothing).unwrap();
    let forest = fit(&whole.select(&split.train).unwrap(), |_| ());
    let Metrics::Regression(metrics) = evaluate(&forest, &whole.batch(&split.test).unwrap()).unwrap() else {
        unreachable!("a regression")
    };
    assert!(metrics.r2.unwrap() > 0.8, "{metrics:?}");
}
