//! A tree while it grows: its nodes so far, what each split lowers, and, where it is to be pruned, what a leaf in its
//! place would say.

use super::prune::{Worth, kept};
use super::split::Split;
use super::tree::Tree;

/// A tree, or a branch of one, to which nodes are added in preorder.
#[derive(Debug)]
pub(super) struct Draft {
    tree: Tree,
    /// By split, the impurity that it lowers.
    decreases: Vec<f64>,
    worth: Option<Worth>,
}

impl Draft {
    /// `width` numbers a leaf; `pruned` says that every split is to be weighed against a leaf in its place.
    pub(super) fn new(width: usize, features: usize, pruned: bool) -> Self {
        Self { tree: Tree::new(width, features), decreases: Vec::new(), worth: pruned.then(|| Worth::new(width)) }
    }

    /// Adds a split that lowers the impurity by `decrease`, and gives its number. `leaf` says what the node would
    /// predict as a leaf, if that matters.
    pub(super) fn push_split(&mut self, split: &Split, decrease: f64, leaf: impl FnOnce(&mut Vec<f64>)) -> u32 {
        self.decreases.push(decrease);
        if let Some(worth) = &mut self.worth {
            worth.push(leaf);
        }
        self.tree.push_split(split)
    }

    /// Adds a leaf.
    pub(super) fn push_leaf(&mut self, values: &[f64]) {
        self.tree.push_leaf(values);
    }

    /// Adds a branch that was drafted apart, and gives the number of its first split.
    pub(super) fn append(&mut self, branch: &Self) -> u32 {
        self.decreases.extend_from_slice(&branch.decreases);
        if let (Some(worth), Some(others)) = (&mut self.worth, &branch.worth) {
            worth.append(others);
        }
        self.tree.append(&branch.tree)
    }

    /// Says that the next node is the right child of `parent`.
    pub(super) fn set_right(&mut self, parent: u32) {
        self.tree.set_right(parent);
    }

    /// Gives a numeric split its threshold.
    pub(super) fn set_threshold(&mut self, split: u32, threshold: f32) {
        self.tree.set_threshold(split, threshold);
    }

    /// The tree, pruned to so many leaves and to splits that are worth `alpha`, in the units of decreases.
    pub(super) fn finish(self, max_leaves: Option<u32>, alpha: f64) -> Tree {
        let Self { mut tree, decreases, worth } = self;
        let kept = worth.as_ref().map(|_| kept(&tree, &decreases, max_leaves, alpha));
        // In preorder, whoever grew which branch: sums of such numbers depend on their order.
        let mut importances = vec![0.0; tree.importances.len()];
        for (split, decrease) in (0_u32..).zip(&decreases) {
            if kept.as_ref().is_none_or(|kept| kept[split as usize]) {
                importances[tree.feature_of(split)] += decrease;
            }
        }
        if let (Some(worth), Some(kept)) = (&worth, &kept) {
            tree = worth.prune(&tree, kept);
        }
        share_out(&mut importances);
        tree.importances = importances;
        tree.shrink();
        tree
    }
}

/// Turns decreases into shares of their sum; a tree without splits has none to share.
fn share_out(importances: &mut [f64]) {
    let sum: f64 = importances.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        importances.iter_mut().for_each(|importance| *importance /= sum);
    }
}
