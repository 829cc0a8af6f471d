//! Merge: parts of a forest, grown apart, into the model that one training would have given.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::compute;
use crate::error::{Error, Result};
use crate::ml::Compression;
use crate::ml::forest::Forest;
use crate::pipeline::manifest::StepReport;
use crate::pipeline::predict::open_model;
use crate::pipeline::run::Context;
use crate::pipeline::step::Train;
use crate::pipeline::table::{Columns, same_table, split};
use crate::pipeline::train::{Trained, publish};

/// Joins parts of a forest, which training made with some of its trees each, into a model at `destination`.
///
/// The digest is that of the forest trained at once. What the rows out of bag say is computed anew, from the table
/// that the parts were trained on.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for parts that do not belong together or leave trees out, for models that
/// are no forests, and when the table has changed since; those of the lake.
pub async fn merge_models(
    parts: &[String],
    destination: &str,
    compression: Compression,
    context: &Context,
) -> Result<StepReport> {
    let (forest, origin) = joined(parts, context).await?;
    let step = Train { destination: Some(destination.to_owned()), compression, ..origin.step };
    let facts = Map::from_iter([("parts".to_owned(), Value::from(parts.to_vec()))]);
    publish_joined(forest, &step, &origin.lineage, facts, context).await
}

/// Joins the parts that workers have grown of a step's forest, as if one had grown it.
pub(crate) async fn merge_shards(step: &Train, parts: &[String], context: &Context) -> Result<StepReport> {
    let (forest, origin) = joined(parts, context).await?;
    if origin.step != Origin::plain(step.clone()) {
        return Err(Error::internal("merge", format_args!("parts that are not of {}", step.destination())));
    }
    publish_joined(forest, step, &origin.lineage, Map::new(), context).await
}

/// The forest whose parts these are, and where they come from.
async fn joined(parts: &[String], context: &Context) -> Result<(Forest, Origin)> {
    let mut forests = Vec::with_capacity(parts.len());
    let mut origin: Option<Origin> = None;
    for path in parts {
        let (model, envelope) = open_model(context.lake.as_ref(), path).await?;
        let Some(forest) = model.as_forest() else {
            return Err(Error::invalid("merge", path)
                .with_reason(format_args!("it is a `{}` model, and only forests have parts", model.name())));
        };
        forests.push(forest.clone());
        let own = Origin::of(path, &envelope.lineage)?;
        match &origin {
            Some(first) => first.check_fellow(&own)?,
            None => origin = Some(own),
        }
    }
    let Some(origin) = origin else {
        return Err(Error::invalid("merge", "the parts of a forest").with_reason("there is none"));
    };
    Ok((Forest::merge(&forests.iter().collect::<Vec<_>>())?, origin))
}

async fn publish_joined(
    mut forest: Forest,
    step: &Train,
    lineage: &Map<String, Value>,
    facts: Map<String, Value>,
    context: &Context,
) -> Result<StepReport> {
    let input = same_table("merge", step, lineage, context).await?;
    let split = split(&step.with_features_of(&forest), Columns::Needed, context).await?;
    let rows = split.frame.select(&split.train)?;
    let forest = compute::run(move || {
        forest.score_out_of_bag(&rows)?;
        Ok(forest)
    })
    .await?;
    publish(step, Trained { model: Arc::new(forest), input, split: &split, facts }, context).await
}

/// Where a part comes from.
#[derive(Debug)]
struct Origin {
    path: String,
    /// The training that it is a part of.
    step: Train,
    lineage: Map<String, Value>,
}

impl Origin {
    fn of(path: &str, lineage: &Map<String, Value>) -> Result<Self> {
        let step = Self::plain(Train::of_model("merge", path, lineage)?);
        Ok(Self { path: path.to_owned(), step, lineage: lineage.clone() })
    }

    /// A step without what differs from part to part.
    fn plain(step: Train) -> Train {
        Train { trees: None, destination: None, compression: Compression::None, ..step }
    }

    fn check_fellow(&self, other: &Self) -> Result<()> {
        if self.lineage.get("table") == other.lineage.get("table") && self.step == other.step {
            return Ok(());
        }
        Err(Error::invalid("merge", &other.path)
            .with_reason(format_args!("it was trained on another table, or with other settings, than {}", self.path)))
    }
}
