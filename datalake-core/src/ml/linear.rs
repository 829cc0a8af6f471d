//! Linear baselines by linfa: least squares for a regression, multinomial logistic for a classification.
//!
//! What a forest must beat to be worth its size. How a table becomes a matrix is in [`weights`](super::weights).

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linear::LinearRegression;
use linfa_logistic::MultiLogisticRegression;
use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::codec::ModelSchema;
use super::feature::Column;
use super::weights::{Design, LinearModel};
use super::{Frame, Model, Target, Task, Trainer, check_one_target};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// The pull towards zero on a standardized coefficient, as a share of the rows: too small to be seen in a prediction,
/// large enough that columns which say the same share their coefficient.
const RIDGE: f64 = 1e-8;

/// Least squares over standardized columns (linfa-linear); missing numbers count as the mean, the 50 most frequent
/// categories of a feature have a column each.
///
/// It holds the table as a matrix of `f64` twice while it learns.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinearTrainer;

impl Trainer for LinearTrainer {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn task(&self) -> Task {
        Task::Regression
    }

    fn train(&self, table: &Frame, progress: &dyn Progress) -> Result<Box<dyn Model>> {
        check_one_target(Task::Regression, table)?;
        let Target::Numbers(values) = table.target() else { return Err(failed("linear", "the target is no number")) };
        begin("fit a linear model", progress)?;
        let design = Design::of(table, f64::MAX);
        let mean = values.iter().map(|value| value / values.len() as f64).sum::<f64>();
        let coefficients = least_squares(&design, table.columns(), values, mean)?;
        progress.advance(1);
        progress.end();
        let weights = design.weights(table.features(), &[mean], &[coefficients]);
        Ok(Box::new(LinearModel { schema: ModelSchema::of(table), params: serde_json::json!({}), weights }))
    }
}

/// Solves for standardized coefficients, with one more row for each that pulls it towards zero by [`RIDGE`].
fn least_squares(design: &Design, columns: &[Column], values: &[f64], mean: f64) -> Result<Vec<f64>> {
    let (rows, width) = (values.len(), design.width());
    if width == 0 {
        return Ok(Vec::new());
    }
    let mut matrix = design.matrix(columns, width);
    let pull = (RIDGE * rows as f64).sqrt();
    (0..width).for_each(|column| matrix[[rows + column, column]] = pull);
    // The target is scaled to one, so that the squares of the largest numbers have numbers of their own.
    let reach = values.iter().fold(0.0_f64, |reach, value| reach.max((value - mean).abs()));
    let scale = if reach.is_finite() && reach > 0.0 { reach } else { f64::MAX };
    let target = values.iter().map(|value| (value - mean) / scale).chain(std::iter::repeat_n(0.0, width));
    let target: Array1<f64> = target.collect();
    let fitted = LinearRegression::new().with_intercept(false).fit(&Dataset::new(matrix, target));
    let fitted = fitted.map_err(|cause| failed("linear", cause))?;
    finite("linear", fitted.params().iter().map(|coefficient| coefficient * scale).collect())
}

fn finite(name: &str, coefficients: Vec<f64>) -> Result<Vec<f64>> {
    match coefficients.iter().find(|value| !value.is_finite()) {
        None => Ok(coefficients),
        Some(value) => Err(failed(name, format_args!("a coefficient is {value}"))),
    }
}

fn failed(name: &str, reason: impl std::fmt::Display) -> Error {
    Error::invalid("fit", format_args!("a `{name}` model"))
        .with_reason(reason)
        .with_hint("leave out columns with extreme values, or do without this baseline")
}

fn begin(stage: &str, progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() {
        return Err(Error::new(ErrorKind::Cancelled, "fit", "a baseline"));
    }
    progress.begin(stage, Some(1));
    Ok(())
}

/// How many deviations from its mean a number may lie for the logistic solver: its sums of exponentials lose rows
/// that stand far outside, and it then stops early.
const REACH: f64 = 5.0;

/// The parameters of [`LogisticTrainer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogisticParams {
    /// How strongly coefficients are pulled towards zero (L2); scikit-learn's `1 / C`.
    pub alpha: f64,
    /// The most steps of the solver. Its line search has no limit of its own: where numbers lie far out, steps beyond
    /// the tenth have taken seconds each, for little gain.
    pub max_iterations: u64,
}

impl Default for LogisticParams {
    fn default() -> Self {
        Self { alpha: 1.0, max_iterations: 10 }
    }
}

/// Multinomial logistic regression over the same columns as [`LinearTrainer`] (linfa-logistic), where numbers beyond
/// five deviations from their mean count as five.
///
/// Ten steps stop short of the best fit on many columns with outliers: a baseline, not a reference.
/// Its solver multiplies matrices with what the processor offers: on one kind of machine its digest is always the
/// same, between kinds it may differ.
#[derive(Debug, Clone, Default)]
pub struct LogisticTrainer {
    params: LogisticParams,
}

impl LogisticTrainer {
    /// A trainer with checked parameters.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), naming the parameter and the value found.
    pub fn new(params: LogisticParams) -> Result<Self> {
        let refuse = |reason: String| Err(Error::invalid("fit", "a `logistic` model").with_reason(reason));
        match params {
            LogisticParams { alpha, .. } if !(alpha >= 0.0 && alpha.is_finite()) => {
                refuse(format!("alpha must be zero or a positive number, got {alpha}"))
            }
            LogisticParams { max_iterations: 0, .. } => refuse("max_iterations must be at least 1, got 0".to_owned()),
            params => Ok(Self { params }),
        }
    }
}

impl Trainer for LogisticTrainer {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn task(&self) -> Task {
        Task::Classification
    }

    fn train(&self, table: &Frame, progress: &dyn Progress) -> Result<Box<dyn Model>> {
        check_one_target(Task::Classification, table)?;
        let Target::Labels { classes, codes } = table.target() else {
            return Err(failed("logistic", "the target has no classes"));
        };
        begin("fit a logistic model", progress)?;
        let design = Design::of(table, REACH);
        let dataset = Dataset::new(design.matrix(table.columns(), 0), Array1::from(codes.clone()));
        let solver = MultiLogisticRegression::default().alpha(self.params.alpha);
        let fitted = solver.max_iterations(self.params.max_iterations).fit(&dataset);
        let fitted = fitted.map_err(|cause| failed("logistic", cause))?;
        progress.advance(1);
        progress.end();

        // A class that has no row in this table is never chosen.
        let mut intercepts = vec![f64::MIN / 2.0; classes.len()];
        let mut coefficients = vec![vec![0.0; design.width()]; classes.len()];
        for (output, &class) in fitted.classes().iter().enumerate() {
            intercepts[class as usize] = fitted.intercept()[output];
            coefficients[class as usize] = finite("logistic", fitted.params().column(output).to_vec())?;
        }
        let weights = design.weights(table.features(), &finite("logistic", intercepts)?, &coefficients);
        let params = serde_json::to_value(&self.params).unwrap_or_default();
        Ok(Box::new(LinearModel { schema: ModelSchema::of(table), params, weights }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
    use arrow::datatypes::Float64Type;

    use super::*;
    use crate::progress::Silent;

    #[test]
    fn a_line_is_found_beside_a_copy_and_a_constant() {
        let x: Vec<Option<f64>> = (0..40).map(|x| Some(f64::from(x))).collect();
        let color = (0..40).map(|row| Some(["red", "blue"][row % 2])).collect::<StringArray>();
        let y = (0..40).map(|row| 3.0 + 2.0 * f64::from(row) + if row % 2 == 0 { 10.0 } else { 0.0 });
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Float64Array::from(x.clone())) as ArrayRef),
            ("copy", Arc::new(Float64Array::from(x))),
            ("same", Arc::new(Float64Array::from(vec![5.0; 40]))),
            ("color", Arc::new(color)),
            ("y", Arc::new(Float64Array::from_iter_values(y.clone()))),
        ])
        .unwrap();
        let frame = Frame::new(&batch, &[], "y", Task::Regression).unwrap();
        let model = LinearTrainer.train(&frame, &Silent).unwrap();
        let predicted = model.predict(&batch).unwrap();
        for (found, wanted) in predicted.as_primitive::<Float64Type>().values().iter().zip(y) {
            assert!((found - wanted).abs() < 1e-4, "{found} is not {wanted}");
        }
    }

    #[test]
    fn a_missing_value_counts_as_the_mean() {
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Float64Array::from(vec![Some(0.0), Some(2.0), None])) as ArrayRef),
            ("y", Arc::new(Float64Array::from(vec![0.0, 4.0, 2.0]))),
        ])
        .unwrap();
        let frame = Frame::new(&batch, &[], "y", Task::Regression).unwrap();
        let predicted = LinearTrainer.train(&frame, &Silent).unwrap().predict(&batch).unwrap();
        assert!((predicted.as_primitive::<Float64Type>().value(2) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let error = LogisticTrainer::new(LogisticParams { alpha: -1.0, ..LogisticParams::default() }).unwrap_err();
        assert_eq!(error.reason(), Some("alpha must be zero or a positive number, got -1"));
    }
}
