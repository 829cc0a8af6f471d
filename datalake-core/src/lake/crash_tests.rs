//! A local lake under killed writers, full disks and crowds of writers.

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use super::{AtomicFile, Bucket, BucketName, Lake, LocalLake};
use crate::error::{Error, ErrorKind};

/// Tells the killed writer where to write.
const LAKE: &str = "DATALAKE_TEST_LAKE";
/// How large its objects are.
const SIZE: usize = 3_000_000;

fn name() -> BucketName {
    BucketName::new("raw-data").unwrap()
}

fn key() -> Path {
    Path::from("foods/a.csv")
}

fn has_private_folder(lake: &FilePath) -> bool {
    lake.join(".datalake").exists()
}

/// Not a test, but the process that one of the tests below kills.
#[tokio::test]
#[ignore = "runs for ever, until a test kills it"]
async fn write_until_killed() {
    let Some(lake) = std::env::var_os(LAKE) else { return };
    let bucket = LocalLake::new(lake).bucket(&name()).await.unwrap();
    let mut unfinished = bucket.store().put_multipart(&Path::from("unfinished")).await.unwrap();
    unfinished.put_part("a part".into()).await.unwrap();
    for byte in (b'a'..=b'z').cycle() {
        bucket.put(&key(), vec![byte; SIZE], Default::default()).await.unwrap();
        bucket.put(&Path::from("begun"), "", Default::default()).await.unwrap();
    }
}

fn start_writer(lake: &FilePath) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "lake::crash_tests::write_until_killed"])
        .env(LAKE, lake)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn wait_for(bucket: &Bucket, key: &Path) {
    for _ in 0..1000 {
        if bucket.head(key).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the writer does not write");
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_objects_and_the_next_one_sweeps() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lake");
    let bucket = LocalLake::new(&root).create_bucket(&name()).await.unwrap();
    for delay in [0, 3, 7, 13, 29] {
        let mut writer = start_writer(&root);
        wait_for(&bucket, &Path::from("begun")).await;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        writer.kill().unwrap();
        writer.wait().unwrap();

        let object = bucket.get(&key()).await.unwrap();
        assert_eq!(object.len(), SIZE);
        assert!(object.iter().all(|byte| *byte == object[0]), "two puts are mixed");
        let keys: Vec<_> = bucket.list(None).await.unwrap().into_iter().map(|meta| meta.location.to_string()).collect();
        assert_eq!(keys, ["begun", "foods/a.csv"], "what is unfinished is not listed");
        assert!(has_private_folder(&root), "the unfinished upload has left its file");
        bucket.delete(&Path::from("begun")).await.unwrap();

        let next = LocalLake::new(&root);
        next.bucket(&name()).await.unwrap().put(&key(), "new", Default::default()).await.unwrap();
        drop(next);
        assert!(!has_private_folder(&root), "the next writer sweeps, and leaves nothing itself");
    }
}

#[tokio::test]
async fn a_sweep_counts_what_dead_writers_left() {
    let folder = tempfile::tempdir().unwrap();
    let lake = LocalLake::new(folder.path());
    lake.create_bucket(&name()).await.unwrap();
    let dead = folder.path().join(".datalake/tmp/1-2-3");
    fs::create_dir_all(&dead).unwrap();
    for file in ["a", "b"] {
        fs::write(dead.join(file), "left").unwrap();
    }
    fs::write(dead.with_extension("lock"), "").unwrap();
    assert_eq!(lake.sweep(&name()).await.unwrap(), 2);
    assert!(!has_private_folder(folder.path()));
}

#[tokio::test]
async fn a_living_writer_is_not_swept() {
    let folder = tempfile::tempdir().unwrap();
    let lake = LocalLake::new(folder.path());
    let bucket = lake.create_bucket(&name()).await.unwrap();
    let mut upload = bucket.store().put_multipart(&key()).await.unwrap();
    upload.put_part("a".into()).await.unwrap();
    // Another process would open the lake anew, as this does; its first write sweeps too.
    let other = LocalLake::new(folder.path());
    other.bucket(&name()).await.unwrap().put(&Path::from("b"), "b", Default::default()).await.unwrap();
    assert_eq!(other.sweep(&name()).await.unwrap(), 0);
    upload.complete().await.unwrap();
    assert_eq!(bucket.get(&key()).await.unwrap(), "a");
}

/// Sessions begin, sweep and end all at once: the sweeps must take none that lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn crowds_of_writers_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    LocalLake::new(&root).create_bucket(&name()).await.unwrap();
    let writer = |number: usize, root: PathBuf| async move {
        for round in 0..40 {
            let lake = LocalLake::new(&root);
            let bucket = lake.bucket(&name()).await.unwrap();
            let key = Path::from(format!("of-{number}/{}", round % 3));
            bucket.put(&key, "x", Default::default()).await.unwrap();
            bucket.delete(&key).await.unwrap();
        }
    };
    let writers: Vec<_> = (0..8).map(|number| tokio::spawn(writer(number, root.clone()))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(!has_private_folder(&root));
    LocalLake::new(&root).delete_bucket(&name()).await.unwrap();
}

#[tokio::test]
async fn a_deleted_bucket_does_not_come_back_by_a_put() {
    let folder = tempfile::tempdir().unwrap();
    let lake = LocalLake::new(folder.path());
    let bucket = lake.create_bucket(&name()).await.unwrap();
    lake.delete_bucket(&name()).await.unwrap();
    let error = bucket.put(&key(), "a", Default::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(lake.buckets().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_object_in_the_way_of_a_prefix_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = LocalLake::new(folder.path()).create_bucket(&name()).await.unwrap();
    bucket.put(&Path::from("a"), "", Default::default()).await.unwrap();
    bucket.put(&Path::from("b/c"), "", Default::default()).await.unwrap();
    for key in ["a/b", "b"] {
        let error = bucket.put(&Path::from(key), "", Default::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
    }
    let error = bucket.put(&Path::parse("c#1").unwrap(), "", Default::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
}

/// A file system of two megabytes; None, and a loud line, where it cannot be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(folder.path()).output();
        if mount.is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        use std::io::Write;
        // Past the capture of the test harness: a skipped test must not look like a passed one.
        let _ = writeln!(std::io::stderr(), "SKIPPED: a full disk cannot be tested, as this user may not mount one");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn assert_full(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("free some space")), "{error:?}");
}

#[tokio::test]
async fn a_full_disk_leaves_what_was_there() {
    let Some(disk) = SmallDisk::mount() else { return };
    let lake = LocalLake::new(disk.0.path().join("lake"));
    let bucket = lake.create_bucket(&name()).await.unwrap();
    bucket.put(&key(), "old", Default::default()).await.unwrap();

    assert_full(&bucket.put(&key(), vec![0; SIZE], Default::default()).await.unwrap_err());
    let mut writer = bucket.writer(&key());
    let object = Bytes::from(vec![0; 1_000_000]);
    let mut result = Ok(());
    for _ in 0..12 {
        if result.is_ok() {
            result = writer.write(object.clone()).await;
        }
    }
    let result = match result {
        Ok(()) => writer.finish().await.map(drop),
        failed => failed.and(writer.abort().await),
    };
    assert_full(&result.unwrap_err());
    let path = disk.0.path().join("out.csv");
    fs::write(&path, "old").unwrap();
    let mut file = AtomicFile::create(&path).await.unwrap();
    assert_full(&file.write(vec![0; SIZE].into()).await.unwrap_err());
    drop(file);

    assert_eq!(bucket.get(&key()).await.unwrap(), "old");
    assert_eq!(bucket.list(None).await.unwrap().len(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    bucket.put(&key(), vec![1; 1_000_000], Default::default()).await.expect("nothing half written takes up the disk");
    drop((bucket, lake));
    assert!(!has_private_folder(&disk.0.path().join("lake")));
}
