//! Values that became null since they do not fit: how many of each column, and the first.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::Position;

/// A value that became null in a record that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nulled {
    /// The object or file.
    pub source: String,
    /// Where it stands.
    pub position: Position,
    /// The column.
    pub column: String,
    /// Why, with the value found.
    pub reason: String,
}

/// The values of one column that became null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NulledColumn {
    /// The column.
    pub column: String,
    /// How many there are.
    pub values: u64,
    /// Where the first stands, and why it does not fit.
    pub first: String,
}

impl Nulled {
    pub(crate) fn new(source: &str, position: Position, column: &str, reason: &str) -> Self {
        Self { source: source.to_owned(), position, column: column.to_owned(), reason: reason.to_owned() }
    }
}

impl fmt::Display for NulledColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (values, the) = if self.values == 1 { ("value", "it was") } else { ("values", "the first was") };
        write!(f, "{} {values} of column `{}` became null; {the} {}", self.values, self.column, self.first)
    }
}

impl NulledColumn {
    pub(crate) fn new(first: &Nulled) -> Self {
        let Nulled { source, position, column, reason } = first;
        let first = match (position.row, position.line) {
            (Some(row), Some(line)) => format!("in row {row}, line {line} of {source}: {reason}"),
            (Some(row), None) => format!("in row {row} of {source}: {reason}"),
            _ => format!("in {source}: {reason}"),
        };
        Self { column: column.clone(), values: 1, first }
    }
}

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct NulledCounts {
    columns: IndexMap<String, NulledColumn>,
    rows: u64,
}

impl NulledCounts {
    /// Counts the values of a record.
    pub(crate) fn add(&mut self, values: &[Nulled]) {
        self.rows += u64::from(!values.is_empty());
        for nulled in values {
            match self.columns.get_mut(&nulled.column) {
                Some(column) => column.values += 1,
                None => drop(self.columns.insert(nulled.column.clone(), NulledColumn::new(nulled))),
            }
        }
    }

    /// Adds those of another source; of its records nothing is known.
    pub(crate) fn join(&mut self, columns: Vec<NulledColumn>) {
        for column in columns {
            match self.columns.get_mut(&column.column) {
                Some(known) => known.values += column.values,
                None => drop(self.columns.insert(column.column.clone(), column)),
            }
        }
    }

    /// How many records have such values.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// How many values there are.
    pub(crate) fn values(&self) -> u64 {
        self.columns.values().map(|column| column.values).sum()
    }

    /// Each column, in the order in which they came.
    pub(crate) fn columns(&self) -> Vec<NulledColumn> {
        self.columns.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_records_are_counted() {
        let mut counts = NulledCounts::default();
        let value = |row: u64, column: &str, reason: &str| {
            Nulled::new("a.csv", Position { line: Some(row + 1), ..Position::row(row) }, column, reason)
        };
        counts.add(&[value(7, "x", "`abc` is not a int64"), value(7, "y", "`-` is not a date")]);
        counts.add(&[value(9, "x", "`def` is not a int64")]);
        assert_eq!((counts.rows(), counts.values()), (2, 3));
        let notes: Vec<String> = counts.columns().iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "2 values of column `x` became null; the first was in row 7, line 8 of a.csv: `abc` is not a int64",
                "1 value of column `y` became null; it was in row 7, line 8 of a.csv: `-` is not a date",
            ]
        );
    }
}
