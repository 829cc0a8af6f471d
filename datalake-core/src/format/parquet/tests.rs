//! Parquet as it is found: cut, damaged, of other writers, nested.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type, Int64Type, UInt64Type};
use futures::TryStreamExt;

use super::*;
use crate::error::ErrorKind;
use crate::format::{ColumnSpec, Csv, Json};

fn table(rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap()
}

async fn file(table: &RecordBatch, options: WriteOptions) -> (tempfile::TempDir, std::path::PathBuf, Written) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
    let written = Parquet.write(Sink::LocalFile(path.clone()), batches, options).await.unwrap();
    (folder, path, written)
}

async fn read(path: &std::path::Path, options: ReadOptions) -> Result<Vec<RecordBatch>> {
    Parquet.read(Source::LocalFile(path.into()), options).await?.try_collect().await
}

#[tokio::test]
async fn row_groups_are_cut_by_rows_alone() {
    let table = table(25_000);
    let (_folder, path, _) = file(&table, WriteOptions::default().with_row_group_rows(10_000)).await;
    let input = Input::open(&Source::LocalFile(path)).await.unwrap();
    let metadata = metadata(&input).await.unwrap();
    let rows: Vec<_> = metadata.row_groups().iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).collect();
    assert_eq!(rows, [10_000, 10_000, 5_000]);
    assert_eq!(metadata.file_metadata().created_by(), Some("datalake"));
}

#[tokio::test]
async fn a_file_that_is_cut_or_damaged_is_an_error() {
    let (_folder, path, _) = file(&table(1000), WriteOptions::default()).await;
    let whole = std::fs::read(&path).unwrap();
    for length in [1, 4, 11, 12, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = read(&path, ReadOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "cut at {length}: {error:?}");
        assert!(error.to_string().contains("Parquet"), "{error}");
    }
    // Metadata of more bytes than the file has.
    let mut longer = whole.clone();
    let footer = longer.len() - 8;
    longer[footer..footer + 4].copy_from_slice(&u32::try_from(footer + 1).unwrap().to_le_bytes());
    for bytes in [b"PAR1xxxxPAR1", &*longer] {
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, ReadOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains("its metadata would have"), "{error}");
        assert_eq!(error.first_hint(), Some("fetch or write the file again"), "{error:?}");
    }
    // A field that nobody knows, a list of truths: without a look at its length the decoder counts them for seconds.
    let field = [0xf9, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
    let length = u32::from_le_bytes(*whole[footer..].first_chunk().unwrap()) + 7;
    let counted = [&whole[..footer - 1], &field, &length.to_le_bytes(), b"PAR1"].concat();
    std::fs::write(&path, counted).unwrap();
    let error = read(&path, ReadOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("lists have 2147483647 elements"), "{error}");
}

#[tokio::test]
async fn a_declared_schema_reads_only_its_columns_and_notes_the_others() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["1.0", "x"]));
    let table = RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("name", names, true)]).unwrap();
    let (_folder, path, _) = file(&table, WriteOptions::default()).await;
    let options = |name: &str| {
        ReadOptions::default().with_schema(Some(vec![ColumnSpec::new(name, DataType::Int64).with_nullable(false)]))
    };
    let batches = Parquet.read(Source::LocalFile(path.clone()), options("id")).await.unwrap();
    assert_eq!(batches.notes(), ["not in the declared schema, so left out: `name`"]);
    let error = read(&path, options("nmae")).await.unwrap_err();
    assert_eq!(error.hint(), Some("the nearest name in the source is `name`"));
    let error = read(&path, options("name")).await.unwrap_err();
    assert_eq!(error.to_string().split(" at ").last(), Some("row 2, column `name`: `x` is not a int64"));
}

#[tokio::test]
async fn nested_and_encoded_columns_keep_their_digest_in_every_format() {
    let words = DictionaryArray::<Int32Type>::from_iter([Some("a"), None, Some("a")]);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let inner = StructArray::new(
        vec![Field::new("n", DataType::Int64, true)].into(),
        vec![numbers],
        Some(vec![true, false, true].into()),
    );
    let lists = ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let columns: [(&str, ArrayRef); 3] = [("w", Arc::new(words)), ("s", Arc::new(inner)), ("l", Arc::new(lists))];
    let table = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let (folder, path, written) = file(&table, WriteOptions::default()).await;
    let back = read(&path, ReadOptions::default()).await.unwrap();
    assert_eq!(back[0].column(1), table.column(1));
    for format in [Json::lines(), Json::document()] {
        let json = folder.path().join(format.name());
        let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
        let as_json = format.write(Sink::LocalFile(json.clone()), batches, WriteOptions::default()).await.unwrap();
        assert_eq!(as_json.digest, written.digest);
        let batches = format.read(Source::LocalFile(json), ReadOptions::default()).await.unwrap();
        let again = folder.path().join("again.parquet");
        let again = Parquet.write(Sink::LocalFile(again), batches, WriteOptions::default()).await.unwrap();
        assert_eq!(again.digest, written.digest, "{}", format.name());
    }
    let batches = Batches::from_vec(table.schema(), vec![table]);
    let csv = folder.path().join("t.csv");
    Csv.write(Sink::LocalFile(csv.clone()), batches, WriteOptions::default()).await.unwrap();
    let text = std::fs::read_to_string(csv).unwrap();
    assert_eq!(text, "w,s,l\na,\"{\"\"n\"\":1}\",\"[1,null]\"\n,,\na,\"{\"\"n\"\":3}\",[]\n");
}

#[tokio::test]
async fn dictionaries_of_few_values_have_room_for_those_of_other_files() {
    let named = |first: i32| {
        let names: Vec<String> = (first..first + 100).map(|name| format!("n{name}")).collect();
        let coded: ArrayRef =
            Arc::new(names.iter().map(String::as_str).map(Some).collect::<DictionaryArray<Int8Type>>());
        let known = [("known".to_owned(), "yes".to_owned())].into();
        let field = Field::new("name", coded.data_type().clone(), true).with_metadata(known);
        let plain: ArrayRef = Arc::new(StringArray::from(names));
        (RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![coded]).unwrap(), plain)
    };
    let mut all = Vec::new();
    for first in [0, 100] {
        let (table, plain) = named(first);
        let (_folder, path, _) = file(&table, WriteOptions::default()).await;
        let back = read(&path, ReadOptions::default()).await.unwrap();
        let wide = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!(back[0].column(0).data_type(), &wide);
        assert_eq!(&arrow::compute::cast(back[0].column(0), &DataType::Utf8).unwrap(), &plain);
        assert_eq!(back[0].schema().field(0).metadata(), table.schema().field(0).metadata());
        all.extend(back);
    }
    assert_eq!(arrow::compute::concat_batches(&all[0].schema(), &all).unwrap().num_rows(), 200);
    let folder = tempfile::tempdir().unwrap();
    let joined = Batches::from_vec(all[0].schema(), all);
    let path = folder.path().join("joined.parquet");
    let written = Parquet.write(Sink::LocalFile(path), joined, WriteOptions::default()).await.unwrap();
    assert_eq!(written.rows, 200);
}

#[tokio::test]
async fn small_integers_are_read_as_they_are_and_have_the_digest_of_large_ones() {
    let table = RecordBatch::try_from_iter([("x", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let (folder, path, written) = file(&table, WriteOptions::default()).await;
    let back = read(&path, ReadOptions::default()).await.unwrap();
    assert_eq!(back[0].column(0).as_primitive::<Int32Type>().len(), 2);
    let csv = folder.path().join("t.csv");
    let batches = Batches::from_vec(table.schema(), vec![table]);
    Csv.write(Sink::LocalFile(csv.clone()), batches, WriteOptions::default()).await.unwrap();
    let batches = Csv.read(Source::LocalFile(csv), ReadOptions::default()).await.unwrap();
    let again = Parquet.write(Sink::LocalFile(path), batches, WriteOptions::default()).await.unwrap();
    assert_eq!(again.digest, written.digest);
}

#[tokio::test]
async fn wide_rows_come_in_batches_of_bounded_size() {
    let texts = (0..200).map(|row| char::from(b'a' + row % 26).to_string().repeat(1 << 20));
    let texts = StringArray::from_iter_values(texts);
    let table = RecordBatch::try_from_iter([("x", Arc::new(texts) as ArrayRef)]).unwrap();
    let (_folder, path, _) = file(&table, WriteOptions::default()).await;
    let back = read(&path, ReadOptions::default()).await.unwrap();
    assert!(back.len() > 2 && back.len() < 20, "{} batches", back.len());
    assert_eq!(back.iter().map(RecordBatch::num_rows).sum::<usize>(), 200);
}

#[tokio::test]
async fn an_arrow_schema_that_cannot_be_read_is_done_without() {
    let (_folder, path, _) = file(&table(10), WriteOptions::default()).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let key = b"ARROW:schema";
    let place = bytes.windows(key.len()).position(|window| window == key).unwrap();
    // The value begins some bytes after its key.
    bytes[place + 20..place + 40].fill(b'A');
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read(&path, ReadOptions::default()).await.unwrap()[0].num_rows(), 10);
}

#[tokio::test]
async fn integers_that_no_float_holds_are_known_by_statistics() {
    let column = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let unsigned = |value: u64| Arc::new(arrow::array::UInt64Array::from(vec![1, value])) as ArrayRef;
    let table = RecordBatch::try_from_iter_with_nullable([
        ("a", column(vec![Some(-(1 << 53)), Some(1 << 53)]), true),
        ("b", column(vec![Some(1), Some((1 << 53) + 1)]), true),
        ("c", column(vec![None, None]), true),
        ("d", unsigned(u64::MAX), true),
        ("e", unsigned(1 << 53), true),
    ]);
    let (_folder, path, _) = file(&table.unwrap(), WriteOptions::default()).await;
    let found = Parquet.infer_schema(&Source::LocalFile(path), &ReadOptions::default()).await.unwrap();
    assert_eq!(found.wide_integers, ["b", "d"]);
}

#[tokio::test]
async fn some_rows_are_those_rows_wherever_row_groups_are_cut() {
    let table = table(25_000);
    let (_folder, path, _) = file(&table, WriteOptions::default().with_row_group_rows(10_000)).await;
    let source = Source::LocalFile(path);
    for (from, to) in
        [(0, 25_000), (0, 1), (9_999, 10_001), (10_000, 20_000), (12_345, 24_999), (24_999, 25_000), (7, 7)]
    {
        let options = ReadOptions::default().with_row_number(Some("row".into()));
        let batches = Parquet::read_rows(&source, options, from..to).await.unwrap();
        let batches: Vec<RecordBatch> = batches.try_collect().await.unwrap();
        let ids = batches.iter().flat_map(|batch| batch["id"].as_primitive::<Int64Type>().values().to_vec());
        assert_eq!(ids.collect::<Vec<_>>(), (from as i64..to as i64).collect::<Vec<_>>());
        let rows = batches.iter().flat_map(|batch| batch["row"].as_primitive::<UInt64Type>().values().to_vec());
        assert_eq!(rows.collect::<Vec<_>>(), (from + 1..=to).collect::<Vec<_>>(), "numbers are those in the file");
    }
}

#[tokio::test]
async fn intervals_are_written_or_refused() {
    let months: ArrayRef = Arc::new(arrow::array::IntervalYearMonthArray::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("months", months)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::LocalFile(folder.path().join("a.parquet"));
    let batches = Batches::from_vec(batch.schema(), vec![batch]);
    let written = Parquet.write(sink, batches, WriteOptions::default()).await;
    assert!(written.is_ok_and(|written| written.rows == 2));
}

#[tokio::test]
async fn a_file_says_its_digest_and_what_it_is_told_to_say() {
    let said = std::collections::BTreeMap::from([("source".to_owned(), "raw-data/foods.csv".to_owned())]);
    let (_folder, path, written) = file(&table(10), WriteOptions::default().with_metadata(said)).await;
    let source = Source::LocalFile(path);
    assert_eq!(digest_said(&source).await.unwrap(), Some(written.digest));
    let metadata = metadata(&Input::open(&source).await.unwrap()).await.unwrap();
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    assert!(pairs.iter().any(|pair| pair.key == "source" && pair.value.as_deref() == Some("raw-data/foods.csv")));
    for key in ["datalake.digest", "ARROW:schema"] {
        let said = std::collections::BTreeMap::from([(key.to_owned(), "x".to_owned())]);
        let sink = Sink::LocalFile(_folder.path().join("other.parquet"));
        let batches = Batches::from_vec(table(1).schema(), vec![table(1)]);
        let error = Parquet.write(sink, batches, WriteOptions::default().with_metadata(said)).await.unwrap_err();
        assert!(error.reason().unwrap().contains(key), "{error:?}");
    }
}

#[tokio::test]
async fn columns_get_bloom_filters_by_name() {
    use parquet::file::properties::ReaderProperties;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::file::serialized_reader::ReadOptionsBuilder;
    let options = |column: &str| WriteOptions::default().with_bloom_filters(vec![column.to_owned()]);
    let folder = tempfile::tempdir().unwrap();
    // The larger one has a filter of several MiB, which comes behind the columns of its group.
    for rows in [1000_usize, 3_000_000] {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        let table = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let (_folder, path, _) = file(&table, options("id").with_row_group_rows(rows / 2)).await;
        let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
        let with_filters = ReadOptionsBuilder::new().with_reader_properties(properties).build();
        let file = std::fs::File::open(&path).unwrap();
        let reader = SerializedFileReader::new_with_options(file, with_filters).unwrap();
        for group in 0..2 {
            let group_reader = reader.get_row_group(group).unwrap();
            let filter = group_reader.get_column_bloom_filter(0).expect("there is a filter");
            let (first, half) = ((group * rows / 2) as i64, rows as i64 / 2);
            assert!((first..first + half).all(|id| filter.check(&id)));
            assert!((first + half..first + half + 1000).filter(|id| filter.check(id)).count() < 200);
        }
        let back = read(&path, ReadOptions::default()).await.unwrap();
        assert_eq!(arrow::compute::concat_batches(table.schema_ref(), &back).unwrap(), table);
    }
    let sink = Sink::LocalFile(folder.path().join("other.parquet"));
    let batches = Batches::from_vec(table(1).schema(), vec![table(1)]);
    let error = Parquet.write(sink, batches, options("name")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

#[tokio::test]
async fn maps_are_kept_and_are_objects_in_text() {
    use arrow::array::{Float64Builder, MapBuilder, StringBuilder};
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
    maps.keys().append_value("fat");
    maps.values().append_value(1.5);
    maps.keys().append_value("a \"b\"");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    maps.append(true).unwrap();
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from(vec![1, 2, 3]))), ("m", Arc::new(maps.finish()))];
    let table = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let (folder, path, written) = file(&table, WriteOptions::default().with_row_group_rows(2)).await;

    let back = read(&path, ReadOptions::default()).await.unwrap();
    let back = arrow::compute::concat_batches(back[0].schema_ref(), &back).unwrap();
    assert_eq!(back.columns(), table.columns());
    let convert = async |name: &str| {
        let (source, to) = (Source::LocalFile(path.clone()), folder.path().join(name));
        let (read, write) = (ReadOptions::default(), WriteOptions::default().with_exact(name != "a.ndjson"));
        let done = crate::format::convert(source, Sink::LocalFile(to.clone()), read, write).await.unwrap();
        (done.written.digest, std::fs::read(to).unwrap())
    };
    let (digest, _) = convert("a.parquet").await;
    assert_eq!(digest, written.digest);
    let (_, csv) = convert("a.csv").await;
    assert_eq!(
        String::from_utf8(csv).unwrap(),
        "id,m\n1,\"{\"\"fat\"\":1.5,\"\"a \\\"\"b\\\"\"\"\":null}\"\n2,\n3,{}\n"
    );
    let (_, lines) = convert("a.ndjson").await;
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.lines().next(), Some(r#"{"id":1,"m":{"fat":1.5,"a \"b\"":null}}"#));
    assert_eq!(lines.lines().last(), Some(r#"{"id":3,"m":{}}"#));
}

#[tokio::test]
async fn what_the_decoder_has_not_is_read_as_what_it_stands_for() {
    use arrow::array::{BooleanArray, Date32Array, Date64Array, Decimal128Array};
    let keys = || Int32Array::from(vec![Some(0), None, Some(1), Some(0)]);
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let cents: ArrayRef = Arc::new(Decimal128Array::from(vec![150, -2]).with_precision_and_scale(10, 2).unwrap());
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(19_782), None, Some(-1), Some(0)]));
    let table = RecordBatch::try_from_iter_with_nullable([
        ("truth", Arc::new(DictionaryArray::new(keys(), truths)) as ArrayRef, true),
        ("price", Arc::new(DictionaryArray::new(keys(), cents)), true),
        ("day", days, true),
    ])
    .unwrap();
    // Written as those values, with a schema of Arrow that says otherwise, as others leave it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let said = Field::new("day", DataType::Date64, true);
    let mut fields: Vec<_> = table.schema().fields().iter().take(2).cloned().collect();
    fields.push(Arc::new(said));
    let said = Arc::new(arrow::datatypes::Schema::new(fields));
    let plain: Vec<ArrayRef> = table
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Dictionary(_, values) => arrow::compute::cast(column, values).unwrap(),
            _ => Arc::clone(column),
        })
        .collect();
    let names = table.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let plain =
        RecordBatch::try_from_iter_with_nullable(names.into_iter().zip(plain).map(|(n, c)| (n, c, true))).unwrap();
    let mut properties = parquet::file::properties::WriterProperties::builder().set_key_value_metadata(None).build();
    parquet::arrow::add_encoded_arrow_schema_to_metadata(&said, &mut properties);
    let options = parquet::arrow::arrow_writer::ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let to = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new_with_options(to, plain.schema(), options).unwrap();
    writer.write(&plain).unwrap();
    writer.close().unwrap();
    let back = read(&path, ReadOptions::default()).await.unwrap();
    assert_eq!(back, [plain]);
    // A day in milliseconds is a date in a text, too.
    let millis: ArrayRef = Arc::new(Date64Array::from(vec![19_782 * 86_400_000, 1]));
    let texts: Vec<_> = (0..2).map(|row| crate::format::text::value_text(&millis, row).unwrap().unwrap()).collect();
    assert_eq!(texts, ["2024-02-29", "1970-01-01T00:00:00.001"]);
}

#[tokio::test]
async fn intervals_that_would_lose_their_months_are_refused() {
    use parquet::data_type::{FixedLenByteArray, FixedLenByteArrayType};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let schema = "message t { required int32 n; required fixed_len_byte_array(12) i (INTERVAL); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let to = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(to, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<parquet::data_type::Int32Type>().write_batch(&[7], None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let months = FixedLenByteArray::from([14_u32.to_le_bytes(), [0; 4], [0; 4]].concat());
    column.typed::<FixedLenByteArrayType>().write_batch(&[months], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let error = read(&path, ReadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.reason().unwrap().contains("column `i` has intervals"), "{error:?}");
    let others = ReadOptions::default().with_columns(Some(vec!["n".to_owned()]));
    assert_eq!(read(&path, others).await.unwrap()[0].num_rows(), 1);
}

#[tokio::test]
async fn row_groups_may_say_that_they_have_more_rows_than_can_be() {
    let (_folder, path, _) = file(&table(1), WriteOptions::default()).await;
    let one = metadata(&Input::open(&Source::LocalFile(path)).await.unwrap()).await.unwrap();
    let group = one.row_group(0).clone().into_builder().set_num_rows(i64::MAX).build().unwrap();
    let many = parquet::file::metadata::ParquetMetaData::new(one.file_metadata().clone(), vec![group; 4]);
    let error = metadata::check_rows(&many).unwrap_err().to_string();
    assert!(error.contains("its row group 0 has 9223372036854775807 rows, and 1 values in column `id`"), "{error}");
    let options = parquet::arrow::arrow_reader::ArrowReaderOptions::new();
    let many = ArrowReaderMetadata::try_new(Arc::new(many), options).unwrap();
    // The last one begins behind the last row that there can be.
    assert_eq!(Chosen::of(&many, 0..u64::MAX).each(&many).len(), 3);
}
