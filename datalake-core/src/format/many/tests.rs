//! Many files as one table: what comes of them, whatever way they are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::{Files, Plan};
use crate::error::{Error, ErrorKind, Result};
use crate::format::spec::ColumnSpec;
use crate::format::{Converted, Limit, OnRowError, Quarantine, ReadOptions, Reject, Sink, WriteOptions, convert_many};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path("in").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn files(&self, pattern: &str) -> Result<Files> {
        Files::local(self.path("in").join(pattern).to_str().unwrap())
    }

    async fn to(&self, name: &str, pattern: &str, options: ReadOptions) -> Result<Converted> {
        convert_many(self.files(pattern)?, Sink::LocalFile(self.path(name)), options, WriteOptions::default()).await
    }

    /// What is written as NDJSON, and the notes, with paths below the folder.
    async fn lines(&self, options: ReadOptions) -> (String, Vec<String>) {
        let done = self.to("out.ndjson", "**", options).await.unwrap();
        let base = format!("{}/", self.path("in").display());
        let short = |text: &str| text.replace(&base, "");
        let notes = done.notes.iter().map(|note| short(note)).collect();
        (short(&std::fs::read_to_string(self.path("out.ndjson")).unwrap()), notes)
    }
}

async fn rows(plan: Result<Plan>) -> Result<RecordBatch> {
    let batches = plan?.read(None)?;
    let schema = Arc::clone(batches.schema());
    let batches: Vec<RecordBatch> = batches.try_collect().await?;
    Ok(arrow::compute::concat_batches(&schema, &batches).unwrap())
}

#[tokio::test]
async fn dots_that_may_group_digits_beside_decimal_commas_are_told() {
    let folder = Folder::new(&[("a.csv", "id;price\n1;2,25\n2;3,5\n"), ("b.csv", "id;price\n3;1.234\n4;12.345\n")]);
    let (_, notes) = folder.lines(ReadOptions::default()).await;
    assert!(notes.iter().any(|note| note.starts_with("column `price` has a decimal comma in some files")), "{notes:?}");
    let folder = Folder::new(&[("a.csv", "id;price\n1;2,25\n2;3,5\n"), ("b.csv", "id;price\n3;1.23\n4;12.345\n")]);
    let (_, notes) = folder.lines(ReadOptions::default()).await;
    assert!(!notes.iter().any(|note| note.contains("could group digits")), "{notes:?}");
}

#[tokio::test]
async fn a_file_without_a_header_loses_no_row_to_names_of_others() {
    let folder = Folder::new(&[("a.csv", "kcal,1\n5,6\n7,8\n"), ("b.csv", "1,7\n2,8\n")]);
    let done = folder.to("out.csv", "**", ReadOptions::default()).await.unwrap();
    assert_eq!((done.balance.seen, done.balance.written), (4, 4));
    let written = std::fs::read_to_string(folder.path("out.csv")).unwrap();
    assert_eq!(written, "kcal,1,column_1,column_2\n5,6,,\n7,8,,\n,,1,7\n,,2,8\n");
}

#[tokio::test]
async fn columns_are_united_by_name_and_that_is_said() {
    let folder =
        Folder::new(&[("a.csv", "id,name\n1,x\n"), ("b.csv", "id,name\n2,y\n"), ("c.csv", "name,extra,id\nz,7,3\n")]);
    let (text, notes) = folder.lines(ReadOptions::default()).await;
    let expected = [
        r#"{"id":1,"name":"x","extra":null}"#,
        r#"{"id":2,"name":"y","extra":null}"#,
        r#"{"id":3,"name":"z","extra":7}"#,
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(notes, ["2 of 3 files, the first of them a.csv, have no column `extra`: null there"]);
}

#[tokio::test]
async fn types_widen_over_all_files_and_a_conflict_is_text() {
    let folder =
        Folder::new(&[("a.csv", "n,c,z\n1,1,1\n"), ("b.csv", "n,c,z\n0.5,x,2024-01-01\n"), ("c.csv", "n\n3\n")]);
    let (text, notes) = folder.lines(ReadOptions::default()).await;
    let expected =
        [r#"{"n":1.0,"c":"1","z":"1"}"#, r#"{"n":0.5,"c":"x","z":"2024-01-01"}"#, r#"{"n":3.0,"c":null,"z":null}"#];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(notes[0], "b.csv: column `c` is text, elsewhere int64: read as text");
    assert_eq!(notes[1], "b.csv: column `z` is date, elsewhere int64: read as text");
    assert_eq!(notes[2], "c.csv: has no column `c`: null there");
}

#[tokio::test]
async fn a_late_surprise_is_as_if_it_had_been_known_at_once() {
    // Of so many files only some are looked at first.
    for (odd, at) in [("id,x\n1,late\n", 20), ("id,x\n007,1\n", 31), ("y,id,x\n9,1,2\n", 33), ("x,id\n,1.5\n", 1)] {
        let names: Vec<String> = (0..40).map(|file| format!("{file:02}.csv")).collect();
        let files: Vec<(&str, &str)> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (&**name, if n == at { odd } else { "id,x\n1,2\n3,4\n" }))
            .collect();
        let folder = Folder::new(&files);
        let options = ReadOptions::default();
        let whole = rows(Plan::new(&folder.files("").unwrap(), &options).await).await.unwrap();
        let done = folder.to("a.parquet", "", options.clone()).await.unwrap();
        let again = Sink::LocalFile(folder.path("b.parquet"));
        let source = crate::format::Batches::from_vec(whole.schema(), vec![whole]);
        let format = crate::format::format("parquet").unwrap();
        let expected = format.write(again, source, WriteOptions::default()).await.unwrap();
        assert_eq!(done.written, expected, "{odd:?}");
        assert_eq!(done.balance.seen, 79);
    }
}

#[tokio::test]
async fn rejected_records_are_told_by_file_in_order() {
    let mut texts = Vec::new();
    for file in 0..60 {
        texts
            .push((format!("{file:02}.csv"), format!("id,x\n1,2\n{}\n3,4\n", if file % 3 == 0 { "5" } else { "6,7" })));
    }
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    let folder = Folder::new(&files);
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let options = ReadOptions::default()
        .with_on_row_error(OnRowError::Quarantine)
        .with_rejects(Some(Arc::clone(&quarantine) as _));
    let done = folder.to("a.parquet", "*.csv", options).await.unwrap();
    assert_eq!((done.balance.seen, done.balance.written, done.balance.quarantined), (180, 160, 20));
    let kept = folder.path("rejects.ndjson");
    quarantine.finish_to(Sink::LocalFile(kept.clone())).await.unwrap();
    let text = std::fs::read_to_string(kept).unwrap();
    let rejects: Vec<Reject> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("{:02}.csv", n * 3)).collect();
    let names: Vec<&str> = rejects.iter().map(|reject| reject.source.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, expected);
    assert!(rejects.iter().all(|reject| (reject.row, reject.line, reject.byte) == (2, Some(3), Some(9))));

    // What is rejected counts once, though types are guessed and found anew.
    std::fs::write(folder.path("in/55.csv"), "id,x\n1,late\n2\n").unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let options = ReadOptions::default()
        .with_on_row_error(OnRowError::Quarantine)
        .with_rejects(Some(Arc::clone(&quarantine) as _));
    let done = folder.to("a.parquet", "*.csv", options).await.unwrap();
    assert_eq!((done.balance.quarantined, done.notes.len()), (21, 1), "{:?}", done.notes);
    assert_eq!(quarantine.counts()["ragged"], 21);
    std::fs::write(folder.path("in/55.csv"), "id,x\n1,2\n6,7\n3,4\n").unwrap();

    // A limit is of all files together.
    for (limit, is_kept) in [(Limit::Rows(20), true), (Limit::Rows(19), false), (Limit::Percent(11.0), false)] {
        let quarantine = Arc::new(Quarantine::new(limit));
        let options =
            ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(quarantine as _));
        assert_eq!(folder.to("b.parquet", "*.csv", options).await.is_ok(), is_kept, "{limit}");
    }
    // Without a quarantine the first bad record ends it.
    let error = folder.to("c.parquet", "*.csv", ReadOptions::default()).await.unwrap_err();
    assert!(error.subject().ends_with("00.csv"), "{error}");
    assert_eq!(error.position().unwrap().row, Some(2));
    assert!(!folder.path("c.parquet").exists());
}

#[tokio::test]
async fn folders_are_columns() {
    let folder = Folder::new(&[
        ("y=2024/k=a%20b/1.csv", "id\n1\n"),
        ("y=2024/k=__HIVE_DEFAULT_PARTITION__/2.csv", "id\n2\n"),
        ("y=2025/k=%C3%A4/3.csv", "id\n3\n4\n"),
    ]);
    let (text, notes) = folder.lines(ReadOptions::default().with_source_column(Some("file".into()))).await;
    let expected = [
        r#"{"id":2,"y":2024,"k":null,"file":"y=2024/k=__HIVE_DEFAULT_PARTITION__/2.csv"}"#,
        r#"{"id":1,"y":2024,"k":"a b","file":"y=2024/k=a%20b/1.csv"}"#,
        r#"{"id":3,"y":2025,"k":"ä","file":"y=2025/k=%C3%A4/3.csv"}"#,
        r#"{"id":4,"y":2025,"k":"ä","file":"y=2025/k=%C3%A4/3.csv"}"#,
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert!(notes.is_empty(), "{notes:?}");
    let some = vec!["k".to_owned(), "id".to_owned()];
    let (text, _) =
        folder.lines(ReadOptions::default().with_columns(Some(some)).with_row_number(Some("n".into()))).await;
    assert_eq!(text.lines().last(), Some(r#"{"k":"ä","id":4,"n":2}"#));
    let declared = vec![ColumnSpec::new("id", DataType::Utf8), ColumnSpec::new("y", DataType::Utf8)];
    let (text, _) = folder.lines(ReadOptions::default().with_schema(Some(declared))).await;
    assert_eq!(text.lines().next(), Some(r#"{"id":"2","y":"2024"}"#));
    let wrong = vec![ColumnSpec::new("k", DataType::Int64)];
    let error = folder.to("x.csv", "", ReadOptions::default().with_schema(Some(wrong))).await.unwrap_err();
    assert!(error.reason().unwrap().contains("column `k`: `a b` is not a int64"), "{error:?}");
}

#[tokio::test]
async fn a_column_of_file_and_folder_is_refused() {
    let late: Vec<String> = (0..30).map(|n| format!("y={n}/a.csv")).collect();
    let mut files: Vec<(&str, &str)> = late.iter().map(|name| (&**name, "id\n1\n")).collect();
    files[2].1 = "id,y\n1,2\n";
    let folder = Folder::new(&files);
    let error = folder.to("x.csv", "", ReadOptions::default()).await.unwrap_err();
    assert!(error.subject().ends_with("y=2/a.csv"), "{error}");
    assert_eq!(error.reason(), Some("it has a column `y`, and so have its folders, `y=`"));
}

#[tokio::test]
async fn files_of_two_formats_are_refused() {
    let folder = Folder::new(&[("a.csv", "id\n1\n"), ("b.ndjson", "{\"id\":1}\n")]);
    let error = folder.to("x.csv", "", ReadOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let reason = error.reason().unwrap();
    assert!(reason.contains("a.csv is csv") && reason.ends_with("b.ndjson is ndjson"), "{reason}");
}

#[tokio::test]
async fn every_format_can_be_many_files() {
    let folder = Folder::new(&[("a.csv", "id,x\n1,a\n2,\n"), ("b.csv", "id,y\n3,2024-01-01\n")]);
    let mut digests = Vec::new();
    for suffix in ["csv", "ndjson", "json", "parquet", "csv.gz", "ndjson.zst"] {
        let parts = folder.path(suffix);
        std::fs::create_dir(&parts).unwrap();
        for part in ["a", "b"] {
            let to = Sink::LocalFile(parts.join(format!("{part}.{suffix}")));
            let from = crate::format::Source::LocalFile(folder.path(&format!("in/{part}.csv")));
            crate::format::convert(from, to, ReadOptions::default(), WriteOptions::default()).await.unwrap();
        }
        let to = Sink::LocalFile(folder.path("whole.parquet"));
        let files = Files::local(parts.to_str().unwrap()).unwrap();
        let done = convert_many(files, to, ReadOptions::default(), WriteOptions::default()).await.unwrap();
        assert_eq!(done.notes.len(), 2, "{:?}", done.notes);
        digests.push(done.written.digest);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[tokio::test]
async fn json_of_many_files_is_as_that_of_one() {
    let texts = [
        "{\"a\":{\"x\":1,\"l\":[1]},\"n\":null,\"m\":1}\n{\"a\":null,\"n\":null}\n",
        "{\"n\":5,\"a\":{\"y\":\"t\",\"x\":1.5,\"l\":[]},\"m\":{\"z\":1}}\n",
        "{\"a\":{\"l\":[2.5]},\"new\":\"2024-01-01\",\"m\":\"u\"}\n",
    ];
    let folder = Folder::new(&[("a.ndjson", texts[0]), ("b.ndjson", texts[1]), ("c.ndjson", texts[2])]);
    for flatten in [false, true] {
        let options = ReadOptions::default().with_flatten(flatten);
        let whole = rows(Plan::new(&folder.files("").unwrap(), &options).await).await.unwrap();
        let mut digest = crate::format::TableDigest::new(&whole.schema());
        digest.update(&whole).unwrap();
        let one = crate::format::Source::Bytes { name: "a.ndjson".into(), bytes: texts.concat().into() };
        let to = Sink::LocalFile(folder.path("one.parquet"));
        let expected = crate::format::convert(one, to, options.clone(), WriteOptions::default()).await.unwrap();
        assert_eq!(digest.finish(), expected.written.digest, "{:?}", whole.schema());
        let done = folder.to("all.parquet", "", options).await.unwrap();
        assert_eq!(done.written.digest, expected.written.digest);
        let conflict = if flatten { "c.ndjson: column `m` is text" } else { "b.ndjson: column `m` is Struct" };
        assert!(done.notes.iter().any(|note| note.contains(conflict)), "{:?}", done.notes);
    }
}

#[tokio::test]
async fn large_files_among_small_ones_keep_their_place() {
    let large = (0..700_000).fold("id,x\n".to_owned(), |text, row| text + &format!("{row},z\n"));
    let folder =
        Folder::new(&[("a.csv", "id,x\n-1,y\n"), ("b.csv", &large), ("c.csv", "id,x\n-2,y\n"), ("d.csv", "x\n\n")]);
    let done = folder.to("a.parquet", "", ReadOptions::default()).await.unwrap();
    assert_eq!(done.balance.seen, 700_002);
    assert_eq!(done.notes.len(), 1);
    let whole = rows(Plan::new(&folder.files("").unwrap(), &ReadOptions::default()).await).await.unwrap();
    let mut digest = crate::format::TableDigest::new(&whole.schema());
    digest.update(&whole).unwrap();
    assert_eq!(done.written.digest, digest.finish());
}

#[tokio::test]
async fn a_small_file_that_inflates_beyond_bounds_is_read_as_it_comes() {
    let folder = Folder::new(&[("a.csv", "id\n0\n"), ("c.csv", "id\n2\n")]);
    let text = "id\n".to_owned() + &"1234567890123\n".repeat(1_500_000);
    let from = crate::format::Source::Bytes { name: "x.csv".into(), bytes: text.into() };
    let to = Sink::LocalFile(folder.path("in/b.csv.zst"));
    crate::format::convert(from, to, ReadOptions::default(), WriteOptions::default()).await.unwrap();
    assert!(std::fs::metadata(folder.path("in/b.csv.zst")).unwrap().len() < 1_000_000);
    let done = folder.to("a.parquet", "", ReadOptions::default()).await.unwrap();
    assert_eq!(done.balance.seen, 1_500_002);
}

#[tokio::test]
async fn an_empty_file_and_a_missing_column_are_named() {
    let folder = Folder::new(&[("a.csv", "id\n1\n"), ("b.csv", "")]);
    let error = folder.to("x.csv", "", ReadOptions::default()).await.unwrap_err();
    assert!(error.subject().ends_with("b.csv"), "{error}");
    let columns = ReadOptions::default().with_columns(Some(vec!["idd".into()]));
    let error = folder.to("x.csv", "a*", columns).await.unwrap_err();
    assert_eq!(error.hint(), Some("the nearest name is `id`"));
    let taken = ReadOptions::default().with_source_column(Some("id".into()));
    assert!(folder.to("x.csv", "a*", taken).await.unwrap_err().reason().unwrap().contains("`id` already"));
}

/// What one file with all cells would have as the type of a column.
async fn type_of_one(cells: &[Vec<String>]) -> Result<DataType> {
    let text = cells.iter().flatten().fold("id,x\n".to_owned(), |text, cell| text + "1," + cell + "\n");
    let source = crate::format::Source::Bytes { name: "a.csv".into(), bytes: text.into() };
    let found = crate::format::format("csv").ok_or_else(|| Error::internal("find", "a format"))?;
    let inferred = found.infer_schema(&source, &ReadOptions::default()).await?;
    Ok(inferred.schema.field(1).data_type().clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn types_are_those_of_one_file_and_guesses_those_of_all(
        cells in proptest::collection::vec(proptest::collection::vec(prop_oneof![
            4 => "[1-9][0-9]{0,4}",
            1 => "[0-9]{1,3}\\.[0-9]{1,3}",
            1 => Just(String::new()),
            1 => Just("9007199254740993".to_owned()),
            1 => "2024-0[1-9]-01(T00:00:00Z?)?",
            1 => "true|abc|007",
        ], 1..4), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let texts: Vec<(String, String)> = cells.iter().enumerate().map(|(n, cells)| {
                (format!("{n:02}.csv"), cells.iter().fold("id,x\n".to_owned(), |text, cell| text + "1," + cell + "\n"))
            }).collect();
            let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
            let folder = Folder::new(&files);
            let whole = rows(Plan::new(&folder.files("").unwrap(), &ReadOptions::default()).await).await.unwrap();
            assert_eq!(*whole.schema().field(1).data_type(), type_of_one(&cells).await.unwrap());
            let done = folder.to("a.parquet", "", ReadOptions::default()).await.unwrap();
            let mut digest = crate::format::TableDigest::new(&whole.schema());
            digest.update(&whole).unwrap();
            assert_eq!(done.written.digest, digest.finish());
        });
    }
}

/// What one file with these texts one after the other becomes, beside what many files with them do.
async fn as_one(folder: &Folder, name: &str, text: String, read: &ReadOptions) -> String {
    let one = crate::format::Source::Bytes { name: name.into(), bytes: text.into() };
    let to = Sink::LocalFile(folder.path("one.ndjson"));
    crate::format::convert(one, to, read.clone(), WriteOptions::default()).await.unwrap();
    std::fs::read_to_string(folder.path("one.ndjson")).unwrap()
}

#[tokio::test]
async fn a_decimal_comma_is_one_in_all_files_wherever_it_is_proven() {
    let names: Vec<String> = (0..10).map(|file| format!("{file}.csv")).collect();
    for (odd, at_least_one) in [("1,234", "1,5"), ("1,5", "1,234"), ("1.234", "1,234"), ("2", "1,5"), ("1,234", "7")] {
        let expected = {
            let folder = Folder::new(&[]);
            let rows = (0..10).map(|file| format!("1;{}\n", if file == 9 { odd } else { at_least_one }));
            as_one(&folder, "a.csv", "id;x\n".to_owned() + &rows.collect::<String>(), &ReadOptions::default()).await
        };
        for at in 0..10 {
            let text = |file| format!("id;x\n1;{}\n", if file == at { odd } else { at_least_one });
            let texts: Vec<String> = (0..10).map(text).collect();
            let files: Vec<(&str, &str)> = names.iter().zip(&texts).map(|(name, text)| (&**name, &**text)).collect();
            let (lines, notes) = Folder::new(&files).lines(ReadOptions::default()).await;
            let mut sorted: Vec<&str> = lines.lines().collect();
            let mut wanted: Vec<&str> = expected.lines().collect();
            sorted.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(sorted, wanted, "{odd} at {at}: {notes:?}");
            let is_text = lines.contains("\"x\":\"");
            assert!(is_text || !notes.iter().any(|note| note.contains("is text")), "{odd} at {at}: {notes:?}");
        }
    }
    // A comma between fields is none in a number.
    for at in [4, 5] {
        let text = |file| if file == at { "id,x\n1,\"1,234\"\n" } else { "id;x\n1;1,5\n" };
        let files: Vec<(&str, &str)> = names.iter().enumerate().map(|(file, name)| (&**name, text(file))).collect();
        let (lines, _) = Folder::new(&files).lines(ReadOptions::default()).await;
        assert!(lines.contains(r#"{"id":1,"x":"1,234"}"#), "{lines}");
    }
    // Files of which each shows its own mark.
    let folder = Folder::new(&[("a.csv", "id;x\n1;1.5\n"), ("b.csv", "id;x\n1;2,5\n")]);
    assert_eq!(folder.lines(ReadOptions::default()).await.0, "{\"id\":1,\"x\":1.5}\n{\"id\":1,\"x\":2.5}\n");
}

#[tokio::test]
async fn what_is_said_of_csv_is_meant_of_a_sink_that_alone_is_csv() {
    let folder = Folder::new(&[("a.ndjson", "{\"id\":1,\"x\":1.5}\n"), ("b.ndjson", "{\"id\":2,\"x\":2.5}\n")]);
    let read = ReadOptions::default()
        .with_delimiter(Some(';'))
        .with_decimal(crate::format::DecimalMark::Comma)
        .with_header(false);
    let done = folder.to("a.csv", "", read.clone()).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path("a.csv")).unwrap(), "1;1,5\n2;2,5\n");
    assert_eq!(done.write.delimiter, Some(';'));
    // Where the files are CSV too, it is they that are meant.
    let folder = Folder::new(&[("a.csv", "1;1,5\n"), ("b.csv", "2;2,5\n")]);
    folder.to("a.csv", "", read).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path("a.csv")).unwrap(), "column_1,column_2\n1,1.5\n2,2.5\n");
}

#[tokio::test]
async fn columns_stay_text_where_files_lack_some() {
    let folder = Folder::new(&[("a.csv", "id,x\n1,007\n"), ("b.csv", "id\n2\n"), ("c.csv", "z,id\n,3\n")]);
    let (text, notes) = folder.lines(ReadOptions::default().with_text(true)).await;
    let expected =
        [r#"{"id":"1","x":"007","z":null}"#, r#"{"id":"2","x":null,"z":null}"#, r#"{"id":"3","x":null,"z":null}"#];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[tokio::test]
async fn words_for_a_missing_value_hold_for_folders_too() {
    let folder = Folder::new(&[("y=1/a.csv", "id\n1\n"), ("y=NA/a.csv", "id\n2\n"), ("y=/a.csv", "id\n3\n")]);
    for nulls in [vec!["NA".to_owned()], vec![String::new(), "NA".to_owned()]] {
        let (text, _) = folder.lines(ReadOptions::default().with_nulls(nulls)).await;
        let expected = [r#"{"id":3,"y":null}"#, r#"{"id":1,"y":1}"#, r#"{"id":2,"y":null}"#];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn files_that_are_replaced_after_they_were_found_are_not_mixed_with_others() {
    let large = "id\n".to_owned() + &"1234567\n".repeat(700_000);
    for text in ["id\n1\n", &large] {
        let folder = Folder::new(&[("a.csv", "id\n1\n"), ("b.csv", text)]);
        let files = folder.files("").unwrap();
        // Of the same size, and even the same bytes: it is of another table.
        std::fs::write(folder.path("new"), text).unwrap();
        std::fs::rename(folder.path("new"), folder.path("in/b.csv")).unwrap();
        let to = Sink::LocalFile(folder.path("x.parquet"));
        let error = convert_many(files, to, ReadOptions::default(), WriteOptions::default()).await.unwrap_err();
        assert!(error.subject().ends_with("b.csv"), "{error}");
        assert_eq!(error.reason(), Some("it was replaced while it was being read"));
        assert!(folder.to("x.parquet", "", ReadOptions::default()).await.is_ok());
    }
}

#[tokio::test]
async fn with_declared_columns_it_is_told_what_each_file_has_and_lacks() {
    let folder = Folder::new(&[("a.csv", "id,x\n1,2\n"), ("b.csv", "id,x\n2,3\n"), ("c.csv", "id\n3\n")]);
    let declared =
        |name: &str| Some(vec![ColumnSpec::new("id", DataType::Int64), ColumnSpec::new(name, DataType::Utf8)]);
    let (_, notes) = folder.lines(ReadOptions::default().with_schema(declared("xx"))).await;
    assert_eq!(
        notes.last().unwrap(),
        "3 of 3 files, the first of them a.csv, have no column `xx`: null there; the nearest name there is `x`"
    );
    let (_, notes) = folder.lines(ReadOptions::default().with_schema(declared("y"))).await;
    let expected = [
        "a.csv: not in the declared schema, so left out: `x` (and so in 1 more)",
        "3 of 3 files, the first of them a.csv, have no column `y`: null there",
    ];
    assert_eq!(notes, expected);
    let both = Folder::new(&[("x=1/a.csv", "id\n1\n"), ("x=2/b.csv", "id,x\n1,2\n")]);
    let error = both.to("x.csv", "", ReadOptions::default().with_schema(declared("x"))).await.unwrap_err();
    assert_eq!(error.reason(), Some("it has a column `x`, and so have its folders, `x=`"));
    assert!(error.subject().ends_with("x=2/b.csv"), "{error}");
}

#[tokio::test]
async fn a_single_file_has_a_column_of_its_name_too() {
    let folder = Folder::new(&[("a.csv", "id\n1\n2\n")]);
    let path = folder.path("in/a.csv");
    let convert = async |read: ReadOptions| {
        let (from, to) = (crate::format::Source::LocalFile(path.clone()), Sink::LocalFile(folder.path("b.csv")));
        crate::format::convert(from, to, read, WriteOptions::default()).await?;
        Ok::<_, Error>(std::fs::read_to_string(folder.path("b.csv")).unwrap())
    };
    let named = |name: &str| ReadOptions::default().with_source_column(Some(name.to_owned()));
    let name = path.display();
    assert_eq!(convert(named("file")).await.unwrap(), format!("id,file\n1,{name}\n2,{name}\n"));
    assert!(convert(named("id")).await.unwrap_err().reason().unwrap().contains("`id` already"));
    // A file of an archive is of an archive alone.
    let member = ReadOptions::default().with_member(Some("b.csv".into()));
    for read in [member.clone(), member.clone().with_format(Some("csv".into()))] {
        assert_eq!(convert(read).await.unwrap_err().reason(), Some("it is no zip archive"));
    }
    for read in [member.clone(), member.with_schema(Some(vec![ColumnSpec::new("id", DataType::Utf8)]))] {
        assert_eq!(folder.to("x.csv", "", read).await.unwrap_err().reason(), Some("it is no zip archive"));
    }
}

#[test]
fn a_path_without_a_name_is_none() {
    assert!(Files::local(Path::new("/nowhere/*.csv").to_str().unwrap()).is_err());
}

#[tokio::test]
async fn what_files_of_one_format_do_not_heed_is_refused_before_they_are_read() {
    let folder = Folder::new(&[("g=1/a.parquet", "no"), ("g=2/b.parquet", "Parquet")]);
    let refused = |read: ReadOptions| folder.to("x.ndjson", "**", read);
    let error = refused(ReadOptions::default().with_delimiter(Some(';'))).await.unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::Invalid, "`delimiter`"));
    // What folders say has a decimal mark all the same.
    let read = ReadOptions::default().with_decimal(crate::format::DecimalMark::Comma);
    let error = refused(read).await.unwrap_err();
    assert!(error.subject().contains("a.parquet"), "{error}");
}

#[cfg(feature = "sql")]
#[tokio::test]
async fn what_is_said_of_files_alone_is_heeded_by_one_format_of_several() {
    use crate::query::DataSet;
    let folder = Folder::new(&[("a.csv", "x;y\n1;2\n"), ("b.ndjson", "{\"x\":3}\n"), ("c.ndjson", "{\"x\":4}\n")]);
    let read = || ReadOptions::default().with_delimiter(Some(';'));
    let data = DataSet::of(&folder.files("**").unwrap(), read()).await.unwrap();
    assert_eq!(data.schema().fields().len(), 2);
    let alone = folder.files("*.ndjson").unwrap();
    assert_eq!(DataSet::of(&alone, read()).await.unwrap_err().subject(), "`delimiter`");
    assert!(Plan::of_any(&alone, &read()).await.is_ok());
}
