//! Conversions as runs: what is kept of them, what verifying finds, and what a replay brings back.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::TryStreamExt;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, ColumnSpec, Limit, OnRowError, Quarantine, ReadOptions, Reject, Sink, Source, WriteOptions};
use crate::lake::{BucketName, Lake, Location, MemoryLake};
use crate::pipeline::conversion::Tables;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;

pub(super) const CSV: &str = "id;name;price\n1;\"a, b\";1.5\n2;c;dear\n3;\"d\ne\";2.5\n4;f\n5;g;\"3;x\n";

pub(super) fn specs() -> Vec<ColumnSpec> {
    let column = |name: &str, data_type| ColumnSpec::new(name, data_type);
    vec![column("id", DataType::Int64), column("name", DataType::Utf8), column("price", DataType::Float64)]
}

pub(super) fn no_lake() -> Result<Arc<dyn Lake>> {
    Err(Error::internal("open", "a lake that nobody needs"))
}

pub(super) async fn convert(
    folder: &FilePath,
    text: &str,
    to: &str,
    schema: Option<Vec<ColumnSpec>>,
    write: WriteOptions,
) -> Done {
    let from = folder.join("from.csv");
    std::fs::write(&from, text).unwrap();
    let path = folder.join(to);
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let read = ReadOptions::default()
        .with_schema(schema)
        .with_on_row_error(OnRowError::Quarantine)
        .with_rejects(Some(quarantine.clone()));
    let order = ConversionOrder {
        source: (Tables::One(Source::LocalFile(from.clone())), from.display().to_string()),
        sink: Sink::LocalFile(path.clone()),
        destination: Location::Local(path),
        read,
        write,
    };
    carry_out(order, &quarantine, no_lake).await.unwrap()
}

async fn rows(path: &FilePath) -> Vec<String> {
    rows_in(Source::LocalFile(path.to_owned())).await
}

pub(super) async fn rows_in(source: Source) -> Vec<String> {
    let (format, _) = format::detect(&source, &ReadOptions::default()).await.unwrap();
    let batches: Vec<RecordBatch> =
        format.read(source, ReadOptions::default().with_text(true)).await.unwrap().try_collect().await.unwrap();
    let row = |batch: &RecordBatch, row: usize| {
        let cell = |column| arrow::util::display::array_value_to_string(column, row).unwrap();
        batch.columns().iter().map(|column| cell(column)).collect::<Vec<_>>().join("|")
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Vec<_>>()).collect()
}

/// Those of a folder or prefix, in the order of its files.
pub(super) async fn rows_of_many(name: &str, lake: impl Fn() -> Result<Arc<dyn Lake>>) -> Vec<String> {
    let files = format::Files::named(name, lake).await.unwrap().unwrap();
    let to = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let sink = Sink::LocalFile(to.path().to_owned());
    format::convert_many(files, sink, ReadOptions::default(), WriteOptions::default()).await.unwrap();
    rows(to.path()).await
}

/// Corrects the records of a quarantine, each by what is put in the place of something.
pub(super) fn mend(folder: &FilePath, corrections: &[(&str, &str)]) {
    let path = folder.join("quarantine.ndjson");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, mended(&text, corrections)).unwrap();
}

pub(super) fn mended(text: &str, corrections: &[(&str, &str)]) -> String {
    let mended = text.lines().map(|line| {
        let mut reject: Reject = serde_json::from_str(line).unwrap();
        for (wrong, right) in corrections {
            reject.raw = reject.raw.replace(wrong, right);
        }
        serde_json::to_string(&reject).unwrap() + "\n"
    });
    mended.collect()
}

#[tokio::test]
async fn a_conversion_into_a_file_is_verified_and_replayed() {
    for to in ["a.parquet", "a.csv", "a.ndjson", "a.ndjson.gz", "a.json"] {
        let folder = tempfile::tempdir().unwrap();
        let done = convert(folder.path(), CSV, to, Some(specs()), WriteOptions::default()).await;
        assert_eq!(done.converted.balance.quarantined, 3, "{to}");
        let (path, run) = (folder.path().join(to), done.run.unwrap());
        let name = path.display().to_string();
        assert_eq!(run, format!("{name}.run"));
        let verified = verify(&name, no_lake).await.unwrap();
        // The correction of a record changes the quarantine's bytes, and is no change of what was converted.
        verified.check().unwrap();
        assert!(verified.checks.iter().any(|check| check.what == "balance" && check.found.starts_with("5 seen = 2 ")));

        mend(&path.with_file_name(format!("{to}.run")), &[("dear", "7"), ("4;f", "4;f;8")]);
        let replayed = replay(&run, Fix::default(), no_lake).await.unwrap();
        assert_eq!((replayed.seen, replayed.brought_back, replayed.quarantined), (3, 2, 1), "{to}");
        assert_eq!(rows(&path).await, ["1|a, b|1.5", "3|d\ne|2.5", "2|c|7.0", "4|f|8.0"], "{to}");
        let verified = verify(&name, no_lake).await.unwrap();
        verified.check().unwrap();
        assert!(
            verified.checks.iter().any(|check| check.found == "5 seen = 4 written + 1 quarantined"),
            "{verified:?}"
        );

        mend(&path.with_file_name(format!("{to}.run")), &[("\"3;x\n", "9"), ("\"3;x", "9")]);
        let replayed = replay(&name, Fix::default(), no_lake).await.unwrap();
        assert_eq!((replayed.brought_back, replayed.quarantined, replayed.rows), (1, 0, 5), "{to}");
        assert_eq!(replayed.quarantine, None);
        assert_eq!(rows(&path).await.last().unwrap(), "5|g|9.0");
        verify(&name, no_lake).await.unwrap().check().unwrap();
        let nothing = replay(&name, Fix::default(), no_lake).await.unwrap();
        assert_eq!((nothing.seen, nothing.rows), (0, 5));
    }
}

#[tokio::test]
async fn a_wider_type_brings_records_back_into_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let text = "id,price\n1,5\n2,6.5\n";
    let narrow = vec![ColumnSpec::new("id", DataType::Int64), ColumnSpec::new("price", DataType::Int64)];
    let done = convert(folder.path(), text, "a.parquet", Some(narrow), WriteOptions::default()).await;
    let run = done.run.unwrap();
    let stays = replay(&run, Fix::default(), no_lake).await.unwrap();
    assert_eq!((stays.brought_back, stays.quarantined), (0, 1));
    let wide = vec![ColumnSpec::new("id", DataType::Int64), ColumnSpec::new("price", DataType::Float64)];
    let fix = Fix { schema: Some(wide), ..Fix::default() };
    let replayed = replay(&run, fix, no_lake).await.unwrap();
    assert_eq!((replayed.brought_back, replayed.rows), (1, 2));
    assert_eq!(rows(&folder.path().join("a.parquet")).await, ["1|5.0", "2|6.5"]);
    verify(&run, no_lake).await.unwrap().check().unwrap();
}

#[tokio::test]
async fn what_was_changed_since_is_told_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let done = convert(folder.path(), CSV, "a.csv", Some(specs()), WriteOptions::default()).await;
    let (path, run) = (folder.path().join("a.csv"), done.run.unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("1.5", "1.6")).unwrap();
    let verified = verify(&run, no_lake).await.unwrap();
    assert_eq!(verified.failed(), 1);
    let error = verified.check().unwrap_err();
    assert!(error.reason().unwrap().starts_with("the bytes of "), "{error:?}");
    let error = replay(&run, Fix::default(), no_lake).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.reason().unwrap().contains("not as the conversion left it"), "{error:?}");
    std::fs::remove_file(&path).unwrap();
    let verified = verify(&run, no_lake).await.unwrap();
    assert_eq!(verified.checks[0].found, "it is gone");
    assert_eq!(verified.summary(), "1 file verified, 1 differs; 5 rows seen, 0 of 2 written counted, 3 quarantined");
    // A line of the quarantine that is gone is not a record less.
    std::fs::write(&path, text).unwrap();
    let quarantine = folder.path().join("a.csv.run/quarantine.ndjson");
    let lines = std::fs::read_to_string(&quarantine).unwrap();
    std::fs::write(&quarantine, lines.split_once('\n').unwrap().1).unwrap();
    let verified = verify(&run, no_lake).await.unwrap();
    // One reason is one thing that fails.
    assert_eq!(verified.failed(), 1);
    assert!(
        verified.summary().contains("; 5 rows seen is not 2 written + 2 quarantined; 1 check besides"),
        "{verified:?}"
    );
    assert!(replay(&run, Fix::default(), no_lake).await.is_err());
}

#[tokio::test]
async fn a_clean_conversion_leaves_a_file_alone_and_parquet_says_its_digest() {
    let folder = tempfile::tempdir().unwrap();
    let done = convert(folder.path(), "a,b\n1,x\n", "a.parquet", None, WriteOptions::default()).await;
    assert_eq!((done.run, done.quarantine), (None, None));
    assert!(!folder.path().join("a.parquet.run").exists());
    let name = folder.path().join("a.parquet").display().to_string();
    let verified = verify(&name, no_lake).await.unwrap();
    verified.check().unwrap();
    assert_eq!(verified.checks[0].found, done.converted.written.digest);
    // Of a text nobody says anything.
    convert(folder.path(), "a,b\n1,x\n", "a.csv", None, WriteOptions::default()).await;
    let name = folder.path().join("a.csv").display().to_string();
    assert_eq!(verify(&name, no_lake).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let done = convert(folder.path(), "a,b\n1,x\n", "a.csv", None, WriteOptions::default().with_exact(true)).await;
    let verified = verify(&done.run.unwrap(), no_lake).await.unwrap();
    verified.check().unwrap();
    assert!(
        verified
            .checks
            .iter()
            .any(|check| check.what == "table" && Some(&check.found) == done.converted.rows_digest.as_ref())
    );
}

#[tokio::test]
async fn a_conversion_into_the_lake_is_a_run_of_it() {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let bucket = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from.csv");
    std::fs::write(&from, CSV).unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let read = ReadOptions::default()
        .with_schema(Some(specs()))
        .with_on_row_error(OnRowError::Quarantine)
        .with_rejects(Some(quarantine.clone()));
    let order = ConversionOrder {
        source: (Tables::One(Source::LocalFile(from)), "from.csv".to_owned()),
        sink: Sink::Object { bucket, path: "a.parquet".into() },
        destination: "lake://raw-data/a.parquet".parse().unwrap(),
        read,
        write: WriteOptions::default(),
    };
    let open = || Ok(Arc::clone(&lake));
    let done = carry_out(order, &quarantine, open).await.unwrap();
    let run = done.run.unwrap();
    assert!(done.quarantine.unwrap().starts_with(&format!("processed-data/_quarantine/{run}/")));
    let verified = verify(&run, open).await.unwrap();
    verified.check().unwrap();
    assert!(verified.checks.iter().any(|check| check.found == "5 seen = 2 written + 3 quarantined"));
    let replayed =
        replay(&run, Fix { nulls: Some(vec![String::new(), "dear".to_owned()]), ..Fix::default() }, open).await;
    assert_eq!(replayed.unwrap().brought_back, 1);
    verify(&run, open).await.unwrap().check().unwrap();
    verify("lake://raw-data/a.parquet", open).await.unwrap().check().unwrap();
    assert_eq!(verify("20990101T000000000-0000", open).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_run_of_a_pipeline_is_verified_from_its_objects() {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let open = || Ok(Arc::clone(&lake));
    let bucket = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    let text = (0..200).fold("id,x,y\n".to_owned(), |text, row| text + &format!("{row},{},{}\n", row % 7, row % 7 * 2))
        + "z,1,2\n";
    bucket.put(&"t.csv".into(), text.into_bytes(), object_store::PutMode::Overwrite).await.unwrap();
    let pipeline = Pipeline::from_toml(
        "small.toml",
        r#"name = "small"
        [prepare]
        name = "t"
        sources = [{ path = "raw-data/t.csv" }]
        on_row_error = "quarantine"
        destination = ["processed-data/t.parquet", "processed-data/t.csv"]
        columns = [{ name = "id", type = "int64" }, { name = "x", type = "int64" }, { name = "y", type = "int64" }]
        [[train]]
        name = "m"
        task = "regression"
        table = "processed-data/t.parquet"
        target = "y"
        exclude = ["id"]
        "#,
        &[],
    )
    .unwrap();
    let silent = Arc::new(crate::progress::Silent);
    let manifest = pipeline.run(Arc::clone(&lake), &InProcess, RunOptions::default(), silent).await.unwrap();
    let verified = verify(manifest.run.as_str(), open).await.unwrap();
    verified.check().unwrap();
    for what in ["bytes", "table", "rows", "model", "balance", "quarantine"] {
        assert!(verified.checks.iter().any(|check| check.what == what), "{what}: {verified:?}");
    }
    let models = lake.bucket(&BucketName::new("models").unwrap()).await.unwrap();
    let model = models.list(None).await.unwrap().remove(0).location;
    models.delete(&model).await.unwrap();
    assert_eq!(verify(manifest.run.as_str(), open).await.unwrap().failed(), 1);
    // And what was set aside.
    let kept = verified.checks.iter().find(|check| check.what == "quarantine").unwrap();
    let (bucket, key) = crate::lake::parse_object(&kept.subject).unwrap();
    lake.bucket(&bucket).await.unwrap().delete(&key).await.unwrap();
    let verified = verify(manifest.run.as_str(), open).await.unwrap();
    let gone = verified.checks.iter().find(|check| check.what == "quarantine").unwrap();
    assert_eq!((verified.failed(), &*gone.found), (2, "it is gone"));
}

#[tokio::test]
async fn columns_that_no_record_holds_come_back_with_it() {
    for to in ["out.parquet", "out.csv", "out.ndjson"] {
        let folder = tempfile::tempdir().unwrap();
        let (from, out) = (folder.path().join("in"), folder.path().join(to));
        for (year, text) in [("2023", "a,b\n1,2\n3\n"), ("2024", "a,b\n5,6\n7\n8\n")] {
            std::fs::create_dir_all(from.join(format!("year={year}"))).unwrap();
            std::fs::write(from.join(format!("year={year}/a.csv")), text).unwrap();
        }
        let quarantine = Arc::new(Quarantine::new(Limit::default()));
        let files = format::Files::named(from.to_str().unwrap(), no_lake).await.unwrap().unwrap();
        let order = ConversionOrder {
            source: (Tables::Many(files), "in".to_owned()),
            sink: Sink::LocalFile(out.clone()),
            destination: Location::Local(out.clone()),
            read: ReadOptions::default()
                .with_on_row_error(OnRowError::Quarantine)
                .with_row_number(Some("row".to_owned()))
                .with_source_column(Some("file".to_owned()))
                .with_rejects(Some(quarantine.clone())),
            write: WriteOptions::default(),
        };
        carry_out(order, &quarantine, no_lake).await.unwrap();
        mend(&folder.path().join(format!("{to}.run")), &[("3", "3,4"), ("8", "8,9")]);
        let replayed = replay(out.to_str().unwrap(), Fix::default(), no_lake).await.unwrap();
        assert_eq!((replayed.brought_back, replayed.quarantined, replayed.rows), (2, 1, 4), "{to}");
        let row =
            |values: &str, year: &str, row: &str| format!("{values}|{year}|{row}|{}/year={year}/a.csv", from.display());
        let expected =
            [row("1|2", "2023", "1"), row("5|6", "2024", "1"), row("3|4", "2023", "2"), row("8|9", "2024", "3")];
        assert_eq!(rows(&out).await, expected, "{to}");
        verify(out.to_str().unwrap(), no_lake).await.unwrap().check().unwrap();
    }
}

#[tokio::test]
async fn a_column_of_which_there_are_two_folders_is_of_the_first_of_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("in"), folder.path().join("out.csv"));
    std::fs::create_dir_all(from.join("jahr=1/year=2")).unwrap();
    std::fs::write(from.join("jahr=1/year=2/a.csv"), "a\n5\nx\n").unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let y = ColumnSpec::new("y", DataType::Int64).with_from(vec!["year".to_owned(), "jahr".to_owned()]);
    let order = ConversionOrder {
        source: (
            Tables::Many(format::Files::named(from.to_str().unwrap(), no_lake).await.unwrap().unwrap()),
            "in".to_owned(),
        ),
        sink: Sink::LocalFile(out.clone()),
        destination: Location::Local(out.clone()),
        read: ReadOptions::default()
            .with_schema(Some(vec![ColumnSpec::new("a", DataType::Int64), y]))
            .with_on_row_error(OnRowError::Quarantine)
            .with_rejects(Some(quarantine.clone())),
        write: WriteOptions::default(),
    };
    carry_out(order, &quarantine, no_lake).await.unwrap();
    mend(&folder.path().join("out.csv.run"), &[("x", "6")]);
    assert_eq!(replay(out.to_str().unwrap(), Fix::default(), no_lake).await.unwrap().brought_back, 1);
    assert_eq!(rows(&out).await, ["5|2", "6|2"]);
}

#[tokio::test]
async fn what_stays_says_why_it_does_now() {
    let folder = tempfile::tempdir().unwrap();
    convert(folder.path(), "id,x\n1,2\n3\n4\n5\n6,7\n8,9\n10,11\n12,13\n", "a.csv", None, WriteOptions::default())
        .await;
    let run = folder.path().join("a.csv.run");
    mend(&run, &[("3", "3,1\n33,2"), ("4", "4,4"), ("5", "")]);
    let name = folder.path().join("a.csv").display().to_string();
    let verified = verify(&name, no_lake).await.unwrap();
    assert!(verified.summary().ends_with("; 8 rows seen = 5 written + 3 quarantined; 1 check besides fails"));
    let error = verified.check().unwrap_err();
    assert!(error.hint().unwrap().starts_with(&format!("`datalake replay {name}`")), "{error:?}");
    assert_eq!(replay(&name, Fix::default(), no_lake).await.unwrap().brought_back, 1);
    let verified = verify(&name, no_lake).await.unwrap();
    assert_eq!(verified.summary(), "1 file verified, 0 differ; 8 rows seen = 6 written + 2 quarantined");
    let kept = std::fs::read_to_string(run.join("quarantine.ndjson")).unwrap();
    let kept: Vec<Reject> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<(u64, &str, bool)> =
        kept.iter().map(|reject| (reject.row, &*reject.code, reject.reason.starts_with("it is "))).collect();
    assert_eq!(said, [(2, "records", true), (4, "records", true)]);
    assert!(kept[0].reason.starts_with("it is 2 records now") && kept[0].raw == "3,1\n33,2", "{kept:?}");
}

#[tokio::test]
async fn a_record_of_json_that_is_none_any_more_keeps_no_other_from_coming_back() {
    let folder = tempfile::tempdir().unwrap();
    let (from, path) = (folder.path().join("from.ndjson"), folder.path().join("a.ndjson"));
    std::fs::write(&from, "{\"a\":1}\n{\"a\":2\n{\"a\":3\n").unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let order = ConversionOrder {
        source: (Tables::One(Source::LocalFile(from)), "from.ndjson".to_owned()),
        sink: Sink::LocalFile(path.clone()),
        destination: Location::Local(path.clone()),
        read: ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(quarantine.clone())),
        write: WriteOptions::default(),
    };
    carry_out(order, &quarantine, no_lake).await.unwrap();
    mend(&folder.path().join("a.ndjson.run"), &[("{\"a\":2", " "), ("{\"a\":3", "{\"a\":3}")]);
    assert_eq!(replay(path.to_str().unwrap(), Fix::default(), no_lake).await.unwrap().brought_back, 1);
    assert_eq!(rows(&path).await, ["1", "3"]);
}

#[tokio::test]
async fn what_stands_beside_a_table_goes_with_it_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    convert(folder.path(), CSV, "a.parquet", Some(specs()), WriteOptions::default()).await;
    let (name, kept) = (path.to_str().unwrap(), folder.path().join("a.parquet.run/quarantine.ndjson"));
    let records = std::fs::read(&kept).unwrap();
    for (from, limit) in [("gone.csv", "10"), ("from.csv", "1")] {
        let quarantine = Arc::new(Quarantine::new(limit.parse().unwrap()));
        let from = folder.path().join(from);
        let order = ConversionOrder {
            source: (Tables::One(Source::LocalFile(from.clone())), from.display().to_string()),
            sink: Sink::LocalFile(path.clone()),
            destination: Location::Local(path.clone()),
            read: ReadOptions::default()
                .with_schema(Some(specs()))
                .with_on_row_error(OnRowError::Quarantine)
                .with_rejects(Some(quarantine.clone())),
            write: WriteOptions::default(),
        };
        let error = carry_out(order, &quarantine, no_lake).await.unwrap_err();
        let is_told = error.hint().is_some_and(|hint| hint.contains("a.parquet.run/failed.ndjson"));
        assert_eq!(is_told, limit == "1", "{error:?}");
        assert_eq!(std::fs::read(&kept).unwrap(), records);
        verify(name, no_lake).await.unwrap().check().unwrap();
    }
    // Both may be moved; the document says where they lay.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    for file in ["a.parquet", "a.parquet.run"] {
        std::fs::rename(folder.path().join(file), other.join(file)).unwrap();
    }
    std::fs::write(&path, "another").unwrap();
    let verified = verify(other.join("a.parquet").to_str().unwrap(), no_lake).await.unwrap();
    verified.check().unwrap();
    assert!(verified.checks.iter().all(|check| check.subject.contains("other")), "{verified:?}");
    // Without a document of its own, no other file is meant.
    let error = replay(name, Fix::default(), || Ok(Arc::new(MemoryLake::default()))).await.unwrap_err();
    assert!(error.hint().unwrap().contains("name its run"), "{error:?}");
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_come_back_as_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (from, path) = (folder.path().join("from.csv"), folder.path().join("a.csv"));
    std::fs::write(&from, b"id,name\n1,K\xe4se\n2,ok\n").unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let order = ConversionOrder {
        source: (Tables::One(Source::LocalFile(from)), "from.csv".to_owned()),
        sink: Sink::LocalFile(path.clone()),
        destination: Location::Local(path.clone()),
        read: ReadOptions::default().with_on_row_error(OnRowError::Quarantine).with_rejects(Some(quarantine.clone())),
        write: WriteOptions::default(),
    };
    carry_out(order, &quarantine, no_lake).await.unwrap();
    let again = || async { replay(path.to_str().unwrap(), Fix::default(), no_lake).await.unwrap() };
    assert_eq!(again().await.brought_back, 0);
    mend(&folder.path().join("a.csv.run"), &[("\\xE4", "\u{e4}")]);
    assert_eq!(again().await.brought_back, 1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "id,name\n2,ok\n1,K\u{e4}se\n");
}

#[tokio::test]
async fn other_types_hold_from_then_on_and_columns_stay() {
    let folder = tempfile::tempdir().unwrap();
    let column = |name: &str, data_type| ColumnSpec::new(name, data_type);
    let with = |specs: Vec<ColumnSpec>| Fix { schema: Some(specs), ..Fix::default() };
    let narrow = vec![column("id", DataType::Int64).with_nullable(false), column("x", DataType::Int64)];
    convert(folder.path(), "id,x\n1,2\n,3\n4,b\n", "a.parquet", Some(narrow), WriteOptions::default()).await;
    let path = folder.path().join("a.parquet");
    let name = path.to_str().unwrap();
    let fewer = replay(name, with(vec![column("id", DataType::Int64)]), no_lake).await.unwrap_err();
    assert!(fewer.reason().unwrap().contains("the table has `x`"), "{fewer:?}");
    let nullable = vec![column("id", DataType::Int64), column("x", DataType::Int64)];
    assert_eq!(replay(name, with(nullable), no_lake).await.unwrap().brought_back, 1);
    mend(&folder.path().join("a.parquet.run"), &[("4,b", "4,5")]);
    assert_eq!(replay(name, Fix::default(), no_lake).await.unwrap().brought_back, 1);
    assert_eq!(rows(&path).await, ["1|2", "|3", "4|5"]);
}
