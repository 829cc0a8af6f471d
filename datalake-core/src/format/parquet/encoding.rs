//! Which encodings a Parquet file's columns get: by what the rows of its first group have in them.
//!
//! A dictionary pays where values repeat; without one, integers and times are small as differences (`DELTA_BINARY_PACKED`), and
//! the bytes of floats compress better apart (`BYTE_STREAM_SPLIT`), or not: a sample is compressed both ways.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType, DataType, Float32Type, Float64Type, Schema, ToByteSlice};
use arrow::downcast_primitive_array;
use parquet::basic::{Compression as Codec, Encoding, GzipLevel, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use zstd::bulk::Compressor;

use super::group::Group;
use super::{CREATED_BY, OWN_KEYS};
use crate::error::{Error, ErrorKind, Result};
use crate::format::compression::Compression;
use crate::format::options::WriteOptions;

/// How many values of a column are looked at.
const SAMPLE: usize = 4096;

/// How a file is written whose first group, if there is one, has these rows.
pub(super) fn properties(
    name: &str,
    schema: &Schema,
    options: &WriteOptions,
    group: Option<&Group>,
) -> Result<WriterProperties> {
    let zstd = ZstdLevel::try_new(options.zstd_level).map_err(|_| {
        Error::invalid("write", name)
            .with_reason(format_args!("zstd_level must be 1 to 22, got {}", options.zstd_level))
    })?;
    let gzip = GzipLevel::try_new(options.gzip_level).map_err(|_| {
        Error::invalid("write", name).with_reason(format_args!("gzip_level must be 1 to 9, got {}", options.gzip_level))
    })?;
    let codec = match options.compression {
        Some(Compression::None) => Codec::UNCOMPRESSED,
        Some(Compression::Gzip) => Codec::GZIP(gzip),
        Some(Compression::Snappy) => Codec::SNAPPY,
        Some(Compression::Lz4) => Codec::LZ4_RAW,
        None | Some(Compression::Zstd) => Codec::ZSTD(zstd),
        Some(other @ (Compression::Bzip2 | Compression::Xz | Compression::Zip)) => {
            return Err(Error::new(ErrorKind::Unsupported, "write", name)
                .with_reason(format_args!("Parquet knows no compression by {}", other.name()))
                .with_hint("give zstd, gzip, snappy, lz4 or none"));
        }
    };
    let mut properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(None)
        .set_created_by(CREATED_BY.to_owned())
        .set_key_value_metadata(said(name, &options.metadata)?);
    for wanted in &options.bloom_filters {
        properties = filtered(properties, name, schema, wanted, group)?;
    }
    if let Some(group) = group {
        // One for all columns: it is large.
        let mut press = Compressor::new(1).map_err(|cause| Error::io("compress", name, cause))?;
        for (index, field) in schema.fields().iter().enumerate() {
            properties = chosen(properties, field.name(), &group.column(index), &mut press);
        }
    }
    Ok(properties.build())
}

/// What a user has a file say of itself.
fn said(name: &str, metadata: &BTreeMap<String, String>) -> Result<Option<Vec<KeyValue>>> {
    let refused = metadata.keys().find(|key| key.starts_with(OWN_KEYS) || key.as_str() == "ARROW:schema");
    if let Some(key) = refused {
        return Err(Error::invalid("write", name)
            .with_reason(format_args!("the key `{key}` of its metadata is not free"))
            .with_hint("choose another key"));
    }
    let said: Vec<KeyValue> = metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    Ok((!said.is_empty()).then_some(said))
}

/// A Bloom filter for a column, of a size that suits as many distinct values as a group has rows.
fn filtered(
    properties: WriterPropertiesBuilder,
    name: &str,
    schema: &Schema,
    wanted: &str,
    group: Option<&Group>,
) -> Result<WriterPropertiesBuilder> {
    let refused = |error: Error| error.with_hint("name columns of the table that are not nested");
    let Ok(field) = schema.field_with_name(wanted) else {
        return Err(refused(Error::not_found(
            "find",
            format_args!("the column `{wanted}` of {name} for a Bloom filter"),
        )));
    };
    // Of a boolean it says nothing, and the crate's writer makes none.
    if field.data_type().is_nested() || field.data_type() == &DataType::Boolean {
        return Err(refused(
            Error::invalid("make", format_args!("a Bloom filter for the column `{wanted}` of {name}"))
                .with_reason(format_args!("it is of the type {}", field.data_type())),
        ));
    }
    let path = || ColumnPath::new(vec![wanted.to_owned()]);
    let rows = group.map_or(1, |group| group.rows() as u64).max(1);
    Ok(properties.set_column_bloom_filter_enabled(path(), true).set_column_bloom_filter_max_ndv(path(), rows))
}

/// Chooses for a column that is not nested.
fn chosen(
    properties: WriterPropertiesBuilder,
    name: &str,
    arrays: &[ArrayRef],
    press: &mut Compressor<'_>,
) -> WriterPropertiesBuilder {
    let Some(first) = arrays.first() else { return properties };
    let path = || ColumnPath::new(vec![name.to_owned()]);
    let fallback = match first.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Encoding::PLAIN,
        DataType::Float32 | DataType::Float64 => {
            if is_better_split(arrays, press) {
                Encoding::BYTE_STREAM_SPLIT
            } else {
                Encoding::PLAIN
            }
        }
        DataType::Boolean => return properties.set_column_dictionary_enabled(path(), false),
        // Three numbers in one.
        DataType::Interval(_) => return properties,
        flat if flat.is_integer() || flat.is_temporal() => Encoding::DELTA_BINARY_PACKED,
        _ => return properties,
    };
    properties.set_column_dictionary_enabled(path(), repeats(arrays)).set_column_encoding(path(), fallback)
}

/// Values that stand at equal distances, with the parts that they are of.
fn sample(arrays: &[ArrayRef]) -> impl Iterator<Item = (&ArrayRef, usize)> {
    let rows: usize = arrays.iter().map(Array::len).sum();
    let step = rows.div_ceil(SAMPLE).max(1);
    let mut before = 0;
    arrays.iter().flat_map(move |array| {
        let first = (step - before % step) % step;
        before += array.len();
        (first..array.len()).step_by(step).filter(|row| array.is_valid(*row)).map(move |row| (array, row))
    })
}

/// Whether so many values are repeated that a dictionary pays: where about an eighth of the rows are distinct, nine of ten
/// in the sample still are.
fn repeats(arrays: &[ArrayRef]) -> bool {
    let rows: usize = arrays.iter().map(Array::len).sum();
    // They are counted, no more: which hash tells them apart does not matter.
    let hash = ahash::RandomState::with_seeds(0, 0, 0, 0);
    let (mut distinct, mut values) = (HashSet::with_capacity_and_hasher(SAMPLE.min(rows), hash), 0_usize);
    for (array, row) in sample(arrays) {
        values += 1;
        distinct.insert(key(array, row));
    }
    let most = if rows <= SAMPLE { values / 2 } else { values / 10 * 8 };
    distinct.len() <= most
}

/// A value's bits, or a text.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Bits(u64),
    Text(&'a str),
}

fn key(array: &ArrayRef, row: usize) -> Key<'_> {
    match array.data_type() {
        DataType::Utf8 => Key::Text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Key::Text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Key::Text(array.as_string_view().value(row)),
        _ => {
            let array = array.as_ref();
            Key::Bits(downcast_primitive_array!(
                array => bits(array.values()[row]),
                _ => 0
            ))
        }
    }
}

/// The low bits of a value.
fn bits<T: ArrowNativeType>(value: T) -> u64 {
    let bytes = value.to_byte_slice();
    let mut low = [0; 8];
    let length = bytes.len().min(8);
    low[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(low)
}

/// Whether floats are smaller with their bytes apart.
fn is_better_split(arrays: &[ArrayRef], press: &mut Compressor<'_>) -> bool {
    let bytes = match arrays.first().map(Array::data_type) {
        Some(DataType::Float64) => head::<Float64Type, 8>(arrays, f64::to_le_bytes),
        Some(DataType::Float32) => head::<Float32Type, 4>(arrays, f32::to_le_bytes),
        _ => return false,
    };
    let (plain, apart) = bytes;
    let mut size = |bytes: &[u8]| press.compress(bytes).map_or(usize::MAX, |bytes| bytes.len());
    size(&apart) < size(&plain)
}

/// The first values as bytes: one after the other, and all first bytes before all second ones and so on.
fn head<T: ArrowPrimitiveType, const WIDTH: usize>(
    arrays: &[ArrayRef],
    bytes: impl Fn(T::Native) -> [u8; WIDTH],
) -> (Vec<u8>, Vec<u8>) {
    let values = arrays.iter().flat_map(|array| array.as_primitive::<T>().iter().flatten());
    let values: Vec<[u8; WIDTH]> = values.take(SAMPLE).map(bytes).collect();
    let apart = (0..WIDTH).flat_map(|place| values.iter().map(move |value| value[place])).collect();
    (values.concat(), apart)
}
