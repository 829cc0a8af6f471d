//! What a step said, line by line, for the run's folder.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use chrono::Utc;

use crate::progress::Progress;

/// Keeps what a step says while passing it on.
#[derive(Debug)]
pub(crate) struct StepLog {
    next: Arc<dyn Progress>,
    lines: Mutex<String>,
}

impl StepLog {
    pub(crate) fn new(next: Arc<dyn Progress>) -> Self {
        Self { next, lines: Mutex::default() }
    }

    /// All lines so far, as NDJSON.
    pub(crate) fn lines(&self) -> Bytes {
        Bytes::from(self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn write(&self, event: &str, text: &str) {
        let line = serde_json::json!({ "time": Utc::now(), "event": event, "text": text });
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
}

impl Progress for StepLog {
    fn begin(&self, stage: &str, total: Option<u64>) {
        self.write("begin", stage);
        self.next.begin(stage, total);
    }

    fn advance(&self, units: u64) {
        self.next.advance(units);
    }

    fn end(&self) {
        self.write("end", "");
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
