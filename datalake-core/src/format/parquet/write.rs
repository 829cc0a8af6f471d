//! Writes Parquet: the columns of a row group are encoded on all CPU threads, while the next one is gathered.
//!
//! What a file looks like depends on its rows alone: groups are cut by rows and bytes that are counted in units of one size,
//! and each column of a group is given to its encoder in one piece. So the same table is the same file, whatever batches it
//! comes in, on any machine.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use futures::future::{BoxFuture, try_join, try_join_all};
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt, TryStreamExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use tokio::sync::oneshot;

use super::group::{Gathering, Group};
use super::pieces::{Pieces, pieces};
use super::{DIGEST_KEY, encoding};
use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batches::Batches;
use crate::format::digest::TableDigest;
use crate::format::drive::refuse_repeated_names;
use crate::format::memory::MemoryBudget;
use crate::format::options::WriteOptions;
use crate::format::sink::{Output, Sink, Written};

/// How many CPU threads there are for each group that is encoded; one more group is gathered meanwhile.
const THREADS: usize = 4;

/// The columns of a row group, encoded.
type Chunks = Vec<ArrowColumnChunk>;

/// Writes all batches.
pub(super) async fn write(sink: Sink, batches: Batches, options: &WriteOptions) -> Result<Written> {
    let (written, output) = draft(sink, batches, options).await?;
    output.finish().await?;
    Ok(written)
}

/// Writes all batches, and leaves it to the caller to make them visible.
pub(super) async fn draft(sink: Sink, mut batches: Batches, options: &WriteOptions) -> Result<(Written, Output)> {
    let name = sink.to_string();
    let schema = Arc::clone(batches.schema());
    refuse_repeated_names(&schema, &name)?;
    if options.row_group_rows == 0 {
        return Err(Error::invalid("write", &name).with_reason("row_group_rows must be at least 1, got 0"));
    }
    let mut file = File::new(&name, &schema, options, None)?;
    let mut output = Output::open(sink).await?;
    let mut gathering = Gathering::new(options.row_group_rows).with_batch_is_group(options.batch_is_group);
    let mut at_work: FuturesOrdered<BoxFuture<'static, Result<Chunks>>> = FuturesOrdered::new();
    let (first, mut digest) = oneshot::channel();
    // The other end is there.
    let _ = first.send(TableDigest::new(&schema));
    let (mut rows, mut has_ended) = (0, false);
    let memory = MemoryBudget::of_write(options);
    let (most_at_work, gathers_meanwhile) = memory.groups(compute::threads().div_ceil(THREADS));
    loop {
        while at_work.len() < most_at_work
            && let Some(group) = gathering.next(has_ended)
        {
            if rows == 0 {
                // Encodings are chosen by the first group, and kept.
                file = File::new(&name, &schema, options, Some(&group))?;
            }
            rows += group.rows() as u64;
            let (done, next) = oneshot::channel();
            let previous = std::mem::replace(&mut digest, next);
            let encoded = encode(&name, &file.columns, &group);
            let digested = digested(group, previous, done);
            at_work.push_back(async { Ok(try_join(encoded, digested).await?.0) }.boxed());
        }
        tokio::select! {
            batch = batches.try_next(), if !has_ended && !gathering.has_whole() && (gathers_meanwhile || at_work.is_empty()) => match batch? {
                Some(batch) => gathering.push(&batch),
                None => has_ended = true,
            },
            Some(chunks) = at_work.next(), if !at_work.is_empty() => file.append(chunks?, &mut output).await?,
            else => break,
        }
    }
    let digest = digest.await.map_err(|_| Error::internal("digest", &name))?.finish();
    file.finish(&digest, &mut output).await?;
    let (bytes, sha256) = output.so_far();
    Ok((Written { rows, bytes, sha256, digest }, output))
}

/// Adds the rows of a group to the digest, when those before it are there.
async fn digested(
    group: Group,
    previous: oneshot::Receiver<TableDigest>,
    done: oneshot::Sender<TableDigest>,
) -> Result<()> {
    let mut digest = previous.await.map_err(|_| Error::internal("digest", "a row group"))?;
    let digest = compute::run(move || {
        group.batches().iter().try_for_each(|batch| digest.update(batch))?;
        Ok(digest)
    })
    .await?;
    // Nobody waits where the write has failed.
    let _ = done.send(digest);
    Ok(())
}

/// Encodes the columns of a group, each on a thread of its own.
fn encode(name: &str, columns: &[Arc<Column>], group: &Group) -> impl Future<Output = Result<Chunks>> + use<> {
    let encoded: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let (column, arrays, name) = (Arc::clone(column), group.column(index), name.to_owned());
            compute::run(move || {
                let internal = |cause| Error::internal("join a column of", &name).with_source(cause);
                let array = joined(&arrays).map_err(internal)?;
                drop(arrays);
                column.encode(&array).map_err(|cause| not_written(&name, cause))
            })
        })
        .collect();
    async { Ok(try_join_all(encoded).await?.into_iter().flatten().collect()) }
}

fn joined(arrays: &[ArrayRef]) -> Result<ArrayRef, arrow::error::ArrowError> {
    match arrays {
        [only] => Ok(ArrayRef::clone(only)),
        arrays => concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
    }
}

/// A column of the table, with what makes the writers of its leaves. They are made where a thread begins with the column: each
/// has a compressor and tables of its own, which would be much for all columns of a wide table at once.
struct Column {
    field: FieldRef,
    factory: ArrowRowGroupWriterFactory,
}

impl Column {
    fn new(field: &FieldRef, leaves: &TypePtr, properties: &WriterPropertiesPtr) -> Result<Self, ParquetError> {
        let alone = Type::group_type_builder("arrow_schema").with_fields(vec![Arc::clone(leaves)]).build()?;
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(alone), Arc::clone(properties))?;
        let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
        Ok(Self { field: Arc::clone(field), factory: ArrowRowGroupWriterFactory::new(&writer, schema) })
    }

    fn encode(&self, array: &ArrayRef) -> Result<Chunks, ParquetError> {
        // The number of the row group counts for encryption alone.
        let writers = self.factory.create_column_writers(0)?.into_iter();
        let encode = |(mut writer, leaf): (ArrowColumnWriter, ArrowLeafColumn)| {
            writer.write(&leaf)?;
            writer.close()
        };
        writers.zip(compute_leaves(&self.field, array)?).map(encode).collect()
    }
}

/// A file in the making.
struct File {
    name: String,
    writer: SerializedFileWriter<Pieces>,
    written: Receiver<Bytes>,
    columns: Vec<Arc<Column>>,
}

impl File {
    /// A file whose columns are encoded as suits a group.
    fn new(name: &str, schema: &SchemaRef, options: &WriteOptions, group: Option<&Group>) -> Result<Self> {
        let properties = encoding::properties(name, schema, options, group)?;
        let (pieces, written) = pieces();
        let open = || {
            let writer = ArrowWriter::try_new(pieces, Arc::clone(schema), Some(properties))?;
            let (writer, _) = writer.into_serialized_writer()?;
            let columns = schema.fields().iter().zip(writer.schema_descr().root_schema().get_fields());
            let columns = columns.map(|(field, leaves)| Column::new(field, leaves, writer.properties()).map(Arc::new));
            let columns = columns.collect::<Result<_, _>>()?;
            Ok((writer, columns))
        };
        let (writer, columns) = open().map_err(|cause| not_written(name, cause))?;
        Ok(Self { name: name.to_owned(), writer, written, columns })
    }

    /// Appends a group, whose columns go out one by one: a copy of all of them would be as much memory once more.
    async fn append(&mut self, chunks: Chunks, output: &mut Output) -> Result<()> {
        let failed = |cause| not_written(&self.name, cause);
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group).map_err(failed)?;
            hand_on(&mut self.written, output).await?;
        }
        group.close().map_err(failed)?;
        hand_on(&mut self.written, output).await?;
        // Nothing is kept until the next group: many files of a table may be open.
        output.write(self.writer.inner_mut().rest()).await
    }

    /// Ends the file, which says what the digest of its table is.
    async fn finish(mut self, digest: &str, output: &mut Output) -> Result<()> {
        self.writer.append_key_value_metadata(KeyValue::new(DIGEST_KEY.to_owned(), digest.to_owned()));
        let mut pieces = self.writer.into_inner().map_err(|cause| not_written(&self.name, cause))?;
        hand_on(&mut self.written, output).await?;
        output.write(pieces.rest()).await
    }
}

/// Writes the pieces that are made.
async fn hand_on(made: &mut Receiver<Bytes>, output: &mut Output) -> Result<()> {
    while let Ok(piece) = made.try_recv() {
        output.write(piece).await?;
    }
    Ok(())
}

pub(super) fn not_written(name: &str, cause: ParquetError) -> Error {
    match cause {
        ParquetError::NYI(what) => Error::new(ErrorKind::Unsupported, "write", name).with_reason(what),
        cause => Error::invalid("write", name).with_reason("Parquet cannot hold the table").with_source(cause),
    }
}
