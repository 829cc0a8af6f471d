//! Growing forests: rows and columns are prepared once, trees are grown in parallel, each from its own draws.

use std::ops::Range;

use rayon::prelude::*;

use super::grow::Grower;
use super::params::ForestParams;
use super::planned::Planned;
use super::tree::MOST_FEATURES;
use super::{Forest, out_of_bag};
use crate::error::{Error, Result};
use crate::ml::codec::ModelSchema;
use crate::ml::feature;
use crate::ml::frame::{Frame, Target};
use crate::ml::{Model, Task, Trainer};
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
    /// [`Invalid`](crate::ErrorKind::Invalid) as [`ForestParams::check`].
    pub fn new(task: Task, params: ForestParams) -> Result<Self> {
        params.check(task)?;
        Ok(Self { task, params })
    }

    pub(super) fn params(&self) -> &ForestParams {
        &self.params
    }

    /// The parameters as the forest keeps them: without those that do not change it.
    pub(super) fn body_params(&self) -> ForestParams {
        ForestParams { oob_score: true, ..self.params.clone() }
    }

    /// Grows a forest and keeps its type.
    ///
    /// # Errors
    /// As [`Trainer::train`].
    pub fn fit(&self, table: &Frame, progress: &dyn Progress) -> Result<Forest> {
        self.fit_trees(table, 0..self.params.n_estimators, progress)
    }

    /// Grows some of the forest's trees, which [`Forest::merge`] joins with the others: the whole is the same as if it
    /// had been grown at once.
    ///
    /// # Errors
    /// As [`Trainer::train`]; [`Invalid`](crate::ErrorKind::Invalid) for trees that the forest does not have.
    pub fn fit_trees(&self, table: &Frame, trees: Range<u32>, progress: &dyn Progress) -> Result<Forest> {
        check_table(self.task, table)?;
        self.check_trees(&trees)?;
        let planned = Planned::new(&self.params, table, progress)?;
        progress.begin("grow trees", Some(u64::from(trees.end - trees.start)));
        let first = trees.start;
        let grown = trees
            .into_par_iter()
            .map_init(Grower::default, |grower, number| planned.grow(grower, number, progress))
            .collect::<Result<Vec<_>>>();
        progress.end();
        let mut forest = Forest {
            schema: ModelSchema::of(table),
            params: self.body_params(),
            rows: table.rows() as u32,
            first,
            trees: grown?,
            range: range_of(table.target()),
            out_of_bag: None,
        };
        if self.params.bootstrap && self.params.oob_score {
            forest.out_of_bag = out_of_bag::look(&forest, planned.cells(), planned.sampler(), table.target());
        }
        Ok(forest)
    }

    fn check_trees(&self, trees: &Range<u32>) -> Result<()> {
        let most = self.params.n_estimators;
        if trees.start < trees.end && trees.end <= most {
            return Ok(());
        }
        Err(Error::invalid("grow", format_args!("trees {}..{}", trees.start, trees.end))
            .with_reason(format_args!("the forest has the trees 0..{most}"))
            .with_hint("the first number is of the first tree, the second one beyond the last"))
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
    crate::ml::check_task(task, table)?;
    let features = table.features().len();
    if features >= MOST_FEATURES {
        return Err(Error::invalid("grow", "a forest")
            .with_reason(format_args!("{features} features are more than {}", MOST_FEATURES - 1)));
    }
    Ok(())
}

fn range_of(target: &Target) -> [f64; 2] {
    match target {
        Target::Numbers(values) => feature::range_of(values).unwrap_or([0.0, 0.0]),
        Target::Labels { .. } => [0.0, 1.0],
    }
}
