//! Grows a branch of a tree: splits large nodes by histograms, hands smaller ones to exact search, and gives parts of
//! itself away while threads are idle.
//!
//! Nodes are made in preorder, and what is given away is what would come last. So a branch is a draft, whole but for its
//! end, and the tree is its branches one after the other: the same, whoever grew them.

use std::sync::mpsc::{Receiver, channel};

use rayon::Scope;

use super::crew::Crew;
use super::draft::Draft;
use super::grow::{Open, Plan, Sample, bounds_below};
use super::histogram::{fill_all, take_away};
use super::local::{Local, Part};
use super::split::Split;
use super::tally::Tally;
use super::top::{LargeNode, Top, keeps};

/// What is the same for all branches of a tree.
#[derive(Debug)]
pub(super) struct Job<'a, T> {
    pub(super) plan: &'a Plan,
    pub(super) sample: Sample<'a>,
    /// A new one, for branches to copy.
    pub(super) tally: &'a T,
    /// How many numbers a leaf says.
    pub(super) width: usize,
    pub(super) crew: &'a Crew,
}

/// A node that is still to be made, and its rows.
#[derive(Debug)]
pub(super) struct Stretch<'r> {
    pub(super) node: Open,
    pub(super) rows: &'r mut [u32],
    /// As long as `rows`, for parting them.
    pub(super) spare: &'r mut [u32],
    /// The node's histograms by feature, if they are kept.
    pub(super) sums: Option<Vec<i64>>,
}

/// A branch that was grown.
#[derive(Debug)]
pub(super) struct Branch {
    draft: Draft,
    /// Branches given away, the last in preorder first, with the splits that they are the right sides of.
    given: Vec<(u32, Receiver<Self>)>,
}

/// The whole of a branch and of those that it gave away, all of which are grown.
pub(super) fn joined(trunk: Branch) -> Draft {
    let Branch { mut draft, given: mut open } = trunk;
    while let Some((parent, branch)) = open.pop() {
        // It is there, unless its thread panicked, which ended the scope that waited for it.
        let Ok(Branch { draft: branch, given }) = branch.recv() else { continue };
        draft.set_right(parent);
        let first = draft.append(&branch);
        open.extend(given.into_iter().map(|(parent, branch)| (first + parent, branch)));
    }
    draft
}

/// Buffers for growing branches, used again for each.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    top: Top,
    local: Local,
    leaf: Vec<f64>,
}

impl Buffers {
    /// Grows a branch.
    pub(super) fn grow<'s, T: Tally>(&mut self, job: &'s Job<'_, T>, root: Stretch<'s>, scope: &Scope<'s>) -> Branch {
        let Job { plan, sample, .. } = *job;
        let (mut tally, mut local) = (job.tally.clone(), job.tally.clone());
        let mut draft = Draft::new(job.width, plan.columns.len(), plan.limits.prunes());
        let mut given = Vec::new();
        let mut open = vec![root];
        while let Some(mut stretch) = open.pop() {
            if let Some(parent) = open.first().and_then(|last| last.node.right_of)
                && job.crew.has_idle()
            {
                let mut last = open.remove(0);
                last.node.right_of = None;
                given.push((parent, give(job, last, scope)));
            }
            let node = stretch.node;
            if let Some(parent) = node.right_of {
                draft.set_right(parent);
            }
            if node.len() <= plan.layout.rows {
                self.local.grow(plan, Part { sample, rows: stretch.rows, root: node }, &mut local, &mut draft);
                continue;
            }
            if let Some(rules) = tally.rules() {
                rules.bounds = node.bounds;
            }
            let waiting = open.iter().filter(|stretch| stretch.sums.is_some()).count();
            if let Some((split, decrease)) = self.split(job, &mut tally, &mut stretch, waiting) {
                let parent = draft.push_split(&split, decrease, |leaf| tally.leaf(named(stretch.rows), leaf));
                let middle = part(plan, &mut stretch, &split);
                let bounds = bounds_below(&mut tally, named(&stretch.rows[..middle]), plan, &split);
                let nodes = node.children(parent, node.begin + middle, bounds);
                open.extend(children(job, &tally, stretch, nodes, waiting));
            } else {
                self.leaf.clear();
                tally.leaf(named(stretch.rows), &mut self.leaf);
                draft.push_leaf(&self.leaf);
            }
        }
        Branch { draft, given }
    }

    /// The split of a large node and the impurity that it lowers; none makes it a leaf. The histograms of so many nodes
    /// wait.
    fn split<T: Tally>(
        &mut self,
        job: &Job<'_, T>,
        tally: &mut T,
        stretch: &mut Stretch<'_>,
        waiting: usize,
    ) -> Option<(Split, f64)> {
        let Job { plan, sample, .. } = *job;
        let node = stretch.node;
        if !plan.limits.may_split(node.len(), node.depth) {
            return None;
        }
        tally.enter(named(stretch.rows));
        if tally.is_pure(named(stretch.rows)) {
            return None;
        }
        let draw = plan.draw.at(sample.tree, node.path);
        let large = LargeNode { plan, rows: stretch.rows, draw, share: job.crew.has_idle() };
        if stretch.sums.is_none() && keeps(plan, tally, waiting) {
            fill_all(tally, stretch.rows, &plan.columns, stretch.sums.insert(Vec::new()), large.share);
        }
        let found = self.top.best(tally, large, stretch.sums.as_deref())?;
        let decrease = tally.decrease(found.score);
        (decrease >= plan.limits.min_decrease * sample.unit).then_some((found.split, decrease))
    }
}

/// Has an idle thread grow a branch.
fn give<'s, T: Tally>(job: &'s Job<'_, T>, root: Stretch<'s>, scope: &Scope<'s>) -> Receiver<Branch> {
    let (sender, receiver) = channel();
    let work = job.crew.begin();
    scope.spawn(move |scope| {
        // Nobody is left to receive it only if the tree is given up.
        let _ = sender.send(Buffers::default().grow(job, root, scope));
        drop(work);
    });
    receiver
}

/// The rows of the table, as a tally of all of them names them.
fn named(rows: &[u32]) -> impl Iterator<Item = usize> + Clone {
    rows.iter().map(|row| *row as usize)
}

/// Brings the rows that go left to the front, both sides in their order, and gives how many they are.
fn part(plan: &Plan, stretch: &mut Stretch<'_>, split: &Split) -> usize {
    let cells = &plan.cells[split.feature()];
    let Stretch { rows, spare, .. } = stretch;
    let mut left = 0;
    // Every row is written to both sides, so that no branch has to be foretold.
    for index in 0..rows.len() {
        let row = rows[index];
        rows[left] = row;
        spare[index - left] = row;
        left += usize::from(split.goes_left(cells.bits(row as usize)));
    }
    let right = rows.len() - left;
    rows[left..].copy_from_slice(&spare[..right]);
    left
}

/// The children of a node whose rows are parted, the right one first. Of histograms that the node kept only those of the
/// smaller child are made: what it takes from the node's is left for the larger one. Those of so many nodes wait.
fn children<'r, T: Tally>(
    job: &Job<'_, T>,
    tally: &T,
    stretch: Stretch<'r>,
    [right, left]: [Open; 2],
    waiting: usize,
) -> [Stretch<'r>; 2] {
    let Stretch { rows, spare, sums, .. } = stretch;
    let middle = left.len();
    let (left_rows, right_rows) = rows.split_at_mut(middle);
    let (left_spare, right_spare) = spare.split_at_mut(middle);
    let mut left = Stretch { node: left, rows: left_rows, spare: left_spare, sums: None };
    let mut right = Stretch { node: right, rows: right_rows, spare: right_spare, sums: None };
    let [smaller, larger] =
        if left.rows.len() < right.rows.len() { [&mut left, &mut right] } else { [&mut right, &mut left] };
    let Job { plan, crew, .. } = *job;
    let depth = larger.node.depth;
    let is_large = |rows: &[u32]| rows.len() > plan.layout.rows && plan.limits.may_split(rows.len(), depth);
    if let Some(mut sums) = sums.filter(|_| is_large(larger.rows)) {
        let mut own = Vec::new();
        fill_all(tally, smaller.rows, &plan.columns, &mut own, crew.has_idle());
        take_away(&mut sums, &own);
        larger.sums = Some(sums);
        smaller.sums = Some(own).filter(|_| is_large(smaller.rows) && keeps(plan, tally, waiting + 1));
    }
    [right, left]
}
