//! Records that do not fit: what is kept of them, and where it goes.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use super::nulled::Nulled;
use crate::error::{Error, Position, Result};

/// What becomes of a record that does not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRowError {
    /// The read ends with an error that names the record.
    #[default]
    Fail,
    /// The record goes to the quarantine, the read goes on.
    Quarantine,
    /// A value that does not fit its declared type becomes null, is counted, and its record is kept. Of a record that is
    /// broken as a whole, or has no value where its column must have one, no value can be made null: it goes to the
    /// quarantine. Types that are found fit all values.
    Null,
}

impl OnRowError {
    /// Whether some records go to the quarantine.
    #[must_use]
    pub fn keeps(self) -> bool {
        self != Self::Fail
    }

    /// Refuses a limit of bad rows where the first of them ends all.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for [`OnRowError::Fail`].
    ///
    /// ```
    /// use datalake_core::format::OnRowError;
    ///
    /// assert!(OnRowError::Quarantine.check_limit().is_ok());
    /// assert!(OnRowError::Fail.check_limit().is_err());
    /// ```
    pub fn check_limit(self) -> Result<()> {
        if self.keeps() {
            return Ok(());
        }
        Err(Error::invalid("use", "`max_bad_rows`")
            .with_reason("the first record that does not fit ends all")
            .with_hint("say what becomes of such records: `on_row_error = \"quarantine\"`"))
    }
}

/// A record that was not handed on, with all that is needed to find, understand and repair it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The object or file.
    pub source: String,
    /// The record's number, from 1, without a header.
    pub row: u64,
    /// The line of its first byte, from 1, where the format has lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The offset of its first byte in the input, decompressed and in UTF-8, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// The column at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// A stable code, such as `ragged`, `utf8`, `syntax`, `type`, `null`, `records` (a correction has made it several, or none),
    /// `field` (its table has no column for one), or the name of a quality rule.
    pub code: String,
    /// Why, with the value found.
    pub reason: String,
    /// The record as it stood; bytes that are no UTF-8 are escaped as `\xNN`.
    pub raw: String,
}

impl Reject {
    /// Where the record stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { row: Some(self.row), line: self.line, column: self.column.clone(), byte: self.byte }
    }
}

/// The columns of a CSV text as they stand in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceColumns {
    /// Their names, in order.
    pub names: Vec<String>,
    /// How the CSV text is written.
    pub dialect: Dialect,
}

/// Takes rejected records, in the order of the source.
pub trait Rejects: Debug + Send + Sync {
    /// Keeps one.
    ///
    /// # Errors
    /// When it cannot be kept, or the limit of bad rows is passed: the read must end.
    fn reject(&self, reject: Reject) -> Result<()>;

    /// These values of a record that is kept became null.
    ///
    /// # Errors
    /// When the limit of bad rows is passed: the read must end.
    fn nulled(&self, values: &[Nulled]) -> Result<()> {
        let _ = values;
        Ok(())
    }

    /// The columns of a CSV text as they stand in it, told before its records: what is needed to read a record once more.
    fn columns(&self, source: &str, columns: SourceColumns) {
        let _ = (source, columns);
    }

    /// The columns of a JSON text that hold JSON text, as their values are of several kinds; told before its records.
    fn json_text(&self, columns: Vec<String>) {
        let _ = columns;
    }

    /// The reader has come to this record of a source; called before the records up to it are rejected.
    fn reached(&self, source: &str, row: u64) {
        let _ = (source, row);
    }

    /// Everything has been read, so many records in all; called before the result appears.
    ///
    /// # Errors
    /// When too many of them were rejected.
    fn end(&self, seen: u64) -> Result<()> {
        let _ = seen;
        Ok(())
    }
}
