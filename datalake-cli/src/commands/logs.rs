//! `logs`: what a run said, and its workers, from the lake alone.

use std::time::Duration;

use datalake_core::Result;
use datalake_core::pipeline::{LogEntry, LogReader, RunId, load};

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
    let mut reader = LogReader::new(run);
    loop {
        let (lines, manifest) = reader.more(lake.as_ref()).await?;
        for line in lines {
            print(&line, tools)?;
        }
        if LogReader::is_over(manifest.status) || !arguments.follow {
            if let Some(error) = manifest.error.filter(|_| !tools.printer.is_json()) {
                tools.printer.line(&format!("{} {}: {error}", manifest.updated.format("%H:%M:%S"), manifest.status))?;
            }
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn print(line: &LogEntry, tools: &Tools) -> Result<()> {
    let LogEntry { from, said, .. } = line;
    if tools.printer.is_json() {
        let line = serde_json::json!({ "time": said.time, "from": from, "event": said.event, "text": said.text });
        return tools.printer.line(&line.to_string());
    }
    if said.event == "end" {
        return Ok(());
    }
    let text = if said.event == "begin" { format!("{} …", said.text) } else { said.text.clone() };
    tools.printer.line(&format!("{} {from:<28} {text}", said.time.format("%H:%M:%S")))
}
