//! Grows one tree from its rows: splits large nodes by histograms, and hands smaller ones to exact search.

use super::block::Layout;
use super::columns::{Binned, Cells};
use super::draft::Draft;
use super::draw::Draw;
use super::local::{Local, Part};
use super::rules::UNBOUNDED;
use super::tally::Tally;
use super::top::{LargeNode, Top};
use super::tree::{Split, Tree};
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

    fn prunes(&self) -> bool {
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
    top: Top,
    local: Local,
    leaf: Vec<f64>,
}

impl Grower {
    /// Grows a tree.
    pub(super) fn grow<T: Tally>(
        &mut self,
        plan: &Plan,
        sample: Sample<'_>,
        mut tallies: [T; 2],
        width: usize,
    ) -> Tree {
        let [tally, local] = &mut tallies;
        self.rows.clear();
        self.rows.extend((0..plan.rows).filter(|&row| sample.counts[row as usize] > 0));
        let mut draft = Draft::new(width, plan.columns.len(), plan.limits.prunes());
        if self.rows.len() > plan.layout.rows {
            let all: Vec<u32> = (0..plan.rows).collect();
            tally.load(&all, sample.counts, false);
        }
        let mut entries = Vec::new();
        let end = self.rows.len();
        let mut open = vec![Open { begin: 0, end, depth: 0, path: ROOT, right_of: None, bounds: UNBOUNDED }];
        while let Some(node) = open.pop() {
            if let Some(parent) = node.right_of {
                draft.set_right(parent);
            }
            let rows = &self.rows[node.begin..node.end];
            if node.len() <= plan.layout.rows {
                let part = Part { sample, rows, root: node };
                self.local.grow(plan, part, local, &mut draft);
                continue;
            }
            if let Some(rules) = tally.rules() {
                rules.bounds = node.bounds;
            }
            if let Some((split, decrease)) = self.split(plan, sample, tally, node, &mut entries) {
                let parent = draft.push_split(&split, decrease, |leaf| tally.leaf(rows_of(&self.rows, node), leaf));
                let middle = self.part(plan, node, &split);
                let bounds = bounds_below(tally, rows_of(&self.rows, Open { end: middle, ..node }), plan, &split);
                open.extend(node.children(parent, middle, bounds));
            } else {
                self.leaf.clear();
                tally.leaf(rows_of(&self.rows, node), &mut self.leaf);
                draft.push_leaf(&self.leaf);
            }
        }
        draft.finish(plan.limits.max_leaves, plan.limits.alpha * sample.unit)
    }

    /// The split of a large node and the impurity that it lowers; none makes it a leaf.
    fn split<T: Tally>(
        &mut self,
        plan: &Plan,
        sample: Sample<'_>,
        tally: &mut T,
        node: Open,
        entries: &mut Vec<T::Entry>,
    ) -> Option<(Split, f64)> {
        if !plan.limits.may_split(node.len(), node.depth) {
            return None;
        }
        tally.enter(rows_of(&self.rows, node));
        if tally.is_pure(rows_of(&self.rows, node)) {
            return None;
        }
        let draw = plan.draw.at(sample.tree, node.path);
        let rows = &self.rows[node.begin..node.end];
        entries.clear();
        entries.extend(rows.iter().map(|&row| tally.entry(row as usize)));
        let found = self.top.best(tally, LargeNode { plan, rows, entries, draw })?;
        let decrease = tally.decrease(found.score);
        (decrease >= plan.limits.min_decrease * sample.unit).then_some((found.split, decrease))
    }

    /// Brings the rows that go left to the front, both sides in their order, and gives where the right begins.
    fn part(&mut self, plan: &Plan, node: Open, split: &Split) -> usize {
        let cells = &plan.cells[split.feature()];
        let rows = &mut self.rows[node.begin..node.end];
        self.spare.clear();
        let mut left = 0;
        for index in 0..rows.len() {
            let row = rows[index];
            if split.goes_left(cells.bits(row as usize)) {
                rows[left] = row;
                left += 1;
            } else {
                self.spare.push(row);
            }
        }
        rows[left..].copy_from_slice(&self.spare);
        node.begin + left
    }
}

fn rows_of(rows: &[u32], node: Open) -> impl Iterator<Item = usize> + Clone {
    rows[node.begin..node.end].iter().map(|row| *row as usize)
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
