//! Takes back splits of a grown tree: all but the best few, or those that are not worth their leaves.
//!
//! A node's split does not depend on the order in which nodes are split, so the tree that grows best-first to a number
//! of leaves is the full tree less the splits that it would not have come to.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::tree::{NodeRef, Tree};

/// By split, in preorder: what it is worth, and what a leaf in its place would say.
#[derive(Debug, Default)]
pub(super) struct Worth {
    features: Vec<u32>,
    decreases: Vec<f64>,
    leaves: Vec<f64>,
}

/// A split that may be made next. The greatest decrease comes first, then the first in preorder.
#[derive(Debug, PartialEq)]
struct Candidate {
    decrease: f64,
    split: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.decrease.total_cmp(&other.decrease).then(other.split.cmp(&self.split))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Worth {
    pub(super) fn push(&mut self, feature: usize, decrease: f64, leaf: impl FnOnce(&mut Vec<f64>)) {
        self.features.push(feature as u32);
        self.decreases.push(decrease);
        leaf(&mut self.leaves);
    }

    /// Which splits stay.
    pub(super) fn kept(&self, tree: &Tree, max_leaves: Option<u32>, alpha: f64) -> Vec<bool> {
        let mut kept = vec![true; self.decreases.len()];
        if let Some(leaves) = max_leaves {
            kept = self.best_first(tree, leaves);
        }
        if alpha > 0.0 {
            self.worth_their_leaves(tree, alpha, &mut kept);
        }
        kept
    }

    fn best_first(&self, tree: &Tree, leaves: u32) -> Vec<bool> {
        let mut kept = vec![false; self.decreases.len()];
        let mut open = BinaryHeap::new();
        let candidate = |node: NodeRef| match node {
            NodeRef::Split(split) => Some(Candidate { decrease: self.decreases[split as usize], split }),
            NodeRef::Leaf(_) => None,
        };
        open.extend(candidate(tree.root_ref()));
        for _ in 1..leaves {
            let Some(Candidate { split, .. }) = open.pop() else { break };
            kept[split as usize] = true;
            open.extend(tree.children_of(split).into_iter().filter_map(candidate));
        }
        kept
    }

    /// Minimal cost-complexity pruning: of all trees that are cut from this one, the smallest of those for which the
    /// impurity plus `alpha` for each leaf is least (Breiman, Friedman, Olshen and Stone, 1984, chapter 3). What a
    /// branch gains is what its split gains, less the leaf it adds, and what its own branches gain, if anything.
    fn worth_their_leaves(&self, tree: &Tree, alpha: f64, kept: &mut [bool]) {
        let mut gains = vec![0.0; kept.len()];
        // Children come after their parents.
        for split in (0..kept.len()).rev().filter(|split| kept[*split]).collect::<Vec<_>>() {
            let below = tree.children_of(split as u32).map(|node| match node {
                NodeRef::Split(child) if kept[child as usize] => f64::max(gains[child as usize], 0.0),
                _ => 0.0,
            });
            gains[split] = self.decreases[split] - alpha + below[0] + below[1];
        }
        kept.iter_mut().zip(gains).for_each(|(kept, gain)| *kept = *kept && gain > 0.0);
    }

    /// By feature, what the splits that stay have lowered.
    pub(super) fn importances(&self, kept: &[bool], features: usize) -> Vec<f64> {
        let mut sums = vec![0.0; features];
        let splits = self.features.iter().zip(&self.decreases).zip(kept);
        splits.filter(|(_, kept)| **kept).for_each(|((feature, decrease), _)| sums[*feature as usize] += decrease);
        sums
    }

    /// The tree of the splits that stay and can be reached.
    pub(super) fn prune(&self, tree: &Tree, kept: &[bool]) -> Tree {
        let width = if kept.is_empty() { 1 } else { self.leaves.len() / kept.len() };
        tree.cut(kept, |split| &self.leaves[split as usize * width..][..width])
    }
}
