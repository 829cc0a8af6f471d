//! `sql`: a query over lake objects, printed or written.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datalake_core::format::{self, Batches, Sink, WriteOptions};
use datalake_core::lake::Location;
use datalake_core::query::{Session, SessionOptions};
use datalake_core::{Error, Result};
use futures::TryStreamExt;

use crate::cli::Sql;
use crate::commands::{Tools, convert, reading};
use crate::output::table;

/// Runs one query.
pub(crate) async fn sql(arguments: Sql, tools: &Tools) -> Result<()> {
    let (read, quarantine) = reading::options(&arguments.reading)?;
    let session = Session::new(tools.lake()?, SessionOptions::default().with_read(read))?;
    let rows = session.sql(&arguments.query).await?;
    let to = match &arguments.to {
        Some(place) => Some(place.parse::<Location>()?),
        None => None,
    };
    match &to {
        Some(place) => write(rows, convert::sink(place, tools).await?, tools).await?,
        None if tools.printer.is_json() => {
            let write = WriteOptions::default().with_format(Some("json".to_owned()));
            let sink = convert::sink(&Location::Stdio, tools).await?;
            format::for_sink(&sink, &write)?.write(sink, rows, write).await?;
        }
        None => print(rows, arguments.limit, tools).await?,
    }
    if let Some(kept) = convert::keep(&quarantine, to.as_ref().unwrap_or(&Location::Stdio), tools).await? {
        let records: u64 = quarantine.counts().values().sum();
        tools.printer.say(&format!("{records} records quarantined ({kept})"));
    }
    Ok(())
}

async fn write(rows: Batches, sink: Sink, tools: &Tools) -> Result<()> {
    let write = WriteOptions::default();
    let written = format::for_sink(&sink, &write)?.write(sink, rows, write).await?;
    tools.printer.say(&format!("{} rows written", written.rows));
    Ok(())
}

/// Prints the first rows; the others are read, so that errors and the quarantine are those of the whole.
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
