//! Several lake objects as one table: one schema, one stream, one count of records.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::{Error, Result};
use crate::format::{Batches, Files, Plan, ReadOptions, Tally};
use crate::lake::{Lake, ObjectPattern};

/// The objects that a pattern names, as one table.
///
/// Their columns are united by name, and types widened as far as needed; a column that an object lacks is null there. What
/// folders `year=2024/` say are columns too. See [`Files`].
#[derive(Debug, Clone)]
pub struct DataSet {
    plan: Plan,
    schema: SchemaRef,
}

impl DataSet {
    /// Finds the objects that `pattern` names (`bucket/key`, with `*` and `**`) and their common schema. The options may be said
    /// of other tables of a query as well, so what these objects have no use for is ignored.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there are none; those of reading.
    pub async fn open(lake: &Arc<dyn Lake>, pattern: &str, options: ReadOptions) -> Result<Self> {
        let pattern: ObjectPattern = pattern.parse()?;
        let files = Files::in_lake(lake.as_ref(), &pattern).await?;
        // SQL fixes types before it reads, so a later surprise could not widen them: all values are looked at.
        let plan = Plan::of_any(&files, &options).await?;
        Ok(Self { schema: plan.schema()?, plan })
    }

    /// Some files or objects as one table, of which alone the options are said.
    ///
    /// # Errors
    /// Those of reading; [`Invalid`](crate::ErrorKind::Invalid) for an option of which the files, where all are of one format,
    /// have no use.
    pub async fn of(files: &Files, options: ReadOptions) -> Result<Self> {
        let plan = Plan::of_these(files, &options).await?;
        Ok(Self { schema: plan.schema()?, plan })
    }

    /// The common schema.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The names of the files or objects, in the order in which they are read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plan.files().names()
    }

    /// What the user should know of the types, such as a column that was widened.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        self.plan.notes()
    }

    /// All rows, object by object, with all columns or some. Errors come through the stream.
    #[must_use]
    pub fn read(&self, columns: Option<Vec<String>>) -> Batches {
        let rejects = self.plan.rejects().cloned();
        let read = columns.map_or_else(|| self.plan.read(None), |columns| self.plan.read(Some(columns.as_slice())));
        let batches = match read {
            Ok(batches) => batches,
            Err(error) => {
                let failed = stream::once(async { Err(error) }).boxed();
                return Batches::new(Arc::clone(&self.schema), failed, Arc::new(Tally::default()));
            }
        };
        let (schema, tally) = (Arc::clone(batches.schema()), Arc::clone(batches.tally()));
        let (seen, notes) = (Arc::clone(&tally), batches.notes().to_vec());
        let verdict = stream::once(async move { rejects?.end(seen.balance().seen).err().map(Err) });
        let batches = batches.map(Some).chain(verdict).filter_map(futures::future::ready);
        Batches::new(schema, batches.boxed(), tally).with_notes(notes)
    }

    /// All rows in memory, as one batch.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn collect(&self, columns: Option<Vec<String>>) -> Result<RecordBatch> {
        let batches = self.read(columns);
        let schema = Arc::clone(batches.schema());
        let batches: Vec<RecordBatch> = batches.try_collect().await?;
        arrow::compute::concat_batches(&schema, &batches)
            .map_err(|cause| Error::internal("join", "the batches of a table").with_source(cause))
    }
}

/// Passes batches on while checking that no two rows have the same values in `keys`.
pub(super) fn unique_in_order(batches: Batches, keys: Vec<String>, sql: &str) -> Result<Batches> {
    let schema = Arc::clone(batches.schema());
    let unsupported = |cause| Error::internal("compare", "the sort keys of a query").with_source(cause);
    let indices: Result<Vec<usize>, _> = keys.iter().map(|key| schema.index_of(key)).collect();
    let indices = indices.map_err(|_| {
        Error::invalid("use", format_args!("the query `{}`", sql.trim()))
            .with_reason(format_args!("it sorts by `{}`, which it does not select", keys.join("`, `")))
    })?;
    let fields = indices.iter().map(|&index| SortField::new(schema.field(index).data_type().clone())).collect();
    let converter = RowConverter::new(fields).map_err(unsupported)?;
    let subject = sql.trim().to_owned();
    let mut seen: HashSet<Box<[u8]>> = HashSet::new();
    let tally = Arc::clone(batches.tally());
    let stream = batches.map(move |batch| {
        let batch = batch?;
        let columns: Vec<_> = indices.iter().map(|&index| Arc::clone(batch.column(index))).collect();
        let rows = converter.convert_columns(&columns).map_err(unsupported)?;
        for row in &rows {
            if !seen.insert(row.as_ref().into()) {
                return Err(Error::invalid("use", format_args!("the query `{subject}`"))
                    .with_reason(format_args!("two rows have the same values in `{}`", keys.join("`, `")))
                    .with_hint("add columns to ORDER BY until every row has its own place"));
            }
        }
        Ok(batch)
    });
    Ok(Batches::new(schema, stream.boxed(), tally))
}
