//! `evaluate`: a model's errors on the rows that were held out when it was trained.

use datalake_core::Result;
use datalake_core::ml::PermutationParams;
use datalake_core::pipeline::{Evaluate, Pipeline, Step, Train, baselines, open_model};

use crate::cli_models;
use crate::commands::{Tools, model, pipeline};

/// Evaluates a model.
pub(crate) async fn evaluate(arguments: cli_models::Evaluate, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let path = model::path(&arguments.model);
    let (_, envelope) = open_model(lake.as_ref(), &path).await?;
    let train = Train::of_model("evaluate", &path, &envelope.lineage)?;
    let destination = arguments.to.unwrap_or_else(|| {
        let own = path.strip_prefix(model::FOLDER).filter(|name| !name.contains('/')).unwrap_or(&path);
        format!("processed-data/evaluations/{}.json", own.trim_end_matches(model::SUFFIX))
    });
    let name = format!("evaluate-{}", train.name);
    let baselines = if arguments.baselines.is_empty() { baselines(&train) } else { arguments.baselines };
    let permutation = PermutationParams { n_repeats: arguments.permutations, ..PermutationParams::default() };
    let (folds, repeats) = (arguments.folds, arguments.repeats);
    let step = Evaluate { train, baselines, folds, repeats, permutation, reference: None, destination };
    let steps = Pipeline::from_steps(&name, vec![Step::Evaluate(step)])?;
    pipeline::execute(&steps, lake, false, tools).await
}
