//! `evaluate`: a model's errors on the rows that were held out when it was trained.

use datalake_core::pipeline::{Evaluate, Pipeline, Step, Train, baselines, open_model};
use datalake_core::{Error, Result};

use crate::cli;
use crate::commands::{Tools, model, pipeline};

/// Evaluates a model.
pub(crate) async fn evaluate(arguments: cli::Evaluate, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let path = model::path(&arguments.model);
    let (_, envelope) = open_model(lake.as_ref(), &path).await?;
    let train = envelope.lineage.get("step").cloned().unwrap_or_default();
    let mut train: Train = serde_json::from_value(train).map_err(|cause| {
        Error::invalid("evaluate", &path)
            .with_reason("the model does not say which rows were held out")
            .with_hint("train it by `datalake train` or in a pipeline")
            .with_source(cause)
    })?;
    train.destination = Some(path);
    let destination = format!("processed-data/evaluations/{}.json", train.name);
    let name = format!("evaluate-{}", train.name);
    let baselines = if arguments.baselines.is_empty() { baselines(&train) } else { arguments.baselines };
    let step = Evaluate { train, baselines, folds: arguments.folds, reference: None, destination };
    let steps = Pipeline::from_steps(&name, vec![Step::Evaluate(step)])?;
    pipeline::execute(&steps, lake, false, tools).await
}
