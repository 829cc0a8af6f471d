//! Growing forests: rows and columns are prepared once, trees are grown in parallel, each from its own draws.

use std::ops::Range;
use std::time::Instant;

use super::columns::Cells;
use super::crew::grow_in_order;
use super::grown_from::GrownFrom;
use super::limits::GrowthLimits;
use super::node::MOST_FEATURES;
use super::params::ForestParams;
use super::planned::Planned;
use super::plateau::{MOST, Plateau};
use super::within::grow_within;
use super::{Forest, out_of_bag};
use crate::error::{Error, Result};
use crate::ml::codec::ModelSchema;
use crate::ml::numbers;
use crate::ml::{Frame, Model, Target, Task, Trainer};
use crate::progress::Progress;

/// Grows random forests.
#[derive(Debug, Clone)]
pub struct ForestTrainer {
    task: Task,
    params: ForestParams,
    limits: GrowthLimits,
}

impl ForestTrainer {
    /// A trainer with checked parameters.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) as [`ForestParams::check`].
    pub fn new(task: Task, params: ForestParams) -> Result<Self> {
        params.check(task)?;
        Ok(Self { task, params, limits: GrowthLimits::default() })
    }

    /// Grows only as many trees as these limits allow; where their number is `auto`, `n_estimators` says nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// use datalake_core::ml::forest::{ForestParams, ForestTrainer, GrowthLimits};
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
    /// let limits = GrowthLimits { max_model_size: Some(GrowthLimits::size("20kB")?), ..GrowthLimits::default() };
    /// let trainer = ForestTrainer::new(Task::Regression, ForestParams::default())?.with_limits(limits)?;
    /// let forest = trainer.fit(&frame, &Silent)?;
    ///
    /// let params = ForestParams { n_estimators: forest.trees() as u32, ..ForestParams::default() };
    /// let same = ForestTrainer::new(Task::Regression, params)?.fit(&frame, &Silent)?;
    /// assert_eq!(digest(&forest)?, digest(&same)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) as [`GrowthLimits::check`].
    pub fn with_limits(self, limits: GrowthLimits) -> Result<Self> {
        limits.check(&self.params)?;
        Ok(Self { limits, ..self })
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
        if !self.limits.is_none() {
            return self.fit_within(table, progress);
        }
        self.fit_trees(table, 0..self.params.n_estimators, progress)
    }

    fn fit_within(&self, table: &Frame, progress: &dyn Progress) -> Result<Forest> {
        let started = Instant::now();
        check_table(self.task, table)?;
        let planned = Planned::new(&self.params, table, progress)?;
        let mut forest = self.without_trees(table, planned.cells(), 0);
        if self.limits.auto {
            forest.params.n_estimators = MOST;
        }
        let plateau = || Plateau::new(planned.cells(), table.targets(), planned.sampler(), &forest.ranges);
        let mut plateau = self.limits.auto.then(plateau);
        let total = (!self.limits.auto).then_some(u64::from(self.params.n_estimators));
        progress.begin("grow trees", total);
        let done = grow_within(&mut forest, &planned, self.limits, &mut plateau, (started, progress));
        progress.end();
        done?;
        if self.params.bootstrap && self.params.oob_score {
            forest.out_of_bag = match plateau {
                Some(plateau) => {
                    let mut means = plateau.into_means();
                    forest.keep_in_range(&mut means);
                    out_of_bag::summary(means, forest.width(), planned.sampler(), table.targets())
                }
                None => out_of_bag::look(&forest, planned.cells(), planned.sampler(), table.targets()),
            };
        }
        Ok(forest)
    }

    fn without_trees(&self, table: &Frame, cells: &[Cells], first: u32) -> Forest {
        Forest {
            schema: ModelSchema::of(table),
            params: self.body_params(),
            rows: table.rows() as u32,
            grown_from: Some(GrownFrom::of(table, cells)),
            first,
            trees: Vec::new(),
            ranges: table.targets().iter().map(|(_, target)| range_of(target, table.weights())).collect(),
            out_of_bag: None,
        }
    }

    /// Grows some of the forest's trees, which [`Forest::merge`] joins with the others: the whole is the same as if it
    /// had been grown at once.
    ///
    /// # Errors
    /// As [`Trainer::train`]; [`Invalid`](crate::ErrorKind::Invalid) for trees that the forest does not have, and where
    /// limits say how many it has.
    pub fn fit_trees(&self, table: &Frame, trees: Range<u32>, progress: &dyn Progress) -> Result<Forest> {
        check_table(self.task, table)?;
        self.check_trees(&trees)?;
        let planned = Planned::new(&self.params, table, progress)?;
        progress.begin("grow trees", Some(u64::from(trees.end - trees.start)));
        let first = trees.start;
        let grown = grow_in_order(&planned, trees, None, progress);
        progress.end();
        let mut forest = Forest { trees: grown?, ..self.without_trees(table, planned.cells(), first) };
        if self.params.bootstrap && self.params.oob_score {
            forest.out_of_bag = out_of_bag::look(&forest, planned.cells(), planned.sampler(), table.targets());
        }
        Ok(forest)
    }

    fn check_trees(&self, trees: &Range<u32>) -> Result<()> {
        let most = self.params.n_estimators;
        if !self.limits.is_none() {
            return Err(Error::invalid("grow", format_args!("trees {}..{}", trees.start, trees.end))
                .with_reason("for parts of a forest the number of its trees must be known")
                .with_hint("leave out n_estimators = \"auto\", max_time and max_model_size"));
        }
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

/// The least and the greatest prediction of one target: rows of no weight are not there.
fn range_of(target: &Target, weights: Option<&[f64]>) -> [f64; 2] {
    let counts = |row: usize| weights.is_none_or(|weights| weights[row] > 0.0);
    match target {
        Target::Numbers(values) => {
            let known = values.iter().enumerate().filter(|(row, _)| counts(*row)).map(|(_, value)| *value);
            numbers::range_of(known).unwrap_or([0.0, 0.0])
        }
        Target::Labels { .. } => [0.0, 1.0],
    }
}
