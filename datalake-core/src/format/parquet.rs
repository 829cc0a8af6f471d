//! Parquet, in both directions, by the `parquet` crate's decoders that take bytes and do no input of their own.
//!
//! How files are written is in `write`, `group` and `encoding`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use self::metadata::{decode, fetch, metadata, refuse_intervals, with_schema};
use self::sizes::group_bytes;
use super::Format;
use super::batches::{Batches, Tally};
use super::conform::with_nulls;
use super::intake::{Intake, Origin, Place, Records};
use super::memory::MemoryBudget;
use super::options::{ReadOptions, WriteOptions};
use super::schema::Inferred;
#[cfg(feature = "pipeline")]
use super::sink::Output;
use super::sink::{Sink, Written};
use super::source::{Input, Source};
use super::text::{push_json, push_string, value_text};
use crate::compute;
use crate::error::{Error, Result};

/// What files name as their writer.
const CREATED_BY: &str = "datalake";
/// How the keys begin under which files say something of their own.
const OWN_KEYS: &str = "datalake.";
/// The key of the digest of a file's table.
const DIGEST_KEY: &str = "datalake.digest";
/// How large batches are at most, about: a column of text holds no more than 2 GiB.
const BATCH_BYTES: u64 = 64 * 1024 * 1024;
/// Of a row group so many bytes are decoded ahead, each group on a CPU thread of its own; the rest when it is asked for.
const WHOLE_BYTES: u64 = 48 * 1024 * 1024;
/// How many bytes of groups are decoded ahead, about, as far as a file says what it holds.
const AHEAD_BYTES: u64 = 96 * 1024 * 1024;

/// The Parquet format.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Parquet;

/// An opened file with its metadata, and the stage after the decoder.
struct Plan {
    input: Input,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    schema: SchemaRef,
    notes: Vec<String>,
}

impl Plan {
    async fn new(source: &Source, options: &ReadOptions) -> Result<Self> {
        let input = Input::open(source).await?;
        let metadata = metadata(&input).await?;
        let metadata = with_schema(&input, Arc::new(metadata)).await?;
        // The names in errors and notes are those of all columns, not only of those that are read.
        let whole = intake(&input, metadata.schema(), options, &Arc::default())?;
        let wanted = wanted(metadata.schema(), options);
        refuse_intervals(&input, metadata.metadata(), &wanted)?;
        let mask = ProjectionMask::roots(metadata.metadata().file_metadata().schema_descr(), wanted.clone());
        let schema = metadata
            .schema()
            .project(&wanted)
            .map_err(|cause| Error::internal("select the columns of", input.name()).with_source(cause))?;
        Ok(Self { input, mask, schema: Arc::new(schema), notes: whole.notes(), metadata })
    }

    fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Reads all rows, or some.
    async fn read(self, options: ReadOptions, rows: Option<Range<u64>>) -> Result<Batches> {
        let tally = Arc::new(Tally::default());
        let intake = intake(&self.input, &self.schema, &options, &tally)?;
        let schema = Arc::clone(intake.schema());
        let memory = MemoryBudget::of_read(&options);
        memory.check_group(self.input.name(), sizes::most_held(self.metadata.metadata(), &self.mask))?;
        let (batch_bytes, most_begun) = (memory.bytes(16, BATCH_BYTES), memory.bytes(8, WHOLE_BYTES));
        let batch_rows = options.batch_rows.min(self.rows_within(batch_bytes)).max(1);
        let heaviest = self.metadata.metadata().row_groups().iter().map(group_bytes).max().unwrap_or(0);
        let ahead = usize::try_from(memory.bytes(4, AHEAD_BYTES) / heaviest.max(1))
            .unwrap_or(usize::MAX)
            .clamp(1, compute::threads());
        let chosen = Chosen::of(&self.metadata, rows.unwrap_or(0..u64::MAX));
        let parts = chosen.each(&self.metadata);
        let first = parts.first().map_or(0, |part| part.first);
        let nulls = if options.schema.is_some() { options.nulls } else { Vec::new() };
        let names = self.metadata.schema().fields().iter().map(|field| field.name().clone()).collect();
        let (input, file, mask) = (self.input.clone(), self.metadata, self.mask);
        let decoder = move |part: Chosen| {
            let (input, file, mask) = (input.clone(), file.clone(), mask.clone());
            async move {
                let groups = part.groups.clone();
                let chunks = file.clone();
                let decoder = decode(&input, move || {
                    let builder = ParquetPushDecoderBuilder::new_with_metadata(file).with_batch_size(batch_rows);
                    let builder = builder.with_projection(mask).with_row_groups(part.groups);
                    builder.with_offset(part.offset).with_limit(part.limit).build()
                })
                .await?;
                Ok::<_, Error>(Decoder { input, file: chunks, groups, decoder })
            }
        };
        let begun = move |part| {
            let decoder = decoder(part);
            async move { decoder.await?.begin(most_begun).await }
        };
        let groups = futures::stream::iter(parts).map(begun).buffered(ahead);
        let batches = groups.map_ok(|(first, rest)| {
            let rest = rest.map_or_else(|| futures::stream::empty().boxed(), Decoder::batches);
            futures::stream::iter(first.into_iter().map(Ok)).chain(rest)
        });
        let batches = batches.try_flatten().boxed();
        let reader = Reader { batches, intake: Arc::new(intake), nulls, rows: first };
        let stream = futures::stream::try_unfold(reader, Reader::next).into_stream().boxed();
        Ok(Batches::new(schema, stream, tally).with_notes(self.notes).with_source_columns(names))
    }

    /// How many rows of the widest row group are about so many bytes, decoded.
    fn rows_within(&self, bytes: u64) -> usize {
        let groups = self.metadata.metadata().row_groups().iter();
        let width = |group: &RowGroupMetaData| {
            group_bytes(group).checked_div(u64::try_from(group.num_rows()).unwrap_or(0)).unwrap_or(0)
        };
        let widest = groups.map(width).max().unwrap_or(0);
        usize::try_from(bytes / widest.max(1)).unwrap_or(usize::MAX)
    }

    /// The columns of integers that may hold one that no float is: all for which statistics do not say otherwise.
    fn wide_integers(&self) -> Vec<String> {
        let groups = self.metadata.metadata().row_groups();
        let fields = self.schema.fields().iter();
        let fields = fields.filter(|field| matches!(field.data_type(), DataType::Int64 | DataType::UInt64));
        let fits = |field: &Field, group: &RowGroupMetaData| {
            let mut columns = group.columns().iter();
            let column = columns.find(|column| column.column_path().parts() == [field.name().as_str()]);
            column.is_some_and(|column| fits_floats(column, field.data_type() == &DataType::Int64))
        };
        let wide = fields.filter(|field| !groups.iter().all(|group| fits(field, group)));
        wide.map(|field| field.name().clone()).collect()
    }
}

/// Some rows of a file, as its decoder is told of them.
#[derive(Debug)]
struct Chosen {
    /// The row groups that hold them.
    groups: Vec<usize>,
    /// How many rows of the first of these come before.
    offset: usize,
    limit: usize,
    /// The number of the first row in the file, from 0.
    first: u64,
}

impl Chosen {
    fn of(metadata: &ArrowReaderMetadata, rows: Range<u64>) -> Self {
        let mut groups = Vec::new();
        let mut begin = 0_u64;
        let mut before = 0;
        for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
            // A damaged file may say anything.
            let end = begin.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
            if begin < rows.end && rows.start < end {
                if groups.is_empty() {
                    before = rows.start.saturating_sub(begin);
                }
                groups.push(index);
            }
            begin = end;
        }
        let count = |rows| usize::try_from(rows).unwrap_or(usize::MAX);
        let limit = rows.end.saturating_sub(rows.start);
        Self { groups, offset: count(before), limit: count(limit), first: rows.start }
    }

    /// The rows of each row group by itself.
    fn each(self, metadata: &ArrowReaderMetadata) -> Vec<Self> {
        let (mut offset, mut limit, mut first) = (self.offset, self.limit, self.first);
        let groups = metadata.metadata().row_groups();
        let rows =
            |group: usize| groups.get(group).and_then(|group| usize::try_from(group.num_rows()).ok()).unwrap_or(0);
        let each = |group: usize| {
            let rows = rows(group).saturating_sub(offset).min(limit);
            let part = Self { groups: vec![group], offset, limit: rows, first };
            (offset, limit, first) = (0, limit - rows, first.saturating_add(rows as u64));
            part
        };
        self.groups.into_iter().map(each).collect()
    }
}

/// Whether the statistics of a column of integers say that each of them is a float too.
fn fits_floats(column: &ColumnChunkMetaData, is_signed: bool) -> bool {
    const EXACT: i64 = 1 << 53;
    let Some(Statistics::Int64(found)) = column.statistics() else { return false };
    // The larger half of the unsigned integers is negative here.
    let exact = if is_signed { -EXACT..=EXACT } else { 0..=EXACT };
    let is_empty = found.null_count_opt().is_some_and(|nulls| i64::try_from(nulls) == Ok(column.num_values()));
    is_empty
        || found.min_opt().zip(found.max_opt()).is_some_and(|(min, max)| exact.contains(min) && exact.contains(max))
}

fn intake(input: &Input, schema: &SchemaRef, options: &ReadOptions, tally: &Arc<Tally>) -> Result<Intake> {
    let specs = options.schema.as_deref().map(|specs| (specs, Origin::Declared));
    Intake::new(input.name(), schema, specs, options, tally)
}

/// The columns of the file that must be read.
fn wanted(schema: &Schema, options: &ReadOptions) -> Vec<usize> {
    let keeps_rejects = options.on_row_error.keeps() && options.rejects.is_some();
    let is_wanted = |name: &str| match (&options.schema, &options.columns) {
        // A rejected record is kept whole.
        (Some(_), _) if keeps_rejects => true,
        // Broken rows must not depend on the columns asked for, so all that are declared are read.
        (Some(specs), _) => specs.iter().any(|spec| spec.source_names().any(|wanted| wanted == name)),
        (None, Some(columns)) => columns.iter().any(|wanted| wanted == name),
        (None, None) => true,
    };
    (0..schema.fields().len()).filter(|index| is_wanted(schema.field(*index).name())).collect()
}

/// Some rows being decoded.
struct Decoder {
    input: Input,
    file: ArrowReaderMetadata,
    /// Those that hold the rows.
    groups: Vec<usize>,
    decoder: ParquetPushDecoder,
}

impl Decoder {
    fn batches(self) -> BoxStream<'static, Result<RecordBatch>> {
        futures::stream::try_unfold(self, Self::next).boxed()
    }

    /// Decodes all, or up to about so many bytes; gives what is left as well.
    async fn begin(self, most: u64) -> Result<(Vec<RecordBatch>, Option<Self>)> {
        let (mut batches, mut bytes, mut rest) = (Vec::new(), 0, self);
        while bytes < most {
            let Some((batch, decoder)) = rest.next().await? else { return Ok((batches, None)) };
            bytes += batch.get_array_memory_size() as u64;
            batches.push(batch);
            rest = decoder;
        }
        Ok((batches, Some(rest)))
    }

    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            let decoded;
            let mut decoder = self.decoder;
            (self.decoder, decoded) = decode(&self.input, move || {
                let decoded = decoder.try_decode()?;
                Ok((decoder, decoded))
            })
            .await?;
            match decoded {
                DecodeResult::Finished => return Ok(None),
                DecodeResult::NeedsData(ranges) => {
                    let data = fetch(&self.input, &ranges).await?;
                    self = self.take(ranges, data).await?;
                }
                DecodeResult::Data(batch) => return Ok(Some((batch, self))),
            }
        }
    }
}

impl Decoder {
    /// Takes column chunks.
    async fn take(mut self, ranges: Vec<Range<u64>>, data: Vec<Bytes>) -> Result<Self> {
        let (file, groups, mut decoder) = (self.file.clone(), self.groups.clone(), self.decoder);
        self.decoder = decode(&self.input, move || {
            let chunks: HashMap<u64, &Bytes> = ranges.iter().map(|range| range.start).zip(&data).collect();
            for column in groups.iter().flat_map(|group| file.metadata().row_group(*group).columns()) {
                let Some(bytes) = chunks.get(&column.byte_range().0) else { continue };
                thrift::check_pages(bytes, thrift::least_width(column))?;
                lengths::check(column, bytes)?;
            }
            decoder.push_ranges(ranges, data)?;
            Ok(decoder)
        })
        .await?;
        Ok(self)
    }
}

/// A file being read.
struct Reader {
    batches: BoxStream<'static, Result<RecordBatch>>,
    intake: Arc<Intake>,
    nulls: Vec<String>,
    rows: u64,
}

impl Reader {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        while let Some(batch) = self.batches.try_next().await? {
            if let Some(batch) = self.accept(batch).await? {
                return Ok(Some((batch, self)));
            }
        }
        Ok(None)
    }

    async fn accept(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let (intake, nulls, first) = (Arc::clone(&self.intake), self.nulls.clone(), self.rows + 1);
        self.rows += batch.num_rows() as u64;
        compute::run(move || {
            let records = Rows { batch: batch.clone(), first };
            intake.accept(with_nulls(batch, &nulls)?, &records, Vec::new())
        })
        .await
    }
}

/// The rows of a batch as records.
struct Rows {
    batch: RecordBatch,
    first: u64,
}

impl Records for Rows {
    fn place(&self, row: usize) -> Place {
        Place { row: self.first + row as u64, line: None, byte: None }
    }

    fn raw(&self, row: usize) -> String {
        let schema = self.batch.schema();
        let mut json = String::from("{");
        for (field, column) in schema.fields().iter().zip(self.batch.columns()) {
            if json.len() > 1 {
                json.push(',');
            }
            push_string(Some(field.name()), &mut json);
            json.push(':');
            // JSON has no number for it, and null would be another value when the record is read once more.
            let text = value_text(column.as_ref(), row).ok().flatten();
            match text.filter(|text| matches!(text.as_str(), "NaN" | "inf" | "-inf")) {
                Some(text) => push_string(Some(&text), &mut json),
                None => {
                    if let Err(error) = push_json(column.as_ref(), row, &mut json) {
                        return error.to_string();
                    }
                }
            }
        }
        json.push('}');
        json
    }
}

#[cfg(any(test, feature = "pipeline"))]
impl Parquet {
    /// Reads some of the rows, counted from 0; row groups without any of them are not touched. Positions in errors and row
    /// numbers are those in the whole file.
    ///
    /// # Errors
    /// Those of [`Format::read`].
    pub(crate) async fn read_rows(source: &Source, options: ReadOptions, rows: Range<u64>) -> Result<Batches> {
        Plan::new(source, &options).await?.read(options, Some(rows)).await
    }

    /// Writes as [`Format::write`] does, and leaves it to the caller to make it visible.
    ///
    /// # Errors
    /// Those of [`Format::write`].
    #[cfg(feature = "pipeline")]
    pub(crate) async fn draft(sink: Sink, batches: Batches, options: &WriteOptions) -> Result<(Written, Output)> {
        write::draft(sink, batches, options).await
    }
}

#[async_trait]
impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    async fn infer_schema(&self, source: &Source, options: &ReadOptions) -> Result<Inferred> {
        let plan = Plan::new(source, options).await?;
        let intake = intake(&plan.input, &plan.schema, options, &Arc::default())?;
        let wide_integers = if options.schema.is_some() { Vec::new() } else { plan.wide_integers() };
        let inferred = Inferred::new(intake.schema(), plan.notes.clone(), plan.rows(), true);
        Ok(Inferred { wide_integers, ..inferred })
    }

    async fn read(&self, source: Source, options: ReadOptions) -> Result<Batches> {
        let plan = Plan::new(&source.spool().await?, &options).await?;
        plan.read(options, None).await
    }

    async fn write(&self, sink: Sink, batches: Batches, options: WriteOptions) -> Result<Written> {
        write::write(sink, batches, &options).await
    }
}

mod encoding;
mod group;
mod lengths;
mod metadata;
mod pieces;
mod sizes;
mod structs;
mod thrift;
mod write;

pub(super) use group::batch_bytes;
#[cfg(any(test, feature = "pipeline"))]
pub(crate) use metadata::digest_said;

#[cfg(test)]
mod tests;
