//! Walks many rows through a tree of numeric splits: children lie side by side, so that no step needs a branch.
//!
//! Rows that have not arrived are taken through some steps together, so that one need not wait for the memory of the
//! other. A leaf leads to itself; only after some steps are the rows that arrived put aside. Steps by gathers of 512 bits
//! were measured to take two to three times as long.

use super::node::{MISSING_LEFT, Node, Place};
use super::row_bits::RowBits;
use super::tree::Tree;

/// Rows that take a step together.
const TOGETHER: usize = 12;
/// Steps until it is asked again which rows have arrived.
const STEPS: usize = 4;
/// Rows that are walked until all have arrived before the next begin, so that they stay in a near cache.
const TILE: usize = 1024;
/// A tree is laid out anew for at least one row for so many of its splits; with fewer rows it is walked as it is kept.
const WORTH: usize = 8;

/// A split whose children lie side by side, or a leaf, which leads to itself.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    threshold: f32,
    /// From the lowest bit on: the feature, whether missing values go left, the place of the left child.
    link: u32,
}

/// The memory of a tree that is laid out; one tree after the other may use it.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// The root, then the children of each split, in the order of the splits.
    all: Vec<Slot>,
    /// The number of the leaf in each place.
    leaves: Vec<u32>,
}

/// A tree as rows are walked through it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Laid<'a> {
    tree: &'a Tree,
    features: usize,
    /// The bits of a feature in a link; none where the tree is walked as it is kept.
    bits: Option<u32>,
    slots: &'a Slots,
}

/// Rows that are walked together.
#[derive(Debug, Default)]
pub(super) struct Tile {
    /// Where each row is, and those that have not arrived.
    at: Vec<u32>,
    open: Vec<u16>,
    /// The leaves that they end in.
    found: Vec<u32>,
}

impl Slots {
    /// The tree for so many rows of so many features.
    ///
    /// # Panics
    /// For a tree with a split by another feature.
    pub(super) fn of<'a>(&'a mut self, tree: &'a Tree, features: usize, rows: usize) -> Laid<'a> {
        let suits = tree.sets().is_empty() && rows >= tree.splits().len() / WORTH && !tree.splits().is_empty();
        let bits = match (features, tree.splits().len()) {
            (..=0x100, ..=0x3F_FFFF) if suits => Some(8),
            (..=0x1000, ..=0x3_FFFF) if suits => Some(12),
            _ => None,
        };
        match bits {
            Some(8) => self.lay_out::<8>(tree.splits(), features),
            Some(_) => self.lay_out::<12>(tree.splits(), features),
            None => {}
        }
        Laid { tree, features, bits, slots: self }
    }

    /// Twice the splits must fit what a link has left beside so many bits.
    fn lay_out<const BITS: u32>(&mut self, splits: &[Node], features: usize) {
        let greatest = splits.iter().map(|node| node.feature()).max();
        assert!(greatest.is_some_and(|feature| feature < features), "rows lack feature {greatest:?}");
        let places = 2 * splits.len() + 1;
        self.all.clear();
        self.all.resize(places, Slot::default());
        self.leaves.clear();
        self.leaves.resize(places, 0);
        self.all[0] = slot::<BITS>(Place(0), 0, splits);
        let pairs = self.all[1..].as_chunks_mut::<2>().0.iter_mut().zip(self.leaves[1..].as_chunks_mut::<2>().0);
        for ((number, node), (slots, leaves)) in (0..).zip(splits).zip(pairs) {
            let children = node.children(number);
            let first = 2 * number + 1;
            *slots = [slot::<BITS>(children[0], first, splits), slot::<BITS>(children[1], first + 1, splits)];
            *leaves = children.map(|child| child.leaf() as u32);
        }
    }
}

impl Laid<'_> {
    /// The leaves that rows end in.
    pub(super) fn leaves(self, rows: &RowBits, tile: &mut Tile, found: &mut Vec<u32>) {
        found.clear();
        self.each_tile(rows, tile, |_, leaves| found.extend_from_slice(leaves));
    }

    /// Tells the leaves that rows end in, some rows at a time, and which of the rows is the first of these.
    ///
    /// # Panics
    /// For rows of other features than the tree was laid out for.
    pub(super) fn each_tile(self, rows: &RowBits, tile: &mut Tile, mut each: impl FnMut(usize, &[u32])) {
        assert_eq!(rows.features(), self.features, "the tree was laid out for other rows");
        for (first, words) in (0..).step_by(TILE).zip(rows.words().chunks(TILE * self.features)) {
            match (self.bits, rows.may_miss()) {
                (Some(8), false) => tile.walk::<8, false>(self, words),
                (Some(8), true) => tile.walk::<8, true>(self, words),
                (Some(_), false) => tile.walk::<12, false>(self, words),
                (Some(_), true) => tile.walk::<12, true>(self, words),
                (None, _) => tile.walk_plain(self, words),
            }
            each(first, &tile.found);
        }
    }
}

impl Tile {
    fn walk_plain(&mut self, laid: Laid<'_>, words: &[u32]) {
        self.found.clear();
        self.found.resize(words.len() / laid.features, 0);
        laid.tree.walk(words, laid.features, &mut self.found);
    }

    fn walk<const BITS: u32, const MISSING: bool>(&mut self, laid: Laid<'_>, words: &[u32]) {
        let (rows, features) = (words.len() / laid.features, laid.features);
        self.at.clear();
        self.at.resize(rows, 0);
        self.open.clear();
        self.open.extend(0..rows as u16);
        // Somewhat deeper than the mean row of a full-grown tree ends, and not much deeper than a small tree can be.
        let levels = laid.tree.leaf_count().ilog2() as usize;
        let first = levels * 5 / 4 + levels.min(4);
        self.advance::<BITS, MISSING, true>(laid, words, first);
        while self.open.len() >= TOGETHER {
            self.advance::<BITS, MISSING, false>(laid, words, STEPS);
        }
        for &row in &self.open {
            let row = row as usize;
            let bits = &words[row * features..][..features];
            let mut at = self.at[row];
            loop {
                // SAFETY: `at` is the root or where a step led; `lay_out` has looked at the features of all splits, and
                // the variant is that of the rows.
                let next = unsafe { step::<BITS, MISSING>(&laid.slots.all, bits, at) };
                if next == at {
                    break;
                }
                at = next;
            }
            self.at[row] = at;
        }
        self.found.clear();
        self.found.extend(self.at.iter().map(|&at| laid.slots.leaves[at as usize]));
    }

    /// Takes the open rows some steps further, but for the last few, and leaves those open that still moved. The `FIRST`
    /// time, that is all rows, at the root.
    fn advance<const BITS: u32, const MISSING: bool, const FIRST: bool>(
        &mut self,
        laid: Laid<'_>,
        words: &[u32],
        steps: usize,
    ) {
        let (slots, features) = (&*laid.slots.all, laid.features);
        let mut kept = 0;
        let whole = self.open.len() / TOGETHER * TOGETHER;
        for begin in (0..whole).step_by(TOGETHER) {
            let mut rows = [0; TOGETHER];
            if FIRST {
                rows = std::array::from_fn(|lane| (begin + lane) as u16);
            } else {
                rows.copy_from_slice(&self.open[begin..][..TOGETHER]);
            }
            let own = rows.map(|row| &words[row as usize * features..][..features]);
            let mut at = if FIRST { [0; TOGETHER] } else { rows.map(|row| self.at[row as usize]) };
            // SAFETY: each is at the root or where a step led; `lay_out` has looked at the features of all splits, and the
            // variant is that of the rows.
            let before = unsafe {
                (1..steps).for_each(|_| step_all::<BITS, MISSING>(slots, own, &mut at));
                let before = at;
                step_all::<BITS, MISSING>(slots, own, &mut at);
                before
            };
            if FIRST {
                self.at[begin..][..TOGETHER].copy_from_slice(&at);
            }
            for ((row, at), before) in rows.into_iter().zip(at).zip(before) {
                if !FIRST {
                    self.at[row as usize] = at;
                }
                self.open[kept] = row;
                kept += usize::from(at != before);
            }
        }
        self.open.copy_within(whole.., kept);
        self.open.truncate(kept + self.open.len() - whole);
    }
}

/// What lies at `at`: a split, or a leaf, where a row stays whatever it has. Which of both cannot be foretold, so there
/// is no branch.
fn slot<const BITS: u32>(child: Place, at: u32, splits: &[Node]) -> Slot {
    let is_leaf = 0_u32.wrapping_sub(u32::from(child.is_leaf()));
    let either = |leaf: u32, split: u32| leaf & is_leaf | split & !is_leaf;
    let number = either(0, child.0);
    let node = splits[number as usize];
    let split = (2 * number + 1) << 1 | u32::from(node.is(MISSING_LEFT));
    Slot {
        threshold: f32::from_bits(either(f32::INFINITY.to_bits(), node.payload)),
        link: either(at << 1 | 1, split) << BITS | either(0, node.feature() as u32),
    }
}

/// Takes rows a step further. It must be a part of the loop that calls it: with a call, predicting took a third longer.
///
/// # Safety
/// As [`step`], of each row.
#[inline(always)]
unsafe fn step_all<const BITS: u32, const MISSING: bool>(
    slots: &[Slot],
    rows: [&[u32]; TOGETHER],
    at: &mut [u32; TOGETHER],
) {
    for (at, row) in at.iter_mut().zip(rows) {
        // SAFETY: the caller's.
        *at = unsafe { step::<BITS, MISSING>(slots, row, *at) };
    }
}

/// Where a row goes from a place; without `MISSING`, it misses no number.
///
/// # Safety
/// `slots` are what [`Slots::lay_out`] made for the same `BITS` and at most as many features as the row has; `at` is 0 or
/// what a step gave. Without `MISSING`, no word is that of a NaN: it would lead from a leaf to what lies behind it.
#[inline(always)]
unsafe fn step<const BITS: u32, const MISSING: bool>(slots: &[Slot], row: &[u32], at: u32) -> u32 {
    // SAFETY: links are places of slots; behind the left child lies the right one, and a leaf keeps what is a number.
    let slot = unsafe { *slots.get_unchecked(at as usize) };
    let feature = slot.link & ((1 << BITS) - 1);
    // SAFETY: `lay_out` has seen that no split is by a feature beyond those of a row.
    let value = f32::from_bits(unsafe { *row.get_unchecked(feature as usize) });
    #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "what is missing goes right")]
    let mut right = u32::from(!(value <= slot.threshold));
    if MISSING {
        right &= u32::from(!value.is_nan()) | !(slot.link >> BITS);
    }
    (slot.link >> (BITS + 1)) + right
}
