//! `convert`: one table from one format and place to another.

use datalake_core::format::{self, Sink, Source, WriteOptions};
use datalake_core::lake::Location;
use datalake_core::pipeline::{keep_rejects, told};
use datalake_core::{Error, Result};

use crate::cli::Convert;
use crate::commands::{Tools, reading};

/// Converts one table.
pub(crate) async fn convert(arguments: Convert, tools: &Tools) -> Result<()> {
    let (mut read, quarantine) = reading::options(&arguments.reading)?;
    if !arguments.select.is_empty() {
        read = read.with_columns(Some(arguments.select.clone()));
    }
    let mut write = reading::written(WriteOptions::default(), &arguments.writing)?.with_format(arguments.to.clone());
    if let Some(name) = &arguments.compression {
        write = write.with_compression_of_name(name)?;
    }
    let (from, to): (Location, Location) = (arguments.source.parse()?, arguments.destination.parse()?);
    let source = source(&from, tools).await?;
    let sink = sink(&to, tools).await?;
    let done = match format::convert(source, sink, read, write).await {
        Ok(done) => done,
        Err(error) => return Err(told(error, keep_rejects(&quarantine, &to, "convert", || tools.lake()).await?)),
    };
    for note in &done.notes {
        tools.printer.say(note);
    }
    let kept = keep_rejects(&quarantine, &to, "convert", || tools.lake()).await?;
    if tools.printer.is_json() && to != Location::Stdio {
        let document = serde_json::json!({
            "written": done.written,
            "balance": done.balance,
            "nulled": quarantine.nulled_columns(),
            "quarantine": kept,
            "dialect": done.dialect,
        });
        return tools.printer.document(&document);
    }
    let place = kept.map(|place| format!(" ({place})")).unwrap_or_default();
    let nulled = match done.balance.nulled {
        0 => String::new(),
        1 => "; 1 value became null".to_owned(),
        values => format!("; {values} values became null"),
    };
    tools.printer.say(&format!(
        "{} records seen = {} written + {} quarantined{place}{nulled}",
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
