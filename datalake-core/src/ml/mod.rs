//! Forests, baselines, metrics, validation and model files, over record batches.
//!
//! A [`Trainer`] learns a [`Model`] from a [`Frame`]; [`trainer`] finds one by name. Training runs on the rayon
//! pool of the caller (see [`compute`](crate::compute)), and neither its threads nor the row groups a table came
//! in move a bit of the result: equal tables, parameters and seeds give models of one [`digest`].
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{ArrayRef, Float64Array, RecordBatch};
//! use datalake_core::ml::{Frame, Task, decode, digest, encode, trainer, Envelope};
//! use datalake_core::progress::Silent;
//!
//! let grams: Vec<f64> = (0..50).map(f64::from).collect();
//! let energy: Vec<f64> = grams.iter().map(|fat| fat * 9.0).collect();
//! let table = RecordBatch::try_from_iter([
//!     ("fat_g", Arc::new(Float64Array::from(grams)) as ArrayRef),
//!     ("kcal", Arc::new(Float64Array::from(energy)) as ArrayRef),
//! ])?;
//! let frame = Frame::new(&table, &[], "kcal", Task::Regression)?;
//! let settings = serde_json::json!({ "n_estimators": 10, "seed": 7 });
//! let model = trainer("forest", Task::Regression, &settings)?.train(&frame, &Silent)?;
//!
//! let file = encode(model.as_ref(), &Envelope::default())?;
//! let (again, _) = decode(&file)?;
//! assert_eq!(digest(again.as_ref())?, digest(model.as_ref())?);
//! assert_eq!(&again.predict(&table)?, &model.predict(&table)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod categorical;
mod codec;
pub mod conformance;
mod dummy;
mod feature;
pub mod forest;
mod frame;
mod input;
mod linear;
pub mod linfa;
mod linfa_trees;
mod metrics;
mod model_file;
mod numbers;
mod permutation;
mod registry;
mod rounding;
mod store;
mod target;
mod validate;
mod weights;

use std::fmt::Debug;

use arrow::array::{ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};

pub use categorical::categorical_features;
pub use dummy::DummyTrainer;
#[cfg(feature = "pipeline")]
pub(crate) use feature::is_text;
pub use feature::{Column, Feature, FeatureKind, MISSING};
pub use frame::Frame;
pub use input::{ColumnInput, InputReport};
pub use linear::{LinearTrainer, LogisticParams, LogisticTrainer};
pub use linfa_trees::{LinfaTreesParams, LinfaTreesTrainer};
pub use metrics::{ClassificationMetrics, Metrics, RegressionMetrics, SeveralMetrics, evaluate};
#[cfg(any(test, feature = "testing"))]
pub use model_file::hostile;
pub use model_file::{Compression, Envelope, ModelFile, Part, decode, digest, encode, encode_to};
pub use numbers::Numbers;
pub use permutation::{PermutationImportance, PermutationImportances, PermutationParams, permutation_importance};
pub use registry::{TRAINERS, baselines, trainer};
pub use rounding::{ExactColumn, ExactColumns, rounded_table, rounded_to_single, rounding_note};
pub use target::{Output, Target};
pub use validate::{
    CrossValidation, Keep, Split, cross_validate, cross_validate_beside_baselines, holdout, k_fold, repeated_k_fold,
};

use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A number.
    Regression,
    /// One of a set of classes.
    Classification,
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Regression => "regression",
            Self::Classification => "classification",
        })
    }
}

/// Learns a model from a table.
pub trait Trainer: Debug + Send + Sync {
    /// Its name in reports and model files: `forest`, `linear`, `logistic`, `dummy`, `linfa-trees`.
    fn name(&self) -> &'static str;

    /// What its models predict.
    fn task(&self) -> Task;

    /// Learns from every row of `table`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a table it cannot learn from; [`Cancelled`](crate::ErrorKind::Cancelled).
    fn train(&self, table: &Frame, progress: &dyn Progress) -> Result<Box<dyn Model>>;
}

/// A learned model.
pub trait Model: Debug + Send + Sync {
    /// Its kind in model files and reports, the name of its [`Trainer`].
    fn name(&self) -> &'static str;

    /// What it predicts.
    fn task(&self) -> Task;

    /// The column that it predicts; of several, their names in a row.
    fn target(&self) -> &str;

    /// The columns that it needs, by name; their order in a batch does not matter.
    fn features(&self) -> &[Feature];

    /// The class labels in the order of [`Model::predict_proba`]; empty for a regression and for several targets.
    fn classes(&self) -> &[String];

    /// Each column that it predicts, with its classes: one, or those of a frame [of several targets](Frame::of_targets).
    fn outputs(&self) -> Vec<Output> {
        vec![Output { name: self.target().to_owned(), classes: self.classes().to_vec() }]
    }

    /// One prediction a row: `Float64` for a regression, `Utf8` labels for a classification. Never null. For several
    /// targets a `Struct` with a field for each, by its name.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a missing column or one of another type, by name.
    fn predict(&self, rows: &RecordBatch) -> Result<ArrayRef>;

    /// Class probabilities, row-major, `rows x classes`; for several targets the classes of one after those of the
    /// other, in the order of [`Model::outputs`].
    ///
    /// # Errors
    /// As [`Model::predict`]; [`Unsupported`](crate::ErrorKind::Unsupported) for a regression.
    fn predict_proba(&self, rows: &RecordBatch) -> Result<Vec<f64>>;

    /// How much each feature contributes, in the order of [`Model::features`], summing to one; none where the
    /// model cannot say.
    fn importances(&self) -> Option<Vec<f64>> {
        None
    }

    /// What the model says of the training rows that each of its parts has not seen; none for a model that was
    /// read from a file or has no such rows.
    fn out_of_bag(&self) -> Option<&OutOfBag> {
        None
    }

    /// The model as a random forest, if it is one.
    fn as_forest(&self) -> Option<&forest::Forest> {
        None
    }

    /// The settings that it was trained with, as far as it has any.
    fn params(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// The body of its model file: schema, parameters and what was learnt, canonical, without its kind and version.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a model that cannot be saved.
    fn body(&self) -> Result<Vec<u8>> {
        Err(Error::new(ErrorKind::Unsupported, "save", format_args!("a `{}` model", self.name()))
            .with_reason("models of this kind are for comparison and have no file format"))
    }

    /// Hands the same bytes to `sink`, one piece after the other, so that a large body is never there as a whole.
    ///
    /// # Errors
    /// As [`Model::body`].
    fn write_body(&self, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
        sink(&self.body()?);
        Ok(())
    }
}

/// Predictions for the training rows by the trees that have not seen them.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfBag {
    /// Row-major, one number (regression) or one share for each class a row; NaN for a row that every tree has seen.
    /// Several targets lie one after the other.
    pub predictions: Vec<f64>,
    /// R² (regression) or accuracy (classification) over the rows that have a prediction; none when no row has one,
    /// for R² when their target is constant, and where it is so huge that squares are beyond all numbers. For several
    /// targets the mean of their R², or the share of rows that are right in all.
    pub score: Option<f64>,
    /// The root mean squared error, in the mean over several targets, or the share of wrong rows; none as for the score.
    pub error: Option<f64>,
    /// The number of rows that have a prediction.
    pub rows: usize,
}

fn no_probabilities(model: &dyn Model) -> Error {
    Error::new(ErrorKind::Unsupported, "predict", format_args!("class probabilities of `{}`", model.target()))
        .with_reason("a regression has no classes")
}

fn check_task(task: Task, table: &Frame) -> Result<()> {
    if task == table.task() {
        return Ok(());
    }
    Err(Error::invalid("learn", format_args!("column `{}`", table.target_name()))
        .with_reason(format_args!("the table was read for {}, the trainer is for {task}", table.task())))
}

/// For trainers that learn a single target.
fn check_one_target(task: Task, table: &Frame) -> Result<()> {
    if table.targets().len() == 1 {
        return check_task(task, table);
    }
    Err(Error::new(ErrorKind::Unsupported, "learn", format_args!("the columns `{}` together", table.target_name()))
        .with_reason("only a forest and the `dummy` predict several targets")
        .with_hint("learn one target after the other"))
}

/// The class of the greatest share, the first of equal ones.
fn greatest(shares: &[f64]) -> u32 {
    let best = (0..).zip(shares).reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_classes_wins() {
        assert_eq!(greatest(&[0.2, 0.4, 0.4]), 1);
    }
}
