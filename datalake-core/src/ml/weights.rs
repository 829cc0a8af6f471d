//! Linear models: a table turned into a matrix to learn from, and the weights that were learnt.
//!
//! Numbers are standardized (their mean is zero, their deviation one) and missing ones take the mean. A category is a
//! column of its own if it is among the [`MOST_CATEGORIES`] most frequent of its feature; a rarer, missing or unseen one
//! has none and counts as zero in all of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use ndarray::{Array2, ShapeBuilder};

use super::codec::{ModelSchema, Reader, Writer};
use super::feature::{Column, Feature, FeatureKind, MISSING, encode};
use super::frame::{Frame, labels};
use super::numbers::Numbers;
use super::{Model, Task, no_probabilities};
use crate::error::Result;

/// The most categories of one feature that get a column.
pub(crate) const MOST_CATEGORIES: usize = 50;

/// How one feature becomes columns of the matrix.
#[derive(Debug)]
enum Block {
    Number {
        mean: f64,
        scale: f64,
        reach: f64,
    },
    /// The categories that have a column, and the share of rows in each.
    Categories {
        kept: Vec<u32>,
        shares: Vec<f64>,
    },
}

impl Block {
    fn of(feature: &Feature, column: &Column, reach: f64) -> Self {
        match (column, &feature.kind) {
            (Column::Numeric(values), _) => standard(values, reach),
            (Column::Categorical(codes), FeatureKind::Categorical { categories }) => frequent(codes, categories.len()),
            (Column::Categorical(codes), FeatureKind::Numeric { .. }) => frequent(codes, 0),
        }
    }

    fn columns(&self) -> usize {
        match self {
            Self::Number { .. } => 1,
            Self::Categories { kept, .. } => kept.len(),
        }
    }
}

/// Mean and deviation, in row order; a column that does not vary keeps its scale.
fn standard(values: &Numbers, reach: f64) -> Block {
    let known = || values.iter().filter(|value| !value.is_nan());
    let count = known().count().max(1) as f64;
    // Divided first: the sum of the largest numbers has no number of its own.
    let mean: f64 = known().map(|value| value / count).sum();
    let deviation = known().map(|value| (value - mean) * ((value - mean) / count)).sum::<f64>().sqrt();
    let scale = if deviation > 0.0 && deviation.is_finite() { deviation } else { 1.0 };
    Block::Number { mean, scale, reach }
}

fn frequent(codes: &[u32], categories: usize) -> Block {
    let mut counts = vec![0_u32; categories];
    codes.iter().filter(|code| **code != MISSING).for_each(|&code| counts[code as usize] += 1);
    let mut kept: Vec<u32> = (0..categories as u32).filter(|&code| counts[code as usize] > 0).collect();
    kept.sort_by_key(|&code| (std::cmp::Reverse(counts[code as usize]), code));
    kept.truncate(MOST_CATEGORIES);
    kept.sort_unstable();
    let shares = kept.iter().map(|&code| f64::from(counts[code as usize]) / codes.len() as f64).collect();
    Block::Categories { kept, shares }
}

/// The plan of a matrix: which features become which columns.
#[derive(Debug)]
pub(crate) struct Design {
    blocks: Vec<Block>,
}

impl Design {
    /// Numbers further than `reach` deviations from their mean count as just that far.
    pub(crate) fn of(frame: &Frame, reach: f64) -> Self {
        let columns = frame.features().iter().zip(frame.columns());
        Self { blocks: columns.map(|(feature, column)| Block::of(feature, column, reach)).collect() }
    }

    pub(crate) fn width(&self) -> usize {
        self.blocks.iter().map(Block::columns).sum()
    }

    /// The matrix of these columns, by columns in memory, with `extra` rows of zeros below. Every column has mean zero
    /// over the rows that the plan was made from.
    pub(crate) fn matrix(&self, columns: &[Column], extra: usize) -> Array2<f64> {
        let rows = columns.first().map_or(0, Column::len);
        let mut matrix = Array2::zeros((rows + extra, self.width()).f());
        let mut at = 0;
        for (block, column) in self.blocks.iter().zip(columns) {
            match (block, column) {
                (Block::Number { mean, scale, reach }, Column::Numeric(values)) => {
                    let standardized = values.iter().map(|value| ((value - mean) / scale).clamp(-reach, *reach));
                    let cells = matrix.column_mut(at).into_iter().zip(standardized);
                    cells.filter(|(_, value)| value.is_finite()).for_each(|(cell, value)| *cell = value);
                }
                (Block::Categories { kept, shares }, Column::Categorical(codes)) => {
                    for ((offset, category), share) in kept.iter().enumerate().zip(shares) {
                        let cells = matrix.column_mut(at + offset).into_iter().zip(codes);
                        cells.for_each(|(cell, code)| *cell = f64::from(u8::from(code == category)) - share);
                    }
                }
                _ => {}
            }
            at += block.columns();
        }
        matrix
    }

    /// What a fit to [`Design::matrix`] has learnt, one intercept and one column of coefficients an output.
    pub(crate) fn weights(&self, features: &[Feature], intercepts: &[f64], coefficients: &[Vec<f64>]) -> Weights {
        let mut intercepts = intercepts.to_vec();
        let mut terms = Vec::with_capacity(features.len());
        let mut at = 0;
        for (block, feature) in self.blocks.iter().zip(features) {
            terms.push(match block {
                Block::Number { mean, scale, reach } => {
                    let slopes = coefficients.iter().map(|output| output[at]).collect();
                    Term::Number { mean: *mean, scale: *scale, reach: *reach, slopes }
                }
                Block::Categories { kept, shares } => {
                    // The shares that were taken off each column move into the intercepts.
                    for (intercept, output) in intercepts.iter_mut().zip(coefficients) {
                        shares
                            .iter()
                            .zip(&output[at..])
                            .for_each(|(share, coefficient)| *intercept -= share * coefficient);
                    }
                    Term::Categories { effects: effects(feature, kept, coefficients, at) }
                }
            });
            at += block.columns();
        }
        Weights { intercepts, terms }
    }
}

/// One number for each category and output; zero for a category without a column.
fn effects(feature: &Feature, kept: &[u32], coefficients: &[Vec<f64>], at: usize) -> Vec<f64> {
    let categories = match &feature.kind {
        FeatureKind::Categorical { categories } => categories.len(),
        FeatureKind::Numeric { .. } => 0,
    };
    let outputs = coefficients.len();
    let mut effects = vec![0.0; categories * outputs];
    for (offset, &category) in kept.iter().enumerate() {
        for (output, coefficients) in coefficients.iter().enumerate() {
            effects[category as usize * outputs + output] = coefficients[at + offset];
        }
    }
    effects
}

/// What one feature adds to the outputs.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// `(value - mean) / scale`, kept within `reach`, times a slope for each output; nothing if missing.
    Number { mean: f64, scale: f64, reach: f64, slopes: Vec<f64> },
    /// A number for each category and output, category by category.
    Categories { effects: Vec<f64> },
}

/// A linear function of a table's features, with one or more outputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Weights {
    intercepts: Vec<f64>,
    terms: Vec<Term>,
}

impl Weights {
    /// Row-major outputs, each a sum in the order of the features.
    fn apply(&self, columns: &[Column], rows: usize) -> Vec<f64> {
        let outputs = self.intercepts.len();
        let mut sums = self.intercepts.repeat(rows);
        for (term, column) in self.terms.iter().zip(columns) {
            for (row, sums) in sums.chunks_exact_mut(outputs).enumerate() {
                term.add(column, row, sums);
            }
        }
        sums
    }

    fn write(&self, writer: &mut Writer) {
        writer.f64s(&self.intercepts);
        for term in &self.terms {
            match term {
                Term::Number { mean, scale, reach, slopes } => {
                    writer.f64(*mean);
                    writer.f64(*scale);
                    writer.f64(*reach);
                    writer.f64s(slopes);
                }
                Term::Categories { effects } => writer.f64s(effects),
            }
        }
    }

    fn read(reader: &mut Reader<'_>, schema: &ModelSchema) -> Result<Self> {
        let intercepts = reader.f64s()?;
        if intercepts.len() != schema.classes.len().max(1) {
            return Err(reader.damaged(format_args!(
                "{} outputs for {} classes",
                intercepts.len(),
                schema.classes.len()
            )));
        }
        let outputs = intercepts.len();
        let terms =
            schema.features.iter().map(|feature| Term::read(reader, feature, outputs)).collect::<Result<_>>()?;
        Ok(Self { intercepts, terms })
    }
}

impl Term {
    fn add(&self, column: &Column, row: usize, sums: &mut [f64]) {
        match (self, column) {
            (Self::Number { mean, scale, reach, slopes }, Column::Numeric(values)) => {
                let value = ((values.get(row) - mean) / scale).clamp(-reach, *reach);
                if value.is_finite() {
                    sums.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope * value);
                }
            }
            (Self::Categories { effects }, Column::Categorical(codes)) if codes[row] != MISSING => {
                let own = &effects[codes[row] as usize * sums.len()..];
                sums.iter_mut().zip(own).for_each(|(sum, effect)| *sum += effect);
            }
            _ => {}
        }
    }

    fn read(reader: &mut Reader<'_>, feature: &Feature, outputs: usize) -> Result<Self> {
        let (term, found, wanted) = match &feature.kind {
            FeatureKind::Numeric { .. } => {
                let (mean, scale, reach) = (reader.f64()?, reader.f64()?, reader.f64()?);
                let slopes = reader.f64s()?;
                if scale <= 0.0 || reach <= 0.0 {
                    return Err(
                        reader.damaged(format_args!("feature `{}` with scale {scale} and reach {reach}", feature.name))
                    );
                }
                let found = slopes.len();
                (Self::Number { mean, scale, reach, slopes }, found, Some(outputs))
            }
            FeatureKind::Categorical { categories } => {
                let effects = reader.f64s()?;
                let found = effects.len();
                (Self::Categories { effects }, found, categories.len().checked_mul(outputs))
            }
        };
        if wanted == Some(found) {
            return Ok(term);
        }
        Err(reader.damaged(format_args!("{found} weights for feature `{}`", feature.name)))
    }
}

/// A linear regression, or, through the softmax of its outputs, a logistic classification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearModel {
    pub(crate) schema: ModelSchema,
    pub(crate) params: serde_json::Value,
    pub(crate) weights: Weights,
}

impl LinearModel {
    /// The name of the model of a task in files and reports.
    pub(crate) fn name_of(task: Task) -> &'static str {
        match task {
            Task::Regression => "linear",
            Task::Classification => "logistic",
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, task: Task) -> Result<Self> {
        let schema = reader.schema()?;
        if schema.task != task {
            return Err(reader.damaged(format_args!("a {} under the name `{}`", schema.task, Self::name_of(task))));
        }
        let params = reader.text()?;
        let params =
            serde_json::from_str(&params).map_err(|cause| reader.damaged("unknown parameters").with_source(cause))?;
        let weights = Weights::read(reader, &schema)?;
        Ok(Self { schema, params, weights })
    }

    fn outputs(&self, rows: &RecordBatch) -> Result<Vec<f64>> {
        Ok(self.weights.apply(&encode(&self.schema.features, rows)?, rows.num_rows()))
    }
}

impl Model for LinearModel {
    fn name(&self) -> &'static str {
        Self::name_of(self.schema.task)
    }

    fn task(&self) -> Task {
        self.schema.task
    }

    fn target(&self) -> &str {
        &self.schema.target
    }

    fn features(&self) -> &[Feature] {
        &self.schema.features
    }

    fn classes(&self) -> &[String] {
        &self.schema.classes
    }

    fn predict(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let outputs = self.outputs(rows)?;
        Ok(match self.schema.task {
            Task::Regression => Arc::new(Float64Array::from(outputs)),
            Task::Classification => {
                let codes: Vec<u32> = outputs.chunks_exact(self.schema.classes.len()).map(super::greatest).collect();
                labels(&self.schema.classes, &codes)
            }
        })
    }

    fn predict_proba(&self, rows: &RecordBatch) -> Result<Vec<f64>> {
        if self.schema.task == Task::Regression {
            return Err(no_probabilities(self));
        }
        let mut outputs = self.outputs(rows)?;
        outputs.chunks_exact_mut(self.schema.classes.len()).for_each(softmax);
        Ok(outputs)
    }

    fn params(&self) -> serde_json::Value {
        self.params.clone()
    }

    fn body(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::default();
        writer.schema(&self.schema);
        writer.text(&self.params.to_string());
        self.weights.write(&mut writer);
        Ok(writer.finish())
    }
}

fn softmax(row: &mut [f64]) {
    let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value = libm::exp(*value - greatest));
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}
