//! Models: training, prediction and model files, beneath the estimators of `datalake.sklearn`.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Float64Type, Schema};
use datalake_core::ml::forest::{Forest, ForestTrainer};
use datalake_core::ml::{
    self, Compression, Envelope, FeatureKind, Frame, InputReport, Model as AnyModel, ModelFile, PermutationImportances,
    PermutationParams, Task, categorical_features, permutation_importance, rounding_note, trainer,
};
use datalake_core::pipeline::{model_card, open_model_file};
use datalake_core::progress::Progress;
use datalake_core::report::{card_html, card_markdown};
use datalake_core::{Error, ErrorKind, Result, compute};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::{Map, Value};

use crate::error::raised;
use crate::inspect::{self, Measured, bytes_of, categories_of, forest_of};
use crate::lake::{LakeLike, document, lake_path, put_file};
use crate::runtime::{Listener, wait, wait_with};
use crate::table::Table;

/// A learnt model.
#[pyclass(frozen, module = "datalake._datalake")]
#[derive(Debug)]
pub(crate) struct Model {
    model: Arc<dyn AnyModel>,
    envelope: Envelope,
    /// As its file says, or once it was computed.
    digest: OnceLock<String>,
}

/// Learns a model from rows and one or more targets of as many values; `params` are those of the forest, in JSON.
/// `categorical` are columns to take for categories; `weights` are native `float64`; `earlier` is a forest that lacks
/// trees only. Beside the model it says what columns lose by rounding.
#[pyfunction]
#[pyo3(signature = (rows, target, classification, params, categorical, weights=None, earlier=None))]
#[expect(clippy::too_many_arguments, reason = "one call, whose arguments have names in Python")]
pub(crate) fn train(
    py: Python<'_>,
    rows: &Bound<'_, Table>,
    target: &Bound<'_, Table>,
    classification: bool,
    params: &str,
    categorical: Vec<String>,
    weights: Option<&[u8]>,
    earlier: Option<&Bound<'_, Model>>,
) -> PyResult<(Model, Option<String>)> {
    let failed = |error: Error| raised(py, &error);
    let (rows, target) = (rows.get().shared(), target.get().shared());
    let params: Value = serde_json::from_str(params)
        .map_err(|cause| failed(Error::internal("read", "the parameters of a forest").with_source(cause)))?;
    let task = if classification { Task::Classification } else { Task::Regression };
    let weights = weights.map(numbers_of);
    let earlier = earlier.map(|earlier| Arc::clone(&earlier.get().model));
    let listener = Arc::<Listener>::default();
    let progress = Arc::clone(&listener);
    let (model, note) = wait_with(py, &listener, async move {
        let work = move || {
            let (mut frame, note) = frame(rows, &target, task, &categorical)?;
            if let Some(weights) = weights {
                frame = frame.with_weights(weights)?;
            }
            let model = match earlier.as_deref().and_then(AnyModel::as_forest) {
                Some(forest) => more_trees(forest, &frame, task, params, progress.as_ref())?,
                None => trainer("forest", task, &params)?.train(&frame, progress.as_ref())?,
            };
            Ok((model, note))
        };
        compute::run(work).await
    })?;
    let envelope = Envelope::default().with_out_of_bag(model.as_ref());
    Ok((Model { model: Arc::from(model), envelope, digest: OnceLock::new() }, note))
}

/// Native `float64`.
fn numbers_of(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|bytes| f64::from_ne_bytes(*bytes)).collect()
}

/// The table to grow a forest from, and what is lost by rounding. Rows that are held nowhere else go as soon as it is
/// there.
fn frame(rows: Table, target: &Table, task: Task, categorical: &[String]) -> Result<(Frame, Option<String>)> {
    let (batch, exact) = rows.rounded(categorical)?;
    drop(rows);
    let (batch, names) = joined(&batch, target)?;
    let batch = categorical_features(&batch, categorical)?;
    let note = rounding_note(exact.iter().map(|(name, column)| (name.as_str(), column.lost)));
    Ok((Frame::of_targets(&batch, &[], &texts(&names), task)?.with_exact(&exact), note))
}

fn more_trees(
    forest: &Forest,
    frame: &Frame,
    task: Task,
    params: Value,
    progress: &dyn Progress,
) -> Result<Box<dyn AnyModel>> {
    let params = serde_json::from_value(params)
        .map_err(|cause| Error::invalid("use", "the parameters of a forest").with_reason(cause))?;
    Ok(Box::new(ForestTrainer::new(task, params)?.fit_more(forest, frame, progress)?))
}

#[pymethods]
impl Model {
    /// Reads a model file.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, file: &[u8]) -> PyResult<Self> {
        let file = file.to_vec();
        wait(py, async move { compute::run(move || ModelFile::read(file)).await }).map(Self::of)
    }

    /// Opens a model file: a local one is mapped, an object of a lake is read.
    #[staticmethod]
    #[pyo3(signature = (path, lake=None))]
    fn open(py: Python<'_>, path: PathBuf, lake: Option<LakeLike<'_>>) -> PyResult<Self> {
        let file = match lake_path(&path) {
            None => wait(py, async move {
                let opened = compute::run(move || ModelFile::open(&path)).await;
                opened.map_err(|error| match error.kind() {
                    ErrorKind::NotFound => error.with_hint("a model of a lake is lake://models/NAME.model"),
                    _ => error,
                })
            })?,
            Some(path) => {
                let lake = LakeLike::open_or_default(lake, py)?;
                wait(py, async move { open_model_file(lake.as_ref(), &path).await })?
            }
        };
        Ok(Self::of(file))
    }

    /// The bytes of a model file, with further facts of its lineage by name, in JSON.
    #[pyo3(signature = (lineage="{}", compression="none"))]
    fn to_bytes<'py>(&self, py: Python<'py>, lineage: &str, compression: &str) -> PyResult<Bound<'py, PyBytes>> {
        let file = self.file(py, lineage, compression)?;
        Ok(PyBytes::new(py, &file))
    }

    /// Writes a model file, or an object of a lake, whole or not at all.
    #[pyo3(signature = (path, lake=None, lineage="{}", compression="none"))]
    fn save(
        &self,
        py: Python<'_>,
        path: PathBuf,
        lake: Option<LakeLike<'_>>,
        lineage: &str,
        compression: &str,
    ) -> PyResult<()> {
        let file = self.file(py, lineage, compression)?;
        put_file(py, path, file, lake)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Self>().getattr("from_bytes")?, (self.to_bytes(py, "{}", "none")?,)))
    }

    /// What it is for, learnt from, how good it is and where it comes from, as a page of Markdown or HTML.
    #[pyo3(signature = (title, html=false))]
    fn card(&self, py: Python<'_>, title: &str, html: bool) -> PyResult<String> {
        let card = model_card(title, self.model.as_ref(), &self.envelope, &self.digest(py)?);
        let page = if html { card_html(&card) } else { card_markdown(&card) };
        page.map_err(|error| raised(py, &error))
    }

    /// What a user should know of rows before they are predicted for: new categories, numbers out of range.
    fn check(&self, py: Python<'_>, rows: &Bound<'_, Table>) -> PyResult<Vec<String>> {
        let rows = rows.get();
        let checked = py.detach(|| {
            let mut report = InputReport::default();
            let mut add = |batch: &RecordBatch| report.add(self.model.features(), batch);
            // An error names a row of the whole.
            rows.batches().iter().try_for_each(&mut add).or_else(|_| add(&rows.batch()?))?;
            Ok(report.notes())
        });
        checked.map_err(|error: Error| raised(py, &error))
    }

    /// The trainer's name, such as `forest`.
    #[getter]
    fn name(&self) -> &'static str {
        self.model.name()
    }

    /// `regression` or `classification`.
    #[getter]
    fn task(&self) -> String {
        self.model.task().to_string()
    }

    /// The column that it predicts; of several, their names in a row.
    #[getter]
    fn target(&self) -> String {
        self.model.target().to_owned()
    }

    /// The columns that it needs, each with whether it is categorical.
    #[getter]
    fn features(&self) -> Vec<(String, bool)> {
        let categorical = |kind: &FeatureKind| matches!(kind, FeatureKind::Categorical { .. });
        self.model.features().iter().map(|feature| (feature.name.clone(), categorical(&feature.kind))).collect()
    }

    /// Each column that it predicts, with its class labels as text, in the order of the columns of `predict_proba`.
    #[getter]
    fn outputs(&self) -> Vec<(String, Vec<String>)> {
        self.model.outputs().into_iter().map(|output| (output.name, output.classes)).collect()
    }

    /// The parameters that it was trained with.
    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        document(py, &self.model.params())
    }

    /// What its file says of it: time, metrics, lineage, notes.
    #[getter]
    fn envelope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        document(py, &self.envelope)
    }

    /// The SHA-256 of its body: equal for equal tables, parameters and seeds, on every machine.
    #[getter]
    fn digest(&self, py: Python<'_>) -> PyResult<String> {
        if let Some(digest) = self.digest.get() {
            return Ok(digest.clone());
        }
        let model = Arc::clone(&self.model);
        let digest = wait(py, async move { compute::run(move || ml::digest(model.as_ref())).await })?;
        Ok(self.digest.get_or_init(|| digest).clone())
    }

    /// How much each feature contributes, summing to one.
    #[getter]
    fn importances(&self) -> Option<Vec<f64>> {
        self.model.importances()
    }

    /// R² or accuracy of the rows by the trees that have not seen them; none for a model from a file.
    #[getter]
    fn oob_score(&self) -> Option<f64> {
        self.model.out_of_bag().and_then(|seen| seen.score)
    }

    /// The out-of-bag predictions, or shares of the classes row by row, as native `float64`.
    #[getter]
    fn oob_predictions<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.model.out_of_bag().map(|seen| bytes_of(py, &seen.predictions))
    }

    /// One number a row and target, row by row, as native `float64`.
    fn predict<'py>(&self, py: Python<'py>, rows: &Bound<'py, Table>) -> PyResult<Bound<'py, PyBytes>> {
        let predicted = self.by_batch(py, rows.get(), |model, batch| {
            let predicted = model.predict(batch)?;
            let columns =
                predicted.as_struct_opt().map_or_else(|| vec![Arc::clone(&predicted)], |all| all.columns().to_vec());
            let columns: Option<Vec<_>> = columns.iter().map(AsArray::as_primitive_opt::<Float64Type>).collect();
            let columns = columns.ok_or_else(|| Error::internal("predict", "numbers by a model of classes"))?;
            let row = |row: usize| columns.iter().map(move |column| column.value(row));
            Ok((0..batch.num_rows()).flat_map(row).collect::<Vec<f64>>())
        })?;
        Ok(bytes_of(py, &predicted))
    }

    /// The share of each class of every target, row by row, as native `float64`.
    fn predict_proba<'py>(&self, py: Python<'py>, rows: &Bound<'py, Table>) -> PyResult<Bound<'py, PyBytes>> {
        let shares = self.by_batch(py, rows.get(), |model, batch| model.predict_proba(batch))?;
        Ok(bytes_of(py, &shares))
    }

    /// The number of trees.
    #[getter]
    fn trees(&self, py: Python<'_>) -> PyResult<usize> {
        forest_of(self.model.as_ref()).map(Forest::trees).map_err(|error| raised(py, &error))
    }

    /// The leaf of each row in each tree, row by row, as native `uint32`.
    fn apply<'py>(&self, py: Python<'py>, rows: &Bound<'py, Table>) -> PyResult<Bound<'py, PyBytes>> {
        let leaves = self.by_batch(py, rows.get(), |model, batch| forest_of(model)?.apply(batch))?;
        Ok(bytes_of(py, &leaves))
    }

    /// The nodes that each row passes, as a sparse matrix: where rows begin as native `uint64`, columns as native
    /// `uint32`, the column of each tree's root and the number of columns.
    fn decision_path<'py>(&self, py: Python<'py>, rows: &Bound<'py, Table>) -> PyResult<inspect::Path<'py>> {
        let path = self.with_rows(py, rows.get(), |model, batch| forest_of(model)?.decision_path(batch))?;
        Ok(inspect::path(py, &path))
    }

    /// One of the trees as native arrays by name, nodes in preorder.
    fn tree<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyDict>> {
        let tree = forest_of(self.model.as_ref()).and_then(|forest| inspect::tree(py, forest, number));
        tree.map_err(|error| raised(py, &error))?
    }

    /// How often one of the trees has drawn each row, from the rows and the target that it was grown from, as native
    /// `uint32`.
    fn draws_of<'py>(
        &self,
        py: Python<'py>,
        number: usize,
        rows: &Bound<'py, Table>,
        target: &Bound<'py, Table>,
        weights: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let measured = self.measured(rows.get(), target.get(), weights).map_err(|error| raised(py, &error))?;
        let model = Arc::clone(&self.model);
        let work = move || inspect::draws_of(model.as_ref(), number, &measured);
        Ok(bytes_of(py, &wait(py, compute::run(work))?))
    }

    /// What lies in the leaves of one of the trees, from the rows and the target that it was grown from, as native
    /// arrays by name.
    fn leaf_statistics<'py>(
        &self,
        py: Python<'py>,
        number: usize,
        rows: &Bound<'py, Table>,
        target: &Bound<'py, Table>,
        weights: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let measured = self.measured(rows.get(), target.get(), weights).map_err(|error| raised(py, &error))?;
        let model = Arc::clone(&self.model);
        let work = move || inspect::leaf_statistics(model.as_ref(), number, &measured);
        inspect::leaves(py, &wait(py, compute::run(work))?)
    }

    /// How much worse it predicts these rows when one column is shuffled; `params` in JSON.
    fn permutation_importance<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, Table>,
        target: &Bound<'py, Table>,
        params: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.importances_of(py, (rows, target, None), params, |model, rows, params, progress| {
            permutation_importance(model, &rows.batch, params, progress)
        })
    }

    /// The same of each tree on the rows that it has not seen, from the rows and the target that it was grown from.
    fn out_of_bag_importances<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, Table>,
        target: &Bound<'py, Table>,
        params: &str,
        weights: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.importances_of(py, (rows, target, weights), params, |model, rows, params, progress| {
            forest_of(model)?.out_of_bag_importances(&rows.frame(model)?, params, progress)
        })
    }
}

impl Model {
    fn importances_of<'py>(
        &self,
        py: Python<'py>,
        (rows, target, weights): (&Bound<'py, Table>, &Bound<'py, Table>, Option<&[u8]>),
        params: &str,
        measure: impl FnOnce(&dyn AnyModel, &Measured, &PermutationParams, &dyn Progress) -> Result<PermutationImportances>
        + Send
        + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let failed = |error: Error| raised(py, &error);
        let measured = self.measured(rows.get(), target.get(), weights).map_err(failed)?;
        let params: PermutationParams = serde_json::from_str(params)
            .map_err(|cause| failed(Error::invalid("measure", "the importance of columns").with_reason(cause)))?;
        let (model, listener) = (Arc::clone(&self.model), Arc::<Listener>::default());
        let progress = Arc::clone(&listener);
        let found = wait_with(py, &listener, async move {
            compute::run(move || measure(model.as_ref(), &measured, &params, progress.as_ref())).await
        })?;
        document(py, &found)
    }

    /// The columns that it needs, and the targets under the names that it has learnt.
    fn measured(&self, rows: &Table, target: &Table, weights: Option<&[u8]>) -> Result<Measured> {
        let (rows, exact) = rows.rounded(&categories_of(self.model.as_ref()))?;
        let schema = rows.schema();
        let needed = self.model.features().iter().filter_map(|feature| schema.index_of(&feature.name).ok());
        let rows = rows
            .project(&needed.collect::<Vec<_>>())
            .map_err(|cause| Error::internal("select", "columns of rows").with_source(cause))?;
        let names: Vec<String> = self.model.outputs().into_iter().map(|output| output.name).collect();
        Ok(Measured { batch: with_targets(&rows, &target.batch()?, &names)?, exact, weights: weights.map(numbers_of) })
    }

    fn of(file: ModelFile) -> Self {
        let digest = OnceLock::from(file.digest());
        Self { model: Arc::from(file.model), envelope: file.envelope, digest }
    }

    fn file(&self, py: Python<'_>, lineage: &str, compression: &str) -> PyResult<Vec<u8>> {
        let facts: Map<String, Value> = serde_json::from_str(lineage)
            .map_err(|cause| raised(py, &Error::invalid("save", "the lineage of a model").with_source(cause)))?;
        let compression: Compression = compression.parse().map_err(|error: Error| raised(py, &error))?;
        let (model, mut envelope) = (Arc::clone(&self.model), self.envelope.clone());
        envelope.lineage.extend(facts);
        let work = move || {
            let mut file = Vec::new();
            ml::encode_to(model.as_ref(), &envelope, compression, &mut |bytes| {
                file.extend_from_slice(bytes);
                Ok(())
            })?;
            Ok(file)
        };
        wait(py, async move { compute::run(work).await })
    }

    /// Runs work over one batch of rows after the other, so that they need not be joined.
    fn by_batch<T: Send + 'static>(
        &self,
        py: Python<'_>,
        rows: &Table,
        work: impl Fn(&dyn AnyModel, &RecordBatch) -> Result<Vec<T>> + Send + Sync + 'static,
    ) -> PyResult<Vec<T>> {
        let [first, others @ ..] = rows.batches() else { return self.with_rows(py, rows, work) };
        if others.is_empty() && self.model.as_forest().is_some_and(|forest| forest.is_quick(first.num_rows())) {
            // It is done before another thread would have begun.
            return py
                .detach(|| compute::here(|| work(self.model.as_ref(), first)))
                .map_err(|error| raised(py, &error));
        }
        let (model, first, others) = (Arc::clone(&self.model), first.clone(), others.to_vec());
        let all = move || {
            let mut found = work(model.as_ref(), &first)?;
            for batch in &others {
                found.extend(work(model.as_ref(), batch)?);
            }
            Ok(found)
        };
        wait(py, async move { compute::run(all).await })
    }

    /// Runs work over rows on the CPU threads.
    fn with_rows<T: Send + 'static>(
        &self,
        py: Python<'_>,
        rows: &Table,
        work: impl FnOnce(&dyn AnyModel, &RecordBatch) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let (model, batch) = (Arc::clone(&self.model), rows.batch().map_err(|error| raised(py, &error))?);
        wait(py, async move { compute::run(move || work(model.as_ref(), &batch)).await })
    }
}

/// Rows and targets as one batch, the targets last and under names of their own.
pub(crate) fn joined(rows: &RecordBatch, target: &Table) -> Result<(RecordBatch, Vec<String>)> {
    let target = target.batch()?;
    let schema = rows.schema();
    let mut names: Vec<String> = Vec::with_capacity(target.num_columns());
    for field in target.schema().fields() {
        let mut name = field.name().clone();
        while schema.index_of(&name).is_ok() || names.contains(&name) {
            name.push('_');
        }
        names.push(name);
    }
    Ok((with_targets(rows, &target, &names)?, names))
}

/// Names as what a frame is read by.
pub(crate) fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn with_targets(rows: &RecordBatch, target: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
    let (expected, found) = (names.len(), target.num_columns());
    if expected != found {
        return Err(Error::invalid("learn", "from rows and target")
            .with_reason(format_args!("the model predicts {expected} targets, and there are {found}")));
    }
    let (expected, found) = (rows.num_rows(), target.num_rows());
    if expected != found {
        return Err(Error::invalid("learn", "from rows and target")
            .with_reason(format_args!("there are {expected} rows and {found} values of the target")));
    }
    let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
    let named = names.iter().zip(target.columns());
    fields.extend(named.map(|(name, column)| Arc::new(Field::new(name, column.data_type().clone(), true))));
    let columns: Vec<ArrayRef> = rows.columns().iter().chain(target.columns()).cloned().collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|cause| Error::internal("join", "rows and target").with_source(cause))
}
