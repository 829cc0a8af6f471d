//! The threads that grow a forest: each takes the next tree, and the last trees are grown by several threads together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;

use super::grow::Grower;
use super::planned::Planned;
use super::tree::Tree;
use crate::error::Result;
use crate::progress::Progress;

/// Hands out trees in their order, and knows when threads are left without one.
#[derive(Debug)]
pub(super) struct Crew {
    next: AtomicU32,
    end: u32,
    /// Trees, and branches that were given away, that are under way.
    busy: AtomicUsize,
    threads: usize,
}

/// Work under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Work<'a>(&'a Crew);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crew {
    pub(super) fn new(trees: Range<u32>) -> Self {
        let threads = rayon::current_num_threads();
        Self { next: AtomicU32::new(trees.start), end: trees.end, busy: AtomicUsize::new(0), threads }
    }

    /// The next tree; none when all are begun.
    fn next(&self) -> Option<u32> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.end).then_some(number)
    }

    /// Begins a tree or a branch.
    pub(super) fn begin(&self) -> Work<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Work(self)
    }

    /// Whether threads have nothing to do. Never before all trees are begun: a thread that waits for a branch looks for
    /// other work, and would begin one tree within another.
    pub(super) fn has_idle(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.end && self.busy.load(Ordering::Relaxed) < self.threads
    }
}

/// Grows trees, each begun after the one before it and none after the deadline but the very first, and gives those
/// without a gap.
///
/// # Errors
/// [`Cancelled`](crate::ErrorKind::Cancelled).
pub(super) fn grow_in_order(
    planned: &Planned<'_>,
    trees: Range<u32>,
    deadline: Option<Instant>,
    progress: &dyn Progress,
) -> Result<Vec<Tree>> {
    let crew = Crew::new(trees.clone());
    let grown = Mutex::new(BTreeMap::new());
    let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let work = |_: usize| -> Result<()> {
        let mut grower = Grower::default();
        while let Some(number) = crew.next().filter(|number| *number == 0 || !late()) {
            let tree = planned.grow(&mut grower, number, &crew, progress)?;
            grown.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tree);
        }
        Ok(())
    };
    (0..crew.threads.min(trees.len())).into_par_iter().try_for_each(work)?;
    let grown = grown.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(trees.zip(grown).take_while(|(number, (found, _))| number == found).map(|(_, (_, tree))| tree).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::conformance::{FEATURES, foods};
    use crate::ml::forest::{ForestParams, ForestTrainer, MaxFeatures};
    use crate::ml::{Frame, Task, digest};
    use crate::progress::Silent;

    /// Grown by pools of so many threads.
    fn digests(frame: &Frame, params: &ForestParams) -> Vec<String> {
        let trainer = ForestTrainer::new(frame.task(), params.clone()).unwrap();
        let grown = [1, 2, 7].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            digest(&pool.install(|| trainer.fit(frame, &Silent)).unwrap()).unwrap()
        });
        grown.into()
    }

    #[test]
    fn trees_do_not_depend_on_the_threads_that_share_them() {
        let table = foods(20_000, 3);
        for (task, target) in [(Task::Regression, "kcal"), (Task::Classification, "group")] {
            let frame = Frame::new(&table, &FEATURES, target, task).unwrap();
            let all = ForestParams { max_features: MaxFeatures::All, ..ForestParams::default() };
            let cases = [
                ForestParams { n_estimators: 1, ..all.clone() },
                ForestParams { n_estimators: 3, ..ForestParams::default() },
                ForestParams { n_estimators: 1, bootstrap: false, max_features: MaxFeatures::Third, ..all.clone() },
                ForestParams { n_estimators: 2, max_leaf_nodes: Some(300), ccp_alpha: 1e-4, ..all },
            ];
            for params in cases {
                let found = digests(&frame, &params);
                assert!(found.iter().all(|digest| *digest == found[0]), "{task:?} {params:?}: {found:?}");
            }
        }
    }

    #[test]
    fn nothing_is_shared_before_all_trees_are_begun() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let crew = pool.install(|| Crew::new(3..5));
        assert_eq!((crew.next(), crew.has_idle()), (Some(3), false));
        let first = crew.begin();
        assert_eq!((crew.next(), crew.has_idle()), (Some(4), true));
        let second = crew.begin();
        assert_eq!((crew.next(), crew.has_idle()), (None, false));
        drop(first);
        assert!(crew.has_idle());
        drop(second);
    }
}
