//! Permutation importances: how much worse a model predicts when the values of one column are shuffled.
//!
//! After Breiman, "Random Forests" (Machine Learning 45, 2001), section 10, and for any model Fisher, Rudin and
//! Dominici, "All Models are Wrong, but Many are Useful" (JMLR 20, 2019). Unlike the importances by impurity they do
//! not favour columns of many values, and rows that the model has not learnt from tell what a column is worth on new
//! ones. Columns that say the same share their worth: shuffled alone, neither is missed.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::feature::{column_index, list, nearest};
use super::metrics::{Metrics, Truth};
use super::{Model, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::random::{Draws, mix};

/// How columns are shuffled, and what tells how much that harms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PermutationParams {
    /// How often each column is shuffled.
    pub n_repeats: u32,
    /// One of the figures of [`Metrics`]; none means the `rmse` of a regression, the `accuracy` of a classification.
    pub metric: Option<String>,
    /// Names the orders: the same seed gives the same ones.
    pub seed: u64,
}

impl Default for PermutationParams {
    fn default() -> Self {
        Self { n_repeats: 5, metric: None, seed: 0 }
    }
}

impl PermutationParams {
    /// Whether columns can be shuffled like this.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for no repeats, and for a metric that the task does not have.
    pub fn check(&self, task: Task) -> Result<()> {
        self.check_repeats()?;
        metric(self.metric.as_deref(), task).map(drop)
    }

    pub(super) fn check_repeats(&self) -> Result<()> {
        match self.n_repeats {
            0 => Err(refused().with_reason("n_repeats must be at least 1, got 0")),
            _ => Ok(()),
        }
    }

    /// A drawn order of so many rows, of its own for each feature, repeat and `tree`.
    pub(super) fn order(&self, tree: u32, feature: usize, repeat: u32, rows: usize) -> Vec<u32> {
        const SHUFFLE: u64 = 0x7065_726d;
        let stream = [u64::from(tree), feature as u64, u64::from(repeat)].into_iter().fold(SHUFFLE, mix);
        let mut order: Vec<u32> = (0..rows as u32).collect();
        Draws::new(self.seed, stream).shuffle(&mut order);
        order
    }
}

fn refused() -> Error {
    Error::invalid("measure", "the importance of columns")
}

/// How much worse a model gets without what each column says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PermutationImportances {
    /// The figure that tells how good predictions are, such as `rmse` or `accuracy`.
    pub metric: String,
    /// Its value with all columns as they are.
    pub score: f64,
    /// The number of rows behind it.
    pub rows: usize,
    /// One for each feature, in the model's order.
    pub features: Vec<PermutationImportance>,
}

/// How much worse a model gets without what one column says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PermutationImportance {
    /// The column.
    pub feature: String,
    /// The mean harm, in the unit of the metric: by how much an error grows, or a score falls. About zero, also a
    /// little below, for a column that says nothing.
    pub mean: f64,
    /// The standard error of the mean, over the repeats, or over the trees where each is measured by the rows that it
    /// has not seen; none of a single one.
    pub standard_error: Option<f64>,
    /// Where the mean of ever more repeats, or trees, lies with 95% confidence (Student's t); the rows are taken as
    /// they are.
    pub interval: Option<[f64; 2]>,
    /// The harm of each repeat.
    pub repeats: Vec<f64>,
}

impl PermutationImportance {
    /// `samples` are what the mean is taken of.
    pub(super) fn of(feature: &str, repeats: Vec<f64>, samples: &[f64]) -> Self {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares: f64 = samples.iter().map(|value| (value - mean) * (value - mean)).sum();
        let standard_error = (samples.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt());
        let interval = standard_error.map(|error| {
            let reach = error * student_t(samples.len() - 1);
            [mean - reach, mean + reach]
        });
        Self { feature: feature.to_owned(), mean, standard_error, interval, repeats }
    }
}

/// Shuffles one column after the other and measures how much worse the model predicts rows that it should not have
/// learnt from.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use datalake_core::ml::{Frame, PermutationParams, Task, permutation_importance, trainer};
/// use datalake_core::progress::Silent;
///
/// # let fat: Vec<f64> = (0..60).map(f64::from).collect();
/// # let noise: Vec<f64> = (0..60).map(|row| f64::from(row * 37 % 60)).collect();
/// # let energy: Vec<f64> = fat.iter().map(|fat| fat * 9.0).collect();
/// # let table = RecordBatch::try_from_iter([
/// #     ("fat_g", Arc::new(Float64Array::from(fat)) as ArrayRef),
/// #     ("shelf", Arc::new(Float64Array::from(noise)) as ArrayRef),
/// #     ("kcal", Arc::new(Float64Array::from(energy)) as ArrayRef),
/// # ])?;
/// let frame = Frame::new(&table.slice(0, 40), &[], "kcal", Task::Regression)?;
/// let model = trainer("linear", Task::Regression, &serde_json::Value::Null)?.train(&frame, &Silent)?;
/// let found = permutation_importance(model.as_ref(), &table.slice(40, 20), &PermutationParams::default(), &Silent)?;
/// assert_eq!((found.metric.as_str(), found.features[0].feature.as_str()), ("rmse", "fat_g"));
/// assert!(found.features[0].mean > 40.0 && found.features[1].mean.abs() < 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`evaluate`](super::evaluate) and [`PermutationParams::check`]; [`Cancelled`](ErrorKind::Cancelled).
pub fn permutation_importance(
    model: &dyn Model,
    rows: &RecordBatch,
    params: &PermutationParams,
    progress: &dyn Progress,
) -> Result<PermutationImportances> {
    params.check_repeats()?;
    let metric = metric(params.metric.as_deref(), model.task())?;
    let truth = Truth::of(model, rows)?;
    let measure = |rows: &RecordBatch| figure(&truth.measure(model, rows, metric.name == "log_loss")?, metric);
    let score = measure(rows)?;
    let features = model.features();
    let columns: Vec<usize> =
        features.iter().map(|feature| column_index(rows, &feature.name, "shuffle")).collect::<Result<_>>()?;
    let harm = |feature: usize, repeat: u32| -> Result<f64> {
        if progress.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "measure", "the importance of columns"));
        }
        let order = params.order(0, feature, repeat, rows.num_rows());
        let found = measure(&shuffled(rows, columns[feature], order)?)?;
        progress.advance(1);
        Ok(if metric.lower_is_better { found - score } else { score - found })
    };
    let repeats = params.n_repeats as usize;
    progress.begin("shuffle columns", Some((features.len() * repeats) as u64));
    let tasks = 0..features.len() * repeats;
    let harms = tasks.into_par_iter().map(|task| harm(task / repeats, (task % repeats) as u32));
    let harms = harms.collect::<Result<Vec<_>>>();
    progress.end();
    let harms = harms?;
    let features = features.iter().zip(harms.chunks(repeats));
    let features = features.map(|(feature, own)| PermutationImportance::of(&feature.name, own.to_vec(), own)).collect();
    Ok(PermutationImportances { metric: metric.name.to_owned(), score, rows: rows.num_rows(), features })
}

/// The rows with one column in another order.
fn shuffled(rows: &RecordBatch, column: usize, order: Vec<u32>) -> Result<RecordBatch> {
    let failed = || Error::internal("shuffle", format_args!("column `{}`", rows.schema().field(column).name()));
    let mut columns = rows.columns().to_vec();
    columns[column] =
        take(rows.column(column), &UInt32Array::from(order), None).map_err(|cause| failed().with_source(cause))?;
    RecordBatch::try_new(rows.schema(), columns).map_err(|cause| failed().with_source(cause))
}

/// A figure of [`Metrics`], and which way it is better.
#[derive(Debug, Clone, Copy)]
struct Metric {
    name: &'static str,
    lower_is_better: bool,
}

const OF_NUMBERS: [Metric; 4] = [lower("rmse"), lower("mae"), higher("r2"), lower("max_error")];
const OF_CLASSES: [Metric; 4] = [higher("accuracy"), higher("f1_macro"), higher("f1_weighted"), lower("log_loss")];

const fn lower(name: &'static str) -> Metric {
    Metric { name, lower_is_better: true }
}

const fn higher(name: &'static str) -> Metric {
    Metric { name, lower_is_better: false }
}

fn metric(name: Option<&str>, task: Task) -> Result<Metric> {
    let known = match task {
        Task::Regression => OF_NUMBERS,
        Task::Classification => OF_CLASSES,
    };
    let Some(name) = name else { return Ok(known[0]) };
    known.into_iter().find(|metric| metric.name == name).ok_or_else(|| {
        let names = known.map(|metric| metric.name);
        let error = refused().with_reason(format_args!("a {task} has no metric `{name}`"));
        match nearest(name, &names) {
            Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
            None => error.with_hint(format_args!("it has {}", list(&names))),
        }
    })
}

fn figure(metrics: &Metrics, metric: Metric) -> Result<f64> {
    metrics.figures().get(metric.name).copied().ok_or_else(|| {
        refused()
            .with_reason(format_args!("{} is not defined for these rows: their target is constant", metric.name))
            .with_hint("use other rows, or another metric")
    })
}

/// The quantile at 0.975 of Student's t: a table, and beyond it the expansion 26.7.5 of Abramowitz and Stegun.
fn student_t(freedom: usize) -> f64 {
    const TABLE: [f64; 9] =
        [12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004, 2.262_157];
    // The same of the normal distribution, and the terms that it gives.
    const NORMAL: f64 = 1.959_963_984_540_054;
    const TERMS: [f64; 3] = [2.372_271_21, 2.822_498_6, 2.555_846_9];
    match freedom {
        0 => f64::INFINITY,
        1..=9 => TABLE[freedom - 1],
        _ => {
            let per = 1.0 / freedom as f64;
            NORMAL + per * (TERMS[0] + per * (TERMS[1] + per * TERMS[2]))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ml::conformance::{FEATURES, foods};
    use crate::ml::{Frame, TRAINERS, trainer};
    use crate::progress::Silent;

    fn model(name: &str, task: Task) -> Box<dyn Model> {
        let target = if task == Task::Regression { "kcal" } else { "group" };
        let frame = Frame::new(&foods(300, 1), &FEATURES, target, task).unwrap();
        let params = if name == "forest" { json!({ "n_estimators": 20 }) } else { json!(null) };
        trainer(name, task, &params).unwrap().train(&frame, &Silent).unwrap()
    }

    fn importances(model: &dyn Model, params: &PermutationParams) -> PermutationImportances {
        permutation_importance(model, &foods(200, 2), params, &Silent).unwrap()
    }

    #[test]
    fn every_model_misses_the_columns_that_matter() {
        for name in TRAINERS {
            for task in [Task::Regression, Task::Classification] {
                if trainer(name, task, &json!(null)).is_err() {
                    continue;
                }
                let model = model(name, task);
                let found = importances(model.as_ref(), &PermutationParams::default());
                assert_eq!(found.features.len(), model.features().len());
                if name == "dummy" {
                    continue;
                }
                let of = |column: &str| found.features.iter().find(|one| one.feature == column).unwrap();
                assert!(of("fat_g").mean > of("protein_g").mean, "{name}: {found:?}");
                assert!(of("protein_g").mean > of("water_g").mean, "{name}: {found:?}");
                let [low, high] = of("fat_g").interval.unwrap();
                assert!(low > 0.0 && low < of("fat_g").mean && of("fat_g").mean < high);
            }
        }
    }

    #[test]
    fn the_harm_is_the_difference_of_the_metric() {
        let model = model("linear", Task::Regression);
        let params = PermutationParams { n_repeats: 1, metric: Some("r2".to_owned()), seed: 3 };
        let found = importances(model.as_ref(), &params);
        let rows = foods(200, 2);
        let whole = crate::ml::evaluate(model.as_ref(), &rows).unwrap().figures()["r2"];
        let other = shuffled(&rows, 1, params.order(0, 1, 0, 200)).unwrap();
        let without = crate::ml::evaluate(model.as_ref(), &other).unwrap().figures()["r2"];
        assert_eq!((found.score, found.features[1].mean), (whole, whole - without));
        assert_eq!((found.features[1].standard_error, found.rows), (None, 200));
    }

    #[test]
    fn threads_change_nothing_and_seeds_do() {
        let model = model("forest", Task::Classification);
        let of = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let params = PermutationParams { seed, metric: Some("log_loss".to_owned()), ..Default::default() };
            pool.install(|| importances(model.as_ref(), &params))
        };
        assert_eq!(of(1, 1), of(4, 1));
        assert_ne!(of(1, 1), of(1, 2));
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        let model = model("forest", Task::Regression);
        let refusal = |params: PermutationParams| {
            permutation_importance(model.as_ref(), &foods(20, 1), &params, &Silent).unwrap_err()
        };
        let error = refusal(PermutationParams { n_repeats: 0, ..Default::default() });
        assert!(error.to_string().ends_with("n_repeats must be at least 1, got 0"), "{error}");
        let error = refusal(PermutationParams { metric: Some("rsme".to_owned()), ..Default::default() });
        assert_eq!(error.hint(), Some("did you mean `rmse`?"));
        let error = refusal(PermutationParams { metric: Some("accuracy".to_owned()), ..Default::default() });
        assert!(error.to_string().contains("a regression has no metric `accuracy`"), "{error}");
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, wanted) in [(1, 12.706), (4, 2.776), (9, 2.262), (10, 2.228), (20, 2.086), (120, 1.980)] {
            assert!((student_t(freedom) - wanted).abs() < 6e-4, "{freedom}");
        }
    }
}
