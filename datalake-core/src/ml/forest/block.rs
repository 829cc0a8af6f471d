//! A part of a tree that is small enough for ranks of sixteen bits: its rows, sorted once by every feature.
//!
//! Splits are exact here: every cut between neighbouring values is tried. Where most features are tried at a node the
//! sorted rows are kept and parted at each split; otherwise the features tried are sorted anew, by their ranks, or, where
//! nodes try so few that most ranks would never be asked for, by their values.

use super::columns::{Binned, Cells, MISSING_BIN, ordered};
use super::grow::{Open, Plan};
use super::partition::{LEFTS, Lefts, part_keys};
use super::scan::{MISSING_RANK, rank_of, row_of};
use super::small::{LANES, SMALL};

/// The most rows of a block: ranks and one for missing values fit into twelve bits.
pub(super) const MOST_ROWS: usize = 4095;
/// What a block may take, so that it stays in the second cache.
const BYTES: usize = 1 << 20;

/// So many times as many features as a node tries are not ranked for the whole block: measured with 300, of which 17 are
/// tried.
const UNRANKED_FROM: usize = 12;

/// Ranks nothing for whole blocks where a node tries less than all features, to compare.
#[cfg(test)]
pub(super) static BY_NODE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// The features of a forest as blocks lay them out.
#[derive(Debug)]
pub(super) struct Layout {
    /// The numeric features, each in a slot.
    pub(super) numeric: Vec<u32>,
    pub(super) categorical: Vec<u32>,
    /// By feature: its slot; none for categories.
    pub(super) slots: Vec<Option<u32>>,
    /// Ranks of one row: the slots, padded.
    pub(super) stride: usize,
    /// Whether sorted rows are kept.
    pub(super) presorted: bool,
    /// Whether rows are ranked for the whole block, by every feature.
    pub(super) ranked: bool,
    /// The most rows of a block.
    pub(super) rows: usize,
}

impl Layout {
    pub(super) fn of(columns: &[Binned], tried: usize) -> Self {
        let (categorical, numeric): (Vec<u32>, Vec<u32>) =
            (0..columns.len() as u32).partition(|feature| columns[*feature as usize].is_categorical());
        let mut slots = vec![None; columns.len()];
        (0..).zip(&numeric).for_each(|(slot, &feature)| slots[feature as usize] = Some(slot));
        let stride = numeric.len().next_multiple_of(LANES);
        let presorted = 4 * tried >= columns.len();
        let few = tried < columns.len() && UNRANKED_FROM * tried <= columns.len();
        #[cfg(test)]
        let few = few || (tried < columns.len() && BY_NODE.load(std::sync::atomic::Ordering::Relaxed));
        let ranked = !few;
        let bytes = stride * 2 + if presorted { numeric.len() * 4 } else { 0 };
        let rows = (BYTES / bytes.max(1)).clamp(256, MOST_ROWS);
        Self { numeric, categorical, slots, stride, presorted: presorted && ranked, ranked, rows }
    }
}

/// The rows of a block by rank and in sorted order.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The rows of the table; a row's place here is its name within the block.
    pub(super) rows: Vec<u32>,
    /// The block's rows by nodes, rising within each.
    ids: Vec<u16>,
    /// By row and slot: the place of its value among the block's distinct ones, [`MISSING_RANK`] where there is none.
    ranks: Vec<u16>,
    /// By slot, if sorted rows are kept: keys (rank, row) by nodes, sorted within each.
    lists: Vec<u32>,
    stride: usize,
    keys: Vec<u32>,
    spare: Vec<u32>,
    spare_ids: Vec<u16>,
}

impl Block {
    /// Takes up rows of a tree, rising.
    pub(super) fn load(&mut self, rows: &[u32], plan: &Plan) {
        let Plan { layout, columns, cells, .. } = plan;
        let len = rows.len();
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        self.ids.clear();
        self.ids.extend(0..len as u16);
        self.spare.clear();
        self.spare.resize(len, 0);
        self.spare_ids.clear();
        self.spare_ids.resize(len, 0);
        self.stride = layout.stride;
        self.ranks.clear();
        self.lists.clear();
        if plan.random || !layout.ranked {
            // Nothing is searched for in the order of values, or each node does so by itself.
            return;
        }
        self.ranks.resize(len * layout.stride, 0);
        let (mut keys, mut spare) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.spare));
        for (slot, &feature) in layout.numeric.iter().enumerate() {
            let values = (&columns[feature as usize], &cells[feature as usize]);
            self.sort(0..len as u16, values, &mut keys, &mut spare);
            let (ranks, stride) = (&mut self.ranks, self.stride);
            rank(&self.rows, values, &mut keys, |id, rank| ranks[id * stride + slot] = rank);
            if layout.presorted {
                self.lists.extend_from_slice(&keys);
            }
        }
        (self.keys, self.spare) = (keys, spare);
    }

    /// Sorts rows, rising, by their value into `keys`, with the bin in place of the rank.
    fn sort(
        &self,
        ids: impl Iterator<Item = u16>,
        (column, cells): (&Binned, &Cells),
        keys: &mut Vec<u32>,
        spare: &mut Vec<u32>,
    ) {
        keys.clear();
        keys.extend(ids.map(|id| u32::from(column.bins[self.rows[usize::from(id)] as usize]) << 16 | u32::from(id)));
        if keys.len() < RADIX_FROM {
            keys.sort_unstable();
        } else {
            spare.resize(keys.len(), 0);
            sort_by_digits::<8, 256>(keys, spare, 16);
        }
        if column.merged {
            let number = |key: &u32| cells.number(self.rows[row_of(*key)]);
            for run in keys.chunk_by_mut(|a, b| rank_of(*a) == rank_of(*b)) {
                run.sort_unstable_by(|a, b| number(a).total_cmp(&number(b)).then(a.cmp(b)));
            }
        }
    }

    /// The rows of a node, rising.
    pub(super) fn node(&self, open: Open) -> impl Iterator<Item = usize> + Clone + '_ {
        self.ids[open.begin..open.end].iter().map(|id| usize::from(*id))
    }

    /// A row's ranks by slot, padded to whole lanes.
    pub(super) fn ranks_of(&self, row: usize) -> &[u16] {
        &self.ranks[row * self.stride..][..self.stride]
    }

    /// A slot's sorted keys of a node.
    pub(super) fn list(&self, slot: usize, open: Open) -> &[u32] {
        let offset = slot * self.rows.len();
        &self.lists[offset + open.begin..offset + open.end]
    }

    /// Sorts a node by a feature, for blocks that keep no sorted rows.
    pub(super) fn sort_node(
        &self,
        plan: &Plan,
        feature: u32,
        slot: usize,
        open: Open,
        keys: &mut Vec<u32>,
        spare: &mut Vec<u32>,
    ) {
        let ids = self.ids[open.begin..open.end].iter();
        if !plan.layout.ranked {
            let values = (&plan.columns[feature as usize], &plan.cells[feature as usize]);
            self.sort(ids.copied(), values, keys, spare);
            return rank(&self.rows, values, keys, |_, _| ());
        }
        keys.clear();
        keys.extend(ids.map(|id| u32::from(self.ranks[usize::from(*id) * self.stride + slot]) << 16 | u32::from(*id)));
        if keys.len() < RADIX_FROM {
            keys.sort_unstable();
        } else {
            spare.resize(keys.len(), 0);
            sort_by_digits::<6, 64>(keys, spare, 16);
        }
    }

    /// The ranks of a small node's rows by a feature among themselves, for blocks without ranks.
    pub(super) fn ranks_within(&self, open: Open, cells: &Cells) -> [u16; SMALL] {
        const MISSING: u32 = u32::MAX;
        let mut keys = [MISSING; SMALL];
        for (key, row) in keys.iter_mut().zip(self.node(open)) {
            let number = cells.number(self.rows[row]);
            *key = if number.is_nan() { MISSING } else { ordered(number) };
        }
        let below = |key: u32| keys.iter().map(|other| u16::from(*other < key)).sum();
        keys.map(|key| if key == MISSING { MISSING_RANK } else { below(key) })
    }

    /// Brings the rows that go left, whose `side` is one, to the front and gives where the right side begins. The
    /// sorted rows are parted too, if either side will want them.
    pub(super) fn part(&mut self, open: Open, side: &Lefts, wanted: impl Fn(usize) -> bool) -> usize {
        let Open { begin, end, .. } = open;
        let middle = begin + self.part_ids(begin, end, side);
        if wanted(middle - begin) || wanted(end - middle) {
            let len = self.rows.len();
            for list in self.lists.chunks_exact_mut(len.max(1)) {
                part_keys(&mut list[begin..end], side, &mut self.spare);
            }
        }
        middle
    }

    fn part_ids(&mut self, begin: usize, end: usize, side: &Lefts) -> usize {
        let ids = &mut self.ids[begin..end];
        let (mut left, mut right) = (0, 0);
        for index in 0..ids.len() {
            let id = ids[index];
            let own = usize::from(side[usize::from(id) % LEFTS]);
            ids[left] = id;
            self.spare_ids[right] = id;
            left = left.wrapping_add(own);
            right = right.wrapping_add(1 - own);
        }
        ids[left..].copy_from_slice(&self.spare_ids[..right]);
        left
    }
}

/// Puts dense ranks in the place of the bins of sorted keys, and tells each row's.
fn rank(rows: &[u32], (column, cells): (&Binned, &Cells), keys: &mut [u32], mut each: impl FnMut(usize, u16)) {
    let Some(&first) = keys.first() else { return };
    let number = |id: usize| cells.number(rows[id]);
    let (mut rank, mut before) = (0_u16, first);
    for key in keys {
        let (bin, id) = (rank_of(*key), row_of(*key));
        let next = bin != rank_of(before) || (column.merged && number(id) > number(row_of(before)));
        before = *key;
        rank = rank.wrapping_add(u16::from(next));
        let rank = if bin == MISSING_BIN { MISSING_RANK } else { rank };
        *key = u32::from(rank) << 16 | id as u32;
        each(id, rank);
    }
}

/// Fewer keys are sorted by comparing them.
const RADIX_FROM: usize = 128;

/// Sorts keys, whose rows rise, by two digits of so many bits, from the bit `from` on.
fn sort_by_digits<const BITS: u32, const BUCKETS: usize>(keys: &mut [u32], spare: &mut [u32], from: u32) {
    let digit = |key: u32, place: u32| key.wrapping_shr(from + place * BITS) as usize % BUCKETS;
    let mut begins = [[0_u32; BUCKETS]; 2];
    for &key in keys.iter() {
        for (place, counts) in (0..).zip(&mut begins) {
            let count = &mut counts[digit(key, place)];
            *count = count.wrapping_add(1);
        }
    }
    for counts in &mut begins {
        let mut begin = 0;
        for count in counts.iter_mut() {
            begin += std::mem::replace(count, begin);
        }
    }
    let mut move_by = |from: &[u32], to: &mut [u32], place: u32| {
        for &key in from {
            let next = &mut begins[place as usize][digit(key, place)];
            to[*next as usize] = key;
            *next = next.wrapping_add(1);
        }
    };
    move_by(keys, spare, 0);
    move_by(spare, keys, 1);
}
