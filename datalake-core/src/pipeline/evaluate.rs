//! Evaluate: a model's errors on the rows held out, out-of-bag and cross-validated, beside baselines and a formula.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Float64Type};
use bytes::Bytes;
use object_store::PutMode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::digest::hex;
use crate::lake::parse_object;
use crate::ml::{
    CrossValidation, Feature, Frame, Keep, Metrics, Model, PermutationImportances, RegressionMetrics, Task, Trainer,
    cross_validate, digest, evaluate, permutation_importance, repeated_k_fold, trainer,
};
use crate::pipeline::manifest::{ObjectVersion, Output, StepReport};
use crate::pipeline::predict::open_model;
use crate::pipeline::run::Context;
use crate::pipeline::step::{Evaluate, Reference, Train};
use crate::pipeline::table::{Columns, Split, same_table, split};
use crate::query::RowExpression;

/// At most so many held-out rows are kept for plots.
const PLOTTED: usize = 2_000;

/// What is known of how good a model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The model's name.
    pub model: String,
    /// The object that holds it.
    pub path: String,
    /// The digest of its body.
    pub digest: String,
    /// What it predicts.
    pub task: Task,
    /// The column that it predicts.
    pub target: String,
    /// Its trainer.
    pub trainer: String,
    /// Its parameters.
    pub parameters: Value,
    /// The columns that it learnt from.
    pub features: Vec<Feature>,
    /// How much each of them contributes.
    pub importances: Option<Vec<f64>>,
    /// How much worse the model predicts the rows held out when one column is shuffled, for each of its features.
    #[serde(default)]
    pub permutation: Option<PermutationImportances>,
    /// Rows learnt from.
    pub rows_train: u64,
    /// Rows held out.
    pub rows_held_out: u64,
    /// Rows without a target.
    pub rows_without_target: u64,
    /// The column whose equal values stayed on one side of the split.
    pub split_by: Option<String>,
    /// Figures of the model, its baselines and the formula, on the rows held out and out-of-bag.
    pub scores: Vec<Score>,
    /// Cross-validation of the model and its baselines, by trainer.
    pub cross_validation: BTreeMap<String, CrossValidation>,
    /// The model's metrics on the rows held out, with the confusion matrix of a classification.
    pub held_out: Metrics,
    /// True and predicted values of held-out rows, for plots; empty for a classification.
    pub pairs: Vec<[f64; 2]>,
}

/// The figures of one predictor on one set of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The trainer, or the formula's name.
    pub name: String,
    /// `held-out` or `out-of-bag`.
    pub rows: String,
    /// Figures by name: `r2`, `mae`, `rmse`; `accuracy`, `f1_macro`, `log_loss`.
    pub figures: BTreeMap<String, f64>,
}

impl Score {
    fn held_out(name: &str, metrics: &Metrics) -> Self {
        let figures = metrics.figures().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { name: name.to_owned(), rows: "held-out".to_owned(), figures }
    }
}

pub(crate) async fn run(step: &Evaluate, context: &Context) -> Result<StepReport> {
    let (model, envelope) = open_model(context.lake.as_ref(), &step.train.destination()).await?;
    same_table("evaluate", &step.train, &envelope.lineage, context).await?;
    // A reference may be a formula over any of them.
    let split = split(&step.train.with_features_of(model.as_ref()), Columns::All, context).await?;
    let work = Work { step: step.clone(), model, split, progress: Arc::clone(&context.progress) };
    let out_of_bag = out_of_bag(&step.train, &envelope.metrics);
    let evaluation = compute::run(move || work.evaluate(out_of_bag)).await?;
    let highlights = highlights(&evaluation);
    let output = put(&evaluation, &step.destination, context).await?;
    Ok(StepReport { outputs: vec![output], highlights, ..StepReport::default() })
}

/// All that an evaluation computes with.
struct Work {
    step: Evaluate,
    model: Box<dyn Model>,
    split: Split,
    progress: Arc<dyn crate::progress::Progress>,
}

impl Work {
    fn evaluate(&self, out_of_bag: Option<Score>) -> Result<Evaluation> {
        let train = &self.step.train;
        let held_out = rows(&self.split.table, &self.split.test)?;
        let metrics = finite(&train.name, evaluate(self.model.as_ref(), &held_out)?)?;
        let mut scores = vec![Score::held_out(&train.trainer, &metrics)];
        scores.extend(out_of_bag);
        let learnt = self.split.frame.select(&self.split.train)?;
        for name in &self.step.baselines {
            match self.baseline(name, &learnt, &held_out) {
                Ok(score) => scores.push(score),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                // A baseline that gives up says nothing against the model.
                Err(error) => self.progress.note(&format!("baseline `{name}` left out: {error}")),
            }
        }
        if let Some(reference) = &self.step.reference {
            scores.push(formula(reference, &held_out, train)?);
        }
        Ok(Evaluation {
            model: train.name.clone(),
            path: train.destination(),
            digest: digest(self.model.as_ref())?,
            task: train.task,
            target: train.target.clone(),
            trainer: train.trainer.clone(),
            parameters: self.model.params(),
            features: self.model.features().to_vec(),
            importances: self.model.importances(),
            permutation: self.permutation(&held_out)?,
            rows_train: self.split.train.len() as u64,
            rows_held_out: self.split.test.len() as u64,
            rows_without_target: self.split.without_target,
            split_by: train.split_by.clone(),
            scores,
            cross_validation: self.cross_validation()?,
            pairs: pairs(self.model.as_ref(), &held_out)?,
            held_out: metrics,
        })
    }

    fn permutation(&self, held_out: &RecordBatch) -> Result<Option<PermutationImportances>> {
        if self.step.permutation.n_repeats == 0 {
            return Ok(None);
        }
        let progress = self.progress.as_ref();
        let found = permutation_importance(self.model.as_ref(), held_out, &self.step.permutation, progress)?;
        // Sums over huge targets may leave the range of numbers, and could not be written down.
        match found.features.iter().find(|one| !one.mean.is_finite()) {
            None => Ok(Some(found)),
            Some(one) => {
                let (name, mean) = (&one.feature, one.mean);
                self.progress.note(&format!("importances by shuffling left out: that of `{name}` is {mean}"));
                Ok(None)
            }
        }
    }

    fn baseline(&self, name: &str, learnt: &Frame, held_out: &RecordBatch) -> Result<Score> {
        let baseline = trainer(name, self.step.train.task, &Value::Null)?.train(learnt, self.progress.as_ref())?;
        Ok(Score::held_out(&self.title(name), &finite(name, evaluate(baseline.as_ref(), held_out)?)?))
    }

    fn cross_validation(&self) -> Result<BTreeMap<String, CrossValidation>> {
        let Some(folds) = self.step.folds else { return Ok(BTreeMap::new()) };
        let train = &self.step.train;
        let frame = &self.split.frame;
        let splits = repeated_k_fold(frame.rows(), folds, self.step.repeats, train.seed, keep(train, frame))?;
        let measure = |trainer: &dyn Trainer| cross_validate(trainer, frame, &splits, self.progress.as_ref());
        let mut results = BTreeMap::from([(train.trainer.clone(), measure(self.own_trainer()?.as_ref())?)]);
        for name in &self.step.baselines {
            match measure(trainer(name, train.task, &Value::Null)?.as_ref()) {
                Ok(result) => drop(results.insert(self.title(name), result)),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => self.progress.note(&format!("baseline `{name}` left out of the folds: {error}")),
            }
        }
        Ok(results)
    }

    /// What a baseline is called beside the model, which may be of the same trainer.
    fn title(&self, baseline: &str) -> String {
        let same = if baseline == self.step.train.trainer { " with default parameters" } else { "" };
        format!("{baseline}{same}")
    }

    /// The model's own trainer with its parameters.
    fn own_trainer(&self) -> Result<Box<dyn Trainer>> {
        let train = &self.step.train;
        let mut settings = train.settings()?;
        // As many trees as the model has, where training found their number.
        if let (Value::Object(settings), Some(reached)) = (&mut settings, self.model.params().get("n_estimators")) {
            settings.insert("n_estimators".to_owned(), reached.clone());
            settings.remove("max_time");
            settings.remove("max_model_size");
        }
        trainer(&train.trainer, train.task, &settings)
    }
}

/// Figures that can be written down: sums over huge targets may leave the range of numbers.
fn finite(name: &str, metrics: Metrics) -> Result<Metrics> {
    match metrics.figures().into_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(metrics),
        Some((figure, value)) => Err(Error::invalid("measure", format_args!("`{name}`"))
            .with_reason(format_args!("{figure} is {value}"))
            .with_hint("scale the target to a smaller unit")),
    }
}

/// What the folds of a step keep: groups where it names them, and the shares of classes.
fn keep<'a>(train: &Train, frame: &'a Frame) -> Keep<'a> {
    Keep::of(frame.groups().filter(|_| train.split_by.is_some()), frame.strata())
}

fn rows(table: &RecordBatch, indices: &[u32]) -> Result<RecordBatch> {
    take_record_batch(table, &UInt32Array::from(indices.to_vec()))
        .map_err(|cause| Error::internal("select", "rows of a table").with_source(cause))
}

/// The out-of-bag figures that were written into the model file when it was trained.
fn out_of_bag(train: &Train, metrics: &serde_json::Map<String, Value>) -> Option<Score> {
    let (score, error) = match train.task {
        Task::Regression => ("r2", "rmse"),
        Task::Classification => ("accuracy", "error"),
    };
    let mut figures = BTreeMap::new();
    figures.insert(score.to_owned(), metrics.get("out_of_bag_score")?.as_f64()?);
    figures.insert(error.to_owned(), metrics.get("out_of_bag_error")?.as_f64()?);
    Some(Score { name: train.trainer.clone(), rows: "out-of-bag".to_owned(), figures })
}

/// A formula's figures, over the rows where it has a value.
fn formula(reference: &Reference, held_out: &RecordBatch, train: &Train) -> Result<Score> {
    if train.task != Task::Regression {
        return Err(Error::invalid("compare with", format_args!("`{}`", reference.name))
            .with_reason("a formula predicts numbers, and this model classes"));
    }
    let predicted = RowExpression::new(&reference.sql, &held_out.schema())?.numbers(held_out)?;
    let truth = numbers(held_out, &train.target)?;
    let both = (0..held_out.num_rows()).filter(|&row| predicted.is_valid(row) && truth.is_valid(row));
    let (truth, predicted): (Vec<f64>, Vec<f64>) = both.map(|row| (truth.value(row), predicted.value(row))).unzip();
    let metrics = RegressionMetrics::of(&truth, &predicted)?;
    Ok(Score::held_out(&reference.name, &Metrics::Regression(metrics)))
}

fn numbers(batch: &RecordBatch, column: &str) -> Result<Float64Array> {
    let failed = || Error::internal("read", format_args!("column `{column}`"));
    let values = batch.column_by_name(column).ok_or_else(failed)?;
    let values = cast(values, &DataType::Float64).map_err(|cause| failed().with_source(cause))?;
    values.as_primitive_opt::<Float64Type>().cloned().ok_or_else(failed)
}

/// True and predicted values of held-out rows, thinned evenly to what a plot can show.
fn pairs(model: &dyn Model, held_out: &RecordBatch) -> Result<Vec<[f64; 2]>> {
    if model.task() != Task::Regression {
        return Ok(Vec::new());
    }
    let truth = numbers(held_out, model.target())?;
    let predicted = model.predict(held_out)?;
    let predicted = predicted.as_primitive::<Float64Type>();
    let step = held_out.num_rows().div_ceil(PLOTTED).max(1);
    Ok((0..held_out.num_rows()).step_by(step).map(|row| [truth.value(row), predicted.value(row)]).collect())
}

/// The figures that matter most: of each predictor on the rows held out, and over the folds.
fn highlights(evaluation: &Evaluation) -> Vec<String> {
    let keys: &[&str] = match evaluation.task {
        Task::Regression => &["r2", "mae"],
        Task::Classification => &["accuracy", "f1_macro"],
    };
    let held_out = evaluation.scores.iter().filter(|score| score.rows == "held-out");
    let folds = evaluation.cross_validation.iter().filter_map(|(name, found)| {
        let (mean, std) = (found.mean.get(keys[0])?, found.std.get(keys[0])?);
        Some(format!("{name} in {} folds {} {mean:.3} ± {std:.3}", found.folds.len(), keys[0]))
    });
    held_out
        .map(|score| {
            let figures: Vec<String> =
                keys.iter().filter_map(|key| Some(format!("{key} {:.3}", score.figures.get(*key)?))).collect();
            format!("{} {}", score.name, figures.join(" "))
        })
        .chain(folds)
        .collect()
}

async fn put(evaluation: &Evaluation, path: &str, context: &Context) -> Result<Output> {
    let json =
        serde_json::to_vec_pretty(evaluation).map_err(|cause| Error::internal("write", path).with_source(cause))?;
    let sha256 = hex(&Sha256::digest(&json));
    let (bucket, key) = parse_object(path)?;
    let bucket = context.lake.bucket(&bucket).await?;
    bucket.put(&key, Bytes::from(json), PutMode::Overwrite).await?;
    let meta = bucket.head(&key).await?;
    let object = ObjectVersion { path: path.to_owned(), size: meta.size, etag: meta.e_tag };
    Ok(Output { object, sha256, digest: None, rows: None })
}
