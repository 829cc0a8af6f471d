//! A forest as the sections of a model file.
//!
//! | section | what |
//! |---|---|
//! | `HEAD` | the beginning of the body: kind, schema, parameters, range, rows, numbers of the trees |
//! | `TREE` | of each tree: its splits u32, its words of category sets u32 |
//! | `SPLT` | the splits of all trees as they are in memory, 12 bytes each |
//! | `CUTS` | in their place where the file is compressed: without the links, which follow from the rest |
//! | `SETS` | category sets, where there are any |
//! | `CODE` | the row of each leaf, u32; left out where each leaf has a row of its own, which takes less |
//! | `ROWS` | rows of numbers that leaves say, `width` f64 each; or `ENDS`, `PLCS`, `VALS`: those that are not zero |
//! | `IMPT` | the importances of each tree, f64 |
//! | `FROM` | the SHA-256 of what the forest was grown from; not of the body, left out where it is not known |

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::grown_from::GrownFrom;
use super::leaves::{Leaves, Rows, Seen, is_dense};
use super::node::{MOST_FEATURES, Node};
use super::split::{categories_of, set_words};
use super::tree::Tree;
use super::{Forest, ForestParams};
use crate::error::{Error, Result};
use crate::ml::codec::{ModelSchema, Reader, Writer};
use crate::ml::model_file::{Name, Section, Sections, wrong};
use crate::ml::store::{Store, bytes_of};

const TREES: Name = *b"TREE";
const SPLITS: Name = *b"SPLT";
const CUTS: Name = *b"CUTS";
const SETS: Name = *b"SETS";
const CODES: Name = *b"CODE";
const ROWS: Name = *b"ROWS";
const ENDS: Name = *b"ENDS";
const PLACES: Name = *b"PLCS";
const VALUES: Name = *b"VALS";
const IMPORTANCES: Name = *b"IMPT";
const FROM: Name = *b"FROM";

/// What stands before the trees.
#[derive(Debug)]
struct Head {
    schema: ModelSchema,
    params: ForestParams,
    ranges: Vec<[f64; 2]>,
    rows: u32,
    first: u32,
}

impl Head {
    /// Reads all but the number of trees.
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let schema = reader.any_schema()?;
        let params = reader.text()?;
        let params: ForestParams =
            serde_json::from_str(&params).map_err(|cause| reader.damaged("unknown parameters").with_source(cause))?;
        params.check(schema.task)?;
        let ranges = schema.places().iter().map(|_| Ok([reader.f64()?, reader.f64()?])).collect::<Result<_>>()?;
        let Ok(rows) = u32::try_from(reader.varint()?) else { return Err(reader.damaged("too many rows")) };
        let first = reader.varint()?;
        let Some(first) = u32::try_from(first).ok().filter(|first| *first < params.n_estimators) else {
            return Err(reader.damaged(format_args!("tree {first} of {}", params.n_estimators)));
        };
        Ok(Self { schema, params, ranges, rows, first })
    }

    fn check(&self, trees: usize, reader: &Reader<'_>) -> Result<()> {
        let most = self.params.n_estimators - self.first;
        if trees > most as usize {
            return Err(reader.damaged(format_args!("{trees} trees where there can be {most}")));
        }
        let features = self.schema.features.len();
        if trees == 0 || features == 0 || features >= MOST_FEATURES {
            return Err(reader.damaged("a forest without trees or features"));
        }
        Ok(())
    }

    fn width(&self) -> usize {
        self.schema.width()
    }

    fn forest(self, trees: Vec<Tree>, grown_from: Option<GrownFrom>) -> Forest {
        let Self { schema, params, ranges, rows, first } = self;
        Forest { schema, params, rows, grown_from, first, trees, ranges, out_of_bag: None }
    }
}

impl Forest {
    /// The body up to its trees.
    pub(in crate::ml) fn head(&self) -> Result<Vec<u8>> {
        let params = serde_json::to_string(&self.params)
            .map_err(|cause| Error::internal("write", "a forest's parameters").with_source(cause))?;
        let mut writer = Writer::default();
        writer.schema(&self.schema);
        writer.text(&params);
        self.ranges.iter().flatten().for_each(|bound| writer.f64(*bound));
        writer.varint(u64::from(self.rows));
        writer.varint(u64::from(self.first));
        writer.varint(self.trees.len() as u64);
        Ok(writer.finish())
    }

    /// Reads a whole body back.
    pub(in crate::ml) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let head = Head::read(reader)?;
        let count = reader.count(5)?;
        head.check(count, reader)?;
        let width = head.width();
        let trees = (0..count).map(|_| Tree::read(reader, &head.schema.features, width)).collect::<Result<_>>()?;
        Ok(head.forest(trees, None))
    }

    /// The sections of a file but the first.
    pub(in crate::ml) fn sections(&self, compressed: bool) -> Result<Vec<Section<'_>>> {
        let sizes: Vec<u32> =
            self.trees.iter().flat_map(|tree| [tree.splits().len() as u32, tree.sets().len() as u32]).collect();
        let mut sections = vec![owned(TREES, &sizes)];
        sections.push(if compressed {
            let cuts: Vec<[u32; 2]> = self.trees.iter().flat_map(Tree::splits).map(|node| node.cut()).collect();
            owned(CUTS, &cuts).compressed(8)?
        } else {
            Section::plain(SPLITS, self.trees.iter().map(|tree| bytes_of(tree.splits())).collect())
        });
        if self.trees.iter().any(|tree| !tree.sets().is_empty()) {
            let sets = Section::plain(SETS, self.trees.iter().map(|tree| bytes_of(tree.sets())).collect());
            sections.push(packed(sets, 8, compressed)?);
        }
        for (section, stride) in self.leaf_sections() {
            sections.push(packed(section, stride, compressed)?);
        }
        let importances: Vec<f64> = self.trees.iter().flat_map(|tree| &tree.importances).copied().collect();
        sections.push(packed(owned(IMPORTANCES, &importances), 8, compressed)?);
        if let Some(GrownFrom(digest)) = &self.grown_from {
            sections.push(Section::plain(FROM, vec![Cow::Borrowed(digest)]));
        }
        Ok(sections)
    }

    /// What the leaves of all trees say, and what a number of each section takes: the same whether the trees were grown
    /// or read.
    fn leaf_sections(&self) -> Vec<(Section<'_>, usize)> {
        if self.width() > 1 {
            let (codes, rows) = shared_rows(&self.trees, self.width());
            let mut sections = vec![(owned(CODES, &codes), 4)];
            match &rows {
                Rows::Dense(values) => sections.push((owned(ROWS, values), 8)),
                Rows::Sparse { ends, places, values } => {
                    sections.extend([(owned(ENDS, ends), 4), (owned(PLACES, places), 4), (owned(VALUES, values), 8)]);
                }
            }
            return sections;
        }
        let Some((numbers, distinct)) = shared_numbers(&self.trees) else {
            let pieces = self.trees.iter().map(|tree| match tree.leaves().numbers() {
                Cow::Borrowed(numbers) => bytes_of(numbers),
                Cow::Owned(numbers) => Cow::Owned(bytes_of(&numbers).into_owned()),
            });
            return vec![(Section::plain(ROWS, pieces.collect()), 8)];
        };
        let codes = |tree: &Tree| -> Vec<u32> {
            tree.leaves().numbers().iter().map(|value| numbers[&value.to_bits()]).collect()
        };
        let codes: Vec<Vec<u32>> = self.trees.par_iter().map(codes).collect();
        let pieces = codes.into_iter().map(|codes| Cow::Owned(bytes_of(&codes).into_owned()));
        vec![(Section::plain(CODES, pieces.collect()), 4), (owned(ROWS, &distinct), 8)]
    }

    /// Reads a forest from its file, whose first section `reader` has begun.
    pub(in crate::ml) fn of_sections(reader: &mut Reader<'_>, sections: &Sections) -> Result<Self> {
        let head = Head::read(reader)?;
        let sizes = sections.numbers::<u32>(TREES)?;
        let count = reader.varint()?;
        if count.checked_mul(2) != Some(sizes.len() as u64) {
            return Err(wrong(TREES, format_args!("the sizes of {} trees, and there are {count}", sizes.len() / 2)));
        }
        head.check(count as usize, reader)?;
        let parts = Parts::read(sections, &head, &sizes)?;
        let trees = (0..count as usize).into_par_iter().map(|tree| parts.tree(tree)).collect::<Result<_>>()?;
        let grown_from = if sections.has(FROM) { Some(read_grown_from(sections)?) } else { None };
        Ok(head.forest(trees, grown_from))
    }
}

fn read_grown_from(sections: &Sections) -> Result<GrownFrom> {
    let bytes = sections.bytes(FROM, 1)?;
    let digest = bytes.as_ref().try_into();
    digest.map(GrownFrom).map_err(|_| wrong(FROM, format_args!("{} bytes where a digest has 32", bytes.len())))
}

fn packed(section: Section<'_>, stride: usize, compressed: bool) -> Result<Section<'_>> {
    if compressed { section.compressed(stride) } else { Ok(section) }
}

/// A section of numbers that live nowhere else.
fn owned<T: crate::ml::store::Plain>(name: Name, values: &[T]) -> Section<'static> {
    Section::plain(name, vec![Cow::Owned(bytes_of(values).into_owned())])
}

/// The distinct numbers of all leaves ascending, and the place of each among them, by its bits; none where it takes less
/// to write the number of each leaf.
fn shared_numbers(trees: &[Tree]) -> Option<(HashMap<u64, u32>, Vec<f64>)> {
    let most = trees.iter().map(Tree::leaf_count).sum::<usize>() / 2;
    let add = |mut seen: HashSet<u64>, tree: &Tree| {
        // More than that will not be used.
        if seen.len() < most {
            seen.extend(tree.leaves().numbers().iter().map(|value| value.to_bits()));
        }
        seen
    };
    let join = |mut all: HashSet<u64>, mut others: HashSet<u64>| {
        if all.len() < others.len() {
            std::mem::swap(&mut all, &mut others);
        }
        all.extend(others);
        all
    };
    let seen = trees.par_iter().fold(HashSet::new, add).reduce(HashSet::new, join);
    if seen.len() >= most {
        return None;
    }
    let mut distinct: Vec<f64> = seen.into_iter().map(f64::from_bits).collect();
    distinct.par_sort_unstable_by(f64::total_cmp);
    Some((distinct.iter().map(|value| value.to_bits()).zip(0..).collect(), distinct))
}

/// Distinct rows in the order in which leaves first say them.
fn shared_rows(trees: &[Tree], width: usize) -> (Vec<u32>, Rows) {
    const NEW: u32 = u32::MAX;
    let (mut rows, mut seen) = (Rows::new(width), Seen::default());
    let mut codes = Vec::with_capacity(trees.iter().map(Tree::leaf_count).sum());
    let mut row = vec![0.0; width];
    let mut known = Vec::new();
    for tree in trees {
        let leaves = tree.leaves();
        known.clear();
        known.resize(leaves.rows(), NEW);
        for leaf in 0..leaves.count() as u32 {
            let code = &mut known[leaves.row_of(leaf)];
            if *code == NEW {
                leaves.copy(leaf, &mut row);
                *code = seen.number(&mut rows, &row);
            }
            codes.push(*code);
        }
    }
    (codes, rows)
}

/// The sections of a forest, and where each tree begins in them.
#[derive(Debug)]
struct Parts {
    begins: Vec<Begin>,
    splits: Splits,
    sets: Store<u64>,
    codes: Option<Store<u32>>,
    rows: Rows,
    importances: Store<f64>,
    /// Of each feature the words of a category set; none for numbers.
    words: Vec<Option<usize>>,
    width: usize,
}

#[derive(Debug)]
enum Splits {
    Whole(Store<Node>),
    Cuts(Store<[u32; 2]>),
}

/// What comes before a tree.
#[derive(Debug, Clone, Copy, Default)]
struct Begin {
    splits: usize,
    leaves: usize,
    sets: usize,
}

impl Parts {
    fn read(sections: &Sections, head: &Head, sizes: &[u32]) -> Result<Self> {
        let width = head.width();
        let mut begins = vec![Begin::default()];
        let mut begin = Begin::default();
        for size in sizes.chunks_exact(2) {
            let (splits, sets) = (size[0] as usize, size[1] as usize);
            begin = Begin {
                splits: begin.splits.saturating_add(splits),
                leaves: begin.leaves.saturating_add(splits).saturating_add(1),
                sets: begin.sets.saturating_add(sets),
            };
            begins.push(begin);
        }
        let (name, splits, found) = if sections.has(CUTS) {
            let cuts = sections.numbers::<[u32; 2]>(CUTS)?;
            let found = cuts.len();
            (CUTS, Splits::Cuts(cuts), found)
        } else {
            let splits = sections.numbers::<Node>(SPLITS)?;
            let found = splits.len();
            (SPLITS, Splits::Whole(splits), found)
        };
        agree(name, found, begin.splits)?;
        let sets = if sections.has(SETS) { sections.numbers(SETS)? } else { Store::default() };
        agree(SETS, sets.len(), begin.sets)?;
        let codes = if sections.has(CODES) { Some(sections.numbers::<u32>(CODES)?) } else { None };
        let rows = read_rows(sections, width)?;
        match &codes {
            Some(codes) => {
                agree(CODES, codes.len(), begin.leaves)?;
                check_codes(codes, rows.count(width))?;
            }
            None if width == 1 => agree(ROWS, rows.count(width), begin.leaves)?,
            None => return Err(wrong(CODES, "there is none")),
        }
        let importances = sections.numbers(IMPORTANCES)?;
        let features = &head.schema.features;
        agree(IMPORTANCES, importances.len(), features.len().saturating_mul(sizes.len() / 2))?;
        check_numbers(IMPORTANCES, &importances)?;
        let words = features.iter().map(|feature| categories_of(feature).map(set_words)).collect();
        Ok(Self { begins, splits, sets, codes, rows, importances, words, width })
    }

    fn tree(&self, number: usize) -> Result<Tree> {
        let (begin, end) = (self.begins[number], self.begins[number + 1]);
        let (name, splits) = match &self.splits {
            Splits::Whole(splits) => (SPLITS, Ok(splits.part(begin.splits, end.splits))),
            Splits::Cuts(cuts) => (CUTS, Node::linked(&cuts[begin.splits..end.splits]).map(Store::from)),
        };
        let leaves = match &self.codes {
            Some(codes) => Leaves::of(self.width, Some(codes.part(begin.leaves, end.leaves)), self.rows.clone()),
            None => Leaves::of(self.width, None, self.rows.part(begin.leaves, end.leaves)),
        };
        let features = self.words.len();
        let importances = self.importances[number * features..][..features].to_vec();
        let sets = self.sets.part(begin.sets, end.sets);
        splits
            .and_then(|splits| Tree::of(splits, leaves, sets, importances, &self.words))
            .map_err(|reason| wrong(name, format_args!("tree {number}: {reason}")))
    }
}

fn agree(name: Name, found: usize, wanted: usize) -> Result<()> {
    if found == wanted { Ok(()) } else { Err(wrong(name, format_args!("{found} items where {wanted} are said"))) }
}

fn check_numbers(name: Name, values: &[f64]) -> Result<()> {
    match values.par_iter().with_min_len(1 << 16).find_any(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(wrong(name, format_args!("{value} where a number must be"))),
    }
}

fn check_codes(codes: &[u32], rows: usize) -> Result<()> {
    match codes.par_chunks(1 << 16).filter_map(|codes| codes.iter().max()).max() {
        Some(&most) if most as usize >= rows => Err(wrong(CODES, format_args!("row {most} of {rows}"))),
        _ => Ok(()),
    }
}

fn read_rows(sections: &Sections, width: usize) -> Result<Rows> {
    if is_dense(width) {
        let values = sections.numbers::<f64>(ROWS)?;
        agree(ROWS, values.len() % width, 0)?;
        check_numbers(ROWS, &values)?;
        return Ok(Rows::Dense(values));
    }
    let ends = sections.numbers::<u32>(ENDS)?;
    let places = sections.numbers::<u32>(PLACES)?;
    let values = sections.numbers::<f64>(VALUES)?;
    check_numbers(VALUES, &values)?;
    agree(PLACES, places.len(), values.len())?;
    agree(ENDS, ends.last().map_or(0, |end| *end as usize), values.len())?;
    let mut begin = 0;
    for &end in &*ends {
        let row = if begin <= end { places.get(begin as usize..end as usize) } else { None };
        let Some(row) = row else { return Err(wrong(ENDS, format_args!("a row from {begin} to {end}"))) };
        let ascending = row.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || row.last().is_some_and(|place| *place as usize >= width) {
            return Err(wrong(PLACES, format_args!("{row:?} in a row of {width}")));
        }
        begin = end;
    }
    Ok(Rows::Sparse { ends, places, values })
}
