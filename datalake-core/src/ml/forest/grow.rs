//! Grows one tree: draws its rows, splits depth-first over one buffer of row numbers, and writes nodes in preorder.

use super::columns::{Cells, Ranked};
use super::split::{NodeRows, Search};
use super::tally::Tally;
use super::tree::{Split, Tree};
use crate::random::{Draws, mix};

/// What a draw is for: keeps the streams of one tree apart.
const BOOTSTRAP: u64 = 1;
const FEATURES: u64 = 2;
/// The path of the root; a child's is mixed from its parent's and its side.
const ROOT: u64 = 1;

/// What is the same for all trees of a forest.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cells: Vec<Cells>,
    pub(super) columns: Vec<Ranked>,
    pub(super) rows: u32,
    /// How many rows the bootstrap draws; none without bootstrap.
    pub(super) draws: Option<u32>,
    pub(super) tried: usize,
    pub(super) max_depth: u32,
    pub(super) min_samples_split: usize,
    pub(super) min_samples_leaf: usize,
    /// The least decrease of impurity times weight, in the units of the tally.
    pub(super) min_decrease: f64,
    pub(super) seed: u64,
}

impl Plan {
    /// How often each row is in the tree's sample.
    pub(super) fn weights(&self, tree: u32) -> Vec<u32> {
        let Some(count) = self.draws else { return vec![1; self.rows as usize] };
        let mut weights = vec![0; self.rows as usize];
        let mut draws = Draws::new(self.seed, mix(mix(u64::from(tree), BOOTSTRAP), 0));
        for _ in 0..count {
            weights[draws.below(u64::from(self.rows)) as usize] += 1;
        }
        weights
    }

    /// Grows tree number `tree` from rows with these weights.
    pub(super) fn grow<T: Tally>(&self, tree: u32, weights: &[u32], tally: T, width: usize) -> Tree {
        let rows: Vec<u32> = (0..self.rows).filter(|&row| weights[row as usize] > 0).collect();
        Grower {
            plan: self,
            stream: mix(u64::from(tree), FEATURES),
            weights,
            tally,
            items: Vec::with_capacity(rows.len()),
            spare: Vec::with_capacity(rows.len()),
            rows,
            search: Search::default(),
            priorities: Vec::with_capacity(self.columns.len()),
            leaf: Vec::with_capacity(width),
            tree: Tree::new(width, self.columns.len()),
        }
        .run()
    }
}

/// A node that is still to be made.
#[derive(Debug, Clone, Copy)]
struct Open {
    begin: usize,
    end: usize,
    depth: u32,
    path: u64,
    /// The split that this node is the right child of.
    right_of: Option<u32>,
}

struct Grower<'a, T: Tally> {
    plan: &'a Plan,
    stream: u64,
    weights: &'a [u32],
    tally: T,
    items: Vec<T::Item>,
    /// The tree's rows; each node has a stretch of it, rising.
    rows: Vec<u32>,
    spare: Vec<u32>,
    search: Search,
    priorities: Vec<u64>,
    leaf: Vec<f64>,
    tree: Tree,
}

impl<T: Tally> Grower<'_, T> {
    fn run(mut self) -> Tree {
        let mut open = vec![Open { begin: 0, end: self.rows.len(), depth: 0, path: ROOT, right_of: None }];
        while let Some(node) = open.pop() {
            if let Some(parent) = node.right_of {
                self.tree.set_right(parent);
            }
            match self.split(node) {
                Some(split) => {
                    let parent = self.tree.push_split(&split);
                    let middle = self.partition(node, &split);
                    let depth = node.depth + 1;
                    let path = |side| mix(node.path, side);
                    // The left child is popped, and so made, first.
                    open.push(Open { begin: middle, end: node.end, depth, path: path(2), right_of: Some(parent) });
                    open.push(Open { begin: node.begin, end: middle, depth, path: path(1), right_of: None });
                }
                None => self.push_leaf(node),
            }
        }
        share_out(&mut self.tree.importances);
        self.tree
    }

    /// The split of a node; none makes it a leaf.
    fn split(&mut self, node: Open) -> Option<Split> {
        let plan = self.plan;
        let count = node.end - node.begin;
        let least = plan.min_samples_split.max(plan.min_samples_leaf.saturating_mul(2));
        if count < least || node.depth >= plan.max_depth {
            return None;
        }
        let rows = &self.rows[node.begin..node.end];
        self.tally.load(rows, self.weights, &mut self.items);
        if self.tally.is_pure() {
            return None;
        }
        let features = draw_order(&mut self.priorities, plan, mix(self.stream, node.path));
        let rows = NodeRows { rows, items: &self.items, min_leaf: plan.min_samples_leaf };
        let found = self.search.best(&mut self.tally, rows, &plan.columns, plan.tried, features)?;
        if found.decrease < plan.min_decrease {
            return None;
        }
        self.tree.importances[found.split.feature()] += found.decrease;
        Some(found.split)
    }

    /// Brings the rows that go left to the front, both sides in their order, and gives where the right begins.
    fn partition(&mut self, node: Open, split: &Split) -> usize {
        let cells = &self.plan.cells[split.feature()];
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

    fn push_leaf(&mut self, node: Open) {
        self.leaf.clear();
        self.tally.leaf(&self.rows[node.begin..node.end], self.weights, &mut self.leaf);
        self.tree.push_leaf(&self.leaf);
    }
}

/// The features in the order of this node's draw.
///
/// Each has a random priority of its own, so that one more column leaves the order of the others as it was.
fn draw_order<'a>(priorities: &'a mut Vec<u64>, plan: &Plan, stream: u64) -> impl Iterator<Item = u32> + use<'a> {
    const INDEX: u64 = (super::tree::MOST_FEATURES - 1) as u64;
    let key = Draws::new(plan.seed, stream).next_u64();
    priorities.clear();
    priorities.extend((0..plan.columns.len() as u64).map(|feature| mix(key, feature) & !INDEX | feature));
    let tried = plan.tried.min(priorities.len());
    if tried < priorities.len() {
        priorities.select_nth_unstable(tried);
        priorities[..tried].sort_unstable();
    } else {
        priorities.sort_unstable();
    }
    DrawOrder { priorities, tried, next: 0 }
}

/// Gives the features tried in order, and sorts the rest only if it is asked for.
struct DrawOrder<'a> {
    priorities: &'a mut Vec<u64>,
    tried: usize,
    next: usize,
}

impl Iterator for DrawOrder<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.next == self.tried {
            self.priorities[self.tried..].sort_unstable();
        }
        let priority = self.priorities.get(self.next)?;
        self.next += 1;
        Some((*priority % super::tree::MOST_FEATURES as u64) as u32)
    }
}

/// Turns decreases into shares of their sum; a tree without splits has none to share.
fn share_out(importances: &mut [f64]) {
    let sum: f64 = importances.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        importances.iter_mut().for_each(|importance| *importance /= sum);
    }
}
