//! `train`: a model from a table of the lake.

use std::sync::Arc;

use datalake_core::format::ReadOptions;
use datalake_core::ml::{Task, forest::ForestSettings, trainer};
use datalake_core::pipeline::{Pipeline, Step, Train};
use datalake_core::query::DataSet;
use datalake_core::{Error, Lake, Result};
use serde_json::Value;

use crate::cli_models;
use crate::commands::{Tools, pipeline};

/// Trains a model.
pub(crate) async fn train(arguments: cli_models::Train, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    tools.table(&lake, &arguments.table).await?;
    let task = match arguments.task {
        Some(cli_models::Task::Regression) => Some(Task::Regression),
        Some(cli_models::Task::Classification) => Some(Task::Classification),
        None => task_of(&lake, &arguments).await?,
    };
    let forest = forest(&arguments, task)?;
    if let Some(task) = task {
        tools.printer.say(&format!("{task} of `{}`", arguments.target));
    }
    // A missing column is named by the training step, with the nearest one.
    let task = task.unwrap_or(Task::Classification);
    let name = arguments.name.clone().unwrap_or_else(|| arguments.target.replace(['/', '\\'], "_"));
    let step = Train {
        name: name.clone(),
        task,
        forest,
        weights: arguments.weights,
        trees: arguments.trees,
        table: arguments.table,
        target: arguments.target,
        features: arguments.features,
        exclude: arguments.exclude,
        categorical_features: arguments.categorical_features,
        trainer: arguments.trainer,
        test: arguments.test,
        split_by: arguments.split_by,
        seed: arguments.seed,
        destination: arguments.model,
        compression: arguments.compression.into(),
    };
    let steps = Pipeline::from_steps(&format!("train-{name}"), vec![Step::Train(step)])?;
    pipeline::execute(&steps, lake, false, tools).await
}

/// The forest's parameters, each of which is named where it is wrong.
fn forest(arguments: &cli_models::Train, task: Option<Task>) -> Result<ForestSettings> {
    let mut settings = serde_json::json!({
        "n_estimators": arguments.n_estimators,
        "min_samples_leaf": arguments.min_samples_leaf,
        "seed": arguments.seed,
    });
    let given = [
        ("max_time", arguments.max_time.as_deref().map(Value::from)),
        ("max_model_size", arguments.max_model_size.as_deref().map(Value::from)),
        ("max_depth", arguments.max_depth.map(Value::from)),
        ("min_samples_split", arguments.min_samples_split.map(Value::from)),
        ("criterion", arguments.criterion.as_deref().map(Value::from)),
        ("max_samples", arguments.max_samples.map(Value::from)),
        ("bootstrap", arguments.no_bootstrap.then_some(Value::from(false))),
        ("min_impurity_decrease", arguments.min_impurity_decrease.map(Value::from)),
        ("min_weight_fraction_leaf", arguments.min_weight_fraction_leaf.map(Value::from)),
        ("max_leaf_nodes", arguments.max_leaf_nodes.map(Value::from)),
        ("ccp_alpha", arguments.ccp_alpha.map(Value::from)),
        (
            "monotonic_cst",
            (!arguments.monotonic_cst.is_empty()).then(|| arguments.monotonic_cst.iter().cloned().collect()),
        ),
        ("splitter", arguments.splitter.as_deref().map(Value::from)),
        ("class_weight", arguments.class_weight.as_deref().map(class_weight).transpose()?),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            settings[name] = value;
        }
    }
    if let Some(features) = &arguments.max_features {
        let number = serde_json::from_str(features).ok().filter(Value::is_number);
        settings["max_features"] = number.unwrap_or_else(|| features.as_str().into());
    }
    if let Some(task) = task.filter(|_| arguments.trainer == "forest") {
        trainer("forest", task, &settings)?;
    }
    serde_json::from_value(settings)
        .map_err(|cause| Error::invalid("use", "the forest's parameters").with_reason(cause))
}

/// A word, or a number for each class: `a=1,b=2`, or as JSON where a name has a comma.
fn class_weight(text: &str) -> Result<Value> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Error::invalid("use", format_args!("--class-weight `{text}`"))
            .with_reason(reason)
            .with_hint("a class whose name has a comma is written in JSON: '{\"nuts, seeds\": 2}'")
    };
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|cause| wrong(&cause));
    }
    if !text.contains('=') {
        return Ok(text.into());
    }
    let weights = text.split(',').map(cli_models::named::<f64>).collect::<std::result::Result<Vec<_>, String>>();
    let weights = weights.map_err(|reason| wrong(&reason))?;
    Ok(weights.into_iter().map(|(class, weight)| (class, Value::from(weight))).collect())
}

/// A number is predicted by regression, all else by classification; none where there is no such column.
async fn task_of(lake: &Arc<dyn Lake>, arguments: &cli_models::Train) -> Result<Option<Task>> {
    let data = DataSet::open(lake, &arguments.table, ReadOptions::default()).await?;
    match data.schema().field_with_name(&arguments.target) {
        Ok(field) if field.data_type().is_numeric() => Ok(Some(Task::Regression)),
        Ok(_) => Ok(Some(Task::Classification)),
        Err(_) => Ok(None),
    }
}
