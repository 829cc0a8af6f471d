//! What a forest for several targets promises.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};

use super::*;
use crate::error::ErrorKind;
use crate::ml::conformance::{FEATURES, foods};
use crate::ml::{
    Compression, Envelope, Frame, Metrics, ModelFile, PermutationParams, TRAINERS, Target, decode, digest, encode,
    encode_to, evaluate, permutation_importance, trainer,
};
use crate::progress::Silent;

const TASKS: [Task; 2] = [Task::Regression, Task::Classification];

/// The targets of a task: the first as in [`foods`], the second another, the third the first again.
fn targets(task: Task) -> [&'static str; 3] {
    match task {
        Task::Regression => ["kcal", "burnt", "kcal_again"],
        Task::Classification => ["group", "fatty", "group_again"],
    }
}

fn table(rows: usize, seed: u64) -> RecordBatch {
    let batch = foods(rows, seed);
    let (fat, water) = (&batch["fat_g"], &batch["water_g"]);
    let (fat, water) = (fat.as_primitive::<Float64Type>(), water.as_primitive::<Float64Type>());
    let burnt = (0..rows).map(|row| -1000.0 - water.value(row) * if fat.is_null(row) { 1.0 } else { 30.0 });
    let fatty = (0..rows).map(|row| if fat.is_valid(row) && fat.value(row) > 6.0 { "yes" } else { "no" });
    let further: [(&str, ArrayRef); 4] = [
        ("burnt", Arc::new(Float64Array::from_iter_values(burnt))),
        ("fatty", Arc::new(StringArray::from_iter_values(fatty))),
        ("kcal_again", Arc::clone(&batch["kcal"])),
        ("group_again", Arc::clone(&batch["group"])),
    ];
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = batch.columns().to_vec();
    for (name, column) in further {
        fields.push(Field::new(name, column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn frame(rows: usize, task: Task, names: &[&str]) -> Frame {
    Frame::of_targets(&table(rows, 1), &FEATURES, names, task).unwrap()
}

fn both(rows: usize, task: Task) -> Frame {
    frame(rows, task, &targets(task)[..2])
}

fn params() -> ForestParams {
    ForestParams { n_estimators: 12, ..ForestParams::default() }
}

fn fit(frame: &Frame, params: ForestParams) -> Forest {
    ForestTrainer::new(frame.task(), params).unwrap().fit(frame, &Silent).unwrap()
}

/// A target twice, by weights that have both forests add sums of the same kind.
#[test]
fn a_target_twice_gives_the_trees_of_one() {
    let weights: Vec<f64> = (0..300).map(|row| 0.1 + f64::from(row % 7) * 0.3).collect();
    for (task, criterion) in [
        (Task::Regression, Criterion::SquaredError),
        (Task::Regression, Criterion::Poisson),
        (Task::Classification, Criterion::Gini),
        (Task::Classification, Criterion::Entropy),
    ] {
        let names = targets(task);
        let [one, twice] = [&[names[0]][..], &[names[0], names[2]]].map(|names| {
            let frame = frame(300, task, names).with_weights(weights.clone()).unwrap();
            fit(&frame, ForestParams { criterion: Some(criterion), min_impurity_decrease: 1e-4, ..params() })
        });
        assert_eq!(one.width() * 2, twice.width());
        for number in 0..one.trees() {
            let (one, twice) = (one.tree(number).unwrap(), twice.tree(number).unwrap());
            assert_eq!(one.feature, twice.feature, "tree {number} by {criterion:?}");
            assert_eq!(one.categories_left, twice.categories_left);
            assert_eq!(bits(&one.threshold), bits(&twice.threshold));
            for (one, twice) in one.value.chunks(one.n_outputs).zip(twice.value.chunks(twice.n_outputs)) {
                let repeated = [one, one].concat().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(repeated, twice.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
            }
        }
        let [one, twice] = [one.importances().unwrap(), twice.importances().unwrap()];
        assert!(one.iter().zip(&twice).all(|(one, twice)| (one - twice).abs() < 1e-12), "{one:?} {twice:?}");
    }
}

fn seen_bits(seen: Option<&OutOfBag>) -> Vec<u64> {
    let seen = seen.unwrap();
    seen.predictions.iter().chain(&seen.score).chain(&seen.error).map(|value| value.to_bits()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn each_target_has_predictions_of_its_own() {
    let batch = table(200, 2);
    let forest = fit(&both(400, Task::Regression), params());
    assert_eq!(forest.outputs().iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["kcal", "burnt"]);
    assert_eq!((forest.target(), forest.classes().len()), ("kcal, burnt", 0));
    let predicted = forest.predict(&batch).unwrap();
    for (name, [low, high]) in ["kcal", "burnt"].into_iter().zip(&forest.ranges) {
        let column = predicted.as_struct().column_by_name(name).unwrap().as_primitive::<Float64Type>();
        assert!(column.values().iter().all(|value| value >= low && value <= high), "{name}");
    }
    assert!(forest.predict_proba(&batch).is_err());

    let forest = fit(&both(400, Task::Classification), params());
    let shares = forest.predict_proba(&batch).unwrap();
    let predicted = forest.predict(&batch).unwrap();
    let labels: Vec<_> = predicted.as_struct().columns().iter().map(AsArray::as_string::<i32>).collect();
    for (row, shares) in shares.chunks_exact(5).enumerate() {
        let (group, fatty) = shares.split_at(3);
        for (label, shares, classes) in [
            (labels[0].value(row), group, &["high", "low", "middle"][..]),
            (labels[1].value(row), fatty, &["no", "yes"]),
        ] {
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert_eq!(label, classes[greatest(shares) as usize]);
        }
    }
}

#[test]
fn a_single_tree_knows_the_rows_it_was_grown_from() {
    for task in TASKS {
        let single = ForestParams { n_estimators: 1, bootstrap: false, ..params() };
        let frame = both(200, task);
        let forest = fit(&frame, single);
        let rows: Vec<u32> = (0..200).collect();
        let (batch, predicted) = (frame.batch(&rows).unwrap(), forest.predict(&table(200, 1)).unwrap());
        for name in &targets(task)[..2] {
            assert_eq!(&batch[*name], predicted.as_struct().column_by_name(name).unwrap());
        }
        assert!(forest.out_of_bag().is_none());
    }
}

#[test]
fn threads_and_parts_change_nothing() {
    for task in TASKS {
        let frame = both(5_000, task);
        let trainer = ForestTrainer::new(task, ForestParams { n_estimators: 4, ..params() }).unwrap();
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| trainer.fit(&frame, &Silent).unwrap())
        };
        let (one, three) = (of(1), of(3));
        assert_eq!(digest(&one).unwrap(), digest(&three).unwrap());
        assert_eq!(seen_bits(one.out_of_bag()), seen_bits(three.out_of_bag()));
        let parts = [0..1, 1..4].map(|trees| trainer.fit_trees(&frame, trees, &Silent).unwrap());
        let mut merged = Forest::merge(&parts.each_ref()).unwrap();
        assert_eq!(digest(&merged).unwrap(), digest(&one).unwrap());
        assert_eq!(seen_bits(merged.score_out_of_bag(&frame).unwrap()), seen_bits(one.out_of_bag()));
    }
}

#[test]
fn files_and_bodies_bring_all_targets_back() {
    for task in TASKS {
        let forest = fit(&both(150, task), params());
        let file = encode(&forest, &Envelope::default()).unwrap();
        let (again, _) = decode(&file).unwrap();
        let mut packed = Vec::new();
        let sink = &mut |bytes: &[u8]| {
            packed.extend_from_slice(bytes);
            Ok(())
        };
        encode_to(&forest, &Envelope::default(), Compression::Zstd, sink).unwrap();
        let unpacked = ModelFile::read(packed).unwrap().model;
        for again in [again, unpacked] {
            assert_eq!(again.outputs(), forest.outputs());
            assert_eq!(digest(again.as_ref()).unwrap(), digest(&forest).unwrap());
            assert_eq!(&again.predict(&table(50, 3)).unwrap(), &forest.predict(&table(50, 3)).unwrap());
            let known = again.as_forest().unwrap();
            assert_eq!((known.ranges.as_slice(), known.trees()), (forest.ranges.as_slice(), 12));
        }
    }
}

/// Whoever changes them changes every model of several targets that was ever trained.
#[test]
fn the_digests_of_small_forests_are_pinned() {
    let found = TASKS.map(|task| digest(&fit(&both(200, task), params())).unwrap()[..16].to_owned());
    assert_eq!(found, ["8e7d8c1d5b31ea39", "7d4b8a38951f73ef"]);
}

#[test]
fn figures_are_means_over_the_targets() {
    for task in TASKS {
        let forest = fit(&both(600, task), params());
        let Metrics::Several(metrics) = evaluate(&forest, &table(300, 2)).unwrap() else { panic!("two targets") };
        let [(first, one), (_, other)] = metrics.outputs.as_slice() else { panic!("two targets") };
        assert_eq!(first, targets(task)[0]);
        let all = Metrics::Several(metrics.clone()).figures();
        assert!(all.len() == 4 && all.keys().eq(one.figures().keys()));
        for (name, value) in all {
            let mean = (one.figures()[name] + other.figures()[name]) / 2.0;
            assert!((value - mean).abs() < 1e-9, "{name}: {value} is not {mean}");
        }
    }
}

#[test]
fn rows_out_of_bag_are_scored_over_all_targets() {
    let frame = both(600, Task::Regression);
    let forest = fit(&frame, ForestParams { n_estimators: 60, ..params() });
    let seen = forest.out_of_bag().unwrap();
    let r2 = |place: usize| {
        let Target::Numbers(truth) = &frame.targets()[place].1 else { panic!("numbers") };
        let predicted: Vec<f64> = seen.predictions.iter().skip(place).step_by(2).copied().collect();
        crate::ml::RegressionMetrics::of(truth, &predicted).unwrap().r2.unwrap()
    };
    assert!((seen.score.unwrap() - (r2(0) + r2(1)) / 2.0).abs() < 1e-12);
    assert!(r2(0) > 0.8 && r2(1) > 0.8, "{} {}", r2(0), r2(1));

    let frame = both(600, Task::Classification);
    let forest = fit(&frame, ForestParams { n_estimators: 60, ..params() });
    let seen = forest.out_of_bag().unwrap();
    let right = |row: &usize, places: Range<usize>, target: &Target| match target {
        Target::Labels { codes, .. } => greatest(&seen.predictions[row * 5..][places]) == codes[*row],
        Target::Numbers(_) => false,
    };
    let [(_, group), (_, fatty)] = frame.targets() else { panic!("two targets") };
    let all_right = (0..600).filter(|row| right(row, 0..3, group) && right(row, 3..5, fatty)).count();
    assert!((seen.score.unwrap() - all_right as f64 / 600.0).abs() < 1e-12);
    assert!(seen.score.unwrap() > 0.8, "{seen:?}");
}

#[test]
fn leaves_and_importances_tell_of_all_targets() {
    for task in TASKS {
        let table_of = both(300, task);
        let forest = fit(&table_of, params());
        for number in 0..2 {
            let (tree, found) = (forest.tree(number).unwrap(), forest.leaf_statistics(number, &table_of).unwrap());
            for (mean, node) in found.mean.chunks_exact(tree.n_outputs).zip(&found.node) {
                assert_eq!(mean, &tree.value[*node as usize * tree.n_outputs..][..tree.n_outputs]);
            }
            let bounds = found.least.iter().zip(&found.greatest);
            assert!(bounds.zip(&found.mean).all(|((least, greatest), mean)| least <= mean && mean <= greatest));
        }
        let shuffled = PermutationParams { n_repeats: 2, ..PermutationParams::default() };
        let out_of_bag = forest.out_of_bag_importances(&table_of, &shuffled, &Silent).unwrap();
        let held_out = permutation_importance(&forest, &table(200, 2), &shuffled, &Silent).unwrap();
        for found in [out_of_bag, held_out] {
            // Fat is in both targets of either task.
            assert!(found.features[1].mean > 0.0, "{found:?}");
        }
    }
}

#[test]
fn enough_trees_are_found_for_several_targets() {
    for task in TASKS {
        let frame = both(400, task);
        let limits = GrowthLimits { auto: true, ..GrowthLimits::default() };
        let forest = ForestTrainer::new(task, params()).unwrap().with_limits(limits).unwrap();
        let forest = forest.fit(&frame, &Silent).unwrap();
        assert!((30..1000).contains(&forest.trees()), "{}", forest.trees());
        let same = fit(&frame, ForestParams { n_estimators: forest.trees() as u32, ..params() });
        assert_eq!(digest(&same).unwrap(), digest(&forest).unwrap());
        assert_eq!(seen_bits(same.out_of_bag()), seen_bits(forest.out_of_bag()));
    }
}

#[test]
fn what_several_targets_cannot_have_is_refused() {
    let bound = ForestParams { monotonic_cst: [("fat_g".to_owned(), 1)].into(), ..params() };
    let medians = ForestParams { criterion: Some(Criterion::AbsoluteError), ..params() };
    let weighed = ForestParams { class_weight: Some(ClassWeight::Balanced), ..params() };
    for (task, params, word) in [
        (Task::Regression, bound, "monotonic_cst"),
        (Task::Regression, medians, "absolute_error"),
        (Task::Classification, weighed, "class_weight"),
    ] {
        let error = ForestTrainer::new(task, params).unwrap().fit(&both(50, task), &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.reason().unwrap().contains(word), "{error}");
    }
    let counts = ForestParams { criterion: Some(Criterion::Poisson), ..params() };
    let error = ForestTrainer::new(Task::Regression, counts).unwrap();
    let error = error.fit(&both(50, Task::Regression), &Silent).unwrap_err();
    assert!(error.to_string().contains("`burnt` by the Poisson deviance"), "{error}");
}

#[test]
fn no_others_but_the_dummy_learn_several_targets() {
    for task in TASKS {
        for name in TRAINERS.into_iter().filter(|name| !["forest", "dummy"].contains(name)) {
            let Ok(trainer) = trainer(name, task, &serde_json::Value::Null) else { continue };
            let error = trainer.train(&both(50, task), &Silent).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
        }
    }
}

#[test]
fn targets_are_columns_of_one_kind_each_named_once() {
    let refused = |targets: &[&str]| {
        let error = Frame::of_targets(&table(20, 1), &[], targets, Task::Regression).unwrap_err();
        error.to_string()
    };
    assert!(refused(&["kcal", "kcal"]).contains("the target `kcal` is named twice"));
    assert!(refused(&[]).contains("no target column"));
    assert!(refused(&["kcal", "group"]).contains("column `group`: the target of a regression must be numeric"));
    let frame = Frame::of_targets(&table(20, 1), &[], &["kcal", "burnt"], Task::Regression).unwrap();
    assert_eq!(frame.features().len(), 8);
    assert!(frame.strata().is_none());
    let one = table(20, 1).slice(0, 1);
    let same = concat(&[&one["burnt"], &one["burnt"]].map(AsRef::as_ref)).unwrap();
    let same = RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from(vec![1.0, 2.0])) as ArrayRef),
        ("y", cast(&Float64Array::from(vec![1.0, 2.0]), &DataType::Float64).unwrap()),
        ("burnt", same),
    ]);
    let error = Frame::of_targets(&same.unwrap(), &["x"], &["y", "burnt"], Task::Regression).unwrap_err();
    assert!(error.to_string().contains("column `burnt`: the target is constant"), "{error}");
}

#[test]
fn a_target_of_small_numbers_is_learnt_beside_one_of_huge_ones() {
    let row = |row: i32| f64::from(row * 7919 % 3001);
    let column =
        |value: &dyn Fn(i32) -> f64| Arc::new(Float64Array::from_iter_values((0..3000).map(value))) as ArrayRef;
    let table = RecordBatch::try_from_iter([
        ("x", column(&row)),
        ("huge", column(&|number| if number == 17 { 1e15 } else { 0.0 })),
        ("small", column(&|number| f64::from(u8::from(row(number) > 1500.0)))),
    ])
    .unwrap();
    let frame = Frame::of_targets(&table, &["x"], &["huge", "small"], Task::Regression).unwrap();
    let params = ForestParams { n_estimators: 1, bootstrap: false, ..ForestParams::default() };
    let forest = ForestTrainer::new(Task::Regression, params).unwrap().fit(&frame, &Silent).unwrap();
    assert_eq!(forest.nodes(), 7, "one cut for the step, two around the row");
}
