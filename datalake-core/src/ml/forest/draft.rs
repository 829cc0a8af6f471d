//! A tree while it grows: its nodes so far, and, where it is to be pruned, what each split is worth.

use super::prune::Worth;
use super::tree::{Split, Tree};

/// A tree to which nodes are added in preorder.
#[derive(Debug)]
pub(super) struct Draft {
    tree: Tree,
    /// By feature, the impurity that its splits have lowered.
    importances: Vec<f64>,
    worth: Option<Worth>,
}

impl Draft {
    /// `width` numbers a leaf; `pruned` says that every split is to be weighed against a leaf in its place.
    pub(super) fn new(width: usize, features: usize, pruned: bool) -> Self {
        let worth = pruned.then(Worth::default);
        Self { tree: Tree::new(width, features), importances: vec![0.0; features], worth }
    }

    /// Adds a split that lowers the impurity by `decrease`, and gives its number. `leaf` says what the node would
    /// predict as a leaf, if that matters.
    pub(super) fn push_split(&mut self, split: &Split, decrease: f64, leaf: impl FnOnce(&mut Vec<f64>)) -> u32 {
        self.importances[split.feature()] += decrease;
        if let Some(worth) = &mut self.worth {
            worth.push(split.feature(), decrease, leaf);
        }
        self.tree.push_split(split)
    }

    /// Adds a leaf.
    pub(super) fn push_leaf(&mut self, values: &[f64]) {
        self.tree.push_leaf(values);
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
    pub(super) fn finish(mut self, max_leaves: Option<u32>, alpha: f64) -> Tree {
        if let Some(worth) = &self.worth {
            let kept = worth.kept(&self.tree, max_leaves, alpha);
            self.importances = worth.importances(&kept, self.importances.len());
            self.tree = worth.prune(&self.tree, &kept);
        }
        share_out(&mut self.importances);
        self.tree.importances = self.importances;
        self.tree.shrink();
        self.tree
    }
}

/// Turns decreases into shares of their sum; a tree without splits has none to share.
fn share_out(importances: &mut [f64]) {
    let sum: f64 = importances.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        importances.iter_mut().for_each(|importance| *importance /= sum);
    }
}
