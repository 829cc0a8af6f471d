//! One tree: splits in preorder, leaf values and category sets beside them.

use std::hint::select_unpredictable;

use super::leaves::Leaves;
use super::node::{
    CATEGORICAL, FEATURE_SHIFT, LEFT_IS_LEAF, MISSING_LEFT, Node, NodeRef, Place, RIGHT_IS_LEAF, follow,
};
use super::split::{Split, categories_of, category_goes_left, number_goes_left, set_words};
use crate::error::Result;
use crate::ml::feature::Feature;
use crate::ml::store::Store;

/// One tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    /// In preorder.
    splits: Store<Node>,
    leaves: Leaves,
    sets: Store<u64>,
    /// The impurity decrease by each feature, as shares of this tree's sum.
    pub(super) importances: Vec<f64>,
    /// The split whose child comes next, and whether that is its right one.
    next: Option<(u32, bool)>,
}

impl Tree {
    pub(super) fn new(width: usize, features: usize) -> Self {
        let importances = vec![0.0; features];
        let (splits, sets) = (Store::default(), Store::default());
        Self { splits, leaves: Leaves::new(width), sets, importances, next: None }
    }

    /// Adds a leaf as the next node in preorder.
    pub(super) fn push_leaf(&mut self, values: &[f64]) {
        let leaf = self.leaf_count() as u32;
        self.leaves.push(values);
        let Some((parent, right)) = self.next.take() else { return };
        let parent = &mut self.splits.to_mut()[parent as usize];
        if !(right && parent.is(LEFT_IS_LEAF)) {
            parent.link = leaf;
        }
        parent.head |= if right { RIGHT_IS_LEAF } else { LEFT_IS_LEAF };
    }

    /// Adds a split as the next node in preorder and gives its number, for [`Tree::set_right`].
    pub(super) fn push_split(&mut self, split: &Split) -> u32 {
        let number = self.splits.len() as u32;
        self.link_split(number);
        let (kind, payload, missing_left) = match split {
            Split::Numeric { threshold, missing_left, .. } => (0, threshold.to_bits(), *missing_left),
            Split::Categorical { left, missing_left, .. } => {
                let begin = self.sets.len() as u32;
                self.sets.to_mut().extend_from_slice(left);
                (CATEGORICAL, begin, *missing_left)
            }
        };
        let head = (split.feature() as u32) << FEATURE_SHIFT | if missing_left { MISSING_LEFT } else { 0 } | kind;
        self.splits.to_mut().push(Node { head, payload, link: 0 });
        self.next = Some((number, false));
        number
    }

    /// Tells the parent of the next node that it is the split of this number.
    fn link_split(&mut self, number: u32) {
        if let Some((parent, true)) = self.next.take() {
            let parent = &mut self.splits.to_mut()[parent as usize];
            if !parent.is(LEFT_IS_LEAF) {
                parent.link = number;
            }
        }
    }

    /// Adds a branch that was grown apart as the next node in preorder and those below it, and gives the number of its
    /// first split. Right children that the branch still lacks may follow.
    pub(super) fn append(&mut self, branch: &Self) -> u32 {
        let (number, leaf) = (self.splits.len() as u32, self.leaf_count() as u32);
        if branch.splits.is_empty() {
            self.push_leaf(&branch.leaf(0));
            return number;
        }
        self.link_split(number);
        let set = self.sets.len() as u32;
        self.splits.to_mut().extend(branch.splits.iter().map(|node| Node {
            payload: if node.is(CATEGORICAL) { node.payload + set } else { node.payload },
            link: node.link + if node.is(LEFT_IS_LEAF | RIGHT_IS_LEAF) { leaf } else { number },
            ..*node
        }));
        self.sets.to_mut().extend_from_slice(&branch.sets);
        self.leaves.append(&branch.leaves);
        number
    }

    /// Says that the next node is the right child of `parent`.
    pub(super) fn set_right(&mut self, parent: u32) {
        self.next = Some((parent, true));
    }

    /// Gives a numeric split its threshold.
    pub(super) fn set_threshold(&mut self, split: u32, threshold: f32) {
        self.splits.to_mut()[split as usize].payload = threshold.to_bits();
    }

    /// Gives back what was reserved for growing.
    pub(super) fn shrink(&mut self) {
        self.splits.to_mut().shrink_to_fit();
        self.leaves.shrink();
        self.sets.to_mut().shrink_to_fit();
    }

    /// A tree of the parts of a file, refusing whatever a walk could not walk.
    ///
    /// There must be a leaf more than there are splits.
    pub(super) fn of(
        splits: Store<Node>,
        leaves: Leaves,
        sets: Store<u64>,
        importances: Vec<f64>,
        words: &[Option<usize>],
    ) -> Result<Self, String> {
        let mut unsound = None;
        let heads = splits.iter().map(|node| {
            if !node.is_sound(words, sets.len()) {
                unsound = Some(*node);
            }
            node.head
        });
        let followed = follow(heads, |at, link| splits[at].link == link);
        if let Some(node) = unsound {
            return Err(format!("a split that does not suit feature {} of {}", node.feature(), words.len()));
        }
        followed?;
        Ok(Self { splits, leaves, sets, importances, next: None })
    }

    pub(super) fn splits(&self) -> &[Node] {
        &self.splits
    }

    pub(super) fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    pub(super) fn sets(&self) -> &[u64] {
        &self.sets
    }

    /// The number of nodes, leaves included.
    pub(super) fn len(&self) -> usize {
        self.splits.len() + self.leaf_count()
    }

    /// The number of leaves.
    pub(super) fn leaf_count(&self) -> usize {
        self.leaves.count()
    }

    pub(super) fn root(&self) -> Place {
        Place(if self.splits.is_empty() { Place::LEAF } else { 0 })
    }

    /// The leaf that each row ends in; rows have so many words, one after the other.
    ///
    /// Several rows are under way at a time, so that one need not wait for the memory of the other; one that arrives
    /// makes room for the next.
    pub(super) fn walk(&self, rows: &[u32], features: usize, found: &mut [u32]) {
        const TOGETHER: usize = 6;
        if self.splits.is_empty() {
            return found.fill(0);
        }
        let count = found.len();
        let steps = self.steps();
        let mut under_way = [(self.root(), 0_usize); TOGETHER];
        let mut next = count.min(TOGETHER);
        (0..).zip(&mut under_way).for_each(|(row, lane)| lane.1 = row);
        let mut open = next;
        while open == TOGETHER {
            for lane in &mut under_way {
                let (place, row) = *lane;
                let place = steps.step::<false>(place.0, &rows[row * features..][..features]);
                *lane = (place, row);
                if place.is_leaf() {
                    found[row] = place.leaf() as u32;
                    *lane = (self.root(), next);
                    next += 1;
                    if next > count {
                        lane.1 = count;
                        open -= 1;
                        break;
                    }
                }
            }
        }
        // The last rows, one by one.
        for (mut place, row) in under_way.into_iter().filter(|lane| lane.1 < count) {
            while !place.is_leaf() {
                place = steps.step::<false>(place.0, &rows[row * features..][..features]);
            }
            found[row] = place.leaf() as u32;
        }
    }

    pub(super) fn steps(&self) -> Steps<'_> {
        Steps { splits: &self.splits, sets: &self.sets }
    }

    /// What a leaf says.
    pub(super) fn leaf(&self, number: u32) -> Vec<f64> {
        let mut values = vec![0.0; self.leaves.width()];
        self.leaves.copy(number, &mut values);
        values
    }

    /// Adds what each row's leaf says to its sums.
    pub(super) fn add_leaves<'a>(&self, sums: impl Iterator<Item = &'a mut [f64]>, leaves: &'a [u32]) {
        self.leaves.add(sums, leaves);
    }

    /// How much it adds to a model file that is not compressed, at most.
    pub(super) fn bytes(&self) -> u64 {
        let numbers = self.sets.len() + self.importances.len() + 1;
        (self.splits.len() * size_of::<Node>() + numbers * size_of::<u64>()) as u64 + self.leaves.bytes()
    }

    fn children(&self, at: u32) -> [Place; 2] {
        self.splits[at as usize].children(at)
    }

    /// The root.
    pub(super) fn root_ref(&self) -> NodeRef {
        self.root().into()
    }

    /// The left and the right child of a split.
    pub(super) fn children_of(&self, split: u32) -> [NodeRef; 2] {
        self.children(split).map(NodeRef::from)
    }

    /// The tree with a leaf in the place of every split that is not kept.
    pub(super) fn cut<'a>(&self, kept: &[bool], leaf: impl Fn(u32) -> &'a [f64]) -> Self {
        let sets = self.sets_of_splits();
        let mut tree = Self::new(self.leaves.width(), 0);
        let mut open = vec![(self.root_ref(), None)];
        while let Some((step, right_of)) = open.pop() {
            if let Some(parent) = right_of {
                tree.set_right(parent);
            }
            match step {
                NodeRef::Leaf(number) => tree.push_leaf(&self.leaf(number)),
                NodeRef::Split(number) if !kept[number as usize] => tree.push_leaf(leaf(number)),
                NodeRef::Split(number) => {
                    let parent = tree.push_split(&self.split_of_set(number, sets[number as usize]));
                    let [left, right] = self.children_of(number);
                    open.extend([(right, Some(parent)), (left, None)]);
                }
            }
        }
        tree
    }

    /// By split, its words of the sets, which lie in the order of the splits.
    fn sets_of_splits(&self) -> Vec<&[u64]> {
        let mut end = self.sets.len();
        let mut sets: Vec<&[u64]> = self
            .splits
            .iter()
            .rev()
            .map(|node| {
                let begin = if node.is(CATEGORICAL) { node.payload as usize } else { end };
                &self.sets[begin..std::mem::replace(&mut end, begin)]
            })
            .collect();
        sets.reverse();
        sets
    }

    fn split_of_set(&self, number: u32, set: &[u64]) -> Split {
        let node = self.splits[number as usize];
        let (feature, missing_left) = (node.feature() as u32, node.is(MISSING_LEFT));
        if node.is(CATEGORICAL) {
            Split::Categorical { feature, left: set.to_vec(), missing_left }
        } else {
            Split::Numeric { feature, threshold: f32::from_bits(node.payload), missing_left }
        }
    }
}

/// What rows are walked through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steps<'a> {
    splits: &'a [Node],
    sets: &'a [u64],
}

impl Steps<'_> {
    /// Where a row begins; none in a tree that is but a leaf.
    pub(super) fn begin(self) -> Option<u32> {
        (!self.splits.is_empty()).then_some(0)
    }

    /// One step of a row, which has one feature's bits after the other, from a split. A `PLAIN` row misses nothing, and
    /// its tree has no categories.
    ///
    /// Which way rows go cannot be foretold, so there are no branches but for categories.
    #[inline(always)]
    pub(super) fn step<const PLAIN: bool>(self, at: u32, row: &[u32]) -> Place {
        let node = self.splits[at as usize];
        let bits = row[node.feature()];
        let right = if PLAIN {
            f32::from_bits(bits) > f32::from_bits(node.payload)
        } else if node.is(CATEGORICAL) {
            !category_goes_left(bits, &self.sets[node.payload as usize..], node.is(MISSING_LEFT))
        } else {
            !number_goes_left(bits, f32::from_bits(node.payload), node.is(MISSING_LEFT))
        };
        let (left_leaf, is_leaf) = (node.is(LEFT_IS_LEAF), node.is(if right { RIGHT_IS_LEAF } else { LEFT_IS_LEAF }));
        // The right leaf comes after the left one.
        let leaf = node.link.wrapping_add(u32::from(right & left_leaf)) | Place::LEAF;
        let split = select_unpredictable(right & !left_leaf, node.link, at.wrapping_add(1));
        Place(select_unpredictable(is_leaf, leaf, split))
    }

    /// Has the split fetched that a row has come to; of a leaf, any.
    #[inline(always)]
    pub(super) fn prefetch(self, place: Place) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = self.splits.as_ptr().wrapping_add(place.leaf());
            // SAFETY: a hint, which reads nothing wherever it points; every x86-64 knows it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = place;
    }
}

impl Tree {
    /// All nodes in preorder.
    pub(super) fn preorder(&self) -> impl Iterator<Item = NodeRef> {
        let mut open = vec![self.root()];
        std::iter::from_fn(move || {
            let place = open.pop()?;
            if !place.is_leaf() {
                let [left, right] = self.children(place.0);
                open.extend([right, left]);
            }
            Some(place.into())
        })
    }

    /// The feature that a split looks at.
    pub(super) fn feature_of(&self, split: u32) -> usize {
        self.splits[split as usize].feature()
    }

    /// How a split parts its rows; `features` are those of the forest.
    pub(super) fn split(&self, number: u32, features: &[Feature]) -> Split {
        let node = self.splits[number as usize];
        let set = categories_of(&features[node.feature()]).map_or(0, set_words);
        let begin = if set > 0 { node.payload as usize } else { 0 };
        self.split_of_set(number, &self.sets[begin..begin + set])
    }
}

#[cfg(test)]
impl Tree {
    pub(super) fn root_node(&self) -> u32 {
        self.root().0
    }

    /// The split at a node and its children; none for a leaf.
    pub(super) fn split_of(&self, node: u32, features: &[Feature]) -> Option<(Split, u32, u32)> {
        if Place(node).is_leaf() {
            return None;
        }
        let [left, right] = self.children(node);
        Some((self.split(node, features), left.0, right.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::codec::{Reader, Writer};
    use crate::ml::feature::{FeatureKind, MISSING};
    use crate::ml::forest::one_row::leaves_of_row;
    use crate::ml::forest::row_bits::RowBits;
    use crate::ml::forest::walk::{Slots, Tile};

    fn feature(categories: usize) -> Feature {
        let kind = match categories {
            0 => FeatureKind::Numeric { range: None },
            some => FeatureKind::Categorical { categories: (0..some).map(|index| format!("{index:04}")).collect() },
        };
        Feature { name: "x".into(), kind, unit: None }
    }

    /// x0 <= 1.5 ? 10 : (x1 in {70} ? 20 : 30), missing x0 right, missing x1 left.
    fn example() -> Tree {
        let mut tree = Tree::new(1, 2);
        let root = tree.push_split(&Split::Numeric { feature: 0, threshold: 1.5, missing_left: false });
        tree.push_leaf(&[10.0]);
        tree.set_right(root);
        let right = tree.push_split(&Split::Categorical { feature: 1, left: vec![0, 1 << 6], missing_left: true });
        tree.push_leaf(&[20.0]);
        tree.set_right(right);
        tree.push_leaf(&[30.0]);
        tree
    }

    #[test]
    fn a_split_takes_twelve_bytes() {
        assert_eq!(size_of::<Node>(), 12);
    }

    #[test]
    fn rows_end_in_the_leaf_that_the_splits_say() {
        let tree = example();
        let rows = [(1.5_f32, 0), (2.0, 70), (2.0, 3), (f32::NAN, 70), (2.0, MISSING)];
        let rows: Vec<u32> = rows.iter().flat_map(|(number, code)| [number.to_bits(), *code]).collect();
        let mut leaves = Vec::new();
        let mut slots = Slots::default();
        slots.of(&tree, 2, 5).leaves(&RowBits::of_words(rows, 2), &mut Tile::default(), &mut leaves);
        let found: Vec<u32> = leaves.iter().map(|leaf| tree.leaf(*leaf)[0] as u32).collect();
        assert_eq!(found, [10, 20, 30, 20, 20]);
    }

    /// A tree as deep as it gets: each split has a leaf on the side that its number says. Features whose number is odd are
    /// categories where there are some.
    fn chain(splits: u32, features: u32, categories: u32) -> Tree {
        let mut tree = Tree::new(1, features as usize);
        let mut open = Vec::new();
        for number in 0..splits {
            let (feature, missing_left) = (number % features, number.is_multiple_of(3));
            let split = if categories > 0 && feature % 2 == 1 {
                // Most go on, as they must for a row to come far.
                let left: u64 = if number.is_multiple_of(2) { 1 << (number % 64) } else { !(1 << (number % 64)) };
                let left = vec![left; categories.div_ceil(64) as usize];
                tree.push_split(&Split::Categorical { feature, left, missing_left })
            } else {
                tree.push_split(&Split::Numeric { feature, threshold: number as f32 * 0.5, missing_left })
            };
            if number.is_multiple_of(2) {
                tree.push_leaf(&[f64::from(number)]);
                tree.set_right(split);
            } else {
                open.push(split);
            }
        }
        tree.push_leaf(&[-1.0]);
        while let Some(split) = open.pop() {
            tree.set_right(split);
            tree.push_leaf(&[f64::from(split) + 0.5]);
        }
        tree
    }

    #[test]
    fn rows_end_in_the_same_leaves_one_by_one_and_many_at_a_time() {
        let (mut slots, mut tile, mut alone) = (Slots::default(), Tile::default(), Vec::new());
        let shapes = [(1, 1), (2, 3), (40, 3), (101, 7), (700, 256), (700, 257), (4200, 4096), (4200, 4097)];
        for ((splits, features), categories) in shapes.into_iter().flat_map(|shape| [(shape, 0), (shape, 100)]) {
            let tree = chain(splits, features, categories);
            let counts: &[u32] =
                if features > 1000 { &[600] } else { &[0, 1, 5, 6, 7, 15, 16, 17, 100, 1023, 1024, 1025] };
            for (rows, some_missing) in counts.iter().flat_map(|&rows| [(rows, false), (rows, true)]) {
                let value = |index: u32| match index {
                    index if some_missing && index.is_multiple_of(11) => f32::NAN.copysign((index % 2) as f32 - 0.5),
                    index if index.is_multiple_of(13) => -0.0,
                    index if index.is_multiple_of(17) => f32::INFINITY,
                    index => (index * 7 % (splits + 2)) as f32 * 0.5 - 0.5,
                };
                let word = |index: u32| match index {
                    index if categories == 0 || index % features % 2 == 0 => value(index).to_bits(),
                    index if some_missing && index.is_multiple_of(11) => MISSING,
                    index => index * 7 % categories,
                };
                let words = (0..rows * features).map(word).collect();
                let rows = RowBits::of_words(words, features as usize);
                let one_by_one: Vec<u32> = rows
                    .iter()
                    .map(|row| {
                        let mut place = tree.root();
                        while !place.is_leaf() {
                            place = tree.steps().step::<false>(place.0, row);
                        }
                        place.leaf() as u32
                    })
                    .collect();
                let mut many = vec![7; 3];
                slots.of(&tree, features as usize, rows.len()).leaves(&rows, &mut tile, &mut many);
                assert_eq!(many, one_by_one, "{} rows through {splits} splits, {categories} categories", rows.len());
                let mut plain = vec![0; rows.len()];
                tree.walk(rows.words(), rows.features(), &mut plain);
                assert_eq!(
                    plain,
                    one_by_one,
                    "{} rows through {splits} splits, {categories} categories, plain",
                    rows.len()
                );
                for (row, leaf) in rows.iter().zip(&one_by_one) {
                    leaves_of_row(std::slice::from_ref(&tree), row, &mut alone);
                    assert_eq!(alone, [*leaf], "a row alone through {splits} splits");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "rows lack feature Some(4)")]
    fn a_tree_is_not_laid_out_for_rows_that_lack_its_features() {
        Slots::default().of(&chain(9, 5, 0), 4, 100);
    }

    #[test]
    #[should_panic(expected = "laid out for other rows")]
    fn a_tree_is_not_walked_by_other_rows_than_it_was_laid_out_for() {
        let (tree, mut slots, mut found) = (chain(9, 5, 0), Slots::default(), Vec::new());
        let rows = RowBits::of_words(vec![0; 400], 4);
        slots.of(&tree, 5, 100).leaves(&rows, &mut Tile::default(), &mut found);
    }

    #[test]
    fn a_tree_comes_back_as_it_was() {
        let features = [feature(0), feature(100)];
        let mut bytes = Vec::new();
        example().write(&mut Writer::default(), &features, &mut |piece| bytes.extend_from_slice(piece));
        assert_eq!(Tree::read(&mut Reader::new(&bytes), &features, 1).unwrap(), example());
        for end in 0..bytes.len() {
            assert!(Tree::read(&mut Reader::new(&bytes[..end]), &features, 1).is_err());
        }
        // The category set belongs to the second feature; a numeric one in its place does not suit it.
        assert!(Tree::read(&mut Reader::new(&bytes), &[feature(0), feature(0)], 1).is_err());
        assert!(Tree::read(&mut Reader::new(&bytes), &[feature(0)], 1).is_err());
    }
}
