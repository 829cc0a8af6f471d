//! The best cut through the sorted rows of one node and feature: every place where the value changes.
//!
//! Missing values stand behind all others and are tried on the right first, then on the left. Between equal scores
//! the missing values on the right win, then the lowest cut.

use super::pack::Pack;
use super::tally::{Packed, Tally};

/// The rank of a missing value, in the high half of a key: ranks have twelve bits.
pub(super) const MISSING_RANK: u16 = 0xFFF;

/// A cut through a node's keys: the first `place` of them go left, and the missing ones if it says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) score: f64,
    pub(super) place: usize,
    pub(super) missing_left: bool,
    /// Whether the left side weighs at least as much as the right one.
    pub(super) left_heavier: bool,
}

/// A node's rows in the order of one feature: `rank << 16 | row`, the missing ones last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    keys: &'a [u32],
    /// How many have a value.
    pub(super) known: usize,
    min_leaf: usize,
}

pub(super) fn rank_of(key: u32) -> u16 {
    (key >> 16) as u16
}

pub(super) fn row_of(key: u32) -> usize {
    (key & 0xFFFF) as usize
}

impl<'a> Keys<'a> {
    pub(super) fn new(keys: &'a [u32], min_leaf: usize) -> Self {
        let known = keys.partition_point(|key| rank_of(*key) != MISSING_RANK);
        Self { keys, known, min_leaf }
    }

    pub(super) fn as_slice(self) -> &'a [u32] {
        self.keys
    }

    pub(super) fn varies(self) -> bool {
        self.keys.first().map(|key| rank_of(*key)) != self.keys.last().map(|key| rank_of(*key))
    }

    /// The places where a cut may be, the keys of the left side before them.
    fn places(self, missing_left: bool) -> std::ops::Range<usize> {
        let len = self.keys.len();
        let missing = if missing_left { len - self.known } else { 0 };
        let last = if missing_left { self.known.saturating_sub(1) } else { self.known.min(len - 1) };
        let begin = self.min_leaf.saturating_sub(missing).max(1);
        let end = (len - missing).saturating_sub(self.min_leaf).min(last);
        begin..end + 1
    }

    fn changes_at(self, place: usize) -> bool {
        rank_of(self.keys[place - 1]) != rank_of(self.keys[place])
    }

    fn sides(self) -> &'static [bool] {
        if self.known < self.keys.len() { &[false, true] } else { &[false] }
    }

    /// The best cut that is better than `least`, row by row.
    pub(super) fn best_by_rows<T: Tally>(self, tally: &mut T, least: f64) -> Option<Cut> {
        let mut best = None;
        let mut score = least;
        for &missing_left in self.sides() {
            tally.rewind();
            if missing_left {
                self.keys[self.known..].iter().for_each(|key| tally.move_left(row_of(*key)));
            }
            let places = self.places(missing_left);
            for place in 1..places.end {
                tally.move_left(row_of(self.keys[place - 1]));
                if place < places.start || !self.changes_at(place) {
                    continue;
                }
                let own = tally.score();
                if own > score {
                    score = own;
                    let (left, right) = tally.weights();
                    best = Some(Cut { score, place, missing_left, left_heavier: left >= right });
                }
            }
        }
        best
    }

    /// The score of the best cut, and its side of the missing values.
    pub(super) fn best_score<P: Pack>(self, node: &Packed<'_, P>, sums: &mut Vec<i64>) -> (f64, bool) {
        let mut best = (f64::NEG_INFINITY, false);
        for &missing_left in self.sides() {
            let places = self.places(missing_left);
            if places.is_empty() {
                continue;
            }
            self.sum_up(node, missing_left, places.end - 1, sums);
            let score = greatest_score(&self.keys[..places.end], sums, places.start, node.pack);
            if score > best.0 {
                best = (score, missing_left);
            }
        }
        best
    }

    /// Where the cut is that has this score: the first of equal ones.
    pub(super) fn find<P: Pack>(
        self,
        node: &Packed<'_, P>,
        score: f64,
        missing_left: bool,
        sums: &mut Vec<i64>,
    ) -> Cut {
        let mut places = self.places(missing_left);
        self.sum_up(node, missing_left, places.end - 1, sums);
        let hit = |place: &usize| self.changes_at(*place) && node.pack.score(sums[*place - 1]) >= score;
        let place = places.find(hit).unwrap_or(1);
        let left_heavier = 2 * node.pack.weight(sums[place - 1]) >= node.pack.weight(node.pack.total());
        Cut { score, place, missing_left, left_heavier }
    }

    /// The sum left of each place up to `end`.
    fn sum_up<P: Pack>(self, node: &Packed<'_, P>, missing_left: bool, end: usize, sums: &mut Vec<i64>) {
        let mut sum: i64 = 0;
        if missing_left {
            sum = self.keys[self.known..].iter().fold(0, |sum: i64, key| sum.wrapping_add(node.items[row_of(*key)]));
        }
        sums.clear();
        sums.extend(self.keys[..end].iter().map(|key| {
            sum = sum.wrapping_add(node.items[row_of(*key)]);
            sum
        }));
    }
}

/// The greatest score over the places from `first` on where the rank changes.
fn greatest_score<P: Pack>(keys: &[u32], sums: &[i64], first: usize, pack: P) -> f64 {
    let (keys, sums) = (&keys[first - 1..], &sums[first - 1..]);
    #[cfg(target_arch = "x86_64")]
    if super::pack::has_avx512() {
        // SAFETY: the features were detected.
        return unsafe { greatest_score_avx512(keys, sums, pack) };
    }
    greatest_of(keys, sums, pack)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn greatest_score_avx512<P: Pack>(keys: &[u32], sums: &[i64], pack: P) -> f64 {
    greatest_of(keys, sums, pack)
}

/// Scores every place, so that no branch has to be foretold, in loops that a compiler can make vectors of.
#[inline(always)]
fn greatest_of<P: Pack>(keys: &[u32], sums: &[i64], pack: P) -> f64 {
    let mut greatest = [f64::NEG_INFINITY; LANES];
    let mut scores = [f64::NEG_INFINITY; CHUNK];
    for (keys, sums) in keys.windows(CHUNK + 1).step_by(CHUNK).zip(sums.chunks_exact(CHUNK)) {
        score_all(keys, sums, pack, &mut scores);
        raise(&mut greatest, &scores);
    }
    let rest = sums.len() % CHUNK;
    if rest > 0 {
        let done = sums.len() - rest;
        scores = [f64::NEG_INFINITY; CHUNK];
        score_all(&keys[done..], &sums[done..], pack, &mut scores[..rest]);
        raise(&mut greatest, &scores);
    }
    greatest.into_iter().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Places that are scored together, and compared together.
const CHUNK: usize = 64;
const LANES: usize = 8;

#[inline(always)]
fn score_all<P: Pack>(keys: &[u32], sums: &[i64], pack: P, scores: &mut [f64]) {
    let len = scores.len();
    let (lowers, uppers, sums) = (&keys[..len], &keys[1..][..len], &sums[..len]);
    for index in 0..len {
        let score = pack.score(sums[index]);
        scores[index] = if (lowers[index] ^ uppers[index]) >> 16 == 0 { f64::NEG_INFINITY } else { score };
    }
}

#[inline(always)]
fn raise(greatest: &mut [f64; LANES], scores: &[f64; CHUNK]) {
    for scores in scores.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            greatest[lane] = if scores[lane] > greatest[lane] { scores[lane] } else { greatest[lane] };
        }
    }
}
