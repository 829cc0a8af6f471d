//! `schema`: the inferred schema of a table, and a profile of its columns.

use std::sync::Arc;

use datalake_core::format::{self, Dialect, Files, Infer, Profile};
use datalake_core::lake::{ObjectPattern, meant};
use datalake_core::query::DataSet;
use datalake_core::{ErrorKind, Result};

use crate::cli::Schema;
use crate::commands::{Tools, convert, reading};

/// Profiles a table.
pub(crate) async fn schema(arguments: Schema, tools: &Tools) -> Result<()> {
    let (options, quarantine) = reading::options(&arguments.reading)?;
    let batches = match many(&arguments.source, tools).await? {
        Some(files) => DataSet::of(&files, options).await?.read(None),
        None => {
            let source = convert::source(&arguments.source.parse()?, tools).await?;
            match format::read(source, options.with_infer(Infer::Whole)).await {
                // What is no column of the source has a hint already.
                Err(error) if error.kind() == ErrorKind::NotFound && error.first_hint().is_none() => {
                    return Err(match meant(&arguments.source, || tools.lake()).await {
                        Some(hint) => error.with_hint(hint),
                        None => error,
                    });
                }
                found => found?,
            }
        }
    };
    for note in batches.notes() {
        tools.printer.say(note);
    }
    let dialect = batches.dialect().cloned();
    let tally = Arc::clone(batches.tally());
    let profile = format::profile(batches).await?;
    for note in tally.notes() {
        tools.printer.say(&note);
    }
    print(&profile, dialect.as_ref(), tools)?;
    let records: u64 = quarantine.counts().values().sum();
    if records > 0 {
        tools.printer.say(&format!("{records} records would be quarantined"));
    }
    for column in quarantine.nulled_columns() {
        tools.printer.say(&column.to_string());
    }
    Ok(())
}

/// The files that a text names, if it names more than one: those of this machine, or else objects without `lake://` before them.
async fn many(text: &str, tools: &Tools) -> Result<Option<Files>> {
    match Files::named(text, || tools.lake()).await {
        Err(error) if error.kind() == ErrorKind::NotFound && !text.starts_with("lake://") => {
            let Ok(pattern) = text.parse::<ObjectPattern>() else { return Err(error) };
            match tools.lake() {
                // Where it is no object either, it is the files that were meant.
                Ok(lake) => Files::in_lake(lake.as_ref(), &pattern).await.map(Some).map_err(|_| error),
                Err(_) => Err(error),
            }
        }
        found => found,
    }
}

fn print(profile: &Profile, dialect: Option<&Dialect>, tools: &Tools) -> Result<()> {
    if tools.printer.is_json() {
        let Some(dialect) = dialect else { return tools.printer.document(profile) };
        let document = serde_json::json!({ "rows": profile.rows, "columns": profile.columns, "csv": dialect });
        return tools.printer.document(&document);
    }
    if let Some(dialect) = dialect {
        tools.printer.line(&format!("csv: {dialect}"))?;
    }
    let headers = ["column", "type", "nulls", "distinct", "min", "max", "mean"];
    tools.printer.rows(&headers, &profile.columns, |column| {
        vec![
            column.name.clone(),
            column.data_type.clone(),
            column.nulls.to_string(),
            column.distinct.map(|count| count.to_string()).unwrap_or_default(),
            column.min.clone().unwrap_or_default(),
            column.max.clone().unwrap_or_default(),
            column.mean.map(|mean| format!("{mean:.3}")).unwrap_or_default(),
        ]
    })?;
    tools.printer.line(&format!("{} rows", profile.rows))
}
