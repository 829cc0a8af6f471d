//! Replays that die on their way, wherever that is, and are run again: no row comes twice, none is lost.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use serde_json::{Value, json};

use super::conversion_tests::{CSV, convert, mend, mended, no_lake, rows_in, rows_of_many, specs};
use super::*;
use crate::error::Result;
use crate::format::{Limit, OnRowError, Quarantine, ReadOptions, Sink, Source, WriteOptions};
use crate::lake::{Bucket, BucketInfo, BucketName, Lake, Location, MemoryLake};
use crate::pipeline::conversion::{DOCUMENT, Tables};

/// What makes two of the three quarantined records fit, and what does so with the third.
const CORRECTIONS: &[(&str, &str)] = &[("dear", "7"), ("4;f", "4;f;8")];
const ANOTHER: &[(&str, &str)] = &[("\"3;x\n", "9"), ("\"3;x", "9")];
const AFTER: [&str; 4] = ["1|a, b|1.5", "3|d\ne|2.5", "2|c|7.0", "4|f|8.0"];

/// A lake that does so many writes, and from then on none.
#[derive(Debug, Clone)]
struct Dying {
    inner: Arc<dyn Lake>,
    writes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct DyingStore {
    inner: Arc<dyn ObjectStore>,
    writes: Arc<AtomicUsize>,
}

impl DyingStore {
    fn may_write(&self) -> object_store::Result<()> {
        let took = self.writes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        took.map(drop).map_err(|_| object_store::Error::Generic { store: "dying", source: "it is dead".into() })
    }
}

impl Display for Dying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dying lake")
    }
}

impl Display for DyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dying store")
    }
}

#[async_trait]
impl Lake for Dying {
    async fn bucket(&self, name: &BucketName) -> Result<Bucket> {
        let inner = Arc::clone(self.inner.bucket(name).await?.store());
        Ok(Bucket::new(name.clone(), Arc::new(DyingStore { inner, writes: Arc::clone(&self.writes) })))
    }

    async fn create_bucket(&self, name: &BucketName) -> Result<Bucket> {
        self.inner.create_bucket(name).await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>> {
        self.inner.buckets().await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<()> {
        self.inner.delete_bucket(name).await
    }

    async fn sweep(&self, name: &BucketName) -> Result<u64> {
        self.inner.sweep(name).await
    }
}

#[async_trait]
impl ObjectStore for DyingStore {
    async fn put_opts(&self, key: &Path, object: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        self.may_write()?;
        self.inner.put_opts(key, object, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(key, options).await
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        match self.may_write() {
            Ok(()) => self.inner.delete_stream(keys),
            Err(dead) => futures::stream::once(async { Err(dead) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.may_write()?;
        self.inner.copy_opts(from, to, options).await
    }
}

/// An object, or several below a prefix, in a lake in memory, of whose conversion three records are in the quarantine.
struct Converted {
    lake: Arc<dyn Lake>,
    bucket: Bucket,
    run: String,
    quarantine: (Bucket, Path),
}

impl Converted {
    async fn new(to: &str) -> Self {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        bucket.put(&"from.csv".into(), CSV, PutMode::Create).await.unwrap();
        let rejects = Arc::new(Quarantine::new(Limit::default()));
        let order = ConversionOrder {
            source: (
                Tables::One(Source::Object { bucket: bucket.clone(), path: "from.csv".into() }),
                "from.csv".to_owned(),
            ),
            sink: match to.strip_suffix('/') {
                Some(prefix) => Sink::Prefix { bucket: bucket.clone(), prefix: prefix.into() },
                None => Sink::Object { bucket: bucket.clone(), path: to.into() },
            },
            destination: format!("lake://raw-data/{to}").parse().unwrap(),
            read: ReadOptions::default()
                .with_schema(Some(specs()))
                .with_on_row_error(OnRowError::Quarantine)
                .with_rejects(Some(rejects.clone())),
            write: WriteOptions::default(),
        };
        let done = carry_out(order, &rejects, || Ok(Arc::clone(&lake))).await.unwrap();
        let Ok(Location::Object { bucket: name, key }) = format!("lake://{}", done.quarantine.unwrap()).parse() else {
            panic!("a quarantine is an object")
        };
        let quarantine = (lake.bucket(&name).await.unwrap(), key);
        Self { bucket, run: done.run.unwrap(), quarantine, lake }
    }

    async fn mend(&self, corrections: &[(&str, &str)]) {
        let (bucket, key) = &self.quarantine;
        let text = String::from_utf8(bucket.get(key).await.unwrap().to_vec()).unwrap();
        bucket.put(key, mended(&text, corrections), PutMode::Overwrite).await.unwrap();
    }

    async fn replay(&self, writes: usize) -> Result<Replayed> {
        let lake: Arc<dyn Lake> =
            Arc::new(Dying { inner: Arc::clone(&self.lake), writes: Arc::new(AtomicUsize::new(writes)) });
        replay(&self.run, Fix::default(), || Ok(Arc::clone(&lake))).await
    }

    async fn rows(&self, to: &str) -> Vec<String> {
        if !to.ends_with('/') {
            return rows_in(Source::Object { bucket: self.bucket.clone(), path: to.into() }).await;
        }
        rows_of_many(&format!("lake://raw-data/{to}"), || Ok(Arc::clone(&self.lake))).await
    }

    async fn verify(&self) -> Verified {
        verify(&self.run, || Ok(Arc::clone(&self.lake))).await.unwrap()
    }
}

#[tokio::test]
async fn one_that_dies_at_any_write_in_a_lake_is_run_again() {
    for to in ["a.parquet", "a.csv", "t/"] {
        // Of several objects, that of the new rows is written first.
        let more = usize::from(to.ends_with('/'));
        for (first, then, back) in [
            (CORRECTIONS.to_vec(), &[][..], 2),
            (CORRECTIONS.to_vec(), ANOTHER, 3),
            ([CORRECTIONS, ANOTHER].concat(), &[], 3),
        ] {
            let mut writes = 0;
            loop {
                let converted = Converted::new(to).await;
                converted.mend(&first).await;
                if converted.replay(writes).await.is_ok() {
                    break;
                }
                let case = format!("{to}: {back} come back, {writes} writes");
                let verified = converted.verify().await;
                assert_eq!(verified.failed(), 1, "{case}: {verified:?}");
                assert!(verified.check().unwrap_err().hint().unwrap().contains("datalake replay"), "{case}");
                // Before the table, and after it; what was corrected and what came back are the same in number.
                let sums = if writes < 2 + more {
                    "2 written + 3"
                } else if first.len() > 2 {
                    "5 written + 0"
                } else {
                    "4 written + 1"
                };
                assert!(
                    verified.summary().contains(&format!("5 rows seen = {sums} quarantined")),
                    "{case}: {verified:?}"
                );
                if !then.is_empty() {
                    converted.mend(then).await;
                }
                let replayed = converted.replay(usize::MAX).await.unwrap();
                let found = (replayed.seen, replayed.brought_back, replayed.quarantined, replayed.rows);
                assert_eq!(found, (3, back, 3 - back, 2 + back), "{case}");
                let expected = AFTER.iter().copied().chain((back == 3).then_some("5|g|9.0")).collect::<Vec<_>>();
                assert_eq!(converted.rows(to).await, expected, "{case}");
                converted.verify().await.check().unwrap();
                writes += 1;
            }
            // What is to be, the table, that nobody else has begun, the rest of the quarantine, and what is.
            assert_eq!(writes, 5 + more);
        }
    }
}

#[tokio::test]
async fn one_that_died_beside_a_local_file_is_brought_to_its_end() {
    for to in ["a.parquet", "a.csv", "a.json"] {
        for first in [CORRECTIONS.to_vec(), [CORRECTIONS, ANOTHER].concat()] {
            let folder = tempfile::tempdir().unwrap();
            let done = convert(folder.path(), CSV, to, Some(specs()), WriteOptions::default()).await;
            let (table, run) = (folder.path().join(to), done.run.unwrap());
            let beside = folder.path().join(format!("{to}.run"));
            let (document, quarantine) = (beside.join(DOCUMENT), beside.join("quarantine.ndjson"));
            mend(&beside, &first);
            let all = || [&table, &quarantine, &document].map(|path| std::fs::read(path).ok());
            let before = all();
            replay(&run, Fix::default(), no_lake).await.unwrap();
            let after = all();
            // The document as it is between the two.
            let read =
                |files: &[Option<Vec<u8>>; 3]| -> Value { serde_json::from_slice(files[2].as_ref().unwrap()).unwrap() };
            let (mut between, mut will_be) = (read(&before), read(&after));
            will_be["quarantine"] = between["quarantine"].clone();
            let lines = |files: &[Option<Vec<u8>>; 3]| -> Vec<Value> {
                let text = String::from_utf8(files[1].clone().unwrap()).unwrap();
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
            };
            let mut left = serde_json::Map::new();
            if first.len() <= 2 {
                let third = &lines(&before)[2];
                left.insert("2".to_owned(), json!([third["source"], third["row"]]));
            }
            between["replaying"] = json!([{ "attempt": "one", "after": will_be, "left": left }]);
            for (has_table, has_quarantine) in [(false, false), (true, false), (true, true)] {
                let case = format!("{to}: table {has_table}, quarantine {has_quarantine}");
                let put = |path, bytes: &Option<Vec<u8>>| match bytes {
                    Some(bytes) => std::fs::write(path, bytes).unwrap(),
                    None => drop(std::fs::remove_file(path)),
                };
                put(&table, &if has_table { &after } else { &before }[0]);
                put(&quarantine, &if has_quarantine { &after } else { &before }[1]);
                std::fs::write(&document, between.to_string()).unwrap();
                assert_eq!(verify(&run, no_lake).await.unwrap().failed(), 1, "{case}");
                let replayed = replay(&run, Fix::default(), no_lake).await.unwrap();
                assert_eq!((replayed.seen, replayed.quarantined), (3, left.len() as u64), "{case}");
                let end = all();
                assert_eq!(end[..2], after[..2], "{case}");
                assert!(read(&end).get("replaying").is_none(), "{case}");
                verify(&run, no_lake).await.unwrap().check().unwrap();
            }
            // A quarantine from which a line was taken is not taken for one that was written already.
            if !left.is_empty() {
                std::fs::write(&table, after[0].as_ref().unwrap()).unwrap();
                std::fs::write(&document, between.to_string()).unwrap();
                std::fs::write(&quarantine, format!("{}\n", lines(&before)[0])).unwrap();
                let error = replay(&run, Fix::default(), no_lake).await.unwrap_err();
                assert!(error.reason().unwrap().contains("had 3 records, and has 1 now"), "{error:?}");
                std::fs::write(&quarantine, "").unwrap();
                let verified = verify(&run, no_lake).await.unwrap();
                assert_eq!(verified.failed(), 1);
                let failed = verified.checks.iter().find(|check| !check.holds).unwrap();
                assert!(format!("{failed:?}").contains("not all are there"), "{failed:?}");
            }
            // A table that is neither the one before nor the one after is not touched.
            std::fs::write(&document, between.to_string()).unwrap();
            std::fs::write(&table, "another").unwrap();
            let error = replay(&run, Fix::default(), no_lake).await.unwrap_err();
            assert!(error.reason().unwrap().contains("not as the conversion left it"), "{error:?}");
            assert_eq!(std::fs::read(&table).unwrap(), b"another");
        }
    }
}
