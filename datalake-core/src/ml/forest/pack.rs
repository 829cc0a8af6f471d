//! A row, and any sum of rows, in one word: what makes the search of small nodes fast.
//!
//! The bounds that [`Tally::load`](super::tally::Tally::load) keeps let nothing overflow; the operations here wrap, so
//! that no check stands in the way of vectors.

/// A node whose rows are words that add up; scores equal those of the [`Tally`](super::tally::Tally) to the bit.
pub(super) trait Pack: Copy {
    /// How good the cut is with this sum on its left.
    fn score(self, left: i64) -> f64;

    /// The sum over the whole node.
    fn total(self) -> i64;

    /// The weight that a sum is of.
    fn weight(self, sum: i64) -> i64;
}

/// A regression's node: the weighted sum of values above the weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Squares {
    weight: i64,
    value: i64,
    shift: u32,
}

impl Squares {
    pub(super) fn new(weight: i64, value: i64, shift: u32) -> Self {
        Self { weight, value, shift }
    }
}

impl Pack for Squares {
    #[inline(always)]
    fn score(self, left: i64) -> f64 {
        let weight = self.weight(left);
        let value = left >> self.shift;
        let covariance = self.weight.wrapping_mul(value).wrapping_sub(weight.wrapping_mul(self.value)) as f64;
        covariance * covariance / weight.wrapping_mul(self.weight.wrapping_sub(weight)) as f64
    }

    fn total(self) -> i64 {
        (self.value << self.shift) + self.weight
    }

    #[inline(always)]
    fn weight(self, sum: i64) -> i64 {
        sum & (1_i64 << self.shift).wrapping_sub(1)
    }
}

/// A classification's node: the weight of each of up to four classes in sixteen bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gini {
    total: i64,
    weight: i64,
}

impl Gini {
    /// The most classes.
    pub(super) const CLASSES: usize = 4;
    /// The weight of a node stays below.
    pub(super) const WEIGHT: u64 = 1 << 15;

    pub(super) fn new(total: &[u64]) -> Self {
        let words = total.iter().zip(0..).map(|(&weight, class)| Self::word(class, weight as u32));
        Self { total: words.sum(), weight: total.iter().sum::<u64>() as i64 }
    }

    /// A weight in the field of its class.
    pub(super) fn word(class: u32, weight: u32) -> i64 {
        i64::from(weight) << (16 * class)
    }
}

#[inline(always)]
fn fields(sum: i64) -> [i64; 4] {
    [sum & 0xFFFF, sum >> 16 & 0xFFFF, sum >> 32 & 0xFFFF, sum >> 48 & 0xFFFF]
}

#[inline(always)]
fn squares([a, b, c, d]: [i64; 4]) -> i64 {
    let squared = |count: i64| count.wrapping_mul(count);
    squared(a).wrapping_add(squared(b)).wrapping_add(squared(c)).wrapping_add(squared(d))
}

impl Pack for Gini {
    #[inline(always)]
    fn score(self, left: i64) -> f64 {
        let (on_left, on_right) = (squares(fields(left)), squares(fields(self.total.wrapping_sub(left))));
        let weight = self.weight(left);
        let rest = self.weight.wrapping_sub(weight);
        let sum = on_left.wrapping_mul(rest).wrapping_add(on_right.wrapping_mul(weight));
        sum as f64 / weight.wrapping_mul(rest) as f64
    }

    fn total(self) -> i64 {
        self.total
    }

    #[inline(always)]
    fn weight(self, sum: i64) -> i64 {
        let [a, b, c, d] = fields(sum);
        a.wrapping_add(b).wrapping_add(c).wrapping_add(d)
    }
}

/// Whether tests want all done without vectors. Scores are the same, so it does not matter who else sees it.
#[cfg(all(test, target_arch = "x86_64"))]
pub(super) static PORTABLE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Whether the machine adds, multiplies and compares eight words at a time. Scores are the same without.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx512() -> bool {
    #[cfg(test)]
    if PORTABLE.load(std::sync::atomic::Ordering::Relaxed) {
        return false;
    }
    std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("popcnt")
}
