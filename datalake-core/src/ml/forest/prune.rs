//! Takes back splits of a grown tree: all but the best few, or those that are not worth their leaves.
//!
//! A node's split does not depend on the order in which nodes are split, so the tree that grows best-first to a number
//! of leaves is the full tree less the splits that it would not have come to.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::node::NodeRef;
use super::tree::Tree;

/// By split, in preorder: what a leaf in its place would say, to be weighed against what the split lowers.
#[derive(Debug)]
pub(super) struct Worth {
    width: usize,
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
    /// Nothing yet; leaves say `width` numbers each.
    pub(super) fn new(width: usize) -> Self {
        Self { width, leaves: Vec::new() }
    }

    pub(super) fn push(&mut self, leaf: impl FnOnce(&mut Vec<f64>)) {
        leaf(&mut self.leaves);
    }

    /// Adds the splits of a branch.
    pub(super) fn append(&mut self, branch: &Self) {
        self.leaves.extend_from_slice(&branch.leaves);
    }

    /// The tree of the splits that stay and can be reached.
    pub(super) fn prune(&self, tree: &Tree, kept: &[bool]) -> Tree {
        tree.cut(kept, |split| &self.leaves[split as usize * self.width..][..self.width])
    }
}

/// Which splits stay, by what each lowers.
pub(super) fn kept(tree: &Tree, decreases: &[f64], max_leaves: Option<u32>, alpha: f64) -> Vec<bool> {
    let mut kept = vec![true; decreases.len()];
    if let Some(leaves) = max_leaves {
        kept = best_first(tree, decreases, leaves);
    }
    if alpha > 0.0 {
        worth_their_leaves(tree, decreases, alpha, &mut kept);
    }
    kept
}

fn best_first(tree: &Tree, decreases: &[f64], leaves: u32) -> Vec<bool> {
    let mut kept = vec![false; decreases.len()];
    let mut open = BinaryHeap::new();
    let candidate = |node: NodeRef| match node {
        NodeRef::Split(split) => Some(Candidate { decrease: decreases[split as usize], split }),
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
fn worth_their_leaves(tree: &Tree, decreases: &[f64], alpha: f64, kept: &mut [bool]) {
    let mut gains = vec![0.0; kept.len()];
    // Children come after their parents.
    for split in (0..kept.len()).rev().filter(|split| kept[*split]).collect::<Vec<_>>() {
        let below = tree.children_of(split as u32).map(|node| match node {
            NodeRef::Split(child) if kept[child as usize] => f64::max(gains[child as usize], 0.0),
            _ => 0.0,
        });
        gains[split] = decreases[split] - alpha + below[0] + below[1];
    }
    // Parents come before their children: what lies below a leaf is not kept either.
    for split in 0..kept.len() {
        kept[split] = kept[split] && gains[split] > 0.0;
        for child in tree.children_of(split as u32) {
            if let (false, NodeRef::Split(child)) = (kept[split], child) {
                kept[child as usize] = false;
            }
        }
    }
}
