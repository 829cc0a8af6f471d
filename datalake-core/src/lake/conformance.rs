//! What every lake promises, one function per promise, for tests of any implementation.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use datalake_core::lake::{MemoryLake, conformance};
//!
//! conformance::run_all(&MemoryLake::default()).await;
//! # }
//! ```

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, UpdateVersion};

use super::{Bucket, BucketName, Lake};
use crate::error::{ErrorKind, Result};

/// How many writers race.
const RACERS: usize = 16;
/// What S3 takes as a part at least.
const PART: usize = 5 * 1024 * 1024;

/// Keeps the buckets of suites that run at the same time apart.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Checks every promise. The lake may hold other buckets, which are left alone.
///
/// # Panics
/// If a promise is broken.
pub async fn run_all(lake: &dyn Lake) {
    create_and_find(lake).await;
    missing_bucket(lake).await;
    delete_only_empty(lake).await;
    list_buckets_by_name(lake).await;
    objects_round_trip(lake).await;
    missing_object(lake).await;
    empty_object(lake).await;
    list_by_key(lake).await;
    list_whole_segments(lake).await;
    odd_keys(lake).await;
    create_only_once(lake).await;
    create_has_one_winner(lake).await;
    update_compares(lake).await;
    update_has_one_winner(lake).await;
    updates_count(lake).await;
    multipart(lake).await;
    abandoned_multipart(lake).await;
    writer_of_any_size(lake).await;
    dropped_writer(lake).await;
    sweep_leaves_objects(lake).await;
}

/// A new bucket is found, and cannot be made again.
///
/// # Panics
/// If the promise is broken.
pub async fn create_and_find(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    assert_eq!(lake.bucket(bucket.name()).await.expect("the bucket is found").name(), bucket.name());
    assert_kind(lake.create_bucket(bucket.name()).await, ErrorKind::AlreadyExists);
    remove(lake, &bucket).await;
}

/// A bucket that is not there is said to be missing, by its name.
///
/// # Panics
/// If the promise is broken.
pub async fn missing_bucket(lake: &dyn Lake) {
    let name = unused_name();
    let error = lake.bucket(&name).await.expect_err("there is no such bucket");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(name.as_str()), "{error} does not name the bucket");
    assert!(error.hint().is_some(), "{error} does not say what to do");
    assert_kind(lake.delete_bucket(&name).await, ErrorKind::NotFound);
    assert_kind(lake.sweep(&name).await, ErrorKind::NotFound);
}

/// A bucket goes only when it is empty, and is gone then.
///
/// # Panics
/// If the promise is broken.
pub async fn delete_only_empty(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("deep/down/a");
    put(&bucket, &key, "a").await;
    assert_kind(lake.delete_bucket(bucket.name()).await, ErrorKind::Invalid);
    assert_eq!(bucket.get(&key).await.expect("a refused deletion deletes nothing"), "a");
    bucket.delete(&key).await.expect("the object is deleted");
    lake.delete_bucket(bucket.name()).await.expect("the empty bucket is deleted");
    assert_kind(lake.bucket(bucket.name()).await, ErrorKind::NotFound);
}

/// Buckets are listed by name.
///
/// # Panics
/// If the promise is broken.
pub async fn list_buckets_by_name(lake: &dyn Lake) {
    let buckets = [fresh(lake).await, fresh(lake).await, fresh(lake).await];
    let listed: Vec<_> = lake.buckets().await.expect("buckets are listed").into_iter().map(|info| info.name).collect();
    assert!(listed.is_sorted(), "{listed:?}");
    assert!(buckets.iter().all(|bucket| listed.contains(bucket.name())), "{listed:?}");
    for bucket in &buckets {
        remove(lake, bucket).await;
    }
}

/// What is put can be read, looked up, replaced and deleted.
///
/// # Panics
/// If the promise is broken.
pub async fn objects_round_trip(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("foods/a.csv");
    let first = bucket.put(&key, "first", PutMode::Overwrite).await.expect("put");
    let head = bucket.head(&key).await.expect("head");
    assert_eq!((head.size, &head.location), (5, &key));
    assert_eq!(head.e_tag, first.e_tag, "a put returns the tag that a look-up shows");
    let second = bucket.put(&key, "again", PutMode::Overwrite).await.expect("put over");
    assert_ne!(first.e_tag, second.e_tag, "another content has another tag");
    assert_eq!(bucket.get(&key).await.expect("get"), "again");
    let range = bucket.store().get_range(&key, 1..3).await.expect("get a range");
    assert_eq!(range, "ga");
    bucket.delete(&key).await.expect("delete");
    assert_kind(bucket.get(&key).await, ErrorKind::NotFound);
    remove(lake, &bucket).await;
}

/// An object that is not there is said to be missing, by bucket and key.
///
/// # Panics
/// If the promise is broken.
pub async fn missing_object(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("no/such.csv");
    let error = bucket.get(&key).await.expect_err("there is no such object");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&bucket.address(&key)), "{error} does not name the object");
    assert_kind(bucket.head(&key).await, ErrorKind::NotFound);
    remove(lake, &bucket).await;
}

/// An object may be empty.
///
/// # Panics
/// If the promise is broken.
pub async fn empty_object(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("empty");
    put(&bucket, &key, "").await;
    assert_eq!(bucket.get(&key).await.expect("get"), "");
    assert_eq!(bucket.head(&key).await.expect("head").size, 0);
    let written = bucket.writer(&key).finish().await.expect("a writer without a write");
    assert_eq!(written.bytes, 0);
    remove(lake, &bucket).await;
}

/// Objects are listed by key, complete, with their sizes.
///
/// # Panics
/// If the promise is broken.
pub async fn list_by_key(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    for key in ["b", "a/2", "a-1", "a/10", "a/1/x"] {
        put(&bucket, &Path::from(key), key).await;
    }
    let listed = bucket.list(None).await.expect("list");
    let keys: Vec<_> = listed.iter().map(|meta| meta.location.as_ref()).collect();
    assert_eq!(keys, ["a-1", "a/1/x", "a/10", "a/2", "b"]);
    assert!(listed.iter().all(|meta| meta.size == meta.location.as_ref().len() as u64));
    remove(lake, &bucket).await;
}

/// A prefix stands for whole path segments.
///
/// # Panics
/// If the promise is broken.
pub async fn list_whole_segments(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    for key in ["foods/a", "foods/b/c", "foods-old/a"] {
        put(&bucket, &Path::from(key), "").await;
    }
    assert_eq!(keys(&bucket, Some("foods")).await, ["foods/a", "foods/b/c"]);
    assert_eq!(keys(&bucket, Some("food")).await, [""; 0]);
    let level = bucket.store().list_with_delimiter(None).await.expect("list one level");
    let prefixes: BTreeSet<_> = level.common_prefixes.iter().map(AsRef::as_ref).collect();
    assert_eq!(prefixes, BTreeSet::from(["foods", "foods-old"]));
    for key in ["foods/a", "foods/b/c"] {
        bucket.delete(&Path::from(key)).await.expect("delete");
    }
    let level = bucket.store().list_with_delimiter(None).await.expect("list one level");
    assert_eq!(level.common_prefixes, [Path::from("foods-old")], "a prefix without objects is gone");
    remove(lake, &bucket).await;
}

/// Keys come back as they were given.
///
/// # Panics
/// If the promise is broken.
pub async fn odd_keys(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let odd =
        ["a b.csv", "ü/ß 食.csv", "100%.csv", "%41", "a+b=c&d", "quote'\"", "semi;co:lon", "*?[x]", "~tilde", "#tag"];
    for key in odd {
        put(&bucket, &Path::parse(key).expect("a valid key"), key).await;
    }
    let listed: BTreeSet<_> = keys(&bucket, None).await.into_iter().collect();
    assert_eq!(listed, odd.iter().map(ToString::to_string).collect());
    for key in odd {
        let object = bucket.get(&Path::parse(key).expect("a valid key")).await.expect("get");
        assert_eq!(object, key);
    }
    remove(lake, &bucket).await;
}

/// A put that must create does not replace.
///
/// # Panics
/// If the promise is broken.
pub async fn create_only_once(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("once");
    bucket.put(&key, "first", PutMode::Create).await.expect("the key is free");
    assert_kind(bucket.put(&key, "second", PutMode::Create).await, ErrorKind::AlreadyExists);
    assert_eq!(bucket.get(&key).await.expect("get"), "first");
    remove(lake, &bucket).await;
}

/// Of many that create the same key, one wins, and its content stays.
///
/// # Panics
/// If the promise is broken.
pub async fn create_has_one_winner(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("race");
    let results = join_all((0..RACERS).map(|racer| bucket.put(&key, racer.to_string(), PutMode::Create))).await;
    let winner = one_winner(&results);
    assert_eq!(bucket.get(&key).await.expect("get"), winner.to_string());
    remove(lake, &bucket).await;
}

/// An update with the current tag replaces, one with an old tag does not, nor one of a missing object.
///
/// # Panics
/// If the promise is broken.
pub async fn update_compares(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("pointer");
    let first: UpdateVersion = bucket.put(&key, "1", PutMode::Create).await.expect("create").into();
    let second: UpdateVersion =
        bucket.put(&key, "2", PutMode::Update(first.clone())).await.expect("the tag is current").into();
    assert_kind(bucket.put(&key, "3", PutMode::Update(first)).await, ErrorKind::AlreadyExists);
    assert_eq!(bucket.get(&key).await.expect("get"), "2");
    bucket.delete(&key).await.expect("delete");
    let gone = bucket.put(&key, "4", PutMode::Update(second)).await.expect_err("there is nothing to update");
    assert!(matches!(gone.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound), "{gone:?}");
    assert_kind(bucket.get(&key).await, ErrorKind::NotFound);
    remove(lake, &bucket).await;
}

/// Of many updates of the same version, one wins, and its content stays.
///
/// # Panics
/// If the promise is broken.
pub async fn update_has_one_winner(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("race");
    let first: UpdateVersion = bucket.put(&key, "x", PutMode::Create).await.expect("create").into();
    let update = |racer: usize| bucket.put(&key, format!("{racer:02}"), PutMode::Update(first.clone()));
    let results = join_all((0..RACERS).map(update)).await;
    let winner = one_winner(&results);
    assert_eq!(bucket.get(&key).await.expect("get"), format!("{winner:02}"));
    remove(lake, &bucket).await;
}

/// Counting by compare-and-swap loses nothing, though the versions have the same size.
///
/// # Panics
/// If the promise is broken.
pub async fn updates_count(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("count");
    put(&bucket, &key, "1000").await;
    let results = join_all((0..4).map(|_| async {
        for _ in 0..5 {
            increment(&bucket, &key).await;
        }
    }))
    .await;
    assert_eq!(results.len(), 4);
    assert_eq!(bucket.get(&key).await.expect("get"), "1020");
    remove(lake, &bucket).await;
}

async fn increment(bucket: &Bucket, key: &Path) {
    loop {
        let found = bucket.store().get(key).await.expect("get");
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let text = found.bytes().await.expect("the content");
        let count: u64 = std::str::from_utf8(&text).expect("digits").parse().expect("digits");
        match bucket.put(key, (count + 1).to_string(), PutMode::Update(version)).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}"),
        }
    }
}

/// An upload in parts is the parts in the order in which they were begun, and invisible before its end.
///
/// # Panics
/// If the promise is broken.
pub async fn multipart(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let key = Path::from("large");
    put(&bucket, &key, "old").await;
    let mut upload = bucket.store().put_multipart(&key).await.expect("begin");
    let first = upload.put_part(Bytes::from(vec![1; PART]).into());
    let second = upload.put_part(Bytes::from_static(b"end").into());
    second.await.expect("the second part, before the first");
    first.await.expect("the first part");
    assert_eq!(bucket.get(&key).await.expect("get"), "old");
    upload.complete().await.expect("complete");
    let object = bucket.get(&key).await.expect("get");
    assert_eq!(object.len(), PART + 3);
    assert!(object[..PART].iter().all(|byte| *byte == 1) && object.ends_with(b"end"));
    remove(lake, &bucket).await;
}

/// An upload that is given up leaves nothing to be seen.
///
/// # Panics
/// If the promise is broken.
pub async fn abandoned_multipart(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let [aborted, dropped] = [Path::from("aborted"), Path::from("dropped")];
    let mut upload = bucket.store().put_multipart(&aborted).await.expect("begin");
    upload.put_part("a".into()).await.expect("a part");
    upload.abort().await.expect("abort");
    let mut upload = bucket.store().put_multipart(&dropped).await.expect("begin");
    upload.put_part("a".into()).await.expect("a part");
    drop(upload);
    assert_eq!(keys(&bucket, None).await, [""; 0]);
    remove(lake, &bucket).await;
}

/// A writer makes objects of one request and of many parts, which appear at the end.
///
/// # Panics
/// If the promise is broken.
pub async fn writer_of_any_size(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let part = 8 * 1024 * 1024;
    for size in [1, part, part + 1, 3 * part] {
        let key = Path::from(format!("of-{size}"));
        let object: Bytes = (0..size).map(|index| (index / 1000) as u8).collect();
        let mut writer = bucket.writer(&key);
        for piece in object.chunks(1_000_000) {
            writer.write(Bytes::copy_from_slice(piece)).await.expect("write");
        }
        assert_kind(bucket.head(&key).await, ErrorKind::NotFound);
        assert_eq!(writer.finish().await.expect("finish").bytes, size as u64);
        assert!(bucket.get(&key).await.expect("get") == object, "an object of {size} bytes comes back");
    }
    remove(lake, &bucket).await;
}

/// A writer that is dropped or aborted leaves nothing to be seen.
///
/// # Panics
/// If the promise is broken.
pub async fn dropped_writer(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    let large = Bytes::from(vec![7; 9 * 1024 * 1024]);
    for (key, object) in [("small", Bytes::from_static(b"a")), ("large", large)] {
        let mut dropped = bucket.writer(&Path::from(format!("{key}-dropped")));
        dropped.write(object.clone()).await.expect("write");
        drop(dropped);
        let mut aborted = bucket.writer(&Path::from(format!("{key}-aborted")));
        aborted.write(object).await.expect("write");
        aborted.abort().await.expect("abort");
    }
    assert_eq!(keys(&bucket, None).await, [""; 0]);
    remove(lake, &bucket).await;
}

/// A sweep touches neither objects nor an upload that is under way.
///
/// # Panics
/// If the promise is broken.
pub async fn sweep_leaves_objects(lake: &dyn Lake) {
    let bucket = fresh(lake).await;
    put(&bucket, &Path::from("a"), "a").await;
    let mut upload = bucket.store().put_multipart(&Path::from("b")).await.expect("begin");
    upload.put_part("b".into()).await.expect("a part");
    lake.sweep(bucket.name()).await.expect("sweep");
    upload.complete().await.expect("complete");
    assert_eq!(keys(&bucket, None).await, ["a", "b"]);
    remove(lake, &bucket).await;
}

fn unused_name() -> BucketName {
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    BucketName::new(format!("conformance-{}-{count}", std::process::id())).expect("a valid name")
}

async fn fresh(lake: &dyn Lake) -> Bucket {
    lake.create_bucket(&unused_name()).await.expect("a bucket of a new name is created")
}

async fn remove(lake: &dyn Lake, bucket: &Bucket) {
    for meta in bucket.list(None).await.expect("list") {
        bucket.delete(&meta.location).await.expect("delete");
    }
    lake.delete_bucket(bucket.name()).await.expect("the empty bucket is deleted");
}

async fn put(bucket: &Bucket, key: &Path, object: &str) {
    bucket.put(key, object.to_owned(), PutMode::Overwrite).await.expect("put");
}

async fn keys(bucket: &Bucket, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let mut keys = Vec::new();
    let mut listing = bucket.store().list(prefix.as_ref());
    while let Some(meta) = listing.next().await {
        keys.push(meta.expect("list").location.to_string());
    }
    keys.sort();
    keys
}

#[track_caller]
fn assert_kind<T>(result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("expected {kind:?}, but it went well"),
        Err(error) => assert_eq!(error.kind(), kind, "{error:?}"),
    }
}

/// The index of the only success; all others found the key taken.
#[track_caller]
fn one_winner<T>(results: &[Result<T>]) -> usize {
    let winners: Vec<_> = (0..results.len()).filter(|index| results[*index].is_ok()).collect();
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}");
    }
    winners[0]
}
