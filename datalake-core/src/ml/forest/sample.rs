//! Which rows a tree draws and what each counts: its weight and that of its class, in whole numbers whose sums are exact.

use super::params::{ClassWeight, ForestParams};
use crate::error::{Error, Position, Result};
use crate::ml::{Frame, Target};
use crate::random::{Draws, mix};

/// Whole weights of a tree stay below this, so that their sums leave room for the target beside them.
const WHOLE: u64 = 1 << 24;
/// The bits of the sum of all weights of a tree: an `f64` holds it.
const SUM_BITS: i32 = 52;

/// Draws rows for trees.
#[derive(Debug)]
pub(super) struct Sampler<'a> {
    params: &'a ForestParams,
    rows: usize,
    /// The rows that weigh anything, where that is not all.
    heavy: Option<Vec<u32>>,
    pub(super) weights: RowWeights,
    /// Every tree weighs the classes by the rows that it has drawn.
    pub(super) each_tree: bool,
}

impl<'a> Sampler<'a> {
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for class weights that leave nothing to learn from.
    pub(super) fn new(params: &'a ForestParams, table: &Frame) -> Result<Self> {
        let mut weights = table.weights().map(<[f64]>::to_vec);
        let each_tree = params.class_weight == Some(ClassWeight::BalancedSubsample);
        if let (Some(given), Target::Labels { classes, codes }, false) =
            (&params.class_weight, table.target(), each_tree)
        {
            check_classes(given, classes)?;
            let weights = weights.get_or_insert_with(|| vec![1.0; table.rows()]);
            let mut rows = vec![0; classes.len()];
            let heavy = codes.iter().zip(&*weights).filter(|(_, weight)| **weight > 0.0);
            heavy.for_each(|(code, _)| rows[*code as usize] += 1);
            let by_class = given.by_class(classes, &rows);
            for (row, (weight, code)) in weights.iter_mut().zip(codes).enumerate() {
                let (own, of_class) = (*weight, by_class[*code as usize]);
                *weight *= of_class;
                if weight.is_infinite() {
                    let class = &classes[*code as usize];
                    return Err(Error::invalid("grow", "a forest")
                        .with_position(Position::row(row as u64 + 1))
                        .with_reason(format_args!(
                            "its weight, {own}, times that of class `{class}`, {of_class}, is beyond all numbers"
                        ))
                        .with_hint("weigh rows and classes by smaller numbers: only their proportions matter"));
                }
            }
        }
        let heavy: Option<Vec<u32>> = weights
            .as_ref()
            .filter(|weights| weights.contains(&0.0))
            .map(|weights| (0..).zip(weights).filter(|(_, weight)| **weight > 0.0).map(|(row, _)| row).collect());
        if heavy.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid("grow", "a forest").with_reason("every row weighs nothing"));
        }
        let mut sampler = Self { params, rows: table.rows(), heavy, weights: RowWeights::Equal, each_tree };
        if let Some(weights) = weights {
            sampler.weights = RowWeights::of(&weights, sampler.draws());
        }
        Ok(sampler)
    }

    fn candidates(&self) -> usize {
        self.heavy.as_ref().map_or(self.rows, Vec::len)
    }

    /// How many rows the bootstrap draws; none without bootstrap.
    fn draws(&self) -> Option<u32> {
        self.params.draws(self.candidates())
    }

    /// How often each row is in a tree's sample. Rows of no weight are in none.
    pub(super) fn counts(&self, tree: u32) -> Vec<u32> {
        let mut counts = vec![0; self.rows];
        let Some(draws) = self.draws() else {
            match &self.heavy {
                Some(heavy) => heavy.iter().for_each(|row| counts[*row as usize] = 1),
                None => counts.fill(1),
            }
            return counts;
        };
        let candidates = self.candidates() as u64;
        let mut random = Draws::new(self.params.seed, mix(mix(u64::from(tree), BOOTSTRAP), 0));
        for _ in 0..draws {
            let drawn = random.below(candidates) as usize;
            counts[self.heavy.as_ref().map_or(drawn, |heavy| heavy[drawn] as usize)] += 1;
        }
        counts
    }

    /// Counts times whole weights.
    pub(super) fn whole(&self, mut counts: Vec<u32>) -> Vec<u32> {
        if let RowWeights::Whole(weights) = &self.weights {
            counts.iter_mut().zip(weights).for_each(|(count, weight)| *count *= weight);
        }
        counts
    }

    /// The most that the rows of a tree weigh together.
    pub(super) fn most_weight(&self) -> u64 {
        let weight = |row| self.weights.at(row) as u64;
        match self.draws() {
            Some(draws) => u64::from(draws) * (0..self.rows).map(weight).max().unwrap_or(1),
            None => (0..self.rows).map(weight).sum(),
        }
    }

    /// What the rows of a tree weigh, where every tree weighs the classes for itself.
    pub(super) fn of_tree(&self, counts: &[u32], codes: &[u32], classes: usize) -> Option<Vec<i64>> {
        if !self.each_tree {
            return None;
        }
        let mut rows = vec![0; classes];
        codes.iter().zip(counts).for_each(|(code, count)| rows[*code as usize] += u64::from(*count));
        let by_class = ClassWeight::Balanced.by_class(&vec![String::new(); classes], &rows);
        let weight = |(row, code): (usize, &u32)| by_class[*code as usize] * self.weights.at(row) as f64;
        Some(fixed(codes.iter().enumerate().map(weight), self.draws().unwrap_or(self.rows as u32)))
    }
}

/// What the bootstrap's draws are keyed by, apart from those of features.
const BOOTSTRAP: u64 = 1;

fn check_classes(given: &ClassWeight, classes: &[String]) -> Result<()> {
    let ClassWeight::Of(weights) = given else { return Ok(()) };
    match weights.keys().find(|name| !classes.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Error::invalid("grow", "a forest")
            .with_reason(format_args!("class_weight names `{name}`, which is no class"))
            .with_hint(format_args!("the classes are: {}", classes.join(", ")))),
    }
}

/// The weights of a table's rows.
#[derive(Debug)]
pub(super) enum RowWeights {
    /// All rows weigh the same.
    Equal,
    /// Small whole numbers, scaled by a power of two: a row of weight 2 is as good as two rows.
    Whole(Vec<u32>),
    /// Any others, scaled by a power of two and rounded.
    Fixed(Vec<i64>),
}

impl RowWeights {
    /// `draws` is how many rows the bootstrap draws; none means every row once.
    pub(super) fn of(weights: &[f64], draws: Option<u32>) -> Self {
        let greatest = weights.iter().copied().fold(0.0, f64::max);
        let least = weights.iter().copied().filter(|weight| *weight > 0.0).fold(f64::INFINITY, f64::min);
        if greatest.to_bits() == least.to_bits() && weights.iter().all(|weight| *weight > 0.0) {
            return Self::Equal;
        }
        let rows = draws.unwrap_or(weights.len() as u32);
        let fixed = || Self::Fixed(fixed(weights.iter().copied(), rows));
        whole(weights, draws).map_or_else(fixed, Self::Whole)
    }

    /// The weight of a row that is drawn once.
    pub(super) fn at(&self, row: usize) -> i64 {
        match self {
            Self::Equal => 1,
            Self::Whole(weights) => i64::from(weights[row]),
            Self::Fixed(weights) => weights[row],
        }
    }
}

/// Which power of two makes all weights whole, if it makes them small.
fn whole(weights: &[f64], draws: Option<u32>) -> Option<Vec<u32>> {
    let places = |weight: f64| {
        let bits = weight.to_bits();
        let exponent = libm::ilogb(weight);
        exponent - 52 + ((bits | 1 << 52).trailing_zeros() as i32).min(52)
    };
    let shift = -weights.iter().copied().filter(|weight| *weight > 0.0).map(places).min()?;
    let scaled = |weight: f64| libm::scalbn(weight, shift);
    let greatest = weights.iter().copied().fold(0.0, |greatest, weight| f64::max(greatest, scaled(weight)));
    if greatest >= WHOLE as f64 {
        return None;
    }
    let whole: Vec<u32> = weights.iter().map(|weight| scaled(*weight) as u32).collect();
    let sum = match draws {
        Some(draws) => u64::from(draws) * greatest as u64,
        None => whole.iter().map(|weight| u64::from(*weight)).sum(),
    };
    (sum < WHOLE).then_some(whole)
}

/// Weights in steps so small that the sum of a tree's, of so many rows, stays just within its bits; none above zero
/// becomes zero.
fn fixed(weights: impl Iterator<Item = f64> + Clone, rows: u32) -> Vec<i64> {
    let greatest = weights.clone().fold(0.0, f64::max);
    let shift = SUM_BITS - 1 - (32 - rows.leading_zeros()) as i32 - libm::ilogb(greatest);
    let scaled = |weight: f64| (libm::scalbn(weight, shift).round_ties_even() as i64).max(i64::from(weight > 0.0));
    weights.map(scaled).collect()
}

impl ClassWeight {
    /// What a row of each class weighs, `rows` by class; a class without rows weighs nothing.
    pub(super) fn by_class(&self, classes: &[String], rows: &[u64]) -> Vec<f64> {
        match self {
            Self::Of(weights) => classes.iter().map(|class| weights.get(class).copied().unwrap_or(1.0)).collect(),
            Self::Balanced | Self::BalancedSubsample => {
                let all: u64 = rows.iter().sum();
                let weight = |count: u64| all as f64 / (classes.len() as f64 * count as f64);
                rows.iter().map(|&count| if count == 0 { 0.0 } else { weight(count) }).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_weights_are_none() {
        assert!(matches!(RowWeights::of(&[0.3; 5], None), RowWeights::Equal));
    }

    #[test]
    fn halves_and_wholes_stay_exact() {
        let RowWeights::Whole(weights) = RowWeights::of(&[0.5, 1.0, 0.0, 3.5], None) else { panic!("whole numbers") };
        assert_eq!(weights, [1, 2, 0, 7]);
    }

    #[test]
    fn a_weight_of_nearly_nothing_is_not_nothing() {
        let RowWeights::Fixed(weights) = RowWeights::of(&[1e-300, 1.0, 0.1, 0.0], None) else { panic!("fixed") };
        assert_eq!((weights[0], weights[3]), (1, 0));
    }

    proptest! {
        #[test]
        fn weights_keep_their_order_and_their_sum(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-9..1e9_f64, prop::num::f64::POSITIVE], 1..30),
            draws in prop::option::of(1_u32..1 << 31),
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0.0));
            let found = RowWeights::of(&weights, draws);
            let rows = i128::from(draws.unwrap_or(weights.len() as u32));
            for (row, weight) in weights.iter().enumerate() {
                prop_assert!(rows * i128::from(found.at(row)) < 1 << SUM_BITS);
                prop_assert_eq!(found.at(row) == 0, *weight <= 0.0);
                prop_assert!(weights.iter().enumerate().all(|(other, less)| less > weight || found.at(other) <= found.at(row)));
            }
        }
    }
}
