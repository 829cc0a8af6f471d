//! JSON as it is found: what comes of each kind of dirt, with the place that is told.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;

use super::{cells, read, read_noted, set_aside, types, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, Batches, Converted, Json, ReadOptions, Sink, Source, WriteOptions};

/// So many records, of which one is another text.
fn lines(rows: usize, at: usize, other: &str) -> String {
    let line = |row: usize| {
        if row == at { other.to_owned() } else { format!("{{\"id\":{row},\"s\":\"n{row}\",\"o\":{{\"a\":{row}}}}}") }
    };
    (0..rows).map(|row| line(row) + "\n").collect()
}

/// The byte at which a line begins.
fn byte_of(text: &str, line: usize) -> u64 {
    text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>() as u64
}

/// Converts a text of this name into Parquet, and reads it back.
fn converted(name: &str, text: &str) -> Result<(Converted, arrow::array::RecordBatch)> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join(name), folder.path().join("a.parquet"));
    std::fs::write(&from, text).unwrap();
    wait(async {
        let sink = Sink::LocalFile(to.clone());
        let done =
            format::convert(Source::LocalFile(from), sink, ReadOptions::default(), WriteOptions::default()).await?;
        let batches: Batches =
            format::format("parquet").unwrap().read(Source::LocalFile(to), ReadOptions::default()).await?;
        let schema = batches.schema().clone();
        let all: Vec<_> = batches.try_collect().await?;
        Ok::<_, Error>((done, arrow::compute::concat_batches(&schema, &all).unwrap()))
    })
}

#[test]
fn a_line_that_is_cut_is_told_with_line_and_byte() {
    let text = lines(1000, 700, "{\"id\":700,\"s\":\"n7");
    let byte = byte_of(&text, 701);
    let error = read(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let reason = "the record is no JSON: EOF while parsing a string (line 1, column 17 of the record)";
    assert_eq!(error.to_string(), format!("cannot read test at row 701, line 701, byte {byte}: {reason}"));
    assert!(error.hint().unwrap().contains("quarantine"));
    let (table, rejects) = set_aside(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap();
    assert_eq!(rejects, [(701, byte, "syntax".to_owned(), reason.to_owned())]);
    assert_eq!(table.num_rows(), 999);
    // No row of missing values stands for it.
    assert!(table.columns().iter().all(|column| column.null_count() == 0));
}

#[test]
fn a_line_that_is_cut_late_is_told_alike() {
    const ROWS: usize = 600_000;
    let text = lines(ROWS, 500_000, "{\"id\":500000,\"s\":\"n5");
    let error = converted("a.ndjson", &text).unwrap_err();
    let place = format!(
        " at row 500001, line 500001, byte {}: the record is no JSON: EOF while parsing a string",
        byte_of(&text, 500_001)
    );
    assert!(error.to_string().contains(&place), "{error}");
    let (table, rejects) = set_aside(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap();
    assert_eq!((table.num_rows(), rejects.len()), (ROWS - 1, 1));
    assert_eq!((rejects[0].0, rejects[0].1), (500_001, byte_of(&text, 500_001)));
}

#[test]
fn a_field_first_seen_late_is_a_column() {
    const ROWS: usize = 520_000;
    let late = 500_000;
    let text: String = (0..ROWS)
        .map(|row| if row == late { format!("{{\"id\":{row},\"new\":1}}\n") } else { format!("{{\"id\":{row}}}\n") })
        .collect();
    let (done, table) = converted("a.ndjson", &text).unwrap();
    assert_eq!((done.balance.seen, done.balance.written, done.written.rows), (ROWS as u64, ROWS as u64, ROWS as u64));
    assert_eq!(types(&table), ["id:int64", "new:int64"]);
    let new = table.column(1).as_primitive::<Int64Type>();
    assert_eq!((new.null_count(), new.value(late)), (ROWS - 1, 1));
    assert_eq!(done.notes, [""; 0]);
}

#[test]
fn a_value_of_another_type_late_makes_the_column_text_and_is_noted() {
    const ROWS: usize = 300_000;
    let text = lines(ROWS, 250_000, "{\"id\":\"abc\",\"s\":\"x\",\"o\":{\"a\":1}}");
    let (done, table) = converted("a.ndjson", &text).unwrap();
    assert_eq!(types(&table)[..2], ["id:text", "s:text"]);
    assert_eq!(done.notes, ["column `id` is text because of `abc` in row 250001"]);
    assert_eq!(done.balance.written, ROWS as u64);
    // 4.5 among integers makes floats of them, without a word: nothing is lost.
    let text = lines(ROWS, 250_000, "{\"id\":4.5,\"s\":\"x\",\"o\":{\"a\":1}}");
    let (done, table) = converted("a.ndjson", &text).unwrap();
    assert_eq!((types(&table)[0].as_str(), done.notes.len()), ("id:float64", 0));
}

/// What is in a field, what its column holds, and what is said of it.
#[test]
fn fields_of_several_kinds_are_text_and_that_is_noted() {
    let several = "column `o` holds values of several kinds, kept as JSON text";
    for (values, texts, note) in [
        (["{\"a\":1}", "[1,2]"], ["{\"a\":1}", "[1,2]"], Some(several)),
        (["{\"a\":1}", "\"x\""], ["{\"a\":1}", "\"x\""], Some(several)),
        (["{\"a\":1}", "7"], ["{\"a\":1}", "7"], Some(several)),
        (["[1]", "\"x\""], ["[1]", "\"x\""], Some(several)),
        (["[1]", "null"], ["[1]", "-"], None),
        (["{\"a\":1}", "null"], ["{\"a\":1}", "-"], None),
        (["1", "\"x\""], ["1", "x"], Some("column `o` is text because of `x` in row 2")),
        (["\"x\"", "1"], ["x", "1"], None),
        (["true", "1"], ["true", "1"], Some("column `o` is text because of `1` in row 2")),
    ] {
        let text = format!("{{\"o\":{}}}\n{{\"o\":{}}}\n", values[0], values[1]);
        let (table, notes) = read_noted(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap();
        assert_eq!(cells(&table), texts.map(|text| vec![text.to_owned()]), "{text}");
        assert_eq!(notes, note.into_iter().collect::<Vec<_>>(), "{text}");
    }
}

/// An object with more names than records have is a map, and is kept as text.
#[test]
fn objects_have_no_more_names_than_records_may_have() {
    let object = |names: usize| {
        let members: Vec<String> = (0..names).map(|name| format!("\"k{name}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let nested = |names: usize| format!("{{\"o\":{}}}\n", object(names));
    let (table, notes) = read_noted(&Json::lines(), nested(4096).as_bytes(), ReadOptions::default()).unwrap();
    assert!(types(&table)[0].starts_with("o:Struct") && notes.is_empty());
    let (table, notes) = read_noted(&Json::lines(), nested(4097).as_bytes(), ReadOptions::default()).unwrap();
    assert_eq!(types(&table), ["o:text"]);
    assert_eq!(notes, ["column `o` is nested too deeply or has too many names, kept as JSON text"]);
    assert_eq!(cells(&table), [[object(4097)]]);
    // Of a record itself all names are columns.
    let (table, _) = read_noted(&Json::lines(), object(5000).as_bytes(), ReadOptions::default()).unwrap();
    assert_eq!((table.num_columns(), table.num_rows()), (5000, 1));
}

/// A text, its rows, and what is set aside: line, byte and code.
#[test]
fn other_dirt() {
    type Case = (&'static str, &'static str, &'static [&'static [&'static str]], &'static [(u64, u64, &'static str)]);
    let cases: [Case; 8] = [
        (
            "a bare NaN is no JSON",
            "{\"id\":1,\"x\":NaN}\n{\"id\":2,\"x\":1.5}\n",
            &[&["2", "1.5"]],
            &[(1, 0, "syntax")],
        ),
        (
            "an integer that no type holds stays as it is written",
            "{\"x\":123456789012345678901234567890}\n{\"x\":1}\n",
            &[&["123456789012345678901234567890"], &["1"]],
            &[],
        ),
        ("of repeated names the last counts", "{\"id\":1,\"id\":2}\n{\"id\":3,\"id\":4}\n", &[&["2"], &["4"]], &[]),
        ("an array in one line is an array", "[{\"id\":1},{\"id\":2}]\n", &[&["1"], &["2"]], &[]),
        ("a pretty array", "[\n  {\n    \"id\": 1\n  },\n  {\n    \"id\": 2\n  }\n]\n", &[&["1"], &["2"]], &[]),
        ("an array that is cut", "[{\"id\":1},{\"id\":2},{\"id\":", &[&["1"], &["2"]], &[(1, 19, "syntax")]),
        ("blank lines", "{\"id\":1}\n\n\n{\"id\":2}\n\n", &[&["1"], &["2"]], &[]),
        ("two records in a line", "{\"id\":1}{\"id\":2}\n{\"id\":3}\n", &[&["3"]], &[(1, 0, "syntax")]),
    ];
    for (what, text, rows, rejected) in cases {
        let (table, rejects) = set_aside(&Json::lines(), text.as_bytes(), ReadOptions::default()).unwrap();
        assert_eq!(cells(&table), rows, "{what}");
        let found: Vec<_> = rejects.iter().map(|(line, byte, code, _)| (*line, *byte, code.as_str())).collect();
        assert_eq!(found, rejected, "{what}");
    }
}
