//! `sql`: a query over lake objects, printed or written.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datalake_core::format::{self, Batches, WriteOptions};
use datalake_core::lake::Location;
use datalake_core::pipeline::{keep_rejects, told};
use datalake_core::query::{Session, SessionOptions};
use datalake_core::{Error, Result};
use futures::{StreamExt, TryStreamExt};

use crate::cli::Sql;
use crate::commands::{Tools, convert, reading};
use crate::output::table;

/// So many rows are printed where nothing else is asked for.
const PRINTED: usize = 100;

/// Runs one query.
pub(crate) async fn sql(arguments: Sql, tools: &Tools) -> Result<()> {
    let (read, quarantine) = reading::options(&arguments.reading)?;
    let to = match &arguments.to {
        Some(place) => place.parse::<Location>()?,
        None => Location::Stdio,
    };
    let session = Session::new(tools.lake()?, SessionOptions::default().with_read(read))?;
    if let Err(error) = answer(&session, &arguments, &to, tools).await {
        return Err(told(error, keep_rejects(&quarantine, &to, "sql", || tools.lake()).await?));
    }
    for column in quarantine.nulled_columns() {
        tools.printer.say(&column.to_string());
    }
    if let Some(kept) = keep_rejects(&quarantine, &to, "sql", || tools.lake()).await? {
        let records: u64 = quarantine.counts().values().sum();
        tools.printer.say(&format!("{records} records quarantined ({kept})"));
    }
    Ok(())
}

async fn answer(session: &Session, arguments: &Sql, to: &Location, tools: &Tools) -> Result<()> {
    let rows = session.sql(&arguments.query).await?;
    let planned = session.notes();
    for note in &planned {
        tools.printer.say(note);
    }
    write(rows, arguments, to, tools).await?;
    // Some things are seen only while objects are read.
    for note in session.notes().iter().skip(planned.len()) {
        tools.printer.say(note);
    }
    Ok(())
}

/// Prints or writes the rows of an answer.
async fn write(rows: Batches, arguments: &Sql, to: &Location, tools: &Tools) -> Result<()> {
    if arguments.to.is_none() && !tools.printer.is_json() {
        return print(rows, arguments.limit.unwrap_or(PRINTED), tools).await;
    }
    let rows = first(rows, arguments.limit.unwrap_or(0));
    let format = match (&arguments.to, &arguments.to_format) {
        (None, None) => Some("json".to_owned()),
        (_, format) => format.clone(),
    };
    let write = reading::written(WriteOptions::default(), &arguments.writing)?.with_format(format);
    let sink = convert::sink(to, &write, tools).await?;
    let written = format::for_sink(&sink, &write)?.write(sink, rows, write).await?;
    if arguments.to.is_some() {
        tools.printer.say(&format!("{} rows written", written.rows));
    }
    Ok(())
}

/// The first rows of a result; all of them for a limit of 0.
fn first(rows: Batches, limit: usize) -> Batches {
    if limit == 0 {
        return rows;
    }
    let (schema, tally) = (Arc::clone(rows.schema()), Arc::clone(rows.tally()));
    let stream = rows.scan(limit, |left, batch| {
        let batch = batch.map(|batch| batch.slice(0, batch.num_rows().min(*left)));
        *left -= batch.as_ref().map_or(0, RecordBatch::num_rows);
        futures::future::ready(Some(batch))
    });
    Batches::new(schema, stream.boxed(), tally)
}

/// Prints the first rows; the others are read too, since an error may lie in them.
async fn print(mut rows: Batches, limit: usize, tools: &Tools) -> Result<()> {
    let schema = Arc::clone(rows.schema());
    let headers: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut cells = Vec::new();
    let mut total = 0;
    while let Some(batch) = rows.try_next().await? {
        let room = if limit == 0 { batch.num_rows() } else { limit.saturating_sub(cells.len()).min(batch.num_rows()) };
        total += batch.num_rows();
        cells.extend(lines(&batch.slice(0, room))?);
    }
    let shown = cells.len();
    tools.printer.line(&table(&headers, cells.into_iter()))?;
    if shown < total {
        tools.printer.say(&format!("{shown} of {total} rows; `--limit 0` shows all"));
    }
    Ok(())
}

fn lines(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default();
    let columns: Result<Vec<_>, _> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect();
    let columns = columns.map_err(|cause| Error::internal("print", "rows").with_source(cause))?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect())
}
