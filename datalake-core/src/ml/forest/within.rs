//! Grows a forest until it is large enough: flat out of bag, out of time, or as large as its file may be.

use std::time::Instant;

use super::Forest;
use super::crew::grow_in_order;
use super::limits::GrowthLimits;
use super::planned::Planned;
use super::plateau::{LEAST, Plateau, STEP};
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::ml::{Envelope, encode};
use crate::progress::Progress;

/// Adds trees to a forest that has none yet, up to its `n_estimators` or a limit, and says how many there are.
///
/// What is asked of `plateau` are all trees, where there is one.
pub(super) fn grow_within(
    forest: &mut Forest,
    planned: &Planned<'_>,
    limits: GrowthLimits,
    plateau: &mut Option<Plateau<'_>>,
    (started, progress): (Instant, &dyn Progress),
) -> Result<()> {
    let most = forest.params.n_estimators;
    let deadline = limits.max_time.and_then(|time| started.checked_add(time));
    let mut room = match limits.max_model_size {
        Some(size) => Some(Room { used: encode(forest, &Envelope::default())?.len() as u64, size }),
        None => None,
    };
    // A number of trees that says nothing of the decision: all threads have work, and few trees are grown for nothing.
    let many = (2 * rayon::current_num_threads() as u32).next_multiple_of(STEP);
    let batch = if limits.auto || room.is_some() { many } else { most };
    loop {
        let first = forest.trees.len() as u32;
        let wanted = first..most.min(first + batch);
        let grown = grow_in_order(planned, wanted.clone(), deadline, progress)?;
        let out_of_time = grown.len() < wanted.len();
        let mut grown = grown.into_iter().peekable();
        while grown.peek().is_some() {
            let step: Vec<Tree> = grown.by_ref().take(STEP as usize).collect();
            let fitting = match &mut room {
                Some(room) => room.take(forest, &step)?,
                None => step.len(),
            };
            let full = fitting < step.len();
            let first = forest.trees.len() as u32;
            forest.trees.extend(step.into_iter().take(fitting));
            if let Some(plateau) = plateau {
                plateau.add(first, &forest.trees[first as usize..]);
            }
            let reached = forest.trees.len() as u32;
            if full {
                let size = room.map_or(0, |room| room.size);
                let why = format!("one more would make the model larger than {size} bytes");
                return stopped(forest, &why, progress);
            }
            let flat = |plateau: &Plateau<'_>| plateau.is_flat(reached as usize);
            if limits.auto && reached >= LEAST && reached.is_multiple_of(STEP) && plateau.as_ref().is_some_and(flat) {
                let why = "more would lower the squared error out of bag by less than a hundredth";
                return stopped(forest, why, progress);
            }
        }
        if out_of_time {
            return stopped(forest, "the time is up", progress);
        }
        if forest.trees.len() as u32 == most {
            if limits.auto {
                progress.note(&format!("grown to {most} trees: more would still lower the error out of bag"));
            }
            return Ok(());
        }
    }
}

fn stopped(forest: &mut Forest, why: &str, progress: &dyn Progress) -> Result<()> {
    let reached = forest.trees.len() as u32;
    forest.params.n_estimators = reached;
    progress.note(&format!("grown to {reached} trees: {why}"));
    Ok(())
}

/// How large the model's file may become, and how large it is at most.
#[derive(Debug, Clone, Copy)]
struct Room {
    used: u64,
    size: u64,
}

impl Room {
    /// How many of these trees fit, from the first on.
    fn take(&mut self, forest: &Forest, trees: &[Tree]) -> Result<usize> {
        for (fitting, tree) in trees.iter().enumerate() {
            let after = self.used + tree.bytes();
            if after > self.size {
                if fitting + forest.trees.len() == 0 {
                    let size = self.size;
                    return Err(Error::invalid("grow", format_args!("a forest of at most {size} bytes"))
                        .with_reason(format_args!("with a single tree it has {after}"))
                        .with_hint("allow more, or grow smaller trees by min_samples_leaf or max_depth"));
                }
                return Ok(fitting);
            }
            self.used = after;
        }
        Ok(trees.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ml::conformance::{FEATURES, foods};
    use crate::ml::forest::{ForestParams, ForestTrainer};
    use crate::ml::{Frame, Model, OutOfBag, Task, digest};
    use crate::progress::Silent;

    fn frame(task: Task) -> Frame {
        let target = if task == Task::Regression { "kcal" } else { "group" };
        Frame::new(&foods(400, 1), &FEATURES, target, task).unwrap()
    }

    fn grown(frame: &Frame, params: ForestParams, limits: GrowthLimits) -> Result<Forest> {
        ForestTrainer::new(frame.task(), params)?.with_limits(limits)?.fit(frame, &Silent)
    }

    fn bits(seen: Option<&OutOfBag>) -> Vec<u64> {
        let seen = seen.unwrap();
        seen.predictions.iter().chain(&seen.score).chain(&seen.error).map(|value| value.to_bits()).collect()
    }

    /// Grown whole with the number of trees that was reached, it is the same forest.
    fn is_that_of_its_number(frame: &Frame, forest: &Forest) {
        assert_eq!(forest.trees() as u32, forest.params.n_estimators);
        assert!(!forest.is_part());
        let params = ForestParams { n_estimators: forest.params.n_estimators, seed: 5, ..ForestParams::default() };
        let whole = ForestTrainer::new(frame.task(), params).unwrap().fit(frame, &Silent).unwrap();
        assert_eq!(digest(forest).unwrap(), digest(&whole).unwrap());
        assert_eq!(bits(forest.out_of_bag()), bits(whole.out_of_bag()));
    }

    #[test]
    fn enough_trees_are_as_many_for_any_threads() {
        for task in [Task::Regression, Task::Classification] {
            let frame = frame(task);
            let of = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let limits = GrowthLimits { auto: true, ..GrowthLimits::default() };
                let params = ForestParams { seed: 5, ..ForestParams::default() };
                pool.install(|| grown(&frame, params, limits).unwrap())
            };
            let forest = of(1);
            assert!((30..1000).contains(&forest.trees()) && forest.trees().is_multiple_of(10), "{}", forest.trees());
            for threads in [2, 7] {
                let other = of(threads);
                assert_eq!(digest(&other).unwrap(), digest(&forest).unwrap(), "{threads} threads");
                assert_eq!(bits(other.out_of_bag()), bits(forest.out_of_bag()));
            }
            is_that_of_its_number(&frame, &forest);
        }
    }

    #[test]
    fn enough_trees_are_those_of_all_rows_where_these_are_many() {
        let frame = Frame::new(&foods(5000, 1), &FEATURES, "kcal", Task::Regression).unwrap();
        let limits = GrowthLimits { auto: true, ..GrowthLimits::default() };
        let params = ForestParams { seed: 5, ..ForestParams::default() };
        is_that_of_its_number(&frame, &grown(&frame, params, limits).unwrap());
    }

    #[test]
    fn where_it_stops_ten_times_as_many_trees_are_hardly_better() {
        let frame = frame(Task::Regression);
        let limits = GrowthLimits { auto: true, ..GrowthLimits::default() };
        let forest = grown(&frame, ForestParams { seed: 5, ..ForestParams::default() }, limits).unwrap();
        let params = ForestParams { n_estimators: forest.trees() as u32 * 10, seed: 5, ..ForestParams::default() };
        let many = grown(&frame, params, GrowthLimits::default()).unwrap();
        let error = |forest: &Forest| crate::ml::evaluate(forest, &foods(2000, 2)).unwrap().figures()["rmse"];
        assert!(error(&forest) < error(&many) * 1.02, "{} and {}", error(&forest), error(&many));
    }

    #[test]
    fn a_model_is_as_large_as_it_may_be() {
        let frame = frame(Task::Regression);
        for size in [40_000, 100_000] {
            let of = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let limits = GrowthLimits { max_model_size: Some(size), ..GrowthLimits::default() };
                pool.install(|| grown(&frame, ForestParams { seed: 5, ..ForestParams::default() }, limits).unwrap())
            };
            let forest = of(1);
            assert_eq!(digest(&of(5)).unwrap(), digest(&forest).unwrap());
            let bytes = encode(&forest, &Envelope::default()).unwrap().len() as u64;
            let tree = bytes / forest.trees() as u64;
            // Numbers that many leaves share are counted once a tree, and written once.
            assert!(bytes <= size && 2 * (bytes + tree) > size, "{bytes} of {size}");
            is_that_of_its_number(&frame, &forest);
        }
        let limits = GrowthLimits { max_model_size: Some(500), ..GrowthLimits::default() };
        let error = grown(&frame, ForestParams::default(), limits).unwrap_err();
        assert!(error.reason().unwrap().starts_with("with a single tree it has"), "{error}");
    }

    #[test]
    fn time_that_is_up_leaves_the_forest_of_the_trees_there_are() {
        let frame = frame(Task::Classification);
        let limits = GrowthLimits { max_time: Some(Duration::from_nanos(1)), ..GrowthLimits::default() };
        let forest = grown(&frame, ForestParams { seed: 5, ..ForestParams::default() }, limits).unwrap();
        assert_eq!(forest.trees(), 1);
        is_that_of_its_number(&frame, &forest);
        let limits = GrowthLimits { max_time: Some(Duration::from_secs(3600)), ..GrowthLimits::default() };
        let params = ForestParams { n_estimators: 12, seed: 5, ..ForestParams::default() };
        let forest = grown(&frame, params, limits).unwrap();
        assert_eq!(forest.trees(), 12);
        is_that_of_its_number(&frame, &forest);
    }

    #[test]
    fn what_cannot_go_together_is_refused() {
        let frame = frame(Task::Regression);
        let auto = GrowthLimits { auto: true, ..GrowthLimits::default() };
        let params = ForestParams { bootstrap: false, ..ForestParams::default() };
        assert!(grown(&frame, params, auto).is_err());
        let trainer = ForestTrainer::new(Task::Regression, ForestParams::default()).unwrap().with_limits(auto).unwrap();
        let error = trainer.fit_trees(&frame, 0..5, &Silent).unwrap_err();
        assert!(error.reason().unwrap().contains("must be known"), "{error}");
    }
}
