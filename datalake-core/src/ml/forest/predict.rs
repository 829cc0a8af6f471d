//! Walks trees: rows in blocks, trees in their order, so that sums are the same for any number of threads.

use rayon::prelude::*;

use super::columns::Cells;
use super::one_row::leaves_of_row;
use super::row_bits::RowBits;
use super::tree::Tree;
use super::walk::Walker;

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
    let most = (MOST_NUMBERS / cells.len().max(1)).clamp(64, MOST_ROWS);
    if is_quick(rows, trees.len()) {
        for (number, means) in means.chunks_mut(most * width).enumerate() {
            walk_block(trees, cells, number * most, width, bags, means);
        }
        return means;
    }
    let block = rows.div_ceil(rayon::current_num_threads()).clamp(64, most);
    means.par_chunks_mut(block * width).enumerate().for_each(|(number, means)| {
        walk_block(trees, cells, number * block, width, bags, means);
    });
    means
}

fn walk_block(trees: &[Tree], cells: &[Cells], first: usize, width: usize, bags: Option<&[Bag]>, means: &mut [f64]) {
    let rows = means.len() / width;
    let bits = RowBits::of(cells, first, rows);
    if rows < FEW && bags.is_none() {
        return walk_few(trees, &bits, width, means);
    }
    let mut walk = Walk::new(cells.len());
    let mut asked = vec![0_u32; rows];
    for (number, tree) in trees.iter().enumerate() {
        match bags {
            None => walk.all(tree, &bits, width, means),
            Some(bags) => {
                walk.some(tree, &bits, width, means, |row| !bags[number].contains(first + row));
                walk.rows.iter().for_each(|row| asked[*row] += 1);
            }
        }
    }
    for (mean, &count) in means.chunks_exact_mut(width).zip(&asked) {
        divide(mean, if bags.is_some() { count } else { trees.len() as u32 });
    }
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

/// Buffers for walking the rows of a block through one tree after the other.
#[derive(Debug)]
struct Walk {
    walker: Walker,
    leaves: Vec<u32>,
    /// The rows walked, where these are not all, and their bits.
    rows: Vec<usize>,
    bits: RowBits,
}

impl Walk {
    fn new(features: usize) -> Self {
        Self { walker: Walker::default(), leaves: Vec::new(), rows: Vec::new(), bits: RowBits::new(features) }
    }

    /// Adds what the leaves of all rows say.
    fn all(&mut self, tree: &Tree, bits: &RowBits, width: usize, sums: &mut [f64]) {
        self.walker.leaves(tree, bits, &mut self.leaves);
        tree.add_leaves(sums.chunks_exact_mut(width), &self.leaves);
    }

    /// The same for the rows that are wanted.
    fn some(&mut self, tree: &Tree, bits: &RowBits, width: usize, sums: &mut [f64], wanted: impl Fn(usize) -> bool) {
        self.rows.clear();
        self.bits.select(bits, wanted, |row| self.rows.push(row));
        self.walker.leaves(tree, &self.bits, &mut self.leaves);
        let (mut chunks, mut next) = (sums.chunks_exact_mut(width), 0);
        // The rows are ascending.
        let wanted = self.rows.iter().filter_map(|&row| {
            let chunk = chunks.nth(row - next);
            next = row + 1;
            chunk
        });
        tree.add_leaves(wanted, &self.leaves);
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
