//! What becomes of the files of a table at the end, where others write as well and stores fail.

use std::fmt::{self, Display};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};

use super::*;
use crate::format::{Batches, Tally, format};
use crate::lake::BucketName;

/// A store that does not do what is asked for on keys that contain a word.
#[derive(Debug)]
struct Failing {
    inner: InMemory,
    puts: &'static str,
    /// Whether a failing put is done all the same, and only its answer is lost.
    loses_answers: bool,
    deletes: &'static str,
}

impl Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a failing store")
    }
}

fn down() -> object_store::Error {
    object_store::Error::Generic { store: "failing", source: "it is down".into() }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, key: &Path, object: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        let is_failing = key.as_ref().contains(self.puts);
        if is_failing && !self.loses_answers {
            return Err(down());
        }
        let done = self.inner.put_opts(key, object, options).await;
        if is_failing { Err(down()) } else { done }
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
        let word = self.deletes;
        let keys =
            keys.map(move |key| key.and_then(|key| if key.as_ref().contains(word) { Err(down()) } else { Ok(key) }));
        self.inner.delete_stream(keys.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

const NEVER: &str = "\0";

fn bucket(puts: &'static str, loses_answers: bool, deletes: &'static str) -> Bucket {
    let store = Failing { inner: InMemory::new(), puts, loses_answers, deletes };
    Bucket::new(BucketName::new("processed-data").unwrap(), Arc::new(store))
}

/// Writes rows below `t/`; just before the last of them, something else happens.
async fn write(
    bucket: &Bucket,
    overwrite: bool,
    meanwhile: Option<(&'static str, &'static str)>,
) -> Result<Vec<String>> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let (schema, other) = (batch.schema(), bucket.clone());
    let last = futures::stream::once(async move {
        if let Some((key, text)) = meanwhile {
            other.put(&key.into(), text, PutMode::Overwrite).await?;
        }
        Ok(batch)
    });
    let batches = Batches::new(schema, last.boxed(), Arc::new(Tally::default()));
    let options = WriteOptions::default().with_overwrite(overwrite).with_max_rows_per_file(Some(2));
    let sink = Sink::Prefix { bucket: bucket.clone(), prefix: "t".into() };
    let (_, files, notes) = super::super::write(sink, batches, format("csv").unwrap(), &options).await?;
    assert_eq!(files.len(), 2);
    Ok(notes)
}

async fn keys(bucket: &Bucket) -> Vec<String> {
    bucket.list(None).await.unwrap().into_iter().map(|meta| meta.location.to_string()).collect()
}

const OTHER: (&str, &str) = ("t/_manifest.json", "{\"rows\":0,\"digest\":\"other\",\"files\":[]}");

#[tokio::test]
async fn a_manifest_that_cannot_be_put_leaves_no_objects() {
    let store = bucket(MANIFEST, false, NEVER);
    let error = write(&store, false, None).await.unwrap_err();
    assert!(error.subject().ends_with(MANIFEST), "{error:?}");
    assert_eq!(keys(&store).await, [""; 0]);
}

#[tokio::test]
async fn a_manifest_whose_answer_was_lost_stands() {
    let store = bucket(MANIFEST, true, NEVER);
    assert_eq!(write(&store, false, None).await.unwrap(), [""; 0]);
    assert_eq!(keys(&store).await.len(), 3);
}

#[tokio::test]
async fn of_two_writers_one_wins() {
    for overwrite in [false, true] {
        for is_there in [false, true] {
            let store = bucket(NEVER, false, NEVER);
            if is_there && overwrite {
                write(&store, false, None).await.unwrap();
            }
            let before = keys(&store).await;
            let error = write(&store, overwrite, Some(OTHER)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.reason().unwrap().contains("another writer"), "{error:?}");
            assert_eq!(store.get(&OTHER.0.into()).await.unwrap(), OTHER.1.as_bytes());
            let left = keys(&store).await;
            let others = left.iter().filter(|key| *key != OTHER.0 && !before.contains(key));
            assert_eq!(others.count(), 0, "{left:?}");
        }
    }
}

#[tokio::test]
async fn old_objects_that_cannot_be_removed_are_told_when_the_new_table_stands() {
    let store = bucket(NEVER, false, "old");
    for key in ["t/part-old.csv", "t/k=1/part-old.csv", "t/part-new.csv"] {
        store.put(&key.into(), "n\n1\n", PutMode::Create).await.unwrap();
    }
    let notes = write(&store, true, None).await.unwrap();
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.starts_with("the table is written; of the one before, 2 objects could not be removed"), "{note}");
    assert!(note.contains("processed-data/t/k=1/part-old.csv"), "{note}");
    let left = keys(&store).await;
    assert_eq!((left.len(), left.contains(&"t/part-new.csv".to_owned())), (5, false), "{left:?}");
}

#[test]
fn a_folder_that_a_file_system_takes_for_another_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let to = base.path().join("out");
    let draft = AtomicFolder::create(&to, false).unwrap();
    // As one that does not tell upper case from lower case would have it once there are rows of `k=A`.
    std::fs::create_dir(draft.path().join("k=a")).unwrap();
    let mut place = Place::Folder { draft, to, overwrite: false, before: None, made: HashSet::new() };
    let error = place.sink("k=a/j=1/", "part-00000.csv").unwrap_err();
    assert!(error.reason().unwrap().contains("only in case"), "{error:?}");
    for _ in 0..2 {
        assert!(
            matches!(place.sink("k=b/j=1/", "part-00000.csv").unwrap(), Sink::LocalFile(path) if path.parent().unwrap().is_dir())
        );
    }
}

#[tokio::test]
async fn objects_of_one_number_have_names_of_their_own() {
    let store = bucket(NEVER, false, NEVER);
    let words: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["a", "A"]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("k", words)]).unwrap();
    let options = WriteOptions::default().with_partition_by(vec!["k".into()]);
    let sink = Sink::Prefix { bucket: store.clone(), prefix: "t".into() };
    let batches = Batches::from_vec(batch.schema(), vec![batch]);
    let (_, files, _) = super::super::write(sink, batches, format("csv").unwrap(), &options).await.unwrap();
    let names: HashSet<String> = files.iter().map(|file| file.path.to_lowercase()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
