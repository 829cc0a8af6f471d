//! Declared, found and widened types, and values that do not fit them, from end to end in all formats.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use futures::TryStreamExt;
use proptest::prelude::*;

use super::conform::conform;
use super::text::value_text;
use super::types::{all, type_name, wide_integer};
use super::*;
use crate::error::ErrorKind;

const NAMES: [&str; 4] = ["t.csv", "t.ndjson", "t.json", "t.parquet"];

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn file(path: &Path) -> Source {
    Source::LocalFile(path.to_owned())
}

async fn read_file(path: &Path, options: ReadOptions) -> Result<(RecordBatch, Balance)> {
    let (found, _) = detect(&file(path), &options).await?;
    let mut batches = found.read(file(path), options).await?;
    let mut all = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        all.push(batch);
    }
    Ok((concat_batches(batches.schema(), &all).unwrap(), batches.balance()))
}

async fn write_file(path: &Path, table: &RecordBatch) -> Written {
    let (sink, write) = (Sink::LocalFile(path.to_owned()), WriteOptions::default());
    let batches = Batches::from_vec(table.schema(), vec![table.clone()]);
    for_sink(&sink, &write).unwrap().write(sink, batches, write).await.unwrap()
}

async fn convert_file(from: &Path, to: &Path, read: ReadOptions) -> Result<Converted> {
    convert(file(from), Sink::LocalFile(to.to_owned()), read, WriteOptions::default()).await
}

fn declared(columns: &str) -> ReadOptions {
    ReadOptions::default().with_schema(Some(declared_schema(columns).unwrap()))
}

fn texts(array: &ArrayRef) -> Vec<Option<String>> {
    (0..array.len()).map(|row| value_text(array.as_ref(), row).unwrap()).collect()
}

/// Values of a type as they are written, the least and the greatest among them, and texts that are no value of it.
fn samples(data_type: &DataType) -> (Vec<String>, Vec<&'static str>) {
    let own = |values: &[&str]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    match data_type {
        DataType::Utf8 => (own(&["a, b", "007", "true"]), vec![]),
        DataType::Boolean => (own(&["true", "false"]), vec!["1", "yes"]),
        DataType::Int8 => (own(&["-128", "127"]), vec!["128", "-129", "1.5", "a"]),
        DataType::Int16 => (own(&["-32768", "32767"]), vec!["32768", "1e9"]),
        DataType::Int32 => (own(&["-2147483648", "2147483647"]), vec!["2147483648", "0.5"]),
        DataType::Int64 => (own(&["-9223372036854775808", "9223372036854775807"]), vec!["9223372036854775808"]),
        DataType::UInt8 => (own(&["0", "255"]), vec!["256", "-1"]),
        DataType::UInt16 => (own(&["0", "65535"]), vec!["65536", "-1"]),
        DataType::UInt32 => (own(&["0", "4294967295"]), vec!["4294967296", "-1"]),
        DataType::UInt64 => (own(&["0", "18446744073709551615"]), vec!["18446744073709551616", "-1", "1.25"]),
        DataType::Float32 => (own(&["0.1", "-3.4028235e38", "16777216.0"]), vec!["16777217", "1e39", "1e-60", "x"]),
        DataType::Float64 => (own(&["0.1", "5e-324", "1.7976931348623157e308"]), vec!["9007199254740993", "1e400"]),
        DataType::Date32 => (own(&["0001-01-01", "9999-12-31"]), vec!["2024-02-30", "2024-02-29T00:00:00"]),
        DataType::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { "Z" } else { "" };
            let times = match unit {
                TimeUnit::Nanosecond => ["1677-09-21T00:12:43.145224193", "2262-04-11T23:47:16.854775807"],
                TimeUnit::Microsecond => ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"],
                _ => ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999"],
            };
            let none = match unit {
                TimeUnit::Nanosecond => {
                    vec!["2024-02-29", "2262-04-11T23:47:16.854775808", "2024-02-29T00:00:00.0000000001"]
                }
                TimeUnit::Microsecond => vec!["2024-02-29T00:00:00.0000001", "2024-02-29T24:00:00"],
                _ => vec!["2024-02-29T00:00:00.0001", "2024-02-29"],
            };
            (times.map(|time| format!("{time}{zone}")).into(), none)
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            let (precision, scale) = (usize::from(*precision), usize::try_from(*scale).unwrap());
            let nines = "9".repeat(precision);
            let (whole, fraction) = nines.split_at(precision - scale);
            let whole = if whole.is_empty() { "0" } else { whole };
            let most = if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") };
            let least = if scale == 0 { "1".to_owned() } else { format!("0.{}1", "0".repeat(scale - 1)) };
            (vec![format!("-{most}"), most, least], vec!["1e80", "-1e-80", "x", "NaN"])
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_type_is_read_and_written_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for data_type in all() {
        let name = type_name(&data_type);
        let (values, none) = samples(&data_type);
        let cells = values.iter().map(|value| Some(value.as_str())).chain([None]);
        let source = RecordBatch::try_from_iter([("x", Arc::new(cells.collect::<StringArray>()) as ArrayRef)]).unwrap();
        let specs = [ColumnSpec::new("x", data_type.clone())];
        let table = conform(&source, &specs).unwrap();
        assert!(table.faults.is_empty(), "{name}: {:?}", table.faults);
        let table = table.batch;
        assert_eq!(texts(table.column(0)), texts(source.column(0)), "{name}");
        // From each format to each.
        for from in NAMES {
            let path = folder.path().join(from);
            let options = ReadOptions::default().with_schema(Some(specs.to_vec()));
            let written = wait(write_file(&path, &table));
            let (back, _) = wait(read_file(&path, options.clone())).unwrap();
            assert_eq!(back, table, "{name} from {from}");
            for to in NAMES {
                let target = folder.path().join(format!("2{to}"));
                let done = wait(convert_file(&path, &target, options.clone())).unwrap();
                assert_eq!(done.written.digest, written.digest, "{name} from {from} to {to}");
                assert_eq!(wait(read_file(&target, options.clone())).unwrap().0, table, "{name} from {from} to {to}");
            }
        }
        // Parquet keeps the type by itself.
        let parquet = folder.path().join("2t.parquet");
        assert_eq!(wait(read_file(&parquet, ReadOptions::default())).unwrap().0, table, "{name}");
        // As a text, what is no value of it is told.
        for cell in none {
            for (from, text) in [("b.csv", format!("x\n{cell}\n")), ("b.ndjson", format!("{{\"x\":\"{cell}\"}}\n"))] {
                let path = folder.path().join(from);
                std::fs::write(&path, text).unwrap();
                let options = ReadOptions::default().with_schema(Some(specs.to_vec()));
                let error = wait(read_file(&path, options)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {cell}");
                let reason = error.reason().unwrap();
                assert!(reason.contains(cell) && reason.contains(&name), "{reason}");
            }
        }
    }
}

#[test]
fn decimals_have_all_their_digits_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.csv"), "x\n12.5\n-0.05\n1e3\n,\n".replace(",\n", "\"\"\n")).unwrap();
    std::fs::write(path("a.ndjson"), "{\"x\":12.5}\n{\"x\":-0.05}\n{\"x\":1e3}\n{\"x\":null}\n").unwrap();
    for from in ["a.csv", "a.ndjson"] {
        let done = wait(convert_file(&path(from), &path("a.parquet"), declared("x:decimal(10,2)"))).unwrap();
        assert_eq!(done.balance.written, 4);
        // What Parquet has is passed on as it is.
        for (to, text) in [
            ("b.csv", "x\n12.50\n-0.05\n1000.00\n\"\"\n"),
            ("b.ndjson", "{\"x\":12.50}\n{\"x\":-0.05}\n{\"x\":1000.00}\n{\"x\":null}\n"),
        ] {
            wait(convert_file(&path("a.parquet"), &path(to), ReadOptions::default())).unwrap();
            assert_eq!(std::fs::read_to_string(path(to)).unwrap(), text);
        }
    }
    // More digits than there are do not fit, and nothing is rounded.
    std::fs::write(path("a.csv"), "x\n0.125\n").unwrap();
    let error = wait(read_file(&path("a.csv"), declared("x:decimal(10,2)"))).unwrap_err();
    assert_eq!(error.reason(), Some("`0.125` cannot be a decimal(10,2) without loss"));
}

/// The same rows in all formats; Parquet as texts.
fn in_all_formats(folder: &Path, rows: &[[&str; 2]]) -> Vec<PathBuf> {
    let column = |index: usize| Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row[index]))) as ArrayRef;
    let table = RecordBatch::try_from_iter([("id", column(0)), ("x", column(1))]).unwrap();
    let paths: Vec<PathBuf> = NAMES.iter().map(|name| folder.join(name)).collect();
    for path in &paths {
        wait(write_file(path, &table));
    }
    paths
}

fn nulling(columns: &str, limit: Limit) -> (ReadOptions, Arc<Quarantine>) {
    let quarantine = Arc::new(Quarantine::new(limit));
    let options = declared(columns).with_on_row_error(OnRowError::Null);
    (options.with_rejects(Some(quarantine.clone())), quarantine)
}

#[test]
fn a_value_that_does_not_fit_becomes_null_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [["1", "7"], ["2", "abc"], ["c", "8"], ["4", "1.5"], ["e", "y"]];
    for path in in_all_formats(folder.path(), &rows) {
        let to = folder.path().join("o.parquet");
        let (options, quarantine) = nulling("id:int64!,x:int64", Limit::default());
        let done = wait(convert_file(&path, &to, options)).unwrap();
        // A missing value in a column that must have one is no way out.
        assert_eq!(done.balance, Balance { seen: 5, written: 3, quarantined: 2, nulled: 2 });
        let (table, _) = wait(read_file(&to, ReadOptions::default())).unwrap();
        let values: Vec<_> = table.column(1).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [Some(7), None, None], "{}", path.display());
        assert_eq!(quarantine.counts().get("type"), Some(&2));
        let note = done.notes.last().unwrap();
        assert!(note.starts_with("2 values of column `x` became null; the first was in row 2"), "{note}");
        assert!(note.ends_with("`abc` is not a int64"), "{note}");
        assert_eq!(quarantine.nulled_columns()[0].to_string(), *note);
        // So are they bad rows.
        for (limit, is_enough) in [(4, true), (3, false)] {
            let (options, _) = nulling("id:int64!,x:int64", Limit::Rows(limit));
            assert_eq!(wait(convert_file(&path, &to, options)).is_ok(), is_enough);
        }
        // Without anybody who takes rejected records, too.
        let options = declared("id:text,x:int64").with_on_row_error(OnRowError::Null);
        let (_, balance) = wait(read_file(&path, options)).unwrap();
        assert_eq!(balance, Balance { seen: 5, written: 5, quarantined: 0, nulled: 3 });
    }
}

#[test]
fn a_record_that_is_broken_as_a_whole_goes_to_the_quarantine() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("o.csv");
    for (name, text, code) in [
        ("a.csv", &b"id,x\n1,abc\n2\n3,4\n"[..], "ragged"),
        ("b.csv", b"id,x\n1,abc\n2,\xff\n3,4\n", "utf8"),
        ("c.ndjson", b"{\"id\":1,\"x\":\"abc\"}\n{\"id\":2,\n{\"id\":3,\"x\":4}\n", "syntax"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let (options, quarantine) = nulling("id:int64,x:int64", Limit::default());
        let done = wait(convert_file(&path, &to, options)).unwrap();
        assert_eq!(done.balance, Balance { seen: 3, written: 2, quarantined: 1, nulled: 1 }, "{name}");
        assert_eq!(quarantine.counts().get(code), Some(&1), "{name}");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "id,x\n1,\n3,4\n");
    }
}

#[test]
fn types_that_are_found_fit_all_values_and_make_none_null() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "id,x\n1,2\n2,abc\n").unwrap();
    let options = ReadOptions::default().with_on_row_error(OnRowError::Null);
    let (table, balance) = wait(read_file(&path, options)).unwrap();
    assert_eq!(table.column(1).data_type(), &DataType::Utf8);
    assert_eq!(balance, Balance { seen: 2, written: 2, quarantined: 0, nulled: 0 });
}

/// Converts a text whose beginning does not show its types, and by a look at the whole; gives what both become.
fn surprised(name: &str, text: &str) -> (RecordBatch, Converted) {
    let folder = tempfile::tempdir().unwrap();
    let (path, to) = (folder.path().join(name), folder.path().join("o.parquet"));
    std::fs::write(&path, text).unwrap();
    let done = wait(convert_file(&path, &to, ReadOptions::default())).unwrap();
    let whole = wait(convert_file(&path, &to, ReadOptions::default().with_infer(Infer::Whole))).unwrap();
    assert_eq!(done, whole);
    (wait(read_file(&to, ReadOptions::default())).unwrap().0, done)
}

/// So many rows of 12 bytes or more, more than are looked at first.
fn long_csv(last: &str) -> String {
    let rows = (0..500_000).fold("id,x\n".to_owned(), |text, row| text + &format!("{row},{row}\n"));
    rows + last
}

#[test]
fn a_late_word_in_a_column_of_integers_makes_it_text() {
    let (table, done) = surprised("a.csv", &long_csv("500000,abc\n"));
    assert_eq!(table.column(1).data_type(), &DataType::Utf8);
    assert_eq!(table.column(1).as_string::<i32>().value(500_000), "abc");
    assert_eq!(done.notes, ["column `x` is text because of `abc` in row 500001"]);
}

#[test]
fn a_late_fraction_in_a_column_of_integers_makes_it_floats() {
    let (table, _) = surprised("a.csv", &long_csv("500000,500000.25\n"));
    let floats = table.column(1).as_primitive::<arrow::datatypes::Float64Type>();
    assert_eq!((floats.value(499_999), floats.value(500_000)), (499_999.0, 500_000.25));
}

#[test]
fn a_column_that_is_empty_for_long_has_the_type_of_what_comes() {
    let rows = (0..500_000).fold("id,x\n".to_owned(), |text, row| text + &format!("1{row:09},\n"));
    for (last, data_type) in [("500000,word\n", DataType::Utf8), ("500000,7\n", DataType::Int64)] {
        let (table, _) = surprised("a.csv", &(rows.clone() + last));
        assert_eq!(table.column(1).data_type(), &data_type);
        assert_eq!(table.column(1).null_count(), 500_000);
    }
}

#[test]
fn integers_beyond_64_bits_keep_all_their_digits() {
    let late = "500000,123456789012345678901234567890\n";
    let (table, _) = surprised("a.csv", &long_csv(late));
    assert_eq!(table.column(1).data_type(), &wide_integer());
    assert_eq!(texts(table.column(1))[500_000].as_deref(), Some("123456789012345678901234567890"));
    let rows = (0..500_000).fold(String::new(), |text, row| text + &format!("{{\"x\":{row}}}\n"));
    let (table, _) = surprised("a.ndjson", &(rows + "{\"x\":-99999999999999999999999999999999999999}\n"));
    assert_eq!(table.column(0).data_type(), &wide_integer());
    assert_eq!(texts(table.column(0))[500_000].as_deref(), Some("-99999999999999999999999999999999999999"));
}

#[test]
fn numbers_of_all_sizes_have_a_type_that_holds_them() {
    let long = "1".repeat(39);
    let float = DataType::Float64;
    for (cells, data_type) in [
        (vec!["1", "9223372036854775808"], wide_integer()),
        (vec!["18446744073709551615"], wide_integer()),
        (vec!["1", long.as_str()], DataType::Utf8),
        // Each of these integers is a float.
        (vec!["0.5", "100000000000000000000"], float.clone()),
        (vec!["9007199254740992", "0.5"], float.clone()),
        // This one is not.
        (vec!["9007199254740993", "0.5"], DataType::Utf8),
        (vec!["0.5", "123456789012345678901"], DataType::Utf8),
        (vec!["1", "-0"], float),
    ] {
        let csv = format!("x\n{}\n", cells.join("\n"));
        let json = cells.iter().map(|cell| format!("{{\"x\":{cell}}}\n")).collect::<String>();
        for (name, text) in [("a.csv", csv), ("a.ndjson", json.clone())] {
            let (table, done) = surprised(name, &text);
            assert_eq!(table.column(0).data_type(), &data_type, "{cells:?} in {name}");
            if data_type == DataType::Utf8 {
                assert_eq!(texts(table.column(0)), cells.iter().map(|c| Some(c.to_string())).collect::<Vec<_>>());
                assert!(done.notes[0].starts_with("column `x` is text because of `"), "{:?}", done.notes);
            }
        }
        let list = format!("{{\"l\":[{}]}}\n", cells.join(","));
        let (table, _) = surprised("l.ndjson", &list);
        assert_eq!(table.column(0).data_type(), &DataType::new_list(data_type, true), "{list}");
    }
}

#[test]
fn a_misfit_in_the_middle_or_at_the_end_is_seen_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let opened = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut options = ReadOptions::default().with_infer(Infer::Sample(1000));
        options.looks_ahead = true;
        let (found, _) = wait(detect(&file(&path), &options)).unwrap();
        wait(found.read(file(&path), options)).map(|_| ())
    };
    let csv = |odd: usize, value: &str| {
        let row = |row| if row == odd { format!("{row},{value}\n") } else { format!("{row},1\n") };
        (0..60_000).map(row).fold("id,x\n".to_owned(), |text, row| text + &row)
    };
    let json = |odd: usize, value: &str| {
        let row = |row| if row == odd { value } else { "1" };
        (0..60_000).fold(String::new(), |text, at| text + &format!("{{\"x\":{},\"id\":{at}}}\n", row(at)))
    };
    for odd in [32_000, 59_999] {
        for (name, text) in [("a.csv", csv(odd, "abc")), ("a.ndjson", json(odd, "1.5")), ("a.json", json(odd, "[]"))] {
            let error = opened(name, &text).unwrap_err();
            assert!(Misfit::is_cause_of(&error), "{name}: {error}");
        }
    }
    opened("a.csv", &csv(59_999, "2")).unwrap();
    opened("a.ndjson", &json(59_999, "2")).unwrap();
    // A record that is broken says nothing of types.
    opened("a.csv", &csv(59_999, "abc,1")).unwrap();
    opened("a.ndjson", &json(59_999, "}")).unwrap();
}

#[test]
fn a_look_into_a_quoted_text_never_changes_the_types() {
    // From within the quotes, these lines look like records with a word where numbers are.
    let row = |row: usize| format!("{row},\"{}\"\n", "a,b\n".repeat(20));
    let text = (0..60_000).map(row).fold("id,x\n".to_owned(), |text, row| text + &row);
    let (table, _) = surprised("a.csv", &text);
    assert_eq!(table.column(0).data_type(), &DataType::Int64);
    assert_eq!(table.num_rows(), 60_000);
}

#[test]
fn leading_zeros_are_kept() {
    let (table, _) = surprised("a.csv", "zip\n01067\n80331\n");
    assert_eq!(texts(table.column(0)), [Some("01067".to_owned()), Some("80331".to_owned())]);
}

#[test]
fn with_declared_types_each_of_these_is_quarantined() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to) = (folder.path().join("a.csv"), folder.path().join("o.parquet"));
    std::fs::write(&path, long_csv("1,abc\n2,500000.25\n3,9223372036854775808\n4,4\n")).unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let options = declared("id:int64,x:int64").with_on_row_error(OnRowError::Quarantine);
    let done = wait(convert_file(&path, &to, options.with_rejects(Some(quarantine.clone())))).unwrap();
    assert_eq!(done.balance, Balance { seen: 500_004, written: 500_001, quarantined: 3, nulled: 0 });
    let error = wait(convert_file(&path, &to, declared("id:int64,x:int64"))).unwrap_err();
    let position = error.position().unwrap();
    assert_eq!((position.row, position.line), (Some(500_001), Some(500_002)));
}

#[test]
fn columns_that_are_not_declared_are_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    for path in in_all_formats(folder.path(), &[["1", "2"]]) {
        let to = folder.path().join("o.csv");
        let done = wait(convert_file(&path, &to, declared("x:int8"))).unwrap();
        assert_eq!(done.notes, ["not in the declared schema, so left out: `id`"]);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "x\n2\n");
    }
}

#[tokio::test]
async fn a_profile_names_all_types() {
    let cells = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let source = RecordBatch::try_from_iter([
        ("d", cells(&["-1.50", "12.00"])),
        ("w", cells(&["123456789012345678901234567890", "-1"])),
        ("u", cells(&["255", "0"])),
        ("t", cells(&["2024-02-29T12:00:00.5Z", "2023-01-01T00:00:00Z"])),
    ])
    .unwrap();
    let specs = declared_schema("d:decimal(10,2),w:decimal(38,0),u:uint8,t:timestamp_utc(ms)").unwrap();
    let table = conform(&source, &specs).unwrap().batch;
    let found = profile(Batches::from_vec(table.schema(), vec![table])).await.unwrap();
    let told: Vec<_> = found
        .columns
        .iter()
        .map(|c| (c.data_type.as_str(), c.min.as_deref().unwrap_or(""), c.max.as_deref().unwrap_or(""), c.distinct))
        .collect();
    assert_eq!(
        told,
        [
            ("decimal(10,2)", "-1.50", "12.00", Some(2)),
            ("decimal(38,0)", "-1", "123456789012345678901234567890", Some(2)),
            ("uint8", "0", "255", Some(2)),
            ("timestamp_utc(ms)", "2023-01-01T00:00:00Z", "2024-02-29T12:00:00.500Z", Some(2)),
        ]
    );
    assert_eq!(found.columns[0].mean, Some(5.25));
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?[1-9][0-9]{0,3}",
        1 => "-?[1-9][0-9]{14,20}",
        1 => "-?[1-9][0-9]{36,40}",
        1 => "-?[1-9]0{14,24}",
        1 => "-?(0|[1-9][0-9]{0,2})\\.[0-9]{1,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever comes first: a sample of the head ends with the same table, or with a misfit.
    #[test]
    fn a_guess_is_right_or_a_misfit(cells in prop::collection::vec(number(), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let csv = format!("x\n{}\n", cells.join("\n"));
        let json = cells.iter().map(|cell| format!("{{\"x\":{cell}}}\n")).collect::<String>();
        for (name, text) in [("a.csv", csv), ("a.ndjson", json)] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let (whole, _) = wait(read_file(&path, ReadOptions::default())).unwrap();
            match wait(read_file(&path, ReadOptions::default().with_infer(Infer::Sample(1)))) {
                Ok((guessed, _)) => prop_assert_eq!(guessed, whole.clone(), "{:?}", cells),
                Err(error) => prop_assert!(Misfit::is_cause_of(&error), "{:?}: {}", cells, error),
            }
            // No digit is lost but those that no float has.
            if whole.column(0).data_type() != &DataType::Float64 {
                let expected: Vec<_> = cells.iter().map(|cell| Some(cell.clone())).collect();
                prop_assert_eq!(texts(whole.column(0)), expected);
            }
        }
    }

    /// What is made null by columns and by texts is the same, and so is what is quarantined.
    #[test]
    fn nulls_are_made_alike_in_all_formats(
        cells in prop::collection::vec(prop_oneof![number(), "[a-z]{1,3}".prop_map(|word| word)], 1..12),
        which in 0_usize..26,
        nullable: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<[&str; 2]> = cells.iter().map(|cell| ["1", cell.as_str()]).collect();
        let mark = if nullable { "" } else { "!" };
        let columns = format!("id:int64,x:{}{mark}", type_name(&all()[which]));
        let mut first = None;
        for path in in_all_formats(folder.path(), &rows) {
            let options = declared(&columns).with_on_row_error(OnRowError::Null);
            let (table, balance) = wait(read_file(&path, options)).unwrap();
            prop_assert_eq!(balance.seen, cells.len() as u64);
            prop_assert_eq!(table.num_rows() as u64, balance.written);
            prop_assert!(nullable && balance.quarantined == 0 || !nullable && balance.nulled == 0);
            prop_assert_eq!(table.column(1).null_count() as u64, balance.nulled);
            let expected = first.get_or_insert_with(|| (table.clone(), balance));
            prop_assert_eq!(&*expected, &(table, balance), "{}", columns);
        }
    }
}
