//! `teardown`: the lake in a cluster goes, its data only if that is meant.

use std::io::{self, IsTerminal, Write};

use datalake_core::cluster::profile::Profile;
use datalake_core::cluster::{Cluster, TornDown};
use datalake_core::{Error, ErrorKind, Result};

use crate::cli_cluster::Teardown;
use crate::commands::{Tools, wrong_command_line};
use crate::settings;

/// Takes the lake down.
pub(crate) async fn teardown(arguments: &Teardown, tools: &Tools) -> Result<()> {
    let cluster = Cluster::connect(&settings::cluster(&arguments.cluster)?).await?;
    if arguments.delete_data && !arguments.yes {
        confirm(&cluster).await?;
    }
    let done = cluster.teardown(arguments.delete_data, tools.progress.as_ref()).await?;
    // Another command may have changed it meanwhile.
    let forgotten = Profile::update(|profile| {
        profile.forget(&cluster.profile(), arguments.delete_data);
    });
    tell(&done, &cluster, tools)?;
    forgotten.map(drop)
}

fn tell(done: &TornDown, cluster: &Cluster, tools: &Tools) -> Result<()> {
    if tools.printer.is_json() {
        return tools.printer.document(done);
    }
    if done.removed.is_empty() {
        tools.printer.line(&format!("nothing of a lake is in the namespace {}", cluster.namespace()))?;
    } else {
        tools.printer.line(&format!(
            "removed {} objects of the namespace {}",
            done.removed.len(),
            cluster.namespace()
        ))?;
    }
    for kept in &done.kept {
        tools.printer.line(&format!("left: {kept}"))?;
    }
    Ok(())
}

/// Asks whoever sits at the terminal.
async fn confirm(cluster: &Cluster) -> Result<()> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        wrong_command_line("--delete-data needs --yes where nobody can be asked");
    }
    let failed = |cause| Error::io("ask at", "the terminal", cause);
    let mut stderr = io::stderr();
    write!(stderr, "remove the lake in {} at {}, and all its data? [y/N] ", cluster.namespace(), cluster.address())
        .and_then(|()| stderr.flush())
        .map_err(failed)?;
    // On a thread of its own: a signal must be heard while nobody answers.
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer =
        read.await.map_err(|cause| Error::internal("ask at", "the terminal").with_source(cause))?.map_err(failed)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Cancelled, "remove", "the lake").with_reason("it was not confirmed"))
}
