//! The ledger of a scan: every record of every source is written, quarantined or dropped, and counted once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::format::{Nulled, NulledColumn, Quarantine, Reject, Rejects};
use crate::pipeline::manifest::{PrepareBalance, SourceBalance};

/// Counts what becomes of records, source by source.
#[derive(Debug)]
pub(crate) struct Ledger {
    balance: Mutex<PrepareBalance>,
    notes: Mutex<Vec<String>>,
    columns_found: Mutex<BTreeSet<String>>,
}

/// What a ledger holds, for another process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    balance: PrepareBalance,
    notes: Vec<String>,
    columns_found: BTreeSet<String>,
}

impl Ledger {
    /// A ledger for sources, in their order.
    pub(crate) fn new(paths: impl Iterator<Item = String>) -> Self {
        let sources = paths.map(|path| SourceBalance { path, ..SourceBalance::default() }).collect();
        let balance = Mutex::new(PrepareBalance { sources, ..PrepareBalance::default() });
        Self { balance, notes: Mutex::default(), columns_found: Mutex::default() }
    }

    /// One ledger of those that workers kept, for sources in the order of the workers; `notes` are those of the plan.
    pub(crate) fn joined(notes: &[String], accounts: impl IntoIterator<Item = Account>) -> Self {
        let mut whole = Account { notes: notes.to_vec(), ..Account::default() };
        for account in accounts {
            whole.balance.sources.extend(account.balance.sources);
            whole.balance.combine_in += account.balance.combine_in;
            whole.notes.extend(account.notes);
            whole.columns_found.extend(account.columns_found);
        }
        Self {
            balance: Mutex::new(whole.balance),
            notes: Mutex::new(whole.notes),
            columns_found: Mutex::new(whole.columns_found),
        }
    }

    /// All that is in it.
    pub(crate) fn account(&self) -> Account {
        Account { balance: self.balance(), notes: self.notes(), columns_found: self.columns_found() }
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

    /// Values of a row that became null.
    fn add_nulled(&self, source: usize, values: &[Nulled]) {
        let mut balance = self.open();
        let source = &mut balance.sources[source];
        source.nulled_rows += 1;
        for nulled in values {
            match source.nulled.iter_mut().find(|column| column.column == nulled.column) {
                Some(column) => column.values += 1,
                None => source.nulled.push(NulledColumn::new(nulled)),
            }
        }
    }

    /// The values of a source that became null.
    pub(crate) fn nulled(&self, source: usize) -> Vec<NulledColumn> {
        self.open().sources[source].nulled.clone()
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

    /// Some object has this declared column.
    pub(crate) fn found(&self, column: &str) {
        self.columns_found.lock().unwrap_or_else(PoisonError::into_inner).insert(column.to_owned());
    }

    /// The declared columns that some object has.
    pub(crate) fn columns_found(&self) -> BTreeSet<String> {
        self.columns_found.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    fn nulled(&self, values: &[Nulled]) -> Result<()> {
        self.ledger.add_nulled(self.source, values);
        self.quarantine.nulled(values)
    }

    fn reject(&self, reject: Reject) -> Result<()> {
        *self.ledger.open().sources[self.source].quarantined.entry(reject.code.clone()).or_default() += 1;
        self.quarantine.reject(reject)
    }
}
