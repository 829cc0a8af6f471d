//! `model`: what the models of a lake are and where they come from.

use std::sync::Arc;

use datalake_core::lake::BucketName;
use datalake_core::ml::{Compression, Feature, FeatureKind, Model, PermutationParams};
use datalake_core::pipeline::{self, Context, RunId, merge_models, model_card, open_model_file};
use datalake_core::report::{card_html, card_markdown};
use datalake_core::{Error, ErrorKind, Lake, Result, compute};
use serde::Serialize;

use crate::cli_models;
use crate::commands::Tools;
use crate::output::size;

/// The bucket of models.
const MODELS: &str = "models";
/// Where models are that are named by their name alone.
pub(crate) const FOLDER: &str = "models/";
/// The suffix of model files.
pub(crate) const SUFFIX: &str = ".model";

#[derive(Debug, Serialize)]
struct ModelLine {
    model: String,
    trainer: String,
    task: String,
    target: String,
    features: usize,
    bytes: u64,
    digest: String,
}

/// `bucket/key` of a model that is named in full, or by its name alone.
pub(crate) fn path(model: &str) -> String {
    let model = model.strip_prefix("lake://").unwrap_or(model);
    if model.contains('/') { model.to_owned() } else { format!("{FOLDER}{}{SUFFIX}", model.trim_end_matches(SUFFIX)) }
}

/// Lists the models of the lake.
pub(crate) async fn list(tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let bucket = match lake.bucket(&BucketName::new(MODELS)?).await {
        Ok(bucket) => bucket,
        Err(error) if error.kind() == ErrorKind::NotFound => return print(&[], tools),
        Err(error) => return Err(error),
    };
    let mut lines = Vec::new();
    for object in bucket.list(None).await? {
        if object.location.as_ref().ends_with(SUFFIX) {
            let path = bucket.address(&object.location);
            match line(lake.as_ref(), path, object.size).await {
                Ok(line) => lines.push(line),
                Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported) => {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                    tools.printer.say(&format!("{error}{}", cause.unwrap_or_default()));
                }
                Err(error) => return Err(error),
            }
        }
    }
    print(&lines, tools)
}

fn print(lines: &[ModelLine], tools: &Tools) -> Result<()> {
    tools.printer.rows(&["model", "trainer", "task", "target", "features", "size", "digest"], lines, |line| {
        vec![
            line.model.clone(),
            line.trainer.clone(),
            line.task.clone(),
            line.target.clone(),
            line.features.to_string(),
            size(line.bytes),
            line.digest.chars().take(16).collect(),
        ]
    })
}

async fn line(lake: &dyn Lake, path: String, bytes: u64) -> Result<ModelLine> {
    let file = open_model_file(lake, &path).await?;
    let model = file.model.as_ref();
    Ok(ModelLine {
        model: path,
        trainer: model.name().to_owned(),
        task: model.task().to_string(),
        target: model.target().to_owned(),
        features: model.features().len(),
        bytes,
        digest: file.digest(),
    })
}

/// Prints a model's digest.
pub(crate) async fn digest(name: &str, tools: &Tools) -> Result<()> {
    let path = path(name);
    let digest = open_model_file(tools.lake()?.as_ref(), &path).await?.digest();
    if tools.printer.is_json() {
        return tools.printer.document(&serde_json::json!({ "model": path, "digest": digest }));
    }
    tools.printer.line(&digest)
}

/// Prints what each column is worth to a model, the most valuable first.
pub(crate) async fn importances(arguments: cli_models::Importances, tools: &Tools) -> Result<()> {
    let cli_models::Importances { model, out_of_bag, n_repeats, metric, seed } = arguments;
    let context = Context { lake: tools.lake()?, run: RunId::now(), progress: Arc::clone(&tools.progress) };
    let params = PermutationParams { n_repeats, metric, seed };
    let mut found = pipeline::importances(&path(&model), &params, out_of_bag, &context).await?;
    if tools.printer.is_json() {
        return tools.printer.document(&found);
    }
    let rows = if out_of_bag { "rows out of bag, by single trees" } else { "rows held out" };
    tools
        .printer
        .say(&format!("{} {:.4} on {} {rows}; shuffled, it is worse by", found.metric, found.score, found.rows));
    found.features.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    tools.printer.rows(&["feature", &found.metric, "standard error", "95% interval"], &found.features, |one| {
        vec![
            one.feature.clone(),
            format!("{:.4}", one.mean),
            one.standard_error.map(|error| format!("{error:.4}")).unwrap_or_default(),
            one.interval.map(|[low, high]| format!("{low:.4} to {high:.4}")).unwrap_or_default(),
        ]
    })
}

/// Computes the digests of models anew.
pub(crate) async fn verify(names: &[String], tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let mut verified = Vec::with_capacity(names.len());
    for name in names {
        let path = path(name);
        let file = open_model_file(lake.as_ref(), &path).await?;
        let digest = file.digest();
        let checked = compute::run(move || file.verify()).await;
        checked.map_err(|cause| Error::new(cause.kind(), "verify the model", &path).with_source(cause))?;
        verified.push(Verified { model: path, digest });
    }
    tools.printer.rows(&["model", "digest"], &verified, |line| vec![line.model.clone(), line.digest.clone()])
}

#[derive(Debug, Serialize)]
struct Verified {
    model: String,
    digest: String,
}

/// Prints a model's card.
pub(crate) async fn card(name: &str, html: bool, tools: &Tools) -> Result<()> {
    let path = path(name);
    let file = open_model_file(tools.lake()?.as_ref(), &path).await?;
    let card = model_card(&path, file.model.as_ref(), &file.envelope, &file.digest());
    if tools.printer.is_json() {
        return tools.printer.document(&card);
    }
    let text = if html { card_html(&card)? } else { card_markdown(&card)? };
    tools.printer.bytes(text.as_bytes())
}

/// Joins parts of a forest.
pub(crate) async fn merge(parts: &[String], model: &str, compression: Compression, tools: &Tools) -> Result<()> {
    let parts: Vec<String> = parts.iter().map(|part| path(part)).collect();
    let context = Context { lake: tools.lake()?, run: RunId::now(), progress: Arc::clone(&tools.progress) };
    let report = merge_models(&parts, &path(model), compression, &context).await?;
    for output in &report.outputs {
        tools.printer.say(&format!("{} ({})", output.object.path, report.highlights.join(", ")));
        if let Some(digest) = &output.digest {
            tools.printer.line(digest)?;
        }
    }
    Ok(())
}

/// Shows one model.
pub(crate) async fn show(name: &str, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let path = path(name);
    let file = open_model_file(lake.as_ref(), &path).await?;
    let (model, digest) = (file.model.as_ref(), file.digest());
    if tools.printer.is_json() {
        return tools.printer.document(&serde_json::json!({
            "model": path,
            "trainer": model.name(),
            "task": model.task(),
            "target": model.target(),
            "classes": model.classes(),
            "outputs": model.outputs(),
            "features": model.features(),
            "importances": model.importances(),
            "parameters": model.params(),
            "digest": digest,
            "envelope": file.envelope,
            "file": { "version": file.version(), "bytes": file.size(), "sections": file.parts() },
        }));
    }
    tools.printer.line(&format!("{path}\n  {} for {} of `{}`", model.name(), model.task(), model.target()))?;
    tools.printer.line(&format!("  digest      {digest}"))?;
    tools.printer.line(&format!("  file        {}, version {}", size(file.size()), file.version()))?;
    tools.printer.line(&format!("  parameters  {}", model.params()))?;
    let envelope = serde_json::to_value(&file.envelope).unwrap_or_default();
    for section in ["metrics", "lineage"] {
        tools.printer.line(&format!("  {section:<11} {}", envelope[section]))?;
    }
    features(model, tools)
}

fn features(model: &dyn Model, tools: &Tools) -> Result<()> {
    let importances = model.importances().unwrap_or_default();
    let mut lines: Vec<(&Feature, Option<f64>)> = model
        .features()
        .iter()
        .enumerate()
        .map(|(index, feature)| (feature, importances.get(index).copied()))
        .collect();
    lines.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(std::cmp::Ordering::Equal));
    let seen = |feature: &Feature| match &feature.kind {
        FeatureKind::Numeric { range: Some([low, high]) } => format!("{low} to {high}"),
        FeatureKind::Numeric { range: None } => "no value".to_owned(),
        FeatureKind::Categorical { categories } => format!("{} categories", categories.len()),
    };
    tools.printer.rows(&["feature", "seen in training", "importance"], &lines, |(feature, importance)| {
        let share = importance.map(|share| format!("{share:.4}")).unwrap_or_default();
        vec![feature.name.clone(), seen(feature), share]
    })
}
