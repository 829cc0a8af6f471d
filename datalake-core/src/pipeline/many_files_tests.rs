//! Conversions into several files: each is verified, and rows that come back are files of their own.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use super::conversion_tests::{mend, mended, no_lake, rows_of_many};
use super::intent::Intent;
use super::*;
use crate::error::{ErrorKind, Result};
use crate::format::{self, ColumnSpec, Limit, OnRowError, Quarantine, ReadOptions, Sink, Source, WriteOptions};
use crate::lake::{Bucket, BucketName, Lake, Location, MemoryLake};
use crate::pipeline::conversion::Tables;
use arrow::datatypes::DataType;
use object_store::PutMode;

const CSV: &str = "k,n\na,1\nb,2\na,x\nc,y\nb,3\na\n";

/// Converts the text into a folder or prefix.
async fn convert(
    from: &FilePath,
    (sink, destination): (Sink, Location),
    format: &str,
    lake: impl Fn() -> Result<Arc<dyn Lake>>,
) -> Done {
    std::fs::write(from, CSV).unwrap();
    let quarantine = Arc::new(Quarantine::new(Limit::default()));
    let specs = vec![ColumnSpec::new("k", DataType::Utf8), ColumnSpec::new("n", DataType::Int64)];
    let order = ConversionOrder {
        source: (Tables::One(Source::LocalFile(from.to_owned())), from.display().to_string()),
        sink,
        destination,
        read: ReadOptions::default()
            .with_schema(Some(specs))
            .with_on_row_error(OnRowError::Quarantine)
            .with_rejects(Some(quarantine.clone())),
        write: WriteOptions::default().with_partition_by(vec!["k".to_owned()]).with_format(Some(format.to_owned())),
    };
    carry_out(order, &quarantine, lake).await.unwrap()
}

fn files(folder: &FilePath) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    let files = walk.filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.path().strip_prefix(folder).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn several_files_are_verified_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("from.csv"), folder.path().join("out"));
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let open = || Ok(Arc::clone(&lake));
    let bucket = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    let prefix = Sink::Prefix { bucket: bucket.clone(), prefix: "out".into() };
    let places =
        [(Sink::Folder(out.clone()), Location::Local(out.clone())), (prefix, "lake://raw-data/out/".parse().unwrap())];
    for (sink, destination) in places {
        for text in ["k,x\na,1\nb,2\na,3\nb\n", "k,x\na,1\nb,2\n"] {
            std::fs::write(&from, text).unwrap();
            let quarantine = Arc::new(Quarantine::new(Limit::default()));
            let order = ConversionOrder {
                source: (Tables::One(Source::LocalFile(from.clone())), "from.csv".to_owned()),
                sink: sink.again().unwrap(),
                destination: destination.clone(),
                read: ReadOptions::default()
                    .with_on_row_error(OnRowError::Quarantine)
                    .with_rejects(Some(quarantine.clone())),
                write: WriteOptions::default().with_partition_by(vec!["k".to_owned()]).with_overwrite(true),
            };
            let done = carry_out(order, &quarantine, open).await.unwrap();
            let is_dirty = done.quarantine.is_some();
            assert_eq!(is_dirty, text.lines().count() == 5);
            // By its document, or by the manifest alone.
            let name = destination.to_string();
            for name in done.run.iter().chain([&name]) {
                let verified = verify(name, open).await.unwrap();
                verified.check().unwrap();
                let tables = verified.checks.iter().filter(|check| check.what == "table");
                assert_eq!(tables.count(), 2, "{verified:?}");
            }
        }
    }
    // What is damaged in any way is told, and the rest looked at all the same.
    let (file, name) = (out.join("k=a/part-00000.parquet"), out.to_str().unwrap());
    let whole = std::fs::read(&file).unwrap();
    let changed = [&whole[..10], &[whole[10] ^ 1], &whole[11..]].concat();
    for damaged in [changed, whole[..whole.len() - 5].to_vec(), Vec::new()] {
        std::fs::write(&file, damaged).unwrap();
        let verified = verify(name, open).await.unwrap();
        assert!(verified.check().unwrap_err().to_string().contains("k=a"));
        assert_eq!(verified.failed(), 1);
        assert!(
            verified.checks.iter().any(|check| check.subject.contains("k=b") && check.what == "table" && check.holds)
        );
    }
    std::fs::remove_file(&file).unwrap();
    let verified = verify(name, open).await.unwrap();
    assert_eq!((verified.failed(), &*verified.summary()), (1, "2 files verified, 1 differs; 1 of 2 rows counted"));
    std::fs::write(&file, whole).unwrap();
    // A file that was laid beside them is none of the table, for readers neither.
    std::fs::write(out.join("k=a/more.parquet"), "?").unwrap();
    verify(name, open).await.unwrap().check().unwrap();
    let files = format::Files::named(name, no_lake).await.unwrap().unwrap();
    assert_eq!(files.len(), 2);
    std::fs::remove_file(out.join("_manifest.json")).unwrap();
    assert_eq!(format::Files::named(name, no_lake).await.unwrap().unwrap().len(), 3);
    assert_eq!(verify("lake://raw-data/", open).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn rows_come_back_into_a_folder_as_files_of_their_own() {
    for format in ["parquet", "csv", "ndjson"] {
        let base = tempfile::tempdir().unwrap();
        let (from, out) = (base.path().join("from.csv"), base.path().join("out"));
        let to = (Sink::Folder(out.clone()), Location::Local(out.clone()));
        let run = convert(&from, to, format, no_lake).await.run.unwrap();
        let name = out.to_str().unwrap();
        let first = std::fs::read(out.join(format!("k=a/part-00000.{format}"))).unwrap();

        mend(&base.path().join("out.run"), &[("a,x", "a,7"), ("c,y", "c,8")]);
        let replayed = replay(&run, Fix::default(), no_lake).await.unwrap();
        assert_eq!((replayed.seen, replayed.brought_back, replayed.quarantined, replayed.rows), (3, 2, 1, 5));
        let parts = ["k=a/part-00000", "k=a/part-00001", "k=b/part-00000", "k=c/part-00000"]
            .map(|part| format!("{part}.{format}"));
        let expected: Vec<PathBuf> =
            ["_manifest.json".to_owned()].into_iter().chain(parts).map(PathBuf::from).collect();
        assert_eq!(files(&out), expected);
        assert_eq!(std::fs::read(out.join(format!("k=a/part-00000.{format}"))).unwrap(), first);
        assert_eq!(rows_of_many(name, no_lake).await, ["1|a", "7|a", "2|b", "3|b", "8|c"]);
        verify(&run, no_lake).await.unwrap().check().unwrap();

        mend(&base.path().join("out.run"), &[("a", "a,9")]);
        let replayed = replay(name, Fix::default(), no_lake).await.unwrap();
        assert_eq!((replayed.brought_back, replayed.quarantined, replayed.rows), (1, 0, 6));
        assert_eq!(rows_of_many(name, no_lake).await, ["1|a", "7|a", "9|a", "2|b", "3|b", "8|c"]);
        verify(name, no_lake).await.unwrap().check().unwrap();
        assert!(files(base.path()).iter().all(|path| !path.to_str().unwrap().starts_with(".datalake")));
        assert_eq!(replay(name, Fix::default(), no_lake).await.unwrap().seen, 0);
    }
}

#[tokio::test]
async fn what_cannot_be_added_leaves_the_folder_as_it_was() {
    let base = tempfile::tempdir().unwrap();
    let (from, out) = (base.path().join("from.csv"), base.path().join("out"));
    let to = (Sink::Folder(out.clone()), Location::Local(out.clone()));
    let run = convert(&from, to, "parquet", no_lake).await.run.unwrap();
    mend(&base.path().join("out.run"), &[("a,x", "a,7")]);
    let before = files(base.path());
    // Files of another type.
    let wide = vec![ColumnSpec::new("k", DataType::Utf8), ColumnSpec::new("n", DataType::Float64)];
    let fix = Fix { schema: Some(wide), ..Fix::default() };
    let error = replay(&run, fix, no_lake).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.reason().unwrap().contains("types of files that are there"), "{error:?}");
    assert_eq!(files(base.path()), before);
    // What else somebody has laid there would be lost.
    for other in ["notes.txt", "k=a/part-00007.parquet"] {
        std::fs::write(out.join(other), "").unwrap();
        let error = replay(&run, Fix::default(), no_lake).await.unwrap_err();
        assert!(error.reason().unwrap().contains(&format!("`{other}`")), "{error:?}");
        std::fs::remove_file(out.join(other)).unwrap();
        assert_eq!(files(base.path()), before);
    }
    // Another table.
    let manifest = out.join("_manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}\n")).unwrap();
    let error = replay(&run, Fix::default(), no_lake).await.unwrap_err();
    assert!(error.reason().unwrap().contains("not as the conversion left it"), "{error:?}");
    std::fs::write(&manifest, text).unwrap();
    assert_eq!(replay(&run, Fix::default(), no_lake).await.unwrap().brought_back, 1);
    verify(&run, no_lake).await.unwrap().check().unwrap();
}

/// A table of several files below a prefix of a lake, and its quarantine, two records of which are mended.
struct InLake {
    lake: Arc<dyn Lake>,
    bucket: Bucket,
    run: String,
    /// The bucket and key of the quarantine.
    kept: Bucket,
    key: object_store::path::Path,
    mended: String,
    _source: tempfile::TempDir,
}

impl InLake {
    async fn to_replay() -> Self {
        let source = tempfile::tempdir().unwrap();
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        let to = Sink::Prefix { bucket: bucket.clone(), prefix: "out".into() };
        let to = (to, "lake://raw-data/out/".parse::<Location>().unwrap());
        let done = convert(&source.path().join("from.csv"), to, "csv", || Ok(Arc::clone(&lake))).await;
        let Ok(Location::Object { bucket: name, key }) = format!("lake://{}", done.quarantine.unwrap()).parse() else {
            panic!("a quarantine is an object")
        };
        let kept = lake.bucket(&name).await.unwrap();
        let text = kept.get(&key).await.unwrap();
        let mended = mended(str::from_utf8(&text).unwrap(), &[("a,x", "a,7"), ("c,y", "c,8")]);
        kept.put(&key, mended.clone(), PutMode::Overwrite).await.unwrap();
        Self { lake, bucket, run: done.run.unwrap(), kept, key, mended, _source: source }
    }
}

#[tokio::test]
async fn of_two_replays_in_a_lake_one_wins() {
    let InLake { lake, bucket, run, _source, .. } = InLake::to_replay().await;
    let open = || Ok(Arc::clone(&lake));
    let (one, other) = tokio::join!(replay(&run, Fix::default(), open), replay(&run, Fix::default(), open));
    let won = [one, other].into_iter().filter(|replayed| match replayed {
        Ok(replayed) => replayed.brought_back == 2,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::Invalid), "{error:?}");
            false
        }
    });
    assert_eq!(won.count(), 1);
    assert_eq!(rows_of_many("lake://raw-data/out/", open).await, ["1|a", "7|a", "2|b", "3|b", "8|c"]);
    // What the loser wrote it has taken back: a manifest, and four files.
    assert_eq!(bucket.list(Some(&"out".into())).await.unwrap().len(), 5);
    verify(&run, open).await.unwrap().check().unwrap();
    // Of two that have read the same document, the second one to say what it is about to do is refused.
    let (document, mut home) = Conversion::load(&run, &open).await.unwrap();
    let mut another = Conversion::load(&run, &open).await.unwrap().1;
    document.save(&mut home).await.unwrap();
    document.save(&mut home).await.unwrap();
    let other = Conversion { replays: document.replays + 1, ..document };
    let error = other.save(&mut another).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.reason().unwrap().contains("another replay"), "{error:?}");
}

#[tokio::test]
async fn one_that_was_slow_is_settled_by_the_next() {
    let InLake { lake, bucket, run, kept, key, mended, _source } = InLake::to_replay().await;
    let open = || Ok(Arc::clone(&lake));
    let manifest: object_store::path::Path = "out/_manifest.json".into();
    let before = bucket.get(&manifest).await.unwrap();
    let (document, _) = Conversion::load(&run, &open).await.unwrap();
    replay(&run, Fix::default(), open).await.unwrap();
    let after = bucket.get(&manifest).await.unwrap();
    let (made, mut home) = Conversion::load(&run, &open).await.unwrap();
    // As it is when the first has said what it is about to do, and the second what it is: neither table is there.
    let intent = |attempt: &str, after: &Conversion| {
        let left = std::collections::BTreeMap::from([(2, ("b.csv".to_owned(), 6))]);
        let mut after = after.clone();
        after.quarantine.clone_from(&document.quarantine);
        Intent { attempt: attempt.to_owned(), after, left }
    };
    let other = Conversion {
        written: crate::format::Written { sha256: "another".to_owned(), ..made.written.clone() },
        ..made.clone()
    };
    let both = Conversion { intents: vec![intent("first", &made), intent("second", &other)], ..document.clone() };
    both.save(&mut home).await.unwrap();
    kept.put(&key, mended.clone(), PutMode::Overwrite).await.unwrap();
    bucket.put(&manifest, before, PutMode::Overwrite).await.unwrap();
    let (same, brought_back) = both.clone().settled(&mut home, &open).await.unwrap();
    assert_eq!((same.intents.len(), brought_back), (2, 0));
    // The first comes to its table after all.
    bucket.put(&manifest, after, PutMode::Overwrite).await.unwrap();
    assert_eq!(verify(&run, open).await.unwrap().failed(), 1);
    let replayed = replay(&run, Fix::default(), open).await.unwrap();
    assert_eq!((replayed.seen, replayed.brought_back, replayed.quarantined, replayed.rows), (3, 2, 1, 5));
    verify(&run, open).await.unwrap().check().unwrap();
    assert!(Conversion::load(&run, &open).await.unwrap().0.intents.is_empty());
}
