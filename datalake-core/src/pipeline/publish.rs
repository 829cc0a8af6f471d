//! Writes one stream of record batches to several objects at once, each in the format of its name.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt, future};
use object_store::ObjectMeta;

use crate::error::{Error, Result};
use crate::format::{self, Batches, Sink, Tally, WriteOptions, Written};
use crate::lake::Lake;
use crate::lake::parse_object;
use crate::pipeline::manifest::{ObjectVersion, Output};

/// Writes `batches` to every destination. Each object appears whole or not at all, and none appears when the batches
/// end in an error.
pub(crate) async fn publish(lake: &dyn Lake, destinations: &[String], batches: Batches) -> Result<Vec<Output>> {
    let mut feeds = Vec::new();
    let mut writers = Vec::new();
    for destination in destinations {
        let (feed, follower) = follow(&batches);
        feeds.push(feed);
        writers.push(write(lake, destination, follower));
    }
    let (written, fed) = future::join(future::try_join_all(writers), feed_all(batches, feeds)).await;
    // An error of the batches is the cause of what the writers say, so it goes first.
    fed.and(written)
}

type Feed = mpsc::Sender<Result<RecordBatch>>;

/// A stream of the same batches, fed through a channel that holds the leader back.
fn follow(leader: &Batches) -> (Feed, Batches) {
    let (feed, follower) = mpsc::channel(1);
    (feed, Batches::new(Arc::clone(leader.schema()), follower.boxed(), Arc::new(Tally::default())))
}

/// Hands every batch to every writer, until the end or until one no longer listens: it has failed and says why itself.
async fn feed_all(mut batches: Batches, mut feeds: Vec<Feed>) -> Result<()> {
    while let Some(batch) = batches.next().await {
        match batch {
            Ok(batch) => {
                let sends = feeds.iter_mut().map(|feed| feed.send(Ok(batch.clone())));
                if future::join_all(sends).await.iter().any(Result::is_err) {
                    return Ok(());
                }
            }
            Err(error) => {
                let stop = || Error::new(error.kind(), "write", "a table").with_reason("its rows ended in an error");
                // Whether or not a writer still listens, `error` is the outcome.
                let _ = future::join_all(feeds.iter_mut().map(|feed| feed.send(Err(stop())))).await;
                return Err(error);
            }
        }
    }
    Ok(())
}

async fn write(lake: &dyn Lake, destination: &str, batches: Batches) -> Result<Output> {
    let (bucket, key) = parse_object(destination)?;
    let bucket = lake.bucket(&bucket).await?;
    let sink = Sink::Object { bucket: bucket.clone(), path: key.clone() };
    let options = WriteOptions::default();
    let format = format::for_sink(&sink, &options)?;
    let written = format.write(sink, batches, options).await?;
    let meta = bucket.head(&key).await?;
    Ok(output(destination, &meta, written))
}

fn output(destination: &str, meta: &ObjectMeta, written: Written) -> Output {
    Output {
        object: ObjectVersion { path: destination.to_owned(), size: meta.size, etag: meta.e_tag.clone() },
        sha256: written.sha256,
        digest: Some(written.digest),
        rows: Some(written.rows),
    }
}
