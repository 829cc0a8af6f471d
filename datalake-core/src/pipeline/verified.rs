//! What verifying has found: each thing that was looked at, and all of it in a line.

use std::collections::HashSet;

use serde::Serialize;

use crate::error::{Error, Result};

/// Something that was held against what a run says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// The object or file, or the step.
    pub subject: String,
    /// What was looked at: `bytes`, `table`, `rows`, `model`, `manifest`, `balance` or `quarantine`.
    pub what: &'static str,
    /// Whether it is as the run says.
    pub holds: bool,
    /// What was found; where it does not hold, with what was wanted.
    pub found: String,
    /// What to do, where it does not hold and something else helps than to run it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What was looked at, in the order of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// The run, the folder or the file.
    pub run: String,
    /// Each thing.
    pub checks: Vec<Check>,
    /// The files and objects of tables and models, without those that only tell of others.
    #[serde(skip)]
    files: Vec<String>,
    /// What became of all records, where the run says it.
    #[serde(skip)]
    sums: Option<Sums>,
}

/// What became of all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    /// As the run says, where it says it.
    pub(super) seen: Option<u64>,
    /// Rows as the run says.
    pub(super) written: u64,
    /// Rows that are in its files.
    pub(super) counted: Counted,
    /// Records that are in the quarantine, where they can be counted.
    pub(super) quarantined: Option<u64>,
}

/// Rows that were counted in files: only in those whose bytes are as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) rows: u64,
    /// Whether all files are.
    pub(super) is_whole: bool,
}

impl Sums {
    /// What was counted, as an equation where all was.
    fn in_words(self) -> String {
        let Self { seen, written, counted: Counted { rows, is_whole }, quarantined } = self;
        match (seen, is_whole, quarantined) {
            (Some(seen), true, Some(quarantined)) => {
                let sign = if seen == rows + quarantined { "=" } else { "is not" };
                format!("{seen} rows seen {sign} {rows} written + {quarantined} quarantined")
            }
            (None, true, _) => format!("{rows} rows"),
            (None, false, _) => format!("{rows} of {written} rows counted"),
            (Some(seen), _, quarantined) => {
                let rows =
                    if is_whole { format!("{rows} written") } else { format!("{rows} of {written} written counted") };
                let set_aside = quarantined.map_or("those".to_owned(), |quarantined| quarantined.to_string());
                let verb = if quarantined.is_none() { " not counted" } else { "" };
                format!("{seen} rows seen, {rows}, {set_aside} quarantined{verb}")
            }
        }
    }
}

impl Verified {
    pub(super) fn of(run: &str) -> Self {
        Self { run: run.to_owned(), checks: Vec::new(), files: Vec::new(), sums: None }
    }

    /// How many things are not as the run says.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| !check.holds).count()
    }

    /// All of it in a line: how many files were read, how many of them differ, and what became of the rows.
    ///
    /// ```no_run
    /// # async fn example(lake: std::sync::Arc<dyn datalake_core::Lake>) -> datalake_core::Result<()> {
    /// let verified = datalake_core::pipeline::verify("foods.parquet", || Ok(lake.clone())).await?;
    /// println!("{}", verified.summary()); // 1 file verified, 0 differ; 5 rows seen = 4 written + 1 quarantined
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn summary(&self) -> String {
        // A balance that is open says nothing of the file after which it is named.
        let is_of_file = |check: &&Check| matches!(check.what, "bytes" | "table" | "rows" | "model");
        let failing = self.checks.iter().filter(|check| !check.holds);
        let failing: HashSet<&str> = failing.filter(is_of_file).map(|check| &*check.subject).collect();
        let differ = self.files.iter().filter(|file| failing.contains(&***file)).count();
        let (files, verb) = (counted(self.files.len(), "file"), if differ == 1 { "differs" } else { "differ" });
        let mut line = format!("{files} verified, {differ} {verb}");
        match self.sums {
            Some(sums) => line += &format!("; {}", sums.in_words()),
            None => {
                let balances = self.checks.iter().filter(|check| check.what == "balance");
                let (open, all) =
                    balances.fold((0, 0), |(open, all), check| (open + usize::from(!check.holds), all + 1));
                match (open, all) {
                    (_, 0) => {}
                    (0, all) => line += &format!("; {}, closed", counted(all, "balance")),
                    (open, all) => line += &format!("; {}, {open} not closed", counted(all, "balance")),
                }
            }
        }
        let of_files: HashSet<&str> = self.files.iter().map(|file| &**file).collect();
        let is_told = |check: &&Check| is_of_file(check) && of_files.contains(&*check.subject);
        let others = self.checks.iter().filter(|check| !check.holds && !is_told(check)).count();
        if others > 0 {
            line += &format!("; {} besides fail{}", counted(others, "check"), if others == 1 { "s" } else { "" });
        }
        line
    }

    /// An error if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) with the first thing that is not as the run says.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.checks.iter().find(|check| !check.holds) else { return Ok(()) };
        let again = "was it written anew or changed since? Run it again to have what it says";
        Err(Error::invalid("verify", &self.run)
            .with_reason(format_args!("the {} of {}: {}", first.what, first.subject, first.found))
            .with_hint(first.hint.as_deref().unwrap_or(again)))
    }

    /// A file or object of a table or model is about to be looked at.
    pub(super) fn file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    /// What became of all records.
    pub(super) fn sum(&mut self, sums: Sums) {
        self.sums = Some(sums);
    }

    pub(super) fn add(&mut self, subject: &str, what: &'static str, holds: bool, found: String) {
        self.checks.push(Check { subject: subject.to_owned(), what, holds, found, hint: None });
    }

    /// Adds what does not hold, and what to do.
    pub(super) fn fail(&mut self, subject: &str, what: &'static str, found: String, hint: String) {
        self.checks.push(Check { subject: subject.to_owned(), what, holds: false, found, hint: Some(hint) });
    }

    pub(super) fn hold<T: PartialEq + std::fmt::Display>(
        &mut self,
        subject: &str,
        what: &'static str,
        found: &T,
        wanted: &T,
    ) {
        let holds = found == wanted;
        self.add(subject, what, holds, if holds { found.to_string() } else { format!("{found}, and not {wanted}") });
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_said_in_a_line() {
        let mut verified = Verified::of("t");
        for file in ["a", "b", "c"] {
            verified.file(file);
            verified.hold(file, "bytes", &1, &1);
        }
        let counted = Counted { rows: 9, is_whole: true };
        verified.sum(Sums { seen: None, written: 9, counted, quarantined: Some(0) });
        assert_eq!(verified.summary(), "3 files verified, 0 differ; 9 rows");
        let counted = Counted { rows: 7, ..counted };
        verified.hold("b", "rows", &1, &2);
        verified.hold("b", "table", &1, &2);
        // What was counted is told, whatever the run says.
        verified.sum(Sums { seen: Some(9), written: 8, counted, quarantined: Some(2) });
        assert_eq!(verified.summary(), "3 files verified, 1 differs; 9 rows seen = 7 written + 2 quarantined");
        verified.fail("q", "quarantine", "it was corrected".to_owned(), "replay it".to_owned());
        verified.sum(Sums { seen: Some(9), written: 7, counted, quarantined: Some(1) });
        let summary = verified.summary();
        assert!(
            summary.ends_with("; 9 rows seen is not 7 written + 1 quarantined; 1 check besides fails"),
            "{summary}"
        );
        // Of what was not counted, no sum is told.
        let some = Counted { rows: 4, is_whole: false };
        for (seen, counted, quarantined, said) in [
            (None, some, Some(0), "4 of 7 rows counted"),
            (Some(9), some, Some(2), "9 rows seen, 4 of 7 written counted, 2 quarantined"),
            (Some(9), counted, None, "9 rows seen, 7 written, those quarantined not counted"),
        ] {
            assert_eq!(Sums { seen, written: 7, counted, quarantined }.in_words(), said);
        }
    }

    #[test]
    fn balances_of_many_sources_are_counted() {
        let mut verified = Verified::of("run");
        verified.file("a");
        verified.add("s", "balance", true, String::new());
        verified.add("t", "balance", true, String::new());
        assert_eq!(verified.summary(), "1 file verified, 0 differ; 2 balances, closed");
        verified.add("u", "balance", false, String::new());
        assert!(verified.summary().contains("; 3 balances, 1 not closed; 1 check besides fails"));
    }

    #[test]
    fn the_first_that_fails_says_what_to_do() {
        let mut verified = Verified::of("t");
        verified.check().unwrap();
        verified.fail("q", "quarantine", "it was corrected".to_owned(), "replay it".to_owned());
        verified.hold("b", "rows", &1, &2);
        assert_eq!(verified.check().unwrap_err().hint(), Some("replay it"));
        verified.checks.remove(0);
        assert!(verified.check().unwrap_err().hint().unwrap().contains("Run it again"));
    }
}
