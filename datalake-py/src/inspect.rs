//! What can be seen of a forest: leaves and paths of rows, trees in arrays, what lies in a leaf.

use arrow::array::RecordBatch;
use arrow::datatypes::{ArrowNativeType, ToByteSlice};
use datalake_core::ml::forest::{DecisionPath, Forest, LeafStatistics, TreeView};
use datalake_core::ml::{ExactColumns, FeatureKind, Frame, Model as AnyModel, categorical_features};
use datalake_core::{Error, ErrorKind, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::forest::texts;

/// The forest that a model is.
pub(crate) fn forest_of(model: &dyn AnyModel) -> Result<&Forest> {
    model.as_forest().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "look into", format_args!("a `{}` model", model.name()))
            .with_reason("only forests have trees")
    })
}

/// Values as bytes, which NumPy takes without knowing of this module.
pub(crate) fn bytes_of<'py, T: ArrowNativeType>(py: Python<'py>, values: &[T]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, values.to_byte_slice())
}

/// Where rows begin, which nodes they pass, and where trees begin.
pub(crate) type Path<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Vec<u32>);

pub(crate) fn path<'py>(py: Python<'py>, path: &DecisionPath) -> Path<'py> {
    (bytes_of(py, &path.indptr), bytes_of(py, &path.indices), path.n_nodes_ptr.clone())
}

/// The arrays of a tree by name, children and features with scikit-learn's numbers for what is not there.
pub(crate) fn tree<'py>(py: Python<'py>, forest: &Forest, number: usize) -> Result<PyResult<Bound<'py, PyDict>>> {
    let tree = forest.tree(number)?;
    Ok(arrays(py, forest, &tree))
}

fn arrays<'py>(py: Python<'py>, forest: &Forest, tree: &TreeView) -> PyResult<Bound<'py, PyDict>> {
    let or = |values: &[Option<u32>], none: i64| -> Vec<i64> {
        values.iter().map(|value| value.map_or(none, i64::from)).collect()
    };
    let arrays = PyDict::new(py);
    arrays.set_item("feature", bytes_of(py, &or(&tree.feature, -2)))?;
    arrays.set_item("threshold", bytes_of(py, &tree.threshold))?;
    let missing: Vec<u8> = tree.missing_go_to_left.iter().map(|left| u8::from(*left)).collect();
    arrays.set_item("missing_go_to_left", PyBytes::new(py, &missing))?;
    arrays.set_item("children_left", bytes_of(py, &or(&tree.children_left, -1)))?;
    arrays.set_item("children_right", bytes_of(py, &or(&tree.children_right, -1)))?;
    arrays.set_item("value", bytes_of(py, &tree.value))?;
    let sets = PyDict::new(py);
    for (node, codes) in tree.categories_left.iter().enumerate() {
        let Some(feature) = tree.feature[node].map(|feature| &forest.features()[feature as usize]) else { continue };
        if let FeatureKind::Categorical { categories } = &feature.kind {
            let names: Vec<&str> = codes.iter().map(|code| categories[*code as usize].as_str()).collect();
            sets.set_item(node, names)?;
        }
    }
    arrays.set_item("categories_left", sets)?;
    Ok(arrays)
}

/// What lies in the leaves of a tree, from the rows and the target that it was grown from.
pub(crate) fn leaf_statistics(model: &dyn AnyModel, number: usize, measured: &Measured) -> Result<LeafStatistics> {
    forest_of(model)?.leaf_statistics(number, &measured.frame(model)?)
}

/// How often a tree has drawn each row, from the rows and the target that it was grown from.
pub(crate) fn draws_of(model: &dyn AnyModel, number: usize, measured: &Measured) -> Result<Vec<u32>> {
    forest_of(model)?.draws_of(number, &measured.frame(model)?)
}

/// Rows with the target that a model is measured by, and what columns were that were rounded.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) batch: RecordBatch,
    pub(crate) exact: ExactColumns,
    /// What rows weigh, where they do not weigh the same.
    pub(crate) weights: Option<Vec<f64>>,
}

impl Measured {
    /// The table that the model may have been grown from.
    pub(crate) fn frame(&self, model: &dyn AnyModel) -> Result<Frame> {
        let names: Vec<&str> = model.features().iter().map(|feature| feature.name.as_str()).collect();
        let batch = categorical_features(&self.batch, &categories_of(model))?;
        let targets: Vec<String> = model.outputs().into_iter().map(|output| output.name).collect();
        let frame = Frame::of_targets(&batch, &names, &texts(&targets), model.task())?.with_exact(&self.exact);
        match &self.weights {
            Some(weights) => frame.with_weights(weights.clone()),
            None => Ok(frame),
        }
    }
}

/// The features that a model takes for categories.
pub(crate) fn categories_of(model: &dyn AnyModel) -> Vec<&str> {
    let features = model.features().iter();
    let categorical = features.filter(|feature| matches!(feature.kind, FeatureKind::Categorical { .. }));
    categorical.map(|feature| feature.name.as_str()).collect()
}

pub(crate) fn leaves<'py>(py: Python<'py>, found: &LeafStatistics) -> PyResult<Bound<'py, PyDict>> {
    let arrays = PyDict::new(py);
    arrays.set_item("node", bytes_of(py, &found.node))?;
    arrays.set_item("rows", bytes_of(py, &found.rows))?;
    arrays.set_item("draws", bytes_of(py, &found.draws))?;
    arrays.set_item("mean", bytes_of(py, &found.mean))?;
    arrays.set_item("least", bytes_of(py, &found.least))?;
    arrays.set_item("greatest", bytes_of(py, &found.greatest))?;
    Ok(arrays)
}
