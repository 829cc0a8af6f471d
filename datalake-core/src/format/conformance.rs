//! What every format promises, one function a promise: call [`run_all`] over each implementation.

use std::future::Future;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef, UInt64Type};
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;

use super::{
    Balance, Batches, ColumnSpec, Format, Limit, OnRowError, Quarantine, ReadOptions, Sink, Source, TableDigest,
    WriteOptions, Written,
};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, BucketName};

/// Checks every promise.
///
/// # Errors
/// Those of the format, where it should have none.
///
/// # Panics
/// If a promise is broken.
pub async fn run_all(format: &dyn Format) -> Result<()> {
    what_is_written_reads_back(format).await?;
    batches_do_not_matter(format).await?;
    rows_come_in_batches_and_are_counted(format).await?;
    columns_come_as_asked_for(format).await?;
    rows_are_numbered_as_in_the_source(format).await?;
    a_schema_is_the_same_before_and_while_reading(format).await?;
    a_broken_row_ends_the_read(format).await?;
    a_broken_row_can_be_set_aside(format).await?;
    broken_rows_do_not_depend_on_the_columns_asked_for(format).await?;
    nothing_is_no_table(format).await;
    a_failed_write_leaves_what_was_there(format).await
}

/// A table with what is hard to write: quotes, line ends, other scripts, extremes, and a missing value in each column.
///
/// # Errors
/// Never in practice.
pub fn table() -> Result<RecordBatch> {
    let texts = [
        "plain",
        "a \"quote\", a comma; and\ttab",
        "two\nlines\r\nand more",
        "\u{b5}g \u{4e2d} \u{1f96d}",
        "  blanks ",
    ];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from_iter(texts.map(Some).into_iter().chain([None])))),
        ("int", Arc::new(Int64Array::from(vec![Some(0), Some(i64::MAX), Some(i64::MIN), Some(-1), None, Some(7)]))),
        (
            "float",
            Arc::new(Float64Array::from(vec![
                Some(0.1),
                Some(f64::MAX),
                Some(f64::MIN_POSITIVE),
                None,
                Some(-2.0),
                Some(1.0 / 3.0),
            ])),
        ),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, None, Some(true), Some(false)]))),
        ("date", Arc::new(Date32Array::from(vec![Some(0), Some(-1), Some(19_782), None, Some(-700_000), Some(1)]))),
        ("time", Arc::new(times())),
        ("time_utc", Arc::new(times().with_timezone("UTC"))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .map_err(|cause| Error::internal("build", "a table").with_source(cause))
}

fn times() -> TimestampMicrosecondArray {
    let micros = [Some(0), Some(1), Some(-1), Some(1_700_000_000_123_456), None, Some(1_700_000_000_000_000)];
    TimestampMicrosecondArray::from_iter(micros)
}

/// A table is the same after writing and reading, types included.
///
/// # Errors
/// Those of the format.
pub async fn what_is_written_reads_back(format: &dyn Format) -> Result<()> {
    let bench = Bench::new(format)?;
    let table = table()?;
    let written = bench.write("t", &table).await?;
    let mut digest = TableDigest::new(table.schema_ref());
    digest.update(&table)?;
    assert_eq!(written.digest, digest.finish(), "a write names the table's digest");
    assert_eq!(written.rows, 6);
    assert_eq!(written.bytes, bench.bucket.head(&Path::from("t")).await?.size);
    let (back, balance) = bench.read("t", ReadOptions::default()).await?;
    assert_eq!(back, table);
    assert_eq!(balance, Balance { seen: 6, written: 6, quarantined: 0, nulled: 0 });
    Ok(())
}

/// The same table is the same bytes, whatever batches it comes in.
///
/// # Errors
/// Those of the format.
pub async fn batches_do_not_matter(format: &dyn Format) -> Result<()> {
    let bench = Bench::new(format)?;
    let table = table()?;
    let whole = bench.write("whole", &table).await?;
    let single = (0..table.num_rows()).map(|row| table.slice(row, 1)).collect();
    let batches = Batches::from_vec(table.schema(), single);
    let single = format.write(bench.sink("single"), batches, WriteOptions::default()).await?;
    assert_eq!(whole, single);
    Ok(())
}

/// No batch has more rows than asked for; the balance counts each row once.
///
/// # Errors
/// Those of the format.
pub async fn rows_come_in_batches_and_are_counted(format: &dyn Format) -> Result<()> {
    let bench = Bench::new(format)?;
    bench.write("t", &table()?).await?;
    let mut batches = format.read(bench.source("t"), ReadOptions::default().with_batch_rows(4)).await?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        rows.push(batch.num_rows());
    }
    assert_eq!(rows, [4, 2]);
    assert_eq!(batches.balance().seen, 6);
    Ok(())
}

/// Columns come in the order asked for; one that is not there is an error that names the nearest.
///
/// # Errors
/// Those of the format.
pub async fn columns_come_as_asked_for(format: &dyn Format) -> Result<()> {
    let bench = Bench::new(format)?;
    let table = table()?;
    bench.write("t", &table).await?;
    let asked = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    let (back, _) = bench.read("t", ReadOptions::default().with_columns(asked(&["bool", "int"]))).await?;
    let expected = table.project(&[3, 1]);
    assert_eq!(Some(back), expected.ok());
    let error = format.read(bench.source("t"), ReadOptions::default().with_columns(asked(&["itn"]))).await.err();
    let error = error.expect("there is no such column");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("the nearest name is `int`"));
    Ok(())
}

/// A row's number is that of its record in the source, also after a broken one.
///
/// # Errors
/// Those of the format.
pub async fn rows_are_numbered_as_in_the_source(format: &dyn Format) -> Result<()> {
    let bench = Bench::with_broken_row(format).await?;
    let options = declared().with_on_row_error(OnRowError::Quarantine).with_row_number(Some("row".into()));
    let (back, _) = bench.read("broken", options).await?;
    let numbers = back.column(1).as_any().downcast_ref::<arrow::array::PrimitiveArray<UInt64Type>>();
    assert_eq!(numbers.map(|numbers| numbers.values().to_vec()), Some(vec![1, 3]));
    Ok(())
}

/// `infer_schema` gives the schema that `read` has.
///
/// # Errors
/// Those of the format.
pub async fn a_schema_is_the_same_before_and_while_reading(format: &dyn Format) -> Result<()> {
    let bench = Bench::new(format)?;
    bench.write("t", &table()?).await?;
    for options in [ReadOptions::default(), ReadOptions::default().with_row_number(Some("row".into()))] {
        let inferred = format.infer_schema(&bench.source("t"), &options).await?;
        let batches = format.read(bench.source("t"), options).await?;
        assert_eq!(inferred.schema, *batches.schema());
        assert_eq!((inferred.rows, inferred.whole), (6, true));
    }
    Ok(())
}

/// By default a record that does not fit the declared schema ends the read with an error that names row and column.
///
/// # Errors
/// Those of the format.
pub async fn a_broken_row_ends_the_read(format: &dyn Format) -> Result<()> {
    let bench = Bench::with_broken_row(format).await?;
    let error = bench.read("broken", declared()).await.expect_err("the second row is broken");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let position = error.position().expect("an error of a record says where");
    assert_eq!((position.row, position.column.as_deref()), (Some(2), Some("n")));
    assert_eq!(error.reason(), Some("`x` is not a int64"));
    assert!(error.hint().is_some());
    Ok(())
}

/// A record that does not fit can be set aside, with its place and all that it held.
///
/// # Errors
/// Those of the format.
pub async fn a_broken_row_can_be_set_aside(format: &dyn Format) -> Result<()> {
    let bench = Bench::with_broken_row(format).await?;
    let quarantine = Arc::new(Quarantine::new(Limit::Rows(1)));
    let options = declared().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(quarantine.clone()));
    let (back, balance) = bench.read("broken", options).await?;
    assert_eq!(back.num_rows(), 2);
    assert_eq!(balance, Balance { seen: 3, written: 2, quarantined: 1, nulled: 0 });
    let done = quarantine.finish(&bench.bucket, &Path::from("q")).await?.expect("a record was rejected");
    assert_eq!((done.records, done.codes.get("type")), (1, Some(&1)));
    let line = bench.bucket.get(&Path::from("q")).await?;
    let reject: super::Reject = serde_json::from_slice(&line).expect("a quarantine is NDJSON");
    assert_eq!((reject.row, reject.column.as_deref(), reject.source.as_str()), (2, Some("n"), "raw-data/broken"));
    assert!(reject.raw.contains('x') && reject.raw.contains("second"), "{}", reject.raw);
    Ok(())
}

/// Projection leaves the same rows.
///
/// # Errors
/// Those of the format.
pub async fn broken_rows_do_not_depend_on_the_columns_asked_for(format: &dyn Format) -> Result<()> {
    let bench = Bench::with_broken_row(format).await?;
    let schema = vec![ColumnSpec::new("n", DataType::Int64), ColumnSpec::new("text", DataType::Utf8)];
    let options = ReadOptions::default().with_schema(Some(schema)).with_on_row_error(OnRowError::Quarantine);
    let (back, balance) = bench.read("broken", options.with_columns(Some(vec!["text".into()]))).await?;
    assert_eq!((back.num_rows(), back.num_columns(), balance.quarantined), (2, 1, 1));
    Ok(())
}

/// An object of 0 bytes is an error, not a table without rows; and so is one that is not there.
///
/// # Panics
/// If they are not.
pub async fn nothing_is_no_table(format: &dyn Format) {
    let bench = Bench::new(format).expect("a bench in memory");
    bench.bucket.put(&Path::from("empty"), bytes::Bytes::new(), object_store::PutMode::Create).await.expect("memory");
    let error = bench.read("empty", ReadOptions::default()).await.expect_err("it is empty");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("is empty"), "{error}");
    let error = bench.read("missing", ReadOptions::default()).await.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// When the batches end with an error, the sink is as it was.
///
/// # Errors
/// Those of the format.
pub async fn a_failed_write_leaves_what_was_there(format: &dyn Format) -> Result<()> {
    let bench = Bench::new(format)?;
    let table = table()?;
    let before = bench.write("t", &table).await?;
    let failing = [Ok(table.clone()), Err(Error::internal("go on", "with this"))];
    let batches = Batches::new(table.schema(), futures::stream::iter(failing).boxed(), Arc::default());
    let error = format.write(bench.sink("t"), batches, WriteOptions::default()).await.expect_err("a batch failed");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(bench.bucket.head(&Path::from("t")).await?.size, before.bytes);
    Ok(())
}

fn declared() -> ReadOptions {
    ReadOptions::default().with_schema(Some(vec![ColumnSpec::new("n", DataType::Int64)]))
}

/// A format and a bucket in memory.
struct Bench<'a> {
    format: &'a dyn Format,
    bucket: Bucket,
}

impl<'a> Bench<'a> {
    fn new(format: &'a dyn Format) -> Result<Self> {
        Ok(Self { format, bucket: Bucket::new(BucketName::new("raw-data")?, Arc::new(InMemory::new())) })
    }

    /// With an object `broken` whose column `n` is 1, x, 3.
    async fn with_broken_row(format: &'a dyn Format) -> Result<Self> {
        let bench = Self::new(format)?;
        let column = |texts: [&str; 3]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let columns = [("n", column(["1", "x", "3"])), ("text", column(["first", "second", "third"]))];
        let table = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)));
        bench.write("broken", &table.map_err(|cause| Error::internal("build", "a table").with_source(cause))?).await?;
        Ok(bench)
    }

    fn source(&self, key: &str) -> Source {
        Source::Object { bucket: self.bucket.clone(), path: Path::from(key) }
    }

    fn sink(&self, key: &str) -> Sink {
        Sink::Object { bucket: self.bucket.clone(), path: Path::from(key) }
    }

    fn write(&self, key: &str, table: &RecordBatch) -> impl Future<Output = Result<Written>> {
        let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
        self.format.write(self.sink(key), batches, WriteOptions::default())
    }

    async fn read(&self, key: &str, options: ReadOptions) -> Result<(RecordBatch, Balance)> {
        collect(self.format.read(self.source(key), options).await?).await
    }
}

/// All rows of a stream as one batch, and the balance after the last.
async fn collect(mut batches: Batches) -> Result<(RecordBatch, Balance)> {
    let schema = SchemaRef::clone(batches.schema());
    let mut all = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        all.push(batch);
    }
    let whole = concat_batches(&schema, &all).map_err(|cause| Error::internal("join", "batches").with_source(cause))?;
    Ok((whole, batches.balance()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Csv, Json, Parquet};
    use proptest::prelude::*;

    #[tokio::test]
    async fn csv_keeps_every_promise() {
        run_all(&Csv).await.unwrap();
    }

    #[tokio::test]
    async fn ndjson_keeps_every_promise() {
        run_all(&Json::lines()).await.unwrap();
    }

    #[tokio::test]
    async fn json_keeps_every_promise() {
        run_all(&Json::document()).await.unwrap();
    }

    #[tokio::test]
    async fn parquet_keeps_every_promise() {
        run_all(&Parquet).await.unwrap();
    }

    fn formats() -> [Box<dyn Format>; 4] {
        [Box::new(Csv), Box::new(Json::lines()), Box::new(Json::document()), Box::new(Parquet)]
    }

    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    type Row = (Option<String>, Option<i64>, Option<f64>, Option<bool>, Option<i32>, Option<i64>);

    fn row() -> impl Strategy<Value = Row> {
        let finite = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
        (
            prop::option::of("[^\\x00]{1,12}|[a-z,;\"\r\n\t|]{1,6}"),
            any::<Option<i64>>(),
            prop::option::of(finite),
            any::<Option<bool>>(),
            prop::option::of(-700_000..2_900_000_i32),
            prop::option::of(-60_000_000_000_000_000..200_000_000_000_000_000_i64),
        )
    }

    fn table_of(rows: &[Row]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 6] = [
            ("t", Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>())),
            ("i", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
            ("f", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
            ("b", Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>())),
            ("d", Arc::new(rows.iter().map(|row| row.4).collect::<Date32Array>())),
            ("z", Arc::new(rows.iter().map(|row| row.5).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn any_table_comes_back(rows in prop::collection::vec(row(), 1..12), batch_rows in 1usize..5) {
            let table = table_of(&rows);
            let schema = table.schema();
            let specs = schema.fields().iter().map(|f| ColumnSpec::new(f.name(), f.data_type().clone())).collect();
            let options = ReadOptions::default().with_schema(Some(specs)).with_batch_rows(batch_rows);
            for format in formats() {
                let back = wait(async {
                    let bench = Bench::new(&*format)?;
                    bench.write("t", &table).await?;
                    bench.read("t", options.clone()).await
                });
                prop_assert_eq!(&back.unwrap().0, &table, "{}", format.name());
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_a_table(bytes: Vec<u8>, place: prop::sample::Index, byte: u8) {
            for format in formats() {
                let _ = wait(async {
                    let bench = Bench::new(&*format)?;
                    bench.bucket.put(&Path::from("g"), bytes.clone(), object_store::PutMode::Overwrite).await?;
                    let _ = bench.read("g", ReadOptions::default()).await;
                    // A good file with one bad byte.
                    bench.write("t", &table()?).await?;
                    let mut file = bench.bucket.get(&Path::from("t")).await?.to_vec();
                    let place = place.index(file.len());
                    file[place] = byte;
                    bench.bucket.put(&Path::from("t"), file, object_store::PutMode::Overwrite).await?;
                    let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine);
                    match bench.read("t", options).await {
                        Ok((table, balance)) => assert_eq!(table.num_rows() as u64, balance.written),
                        Err(error) => assert_ne!(error.kind(), ErrorKind::Internal, "{error:?}"),
                    }
                    Ok::<_, Error>(())
                });
            }
        }
    }
}
