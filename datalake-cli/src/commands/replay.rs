//! `replay`: quarantined records once more.

use datalake_core::Result;
use datalake_core::format::declared_schema;
use datalake_core::pipeline::{Fix, replay as replayed};

use crate::cli::Replay;
use crate::commands::Tools;

/// Reads them, and says how many came back.
pub(crate) async fn replay(arguments: Replay, tools: &Tools) -> Result<()> {
    let mut fix = Fix::default();
    if !arguments.null.is_empty() {
        let nulls = std::iter::once(String::new()).chain(arguments.null);
        fix.nulls = Some(nulls.collect());
    }
    if let Some(schema) = &arguments.schema {
        fix.schema = Some(declared_schema(schema)?);
    }
    let done = replayed(&arguments.run, fix, || tools.lake()).await?;
    if tools.printer.is_json() {
        return tools.printer.document(&done);
    }
    let place = done.quarantine.map(|place| format!(" ({place})")).unwrap_or_default();
    tools.printer.say(&format!(
        "{} records seen = {} brought back + {} quarantined{place}; {} rows in all",
        done.seen, done.brought_back, done.quarantined, done.rows
    ));
    Ok(())
}
