//! What is seen of a forest agrees with what it predicts.

use arrow::array::RecordBatch;

use super::columns::Cells;
use super::sample::Sampler;
use super::*;
use crate::error::ErrorKind;
use crate::ml::conformance::{FEATURES, foods};
use crate::ml::feature::{FeatureKind, MISSING};
use crate::ml::{Frame, Target};
use crate::progress::Silent;

fn frame(rows: usize, task: Task) -> Frame {
    let target = if task == Task::Regression { "kcal" } else { "group" };
    Frame::new(&foods(rows, 1), &FEATURES, target, task).unwrap()
}

fn fit(frame: &Frame, bootstrap: bool) -> Forest {
    let params = ForestParams { n_estimators: 6, bootstrap, seed: 4, ..ForestParams::default() };
    ForestTrainer::new(frame.task(), params).unwrap().fit(frame, &Silent).unwrap()
}

/// The nodes that a row passes, step by step through the arrays.
fn steps(tree: &TreeView, cells: &[Cells], row: usize) -> Vec<u32> {
    let mut path = vec![0];
    loop {
        let node = path[path.len() - 1] as usize;
        let Some(feature) = tree.feature[node] else { return path };
        let bits = cells[feature as usize].bits(row);
        let left = match &cells[feature as usize] {
            Cells::Numeric(values) if values[row].is_nan() => tree.missing_go_to_left[node],
            Cells::Numeric(values) => values[row] <= tree.threshold[node],
            Cells::Categorical(_) if bits == MISSING => tree.missing_go_to_left[node],
            Cells::Categorical(_) => tree.categories_left[node].contains(&bits),
        };
        path.extend(if left { tree.children_left[node] } else { tree.children_right[node] });
    }
}

fn cells(forest: &Forest, rows: &RecordBatch) -> Vec<Cells> {
    encode(&forest.schema.features, rows).unwrap().iter().map(Cells::of).collect()
}

#[test]
fn leaves_and_paths_are_those_that_the_trees_in_arrays_lead_to() {
    for task in [Task::Regression, Task::Classification] {
        let forest = fit(&frame(300, task), true);
        // More rows than one thread walks at a time.
        let rows = foods(5000, 2);
        let cells = cells(&forest, &rows);
        let trees: Vec<TreeView> = (0..6).map(|tree| forest.tree(tree).unwrap()).collect();
        let (leaves, path) = (forest.apply(&rows).unwrap(), forest.decision_path(&rows).unwrap());
        assert_eq!((leaves.len(), path.indptr.len(), path.n_nodes_ptr.len()), (5000 * 6, 5001, 7));
        assert_eq!(path.n_nodes_ptr[6] as usize, forest.nodes());
        for row in 0..5000 {
            let by_tree: Vec<Vec<u32>> = trees.iter().map(|tree| steps(tree, &cells, row)).collect();
            let last: Vec<u32> = by_tree.iter().map(|path| path[path.len() - 1]).collect();
            assert_eq!(leaves[row * 6..][..6], last);
            let columns: Vec<u32> = by_tree
                .iter()
                .zip(&path.n_nodes_ptr)
                .flat_map(|(path, first)| path.iter().map(move |node| first + node))
                .collect();
            let [begin, end] = [path.indptr[row], path.indptr[row + 1]].map(|at| at as usize);
            assert_eq!(path.indices[begin..end], columns, "row {row}");
        }
    }
}

#[test]
fn the_mean_of_the_leaves_is_the_prediction() {
    let forest = fit(&frame(200, Task::Classification), true);
    let rows = foods(70, 3);
    let leaves = forest.apply(&rows).unwrap();
    let shares = forest.predict_proba(&rows).unwrap();
    let trees: Vec<TreeView> = (0..6).map(|tree| forest.tree(tree).unwrap()).collect();
    for (leaves, shares) in leaves.chunks_exact(6).zip(shares.chunks_exact(3)) {
        for (class, share) in shares.iter().enumerate() {
            let of_tree = |(tree, leaf): (&TreeView, &u32)| tree.value[*leaf as usize * 3 + class];
            let sum: f64 = trees.iter().zip(leaves).map(of_tree).sum();
            assert_eq!((sum / 6.0).to_bits(), share.to_bits());
        }
    }
}

#[test]
fn a_tree_in_arrays_hangs_together() {
    let forest = fit(&frame(300, Task::Regression), true);
    let mut by_categories = 0;
    for number in 0..forest.trees() {
        let tree = forest.tree(number).unwrap();
        let mut seen = vec![0; tree.node_count()];
        for node in 0..tree.node_count() {
            let leaf = tree.feature[node].is_none();
            assert_eq!(leaf, tree.children_left[node].is_none() && tree.children_right[node].is_none());
            assert_eq!(leaf, tree.value[node].is_finite());
            let Some(feature) = tree.feature[node] else { continue };
            let [left, right] = [tree.children_left[node], tree.children_right[node]].map(Option::unwrap);
            assert!(left as usize == node + 1 && right > left);
            seen[left as usize] += 1;
            seen[right as usize] += 1;
            match &forest.features()[feature as usize].kind {
                FeatureKind::Numeric { .. } => {
                    assert!(!tree.threshold[node].is_nan() && tree.categories_left[node].is_empty());
                }
                FeatureKind::Categorical { categories } => {
                    by_categories += 1;
                    assert!(tree.threshold[node].is_nan() && tree.categories_left[node].is_sorted());
                    assert!(tree.categories_left[node].iter().all(|code| (*code as usize) < categories.len()));
                }
            }
        }
        assert!(seen[0] == 0 && seen[1..].iter().all(|count| *count == 1));
    }
    assert!(by_categories > 0);
}

#[test]
fn leaves_hold_what_their_tree_has_drawn() {
    for (task, bootstrap) in [(Task::Regression, true), (Task::Classification, true), (Task::Regression, false)] {
        let table = frame(300, task);
        let forest = fit(&table, bootstrap);
        let leaves_of_rows = forest.apply(&foods(300, 1)).unwrap();
        for number in 0..forest.trees() {
            let (tree, found) = (forest.tree(number).unwrap(), forest.leaf_statistics(number, &table).unwrap());
            let draws = Sampler::new(&forest.params, &table).unwrap().counts(number as u32);
            assert_eq!(found.draws.iter().sum::<u64>(), 300);
            for (leaf, node) in found.node.iter().enumerate() {
                let inside = |row: &usize| draws[*row] > 0 && leaves_of_rows[row * 6 + number] == *node;
                let rows: Vec<usize> = (0..300).filter(inside).collect();
                assert_eq!(found.rows[leaf] as usize, rows.len());
                assert_eq!(found.draws[leaf], rows.iter().map(|row| u64::from(draws[*row])).sum::<u64>());
                let width = tree.n_outputs;
                assert_eq!(found.mean[leaf * width..][..width], tree.value[*node as usize * width..][..width]);
                if let Target::Numbers(values) = table.target() {
                    let reach = |fold: fn(f64, f64) -> f64| rows.iter().map(|row| values[*row]).reduce(fold);
                    assert_eq!(Some(found.least[leaf]), reach(f64::min));
                    assert_eq!(Some(found.greatest[leaf]), reach(f64::max));
                }
            }
        }
    }
}

#[test]
fn leaves_weigh_their_rows() {
    let weights: Vec<f64> = (0..300).map(|row| f64::from(row % 7) * 0.3).collect();
    for task in [Task::Regression, Task::Classification] {
        let table = frame(300, task).with_weights(weights.clone()).unwrap();
        let forest = fit(&table, true);
        for number in 0..forest.trees() {
            let (tree, found) = (forest.tree(number).unwrap(), forest.leaf_statistics(number, &table).unwrap());
            let width = tree.n_outputs;
            for (mean, node) in found.mean.chunks_exact(width).zip(&found.node) {
                for (mean, value) in mean.iter().zip(&tree.value[*node as usize * width..]) {
                    assert!((mean - value).abs() <= 1e-9 * value.abs(), "{mean} is not {value}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_there_is_refused() {
    let table = frame(100, Task::Regression);
    let forest = fit(&table, true);
    let error = forest.tree(6).unwrap_err();
    assert_eq!(error.to_string(), "cannot look at tree 6: the forest has 6 trees, counted from 0");
    assert!(forest.leaf_statistics(6, &table).is_err());
    let error = forest.leaf_statistics(0, &frame(101, Task::Regression)).unwrap_err();
    assert!(error.to_string().contains("not the one that it was grown from"), "{error}");
    let error = forest.apply(&foods(5, 1).project(&[0, 1]).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let path = forest.decision_path(&foods(5, 1).slice(0, 0)).unwrap();
    assert_eq!((path.indptr, path.indices), (vec![0], vec![]));
}
