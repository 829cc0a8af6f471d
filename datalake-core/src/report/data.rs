//! What a report shows: plain data, filled in by whoever ran the steps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything on the page.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The heading.
    pub title: String,
    /// The run's identifier.
    pub run: String,
    /// How the run ended.
    pub status: Status,
    /// The version of the code that ran.
    pub code_version: String,
    /// When the run began, as text.
    pub started: Option<String>,
    /// What the data are, where that must be said: `synthetic`.
    pub data_label: Option<String>,
    /// Sentences that the reader should see first.
    pub notes: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<StepLine>,
    /// What was prepared.
    pub prepares: Vec<PreparePart>,
    /// What was learned.
    pub models: Vec<ModelPart>,
    /// The objects that went in and came out.
    pub lineage: Vec<LineageLine>,
}

/// How a run or a step ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// To the end.
    #[default]
    Done,
    /// Nothing had changed since an earlier run, whose results stand.
    Skipped,
    /// With an error.
    Failed,
}

/// One step of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepLine {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it made, or why it was skipped.
    pub detail: String,
}

/// One prepared table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreparePart {
    /// Its name in the pipeline.
    pub name: String,
    /// The objects written.
    pub destinations: Vec<String>,
    /// The digest of the table.
    pub digest: String,
    /// The row balance of each source.
    pub sources: Vec<SourceLine>,
    /// Where the quarantined records lie.
    pub quarantine: Option<String>,
    /// What became of the rows of all sources together.
    pub combine: Option<Combine>,
    /// The columns of the result.
    pub columns: Vec<ColumnLine>,
}

/// The row balance of a source: seen = written + quarantined + dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceLine {
    /// The object.
    pub object: String,
    /// Its format.
    pub format: String,
    /// Records found.
    pub seen: u64,
    /// Rows handed on.
    pub written: u64,
    /// Records quarantined, by code.
    pub quarantined: BTreeMap<String, u64>,
    /// Rows dropped, by rule.
    pub dropped: BTreeMap<String, u64>,
}

/// Rows into and out of the combine stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Combine {
    /// Rows of all sources together.
    pub rows_in: u64,
    /// Rows of the prepared table.
    pub rows_out: u64,
    /// Rows removed because an earlier one has the same key.
    pub duplicates: u64,
}

/// The profile of a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnLine {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: String,
    /// Its unit, where it has one.
    pub unit: Option<String>,
    /// Values that are missing.
    pub nulls: u64,
    /// Different values.
    pub distinct: Option<u64>,
    /// The smallest value.
    pub min: Option<String>,
    /// The mean of a number column.
    pub mean: Option<f64>,
    /// The largest value.
    pub max: Option<String>,
}

/// One model and how good it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelPart {
    /// Its name in the pipeline.
    pub name: String,
    /// The object that holds it.
    pub object: String,
    /// The digest of its body.
    pub digest: String,
    /// The column that it predicts.
    pub target: String,
    /// The target's unit.
    pub unit: Option<String>,
    /// The columns that it learns from.
    pub features: Vec<String>,
    /// Its parameters, in the order to show.
    pub parameters: Vec<Parameter>,
    /// Rows learned from.
    pub train_rows: u64,
    /// Rows held out.
    pub test_rows: u64,
    /// How the rows were split: `random`, or by which group.
    pub split: String,
    /// The metrics, the one that decides first.
    pub metrics: Vec<Metric>,
    /// The scores of the model and of what it is compared with.
    pub scores: Vec<ScoreLine>,
    /// Features by importance.
    pub importances: Vec<Importance>,
    /// Features by what their loss does, where that was measured.
    pub harms: Option<Harms>,
    /// Predictions beside the truth, on held-out rows.
    pub evaluation: Evaluation,
}

/// A parameter of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

/// A column of the table of scores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metric {
    /// Its name, such as `MAE` or `accuracy`.
    pub name: String,
    /// Its unit, where it has one.
    pub unit: Option<String>,
    /// Whether less is better.
    pub lower_is_better: bool,
}

/// What a line of scores is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The model on held-out rows.
    #[default]
    HeldOut,
    /// The model on rows that its trees had not seen.
    OutOfBag,
    /// The mean over the folds of a cross-validation.
    Folds,
    /// A simpler model on the same held-out rows.
    Baseline,
    /// A formula that learns nothing, on the same held-out rows.
    Reference,
}

/// One line in the table of scores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoreLine {
    /// What was scored, such as `forest` or `linear`.
    pub estimator: String,
    /// On what.
    pub role: Role,
    /// One value for each metric.
    pub values: Vec<Option<f64>>,
    /// The standard deviation of each over the folds; empty without folds.
    pub deviations: Vec<Option<f64>>,
}

/// How much a feature matters to the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Importance {
    /// The feature.
    pub feature: String,
    /// Its share of all importance.
    pub share: f64,
}

/// How much worse a model predicts held-out rows when one column is shuffled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Harms {
    /// The metric that gets worse.
    pub metric: String,
    /// Its unit, where it has one.
    pub unit: Option<String>,
    /// One for each feature.
    pub features: Vec<Harm>,
}

/// How much worse a model predicts without one column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Harm {
    /// The column.
    pub feature: String,
    /// The mean over the repeats.
    pub mean: f64,
    /// Where it lies with 95% confidence.
    pub interval: Option<[f64; 2]>,
}

/// Predictions beside the truth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Evaluation {
    /// There are none to show.
    #[default]
    None,
    /// Of numbers.
    Regression {
        /// True and predicted value of each held-out row.
        pairs: Vec<[f64; 2]>,
    },
    /// Of classes.
    Classification {
        /// The classes.
        labels: Vec<String>,
        /// How many held-out rows of the first class (row) were taken for the second (column).
        counts: Vec<Vec<u64>>,
    },
}

/// An object that went into the run or came out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineageLine {
    /// What it was to the run: `source`, `table`, `model`, `predictions`.
    pub role: String,
    /// The object.
    pub object: String,
    /// Its entity tag, where it was read by one.
    pub e_tag: Option<String>,
    /// Its digest.
    pub digest: Option<String>,
    /// Its size in bytes.
    pub bytes: Option<u64>,
}

impl SourceLine {
    /// Whether every record seen is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        let quarantined: u64 = self.quarantined.values().sum();
        let dropped: u64 = self.dropped.values().sum();
        self.seen == self.written + quarantined + dropped
    }
}
