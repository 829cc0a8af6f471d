//! A split as trees hold it, in twelve bytes, and where it sends rows.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::ml::store::Plain;

/// Bits of a split's head, below its feature.
pub(super) const CATEGORICAL: u32 = 1;
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
    pub(super) head: u32,
    /// A threshold's bits, or where a category set begins.
    pub(super) payload: u32,
    /// The number of the left leaf, the right leaf after it; of the only leaf; or of the right split.
    pub(super) link: u32,
}

impl Plain for Node {
    const WORD: usize = 4;
}

impl Node {
    pub(super) fn is(self, bit: u32) -> bool {
        self.head & bit != 0
    }

    pub(super) fn feature(self) -> usize {
        (self.head >> FEATURE_SHIFT) as usize
    }

    /// Where the left and the right rows go from here, the split number `at`.
    pub(super) fn children(self, at: u32) -> [Place; 2] {
        let (left_leaf, right_leaf) = (self.is(LEFT_IS_LEAF), self.is(RIGHT_IS_LEAF));
        let left = if left_leaf { self.link | Place::LEAF } else { at + 1 };
        let right = match (left_leaf, right_leaf) {
            (_, true) => (self.link + u32::from(left_leaf)) | Place::LEAF,
            (true, false) => at + 1,
            (false, false) => self.link,
        };
        [Place(left), Place(right)]
    }

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
    pub(super) fn is_sound(self, words: &[Option<usize>], sets: usize) -> bool {
        match (words.get(self.feature()), self.is(CATEGORICAL)) {
            (Some(None), false) => !f32::from_bits(self.payload).is_nan(),
            (Some(Some(words)), true) => sets.checked_sub(*words).is_some_and(|last| self.payload as usize <= last),
            _ => false,
        }
    }
}

/// Goes through the heads of splits in preorder and tells the link that each must have; it ends where that is denied.
pub(super) fn follow(
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
pub(super) struct Place(pub(super) u32);

impl Place {
    pub(super) const LEAF: u32 = 1 << 31;

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

/// The most leaves of a tree: a bit of their number says that they are leaves.
pub(super) const MOST_LEAVES: usize = Place::LEAF as usize;
