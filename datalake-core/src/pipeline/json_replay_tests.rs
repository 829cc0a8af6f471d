//! Records of JSON that come back: with all their fields, in the types that the table has, or not at all.

use std::path::Path as FilePath;
use std::sync::Arc;

use arrow::datatypes::DataType;

use super::conversion_tests::{mend, no_lake, rows_in};
use super::*;
use crate::format::{ColumnSpec, Limit, OnRowError, Quarantine, ReadOptions, Sink, Source, WriteOptions};
use crate::lake::Location;
use crate::pipeline::conversion::Tables;

/// Converts objects, each in a line, the broken ones of which are quarantined; then mends these and replays them.
async fn replayed(
    folder: &FilePath,
    (text, to): (&str, &str),
    read: ReadOptions,
    corrections: &[(&str, &str)],
) -> (Replayed, Vec<String>) {
    let (from, path) = (folder.join("from.ndjson"), folder.join(to));
    std::fs::write(&from, text).unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let order = ConversionOrder {
        source: (Tables::One(Source::LocalFile(from.clone())), from.display().to_string()),
        sink: Sink::LocalFile(path.clone()),
        destination: Location::Local(path.clone()),
        read: read.with_on_row_error(OnRowError::Quarantine).with_rejects(Some(quarantine.clone())),
        write: WriteOptions::default().with_overwrite(true),
    };
    carry_out(order, &quarantine, no_lake).await.unwrap();
    mend(&folder.join(format!("{to}.run")), corrections);
    let name = path.display().to_string();
    let replayed = replay(&name, Fix::default(), no_lake).await.unwrap();
    let rows = if replayed.rows == 0 { Vec::new() } else { rows_in(Source::LocalFile(path)).await };
    verify(&name, no_lake).await.unwrap().check().unwrap();
    (replayed, rows)
}

/// The codes and reasons in what is left.
fn left(replayed: &Replayed) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(replayed.quarantine.as_ref().unwrap()).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<crate::format::Reject>(line).unwrap());
    records.map(|record| (record.code, record.reason)).collect()
}

#[tokio::test]
async fn a_field_that_the_table_has_not_is_not_lost() {
    for to in ["a.parquet", "a.csv", "a.ndjson"] {
        let folder = tempfile::tempdir().unwrap();
        let text = "{\"a\":1}\n{\"a\":2,\"z\":9\n{\"a\":3\n";
        let mends = [("9", "9}"), ("3", "3}")];
        let (done, rows) = replayed(folder.path(), (text, to), ReadOptions::default(), &mends).await;
        assert_eq!((done.seen, done.brought_back, done.quarantined), (2, 1, 1), "{to}");
        assert_eq!(rows, ["1", "3"], "{to}");
        let [(code, reason)] = &left(&done)[..] else { panic!("one is left") };
        assert!(code == "field" && reason.contains("no column for its field `z`"), "{code}: {reason}");
    }
    // Who declared the columns wanted no others.
    let folder = tempfile::tempdir().unwrap();
    let declared = ReadOptions::default().with_schema(Some(vec![ColumnSpec::new("a", DataType::Int64)]));
    let (done, rows) =
        replayed(folder.path(), ("{\"a\":1}\n{\"a\":2,\"z\":9\n", "a.csv"), declared, &[("9", "9}")]).await;
    assert_eq!((done.brought_back, rows), (1, vec!["1".to_owned(), "2".to_owned()]));
    // A table without columns has none for anything.
    for to in ["a.parquet", "a.ndjson", "a.json", "a.csv"] {
        let folder = tempfile::tempdir().unwrap();
        let mends = [("x", "{\"a\":1}")];
        let (done, rows) = replayed(folder.path(), ("x\n", to), ReadOptions::default(), &mends).await;
        assert_eq!((done.brought_back, done.quarantined, rows.len()), (0, 1, 0), "{to}");
    }
}

#[tokio::test]
async fn texts_come_back_as_their_column_has_them() {
    let good = "{\"id\":1,\"t\":\"abc\"}\n{\"id\":2,\"t\":{\"a\":1}}\n";
    let bad = "{\"id\":3,\"t\":\"zzz\"\n";
    let mends = [("\"zzz\"", "\"zzz\"}")];
    for to in ["a.csv", "a.parquet"] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{good}{bad}");
        let (_, rows) = replayed(folder.path(), (&text, to), ReadOptions::default(), &mends).await;
        assert_eq!(rows, ["1|\"abc\"", "2|{\"a\":1}", "3|\"zzz\""], "{to}");
        // What a text is does not depend on what is replayed with it.
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{{\"id\":1,\"t\":\"abc\"}}\n{{\"id\":2,\"t\":{{\"a\":1}}\n{bad}");
        let mends = [("{\"a\":1}", "{\"a\":1}}"), mends[0]];
        let (_, rows) = replayed(folder.path(), (&text, to), ReadOptions::default(), &mends).await;
        assert_eq!(rows, ["1|abc", "2|{\"a\":1}", "3|zzz"], "{to}");
    }
}

#[tokio::test]
async fn a_value_of_another_type_keeps_its_own_record_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{\"a\":{\"x\":1}}\n{\"a\":{\"x\":2,\"y\":3}\n{\"a\":{\"x\":\"s\"}\n{\"a\":{\"x\":4}\n";
    let mends = [("3}", "3}}"), ("\"s\"}", "\"s\"}}"), ("4}", "4}}")];
    let (done, rows) = replayed(folder.path(), (text, "a.parquet"), ReadOptions::default(), &mends).await;
    assert_eq!((done.brought_back, done.quarantined, rows.len()), (1, 2, 2));
    let left = left(&done);
    assert!(left[0].0 == "field" && left[0].1.contains("`a.y`"), "{left:?}");
    assert!(left[1].0 == "type" && left[1].1.contains("`\"s\"` is not a int64"), "{left:?}");
}
