//! Forests, baselines, metrics, validation and model files, over record batches.

use std::fmt::Debug;

use arrow::array::{ArrayRef, RecordBatch};
use serde::{Deserialize, Serialize};

use crate::error::Result;
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

    /// The column that it predicts.
    fn target(&self) -> &str;

    /// The columns that it needs, by name; their order in a batch does not matter.
    fn features(&self) -> &[Feature];

    /// The class labels in the order of [`Model::predict_proba`]; empty for a regression.
    fn classes(&self) -> &[String];

    /// One prediction a row: `Float64` for a regression, `Utf8` labels for a classification. Never null.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a missing column or one of another type, by name.
    fn predict(&self, rows: &RecordBatch) -> Result<ArrayRef>;

    /// Class probabilities, row-major, `rows x classes`.
    ///
    /// # Errors
    /// As [`Model::predict`]; [`Unsupported`](crate::ErrorKind::Unsupported) for a regression.
    fn predict_proba(&self, rows: &RecordBatch) -> Result<Vec<f64>>;
}

/// A column that a model learns from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// The column's name.
    pub name: String,
}

/// A table to learn from: features, target, and, where given, groups.
#[derive(Debug, Clone)]
pub struct Frame {}
