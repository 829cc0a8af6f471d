//! The report of a run: its manifest and evaluations, as the plain data that the page is drawn from.

use std::collections::BTreeMap;

use bytes::Bytes;
use object_store::PutMode;
use serde_json::Value;

use crate::error::Result;
use crate::format::Profile;
use crate::lake::{Bucket, parse_object};
use crate::ml::{CrossValidation, Metrics, PermutationImportance, Task};
use crate::pipeline::evaluate::{Evaluation, Score};
use crate::pipeline::file::Pipeline;
use crate::pipeline::manifest::{Manifest, Output, PrepareBalance, Status, StepRecord, get_json};
use crate::pipeline::run::Context;
use crate::pipeline::step::{Prepare, Step};
use crate::report::{
    self, ColumnLine, Combine, Harm, Harms, Importance, LineageLine, Metric, ModelPart, Parameter, PreparePart, Report,
    Role, ScoreLine, SourceLine, StepLine,
};
use crate::sample::{MANIFEST, SOURCE};

/// A confusion matrix of more classes cannot be read, and is left out.
const MOST_DRAWN: usize = 60;

/// Writes `report.html` into the run's folder.
pub(crate) async fn write(pipeline: &Pipeline, manifest: &Manifest, bucket: &Bucket, context: &Context) -> Result<()> {
    let report = Report {
        title: pipeline.name().to_owned(),
        run: manifest.run.to_string(),
        status: report::Status::Done,
        code_version: manifest.code.clone(),
        started: Some(manifest.started.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
        data_label: label(manifest, context).await?,
        notes: manifest.steps.iter().flat_map(|step| step.report.notes.clone()).collect(),
        steps: manifest.steps.iter().map(step_line).collect(),
        prepares: prepares(pipeline, manifest),
        models: models(pipeline, context).await?,
        lineage: lineage(manifest),
    };
    let html = report::html(&report)?;
    bucket.put(&manifest.run.key("report.html"), Bytes::from(html), PutMode::Overwrite).await.map(drop)
}

/// `synthetic` where the sources lie beside the manifest of a sample.
async fn label(manifest: &Manifest, context: &Context) -> Result<Option<String>> {
    let inputs = manifest.steps.iter().filter(|step| step.kind == "prepare").flat_map(|step| &step.inputs);
    let mut folders: Vec<&str> = inputs.filter_map(|input| Some(input.path.rsplit_once('/')?.0)).collect();
    folders.dedup();
    for folder in folders {
        let (bucket, key) = parse_object(&format!("{folder}/{MANIFEST}"))?;
        if context.lake.bucket(&bucket).await?.head(&key).await.is_ok() {
            return Ok(Some(SOURCE.to_owned()));
        }
    }
    Ok(None)
}

fn step_line(step: &StepRecord) -> StepLine {
    StepLine {
        name: format!("{} {}", step.kind, step.name),
        status: match step.status {
            Status::Skipped => report::Status::Skipped,
            Status::Failed | Status::Cancelled | Status::Interrupted => report::Status::Failed,
            Status::Done | Status::Running | Status::Waiting => report::Status::Done,
        },
        seconds: step.seconds,
        detail: match &step.from_run {
            Some(run) => format!("nothing changed since run {run}"),
            None => step.report.highlights.join("; "),
        },
    }
}

fn prepares(pipeline: &Pipeline, manifest: &Manifest) -> Vec<PreparePart> {
    let steps = pipeline.steps().iter().zip(&manifest.steps);
    steps
        .filter_map(|(step, record)| match step {
            Step::Prepare(step) => Some(prepare_part(step, record)),
            _ => None,
        })
        .collect()
}

fn prepare_part(step: &Prepare, record: &StepRecord) -> PreparePart {
    let balance = record.report.balance.clone().unwrap_or_default();
    PreparePart {
        name: step.name.clone(),
        destinations: step.destination.clone(),
        digest: record.report.outputs.first().and_then(|output| output.digest.clone()).unwrap_or_default(),
        sources: sources(&balance),
        quarantine: balance.quarantine.clone(),
        combine: Some(Combine {
            rows_in: balance.combine_in,
            rows_out: balance.combine_out,
            duplicates: balance.duplicates,
        }),
        columns: record.report.profile.as_ref().map(|profile| columns(profile, step)).unwrap_or_default(),
    }
}

fn sources(balance: &PrepareBalance) -> Vec<SourceLine> {
    let line = |source: &crate::pipeline::SourceBalance| SourceLine {
        object: source.path.clone(),
        format: source.path.rsplit_once('.').map(|(_, suffix)| suffix.to_owned()).unwrap_or_default(),
        seen: source.seen,
        written: source.written,
        quarantined: source.quarantined.clone(),
        dropped: source.dropped.clone(),
    };
    balance.sources.iter().map(line).collect()
}

fn columns(profile: &Profile, step: &Prepare) -> Vec<ColumnLine> {
    let unit = |name: &str| step.columns.iter().find(|spec| spec.name == name).and_then(|spec| spec.unit.clone());
    let line = |column: &crate::format::ColumnProfile| ColumnLine {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        unit: unit(&column.name),
        nulls: column.nulls,
        distinct: column.distinct,
        min: column.min.clone(),
        mean: column.mean,
        max: column.max.clone(),
    };
    profile.columns.iter().map(line).collect()
}

async fn models(pipeline: &Pipeline, context: &Context) -> Result<Vec<ModelPart>> {
    let mut parts = Vec::new();
    for step in pipeline.steps() {
        if let Step::Evaluate(step) = step {
            let (bucket, key) = parse_object(&step.destination)?;
            let bucket = context.lake.bucket(&bucket).await?;
            let evaluation: Evaluation = get_json(&bucket, &key).await?;
            let reference = step.reference.as_ref().map(|reference| reference.name.as_str());
            parts.push(model_part(&evaluation, unit(pipeline, &step.train.table, &evaluation.target), reference));
        }
    }
    Ok(parts)
}

/// The unit that the prepare step of a table declares for a column.
fn unit(pipeline: &Pipeline, table: &str, column: &str) -> Option<String> {
    pipeline.steps().iter().find_map(|step| match step {
        Step::Prepare(step) if step.destination.iter().any(|destination| destination == table) => {
            step.columns.iter().find(|spec| spec.name == column)?.unit.clone()
        }
        _ => None,
    })
}

fn model_part(evaluation: &Evaluation, unit: Option<String>, reference: Option<&str>) -> ModelPart {
    let metrics = metrics(evaluation, unit.as_ref());
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    let mut scores: Vec<ScoreLine> =
        evaluation.scores.iter().map(|score| score_line(score, &names, evaluation, reference)).collect();
    for (trainer, folds) in &evaluation.cross_validation {
        scores.push(folds_line(trainer, folds, &names));
    }
    ModelPart {
        name: evaluation.model.clone(),
        object: evaluation.path.clone(),
        digest: evaluation.digest.clone(),
        target: evaluation.target.clone(),
        features: evaluation.features.iter().map(|feature| feature.name.clone()).collect(),
        parameters: parameters(&evaluation.parameters),
        train_rows: evaluation.rows_train,
        test_rows: evaluation.rows_held_out,
        split: match &evaluation.split_by {
            Some(column) => format!("by group: rows of one `{column}` stay on one side"),
            None => "random".to_owned(),
        },
        metrics,
        scores,
        importances: importances(evaluation),
        harms: harms(evaluation, unit.as_ref()),
        unit,
        evaluation: plot(evaluation),
    }
}

/// The figures shown, the one that decides first.
fn metrics(evaluation: &Evaluation, unit: Option<&String>) -> Vec<Metric> {
    let metric = |name: &str, unit: Option<&String>, lower_is_better| Metric {
        name: name.to_owned(),
        unit: unit.cloned(),
        lower_is_better,
    };
    match evaluation.task {
        Task::Regression => {
            vec![metric("mae", unit, true), metric("rmse", unit, true), metric("r2", None, false)]
        }
        Task::Classification => vec![
            metric("accuracy", None, false),
            metric("f1_macro", None, false),
            metric("f1_weighted", None, false),
            metric("log_loss", None, true),
        ],
    }
}

fn values(figures: &BTreeMap<String, f64>, names: &[&str]) -> Vec<Option<f64>> {
    names.iter().map(|name| figures.get(*name).copied()).collect()
}

fn score_line(score: &Score, names: &[&str], evaluation: &Evaluation, reference: Option<&str>) -> ScoreLine {
    let role = match score.name.as_str() {
        _ if score.rows == "out-of-bag" => Role::OutOfBag,
        name if name == evaluation.trainer => Role::HeldOut,
        name if Some(name) == reference => Role::Reference,
        _ => Role::Baseline,
    };
    ScoreLine { estimator: score.name.clone(), role, values: values(&score.figures, names), deviations: Vec::new() }
}

fn folds_line(trainer: &str, folds: &CrossValidation, names: &[&str]) -> ScoreLine {
    ScoreLine {
        estimator: trainer.to_owned(),
        role: Role::Folds,
        values: values(&folds.mean, names),
        deviations: values(&folds.std, names),
    }
}

fn parameters(parameters: &Value) -> Vec<Parameter> {
    let Value::Object(parameters) = parameters else { return Vec::new() };
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    parameters.iter().map(|(name, value)| Parameter { name: name.clone(), value: plain(value) }).collect()
}

fn importances(evaluation: &Evaluation) -> Vec<Importance> {
    let shares = evaluation.importances.iter().flatten();
    let features = evaluation.features.iter().zip(shares);
    features.map(|(feature, share)| Importance { feature: feature.name.clone(), share: *share }).collect()
}

fn harms(evaluation: &Evaluation, unit: Option<&String>) -> Option<Harms> {
    let found = evaluation.permutation.as_ref()?;
    let in_unit = ["rmse", "mae", "max_error"].contains(&found.metric.as_str());
    let harm =
        |one: &PermutationImportance| Harm { feature: one.feature.clone(), mean: one.mean, interval: one.interval };
    Some(Harms {
        metric: found.metric.clone(),
        unit: unit.filter(|_| in_unit).cloned(),
        features: found.features.iter().map(harm).collect(),
    })
}

fn plot(evaluation: &Evaluation) -> report::Evaluation {
    match &evaluation.held_out {
        Metrics::Regression(_) => report::Evaluation::Regression { pairs: evaluation.pairs.clone() },
        Metrics::Classification(metrics) if metrics.classes.len() > MOST_DRAWN => report::Evaluation::None,
        Metrics::Several(_) => report::Evaluation::None,
        Metrics::Classification(metrics) => {
            report::Evaluation::Classification { labels: metrics.classes.clone(), counts: metrics.confusion.clone() }
        }
    }
}

fn lineage(manifest: &Manifest) -> Vec<LineageLine> {
    let mut lines = Vec::new();
    for step in &manifest.steps {
        if step.kind == "prepare" {
            lines.extend(step.inputs.iter().map(|input| LineageLine {
                role: "source".to_owned(),
                object: input.path.clone(),
                e_tag: input.etag.clone(),
                digest: None,
                bytes: Some(input.size),
            }));
        }
        lines.extend(step.report.outputs.iter().map(|output| output_line(&step.kind, output)));
    }
    lines
}

fn output_line(kind: &str, output: &Output) -> LineageLine {
    LineageLine {
        role: kind.to_owned(),
        object: output.object.path.clone(),
        e_tag: output.object.etag.clone(),
        digest: output.digest.clone(),
        bytes: Some(output.object.size),
    }
}
