//! Random forests: many trees, each grown from rows drawn with replacement and split by the best of drawn features.
//!
//! After Breiman, "Random Forests" (Machine Learning 45, 2001), with the parameters of scikit-learn. In nodes of up to
//! 4,095 rows (fewer in tables of more than 40 columns, at least 256) every cut between neighbouring values is tried; in
//! larger ones, cuts between 255 bins of about equally many rows. Thresholds lie half-way, numbers are rounded once to `f32`.
//! Missing values go to the side where they help; text columns are split by sets of categories, found in the order
//! of their mean target (the best for a regression or two classes, a heuristic for more classes).
//!
//! **One digest.** Draws are keyed by (seed, tree, path from the root), targets are whole numbers while splits are
//! searched, leaf values are means in row order, trees stand in the order of their numbers: threads, machines and
//! the batches a table came in change nothing. Ties are broken by the order of the draw, then missing values on
//! the right before left, then the lowest threshold.

mod block;
mod body;
mod branch;
mod by_rows;
mod categories;
mod columns;
mod crew;
mod draft;
mod draw;
mod file;
mod grow;
mod grown_from;
mod histogram;
mod inspect;
mod leaves;
mod limits;
mod local;
mod merge;
mod node;
mod one_row;
mod out_of_bag;
mod pack;
mod params;
mod partition;
mod permute;
mod planned;
mod plateau;
mod predict;
mod prune;
mod random_cut;
mod row_bits;
mod rules;
mod sample;
mod scan;
mod search;
mod several;
mod small;
mod split;
mod tally;
mod target;
mod top;
mod trainer;
mod tree;
mod walk;
mod warm_start;
mod within;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};

pub use inspect::{DecisionPath, LeafStatistics, TreeView};
pub use limits::{ForestSettings, GrowthLimits};
pub use params::{ClassWeight, Criterion, ForestParams, MaxFeatures, Splitter};
pub use trainer::ForestTrainer;

use self::columns::Cells;
use self::grown_from::GrownFrom;
use self::predict::{Bag, mean_of_trees};
use self::tree::Tree;
use super::codec::{ModelSchema, Writer};
use super::feature::{Column, Feature, encode};
use super::frame::labels;
use super::target::together;
use super::{Model, OutOfBag, Output, Task, greatest, no_probabilities};
use crate::error::Result;

/// A grown forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    schema: ModelSchema,
    params: ForestParams,
    /// The number of rows that it was grown from.
    rows: u32,
    /// None where it was read from a file that does not say.
    grown_from: Option<GrownFrom>,
    /// The number of the first tree: zero, but for a part of a forest.
    first: u32,
    trees: Vec<Tree>,
    /// Of each target the least and greatest prediction: those of the training rows.
    ranges: Vec<[f64; 2]>,
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

    /// Which of the forest's trees these are: all, or those of a part.
    #[must_use]
    pub fn tree_range(&self) -> Range<u32> {
        self.first..self.first + self.trees.len() as u32
    }

    /// Whether so few rows are predicted on the thread that asks: others would take longer to begin.
    #[must_use]
    pub fn is_quick(&self, rows: usize) -> bool {
        predict::is_quick(rows, self.trees.len())
    }

    /// Whether trees are missing, which [`Forest::merge`] would add.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.tree_range() != (0..self.params.n_estimators)
    }

    /// The number of nodes of all trees, leaves included.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.trees.iter().map(Tree::len).sum()
    }

    fn width(&self) -> usize {
        self.schema.width()
    }

    /// One number, or one share for each class, a row; for several targets, one after the other.
    pub(super) fn predict_columns(&self, columns: Vec<Column>, rows: usize) -> Vec<f64> {
        let cells: Vec<Cells> = columns.into_iter().map(Cells::from).collect();
        self.mean_of_trees(&cells, rows, None)
    }

    fn mean_of_trees(&self, cells: &[Cells], rows: usize, bags: Option<&[Bag]>) -> Vec<f64> {
        let mut means = mean_of_trees(&self.trees, cells, rows, self.width(), bags);
        self.keep_in_range(&mut means);
        means
    }

    fn keep_in_range(&self, means: &mut [f64]) {
        if self.schema.task == Task::Regression {
            // A mean of equal numbers may be off by its last bit.
            for row in means.chunks_exact_mut(self.ranges.len()) {
                let known = row.iter_mut().zip(&self.ranges).filter(|(mean, _)| !mean.is_nan());
                known.for_each(|(mean, [low, high])| *mean = mean.max(*low).min(*high));
            }
        }
    }

    /// What the numbers of one target say.
    fn predicted<'a>(&self, rows: impl Iterator<Item = &'a [f64]>, classes: &[String]) -> ArrayRef {
        match self.schema.task {
            Task::Regression => Arc::new(rows.map(|row| row[0]).collect::<Float64Array>()),
            Task::Classification => labels(classes, &rows.map(greatest).collect::<Vec<_>>()),
        }
    }

    pub(super) fn raw(&self, rows: &RecordBatch) -> Result<Vec<f64>> {
        Ok(self.predict_columns(encode(&self.schema.features, rows)?, rows.num_rows()))
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

    fn outputs(&self) -> Vec<Output> {
        self.schema.all_outputs()
    }

    fn predict(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let raw = self.raw(rows)?;
        if !self.schema.outputs.is_empty() {
            return Ok(together(self.schema.outputs.iter().zip(self.schema.places()).map(|(output, places)| {
                let rows = raw.chunks_exact(self.width()).map(|row| &row[places.clone()]);
                (output.name.as_str(), self.predicted(rows, &output.classes))
            })));
        }
        Ok(match self.schema.task {
            Task::Regression => Arc::new(Float64Array::from(raw)),
            Task::Classification => self.predicted(raw.chunks_exact(self.width()), &self.schema.classes),
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

    fn as_forest(&self) -> Option<&Self> {
        Some(self)
    }

    fn params(&self) -> serde_json::Value {
        serde_json::to_value(&self.params).unwrap_or_default()
    }

    fn body(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        self.write_body(&mut |bytes| body.extend_from_slice(bytes))?;
        Ok(body)
    }

    fn write_body(&self, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
        sink(&self.head()?);
        let mut writer = Writer::default();
        for tree in &self.trees {
            tree.write(&mut writer, &self.schema.features, sink);
        }
        Ok(())
    }
}

#[cfg(test)]
mod digest_tests;
#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod inspect_tests;
#[cfg(test)]
mod option_tests;
#[cfg(test)]
mod predict_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod several_tests;
#[cfg(test)]
mod split_tests;
#[cfg(test)]
mod tests;
