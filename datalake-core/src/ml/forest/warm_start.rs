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
    /// more trees, or from another table; and where limits say how many trees there are.
    pub fn fit_more(&self, forest: &Forest, table: &Frame, progress: &dyn Progress) -> Result<Forest> {
        let (have, wanted) = (forest.params.n_estimators, self.params().n_estimators);
        let refused = |reason: String| Error::invalid("grow", "more trees").with_reason(reason);
        if have > wanted {
            return Err(refused(format!("the forest has {have} trees, and {wanted} are asked for")));
        }
        if forest.is_part() {
            return Err(refused(format!("the forest is a part: trees {:?} of {have}", forest.tree_range())));
        }
        forest.cells_grown_from(table, "grow more trees for")?;
        let older = Forest {
            params: ForestParams { n_estimators: wanted, ..forest.params.clone() },
            out_of_bag: None,
            ..forest.clone()
        };
        if older.params != self.body_params() {
            let differences = older.params.differences(&self.body_params());
            return Err(refused(format!("the forest was grown with other parameters: {differences}")));
        }
        let mut whole = if have < wanted {
            Forest::merge(&[&older, &self.fit_trees(table, have..wanted, progress)?])?
        } else {
            older
        };
        if self.params().oob_score {
            whole.score_out_of_bag(table)?;
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::conformance::{FEATURES, foods};
    use crate::ml::forest::{ClassWeight, GrowthLimits, MaxFeatures};
    use crate::ml::{Envelope, Model, Task, decode, digest, encode};
    use crate::progress::Silent;

    fn frame(rows: usize, task: Task) -> Frame {
        let target = if task == Task::Regression { "kcal" } else { "group" };
        Frame::new(&foods(rows, 1), &FEATURES, target, task).unwrap()
    }

    fn trees(n_estimators: u32) -> ForestParams {
        ForestParams { n_estimators, seed: 4, ..ForestParams::default() }
    }

    fn trainer(task: Task, params: ForestParams) -> ForestTrainer {
        ForestTrainer::new(task, params).unwrap()
    }

    #[test]
    fn trees_added_step_by_step_are_those_grown_at_once() {
        let weights: Vec<f64> = (0..150).map(|row| f64::from(row % 4) * 0.3).collect();
        for task in [Task::Regression, Task::Classification] {
            let class_weight = (task == Task::Classification).then_some(ClassWeight::Balanced);
            for table in [frame(150, task), frame(150, task).with_weights(weights.clone()).unwrap()] {
                let of = |count| {
                    let class_weight = class_weight.clone();
                    trainer(task, ForestParams { class_weight, max_leaf_nodes: Some(20), ..trees(count) })
                };
                let mut forest = of(3).fit(&table, &Silent).unwrap();
                for count in [3, 4, 11] {
                    forest = of(count).fit_more(&forest, &table, &Silent).unwrap();
                    let whole = of(count).fit(&table, &Silent).unwrap();
                    assert_eq!(digest(&forest).unwrap(), digest(&whole).unwrap(), "{count} trees, {task}");
                    // Those that no tree has seen are not a number, which equals nothing.
                    let seen = |forest: &Forest| format!("{:?}", forest.out_of_bag().unwrap());
                    assert_eq!(seen(&forest), seen(&whole));
                }
            }
        }
    }

    #[test]
    fn a_forest_from_a_file_grows_on_and_is_scored() {
        let table = frame(100, Task::Regression);
        let whole = trainer(Task::Regression, trees(6)).fit(&table, &Silent).unwrap();
        let (read, _) = decode(&encode(&whole, &Envelope::default()).unwrap()).unwrap();
        assert!(read.out_of_bag().is_none());
        for count in [6, 9] {
            let trainer = trainer(Task::Regression, trees(count));
            let more = trainer.fit_more(read.as_forest().unwrap(), &table, &Silent).unwrap();
            assert!(more.out_of_bag().unwrap().score.is_some(), "{count} trees");
        }
        let quiet = trainer(Task::Regression, ForestParams { oob_score: false, ..trees(9) });
        assert!(quiet.fit_more(&whole, &table, &Silent).unwrap().out_of_bag().is_none());
    }

    #[test]
    fn what_is_not_the_same_forest_is_refused() {
        let table = frame(100, Task::Regression);
        let few = trainer(Task::Regression, trees(5)).fit(&table, &Silent).unwrap();
        let reason = |params: ForestParams, forest: &Forest, table: &Frame| {
            let error = trainer(Task::Regression, params).fit_more(forest, table, &Silent).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
            error.reason().unwrap_or_default().to_owned()
        };
        assert_eq!(reason(trees(4), &few, &table), "the forest has 5 trees, and 4 are asked for");
        for count in [5, 7] {
            let other = ForestParams { max_features: MaxFeatures::Third, ..trees(count) };
            assert!(reason(other, &few, &table).contains("parameters"), "{count} trees");
            let found = reason(trees(count), &few, &frame(101, Task::Regression));
            assert!(found.contains("not the one that it was grown from"), "{found}");
        }
        let part = trainer(Task::Regression, trees(8)).fit_trees(&table, 0..3, &Silent).unwrap();
        assert_eq!(reason(trees(9), &part, &table), "the forest is a part: trees 0..3 of 8");
        let limits = GrowthLimits { max_model_size: Some(50_000), ..GrowthLimits::default() };
        let limited = trainer(Task::Regression, trees(9)).with_limits(limits).unwrap();
        let error = limited.fit_more(&few, &table, &Silent).unwrap_err();
        assert!(error.reason().unwrap().contains("must be known"), "{error}");
    }
}
