//! Tables with the rows that were brought back to them, yet to be made visible.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use object_store::path::Path;

use super::conversion::Conversion;
use super::once_more::memory;
use super::replay::plain;
use super::written_table::WrittenTable;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    self, Batches, Conformer, Format, Input, Output, ReadOptions, Sink, Source, TableDraft, WriteOptions, Written,
};

/// A table with the rows that were brought back, yet to be made visible.
pub(super) enum Draft {
    One(Output),
    Many(TableDraft),
}

impl Draft {
    pub(super) async fn publish(self) -> Result<()> {
        match self {
            Self::One(output) => output.finish().await.map(drop),
            // Objects that could not be removed are those of a table that is replaced, and here none is.
            Self::Many(draft) => draft.publish().await.map(drop),
        }
    }

    pub(super) async fn abandon(self) {
        if let Self::Many(draft) = self {
            draft.abandon().await;
        }
    }
}

/// Writes a table with rows behind its own. It appears when the draft is published; what is written of it says the whole.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a table that cannot be added to; [`ErrorKind::Invalid`] for rows with other columns; those of
/// reader, writer and lake.
pub(super) async fn with_rows(table: WrittenTable, new: Batches, conversion: &Conversion) -> Result<(Written, Draft)> {
    let sink = table.sink()?;
    match table {
        WrittenTable::One(table) if conversion.format == "parquet" => rewritten(table, sink, new, conversion).await,
        WrittenTable::One(table) => appended(&table, sink, new, conversion).await,
        WrittenTable::Many(_) => added(sink, new, conversion).await,
    }
}

/// Adds files with the rows to a table of several, whose own files stay as they are.
async fn added(sink: Sink, new: Batches, conversion: &Conversion) -> Result<(Written, Draft)> {
    let format = format::for_sink(&sink, &conversion.write)?;
    let draft = format::add(sink, new, format, &conversion.write).await?;
    Ok((draft.written(), Draft::Many(draft)))
}

/// Writes a Parquet table anew, with the rows that were brought back behind its own; it is yet to be made visible.
async fn rewritten(table: Source, sink: Sink, new: Batches, conversion: &Conversion) -> Result<(Written, Draft)> {
    let name = sink.to_string();
    let old = format::Parquet.read(table, ReadOptions::default()).await?;
    let (schema, tally) = (Arc::clone(new.schema()), Arc::clone(old.tally()));
    let names = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<BTreeSet<_>>();
    let (had, wanted) = (names(old.schema()), names(&schema));
    if let Some(other) = had.symmetric_difference(&wanted).next() {
        let who = if had.contains(other) { "the table has" } else { "the table does not have" };
        return Err(Error::invalid("replay", &name)
            .with_reason(format_args!("the schema and the table must have the same columns; {who} `{other}`"))
            .with_hint("declare all columns of the table, or convert the whole source with the schema"));
    }
    let conformer = Conformer::new(old.schema(), &plain(&schema))?;
    let old = old.map(move |batch| {
        let conformed = conformer.apply(&batch?)?;
        match conformed.faults.first() {
            None => Ok(conformed.batch),
            Some(fault) => Err(Error::invalid("replay", &name)
                .with_reason(format_args!("a value of its column `{}` does not fit: {}", fault.column, fault.reason))
                .with_hint("declare a type that holds what is there")),
        }
    });
    let batches = Batches::new(schema, old.chain(new).boxed(), tally);
    let (written, output) = format::Parquet::draft(sink, batches, &conversion.write).await?;
    Ok((written, Draft::One(output)))
}

/// Writes a text anew: its own bytes as they are, and behind them the rows that were brought back. It is yet to be made visible.
async fn appended(table: &Source, sink: Sink, new: Batches, conversion: &Conversion) -> Result<(Written, Draft)> {
    let (name, file_name) = (sink.to_string(), sink.file_name().unwrap_or_default());
    let unsupported = |reason: &str| {
        Error::new(ErrorKind::Unsupported, "add rows to", &name)
            .with_reason(reason)
            .with_hint("convert the source into Parquet or NDJSON, and replay that")
    };
    let format = format::for_sink(&sink, &conversion.write)?;
    let (bucket, path) = (memory()?, Path::from(file_name));
    let rows = new.balance().written;
    let write = WriteOptions { header: Some(false), ..conversion.write.clone() };
    format.write(Sink::Object { bucket: bucket.clone(), path: path.clone() }, new, write).await?;
    let mut added = bucket.get(&path).await?;
    let input = Input::open(table).await?;
    let mut end = input.size();
    if format.name() == "json" {
        const END: &[u8] = b"\n]\n";
        let length = END.len() as u64;
        if end < length || input.range(end - length..end).await? != END || !added.starts_with(b"[") {
            return Err(unsupported("only an array of rows that is not compressed can be added to"));
        }
        end -= length;
        added = [b",", &added[1..]].concat().into();
    }
    let mut output = Output::open(sink).await?;
    let mut offset = 0;
    while offset < end {
        let mut piece = input.chunk(offset, u64::MAX, Vec::new()).await?;
        piece.truncate(usize::try_from(end - offset).unwrap_or(usize::MAX));
        offset += piece.len() as u64;
        output.write(piece).await?;
    }
    output.write(added).await?;
    let (bytes, sha256) = output.so_far();
    let written = Written { rows: conversion.written.rows + rows, bytes, sha256, digest: String::new() };
    Ok((written, Draft::One(output)))
}
