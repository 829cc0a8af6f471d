//! Growing forests: rows and columns are prepared once, trees are grown in parallel, each from its own draws.

use std::ops::Range;

use rayon::prelude::*;

use super::block::Layout;
use super::columns::{Binned, Cells};
use super::draw::Draw;
use super::grow::{Grower, Limits, Plan};
use super::params::{Criterion, ForestParams};
use super::tally::{ClassTally, Impurity, NumberTally};
use super::target::FixedTarget;
use super::tree::{MOST_FEATURES, Tree};
use super::{Forest, out_of_bag};
use crate::error::{Error, ErrorKind, Result};
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
    /// [`Invalid`](ErrorKind::Invalid) as [`ForestParams::check`].
    pub fn new(task: Task, params: ForestParams) -> Result<Self> {
        params.check(task)?;
        Ok(Self { task, params })
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
    /// As [`Trainer::train`]; [`Invalid`](ErrorKind::Invalid) for trees that the forest does not have.
    pub fn fit_trees(&self, table: &Frame, trees: Range<u32>, progress: &dyn Progress) -> Result<Forest> {
        check_table(self.task, table)?;
        self.check_trees(&trees)?;
        let planned = self.prepare(table, progress);
        progress.begin("grow trees", Some(u64::from(trees.end - trees.start)));
        let first = trees.start;
        let grown = trees
            .into_par_iter()
            .map_init(Grower::default, |grower, number| planned.grow(grower, number, progress))
            .collect::<Result<Vec<_>>>();
        progress.end();
        let mut forest = Forest {
            schema: ModelSchema::of(table),
            params: ForestParams { oob_score: true, ..self.params.clone() },
            rows: table.rows() as u32,
            first,
            trees: grown?,
            range: range_of(table.target()),
            out_of_bag: None,
        };
        if self.params.bootstrap && self.params.oob_score {
            let weights = |tree| self.params.bootstrap_weights(tree, planned.plan.rows);
            forest.out_of_bag = out_of_bag::look(&forest, &planned.plan.cells, weights, table.target());
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

    fn prepare(&self, table: &Frame, progress: &dyn Progress) -> Planned<'_> {
        let cells: Vec<Cells> = table.columns().par_iter().map(Cells::of).collect();
        let columns = bin(table, &cells, progress);
        let draws = self.params.draws(table.rows());
        let target = FixedTarget::of(table.target(), u64::from(draws.unwrap_or(table.rows() as u32)));
        let impurity = match self.params.criterion {
            Some(Criterion::Entropy | Criterion::LogLoss) => {
                Impurity::entropy(draws.map_or(table.rows(), |draws| draws as usize))
            }
            Some(Criterion::Gini | Criterion::SquaredError) | None => Impurity::Gini,
        };
        Planned { params: &self.params, plan: self.plan(table, cells, columns, draws, &target), target, impurity }
    }

    fn plan(
        &self,
        table: &Frame,
        cells: Vec<Cells>,
        columns: Vec<Binned>,
        draws: Option<u32>,
        target: &FixedTarget,
    ) -> Plan {
        let params = &self.params;
        let rows = table.rows() as u32;
        let weight = f64::from(draws.unwrap_or(rows));
        let min_decrease = match target {
            // Twice, since a square of `2^shift` may be beyond the largest number on its way to a small product.
            FixedTarget::Numbers { shift, .. } => {
                libm::scalbn(libm::scalbn(params.min_impurity_decrease * weight, *shift), *shift)
            }
            FixedTarget::Classes { .. } => params.min_impurity_decrease * weight,
        };
        let tried = params.max_features.resolve(columns.len(), self.task);
        Plan {
            layout: Layout::of(&columns, tried),
            draw: Draw::new(params.seed, columns.len(), tried),
            cells,
            columns,
            rows,
            limits: Limits {
                max_depth: params.max_depth.unwrap_or(u32::MAX),
                min_split: params.min_samples_split as usize,
                min_leaf: params.min_samples_leaf as usize,
                min_decrease,
            },
        }
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

/// Bins every column, and says which lose distinct values by the rounding to `f32`.
fn bin(table: &Frame, cells: &[Cells], progress: &dyn Progress) -> Vec<Binned> {
    let inputs = table.features().par_iter().zip(table.columns()).zip(cells);
    let columns: Vec<Binned> = inputs.map(|((feature, column), cells)| Binned::of(feature, column, cells)).collect();
    for (feature, column) in table.features().iter().zip(&columns).filter(|(_, column)| column.lost > 0) {
        let (name, lost) = (&feature.name, column.lost);
        progress.note(&format!("column `{name}` loses {lost} distinct values: the forest rounds numbers to 32 bits"));
    }
    columns
}

/// A table made ready for growing.
#[derive(Debug)]
struct Planned<'a> {
    params: &'a ForestParams,
    plan: Plan,
    target: FixedTarget,
    impurity: Impurity,
}

impl Planned<'_> {
    fn grow(&self, grower: &mut Grower, number: u32, progress: &dyn Progress) -> Result<Tree> {
        if progress.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "grow", "a forest"));
        }
        let weights = self.params.bootstrap_weights(number, self.plan.rows);
        let width = self.target.width();
        let tree = match &self.target {
            FixedTarget::Numbers { fixed, values, .. } => {
                let tally = || NumberTally::new(fixed, values);
                grower.grow(&self.plan, number, &weights, [tally(), tally()], width)
            }
            FixedTarget::Classes { codes, classes } => {
                let tally = || ClassTally::new(codes, *classes, self.impurity.clone());
                grower.grow(&self.plan, number, &weights, [tally(), tally()], width)
            }
        };
        progress.advance(1);
        Ok(tree)
    }
}

fn range_of(target: &Target) -> [f64; 2] {
    match target {
        Target::Numbers(values) => feature::range_of(values).unwrap_or([0.0, 0.0]),
        Target::Labels { .. } => [0.0, 1.0],
    }
}
