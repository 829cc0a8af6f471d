//! `convert`: one table from one format and place to another.

use datalake_core::format::{self, Files, Sink, Source, WriteOptions};
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
    if let Some(name) = &arguments.source_column {
        read = read.with_source_column(Some(name.clone()));
    }
    let mut write = WriteOptions::default()
        .with_format(arguments.to.clone())
        .with_partition_by(arguments.partition_by.clone())
        .with_max_rows_per_file(arguments.max_rows_per_file)
        .with_overwrite(arguments.overwrite);
    if let Some(name) = &arguments.compression {
        write = write.with_compression_of_name(name)?;
    }
    let to: Location = arguments.destination.parse()?;
    let files = Files::named(&arguments.source, || tools.lake()).await?;
    let done = match files {
        Some(files) => format::convert_many(files, sink(&to, &write, tools).await?, read, write).await,
        None => {
            let source = source(&arguments.source.parse()?, tools).await?;
            format::convert(source, sink(&to, &write, tools).await?, read, write).await
        }
    };
    let done = match done {
        Ok(done) => done,
        Err(error) => return Err(told(error, keep_rejects(&quarantine, &to, "convert", || tools.lake()).await?)),
    };
    for note in &done.notes {
        tools.printer.say(note);
    }
    let kept = keep_rejects(&quarantine, &to, "convert", || tools.lake()).await?;
    if tools.printer.is_json() && to != Location::Stdio {
        let mut document = serde_json::json!({ "written": done.written, "balance": done.balance, "quarantine": kept });
        if !done.files.is_empty() {
            document["files"] = serde_json::json!(done.files);
        }
        return tools.printer.document(&document);
    }
    let place = kept.map(|place| format!(" ({place})")).unwrap_or_default();
    tools.printer.say(&format!(
        "{} records seen = {} written + {} quarantined{place}",
        done.balance.seen, done.balance.written, done.balance.quarantined
    ));
    if !done.files.is_empty() {
        tools.printer.say(&format!("{} files in {to}", done.files.len()));
    }
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
pub(crate) async fn sink(location: &Location, options: &WriteOptions, tools: &Tools) -> Result<Sink> {
    Ok(match location {
        Location::Object { bucket, key } => {
            Sink::Object { bucket: tools.lake()?.bucket(bucket).await?, path: key.clone() }
        }
        Location::Local(path) => Sink::local(path.clone(), options),
        Location::Prefix { bucket, prefix } => {
            Sink::Prefix { bucket: tools.lake()?.bucket(bucket).await?, prefix: prefix.clone() }
        }
        Location::Stdio => Sink::Stream { name: "stdout".to_owned(), writer: Box::pin(tokio::io::stdout()) },
    })
}

fn prefix(location: &Location) -> Error {
    Error::invalid("use", location)
        .with_reason("it names a prefix, and one object is needed")
        .with_hint("name the object: `lake://bucket/key.parquet`")
}
