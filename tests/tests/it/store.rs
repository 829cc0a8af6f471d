//! The object store of a cluster on real servers: what the key for Jobs opens, and what it does not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use datalake_core::cluster::store::{Key, StoreKind, prepare, reachable, remove_key};
use datalake_core::lake::{self, Lake, LakeOptions};
use datalake_core::{Bucket, BucketName, Error, ErrorKind};
use datalake_tests::servers::Server;

/// A server to prepare, of either kind.
struct Store {
    kind: StoreKind,
    url: String,
    root: Key,
    folder: PathBuf,
    buckets: Vec<BucketName>,
}

impl Store {
    fn new<'a>(kind: StoreKind, url: &str, variables: impl Iterator<Item = (&'a str, &'a str)>, folder: &Path) -> Self {
        let variables: BTreeMap<_, _> = variables.collect();
        let root = Key {
            access_key_id: variables["AWS_ACCESS_KEY_ID"].to_owned(),
            secret_access_key: variables["AWS_SECRET_ACCESS_KEY"].to_owned(),
        };
        let buckets = ["raw-data", "processed-data", "models"].map(name).to_vec();
        Self { kind, url: url.to_owned(), root, folder: folder.to_owned(), buckets }
    }

    async fn prepare(&self, root: &Key, jobs: &Key) -> Result<(), Error> {
        prepare(self.kind, &self.url, root, jobs, &self.buckets).await
    }

    async fn remove(&self, root: &Key, jobs: &Key) -> Result<(), Error> {
        remove_key(self.kind, &self.url, root, &jobs.access_key_id).await
    }

    fn lake(&self, key: &Key) -> std::sync::Arc<dyn Lake> {
        let options = LakeOptions::default()
            .with_variable("AWS_ACCESS_KEY_ID", &key.access_key_id)
            .with_variable("AWS_SECRET_ACCESS_KEY", &key.secret_access_key)
            .with_variable("AWS_REGION", "us-east-1");
        lake::open(&self.url, &options).unwrap()
    }

    /// When each file and folder of the server's was last changed, attributes too, but those that it keeps for itself.
    fn changes(&self) -> BTreeMap<PathBuf, (i64, i64)> {
        let root = match self.kind {
            StoreKind::Minio => self.folder.join("data/.minio.sys/config/iam"),
            _ => self.folder.clone(),
        };
        let mut found = BTreeMap::new();
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let meta = entry.metadata().unwrap();
                if meta.is_dir() {
                    folders.push(entry.path());
                }
                if entry.file_name() != "log" {
                    found.insert(entry.path(), (meta.ctime(), meta.ctime_nsec()));
                }
            }
        }
        assert!(found.len() > 3, "{found:?}");
        found
    }
}

fn name(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

/// That something was refused, in words that help and show no secret.
fn assert_denied<T>(result: Result<T, Error>, keys: &[&Key]) {
    let Err(error) = result else { panic!("it was allowed") };
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    for key in keys {
        assert!(!format!("{error:?}").contains(&key.secret_access_key), "{error:?}");
    }
}

async fn use_objects(bucket: &Bucket) {
    let key = "foods/a b+é.csv".into();
    bucket.put(&key, "a,b\n1,2\n", Default::default()).await.unwrap();
    assert_eq!(bucket.get(&key).await.unwrap(), "a,b\n1,2\n");
    let large = "foods/large".into();
    let mut upload = bucket.store().put_multipart_opts(&large, Default::default()).await.unwrap();
    for part in [vec![1; 5 << 20], vec![2; 1 << 20]] {
        upload.put_part(Bytes::from(part).into()).await.unwrap();
    }
    upload.complete().await.unwrap();
    let mut upload = bucket.store().put_multipart_opts(&"foods/given-up".into(), Default::default()).await.unwrap();
    upload.put_part(Bytes::from(vec![0; 5 << 20]).into()).await.unwrap();
    upload.abort().await.unwrap();
    let mut found: Vec<_> = bucket.list(None).await.unwrap().into_iter().map(|meta| meta.size).collect();
    found.sort_unstable();
    assert_eq!(found, [8, 6 << 20]);
    for key in [key, large] {
        bucket.delete(&key).await.unwrap();
    }
    assert!(bucket.list(None).await.unwrap().is_empty());
}

async fn jobs_reach_their_buckets_and_nothing_else(store: &Store) {
    let (root, jobs) = (&store.root, Key::generate().unwrap());
    let own = store.lake(root);
    let secret = own.create_bucket(&name("accounting")).await.unwrap();
    secret.put(&"salaries.csv".into(), "a", Default::default()).await.unwrap();
    // A key for one bucket becomes one for others; who holds the first goes on asking.
    prepare(store.kind, &store.url, root, &jobs, &[name("accounting")]).await.unwrap();
    let lake = store.lake(&jobs);
    let secret = lake.bucket(&name("accounting")).await.unwrap();
    assert_eq!(secret.get(&"salaries.csv".into()).await.unwrap(), "a");
    store.prepare(root, &jobs).await.unwrap();

    for bucket in &store.buckets {
        let bucket = lake.bucket(bucket).await.unwrap();
        use_objects(&bucket).await;
        lake.sweep(bucket.name()).await.unwrap();
    }
    let keys = [root, &jobs];
    assert_denied(lake.bucket(&name("accounting")).await, &keys);
    assert_denied(secret.get(&"salaries.csv".into()).await, &keys);
    assert_denied(secret.put(&"salaries.csv".into(), "b", Default::default()).await, &keys);
    assert_denied(secret.list(None).await, &keys);
    assert_denied(lake.create_bucket(&name("of-my-own")).await, &keys);
    for bucket in &store.buckets {
        assert_denied(lake.delete_bucket(bucket).await, &keys);
    }
    assert_denied(lake.delete_bucket(&name("accounting")).await, &keys);
    let seen = lake.buckets().await.unwrap();
    assert!(seen.iter().all(|info| store.buckets.contains(&info.name)), "{seen:?}");
    // The admin API.
    let other = Key::generate().unwrap();
    assert_denied(store.prepare(&jobs, &other).await, &[root, &jobs, &other]);
    assert_denied(store.remove(&jobs, &other).await, &[root, &jobs, &other]);
    assert_eq!(own.buckets().await.unwrap().len(), 4);
}

async fn a_second_time_nothing_changes(store: &Store) {
    let jobs = Key::generate().unwrap();
    store.prepare(&store.root, &jobs).await.unwrap();
    let before = store.changes();
    store.prepare(&store.root, &jobs).await.unwrap();
    assert_eq!(store.changes(), before);
    store.lake(&jobs).bucket(&store.buckets[0]).await.unwrap();
}

async fn keys_are_rotated(store: &Store) {
    let (root, bucket) = (&store.root, &store.buckets[0]);
    let first = Key::generate().unwrap();
    store.prepare(root, &first).await.unwrap();
    store.lake(&first).bucket(bucket).await.unwrap();

    let second = Key { access_key_id: first.access_key_id.clone(), ..Key::generate().unwrap() };
    store.prepare(root, &second).await.unwrap();
    assert_denied(store.lake(&first).bucket(bucket).await, &[&first, &second]);
    store.lake(&second).bucket(bucket).await.unwrap();

    // Another name: both work until the old one is removed.
    let third = Key::generate().unwrap();
    store.prepare(root, &third).await.unwrap();
    for key in [&second, &third] {
        use_objects(&store.lake(key).bucket(bucket).await.unwrap()).await;
    }
    store.remove(root, &second).await.unwrap();
    assert_denied(store.lake(&second).bucket(bucket).await, &[&second]);
    use_objects(&store.lake(&third).bucket(bucket).await.unwrap()).await;
    store.remove(root, &second).await.unwrap();
    store.remove(root, &third).await.unwrap();
    assert_denied(store.lake(&third).bucket(bucket).await, &[&third]);
    // What is left takes a new key.
    store.prepare(root, &second).await.unwrap();
    store.lake(&second).bucket(bucket).await.unwrap();
}

async fn a_wrong_root_key_is_denied(store: &Store) {
    let jobs = Key::generate().unwrap();
    let wrong_secret = Key { secret_access_key: "hush-hush".to_owned(), ..store.root.clone() };
    for wrong in [&wrong_secret, &Key::generate().unwrap()] {
        for result in [store.prepare(wrong, &jobs).await, store.remove(wrong, &jobs).await] {
            let hint = result.as_ref().unwrap_err().hint().unwrap().to_owned();
            assert!(hint.contains("root key"), "{hint}");
            assert_denied(result, &[wrong, &store.root, &jobs]);
        }
    }
}

async fn it_is_reached(store: &Store, others: &[StoreKind]) {
    let second = Duration::from_secs(5);
    assert!(reachable(store.kind, &store.url, second).await);
    assert!(reachable(StoreKind::External, &store.url, second).await);
    for other in others {
        assert!(!reachable(*other, &store.url, second).await, "{other}");
    }
}

async fn everything(store: &Store, other: StoreKind) {
    it_is_reached(store, &[other]).await;
    a_wrong_root_key_is_denied(store).await;
    jobs_reach_their_buckets_and_nothing_else(store).await;
    a_second_time_nothing_changes(store).await;
    keys_are_rotated(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_is_prepared() {
    let Some(server) = Server::minio() else { return };
    let store = Store::new(StoreKind::Minio, server.url(), server.variables(), server.folder());
    everything(&store, StoreKind::Versitygw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versitygw_is_prepared() {
    let Some(server) = Server::versitygw() else { return };
    let store = Store::new(StoreKind::Versitygw, server.url(), server.variables(), server.folder());
    everything(&store, StoreKind::Minio).await;
}

#[tokio::test]
async fn an_external_server_gets_buckets_and_no_key() {
    let Some(server) = Server::minio() else { return };
    let store = Store::new(StoreKind::External, server.url(), server.variables(), server.folder());
    let jobs = Key::generate().unwrap();
    for _ in 0..2 {
        store.prepare(&store.root, &jobs).await.unwrap();
    }
    assert_eq!(store.lake(&store.root).buckets().await.unwrap().len(), 3);
    assert_denied(store.lake(&jobs).buckets().await, &[&jobs, &store.root]);
    store.prepare(&store.root, &store.root).await.unwrap();
    assert_eq!(store.remove(&store.root, &jobs).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
