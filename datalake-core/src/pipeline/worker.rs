//! A worker: carries out one shard of an order, and leaves log, heartbeat and outcome in the run's folder.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use object_store::PutMode;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, Lake};
use crate::pipeline::log::StepLog;
use crate::pipeline::manifest::{HEARTBEAT, Status, put_json, runs_bucket};
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
    /// How often it was begun before.
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
        let folder = format!("{}/{}-{:05}/{}", order.folder(), self.stage.name(), self.shard, self.attempt);
        let (started, clock) = (Utc::now(), Instant::now());
        let labels = vec![
            ("run", order.run().to_string()),
            ("step", order.step().title()),
            ("stage", self.stage.name().to_owned()),
            ("shard", self.shard.to_string()),
            ("attempt", self.attempt.to_string()),
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
            log.note(&format!("{error:?}"));
        }
        let error = outcome.as_ref().err().map(|error| format!("{error:?}"));
        let attempt = Attempt { status, started, seconds: clock.elapsed().as_secs_f64(), error };
        let told = async {
            log.beat(&bucket, order.run(), &folder).await?;
            bucket.put(&order.run().key(&format!("{folder}/metrics.om")), metrics()?, PutMode::Overwrite).await?;
            put_json(&bucket, &order.run().key(&format!("{folder}/manifest.json")), &attempt).await
        };
        // Of two errors the first is the one to know.
        match (outcome, told.await) {
            (Ok(()), told) => told,
            (failed, _) => failed,
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
        let mut work =
            std::pin::pin!(order.carry_out(self.stage, self.shard, lake, Arc::clone(log) as Arc<dyn Progress>));
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
        let mut beaten: Option<Instant> = None;
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                _ = tick.tick() => {
                    if log.is_cancelled() {
                        return Err(Error::new(ErrorKind::Cancelled, "finish", order.step().title())
                            .with_reason("the worker was asked to stop"));
                    }
                    if beaten.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
                        beaten = Some(Instant::now());
                        match log.beat(bucket, order.run(), folder).await {
                            // The work has a patience of its own.
                            Err(error) if error.kind() == ErrorKind::Unavailable => {}
                            told => told?,
                        }
                    }
                }
            }
        }
    }
}
