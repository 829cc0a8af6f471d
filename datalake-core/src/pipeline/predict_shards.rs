//! Predict by several workers: each for some rows of the table, then one joins what they found to the table.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::compute;
use crate::error::{Error, Result};
use crate::format::{Batches, Files, Format, Inferred, Parquet, ReadOptions, Tally};
use crate::ml::{Feature, InputReport, Model};
use crate::pipeline::manifest::StepReport;
use crate::pipeline::parts::rows_of;
use crate::pipeline::predict::{Targets, finish, locked, of_columns, open_model};
use crate::pipeline::predictions::each_predicted;
use crate::pipeline::publish::publish;
use crate::pipeline::run::Context;
use crate::pipeline::step::Predict;
use crate::query::{DataSet, Part};

/// The object that a step reads, where workers can take some of its rows each; and what is in it.
pub(crate) async fn divisible(step: &Predict, context: &Context) -> Result<Option<(Part, Inferred)>> {
    let options = ReadOptions::default();
    let files = Files::in_lake(context.lake.as_ref(), &step.table.parse()?).await?;
    let mut found = files.objects();
    let (Some((bucket, meta, said)), None) = (found.next(), found.next()) else { return Ok(None) };
    // Its rows are read by their places in the object, where columns of its folders do not stand.
    if !said.is_empty() {
        return Ok(None);
    }
    let part = Part::detect(bucket.clone(), meta.clone(), said, &options).await?;
    // Rows of text have no places that are known before they are read, which is not done where a run is driven.
    if part.format.name() != Parquet::default().name() {
        return Ok(None);
    }
    let inferred = part.infer(&options).await?;
    Ok(Some((part, inferred)))
}

/// What is to be known of the model of predictions: whoever joins them need not fetch it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Predicted {
    targets: Targets,
    features: Vec<Feature>,
}

/// Predicts for the rows of these numbers, counted from 0, and keeps the predictions alone.
pub(crate) async fn predict_rows(step: &Predict, rows: Range<u64>, to: &str, context: &Context) -> Result<Predicted> {
    let (model, _) = open_model(context.lake.as_ref(), &step.model).await?;
    let model: Arc<dyn Model> = Arc::from(model);
    let Some((part, known)) = divisible(step, context).await? else {
        return Err(Error::internal("take", format_args!("some rows of {}", step.table)));
    };
    // Of a column that is not there, the model itself has more to say.
    let wanted = model.features().iter().map(|feature| feature.name.clone());
    let wanted = wanted.filter(|name| known.schema.field_with_name(name).is_ok()).collect();
    let options = ReadOptions::default().with_columns(Some(wanted));
    let batches = Parquet::read_rows(&part.source(), options, rows.clone()).await?;
    let (targets, features) = (Targets::of(model.as_ref()), model.features().to_vec());
    let schema = targets.join(&Schema::empty())?;
    let alone = Arc::clone(&schema);
    let predicted =
        each_predicted(model, batches, schema, rows.start, move |_, predicted| of_columns(&alone, predicted));
    publish(context.lake.as_ref(), &[to.to_owned()], predicted).await?;
    Ok(Predicted { targets, features })
}

/// Joins the predictions of all workers, in order, to the table, and publishes it.
pub(crate) async fn join(
    step: &Predict,
    parts: Vec<String>,
    Predicted { targets, features }: Predicted,
    context: &Context,
) -> Result<StepReport> {
    let data = DataSet::open(&context.lake, &step.table, ReadOptions::default()).await?;
    let schema = targets.join(data.schema())?;
    let alone = targets.join(&Schema::empty())?;
    let input = Arc::<Mutex<InputReport>>::default();
    let seen = Arc::clone(&input);
    let joined = side_by_side(data.read(None), rows_of(context, parts, alone), Arc::clone(&schema));
    let joined = looked_at(joined, move |batch| locked(&seen).add(&features, batch));
    finish(step, joined, &input, context).await
}

/// The same batches, looked at on the CPU threads before they are handed on.
fn looked_at<F>(rows: Batches, look: F) -> Batches
where
    F: Fn(&RecordBatch) -> Result<()> + Send + Sync + 'static,
{
    let (schema, look) = (Arc::clone(rows.schema()), Arc::new(look));
    let stream = rows.and_then(move |batch| {
        let look = Arc::clone(&look);
        compute::run(move || {
            look(&batch)?;
            Ok(batch)
        })
    });
    Batches::new(schema, stream.boxed(), Arc::new(Tally::default()))
}

/// The columns of two streams of as many rows, those of the second behind those of the first; batches are those of the first.
fn side_by_side(left: Batches, right: Batches, schema: SchemaRef) -> Batches {
    let state = (left, Supply { batches: right, left: None }, Arc::clone(&schema));
    let stream = stream::try_unfold(state, |(mut left, mut right, schema)| async move {
        let Some(batch) = left.try_next().await? else {
            return if right.is_empty().await? { Ok(None) } else { Err(mismatch("more predictions than rows")) };
        };
        let more = right.take(batch.num_rows()).await?;
        let columns = batch.columns().iter().chain(more.columns()).cloned().collect();
        Ok(Some((of_columns(&schema, columns)?, (left, right, schema))))
    });
    Batches::new(schema, stream.boxed(), Arc::new(Tally::default()))
}

fn mismatch(reason: &str) -> Error {
    Error::internal("join", "predictions to their table").with_reason(reason)
}

/// Gives batches of any number of rows.
struct Supply {
    batches: Batches,
    left: Option<RecordBatch>,
}

impl Supply {
    async fn is_empty(&mut self) -> Result<bool> {
        while self.left.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            match self.batches.try_next().await? {
                Some(batch) => self.left = Some(batch),
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn take(&mut self, rows: usize) -> Result<RecordBatch> {
        let mut taken = Vec::new();
        let mut missing = rows;
        while missing > 0 {
            let batch = match self.left.take() {
                Some(batch) => batch,
                None => self.batches.try_next().await?.ok_or_else(|| mismatch("fewer predictions than rows"))?,
            };
            let now = missing.min(batch.num_rows());
            taken.push(batch.slice(0, now));
            missing -= now;
            if now < batch.num_rows() {
                self.left = Some(batch.slice(now, batch.num_rows() - now));
            }
        }
        concat_batches(self.batches.schema(), &taken)
            .map_err(|cause| Error::internal("join", "batches of predictions").with_source(cause))
    }
}
