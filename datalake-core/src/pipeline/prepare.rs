//! Prepare: plan, scan and combine raw objects into one clean table, with every record accounted for.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::row::{RowConverter, SortField};
use futures::StreamExt;
use object_store::path::Path;

use crate::error::{Error, Result};
use crate::format::{Batches, Quarantine, ReadOptions, profile};
use crate::lake::BucketName;
use crate::pipeline::ledger::Ledger;
use crate::pipeline::manifest::{RUNS_BUCKET, StepReport};
use crate::pipeline::publish::publish;
use crate::pipeline::rejects::told;
use crate::pipeline::run::Context;
use crate::pipeline::scan::Scan;
use crate::pipeline::step::{Dedupe, Prepare};
use crate::query::{DataSet, Session, SessionOptions};

/// The name of the scanned rows in a step's SQL.
const SCAN: &str = "scan";

pub(crate) async fn run(step: &Prepare, context: &Context) -> Result<StepReport> {
    let quarantine = Arc::new(Quarantine::of_scan(step.max_bad_rows));
    let scan = Scan::plan(step, context, Arc::clone(&quarantine)).await?;
    let ledger = Arc::clone(scan.ledger());
    finish(step, scan.read(), &ledger, &quarantine, context).await
}

/// What follows the scan: combines its rows, publishes the table, and sees that every record is accounted for.
pub(crate) async fn finish(
    step: &Prepare,
    rows: Batches,
    ledger: &Arc<Ledger>,
    quarantine: &Quarantine,
    context: &Context,
) -> Result<StepReport> {
    let combined = combine(step, rows, ledger).await?;
    let schema = Arc::clone(combined.schema());
    let outputs = match publish(context.lake.as_ref(), &step.destination, combined).await {
        Ok(outputs) => outputs,
        Err(error) => {
            // What was rejected until then is what the user needs to see.
            let kept = keep(step, context, quarantine).await?;
            return Err(told(error, kept));
        }
    };

    let mut balance = ledger.balance();
    let notes = ledger.notes();
    balance.combine_out = outputs.first().and_then(|output| output.rows).unwrap_or_default();
    balance.quarantine = keep(step, context, quarantine).await?;
    if let Some(source) = balance.sources.iter().find(|source| !source.holds()) {
        return Err(Error::internal("account for", format_args!("every record of {}", source.path)));
    }
    let table = match balance.combine_out {
        // Not every format keeps the columns of a table without rows.
        0 => Batches::from_vec(schema, Vec::new()),
        _ => DataSet::open(&context.lake, &step.destination[0], ReadOptions::default()).await?.read(None),
    };
    let profile = Some(profile(table).await?);
    let highlights = vec![format!("{} rows", balance.combine_out)];
    let units = step.columns.iter().filter_map(|column| Some((column.name.clone(), column.unit.clone()?))).collect();
    Ok(StepReport { outputs, balance: Some(balance), profile, units, notes, highlights, ..StepReport::default() })
}

/// One worker: duplicates out, then the step's SQL.
async fn combine(step: &Prepare, rows: Batches, ledger: &Arc<Ledger>) -> Result<Batches> {
    let rows = match &step.dedupe {
        None => rows,
        Some(dedupe) => first_of_each(dedupe, rows, Arc::clone(ledger))?,
    };
    match &step.sql {
        None => Ok(rows),
        Some(sql) => {
            // Other objects would be inputs that the manifest does not know of.
            let session = Session::isolated(&SessionOptions::default())?;
            session.register(SCAN, rows)?;
            session.sql_ordered(sql).await
        }
    }
}

/// Keeps the first row of each key. A row without any key value has no duplicate.
fn first_of_each(dedupe: &Dedupe, rows: Batches, ledger: Arc<Ledger>) -> Result<Batches> {
    let schema = Arc::clone(rows.schema());
    let indices: Result<Vec<usize>> = dedupe
        .key
        .iter()
        .map(|name| {
            schema.index_of(name).map_err(|_| {
                let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                Error::invalid("remove", "duplicates").with_reason(format_args!(
                    "the key column `{name}` is not in the table; it has {}",
                    known.join(", ")
                ))
            })
        })
        .collect();
    let indices = indices?;
    let failed = |cause| Error::internal("compare", "the keys of rows").with_source(cause);
    let fields = indices.iter().map(|&index| SortField::new(schema.field(index).data_type().clone())).collect();
    let converter = RowConverter::new(fields).map_err(failed)?;
    let mut seen: HashSet<Box<[u8]>> = HashSet::new();
    let tally = Arc::clone(rows.tally());
    let stream = rows.map(move |batch| {
        let batch = batch?;
        let keys: Vec<_> = indices.iter().map(|&index| Arc::clone(batch.column(index))).collect();
        let encoded = converter.convert_columns(&keys).map_err(failed)?;
        let first: BooleanArray = (0..batch.num_rows())
            .map(|row| keys.iter().all(|key| key.is_null(row)) || seen.insert(encoded.row(row).as_ref().into()))
            .map(Some)
            .collect();
        ledger.add_duplicates((batch.num_rows() - first.true_count()) as u64);
        filtered(&batch, &first)
    });
    Ok(Batches::new(schema, stream.boxed(), tally))
}

pub(crate) fn filtered(batch: &RecordBatch, keep: &BooleanArray) -> Result<RecordBatch> {
    filter_record_batch(batch, keep).map_err(|cause| Error::internal("filter", "rows").with_source(cause))
}

/// Writes the quarantined records, where there are any, and says where.
pub(crate) async fn keep(step: &Prepare, context: &Context, quarantine: &Quarantine) -> Result<Option<String>> {
    let bucket = context.lake.bucket(&BucketName::new(RUNS_BUCKET)?).await?;
    let key = Path::from(format!("_quarantine/{}/{}.ndjson", context.run, step.name));
    Ok(quarantine.finish(&bucket, &key).await?.map(|_| bucket.address(&key)))
}
