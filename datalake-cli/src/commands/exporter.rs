//! `exporter`: the last run of each pipeline as metrics, for Prometheus to scrape.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use datalake_core::pipeline::{MetricsServer, last_of_each, metrics};
use datalake_core::{ErrorKind, Result};

use crate::commands::Tools;

/// How many runs are looked through for the last of each pipeline.
const RUNS: usize = 200;

/// Serves metrics until it is stopped.
pub(crate) async fn export(listen: SocketAddr, tools: &Tools) -> Result<Infallible> {
    let lake = tools.lake()?;
    let server = MetricsServer::bind(listen).await?;
    tools.printer.say(&format!("metrics of {lake} at http://{}/metrics", server.address()));
    server
        .serve(move || {
            let lake = Arc::clone(&lake);
            async move {
                match last_of_each(lake.as_ref(), RUNS).await {
                    // No pipeline has run yet.
                    Err(error) if error.kind() == ErrorKind::NotFound => metrics::of_runs(&[]),
                    runs => metrics::of_runs(&runs?),
                }
            }
        })
        .await
}
