//! What every [`Trainer`] and its models promise, one function a promise: for implementers to run in their tests.
//!
//! ```
//! use datalake_core::ml::{DummyTrainer, Task, conformance};
//! conformance::all(&DummyTrainer::new(Task::Regression));
//! ```

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Schema};

use super::{Envelope, Frame, Model, Task, Trainer, decode, digest, encode, evaluate};
use crate::error::{ErrorKind, Result};
use crate::progress::Silent;
use crate::random::Draws;

/// The feature columns of [`foods`].
pub const FEATURES: [&str; 4] = ["protein_g", "fat_g", "water_g", "color"];

/// A seeded table of invented foods: numbers with gaps, a text column, energy (`kcal`) that follows from them with
/// some noise, and a class (`group`) that follows from the energy.
#[must_use]
pub fn foods(rows: usize, seed: u64) -> RecordBatch {
    let mut draws = Draws::new(seed, 0);
    let mut column = |missing: f64| -> Vec<Option<f64>> {
        (0..rows).map(|_| draws.unit()).map(|unit| (unit >= missing).then_some(unit * 10.0)).collect()
    };
    let (protein, fat, water, noise) = (column(0.0), column(0.1), column(0.0), column(0.0));
    let known = |column: &[Option<f64>], row: usize, instead: f64| column[row].unwrap_or(instead);
    let color = |row: usize| ["blue", "green", "red", "white", "yellow"][(known(&water, row, 0.0) * 7.3) as usize % 5];
    let energy: Vec<f64> = (0..rows)
        .map(|row| {
            let bonus = if color(row) == "red" { 20.0 } else { 0.0 };
            4.0 * known(&protein, row, 0.0) + 9.0 * known(&fat, row, 7.0) + bonus + known(&noise, row, 0.0) * 0.1
        })
        .collect();
    let group = energy.iter().map(|kcal| ["low", "middle", "high"][(kcal / 50.0).min(2.0) as usize]);
    RecordBatch::try_from_iter([
        ("protein_g", Arc::new(Float64Array::from(protein.clone())) as ArrayRef),
        ("fat_g", Arc::new(Float64Array::from(fat.clone()))),
        ("water_g", Arc::new(Float64Array::from(water.clone()))),
        ("color", Arc::new((0..rows).map(|row| Some(color(row))).collect::<StringArray>())),
        ("group", Arc::new(StringArray::from_iter_values(group))),
        ("kcal", Arc::new(Float64Array::from(energy.clone()))),
    ])
    .expect("columns of one length make a batch")
}

fn target(task: Task) -> &'static str {
    match task {
        Task::Regression => "kcal",
        Task::Classification => "group",
    }
}

fn train(trainer: &dyn Trainer, table: &RecordBatch) -> Result<Box<dyn Model>> {
    let frame = Frame::new(table, &FEATURES, target(trainer.task()), trainer.task())?;
    trainer.train(&frame, &Silent)
}

fn trained(trainer: &dyn Trainer) -> Box<dyn Model> {
    train(trainer, &foods(150, 1)).expect("a table without fault is learnt from")
}

/// Runs every promise.
///
/// # Panics
/// If one is not kept.
pub fn all(trainer: &dyn Trainer) {
    says_what_it_is(trainer);
    predicts_every_row(trainer);
    is_at_least_as_good_as_no_features(trainer);
    refuses_the_other_task(trainer);
    finds_columns_by_name(trainer);
    names_a_missing_column(trainer);
    ignores_other_columns(trainer);
    predicts_row_by_row(trainer);
    comes_back_from_a_file(trainer);
    has_one_digest(trainer);
    has_one_digest_for_any_threads(trainer);
    has_one_digest_for_any_batches(trainer);
}

/// A model has its trainer's name and task, its frame's target and classes, and only features of the frame.
///
/// # Panics
/// If not.
pub fn says_what_it_is(trainer: &dyn Trainer) {
    let model = trained(trainer);
    assert_eq!((model.name(), model.task()), (trainer.name(), trainer.task()));
    assert_eq!(model.target(), target(trainer.task()));
    assert_eq!(model.classes().is_empty(), trainer.task() == Task::Regression);
    assert!(model.features().iter().all(|feature| FEATURES.contains(&feature.name.as_str())));
    if let Some(importances) = model.importances() {
        assert_eq!(importances.len(), model.features().len());
        assert!((importances.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{importances:?}");
    }
}

/// Every row gets one prediction of the task's type, none of them null; no rows get none; probabilities sum to one.
///
/// # Panics
/// If not.
pub fn predicts_every_row(trainer: &dyn Trainer) {
    let (model, table) = (trained(trainer), foods(70, 2));
    let predicted = model.predict(&table).expect("rows of the same kind are predicted");
    assert_eq!((predicted.len(), predicted.null_count()), (70, 0));
    assert_eq!(model.predict(&table.slice(0, 0)).expect("no rows are no error").len(), 0);
    let probabilities = model.predict_proba(&table);
    match trainer.task() {
        Task::Regression => {
            assert_eq!(predicted.data_type(), &DataType::Float64);
            assert_eq!(probabilities.map_err(|error| error.kind()), Err(ErrorKind::Unsupported));
        }
        Task::Classification => {
            assert_eq!(predicted.data_type(), &DataType::Utf8);
            let probabilities = probabilities.expect("a classification has probabilities");
            assert_eq!(probabilities.len(), 70 * model.classes().len());
            for row in probabilities.chunks_exact(model.classes().len()) {
                assert!(row.iter().all(|share| (0.0..=1.0).contains(share)), "{row:?}");
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
            }
        }
    }
}

/// On new rows the model is not worse than the mean or the most frequent class.
///
/// # Panics
/// If it is.
pub fn is_at_least_as_good_as_no_features(trainer: &dyn Trainer) {
    let table = foods(150, 3);
    let error = |trainer: &dyn Trainer| {
        let model = train(trainer, &foods(150, 1)).expect("a table without fault is learnt from");
        let figures = evaluate(model.as_ref(), &table).expect("known rows are measured").figures();
        figures.get("rmse").copied().or_else(|| figures.get("accuracy").map(|accuracy| 1.0 - accuracy))
    };
    let (own, dummy) = (error(trainer), error(&super::DummyTrainer::new(trainer.task())));
    assert!(own <= dummy, "{own:?} is worse than {dummy:?}");
}

/// A table read for the other task is refused.
///
/// # Panics
/// If it is not.
pub fn refuses_the_other_task(trainer: &dyn Trainer) {
    let other = match trainer.task() {
        Task::Regression => Task::Classification,
        Task::Classification => Task::Regression,
    };
    let frame = Frame::new(&foods(50, 1), &FEATURES, target(other), other).expect("the table has no fault");
    let error = trainer.train(&frame, &Silent).expect_err("the other task is refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// Columns are found by name: their order in a batch changes nothing.
///
/// # Panics
/// If it does.
pub fn finds_columns_by_name(trainer: &dyn Trainer) {
    let (model, table) = (trained(trainer), foods(60, 2));
    let turned: Vec<usize> = (0..table.num_columns()).rev().collect();
    let turned = table.project(&turned).expect("the columns are there");
    assert_eq!(model.predict(&turned).ok(), model.predict(&table).ok());
}

/// A column that the model needs and the batch lacks, or holds in another type, is named.
///
/// # Panics
/// If it is not.
pub fn names_a_missing_column(trainer: &dyn Trainer) {
    let (model, table) = (trained(trainer), foods(20, 2));
    for feature in model.features() {
        let (lacking, drifted) = (without(&table, &feature.name), with_other_type(&table, &feature.name));
        for batch in [lacking, drifted] {
            let error = model.predict(&batch).expect_err("the column cannot be used");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(&format!("`{}`", feature.name)), "{error}");
        }
    }
}

fn without(table: &RecordBatch, name: &str) -> RecordBatch {
    let schema = table.schema();
    let others: Vec<usize> = (0..table.num_columns()).filter(|&index| schema.field(index).name() != name).collect();
    table.project(&others).expect("the columns are there")
}

/// Text where there were numbers, and numbers where there was text.
fn with_other_type(table: &RecordBatch, name: &str) -> RecordBatch {
    let rows = table.num_rows();
    let numeric = table.column_by_name(name).is_some_and(|column| column.data_type().is_numeric());
    let other: ArrayRef =
        if numeric { Arc::new(StringArray::from(vec!["1"; rows])) } else { Arc::new(Int32Array::from(vec![1; rows])) };
    with_column(&without(table, name), name, other)
}

fn with_column(table: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let schema = table.schema();
    let columns = schema.fields().iter().map(|field| field.name().as_str()).zip(table.columns().iter().cloned());
    RecordBatch::try_from_iter(columns.chain([(name, column)])).expect("columns of one length make a batch")
}

/// Columns that the model does not need may be there or not, whatever they hold.
///
/// # Panics
/// If they matter.
pub fn ignores_other_columns(trainer: &dyn Trainer) {
    let (model, table) = (trained(trainer), foods(60, 2));
    let more = with_column(&table, "odd", Arc::new(Float64Array::from(vec![f64::INFINITY; 60])));
    let bare = without(&table, target(trainer.task()));
    let predicted = model.predict(&table).ok();
    assert_eq!(model.predict(&more).ok(), predicted);
    assert_eq!(model.predict(&bare).ok(), predicted);
}

/// A row's prediction does not depend on the rows beside it.
///
/// # Panics
/// If it does.
pub fn predicts_row_by_row(trainer: &dyn Trainer) {
    let (model, table) = (trained(trainer), foods(130, 2));
    let whole = model.predict(&table).expect("rows of the same kind are predicted");
    for (offset, length) in [(0, 1), (1, 64), (65, 65), (129, 1)] {
        let part = model.predict(&table.slice(offset, length)).expect("a part is predicted as well");
        assert_eq!(&part, &whole.slice(offset, length));
    }
}

/// A model that is written and read again predicts the same and has the same digest; one that cannot be written
/// says so.
///
/// # Panics
/// If not.
pub fn comes_back_from_a_file(trainer: &dyn Trainer) {
    let (model, table) = (trained(trainer), foods(60, 2));
    let envelope = Envelope::default().with_note("conformance").with_metric("r2", 0.5);
    let file = match encode(model.as_ref(), &envelope) {
        Ok(file) => file,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Unsupported),
    };
    let (again, read) = decode(&file).expect("what was written can be read");
    assert_eq!(read, envelope);
    assert_eq!(again.predict(&table).ok(), model.predict(&table).ok());
    assert_eq!(again.predict_proba(&table).ok(), model.predict_proba(&table).ok());
    assert_eq!(again.features(), model.features());
    assert_eq!(again.params(), model.params());
    assert_eq!(digest(again.as_ref()).ok(), digest(model.as_ref()).ok());
    assert_eq!(encode(again.as_ref(), &envelope).ok(), Some(file));
}

fn digest_of(trainer: &dyn Trainer, table: &RecordBatch) -> Option<String> {
    let model = train(trainer, table).expect("a table without fault is learnt from");
    digest(model.as_ref()).ok()
}

/// Equal tables, parameters and seeds give one digest.
///
/// # Panics
/// If they give two.
pub fn has_one_digest(trainer: &dyn Trainer) {
    assert_eq!(digest_of(trainer, &foods(150, 1)), digest_of(trainer, &foods(150, 1)));
}

/// One thread, two or five give one digest, and the same out-of-bag predictions.
///
/// # Panics
/// If they give two.
pub fn has_one_digest_for_any_threads(trainer: &dyn Trainer) {
    let of = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        pool.install(|| {
            let model = trained(trainer);
            let bits = model.out_of_bag().map(|seen| seen.predictions.iter().map(|value| value.to_bits()).collect());
            (digest(model.as_ref()).ok(), bits)
        })
    };
    let one: (Option<String>, Option<Vec<u64>>) = of(1);
    for threads in [2, 5] {
        assert_eq!(of(threads), one, "{threads} threads");
    }
}

/// The batches that a table came in, and columns it has beside the features, change no digest.
///
/// # Panics
/// If they do.
pub fn has_one_digest_for_any_batches(trainer: &dyn Trainer) {
    let table = foods(150, 1);
    let parts = [table.slice(0, 1), table.slice(1, 0), table.slice(1, 99), table.slice(100, 50)];
    let joined = concat_batches(&Arc::new(Schema::clone(&table.schema())), &parts).expect("parts of one table join");
    let more = with_column(&joined, "odd", Arc::new(Float64Array::from(vec![f64::INFINITY; 150])));
    assert_eq!(digest_of(trainer, &more), digest_of(trainer, &table));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ml::{TRAINERS, trainer};

    fn keeps_its_promises(name: &str, task: Task) {
        let params = if name == "forest" { json!({ "n_estimators": 7, "seed": 3 }) } else { Value::Null };
        assert!(TRAINERS.contains(&name));
        all(trainer(name, task, &params).unwrap().as_ref());
    }

    #[test]
    fn regression_forests_keep_their_promises() {
        keeps_its_promises("forest", Task::Regression);
    }

    #[test]
    fn classification_forests_keep_their_promises() {
        keeps_its_promises("forest", Task::Classification);
    }

    #[test]
    fn dummies_keep_their_promises() {
        keeps_its_promises("dummy", Task::Regression);
        keeps_its_promises("dummy", Task::Classification);
    }

    #[test]
    fn linear_models_keep_their_promises() {
        keeps_its_promises("linear", Task::Regression);
    }

    #[test]
    fn logistic_models_keep_their_promises() {
        keeps_its_promises("logistic", Task::Classification);
    }

    #[test]
    fn linfas_trees_keep_their_promises() {
        keeps_its_promises("linfa-trees", Task::Classification);
    }
}
