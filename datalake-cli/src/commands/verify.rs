//! `verify`: a run held against its objects.

use datalake_core::Result;
use datalake_core::pipeline::{Check, verify as verified};

use crate::commands::Tools;

/// So many things are shown each by itself; of more only those that fail, unless all are asked for.
const SHOWN: usize = 10;

/// Looks at everything, prints it, and fails where something does not hold.
pub(crate) async fn verify(run: &str, tools: &Tools) -> Result<()> {
    let verified = verified(run, || tools.lake()).await?;
    if tools.printer.is_json() {
        tools.printer.document(&verified.checks)?;
        return verified.check();
    }
    let shows_all = tools.global.verbose || verified.checks.len() <= SHOWN;
    let shown: Vec<&Check> = verified.checks.iter().filter(|check| shows_all || !check.holds).collect();
    if !shown.is_empty() {
        tools.printer.rows(&["what", "of", "holds", "found"], &shown, |check| {
            let holds = if check.holds { "yes" } else { "no" };
            vec![check.what.to_owned(), check.subject.clone(), holds.to_owned(), check.found.clone()]
        })?;
    }
    tools.printer.line(&verified.summary())?;
    verified.check()
}
