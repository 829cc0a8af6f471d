//! `verify`: a run held against its objects.

use datalake_core::Result;
use datalake_core::pipeline::verify as verified;

use crate::commands::Tools;

/// Looks at everything, prints it, and fails where something does not hold.
pub(crate) async fn verify(run: &str, tools: &Tools) -> Result<()> {
    let verified = verified(run, || tools.lake()).await?;
    tools.printer.rows(&["what", "of", "holds", "found"], &verified.checks, |check| {
        let holds = if check.holds { "yes" } else { "no" };
        vec![check.what.to_owned(), check.subject.clone(), holds.to_owned(), check.found.clone()]
    })?;
    verified.check()
}
