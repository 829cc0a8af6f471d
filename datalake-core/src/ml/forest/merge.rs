//! Joins parts of a forest that were grown apart.

use super::Forest;
use crate::error::{Error, Result};

impl Forest {
    /// The forest whose trees these parts have, in any order: the same, to the bit, as if it had been grown at once.
    ///
    /// What the rows out of bag say is not known of the whole; [`Forest::score_out_of_bag`] finds it.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// use datalake_core::ml::forest::{Forest, ForestParams, ForestTrainer};
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
    /// let params = ForestParams { n_estimators: 10, ..ForestParams::default() };
    /// let trainer = ForestTrainer::new(Task::Regression, params)?;
    ///
    /// let parts = [trainer.fit_trees(&frame, 0..4, &Silent)?, trainer.fit_trees(&frame, 4..10, &Silent)?];
    /// let mut merged = Forest::merge(&parts.each_ref())?;
    /// assert_eq!(digest(&merged)?, digest(&trainer.fit(&frame, &Silent)?)?);
    /// assert!(merged.score_out_of_bag(&frame)?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for parts of different forests, and for trees that are missing or there
    /// twice.
    pub fn merge(parts: &[&Self]) -> Result<Self> {
        let mut parts = parts.to_vec();
        parts.sort_by_key(|part| part.first);
        let Some(first) = parts.first() else { return Err(refused("there is none")) };
        let mut merged = Self {
            schema: first.schema.clone(),
            params: first.params.clone(),
            rows: first.rows,
            grown_from: first.grown_from,
            first: 0,
            trees: Vec::with_capacity(first.params.n_estimators as usize),
            ranges: first.ranges.clone(),
            out_of_bag: None,
        };
        for part in parts {
            merged.check_fellow(part)?;
            merged.grown_from = merged.grown_from.or(part.grown_from);
            let next = merged.trees.len() as u32;
            if part.first < next {
                return Err(refused(format_args!("tree {} is in two of them", part.first)));
            }
            if part.first > next {
                return Err(refused(format_args!("the trees {next}..{} are in none of them", part.first)));
            }
            merged.trees.extend_from_slice(&part.trees);
        }
        let (found, wanted) = (merged.trees.len() as u32, merged.params.n_estimators);
        if found < wanted {
            return Err(refused(format_args!("the trees {found}..{wanted} are in none of them")));
        }
        Ok(merged)
    }

    /// Whether a part is of this forest.
    fn check_fellow(&self, part: &Self) -> Result<()> {
        if part.schema != self.schema || part.rows != self.rows {
            return Err(refused("they were grown from different tables: rows, features, ranges or classes differ"));
        }
        // A file of an older version does not say.
        if part.grown_from.zip(self.grown_from).is_some_and(|(own, known)| own != known) {
            let differs = "values, weights or the order of the rows differ";
            return Err(refused(format_args!("they were grown from different tables: {differs}")));
        }
        if part.params != self.params {
            return Err(refused(format_args!("their parameters differ: {}", self.params.differences(&part.params))));
        }
        let bits =
            |forest: &Self| -> Vec<u64> { forest.ranges.iter().flatten().map(|bound| bound.to_bits()).collect() };
        if bits(part) != bits(self) {
            return Err(refused(format_args!("their targets differ: {:?} and {:?}", self.ranges, part.ranges)));
        }
        Ok(())
    }
}

fn refused(reason: impl std::fmt::Display) -> Error {
    Error::invalid("merge", "the parts of a forest").with_reason(reason)
}
