//! Walks trees: rows in blocks, trees in their order, so that sums are the same for any number of threads.

use rayon::prelude::*;

use super::columns::Cells;
use super::tree::Tree;

/// Rows walked together: few enough for the first cache, enough to use a tree's nodes again.
const BLOCK: usize = 64;

/// Which rows a tree has seen, one bit each.
#[derive(Debug)]
pub(super) struct Bag(Vec<u64>);

impl Bag {
    pub(super) fn of(weights: &[u32]) -> Self {
        let word = |rows: &[u32]| (0..).zip(rows).fold(0, |word, (bit, &weight)| word | u64::from(weight > 0) << bit);
        Self(weights.chunks(64).map(word).collect())
    }

    fn contains(&self, row: usize) -> bool {
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
    means.par_chunks_mut(BLOCK * width).enumerate().for_each(|(block, means)| {
        walk_block(trees, cells, block * BLOCK, width, bags, means);
    });
    means
}

fn walk_block(trees: &[Tree], cells: &[Cells], first: usize, width: usize, bags: Option<&[Bag]>, means: &mut [f64]) {
    let rows = means.len() / width;
    let bits: Vec<u32> =
        (first..first + rows).flat_map(|row| cells.iter().map(move |column| column.bits(row))).collect();
    let mut asked = [0_u32; BLOCK];
    for (number, tree) in trees.iter().enumerate() {
        let bag = bags.map(|bags| &bags[number]);
        for (index, row) in bits.chunks_exact(cells.len()).enumerate() {
            if bag.is_some_and(|bag| bag.contains(first + index)) {
                continue;
            }
            asked[index] += 1;
            let sums = &mut means[index * width..][..width];
            sums.iter_mut().zip(tree.leaf_of(row)).for_each(|(sum, value)| *sum += value);
        }
    }
    for (mean, &count) in means.chunks_exact_mut(width).zip(&asked) {
        mean.iter_mut().for_each(|sum| *sum /= f64::from(count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bag_knows_its_rows() {
        let weights: Vec<u32> = (0..130).map(|row| u32::from(row % 3 == 0)).collect();
        let bag = Bag::of(&weights);
        assert!((0..130).all(|row| bag.contains(row) == (row % 3 == 0)));
    }
}
