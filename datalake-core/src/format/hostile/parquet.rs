//! Parquet that is broken on purpose.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int8Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::{Bench, Trial, wait};
use crate::format::{Format, Parquet, ReadOptions};

/// Small files of all kinds of columns, encodings, pages and compressions.
#[must_use]
pub fn parquet_files() -> Vec<Vec<u8>> {
    let properties = WriterProperties::builder;
    let all = [
        properties().build(),
        properties().set_dictionary_enabled(false).set_writer_version(WriterVersion::PARQUET_2_0).build(),
        properties().set_compression(Compression::SNAPPY).set_max_row_group_row_count(Some(4)).build(),
        properties().set_compression(Compression::ZSTD(ZstdLevel::default())).set_data_page_row_count_limit(3).build(),
    ];
    let mut files: Vec<Vec<u8>> = all.into_iter().map(|properties| file(&table(), properties)).collect();
    for (column, encoding) in [
        (0, Encoding::DELTA_BINARY_PACKED),
        (1, Encoding::BYTE_STREAM_SPLIT),
        (2, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        (2, Encoding::DELTA_BYTE_ARRAY),
    ] {
        let properties = properties().set_dictionary_enabled(false).set_encoding(encoding);
        files.push(file(&table().project(&[column]).expect("a column"), properties.build()));
    }
    files.push(file(&table().slice(0, 0), properties().build()));
    files
}

fn file(table: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties)).expect("a writer");
    // In pieces, so that pages end within them.
    for start in (0..table.num_rows()).step_by(2) {
        writer.write(&table.slice(start, 2.min(table.num_rows() - start))).expect("memory");
    }
    writer.close().expect("memory");
    bytes
}

fn table() -> RecordBatch {
    let numbers = [Some(1), None, Some(i64::MIN), Some(i64::MAX), Some(0), Some(-1), Some(7)];
    let texts =
        [Some("a"), Some(""), None, Some("\u{e4}\u{1f34e}"), Some("a"), Some("long enough not to be inlined"), None];
    let inner: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
    let present = vec![true, false, true, true, true, false, true];
    let lists =
        [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(3)]), None, Some(vec![None]), Some(vec![])];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(numbers.to_vec()))),
        ("f", Arc::new(Float64Array::from(vec![1.5, f64::NAN, -0.0, f64::INFINITY, 1e308, 5e-324, 0.1]))),
        ("t", Arc::new(StringArray::from(texts.to_vec()))),
        ("g", Arc::new(Float32Array::from(vec![Some(1.5), None, None, Some(2.5), None, None, None]))),
        ("b", Arc::new(BooleanArray::from(present.clone()))),
        ("n", Arc::new(Int8Array::from(vec![-1, 0, 1, 2, 3, 127, -128]))),
        ("d", Arc::new(Date32Array::from(vec![0, -1, 19_782, 1, 2, 3, 4]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![0, 1, -1, 2, 3, 4, 5]).with_timezone("UTC"))),
        ("y", Arc::new(BinaryArray::from_iter_values([&b"\xff"[..], b"", b"a", b"b", b"c", b"d", b"e"]))),
        ("w", Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>())),
        (
            "m",
            Arc::new(
                Decimal128Array::from(vec![1, -1, 0, 100, 5, 6, 7]).with_precision_and_scale(20, 2).expect("a decimal"),
            ),
        ),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        (
            "s",
            Arc::new(StructArray::new(
                vec![Field::new("x", DataType::Int64, true)].into(),
                vec![inner],
                Some(present.into()),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("a table")
}

/// Reads any bytes as Parquet: they are a table or an error.
///
/// # Panics
/// If a promise is broken.
pub fn try_parquet(data: &[u8]) {
    let bench = Bench::new(data);
    let read = bench.read(&Parquet, &ReadOptions::default().with_batch_rows(3), Trial::default());
    let inferred = wait(Parquet.infer_schema(&bench.source(), &ReadOptions::default()));
    if let (Ok(read), Ok(inferred)) = (&read, &inferred) {
        assert_eq!(read.schema.fields().len(), inferred.schema.fields().len() + 1);
        assert!(read.rejects.is_empty(), "{:?}", read.rejects);
    }
}
