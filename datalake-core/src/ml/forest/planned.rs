//! A table made ready for growing: bins, weights and target in whole numbers, made once for all trees.

use std::borrow::Cow;

use rayon::prelude::*;

use super::block::Layout;
use super::columns::{Binned, Cells};
use super::crew::Crew;
use super::draw::Draw;
use super::grow::{Grower, Limits, Plan, Sample};
use super::params::{Criterion, ForestParams, Splitter};
use super::rules::Rules;
use super::sample::{RowWeights, Sampler};
use super::several;
use super::tally::{ClassTally, Impurity, MedianTally, NumberTally, Ranked, ShareTally, SumTally, WeightedNumbers};
use super::target::fix;
use super::tree::Tree;
use crate::error::{Error, ErrorKind, Result};
use crate::ml::feature::nearest;
use crate::ml::{FeatureKind, Frame, Target, Task, rounding_note};
use crate::progress::Progress;

/// A table made ready for growing.
#[derive(Debug)]
pub(super) struct Planned<'a> {
    params: &'a ForestParams,
    plan: Plan,
    sampler: Sampler<'a>,
    goal: Goal<'a>,
}

/// The target, as the search of splits takes it.
#[derive(Debug)]
enum Goal<'a> {
    /// Squared errors of whole weights: the way that is fast.
    Squares {
        fixed: Vec<i64>,
        values: &'a [f64],
        shift: i32,
    },
    /// Sums of several targets, under rules, with any weights, or by the Poisson deviance.
    Sums(WeightedNumbers<'a>),
    Medians(Ranked<'a>),
    /// Counts of whole weights: the way that is fast.
    Counts {
        codes: &'a [u32],
        classes: usize,
        impurity: Impurity,
    },
    /// Shares of several targets, under rules, or with any weights.
    Shares {
        codes: Cow<'a, [u32]>,
        /// Of each target.
        classes: Vec<usize>,
        weights: Vec<i64>,
    },
}

impl<'a> Planned<'a> {
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for parameters that do not suit the table.
    pub(super) fn new(params: &'a ForestParams, table: &'a Frame, progress: &dyn Progress) -> Result<Self> {
        several::check(params, table)?;
        let directions = directions(params, table)?;
        let sampler = Sampler::new(params, table)?;
        let cells: Vec<Cells> = table.columns().par_iter().map(Cells::of).collect();
        let columns = bin(table, &cells, progress);
        let goal = Goal::of(params, table, &sampler, !directions.is_empty())?;
        let tried = params.max_features.resolve(columns.len(), table.task());
        let plan = Plan {
            layout: Layout::of(&columns, tried),
            draw: Draw::new(params.seed, columns.len(), tried),
            cells,
            columns,
            rows: table.rows() as u32,
            limits: Limits {
                max_depth: params.max_depth.unwrap_or(u32::MAX),
                min_split: params.min_samples_split as usize,
                min_leaf: params.min_samples_leaf as usize,
                min_decrease: params.min_impurity_decrease,
                max_leaves: params.max_leaf_nodes,
                alpha: params.ccp_alpha,
            },
            directions,
            random: params.splitter == Splitter::Random,
        };
        Ok(Self { params, plan, sampler, goal })
    }

    pub(super) fn cells(&self) -> &[Cells] {
        &self.plan.cells
    }

    pub(super) fn sampler(&self) -> &Sampler<'a> {
        &self.sampler
    }

    /// Grows a tree.
    ///
    /// # Errors
    /// [`Cancelled`](ErrorKind::Cancelled).
    pub(super) fn grow(&self, grower: &mut Grower, number: u32, crew: &Crew, progress: &dyn Progress) -> Result<Tree> {
        if progress.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "grow", "a forest"));
        }
        let counts = self.sampler.counts(number);
        let own = match &self.goal {
            Goal::Shares { codes, classes, .. } => self.sampler.of_tree(&counts, codes, classes[0]),
            _ => None,
        };
        let row_weight = |row: usize| own.as_ref().map_or_else(|| self.sampler.weights.at(row), |own| own[row]);
        let weight: i64 = counts.iter().enumerate().map(|(row, count)| row_weight(row) * i64::from(*count)).sum();
        let unit = self.goal.units(weight as f64);
        let rules = Rules::new(self.params.min_weight_fraction_leaf * weight as f64);
        let weights = &self.sampler.weights;
        let tree = match &self.goal {
            Goal::Squares { fixed, values, .. } => {
                let counts = self.sampler.whole(counts);
                let tally = NumberTally::new(fixed, values, &counts);
                grower.grow(&self.plan, Sample { tree: number, counts: &counts, unit }, &tally, 1, crew)
            }
            Goal::Counts { codes, classes, impurity } => {
                let counts = self.sampler.whole(counts);
                let tally = ClassTally::new(codes, *classes, impurity.clone(), &counts);
                grower.grow(&self.plan, Sample { tree: number, counts: &counts, unit }, &tally, *classes, crew)
            }
            Goal::Sums(numbers) => {
                let tally = SumTally::new(numbers, weights, rules, &counts);
                grower.grow(&self.plan, Sample { tree: number, counts: &counts, unit }, &tally, numbers.width(), crew)
            }
            Goal::Medians(target) => {
                let tally = MedianTally::new(target, weights, rules, &counts);
                grower.grow(&self.plan, Sample { tree: number, counts: &counts, unit }, &tally, 1, crew)
            }
            Goal::Shares { codes, classes, weights } => {
                let weights = own.as_deref().unwrap_or(weights);
                let (entropy, width) = (self.params.is_entropy(), classes.iter().sum());
                let tally = ShareTally::new(codes, classes, weights, entropy, rules, &counts);
                grower.grow(&self.plan, Sample { tree: number, counts: &counts, unit }, &tally, width, crew)
            }
        };
        progress.advance(1);
        Ok(tree)
    }
}

/// The most weight of a tree for which the terms of the entropy lie in a table.
const MOST_TERMS: u64 = 1 << 22;

impl<'a> Goal<'a> {
    fn of(params: &ForestParams, table: &'a Frame, sampler: &Sampler<'_>, bound: bool) -> Result<Self> {
        let most = sampler.most_weight();
        let ruled = bound || params.min_weight_fraction_leaf > 0.0;
        let whole = !matches!(sampler.weights, RowWeights::Fixed(_)) && !sampler.each_tree;
        let poisson = params.criterion == Some(Criterion::Poisson);
        if poisson {
            table.targets().iter().try_for_each(|(name, target)| check_counts(target, name))?;
        }
        let row_weights = || (0..table.rows()).map(|row| sampler.weights.at(row)).collect();
        let [(_, target)] = table.targets() else {
            return Ok(match table.task() {
                Task::Regression => {
                    let (truth, width) = (several::numbers(table.targets()), table.targets().len());
                    Self::Sums(WeightedNumbers::new(truth, width, &sampler.weights, most, poisson))
                }
                Task::Classification => {
                    let (codes, classes) = several::codes(table.targets());
                    Self::Shares { codes: codes.into(), classes, weights: row_weights() }
                }
            });
        };
        Ok(match target {
            Target::Numbers(values) => match params.criterion {
                Some(Criterion::AbsoluteError) => Self::Medians(Ranked::new(values)),
                _ if whole && !ruled && !poisson => {
                    let (fixed, shift) = fix(values, most);
                    Self::Squares { fixed, values, shift }
                }
                _ => Self::Sums(WeightedNumbers::new(values, 1, &sampler.weights, most, poisson)),
            },
            Target::Labels { classes, codes } => {
                let (entropy, classes) = (params.is_entropy(), classes.len());
                if whole && !ruled && !(entropy && most > MOST_TERMS) {
                    let impurity = if entropy { Impurity::entropy(most as usize) } else { Impurity::Gini };
                    return Ok(Self::Counts { codes, classes, impurity });
                }
                Self::Shares { codes: codes.into(), classes: vec![classes], weights: row_weights() }
            }
        })
    }

    /// What an impurity is in a tree of this weight, in the units of its tally.
    fn units(&self, weight: f64) -> f64 {
        let shift = match self {
            // Twice, since a square of `2^shift` may be beyond the largest number on its way to a small product.
            Self::Squares { shift, .. } => 2 * shift,
            Self::Sums(numbers) => numbers.unit(),
            Self::Medians(target) => target.unit(),
            Self::Counts { .. } | Self::Shares { .. } => 0,
        };
        // Finite, so that no decrease times it is zero.
        libm::scalbn(weight, shift).min(f64::MAX)
    }
}

/// Which way predictions may move with each feature; empty where none is bound.
fn directions(params: &ForestParams, table: &Frame) -> Result<Vec<i8>> {
    let error = |name: &str, reason: String| {
        Error::invalid("grow", "a forest").with_reason(format_args!("monotonic_cst names `{name}`: {reason}"))
    };
    let mut directions = vec![0; table.features().len()];
    for (name, &direction) in &params.monotonic_cst {
        let Some(index) = table.features().iter().position(|feature| feature.name == *name) else {
            let names: Vec<&str> = table.features().iter().map(|feature| feature.name.as_str()).collect();
            let error = error(name, "it is no feature".to_owned());
            return Err(match nearest(name, &names) {
                Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
                None => error,
            });
        };
        let categorical = matches!(table.features()[index].kind, FeatureKind::Categorical { .. });
        if categorical && direction != 0 {
            return Err(error(name, "categories have no order".to_owned()));
        }
        directions[index] = direction;
    }
    if directions.iter().all(|direction| *direction == 0) {
        return Ok(Vec::new());
    }
    if table.task() == Task::Classification && table.classes().len() > 2 {
        let name = params.monotonic_cst.keys().next().map_or("", String::as_str);
        return Err(error(
            name,
            format!("of {} classes none is the one to move; two are allowed", table.classes().len()),
        ));
    }
    Ok(directions)
}

fn check_counts(target: &Target, name: &str) -> Result<()> {
    let Target::Numbers(values) = target else { return Ok(()) };
    let error = Error::invalid("grow", format_args!("a forest for `{name}` by the Poisson deviance"));
    match values.iter().position(|value| *value < 0.0) {
        Some(row) => Err(error
            .with_position(crate::error::Position::row(row as u64 + 1))
            .with_reason(format_args!("the target must not be negative, got `{}`", values[row]))),
        None => Ok(()),
    }
}

/// Bins every column, and says which lose distinct values by the rounding to `f32`.
fn bin(table: &Frame, cells: &[Cells], progress: &dyn Progress) -> Vec<Binned> {
    let inputs = table.features().par_iter().zip(table.columns()).zip(cells);
    let columns: Vec<Binned> = inputs.map(|((feature, column), cells)| Binned::of(feature, column, cells)).collect();
    let lost = table.features().iter().zip(&columns).map(|(feature, column)| (feature.name.as_str(), column.lost));
    if let Some(note) = rounding_note(lost) {
        progress.note(&note);
    }
    columns
}
