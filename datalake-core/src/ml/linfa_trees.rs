//! linfa-trees behind [`Trainer`]: one decision tree, to check the forest against.

use arrow::array::{ArrayRef, RecordBatch};
use linfa::Dataset;
use linfa::traits::{Fit, Predict};
use linfa_trees::DecisionTree;
use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::codec::ModelSchema;
use super::feature::{Feature, encode};
use super::frame::labels;
use super::weights::Design;
use super::{Frame, Model, Target, Task, Trainer, check_one_target};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// The deepest tree that may be asked for: linfa-trees grows by recursion, and the stack is not endless.
const DEEPEST: usize = 256;

/// The parameters of [`LinfaTreesTrainer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinfaTreesParams {
    /// The most splits between the root and a leaf, at most 256.
    pub max_depth: usize,
    /// A node of less weight is a leaf.
    pub min_weight_split: f32,
    /// A split leaves at least so much weight on either side.
    pub min_weight_leaf: f32,
}

impl Default for LinfaTreesParams {
    fn default() -> Self {
        Self { max_depth: 32, min_weight_split: 2.0, min_weight_leaf: 1.0 }
    }
}

/// One classification tree by linfa-trees, over the columns of a linear model: missing numbers count as the mean, the
/// 50 most frequent categories of a feature have a column each.
///
/// For comparison only: its models cannot be saved, and since linfa-trees counts classes in a hash map, ties between
/// splits or classes may fall differently from run to run.
#[derive(Debug, Clone, Default)]
pub struct LinfaTreesTrainer {
    params: LinfaTreesParams,
}

impl LinfaTreesTrainer {
    /// A trainer with checked parameters.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), naming the parameter and the value found.
    pub fn new(params: LinfaTreesParams) -> Result<Self> {
        if (1..=DEEPEST).contains(&params.max_depth) {
            return Ok(Self { params });
        }
        let found = params.max_depth;
        Err(failed(format_args!("max_depth must be at least 1 and at most {DEEPEST}, got {found}")))
    }
}

fn failed(reason: impl std::fmt::Display) -> Error {
    Error::invalid("fit", "a `linfa-trees` model").with_reason(reason)
}

impl Trainer for LinfaTreesTrainer {
    fn name(&self) -> &'static str {
        "linfa-trees"
    }

    fn task(&self) -> Task {
        Task::Classification
    }

    fn train(&self, table: &Frame, progress: &dyn Progress) -> Result<Box<dyn Model>> {
        check_one_target(Task::Classification, table)?;
        let Target::Labels { codes, .. } = table.target() else { return Err(failed("the target has no classes")) };
        if progress.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "fit", "a `linfa-trees` model"));
        }
        let design = Design::of(table, f64::MAX);
        let targets: Array1<usize> = codes.iter().map(|&code| code as usize).collect();
        let params = DecisionTree::params()
            .max_depth(Some(self.params.max_depth))
            .min_weight_split(self.params.min_weight_split)
            .min_weight_leaf(self.params.min_weight_leaf);
        let fitted = params.fit(&Dataset::new(design.matrix(table.columns(), 0), targets));
        let tree = fitted.map_err(|cause| failed("linfa-trees refused the table").with_source(cause))?;
        let params = serde_json::to_value(&self.params).unwrap_or_default();
        Ok(Box::new(LinfaTree { schema: ModelSchema::of(table), design, tree, params }))
    }
}

#[derive(Debug)]
struct LinfaTree {
    schema: ModelSchema,
    design: Design,
    tree: DecisionTree<f64, usize>,
    params: serde_json::Value,
}

impl LinfaTree {
    fn codes(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let columns = encode(&self.schema.features, rows)?;
        let codes: Array1<usize> = self.tree.predict(&self.design.matrix(&columns, 0));
        Ok(codes.iter().map(|&code| code as u32).collect())
    }
}

impl Model for LinfaTree {
    fn name(&self) -> &'static str {
        "linfa-trees"
    }

    fn task(&self) -> Task {
        Task::Classification
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
        Ok(labels(&self.schema.classes, &self.codes(rows)?))
    }

    /// One for the class predicted, zero for the others: linfa-trees tells no shares.
    fn predict_proba(&self, rows: &RecordBatch) -> Result<Vec<f64>> {
        let classes = self.schema.classes.len();
        let codes = self.codes(rows)?;
        let mut shares = vec![0.0; codes.len() * classes];
        codes.iter().enumerate().for_each(|(row, &code)| shares[row * classes + code as usize] = 1.0);
        Ok(shares)
    }

    fn params(&self) -> serde_json::Value {
        self.params.clone()
    }
}
