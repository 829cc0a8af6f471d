//! Train: a table into a model file, with its lineage.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use serde_json::{Map, Value, json};

use crate::compute;
use crate::error::{ErrorKind, Result};
use crate::format::Sink;
use crate::lake::parse_object;
use crate::ml::forest::{ForestParams, ForestTrainer};
use crate::ml::{DummyTrainer, Envelope, Model, Trainer, encode_to, evaluate, trainer};
use crate::pipeline::manifest::{ObjectVersion, Output, StepReport, code_version, version};
use crate::pipeline::origin::origin;
use crate::pipeline::run::Context;
use crate::pipeline::step::Train;
use crate::pipeline::streamed;
use crate::pipeline::table::{Columns, Split, split};

pub(crate) async fn run(step: &Train, context: &Context) -> Result<StepReport> {
    let input = version(context.lake.as_ref(), &step.table).await?;
    let split = split(step, Columns::Needed, context).await?;
    let rows = split.frame.select(&split.train)?;
    let progress = Arc::clone(&context.progress);
    let model: Box<dyn Model> = if let Some(trees) = step.trees {
        // What the rows out of bag say of a part says nothing of the forest.
        let forest = ForestTrainer::new(step.task, ForestParams { oob_score: false, ..step.forest.params.clone() })?;
        Box::new(compute::run(move || forest.fit_trees(&rows, trees.range(), progress.as_ref())).await?)
    } else {
        let trainer = trainer(&step.trainer, step.task, &step.settings()?)?;
        compute::run(move || trainer.train(&rows, progress.as_ref())).await?
    };
    publish(step, Trained { model: Arc::from(model), input, split: &split, facts: Map::new() }, context).await
}

/// A model and what it was trained on.
#[derive(Debug)]
pub(crate) struct Trained<'a> {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) input: Option<ObjectVersion>,
    pub(crate) split: &'a Split,
    /// More of its lineage.
    pub(crate) facts: Map<String, Value>,
}

/// Writes a model with its lineage to the step's destination.
pub(crate) async fn publish(step: &Train, trained: Trained<'_>, context: &Context) -> Result<StepReport> {
    let Trained { model, input, split, facts } = trained;
    let mut envelope = Envelope::default()
        .with_created(Utc::now().to_rfc3339())
        .with_lineage("step", json!(step))
        .with_lineage("table", json!(input))
        .with_lineage("run", json!(context.run))
        .with_lineage("code", code_version())
        .with_lineage(
            "rows",
            json!({ "train": split.train.len(), "held_out": split.test.len(), "without_target": split.without_target }),
        );
    if let Some(table) = &input
        && let Some(origin) = origin(table, context).await?
    {
        envelope = envelope.with_lineage("prepared", json!(origin));
    }
    envelope.lineage.extend(facts);
    let mut highlights = vec![format!("{} rows", split.train.len())];
    highlights.extend(step.trees.map(|trees| format!("trees {trees} of {}", step.forest.params.n_estimators)));
    if let Some(forest) = model.as_forest().filter(|_| !step.forest.limits.is_none()) {
        highlights.push(format!("{} trees", forest.trees()));
    }
    if step.trees.is_none()
        && let Some(held_out) = held_out(Arc::clone(&model), split, context).await?
    {
        envelope = envelope.with_metric("held_out", held_out);
    }
    envelope = envelope.with_out_of_bag(model.as_ref());
    highlights.extend(model.out_of_bag().and_then(|seen| seen.score).map(|score| format!("out-of-bag {score:.4}")));
    let output = write(model, envelope, step, context).await?;
    let counts = BTreeMap::from([
        ("train".to_owned(), split.train.len() as u64),
        ("held_out".to_owned(), split.test.len() as u64),
        ("dropped_without_target".to_owned(), split.without_target),
    ]);
    Ok(StepReport { outputs: vec![output], counts, highlights, ..StepReport::default() })
}

/// Writes a model file.
async fn write(model: Arc<dyn Model>, envelope: Envelope, step: &Train, context: &Context) -> Result<Output> {
    let path = step.destination();
    let (bucket, key) = parse_object(&path)?;
    let bucket = context.lake.bucket(&bucket).await?;
    let sink = Sink::Object { bucket: bucket.clone(), path: key.clone() };
    let compression = step.compression;
    let written = streamed::put(sink, move |sink| encode_to(model.as_ref(), &envelope, compression, sink));
    let (digest, sha256) = written.await?;
    let meta = bucket.head(&key).await?;
    let object = ObjectVersion { path, size: meta.size, etag: meta.e_tag };
    Ok(Output { object, sha256, digest: Some(digest), rows: None })
}

/// The figures of the model on the rows held out, beside those of a model that knows no features; none where they
/// cannot be written down, as those of huge targets.
async fn held_out(model: Arc<dyn Model>, split: &Split, context: &Context) -> Result<Option<Value>> {
    let (learnt, rows) = (split.frame.select(&split.train)?, split.frame.batch(&split.test)?);
    let progress = Arc::clone(&context.progress);
    compute::run(move || {
        let baseline = DummyTrainer::new(model.task()).train(&learnt, progress.as_ref())?;
        let mut all = Map::new();
        for model in [model.as_ref(), baseline.as_ref()] {
            let figures = match evaluate(model, &rows) {
                Ok(metrics) => metrics.figures(),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                // They say nothing against the model.
                Err(error) => {
                    progress.note(&format!("figures of the rows held out are left out: {error}"));
                    return Ok(None);
                }
            };
            if figures.values().any(|value| !value.is_finite()) {
                return Ok(None);
            }
            all.insert(model.name().to_owned(), json!(figures));
        }
        Ok(Some(Value::Object(all)))
    })
    .await
}
