//! A session: quoted paths as tables, SQL in, record batches out.

use std::any::Any;
use std::fmt::{self, Display};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{CatalogProviderList, DynamicFileCatalog};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Batches, ReadOptions, Tally};
use crate::lake::Lake;
use crate::query::table::{LakeTables, Once};

/// How a session reads tables and how much memory it may take.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// How objects are read.
    pub read: ReadOptions,
    /// The most memory, in bytes, that sorts, joins and aggregates may hold before they spill to disk.
    pub memory: Option<usize>,
}

impl SessionOptions {
    /// Sets how objects are read.
    #[must_use]
    pub fn with_read(mut self, read: ReadOptions) -> Self {
        self.read = read;
        self
    }

    /// Bounds the memory, in bytes.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }
}

/// SQL over the objects of a lake. Sums and products of integers wrap around at 64 bits, as DataFusion computes them;
/// where they could become so large, cast to `DOUBLE` or `DECIMAL` first.
///
/// ```
/// use std::sync::Arc;
/// use datalake_core::lake::{BucketName, Lake, MemoryLake};
/// use datalake_core::query::{Session, SessionOptions};
/// use futures::TryStreamExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> datalake_core::Result<()> {
/// let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
/// let bucket = lake.create_bucket(&BucketName::new("raw-data")?).await?;
/// bucket.put(&"foods.csv".into(), "name,kcal\napple,52\nbread,265\n", Default::default()).await?;
///
/// let session = Session::new(lake, SessionOptions::default())?;
/// let rows = session.sql("SELECT name FROM 'raw-data/foods.csv' WHERE kcal > 100").await?;
/// let batches: Vec<_> = rows.try_collect().await?;
/// assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
/// # Ok(()) }
/// ```
pub struct Session {
    context: SessionContext,
    notes: Notes,
}

/// What is to be said of the tables of a session.
pub(super) type Notes = Arc<Mutex<Vec<String>>>;

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// A session over a lake. One partition, so that rows keep their order.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a memory bound that cannot be kept.
    pub fn new(lake: Arc<dyn Lake>, options: SessionOptions) -> Result<Self> {
        let plain = plain_state(options.memory)?;
        let notes = Notes::default();
        let tables = Arc::new(LakeTables { lake, options: options.read, notes: Arc::clone(&notes) });
        let catalogs: Arc<dyn CatalogProviderList> =
            Arc::new(DynamicFileCatalog::new(Arc::clone(plain.catalog_list()), tables));
        let state = SessionStateBuilder::new_from_existing(plain).with_catalog_list(catalogs).build();
        Ok(Self { context: SessionContext::new_with_state(state), notes })
    }

    /// A session that sees nothing but what is registered with it.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn isolated(options: &SessionOptions) -> Result<Self> {
        Ok(Self { context: SessionContext::new_with_state(plain_state(options.memory)?), notes: Notes::default() })
    }

    /// What there is to know of the types of the tables read so far, such as a column that was widened; after the last row of a
    /// query also what was seen while reading, such as a declared column that objects lack.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names batches that can be read once by a query.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the name is taken.
    pub fn register(&self, name: &str, batches: Batches) -> Result<()> {
        let table =
            Once::table(batches).map_err(|cause| query_error("register", format_args!("table `{name}`"), cause))?;
        let replaced = self
            .context
            .register_table(name, Arc::new(table))
            .map_err(|cause| query_error("register", format_args!("table `{name}`"), cause))?;
        match replaced {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::AlreadyExists, "register", format_args!("table `{name}`"))),
        }
    }

    /// Runs one query. Nothing is read until the batches are pulled, beyond what types need.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for SQL that is wrong, or that would change anything.
    pub async fn sql(&self, sql: &str) -> Result<Batches> {
        let frame = self.plan(sql).await?;
        stream_of(frame).await
    }

    /// As [`Session::sql`], for a query whose rows must come in an order that is the same everywhere: it must end in
    /// ORDER BY, and the rows' sort keys must all differ.
    ///
    /// # Errors
    /// As [`Session::sql`]; [`Invalid`](ErrorKind::Invalid) without an ORDER BY, and through the stream for two rows of
    /// one sort key.
    pub async fn sql_ordered(&self, sql: &str) -> Result<Batches> {
        let frame = self.plan(sql).await?;
        let mut verdict = Ok(());
        // The closure gives no error, so neither does the walk.
        let _ = frame.logical_plan().apply_with_subqueries(|node| {
            node.apply_expressions(|expression| {
                if verdict.is_ok() {
                    verdict = refuse_volatile(expression);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        });
        verdict?;
        let keys = sort_columns(frame.logical_plan()).ok_or_else(|| unordered(sql))?;
        let batches = stream_of(frame).await?;
        super::dataset::unique_in_order(batches, keys, sql)
    }

    async fn plan(&self, sql: &str) -> Result<DataFrame> {
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        self.context.sql_with_options(sql, read_only).await.map_err(|cause| {
            let error = query_error("run", format_args!("the query `{}`", sql.trim()), cause);
            // What the parser stumbles over where an object's name stands without quotes.
            let marks = ["table '", "found: -", "found: /"];
            let is_of_names = error.reason().is_some_and(|why| marks.iter().any(|mark| why.contains(mark)));
            match error.kind() {
                ErrorKind::Invalid if error.hint().is_none() && is_of_names => {
                    error.with_hint("objects are named in quotes: SELECT * FROM 'processed-data/foods.parquet'")
                }
                _ => error,
            }
        })
    }
}

/// One partition, so that rows keep their order; plain strings; no more memory than asked for.
fn plain_state(memory: Option<usize>) -> Result<SessionState> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(8192);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let mut runtime = RuntimeEnvBuilder::new();
    if let Some(bytes) = memory {
        runtime = runtime.with_memory_limit(bytes, 1.0);
    }
    let runtime = runtime.build_arc().map_err(|cause| query_error("start", "a query session", cause))?;
    Ok(SessionStateBuilder::new().with_default_features().with_config(config).with_runtime_env(runtime).build())
}

/// Refuses functions whose value is not that of their arguments: a result must be the same whenever it is computed.
pub(super) fn refuse_volatile(expression: &Expr) -> Result<()> {
    let mut found = None;
    // The closure gives no error, so neither does the walk.
    let _ = expression.apply(|part| {
        if let Expr::ScalarFunction(call) = part
            && call.func.signature().volatility != Volatility::Immutable
        {
            found = Some(call.func.name().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match found {
        None => Ok(()),
        Some(name) => Err(Error::invalid("use", format_args!("the function `{name}`"))
            .with_reason("its value differs from one run to the next")
            .with_hint("pipelines give the same result each time; bring such values in as data")),
    }
}

/// The output columns that a plan's last step sorts by; none where it does not end in a sort over plain columns.
fn sort_columns(plan: &LogicalPlan) -> Option<Vec<String>> {
    match plan {
        LogicalPlan::Sort(sort) => sort
            .expr
            .iter()
            .map(|key| match &key.expr {
                Expr::Column(column) => Some(column.name.clone()),
                _ => None,
            })
            .collect(),
        LogicalPlan::Limit(limit) => sort_columns(&limit.input),
        _ => None,
    }
}

fn unordered(sql: &str) -> Error {
    Error::invalid("use", format_args!("the query `{}`", sql.trim()))
        .with_reason("its rows have no order, so its result could differ from run to run")
        .with_hint("end it in ORDER BY over selected columns that together identify a row")
}

/// A query's rows as batches, with the plain types that every format writes.
async fn stream_of(frame: DataFrame) -> Result<Batches> {
    let schema = Arc::new(plain_schema(frame.schema().as_arrow()));
    let rows =
        AssertUnwindSafe(frame.execute_stream()).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)));
    let rows = rows.map_err(|cause| query_error("run", "the query", cause))?;
    let rows = AssertUnwindSafe(rows).catch_unwind().map(|row| row.unwrap_or_else(|panic| Err(panicked(&*panic))));
    let tally = Arc::new(Tally::default());
    let counted = Arc::clone(&tally);
    let target = Arc::clone(&schema);
    let stream = rows.map_err(|cause| query_error("run", "the query", cause)).and_then(move |batch| {
        counted.add_written(batch.num_rows() as u64);
        futures::future::ready(plain_batch(&batch, &target))
    });
    Ok(Batches::new(schema, stream.boxed(), tally))
}

/// A panic within the query engine, such as for a text column of more than 2 GiB, is an error of this query.
fn panicked(panic: &(dyn Any + Send)) -> DataFusionError {
    DataFusionError::Internal(compute::message(panic))
}

/// View and large strings become plain ones.
fn plain_schema(schema: &Schema) -> Schema {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let plain = match field.data_type() {
                DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
                DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
                other => other.clone(),
            };
            Field::new(field.name(), plain, field.is_nullable())
        })
        .collect();
    Schema::new(fields)
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns: Result<Vec<_>, _> =
        batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type())).collect();
    columns
        .and_then(|columns| {
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        })
        .map_err(|cause| Error::internal("hand on", "the rows of a query").with_source(cause))
}

/// An error of a query in our terms; one of ours that went through DataFusion comes out as it was.
pub(super) fn query_error(action: &str, subject: impl Display, cause: DataFusionError) -> Error {
    match unwrapped(cause) {
        Ok(own) => own,
        Err(cause) => {
            let kind = match cause.find_root() {
                DataFusionError::ResourcesExhausted(_) => ErrorKind::Exhausted,
                DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
                DataFusionError::Internal(_) => ErrorKind::Internal,
                DataFusionError::IoError(io) => crate::error::kind_of_io(io),
                _ => ErrorKind::Invalid,
            };
            // The catalog and schema of every table, which nobody has named.
            let why = cause.strip_backtrace().replace("'datafusion.public.", "'");
            Error::new(kind, action, subject).with_reason(why)
        }
    }
}

/// The error of ours inside, if there is one.
fn unwrapped(cause: DataFusionError) -> Result<Error, DataFusionError> {
    match cause {
        DataFusionError::External(inner) => {
            inner.downcast::<Error>().map(|own| *own).map_err(DataFusionError::External)
        }
        DataFusionError::Context(text, inner) => unwrapped(*inner).map_err(|inner| inner.context(text)),
        DataFusionError::Diagnostic(_, inner) => unwrapped(*inner),
        DataFusionError::ArrowError(inner, text) => match *inner {
            arrow::error::ArrowError::ExternalError(own) if own.is::<Error>() => {
                own.downcast::<Error>().map(|own| *own).map_err(DataFusionError::External)
            }
            other => Err(DataFusionError::ArrowError(Box::new(other), text)),
        },
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};

    #[tokio::test]
    async fn who_misses_the_quotes_is_told_of_them() {
        let session = Session::isolated(&SessionOptions::default()).unwrap();
        for sql in ["SELECT * FROM foods", "SELECT * FROM processed-data/foods.parquet", "SELECT"] {
            let Err(error) = session.sql(sql).await else { panic!("{sql}") };
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
            assert!(!error.to_string().contains("datafusion"), "{error}");
            assert_eq!(error.hint().is_some_and(|hint| hint.contains("in quotes")), sql != "SELECT", "{error:?}");
        }
    }

    #[tokio::test]
    async fn what_is_seen_while_objects_are_read_is_noted_once() {
        use crate::format::{ColumnSpec, ReadOptions};
        use crate::lake::{BucketName, MemoryLake};
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        for (key, text) in [("t/a.csv", "id,x\n1,2\n"), ("t/b.csv", "id\n3\n")] {
            bucket.put(&key.into(), text, Default::default()).await.unwrap();
        }
        let columns = ["id", "x"].map(|name| ColumnSpec::new(name, DataType::Int64)).to_vec();
        let read = ReadOptions::default().with_schema(Some(columns));
        let session = Session::new(lake, SessionOptions::default().with_read(read)).unwrap();
        let sql = "SELECT id, x FROM 'raw-data/t/*.csv' UNION ALL SELECT id, x FROM 'raw-data/t/*.csv'";
        let rows: Vec<RecordBatch> = session.sql(sql).await.unwrap().try_collect().await.unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
        assert_eq!(session.notes(), ["raw-data/t/b.csv: has no column `x`: null there"]);
    }

    #[tokio::test]
    async fn a_panic_within_a_query_is_an_error_of_the_query() {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
        let stream = futures::stream::poll_fn(|_| -> std::task::Poll<Option<Result<RecordBatch>>> { panic!("boom") });
        let session = Session::isolated(&SessionOptions::default()).unwrap();
        session.register("t", Batches::new(schema, stream.boxed(), Arc::default())).unwrap();
        let error = session.sql("SELECT x FROM t").await.unwrap().try_next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.reason().unwrap().contains("boom"), "{error}");
    }
}
