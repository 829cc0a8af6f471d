//! Walks one row through many trees at a time: each step waits for memory, and steps of different trees need not wait
//! for each other.

use super::tree::{Steps, Tree};

/// Trees that are under way together.
const TOGETHER: usize = 12;

/// A tree under way.
#[derive(Debug, Clone, Copy)]
struct Lane<'a> {
    steps: Steps<'a>,
    at: u32,
    tree: usize,
}

/// The leaf of each tree that a row, one feature's bits after the other, ends in.
pub(super) fn leaves_of_row(trees: &[Tree], row: &[u32], found: &mut Vec<u32>) {
    found.clear();
    found.resize(trees.len(), 0);
    let mut waiting = (0..trees.len()).filter_map(|tree| {
        let steps = trees[tree].steps();
        // A tree without splits has but the first leaf.
        steps.begin().map(|at| Lane { steps, at, tree })
    });
    let mut lanes: Vec<Lane<'_>> = waiting.by_ref().take(TOGETHER).collect();
    while !lanes.is_empty() {
        let mut index = 0;
        while index < lanes.len() {
            let lane = &mut lanes[index];
            match lane.steps.step(lane.at, row) {
                place if !place.is_leaf() => {
                    lane.at = place.split();
                    index += 1;
                }
                place => {
                    found[lane.tree] = place.leaf() as u32;
                    if let Some(next) = waiting.next() {
                        lanes[index] = next;
                        index += 1;
                    } else {
                        lanes.swap_remove(index);
                    }
                }
            }
        }
    }
}
