//! The baseline that looks at no feature: the mean, or the most frequent class.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};

use super::codec::{ModelSchema, Reader, Writer};
use super::feature::Feature;
use super::frame::labels;
use super::{Frame, Model, Target, Task, Trainer, check_one_target, greatest, no_probabilities};
use crate::error::Result;
use crate::progress::Progress;

/// Learns the mean of a target, or how often each class occurs.
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
        check_one_target(self.task, table)?;
        let rows = table.rows() as f64;
        let values = match table.target() {
            // Divided first: the sum of the largest numbers has no number of its own.
            Target::Numbers(values) => vec![values.iter().map(|value| value / rows).sum()],
            Target::Labels { classes, codes } => {
                let mut counts = vec![0_u32; classes.len()];
                codes.iter().for_each(|&code| counts[code as usize] += 1);
                counts.into_iter().map(|count| f64::from(count) / rows).collect()
            }
        };
        Ok(Box::new(Dummy { schema: ModelSchema { features: Vec::new(), ..ModelSchema::of(table) }, values }))
    }
}

/// One number, or the share of each class, for every row alike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dummy {
    schema: ModelSchema,
    values: Vec<f64>,
}

impl Dummy {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (schema, values) = (reader.schema()?, reader.f64s()?);
        if values.len() != schema.classes.len().max(1) {
            return Err(reader.damaged(format_args!("{} shares for {} classes", values.len(), schema.classes.len())));
        }
        Ok(Self { schema, values })
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

    fn predict(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let rows = rows.num_rows();
        Ok(match self.schema.task {
            Task::Regression => Arc::new(Float64Array::from(self.values.repeat(rows))),
            Task::Classification => labels(&self.schema.classes, &vec![greatest(&self.values); rows]),
        })
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
