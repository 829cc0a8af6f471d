//! Grows one tree from its rows, by one thread or by as many as are idle.

use super::block::Layout;
use super::branch::{Branch, Buffers, Job, Stretch, joined};
use super::columns::{Binned, Cells};
use super::crew::Crew;
use super::draw::Draw;
use super::rules::UNBOUNDED;
use super::split::Split;
use super::tally::Tally;
use super::tree::Tree;
use crate::random::mix;

/// The path of the root; a child's is mixed from its parent's and its side.
const ROOT: u64 = 1;

/// What is the same for all trees of a forest.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cells: Vec<Cells>,
    pub(super) columns: Vec<Binned>,
    pub(super) layout: Layout,
    pub(super) draw: Draw,
    pub(super) rows: u32,
    pub(super) limits: Limits,
    /// By feature, which way predictions may move with it; empty where none is bound.
    pub(super) directions: Vec<i8>,
    /// Whether cuts are drawn instead of searched.
    pub(super) random: bool,
}

/// When a node is a leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_depth: u32,
    pub(super) min_split: usize,
    pub(super) min_leaf: usize,
    /// The most leaves, and the least decrease for each of them.
    pub(super) max_leaves: Option<u32>,
    pub(super) alpha: f64,
    /// The least decrease of impurity.
    pub(super) min_decrease: f64,
}

/// The rows that a tree is grown from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    /// The number of the tree.
    pub(super) tree: u32,
    /// By row of the table, how often it counts.
    pub(super) counts: &'a [u32],
    /// What an impurity is times the whole weight, in the units of the tally.
    pub(super) unit: f64,
}

impl Limits {
    pub(super) fn may_split(&self, rows: usize, depth: u32) -> bool {
        rows >= self.min_split && rows / 2 >= self.min_leaf && depth < self.max_depth
    }

    pub(super) fn prunes(&self) -> bool {
        self.max_leaves.is_some() || self.alpha > 0.0
    }
}

/// A node that is still to be made: a stretch of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) depth: u32,
    pub(super) path: u64,
    /// The split that this node is the right child of.
    pub(super) right_of: Option<u32>,
    /// What its predictions must lie between.
    pub(super) bounds: [f64; 2],
}

impl Open {
    pub(super) fn len(self) -> usize {
        self.end - self.begin
    }

    /// The children, in the order to be put on a stack: the left one is popped, and so made, first.
    pub(super) fn children(self, parent: u32, middle: usize, bounds: [[f64; 2]; 2]) -> [Self; 2] {
        let (depth, path) = (self.depth + 1, |side| mix(self.path, side));
        let [left, right] = bounds;
        [
            Self { begin: middle, end: self.end, depth, path: path(2), right_of: Some(parent), bounds: right },
            Self { begin: self.begin, end: middle, depth, path: path(1), right_of: None, bounds: left },
        ]
    }
}

/// Buffers for growing trees, used again for each that a thread grows.
#[derive(Debug, Default)]
pub(super) struct Grower {
    rows: Vec<u32>,
    spare: Vec<u32>,
    buffers: Buffers,
}

impl Grower {
    /// Grows a tree. The tally is a new one; leaves say `width` numbers.
    pub(super) fn grow<T: Tally>(
        &mut self,
        plan: &Plan,
        sample: Sample<'_>,
        tally: &T,
        width: usize,
        crew: &Crew,
    ) -> Tree {
        let Self { rows, spare, buffers } = self;
        rows.clear();
        rows.extend((0..plan.rows).filter(|&row| sample.counts[row as usize] > 0));
        spare.resize(rows.len(), 0);
        let node = Open { begin: 0, end: rows.len(), depth: 0, path: ROOT, right_of: None, bounds: UNBOUNDED };
        let root = Stretch { node, rows, spare: &mut spare[..node.len()], sums: None };
        let job = Job { plan, sample, tally, width, crew };
        let trunk: Branch = rayon::scope(|scope| {
            // Until it only waits for the branches that it gave away.
            let _work = crew.begin();
            buffers.grow(&job, root, scope)
        });
        joined(trunk).finish(plan.limits.max_leaves, plan.limits.alpha * sample.unit)
    }
}

/// The bounds of the children of the node that the tally has entered.
pub(super) fn bounds_below<T: Tally>(
    tally: &mut T,
    left: impl Iterator<Item = usize>,
    plan: &Plan,
    split: &Split,
) -> [[f64; 2]; 2] {
    if plan.directions.is_empty() {
        return [UNBOUNDED; 2];
    }
    tally.rewind();
    left.for_each(|row| tally.move_left(row));
    let means = tally.means();
    let Some(rules) = tally.rules() else { return [UNBOUNDED; 2] };
    rules.direction = plan.directions[split.feature()];
    rules.bounds_below(means)
}
