//! What a step says and how far it is, in its folder of the lake while it runs: log lines in numbered pieces, and a heartbeat.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::PutMode;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::lake::Bucket;
use crate::pipeline::manifest::{RunId, put_json};
use crate::progress::Progress;

/// How far something is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StageProgress {
    /// What is being done.
    pub stage: String,
    /// Units done.
    pub done: u64,
    /// Units in all, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// When it began.
    pub began: DateTime<Utc>,
}

impl StageProgress {
    /// Units a second, until `now`; none before there is something to measure.
    #[must_use]
    pub fn rate(&self, now: DateTime<Utc>) -> Option<f64> {
        let seconds = (now - self.began).num_milliseconds() as f64 / 1e3;
        (self.done > 0 && seconds > 0.0).then(|| self.done as f64 / seconds)
    }

    /// Seconds to the end at this rate.
    #[must_use]
    pub fn eta(&self, now: DateTime<Utc>) -> Option<f64> {
        let left = self.total?.checked_sub(self.done)?;
        self.rate(now).map(|rate| left as f64 / rate)
    }
}

/// The heartbeat of a step, or of one of its workers: `progress.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Heartbeat {
    /// When this was written.
    pub updated: DateTime<Utc>,
    /// What is being done, the outermost first.
    pub stages: Vec<StageProgress>,
}

/// A line of a log: `log-000001.jsonl` and the pieces after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogLine {
    /// When it was said.
    pub time: DateTime<Utc>,
    /// `begin`, `end` or `note`.
    pub event: String,
    /// What was said.
    pub text: String,
}

/// Keeps what a step says while passing it on.
#[derive(Debug)]
pub(crate) struct StepLog {
    next: Arc<dyn Progress>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Lines that are in no piece yet.
    lines: String,
    /// The piece that is on its way. It stays as it is: a put that was given up may have come to pass, and been read.
    piece: Option<String>,
    /// Pieces that are.
    pieces: u32,
    stages: Vec<StageProgress>,
}

impl StepLog {
    pub(crate) fn new(next: Arc<dyn Progress>) -> Self {
        Self { next, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is now.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        Heartbeat { updated: Utc::now(), stages: self.kept().stages.clone() }
    }

    /// Puts the heartbeat, and the lines that are new, into a folder of the run.
    pub(crate) async fn beat(&self, bucket: &Bucket, run: &RunId, folder: &str) -> Result<()> {
        put_json(bucket, &run.key(&format!("{folder}/progress.json")), &self.heartbeat()).await?;
        self.flush(bucket, run, folder).await
    }

    /// Puts the lines that are new into a folder of the run, as the next piece; the first piece is there in any case.
    pub(crate) async fn flush(&self, bucket: &Bucket, run: &RunId, folder: &str) -> Result<()> {
        while let Some((number, lines)) = self.next_piece() {
            let key = run.key(&format!("{folder}/log-{number:06}.jsonl"));
            bucket.put(&key, Bytes::from(lines), PutMode::Overwrite).await?;
            // Only now, so that a store that is away for a while loses no line.
            let mut kept = self.kept();
            kept.piece = None;
            kept.pieces = number;
        }
        Ok(())
    }

    /// The piece to put next and its number: the one that was on its way already, or the lines that came since.
    fn next_piece(&self) -> Option<(u32, String)> {
        let mut kept = self.kept();
        if kept.piece.is_none() {
            if kept.lines.is_empty() && kept.pieces > 0 {
                return None;
            }
            kept.piece = Some(std::mem::take(&mut kept.lines));
        }
        Some((kept.pieces + 1, kept.piece.clone()?))
    }

    fn write(&self, event: &str, text: &str) {
        let line = LogLine { time: Utc::now(), event: event.to_owned(), text: text.to_owned() };
        // A struct of texts always has a form in JSON.
        let Ok(line) = serde_json::to_string(&line) else { return };
        let mut kept = self.kept();
        kept.lines.push_str(&line);
        kept.lines.push('\n');
    }
}

impl Progress for StepLog {
    fn begin(&self, stage: &str, total: Option<u64>) {
        self.write("begin", stage);
        self.kept().stages.push(StageProgress { stage: stage.to_owned(), done: 0, total, began: Utc::now() });
        self.next.begin(stage, total);
    }

    fn advance(&self, units: u64) {
        if let Some(stage) = self.kept().stages.last_mut() {
            stage.done += units;
        }
        self.next.advance(units);
    }

    fn end(&self) {
        self.write("end", "");
        self.kept().stages.pop();
        self.next.end();
    }

    fn note(&self, line: &str) {
        self.write("note", line);
        self.next.note(line);
    }

    fn is_cancelled(&self) -> bool {
        self.next.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{BucketName, Lake, MemoryLake};
    use crate::progress::Silent;

    #[tokio::test]
    async fn lines_are_put_piece_by_piece_and_none_twice() {
        let bucket = MemoryLake::default().create_bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
        let (log, run) = (StepLog::new(Arc::new(Silent)), RunId::now());
        log.begin("growing", Some(10));
        log.advance(4);
        log.beat(&bucket, &run, "s/0").await.unwrap();
        log.beat(&bucket, &run, "s/0").await.unwrap();
        log.note("wide");
        log.end();
        log.flush(&bucket, &run, "s/0").await.unwrap();
        let mut texts = Vec::new();
        for piece in ["log-000001.jsonl", "log-000002.jsonl"] {
            let lines = bucket.get(&run.key(&format!("s/0/{piece}"))).await.unwrap();
            let lines = std::str::from_utf8(&lines).unwrap().lines();
            texts.extend(lines.map(|line| serde_json::from_str::<LogLine>(line).unwrap().text));
        }
        assert_eq!(texts, ["growing", "wide", ""]);
        assert!(bucket.head(&run.key("s/0/log-000003.jsonl")).await.is_err());
        let beat: Heartbeat =
            crate::pipeline::manifest::get_json(&bucket, &run.key("s/0/progress.json")).await.unwrap();
        assert_eq!((beat.stages[0].done, beat.stages[0].total), (4, Some(10)));
    }

    #[tokio::test]
    async fn a_piece_that_was_on_its_way_stays_as_it_is() {
        let bucket = MemoryLake::default().create_bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
        let (log, run) = (StepLog::new(Arc::new(Silent)), RunId::now());
        log.note("one");
        let (number, given_up) = log.next_piece().unwrap();
        log.note("two");
        log.flush(&bucket, &run, "s/0").await.unwrap();
        let piece = async |number| bucket.get(&run.key(&format!("s/0/log-{number:06}.jsonl"))).await.unwrap();
        assert_eq!((number, piece(1).await), (1, Bytes::from(given_up)));
        let last: LogLine = serde_json::from_slice(&piece(2).await).unwrap();
        assert_eq!(last.text, "two");
    }

    #[test]
    fn the_time_to_the_end_is_that_of_the_rate_so_far() {
        let now = Utc::now();
        let stage =
            StageProgress { stage: "x".into(), done: 25, total: Some(100), began: now - chrono::Duration::seconds(5) };
        assert_eq!((stage.rate(now), stage.eta(now)), (Some(5.0), Some(15.0)));
        assert_eq!(StageProgress { done: 0, ..stage.clone() }.eta(now), None);
        assert_eq!(StageProgress { total: None, ..stage }.eta(now), None);
    }
}
