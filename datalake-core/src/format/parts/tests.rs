//! One table as many files, and back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use futures::StreamExt;
use proptest::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    Batches, Converted, Files, ReadOptions, Sink, Source, Tally, WriteOptions, WrittenFile, convert, convert_many,
    format,
};
use crate::lake::{Bucket, BucketName, Lake, MemoryLake};

fn table(rows: impl Iterator<Item = (i64, Option<String>)>) -> RecordBatch {
    let (numbers, words): (Vec<i64>, Vec<Option<String>>) = rows.unzip();
    let columns: [(&str, ArrayRef); 2] =
        [("n", Arc::new(Int64Array::from(numbers))), ("k", Arc::new(StringArray::from(words)))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

async fn write(sink: Sink, batches: Vec<RecordBatch>, options: &WriteOptions) -> Result<(String, Vec<WrittenFile>)> {
    let to = crate::format::for_sink(&sink, options).unwrap();
    let batches = Batches::from_vec(batches[0].schema(), batches);
    let (written, files, _) = super::write(sink, batches, to, options).await?;
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), written.rows);
    Ok((written.digest, files))
}

async fn read(folder: &Path) -> Converted {
    let to = tempfile::NamedTempFile::new().unwrap();
    let files = Files::local(folder.to_str().unwrap()).unwrap();
    let write = WriteOptions::default().with_format(Some("parquet".into()));
    convert_many(files, Sink::LocalFile(to.path().into()), ReadOptions::default(), write).await.unwrap()
}

fn out() -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let to = base.path().join("out");
    (base, to)
}

#[tokio::test]
async fn rows_are_cut_and_read_back() {
    let whole = table((0..10_000).map(|n| (n, Some(format!("word {n}")))));
    for (suffix, size) in [("parquet", 1000), ("csv", 777), ("ndjson", 8192), ("parquet", 4096)] {
        let (_base, to) = out();
        let options = WriteOptions::default().with_max_rows_per_file(Some(3000)).with_format(Some(suffix.into()));
        let batches = (0..10_000).step_by(size).map(|row| whole.slice(row, size.min(10_000 - row))).collect();
        let (digest, files) = write(Sink::Folder(to.clone()), batches, &options).await.unwrap();
        let found: Vec<(String, u64)> = files.iter().map(|file| (file.path.clone(), file.rows)).collect();
        let names = ["part-00000", "part-00001", "part-00002", "part-00003"].map(|name| format!("{name}.{suffix}"));
        assert_eq!(found, names.into_iter().zip([3000, 3000, 3000, 1000]).collect::<Vec<_>>());
        let back = read(&to).await;
        assert_eq!((back.written.digest, back.balance.seen), (digest, 10_000));
        let manifest: super::Manifest =
            serde_json::from_slice(&std::fs::read(to.join("_manifest.json")).unwrap()).unwrap();
        assert_eq!((manifest.files, manifest.rows), (files, 10_000));
    }
}

#[tokio::test]
async fn partitions_are_folders_that_read_back() {
    let (_base, to) = out();
    let word = |n: i64| match n / 1000 {
        0 => None,
        1 => Some("a/b = c%".to_owned()),
        2 => Some("ä".to_owned()),
        _ => Some("x: \"y\"".to_owned()),
    };
    // In the order in which the folders will be read.
    let mut rows: Vec<(i64, Option<String>)> = (0..4000).map(|n| (n, word(n))).collect();
    rows.sort_by_key(|(n, word)| (super::super::many::folder("k", word.as_deref()).into_bytes(), *n));
    let whole = table(rows.clone().into_iter());
    let options = WriteOptions::default().with_partition_by(vec!["k".into()]);
    let (digest, files) = write(Sink::Folder(to.clone()), vec![whole], &options).await.unwrap();
    let paths: Vec<&str> = files.iter().map(|file| &*file.path).collect();
    let expected = [
        "k=__HIVE_DEFAULT_PARTITION__/part-00000.parquet",
        "k=a%2Fb %3D c%25/part-00000.parquet",
        "k=x%3A %22y%22/part-00000.parquet",
        "k=ä/part-00000.parquet",
    ];
    assert_eq!(paths, expected);
    assert_eq!(read(&to).await.written.digest, digest);
    // Mixed, each part keeps the order of its rows.
    rows.sort_by_key(|(n, _)| (n % 1000, *n));
    let (_base, mixed) = out();
    let mixed_rows = table(rows.into_iter());
    let batches = (0..40).map(|part| mixed_rows.slice(part * 100, 100)).collect();
    write(Sink::Folder(mixed.clone()), batches, &options).await.unwrap();
    for path in expected {
        assert_eq!(std::fs::read(mixed.join(path)).unwrap(), std::fs::read(to.join(path)).unwrap(), "{path}");
    }
}

#[tokio::test]
async fn many_folders_stay_within_the_budget() {
    // More folders than may be open, and more bytes than may be gathered.
    let text = "x".repeat(2000);
    let rows =
        (0..60_000_i64).map(|n| (n, Some(format!("{:03}{}", (n * 7919) % 150, if n % 2 == 0 { "" } else { "b" }))));
    let whole = table(rows);
    let filler: ArrayRef = Arc::new(StringArray::from_iter_values((0..60_000).map(|_| &text)));
    let columns = [("n", whole.column(0).clone(), true), ("k", whole.column(1).clone(), true), ("t", filler, true)];
    let whole = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let options = WriteOptions::default().with_partition_by(vec!["k".into()]).with_format(Some("parquet".into()));
    let batches = |size: usize| (0..60_000).step_by(size).map(|row| whole.slice(row, size.min(60_000 - row))).collect();
    let (_first, a) = out();
    let (_, files) = write(Sink::Folder(a.clone()), batches(8192), &options).await.unwrap();
    assert!(files.len() > 150, "{}", files.len());
    let (_second, b) = out();
    assert_eq!(write(Sink::Folder(b), batches(8192), &options).await.unwrap().1, files);
    assert_eq!(read(&a).await.balance.seen, 60_000);
}

#[tokio::test]
async fn a_folder_is_replaced_whole_or_not_at_all() {
    let (base, to) = out();
    let rows = |n: i64| vec![table((0..n).map(|n| (n, Some("x".to_owned()))))];
    let options = WriteOptions::default();
    write(Sink::Folder(to.clone()), rows(10), &options).await.unwrap();
    let error = write(Sink::Folder(to.clone()), rows(5), &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let broken = async {
        let batch = rows(5).remove(0);
        let schema = batch.schema();
        let failed = Err(Error::invalid("read", "a.csv"));
        let stream = futures::stream::iter([Ok(batch), failed]).boxed();
        let batches = Batches::new(schema, stream, Arc::new(Tally::default()));
        let sink = Sink::Folder(to.clone());
        super::write(sink, batches, format("csv").unwrap(), &options.clone().with_overwrite(true)).await
    };
    assert_eq!(broken.await.unwrap_err().subject(), "a.csv");
    assert_eq!(read(&to).await.balance.seen, 10);
    write(Sink::Folder(to.clone()), rows(5), &options.clone().with_overwrite(true)).await.unwrap();
    assert_eq!(read(&to).await.balance.seen, 5);
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1);
}

async fn bucket() -> (MemoryLake, Bucket) {
    let lake = MemoryLake::default();
    let bucket = lake.create_bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
    (lake, bucket)
}

#[tokio::test]
async fn objects_below_a_prefix_are_named_by_a_manifest() {
    let (lake, bucket) = bucket().await;
    let sink = || Sink::Prefix { bucket: bucket.clone(), prefix: "t".into() };
    let rows = |n: i64| vec![table((0..n).map(|n| (n, Some(format!("{}", n % 3)))))];
    let options = WriteOptions::default().with_partition_by(vec!["k".into()]);
    let (_, first) = write(sink(), rows(9), &options).await.unwrap();
    assert_eq!(first.len(), 3);
    assert!(first[0].path.starts_with("k=0/part-00000-") && first[0].path.ends_with(".parquet"));
    assert_eq!(write(sink(), rows(9), &options).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let (_, second) = write(sink(), rows(2), &options.clone().with_overwrite(true)).await.unwrap();
    let names: Vec<String> =
        bucket.list(Some(&"t".into())).await.unwrap().into_iter().map(|meta| meta.location.to_string()).collect();
    let expected =
        ["t/_manifest.json".to_owned()].into_iter().chain(second.iter().map(|file| format!("t/{}", file.path)));
    assert_eq!(names, expected.collect::<Vec<_>>());
    // What a write that was killed has left is no part of the table.
    bucket.put(&"t/k=9/part-00000-dead.parquet".into(), "half", Default::default()).await.unwrap();
    let files = Files::in_lake(&lake, &"processed-data/t/".parse().unwrap()).await.unwrap();
    assert_eq!(files.len(), 2);
    let to = tempfile::NamedTempFile::new().unwrap();
    let write = WriteOptions::default().with_format(Some("csv".into()));
    let done = convert_many(files, Sink::LocalFile(to.path().into()), ReadOptions::default(), write).await.unwrap();
    assert_eq!(std::fs::read_to_string(to.path()).unwrap(), "n,k\n0,0\n1,1\n");
    let note = "1 object below processed-data/t/ is not named by its `_manifest.json`, so left out: k=9/part-00000-dead.parquet";
    assert_eq!(done.notes, [note]);
}

#[tokio::test]
async fn a_write_that_fails_leaves_the_objects_that_were_there() {
    let (_lake, bucket) = bucket().await;
    bucket.put(&"t/part-old.csv".into(), "n\n1\n", Default::default()).await.unwrap();
    let batch = table([(1, None)].into_iter());
    let schema = batch.schema();
    let stream = futures::stream::iter([Ok(batch), Err(Error::invalid("read", "a.csv"))]).boxed();
    let batches = Batches::new(schema, stream, Arc::new(Tally::default()));
    let sink = Sink::Prefix { bucket: bucket.clone(), prefix: "t".into() };
    let options = WriteOptions::default().with_overwrite(true).with_max_rows_per_file(Some(1));
    super::write(sink, batches, format("csv").unwrap(), &options).await.unwrap_err();
    let left = bucket.list(None).await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_written() {
    let (base, to) = out();
    let from = base.path().join("a.csv");
    std::fs::write(&from, "n,_k\n1,2\n").unwrap();
    for (options, reason) in [
        (WriteOptions::default().with_partition_by(vec!["x".into()]), "nearest"),
        (WriteOptions::default().with_partition_by(vec!["_k".into()]), "pass over"),
        (WriteOptions::default().with_partition_by(vec!["n".into(), "n".into()]), "twice"),
        (WriteOptions::default().with_max_rows_per_file(Some(0)), "at least 1"),
    ] {
        let (source, sink) = (Source::LocalFile(from.clone()), Sink::Folder(to.clone()));
        let error = convert(source, sink, ReadOptions::default(), options).await.unwrap_err();
        let said = format!("{} {}", error.reason().unwrap_or_default(), error.hint().unwrap_or_default());
        assert!(said.contains(reason), "{error:?}");
    }
    let (source, sink) = (Source::LocalFile(from), Sink::LocalFile(to.clone()));
    let options = WriteOptions::default().with_partition_by(vec!["n".into()]).with_format(Some("csv".into()));
    let error = convert(source, sink, ReadOptions::default(), options).await.unwrap_err();
    assert!(error.hint().unwrap().contains("ends in `/`"), "{error:?}");
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_table_without_rows_is_a_file_with_its_columns() {
    let (base, to) = out();
    let from = base.path().join("a.csv");
    std::fs::write(&from, "n,k\n").unwrap();
    let sink = Sink::Folder(to.clone());
    let done = convert(Source::LocalFile(from), sink, ReadOptions::default(), WriteOptions::default()).await.unwrap();
    assert_eq!((done.files.len(), done.written.rows), (1, 0));
    assert_eq!(read(&to).await.written.digest, done.written.digest);
}

#[tokio::test]
async fn a_partitioned_table_without_rows_has_all_of_its_columns() {
    for suffix in ["parquet", "csv"] {
        let (base, to) = out();
        let from = base.path().join("a.csv");
        std::fs::write(&from, "k,n,l\n").unwrap();
        let by = vec!["l".to_owned(), "k".to_owned()];
        let options = WriteOptions::default().with_partition_by(by).with_format(Some(suffix.into()));
        let sink = Sink::Folder(to.clone());
        let done = convert(Source::LocalFile(from), sink, ReadOptions::default(), options).await.unwrap();
        assert_eq!((done.files.len(), &*done.files[0].path), (1, &*format!("part-00000.{suffix}")));
        let back = read(&to).await;
        let names: Vec<&str> = back.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!((names, back.written.rows), (vec!["n", "l", "k"], 0));
    }
}

/// Writes text of NDJSON as a folder, and gives it back with the paths of its files.
async fn parted(text: &str, options: WriteOptions) -> (Vec<String>, String) {
    let (base, to) = out();
    let (from, back) = (base.path().join("a.ndjson"), base.path().join("back.ndjson"));
    std::fs::write(&from, text).unwrap();
    let sink = Sink::Folder(to.clone());
    let done = convert(Source::LocalFile(from), sink, ReadOptions::default(), options).await.unwrap();
    let files = Files::local(to.to_str().unwrap()).unwrap();
    let sink = Sink::LocalFile(back.clone());
    convert_many(files, sink, ReadOptions::default(), WriteOptions::default()).await.unwrap();
    (done.files.into_iter().map(|file| file.path).collect(), std::fs::read_to_string(back).unwrap())
}

#[tokio::test]
async fn values_of_one_folder_share_its_file() {
    let text = "{\"n\":1,\"k\":null}\n{\"n\":2,\"k\":\"\"}\n{\"n\":4,\"k\":\"a\"}\n";
    let (files, back) = parted(text, WriteOptions::default().with_partition_by(vec!["k".into()])).await;
    assert_eq!(files, ["k=__HIVE_DEFAULT_PARTITION__/part-00000.parquet", "k=a/part-00000.parquet"]);
    let expected = "{\"n\":1,\"k\":null}\n{\"n\":2,\"k\":null}\n{\"n\":4,\"k\":\"a\"}\n";
    assert_eq!(back, expected);
    // A text that is the name of their folder would become one of them.
    let named: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["__HIVE_DEFAULT_PARTITION__"]));
    let named =
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![3])) as ArrayRef), ("k", named)]).unwrap();
    let (_base, to) = out();
    let options = WriteOptions::default().with_partition_by(vec!["k".into()]);
    let error = write(Sink::Folder(to.clone()), vec![named], &options).await.unwrap_err();
    assert!(error.reason().unwrap().contains("the folder of missing values") && !to.exists(), "{error:?}");
    let nans: ArrayRef = Arc::new(Float64Array::from_iter_values([f64::NAN, -f64::NAN, f64::NAN]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("x", nans)]).unwrap();
    let (_base, to) = out();
    let options = WriteOptions::default().with_partition_by(vec!["x".into()]);
    let (_, files) = write(Sink::Folder(to.clone()), vec![batch], &options).await.unwrap();
    assert_eq!((files.len(), read(&to).await.balance.seen), (1, 3));
}

#[tokio::test]
async fn names_say_how_files_are_written() {
    let text = "{\"n\":1,\"k\":\"a,b\"}\n";
    let of = |format: &str, compression: &str| {
        WriteOptions::default().with_format(Some(format.into())).with_compression_of_name(compression).unwrap()
    };
    for (format, compression, name) in [
        ("csv", "xz", "csv.xz"),
        ("csv", "bzip2", "csv.bz2"),
        ("ndjson", "snappy", "ndjson.sz"),
        ("csv", "lz4", "csv.lz4"),
        ("json", "gzip", "json.gz"),
        ("TSV", "zstd(3)", "tsv.zst"),
        ("tsv", "none", "tsv"),
        ("parquet", "snappy", "parquet"),
    ] {
        let (files, back) = parted(text, of(format, compression)).await;
        assert_eq!((files, &*back), (vec![format!("part-00000.{name}")], text));
    }
    let semicolons = of("tsv", "none").with_delimiter(Some(';'));
    assert_eq!(parted(text, semicolons).await, (vec!["part-00000.csv".to_owned()], text.to_owned()));
    for (name, format, expected) in [("a.txt", "tsv", "n\tk\n1\tx\n"), ("a.txt", "csv", "n,k\n1,x\n")] {
        let (base, _) = out();
        let (from, to) = (base.path().join("a.ndjson"), base.path().join(name));
        std::fs::write(&from, "{\"n\":1,\"k\":\"x\"}\n").unwrap();
        let sink = Sink::LocalFile(to.clone());
        convert(Source::LocalFile(from), sink, ReadOptions::default(), of(format, "none")).await.unwrap();
        assert_eq!(std::fs::read_to_string(to).unwrap(), expected);
    }
}

#[tokio::test]
async fn more_folders_than_can_be_kept_in_mind_are_refused() {
    let rows = |n: i64| vec![table((0..n).map(|n| (n, Some(format!("{n}")))))];
    let options = WriteOptions::default().with_partition_by(vec!["k".into()]);
    let (base, to) = out();
    let error = write(Sink::Folder(to.clone()), rows(10_001), &options).await.unwrap_err();
    assert_eq!(error.reason(), Some("parted by `k`, its rows make more than 10000 folders"));
    assert!(error.hint().unwrap().contains("fewer values"), "{error:?}");
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_row_is_written_once_whatever_the_batches(
        keys in proptest::collection::vec(0_u8..5, 1..200),
        cut in 1_usize..50,
        most in proptest::option::of(1_u64..20),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let rows = keys.iter().enumerate().map(|(n, key)| (n as i64, (*key > 0).then(|| format!("k{key}"))));
            let whole = table(rows);
            let options = WriteOptions::default().with_partition_by(vec!["k".into()]).with_max_rows_per_file(most);
            let batches = |size: usize| {
                (0..keys.len()).step_by(size).map(|row| whole.slice(row, size.min(keys.len() - row))).collect()
            };
            let (_base, to) = out();
            let (digest, files) = write(Sink::Folder(to.clone()), batches(keys.len()), &options).await.unwrap();
            let (_base, other) = out();
            assert_eq!(write(Sink::Folder(other), batches(cut), &options).await.unwrap(), (digest, files.clone()));
            assert!(files.iter().all(|file| most.is_none_or(|most| file.rows <= most)));
            for key in 0..5 {
                let of_key = keys.iter().filter(|other| **other == key).count() as u64;
                let path = super::super::many::folder("k", (key > 0).then(|| format!("k{key}")).as_deref());
                let written = files.iter().filter(|file| file.path.starts_with(&path)).map(|file| file.rows).sum::<u64>();
                assert_eq!(written, of_key);
            }
            assert_eq!(read(&to).await.balance.seen, keys.len() as u64);
        });
    }
}
