//! Several lake objects as one table: one schema, one stream, one count of records.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;

use crate::error::{Error, Result};
use crate::format::{Batches, Format, Infer, Inferred, ReadOptions, Source, Tally, detect};
use crate::lake::{Bucket, Lake, ObjectPattern};
use crate::query::union::unite;

/// The objects that a pattern names, as one table.
///
/// Their columns are united by name, and types widened as far as needed; a column that an object lacks is null there.
#[derive(Debug, Clone)]
pub struct DataSet {
    parts: Vec<Part>,
    schema: SchemaRef,
    options: ReadOptions,
    notes: Vec<String>,
}

/// One object of a data set.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its key, size and tag.
    pub meta: ObjectMeta,
    /// Its format.
    pub format: Arc<dyn Format>,
}

impl Part {
    /// The object with its format, by its name or its first bytes.
    pub(crate) async fn detect(bucket: Bucket, meta: ObjectMeta, options: &ReadOptions) -> Result<Self> {
        let source = Source::Object { bucket: bucket.clone(), path: meta.location.clone() };
        let (format, _) = detect(&source, options).await?;
        Ok(Self { bucket, meta, format })
    }

    /// `bucket/key`.
    #[must_use]
    pub fn path(&self) -> String {
        self.bucket.address(&self.meta.location)
    }

    /// Its schema, from all of its values.
    pub(crate) async fn infer(&self, options: &ReadOptions) -> Result<Inferred> {
        self.format.infer_schema(&self.source(), options).await
    }

    /// Where its bytes come from.
    pub(crate) fn source(&self) -> Source {
        Source::Object { bucket: self.bucket.clone(), path: self.meta.location.clone() }
    }

    /// Opens the object as a stream of record batches.
    ///
    /// # Errors
    /// If it cannot be opened or is not of its format.
    pub async fn read(&self, options: ReadOptions) -> Result<Batches> {
        self.format.read(self.source(), options).await
    }
}

impl DataSet {
    /// Finds the objects that `pattern` names (`bucket/key`, with `*` and `**`) and their common schema.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there are none; those of reading.
    pub async fn open(lake: &Arc<dyn Lake>, pattern: &str, options: ReadOptions) -> Result<Self> {
        let pattern: ObjectPattern = pattern.parse()?;
        let mut parts = Vec::new();
        for (bucket, meta) in pattern.matches(lake.as_ref()).await? {
            parts.push(Part::detect(bucket, meta, &options).await?);
        }
        Self::of(parts, options).await
    }

    /// Some objects as one table.
    async fn of(parts: Vec<Part>, options: ReadOptions) -> Result<Self> {
        // SQL fixes types before it reads, so a later surprise could not widen them: all values are looked at.
        let options = options.with_infer(Infer::Whole);
        let found: Vec<_> = parts.iter().map(|part| (part.clone(), options.clone())).collect();
        let united = unite(&found).await?;
        let alike = united.alike || options.schema.is_some();
        let options = if alike { options } else { options.with_schema(Some(united.columns)) };
        Ok(Self { parts, schema: united.schema, options, notes: united.notes })
    }

    /// The common schema.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The objects, in the order in which they are read.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What the user should know of the types, such as a column that was widened.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// All rows, object by object, with all columns or some. Errors come through the stream.
    #[must_use]
    pub fn read(&self, columns: Option<Vec<String>>) -> Batches {
        let schema = match &columns {
            None => Arc::clone(&self.schema),
            Some(names) => Arc::new(selected(&self.schema, names)),
        };
        let mut options = self.options.clone();
        options.columns = columns.or(options.columns);
        let tally = Arc::new(Tally::default());
        let total = Arc::clone(&tally);
        let fields = Arc::clone(&schema);
        let parts = stream::iter(self.parts.clone()).then(move |part| {
            let options = options.clone();
            async move { part.read(options).await }
        });
        let batches = parts.map_ok(move |batches| counted(batches, Arc::clone(&total))).try_flatten();
        let batches = batches.and_then(move |batch| futures::future::ready(with_schema(&batch, &fields)));
        let (rejects, seen) = (self.options.rejects.clone(), Arc::clone(&tally));
        let verdict = stream::once(async move { rejects?.end(seen.balance().seen).err().map(Err) });
        let batches = batches.map(Some).chain(verdict).filter_map(futures::future::ready);
        Batches::new(schema, batches.boxed(), tally)
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

fn selected(schema: &Schema, names: &[String]) -> Schema {
    let fields = names.iter().filter_map(|name| schema.field_with_name(name).ok().cloned());
    Schema::new(fields.collect::<Vec<_>>())
}

/// A part's batches, its counts added to those of the whole once it has been read.
fn counted(batches: Batches, total: Arc<Tally>) -> impl stream::Stream<Item = Result<RecordBatch>> {
    let part = Arc::clone(batches.tally());
    let end = stream::once(async move {
        let balance = part.balance();
        total.add_written(balance.written);
        total.add_quarantined(balance.quarantined);
        total.add_bytes(part.bytes());
        total.join_nulled(part.nulled_columns());
        None
    });
    batches.map(Some).chain(end).filter_map(futures::future::ready)
}

fn with_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
        .map_err(|cause| Error::internal("hand on", "the rows of a data set").with_source(cause))
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
