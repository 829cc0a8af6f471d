//! What can be seen of a grown forest: its trees in arrays, the leaves and paths of rows, and what lies in a leaf.
//!
//! Nodes are numbered as scikit-learn numbers those of its trees: in preorder, a split before its left child, all
//! nodes on the left before the right child; the root is 0.

use std::iter::successors;

use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::Forest;
use super::columns::Cells;
use super::node::NodeRef;
use super::row_bits::RowBits;
use super::sample::Sampler;
use super::split::Split;
use super::tree::Tree;
use super::walk::{Slots, Tile};
use crate::error::{Error, ErrorKind, Result};
use crate::ml::feature::encode;
use crate::ml::target::parts;
use crate::ml::{Frame, Target, Task};

/// Rows that are walked through all trees by one thread.
const BLOCK: usize = 4096;

/// One tree in arrays, one entry a node.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use datalake_core::ml::forest::{ForestParams, ForestTrainer};
/// use datalake_core::ml::{Frame, Task};
/// use datalake_core::progress::Silent;
///
/// # let table = RecordBatch::try_from_iter([
/// #     ("fat_g", Arc::new(Float64Array::from(vec![0.0, 1.0, 9.0, 10.0])) as ArrayRef),
/// #     ("kcal", Arc::new(Float64Array::from(vec![50.0, 50.0, 90.0, 90.0])) as ArrayRef),
/// # ])?;
/// let frame = Frame::new(&table, &["fat_g"], "kcal", Task::Regression)?;
/// let params = ForestParams { n_estimators: 1, bootstrap: false, ..ForestParams::default() };
/// let forest = ForestTrainer::new(Task::Regression, params)?.fit(&frame, &Silent)?;
///
/// let tree = forest.tree(0)?;
/// assert_eq!(tree.feature, [Some(0), None, None]);
/// assert_eq!((tree.threshold[0], tree.children_left[0], tree.children_right[0]), (5.0, Some(1), Some(2)));
/// assert_eq!(tree.value[1..], [50.0, 90.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TreeView {
    /// The feature that a split looks at, by its place in [`Model::features`](crate::ml::Model::features); none for a
    /// leaf.
    pub feature: Vec<Option<u32>>,
    /// Numbers up to it go left, others right, both rounded to `f32`; infinite where a split parts missing values from
    /// all others; NaN for a leaf and a split by categories.
    pub threshold: Vec<f32>,
    /// The codes of the categories that go left, rising; empty for a leaf and a split by numbers.
    pub categories_left: Vec<Vec<u32>>,
    /// Whether missing values, and categories never seen, go left.
    pub missing_go_to_left: Vec<bool>,
    /// The left child; none for a leaf.
    pub children_left: Vec<Option<u32>>,
    /// The right child; none for a leaf.
    pub children_right: Vec<Option<u32>>,
    /// What a leaf predicts, `n_outputs` numbers a node: a number, or the share of each class. NaN for a split.
    pub value: Vec<f64>,
    /// How many numbers a node has in `value`.
    pub n_outputs: usize,
}

impl TreeView {
    /// The number of nodes, leaves included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.feature.len()
    }
}

/// Which nodes rows pass on their way through all trees, as the sparse matrix (CSR) of scikit-learn's
/// `decision_path`: a row of the matrix for each row, a column for each node of each tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecisionPath {
    /// Where each row begins in `indices`, and where the last one ends.
    pub indptr: Vec<u64>,
    /// The columns of the nodes passed, rising: tree after tree, from the root to the leaf.
    pub indices: Vec<u32>,
    /// The column of each tree's root, and the number of columns.
    pub n_nodes_ptr: Vec<u32>,
}

/// What the rows in each leaf of a tree say of the target, leaves from left to right. Of a leaf without rows, which
/// only the wrong table has, they are NaN.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LeafStatistics {
    /// The leaf's number among the nodes of its tree.
    pub node: Vec<u32>,
    /// How many rows of the tree's sample lie in it; one drawn twice counts once.
    pub rows: Vec<u32>,
    /// How often these rows were drawn.
    pub draws: Vec<u64>,
    /// The mean of the target over the sample, or the share of each class, each draw by the weight of its row; as many
    /// numbers a leaf as [`TreeView::n_outputs`]. A leaf predicts it, but for a forest by absolute errors or with
    /// monotone constraints.
    pub mean: Vec<f64>,
    /// The least target in the sample, one a target; empty for a classification.
    pub least: Vec<f64>,
    /// The greatest target in the sample, one a target; empty for a classification.
    pub greatest: Vec<f64>,
}

/// A row of a tree's sample.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    row: usize,
    leaf: usize,
    draws: u32,
    /// That of the row, as often as it was drawn.
    weight: f64,
}

impl LeafStatistics {
    /// The numbers at one of `width` places. Sums are in row order, as they were when the tree was grown.
    fn look_at_numbers(&mut self, sample: &[Drawn], weights: &[f64], values: &[f64], (place, width): (usize, usize)) {
        let mut sums = vec![0.0; self.node.len()];
        for &Drawn { row, leaf, weight, .. } in sample {
            let (value, at) = (values[row], leaf * width + place);
            self.least[at] = self.least[at].min(value);
            self.greatest[at] = self.greatest[at].max(value);
            sums[leaf] += value * weight;
            // Where the sum is beyond the largest number, the mean is not.
            self.mean[at] += value * (weight / weights[leaf]);
        }
        for (leaf, sum) in sums.into_iter().enumerate() {
            let at = leaf * width + place;
            if self.rows[leaf] == 0 {
                (self.mean[at], self.least[at], self.greatest[at]) = (f64::NAN, f64::NAN, f64::NAN);
                continue;
            }
            let mean = sum / weights[leaf];
            let mean = if mean.is_finite() { mean } else { self.mean[at] };
            self.mean[at] = mean.max(self.least[at]).min(self.greatest[at]);
        }
    }

    /// The weights of classes, from one of `width` places on.
    fn look_at_classes(&mut self, sample: &[Drawn], codes: &[u32], (place, width): (usize, usize)) {
        for &Drawn { row, leaf, weight, .. } in sample {
            self.mean[leaf * width + place + codes[row] as usize] += weight;
        }
    }
}

impl Forest {
    /// One of the trees in arrays.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a tree that the forest does not have.
    pub fn tree(&self, number: usize) -> Result<TreeView> {
        let tree = self.tree_at(number)?;
        let (nodes, n_outputs) = (tree.len(), self.width());
        let mut view = TreeView {
            feature: vec![None; nodes],
            threshold: vec![f32::NAN; nodes],
            categories_left: vec![Vec::new(); nodes],
            missing_go_to_left: vec![false; nodes],
            children_left: vec![None; nodes],
            children_right: vec![None; nodes],
            value: vec![f64::NAN; nodes * n_outputs],
            n_outputs,
        };
        for (node, at) in tree.preorder().enumerate() {
            match at {
                NodeRef::Leaf(leaf) => view.value[node * n_outputs..][..n_outputs].copy_from_slice(&tree.leaf(leaf)),
                NodeRef::Split(split) => {
                    let split = tree.split(split, &self.schema.features);
                    view.feature[node] = Some(split.feature() as u32);
                    match split {
                        Split::Numeric { threshold, missing_left, .. } => {
                            view.threshold[node] = threshold;
                            view.missing_go_to_left[node] = missing_left;
                        }
                        Split::Categorical { left, missing_left, .. } => {
                            view.categories_left[node] = codes_of(&left);
                            view.missing_go_to_left[node] = missing_left;
                        }
                    }
                }
            }
        }
        for (node, parent) in (0_u32..).zip(Outline::of(tree).parent) {
            let Some(parent) = parent else { continue };
            let left = node == parent + 1;
            let child = if left { &mut view.children_left } else { &mut view.children_right };
            child[parent as usize] = Some(node);
        }
        Ok(view)
    }

    /// The leaf that each row ends in, in each tree: the number of its node, row-major, `rows x trees`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// # use datalake_core::ml::forest::{ForestParams, ForestTrainer};
    /// # use datalake_core::ml::{Frame, Task};
    /// # use datalake_core::progress::Silent;
    /// # let table = RecordBatch::try_from_iter([
    /// #     ("fat_g", Arc::new(Float64Array::from(vec![0.0, 1.0, 9.0, 10.0])) as ArrayRef),
    /// #     ("kcal", Arc::new(Float64Array::from(vec![50.0, 50.0, 90.0, 90.0])) as ArrayRef),
    /// # ])?;
    /// # let frame = Frame::new(&table, &["fat_g"], "kcal", Task::Regression)?;
    /// # let params = ForestParams { n_estimators: 2, bootstrap: false, ..ForestParams::default() };
    /// # let forest = ForestTrainer::new(Task::Regression, params)?.fit(&frame, &Silent)?;
    /// let leaves = forest.apply(&table)?;
    /// assert_eq!(leaves, [1, 1, 1, 1, 2, 2, 2, 2]);
    /// assert_eq!(forest.tree(1)?.value[leaves[7] as usize], 90.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for rows without a column that the forest needs, or with other values in it.
    pub fn apply(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let mut leaves = self.leaves(rows)?;
        let outlines = self.outlines();
        leaves.par_chunks_mut(self.trees.len()).for_each(|row| {
            row.iter_mut().zip(&outlines).for_each(|(leaf, outline)| *leaf = outline.leaves[*leaf as usize]);
        });
        Ok(leaves)
    }

    /// The nodes that each row passes, in each tree. It takes four bytes a node passed: ask for some thousand rows at
    /// a time where trees are deep.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// # use datalake_core::ml::forest::{ForestParams, ForestTrainer};
    /// # use datalake_core::ml::{Frame, Task};
    /// # use datalake_core::progress::Silent;
    /// # let table = RecordBatch::try_from_iter([
    /// #     ("fat_g", Arc::new(Float64Array::from(vec![0.0, 10.0])) as ArrayRef),
    /// #     ("kcal", Arc::new(Float64Array::from(vec![50.0, 90.0])) as ArrayRef),
    /// # ])?;
    /// # let frame = Frame::new(&table, &["fat_g"], "kcal", Task::Regression)?;
    /// # let params = ForestParams { n_estimators: 2, bootstrap: false, ..ForestParams::default() };
    /// # let forest = ForestTrainer::new(Task::Regression, params)?.fit(&frame, &Silent)?;
    /// let path = forest.decision_path(&table)?;
    /// assert_eq!(path.n_nodes_ptr, [0, 3, 6]);
    /// assert_eq!(path.indptr, [0, 4, 8]);
    /// assert_eq!(path.indices, [0, 1, 3, 4, 0, 2, 3, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Forest::apply`]; [`Unsupported`](ErrorKind::Unsupported) for more than 2^32 nodes;
    /// [`Exhausted`](ErrorKind::Exhausted) where there is no memory for the paths.
    pub fn decision_path(&self, rows: &RecordBatch) -> Result<DecisionPath> {
        let leaves = self.leaves(rows)?;
        let outlines = self.outlines();
        let n_nodes_ptr = self.n_nodes_ptr()?;
        let trees = self.trees.len();
        let passed = |row: &[u32]| -> u64 {
            row.iter().zip(&outlines).map(|(leaf, outline)| u64::from(outline.passed[*leaf as usize])).sum()
        };
        let mut indptr = vec![0; rows.num_rows() + 1];
        indptr[1..].par_iter_mut().zip(leaves.par_chunks(trees)).for_each(|(end, row)| *end = passed(row));
        for row in 1..indptr.len() {
            indptr[row] += indptr[row - 1];
        }
        let total = indptr[rows.num_rows()] as usize;
        let mut indices = Vec::new();
        indices.try_reserve_exact(total).map_err(|cause| {
            Error::new(ErrorKind::Exhausted, "follow", format_args!("{} rows through {trees} trees", rows.num_rows()))
                .with_reason(format_args!("they pass {total} nodes"))
                .with_hint("ask for fewer rows at a time")
                .with_source(cause)
        })?;
        indices.resize(total, 0);
        let mut rest = indices.as_mut_slice();
        let blocks: Vec<(&mut [u32], &[u32])> = leaves
            .chunks(BLOCK * trees)
            .enumerate()
            .map(|(block, leaves)| {
                let first = block * BLOCK;
                let length = (indptr[first + leaves.len() / trees] - indptr[first]) as usize;
                let (own, others) = std::mem::take(&mut rest).split_at_mut(length);
                rest = others;
                (own, leaves)
            })
            .collect();
        blocks.into_par_iter().for_each(|(mut indices, leaves)| {
            for row in leaves.chunks_exact(trees) {
                for ((leaf, outline), first) in row.iter().zip(&outlines).zip(&n_nodes_ptr) {
                    let (path, others) = indices.split_at_mut(outline.passed[*leaf as usize] as usize);
                    // From the leaf up, so from the end.
                    let up = successors(Some(outline.leaves[*leaf as usize]), |node| outline.parent[*node as usize]);
                    path.iter_mut().rev().zip(up).for_each(|(index, node)| *index = first + node);
                    indices = others;
                }
            }
        });
        Ok(DecisionPath { indptr, indices, n_nodes_ptr })
    }

    /// What lies in each leaf of one of the trees, from the table that the forest was grown from: which rows the tree
    /// has drawn follows from the seed.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// # use datalake_core::ml::forest::{ForestParams, ForestTrainer};
    /// # use datalake_core::ml::{Frame, Task};
    /// # use datalake_core::progress::Silent;
    /// # let table = RecordBatch::try_from_iter([
    /// #     ("fat_g", Arc::new(Float64Array::from(vec![0.0, 1.0, 9.0, 10.0])) as ArrayRef),
    /// #     ("kcal", Arc::new(Float64Array::from(vec![49.0, 51.0, 90.0, 90.0])) as ArrayRef),
    /// # ])?;
    /// # let frame = Frame::new(&table, &["fat_g"], "kcal", Task::Regression)?;
    /// # let params = ForestParams { n_estimators: 1, max_depth: Some(1), bootstrap: false, ..ForestParams::default() };
    /// # let forest = ForestTrainer::new(Task::Regression, params)?.fit(&frame, &Silent)?;
    /// let leaves = forest.leaf_statistics(0, &frame)?;
    /// assert_eq!((leaves.node, leaves.rows), (vec![1, 2], vec![2, 2]));
    /// assert_eq!((leaves.mean, leaves.least, leaves.greatest), (vec![50.0, 90.0], vec![49.0, 90.0], vec![51.0, 90.0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a tree that the forest does not have, and for a table that it was not
    /// grown from: with other rows, or the same in another order.
    pub fn leaf_statistics(&self, number: usize, table: &Frame) -> Result<LeafStatistics> {
        let tree = self.tree_at(number)?;
        let cells = self.cells_grown_from(table, "describe the leaves of")?;
        let leaves = self.leaves_of_cells(&cells, table.rows(), std::slice::from_ref(tree));
        let sampler = Sampler::new(&self.params, table)?;
        let counts = sampler.counts(self.first + number as u32);
        let by_class = match table.target() {
            Target::Labels { classes, codes } => sampler.of_tree(&counts, codes, classes.len()),
            Target::Numbers(_) => None,
        };
        let row_weight = |row: usize| by_class.as_ref().map_or_else(|| sampler.weights.at(row), |own| own[row]);
        let sample: Vec<Drawn> = (0..)
            .zip(leaves.iter().zip(&counts))
            .filter(|(_, (_, draws))| **draws > 0)
            .map(|(row, (leaf, draws))| {
                let weight = (row_weight(row) * i64::from(*draws)) as f64;
                Drawn { row, leaf: *leaf as usize, draws: *draws, weight }
            })
            .collect();
        let numbers = if table.task() == Task::Regression { tree.leaf_count() * self.width() } else { 0 };
        let mut found = LeafStatistics {
            node: Outline::of(tree).leaves,
            rows: vec![0; tree.leaf_count()],
            draws: vec![0; tree.leaf_count()],
            mean: vec![0.0; tree.leaf_count() * self.width()],
            least: vec![f64::INFINITY; numbers],
            greatest: vec![f64::NEG_INFINITY; numbers],
        };
        let mut weights = vec![0.0; tree.leaf_count()];
        for drawn in &sample {
            found.rows[drawn.leaf] += 1;
            found.draws[drawn.leaf] += u64::from(drawn.draws);
            weights[drawn.leaf] += drawn.weight;
        }
        for (places, target) in parts(table.targets()) {
            let place = (places.start, self.width());
            match target {
                Target::Numbers(values) => found.look_at_numbers(&sample, &weights, values, place),
                Target::Labels { codes, .. } => found.look_at_classes(&sample, codes, place),
            }
        }
        if table.task() == Task::Classification {
            for (shares, weight) in found.mean.chunks_exact_mut(self.width()).zip(&weights) {
                shares.iter_mut().for_each(|share| *share /= weight);
            }
        }
        Ok(found)
    }

    /// How often one of the trees has drawn each row of the table that it was grown from, which follows from the seed;
    /// once each without bootstrap, and never where a row weighs nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// # use datalake_core::ml::forest::{ForestParams, ForestTrainer};
    /// # use datalake_core::ml::{Frame, Task};
    /// # use datalake_core::progress::Silent;
    /// # let table = RecordBatch::try_from_iter([
    /// #     ("fat_g", Arc::new(Float64Array::from(vec![0.0, 1.0, 9.0, 10.0])) as ArrayRef),
    /// #     ("kcal", Arc::new(Float64Array::from(vec![49.0, 51.0, 90.0, 90.0])) as ArrayRef),
    /// # ])?;
    /// # let frame = Frame::new(&table, &["fat_g"], "kcal", Task::Regression)?;
    /// # let params = ForestParams { n_estimators: 1, ..ForestParams::default() };
    /// # let forest = ForestTrainer::new(Task::Regression, params)?.fit(&frame, &Silent)?;
    /// assert_eq!(forest.draws_of(0, &frame)?.iter().sum::<u32>(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Forest::leaf_statistics`].
    pub fn draws_of(&self, number: usize, table: &Frame) -> Result<Vec<u32>> {
        self.tree_at(number)?;
        self.cells_grown_from(table, "look at the draws of")?;
        Ok(Sampler::new(&self.params, table)?.counts(self.first + number as u32))
    }

    fn tree_at(&self, number: usize) -> Result<&Tree> {
        self.trees.get(number).ok_or_else(|| {
            Error::invalid("look at", format_args!("tree {number}"))
                .with_reason(format_args!("the forest has {} trees, counted from 0", self.trees.len()))
        })
    }

    /// The number among its tree's leaves of the one that each row ends in, row-major, `rows x trees`.
    fn leaves(&self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let columns = encode(&self.schema.features, rows)?;
        let cells: Vec<Cells> = columns.par_iter().map(Cells::of).collect();
        Ok(self.leaves_of_cells(&cells, rows.num_rows(), &self.trees))
    }

    fn leaves_of_cells(&self, cells: &[Cells], rows: usize, trees: &[Tree]) -> Vec<u32> {
        let mut leaves = vec![0; rows * trees.len()];
        leaves.par_chunks_mut(BLOCK * trees.len()).enumerate().for_each(|(block, leaves)| {
            let bits = RowBits::of(cells, block * BLOCK, leaves.len() / trees.len());
            let (mut slots, mut tile, mut found) = (Slots::default(), Tile::default(), Vec::new());
            for (number, tree) in trees.iter().enumerate() {
                slots.of(tree, cells.len(), bits.len()).leaves(&bits, &mut tile, &mut found);
                leaves[number..].iter_mut().step_by(trees.len()).zip(&found).for_each(|(place, leaf)| *place = *leaf);
            }
        });
        leaves
    }

    fn outlines(&self) -> Vec<Outline> {
        self.trees.par_iter().map(Outline::of).collect()
    }

    fn n_nodes_ptr(&self) -> Result<Vec<u32>> {
        let ends = self.trees.iter().scan(0_u64, |end, tree| {
            *end += tree.len() as u64;
            Some(*end)
        });
        let too_many = |_| {
            Error::new(ErrorKind::Unsupported, "number", format_args!("the {} nodes of a forest", self.nodes()))
                .with_reason("they have 32 bits, tree after tree")
                .with_hint("ask for the leaves instead")
        };
        std::iter::once(0).chain(ends).map(u32::try_from).collect::<std::result::Result<_, _>>().map_err(too_many)
    }
}

/// How the nodes of a tree hang together, by their numbers in preorder.
#[derive(Debug)]
struct Outline {
    /// By node.
    parent: Vec<Option<u32>>,
    /// The node of each leaf.
    leaves: Vec<u32>,
    /// How many nodes lie between the root and each leaf, both included.
    passed: Vec<u32>,
}

impl Outline {
    fn of(tree: &Tree) -> Self {
        let mut outline = Self {
            parent: Vec::with_capacity(tree.len()),
            leaves: vec![0; tree.leaf_count()],
            passed: vec![0; tree.leaf_count()],
        };
        // What comes next: the parent and the depth of the next node, and those of right children still to come.
        let mut next = (None, 1);
        let mut right = Vec::new();
        for (node, at) in (0_u32..).zip(tree.preorder()) {
            let (parent, depth) = next;
            outline.parent.push(parent);
            match at {
                NodeRef::Split(_) => {
                    next = (Some(node), depth + 1);
                    right.push(next);
                }
                NodeRef::Leaf(leaf) => {
                    outline.leaves[leaf as usize] = node;
                    outline.passed[leaf as usize] = depth;
                    next = right.pop().unwrap_or((None, 1));
                }
            }
        }
        outline
    }
}

fn codes_of(set: &[u64]) -> Vec<u32> {
    let bits = |(word, base): (&u64, u32)| {
        let word = *word;
        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| base + bit)
    };
    set.iter().zip((0..).step_by(64)).flat_map(bits).collect()
}
