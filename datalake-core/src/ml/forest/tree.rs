//! One tree: twelve bytes a node in preorder, leaf values and category sets beside them.

use crate::error::Result;
use crate::ml::codec::{Reader, Writer};
use crate::ml::feature::{Feature, FeatureKind, MISSING};

const LEAF: u32 = 0;
const NUMERIC: u32 = 1;
const CATEGORICAL: u32 = 2;
const KIND_BITS: u32 = 2;
const MISSING_LEFT: u32 = 1 << KIND_BITS;
const FEATURE_SHIFT: u32 = KIND_BITS + 1;
/// The most features that a node can name.
pub(super) const MOST_FEATURES: usize = 1 << (32 - FEATURE_SHIFT);

/// A node. The left child of a split is the next node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    /// The kind, where missing values go, and the feature.
    head: u32,
    /// A leaf's number, a threshold's bits, or where a category set begins.
    payload: u32,
    /// The right child; zero for a leaf.
    right: u32,
}

impl Node {
    fn kind(self) -> u32 {
        self.head & (MISSING_LEFT - 1)
    }

    fn feature(self) -> usize {
        (self.head >> FEATURE_SHIFT) as usize
    }

    fn missing_left(self) -> bool {
        self.head & MISSING_LEFT != 0
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
    if value.is_nan() { missing_left } else { value <= threshold }
}

fn category_goes_left(code: u32, left: &[u64], missing_left: bool) -> bool {
    if code == MISSING { missing_left } else { left[(code / 64) as usize] >> (code % 64) & 1 == 1 }
}

/// The words of a set of so many categories.
pub(super) fn set_words(categories: usize) -> usize {
    categories.div_ceil(64)
}

/// One tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// `width` numbers a leaf, in the order of the leaves.
    leaves: Vec<f64>,
    sets: Vec<u64>,
    width: usize,
    /// The impurity decrease by each feature, as shares of this tree's sum.
    pub(super) importances: Vec<f64>,
}

impl Tree {
    pub(super) fn new(width: usize, features: usize) -> Self {
        Self { nodes: Vec::new(), leaves: Vec::new(), sets: Vec::new(), width, importances: vec![0.0; features] }
    }

    /// Adds a leaf as the next node in preorder.
    pub(super) fn push_leaf(&mut self, values: &[f64]) {
        let payload = (self.leaves.len() / self.width) as u32;
        self.leaves.extend_from_slice(values);
        self.nodes.push(Node { head: LEAF, payload, right: 0 });
    }

    /// Adds a split as the next node in preorder and gives its number, for [`Tree::set_right`].
    pub(super) fn push_split(&mut self, split: &Split) -> u32 {
        let (kind, payload, missing_left) = match split {
            Split::Numeric { threshold, missing_left, .. } => (NUMERIC, threshold.to_bits(), *missing_left),
            Split::Categorical { left, missing_left, .. } => {
                let begin = self.sets.len() as u32;
                self.sets.extend_from_slice(left);
                (CATEGORICAL, begin, *missing_left)
            }
        };
        let head = (split.feature() as u32) << FEATURE_SHIFT | if missing_left { MISSING_LEFT } else { 0 } | kind;
        self.nodes.push(Node { head, payload, right: 0 });
        self.nodes.len() as u32 - 1
    }

    /// Says that the next node is the right child of `parent`.
    pub(super) fn set_right(&mut self, parent: u32) {
        self.nodes[parent as usize].right = self.nodes.len() as u32;
    }

    /// The number of nodes, leaves included.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What the leaf says that a row ends in; `row` has one feature's bits after the other.
    pub(super) fn leaf_of(&self, row: &[u32]) -> &[f64] {
        let mut at = 0;
        loop {
            let node = self.nodes[at];
            let left = match node.kind() {
                LEAF => break,
                NUMERIC => number_goes_left(row[node.feature()], f32::from_bits(node.payload), node.missing_left()),
                _ => category_goes_left(row[node.feature()], &self.sets[node.payload as usize..], node.missing_left()),
            };
            at = if left { at + 1 } else { node.right as usize };
        }
        let begin = self.nodes[at].payload as usize * self.width;
        &self.leaves[begin..begin + self.width]
    }

    /// Writes the tree in preorder: the links between nodes follow from it and are not stored.
    pub(super) fn write(&self, writer: &mut Writer, features: &[Feature]) {
        writer.varint(self.nodes.len() as u64);
        for node in &self.nodes {
            writer.varint(u64::from(node.head));
            match node.kind() {
                LEAF => {
                    let begin = node.payload as usize * self.width;
                    self.leaves[begin..begin + self.width].iter().for_each(|value| writer.f64(*value));
                }
                NUMERIC => writer.u32(node.payload),
                _ => {
                    let begin = node.payload as usize;
                    let words = set_words(categories_of(&features[node.feature()]).unwrap_or(0));
                    self.sets[begin..begin + words].iter().for_each(|word| writer.u64(*word));
                }
            }
        }
        writer.f64s(&self.importances);
    }

    /// Reads a tree back, refusing whatever [`Tree::leaf_of`] could not walk.
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
        if !complete {
            return Err(reader.damaged("a tree ends before its last leaf"));
        }
        tree.importances = reader.f64s()?;
        if tree.importances.len() != features.len() {
            let found = tree.importances.len();
            return Err(reader.damaged(format_args!("{found} importances for {} features", features.len())));
        }
        Ok(tree)
    }
}

fn categories_of(feature: &Feature) -> Option<usize> {
    match &feature.kind {
        FeatureKind::Numeric { .. } => None,
        FeatureKind::Categorical { categories } => Some(categories.len()),
    }
}

/// The split that follows `head`; none for a leaf.
fn read_split(reader: &mut Reader<'_>, features: &[Feature], head: u64) -> Result<Option<Split>> {
    if head == u64::from(LEAF) {
        return Ok(None);
    }
    let Ok(word) = u32::try_from(head) else { return Err(reader.damaged("a node of no kind")) };
    let node = Node { head: word, payload: 0, right: 0 };
    let (index, missing_left) = (node.feature(), node.missing_left());
    let Some(feature) = features.get(index) else {
        return Err(reader.damaged(format_args!("a split by feature {index} of {}", features.len())));
    };
    let index = index as u32;
    match (node.kind(), categories_of(feature)) {
        (NUMERIC, None) => Ok(Some(Split::Numeric { feature: index, threshold: reader.f32()?, missing_left })),
        (CATEGORICAL, Some(categories)) => {
            let left = (0..set_words(categories)).map(|_| reader.u64()).collect::<Result<_>>()?;
            Ok(Some(Split::Categorical { feature: index, left, missing_left }))
        }
        _ => Err(reader.damaged(format_args!("a split that does not suit feature `{}`", feature.name))),
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
    fn a_node_takes_twelve_bytes() {
        assert_eq!(size_of::<Node>(), 12);
    }

    #[test]
    fn rows_end_in_the_leaf_that_the_splits_say() {
        let tree = example();
        let leaf = |number: f32, code: u32| tree.leaf_of(&[number.to_bits(), code])[0] as u32;
        let found = [leaf(1.5, 0), leaf(2.0, 70), leaf(2.0, 3), leaf(f32::NAN, 70), leaf(2.0, MISSING)];
        assert_eq!(found, [10, 20, 30, 20, 20]);
    }

    #[test]
    fn a_tree_comes_back_as_it_was() {
        let features = [feature(0), feature(100)];
        let mut writer = Writer::default();
        example().write(&mut writer, &features);
        let bytes = writer.finish();
        assert_eq!(Tree::read(&mut Reader::new(&bytes), &features, 1).unwrap(), example());
        for end in 0..bytes.len() {
            assert!(Tree::read(&mut Reader::new(&bytes[..end]), &features, 1).is_err());
        }
        // The category set belongs to the second feature; a numeric one in its place does not suit it.
        assert!(Tree::read(&mut Reader::new(&bytes), &[feature(0), feature(0)], 1).is_err());
        assert!(Tree::read(&mut Reader::new(&bytes), &[feature(0)], 1).is_err());
    }
}
