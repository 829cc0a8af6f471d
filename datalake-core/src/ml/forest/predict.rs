//! Walks trees: rows in blocks, trees in their order, so that sums are the same for any number of threads.

use rayon::prelude::*;

use super::columns::Cells;
use super::one_row::leaves_of_row;
use super::row_bits::RowBits;
use super::tree::Tree;
use super::walk::{Slots, Tile};

/// The most rows that are walked through one tree after the other: many, since a tree has to come to the second cache
/// for each such block, while the rows pass by in their order.
const MOST_ROWS: usize = 1 << 16;
/// The most numbers of such a block (16 MiB), so that tables of many columns are not copied at once.
const MOST_NUMBERS: usize = 1 << 22;
/// Fewer rows are walked through many trees at a time, instead of many rows through a tree.
const FEW: usize = 6;
/// Fewer steps (rows times trees) are not worth other threads.
const SMALL: usize = 1 << 12;

/// Whether one thread predicts so many rows before another would have begun.
pub(super) fn is_quick(rows: usize, trees: usize) -> bool {
    rows * trees <= SMALL
}

/// Which rows a tree has seen, one bit each.
#[derive(Debug)]
pub(super) struct Bag(Vec<u64>);

impl Bag {
    pub(super) fn of(weights: &[u32]) -> Self {
        let word = |rows: &[u32]| (0..).zip(rows).fold(0, |word, (bit, &weight)| word | u64::from(weight > 0) << bit);
        Self(weights.chunks(64).map(word).collect())
    }

    pub(super) fn contains(&self, row: usize) -> bool {
        self.0[row / 64] >> (row % 64) & 1 == 1
    }
}

/// The mean over the trees of what their leaves say, `width` numbers a row. With bags, only trees that have not
/// seen a row are asked, and a row that all have seen gets NaN.
pub(super) fn mean_of_trees(
    trees: &[Tree],
    cells: &[Cells],
    rows: usize,
    width: usize,
    bags: Option<&[Bag]>,
) -> Vec<f64> {
    let mut means = vec![0.0; rows * width];
    if rows < FEW && bags.is_none() {
        walk_few(trees, &RowBits::of(cells, 0, rows), width, &mut means);
        return means;
    }
    let most = (MOST_NUMBERS / cells.len().max(1)).clamp(64, MOST_ROWS);
    if is_quick(rows, trees.len()) {
        for (number, means) in means.chunks_mut(most * width).enumerate() {
            Block::new(cells, number * most, width, means).ask(trees, bags);
        }
        return means;
    }
    let block = rows.div_ceil(rayon::current_num_threads()).clamp(64, most);
    means.par_chunks_mut(block * width).enumerate().for_each(|(number, means)| {
        Block::new(cells, number * block, width, means).ask(trees, bags);
    });
    means
}

/// The same for so few rows that they would wait for each tree in turn.
fn walk_few(trees: &[Tree], rows: &RowBits, width: usize, means: &mut [f64]) {
    let mut leaves = Vec::new();
    for (row, mean) in rows.iter().zip(means.chunks_exact_mut(width)) {
        leaves_of_row(trees, row, &mut leaves);
        // One pass for what leaves name, one for what that says: within a pass, no tree waits for the memory of another.
        let said = trees.iter().zip(&mut leaves);
        said.for_each(|(tree, leaf)| *leaf = tree.leaves().row_of(*leaf) as u32);
        for (tree, row) in trees.iter().zip(&leaves) {
            tree.leaves().add_row(*row as usize, mean);
        }
        divide(mean, trees.len() as u32);
    }
}

/// Makes means of sums over so many trees. What a machine makes of zero by zero has a sign of its own, so it is not asked.
pub(super) fn divide(sums: &mut [f64], count: u32) {
    match count {
        0 => sums.fill(f64::NAN),
        _ => sums.iter_mut().for_each(|sum| *sum /= f64::from(count)),
    }
}

/// Rows that pass through one tree after the other.
#[derive(Debug)]
struct Block<'a> {
    first: usize,
    bits: RowBits,
    width: usize,
    sums: &'a mut [f64],
    /// How many trees each row has asked, where these are not all.
    asked: Vec<u32>,
    tile: Tile,
    /// The rows that ask a tree, where these are not all, and their bits.
    wanted: Vec<usize>,
    wanted_bits: RowBits,
}

impl<'a> Block<'a> {
    /// The rows of a table from `first` on; as many as there are sums.
    fn new(cells: &[Cells], first: usize, width: usize, sums: &'a mut [f64]) -> Self {
        let bits = RowBits::of(cells, first, sums.len() / width);
        let wanted_bits = RowBits::new(cells.len());
        Self { first, bits, width, sums, asked: Vec::new(), tile: Tile::default(), wanted: Vec::new(), wanted_bits }
    }

    /// Adds what a tree says; with a bag, only to rows that are not in it.
    fn add(&mut self, tree: &Tree, bag: Option<&Bag>, slots: &mut Slots) {
        let (width, sums) = (self.width, &mut *self.sums);
        let Some(bag) = bag else {
            // Each thread lays trees out for itself: what another one wrote is far from this one's caches.
            let laid = slots.of(tree, self.bits.features(), self.bits.len());
            return laid.each_tile(&self.bits, &mut self.tile, |first, leaves| {
                tree.add_leaves(sums[first * width..].chunks_exact_mut(width), leaves);
            });
        };
        self.asked.resize(self.bits.len(), 0);
        self.wanted.clear();
        self.wanted_bits.select(&self.bits, |row| !bag.contains(self.first + row), |row| self.wanted.push(row));
        self.wanted.iter().for_each(|row| self.asked[*row] += 1);
        let laid = slots.of(tree, self.bits.features(), self.wanted.len());
        laid.each_tile(&self.wanted_bits, &mut self.tile, |first, leaves| {
            let rows = &self.wanted[first..][..leaves.len()];
            let (mut chunks, mut next) = (sums.chunks_exact_mut(width), 0);
            // The rows are ascending.
            let wanted = rows.iter().filter_map(|&row| {
                let chunk = chunks.nth(row - next);
                next = row + 1;
                chunk
            });
            tree.add_leaves(wanted, leaves);
        });
    }

    /// Makes means of what the trees say.
    fn ask(mut self, trees: &[Tree], bags: Option<&[Bag]>) {
        let mut slots = Slots::default();
        for (number, tree) in trees.iter().enumerate() {
            tree.leaves().prepare(self.bits.len());
            self.add(tree, bags.map(|bags| &bags[number]), &mut slots);
        }
        for (row, sums) in self.sums.chunks_exact_mut(self.width).enumerate() {
            divide(sums, self.asked.get(row).copied().unwrap_or(trees.len() as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_nothing_has_the_same_bits_everywhere() {
        let mut sums = [0.0; 2];
        divide(&mut sums, 0);
        assert_eq!(sums.map(f64::to_bits), [0x7FF8_0000_0000_0000; 2]);
    }

    #[test]
    fn a_bag_knows_its_rows() {
        let weights: Vec<u32> = (0..130).map(|row| u32::from(row % 3 == 0)).collect();
        let bag = Bag::of(&weights);
        assert!((0..130).all(|row| bag.contains(row) == (row % 3 == 0)));
    }
}
