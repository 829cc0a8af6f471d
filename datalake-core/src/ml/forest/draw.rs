//! How many rows a tree draws, and which features a node tries in which order: keyed, the same for whoever asks.
//!
//! Every feature has a priority at every node, a hash of both, so that one more column leaves the order of the others
//! as it was, and the order is only computed where it matters.

use super::params::ForestParams;
use crate::random::mix;

/// Keeps these draws apart from those of rows.
const FEATURES: u64 = 2;
/// And these from the order of features.
const CUTS: u64 = 3;

impl ForestParams {
    /// How many rows the bootstrap draws from so many; none without bootstrap.
    pub(super) fn draws(&self, rows: usize) -> Option<u32> {
        let share = self.max_samples.unwrap_or(1.0);
        self.bootstrap.then(|| ((rows as f64 * share).round_ties_even() as u32).max(1))
    }
}

/// The draws of one forest.
#[derive(Debug)]
pub(super) struct Draw {
    keys: Vec<u32>,
    /// How many features a node tries.
    pub(super) tried: usize,
}

/// The draws at one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeDraw<'a> {
    draw: &'a Draw,
    key: u32,
}

impl Draw {
    pub(super) fn new(seed: u64, features: usize, tried: usize) -> Self {
        let stream = mix(seed, FEATURES);
        Self { keys: (0..features as u64).map(|feature| (mix(stream, feature) >> 32) as u32).collect(), tried }
    }

    /// At the node of a tree that `path` leads to.
    pub(super) fn at(&self, tree: u32, path: u64) -> NodeDraw<'_> {
        NodeDraw { draw: self, key: (mix(path, u64::from(tree)) >> 32) as u32 }
    }

    /// Whether every node tries every feature.
    pub(super) fn tries_all(&self) -> bool {
        self.tried >= self.keys.len()
    }
}

impl NodeDraw<'_> {
    /// The lower, the earlier.
    pub(super) fn priority(self, feature: u32) -> u64 {
        u64::from(scramble(self.draw.keys[feature as usize] ^ self.key)) << 32 | u64::from(feature)
    }

    /// What a random cut of the feature follows from.
    pub(super) fn cut_key(self, feature: u32) -> u64 {
        mix(self.priority(feature), CUTS)
    }

    /// How many features the node tries.
    pub(super) fn tried(self) -> usize {
        self.draw.tried
    }

    /// The priorities of all features, the first `tried` of them in order.
    pub(super) fn features(self, order: &mut Vec<u64>) {
        order.clear();
        order.extend((0..self.draw.keys.len() as u32).map(|feature| self.priority(feature)));
        let tried = self.draw.tried.min(order.len());
        if tried < order.len() {
            order.select_nth_unstable(tried);
        }
        order[..tried].sort_unstable();
    }
}

/// The last step of `MurmurHash3` for 32 bits (Appleby, 2011): every bit of the input sways every bit of the output.
#[inline(always)]
fn scramble(mut bits: u32) -> u32 {
    bits = (bits ^ bits >> 16).wrapping_mul(0x85EB_CA6B);
    bits = (bits ^ bits >> 13).wrapping_mul(0xC2B2_AE35);
    bits ^ bits >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_drawn_about_as_often() {
        let draw = Draw::new(7, 10, 3);
        let mut counts = [0_u32; 10];
        let mut order = Vec::new();
        for path in 0..10_000 {
            draw.at(5, path).features(&mut order);
            assert!(order[0] < order[1] && order[1] < order[2]);
            order[..3].iter().for_each(|priority| counts[*priority as u32 as usize] += 1);
        }
        assert!(counts.iter().all(|count| (2800..3200).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_more_feature_leaves_the_order_of_the_others() {
        let (few, many) = (Draw::new(7, 9, 9), Draw::new(7, 10, 10));
        for path in 0..100 {
            assert!((0..9).all(|feature| few.at(1, path).priority(feature) == many.at(1, path).priority(feature)));
        }
    }
}
