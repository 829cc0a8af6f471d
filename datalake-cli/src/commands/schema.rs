//! `schema`: the inferred schema of a table, and a profile of its columns.

use datalake_core::Result;
use datalake_core::format::{self, Dialect, Infer, Profile};
use datalake_core::lake::Location;
use datalake_core::query::DataSet;

use crate::cli::Schema;
use crate::commands::{Tools, convert, reading};

/// Profiles a table.
pub(crate) async fn schema(arguments: Schema, tools: &Tools) -> Result<()> {
    let (options, quarantine) = reading::options(&arguments.reading)?;
    let location: Location = arguments.source.parse()?;
    let batches = if arguments.source.contains('*') {
        let pattern = arguments.source.strip_prefix("lake://").unwrap_or(&arguments.source);
        DataSet::open(&tools.lake()?, pattern, options).await?.read(None)
    } else {
        let source = convert::source(&location, tools).await?;
        let source = source.spool().await?;
        let (found, _) = format::detect(&source, &options).await?;
        found.read(source, options.with_infer(Infer::Whole)).await?
    };
    for note in batches.notes() {
        tools.printer.say(note);
    }
    let dialect = batches.dialect().cloned();
    let profile = format::profile(batches).await?;
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
