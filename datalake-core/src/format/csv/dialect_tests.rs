//! CSV in other dialects, found and asked for, read and written.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use futures::TryStreamExt;
use proptest::prelude::*;

use super::tests::Seen;
use super::*;
use crate::format::text::value_text;
use crate::format::{LineEnd, OnRowError, Reject, Sink, convert};

pub(super) struct Read {
    pub(super) table: RecordBatch,
    pub(super) dialect: Dialect,
    pub(super) notes: Vec<String>,
}

pub(super) async fn read(text: impl AsRef<[u8]>, options: ReadOptions) -> Result<Read> {
    let reader = Box::pin(std::io::Cursor::new(text.as_ref().to_vec()));
    let batches = Csv.read(Source::Stream { name: "test".into(), reader }, options).await?;
    let (schema, notes) = (Arc::clone(batches.schema()), batches.notes().to_vec());
    let dialect = batches.dialect().unwrap().clone();
    let all: Vec<_> = batches.try_collect().await?;
    Ok(Read { table: concat_batches(&schema, &all).unwrap(), dialect, notes })
}

pub(super) async fn found(text: &str) -> Read {
    read(text, ReadOptions::default()).await.unwrap()
}

/// All cells as text, row by row.
pub(super) fn cells(table: &RecordBatch) -> Vec<Vec<Option<String>>> {
    let cell = |row: usize, column: &ArrayRef| value_text(column.as_ref(), row).unwrap();
    (0..table.num_rows()).map(|row| table.columns().iter().map(|column| cell(row, column)).collect()).collect()
}

pub(super) fn names(table: &RecordBatch) -> Vec<String> {
    table.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn types(table: &RecordBatch) -> Vec<DataType> {
    table.schema().fields().iter().map(|field| field.data_type().clone()).collect()
}

pub(super) fn floats(table: &RecordBatch, column: usize) -> Vec<f64> {
    table.column(column).as_primitive::<Float64Type>().values().to_vec()
}

#[tokio::test]
async fn comments_and_first_lines_are_no_records_and_places_count_them() {
    let text = "report, of 2024\n\n# made by x\nid,name\n1,a\n#2,b\n3,\"#\n# c\"\n4\n";
    let seen = Arc::new(Seen::default());
    let options = ReadOptions::default().with_skip_lines(2).with_comment(Some('#'));
    let options = options.with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
    let read = read(text, options).await.unwrap();
    assert_eq!(names(&read.table), ["id", "name"]);
    assert_eq!(
        cells(&read.table),
        [["1", "a"], ["3", "#\n# c"]].map(|row| row.map(|cell| Some(cell.to_owned())).to_vec())
    );
    let rejected = seen.0.lock().unwrap().clone();
    assert_eq!(rejected.len(), 1);
    let at = text.find("\n4\n").unwrap() as u64 + 1;
    assert_eq!((rejected[0].row, rejected[0].line, rejected[0].byte), (3, Some(9), Some(at)));
    assert_eq!((read.dialect.skip_lines, read.dialect.comment), (2, Some('#')));
}

#[tokio::test]
async fn a_text_of_comments_or_skipped_lines_alone_is_empty() {
    for options in [
        ReadOptions::default().with_comment(Some('#')),
        ReadOptions::default().with_skip_lines(2),
        ReadOptions::default().with_skip_lines(9),
    ] {
        let error = read("#a\n#b", options).await.err().unwrap();
        assert_eq!(error.reason(), Some("it is empty: there is no record in it"));
    }
}

#[tokio::test]
async fn an_escape_makes_the_next_character_one_of_the_fields_own() {
    let text = "id,x\n1,\"a \\\" b\"\n2,c\\,d\n3,e\\\nf\n4,\\\"g\n5,\"h \"\"i\"\" \\\\\"\n6,\\N\n7,\\\\N\n";
    let nulls = vec![String::new(), "\\N".to_owned()];
    let options = ReadOptions::default().with_escape(Some('\\')).with_nulls(nulls);
    let read = read(text, options).await.unwrap();
    let texts: Vec<_> = read.table.column(1).as_string::<i32>().iter().collect();
    // A word is missing as it stands and as it is read.
    assert_eq!(texts, [Some("a \" b"), Some("c,d"), Some("e\nf"), Some("\"g"), Some("h \"i\" \\"), None, None]);
}

#[tokio::test]
async fn without_a_quote_quotes_are_characters() {
    let options = ReadOptions::default().with_quote(Quote::Absent);
    let read = read("id,x\n1,\"a\n2,5\" pipe\n3,\"\"\n", options).await.unwrap();
    let texts: Vec<_> = read.table.column(1).as_string::<i32>().iter().flatten().collect();
    assert_eq!(texts, ["\"a", "5\" pipe", "\"\""]);
    assert_eq!(read.dialect.quote, Quote::Absent);
}

#[tokio::test]
async fn digits_may_be_grouped_in_threes_alone() {
    let text = "a;b;c\n1.234.567,89;1.234;12.34\n0,5;12;1\n";
    let read = read(text, ReadOptions::default().with_thousands(Some('.'))).await.unwrap();
    assert_eq!(types(&read.table), [DataType::Float64, DataType::Int64, DataType::Utf8]);
    assert_eq!(floats(&read.table, 0), [1_234_567.89, 0.5]);
    assert_eq!(read.table.column(1).as_primitive::<Int64Type>().values(), &[1234, 12]);
    assert_eq!(read.dialect.decimal, DecimalMark::Comma);
    let specs = vec![ColumnSpec::new("a", DataType::Float64).with_unit("g")];
    let options = ReadOptions::default().with_schema(Some(specs)).with_thousands(Some(','));
    let declared = self::read("a\n\"1,234.5\"\n\"12,345 g\"\n", options.clone()).await.unwrap();
    assert_eq!(floats(&declared.table, 0), [1234.5, 12_345.0]);
    let error = self::read("a\n\"1,23\"\n", options).await.err().unwrap();
    assert_eq!(error.reason(), Some("`1,23` is not a float64"));
    let specs = vec![ColumnSpec::new("a", DataType::Float64)];
    let error = self::read("a;b\n1,23;x\n", ReadOptions::default().with_schema(Some(specs))).await.err().unwrap();
    assert_eq!(error.reason(), Some("`1,23` is not a float64; with `decimal = \",\"` it is"));
}

#[tokio::test]
async fn marks_of_two_meanings_are_refused() {
    let plain = ReadOptions::default;
    for (options, reason) in [
        (plain().with_delimiter(Some(';')).with_comment(Some(';')), "it is the delimiter as well"),
        (plain().with_escape(Some('#')).with_comment(Some('#')), "it is the escape as well"),
        (plain().with_decimal(DecimalMark::Comma).with_thousands(Some(',')), "it is the decimal mark as well"),
        (plain().with_thousands(Some('1')), "it means something else in a number"),
        (plain().with_comment(Some('\u{e4}')), "it must be one ASCII character, and no line end"),
    ] {
        assert_eq!(read("a,b\n1,2\n", options).await.err().unwrap().reason(), Some(reason));
    }
    // A quote that escapes a quote doubles it.
    let doubled = read("a,b\n1,\"x\"\"y\"\n", plain().with_escape(Some('"'))).await.unwrap();
    assert_eq!(doubled.table.column(1).as_string::<i32>().value(0), "x\"y");
}

#[tokio::test]
async fn a_dialect_is_found_and_told() {
    let european = found("name;fat_g;n\n'butter, salted';82,5;1\n'oil; olive';100;2\n").await;
    assert_eq!(european.dialect.to_string(), "delimiter ;, quote ', header yes, decimal ,");
    assert_eq!(floats(&european.table, 1), [82.5, 100.0]);
    assert_eq!(european.table.column(0).as_string::<i32>().value(1), "oil; olive");
    assert_eq!(european.notes.len(), 2, "{:?}", european.notes);
    assert!(european.notes.contains(&"column `fat_g` has a decimal comma".to_owned()));
    let plain = found("a,b\n1,2\n").await;
    assert_eq!(plain.dialect.to_string(), "delimiter ,, quote \", header yes, decimal .");
    assert!(plain.notes.is_empty());
}

#[tokio::test]
async fn a_comma_that_may_group_digits_is_no_decimal_mark() {
    let unclear = found("a;b\n1,234;x\n12,345;y\n").await;
    assert_eq!(types(&unclear.table)[0], DataType::Utf8);
    let note =
        r#"column `a` is text because of `1,234` in row 1; with `thousands = ","` or `decimal = ","` it is numbers"#;
    assert_eq!(unclear.notes, [note]);
    let clear = found("a;b\n1,234;x\n12,3;y\n").await;
    assert_eq!(floats(&clear.table, 0), [1.234, 12.3]);
    let quoted = found("a,b\n\"1,5\",x\n\"12,3\",y\n").await;
    assert_eq!(quoted.notes, [r#"column `a` is text because of `1,5` in row 1; with `decimal = ","` it is numbers"#]);
    let dotted = found("a;b\n1,5;1.234\n12,3;5.678\n").await;
    assert_eq!(dotted.notes.len(), 2);
    assert_eq!(dotted.notes[1], r#"column `b` has a decimal dot; with `thousands = "."` it groups digits"#);
}

#[tokio::test]
async fn a_note_says_what_makes_a_column_numbers() {
    let late = found("a\n1\n2\nNA\n").await;
    assert_eq!(late.notes, [r#"column `a` is text because of `NA` in row 3; with `nulls = ["NA"]` it is numbers"#]);
    let early = found("a\nNA\n2\n\"1,234\"\n").await;
    assert_eq!(
        early.notes,
        [concat!(
            r#"column `a` is text because of `NA` in row 1; with `nulls = ["NA"]` and `thousands = ","` or "#,
            r#"`nulls = ["NA"]` and `decimal = ","` it is numbers"#
        )]
    );
    let mixed = found("a;b\n1.5;x\n\n2.25;\"y\ny\"\n3,7;z\n").await;
    assert_eq!(
        mixed.notes,
        [r#"column `a` is text because of `3,7` in row 3 (1 of 3 values); with `decimal = "either"` it is numbers"#]
    );
    let either = read("a;b\n1.5;x\n3,7;y\n", ReadOptions::default().with_decimal(DecimalMark::Either)).await.unwrap();
    assert_eq!(floats(&either.table, 0), [1.5, 3.7]);
    // What a sample shows need not be so behind it.
    let sampled = ReadOptions::default().with_infer(Infer::Sample(4));
    let sampled = read(&format!("a\n1\nNA\n{}x\n", "2\n".repeat(1 << 20)), sampled).await.unwrap();
    let rows = sampled.notes[0].strip_prefix(
        r#"column `a` is text because of `NA` in row 2; with `nulls = ["NA"]` it is numbers in the first "#,
    );
    let rows = rows.and_then(|rows| rows.strip_suffix(" rows")).and_then(|rows| rows.parse::<usize>().ok());
    assert!(rows.is_some_and(|rows| rows < sampled.table.num_rows()), "{:?}", sampled.notes);
    let neither = found("a\n1\nx\n").await;
    assert_eq!(neither.notes, ["column `a` is text because of `x` in row 2"]);
}

#[tokio::test]
async fn the_types_of_a_sample_are_those_of_the_whole_with_a_decimal_comma_too() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..1000).map(|row| format!("{row};1,234;x\n")).collect();
    for late in ["5;1,5;y\n", "5;abc;y\n", "1,5;1,234;y\n", "2.5;7,25;y\n", ""] {
        let text = format!("a;b;c\n{rows}{late}");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, &text).unwrap();
        let source = || Source::LocalFile(path.clone());
        let whole = Csv.infer_schema(&source(), &ReadOptions::default()).await.unwrap();
        let sample = ReadOptions::default().with_infer(Infer::Sample(100));
        // Either the same, or a misfit that leads there.
        match Csv.read(source(), sample).await.unwrap().try_collect::<Vec<_>>().await {
            Ok(batches) => assert_eq!(batches[0].schema(), whole.schema, "{late}"),
            Err(error) => assert!(crate::format::Misfit::is_cause_of(&error), "{late}: {error}"),
        }
    }
}

/// What comes of a dirty text: the error, and the rows and rejects of a quarantine.
async fn dirty(text: &[u8]) -> (String, usize, Vec<Reject>) {
    let error = read(text, ReadOptions::default()).await.err().map(|error| error.to_string()).unwrap_or_default();
    let seen = Arc::new(Seen::default());
    let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
    let rows = read(text, options).await.unwrap().table.num_rows();
    let rejects = seen.0.lock().unwrap().clone();
    (error, rows, rejects)
}

#[tokio::test]
async fn ragged_rows_and_open_quotes_are_told_with_their_place() {
    let rows = |from: usize, to: usize| (from..to).map(|row| format!("{row},n{row},{row}.5\n")).collect::<String>();
    let before = format!("id,name,x\n{}", rows(0, 700));
    for (record, code, reason) in [
        ("700,short\n", "ragged", "the record has 2 fields, the header 3"),
        ("700,long,1.5,more\n", "ragged", "the record has 4 fields, the header 3"),
        ("700,\"open,1.5\n", "quote", "a quote opened in line 702 is not closed"),
    ] {
        let text = format!("{before}{record}{}", rows(701, 1000));
        let (error, good, rejects) = dirty(text.as_bytes()).await;
        assert!(error.contains("line 702") && error.contains(&before.len().to_string()), "{error}");
        assert_eq!((good, rejects.len()), (999, 1));
        let found = &rejects[0];
        let place = (found.row, found.line, found.byte, found.code.as_str(), found.reason.as_str());
        assert_eq!(place, (701, Some(702), Some(before.len() as u64), code, reason));
        assert_eq!(format!("{}\n", found.raw), record);
    }
}

#[tokio::test]
async fn line_ends_of_all_kinds_end_records() {
    for ends in [&["\n"][..], &["\r\n"], &["\r"], &["\n", "\r\n"], &["\r\n", "\r", "\n"], &["\r", "\r\n", "\n"]] {
        let line = |row: usize| format!("{row},x{row}{}", ends[row % ends.len()]);
        let text = format!("id,name{}{}", ends[0], (0..1000).map(line).collect::<String>());
        let (error, good, rejects) = dirty(text.as_bytes()).await;
        assert_eq!((error.as_str(), good, rejects.len()), ("", 1000, 0), "{ends:?}");
    }
}

#[tokio::test]
async fn leading_zeros_and_words_stay_text() {
    let read = found("zip,word\n01234,NA\n99999,null\n10115,None\n00501,nan\n").await;
    assert_eq!(types(&read.table), [DataType::Utf8, DataType::Utf8]);
    assert_eq!(cells(&read.table)[3], [Some("00501".to_owned()), Some("nan".to_owned())]);
    let given = ReadOptions::default().with_nulls(["", "NA", "null", "None", "nan"].map(String::from).to_vec());
    let read = self::read("zip,word\n01234,NA\n99999,7\n", given).await.unwrap();
    assert_eq!(types(&read.table), [DataType::Utf8, DataType::Int64]);
}

/// Writes a table as CSV.
pub(super) async fn written(table: &RecordBatch, options: WriteOptions) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
    Csv.write(Sink::LocalFile(path.clone()), batches, options).await?;
    Ok(std::fs::read(path).unwrap())
}

fn table() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(Int64Array::from(vec![Some(1), None]))),
        ("b", Arc::new(Float64Array::from(vec![Some(1.5), Some(-2e-7)]))),
        ("c", Arc::new(StringArray::from(vec![Some("x;'y"), Some("NA")]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

#[tokio::test]
async fn a_table_is_written_in_the_dialect_asked_for() {
    let options = WriteOptions::default().with_delimiter(Some(';')).with_decimal(DecimalMark::Comma).with_quote('\'');
    let options = options.with_null("NA".into()).with_line_end(LineEnd::CrLf);
    let text = String::from_utf8(written(&table(), options).await.unwrap()).unwrap();
    assert_eq!(text, "a;b;c\r\n1;1,5;'x;''y'\r\nNA;-2e-7;'NA'\r\n");
    let options = WriteOptions::default().with_decimal(DecimalMark::Comma);
    let text = String::from_utf8(written(&table(), options).await.unwrap()).unwrap();
    assert_eq!(text, "a,b,c\n1,\"1,5\",x;'y\n,-2e-7,NA\n");
    let none = WriteOptions::default().with_quote(Quote::Absent);
    let text = String::from_utf8(written(&table(), none.clone()).await.unwrap()).unwrap();
    assert_eq!(text, "a,b,c\n1,1.5,x;'y\n,-2e-7,NA\n");
    let error = written(&table(), none.with_delimiter(Some(';'))).await.unwrap_err();
    assert!(
        error.to_string().contains("`x;\\'y` in column `c`") || error.to_string().contains("column `c`"),
        "{error}"
    );
    for (options, what) in [
        (WriteOptions::default().with_null(",".into()), "for missing values"),
        (WriteOptions::default().with_quote(','), "as the delimiter"),
        (WriteOptions::default().with_decimal(DecimalMark::Either), "either decimal mark"),
    ] {
        assert!(written(&table(), options).await.unwrap_err().to_string().contains(what));
    }
}

#[tokio::test]
async fn what_is_said_of_csv_describes_the_destination_where_the_source_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (json, csv, other) = (folder.path().join("a.ndjson"), folder.path().join("a.csv"), folder.path().join("b.csv"));
    std::fs::write(&json, "{\"id\":1,\"x\":1.5}\n{\"id\":2,\"x\":2.5}\n").unwrap();
    let read = ReadOptions::default().with_delimiter(Some(';')).with_decimal(DecimalMark::Comma);
    let (source, sink) = (Source::LocalFile(json.clone()), Sink::LocalFile(csv.clone()));
    let done = convert(source, sink, read.clone(), WriteOptions::default()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), "id;x\n1;1,5\n2;2,5\n");
    assert_eq!(done.dialect, None);
    // Where both are CSV, it describes the source.
    let write = WriteOptions::default().with_delimiter(Some('|'));
    let (source, sink) = (Source::LocalFile(csv.clone()), Sink::LocalFile(other.clone()));
    let done = convert(source, sink, read, write).await.unwrap();
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "id|x\n1|1.5\n2|2.5\n");
    assert_eq!(done.dialect.unwrap().delimiter, ';');
}

/// The same by the `csv` crate, cell by cell.
fn by_another(table: &RecordBatch, delimiter: u8, quote: u8, decimal: char, null: &str, crlf: bool) -> Vec<u8> {
    let mut text = Vec::new();
    let fields = |row: usize| {
        let cell = |column: &ArrayRef| {
            let Some(text) = value_text(column.as_ref(), row).unwrap() else { return (null.to_owned(), false) };
            let is_float = column.data_type() == &DataType::Float64;
            let is_text = column.data_type() == &DataType::Utf8;
            (if is_float { text.replace('.', &decimal.to_string()) } else { text }, is_text)
        };
        table.columns().iter().map(cell).collect::<Vec<_>>()
    };
    let mut lines = vec![names(table).into_iter().map(|name| (name, true)).collect::<Vec<_>>()];
    lines.extend((0..table.num_rows()).map(fields));
    for line in lines {
        for (index, (field, is_text)) in line.into_iter().enumerate() {
            if index > 0 {
                text.push(delimiter);
            }
            let is_special = is_text && (field.is_empty() || field.starts_with(['\'', '\u{feff}']) || field == null);
            let style = if is_special { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
            let mut writer =
                csv::WriterBuilder::new().delimiter(delimiter).quote(quote).quote_style(style).from_writer(Vec::new());
            writer.write_record([field.as_str(), ""]).unwrap();
            let record = writer.into_inner().unwrap();
            // Without the empty field behind it, and the line end.
            let end = record.iter().rposition(|byte| *byte == delimiter).unwrap();
            text.extend_from_slice(&record[..end]);
        }
        text.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With the same marks and types, what was written is what is read; and it is what another writer writes.
    #[test]
    fn what_is_written_reads_back_in_every_dialect(
        rows in proptest::collection::vec(
            (any::<Option<i64>>(), proptest::option::of(-1e9_f64..1e9), proptest::option::of("[ax,;|\t\"'#.\n\r\u{e4}0-9]{1,6}"), any::<Option<bool>>()),
            1..20,
        ),
        delimiter in prop_oneof![Just(','), Just(';'), Just('\t'), Just('|')],
        quote in prop_oneof![Just('"'), Just('\'')],
        has_comma: bool,
        null in prop_oneof![Just(""), Just("NA"), Just("\\N")],
        crlf: bool,
        is_found: bool,
    ) {
        let columns: [(&str, ArrayRef); 4] = [
            ("int", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
            ("float", Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>())),
            ("text", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>())),
            ("bool", Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>())),
        ];
        let table = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
        let decimal = if has_comma { DecimalMark::Comma } else { DecimalMark::Dot };
        let write = WriteOptions::default().with_delimiter(Some(delimiter)).with_quote(quote).with_decimal(decimal);
        let write = write.with_null(null.into()).with_line_end(if crlf { LineEnd::CrLf } else { LineEnd::Lf });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = runtime.block_on(written(&table, write)).unwrap();
        let mark = if has_comma { ',' } else { '.' };
        let expected = by_another(&table, delimiter as u8, quote as u8, mark, null, crlf);
        prop_assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(&expected));
        let specs = table.schema().fields().iter().map(|field| ColumnSpec::new(field.name(), field.data_type().clone()).with_decimal(decimal)).collect();
        let nulls = vec![String::new(), null.to_owned()];
        let mut read = ReadOptions::default().with_schema(Some(specs)).with_nulls(nulls);
        // What is told by the text need not be said; a quote is not always.
        if !is_found {
            read = read.with_delimiter(Some(delimiter)).with_header(true);
        }
        read = read.with_quote(quote);
        let found = runtime.block_on(self::read(&text, read)).unwrap();
        if !is_found || found.dialect.delimiter == delimiter {
            prop_assert_eq!(found.table, table);
        }
    }

    /// Python's `csv` with `escapechar` and `doublequote`, which this says once more.
    #[test]
    fn escapes_are_those_of_a_plain_state_machine(text in "[ab,\"\\\\\n]{0,60}") {
        let syntax = Syntax { delimiter: b',', quote: Some(b'"'), escape: Some(b'\\'), comment: None };
        // Texts whose quotes are astray have no records to compare.
        let Some(expected) = by_states(&text) else { return Ok(()) };
        let blocks = drive::decode_pieces(Cutter::new(syntax, false, 1), text.as_bytes().chunks(7)).unwrap();
        let mut found = Vec::new();
        for block in &blocks {
            prop_assert!(block.given_up.is_empty());
            for row in 0..block.rows() {
                let field = |column| String::from_utf8(column::unquoted(block.field(row, column), syntax).into_owned()).unwrap();
                found.push((0..block.width(row)).map(field).collect::<Vec<_>>());
            }
        }
        prop_assert_eq!(found, expected);
    }
}

/// The records of a text, character by character; none where a quote is astray.
fn by_states(text: &str) -> Option<Vec<Vec<String>>> {
    #[derive(PartialEq)]
    enum State {
        Start,
        Plain,
        Quoted,
        Closed,
    }
    let (mut records, mut record, mut field, mut state) = (Vec::new(), Vec::new(), String::new(), State::Start);
    let mut is_blank = true;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (&state, character) {
            (State::Start | State::Plain | State::Closed, '\n') => {
                if !is_blank {
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
                (state, is_blank) = (State::Start, true);
                continue;
            }
            (State::Start | State::Plain | State::Closed, ',') => {
                record.push(std::mem::take(&mut field));
                state = State::Start;
            }
            (State::Start, '"') => state = State::Quoted,
            (State::Closed, '"') => {
                field.push('"');
                state = State::Quoted;
            }
            (State::Closed, _) => return None,
            (State::Quoted, '"') => state = State::Closed,
            (State::Quoted, '\\') => field.push(characters.next()?),
            (State::Quoted, other) => field.push(other),
            (_, '\\') => {
                field.push(characters.next().unwrap_or('\\'));
                state = State::Plain;
            }
            (_, other) => {
                field.push(other);
                state = State::Plain;
            }
        }
        is_blank = false;
    }
    if state == State::Quoted {
        return None;
    }
    if !is_blank {
        record.push(field);
        records.push(record);
    }
    Some(records)
}

#[tokio::test]
async fn a_decimal_mark_that_is_said_is_that_of_declared_columns() {
    let specs = vec![ColumnSpec::new("id", DataType::Int64), ColumnSpec::new("p", DataType::Float64)];
    let options = ReadOptions::default().with_schema(Some(specs)).with_decimal(DecimalMark::Comma);
    let read = read("id;p\n1;1,5\n2;2,25\n", options).await.unwrap();
    assert_eq!(read.table.column(1).as_primitive::<Float64Type>().values(), &[1.5, 2.25]);
}
