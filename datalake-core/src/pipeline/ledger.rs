//! The ledger of a scan: every record of every source is written, quarantined or dropped, and counted once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::format::{Quarantine, Reject, Rejects};
use crate::pipeline::manifest::{PrepareBalance, SourceBalance};

/// Counts what becomes of records, source by source.
#[derive(Debug)]
pub(crate) struct Ledger {
    balance: Mutex<PrepareBalance>,
    notes: Mutex<Vec<String>>,
}

impl Ledger {
    /// A ledger for sources, in their order.
    pub(crate) fn new(paths: impl Iterator<Item = String>) -> Self {
        let sources = paths.map(|path| SourceBalance { path, ..SourceBalance::default() }).collect();
        let balance = Mutex::new(PrepareBalance { sources, ..PrepareBalance::default() });
        Self { balance, notes: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, PrepareBalance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rows handed to the combine stage.
    pub(crate) fn add_written(&self, source: usize, rows: u64) {
        let mut balance = self.open();
        balance.sources[source].written += rows;
        balance.combine_in += rows;
    }

    /// Rows dropped by a rule.
    pub(crate) fn add_dropped(&self, source: usize, rule: &str, rows: u64) {
        *self.open().sources[source].dropped.entry(rule.to_owned()).or_default() += rows;
    }

    /// Rows left out as duplicates.
    pub(crate) fn add_duplicates(&self, rows: u64) {
        self.open().duplicates += rows;
    }

    /// A source has been read to its end: its reader has found so many records in so many bytes.
    pub(crate) fn close(&self, source: usize, span: u64, seen: u64) {
        let mut balance = self.open();
        balance.sources[source].span = span;
        balance.sources[source].seen = seen;
    }

    /// Something that the user should know of the sources.
    pub(crate) fn note(&self, line: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All notes so far.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All counts so far.
    pub(crate) fn balance(&self) -> PrepareBalance {
        self.open().clone()
    }
}

/// Counts the rejected records of one source on their way into the quarantine.
#[derive(Debug)]
pub(crate) struct SourceRejects {
    ledger: Arc<Ledger>,
    source: usize,
    quarantine: Arc<Quarantine>,
}

impl SourceRejects {
    pub(crate) fn new(ledger: &Arc<Ledger>, source: usize, quarantine: &Arc<Quarantine>) -> Self {
        Self { ledger: Arc::clone(ledger), source, quarantine: Arc::clone(quarantine) }
    }
}

impl Rejects for SourceRejects {
    fn reached(&self, source: &str, row: u64) {
        self.quarantine.reached(source, row);
    }

    fn reject(&self, reject: Reject) -> Result<()> {
        *self.ledger.open().sources[self.source].quarantined.entry(reject.code.clone()).or_default() += 1;
        self.quarantine.reject(reject)
    }
}
