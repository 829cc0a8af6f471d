//! More trees for a forest that is there already.

use super::trainer::ForestTrainer;
use super::{Forest, ForestParams};
use crate::error::{Error, Result};
use crate::ml::Frame;
use crate::progress::Progress;

impl ForestTrainer {
    /// Grows the trees that `forest` lacks, from the table that it was grown from: the whole is the same, to the bit,
    /// as if it had been grown at once.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// use datalake_core::ml::forest::{ForestParams, ForestTrainer};
    /// use datalake_core::ml::{Frame, Task, digest};
    /// use datalake_core::progress::Silent;
    ///
    /// # let grams: Vec<f64> = (0..50).map(f64::from).collect();
    /// # let energy: Vec<f64> = grams.iter().map(|fat| fat * 9.0).collect();
    /// # let table = RecordBatch::try_from_iter([
    /// #     ("fat_g", Arc::new(Float64Array::from(grams)) as ArrayRef),
    /// #     ("kcal", Arc::new(Float64Array::from(energy)) as ArrayRef),
    /// # ])?;
    /// let frame = Frame::new(&table, &[], "kcal", Task::Regression)?;
    /// let trees = |n_estimators| ForestParams { n_estimators, ..ForestParams::default() };
    /// let few = ForestTrainer::new(Task::Regression, trees(10))?.fit(&frame, &Silent)?;
    ///
    /// let trainer = ForestTrainer::new(Task::Regression, trees(25))?;
    /// let more = trainer.fit_more(&few, &frame, &Silent)?;
    /// assert_eq!(digest(&more)?, digest(&trainer.fit(&frame, &Silent)?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a forest with other parameters but for the number of trees, with
    /// more trees, or from another table.
    pub fn fit_more(&self, forest: &Forest, table: &Frame, progress: &dyn Progress) -> Result<Forest> {
        let (have, wanted) = (forest.params.n_estimators, self.params().n_estimators);
        let refused = |reason: String| Error::invalid("grow", "more trees").with_reason(reason);
        if have > wanted {
            return Err(refused(format!("the forest has {have} trees, and {wanted} are asked for")));
        }
        if forest.is_part() {
            return Err(refused(format!("the forest is a part: trees {:?} of {have}", forest.tree_range())));
        }
        let older = Forest {
            params: ForestParams { n_estimators: wanted, ..forest.params.clone() },
            out_of_bag: None,
            ..forest.clone()
        };
        if have == wanted && older.params == self.body_params() {
            return Ok(forest.clone());
        }
        let newer = self.fit_trees(table, have..wanted, progress)?;
        let mut whole = Forest::merge(&[&older, &newer])?;
        if self.params().oob_score {
            whole.score_out_of_bag(table)?;
        }
        Ok(whole)
    }
}
