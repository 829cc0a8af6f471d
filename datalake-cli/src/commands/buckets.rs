//! `mb`, `rb`, `ls`, `cp`, `rm`, `cat`: buckets and objects by hand.

use chrono::{DateTime, Utc};
use datalake_core::lake::{self, BucketName, Location, ObjectPattern, parse_object, store_error};
use datalake_core::{Bucket, Error, ErrorKind, Lake, Result};
use futures::TryStreamExt;
use object_store::ObjectMeta;
use serde::Serialize;

use crate::commands::Tools;
use crate::output::size;

/// Makes a bucket.
pub(crate) async fn make(bucket: &str, tools: &Tools) -> Result<()> {
    tools.lake()?.create_bucket(&BucketName::new(bucket)?).await?;
    tools.printer.say(&format!("made bucket {bucket}"));
    Ok(())
}

/// Removes an empty bucket.
pub(crate) async fn remove(bucket: &str, tools: &Tools) -> Result<()> {
    tools.lake()?.delete_bucket(&BucketName::new(bucket)?).await?;
    tools.printer.say(&format!("removed bucket {bucket}"));
    Ok(())
}

#[derive(Debug, Serialize)]
struct BucketLine {
    bucket: String,
    created: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
struct ObjectLine {
    object: String,
    size: u64,
    modified: DateTime<Utc>,
}

/// Lists buckets, or the objects below a prefix.
pub(crate) async fn list(path: Option<&str>, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let Some(path) = path else {
        let buckets = lake.buckets().await?.into_iter();
        let lines: Vec<BucketLine> =
            buckets.map(|info| BucketLine { bucket: info.name.to_string(), created: info.created }).collect();
        if lines.is_empty() {
            tools.progress.note(&format!("there is no bucket in {lake}"));
        }
        return tools.printer.rows(&["bucket", "created"], &lines, |line| {
            vec![line.bucket.clone(), line.created.map(moment).unwrap_or_default()]
        });
    };
    let path = path.strip_prefix("lake://").unwrap_or(path);
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let bucket = lake.bucket(&BucketName::new(bucket)?).await?;
    let objects = bucket.list(None).await?;
    let lines: Vec<ObjectLine> = objects
        .iter()
        .filter(|object| object.location.as_ref().starts_with(prefix))
        .map(|object| ObjectLine {
            object: bucket.address(&object.location),
            size: object.size,
            modified: object.last_modified,
        })
        .collect();
    tools.printer.rows(&["object", "size", "modified"], &lines, |line| {
        vec![line.object.clone(), size(line.size), moment(line.modified)]
    })
}

fn moment(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Copies objects and files, either way.
pub(crate) async fn copy(from: &str, to: &str, tools: &Tools) -> Result<()> {
    let (from, to): (Location, Location) = (from.parse()?, to.parse()?);
    let lake = tools.lake()?;
    let copied = lake::copy(lake.as_ref(), &from, &to).await?;
    let objects = if copied.objects == 1 { "1 object".to_owned() } else { format!("{} objects", copied.objects) };
    tools.printer.say(&format!("copied {objects}, {}", size(copied.bytes)));
    Ok(())
}

/// Removes objects.
pub(crate) async fn delete(path: &str, recursive: bool, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let path = path.strip_prefix("lake://").unwrap_or(path);
    let found: Vec<(Bucket, ObjectMeta)> = if recursive {
        below(lake.as_ref(), path).await?
    } else {
        if path.ends_with('/') {
            return Err(Error::invalid("remove", path)
                .with_reason("it names a prefix, not an object")
                .with_hint("add `--recursive` to remove all below it"));
        }
        if !path.contains('/') {
            return Err(whole_bucket(path));
        }
        path.parse::<ObjectPattern>()?.matches(lake.as_ref()).await?
    };
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "remove", path).with_reason("there is no such object"));
    }
    for (bucket, object) in &found {
        bucket.delete(&object.location).await?;
    }
    tools.printer.say(&format!("removed {} objects", found.len()));
    Ok(())
}

fn whole_bucket(bucket: &str) -> Error {
    Error::invalid("remove", bucket)
        .with_reason("it names the whole bucket")
        .with_hint(format_args!("if that is meant: `datalake rm '{bucket}/**'`"))
}

/// All objects below a prefix, which must not be the whole bucket.
async fn below(lake: &dyn Lake, path: &str) -> Result<Vec<(Bucket, ObjectMeta)>> {
    let location = format!("lake://{}/", path.strip_suffix('/').unwrap_or(path)).parse()?;
    let Location::Prefix { bucket, prefix } = location else {
        return Err(Error::invalid("remove", path).with_reason("it is no prefix"));
    };
    if prefix.as_ref().is_empty() {
        return Err(whole_bucket(bucket.as_str()));
    }
    let bucket = lake.bucket(&bucket).await?;
    let objects = bucket.list(Some(&prefix)).await?;
    Ok(objects.into_iter().map(|object| (bucket.clone(), object)).collect())
}

/// Prints an object as it is.
pub(crate) async fn print(path: &str, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let (bucket, key) = parse_object(path.strip_prefix("lake://").unwrap_or(path))?;
    let bucket = lake.bucket(&bucket).await?;
    let failed = |cause| store_error("read", bucket.address(&key), cause);
    let object = bucket.store().get_opts(&key, Default::default()).await.map_err(failed)?;
    let mut chunks = object.into_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
        tools.printer.bytes(&chunk)?;
    }
    Ok(())
}
