//! What is read for a table must not be lost with what the table replaces.

use std::fs;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetResultPayload, ObjectStore as _};

use super::existing::refused;
use crate::error::{Error, Result};
use crate::format::options::WriteOptions;
use crate::format::sink::Sink;
use crate::lake::Bucket;

/// So many objects are looked at at a time.
const AT_ONCE: usize = 16;

/// Refuses to replace a folder in which lies a file that is read for it. Of a lake that is a folder, what is below a prefix is
/// such a folder, too.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where there is such a file.
pub(in crate::format) fn refuse_sources<'a>(
    sink: &Sink,
    options: &WriteOptions,
    sources: impl Iterator<Item = &'a Path> + Send + 'a,
) -> impl Future<Output = Result<()>> + Send {
    // Taken from the sink beforehand, as a stream in it is not shared between threads.
    let (name, folder, prefix) = (sink.to_string(), replaced_folder(sink, options), replaced_prefix(sink, options));
    let mut sources = sources.peekable();
    async move {
        if sources.peek().is_none() {
            return Ok(());
        }
        let folder = match (folder, prefix) {
            (Some((_, folder)), _) => Some(folder),
            (None, Some((bucket, prefix))) => folder_of(&bucket, &prefix).await,
            (None, None) => None,
        };
        let Some(folder) = folder else { return Ok(()) };
        match sources.find(|source| is_within(source, &folder)) {
            None => Ok(()),
            Some(source) => Err(would_be_lost(&name, source.display())),
        }
    }
}

/// Whether a file lies in a folder. Of a symbolic link, both it and the file that it leads to.
fn is_within(source: &Path, within: &Path) -> bool {
    let folder = source.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    [folder, source].iter().any(|path| fs::canonicalize(path).is_ok_and(|path| path.starts_with(within)))
}

/// The folder that is to be replaced, as it was named and where it lies; none where nothing is.
fn replaced_folder(sink: &Sink, options: &WriteOptions) -> Option<(String, PathBuf)> {
    match sink {
        Sink::Folder(path) if options.overwrite => Some((path.display().to_string(), fs::canonicalize(path).ok()?)),
        _ => None,
    }
}

/// The prefix below which objects are to be replaced.
fn replaced_prefix(sink: &Sink, options: &WriteOptions) -> Option<(Bucket, Key)> {
    match sink {
        Sink::Prefix { bucket, prefix } if options.overwrite => Some((bucket.clone(), prefix.clone())),
        _ => None,
    }
}

fn would_be_lost(place: &str, source: impl std::fmt::Display) -> Error {
    refused(place, format_args!("`{source}` is read, and would be lost"))
        .with_hint("write to another place, and remove this one when that is there")
}

/// Refuses to replace what is below a prefix where some of it is read for that: what is not would be in no table any more. Of
/// a lake that is a folder, objects are files, which may lie in a folder that is to be replaced: that is refused too.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where there is such an object. That the whole prefix becomes another table
/// is none.
pub(in crate::format) fn refuse_objects<'a>(
    sink: &Sink,
    options: &WriteOptions,
    what: &'a str,
    mut objects: impl Iterator<Item = (&'a Bucket, &'a Key)> + Send + 'a,
) -> impl Future<Output = Result<()>> + Send {
    let folder = replaced_folder(sink, options);
    let below = replaced_prefix(sink, options).map(|_| sink.to_string());
    async move {
        if let Some((path, to)) = folder {
            let mut looked_at = FuturesOrdered::new();
            loop {
                while looked_at.len() < AT_ONCE
                    && let Some((bucket, key)) = objects.next()
                {
                    looked_at.push_back(addressed(bucket.clone(), key.clone()));
                }
                let Some((object, payload)) = looked_at.next().await else { return Ok(()) };
                // All are of one lake: where one is no file, none is. An object that is gone is told when it is read.
                let file = match payload {
                    Some(GetResultPayload::File(_, file)) => file,
                    Some(GetResultPayload::Stream(_)) => return Ok(()),
                    None => continue,
                };
                if fs::canonicalize(file).is_ok_and(|file| file.starts_with(&to)) {
                    return Err(would_be_lost(&path, object));
                }
            }
        }
        let Some(below) = below.filter(|below| what != below) else { return Ok(()) };
        let is_below =
            |(bucket, key): (&Bucket, &Key)| Some(bucket.address(key)).filter(|object| object.starts_with(&below));
        match objects.find_map(is_below) {
            None => Ok(()),
            Some(object) => Err(refused(&below, format_args!("`{object}` below it is read, and others may be there"))
                .with_hint("write another prefix, or read this one as a whole")),
        }
    }
}

/// How a store would give an object: as a file of this machine, where the lake is a folder.
async fn payload_of(bucket: &Bucket, key: &Key) -> Option<GetResultPayload> {
    let options = GetOptions { head: true, ..GetOptions::default() };
    Some(bucket.store().get_opts(key, options).await.ok()?.payload)
}

/// The same with how messages call the object.
async fn addressed(bucket: Bucket, key: Key) -> (String, Option<GetResultPayload>) {
    (bucket.address(&key), payload_of(&bucket, &key).await)
}

/// The folder in which the objects below a prefix lie as files; none where they are none, or there is no object.
async fn folder_of(bucket: &Bucket, prefix: &Key) -> Option<PathBuf> {
    let is_root = prefix.as_ref().is_empty();
    let first = bucket.store().list((!is_root).then_some(prefix)).next().await?.ok()?.location;
    let Some(GetResultPayload::File(_, file)) = payload_of(bucket, &first).await else { return None };
    // Each part of a key is a folder, and the last one the file.
    let below = first.parts().count() - prefix.parts().count();
    fs::canonicalize(file.ancestors().nth(below)?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::existing::tests::folder;
    use super::*;
    use crate::format::{ReadOptions, Source, convert};
    use crate::lake::{BucketName, Lake, LocalLake, MemoryLake};

    #[tokio::test]
    async fn a_prefix_that_is_read_in_part_is_not_replaced() {
        let bucket = MemoryLake::default().create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        let (sink, options) =
            (Sink::Prefix { bucket: bucket.clone(), prefix: "t".into() }, WriteOptions::default().with_overwrite(true));
        let refuse = async |what: &str, key: &str| {
            refuse_objects(&sink, &options, what, std::iter::once((&bucket, &Key::from(key)))).await
        };
        refuse("raw-data/t/", "t/a.csv").await.unwrap();
        refuse("raw-data/tea.csv", "tea.csv").await.unwrap();
        let error = refuse("raw-data/t/a.csv", "t/a.csv").await.unwrap_err();
        assert!(error.reason().unwrap().contains("`raw-data/t/a.csv`"), "{error:?}");
    }

    #[tokio::test]
    async fn objects_are_files_only_where_the_lake_is_a_folder() {
        let folder = folder(&[("lake/raw-data/t/part-0.csv", "a\n1\n"), ("lake/raw-data/u/a.csv", "a\n1\n")]);
        let lake = folder.path().join("lake");
        let (name, options) = (BucketName::new("raw-data").unwrap(), WriteOptions::default().with_overwrite(true));
        let sink = Sink::Folder(lake.join("raw-data/t"));
        let own = LocalLake::new(&lake).bucket(&name).await.unwrap();
        let other = MemoryLake::default().create_bucket(&name).await.unwrap();
        for key in ["t/part-0.csv", "u/a.csv"] {
            other.put(&key.into(), "a\n1\n", Default::default()).await.unwrap();
        }
        let refuse = async |bucket: &Bucket, keys: &[&str]| {
            let keys: Vec<Key> = keys.iter().map(|key| Key::from(*key)).collect();
            refuse_objects(&sink, &options, "raw-data/**", keys.iter().map(|key| (bucket, key))).await
        };
        let error = refuse(&own, &["u/a.csv", "t/part-0.csv"]).await.unwrap_err();
        assert_eq!(error.reason(), Some("`raw-data/t/part-0.csv` is read, and would be lost"));
        refuse(&own, &["u/a.csv"]).await.unwrap();
        refuse(&other, &["u/a.csv", "t/part-0.csv"]).await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_is_read_from_is_not_replaced() {
        let folder = folder(&[("t/k=1/a.csv", ""), ("b.csv", "")]);
        let t = folder.path().join("t");
        let options = WriteOptions::default().with_overwrite(true);
        let refuse =
            async |source: &Path| refuse_sources(&Sink::Folder(t.clone()), &options, [source].into_iter()).await;
        refuse(&folder.path().join("b.csv")).await.unwrap();
        assert!(refuse(&t.join("k=1/a.csv")).await.unwrap_err().reason().unwrap().contains("is read"));
        let link = folder.path().join("link.csv");
        std::os::unix::fs::symlink(t.join("k=1/a.csv"), &link).unwrap();
        refuse(&link).await.unwrap_err();
    }

    #[tokio::test]
    async fn files_of_a_lake_are_not_replaced_by_whatever_name_they_are_read() {
        const READ: &str = "lake/raw-data/t/part-00000.csv";
        let folder = folder(&[
            (READ, "a\n1\n"),
            ("lake/raw-data/t/part-00001.csv", "a\n2\n"),
            ("lake/raw-data/b.csv", "a\n3\n"),
        ]);
        let file = |name: &str| folder.path().join(name);
        let bucket = LocalLake::new(file("lake")).bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        std::os::unix::fs::symlink(file(READ), file("link.csv")).unwrap();
        let source = |name: &str| Source::LocalFile(file(name));
        let object = Source::Object { bucket: bucket.clone(), path: "t/part-00000.csv".into() };
        let prefix = |prefix: &str| Sink::Prefix { bucket: bucket.clone(), prefix: prefix.into() };
        let write = WriteOptions::default().with_format(Some("csv".to_owned())).with_overwrite(true);
        for (source, sink) in [
            (source(READ), prefix("t")),
            (source("link.csv"), prefix("t")),
            (source(READ), Sink::Folder(file("lake/raw-data/t"))),
            (object.again().unwrap(), Sink::Folder(file("lake/raw-data/t"))),
            (object.again().unwrap(), Sink::Folder(file("lake/raw-data"))),
            (object, Sink::Folder(file("lake"))),
        ] {
            let case = format!("{source} into {sink}");
            let error = convert(source, sink, ReadOptions::default(), write.clone()).await.unwrap_err();
            assert!(error.reason().unwrap().ends_with("is read, and would be lost"), "{case}: {error:?}");
            for (name, text) in [(READ, "a\n1\n"), ("lake/raw-data/t/part-00001.csv", "a\n2\n")] {
                assert_eq!(fs::read_to_string(file(name)).unwrap(), text, "{case}");
            }
        }
        convert(source("lake/raw-data/b.csv"), prefix("t"), ReadOptions::default(), write).await.unwrap();
        assert!(!file(READ).exists());
    }
}
