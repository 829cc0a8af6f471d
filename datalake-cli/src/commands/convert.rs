//! `convert`: one table from one format and place to another.

use std::path::Path;

use datalake_core::format::{Files, Sink, Source, WriteOptions};
use datalake_core::lake::{Location, meant};
use datalake_core::pipeline::{ConversionOrder, Done, Tables, carry_out};
use datalake_core::quantity::size;
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
    let mut write = reading::written(WriteOptions::default(), &arguments.writing)?
        .with_format(arguments.to.clone())
        .with_partition_by(arguments.partition_by)
        .with_max_rows_per_file(arguments.max_rows_per_file)
        .with_overwrite(arguments.overwrite)
        .with_bloom_filters(arguments.bloom_filter)
        .with_exact(arguments.exact);
    if let Some(name) = &arguments.compression {
        write = write.with_compression_of_name(name)?;
    }
    if let Some(memory) = &arguments.memory {
        let memory = Some(size(memory)?);
        (read, write) = (read.with_memory(memory), write.with_memory(memory));
    }
    let to: Location = arguments.destination.parse()?;
    let tables = match Files::named(&arguments.source, || tools.lake()).await? {
        Some(files) => Tables::Many(files),
        None => Tables::One(source(&arguments.source.parse()?, tools).await?),
    };
    let order = ConversionOrder {
        source: (tables, arguments.source),
        sink: sink(&to, &write, tools).await?,
        destination: to.clone(),
        read,
        write,
    };
    let done = carry_out(order, &quarantine, || tools.lake()).await?;
    let Done { converted, quarantine: kept, run, .. } = done;
    for note in &converted.notes {
        tools.printer.say(note);
    }
    if tools.printer.is_json() && to != Location::Stdio {
        let mut document = serde_json::json!({
            "written": converted.written,
            "balance": converted.balance,
            "nulled": quarantine.nulled_columns(),
            "rows_digest": converted.rows_digest,
            "quarantine": kept,
            "dialect": converted.dialect,
            "run": run,
        });
        if !converted.files.is_empty() {
            document["files"] = serde_json::json!(converted.files);
        }
        return tools.printer.document(&document);
    }
    let place = kept.map(|place| format!(" ({place})")).unwrap_or_default();
    let nulled = match converted.balance.nulled {
        0 => String::new(),
        1 => "; 1 value became null".to_owned(),
        values => format!("; {values} values became null"),
    };
    let run = run.map(|run| format!("; run {run}")).unwrap_or_default();
    tools.printer.say(&format!(
        "{} records seen = {} written + {} quarantined{place}{nulled}{run}",
        converted.balance.seen, converted.balance.written, converted.balance.quarantined
    ));
    if let Some(digest) = converted.rows_digest {
        tools.printer.say(&format!("exact: the rows read and those written have the digest {digest}"));
    }
    if !converted.files.is_empty() {
        let plural = if converted.files.len() == 1 { "" } else { "s" };
        tools.printer.say(&format!("{} file{plural} in {to}", converted.files.len()));
    }
    Ok(())
}

/// Where a table comes from.
pub(crate) async fn source(location: &Location, tools: &Tools) -> Result<Source> {
    Ok(match location {
        Location::Object { bucket, key } => {
            Source::Object { bucket: tools.lake()?.bucket(bucket).await?, path: key.clone() }
        }
        Location::Local(path) if is_missing(path) => {
            let error = Error::not_found("open", path.display()).with_reason("there is no such file");
            let hint = meant(&path.to_string_lossy(), || tools.lake()).await;
            return Err(match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            });
        }
        Location::Local(path) => Source::LocalFile(path.clone()),
        Location::Prefix { .. } => return Err(prefix(location)),
        Location::Stdio => Source::Stream { name: "stdin".to_owned(), reader: Box::pin(tokio::io::stdin()) },
    })
}

/// Whether nothing is there; that it cannot be looked at is for the reader to say.
fn is_missing(path: &Path) -> bool {
    path.try_exists().is_ok_and(|exists| !exists)
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
