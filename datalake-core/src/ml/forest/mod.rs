//! Random forests: many trees, each grown from rows drawn with replacement and split by the best of drawn features.
//!
//! After Breiman, "Random Forests" (Machine Learning 45, 2001), with the parameters of scikit-learn. Splits are
//! exact: every cut between neighbouring values is tried, half-way thresholds, numbers rounded once to `f32`.
//! Missing values go to the side where they help; text columns are split by sets of categories, found in the order
//! of their mean target (the best for a regression or two classes, a heuristic for more classes).
//!
//! **One digest.** Draws are keyed by (seed, tree, path from the root), targets are whole numbers while splits are
//! searched, leaf values are means in row order, trees stand in the order of their numbers: threads, machines and
//! the batches a table came in change nothing. Ties are broken by the order of the draw, then missing values on
//! the right before left, then the lowest threshold.

mod block;
mod categories;
mod columns;
mod draw;
mod grow;
mod local;
mod pack;
mod params;
mod predict;
mod scan;
mod search;
mod small;
mod tally;
mod target;
mod top;
mod tree;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use rayon::prelude::*;

pub use params::{Criterion, ForestParams, MaxFeatures};

use self::block::Layout;
use self::columns::{Binned, Cells};
use self::draw::Draw;
use self::grow::{Grower, Limits, Plan};
use self::predict::{Bag, mean_of_trees};
use self::tally::{ClassTally, NumberTally};
use self::target::FixedTarget;
use self::tree::Tree;
use super::codec::{ModelSchema, Reader, Writer};
use super::feature::{Column, Feature, encode};
use super::frame::{Frame, Target, labels};
use super::{Model, OutOfBag, Task, Trainer, greatest, metrics, no_probabilities};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// Grows random forests.
#[derive(Debug, Clone)]
pub struct ForestTrainer {
    task: Task,
    params: ForestParams,
}

impl ForestTrainer {
    /// A trainer with checked parameters.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) as [`ForestParams::check`].
    pub fn new(task: Task, params: ForestParams) -> Result<Self> {
        params.check(task)?;
        Ok(Self { task, params })
    }

    /// Grows a forest and keeps its type.
    ///
    /// # Errors
    /// As [`Trainer::train`].
    pub fn fit(&self, table: &Frame, progress: &dyn Progress) -> Result<Forest> {
        check_table(self.task, table)?;
        let cells: Vec<Cells> = table.columns().par_iter().map(Cells::of).collect();
        let columns = bin(table, &cells, progress);
        let draws = self.draws(table.rows());
        let target = FixedTarget::of(table.target(), u64::from(draws.unwrap_or(table.rows() as u32)));
        let plan = self.plan(table, cells, columns, draws, &target);
        progress.begin("grow trees", Some(u64::from(self.params.n_estimators)));
        let grown = (0..self.params.n_estimators)
            .into_par_iter()
            .map_init(Grower::default, |grower, number| grow_one(grower, &plan, &target, number, progress))
            .collect::<Result<Vec<_>>>();
        progress.end();
        let (trees, bags): (Vec<Tree>, Vec<Bag>) = grown?.into_iter().unzip();
        let range = range_of(table.target());
        let params = ForestParams { oob_score: true, ..self.params.clone() };
        let mut forest = Forest { schema: ModelSchema::of(table), params, trees, range, out_of_bag: None };
        if self.params.bootstrap && self.params.oob_score {
            forest.out_of_bag = forest.look_out_of_bag(&plan.cells, &bags, table.target());
        }
        Ok(forest)
    }

    fn draws(&self, rows: usize) -> Option<u32> {
        let share = self.params.max_samples.unwrap_or(1.0);
        self.params.bootstrap.then(|| ((rows as f64 * share).round_ties_even() as u32).max(1))
    }

    fn plan(
        &self,
        table: &Frame,
        cells: Vec<Cells>,
        columns: Vec<Binned>,
        draws: Option<u32>,
        target: &FixedTarget,
    ) -> Plan {
        let params = &self.params;
        let rows = table.rows() as u32;
        let weight = f64::from(draws.unwrap_or(rows));
        let min_decrease = match target {
            // Twice, since a square of `2^shift` may be beyond the largest number on its way to a small product.
            FixedTarget::Numbers { shift, .. } => {
                libm::scalbn(libm::scalbn(params.min_impurity_decrease * weight, *shift), *shift)
            }
            FixedTarget::Classes { .. } => params.min_impurity_decrease * weight,
        };
        let tried = params.max_features.resolve(columns.len(), self.task);
        Plan {
            layout: Layout::of(&columns, tried),
            draw: Draw::new(params.seed, columns.len(), tried),
            cells,
            columns,
            rows,
            draws,
            limits: Limits {
                max_depth: params.max_depth.unwrap_or(u32::MAX),
                min_split: params.min_samples_split as usize,
                min_leaf: params.min_samples_leaf as usize,
                min_decrease,
            },
            seed: params.seed,
        }
    }
}

impl Trainer for ForestTrainer {
    fn name(&self) -> &'static str {
        "forest"
    }

    fn task(&self) -> Task {
        self.task
    }

    fn train(&self, table: &Frame, progress: &dyn Progress) -> Result<Box<dyn Model>> {
        Ok(Box::new(self.fit(table, progress)?))
    }
}

fn check_table(task: Task, table: &Frame) -> Result<()> {
    super::check_task(task, table)?;
    let features = table.features().len();
    if features >= tree::MOST_FEATURES {
        return Err(Error::invalid("grow", "a forest")
            .with_reason(format_args!("{features} features are more than {}", tree::MOST_FEATURES - 1)));
    }
    Ok(())
}

/// Bins every column, and says which lose distinct values by the rounding to `f32`.
fn bin(table: &Frame, cells: &[Cells], progress: &dyn Progress) -> Vec<Binned> {
    let inputs = table.features().par_iter().zip(table.columns()).zip(cells);
    let columns: Vec<Binned> = inputs.map(|((feature, column), cells)| Binned::of(feature, column, cells)).collect();
    for (feature, column) in table.features().iter().zip(&columns).filter(|(_, column)| column.lost > 0) {
        let (name, lost) = (&feature.name, column.lost);
        progress.note(&format!("column `{name}` loses {lost} distinct values: the forest rounds numbers to 32 bits"));
    }
    columns
}

fn grow_one(
    grower: &mut Grower,
    plan: &Plan,
    target: &FixedTarget,
    number: u32,
    progress: &dyn Progress,
) -> Result<(Tree, Bag)> {
    if progress.is_cancelled() {
        return Err(Error::new(ErrorKind::Cancelled, "grow", "a forest"));
    }
    let weights = plan.weights(number);
    let tree = match target {
        FixedTarget::Numbers { fixed, values, .. } => {
            let tally = || NumberTally::new(fixed, values);
            grower.grow(plan, number, &weights, [tally(), tally()], target.width())
        }
        FixedTarget::Classes { codes, classes } => {
            let tally = || ClassTally::new(codes, *classes);
            grower.grow(plan, number, &weights, [tally(), tally()], target.width())
        }
    };
    progress.advance(1);
    Ok((tree, Bag::of(&weights)))
}

fn range_of(target: &Target) -> [f64; 2] {
    match target {
        Target::Numbers(values) => super::feature::range_of(values).unwrap_or([0.0, 0.0]),
        Target::Labels { .. } => [0.0, 1.0],
    }
}

/// A grown forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    schema: ModelSchema,
    params: ForestParams,
    trees: Vec<Tree>,
    /// The least and greatest prediction: those of the training target.
    range: [f64; 2],
    out_of_bag: Option<OutOfBag>,
}

impl Forest {
    /// The parameters that it was grown with.
    #[must_use]
    pub fn forest_params(&self) -> &ForestParams {
        &self.params
    }

    /// The number of trees.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// The number of nodes of all trees, leaves included.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.trees.iter().map(Tree::len).sum()
    }

    fn width(&self) -> usize {
        self.schema.classes.len().max(1)
    }

    /// One number, or one share for each class, a row.
    pub(super) fn predict_columns(&self, columns: &[Column], rows: usize) -> Vec<f64> {
        let cells: Vec<Cells> = columns.iter().map(Cells::of).collect();
        self.mean_of_trees(&cells, rows, None)
    }

    fn mean_of_trees(&self, cells: &[Cells], rows: usize, bags: Option<&[Bag]>) -> Vec<f64> {
        let mut means = mean_of_trees(&self.trees, cells, rows, self.width(), bags);
        if self.schema.task == Task::Regression {
            // A mean of equal numbers may be off by its last bit.
            let [low, high] = self.range;
            means.iter_mut().filter(|mean| !mean.is_nan()).for_each(|mean| *mean = mean.max(low).min(high));
        }
        means
    }

    fn raw(&self, rows: &RecordBatch) -> Result<Vec<f64>> {
        Ok(self.predict_columns(&encode(&self.schema.features, rows)?, rows.num_rows()))
    }

    fn look_out_of_bag(&self, cells: &[Cells], bags: &[Bag], target: &Target) -> Option<OutOfBag> {
        let predictions = self.mean_of_trees(cells, target.len(), Some(bags));
        let width = self.width();
        let known: Vec<usize> = (0..target.len()).filter(|row| !predictions[row * width].is_nan()).collect();
        if known.is_empty() {
            return None;
        }
        let (score, error) = match target {
            Target::Numbers(values) => {
                let truth: Vec<f64> = known.iter().map(|&row| values[row]).collect();
                let guess: Vec<f64> = known.iter().map(|&row| predictions[row]).collect();
                let metrics = metrics::RegressionMetrics::of(&truth, &guess).ok()?;
                (metrics.r2, metrics.rmse)
            }
            Target::Labels { codes, .. } => {
                let right = |row: &&usize| greatest(&predictions[**row * width..][..width]) == codes[**row];
                let accuracy = known.iter().filter(right).count() as f64 / known.len() as f64;
                (Some(accuracy), 1.0 - accuracy)
            }
        };
        Some(OutOfBag { rows: known.len(), predictions, score, error: Some(error) })
    }

    /// Reads a body back.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let schema = reader.schema()?;
        let params = reader.text()?;
        let params: ForestParams =
            serde_json::from_str(&params).map_err(|cause| reader.damaged("unknown parameters").with_source(cause))?;
        params.check(schema.task)?;
        let range = [reader.f64()?, reader.f64()?];
        let count = reader.count(5)?;
        if count == 0 || schema.features.is_empty() || schema.features.len() >= tree::MOST_FEATURES {
            return Err(reader.damaged("a forest without trees or features"));
        }
        let width = schema.classes.len().max(1);
        let trees = (0..count).map(|_| Tree::read(reader, &schema.features, width)).collect::<Result<_>>()?;
        Ok(Self { schema, params, trees, range, out_of_bag: None })
    }
}

impl Model for Forest {
    fn name(&self) -> &'static str {
        "forest"
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
        let raw = self.raw(rows)?;
        Ok(match self.schema.task {
            Task::Regression => Arc::new(Float64Array::from(raw)),
            Task::Classification => {
                let codes: Vec<u32> = raw.chunks_exact(self.width()).map(greatest).collect();
                labels(&self.schema.classes, &codes)
            }
        })
    }

    fn predict_proba(&self, rows: &RecordBatch) -> Result<Vec<f64>> {
        match self.schema.task {
            Task::Regression => Err(no_probabilities(self)),
            Task::Classification => self.raw(rows),
        }
    }

    /// By the decrease of impurity: the mean over the trees of each feature's share.
    fn importances(&self) -> Option<Vec<f64>> {
        let mut sums = vec![0.0; self.schema.features.len()];
        for tree in &self.trees {
            sums.iter_mut().zip(&tree.importances).for_each(|(sum, share)| *sum += share);
        }
        let total: f64 = sums.iter().sum();
        if total > 0.0 {
            sums.iter_mut().for_each(|sum| *sum /= total);
        }
        Some(sums)
    }

    fn out_of_bag(&self) -> Option<&OutOfBag> {
        self.out_of_bag.as_ref()
    }

    fn params(&self) -> serde_json::Value {
        serde_json::to_value(&self.params).unwrap_or_default()
    }

    fn body(&self) -> Result<Vec<u8>> {
        let params = serde_json::to_string(&self.params)
            .map_err(|cause| Error::internal("write", "a forest's parameters").with_source(cause))?;
        let mut writer = Writer::default();
        writer.schema(&self.schema);
        writer.text(&params);
        writer.f64(self.range[0]);
        writer.f64(self.range[1]);
        writer.varint(self.trees.len() as u64);
        self.trees.iter().for_each(|tree| tree.write(&mut writer, &self.schema.features));
        Ok(writer.finish())
    }
}

#[cfg(test)]
mod split_tests;
#[cfg(test)]
mod tests;
