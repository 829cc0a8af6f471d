//! What every split of a tree promises, against a search that tries everything.

use proptest::prelude::*;

use super::block::Layout;
use super::columns::{Binned, Cells};
use super::crew::Crew;
use super::draw::Draw;
use super::grow::{Grower, Limits, Plan, Sample};
use super::rules::Rules;
use super::sample::RowWeights;
use super::split::Split;
use super::tally::{
    ClassTally, Impurity, MedianTally, NumberTally, Ranked, ShareTally, SumTally, Tally, WeightedNumbers,
};
use super::target::fix;
use super::tree::Tree;
use crate::ml::Target;
use crate::ml::feature::{Column, Feature, FeatureKind, MISSING};

/// What a split lowers, and by which tally.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    /// Squares or Gini.
    Fast,
    /// The same by the tallies for any weights and rules.
    General,
    Entropy,
    GeneralEntropy,
    Absolute,
    Poisson,
}

/// A table to grow one tree from.
#[derive(Debug, Clone)]
struct Table {
    columns: Vec<Column>,
    target: Target,
    weights: Vec<u32>,
    min_leaf: usize,
    loss: Loss,
    /// Larger nodes are split by histograms.
    block_rows: usize,
}

impl Table {
    fn of_numbers(columns: Vec<Column>, target: &[f64]) -> Self {
        let weights = vec![1; target.len()];
        let target = Target::Numbers(target.to_vec());
        Self { columns, target, weights, min_leaf: 1, loss: Loss::Fast, block_rows: 4095 }
    }

    fn plan(&self) -> Plan {
        let cells: Vec<Cells> = self.columns.iter().map(Cells::of).collect();
        let columns: Vec<Binned> = self
            .columns
            .iter()
            .zip(&cells)
            .map(|(column, cells)| Binned::of(&feature(column), column, cells))
            .collect();
        let mut layout = Layout::of(&columns, columns.len());
        layout.rows = self.block_rows;
        Plan {
            draw: Draw::new(3, columns.len(), columns.len()),
            layout,
            cells,
            columns,
            rows: self.target.len() as u32,
            limits: Limits {
                max_depth: u32::MAX,
                min_split: 2,
                min_leaf: self.min_leaf,
                min_decrease: 0.0,
                max_leaves: None,
                alpha: 0.0,
            },
            directions: Vec::new(),
            random: false,
        }
    }

    fn grow(&self) -> Tree {
        let total: u32 = self.weights.iter().sum();
        // Weights that the general tallies have to round, but all by the same factor.
        let weights = RowWeights::Fixed(vec![123_456_789; self.target.len()]);
        let most = u64::from(total) * 123_456_789;
        let (rules, counts) = (Rules::new(0.0), &self.weights);
        match &self.target {
            Target::Numbers(values) => match self.loss {
                Loss::Absolute => {
                    let target = Ranked::new(values);
                    self.grow_by(&MedianTally::new(&target, &weights, rules, counts), 1)
                }
                Loss::General | Loss::Poisson => {
                    let numbers = WeightedNumbers::new(values, 1, &weights, most, self.loss == Loss::Poisson);
                    self.grow_by(&SumTally::new(&numbers, &weights, rules, counts), 1)
                }
                Loss::Fast | Loss::Entropy | Loss::GeneralEntropy => {
                    let (fixed, _) = fix(values, u64::from(total));
                    self.grow_by(&NumberTally::new(&fixed, values, counts), 1)
                }
            },
            Target::Labels { classes, codes } => {
                let (classes, entropy) = (classes.len(), self.is_entropy());
                if matches!(self.loss, Loss::General | Loss::GeneralEntropy) {
                    let weights = vec![123_456_789; codes.len()];
                    return self
                        .grow_by(&ShareTally::new(codes, &[classes], &weights, entropy, rules, counts), classes);
                }
                let impurity = if entropy { Impurity::entropy(total as usize) } else { Impurity::Gini };
                self.grow_by(&ClassTally::new(codes, classes, impurity, counts), classes)
            }
        }
    }

    fn grow_by<T: Tally>(&self, tally: &T, width: usize) -> Tree {
        let sample = Sample { tree: 0, counts: &self.weights, unit: 1.0 };
        Grower::default().grow(&self.plan(), sample, tally, width, &Crew::new(0..0))
    }

    fn is_entropy(&self) -> bool {
        matches!(self.loss, Loss::Entropy | Loss::GeneralEntropy)
    }

    /// The impurity of rows times their weight: by the definition of the loss.
    fn impurity(&self, rows: &[usize]) -> f64 {
        let weight = |row: usize| f64::from(self.weights[row]);
        let total: f64 = rows.iter().map(|&row| weight(row)).sum();
        match &self.target {
            Target::Numbers(values) => {
                let mean = rows.iter().map(|&row| weight(row) * values[row]).sum::<f64>() / total;
                let term = |value: f64| match self.loss {
                    Loss::Absolute => (value - self.median(rows, values)).abs(),
                    Loss::Poisson if value > 0.0 => value * (value / mean).ln(),
                    Loss::Poisson => 0.0,
                    _ => (value - mean).powi(2),
                };
                rows.iter().map(|&row| weight(row) * term(values[row])).sum()
            }
            Target::Labels { classes, codes } => {
                let mut counts = vec![0.0; classes.len()];
                rows.iter().for_each(|&row| counts[codes[row] as usize] += weight(row));
                let counts = counts.iter().filter(|count| **count > 0.0);
                if self.is_entropy() {
                    counts.map(|count| -count * (count / total).log2()).sum()
                } else {
                    total - counts.map(|count| count * count).sum::<f64>() / total
                }
            }
        }
    }

    fn median(&self, rows: &[usize], values: &[f64]) -> f64 {
        let repeat = |&row: &usize| std::iter::repeat_n(values[row], self.weights[row] as usize);
        let mut all: Vec<f64> = rows.iter().flat_map(repeat).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    }

    fn gain(&self, rows: &[usize], goes_left: impl Fn(usize) -> bool) -> Option<f64> {
        let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| goes_left(**row));
        let zeros = |side: &[usize]| match &self.target {
            Target::Numbers(values) => self.loss == Loss::Poisson && side.iter().all(|row| values[*row] <= 0.0),
            Target::Labels { .. } => false,
        };
        let allowed = left.len().min(right.len()) >= self.min_leaf && !zeros(&left) && !zeros(&right);
        allowed.then(|| self.impurity(rows) - self.impurity(&left) - self.impurity(&right))
    }

    /// The greatest gain of all cuts: every threshold, every set of categories, missing values on both sides.
    fn best_gain(&self, rows: &[usize]) -> Option<f64> {
        let mut gains = Vec::new();
        for column in &self.columns {
            for missing_left in [false, true] {
                match column {
                    Column::Numeric(values) => {
                        let side = |row: usize, cut: f64| {
                            if values.get(row).is_nan() { missing_left } else { values.get(row) <= cut }
                        };
                        let cuts = rows.iter().map(|&row| values.get(row)).filter(|value| !value.is_nan());
                        gains.extend(cuts.filter_map(|cut| self.gain(rows, |row| side(row, cut))));
                    }
                    Column::Categorical(codes) => {
                        for set in 0_u32..1 << 4 {
                            let side = |row: usize| {
                                if codes[row] == MISSING { missing_left } else { set >> codes[row] & 1 == 1 }
                            };
                            gains.extend(self.gain(rows, side));
                        }
                    }
                }
            }
        }
        gains.into_iter().reduce(f64::max)
    }

    /// Checks every node of a tree, from its rows.
    fn check(&self, tree: &Tree) -> Result<(), TestCaseError> {
        let cells: Vec<Cells> = self.columns.iter().map(Cells::of).collect();
        let rows: Vec<usize> = (0..self.target.len()).filter(|row| self.weights[*row] > 0).collect();
        let scale = self.impurity(&rows).max(f64::MIN_POSITIVE);
        let mut open = vec![(tree.root_node(), rows)];
        while let Some((node, rows)) = open.pop() {
            let best = self.best_gain(&rows);
            let Some((split, left, right)) = tree.split_of(node, &self.columns.iter().map(feature).collect::<Vec<_>>())
            else {
                let pure = self.impurity(&rows) <= 1e-12 * scale;
                prop_assert!(pure || best.is_none(), "a leaf of {rows:?} could gain {best:?}");
                continue;
            };
            let side = |row: usize| split.goes_left(cells[split.feature()].bits(row));
            let gain = self.gain(&rows, side);
            let (Some(gain), Some(best)) = (gain, best) else {
                return Err(TestCaseError::fail(format!("{split:?} of {rows:?} breaks min_samples_leaf")));
            };
            prop_assert!((gain - best).abs() <= 1e-9 * scale, "{split:?} gains {gain}, the best {best} of {rows:?}");
            let (on_left, on_right) = rows.into_iter().partition(|row| side(*row));
            open.extend([(left, on_left), (right, on_right)]);
        }
        Ok(())
    }

    fn root_split(&self) -> Option<Split> {
        let tree = self.grow();
        let features: Vec<Feature> = self.columns.iter().map(feature).collect();
        tree.split_of(tree.root_node(), &features).map(|(split, ..)| split)
    }
}

fn feature(column: &Column) -> Feature {
    let kind = match column {
        Column::Numeric(_) => FeatureKind::Numeric { range: None },
        Column::Categorical(_) => FeatureKind::Categorical { categories: ('a'..='e').map(String::from).collect() },
    };
    Feature { name: "x".into(), kind, unit: None }
}

fn numbers(values: &[f64]) -> Column {
    Column::Numeric(values.to_vec().into())
}

prop_compose! {
    /// Few distinct values, so that there are ties; some missing; now and then categories.
    fn column(rows: usize)(
        kind in 0_u8..4,
        values in prop::collection::vec(prop::option::weighted(0.9, 0_u32..12), rows),
    ) -> Column {
        match kind {
            0 => Column::Categorical(values.iter().map(|value| value.map_or(MISSING, |value| value % 4)).collect()),
            1 => Column::Numeric(values.iter().map(|value| f64::from(value.unwrap_or(0)) * 0.1).collect::<Vec<f64>>().into()),
            _ => Column::Numeric(values.iter().map(|value| value.map_or(f64::NAN, |value| f64::from(value) - 3.5)).collect::<Vec<f64>>().into()),
        }
    }
}

fn table() -> impl Strategy<Value = Table> {
    (2_usize..60, 1_usize..20).prop_flat_map(|(rows, columns)| {
        let target = prop_oneof![
            prop::collection::vec(-50_i32..50, rows)
                .prop_map(|values| Target::Numbers(values.into_iter().map(|value| f64::from(value) * 0.37).collect())),
            // Two classes, as many as fit into a word, and more. Sets of categories are the best for two only.
            (2_u32..3, prop::collection::vec(any::<u32>(), rows)).prop_map(labels),
        ];
        let columns = prop::collection::vec(column(rows), columns);
        (columns, target, prop::collection::vec(0_u32..4, rows), 1_usize..4, prop_oneof![Just(4095_usize), Just(6)])
            .prop_map(|(columns, target, weights, min_leaf, block_rows)| {
                // The order of means need not lead to the best of the sets that leave enough rows on both sides.
                let sets = columns.iter().any(|column| matches!(column, Column::Categorical(_)));
                let min_leaf = if sets { 1 } else { min_leaf };
                Table { columns, target, weights, min_leaf, loss: Loss::Fast, block_rows }
            })
            .prop_filter("a tree needs rows", |table| table.weights.iter().any(|weight| *weight > 0))
    })
}

fn labels((classes, codes): (u32, Vec<u32>)) -> Target {
    let names = (0..classes).map(|class| class.to_string()).collect();
    Target::Labels { classes: names, codes: codes.into_iter().map(|code| code % classes).collect() }
}

fn loss() -> impl Strategy<Value = Loss> {
    use Loss::{Absolute, Entropy, Fast, General, GeneralEntropy, Poisson};
    prop::sample::select(vec![Fast, General, Entropy, GeneralEntropy, Absolute, Poisson])
}

proptest! {
    #[test]
    fn no_split_is_better(table in table(), loss in loss()) {
        let mut table = Table { loss, ..table };
        if matches!(loss, Loss::Absolute | Loss::Poisson) {
            // The order of means leads to the best of the sets for squares and two classes, not for medians, nor where
            // a side of zeros is not allowed.
            table.columns.retain(|column| matches!(column, Column::Numeric(_)));
            prop_assume!(!table.columns.is_empty());
        }
        if let (Target::Numbers(values), Loss::Poisson) = (&mut table.target, loss) {
            values.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        table.check(&table.grow())?;
    }

    #[test]
    fn no_split_of_many_classes_is_better(
        table in table(),
        classes in 3_u32..8,
        codes in prop::collection::vec(any::<u32>(), 60),
        loss in loss(),
    ) {
        let mut table = Table { loss, ..table };
        table.columns.retain(|column| matches!(column, Column::Numeric(_)));
        prop_assume!(!table.columns.is_empty());
        table.target = labels((classes, codes[..table.weights.len()].to_vec()));
        table.check(&table.grow())?;
    }
}

#[test]
fn the_cut_lies_half_way() {
    let table = Table::of_numbers(vec![numbers(&[4.0, 1.0, 8.0, 6.0])], &[0.0, 0.0, 9.0, 9.0]);
    assert_eq!(table.root_split(), Some(Split::Numeric { feature: 0, threshold: 5.0, missing_left: true }));
}

#[test]
fn missing_values_go_where_they_help() {
    let column = numbers(&[1.0, 2.0, 3.0, f64::NAN]);
    let split = |target: &[f64]| Table::of_numbers(vec![column.clone()], target).root_split().unwrap();
    let numeric = |threshold, missing_left| Split::Numeric { feature: 0, threshold, missing_left };
    assert_eq!(split(&[0.0, 0.0, 9.0, 9.0]), numeric(2.5, false));
    assert_eq!(split(&[0.0, 0.0, 9.0, 0.0]), numeric(2.5, true));
    assert_eq!(split(&[0.0, 0.0, 0.0, 9.0]), numeric(f32::INFINITY, false));
}

#[test]
fn where_none_is_missing_they_go_with_the_heavier_side() {
    let table = Table::of_numbers(vec![numbers(&[1.0, 2.0, 3.0])], &[0.0, 9.0, 9.0]);
    assert_eq!(table.root_split(), Some(Split::Numeric { feature: 0, threshold: 1.5, missing_left: false }));
}

#[test]
fn a_side_has_its_least_rows() {
    let mut table = Table::of_numbers(vec![numbers(&[1.0, 2.0, 3.0, 4.0])], &[0.0, 9.0, 9.0, 9.0]);
    table.min_leaf = 2;
    assert_eq!(table.root_split(), Some(Split::Numeric { feature: 0, threshold: 2.5, missing_left: true }));
    table.min_leaf = 3;
    assert_eq!(table.root_split(), None);
}

#[test]
fn categories_are_cut_by_their_mean() {
    // Category 4 is not in the node: it goes with the heavier side, left if both weigh the same.
    let table = Table::of_numbers(vec![Column::Categorical(vec![0, 1, 2, 3].into())], &[9.0, 0.0, 9.0, 0.0]);
    let split = Split::Categorical { feature: 0, left: vec![0b11010], missing_left: true };
    assert_eq!(table.root_split(), Some(split));
}

#[test]
fn histograms_and_blocks_agree_where_bins_are_exact() {
    let rows = 300_u32;
    let hash = |row: u32, salt: u32| f64::from(row.wrapping_mul(2_654_435_761).wrapping_add(salt * 977) >> 25);
    let columns = (0..5)
        .map(|salt| Column::Numeric((0..rows).map(|row| hash(row ^ salt, salt)).collect::<Vec<f64>>().into()))
        .collect();
    let target: Vec<f64> = (0..rows).map(|row| hash(row, 9) + hash(row, 0)).collect();
    let mut table = Table::of_numbers(columns, &target);
    let exact = table.grow();
    table.block_rows = 20;
    let top = table.grow();
    assert!(table.check(&top).is_ok() && table.check(&exact).is_ok());
}

#[test]
fn a_large_offset_loses_no_precision() {
    let column = Column::Numeric((0..40).map(f64::from).collect::<Vec<f64>>().into());
    let target: Vec<f64> = (0..40).map(|row| 1e9 + f64::from(row * row % 7) * 1e-3).collect();
    let table = Table::of_numbers(vec![column], &target);
    assert_eq!(table.grow().len(), 2 * 40 - 1 - 2 * repeats(&target));
}

/// Neighbouring rows of one target, which no split parts.
fn repeats(target: &[f64]) -> usize {
    target.windows(2).filter(|pair| pair[0].to_bits() == pair[1].to_bits()).count()
}
