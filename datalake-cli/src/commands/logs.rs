//! `logs`: what a run said, and its workers, from the lake alone.

use std::collections::BTreeSet;
use std::time::Duration;

use datalake_core::Result;
use datalake_core::pipeline::{LogLine, RunId, Status, load, log_pieces};

use crate::cli::Logs;
use crate::commands::Tools;

/// How often new pieces are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Prints log lines, oldest first; with `--follow` until the run ends.
pub(crate) async fn logs(arguments: &Logs, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let run = match &arguments.run {
        Some(run) => RunId::from(run.as_str()),
        None => load(lake.as_ref(), None).await?.run,
    };
    let mut seen = BTreeSet::new();
    loop {
        // First the state, then the lines: those of the end come before it.
        let manifest = load(lake.as_ref(), Some(&run)).await?;
        let mut lines: Vec<(String, LogLine)> = Vec::new();
        for piece in log_pieces(lake.as_ref(), &run).await? {
            if seen.insert(piece.key.clone()) {
                lines.extend(piece.lines(lake.as_ref()).await?.into_iter().map(|line| (piece.from.clone(), line)));
            }
        }
        lines.sort_by_key(|(_, line)| line.time);
        for (from, line) in lines {
            print(&from, &line, tools)?;
        }
        let is_over = !matches!(manifest.status, Status::Running | Status::Waiting);
        if is_over || !arguments.follow {
            if let Some(error) = manifest.error.filter(|_| !tools.printer.is_json()) {
                tools.printer.line(&format!("{} {}: {error}", manifest.updated.format("%H:%M:%S"), manifest.status))?;
            }
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn print(from: &str, line: &LogLine, tools: &Tools) -> Result<()> {
    if tools.printer.is_json() {
        let line = serde_json::json!({ "time": line.time, "from": from, "event": line.event, "text": line.text });
        return tools.printer.line(&line.to_string());
    }
    if line.event == "end" {
        return Ok(());
    }
    let text = if line.event == "begin" { format!("{} …", line.text) } else { line.text.clone() };
    tools.printer.line(&format!("{} {from:<28} {text}", line.time.format("%H:%M:%S")))
}
