//! What a split must leave: enough weight on either side, and sides in the order of a monotone feature.

/// The rules of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The least weight on either side.
    pub(super) min_weight: f64,
    /// Which way the right side's mean must lie from the left one's: up (1), down (-1), either (0). That of the feature
    /// under trial.
    pub(super) direction: i8,
    /// Between which the node's predictions must lie, so that those of other nodes keep their order.
    pub(super) bounds: [f64; 2],
}

/// No bounds.
pub(super) const UNBOUNDED: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

impl Rules {
    pub(super) fn new(min_weight: f64) -> Self {
        Self { min_weight, direction: 0, bounds: UNBOUNDED }
    }

    /// Whether sides of such weights and means may be. Where their order does not matter, their means may lie beyond
    /// the bounds, as in scikit-learn: leaves are moved within them in any case.
    pub(super) fn allow(&self, weights: [f64; 2], means: [f64; 2]) -> bool {
        let [left, right] = means;
        let [low, high] = self.bounds;
        let ordered = match self.direction {
            0 => true,
            1 => low <= left && left <= right && right <= high,
            _ => high >= left && left >= right && right >= low,
        };
        ordered && weights.iter().all(|weight| *weight >= self.min_weight)
    }

    /// The bounds of the children of a node that is split into sides of such means: half-way between them, where their
    /// order matters.
    pub(super) fn bounds_below(&self, means: [f64; 2]) -> [[f64; 2]; 2] {
        let [low, high] = self.bounds;
        let middle = means[0] * 0.5 + means[1] * 0.5;
        match self.direction {
            0 => [[low, high]; 2],
            1 => [[low, middle], [middle, high]],
            _ => [[middle, high], [low, middle]],
        }
    }

    /// Whether means matter at all.
    pub(super) fn is_monotone(&self) -> bool {
        self.direction != 0 || self.bounds.iter().any(|bound| bound.is_finite())
    }

    pub(super) fn clip(&self, value: f64) -> f64 {
        value.max(self.bounds[0]).min(self.bounds[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_keep_their_order_and_their_bounds() {
        let rules = Rules { min_weight: 2.0, direction: 1, bounds: [0.0, 10.0] };
        assert!(rules.allow([2.0, 3.0], [1.0, 4.0]));
        assert!(!rules.allow([2.0, 3.0], [4.0, 1.0]));
        assert!(!rules.allow([1.0, 3.0], [1.0, 4.0]));
        assert!(!rules.allow([2.0, 3.0], [1.0, 11.0]));
        assert!(Rules { direction: 0, ..rules }.allow([2.0, 3.0], [1.0, 11.0]));
        assert_eq!(rules.bounds_below([1.0, 4.0]), [[0.0, 2.5], [2.5, 10.0]]);
        assert_eq!(Rules { direction: -1, ..rules }.bounds_below([4.0, 1.0]), [[2.5, 10.0], [0.0, 2.5]]);
        assert_eq!(Rules { direction: 0, ..rules }.bounds_below([4.0, 1.0]), [[0.0, 10.0]; 2]);
    }
}
