//! Reads the quarantined records of a conversion once more, after a fix, and adds those that fit now to what was written.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde::Serialize;

use super::added_columns::AddedColumns;
use super::brought_back::{Draft, with_rows};
use super::conversion::Conversion;
use super::intent::{Intent, is_as_it_was, is_whole, places, standing};
use super::once_more::{INDEX, Outcome, once_more};
use super::replay_lock::ReplayLock;
use super::verify::rejects;
use super::written_table::WrittenTable;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, Batches, ColumnSpec, Format, OnRowError, ReadOptions, specs_of};
use crate::lake::{Lake, unique_name};

/// What became of the quarantined records of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// The run, or the folder beside the local file.
    pub run: String,
    /// Records that were in the quarantine.
    pub seen: u64,
    /// Those that fit now, and are the last rows of the table.
    pub brought_back: u64,
    /// Those that still do not fit.
    pub quarantined: u64,
    /// Rows of the whole table.
    pub rows: u64,
    /// Where the rest lies, if there is one.
    pub quarantine: Option<String>,
}

/// How quarantined records are read this time: each thing that is given takes the place of what the conversion was told.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Fix {
    /// The columns, with their types.
    pub schema: Option<Vec<ColumnSpec>>,
    /// Texts that mean that a value is missing.
    pub nulls: Option<Vec<String>>,
}

/// Reads the quarantined records of a conversion once more; `name` is its run, the local file that it wrote, or the folder beside
/// that. Between the two, the records themselves may be corrected: it is `raw` in the lines of the quarantine that is read.
///
/// Rows that fit now stand behind the others, with what the table has of their source, its folders and their number; the table
/// is written anew and appears whole or not at all. In a table of several files they are files of their own, each in its folder
/// behind those that are there. The types of columns stay, unless `fix` has a schema and the table is one Parquet file. What
/// stays has the code and the reason of this attempt. A table that is not as the conversion left it is not touched.
///
/// One that dies on its way can be run again: what it is about to write is told in the document before the table appears. The
/// next one brings it to its end, and counts what it brought back; so no row comes twice, and none is lost.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there is no such conversion; [`ErrorKind::Invalid`] where its table was changed since;
/// [`ErrorKind::AlreadyExists`] where another replay of it is at work;
/// [`ErrorKind::Unsupported`] for a table that cannot be added to; those of reader, writer and lake.
pub async fn replay(name: &str, fix: Fix, lake: impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Replayed> {
    let (mut conversion, mut home) = Conversion::load(name, &lake).await?;
    let lock = ReplayLock::of(&home)?;
    if lock.is_held() {
        // Another one may have ended before it was taken; and where it is held, what was begun is dead.
        (conversion, home) = Conversion::load(name, &lake).await?;
    }
    // What one before has brought back that died on its way counts with this one.
    let (mut conversion, before) = conversion.settled(&mut home, &lake).await?;
    if lock.is_held() {
        conversion.intents.clear();
    }
    let Some(kept) = conversion.quarantine.clone() else {
        return Ok(Replayed {
            run: home.to_string(),
            seen: before,
            brought_back: before,
            quarantined: 0,
            rows: conversion.balance.written,
            quarantine: None,
        });
    };
    let table = WrittenTable::of(&conversion, &lake).await?;
    is_as_it_was(&conversion, &table).await?;
    let records = rejects(&places(&kept, &home, &lake).await?.0).await?;
    is_whole(&records, &kept, &home)?;
    let is_parquet = conversion.format == "parquet";
    let is_one = matches!(table, WrittenTable::One(_));
    if fix.schema.is_some() && !(is_parquet && is_one) {
        let reason = if is_one {
            "a text has no types of its own that could be changed"
        } else {
            "the types of files that are there cannot be changed"
        };
        return Err(Error::new(ErrorKind::Unsupported, "replay", &home)
            .with_reason(reason)
            .with_hint("correct the records in the quarantine, or convert the whole source with the schema"));
    }
    let added = if conversion.added.is_empty() {
        AddedColumns::default()
    } else {
        let mut columns = columns_of(&conversion, &table).await?;
        for spec in fix.schema.iter().flatten() {
            // They may have other types from now on, too.
            columns.iter_mut().filter(|own| own.name == spec.name).for_each(|own| own.clone_from(spec));
        }
        AddedColumns::new(&conversion, columns)
    };
    let read = reading(&conversion, &fix, &table, &added).await?;
    let Outcome { batches, left } = once_more(&conversion, &records, &read, &added).await?;
    let brought_back: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let mut after = Conversion { replays: conversion.replays + 1, ..conversion.clone() };
    if let Some(first) = batches.first() {
        let schema = first.schema();
        let new = Batches::from_vec(Arc::clone(&schema), batches);
        let (written, draft) = with_rows(table, new, &conversion).await?;
        if let Draft::Many(draft) = &draft {
            after.files = draft.files().to_vec();
        }
        after.schema = specs_of(&schema);
        after.balance.written += brought_back;
        after.balance.quarantined -= brought_back.min(after.balance.quarantined);
        (after.written, after.rows_digest) = (written, None);
        if let Some(specs) = fix.schema {
            // The types of the table from now on.
            (after.read.schema, after.read.columns) = (Some(specs), None);
        }
        let left = left.iter().map(|(place, record)| (*place, standing(record))).collect();
        after.intents.clear();
        conversion.intents.push(Intent { attempt: unique_name(), after: after.clone(), left });
        let told = async {
            conversion.save(&mut home).await?;
            // To read it and to write it anew takes its time.
            is_as_it_was(&conversion, &WrittenTable::of(&conversion, &lake).await?).await
        };
        match told.await {
            Ok(()) => draft.publish().await?,
            Err(error) => {
                draft.abandon().await;
                return Err(error);
            }
        }
    }
    // Nobody else may have begun: what is in the quarantine is then for that one to say.
    conversion.save(&mut home).await?;
    // The table is there; what is told of it follows.
    let after = after.with_rest(left.into_values().collect(), &mut home, &lake).await?;
    let seen = records.len() as u64;
    Ok(Replayed {
        run: home.to_string(),
        seen: before + seen,
        brought_back: before + brought_back,
        quarantined: seen - brought_back,
        rows: after.balance.written,
        quarantine: after.quarantine.map(|kept| kept.path),
    })
}

/// How the records are read this time.
async fn reading(
    conversion: &Conversion,
    fix: &Fix,
    table: &WrittenTable,
    added: &AddedColumns,
) -> Result<ReadOptions> {
    let told = &conversion.read;
    let (mut schema, mut columns) = match (&fix.schema, &told.schema) {
        (Some(specs), _) => (specs.clone(), None),
        (None, Some(specs)) => (specs.clone(), told.columns.clone()),
        // Types were found: those of the table stay.
        (None, None) => (columns_of(conversion, table).await?, None),
    };
    schema.retain(|spec| !added.has(&spec.name));
    if let Some(columns) = &mut columns {
        columns.retain(|name| !added.has(name));
    }
    Ok(ReadOptions {
        nulls: fix.nulls.clone().unwrap_or_else(|| told.nulls.clone()),
        schema: Some(schema),
        columns,
        on_row_error: OnRowError::Quarantine,
        // Records are text by now, and each stands alone.
        compression: None,
        encoding: None,
        member: None,
        format: None,
        header: Some(true),
        comment: None,
        skip_lines: 0,
        rows: None,
        rejects: None,
        row_number: Some(INDEX.to_owned()),
        source_column: None,
        json_text: conversion.json_text.clone(),
        ..told.clone()
    })
}

/// The columns of a table, those that folders say among them.
async fn columns_of(conversion: &Conversion, table: &WrittenTable) -> Result<Vec<ColumnSpec>> {
    if let WrittenTable::One(table) = table
        && conversion.format == "parquet"
    {
        let schema = format::Parquet.infer_schema(table, &ReadOptions::default()).await?.schema;
        return Ok(plain(&schema));
    }
    conversion.schema.clone().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "replay", &conversion.destination)
            .with_reason("it has nested columns, whose types its document does not say")
            .with_hint("convert the source into one Parquet file, and replay that")
    })
}

/// The columns of a schema as they are.
pub(super) fn plain(schema: &SchemaRef) -> Vec<ColumnSpec> {
    let fields = schema.fields().iter();
    fields
        .map(|field| ColumnSpec::new(field.name(), field.data_type().clone()).with_nullable(field.is_nullable()))
        .collect()
}
