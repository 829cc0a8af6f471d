//! The steps of a pipeline as plain data, which crosses a process border as JSON.

use serde::{Deserialize, Serialize};

use serde_json::{Map, Value};

use crate::error::Error;
use crate::format::{ColumnSpec, Limit, OnRowError, one_or_many};
use crate::lake::{ObjectPattern, parse_object};
use crate::ml::forest::{ForestParams, ForestSettings};
use crate::ml::{self, Compression, PermutationParams, Task, trainer};
use crate::pipeline::source::SourceSpec;
use crate::pipeline::trees::Trees;

/// One step. Closed on purpose: a step must fit into a Job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Raw objects into one clean table.
    Prepare(Prepare),
    /// A table into a model.
    Train(Train),
    /// A model's errors, beside those of baselines.
    Evaluate(Evaluate),
    /// A table with a model's predictions.
    Predict(Predict),
}

/// Raw objects into one clean table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// The table's name.
    pub name: String,
    /// What is read, in this order.
    #[serde(deserialize_with = "one_or_many")]
    pub sources: Vec<SourceSpec>,
    /// The declared columns; without them types are inferred and widened.
    #[serde(default)]
    pub columns: Vec<ColumnSpec>,
    /// Quality rules, tried in this order.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What becomes of records that do not fit.
    #[serde(default)]
    pub on_row_error: OnRowError,
    /// How many records may be quarantined before the step fails.
    #[serde(default)]
    pub max_bad_rows: Limit,
    /// One row a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// SQL over the scanned rows, the table `scan`; it must end in ORDER BY over a unique key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// The objects that hold the table, their formats by suffix.
    #[serde(deserialize_with = "one_or_many")]
    pub destination: Vec<String>,
}

/// A named condition on every row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name in counts and messages.
    pub name: String,
    /// An SQL condition over the row's columns; a row is at fault where it is false (not where it is null).
    pub keep: String,
    /// What becomes of a row at fault.
    #[serde(default)]
    pub action: RuleAction,
}

/// What becomes of a row that breaks a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Left out and counted.
    #[default]
    Drop,
    /// Left out, counted and kept in the quarantine.
    Quarantine,
    /// The step fails.
    Fail,
}

/// One row a key: which of several stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// The columns that make the key; rows without any key value are all kept.
    #[serde(deserialize_with = "one_or_many")]
    pub key: Vec<String>,
}

/// A table into a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// The model's name.
    pub name: String,
    /// What it predicts.
    pub task: Task,
    /// The object that holds the table.
    pub table: String,
    /// The column to predict.
    pub target: String,
    /// The columns to learn from; all but the target and `exclude` where not given.
    #[serde(default)]
    pub features: Vec<String>,
    /// Columns never to learn from.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Columns of whole numbers or booleans that are split by sets of categories, as text is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categorical_features: Vec<String>,
    /// Which trainer: `forest`, or one of the baselines.
    #[serde(default = "forest")]
    pub trainer: String,
    /// The forest's parameters, and when it is large enough.
    #[serde(default)]
    pub forest: ForestSettings,
    /// A column of weights: what an error in a row costs. It is no feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Grows only these of the forest's trees: a part, which [`merge_models`](crate::pipeline::merge_models) joins
    /// with the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trees: Option<Trees>,
    /// The share of rows held out, never seen in training.
    #[serde(default = "fifth")]
    pub test: f64,
    /// A column whose equal values stay on one side of the split, where near-duplicates would leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_by: Option<String>,
    /// The seed of the split.
    #[serde(default)]
    pub seed: u64,
    /// The object that holds the model; `models/NAME.model` where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// How the model file is packed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compression: Compression,
}

fn is_default(compression: &Compression) -> bool {
    *compression == Compression::default()
}

/// A model's errors on the rows held out, beside those of baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// How the model was trained: the same split is made again.
    pub train: Train,
    /// Trainers to compare with, on the same rows.
    pub baselines: Vec<String>,
    /// Cross-validates with so many folds too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// How often it does, with other folds each time.
    #[serde(default = "once")]
    pub repeats: u32,
    /// How the columns are shuffled to see what each is worth on the rows held out; no repeats, and it is not looked at.
    #[serde(default)]
    pub permutation: PermutationParams,
    /// A formula to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The object that holds the evaluation.
    pub destination: String,
}

/// A formula that predicts without learning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its name in reports.
    pub name: String,
    /// An SQL expression over the table's columns.
    pub sql: String,
}

/// A table with a model's predictions as a further column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predict {
    /// The model's name.
    pub name: String,
    /// The object that holds the model.
    pub model: String,
    /// The object that holds the table.
    pub table: String,
    /// The objects that hold the predictions.
    pub destination: Vec<String>,
}

/// What a model is compared with where nothing else is asked for: no skill at all, and a linear model.
#[must_use]
pub fn baselines(train: &Train) -> Vec<String> {
    ml::baselines(train.task).into_iter().filter(|name| *name != train.trainer).map(ToOwned::to_owned).collect()
}

fn forest() -> String {
    "forest".to_owned()
}

/// How often an evaluation cross-validates.
pub(crate) fn once() -> u32 {
    1
}

fn fifth() -> f64 {
    0.2
}

impl Train {
    /// The object that holds the model.
    #[must_use]
    pub fn destination(&self) -> String {
        let part = self.trees.map(|trees| format!(".trees-{trees}")).unwrap_or_default();
        self.destination.clone().unwrap_or_else(|| format!("models/{}{part}.model", self.name))
    }

    /// The step that a model was trained by, as its file says. `action` is what it is wanted for.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a model that does not say, such as one that was trained from Python.
    pub fn of_model(action: &'static str, path: &str, lineage: &Map<String, Value>) -> crate::Result<Self> {
        let step = lineage.get("step").cloned().unwrap_or_default();
        let step: Self = serde_json::from_value(step).map_err(|cause| {
            Error::invalid(action, path)
                .with_reason("the model does not say how it was trained, nor which rows were held out")
                .with_hint("train it by `datalake train` or in a pipeline")
                .with_source(cause)
        })?;
        Ok(Self { destination: Some(path.to_owned()), ..step })
    }

    /// The same step with the columns that a model of it has learnt from, whatever a training would leave out now.
    pub(crate) fn with_features_of(&self, model: &dyn ml::Model) -> Self {
        Self { features: model.features().iter().map(|feature| feature.name.clone()).collect(), ..self.clone() }
    }

    /// Whether workers can grow some of the trees each.
    pub(crate) fn divisible(&self) -> bool {
        self.trainer == forest() && self.trees.is_none() && self.forest.limits.is_none()
    }

    /// The parameters as its trainer reads them: those of the forest, or none.
    pub(crate) fn settings(&self) -> Result<serde_json::Value, Error> {
        if self.trainer != forest() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::to_value(&self.forest)
            .map_err(|cause| Error::internal("describe", "the forest's parameters").with_source(cause))
    }
}

impl Step {
    /// `prepare`, `train`, `evaluate` or `predict`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Prepare(_) => "prepare",
            Self::Train(_) => "train",
            Self::Evaluate(_) => "evaluate",
            Self::Predict(_) => "predict",
        }
    }

    /// The name of its table or model.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Prepare(step) => &step.name,
            Self::Train(step) => &step.name,
            Self::Evaluate(step) => &step.train.name,
            Self::Predict(step) => &step.name,
        }
    }

    /// Kind and name, as messages call it.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }

    /// The patterns of the objects that it reads.
    #[must_use]
    pub fn inputs(&self) -> Vec<String> {
        match self {
            Self::Prepare(step) => step.sources.iter().map(|source| source.path.clone()).collect(),
            Self::Train(step) => vec![step.table.clone()],
            Self::Evaluate(step) => vec![step.train.table.clone(), step.train.destination()],
            Self::Predict(step) => vec![step.table.clone(), step.model.clone()],
        }
    }

    /// The objects that it writes.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        match self {
            Self::Prepare(step) => step.destination.clone(),
            Self::Train(step) => vec![step.destination()],
            Self::Evaluate(step) => vec![step.destination.clone()],
            Self::Predict(step) => step.destination.clone(),
        }
    }

    /// What can be known to be wrong before anything is read.
    pub(crate) fn check(&self) -> Result<(), String> {
        let title = self.title();
        if self.name().is_empty() || self.name().contains(['/', '\\']) {
            return Err(format!("{title}: a name must not be empty or contain a slash"));
        }
        let destinations = self.destinations();
        if destinations.is_empty() {
            return Err(format!("{title}: `destination` must name at least one object"));
        }
        for destination in destinations {
            let (bucket, key) = parse_object(&destination).map_err(|error| format!("{title}: {error}"))?;
            for input in self.inputs() {
                let pattern: ObjectPattern = input.parse().map_err(|error| format!("{title}: {error}"))?;
                if pattern.stands_for(&bucket, &key) {
                    return Err(format!("{title}: it would write {destination} over its own input {input}"));
                }
            }
        }
        match self {
            Self::Prepare(step) => step.check().map_err(|reason| format!("{title}: {reason}")),
            Self::Train(step) => step.check().map_err(|reason| format!("{title}: {reason}")),
            Self::Evaluate(step) => step.check().map_err(|reason| format!("{title}: {reason}")),
            Self::Predict(_) => Ok(()),
        }
    }
}

impl Prepare {
    fn check(&self) -> Result<(), String> {
        if self.sources.is_empty() {
            return Err("`sources` must name at least one object".into());
        }
        let mut names: Vec<&str> = self.rules.iter().map(|rule| rule.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("two rules are called `{}`", pair[0])),
            None => Ok(()),
        }
    }
}

impl Train {
    fn check(&self) -> Result<(), String> {
        if !(self.test > 0.0 && self.test < 1.0) {
            return Err(format!("test must be above 0 and below 1, got {}: some rows are held out always", self.test));
        }
        // The command line gives the seed of the split to the forest too.
        let unset = ForestSettings {
            params: ForestParams { seed: self.forest.params.seed, ..ForestParams::default() },
            ..ForestSettings::default()
        };
        if self.trainer != forest() && self.forest != unset {
            let reason = "parameters of a forest do not apply to the trainer";
            return Err(format!("{reason} `{}`; leave them out, or use the trainer `forest`", self.trainer));
        }
        let reason = |error: &Error| error.reason().map_or_else(|| error.to_string(), ToOwned::to_owned);
        self.forest.limits.check(&self.forest.params).map_err(|error| reason(&error))?;
        if let Some(trees) = self.trees {
            let most = self.forest.params.n_estimators;
            if !self.forest.limits.is_none() {
                return Err(format!(
                    "trees = \"{trees}\" needs a known number of trees, not n_estimators = \"auto\", max_time or max_model_size"
                ));
            }
            if self.trainer != forest() {
                return Err(format!("trees = \"{trees}\" needs the trainer `forest`, got `{}`", self.trainer));
            }
            if trees.range().end > most {
                return Err(format!("trees = \"{trees}\": the forest has the trees 0..{most}"));
            }
        }
        if self.trainer == "linfa-trees" {
            return Err("models of `linfa-trees` cannot be saved; compare with it under `baselines`".into());
        }
        Ok(())
    }
}

impl Evaluate {
    fn check(&self) -> Result<(), String> {
        if let Some(folds) = self.folds.filter(|folds| *folds < 2) {
            return Err(format!("folds must be at least 2, got {folds}"));
        }
        if self.repeats == 0 {
            return Err("repeats must be at least 1, got 0".into());
        }
        if self.repeats > 1 && self.folds.is_none() {
            return Err(format!("repeats = {} needs folds", self.repeats));
        }
        if self.permutation.n_repeats > 0 {
            self.permutation.check(self.train.task).map_err(|error| match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            })?;
        }
        self.baselines.iter().try_for_each(|name| {
            let error = trainer(name, self.train.task, &serde_json::Value::Null).err();
            error.map_or(Ok(()), |error| match error.hint() {
                Some(hint) => Err(format!("{error}; {hint}")),
                None => Err(error.to_string()),
            })
        })
    }
}
