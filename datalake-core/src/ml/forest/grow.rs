//! Grows one tree: draws its rows, splits large nodes by histograms, and hands smaller ones to exact search.

use super::block::Layout;
use super::columns::{Binned, Cells};
use super::draw::Draw;
use super::local::{Local, Part};
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
}

/// When a node is a leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_depth: u32,
    pub(super) min_split: usize,
    pub(super) min_leaf: usize,
    /// The least decrease of impurity times weight, in the units of the tally.
    pub(super) min_decrease: f64,
}

impl Limits {
    pub(super) fn may_split(&self, rows: usize, depth: u32) -> bool {
        rows >= self.min_split && rows / 2 >= self.min_leaf && depth < self.max_depth
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
}

impl Open {
    pub(super) fn len(self) -> usize {
        self.end - self.begin
    }

    /// The children, in the order to be put on a stack: the left one is popped, and so made, first.
    pub(super) fn children(self, parent: u32, middle: usize) -> [Self; 2] {
        let (depth, path) = (self.depth + 1, |side| mix(self.path, side));
        [
            Self { begin: middle, end: self.end, depth, path: path(2), right_of: Some(parent) },
            Self { begin: self.begin, end: middle, depth, path: path(1), right_of: None },
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
    /// Grows tree number `number` from rows with these weights.
    pub(super) fn grow<T: Tally>(
        &mut self,
        plan: &Plan,
        number: u32,
        weights: &[u32],
        mut tallies: [T; 2],
        width: usize,
    ) -> Tree {
        let [tally, local] = &mut tallies;
        self.rows.clear();
        self.rows.extend((0..plan.rows).filter(|&row| weights[row as usize] > 0));
        let mut tree = Tree::new(width, plan.columns.len());
        if self.rows.len() > plan.layout.rows {
            let all: Vec<u32> = (0..plan.rows).collect();
            tally.load(&all, weights, false);
        }
        let mut entries = Vec::new();
        let mut open = vec![Open { begin: 0, end: self.rows.len(), depth: 0, path: ROOT, right_of: None }];
        while let Some(node) = open.pop() {
            if let Some(parent) = node.right_of {
                tree.set_right(parent);
            }
            let rows = &self.rows[node.begin..node.end];
            if node.len() <= plan.layout.rows {
                let part = Part { tree: number, rows, weights, root: node };
                self.local.grow(plan, part, local, &mut tree);
                continue;
            }
            if let Some(split) = self.split(plan, number, tally, node, &mut entries, &mut tree) {
                let parent = tree.push_split(&split);
                let middle = self.part(plan, node, &split);
                open.extend(node.children(parent, middle));
            } else {
                self.leaf.clear();
                tally.leaf(rows_of(&self.rows, node), &mut self.leaf);
                tree.push_leaf(&self.leaf);
            }
        }
        share_out(&mut tree.importances);
        tree.shrink();
        tree
    }

    /// The split of a large node; none makes it a leaf.
    fn split<T: Tally>(
        &mut self,
        plan: &Plan,
        number: u32,
        tally: &mut T,
        node: Open,
        entries: &mut Vec<T::Entry>,
        tree: &mut Tree,
    ) -> Option<Split> {
        if !plan.limits.may_split(node.len(), node.depth) {
            return None;
        }
        tally.enter(rows_of(&self.rows, node));
        if tally.is_pure(rows_of(&self.rows, node)) {
            return None;
        }
        let draw = plan.draw.at(number, node.path);
        let rows = &self.rows[node.begin..node.end];
        entries.clear();
        entries.extend(rows.iter().map(|&row| tally.entry(row as usize)));
        let node = LargeNode { rows, entries, min_leaf: plan.limits.min_leaf };
        let found = self.top.best(tally, node, &plan.columns, &plan.cells, draw)?;
        let decrease = tally.decrease(found.score);
        if decrease < plan.limits.min_decrease {
            return None;
        }
        tree.importances[found.split.feature()] += decrease;
        Some(found.split)
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

/// Turns decreases into shares of their sum; a tree without splits has none to share.
fn share_out(importances: &mut [f64]) {
    let sum: f64 = importances.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        importances.iter_mut().for_each(|importance| *importance /= sum);
    }
}
