//! `convert`: one table from one format and place to another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datalake_core::format::{self, Quarantine, Sink, Source, WriteOptions};
use datalake_core::lake::BucketName;
use datalake_core::lake::Location;
use datalake_core::pipeline::{RUNS_BUCKET, RunId, ensure_bucket};
use datalake_core::{Error, Lake, Result};

use crate::cli::Convert;
use crate::commands::{Tools, reading};

/// Converts one table.
pub(crate) async fn convert(arguments: Convert, tools: &Tools) -> Result<()> {
    let (mut read, quarantine) = reading::options(&arguments.reading)?;
    if !arguments.select.is_empty() {
        read = read.with_columns(Some(arguments.select.clone()));
    }
    let write = WriteOptions::default().with_format(arguments.to.clone());
    let (from, to): (Location, Location) = (arguments.source.parse()?, arguments.destination.parse()?);
    let source = source(&from, tools).await?;
    let sink = sink(&to, tools).await?;
    let done = match format::convert(source, sink, read, write).await {
        Ok(done) => done,
        Err(error) => return Err(told(error, keep(&quarantine, &to, "convert", tools).await?)),
    };
    for note in &done.notes {
        tools.printer.say(note);
    }
    let kept = keep(&quarantine, &to, "convert", tools).await?;
    if tools.printer.is_json() && to != Location::Stdio {
        let document = serde_json::json!({ "written": done.written, "balance": done.balance, "quarantine": kept });
        return tools.printer.document(&document);
    }
    let place = kept.map(|place| format!(" ({place})")).unwrap_or_default();
    tools.printer.say(&format!(
        "{} records seen = {} written + {} quarantined{place}",
        done.balance.seen, done.balance.written, done.balance.quarantined
    ));
    Ok(())
}

/// An error that tells where the records rejected until then are.
pub(crate) fn told(error: Error, kept: Option<String>) -> Error {
    match kept {
        Some(place) => error.with_hint(format_args!("the records rejected so far, with reasons, are in {place}")),
        None => error,
    }
}

/// Where a table comes from.
pub(crate) async fn source(location: &Location, tools: &Tools) -> Result<Source> {
    Ok(match location {
        Location::Object { bucket, key } => {
            Source::Object { bucket: tools.lake()?.bucket(bucket).await?, path: key.clone() }
        }
        Location::Local(path) => Source::LocalFile(path.clone()),
        Location::Prefix { .. } => return Err(prefix(location)),
        Location::Stdio => Source::Stream { name: "stdin".to_owned(), reader: Box::pin(tokio::io::stdin()) },
    })
}

/// Where a table goes.
pub(crate) async fn sink(location: &Location, tools: &Tools) -> Result<Sink> {
    Ok(match location {
        Location::Object { bucket, key } => {
            Sink::Object { bucket: tools.lake()?.bucket(bucket).await?, path: key.clone() }
        }
        Location::Local(path) => Sink::LocalFile(path.clone()),
        Location::Prefix { .. } => return Err(prefix(location)),
        Location::Stdio => Sink::Stream { name: "stdout".to_owned(), writer: Box::pin(tokio::io::stdout()) },
    })
}

fn prefix(location: &Location) -> Error {
    Error::invalid("use", location)
        .with_reason("it names a prefix, and one object is needed")
        .with_hint("name the object: `lake://bucket/key.parquet`")
}

/// Keeps what was quarantined: in the lake for a lake object, beside a local file otherwise. What an earlier conversion
/// left beside the same file goes.
pub(crate) async fn keep(
    quarantine: &Arc<Quarantine>,
    to: &Location,
    command: &str,
    tools: &Tools,
) -> Result<Option<String>> {
    let empty = quarantine.counts().is_empty();
    match to {
        Location::Object { .. } | Location::Prefix { .. } if empty => Ok(None),
        Location::Object { .. } | Location::Prefix { .. } => {
            let lake: Arc<dyn Lake> = tools.lake()?;
            let bucket = ensure_bucket(lake.as_ref(), &BucketName::new(RUNS_BUCKET)?).await?;
            let key = format!("_quarantine/{}/{command}.ndjson", RunId::now()).into();
            quarantine.finish(&bucket, &key).await?;
            Ok(Some(bucket.address(&key)))
        }
        Location::Local(path) => beside(quarantine, path, empty).await,
        Location::Stdio => beside(quarantine, Path::new("stdout"), empty).await,
    }
}

/// `DESTINATION.run/quarantine.ndjson`.
async fn beside(quarantine: &Quarantine, path: &Path, empty: bool) -> Result<Option<String>> {
    let mut folder = path.as_os_str().to_owned();
    folder.push(".run");
    let folder = PathBuf::from(folder);
    let file = folder.join("quarantine.ndjson");
    if empty {
        return forget(&folder, &file).map(|()| None);
    }
    std::fs::create_dir_all(&folder).map_err(|cause| Error::io("make the folder", folder.display(), cause))?;
    quarantine.finish_to(Sink::LocalFile(file.clone())).await?;
    Ok(Some(file.display().to_string()))
}

/// Removes the quarantine of an earlier conversion into the same file.
fn forget(folder: &Path, file: &Path) -> Result<()> {
    use std::io::ErrorKind as Io;
    match std::fs::remove_file(file) {
        Ok(()) => {
            // What else is in the folder is not ours, and a reason to leave it.
            let _ = std::fs::remove_dir(folder);
            Ok(())
        }
        Err(cause) if matches!(cause.kind(), Io::NotFound | Io::NotADirectory) => Ok(()),
        Err(cause) => Err(Error::io("remove", file.display(), cause)),
    }
}
