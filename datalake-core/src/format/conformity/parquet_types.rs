//! Parquet of other writers: every type, encoding, kind of page and compression, and every place at which a file can end.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int96, Int96Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::{cells, types, wait};
use crate::error::{ErrorKind, Result};
use crate::format::hostile::try_parquet;
use crate::format::{self, Batches, Parquet, ReadOptions, Sink, WriteOptions};

/// What a type becomes in CSV: its cells, or the type that cannot be written.
type Told = std::result::Result<&'static [&'static str], &'static str>;

fn file(table: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, table.schema(), Some(properties)).unwrap();
    writer.write(table).unwrap();
    writer.close().unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<RecordBatch> {
    super::read(&Parquet, bytes, ReadOptions::default())
}

/// A table through one of our writers; the digest of what was written.
fn written(table: &RecordBatch, name: &str) -> Result<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let sink = Sink::LocalFile(path.clone());
    let to = format::for_sink(&sink, &WriteOptions::default())?;
    let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
    let done = wait(to.write(sink, batches, WriteOptions::default()))?;
    Ok((done.digest, std::fs::read(path).unwrap()))
}

fn of_one(array: &ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("x", Arc::clone(array), true)]).unwrap()
}

/// Every type that Arrow can write, three values each, the second missing.
fn arrays() -> Vec<(ArrayRef, Told)> {
    let nulls = || Some(NullBuffer::from(vec![true, false, true]));
    let present = vec![true, false, true];
    let list_field = Arc::new(Field::new_list_field(DataType::Int64, true));
    let ints = || Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as ArrayRef;
    let map = {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        builder.keys().append_value("a");
        builder.values().append_value(1);
        builder.append(true).unwrap();
        builder.append(false).unwrap();
        builder.append(true).unwrap();
        builder.finish()
    };
    let half = |value: f32| half::f16::from_f32(value);
    vec![
        (Arc::new(NullArray::new(3)), Ok(&["-", "-", "-"])),
        (Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])), Ok(&["true", "-", "false"])),
        (Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)])), Ok(&["-128", "-", "127"])),
        (Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)])), Ok(&["-32768", "-", "32767"])),
        (
            Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)])),
            Ok(&["-2147483648", "-", "2147483647"]),
        ),
        (
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)])),
            Ok(&["-9223372036854775808", "-", "9223372036854775807"]),
        ),
        (Arc::new(UInt8Array::from(vec![Some(0), None, Some(u8::MAX)])), Ok(&["0", "-", "255"])),
        (Arc::new(UInt16Array::from(vec![Some(0), None, Some(u16::MAX)])), Ok(&["0", "-", "65535"])),
        (Arc::new(UInt32Array::from(vec![Some(0), None, Some(u32::MAX)])), Ok(&["0", "-", "4294967295"])),
        (Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)])), Ok(&["0", "-", "18446744073709551615"])),
        (Arc::new(Float16Array::from(vec![Some(half(1.5)), None, Some(half(-2.0))])), Ok(&["1.5", "-", "-2.0"])),
        (Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::INFINITY)])), Ok(&["0.1", "-", "inf"])),
        (Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(5e-324)])), Ok(&["-0.0", "-", "5e-324"])),
        (Arc::new(StringArray::from(vec![Some(""), None, Some("\u{1f34e}")])), Ok(&["", "-", "\u{1f34e}"])),
        (Arc::new(LargeStringArray::from(vec![Some(""), None, Some("b")])), Ok(&["", "-", "b"])),
        (
            Arc::new(StringViewArray::from(vec![Some(""), None, Some("longer than twelve bytes")])),
            Ok(&["", "-", "longer than twelve bytes"]),
        ),
        (Arc::new(BinaryArray::from(vec![Some(&b""[..]), None, Some(b"\xff\0")])), Ok(&["", "-", "ff00"])),
        (Arc::new(LargeBinaryArray::from(vec![Some(&b""[..]), None, Some(b"\xff")])), Ok(&["", "-", "ff"])),
        (Arc::new(BinaryViewArray::from(vec![Some(&b""[..]), None, Some(b"\xff")])), Ok(&["", "-", "ff"])),
        (
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    [Some(b"ab"), None, Some(b"\0\xff")].into_iter(),
                    2,
                )
                .unwrap(),
            ),
            Ok(&["6162", "-", "00ff"]),
        ),
        (
            Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896)])),
            Ok(&["0001-01-01", "-", "9999-12-31"]),
        ),
        (Arc::new(Date64Array::from(vec![Some(0), None, Some(86_400_000)])), Ok(&["1970-01-01", "-", "1970-01-02"])),
        (Arc::new(Time32SecondArray::from(vec![Some(0), None, Some(86_399)])), Ok(&["00:00:00", "-", "23:59:59"])),
        (
            Arc::new(Time32MillisecondArray::from(vec![Some(1), None, Some(86_399_999)])),
            Ok(&["00:00:00.001", "-", "23:59:59.999"]),
        ),
        (
            Arc::new(Time64MicrosecondArray::from(vec![Some(1), None, Some(0)])),
            Ok(&["00:00:00.000001", "-", "00:00:00"]),
        ),
        (
            Arc::new(Time64NanosecondArray::from(vec![Some(1), None, Some(0)])),
            Ok(&["00:00:00.000000001", "-", "00:00:00"]),
        ),
        (
            Arc::new(TimestampSecondArray::from(vec![Some(0), None, Some(1)])),
            Ok(&["1970-01-01T00:00:00", "-", "1970-01-01T00:00:01"]),
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(1)])),
            Ok(&["1969-12-31T23:59:59.999", "-", "1970-01-01T00:00:00.001"]),
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(0)]).with_timezone("UTC")),
            Ok(&["1970-01-01T00:00:00.000001Z", "-", "1970-01-01T00:00:00Z"]),
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(0)])),
            Ok(&["1970-01-01T00:00:00.000000001", "-", "1970-01-01T00:00:00"]),
        ),
        (
            Arc::new(Decimal32Array::from(vec![Some(-125), None, Some(5)]).with_precision_and_scale(9, 2).unwrap()),
            Ok(&["-1.25", "-", "0.05"]),
        ),
        (
            Arc::new(Decimal64Array::from(vec![Some(-125), None, Some(5)]).with_precision_and_scale(18, 2).unwrap()),
            Ok(&["-1.25", "-", "0.05"]),
        ),
        (
            Arc::new(Decimal128Array::from(vec![Some(-125), None, Some(5)]).with_precision_and_scale(38, 2).unwrap()),
            Ok(&["-1.25", "-", "0.05"]),
        ),
        (
            Arc::new(
                Decimal256Array::from(vec![Some(i256::from_i128(-125)), None, Some(i256::from_i128(5))])
                    .with_precision_and_scale(76, 2)
                    .unwrap(),
            ),
            Ok(&["-1.25", "-", "0.05"]),
        ),
        (Arc::new(DurationMicrosecondArray::from(vec![Some(1), None, Some(0)])), Ok(&["PT0.000001S", "-", "P0D"])),
        (
            Arc::new(ListArray::new(Arc::clone(&list_field), OffsetBuffer::from_lengths([2, 0, 1]), ints(), nulls())),
            Ok(&["[1,null]", "-", "[3]"]),
        ),
        (
            Arc::new(LargeListArray::new(
                Arc::clone(&list_field),
                OffsetBuffer::from_lengths([2, 0, 1]),
                ints(),
                nulls(),
            )),
            Ok(&["[1,null]", "-", "[3]"]),
        ),
        (
            Arc::new(ListViewArray::from(ListArray::new(
                Arc::clone(&list_field),
                OffsetBuffer::from_lengths([2, 0, 1]),
                ints(),
                nulls(),
            ))),
            Err("column `x`: there is no form for its type ListView"),
        ),
        (Arc::new(FixedSizeListArray::new(list_field, 1, ints(), nulls())), Ok(&["[1]", "-", "[3]"])),
        (
            Arc::new(StructArray::new(
                vec![Field::new("a", DataType::Int64, true)].into(),
                vec![ints()],
                Some(present.into()),
            )),
            Ok(&["{\"a\":1}", "-", "{\"a\":3}"]),
        ),
        (Arc::new(map), Ok(&["{\"a\":1}", "-", "{}"])),
        (Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("a"), None, Some("a")])), Ok(&["a", "-", "a"])),
    ]
}

#[test]
fn every_type_is_read_as_it_was_written() {
    for (array, told) in arrays() {
        let data_type = array.data_type().clone();
        let table = of_one(&array);
        let back = read(&file(&table, WriterProperties::builder().build()))
            .unwrap_or_else(|error| panic!("{data_type}: {error}"));
        assert_eq!(back.num_rows(), 3, "{data_type}");
        assert_eq!(back.column(0).as_ref(), array.as_ref(), "{data_type}");
        // What can be said of it, all formats say alike.
        let parquet = written(&table, "a.parquet");
        match told {
            Ok(texts) => {
                assert_eq!(
                    cells(&back),
                    texts.iter().map(|text| vec![(*text).to_owned()]).collect::<Vec<_>>(),
                    "{data_type}"
                );
                let (digest, bytes) = parquet.unwrap_or_else(|error| panic!("{data_type}: {error}"));
                assert_eq!(read(&bytes).unwrap().column(0).as_ref(), array.as_ref(), "{data_type}: what we write");
                for name in ["a.csv", "a.ndjson", "a.json"] {
                    assert_eq!(
                        written(&table, name).unwrap_or_else(|error| panic!("{data_type}: {error}")).0,
                        digest,
                        "{data_type}, {name}"
                    );
                }
            }
            Err(what) => {
                for name in ["a.parquet", "a.csv", "a.ndjson"] {
                    let error = written(&table, name).expect_err(what);
                    assert_eq!(error.kind(), ErrorKind::Unsupported, "{data_type}: {error}");
                    assert!(error.to_string().contains(what), "{error}");
                }
            }
        }
    }
}

/// A thousand rows of which runs are missing, some with few values and some with many.
fn long() -> RecordBatch {
    let rows = 0..1000_i64;
    let is_there = |row: i64| row % 7 != 0 && !(300..500).contains(&row);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(rows.clone().map(|row| is_there(row).then_some(row * row - 5)).collect::<Int64Array>())),
        ("f", Arc::new(rows.clone().map(|row| is_there(row).then_some(row as f64 / 3.0)).collect::<Float64Array>())),
        ("t", Arc::new(rows.clone().map(|row| is_there(row).then(|| format!("text {row}"))).collect::<StringArray>())),
        ("w", Arc::new(rows.clone().map(|row| is_there(row).then(|| format!("{}", row % 5))).collect::<StringArray>())),
        ("b", Arc::new(rows.clone().map(|row| is_there(row).then_some(row % 3 == 0)).collect::<BooleanArray>())),
        ("n", Arc::new(NullArray::new(1000))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

#[test]
fn every_page_and_compression_is_read_alike() {
    let table = long();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for codec in codecs {
            for dictionary in [false, true] {
                for rows in [7, 100, 10_000] {
                    let properties = WriterProperties::builder()
                        .set_writer_version(version)
                        .set_compression(codec)
                        .set_dictionary_enabled(dictionary)
                        .set_data_page_row_count_limit(rows)
                        .set_write_batch_size(rows.min(64))
                        .set_max_row_group_row_count(Some(rows * 3))
                        .set_statistics_enabled(if dictionary {
                            EnabledStatistics::None
                        } else {
                            EnabledStatistics::Page
                        });
                    let back = read(&file(&table, properties.build())).unwrap();
                    assert_eq!(back, table, "{version:?} {codec} {dictionary} {rows}");
                }
            }
        }
    }
}

#[test]
fn every_encoding_is_read_alike() {
    let table = long();
    for (column, encodings) in [
        (0, &[Encoding::PLAIN, Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT][..]),
        (1, &[Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT]),
        (2, &[Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY]),
        (4, &[Encoding::PLAIN, Encoding::RLE]),
    ] {
        let table = table.project(&[column]).unwrap();
        for encoding in encodings {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                let properties = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(*encoding);
                let back = read(&file(&table, properties.set_writer_version(version).build())).unwrap();
                assert_eq!(back, table, "{encoding}");
            }
        }
    }
}

/// A file that a program without Arrow wrote: a message of one column, and what writes its values.
fn foreign(message: &str, write: impl Fn(&mut parquet::file::writer::SerializedColumnWriter<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    write(&mut column);
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn types_that_only_parquet_has_are_read() {
    // Nanoseconds of a day, and the Julian day: 1970-01-02T00:00:01.
    let mut time = Int96::new();
    time.set_data(1_000_000_000, 0, 2_440_589);
    let int96 = foreign("message m { optional int96 t; }", |column| {
        column.typed::<Int96Type>().write_batch(&[time], Some(&[1, 0]), None).unwrap();
    });
    let table = read(&int96).unwrap();
    assert_eq!(cells(&table), [["1970-01-02T00:00:01"], ["-"]]);
    for (kind, data_type, text) in [
        ("UTF8", "t:text", "{\"a\":1}"),
        // Arrow takes it for bytes.
        ("ENUM", "t:Binary", "7b2261223a317d"),
        ("JSON", "t:text", "{\"a\":1}"),
        ("BSON", "t:Binary", "7b2261223a317d"),
    ] {
        let bytes = foreign(&format!("message m {{ required binary t ({kind}); }}"), |column| {
            column.typed::<ByteArrayType>().write_batch(&[ByteArray::from("{\"a\":1}")], None, None).unwrap();
        });
        let table = read(&bytes).unwrap();
        assert_eq!((types(&table), cells(&table)), (vec![data_type.to_owned()], vec![vec![text.to_owned()]]), "{kind}");
    }
    let bytes = foreign("message m { required fixed_len_byte_array(16) t (UUID); }", |column| {
        let value = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
        column.typed::<FixedLenByteArrayType>().write_batch(&[value], None, None).unwrap();
    });
    assert_eq!(cells(&read(&bytes).unwrap()), [["000102030405060708090a0b0c0d0e0f"]]);
}

#[test]
fn tables_without_rows_or_columns_are_tables() {
    let none = read(&file(&long().slice(0, 0), WriterProperties::builder().build())).unwrap();
    assert_eq!((none.num_rows(), none.num_columns()), (0, 6));
    assert_eq!(none.schema(), long().schema());
    let empty = RecordBatch::new_empty(Arc::new(Schema::empty()));
    let back = read(&file(&empty, WriterProperties::builder().build())).unwrap();
    assert_eq!((back.num_rows(), back.num_columns()), (0, 0));
    // Rows are there even where no column is asked for.
    let bytes = file(&long(), WriterProperties::builder().build());
    let options = ReadOptions::default().with_columns(Some(Vec::new())).with_row_number(Some("row".into()));
    let numbers = super::read(&Parquet, &bytes, options).unwrap();
    assert_eq!((numbers.num_rows(), numbers.num_columns()), (1000, 1));
    // A row group without rows among others.
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type("message m { required int64 i; }").unwrap());
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    for rows in [2, 0, 3] {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<parquet::data_type::Int64Type>().write_batch(&vec![7; rows], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    assert_eq!(cells(&read(&bytes).unwrap()), vec![["7"]; 5]);
}

#[test]
fn a_file_that_ends_anywhere_is_an_error() {
    let whole = file(&long().slice(0, 40), WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    for length in (0..whole.len()).step_by(3).chain(whole.len() - 20..whole.len()) {
        let error = read(&whole[..length]).expect_err("the file is cut");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{length}: {error}");
        assert!(error.to_string().contains("test"), "{error}");
    }
}

#[test]
fn a_bit_that_is_wrong_is_an_error_or_another_value_and_never_our_fault() {
    for whole in crate::format::hostile::parquet_files() {
        for (place, bit) in (0..whole.len()).step_by(5).zip((0..8).cycle()) {
            let mut file = whole.clone();
            file[place] ^= 1 << bit;
            try_parquet(&file);
        }
    }
}
