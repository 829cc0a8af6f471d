//! Permutation importances out of bag: each tree is measured by the rows that it has not seen.

use std::ops::Range;

use rayon::prelude::*;

use super::Forest;
use super::columns::Cells;
use super::node::NodeRef;
use super::row_bits::RowBits;
use super::sample::Sampler;
use super::tree::Tree;
use super::walk::{Slots, Tile};
use crate::error::{Error, ErrorKind, Result};
use crate::ml::target::parts;
use crate::ml::{Frame, PermutationImportance, PermutationImportances, PermutationParams, Target, Task, greatest};
use crate::progress::Progress;

impl Forest {
    /// How much worse each tree predicts the rows that it has not seen when one column is shuffled among them, in the
    /// mean over the trees: the importances of Breiman (2001), which need no rows held out.
    ///
    /// The metric is the mean squared error, `mse`, of a regression and the `accuracy` of a classification, in the mean
    /// over several targets, of single trees, not of the forest. The standard error is that over the trees. `table` is the
    /// one that the forest was grown from; it takes, for each thread, four bytes a value of the rows that one tree has not
    /// seen, and 24 bytes a split.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// use datalake_core::ml::forest::{ForestParams, ForestTrainer};
    /// use datalake_core::ml::{Frame, PermutationParams, Task};
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
    /// let frame = Frame::new(&table, &[], "kcal", Task::Regression)?;
    /// let forest = ForestTrainer::new(Task::Regression, ForestParams::default())?.fit(&frame, &Silent)?;
    /// let found = forest.out_of_bag_importances(&frame, &PermutationParams::default(), &Silent)?;
    /// assert!(found.features[0].mean > 100.0 * found.features[1].mean.abs());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a forest without bootstrap, or whose trees have each seen every row; for a
    /// table that it was not grown from; for no repeats or another metric. [`Cancelled`](ErrorKind::Cancelled).
    pub fn out_of_bag_importances(
        &self,
        table: &Frame,
        params: &PermutationParams,
        progress: &dyn Progress,
    ) -> Result<PermutationImportances> {
        params.check_repeats()?;
        let metric = match table.task() {
            Task::Regression => "mse",
            Task::Classification => "accuracy",
        };
        if let Some(other) = params.metric.as_ref().filter(|name| *name != metric) {
            return Err(self.no_importances(format_args!("out of bag the metric is `{metric}`, not `{other}`")));
        }
        if !self.params.bootstrap {
            return Err(self.no_importances("without bootstrap every tree has seen every row"));
        }
        let cells = self.cells_grown_from(table, "measure the importances of")?;
        let sampler = Sampler::new(&self.params, table)?;
        progress.begin("shuffle columns", Some(self.trees.len() as u64));
        let harms = self
            .tree_range()
            .into_par_iter()
            .zip(&self.trees)
            .map(|(number, tree)| {
                if progress.is_cancelled() {
                    return Err(Error::new(ErrorKind::Cancelled, "measure", "the importance of columns"));
                }
                let rows = unseen(&sampler, number);
                let harm = (!rows.is_empty()).then(|| harm(tree, number, &rows, &cells, table.targets(), params));
                progress.advance(1);
                Ok(harm)
            })
            .collect::<Result<Vec<_>>>();
        progress.end();
        let harms: Vec<Harm> = harms?.into_iter().flatten().collect();
        if harms.is_empty() {
            return Err(self.no_importances("every tree has seen every row"));
        }
        let repeats = params.n_repeats as usize;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / harms.len() as f64;
        let features = table.features().iter().enumerate().map(|(index, feature)| {
            let of_tree = |harm: &Harm| harm.by_feature[index].iter().sum::<f64>() / repeats as f64;
            let samples: Vec<f64> = harms.iter().map(of_tree).collect();
            let of_repeat = |repeat: usize| mean(&mut harms.iter().map(|harm| harm.by_feature[index][repeat]));
            PermutationImportance::of(&feature.name, (0..repeats).map(of_repeat).collect(), &samples)
        });
        Ok(PermutationImportances {
            metric: metric.to_owned(),
            score: mean(&mut harms.iter().map(|harm| harm.score)),
            rows: table.rows(),
            features: features.collect(),
        })
    }

    fn no_importances(&self, reason: impl std::fmt::Display) -> Error {
        Error::invalid("measure", format_args!("the importance of columns for `{}` out of bag", self.schema.target))
            .with_reason(reason)
            .with_hint("measure them on rows that were held out")
    }
}

/// The rows that a tree has not seen, rising; those of no weight are not there.
fn unseen(sampler: &Sampler<'_>, number: u32) -> Vec<u32> {
    let counts = (0..).zip(sampler.counts(number));
    counts.filter(|(row, count)| *count == 0 && sampler.weights.at(*row as usize) > 0).map(|(row, _)| row).collect()
}

/// What shuffling does to one tree.
#[derive(Debug)]
struct Harm {
    /// The metric with all columns as they are.
    score: f64,
    /// By how much it is worse, for each feature and repeat.
    by_feature: Vec<Vec<f64>>,
}

fn harm(
    tree: &Tree,
    number: u32,
    rows: &[u32],
    cells: &[Cells],
    targets: &[(String, Target)],
    params: &PermutationParams,
) -> Harm {
    let features = cells.len();
    let mut bits = RowBits::of_rows(cells, rows);
    let (mut slots, mut tile, mut leaves) = (Slots::default(), Tile::default(), Vec::new());
    let laid = slots.of(tree, features, rows.len());
    laid.leaves(&bits, &mut tile, &mut leaves);
    let before = loss(tree, rows, &leaves, targets);
    let mut by_feature = vec![vec![0.0; params.n_repeats as usize]; features];
    for (feature, used) in used(tree, features).into_iter().enumerate() {
        if !used {
            // The tree does not look at it.
            continue;
        }
        for repeat in 0..params.n_repeats {
            let order = params.order(number + 1, feature, repeat, rows.len());
            bits.set_feature(feature, order.iter().map(|&other| cells[feature].bits(rows[other as usize] as usize)));
            laid.leaves(&bits, &mut tile, &mut leaves);
            by_feature[feature][repeat as usize] = loss(tree, rows, &leaves, targets) - before;
        }
        bits.set_feature(feature, rows.iter().map(|&row| cells[feature].bits(row as usize)));
    }
    let score = match targets[0].1 {
        Target::Numbers(_) => before,
        Target::Labels { .. } => 1.0 - before,
    };
    Harm { score, by_feature }
}

/// The mean squared error, or the share of wrong classes, in row order, in the mean over the targets.
fn loss(tree: &Tree, rows: &[u32], leaves: &[u32], targets: &[(String, Target)]) -> f64 {
    let of_target = |(places, target): (Range<usize>, &Target)| -> f64 {
        let pairs = rows.iter().map(|&row| row as usize).zip(leaves.iter().map(|&leaf| tree.leaf(leaf)));
        match target {
            Target::Numbers(values) => {
                let squared = |error: f64| error * error;
                pairs.map(|(row, leaf)| squared(values[row] - leaf[places.start])).sum()
            }
            Target::Labels { codes, .. } => {
                pairs.filter(|(row, leaf)| greatest(&leaf[places.clone()]) != codes[*row]).count() as f64
            }
        }
    };
    let sum: f64 = parts(targets).into_iter().map(of_target).sum();
    sum / targets.len() as f64 / rows.len() as f64
}

/// Whether a tree looks at each feature.
fn used(tree: &Tree, features: usize) -> Vec<bool> {
    let mut used = vec![false; features];
    for node in tree.preorder() {
        if let NodeRef::Split(split) = node {
            used[tree.feature_of(split)] = true;
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::Task;
    use crate::ml::conformance::{FEATURES, foods};
    use crate::ml::forest::{ForestParams, ForestTrainer};
    use crate::progress::Silent;

    fn grown(task: Task, bootstrap: bool) -> (Frame, Forest) {
        let target = if task == Task::Regression { "kcal" } else { "group" };
        let frame = Frame::new(&foods(300, 1), &FEATURES, target, task).unwrap();
        let params = ForestParams { n_estimators: 30, bootstrap, ..ForestParams::default() };
        let forest = ForestTrainer::new(task, params).unwrap().fit(&frame, &Silent).unwrap();
        (frame, forest)
    }

    #[test]
    fn columns_that_matter_are_missed_by_rows_out_of_bag() {
        for task in [Task::Regression, Task::Classification] {
            let (frame, forest) = grown(task, true);
            let params = PermutationParams { n_repeats: 2, ..PermutationParams::default() };
            let found = forest.out_of_bag_importances(&frame, &params, &Silent).unwrap();
            let means: Vec<f64> = found.features.iter().map(|one| one.mean).collect();
            assert!(means[1] > means[0] && means[0] > means[2].max(0.0), "{found:?}");
            for one in &found.features {
                let [low, high] = one.interval.unwrap();
                assert!(low <= one.mean && one.mean <= high);
                assert!((one.repeats.iter().sum::<f64>() / 2.0 - one.mean).abs() < 1e-9 * one.mean.abs().max(1.0));
            }
        }
    }

    #[test]
    fn the_score_is_that_of_the_trees_on_what_they_have_not_seen() {
        let (frame, forest) = grown(Task::Regression, true);
        let Target::Numbers(truth) = frame.target() else { unreachable!("a regression") };
        let leaves = forest.apply(&foods(300, 1)).unwrap();
        let sampler = Sampler::new(&forest.params, &frame).unwrap();
        let of_tree = |number: usize| {
            let tree = forest.tree(number).unwrap();
            let rows = unseen(&sampler, number as u32);
            let squares = rows.iter().map(|&row| row as usize).map(|row| {
                let error = truth[row] - tree.value[leaves[row * 30 + number] as usize];
                error * error
            });
            squares.sum::<f64>() / rows.len() as f64
        };
        let wanted = (0..30).map(of_tree).sum::<f64>() / 30.0;
        let found = forest.out_of_bag_importances(&frame, &PermutationParams::default(), &Silent).unwrap();
        assert_eq!((found.metric.as_str(), found.score.to_bits()), ("mse", wanted.to_bits()));
    }

    #[test]
    fn threads_change_nothing() {
        let (frame, forest) = grown(Task::Classification, true);
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| forest.out_of_bag_importances(&frame, &PermutationParams::default(), &Silent).unwrap())
        };
        assert_eq!(of(1), of(5));
    }

    #[test]
    fn where_every_tree_has_seen_every_row_it_says_so() {
        let (frame, forest) = grown(Task::Regression, false);
        let error = forest.out_of_bag_importances(&frame, &PermutationParams::default(), &Silent).unwrap_err();
        assert_eq!(error.reason(), Some("without bootstrap every tree has seen every row"));
        let (frame, forest) = grown(Task::Regression, true);
        let params = PermutationParams { metric: Some("mae".to_owned()), ..PermutationParams::default() };
        let error = forest.out_of_bag_importances(&frame, &params, &Silent).unwrap_err();
        assert_eq!(error.reason(), Some("out of bag the metric is `mse`, not `mae`"));
    }
}
