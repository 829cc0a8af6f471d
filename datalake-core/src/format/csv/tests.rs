//! CSV as it is found: dirt, line ends, quotes, encodings.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use futures::{StreamExt, TryStreamExt};

use super::*;
use crate::error::ErrorKind;
use crate::format::{DecimalMark, Limit, Misfit, OnRowError, Quarantine, Reject, Rejects};

/// Remembers what is rejected.
#[derive(Debug, Default)]
pub(super) struct Seen(pub(super) std::sync::Mutex<Vec<Reject>>);

impl Rejects for Seen {
    fn reject(&self, reject: Reject) -> Result<()> {
        self.0.lock().unwrap().push(reject);
        Ok(())
    }
}

fn source(text: &[u8]) -> Source {
    Source::Stream { name: "test".into(), reader: Box::pin(std::io::Cursor::new(text.to_vec())) }
}

async fn read(text: impl AsRef<[u8]>, options: ReadOptions) -> Result<RecordBatch> {
    let mut batches = Csv.read(source(text.as_ref()), options).await?;
    let mut all = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        all.push(batch);
    }
    Ok(concat_batches(batches.schema(), &all).unwrap())
}

async fn rejects(text: impl AsRef<[u8]>, options: ReadOptions) -> (RecordBatch, Vec<Reject>) {
    let seen = Arc::new(Seen::default());
    let options = options.with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
    let table = read(text, options).await.unwrap();
    let rejected = seen.0.lock().unwrap().clone();
    (table, rejected)
}

fn ints(table: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    table.column(column).as_primitive::<Int64Type>().iter().collect()
}

#[tokio::test]
async fn broken_records_are_set_aside_in_their_order_with_place_and_bytes() {
    let text = b"id,x\r\n1,2\r\n3\r\n\r\n4,\xff\r\n5,6,7\r\n8,\"9\r\n10,11\r\n";
    let (table, rejected) = rejects(text, ReadOptions::default()).await;
    assert_eq!(ints(&table, 0), [Some(1), Some(10)]);
    let found: Vec<_> =
        rejected.iter().map(|r| (r.row, r.line.unwrap(), r.byte.unwrap(), r.code.as_str(), r.raw.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, 3, 11, "ragged", "3"),
            (3, 5, 16, "utf8", "4,\\xFF"),
            (4, 6, 21, "ragged", "5,6,7"),
            (5, 7, 28, "quote", "8,\"9"),
        ]
    );
    assert_eq!(rejected[1].column.as_deref(), Some("x"));
    assert_eq!(rejected[0].reason, "the record has 1 fields, the header 2");
}

#[tokio::test]
async fn a_quote_that_is_not_at_the_end_of_its_field_is_no_value() {
    let (table, rejected) = rejects("id,x\n1,\"x\"y\n2,\"p\n3,\"q\n4,z\n5,\"r\ns\"\n", ReadOptions::default()).await;
    assert_eq!(ints(&table, 0), [Some(4), Some(5)]);
    assert_eq!(table.column(1).as_string::<i32>().value(1), "r\ns");
    let found: Vec<_> = rejected.iter().map(|r| (r.row, r.line.unwrap(), r.code.as_str(), r.raw.as_str())).collect();
    assert_eq!(found, [(1, 2, "quote", "1,\"x\"y"), (2, 3, "quote", "2,\"p"), (3, 4, "quote", "3,\"q")]);
    let follows = "after the closing quote of a field that begins in line 2 stands `y`, and no delimiter";
    assert_eq!(rejected[0].reason, follows);
    let error = read("\"a\"b,c\n1,2\n", ReadOptions::default()).await.unwrap_err();
    assert!(error.reason().unwrap().starts_with("in the header, after the closing quote"), "{error}");
}

#[tokio::test]
async fn all_faults_of_a_declared_row_are_in_one_reason() {
    let specs = vec![
        ColumnSpec::new("a", DataType::Int64),
        ColumnSpec::new("b", DataType::Float64).with_unit("g").with_nullable(false),
    ];
    let options = ReadOptions::default().with_schema(Some(specs));
    let (table, rejected) = rejects("a,b\n1,2 mg\nx,\n", options).await;
    assert_eq!(table.column(1).as_primitive::<Float64Type>().values(), &[0.002]);
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].reason, "`x` is not a int64; column `b`: the value is missing");
    assert_eq!((rejected[0].code.as_str(), rejected[0].raw.as_str()), ("type", "x,"));
}

#[tokio::test]
async fn line_ends_of_every_kind_and_a_mark_at_the_start_are_no_data() {
    for text in ["\u{feff}a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4", "a,b\r1,2\r3,4\r", "\n\na,b\n\n1,2\n\n3,4\n\n"] {
        let table = read(text, ReadOptions::default()).await.unwrap();
        assert_eq!(table.schema().field(0).name(), "a", "{text:?}");
        assert_eq!(ints(&table, 1), [Some(2), Some(4)], "{text:?}");
    }
}

#[tokio::test]
async fn missing_values_are_those_of_the_list() {
    let table = read("a,b\n,\"\"\nNA,-\n", ReadOptions::default()).await.unwrap();
    assert_eq!(table.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [None, Some("NA")]);
    let nulls = ["", "NA", "-"].map(String::from).to_vec();
    let table = read("a,b\n1,\nNA,-\n", ReadOptions::default().with_nulls(nulls)).await.unwrap();
    assert_eq!(ints(&table, 0), [Some(1), None]);
    assert_eq!(table.column(1).null_count(), 2);
}

#[tokio::test]
async fn a_european_table_is_read_as_one() {
    let text = "name;fat_g\nbutter;82,5\nlentils;1,1\n";
    let table = read(text, ReadOptions::default().with_decimal(DecimalMark::Comma)).await.unwrap();
    assert_eq!(table.column(1).as_primitive::<Float64Type>().values(), &[82.5, 1.1]);
}

#[tokio::test]
async fn a_header_alone_is_a_table_without_rows() {
    let table = read("a,b\n", ReadOptions::default()).await.unwrap();
    assert_eq!((table.num_rows(), table.num_columns()), (0, 2));
    let error = read("\n\n", ReadOptions::default()).await.unwrap_err();
    assert_eq!(error.reason(), Some("it is empty: there is no record in it"));
}

#[tokio::test]
async fn without_a_header_columns_are_numbered() {
    let table = read("1,2\n3,4\n", ReadOptions::default().with_header(false)).await.unwrap();
    assert_eq!(table.schema().field(1).name(), "column_2");
    assert_eq!(ints(&table, 0), [Some(1), Some(3)]);
}

#[tokio::test]
async fn text_stays_as_it_stands() {
    let table = read("a,b\n007, 1.50\n", ReadOptions::default().with_text(true)).await.unwrap();
    assert_eq!(table.column(0).as_string::<i32>().value(0), "007");
    assert_eq!(table.column(1).as_string::<i32>().value(0), " 1.50");
}

#[tokio::test]
async fn a_value_beyond_the_sample_is_a_misfit_and_not_a_broken_row() {
    let mut text = String::from("a\n");
    for row in 0..20_000 {
        text.push_str(&format!("{row}\n"));
    }
    text.push_str("x\n");
    let sample = ReadOptions::default().with_infer(Infer::Sample(100)).with_on_row_error(OnRowError::Quarantine);
    let error = read(&text, sample).await.unwrap_err();
    assert!(Misfit::is_cause_of(&error), "{error:?}");
    let whole = read(&text, ReadOptions::default()).await.unwrap();
    assert_eq!(whole.schema().field(0).data_type(), &DataType::Utf8);
}

#[tokio::test]
async fn too_many_broken_rows_end_the_read() {
    let quarantine = Arc::new(Quarantine::new(Limit::Rows(1)));
    let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(quarantine));
    let error = read("a,b\n1\n2\n3,4\n", options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("the limit is 1"));
}

#[tokio::test]
async fn rows_do_not_depend_on_the_pieces_of_the_text() {
    let text = "\u{feff}id,\"na\"\"me\"\r\n1,\"a\r\nb\"\r\n\r\n2\n3,\u{4e2d}\r4,\"\"\r\n5,\"x".as_bytes();
    let decode = async |piece: usize| {
        let syntax = Syntax::new(b',', b'"');
        let source: Arc<str> = "test".into();
        let names = vec!["id".to_owned(), "na\"me".to_owned()];
        let seen = Arc::new(Seen::default());
        let options = ReadOptions::default().with_row_number(Some("row".into()));
        let options = options.with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
        let tally = Arc::new(Tally::default());
        let intake = Intake::new(&source, &text_schema(&names), None, &options, &tally).unwrap();
        let schema = Arc::clone(intake.schema());
        let blocks = drive::decode_pieces(Cutter::new(syntax, true, 1), text.chunks(piece)).unwrap();
        let blocks = futures::stream::iter(blocks.into_iter().map(Ok)).boxed();
        let reading = Arc::new(Reading::new(syntax, vec![String::new()], None));
        let batches = decode::batches(blocks, names, reading, intake, 2);
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        let rejects = seen.0.lock().unwrap().clone();
        (concat_batches(&schema, &batches).unwrap(), rejects, tally.balance())
    };
    let whole = decode(text.len()).await;
    assert_eq!((whole.2.written, whole.2.quarantined), (3, 2));
    for piece in 1..text.len() {
        assert_eq!(decode(piece).await, whole, "pieces of {piece}");
    }
}

#[tokio::test]
async fn long_records_make_batches_of_fewer_rows() {
    let long = "x".repeat(1 << 20);
    let text: String = (0..40).map(|row| format!("{row},{long}\n")).collect();
    let options = ReadOptions::default().with_row_number(Some("n".into()));
    let mut batches = Csv.read(source(format!("id,x\n{text}").as_bytes()), options).await.unwrap();
    let (mut sizes, mut ids, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(batch) = batches.try_next().await.unwrap() {
        sizes.push(batch.num_rows());
        ids.extend(ints(&batch, 0).into_iter().flatten());
        numbers.extend(batch.column(2).as_primitive::<arrow::datatypes::UInt64Type>().values().iter().copied());
    }
    // A block has some megabytes.
    assert!(sizes.iter().all(|rows| (1..=5).contains(rows)), "{sizes:?}");
    assert_eq!((ids, numbers), ((0..40).collect(), (1..=40).collect()));
}

#[tokio::test]
async fn columns_without_a_value_and_with_large_integers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "a,b,c,d\n1,,9007199254740993,x\n2,,1,9007199254740993\n").unwrap();
    let source = Source::LocalFile(path);
    let found = Csv.infer_schema(&source, &ReadOptions::default()).await.unwrap();
    assert_eq!((found.empty, found.wide_integers), (vec!["b".to_owned()], vec!["c".to_owned()]));
    let text = Csv.infer_schema(&source, &ReadOptions::default().with_text(true)).await.unwrap();
    assert!(text.empty.is_empty() && text.wide_integers.is_empty());
}

#[tokio::test]
async fn blank_lines_are_counted_and_not_kept() {
    const BLANK: usize = 3_000_000;
    let text = format!("a,b\n1,2\n{}3\n4,5\n", "\n".repeat(BLANK));
    let (table, rejected) = rejects(&text, ReadOptions::default()).await;
    assert_eq!(ints(&table, 0), [Some(1), Some(4)]);
    let found: Vec<_> = rejected.iter().map(|r| (r.row, r.line.unwrap(), r.byte.unwrap())).collect();
    assert_eq!(found, [(2, BLANK as u64 + 3, BLANK as u64 + 8)]);
}

#[tokio::test]
async fn the_rest_of_a_record_that_is_too_long_is_no_row() {
    let long = "x".repeat(17 << 20);
    for (record, code) in [(format!("\"{long}\",2,3"), "quote"), (format!("{long},2,3"), "quote")] {
        let (table, rejected) = rejects(format!("a,b,c\n1,2,3\n{record}\n4,5,6\n"), ReadOptions::default()).await;
        assert_eq!(ints(&table, 0), [Some(1), Some(4)]);
        let found: Vec<_> = rejected.iter().map(|r| (r.row, r.line.unwrap(), r.code.as_str())).collect();
        assert_eq!(found, [(2, 3, code)]);
    }
}

#[tokio::test]
async fn a_delimiter_that_is_the_quote_is_refused() {
    let error = read("a,b\n1,2\n", ReadOptions::default().with_delimiter(Some('"'))).await.unwrap_err();
    assert_eq!(error.reason(), Some("it is the quote as well"));
}

#[tokio::test]
async fn a_quote_that_is_a_digit_is_a_quote() {
    let options = ReadOptions::default().with_quote('1');
    assert_eq!(ints(&read("n,x\n121,a\n3,b\n", options).await.unwrap(), 0), [Some(2), Some(3)]);
}
