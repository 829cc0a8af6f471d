//! The best cuts of a small node by sixteen features at a time: one feature a lane, sorted by a network.
//!
//! A key is `rank << 4 | slot`, so that sorting sixteen-bit numbers sorts the node's rows; the slot leads to the row's
//! word. What a lane finds is what [`Keys`](super::scan::Keys) finds for the feature, to the bit.

use super::pack::Pack;
use super::scan::MISSING_RANK;

/// The most rows of a small node.
pub(super) const SMALL: usize = 16;
/// Features that are searched together.
pub(super) const LANES: usize = 16;
/// Sixteen features' keys of one row.
type Row = [u16; LANES];

/// A small node: its rows' ranks and words.
#[derive(Debug)]
pub(super) struct Small {
    keys: [Row; SMALL],
    words: [i64; SMALL],
    len: usize,
}

/// What was found in each lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes {
    pub(super) scores: [f64; LANES],
    /// How many keys go left, the missing ones not counted.
    pub(super) places: [u8; LANES],
    pub(super) missing_left: [bool; LANES],
}

/// What a cut does to the rows of a small node, named by their slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    /// A bit for each row that goes left.
    pub(super) left: u16,
    /// The rows next to the cut; none above it if only missing values are there.
    pub(super) lower: usize,
    pub(super) upper: Option<usize>,
    /// Where missing values go, those of the heavier side if there are none.
    pub(super) missing_left: bool,
}

impl Default for Small {
    fn default() -> Self {
        Self { keys: [[u16::MAX; LANES]; SMALL], words: [0; SMALL], len: 0 }
    }
}

impl Small {
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a row: its word and its sixteen ranks.
    pub(super) fn push(&mut self, word: i64, ranks: &[u16; LANES]) {
        let slot = self.len;
        self.words[slot] = word;
        for (key, rank) in self.keys[slot].iter_mut().zip(ranks) {
            *key = rank << 4 | slot as u16;
        }
        self.len += 1;
    }

    /// Whether a lane's ranks differ. The lanes are sorted.
    pub(super) fn varies(&self, lane: usize) -> bool {
        self.keys[0][lane] >> 4 != self.keys[self.len - 1][lane] >> 4
    }

    /// The sides of a cut that [`Small::search`] found.
    pub(super) fn sides<P: Pack>(&self, pack: P, lane: usize, place: usize, missing_left: bool) -> Sides {
        let keys = || self.keys[..self.len].iter().map(|row| (row[lane] >> 4, usize::from(row[lane] & 15)));
        let mut left = 0_u16;
        let mut weight = 0;
        let mut any_missing = false;
        for (index, (rank, slot)) in keys().enumerate() {
            any_missing |= rank == MISSING_RANK;
            if index < place || (rank == MISSING_RANK && missing_left) {
                left |= 1 << slot;
                weight += pack.weight(self.words[slot]);
            }
        }
        let upper = keys().nth(place).filter(|(rank, _)| *rank != MISSING_RANK).map(|(_, slot)| slot);
        let lower = usize::from(self.keys[place - 1][lane] & 15);
        let left_heavier = 2 * weight >= pack.weight(pack.total());
        Sides { left, lower, upper, missing_left: if any_missing { missing_left } else { left_heavier } }
    }

    /// Sorts every lane and finds its best cut; a lane without a cut scores minus infinity.
    pub(super) fn search<P: Pack>(&mut self, pack: P, min_leaf: usize) -> Lanes {
        #[cfg(target_arch = "x86_64")]
        if super::pack::has_avx512() {
            // SAFETY: the features were detected.
            return unsafe { search_avx512(self, pack, min_leaf) };
        }
        search::<P, Portable>(self, pack, min_leaf)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn search_avx512<P: Pack>(node: &mut Small, pack: P, min_leaf: usize) -> Lanes {
    search::<P, Permute>(node, pack, min_leaf)
}

/// Sixteen words by their slots.
trait Lookup {
    fn words(table: &[i64; SMALL], keys: &Row) -> [i64; LANES];
}

struct Portable;

impl Lookup for Portable {
    #[inline(always)]
    fn words(table: &[i64; SMALL], keys: &Row) -> [i64; LANES] {
        keys.map(|key| table[usize::from(key & 15)])
    }
}

#[cfg(target_arch = "x86_64")]
struct Permute;

#[cfg(target_arch = "x86_64")]
impl Lookup for Permute {
    #[inline(always)]
    fn words(table: &[i64; SMALL], keys: &Row) -> [i64; LANES] {
        use std::arch::x86_64::{
            _mm_loadu_si128, _mm512_cvtepu16_epi64, _mm512_loadu_si512, _mm512_permutex2var_epi64, _mm512_storeu_si512,
        };
        let mut words = [0_i64; LANES];
        // SAFETY: only called by `search_avx512`; sixteen words and sixteen keys are two and one vectors long.
        unsafe {
            let (low, high) =
                (_mm512_loadu_si512(table.as_ptr().cast()), _mm512_loadu_si512(table.as_ptr().add(8).cast()));
            for half in 0..2 {
                let slots = _mm512_cvtepu16_epi64(_mm_loadu_si128(keys.as_ptr().add(8 * half).cast()));
                let found = _mm512_permutex2var_epi64(low, slots, high);
                _mm512_storeu_si512(words.as_mut_ptr().add(8 * half).cast(), found);
            }
        }
        words
    }
}

#[inline(always)]
fn search<P: Pack, L: Lookup>(node: &mut Small, pack: P, min_leaf: usize) -> Lanes {
    let len = node.len;
    sort(&mut node.keys, len);
    let keys = &node.keys;
    let mut lanes = Lanes { scores: [f64::NEG_INFINITY; LANES], places: [0; LANES], missing_left: [false; LANES] };
    let mut sums = [0_i64; LANES];
    for place in 1..len {
        let (lower, upper) = (&keys[place - 1], &keys[place]);
        let words = L::words(&node.words, lower);
        for lane in 0..LANES {
            sums[lane] = sums[lane].wrapping_add(words[lane]);
        }
        if place < min_leaf || len - place < min_leaf {
            continue;
        }
        for lane in 0..LANES {
            let score = pack.score(sums[lane]);
            let better = lower[lane] >> 4 != upper[lane] >> 4 && score > lanes.scores[lane];
            lanes.scores[lane] = if better { score } else { lanes.scores[lane] };
            lanes.places[lane] = if better { place as u8 } else { lanes.places[lane] };
        }
    }
    if keys[len - 1].iter().any(|key| key >> 4 == MISSING_RANK) {
        missing_on_the_left::<P, L>(node, pack, min_leaf, &mut lanes);
    }
    lanes
}

/// The same with the missing values, which stand last, on the left.
#[inline(always)]
fn missing_on_the_left<P: Pack, L: Lookup>(node: &Small, pack: P, min_leaf: usize, lanes: &mut Lanes) {
    let (keys, len) = (&node.keys, node.len);
    let (mut sums, mut rows) = ([0_i64; LANES], [0_usize; LANES]);
    for row in &keys[..len] {
        let words = L::words(&node.words, row);
        for lane in 0..LANES {
            let missing = row[lane] >> 4 == MISSING_RANK;
            sums[lane] += if missing { words[lane] } else { 0 };
            rows[lane] += usize::from(missing);
        }
    }
    for place in 1..len {
        let (lower, upper) = (&keys[place - 1], &keys[place]);
        let words = L::words(&node.words, lower);
        for lane in 0..LANES {
            sums[lane] = sums[lane].wrapping_add(words[lane]);
            let left = rows[lane] + place;
            let (rank, next) = (lower[lane] >> 4, upper[lane] >> 4);
            if rows[lane] == 0 || rank == next || next == MISSING_RANK || left < min_leaf || len - left < min_leaf {
                continue;
            }
            let score = pack.score(sums[lane]);
            if score > lanes.scores[lane] {
                lanes.scores[lane] = score;
                lanes.places[lane] = place as u8;
                lanes.missing_left[lane] = true;
            }
        }
    }
}

/// Pairs to compare, in order: the shortest networks known for 4, 8 and 16 (Knuth, "The Art of Computer Programming"
/// vol. 3, 5.3.4; Green, 1969).
const OF_4: [(usize, usize); 5] = [(0, 2), (1, 3), (0, 1), (2, 3), (1, 2)];
#[rustfmt::skip]
const OF_8: [(usize, usize); 19] = [
    (0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7), (0, 1), (2, 3),
    (4, 5), (6, 7), (2, 4), (3, 5), (1, 4), (3, 6), (1, 2), (3, 4), (5, 6),
];
#[rustfmt::skip]
const OF_16: [(usize, usize); 60] = [
    (0, 13), (1, 12), (2, 15), (3, 14), (4, 8), (5, 6), (7, 11), (9, 10), (0, 5), (1, 7),
    (2, 9), (3, 4), (6, 13), (8, 14), (10, 15), (11, 12), (0, 1), (2, 3), (4, 5), (6, 8),
    (7, 9), (10, 11), (12, 13), (14, 15), (0, 2), (1, 3), (4, 10), (5, 11), (6, 7), (8, 9),
    (12, 14), (13, 15), (1, 2), (3, 12), (4, 6), (5, 7), (8, 10), (9, 11), (13, 14), (1, 4),
    (2, 6), (5, 8), (7, 10), (9, 13), (11, 14), (2, 4), (3, 6), (9, 12), (11, 13), (3, 5),
    (6, 8), (7, 9), (10, 12), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (6, 7), (8, 9),
];

/// Sorts the first `len` rows lane by lane.
#[inline(always)]
fn sort(keys: &mut [Row; SMALL], len: usize) {
    if len == 2 {
        order(keys, 0, 1);
        return;
    }
    match len {
        ..=4 => in_order(keys, len, 4, &OF_4),
        5..=8 => in_order(keys, len, 8, &OF_8),
        _ => in_order(keys, len, 16, &OF_16),
    }
}

#[inline(always)]
fn in_order<const N: usize>(keys: &mut [Row; SMALL], len: usize, width: usize, network: &[(usize, usize); N]) {
    keys[len..width].fill([u16::MAX; LANES]);
    for &(a, b) in network {
        order(keys, a, b);
    }
}

#[inline(always)]
fn order(keys: &mut [Row; SMALL], a: usize, b: usize) {
    let (first, second) = (keys[a], keys[b]);
    for lane in 0..LANES {
        keys[a][lane] = first[lane].min(second[lane]);
        keys[b][lane] = first[lane].max(second[lane]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pack::{Gini, Squares};
    use super::super::scan::Keys;
    use super::super::tally::Packed;
    use super::*;

    fn small(ranks: &[Row], words: &[i64]) -> Small {
        let mut node = Small::default();
        ranks.iter().zip(words).for_each(|(ranks, word)| node.push(*word, ranks));
        node
    }

    /// What a lane finds, by the search of larger nodes.
    fn by_keys<P: Pack>(
        lane: usize,
        ranks: &[Row],
        words: &[i64],
        pack: P,
        min_leaf: usize,
    ) -> Option<(f64, usize, bool)> {
        let mut keys: Vec<u32> = (0..).zip(ranks).map(|(row, ranks)| u32::from(ranks[lane]) << 16 | row).collect();
        keys.sort_unstable();
        let keys = Keys::new(&keys, min_leaf);
        let node = Packed { items: words, pack };
        let mut sums = Vec::new();
        let (score, missing_left) = keys.best_score(&node, &mut sums);
        let found = keys.varies() && score > f64::NEG_INFINITY;
        found.then(|| (score, keys.find(&node, score, missing_left, &mut sums).place, missing_left))
    }

    fn check<P: Pack>(ranks: &[Row], words: &[i64], pack: P, min_leaf: usize) -> Result<(), TestCaseError> {
        let plain = search::<P, Portable>(&mut small(ranks, words), pack, min_leaf);
        let chosen = small(ranks, words).search(pack, min_leaf);
        for lane in 0..LANES {
            let found = (plain.scores[lane], usize::from(plain.places[lane]), plain.missing_left[lane]);
            let vectors = (chosen.scores[lane], usize::from(chosen.places[lane]), chosen.missing_left[lane]);
            prop_assert_eq!(found, vectors, "with and without vectors");
            match by_keys(lane, ranks, words, pack, min_leaf) {
                Some(expected) => prop_assert_eq!(found, expected),
                None => prop_assert!(found.0 == f64::NEG_INFINITY),
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn lanes_find_what_larger_nodes_would(
            ranks in prop::collection::vec(prop::array::uniform16(prop_oneof![9 => 0_u16..9, 1 => Just(MISSING_RANK)]), 2..=16),
            rows in prop::collection::vec((-1000_i64..1000, 1_i64..5, 0_u32..4), 16),
            min_leaf in 1_usize..4,
        ) {
            let rows = &rows[..ranks.len()];
            let weight: i64 = rows.iter().map(|row| row.1).sum();
            let shift = 20;
            let words: Vec<i64> = rows.iter().map(|(value, weight, _)| ((value * weight) << shift) + weight).collect();
            let value = rows.iter().map(|row| row.0 * row.1).sum();
            check(&ranks, &words, Squares::new(weight, value, shift), min_leaf)?;
            let words: Vec<i64> = rows.iter().map(|(_, weight, class)| Gini::word(*class, *weight as u32)).collect();
            let total = [0, 1, 2, 3].map(|class| rows.iter().filter(|row| row.2 == class).map(|row| row.1 as u64).sum());
            check(&ranks, &words, Gini::new(&total), min_leaf)?;
        }
    }

    #[test]
    fn the_networks_sort_every_order_of_zeros_and_ones() {
        // By the 0-1 principle that proves them for all numbers.
        for (network, width) in [(&OF_4[..], 4), (&OF_8[..], 8), (&OF_16[..], 16)] {
            for bits in 0_u32..1 << width {
                let mut keys: Vec<u32> = (0..width).map(|bit| bits >> bit & 1).collect();
                for &(a, b) in network {
                    if keys[a] > keys[b] {
                        keys.swap(a, b);
                    }
                }
                assert!(keys.is_sorted(), "{bits:b} of {width}");
            }
        }
    }
}
