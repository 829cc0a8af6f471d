//! Prepare by several workers: each scans some of the objects, then one combines what they kept.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::{Limit, Quarantine, Reject, Rejects, Sink};
use crate::lake::{Lake, parse_object};
use crate::pipeline::ledger::{Account, Ledger};
use crate::pipeline::manifest::{ObjectVersion, StepReport};
use crate::pipeline::parts::rows_of;
use crate::pipeline::prepare::finish;
use crate::pipeline::publish::publish;
use crate::pipeline::rejects::told;
use crate::pipeline::run::Context;
use crate::pipeline::scan::{Plan, Scan, Shard};
use crate::pipeline::step::Prepare;

/// Objects are gathered for one worker up to this size: of small ones, starting a worker costs more than reading them.
pub(crate) const SHARD_SIZE: u64 = 64 * 1024 * 1024;

/// What a worker found in its objects.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scanned {
    account: Account,
    /// Where the records are that it rejected.
    quarantine: Option<String>,
}

/// Cuts objects into shards: neighbours together up to a size. It depends on the objects alone, never on workers.
pub(crate) fn cut(objects: &[ObjectVersion], shard_size: u64) -> Vec<Range<u64>> {
    let mut shards: Vec<Range<u64>> = Vec::new();
    let mut size = 0_u64;
    for (number, object) in objects.iter().enumerate() {
        let number = number as u64;
        match shards.last_mut() {
            Some(last) if size.saturating_add(object.size) <= shard_size => {
                last.end = number + 1;
                size += object.size;
            }
            _ => {
                shards.push(number..number + 1);
                size = object.size;
            }
        }
    }
    shards
}

/// Scans the objects of one shard: its rows go to `rows`, the records that it rejects to `rejects`.
pub(crate) async fn scan(
    step: &Prepare,
    plan: Plan,
    shard: &Shard<'_>,
    (rows, rejects): (&str, &str),
    context: &Context,
) -> Result<Scanned> {
    let quarantine = Arc::new(Quarantine::of_scan(step.max_bad_rows));
    let scan = Scan::of_shard(step, plan, shard, context, Arc::clone(&quarantine)).await?;
    let ledger = Arc::clone(scan.ledger());
    let published = publish(context.lake.as_ref(), &[rows.to_owned()], scan.read()).await;
    let (bucket, key) = parse_object(rejects)?;
    let bucket = context.lake.bucket(&bucket).await?;
    let kept = quarantine.finish_to(Sink::Object { bucket, path: key }).await?.map(|_| rejects.to_owned());
    published.map_err(|error| told(error, kept.clone()))?;
    Ok(Scanned { account: ledger.account(), quarantine: kept })
}

/// Combines what workers have scanned, in the order of the objects, as if one had read them all.
pub(crate) async fn combine(
    step: &Prepare,
    plan: &Plan,
    parts: Vec<(String, Scanned)>,
    context: &Context,
) -> Result<StepReport> {
    plan.notes().iter().for_each(|note| context.progress.note(note));
    let (paths, scanned): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let quarantine = Quarantine::new(Limit::default());
    for rejects in scanned.iter().filter_map(|part| part.quarantine.as_deref()) {
        take_over(&quarantine, context.lake.as_ref(), rejects).await?;
    }
    let ledger = Arc::new(Ledger::joined(plan.notes(), scanned.into_iter().map(|part| part.account)));
    plan.every_column_found(&ledger)?;
    let balance = ledger.balance();
    if let Err(error) = step.max_bad_rows.check(balance.quarantined() + balance.nulled_rows(), balance.seen()) {
        return Err(told(error, crate::pipeline::prepare::keep(step, context, &quarantine).await?));
    }
    finish(step, rows_of(context, paths, plan.schema()), &ledger, &quarantine, context).await
}

/// Puts the records that a worker has rejected into the quarantine of the step.
async fn take_over(quarantine: &Quarantine, lake: &dyn Lake, path: &str) -> Result<()> {
    let (bucket, key) = parse_object(path)?;
    let lines = lake.bucket(&bucket).await?.get(&key).await?;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let reject: Reject = serde_json::from_slice(line)
            .map_err(|cause| Error::internal("read the rejected records in", path).with_source(cause))?;
        quarantine.reject(reject)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(size: u64) -> ObjectVersion {
        ObjectVersion { path: "raw-data/x".into(), size, etag: None }
    }

    #[test]
    fn neighbours_share_a_shard_up_to_its_size() {
        let objects = [3, 4, 5, 100, 1, 1].map(object);
        assert_eq!(cut(&objects, 10), [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(cut(&objects, 1000), std::iter::once(0..6).collect::<Vec<_>>());
        assert_eq!(cut(&objects, 0).len(), 6);
        assert!(cut(&[], 10).is_empty());
    }
}
