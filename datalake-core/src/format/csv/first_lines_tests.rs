//! What the first lines of CSV say: names, their order where there are none, and the delimiter.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::dialect_tests::{Read, cells, floats, found, names, read, written};
use super::tests::Seen;
use super::*;
use crate::format::OnRowError;

#[tokio::test]
async fn a_first_record_of_values_is_a_row_and_said() {
    let read = found("1,a\n2,b\n").await;
    assert_eq!((names(&read.table), read.table.num_rows()), (vec!["column_1".into(), "column_2".into()], 2));
    assert!(!read.dialect.header && read.notes[0].contains("`header = true`"), "{:?}", read.notes);
    let options = ReadOptions::default().with_header(true);
    assert_eq!(names(&self::read("1,a\n2,b\n", options).await.unwrap().table), ["1", "a"]);
    // What a schema names is a name.
    let specs = vec![ColumnSpec::new("2019", DataType::Float64)];
    let options = ReadOptions::default().with_schema(Some(specs));
    assert_eq!(floats(&self::read("2019,2020\n1.5,2\n", options).await.unwrap().table, 0), [1.5]);
    // It is found alike whatever else is looked at.
    for options in [
        ReadOptions::default().with_text(true),
        ReadOptions::default().with_infer(Infer::Sample(1)),
        ReadOptions::default().with_columns(Some(vec!["column_2".into()])),
    ] {
        assert_eq!(self::read("1,a\n2,b\n", options).await.unwrap().table.num_rows(), 2);
    }
}

#[tokio::test]
async fn names_that_are_empty_or_taken_are_changed_and_said() {
    let read = found("id,,id,x\n1,a,2,b\n").await;
    assert_eq!(names(&read.table), ["id", "column_2", "id_1", "x"]);
    assert_eq!(read.notes, ["column 2, ``, is read as `column_2`", "column 3, `id`, is read as `id_1`"]);
}

fn all(read: &Read) -> Vec<Vec<String>> {
    cells(&read.table).into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}

#[tokio::test]
async fn without_a_header_the_schema_names_the_columns_in_its_order() {
    let declared = |names: &[&str]| {
        let specs = names.iter().map(|name| ColumnSpec::new(*name, DataType::Utf8)).collect();
        ReadOptions::default().with_schema(Some(specs))
    };
    for options in [declared(&["id", "name"]), declared(&["id", "name"]).with_header(false)] {
        let read = read("1,apple\n2,bread\n", options).await.unwrap();
        assert_eq!(all(&read), [["1", "apple"], ["2", "bread"]]);
        assert!(read.notes.iter().any(|note| note.contains("the names of the schema")), "{:?}", read.notes);
    }
    // Fewer, and more; columns by their number.
    let no_header = |names: &[&str]| declared(names).with_header(false);
    assert_eq!(all(&read("1,apple\n", no_header(&["id"])).await.unwrap()), [["1"]]);
    assert_eq!(all(&read("1\n", no_header(&["id", "name"])).await.unwrap()), [["1", ""]]);
    assert_eq!(all(&read("1,apple\n", no_header(&["column_2", "id"])).await.unwrap()), [["apple", ""]]);
    // By which of two that are made of one it is to be named, nobody has said.
    let from = |name: &str| ColumnSpec::new(name, DataType::Utf8).with_from(vec!["id".into()]);
    let twice = ReadOptions::default().with_header(false).with_schema(Some(vec![from("a"), from("b")]));
    assert!(read("1,apple\n", twice).await.is_err());
    // A missing one that must be there is an error, as with a header.
    let must = vec![ColumnSpec::new("id", DataType::Int64), ColumnSpec::new("x", DataType::Int64).with_nullable(false)];
    assert!(read("1\n", ReadOptions::default().with_header(false).with_schema(Some(must))).await.is_err());
    // Where there is a header, its names count.
    let other = read("a,b\n1,2\n", declared(&["b", "c"])).await.unwrap();
    assert_eq!(all(&other), [["2", ""]]);
    // Texts alone, which may be names: an error, rather than rows of nulls.
    let texts = "apple,red\nbread,white\n";
    let error = read(texts, declared(&["name", "color"])).await.err().unwrap();
    assert!(error.hint().unwrap().contains("`header = false`"), "{error}");
    assert_eq!(all(&read(texts, declared(&["name", "color"]).with_header(false)).await.unwrap()).len(), 2);
    assert_eq!(all(&read(texts, declared(&["name", "color"]).with_header(true)).await.unwrap()), [["", ""]]);
}

#[tokio::test]
async fn a_first_field_that_would_say_the_delimiter_is_written_in_quotes() {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let column = |values: [Option<&str>; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let one = RecordBatch::try_from_iter([("sep=;", column([Some("sep=,"), Some("x")]))]).unwrap();
    let two = [("a", column([Some("SEP="), Some("sep=")])), ("b", column([None, Some("y")]))];
    let two = RecordBatch::try_from_iter_with_nullable(two.map(|(name, column)| (name, column, true))).unwrap();
    let numbers = RecordBatch::try_from_iter([("sep=,", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    for (table, options) in [
        (&one, WriteOptions::default()),
        (&one, WriteOptions::default().with_header(false)),
        (&two, WriteOptions::default().with_header(false)),
        (&two, WriteOptions::default().with_header(false).with_delimiter(Some(';'))),
        (&numbers, WriteOptions::default()),
    ] {
        let (delimiter, has_header) = (options.delimiter, options.header != Some(false));
        let text = written(table, options).await.unwrap();
        let back = ReadOptions::default().with_header(has_header).with_delimiter(delimiter.or(Some(',')));
        let back = read(&text, back).await.unwrap();
        assert_eq!(cells(&back.table), cells(table), "{}", String::from_utf8_lossy(&text));
    }
}

#[tokio::test]
async fn a_first_line_that_says_the_delimiter_is_no_row() {
    let text = "sep=|\r\nid|name\r\n1|a,b\r\n2|c|d\r\n";
    let seen = Arc::new(Seen::default());
    let options = ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(seen.clone()));
    let of_line = read(text, options).await.unwrap();
    assert_eq!(names(&of_line.table), ["id", "name"]);
    assert_eq!(cells(&of_line.table), [[Some("1".to_owned()), Some("a,b".to_owned())]]);
    assert_eq!((of_line.dialect.delimiter, of_line.dialect.skip_lines), ('|', 1));
    assert!(of_line.notes[0].contains("`|`"), "{:?}", of_line.notes);
    let rejected = seen.0.lock().unwrap().clone();
    let at = text.find("2|c").unwrap() as u64;
    assert_eq!((rejected[0].row, rejected[0].line, rejected[0].byte), (2, Some(4), Some(at)));
    // What is asked for counts for more; the line is no row all the same.
    let asked = read("sep=|\na;b\n1;2\n", ReadOptions::default().with_delimiter(Some(';'))).await.unwrap();
    assert_eq!((names(&asked.table), asked.table.num_rows()), (vec!["a".into(), "b".into()], 1));
    // With a comma in numbers, by a tab, behind a byte order mark, and without rows.
    assert_eq!(floats(&found("sep=;\na;b\n1,5;2\n").await.table, 0), [1.5]);
    assert_eq!(names(&found("\u{feff}sep=\t\na\tb\n1\t2\n").await.table), ["a", "b"]);
    assert_eq!(found("sep=,\na,b\n").await.table.num_rows(), 0);
    // In quotes it is a value.
    assert_eq!(names(&found("\"sep=,\"\na\nb\n").await.table), ["sep=,"]);
    assert!(read("sep=;\n", ReadOptions::default()).await.is_err());
    // Whoever says how many lines stand before the first record has said it all.
    let first = ReadOptions::default().with_skip_lines(1).with_header(true).with_delimiter(Some(','));
    let skipped = read("x\nsep=;\n1\n", first).await.unwrap();
    assert_eq!(names(&skipped.table), ["sep=;"]);
}
