//! The best cut of a large node for tallies that sums say too little of: its rows are sorted, and moved one by one.

use super::columns::{Cells, ordered};
use super::tally::Tally;

/// A cut between two values.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowCut {
    pub(super) score: f64,
    /// The values next to the cut; infinity above it if only missing values are there.
    pub(super) lower: f32,
    pub(super) upper: f32,
    pub(super) missing_left: bool,
}

/// Buffers for the search.
#[derive(Debug, Default)]
pub(super) struct ByRows {
    keys: Vec<u64>,
}

impl ByRows {
    /// The best cut that is better than `least`, and whether the values differ.
    pub(super) fn best<T: Tally>(
        &mut self,
        tally: &mut T,
        rows: &[u32],
        cells: &Cells,
        min_leaf: usize,
        least: f64,
    ) -> (bool, Option<RowCut>) {
        let key = |&row: &u32| {
            let number = cells.number(row);
            let order = if number.is_nan() { u32::MAX } else { ordered(number) };
            u64::from(order) << 32 | u64::from(row)
        };
        self.keys.clear();
        self.keys.extend(rows.iter().map(key));
        self.keys.sort_unstable();
        let order = |place: usize| (self.keys[place] >> 32) as u32;
        let row = |place: usize| self.keys[place] as u32;
        let known = self.keys.partition_point(|key| key >> 32 < u64::from(u32::MAX));
        let (len, missing) = (self.keys.len(), self.keys.len() - known);
        let (mut best, mut score) = (None, least);
        for missing_left in [false, true] {
            if missing_left && missing == 0 {
                break;
            }
            tally.rewind();
            let before = if missing_left { missing } else { 0 };
            (known..known + before).for_each(|place| tally.move_left(row(place) as usize));
            for place in 1..known + usize::from(before < missing) {
                tally.move_left(row(place - 1) as usize);
                let left = place + before;
                if order(place - 1) == order(place) || left.min(len - left) < min_leaf {
                    continue;
                }
                let own = tally.score();
                if own > score {
                    score = own;
                    let (left, right) = tally.weights();
                    let upper = if place < known { cells.number(row(place)) } else { f32::INFINITY };
                    let missing_left = if missing == 0 { left >= right } else { missing_left };
                    best = Some(RowCut { score, lower: cells.number(row(place - 1)), upper, missing_left });
                }
            }
        }
        (order(0) != order(len - 1), best)
    }
}
