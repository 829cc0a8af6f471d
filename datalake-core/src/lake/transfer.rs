//! Copies between places: lake, this machine, stdin and stdout; streamed, whole or not at all.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path as FilePath, PathBuf};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use walkdir::WalkDir;

use super::location::parse_key;
use super::{AtomicFile, Bucket, Lake, Location, ObjectWriter, store_error};
use crate::error::{Error, ErrorKind, Result, kind_of_io};

/// How much is read from a file or from stdin at a time.
const CHUNK: usize = 1024 * 1024;

/// What a copy did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Objects or files written.
    pub objects: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// A single thing to copy.
#[derive(Debug, Clone)]
enum Item {
    Object(Bucket, Path),
    File(PathBuf),
    Stdio,
}

/// Where the bytes of an item go.
enum Target {
    Object(ObjectWriter),
    File(AtomicFile),
    Stdout(u64),
}

/// Copies a file, an object or stdin to a file, an object or stdout; or, where the source is a folder or a prefix
/// (`lake://bucket/foods/`), all that is below it, under the same names.
///
/// A single thing copied to a folder or prefix keeps its name. What is there is replaced. Each object or file appears
/// whole or not at all, in the order of the names; after an error, those before it are in place. Private names
/// (beginning with `_`) are copied like all others. A Tokio runtime is needed.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the source or the destination's bucket is not there; [`ErrorKind::Invalid`] if many
/// things would go to one place; what lake and operating system say otherwise.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use datalake_core::lake::{BucketName, Lake, MemoryLake, copy};
///
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let file = folder.path().join("a.csv");
/// # std::fs::write(&file, "name,kcal\n").expect("a file");
/// # let file = file.to_str().expect("a path in UTF-8");
/// let lake = MemoryLake::default();
/// let bucket = lake.create_bucket(&BucketName::new("raw-data")?).await?;
/// copy(&lake, &file.parse()?, &"lake://raw-data/foods/".parse()?).await?;
/// assert_eq!(bucket.get(&"foods/a.csv".into()).await?, "name,kcal\n");
/// # Ok(())
/// # }
/// ```
pub async fn copy(lake: &dyn Lake, from: &Location, to: &Location) -> Result<Copied> {
    match from {
        Location::Object { bucket, key } => {
            copy_one(lake, &Item::Object(lake.bucket(bucket).await?, key.clone()), to).await
        }
        Location::Prefix { bucket, prefix } => copy_prefix(lake, &lake.bucket(bucket).await?, prefix, to).await,
        Location::Local(path) if path.is_dir() => copy_folder(lake, path, to).await,
        Location::Local(path) => copy_one(lake, &Item::File(path.clone()), to).await,
        Location::Stdio => copy_one(lake, &Item::Stdio, to).await,
    }
}

async fn copy_one(lake: &dyn Lake, item: &Item, to: &Location) -> Result<Copied> {
    match to {
        Location::Object { bucket, key } => copy_item(item, Target::object(&lake.bucket(bucket).await?, key)).await,
        Location::Local(path) if names_a_folder(path) => copy_below(lake, item, &item.name(to)?, to).await,
        Location::Local(path) => {
            let source = item.open().await?;
            pour(source, Target::file(path).await?).await
        }
        Location::Prefix { .. } => copy_below(lake, item, &item.name(to)?, to).await,
        Location::Stdio => copy_item(item, Target::Stdout(0)).await,
    }
}

async fn copy_prefix(lake: &dyn Lake, bucket: &Bucket, prefix: &Path, to: &Location) -> Result<Copied> {
    let objects = bucket.list(Some(prefix)).await?;
    if objects.is_empty() {
        return Err(Error::not_found("copy", bucket.address(prefix)).with_reason("there is nothing below it"));
    }
    let mut copied = Copied::default();
    for meta in objects {
        let below = meta.location.as_ref()[prefix.as_ref().len()..].trim_start_matches('/').to_owned();
        copied += copy_below(lake, &Item::Object(bucket.clone(), meta.location), &below, to).await?;
    }
    Ok(copied)
}

async fn copy_folder(lake: &dyn Lake, folder: &FilePath, to: &Location) -> Result<Copied> {
    let files = files_below(folder)?;
    if files.is_empty() {
        return Err(Error::not_found("copy", folder.display()).with_reason("there is no file below it"));
    }
    let mut copied = Copied::default();
    for (below, path) in files {
        copied += copy_below(lake, &Item::File(path), &below, to).await?;
    }
    Ok(copied)
}

/// Copies an item to a name below a folder or prefix.
async fn copy_below(lake: &dyn Lake, item: &Item, name: &str, to: &Location) -> Result<Copied> {
    match to {
        Location::Prefix { bucket, prefix } => {
            let key = match prefix.as_ref() {
                "" => name.to_owned(),
                prefix => format!("{prefix}/{name}"),
            };
            let key = parse_key(&key, &format!("{bucket}/{key}"))?;
            copy_item(item, Target::object(&lake.bucket(bucket).await?, &key)).await
        }
        Location::Local(folder) => {
            let path = folder.join(name);
            let source = item.open().await?;
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|cause| Error::io("create", parent.display(), cause))?;
            }
            pour(source, Target::file(&path).await?).await
        }
        Location::Object { .. } | Location::Stdio => Err(Error::invalid("copy", format_args!("many things to `{to}`"))
            .with_reason("it is a single place")
            .with_hint("end the destination with `/`")),
    }
}

async fn copy_item(item: &Item, target: Target) -> Result<Copied> {
    pour(item.open().await?, target).await
}

async fn pour(mut source: BoxStream<'static, Result<Bytes>>, mut target: Target) -> Result<Copied> {
    while let Some(bytes) = source.next().await {
        let done = match bytes {
            Ok(bytes) => target.write(bytes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            target.abort().await;
            return Err(error);
        }
    }
    Ok(Copied { objects: 1, bytes: target.finish().await? })
}

impl std::ops::AddAssign for Copied {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

impl Item {
    /// The name that it keeps in another folder.
    fn name(&self, to: &Location) -> Result<String> {
        let name = match self {
            Self::Object(_, key) => key.filename().map(ToOwned::to_owned),
            Self::File(path) => path.file_name().and_then(|name| name.to_str()).map(ToOwned::to_owned),
            Self::Stdio => None,
        };
        name.ok_or_else(|| {
            Error::invalid("copy", format_args!("to `{to}`"))
                .with_reason("the source has no name to keep")
                .with_hint("name the object or file that it is to become")
        })
    }

    async fn open(&self) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self {
            Self::Object(bucket, key) => {
                let subject = bucket.address(key);
                let found = bucket.store().get(key).await.map_err(|cause| store_error("read", &subject, cause))?;
                Ok(found.into_stream().map_err(move |cause| store_error("read", &subject, cause)).boxed())
            }
            Self::File(path) => {
                let subject = path.display().to_string();
                let file = fs::File::open(path).and_then(|file| file.metadata().map(|found| (file, found)));
                match file.map_err(|cause| Error::io("read", &subject, cause))? {
                    (_, found) if found.is_dir() => Err(Error::invalid("read", subject).with_reason("it is a folder")),
                    (file, _) => Ok(chunks(file, subject)),
                }
            }
            Self::Stdio => Ok(chunks(io::stdin(), "stdin".to_owned())),
        }
    }
}

impl Target {
    fn object(bucket: &Bucket, key: &Path) -> Self {
        Self::Object(bucket.writer(key))
    }

    async fn file(path: &FilePath) -> Result<Self> {
        AtomicFile::create(path).await.map(Self::File)
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match self {
            Self::Object(writer) => writer.write(bytes).await,
            Self::File(file) => file.write(bytes).await,
            Self::Stdout(written) => {
                *written += bytes.len() as u64;
                blocking(move || print(&bytes)).await
            }
        }
    }

    async fn finish(self) -> Result<u64> {
        match self {
            Self::Object(writer) => Ok(writer.finish().await?.bytes),
            Self::File(file) => file.finish().await,
            Self::Stdout(written) => Ok(written),
        }
    }

    async fn abort(self) {
        if let Self::Object(writer) = self {
            // The first error is the one to tell; a sweep removes what stays.
            let _ = writer.abort().await;
        }
    }
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|cause| Error::io("write", "stdout", cause))
}

fn names_a_folder(path: &FilePath) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

/// The files below a folder, by their path in it, sorted. Links are followed; one that leads nowhere or back, and what
/// is neither file nor folder, is an error rather than left out.
fn files_below(folder: &FilePath) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true) {
        let entry = entry.map_err(|cause| {
            let subject = cause.path().unwrap_or(folder).display().to_string();
            let kind = cause.io_error().map_or(ErrorKind::Invalid, kind_of_io);
            Error::new(kind, "copy", subject).with_source(cause)
        })?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            return Err(Error::invalid("copy", path.display()).with_reason("it is neither a file nor a folder"));
        }
        let below = path.strip_prefix(folder).unwrap_or(path).to_str();
        let below = below.ok_or_else(|| Error::invalid("copy", path.display()).with_reason("its name is not UTF-8"))?;
        files.push((below.to_owned(), path.to_owned()));
    }
    files.sort();
    Ok(files)
}

/// What a reader gives, chunk by chunk, read beside the async threads.
fn chunks(reader: impl Read + Send + 'static, subject: String) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold((reader, subject), |(mut reader, subject)| {
        blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK);
            let length = reader.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
            match length.map_err(|cause| Error::io("read", &subject, cause))? {
                0 => Ok(None),
                _ => Ok(Some((Bytes::from(chunk), (reader, subject)))),
            }
        })
    })
    .boxed()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(cause) => Err(Error::new(ErrorKind::Cancelled, "finish", "a copy").with_source(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BucketName, MemoryLake};
    use super::*;

    async fn lake(keys: &[&str]) -> (MemoryLake, Bucket) {
        let lake = MemoryLake::default();
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        for key in keys {
            bucket.put(&Path::parse(key).unwrap(), (*key).to_owned(), Default::default()).await.unwrap();
        }
        (lake, bucket)
    }

    async fn cp(lake: &MemoryLake, from: &str, to: &str) -> Result<Copied> {
        copy(lake, &from.parse()?, &to.parse()?).await
    }

    async fn keys(bucket: &Bucket) -> Vec<String> {
        bucket.list(None).await.unwrap().into_iter().map(|meta| meta.location.to_string()).collect()
    }

    #[tokio::test]
    async fn a_prefix_comes_down_and_goes_up_again() {
        let names = ["foods/a b.csv", "foods/deep/c%.csv", "foods/deep/d"];
        let (down, _) = lake(&[&names[..], &["other"]].concat()).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out").display().to_string();
        let copied = cp(&down, "lake://raw-data/foods/", &path).await.unwrap();
        assert_eq!(copied, Copied { objects: 3, bytes: 42 });
        let (up, bucket) = lake(&[]).await;
        assert_eq!(cp(&up, &path, "lake://raw-data/foods/").await.unwrap(), copied);
        assert_eq!(keys(&bucket).await, names);
        assert_eq!(bucket.get(&Path::parse(names[1]).unwrap()).await.unwrap(), names[1]);
    }

    #[tokio::test]
    async fn one_thing_keeps_its_name_in_a_folder() {
        let (lake, bucket) = lake(&["foods/a.csv"]).await;
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display();
        cp(&lake, "lake://raw-data/foods/a.csv", &out.to_string()).await.unwrap();
        cp(&lake, "lake://raw-data/foods/a.csv", &format!("{out}/new/")).await.unwrap();
        cp(&lake, &format!("{out}/new/a.csv"), "lake://raw-data/").await.unwrap();
        cp(&lake, "lake://raw-data/a.csv", "lake://raw-data/b.csv").await.unwrap();
        assert_eq!(keys(&bucket).await, ["a.csv", "b.csv", "foods/a.csv"]);
        assert_eq!(fs::read_to_string(folder.path().join("a.csv")).unwrap(), "foods/a.csv");
    }

    #[tokio::test]
    async fn a_large_file_arrives_as_it_was() {
        let (lake, bucket) = lake(&[]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let content: Vec<u8> = (0..20_000_000_u32).map(|index| (index / 777) as u8).collect();
        fs::write(&path, &content).unwrap();
        let copied = cp(&lake, &path.display().to_string(), "lake://raw-data/large").await.unwrap();
        assert_eq!(copied.bytes, 20_000_000);
        assert!(bucket.get(&"large".into()).await.unwrap() == content);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_followed_and_none_is_left_out() {
        use std::os::unix::fs::symlink;
        let (lake, bucket) = lake(&[]).await;
        let folder = tempfile::tempdir().unwrap();
        let (below, path) = (folder.path().join("in/deep"), folder.path().join("in").display().to_string());
        fs::create_dir_all(&below).unwrap();
        assert_eq!(cp(&lake, &path, "lake://raw-data/").await.unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(below.join("a"), "x").unwrap();
        symlink(&below, folder.path().join("in/also")).unwrap();
        cp(&lake, &path, "lake://raw-data/").await.unwrap();
        assert_eq!(keys(&bucket).await, ["also/a", "deep/a"]);
        symlink("nowhere", below.join("b")).unwrap();
        let error = cp(&lake, &path, "lake://raw-data/again/").await.unwrap_err();
        assert!(error.kind() == ErrorKind::NotFound && error.subject().ends_with("/b"), "{error}");
        fs::remove_file(below.join("b")).unwrap();
        symlink(&below, below.join("circle")).unwrap();
        let error = cp(&lake, &path, "lake://raw-data/again/").await.unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.subject().ends_with("/circle"), "{error}");
        assert_eq!(keys(&bucket).await.len(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_copied_leaves_no_trace() {
        let (lake, bucket) = lake(&["foods/a.csv", "foods/b.csv"]).await;
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out").display().to_string();
        let kind = async |from: &str, to: &str| cp(&lake, from, to).await.unwrap_err().kind();
        assert_eq!(kind("lake://raw-data/no", &out).await, ErrorKind::NotFound);
        assert_eq!(kind("lake://raw-data/no/", &out).await, ErrorKind::NotFound);
        assert_eq!(kind("lake://no-bucket/a", &out).await, ErrorKind::NotFound);
        assert_eq!(kind(&out, "lake://raw-data/out").await, ErrorKind::NotFound);
        assert_eq!(kind("lake://raw-data/foods/", "lake://raw-data/one").await, ErrorKind::Invalid);
        assert_eq!(kind("-", "lake://raw-data/").await, ErrorKind::Invalid);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(keys(&bucket).await.len(), 2);
    }
}
