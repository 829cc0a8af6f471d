//! One tree: twelve bytes a split in preorder, leaf values and category sets beside them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::leaves::Leaves;
#[cfg(target_arch = "x86_64")]
use super::walk;
use crate::error::Result;
use crate::ml::codec::{Reader, Writer};
use crate::ml::feature::{Feature, FeatureKind, MISSING};
use crate::ml::store::{Plain, Store};

/// Bits of a split's head, below its feature.
const CATEGORICAL: u32 = 1;
pub(super) const MISSING_LEFT: u32 = 1 << 1;
pub(super) const LEFT_IS_LEAF: u32 = 1 << 2;
pub(super) const RIGHT_IS_LEAF: u32 = 1 << 3;
pub(super) const FEATURE_SHIFT: u32 = 4;
/// The most features that a split can name.
pub(super) const MOST_FEATURES: usize = 1 << (32 - FEATURE_SHIFT);

/// A split. Its left child, or its right one if the left is a leaf, is the next split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Node {
    /// The feature, and what the children are.
    head: u32,
    /// A threshold's bits, or where a category set begins.
    payload: u32,
    /// The number of the left leaf, the right leaf after it; of the only leaf; or of the right split.
    link: u32,
}

impl Plain for Node {
    const WORD: usize = 4;
}

impl Node {
    fn is(self, bit: u32) -> bool {
        self.head & bit != 0
    }

    fn feature(self) -> usize {
        (self.head >> FEATURE_SHIFT) as usize
    }

    /// Where the left and the right rows go from here, the split number `at`.
    fn children(self, at: u32) -> [Place; 2] {
        let (left_leaf, right_leaf) = (self.is(LEFT_IS_LEAF), self.is(RIGHT_IS_LEAF));
        let left = if left_leaf { self.link | Place::LEAF } else { at + 1 };
        let right = match (left_leaf, right_leaf) {
            (_, true) => (self.link + u32::from(left_leaf)) | Place::LEAF,
            (true, false) => at + 1,
            (false, false) => self.link,
        };
        [Place(left), Place(right)]
    }
}

impl Node {
    /// What a file must say of a split; its link follows.
    pub(super) fn cut(self) -> [u32; 2] {
        [self.head, self.payload]
    }

    /// Splits in preorder, from what a file says of them.
    pub(super) fn linked(cuts: &[[u32; 2]]) -> Result<Vec<Self>, String> {
        let mut nodes: Vec<Self> = cuts.iter().map(|&[head, payload]| Self { head, payload, link: 0 }).collect();
        follow(cuts.iter().map(|cut| cut[0]), |at, link| {
            nodes[at].link = link;
            true
        })?;
        Ok(nodes)
    }

    /// Whether the split suits its feature: `words` has the words of a set for each, none for a number. The tree has
    /// so many of them.
    fn is_sound(self, words: &[Option<usize>], sets: usize) -> bool {
        match (words.get(self.feature()), self.is(CATEGORICAL)) {
            (Some(None), false) => !f32::from_bits(self.payload).is_nan(),
            (Some(Some(words)), true) => sets.checked_sub(*words).is_some_and(|last| self.payload as usize <= last),
            _ => false,
        }
    }
}

/// Goes through the heads of splits in preorder and tells the link that each must have; it ends where that is denied.
fn follow(
    heads: impl ExactSizeIterator<Item = u32>,
    mut link: impl FnMut(usize, u32) -> bool,
) -> Result<(), &'static str> {
    const ASTRAY: Result<(), &str> = Err("a split that leads astray");
    if heads.len() >= MOST_LEAVES {
        return Err("a tree of too many splits");
    }
    // Splits whose left side is under way, and whether their right child is a leaf.
    let mut waiting: Vec<(u32, bool)> = Vec::new();
    let mut leaves = 0;
    let mut complete = heads.len() == 0;
    for (next, head) in (1_u32..).zip(heads) {
        if complete {
            return Err("a tree that goes on after its last leaf");
        }
        let right_leaf = head & RIGHT_IS_LEAF != 0;
        if head & LEFT_IS_LEAF == 0 {
            waiting.push((next - 1, right_leaf));
            continue;
        }
        if !link(next as usize - 1, leaves) {
            return ASTRAY;
        }
        leaves += 1;
        if !right_leaf {
            continue;
        }
        leaves += 1;
        // Nothing is open below; those that wait get their right child.
        loop {
            let Some((parent, is_leaf)) = waiting.pop() else {
                complete = true;
                break;
            };
            if !link(parent as usize, if is_leaf { leaves } else { next }) {
                return ASTRAY;
            }
            if !is_leaf {
                break;
            }
            leaves += 1;
        }
    }
    if complete { Ok(()) } else { Err("a tree that ends before its last leaf") }
}

/// Where a step leads: a split's number, or a leaf's with the highest bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    const LEAF: u32 = 1 << 31;

    pub(super) fn is_leaf(self) -> bool {
        self.0 & Self::LEAF != 0
    }

    /// The split's number, if it is one.
    pub(super) fn split(self) -> u32 {
        self.0
    }

    pub(super) fn leaf(self) -> usize {
        (self.0 & !Self::LEAF) as usize
    }
}

/// A node of a tree: a split's number in preorder, or a leaf's from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeRef {
    Split(u32),
    Leaf(u32),
}

impl From<Place> for NodeRef {
    fn from(place: Place) -> Self {
        if place.is_leaf() { Self::Leaf(place.leaf() as u32) } else { Self::Split(place.0) }
    }
}

/// How a node parts its rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Split {
    /// Values up to the threshold go left.
    Numeric { feature: u32, threshold: f32, missing_left: bool },
    /// Categories whose bit is set go left.
    Categorical { feature: u32, left: Vec<u64>, missing_left: bool },
}

impl Split {
    pub(super) fn feature(&self) -> usize {
        match self {
            Self::Numeric { feature, .. } | Self::Categorical { feature, .. } => *feature as usize,
        }
    }

    /// Sends missing values to a side.
    pub(super) fn send_missing(&mut self, to_left: bool) {
        match self {
            Self::Numeric { missing_left, .. } | Self::Categorical { missing_left, .. } => *missing_left = to_left,
        }
    }

    /// Moves a category, or the missing ones, to the other side.
    pub(super) fn toggle(&mut self, code: u32) {
        match self {
            Self::Categorical { left, .. } if code != MISSING => left[(code / 64) as usize] ^= 1 << (code % 64),
            Self::Numeric { missing_left, .. } | Self::Categorical { missing_left, .. } => {
                *missing_left = !*missing_left;
            }
        }
    }

    /// Where a row with these bits in the split's feature goes. Growing and predicting both ask here.
    pub(super) fn goes_left(&self, bits: u32) -> bool {
        match self {
            Self::Numeric { threshold, missing_left, .. } => number_goes_left(bits, *threshold, *missing_left),
            Self::Categorical { left, missing_left, .. } => category_goes_left(bits, left, *missing_left),
        }
    }
}

fn number_goes_left(bits: u32, threshold: f32, missing_left: bool) -> bool {
    let value = f32::from_bits(bits);
    (value <= threshold) | (value.is_nan() & missing_left)
}

fn category_goes_left(code: u32, left: &[u64], missing_left: bool) -> bool {
    if code == MISSING { missing_left } else { left[(code / 64) as usize] >> (code % 64) & 1 == 1 }
}

/// The words of a set of so many categories.
pub(super) fn set_words(categories: usize) -> usize {
    categories.div_ceil(64)
}

/// The most leaves of a tree: a bit of their number says that they are leaves.
pub(super) const MOST_LEAVES: usize = Place::LEAF as usize;

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

    /// A tree of the parts of a file, refusing whatever [`Tree::leaves_of`] could not walk.
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

    fn root(&self) -> Place {
        Place(if self.splits.is_empty() { Place::LEAF } else { 0 })
    }

    /// The leaves that rows end in. `rows` has `features` words a row.
    pub(super) fn leaves_of(&self, rows: &[u32], features: usize, found: &mut Vec<u32>) {
        found.clear();
        #[cfg(target_arch = "x86_64")]
        if self.sets.is_empty() && walk::suits(self.splits.len(), features) {
            let mut leaves = [0; walk::ROWS];
            let splits = &*self.splits;
            for group in rows.chunks_exact(walk::ROWS * features) {
                // SAFETY: trees are made by `push_split` and `push_leaf`, in preorder and to the end, or were checked
                // by `follow`, so links lead to splits and leaves; `features` are those of the forest, which its
                // splits were checked against.
                unsafe { walk::leaves(splits, group, features, &mut leaves) };
                found.extend_from_slice(&leaves);
            }
        }
        self.walk(&rows[found.len() * features..], features, found);
    }

    /// Several rows are under way at a time, so that one need not wait for the memory of the other; one that arrives
    /// makes room for the next.
    fn walk(&self, rows: &[u32], features: usize, found: &mut Vec<u32>) {
        const TOGETHER: usize = 6;
        let count = rows.len() / features;
        let begin = found.len();
        found.resize(begin + count, 0);
        if self.root().is_leaf() {
            return;
        }
        let found = &mut found[begin..];
        let steps = self.steps();
        let mut under_way = [(self.root(), 0_usize); TOGETHER];
        let mut next = count.min(TOGETHER);
        (0..).zip(&mut under_way).for_each(|(row, lane)| lane.1 = row);
        let mut open = next;
        while open == TOGETHER {
            for lane in &mut under_way {
                let (place, row) = *lane;
                let place = steps.step(place.0, &rows[row * features..][..features]);
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
                place = steps.step(place.0, &rows[row * features..][..features]);
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
    pub(super) fn add_leaves<'a>(&self, sums: impl Iterator<Item = &'a mut [f64]>, leaves: &[u32]) {
        self.leaves.add(sums, leaves);
    }

    /// How much it adds to a model file that is not compressed, at most.
    pub(super) fn bytes(&self) -> u64 {
        let numbers = self.sets.len() + self.importances.len() + 1;
        (self.splits.len() * size_of::<Node>() + numbers * size_of::<u64>()) as u64 + self.leaves.bytes()
    }

    /// Hands the tree to `sink` in preorder: the links between nodes follow from it and are not stored.
    pub(super) fn write(&self, writer: &mut Writer, features: &[Feature], sink: &mut dyn FnMut(&[u8])) {
        // A leaf of many classes is long, and there are many.
        const PIECE: usize = 1 << 16;
        writer.varint(self.len() as u64);
        let mut leaf = vec![0.0; self.leaves.width()];
        let (splits, sets) = (&*self.splits, &*self.sets);
        let mut open = vec![self.root()];
        while let Some(place) = open.pop() {
            if writer.bytes().len() >= PIECE {
                sink(writer.bytes());
                writer.clear();
            }
            if place.is_leaf() {
                writer.varint(0);
                self.leaves.copy(place.leaf() as u32, &mut leaf);
                leaf.iter().for_each(|value| writer.f64(*value));
                continue;
            }
            let node = splits[place.0 as usize];
            let kind = 1 + (node.head & (CATEGORICAL | MISSING_LEFT));
            writer.varint(((node.feature() as u64) << HEAD_SHIFT) | u64::from(kind));
            if node.is(CATEGORICAL) {
                let begin = node.payload as usize;
                let words = set_words(categories_of(&features[node.feature()]).unwrap_or(0));
                sets[begin..begin + words].iter().for_each(|word| writer.u64(*word));
            } else {
                writer.u32(node.payload);
            }
            let [left, right] = node.children(place.0);
            open.extend([right, left]);
        }
        writer.f64s(&self.importances);
        sink(writer.bytes());
        writer.clear();
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

    /// Reads a tree back, refusing whatever [`Tree::leaves_of`] could not walk.
    pub(super) fn read(reader: &mut Reader<'_>, features: &[Feature], width: usize) -> Result<Self> {
        let count = reader.count(5)?;
        let mut tree = Self::new(width, 0);
        let mut open = Vec::new();
        let mut complete = false;
        for _ in 0..count {
            if complete {
                return Err(reader.damaged("a tree goes on after its last leaf"));
            }
            let head = reader.varint()?;
            match read_split(reader, features, head)? {
                Some(split) => open.push(tree.push_split(&split)),
                None => {
                    let values = (0..width).map(|_| reader.f64()).collect::<Result<Vec<_>>>()?;
                    tree.push_leaf(&values);
                    match open.pop() {
                        Some(parent) => tree.set_right(parent),
                        None => complete = true,
                    }
                }
            }
        }
        if !complete || tree.leaf_count() > MOST_LEAVES {
            return Err(reader.damaged("a tree ends before its last leaf"));
        }
        tree.importances = reader.f64s()?;
        if tree.importances.len() != features.len() {
            let found = tree.importances.len();
            return Err(reader.damaged(format_args!("{found} importances for {} features", features.len())));
        }
        tree.shrink();
        Ok(tree)
    }
}

/// What rows are walked through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'a> {
    splits: &'a [Node],
    sets: &'a [u64],
}

impl Steps<'_> {
    /// Where a row begins; none in a tree that is but a leaf.
    pub(super) fn begin(self) -> Option<u32> {
        (!self.splits.is_empty()).then_some(0)
    }

    /// One step of a row, which has one feature's bits after the other, from a split.
    ///
    /// Which way rows go cannot be foretold, so there are no branches but for categories.
    #[inline(always)]
    pub(super) fn step(self, at: u32, row: &[u32]) -> Place {
        let node = self.splits[at as usize];
        let bits = row[node.feature()];
        let missing_left = node.is(MISSING_LEFT);
        let left = if node.is(CATEGORICAL) {
            category_goes_left(bits, &self.sets[node.payload as usize..], missing_left)
        } else {
            number_goes_left(bits, f32::from_bits(node.payload), missing_left)
        };
        let (left_leaf, right_leaf) = (node.is(LEFT_IS_LEAF), node.is(RIGHT_IS_LEAF));
        let next = if left | left_leaf { at.wrapping_add(1) } else { node.link };
        // The right leaf comes after the left one.
        let leaf = node.link.wrapping_add(u32::from(!left & left_leaf)) | Place::LEAF;
        Place(if (left & left_leaf) | (!left & right_leaf) { leaf } else { next })
    }
}

/// Bits of a node's head in a file, below the feature: the kind, one more than its flags, or zero for a leaf.
const HEAD_SHIFT: u32 = 3;

pub(super) fn categories_of(feature: &Feature) -> Option<usize> {
    match &feature.kind {
        FeatureKind::Numeric { .. } => None,
        FeatureKind::Categorical { categories } => Some(categories.len()),
    }
}

/// The split that follows `head`; none for a leaf.
fn read_split(reader: &mut Reader<'_>, features: &[Feature], head: u64) -> Result<Option<Split>> {
    if head == 0 {
        return Ok(None);
    }
    let flags = match head & ((1 << HEAD_SHIFT) - 1) {
        kind @ 1..=4 => kind as u32 - 1,
        _ => return Err(reader.damaged("a node of no kind")),
    };
    let missing_left = flags & MISSING_LEFT != 0;
    let index = head >> HEAD_SHIFT;
    let Some(feature) = usize::try_from(index).ok().and_then(|index| features.get(index)) else {
        return Err(reader.damaged(format_args!("a split by feature {index} of {}", features.len())));
    };
    let index = index as u32;
    match (flags & CATEGORICAL != 0, categories_of(feature)) {
        (false, None) => Ok(Some(Split::Numeric { feature: index, threshold: reader.f32()?, missing_left })),
        (true, Some(categories)) => {
            let left = (0..set_words(categories)).map(|_| reader.u64()).collect::<Result<_>>()?;
            Ok(Some(Split::Categorical { feature: index, left, missing_left }))
        }
        _ => Err(reader.damaged(format_args!("a split that does not suit feature `{}`", feature.name))),
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
        tree.leaves_of(&rows, 2, &mut leaves);
        let found: Vec<u32> = leaves.iter().map(|leaf| tree.leaf(*leaf)[0] as u32).collect();
        assert_eq!(found, [10, 20, 30, 20, 20]);
    }

    /// A tree as deep as it gets: each split has a leaf on the side that its number says.
    fn chain(splits: u32, features: u32) -> Tree {
        let mut tree = Tree::new(1, features as usize);
        let mut open = Vec::new();
        for number in 0..splits {
            let (threshold, missing_left) = (number as f32 * 0.5, number.is_multiple_of(3));
            let split = tree.push_split(&Split::Numeric { feature: number % features, threshold, missing_left });
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
        for (splits, features) in [(1, 1), (2, 3), (40, 3), (101, 7)] {
            let tree = chain(splits, features);
            for rows in [0_u32, 1, 5, 6, 7, 31, 32, 33, 100] {
                let value =
                    |index: u32| if index.is_multiple_of(11) { f32::NAN } else { (index * 7 % 64) as f32 - 1.0 };
                let words: Vec<u32> = (0..rows * features).map(|index| value(index).to_bits()).collect();
                let one_by_one: Vec<u32> = words
                    .chunks_exact(features as usize)
                    .map(|row| {
                        let mut place = tree.root();
                        let steps = Steps { splits: &tree.splits, sets: &tree.sets };
                        while !place.is_leaf() {
                            place = steps.step(place.0, row);
                        }
                        place.leaf() as u32
                    })
                    .collect();
                let mut many = vec![7; 3];
                tree.leaves_of(&words, features as usize, &mut many);
                assert_eq!(many, one_by_one, "{rows} rows through {splits} splits");
                let mut plain = Vec::new();
                tree.walk(&words, features as usize, &mut plain);
                assert_eq!(plain, one_by_one, "{rows} rows through {splits} splits, plain");
            }
        }
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
