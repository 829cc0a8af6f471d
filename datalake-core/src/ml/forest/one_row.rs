//! Walks one row through many trees at a time: each step waits for memory, and steps of different trees need not wait
//! for each other.

use super::row_bits::is_missing;
use super::tree::{Steps, Tree};

/// Trees that are under way together.
const TOGETHER: usize = 64;

/// A tree under way: the split that the row has come to, and which of the trees it is.
type Lane = (u32, u32);

/// The leaf of each tree that a row, one feature's bits after the other, ends in.
pub(super) fn leaves_of_row(trees: &[Tree], row: &[u32], found: &mut Vec<u32>) {
    found.clear();
    found.resize(trees.len(), 0);
    let is_plain = !row.iter().any(|bits| is_missing(*bits)) && trees.iter().all(|tree| tree.sets().is_empty());
    let advance = if is_plain { advance::<true> } else { advance::<false> };
    for (trees, found) in trees.chunks(TOGETHER).zip(found.chunks_mut(TOGETHER)) {
        let (mut steps, mut lanes, mut open) = ([Steps::default(); TOGETHER], [(0, 0); TOGETHER], 0);
        for (number, tree) in (0..).zip(trees) {
            let tree = tree.steps();
            steps[number as usize] = tree;
            // A tree without splits has but the first leaf.
            if let Some(begin) = tree.begin() {
                lanes[open] = (begin, number);
                open += 1;
            }
        }
        while open > 0 {
            open = advance(&steps, &mut lanes[..open], row, found);
        }
    }
}

/// Takes each tree a step further, puts those that have not come to a leaf first, and tells how many these are. Which
/// they are cannot be foretold, so there is no branch: what was found of a tree last is its leaf.
#[inline(never)]
fn advance<const PLAIN: bool>(
    steps: &[Steps<'_>; TOGETHER],
    lanes: &mut [Lane],
    row: &[u32],
    found: &mut [u32],
) -> usize {
    let mut kept = 0;
    for index in 0..lanes.len() {
        let (at, tree) = lanes[index];
        let steps = steps[tree as usize];
        let place = steps.step::<PLAIN>(at, row);
        steps.prefetch(place);
        found[tree as usize] = place.leaf() as u32;
        lanes[kept] = (place.split(), tree);
        kept += usize::from(!place.is_leaf());
    }
    kept
}
