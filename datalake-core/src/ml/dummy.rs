//! The baseline that looks at no feature: the mean, or the most frequent class.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};

use super::codec::{ModelSchema, Reader, Writer};
use super::feature::Feature;
use super::frame::labels;
use super::target::together;
use super::{Frame, Model, Output, Target, Task, Trainer, check_task, greatest, no_probabilities};
use crate::error::Result;
use crate::progress::Progress;

/// Learns the mean of a target, or how often each class occurs; of several targets, each for itself.
#[derive(Debug, Clone, Copy)]
pub struct DummyTrainer {
    task: Task,
}

impl DummyTrainer {
    /// A trainer for `task`.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self { task }
    }
}

impl Trainer for DummyTrainer {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn task(&self) -> Task {
        self.task
    }

    fn train(&self, table: &Frame, _progress: &dyn Progress) -> Result<Box<dyn Model>> {
        check_task(self.task, table)?;
        let weights = weights(table);
        let values = table.targets().iter().flat_map(|(_, target)| averages(target, &weights)).collect();
        Ok(Box::new(Dummy { schema: ModelSchema { features: Vec::new(), ..ModelSchema::of(table) }, values }))
    }
}

/// The weight of each row, one where none are given; by a power of two so far down or up that their sum has a number.
fn weights(table: &Frame) -> Vec<f64> {
    let Some(weights) = table.weights() else { return vec![1.0; table.rows()] };
    let exponent = libm::ilogb(weights.iter().copied().fold(0.0, f64::max));
    weights.iter().map(|weight| libm::ldexp(*weight, -exponent)).collect()
}

/// The mean of a target, or the share of each of its classes.
fn averages(target: &Target, weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    match target {
        // Divided first: the sum of the largest numbers has no number of its own.
        Target::Numbers(values) => {
            vec![values.iter().zip(weights).map(|(value, weight)| value / (total / weight)).sum()]
        }
        Target::Labels { classes, codes } => {
            let mut sums = vec![0.0; classes.len()];
            codes.iter().zip(weights).for_each(|(code, weight)| sums[*code as usize] += weight);
            sums.into_iter().map(|sum| sum / total).collect()
        }
    }
}

/// One number, or the share of each class, for every row alike; those of several targets one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dummy {
    schema: ModelSchema,
    values: Vec<f64>,
}

impl Dummy {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (schema, values) = (reader.any_schema()?, reader.f64s()?);
        if values.len() != schema.width() {
            let reason = format_args!("{} means or shares where there are {}", values.len(), schema.width());
            return Err(reader.damaged(reason));
        }
        Ok(Self { schema, values })
    }

    /// The column that is predicted of one target, from its part of the values.
    fn column(&self, classes: &[String], values: &[f64], rows: usize) -> ArrayRef {
        match self.schema.task {
            Task::Regression => Arc::new(Float64Array::from(values.repeat(rows))),
            Task::Classification => labels(classes, &vec![greatest(values); rows]),
        }
    }
}

impl Model for Dummy {
    fn name(&self) -> &'static str {
        "dummy"
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
        let rows = rows.num_rows();
        if self.schema.outputs.is_empty() {
            return Ok(self.column(&self.schema.classes, &self.values, rows));
        }
        let outputs = self.schema.outputs.iter().zip(self.schema.places());
        Ok(together(
            outputs.map(|(output, places)| {
                (output.name.as_str(), self.column(&output.classes, &self.values[places], rows))
            }),
        ))
    }

    fn predict_proba(&self, rows: &RecordBatch) -> Result<Vec<f64>> {
        match self.schema.task {
            Task::Regression => Err(no_probabilities(self)),
            Task::Classification => Ok(self.values.repeat(rows.num_rows())),
        }
    }

    fn body(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::default();
        writer.schema(&self.schema);
        writer.f64s(&self.values);
        Ok(writer.finish())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray};
    use serde_json::json;

    use super::*;
    use crate::ml::conformance::foods;
    use crate::ml::{Keep, cross_validate_beside_baselines, evaluate, k_fold, trainer};
    use crate::progress::Silent;

    fn learnt(task: Task, weights: Option<Vec<f64>>) -> Dummy {
        let column = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([
            ("x", column(vec![0.0; 3])),
            ("kcal", column(vec![10.0, 20.0, 60.0])),
            ("group", Arc::new(StringArray::from(vec!["fruit", "meat", "fruit"])) as ArrayRef),
        ]);
        let target = if task == Task::Regression { "kcal" } else { "group" };
        let frame = Frame::new(&batch.unwrap(), &["x"], target, task).unwrap();
        let frame = match weights {
            Some(weights) => frame.with_weights(weights).unwrap(),
            None => frame,
        };
        let model = DummyTrainer::new(task).train(&frame, &Silent).unwrap();
        Dummy::read(&mut Reader::new(&model.body().unwrap())).unwrap()
    }

    #[test]
    fn a_row_counts_as_much_as_it_weighs() {
        // As the rows 10, 10, 10, 20 with no row of 60, on any scale, the largest and the smallest of numbers too.
        for scale in [1.0, 0.7, f64::MAX / 4.0, f64::from_bits(1)] {
            let weights = || Some(vec![3.0 * scale, scale, 0.0]);
            let (mean, shares) = (learnt(Task::Regression, weights()), learnt(Task::Classification, weights()));
            assert!((mean.values[0] - 12.5).abs() < 1e-9, "{mean:?}");
            assert!((shares.values[0] - 0.75).abs() < 1e-9 && (shares.values[1] - 0.25).abs() < 1e-9, "{shares:?}");
        }
    }

    #[test]
    fn several_targets_are_learnt_each_for_itself() {
        let table = foods(60, 1);
        let batch = RecordBatch::try_from_iter([
            ("fat_g", Arc::clone(&table["fat_g"])),
            ("kcal", Arc::clone(&table["kcal"])),
            ("protein_g", Arc::clone(&table["protein_g"])),
            ("group", Arc::clone(&table["group"])),
            ("color", Arc::clone(&table["color"])),
        ]);
        let batch = batch.unwrap();
        for (task, targets) in [(Task::Regression, ["kcal", "protein_g"]), (Task::Classification, ["group", "color"])] {
            let train = |targets: &[&str]| {
                let frame = Frame::of_targets(&batch, &["fat_g"], targets, task).unwrap();
                DummyTrainer::new(task).train(&frame, &Silent).unwrap()
            };
            let both = train(&targets);
            let both = Dummy::read(&mut Reader::new(&both.body().unwrap())).unwrap();
            let predicted = both.predict(&batch).unwrap();
            for target in targets {
                let own = train(&[target]).predict(&batch).unwrap();
                assert_eq!(predicted.as_struct().column_by_name(target), Some(&own), "{target}");
            }
            assert_eq!(evaluate(&both, &batch).unwrap().rows(), 60);
            let frame = Frame::of_targets(&batch, &["fat_g"], &targets, task).unwrap();
            let folds = k_fold(60, 3, Some(1), Keep::Nothing).unwrap();
            let forest = trainer("forest", task, &json!({ "n_estimators": 3 })).unwrap();
            let found = cross_validate_beside_baselines(forest.as_ref(), &frame, &folds, &Silent).unwrap();
            assert_eq!(found.keys().collect::<Vec<_>>(), ["dummy", "forest"]);
        }
    }

    #[test]
    fn weights_of_one_are_as_none() {
        for task in [Task::Regression, Task::Classification] {
            assert_eq!(learnt(task, Some(vec![1.0; 3])), learnt(task, None));
        }
    }
}
