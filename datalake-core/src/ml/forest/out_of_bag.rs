//! What the trees say of the training rows that they have not seen.

use std::ops::Range;

use rayon::prelude::*;

use super::Forest;
use super::columns::Cells;
use super::predict::Bag;
use super::sample::Sampler;
use crate::error::Result;
use crate::ml::target::parts;
use crate::ml::{Frame, OutOfBag, Target, greatest, metrics};

impl Forest {
    /// Predicts the rows that the forest was grown from by the trees that have not seen them, for a forest that was
    /// merged from parts or read from a file: which rows a tree has seen follows from the seed.
    ///
    /// None without bootstrap, or when every tree has seen every row.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a table that the forest was not grown from.
    pub fn score_out_of_bag(&mut self, table: &Frame) -> Result<Option<&OutOfBag>> {
        let cells = self.cells_grown_from(table, "score out of bag")?;
        let sampler = Sampler::new(&self.params, table)?;
        let found = if self.params.bootstrap { look(self, &cells, &sampler, table.targets()) } else { None };
        self.out_of_bag = found;
        Ok(self.out_of_bag.as_ref())
    }
}

/// `sampler` says how often a tree has each row.
pub(super) fn look(
    forest: &Forest,
    cells: &[Cells],
    sampler: &Sampler<'_>,
    targets: &[(String, Target)],
) -> Option<OutOfBag> {
    let bags: Vec<Bag> = forest.tree_range().into_par_iter().map(|tree| Bag::of(&sampler.counts(tree))).collect();
    summary(forest.mean_of_trees(cells, forest.rows as usize, Some(&bags)), forest.width(), sampler, targets)
}

/// How good predictions of rows out of bag are.
pub(super) fn summary(
    predictions: Vec<f64>,
    width: usize,
    sampler: &Sampler<'_>,
    targets: &[(String, Target)],
) -> Option<OutOfBag> {
    let known: Vec<usize> = (0..predictions.len() / width)
        .filter(|row| sampler.weights.at(*row) > 0 && !predictions[row * width].is_nan())
        .collect();
    if known.is_empty() {
        return None;
    }
    let said = |row: usize, places: &Range<usize>| &predictions[row * width..][places.clone()];
    let mut all_right = vec![true; known.len()];
    let (mut score, mut error) = (Some(0.0), 0.0);
    for (places, target) in parts(targets) {
        match target {
            Target::Numbers(values) => {
                let truth: Vec<f64> = known.iter().map(|&row| values[row]).collect();
                let guess: Vec<f64> = known.iter().map(|&row| said(row, &places)[0]).collect();
                let metrics = metrics::RegressionMetrics::of(&truth, &guess).ok()?;
                let share = 1.0 / targets.len() as f64;
                score = score.zip(metrics.r2).map(|(sum, r2)| sum + r2 * share);
                error += metrics.rmse * share;
            }
            Target::Labels { codes, .. } => {
                let right = |row: usize| greatest(said(row, &places)) == codes[row];
                all_right.iter_mut().zip(&known).for_each(|(all, &row)| *all &= right(row));
                let accuracy = all_right.iter().filter(|right| **right).count() as f64 / known.len() as f64;
                (score, error) = (Some(accuracy), 1.0 - accuracy);
            }
        }
    }
    // Sums over huge targets may leave the range of numbers.
    let [score, error] = [score, Some(error)].map(|figure| figure.filter(|figure| figure.is_finite()));
    Some(OutOfBag { rows: known.len(), predictions, score, error })
}
