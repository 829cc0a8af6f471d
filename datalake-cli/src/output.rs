//! What commands print: data on stdout, as a table for people or as JSON for programs.

use std::io::{self, Write};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use datalake_core::{Error, Result};
use serde::Serialize;

use crate::cli::{Global, Output};
use crate::typed::typed;

/// Prints results the way the user asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    output: Output,
    quiet: bool,
}

impl Printer {
    pub(crate) fn new(global: &Global) -> Self {
        Self { output: global.output, quiet: global.quiet }
    }

    /// Whether programs read the output.
    pub(crate) fn is_json(self) -> bool {
        self.output == Output::Json
    }

    /// Prints rows: as a table under `headers`, or as a JSON array of `documents`.
    pub(crate) fn rows<T: Serialize>(
        self,
        headers: &[&str],
        documents: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> Result<()> {
        if self.is_json() {
            return self.document(&documents);
        }
        self.line(&table(headers, documents.iter().map(cells)))
    }

    /// Prints one JSON document.
    pub(crate) fn document<T: Serialize + ?Sized>(self, document: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(document)
            .map_err(|cause| Error::internal("print", "a result").with_source(cause))?;
        self.line(&text)
    }

    /// Prints a line of results.
    pub(crate) fn line(self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|cause| Error::io("write to", "stdout", cause))
    }

    /// Tells the user something that is no result.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            // Talk that cannot be heard is no reason to fail.
            let _ = writeln!(io::stderr(), "{}", visible(&typed(text)));
        }
    }
}

/// A table for people: numbers to the right, no wider than the terminal.
pub(crate) fn table(headers: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(headers);
    if let Some((_, width)) = console::Term::stdout().size_checked() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    for column in 0..headers.len() {
        let numeric = |row: &Vec<String>| row.get(column).is_none_or(|cell| is_number(cell));
        if !rows.is_empty()
            && rows.iter().all(numeric)
            && let Some(column) = table.column_mut(column)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    table.to_string()
}

fn is_number(cell: &str) -> bool {
    let plain = cell.replace(['_', ',', ' ', '%'], "");
    plain.is_empty()
        || plain.parse::<f64>().is_ok()
        || cell.split_once(' ').is_some_and(|(n, _)| n.parse::<f64>().is_ok())
}

/// A text without the characters that would command a terminal: data come from anywhere.
pub(crate) fn visible(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' => character,
        command if command.is_control() => char::REPLACEMENT_CHARACTER,
        _ => character,
    };
    text.chars().map(shown).collect()
}

/// A size in the unit that people would use.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_do_not_command_the_terminal() {
        let shown = table(&["x"], std::iter::once(vec!["\u{1b}[31mred\u{7}".to_owned()]));
        assert!(shown.contains("red") && !shown.contains(['\u{1b}', '\u{7}']), "{shown}");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
    }
}
