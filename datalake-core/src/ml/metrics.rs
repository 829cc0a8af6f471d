//! How good predictions are: sums in row order, so that equal predictions give equal bits.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use serde::{Deserialize, Serialize};

use super::feature::{column_index, list};
use super::target::{Output, Target, places, read_target};
use super::{Model, Task};
use crate::error::{Error, Result};

/// The least probability that a log loss is taken of, as in scikit-learn: 2^-52.
const LEAST_PROBABILITY: f64 = f64::EPSILON;

/// The most classes that are counted, true against predicted: half a gigabyte of counts.
const MOST_CLASSES: usize = 8_192;

/// The metrics of either task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "task")]
pub enum Metrics {
    /// Of predicted numbers.
    Regression(RegressionMetrics),
    /// Of predicted classes.
    Classification(ClassificationMetrics),
    /// Of several targets.
    Several(SeveralMetrics),
}

impl Metrics {
    /// Each figure by its name, without the ones that are not defined for these rows; for several targets, its mean
    /// over them, all of one weight.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<&'static str, f64> {
        let figures: Vec<(&'static str, Option<f64>)> = match self {
            Self::Regression(metrics) => vec![
                ("r2", metrics.r2),
                ("mae", Some(metrics.mae)),
                ("rmse", Some(metrics.rmse)),
                ("max_error", Some(metrics.max_error)),
            ],
            Self::Classification(metrics) => vec![
                ("accuracy", Some(metrics.accuracy)),
                ("f1_macro", Some(metrics.f1_macro)),
                ("f1_weighted", Some(metrics.f1_weighted)),
                ("log_loss", metrics.log_loss),
            ],
            Self::Several(metrics) => return metrics.means(),
        };
        figures.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The number of rows behind the figures.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Regression(metrics) => metrics.rows,
            Self::Classification(metrics) => metrics.rows,
            Self::Several(metrics) => metrics.outputs.first().map_or(0, |(_, metrics)| metrics.rows()),
        }
    }
}

/// The metrics of targets that were predicted together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeveralMetrics {
    /// Those of each target, by its name.
    pub outputs: Vec<(String, Metrics)>,
}

impl SeveralMetrics {
    /// The mean of each figure that all targets have.
    fn means(&self) -> BTreeMap<&'static str, f64> {
        let mut all = self.outputs.iter().map(|(_, metrics)| metrics.figures());
        let mut sums = all.next().unwrap_or_default();
        for figures in all {
            sums.retain(|name, _| figures.contains_key(name));
            sums.iter_mut().for_each(|(name, sum)| *sum += figures[name]);
        }
        sums.values_mut().for_each(|sum| *sum /= self.outputs.len() as f64);
        sums
    }
}

/// How far predicted numbers lie from the true ones, in the target's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegressionMetrics {
    /// The number of rows.
    pub rows: usize,
    /// The share of the variance that is explained; none if the truth is constant.
    pub r2: Option<f64>,
    /// The mean absolute error.
    pub mae: f64,
    /// The root of the mean squared error.
    pub rmse: f64,
    /// The largest absolute error.
    pub max_error: f64,
}

impl RegressionMetrics {
    /// Compares two columns, row by row.
    ///
    /// ```
    /// use datalake_core::ml::RegressionMetrics;
    /// let metrics = RegressionMetrics::of(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0])?;
    /// assert_eq!((metrics.mae, metrics.max_error), (0.5, 1.0));
    /// # Ok::<(), datalake_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for no rows, or columns of different lengths.
    pub fn of(truth: &[f64], predicted: &[f64]) -> Result<Self> {
        check_lengths(truth.len(), predicted.len())?;
        let rows = truth.len() as f64;
        let mean = truth.iter().sum::<f64>() / rows;
        // The mean of equal numbers may be off by its last bit.
        let varies = truth.iter().any(|value| value.to_bits() != truth[0].to_bits());
        let (mut absolute, mut squared, mut spread, mut max_error) = (0.0, 0.0, 0.0, 0.0_f64);
        for (truth, predicted) in truth.iter().zip(predicted) {
            let error = truth - predicted;
            absolute += error.abs();
            squared += error * error;
            spread += (truth - mean) * (truth - mean);
            max_error = max_error.max(error.abs());
        }
        Ok(Self {
            rows: truth.len(),
            r2: (varies && spread > 0.0).then(|| 1.0 - squared / spread),
            mae: absolute / rows,
            rmse: (squared / rows).sqrt(),
            max_error,
        })
    }
}

/// How often predicted classes are the true ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationMetrics {
    /// The number of rows.
    pub rows: usize,
    /// The share of rows whose class is right.
    pub accuracy: f64,
    /// The mean of the classes' F1; a class that neither occurs nor is predicted does not count.
    pub f1_macro: f64,
    /// The same, weighted by how often each class occurs.
    pub f1_weighted: f64,
    /// The mean negative natural logarithm of the probability given to the true class; none without probabilities.
    pub log_loss: Option<f64>,
    /// The class names, in the order of the confusion matrix.
    pub classes: Vec<String>,
    /// Rows by true class (first index) and predicted class (second index).
    pub confusion: Vec<Vec<u64>>,
}

impl ClassificationMetrics {
    /// Compares two columns of class codes, row by row. `probabilities` are row-major, `rows x known`, for the first
    /// `known` of `classes`; a true class beyond them has probability zero.
    ///
    /// ```
    /// use datalake_core::ml::ClassificationMetrics;
    /// let classes = ["fruit".to_owned(), "meat".to_owned()];
    /// let metrics = ClassificationMetrics::of(&classes, &[0, 0, 1, 1], &[0, 1, 1, 1], None)?;
    /// assert_eq!((metrics.accuracy, &metrics.confusion[0]), (0.75, &vec![1, 1]));
    /// # Ok::<(), datalake_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for no rows, columns of different lengths, a code without a class, or more
    /// than 8,192 classes.
    pub fn of(classes: &[String], truth: &[u32], predicted: &[u32], probabilities: Option<&[f64]>) -> Result<Self> {
        check_lengths(truth.len(), predicted.len())?;
        if let Some(code) = truth.iter().chain(predicted).find(|code| **code as usize >= classes.len()) {
            return Err(measure().with_reason(format_args!("class {code} of {}", classes.len())));
        }
        check_classes(classes.len())?;
        let mut confusion = vec![vec![0_u64; classes.len()]; classes.len()];
        truth.iter().zip(predicted).for_each(|(truth, predicted)| confusion[*truth as usize][*predicted as usize] += 1);
        let right: u64 = (0..classes.len()).map(|class| confusion[class][class]).sum();
        let (f1_macro, f1_weighted) = f1(&confusion, truth.len());
        Ok(Self {
            rows: truth.len(),
            accuracy: right as f64 / truth.len() as f64,
            f1_macro,
            f1_weighted,
            log_loss: probabilities.map(|probabilities| log_loss(truth, probabilities)),
            classes: classes.to_vec(),
            confusion,
        })
    }
}

fn measure() -> Error {
    Error::invalid("measure", "predictions")
}

fn check_lengths(truth: usize, predicted: usize) -> Result<()> {
    match (truth, predicted) {
        (0, _) => Err(measure().with_reason("there are no rows")),
        (truth, predicted) if truth != predicted => {
            Err(measure().with_reason(format_args!("{truth} true values and {predicted} predictions")))
        }
        _ => Ok(()),
    }
}

/// The confusion matrix takes memory by the square of them.
fn check_classes(classes: usize) -> Result<()> {
    if classes <= MOST_CLASSES {
        return Ok(());
    }
    Err(measure()
        .with_reason(format_args!(
            "there are {classes} classes, true and predicted, and at most {MOST_CLASSES} are counted"
        ))
        .with_hint("is the target an identifier, or a number with many values?"))
}

/// The mean F1 of the classes, plain and weighted by their rows.
fn f1(confusion: &[Vec<u64>], rows: usize) -> (f64, f64) {
    let (mut sum, mut weighted, mut counted) = (0.0, 0.0, 0_u32);
    for (class, row) in confusion.iter().enumerate() {
        let actual: u64 = row.iter().sum();
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        if actual + predicted > 0 {
            let f1 = 2.0 * row[class] as f64 / (actual + predicted) as f64;
            sum += f1;
            weighted += f1 * actual as f64;
            counted += 1;
        }
    }
    (sum / f64::from(counted.max(1)), weighted / rows as f64)
}

fn log_loss(truth: &[u32], probabilities: &[f64]) -> f64 {
    let known = probabilities.len() / truth.len();
    let own = |(row, class): (usize, &u32)| match *class as usize {
        class if class < known => probabilities[row * known + class],
        _ => 0.0,
    };
    let loss = |probability: f64| -libm::log(probability.clamp(LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY));
    truth.iter().enumerate().map(own).map(loss).sum::<f64>() / truth.len() as f64
}

/// Predicts for `rows` and compares with the model's target in the same batch.
///
/// Labels that the model has never seen count as wrong and stand after its classes in the confusion matrix.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for no rows, for a feature or target that is missing or of another type, and
/// where the model has seen none of the labels.
pub fn evaluate(model: &dyn Model, rows: &RecordBatch) -> Result<Metrics> {
    Truth::of(model, rows)?.measure(model, rows, true)
}

/// The target of some rows as a model is measured by it.
#[derive(Debug)]
pub(crate) enum Truth {
    Numbers(Vec<f64>),
    /// The model's classes, behind them those that it has never seen.
    Labels {
        classes: Vec<String>,
        codes: Vec<u32>,
    },
    /// Of several targets each, and how many classes the model knows of it.
    Several(Vec<(Output, Self)>),
}

impl Truth {
    pub(crate) fn of(model: &dyn Model, rows: &RecordBatch) -> Result<Self> {
        let each = |output: Output| Self::of_output(model, &output, rows).map(|truth| (output, truth));
        let mut truths = model.outputs().into_iter().map(each).collect::<Result<Vec<_>>>()?;
        Ok(if truths.len() == 1 { truths.swap_remove(0).1 } else { Self::Several(truths) })
    }

    fn of_output(model: &dyn Model, output: &Output, rows: &RecordBatch) -> Result<Self> {
        let index = column_index(rows, &output.name, "measure")?;
        if rows.num_rows() == 0 {
            return Err(measure().with_reason("there are no rows"));
        }
        Ok(match read_target(rows.column(index), &output.name, model.task())? {
            Target::Numbers(values) => Self::Numbers(values),
            Target::Labels { classes: found, codes } => {
                if !found.iter().any(|name| output.classes.contains(name)) {
                    return Err(all_unknown(output, &found));
                }
                let mut classes = output.classes.clone();
                classes.extend(found.iter().filter(|name| !output.classes.contains(name)).cloned());
                let code_of = codes_of(&classes);
                let codes = codes.iter().map(|code| code_of[found[*code as usize].as_str()]).collect();
                Self::Labels { classes, codes }
            }
        })
    }

    /// Predicts for `rows`, of which this is the target; probabilities take as long again as classes, and only the log
    /// loss needs them.
    pub(crate) fn measure(&self, model: &dyn Model, rows: &RecordBatch, with_probabilities: bool) -> Result<Metrics> {
        let predicted = model.predict(rows)?;
        let wanted = with_probabilities && model.task() == Task::Classification;
        let probabilities = if wanted { model.predict_proba(rows).ok() } else { None };
        let Self::Several(truths) = self else {
            return self.compare(model, &predicted, probabilities.as_deref());
        };
        let columns = predicted.as_struct_opt().ok_or_else(|| wrong_type(model))?;
        let places = places(truths.iter().map(|(output, _)| output.classes.len()));
        let width = places.last().map_or(1, |last| last.end);
        let measured = truths.iter().zip(places).map(|((output, truth), places)| {
            let column = columns.column_by_name(&output.name).ok_or_else(|| wrong_type(model))?;
            let own = |row: &[f64]| row[places.clone()].to_vec();
            let own = probabilities.as_ref().map(|all| all.chunks_exact(width).flat_map(own).collect::<Vec<_>>());
            Ok((output.name.clone(), truth.compare(model, column, own.as_deref())?))
        });
        Ok(Metrics::Several(SeveralMetrics { outputs: measured.collect::<Result<_>>()? }))
    }

    /// Measures the predictions of one target.
    fn compare(&self, model: &dyn Model, predicted: &ArrayRef, probabilities: Option<&[f64]>) -> Result<Metrics> {
        match self {
            Self::Several(_) => Err(wrong_type(model)),
            Self::Numbers(truth) => {
                let predicted = predicted.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong_type(model))?;
                Ok(Metrics::Regression(RegressionMetrics::of(truth, predicted.values())?))
            }
            Self::Labels { classes, codes } => {
                let code_of = codes_of(classes);
                let labels = predicted.as_string_opt::<i32>().ok_or_else(|| wrong_type(model))?;
                let predicted = labels
                    .iter()
                    .map(|label| label.and_then(|label| code_of.get(label)).copied().ok_or_else(|| wrong_type(model)))
                    .collect::<Result<Vec<_>>>()?;
                let metrics = ClassificationMetrics::of(classes, codes, &predicted, probabilities)?;
                Ok(Metrics::Classification(metrics))
            }
        }
    }
}

/// Where no label is known, it is the column that is wrong, or its type, and not each of the predictions.
fn all_unknown(output: &Output, found: &[String]) -> Error {
    let names = |classes: &[String]| list(&classes.iter().map(String::as_str).collect::<Vec<_>>());
    let (known, found) = (names(&output.classes), names(found));
    Error::invalid("measure", format_args!("predictions by column `{}`", output.name))
        .with_reason(format_args!(
            "none of its values is a class of the model: it has {found}; the model knows {known}"
        ))
        .with_hint("give the target as it was in training, its type too")
}

fn codes_of(classes: &[String]) -> BTreeMap<&str, u32> {
    (0..).zip(classes).map(|(code, name)| (name.as_str(), code)).collect()
}

fn wrong_type(model: &dyn Model) -> Error {
    let wanted = match model.task() {
        Task::Regression => "numbers",
        Task::Classification => "class labels",
    };
    Error::internal("read", format_args!("the predictions of a `{}` model", model.name()))
        .with_reason(format_args!("a {} gives {wanted}", model.task()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;
    use crate::ml::{DummyTrainer, Frame, Trainer};
    use crate::progress::Silent;

    fn near(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
    }

    #[test]
    fn of_a_constant_truth_nothing_is_explained() {
        assert_eq!(RegressionMetrics::of(&[0.1; 3], &[0.2; 3]).unwrap().r2, None);
    }

    #[test]
    fn numbers_of_the_textbook_example() {
        // Squared errors .25, .25, 0, 1 around a spread of 29.1875: the example of scikit-learn's r2_score.
        let metrics = RegressionMetrics::of(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.0, 2.0, 8.0]).unwrap();
        near(metrics.r2.unwrap(), 1.0 - 1.5 / 29.1875);
        near(metrics.rmse, 0.375_f64.sqrt());
    }

    #[test]
    fn a_constant_truth_has_no_r2() {
        assert_eq!(RegressionMetrics::of(&[1.0, 1.0], &[0.0, 2.0]).unwrap().r2, None);
    }

    #[test]
    fn classes_of_an_example_by_hand() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let probabilities = [0.5, 0.25, 0.25, 0.0, 0.25, 0.5, 0.25, 0.0, 0.0, 0.5, 0.5, 0.0, 0.5, 0.5, 0.0, 0.0];
        let metrics = ClassificationMetrics::of(&names, &[0, 1, 2, 2], &[0, 1, 1, 0], Some(&probabilities)).unwrap();
        near(metrics.accuracy, 0.5);
        // F1: a 2/3, b 2/3, c 0; d neither occurs nor is predicted.
        near(metrics.f1_macro, 4.0 / 9.0);
        near(metrics.f1_weighted, 1.0 / 3.0);
        let unlikely = -libm::log(f64::EPSILON);
        near(metrics.log_loss.unwrap(), (3.0 * std::f64::consts::LN_2 + unlikely) / 4.0);
        assert_eq!(metrics.confusion[2], [1, 1, 0, 0]);
    }

    #[test]
    fn labels_of_which_the_model_knows_none_are_refused() {
        let column = |labels: Vec<&str>| Arc::new(StringArray::from(labels)) as ArrayRef;
        let table = |labels: Vec<&str>| {
            let x = Arc::new(Float64Array::from_iter_values((0..labels.len()).map(|row| row as f64))) as ArrayRef;
            RecordBatch::try_from_iter([("x", x), ("ripe", column(labels))]).unwrap()
        };
        let frame = Frame::new(&table(vec!["false", "true", "true"]), &[], "ripe", Task::Classification).unwrap();
        let model = DummyTrainer::new(Task::Classification).train(&frame, &Silent).unwrap();
        let error = evaluate(model.as_ref(), &table(vec!["0", "1", "1"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot measure predictions by column `ripe`: none of its values is a class of the model: \
             it has `0`, `1`; the model knows `false`, `true`"
        );
        // One that is known is enough: others may be new.
        let metrics = evaluate(model.as_ref(), &table(vec!["0", "1", "true", "true"])).unwrap();
        assert!((metrics.figures()["accuracy"] - 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn no_rows_and_uneven_columns_are_refused() {
        assert!(RegressionMetrics::of(&[], &[]).unwrap_err().to_string().ends_with("there are no rows"));
        let error = RegressionMetrics::of(&[1.0], &[1.0, 2.0]).unwrap_err();
        assert!(error.to_string().ends_with("1 true values and 2 predictions"), "{error}");
        assert!(ClassificationMetrics::of(&[], &[0], &[0], None).is_err());
    }

    #[test]
    fn identifiers_are_not_counted_as_classes() {
        let names: Vec<String> = (0..200_000).map(|id| id.to_string()).collect();
        let error = ClassificationMetrics::of(&names, &[199_999], &[0], None).unwrap_err();
        assert!(error.to_string().contains("there are 200000 classes"), "{error}");
    }
}
