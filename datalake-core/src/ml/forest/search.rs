//! The best split of one node of a block: every feature tried, in the way that suits the size of the node.

use super::block::Block;
use super::categories::Categories;
use super::draw::NodeDraw;
use super::grow::{Open, Plan};
use super::pack::Pack;
use super::random_cut::Trial;
use super::scan::{Cut, Keys};
use super::small::{LANES, SMALL, Sides, Small};
use super::split::Split;
use super::tally::{Packed, Tally};

/// The node under search, which the tally has entered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) plan: &'a Plan,
    pub(super) block: &'a Block,
    pub(super) open: Open,
    pub(super) draw: NodeDraw<'a>,
}

/// The best split of a node so far.
#[derive(Debug)]
pub(super) struct Best {
    pub(super) feature: u32,
    pub(super) score: f64,
    pub(super) missing_left: bool,
    pub(super) at: At,
}

#[derive(Debug)]
pub(super) enum At {
    /// In the sorted keys of the feature; the place is looked for when the feature has won.
    Keys,
    /// The same, found already.
    Cut(Cut),
    /// In a small node.
    Sides(Sides),
    /// Of categories, those that go left.
    Set(Vec<u64>),
    /// Drawn, with all that there is to know.
    Split(Split),
}

/// Buffers for the search, used again for every node.
#[derive(Debug, Default)]
pub(super) struct Search {
    categories: Categories,
    small: Small,
    /// Keys of the feature under trial, and of the best one, where the block does not keep them.
    keys: Vec<u32>,
    best_keys: Vec<u32>,
    spare: Vec<u32>,
    sums: Vec<i64>,
    order: Vec<u64>,
}

impl<'a> Node<'a> {
    /// Its rows within the block.
    pub(super) fn rows(self) -> impl Iterator<Item = usize> + Clone + 'a {
        self.block.node(self.open)
    }

    fn min_leaf(self) -> usize {
        self.plan.limits.min_leaf
    }

    fn slot(self, feature: u32) -> Option<usize> {
        self.plan.layout.slots[feature as usize].map(|slot| slot as usize)
    }

    /// The keys that the block keeps sorted.
    fn kept(self, slot: usize) -> Option<&'a [u32]> {
        let kept = self.plan.layout.presorted && self.open.len() > SMALL;
        kept.then(|| self.block.list(slot, self.open))
    }

    /// Whether a feature's score is the best so far; of equal ones, that of the feature drawn first is.
    fn beats(self, best: Option<&Best>, feature: u32, score: f64) -> bool {
        best.map_or(score > f64::NEG_INFINITY, |best| {
            score > best.score || (score >= best.score && self.is_drawn_before(feature, best.feature))
        })
    }

    /// What a feature's score must be above to be the best so far.
    fn bar(self, best: Option<&Best>, feature: u32) -> f64 {
        best.map_or(f64::NEG_INFINITY, |best| {
            if self.is_drawn_before(feature, best.feature) { best.score.next_down() } else { best.score }
        })
    }

    fn is_drawn_before(self, a: u32, b: u32) -> bool {
        self.draw.priority(a) < self.draw.priority(b)
    }
}

impl Search {
    /// The best split; none where no allowed cut is.
    pub(super) fn best<T: Tally>(&mut self, node: Node<'_>, tally: &mut T) -> Option<Best> {
        let mut best = None;
        let small = node.open.len() <= SMALL && !node.plan.random && tally.packed().is_some();
        if node.plan.draw.tries_all() {
            if small {
                self.try_all_of_small(node, tally, &mut best);
            } else {
                for feature in 0..node.plan.columns.len() as u32 {
                    self.try_feature(node, tally, feature, &mut best);
                }
            }
            return best;
        }
        let mut order = std::mem::take(&mut self.order);
        node.draw.features(&mut order);
        let tried = node.draw.tried();
        let (first, rest) = order.split_at_mut(tried);
        let mut varied = false;
        if small {
            varied = self.try_drawn_of_small(node, tally, first, &mut best);
        } else {
            for priority in first {
                varied |= self.try_feature(node, tally, *priority as u32, &mut best);
            }
        }
        if !varied {
            // On until one varies.
            rest.sort_unstable();
            rest.iter().any(|priority| self.try_feature(node, tally, *priority as u32, &mut best));
        }
        self.order = order;
        best
    }

    /// Tries a feature, and says whether it varies in the node.
    fn try_feature<T: Tally>(&mut self, node: Node<'_>, tally: &mut T, feature: u32, best: &mut Option<Best>) -> bool {
        if let (Some(rules), Some(direction)) = (tally.rules(), node.plan.directions.get(feature as usize)) {
            rules.direction = *direction;
        }
        if node.plan.random {
            return try_random(node, tally, feature, best);
        }
        let Some(slot) = node.slot(feature) else { return self.try_categories(node, tally, feature, best) };
        let kept = node.kept(slot);
        if kept.is_none() {
            node.block.sort_node(node.plan, feature, slot, node.open, &mut self.keys, &mut self.spare);
        }
        let keys = Keys::new(kept.unwrap_or(&self.keys), node.min_leaf());
        if !keys.varies() {
            return false;
        }
        let found = if let Some(packed) = tally.packed() {
            let (score, missing_left) = keys.best_score(&packed, &mut self.sums);
            node.beats(best.as_ref(), feature, score).then_some((score, missing_left, At::Keys))
        } else {
            let cut = keys.best_by_rows(tally, node.bar(best.as_ref(), feature));
            cut.map(|cut| (cut.score, cut.missing_left, At::Cut(cut)))
        };
        if let Some((score, missing_left, at)) = found {
            *best = Some(Best { feature, score, missing_left, at });
            std::mem::swap(&mut self.keys, &mut self.best_keys);
        }
        true
    }

    fn try_categories<T: Tally>(
        &mut self,
        node: Node<'_>,
        tally: &mut T,
        feature: u32,
        best: &mut Option<Best>,
    ) -> bool {
        let (cells, column) = (&node.plan.cells[feature as usize], &node.plan.columns[feature as usize]);
        let bar = node.bar(best.as_ref(), feature);
        let rows = node.rows().map(|row| (row, tally.entry(row), cells.category(node.block.rows[row])));
        self.categories.collect(tally, rows, column.categories);
        let (varies, cut) = self.categories.best(tally, node.min_leaf(), bar);
        if let Some(cut) = cut {
            let at = At::Set(self.categories.left_set(cut, column.categories));
            *best = Some(Best { feature, score: cut.score, missing_left: cut.missing_left, at });
        }
        varies
    }

    fn try_all_of_small<T: Tally>(&mut self, node: Node<'_>, tally: &mut T, best: &mut Option<Best>) {
        let Some(packed) = tally.packed() else { return };
        let layout = &node.plan.layout;
        for (chunk, features) in layout.numeric.chunks(LANES).enumerate() {
            self.small.clear();
            for row in node.rows() {
                if let Some(ranks) = node.block.ranks_of(row)[chunk * LANES..].first_chunk() {
                    self.small.push(packed.items[row], ranks);
                }
            }
            self.search_lanes(node, &packed, features, best);
        }
        for &feature in &layout.categorical {
            self.try_categories(node, tally, feature, best);
        }
    }

    /// Tries features by their priorities, and says whether any varies.
    fn try_drawn_of_small<T: Tally>(
        &mut self,
        node: Node<'_>,
        tally: &mut T,
        order: &[u64],
        best: &mut Option<Best>,
    ) -> bool {
        let mut varied = false;
        for order in order.chunks(LANES) {
            let (mut features, mut slots, mut len) = ([0_u32; LANES], [0_usize; LANES], 0);
            for feature in order.iter().map(|priority| *priority as u32) {
                if let Some(slot) = node.slot(feature) {
                    (features[len], slots[len]) = (feature, slot);
                    len += 1;
                } else {
                    varied |= self.try_categories(node, tally, feature, best);
                }
            }
            let Some(packed) = tally.packed() else { return varied };
            self.small.clear();
            let mut ranks = [[0; LANES]; SMALL];
            if node.plan.layout.ranked {
                for (ranks, row) in ranks.iter_mut().zip(node.rows()) {
                    let own = node.block.ranks_of(row);
                    ranks.iter_mut().zip(&slots[..len]).for_each(|(rank, &slot)| *rank = own[slot]);
                }
            } else {
                for (lane, &feature) in features[..len].iter().enumerate() {
                    let own = node.block.ranks_within(node.open, &node.plan.cells[feature as usize]);
                    ranks.iter_mut().zip(own).for_each(|(ranks, rank)| ranks[lane] = rank);
                }
            }
            node.rows().zip(&ranks).for_each(|(row, ranks)| self.small.push(packed.items[row], ranks));
            varied |= self.search_lanes(node, &packed, &features[..len], best);
        }
        varied
    }

    /// Searches the features that the small node's lanes hold, and says whether any varies.
    fn search_lanes<P: Pack>(
        &mut self,
        node: Node<'_>,
        packed: &Packed<'_, P>,
        features: &[u32],
        best: &mut Option<Best>,
    ) -> bool {
        let lanes = self.small.search(packed.pack, node.min_leaf());
        let scores = &lanes.scores[..features.len()];
        let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
        if best.as_ref().map_or(f64::NEG_INFINITY.next_up(), |best| best.score) > greatest {
            return (0..features.len()).any(|lane| self.small.varies(lane));
        }
        let mut equal = (0..features.len()).filter(|lane| scores[*lane] >= greatest);
        let first = equal.next().unwrap_or(0);
        let lane = equal.fold(first, |a, b| if node.is_drawn_before(features[b], features[a]) { b } else { a });
        if node.beats(best.as_ref(), features[lane], greatest) {
            let (place, missing_left) = (usize::from(lanes.places[lane]), lanes.missing_left[lane]);
            let sides = self.small.sides(packed.pack, lane, place, missing_left);
            let (feature, missing_left) = (features[lane], sides.missing_left);
            *best = Some(Best { feature, score: greatest, missing_left, at: At::Sides(sides) });
        }
        true
    }

    /// The keys that the best feature won with, and where they are cut.
    pub(super) fn place<'b, T: Tally>(
        &'b mut self,
        node: Node<'b>,
        tally: &T,
        slot: usize,
        best: &Best,
    ) -> Option<(Keys<'b>, Cut)> {
        let found = match &best.at {
            At::Cut(cut) => Some(*cut),
            At::Keys => None,
            At::Sides(_) | At::Set(_) | At::Split(_) => return None,
        };
        let keys = Keys::new(node.kept(slot).unwrap_or(&self.best_keys), node.min_leaf());
        let sums = &mut self.sums;
        let find = || Some(keys.find(&tally.packed()?, best.score, best.missing_left, sums));
        Some((keys, found.or_else(find)?))
    }
}

/// Tries a drawn cut, and says whether the feature varies in the node.
fn try_random<T: Tally>(node: Node<'_>, tally: &mut T, feature: u32, best: &mut Option<Best>) -> bool {
    let plan = node.plan;
    let trial = Trial {
        feature,
        cells: &plan.cells[feature as usize],
        categories: plan.columns[feature as usize].categories,
        min_leaf: node.min_leaf(),
        key: node.draw.cut_key(feature),
    };
    let (varies, found) = trial.draw(tally, node.rows().map(|row| (row, node.block.rows[row])));
    if let Some((score, split)) = found.filter(|found| node.beats(best.as_ref(), feature, found.0)) {
        *best = Some(Best { feature, score, missing_left: false, at: At::Split(split) });
    }
    varies
}
