//! Grows the part of a tree that fits into a block, by exact splits, and writes its nodes in preorder.

use super::block::Block;
use super::columns::threshold;
use super::draft::Draft;
use super::grow::{Open, Plan, Sample, bounds_below};
use super::partition::{LEFTS, Lefts};
use super::scan::{MISSING_RANK, rank_of, row_of};
use super::search::{At, Best, Node, Search};
use super::small::{SMALL, Sides};
use super::split::Split;
use super::tally::Tally;

/// The part of a tree to grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) sample: Sample<'a>,
    /// The part's rows, rising.
    pub(super) rows: &'a [u32],
    /// Where the part begins.
    pub(super) root: Open,
}

/// Buffers for parts of trees, used again for each.
#[derive(Debug)]
pub(super) struct Local {
    block: Block,
    search: Search,
    /// By row of the block: one if the split under way puts it on the left.
    side: Box<Lefts>,
    open: Vec<Open>,
    leaf: Vec<f64>,
    thresholds: Vec<Threshold>,
}

/// The rows on both sides of a split's cut. Their values are looked up for the whole part at once, since each look-up
/// would have the next node wait for memory.
#[derive(Debug, Clone, Copy)]
struct Threshold {
    split: u32,
    feature: u32,
    lower: u32,
    upper: u32,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            block: Block::default(),
            search: Search::default(),
            side: Box::new([0; LEFTS]),
            open: Vec::new(),
            leaf: Vec::new(),
            thresholds: Vec::new(),
        }
    }
}

impl Local {
    /// Grows a part and adds its nodes to the tree.
    pub(super) fn grow<T: Tally>(&mut self, plan: &Plan, part: Part<'_>, tally: &mut T, tree: &mut Draft) {
        self.block.load(part.rows, plan);
        tally.load(part.rows);
        self.open.push(Open { begin: 0, end: part.rows.len(), right_of: None, ..part.root });
        while let Some(open) = self.open.pop() {
            if let Some(parent) = open.right_of {
                tree.set_right(parent);
            }
            if let Some(rules) = tally.rules() {
                rules.bounds = open.bounds;
            }
            if let Some(Made { split, decrease, between }) = self.split(plan, part.sample, open, tally) {
                let parent = tree.push_split(&split, decrease, |leaf| tally.leaf(self.block.node(open), leaf));
                if let Some([lower, upper]) = between {
                    let feature = split.feature() as u32;
                    self.thresholds.push(Threshold { split: parent, feature, lower, upper });
                }
                let middle = self.block.part(open, &self.side, |rows| rows > SMALL);
                let left = self.block.node(Open { end: middle, ..open });
                self.open.extend(open.children(parent, middle, bounds_below(tally, left, plan, &split)));
            } else {
                self.leaf.clear();
                tally.leaf(self.block.node(open), &mut self.leaf);
                tree.push_leaf(&self.leaf);
            }
        }
        for Threshold { split, feature, lower, upper } in self.thresholds.drain(..) {
            let cells = &plan.cells[feature as usize];
            tree.set_threshold(split, threshold(cells.number(lower), cells.number(upper)));
        }
    }

    /// Splits a node, and writes down which rows go left; none makes it a leaf.
    fn split<T: Tally>(&mut self, plan: &Plan, sample: Sample<'_>, open: Open, tally: &mut T) -> Option<Made> {
        if !plan.limits.may_split(open.len(), open.depth) {
            return None;
        }
        tally.enter(self.block.node(open));
        if tally.is_pure(self.block.node(open)) {
            return None;
        }
        let draw = plan.draw.at(sample.tree, open.path);
        let node = Node { plan, block: &self.block, open, draw };
        let best = self.search.best(node, tally)?;
        let decrease = tally.decrease(best.score);
        if decrease < plan.limits.min_decrease * sample.unit {
            return None;
        }
        let (split, between) = take_sides(&mut self.search, &mut self.side, node, tally, best)?;
        Some(Made { split, decrease, between })
    }
}

/// A split, the impurity that it lowers, and the rows on both sides of a numeric cut, whose threshold is still open.
#[derive(Debug)]
struct Made {
    split: Split,
    decrease: f64,
    between: Option<[u32; 2]>,
}

/// Writes down which rows go left, and gives the split and the rows on both sides of a numeric cut.
fn take_sides<T: Tally>(
    search: &mut Search,
    side: &mut Lefts,
    node: Node<'_>,
    tally: &T,
    best: Best,
) -> Option<(Split, Option<[u32; 2]>)> {
    let feature = best.feature;
    let table_row = |row: usize| node.block.rows[row];
    // Every number goes left, if only missing values are on the right.
    let numeric = |missing_left| Split::Numeric { feature, threshold: f32::INFINITY, missing_left };
    let slot = node.plan.layout.slots[feature as usize].unwrap_or(0) as usize;
    if let Some((keys, cut)) = search.place(node, tally, slot, &best) {
        for (place, &key) in keys.as_slice().iter().enumerate() {
            side[row_of(key)] = u8::from(place < cut.place || (place >= keys.known && cut.missing_left));
        }
        let [lower, upper] = [keys.as_slice()[cut.place - 1], keys.as_slice()[cut.place]];
        let between = (rank_of(upper) != MISSING_RANK).then(|| [lower, upper].map(|key| table_row(row_of(key))));
        let any_missing = keys.known < keys.as_slice().len();
        return Some((numeric(if any_missing { cut.missing_left } else { cut.left_heavier }), between));
    }
    let missing_left = best.missing_left;
    match best.at {
        At::Sides(Sides { left, lower, upper, .. }) => {
            node.rows().enumerate().for_each(|(slot, row)| side[row] = u8::from(left >> slot & 1 == 1));
            let at = |slot| node.rows().nth(slot).map(table_row);
            let between = upper.and_then(|upper| Some([at(lower)?, at(upper)?]));
            Some((numeric(missing_left), between))
        }
        At::Set(left) => {
            let cells = &node.plan.cells[feature as usize];
            let split = Split::Categorical { feature, left, missing_left };
            node.rows().for_each(|row| side[row] = u8::from(split.goes_left(cells.category(table_row(row)))));
            Some((split, None))
        }
        At::Split(split) => {
            let cells = &node.plan.cells[feature as usize];
            node.rows().for_each(|row| side[row] = u8::from(split.goes_left(cells.bits(table_row(row) as usize))));
            Some((split, None))
        }
        At::Keys | At::Cut(_) => None,
    }
}
