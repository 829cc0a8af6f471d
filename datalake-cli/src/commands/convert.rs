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
    let done = format::convert(source, sink, read, write).await?;
    for note in &done.notes {
        tools.printer.say(note);
    }
    let kept = keep(&quarantine, &to, tools).await?;
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

/// Keeps what was quarantined: in the lake for a lake object, beside a local file otherwise.
pub(crate) async fn keep(quarantine: &Arc<Quarantine>, to: &Location, tools: &Tools) -> Result<Option<String>> {
    if quarantine.counts().is_empty() {
        return Ok(None);
    }
    match to {
        Location::Object { .. } | Location::Prefix { .. } => {
            let lake: Arc<dyn Lake> = tools.lake()?;
            let bucket = ensure_bucket(lake.as_ref(), &BucketName::new(RUNS_BUCKET)?).await?;
            let key = format!("_quarantine/{}/convert.ndjson", RunId::now()).into();
            quarantine.finish(&bucket, &key).await?;
            Ok(Some(bucket.address(&key)))
        }
        Location::Local(path) => beside(quarantine, path).await.map(Some),
        Location::Stdio => beside(quarantine, Path::new("stdout")).await.map(Some),
    }
}

/// `DESTINATION.run/quarantine.ndjson`.
async fn beside(quarantine: &Quarantine, path: &Path) -> Result<String> {
    let mut folder = path.as_os_str().to_owned();
    folder.push(".run");
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).map_err(|cause| Error::io("make the folder", folder.display(), cause))?;
    let file = folder.join("quarantine.ndjson");
    quarantine.finish_to(Sink::LocalFile(file.clone())).await?;
    Ok(file.display().to_string())
}
