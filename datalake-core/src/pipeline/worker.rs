//! A worker: carries out one shard of an order, and leaves log, heartbeat and outcome in the run's folder.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use object_store::PutMode;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, Lake};
use crate::pipeline::beats::with_beats;
use crate::pipeline::log::StepLog;
use crate::pipeline::manifest::{RunId, Status, put_json, put_json_as, runs_bucket};
use crate::pipeline::metrics::of_worker;
use crate::pipeline::metrics_server::MetricsServer;
use crate::pipeline::order::{Order, Stage};
use crate::progress::Progress;

/// One shard of an order, for one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shift {
    /// Where the order lies: `bucket/key`.
    pub order: String,
    /// Which stage.
    pub stage: Stage,
    /// Which shard of it, from 0.
    pub shard: u32,
    /// How often it was begun before, as far as is known: it counts as another attempt than those that have left something.
    pub attempt: u32,
    /// Where its metrics are served meanwhile.
    pub metrics: Option<SocketAddr>,
}

/// What a worker leaves at its end: `manifest.json` in the folder of its attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// How it went.
    pub status: Status,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Shift {
    /// A shard of a stage of the order at this path.
    #[must_use]
    pub fn new(order: impl Into<String>, stage: Stage, shard: u32) -> Self {
        Self { order: order.into(), stage, shard, attempt: 0, metrics: None }
    }

    /// Sets how often it was begun before.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets where its metrics are served meanwhile.
    #[must_use]
    pub fn with_metrics(mut self, address: Option<SocketAddr>) -> Self {
        self.metrics = address;
        self
    }

    /// Carries it out. When asked to stop it says so in its folder, as of any other end.
    ///
    /// # Errors
    /// Those of the step; [`Cancelled`](ErrorKind::Cancelled) when `progress` asks to stop.
    pub async fn work(&self, lake: Arc<dyn Lake>, progress: Arc<dyn Progress>) -> Result<()> {
        let order = Order::read(lake.as_ref(), &self.order).await?;
        let bucket = runs_bucket(lake.as_ref()).await?;
        let log = Arc::new(StepLog::new(progress));
        let folder = format!("{}/{}-{:05}", order.folder(), self.stage.name(), self.shard);
        let number = self.take_number(&bucket, order.run(), &folder, &log).await?;
        let folder = format!("{folder}/{number}");
        let (started, clock) = (Utc::now(), Instant::now());
        let labels = vec![
            ("run", order.run().to_string()),
            ("step", order.step().title()),
            ("stage", self.stage.name().to_owned()),
            ("shard", self.shard.to_string()),
            ("attempt", number.to_string()),
        ];
        let shown = Arc::clone(&log);
        let metrics = move || of_worker(&labels, &shown.heartbeat(), clock.elapsed().as_secs_f64());
        // It ends with this function.
        let mut serving = JoinSet::new();
        if let Some(address) = self.metrics {
            let (server, metrics) = (MetricsServer::bind(address).await?, metrics.clone());
            serving.spawn(server.serve(move || std::future::ready(metrics())));
        }
        let outcome = self.watched(&order, lake, &log, &bucket, &folder).await;
        let status = match &outcome {
            Ok(()) => Status::Done,
            Err(error) if error.kind() == ErrorKind::Cancelled => Status::Cancelled,
            Err(_) => Status::Failed,
        };
        if let Err(error) = &outcome {
            log.note(&error.in_one_line());
        }
        let error = outcome.as_ref().err().map(Error::in_one_line);
        let attempt = Attempt { status, started, seconds: clock.elapsed().as_secs_f64(), error };
        let told = async {
            log.beat(&bucket, order.run(), &folder).await?;
            bucket.put(&order.run().key(&format!("{folder}/metrics.om")), metrics()?, PutMode::Overwrite).await?;
            put_json(&bucket, &order.run().key(&format!("{folder}/manifest.json")), &attempt).await
        };
        if let Err(error) = told.await {
            // What the shard has left is there all the same, and of two errors the first is the one to know.
            log.note(&format!("how it went is not written down in {folder}: {error}"));
        }
        outcome
    }

    /// Takes a number for this attempt, by its first heartbeat: above all that have a folder, since a Job that is made
    /// again counts from 0 again. Two pods may be at one shard, where a node is away for a while.
    async fn take_number(&self, bucket: &Bucket, run: &RunId, folder: &str, log: &StepLog) -> Result<u32> {
        let all = run.key(folder);
        let taken = bucket.list(Some(&all)).await?.into_iter().filter_map(|object| {
            let attempt: u32 = object.location.prefix_match(&all)?.next()?.as_ref().parse().ok()?;
            attempt.checked_add(1)
        });
        let mut number = taken.max().unwrap_or_default().max(self.attempt);
        loop {
            let key = run.key(&format!("{folder}/{number}/progress.json"));
            match put_json_as(bucket, &key, &log.heartbeat(), PutMode::Create).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < u32::MAX => number += 1,
                // A store without such puts cannot tell two pods apart; there are seldom two.
                Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(number),
                taken => return taken.map(|()| number),
            }
        }
    }

    async fn watched(
        &self,
        order: &Order,
        lake: Arc<dyn Lake>,
        log: &Arc<StepLog>,
        bucket: &Bucket,
        folder: &str,
    ) -> Result<()> {
        let work = order.carry_out(self.stage, self.shard, lake, Arc::clone(log) as Arc<dyn Progress>);
        let beat = || log.beat(bucket, order.run(), folder);
        let stopped = || {
            Error::new(ErrorKind::Cancelled, "finish", order.step().title()).with_reason("the worker was asked to stop")
        };
        with_beats(work, Duration::ZERO, beat, log.as_ref(), stopped).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{BucketName, LakeOptions, open};
    use crate::pipeline::manifest::RUNS_BUCKET;
    use crate::pipeline::run::{Context, StepRun, ensure_bucket, inputs};
    use crate::pipeline::{Pipeline, Sharing};
    use crate::progress::Silent;

    /// A small order in a lake in a folder.
    async fn ordered(folder: &std::path::Path) -> (Arc<dyn Lake>, Order) {
        let lake = open(folder.to_str().unwrap(), &LakeOptions::default()).unwrap();
        for name in ["raw-data", RUNS_BUCKET] {
            ensure_bucket(lake.as_ref(), &BucketName::new(name).unwrap()).await.unwrap();
        }
        let raw = lake.bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        raw.put(&"t.csv".into(), "x\n1\n", PutMode::Overwrite).await.unwrap();
        let text = "name = \"p\"\n[prepare]\nname = \"t\"\nsources = \"raw-data/t.csv\"\n\
                    destination = \"processed-data/t.parquet\"\n";
        let step = Pipeline::from_toml("p.toml", text, &[]).unwrap().steps()[0].clone();
        let inputs = inputs(&step, lake.as_ref()).await.unwrap();
        let folder = "steps/01-prepare-t".into();
        let run = StepRun { step, folder, inputs, fingerprint: "f".into(), fresh: false };
        let context = Context { lake: Arc::clone(&lake), run: RunId::now(), progress: Arc::new(Silent) };
        let order = Order::plan(&run, Sharing::new(1), &context).await.unwrap();
        (lake, order)
    }

    #[tokio::test]
    async fn an_attempt_that_is_made_again_writes_over_none() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, order) = ordered(folder.path()).await;
        let bucket = runs_bucket(lake.as_ref()).await.unwrap();
        let key = |name: &str| order.run().key(&format!("{}/whole-00000/{name}", order.folder()));
        // The numbers that Kubernetes gives: of a Job, of one that was made again, and of that after failures.
        for (given, number) in [(0, 0), (0, 1), (1, 2), (9, 9), (3, 10), (0, 11)] {
            let shift = Shift::new(order.path(), Stage::Whole, 0).with_attempt(given);
            shift.work(Arc::clone(&lake), Arc::new(Silent)).await.unwrap();
            for name in ["manifest.json", "metrics.om", "log-000001.jsonl"] {
                let left = bucket.list(Some(&key(&number.to_string()))).await.unwrap();
                assert!(left.iter().any(|object| object.location.filename() == Some(name)), "{number}: {left:?}");
            }
            let metrics = bucket.get(&key(&format!("{number}/metrics.om"))).await.unwrap();
            assert!(std::str::from_utf8(&metrics).unwrap().contains(&format!("attempt=\"{number}\"")));
        }
    }

    #[tokio::test]
    async fn attempts_at_one_time_have_numbers_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, order) = ordered(folder.path()).await;
        let bucket = runs_bucket(lake.as_ref()).await.unwrap();
        let (shift, log) = (Shift::new(order.path(), Stage::Whole, 0), StepLog::new(Arc::new(Silent)));
        let attempts = (0..8).map(|_| shift.take_number(&bucket, order.run(), "steps/01-a/whole-00000", &log));
        let mut taken = futures::future::try_join_all(attempts).await.unwrap();
        taken.sort_unstable();
        assert_eq!(taken, (0..8).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_shard_is_done_although_its_manifest_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (lake, order) = ordered(folder.path()).await;
        let manifest = order.run().key(&format!("{}/whole-00000/0/manifest.json", order.folder()));
        std::fs::create_dir_all(folder.path().join(RUNS_BUCKET).join(manifest.as_ref())).unwrap();
        Shift::new(order.path(), Stage::Whole, 0).work(Arc::clone(&lake), Arc::new(Silent)).await.unwrap();
        assert!(order.report(lake.as_ref()).await.unwrap().is_some());
    }
}
