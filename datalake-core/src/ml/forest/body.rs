//! Trees in the canonical body of a model: nodes in preorder, whose links follow from it.

use super::node::{CATEGORICAL, MISSING_LEFT, MOST_LEAVES};
use super::split::{Split, categories_of, set_words};
use super::tree::Tree;
use crate::error::Result;
use crate::ml::codec::{Reader, Writer};
use crate::ml::feature::Feature;

/// Bits of a node's head in a file, below the feature: the kind, one more than its flags, or zero for a leaf.
const HEAD_SHIFT: u32 = 3;

impl Tree {
    /// Hands the tree to `sink` in preorder: the links between nodes follow from it and are not stored.
    pub(super) fn write(&self, writer: &mut Writer, features: &[Feature], sink: &mut dyn FnMut(&[u8])) {
        // A leaf of many classes is long, and there are many.
        const PIECE: usize = 1 << 16;
        writer.varint(self.len() as u64);
        let mut leaf = vec![0.0; self.leaves().width()];
        let (splits, sets) = (self.splits(), self.sets());
        let mut open = vec![self.root()];
        while let Some(place) = open.pop() {
            if writer.bytes().len() >= PIECE {
                sink(writer.bytes());
                writer.clear();
            }
            if place.is_leaf() {
                writer.varint(0);
                self.leaves().copy(place.leaf() as u32, &mut leaf);
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

    /// Reads a tree back, refusing whatever could not be walked.
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
