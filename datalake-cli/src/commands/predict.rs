//! `predict`: a table with a model's predictions.

use datalake_core::Result;
use datalake_core::pipeline::{Pipeline, Predict, Step, find_model};

use crate::cli_models;
use crate::commands::{Tools, model, pipeline};

/// Predicts for every row of a table.
pub(crate) async fn predict(arguments: cli_models::Predict, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let model = model::path(&arguments.model);
    let name = model.rsplit('/').next().unwrap_or(&model).trim_end_matches(model::SUFFIX).to_owned();
    let destination = arguments.to.unwrap_or_else(|| format!("processed-data/predictions/{name}.parquet"));
    // Nothing is made in the lake where either is missing.
    find_model(lake.as_ref(), &model).await?;
    tools.table(&lake, &arguments.table).await?;
    let step = Predict { name: name.clone(), model, table: arguments.table, destination: vec![destination] };
    let steps = Pipeline::from_steps(&format!("predict-{name}"), vec![Step::Predict(step)])?;
    pipeline::execute(&steps, lake, false, tools).await
}
