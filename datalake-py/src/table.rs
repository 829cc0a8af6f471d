//! Tables: rows in memory that anything which speaks Arrow's `PyCapsule` interface can take over without a copy.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datalake_core::format::{self, Batches, Dialect, Files, Quarantine, Source};
use datalake_core::lake::Location;
use datalake_core::ml::{ExactColumns, rounded_table, rounded_to_single};
use datalake_core::query::DataSet;
use datalake_core::{Error, Result};
use futures::TryStreamExt;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCapsule, PyDict};
use pyo3_arrow::buffer::AnyBufferProtocol;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};
use pyo3_arrow::input::AnyRecordBatch;

use crate::error::raised;
use crate::lake::{LakeLike, document};
use crate::options::reading;
use crate::runtime::wait;

/// Rows in memory.
#[pyclass(frozen, module = "datalake")]
#[derive(Debug)]
pub(crate) struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    notes: Vec<String>,
    dialect: Option<Dialect>,
    quarantined: BTreeMap<String, u64>,
    /// What columns were that were rounded to 32 bits.
    exact: ExactColumns,
}

/// A column of Python values.
#[derive(FromPyObject)]
pub(crate) enum Values {
    Float(PyBuffer<f64>),
    Single(PyBuffer<f32>),
    Int(PyBuffer<i64>),
    Bool(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
}

/// Numbers row by row.
#[derive(FromPyObject)]
pub(crate) enum Matrix {
    Single(PyBuffer<f32>),
    Double(PyBuffer<f64>),
}

#[pymethods]
impl Table {
    /// Takes rows over from anything with `__arrow_c_stream__` or `__arrow_c_array__`: pyarrow, Polars, pandas, DuckDB.
    #[staticmethod]
    pub(crate) fn from_arrow(rows: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(table) = rows.cast::<Self>() {
            return Ok(table.get().shared());
        }
        // pandas would hand its index over as a column.
        let indexed = rows.get_type().module()?.to_string().starts_with("pandas") && rows.hasattr("reset_index")?;
        let without = [("drop", true)].into_py_dict(rows.py())?;
        let reset = indexed.then(|| rows.call_method("reset_index", (), Some(&without))).transpose()?;
        let (batches, schema) = reset.as_ref().unwrap_or(rows).extract::<AnyRecordBatch>()?.into_table()?.into_inner();
        let roomy = Arc::new(format::with_room(&schema));
        if batches.len() < 2 || roomy == schema {
            return Ok(Self::of(schema, batches));
        }
        // Their dictionaries may have no room in one, to which the batches are joined.
        let batches = batches.iter().map(|batch| cast_to(&roomy, batch)).collect::<Result<_>>();
        Ok(Self::of(roomy, batches.map_err(|error| raised(rows.py(), &error))?))
    }

    /// Makes a table of one-dimensional `float64` or `int64` arrays, lists of booleans or lists of text.
    #[staticmethod]
    fn from_columns(py: Python<'_>, names: Vec<String>, columns: Vec<Values>) -> PyResult<Self> {
        let arrays = columns.into_iter().map(|column| column.array(py)).collect::<PyResult<Vec<_>>>()?;
        Self::of_arrays(names, arrays).map_err(|error| raised(py, &error))
    }

    /// Makes a table to learn or predict from of columns that are taken one after the other. Their memory is shared, but
    /// for `float64`, which is rounded to what a forest sees, `float32`, unless `exact` names the column. What is lost by
    /// that is `counted` if it is asked for.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "as Python gives them")]
    fn of_features(
        py: Python<'_>,
        names: Vec<String>,
        columns: &Bound<'_, PyAny>,
        exact: HashSet<String>,
        counted: bool,
    ) -> PyResult<Self> {
        let (mut arrays, mut rounded) = (Vec::with_capacity(names.len()), ExactColumns::new());
        for (name, column) in names.iter().zip(columns.try_iter()?) {
            let array = column?.extract::<Values>()?.shared(py)?;
            if *array.data_type() != DataType::Float64 || exact.contains(name) {
                arrays.push(array);
                continue;
            }
            let (single, before) = rounded_to_single(&array, name, counted).map_err(|error| raised(py, &error))?;
            rounded.insert(name.clone(), before);
            arrays.push(Arc::new(single));
        }
        Ok(Self { exact: rounded, ..Self::of_arrays(names, arrays).map_err(|error| raised(py, &error))? })
    }

    /// Makes a table to predict from of a matrix of few rows, as [`Self::of_features`] would of its columns.
    #[staticmethod]
    fn of_matrix(py: Python<'_>, names: Vec<String>, rows: Matrix) -> PyResult<Self> {
        let (arrays, exact) = match rows {
            Matrix::Single(rows) => {
                let rows = rows.to_vec(py)?;
                let single = |column| Arc::new(Float32Array::from(column)) as ArrayRef;
                (columns_of(&rows, names.len()).map(single).collect(), ExactColumns::new())
            }
            Matrix::Double(rows) => {
                let (rows, mut rounded) = (rows.to_vec(py)?, ExactColumns::new());
                let single = |(column, name): (Vec<f64>, &String)| {
                    let exact: ArrayRef = Arc::new(Float64Array::from(column));
                    let (single, before) = rounded_to_single(&exact, name, false)?;
                    rounded.insert(name.clone(), before);
                    Ok(Arc::new(single) as ArrayRef)
                };
                let arrays = columns_of(&rows, names.len()).zip(&names).map(single).collect::<Result<_>>();
                (arrays.map_err(|error| raised(py, &error))?, rounded)
            }
        };
        Ok(Self { exact, ..Self::of_arrays(names, arrays).map_err(|error| raised(py, &error))? })
    }

    /// The number of rows.
    #[getter]
    pub(crate) fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The number of columns.
    #[getter]
    fn num_columns(&self) -> usize {
        self.schema.fields().len()
    }

    /// The columns' names.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The columns' types by name, in Arrow's words.
    #[getter]
    fn schema(&self) -> Vec<(String, String)> {
        self.schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    }

    /// What a user should know of how the types came about.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// How the CSV file that was read is written.
    #[getter]
    fn dialect<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        document(py, &self.dialect)
    }

    /// Records that were put aside while reading, by reason.
    #[getter]
    fn quarantined(&self) -> BTreeMap<String, u64> {
        self.quarantined.clone()
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __repr__(&self) -> String {
        let columns: Vec<String> = self.schema().into_iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        format!("datalake.Table({} rows; {})", self.num_rows(), columns.join(", "))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let field = Field::new_struct("", self.schema.fields().clone(), false);
        let rows = self.batches.clone().into_iter().map(|batch| Ok(Arc::new(StructArray::from(batch)) as ArrayRef));
        let rows = ArrayIterator::new(rows, field.with_metadata(self.schema.metadata().clone()).into());
        Ok(to_stream_pycapsule(py, Box::new(rows), requested_schema)?)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.schema.as_ref())?)
    }

    /// The rows as a `pyarrow.Table`.
    fn to_pyarrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("pyarrow")?.call_method1("table", (slf,))
    }

    /// The rows as a `pandas.DataFrame`, by way of pyarrow.
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::to_pyarrow(slf)?.call_method0("to_pandas")
    }

    /// The rows as a `polars.DataFrame`.
    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("polars")?.call_method1("DataFrame", (slf,))
    }
}

impl Table {
    fn of(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self {
            schema,
            batches,
            notes: Vec::new(),
            dialect: None,
            quarantined: BTreeMap::new(),
            exact: ExactColumns::new(),
        }
    }

    /// The same rows, once more.
    pub(crate) fn shared(&self) -> Self {
        Self {
            schema: Arc::clone(&self.schema),
            batches: self.batches.clone(),
            notes: self.notes.clone(),
            dialect: self.dialect.clone(),
            quarantined: self.quarantined.clone(),
            exact: self.exact.clone(),
        }
    }

    fn of_arrays(names: Vec<String>, arrays: Vec<ArrayRef>) -> Result<Self> {
        let fields = names.into_iter().zip(&arrays);
        let fields: Vec<Field> =
            fields.map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|cause| {
            Error::invalid("make", "a table").with_reason("its columns are not alike").with_source(cause)
        })?;
        Ok(Self::of(schema, vec![batch]))
    }

    /// All rows of a stream, with what its reader has put aside.
    pub(crate) async fn collected(rows: Batches, quarantine: &Quarantine, mut notes: Vec<String>) -> Result<Self> {
        let (schema, tally) = (Arc::clone(rows.schema()), Arc::clone(rows.tally()));
        let batches = rows.try_collect().await?;
        notes.extend(tally.notes());
        notes.extend(quarantine.nulled_columns().iter().map(ToString::to_string));
        Ok(Self { notes, quarantined: quarantine.counts(), ..Self::of(schema, batches) })
    }

    /// The same rows, with notes before the others.
    pub(crate) fn noted(mut self, before: Vec<String>) -> Self {
        self.notes.splice(0..0, before);
        self
    }

    /// The rows as one batch.
    pub(crate) fn batch(&self) -> Result<RecordBatch> {
        concat_batches(&self.schema, &self.batches)
            .map_err(|cause| Error::internal("join", "the batches of a table").with_source(cause))
    }

    /// The rows as they are held.
    pub(crate) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The rows as one batch to grow a forest from, and what columns were that were rounded to 32 bits: all of numbers
    /// that `exact` does not name.
    pub(crate) fn rounded<T: AsRef<str> + Sync>(&self, exact: &[T]) -> Result<(RecordBatch, ExactColumns)> {
        let (table, mut before) = rounded_table(&self.schema, &self.batches, exact)?;
        before.extend(self.exact.clone());
        Ok((table, before))
    }

    /// The rows with plain types, as every format writes them: views and dictionaries of text become text.
    pub(crate) fn plain(&self) -> Result<Batches> {
        let fields: Vec<Field> = self.schema.fields().iter().map(|field| plain_field(field)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batches = self.batches.iter().map(|batch| cast_to(&schema, batch)).collect::<Result<Vec<_>>>()?;
        Ok(Batches::from_vec(schema, batches))
    }
}

/// The columns of a matrix of so many, row by row.
fn columns_of<T: Copy>(rows: &[T], columns: usize) -> impl Iterator<Item = Vec<T>> {
    (0..columns).map(move |index| rows.iter().skip(index).step_by(columns).copied().collect())
}

impl Values {
    /// The values where they are, for as long as the array is held.
    fn shared(self, py: Python<'_>) -> PyResult<ArrayRef> {
        match self {
            Self::Float(values) => Ok(AnyBufferProtocol::Float64(values).into_arrow_array()?),
            Self::Single(values) => Ok(AnyBufferProtocol::Float32(values).into_arrow_array()?),
            other => other.array(py),
        }
    }

    fn array(self, py: Python<'_>) -> PyResult<ArrayRef> {
        Ok(match self {
            Self::Float(values) => Arc::new(Float64Array::from(values.to_vec(py)?)),
            Self::Single(values) => Arc::new(Float32Array::from(values.to_vec(py)?)),
            Self::Int(values) => Arc::new(Int64Array::from(values.to_vec(py)?)),
            Self::Bool(values) => Arc::new(BooleanArray::from(values)),
            Self::Text(values) => Arc::new(StringArray::from_iter(values)),
        })
    }
}

fn plain_field(field: &Field) -> Field {
    let plain = match field.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => match values.as_ref() {
            DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
            other => other.clone(),
        },
        other => other.clone(),
    };
    Field::new(field.name(), plain, field.is_nullable())
}

/// The batch with the types of another schema.
fn cast_to(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: Result<Vec<_>, _> = columns.map(|(column, field)| cast(column, field.data_type())).collect();
    columns
        .and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns))
        .map_err(|cause| Error::invalid("convert", "the columns of the table").with_source(cause))
}

/// Reads a local file, those of a folder or pattern, or objects of a lake (`lake://bucket/key`, with `*` and `**`).
#[pyfunction]
#[pyo3(signature = (path, *, lake=None, **options))]
pub(crate) fn read(
    py: Python<'_>,
    path: PathBuf,
    lake: Option<LakeLike<'_>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Table> {
    let Ok(name) = path.into_os_string().into_string() else {
        return Err(PyTypeError::new_err("the path is not UTF-8"));
    };
    if let Some(pattern) = name.strip_prefix("lake://") {
        return read_objects(py, &LakeLike::open_or_default(lake, py)?, pattern.to_owned(), options);
    }
    let location = name.parse::<Location>().map_err(|error| raised(py, &error))?;
    let Location::Local(path) = location else {
        return Err(PyTypeError::new_err("a table is read from a file or from a lake"));
    };
    let reading = reading(options)?;
    wait(py, async move {
        // A path is of no lake.
        let files = Files::named(&name, || Err(Error::internal("open", "a lake"))).await?;
        if let Some(files) = files {
            let data = DataSet::of(&files, reading.options).await?;
            let notes = data.notes().to_vec();
            return Table::collected(data.read(None), &reading.quarantine, notes).await;
        }
        let rows = format::read(Source::LocalFile(path), reading.options).await?;
        let (notes, dialect) = (rows.notes().to_vec(), rows.dialect().cloned());
        let table = Table::collected(rows, &reading.quarantine, notes).await?;
        Ok(Table { dialect, ..table })
    })
}

/// Reads the objects that a pattern names, as one table.
pub(crate) fn read_objects(
    py: Python<'_>,
    lake: &Arc<dyn datalake_core::Lake>,
    pattern: String,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Table> {
    let (lake, reading) = (Arc::clone(lake), reading(options)?);
    wait(py, async move {
        let files = Files::in_lake(lake.as_ref(), &pattern.parse()?).await?;
        let data = DataSet::of(&files, reading.options).await?;
        let notes = data.notes().to_vec();
        Table::collected(data.read(None), &reading.quarantine, notes).await
    })
}
