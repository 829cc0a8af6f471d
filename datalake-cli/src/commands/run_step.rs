//! `run-step`: one shard of an order, as the only work of a worker's container.

use datalake_core::pipeline::{Shift, Stage};
use datalake_core::{Error, Result};

use crate::cli_jobs::RunStep;
use crate::commands::Tools;

/// Carries out one shard.
pub(crate) async fn run_step(arguments: RunStep, tools: &Tools) -> Result<()> {
    let stage: Stage = serde_json::from_value(arguments.stage.as_str().into()).map_err(|cause| {
        Error::invalid("carry out", format_args!("the stage `{}`", arguments.stage)).with_source(cause)
    })?;
    // Annotations that a pod does not have are empty.
    let count = |text: &str| text.parse::<u32>().unwrap_or(0);
    let attempt = count(&arguments.failures) + count(&arguments.disruptions);
    let shift =
        Shift::new(arguments.order, stage, arguments.shard).with_attempt(attempt).with_metrics(arguments.metrics_addr);
    shift.work(tools.patient_lake()?, std::sync::Arc::clone(&tools.progress)).await
}
