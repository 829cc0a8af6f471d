//! A file's metadata, and what decoders are given: bytes that are there, on the CPU threads, with errors that name the file.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use bytes::Bytes;
use parquet::DecodeResult;
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::ConvertedType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use super::thrift;
use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::dictionaries::with_room;
#[cfg(any(test, feature = "pipeline"))]
use crate::format::parquet::DIGEST_KEY;
use crate::format::source::Input;
#[cfg(any(test, feature = "pipeline"))]
use crate::format::source::Source;

/// Reads a file's metadata from its end.
pub(super) async fn metadata(input: &Input) -> Result<ParquetMetaData> {
    if input.size() == 0 {
        return Err(Error::invalid("read", input.name()).with_reason("it is empty (0 bytes)"));
    }
    if input.size() < 12 {
        return Err(Error::invalid("read", input.name())
            .with_reason(format_args!("it is no Parquet file: it has only {} bytes", input.size())));
    }
    let mut decoder = ParquetMetaDataPushDecoder::try_new(input.size())
        .map_err(|cause| damaged(input, &cause))?
        .with_page_index_policy(PageIndexPolicy::Skip);
    loop {
        let decoded;
        (decoder, decoded) = decode(input, move || {
            let decoded = decoder.try_decode()?;
            Ok((decoder, decoded))
        })
        .await?;
        match decoded {
            DecodeResult::Data(metadata) => {
                check_rows(&metadata).map_err(|cause| damaged(input, &cause))?;
                return Ok(metadata);
            }
            DecodeResult::NeedsData(ranges) => {
                let data = fetch(input, &ranges).await?;
                check_footer(input, &ranges, &data)?;
                let begin = input.size() - 8;
                decoder = decode(input, move || {
                    let metadata = ranges.iter().zip(&data).find(|(range, _)| range.end == begin);
                    metadata.map_or(Ok(()), |(_, bytes)| thrift::check_metadata(bytes))?;
                    decoder.push_ranges(ranges, data)?;
                    Ok(decoder)
                })
                .await?;
            }
            DecodeResult::Finished => return Err(Error::internal("read the metadata of", input.name())),
        }
    }
}

/// Sees whether the file has room for its metadata, whose length its last eight bytes tell: the decoder takes that for granted.
fn check_footer(input: &Input, ranges: &[Range<u64>], data: &[Bytes]) -> Result<()> {
    let footer = ranges.iter().zip(data).find(|(range, bytes)| range.end == input.size() && bytes.len() == 8);
    let Some([a, b, c, d, b'P', b'A', b'R', b'1']) = footer.map(|(_, bytes)| bytes.as_ref()) else { return Ok(()) };
    let length = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
    if length + 8 <= input.size() {
        return Ok(());
    }
    let cause = ParquetError::General(format!("its metadata would have {length} bytes"));
    Err(damaged(input, &cause))
}

/// Sees whether each row group has as many rows as its columns have values: of one that says otherwise, rows would be lost unseen.
pub(super) fn check_rows(metadata: &ParquetMetaData) -> Result<(), ParquetError> {
    for (place, group) in metadata.row_groups().iter().enumerate() {
        let rows = group.num_rows();
        let differs = |column: &&ColumnChunkMetaData| match column.column_descr().max_rep_level() {
            0 => column.num_values() != rows,
            // A row has a value at least, if only a missing one.
            _ => column.num_values() < rows,
        };
        if let Some(column) = group.columns().iter().find(differs) {
            return Err(ParquetError::General(format!(
                "its row group {place} has {rows} rows, and {} values in column `{}`",
                column.num_values(),
                column.column_path().string()
            )));
        }
    }
    Ok(())
}

/// The digest that a file says its table has, where it says so.
#[cfg(any(test, feature = "pipeline"))]
pub(crate) async fn digest_said(source: &Source) -> Result<Option<String>> {
    let input = Input::open(source).await?;
    let metadata = metadata(&input).await?;
    let said = metadata.file_metadata().key_value_metadata().into_iter().flatten().find(|pair| pair.key == DIGEST_KEY);
    Ok(said.and_then(|pair| pair.value.clone()))
}

/// The metadata with the Arrow schema that the writer left in it; without that where other writers, nanoparquet for
/// one, left what Arrow cannot read: Parquet's own schema says all that is needed. Dictionaries get room for those of
/// other batches and files.
pub(super) async fn with_schema(input: &Input, metadata: Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata> {
    let open = |options| {
        let metadata = Arc::clone(&metadata);
        decode(input, move || ArrowReaderMetadata::try_new(metadata, options))
    };
    let Ok(opened) = open(ArrowReaderOptions::new()).await else {
        return open(ArrowReaderOptions::new().with_skip_arrow_metadata(true)).await;
    };
    let roomy = with_room(opened.schema());
    let plain = plain(&roomy);
    if plain == **opened.schema() {
        return Ok(opened);
    }
    let wanted = open(ArrowReaderOptions::new().with_schema(Arc::new(plain))).await;
    // A date that is stored as milliseconds is no other date.
    if wanted.is_ok() { wanted } else { open(ArrowReaderOptions::new().with_schema(Arc::new(roomy))).await }
}

/// The schema without what some write into it for themselves alone: dates as milliseconds, which Parquet has as days, and
/// dictionaries of what the decoder has none of.
fn plain(schema: &Schema) -> Schema {
    let field = |field: &FieldRef| match field.data_type() {
        DataType::Date64 => field.as_ref().clone().with_data_type(DataType::Date32),
        DataType::Dictionary(_, values) if *values.as_ref() == DataType::Boolean || values.is_decimal() => {
            field.as_ref().clone().with_data_type(values.as_ref().clone())
        }
        _ => field.as_ref().clone(),
    };
    let fields: Vec<Field> = schema.fields().iter().map(field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// Refuses columns of intervals, unless a writer for whom they are Arrow's says which: the decoder takes them for days and
/// milliseconds, and would lose their months.
pub(super) fn refuse_intervals(input: &Input, metadata: &ParquetMetaData, wanted: &[usize]) -> Result<()> {
    let mut said = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    if said.any(|pair| pair.key == ARROW_SCHEMA_META_KEY) {
        return Ok(());
    }
    let columns = metadata.file_metadata().schema_descr();
    let is_interval = |leaf: &usize| {
        let column = columns.column(*leaf);
        column.converted_type() == ConvertedType::INTERVAL && wanted.contains(&columns.get_column_root_idx(*leaf))
    };
    let Some(leaf) = (0..columns.num_columns()).find(is_interval) else { return Ok(()) };
    let name = columns.get_column_root(leaf).name();
    Err(Error::new(ErrorKind::Unsupported, "read", input.name())
        .with_reason(format_args!("column `{name}` has intervals, the months of which are not read here"))
        .with_hint("leave it out by `columns`, or write it as a number or text before"))
}

/// Runs decoding on the CPU threads. The decoder's panics, too, come of the file's bytes.
pub(super) async fn decode<T: Send + 'static>(
    input: &Input,
    work: impl FnOnce() -> Result<T, ParquetError> + Send + 'static,
) -> Result<T> {
    let result = compute::run(move || Ok(compute::expecting_panics(work))).await;
    match result {
        Ok(decoded) => decoded.map_err(|cause| damaged(input, &cause)),
        Err(panic) => Err(Error::invalid("read", input.name())
            .with_reason(format_args!("the file is damaged: {}", panic.reason().unwrap_or("its decoder broke off")))
            .with_hint("fetch or write the file again")),
    }
}

fn damaged(input: &Input, cause: &ParquetError) -> Error {
    let error = Error::invalid("read", input.name());
    match cause {
        ParquetError::NYI(what) => Error::new(ErrorKind::Unsupported, "read", input.name()).with_reason(what),
        // A codec that the crate was compiled without; the file is whole.
        ParquetError::General(what) if what.starts_with("Disabled feature") => {
            let codec = what.rsplit(' ').next().unwrap_or_default();
            Error::new(ErrorKind::Unsupported, "read", input.name())
                .with_reason(format_args!("it is compressed with {codec}, which is not read here"))
                .with_hint("write it with zstd, snappy, gzip or lz4, or without compression")
        }
        _ => error
            .with_reason(format_args!("it is no whole Parquet file of {} bytes: {cause}", input.size()))
            .with_hint("fetch or write the file again"),
    }
}

/// Fetches ranges that a decoder asks for; a damaged file can ask for more than there is.
pub(super) async fn fetch(input: &Input, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let mut data = Vec::with_capacity(ranges.len());
    for range in ranges {
        if range.start > range.end || range.end > input.size() {
            return Err(Error::invalid("read", input.name())
                .with_reason(format_args!("it names bytes {} to {} of {}", range.start, range.end, input.size()))
                .with_hint("fetch or write the file again"));
        }
        data.push(input.range(range.clone()).await?);
    }
    Ok(data)
}
