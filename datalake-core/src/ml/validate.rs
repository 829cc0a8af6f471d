//! Which rows to learn from and which to measure on: hold-out, k-fold once or repeated, cross-validation over them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metrics::{Metrics, evaluate};
use super::{Frame, Trainer, baselines};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::random::{Draws, mix};

/// Rows to learn from and rows to measure on, both rising, together every row once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<u32>,
    /// Rows to measure on.
    pub test: Vec<u32>,
}

/// What a split keeps: rows of one group on one side, or each class in its share on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep<'a> {
    /// Nothing: rows are drawn one by one.
    #[default]
    Nothing,
    /// Groups, one number a row: rows of one group are near-duplicates, and apart they would leak.
    Groups(&'a [u32]),
    /// Classes, one number a row: each has its share in every part, as far as whole rows allow.
    Classes(&'a [u32]),
    /// Both: rows of one group on one side, and each class in its share as far as whole groups allow.
    ClassesInGroups {
        /// The class of each row.
        classes: &'a [u32],
        /// The group of each row.
        groups: &'a [u32],
    },
}

impl<'a> Keep<'a> {
    /// Whatever there is of groups and classes.
    #[must_use]
    pub fn of(groups: Option<&'a [u32]>, classes: Option<&'a [u32]>) -> Self {
        match (groups, classes) {
            (Some(groups), Some(classes)) => Self::ClassesInGroups { classes, groups },
            (Some(groups), None) => Self::Groups(groups),
            (None, Some(classes)) => Self::Classes(classes),
            (None, None) => Self::Nothing,
        }
    }
}

const HOLDOUT: u64 = 0x686f_6c64;
const FOLDS: u64 = 0x666f_6c64;

/// Draws a share of the rows to measure on.
///
/// With groups, whole groups are drawn until the share is reached; with classes, the share of each is drawn.
///
/// ```
/// use datalake_core::ml::{Keep, holdout};
/// let split = holdout(10, 0.2, 42, Keep::Nothing)?;
/// assert_eq!((split.train.len(), split.test.len()), (8, 2));
/// # Ok::<(), datalake_core::Error>(())
/// ```
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a share that is not between 0 and 1, or where a part would be empty.
pub fn holdout(rows: usize, share: f64, seed: u64, keep: Keep<'_>) -> Result<Split> {
    if !(share > 0.0 && share < 1.0) {
        return Err(split_error(rows).with_reason(format_args!("the share must be above 0 and below 1, got {share}")));
    }
    keep.check(rows)?;
    let mut draws = Draws::new(seed, mix(HOLDOUT, 0));
    let wanted = |count: usize| (count as f64 * share).round_ties_even() as usize;
    let test = match keep {
        Keep::Nothing => shuffled(0..rows as u32, &mut draws).into_iter().take(wanted(rows).max(1)).collect(),
        Keep::Groups(groups) => draw_groups(groups, wanted(rows).max(1), &mut draws),
        Keep::ClassesInGroups { classes, groups } => {
            draw_groups_by_class(&GroupsByClass::of(groups, classes), share, &mut draws)
        }
        Keep::Classes(classes) => {
            let members = by_key(classes);
            let parts = members.into_values().map(|rows| (wanted(rows.len()), shuffled(rows, &mut draws)));
            parts.flat_map(|(count, rows)| rows.into_iter().take(count)).collect()
        }
    };
    part(rows, &test)
}

/// Cuts the rows into `k` parts, each measured on once.
///
/// Without a seed the parts are runs of neighbouring rows; with one, rows are drawn. With groups, the largest group
/// goes to the smallest part first; with classes, each is dealt out over the parts. With both, the group whose rows
/// are spread most unevenly over the classes goes first, to the part where it leaves each class most evenly spread over
/// the parts (as scikit-learn's `StratifiedGroupKFold`).
///
/// ```
/// use datalake_core::ml::{Keep, k_fold};
/// let groups = [0, 0, 1, 1, 2, 2];
/// for fold in k_fold(6, 3, Some(42), Keep::Groups(&groups))? {
///     assert_eq!(groups[fold.test[0] as usize], groups[fold.test[1] as usize]);
/// }
/// # Ok::<(), datalake_core::Error>(())
/// ```
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for less than two parts, or where a part would be empty.
pub fn k_fold(rows: usize, k: usize, shuffle: Option<u64>, keep: Keep<'_>) -> Result<Vec<Split>> {
    if k < 2 {
        return Err(split_error(rows).with_reason(format_args!("k must be at least 2, got {k}")));
    }
    if k > rows {
        return Err(split_error(rows).with_reason(format_args!("k must be at most the number of rows, got {k}")));
    }
    keep.check(rows)?;
    let mut draws = shuffle.map(|seed| Draws::new(seed, mix(FOLDS, 0)));
    let mut order = |rows: Vec<u32>| match &mut draws {
        Some(draws) => shuffled(rows, draws),
        None => rows,
    };
    let parts = match keep {
        Keep::Nothing => runs(&order((0..rows as u32).collect()), k),
        Keep::Groups(groups) => deal_groups(groups, k, order),
        Keep::ClassesInGroups { classes, groups } => deal_groups_by_class(GroupsByClass::of(groups, classes), k, order),
        Keep::Classes(classes) => deal(by_key(classes).into_values().flat_map(&mut order), k),
    };
    parts.iter().map(|test| part(rows, test)).collect()
}

/// Cuts the rows into `k` parts again and again, from other draws each time: all folds, one repetition after the
/// other. The first repetition is that of [`k_fold`] with this seed.
///
/// ```
/// use datalake_core::ml::{Keep, k_fold, repeated_k_fold};
/// let folds = repeated_k_fold(20, 5, 3, 42, Keep::Nothing)?;
/// assert_eq!(folds.len(), 15);
/// assert_eq!(folds[..5], k_fold(20, 5, Some(42), Keep::Nothing)?);
/// # Ok::<(), datalake_core::Error>(())
/// ```
///
/// # Errors
/// As [`k_fold`]; [`Invalid`](crate::ErrorKind::Invalid) for no repetitions.
pub fn repeated_k_fold(rows: usize, k: usize, n_repeats: u32, seed: u64, keep: Keep<'_>) -> Result<Vec<Split>> {
    if n_repeats == 0 {
        return Err(split_error(rows).with_reason("n_repeats must be at least 1, got 0"));
    }
    let seed_of = |repeat| if repeat == 0 { seed } else { mix(seed, u64::from(repeat)) };
    let mut folds = Vec::new();
    for repeat in 0..n_repeats {
        folds.extend(k_fold(rows, k, Some(seed_of(repeat)), keep)?);
    }
    Ok(folds)
}

impl Keep<'_> {
    fn check(self, rows: usize) -> Result<()> {
        let found = match self {
            Self::Nothing => rows,
            Self::Groups(keys) | Self::Classes(keys) => keys.len(),
            // Two lengths that differ are both wrong for some number of rows.
            Self::ClassesInGroups { classes, groups } if classes.len() == rows => groups.len(),
            Self::ClassesInGroups { classes, .. } => classes.len(),
        };
        if rows > u32::MAX as usize {
            return Err(split_error(rows).with_reason("row numbers have 32 bits"));
        }
        if found == rows {
            return Ok(());
        }
        Err(split_error(rows).with_reason(format_args!("groups or classes are given for {found} rows")))
    }
}

fn split_error(rows: usize) -> Error {
    Error::invalid("split", format_args!("a table of {rows} rows"))
}

/// The split with these rows on the test side, refused if a side is empty.
fn part(rows: usize, test: &[u32]) -> Result<Split> {
    let mut is_test = vec![false; rows];
    test.iter().for_each(|&row| is_test[row as usize] = true);
    let (test, train): (Vec<u32>, Vec<u32>) = (0..rows as u32).partition(|&row| is_test[row as usize]);
    if test.is_empty() || train.is_empty() {
        let empty = if test.is_empty() { "measure on" } else { "learn from" };
        return Err(split_error(rows)
            .with_reason(format_args!("no rows would be left to {empty}"))
            .with_hint("use more rows or groups, fewer parts, or another share"));
    }
    Ok(Split { train, test })
}

/// The items in a drawn order.
fn shuffled<T>(items: impl IntoIterator<Item = T>, draws: &mut Draws) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    draws.shuffle(&mut items);
    items
}

/// The rows of each key, keys and rows rising.
fn by_key(keys: &[u32]) -> BTreeMap<u32, Vec<u32>> {
    let mut members = BTreeMap::<u32, Vec<u32>>::new();
    (0..).zip(keys).for_each(|(row, key)| members.entry(*key).or_default().push(row));
    members
}

/// Whole groups until there are `wanted` rows; a group that would overshoot by more than it lacks is passed over.
fn draw_groups(groups: &[u32], wanted: usize, draws: &mut Draws) -> Vec<u32> {
    let drawn = shuffled(by_key(groups).into_values(), draws);
    let mut test = Vec::new();
    for members in &drawn {
        let after = test.len() + members.len();
        if after.abs_diff(wanted) < test.len().abs_diff(wanted) {
            test.extend(members);
        }
    }
    if test.is_empty() {
        // Every group is more than twice as large as what is wanted.
        let smallest = drawn.into_iter().min_by_key(Vec::len).filter(|members| members.len() < groups.len());
        test = smallest.unwrap_or_default();
    }
    test
}

/// `k` runs of neighbours, the first ones longer by one where it does not come out even.
fn runs(rows: &[u32], k: usize) -> Vec<Vec<u32>> {
    let bound = |part: usize| rows.len() / k * part + (rows.len() % k).min(part);
    (0..k).map(|part| rows[bound(part)..bound(part + 1)].to_vec()).collect()
}

/// One row to each part in turn.
fn deal(rows: impl Iterator<Item = u32>, k: usize) -> Vec<Vec<u32>> {
    let mut parts = vec![Vec::new(); k];
    rows.enumerate().for_each(|(turn, row)| parts[turn % k].push(row));
    parts
}

fn deal_groups(groups: &[u32], k: usize, mut order: impl FnMut(Vec<u32>) -> Vec<u32>) -> Vec<Vec<u32>> {
    let members = by_key(groups);
    // The drawn order breaks ties between groups of one size.
    let mut keys = order(members.keys().copied().collect());
    keys.sort_by_key(|key| std::cmp::Reverse(members[key].len()));
    let mut parts: Vec<Vec<u32>> = vec![Vec::new(); k];
    for key in keys {
        if let Some(smallest) = parts.iter_mut().min_by_key(|part| part.len()) {
            smallest.extend(&members[&key]);
        }
    }
    parts
}

/// The rows of each group, and how many of them are of each class.
#[derive(Debug)]
struct GroupsByClass {
    /// In the order of the groups' numbers.
    groups: Vec<(Vec<u32>, Vec<u32>)>,
    /// The rows of each class.
    totals: Vec<u32>,
}

impl GroupsByClass {
    fn of(groups: &[u32], classes: &[u32]) -> Self {
        let place: BTreeMap<u32, usize> = by_key(classes).into_keys().zip(0..).collect();
        let count = |rows: &[u32]| {
            let mut counts = vec![0; place.len()];
            rows.iter().for_each(|&row| counts[place[&classes[row as usize]]] += 1);
            counts
        };
        let all: Vec<u32> = (0..classes.len() as u32).collect();
        let groups = by_key(groups).into_values().map(|rows| (count(&rows), rows)).map(|(counts, rows)| (rows, counts));
        Self { groups: groups.collect(), totals: count(&all) }
    }
}

/// Whole groups, the most uneven first, each to the part where classes then lie most evenly.
fn deal_groups_by_class(groups: GroupsByClass, k: usize, mut order: impl FnMut(Vec<u32>) -> Vec<u32>) -> Vec<Vec<u32>> {
    let GroupsByClass { groups, totals } = groups;
    // The drawn order breaks ties between groups that are as uneven.
    let mut turns = order((0..groups.len() as u32).collect());
    turns.sort_by(|a, b| {
        let uneven = |group: &u32| spread(groups[*group as usize].1.iter().map(|count| f64::from(*count)));
        uneven(b).total_cmp(&uneven(a))
    });
    let mut parts = vec![Vec::new(); k];
    let mut counts = vec![vec![0_u32; totals.len()]; k];
    for group in turns {
        let (rows, own) = &groups[group as usize];
        // The unevenness, then the rows of the part, which settle ties.
        let after = |part: usize| {
            let share = |class: usize| {
                let of_part = |other: usize| counts[other][class] + if other == part { own[class] } else { 0 };
                spread((0..k).map(|other| f64::from(of_part(other)) / f64::from(totals[class])))
            };
            let uneven = (0..totals.len()).map(share).sum::<f64>() / totals.len() as f64;
            (uneven, counts[part].iter().sum::<u32>())
        };
        let best = (0..k).map(|part| (after(part), part)).reduce(|best, next| {
            // Sums in another order differ in their last bits.
            let lower = next.0.0 < best.0.0 - 1e-9 || (next.0.0 < best.0.0 + 1e-9 && next.0.1 < best.0.1);
            if lower { next } else { best }
        });
        let part = best.map_or(0, |(_, part)| part);
        parts[part].extend(rows);
        counts[part].iter_mut().zip(own).for_each(|(count, own)| *count += own);
    }
    parts
}

/// Whole groups in a drawn order, each that brings the rows drawn of every class nearer to the share of it.
fn draw_groups_by_class(groups: &GroupsByClass, share: f64, draws: &mut Draws) -> Vec<u32> {
    let wanted: Vec<f64> = groups.totals.iter().map(|total| f64::from(*total) * share).collect();
    let distance = |drawn: &[u32]| -> f64 {
        let of_class =
            |(drawn, wanted): (&u32, &f64)| (f64::from(*drawn) - wanted) * (f64::from(*drawn) - wanted) / wanted;
        drawn.iter().zip(&wanted).map(of_class).sum()
    };
    let mut drawn = vec![0_u32; wanted.len()];
    let mut test = Vec::new();
    let turns = shuffled(0..groups.groups.len(), draws);
    for (turn, group) in turns.iter().enumerate() {
        let (rows, own) = &groups.groups[*group];
        let after: Vec<u32> = drawn.iter().zip(own).map(|(drawn, own)| drawn + own).collect();
        // There must be something to measure on, and something to learn from.
        let last_chance = test.is_empty() && turn + 1 == turns.len();
        if distance(&after) < distance(&drawn) || last_chance {
            test.extend(rows);
            drawn = after;
        }
    }
    test
}

/// The standard deviation.
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt()
}

/// The metrics of every fold, and each figure's mean and spread over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossValidation {
    /// The metrics of each fold, in order.
    pub folds: Vec<Metrics>,
    /// The mean of each figure over the folds that have it.
    pub mean: BTreeMap<String, f64>,
    /// The standard deviation of each figure over these folds (divided by their number, as NumPy does).
    pub std: BTreeMap<String, f64>,
}

impl CrossValidation {
    fn of(folds: Vec<Metrics>) -> Self {
        let mut figures = BTreeMap::<String, Vec<f64>>::new();
        for (name, value) in folds.iter().flat_map(Metrics::figures) {
            figures.entry(name.to_owned()).or_default().push(value);
        }
        let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let mean = figures.iter().map(|(name, values)| (name.clone(), mean_of(values))).collect();
        let std = figures.into_iter().map(|(name, values)| {
            let mean = mean_of(&values);
            let squares: Vec<f64> = values.iter().map(|value| (value - mean) * (value - mean)).collect();
            (name, mean_of(&squares).sqrt())
        });
        Self { std: std.collect(), mean, folds }
    }
}

/// Trains on the one side of every split and measures on the other.
///
/// # Errors
/// As [`Trainer::train`] and [`evaluate`], by the number of the fold.
pub fn cross_validate(
    trainer: &dyn Trainer,
    frame: &Frame,
    splits: &[Split],
    progress: &dyn Progress,
) -> Result<CrossValidation> {
    if splits.is_empty() {
        return Err(split_error(frame.rows()).with_reason("there are no folds to measure on"));
    }
    let measure = |split: &Split| {
        let model = trainer.train(&frame.select(&split.train)?, progress)?;
        evaluate(model.as_ref(), &frame.batch(&split.test)?)
    };
    splits.iter().map(measure).collect::<Result<Vec<_>>>().map(CrossValidation::of)
}

/// Cross-validates a trainer and, on the same folds, the [`baselines`] that it must beat to be worth anything: by the
/// name of each. A baseline that gives up is left out, with a note: of several targets all but the `dummy`.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use datalake_core::ml::{Frame, Keep, Task, cross_validate_beside_baselines, repeated_k_fold, trainer};
/// use datalake_core::progress::Silent;
///
/// # let grams: Vec<f64> = (0..60).map(f64::from).collect();
/// # let energy: Vec<f64> = grams.iter().map(|fat| (fat - 30.0) * (fat - 30.0)).collect();
/// # let table = RecordBatch::try_from_iter([
/// #     ("fat_g", Arc::new(Float64Array::from(grams)) as ArrayRef),
/// #     ("kcal", Arc::new(Float64Array::from(energy)) as ArrayRef),
/// # ])?;
/// let frame = Frame::new(&table, &[], "kcal", Task::Regression)?;
/// let forest = trainer("forest", Task::Regression, &serde_json::json!({ "n_estimators": 10 }))?;
/// let folds = repeated_k_fold(frame.rows(), 5, 2, 42, Keep::of(frame.groups(), frame.strata()))?;
/// let found = cross_validate_beside_baselines(forest.as_ref(), &frame, &folds, &Silent)?;
/// assert_eq!(found["forest"].folds.len(), 10);
/// assert!(found["forest"].mean["rmse"] < found["linear"].mean["rmse"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`cross_validate`] of the trainer; [`Cancelled`](ErrorKind::Cancelled).
pub fn cross_validate_beside_baselines(
    trainer: &dyn Trainer,
    frame: &Frame,
    splits: &[Split],
    progress: &dyn Progress,
) -> Result<BTreeMap<String, CrossValidation>> {
    let own = cross_validate(trainer, frame, splits, progress)?;
    let mut results = BTreeMap::from([(trainer.name().to_owned(), own)]);
    for name in baselines(trainer.task()).into_iter().filter(|name| *name != trainer.name()) {
        let baseline = super::trainer(name, trainer.task(), &serde_json::Value::Null)?;
        match cross_validate(baseline.as_ref(), frame, splits, progress) {
            Ok(result) => drop(results.insert(name.to_owned(), result)),
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => progress.note(&format!("baseline `{name}` left out of the folds: {error}")),
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_that_is_nearly_the_whole_table_is_not_held_out() {
        let groups: Vec<u32> = (0..100).map(|row| if row < 90 { 0 } else { row }).collect();
        for seed in 0..40 {
            let split = holdout(100, 0.1, seed, Keep::Groups(&groups)).unwrap();
            assert_eq!(split.test.len(), 10, "seed {seed}");
        }
        let halves: Vec<u32> = (0..100).map(|row| u32::from(row < 60)).collect();
        assert_eq!(holdout(100, 0.1, 1, Keep::Groups(&halves)).unwrap().test.len(), 40);
    }

    #[test]
    fn a_share_is_drawn_and_the_same_seed_draws_the_same() {
        let split = holdout(100, 0.25, 1, Keep::Nothing).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (75, 25));
        assert_eq!(holdout(100, 0.25, 1, Keep::Nothing).unwrap(), split);
        assert_ne!(holdout(100, 0.25, 2, Keep::Nothing).unwrap(), split);
    }

    #[test]
    fn every_class_has_its_share() {
        let classes: Vec<u32> = (0..100).map(|row| u32::from(row >= 80)).collect();
        let split = holdout(100, 0.25, 1, Keep::Classes(&classes)).unwrap();
        assert_eq!(split.test.iter().filter(|row| **row >= 80).count(), 5);
        for fold in k_fold(100, 5, Some(1), Keep::Classes(&classes)).unwrap() {
            assert_eq!(fold.test.iter().filter(|row| **row >= 80).count(), 4);
        }
    }

    #[test]
    fn parts_without_rows_are_refused() {
        for (rows, share) in [(1, 0.5), (3, 0.9), (0, 0.5), (10, 1.0), (10, f64::NAN)] {
            assert!(holdout(rows, share, 0, Keep::Nothing).is_err(), "{rows} rows, {share}");
        }
        assert!(
            k_fold(3, 4, None, Keep::Nothing).unwrap_err().to_string().contains("k must be at most the number of rows")
        );
        assert!(k_fold(9, 3, None, Keep::Groups(&[0, 0, 0, 1, 1, 1, 1, 1, 1])).is_err());
        assert!(holdout(4, 0.5, 0, Keep::Groups(&[7; 4])).is_err());
        assert!(k_fold(3, 1, None, Keep::Nothing).unwrap_err().to_string().ends_with("got 1"));
    }

    #[test]
    fn whole_groups_give_every_class_its_share_where_they_can() {
        // Forty groups of five rows, each of one class; a fifth of them of the rare one.
        let groups: Vec<u32> = (0..200).map(|row| row / 5).collect();
        let classes: Vec<u32> = groups.iter().map(|group| u32::from(group % 5 == 0)).collect();
        let keep = Keep::ClassesInGroups { classes: &classes, groups: &groups };
        for seed in 0..20 {
            let rare = |rows: &[u32]| rows.iter().filter(|row| classes[**row as usize] == 1).count();
            for fold in k_fold(200, 4, Some(seed), keep).unwrap() {
                assert_eq!((fold.test.len(), rare(&fold.test)), (50, 10), "seed {seed}");
            }
            let split = holdout(200, 0.25, seed, keep).unwrap();
            assert_eq!((split.test.len(), rare(&split.test)), (50, 10), "seed {seed}");
        }
    }

    #[test]
    fn repetitions_are_cut_from_other_draws() {
        let folds = repeated_k_fold(30, 3, 4, 9, Keep::Nothing).unwrap();
        let distinct: std::collections::BTreeSet<_> = folds.iter().map(|fold| fold.test.clone()).collect();
        assert_eq!((folds.len(), distinct.len()), (12, 12));
        assert_eq!(repeated_k_fold(30, 3, 4, 9, Keep::Nothing).unwrap(), folds);
        let error = repeated_k_fold(30, 3, 0, 9, Keep::Nothing).unwrap_err();
        assert!(error.to_string().ends_with("n_repeats must be at least 1, got 0"), "{error}");
    }

    #[test]
    fn folds_without_a_seed_are_runs() {
        let folds = k_fold(5, 2, None, Keep::Nothing).unwrap();
        assert_eq!((folds[0].test.as_slice(), folds[1].test.as_slice()), (&[0, 1, 2][..], &[3, 4][..]));
    }

    proptest! {
        #[test]
        fn the_parts_of_a_k_fold_part_the_rows(
            keys in prop::collection::vec(0_u32..6, 1..60), k in 2_usize..7, seed: Option<u64>, kind in 0_usize..4,
        ) {
            let classes: Vec<u32> = (0..keys.len() as u32).map(|row| row * 7 % 5 % 3).collect();
            let both = Keep::ClassesInGroups { classes: &classes, groups: &keys };
            let keep = [Keep::Nothing, Keep::Groups(&keys), Keep::Classes(&keys), both][kind];
            let Ok(folds) = k_fold(keys.len(), k, seed, keep) else { return Ok(()) };
            let mut tested: Vec<u32> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
            tested.sort_unstable();
            prop_assert!(tested.into_iter().eq(0..keys.len() as u32));
            for fold in &folds {
                prop_assert_eq!(fold.train.len() + fold.test.len(), keys.len());
                prop_assert!(!fold.train.is_empty() && !fold.test.is_empty());
                prop_assert!(fold.train.is_sorted() && fold.test.is_sorted());
                if kind == 1 || kind == 3 {
                    prop_assert!(!fold.train.iter().any(|a| fold.test.iter().any(|b| keys[*a as usize] == keys[*b as usize])));
                }
            }
        }

        #[test]
        fn a_holdout_keeps_groups_whole(groups in prop::collection::vec(0_u32..6, 2..60), share in 0.05..0.95, seed: u64) {
            let classes: Vec<u32> = (0..groups.len() as u32).map(|row| row % 2).collect();
            for keep in [Keep::Groups(&groups), Keep::ClassesInGroups { classes: &classes, groups: &groups }] {
                let Ok(split) = holdout(groups.len(), share, seed, keep) else { return Ok(()) };
                let apart = |a: &u32| split.test.iter().all(|b| groups[*a as usize] != groups[*b as usize]);
                prop_assert!(split.train.iter().all(apart));
            }
        }
    }
}
