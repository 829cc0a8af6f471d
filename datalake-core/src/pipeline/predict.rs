//! Predict: a table with a model's predictions as further columns, one a target, batch by batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use object_store::{GetResult, GetResultPayload, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Batches, ReadOptions};
use crate::lake::{Lake, ObjectPattern, parse_object, store_error};
use crate::ml::{Envelope, InputReport, Model, ModelFile, Task};
use crate::pipeline::manifest::StepReport;
use crate::pipeline::predictions::each_predicted;
use crate::pipeline::publish::publish;
use crate::pipeline::run::Context;
use crate::pipeline::step::Predict;
use crate::query::DataSet;

/// Opens a model file of the lake.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound); [`Invalid`](crate::ErrorKind::Invalid) for a file that is damaged or newer.
pub async fn open_model(lake: &dyn Lake, path: &str) -> Result<(Box<dyn Model>, Envelope)> {
    let ModelFile { model, envelope, .. } = open_model_file(lake, path).await?;
    Ok((model, envelope))
}

/// Opens a model file of the lake, with what is known of the file itself. Where the lake is a folder, the file is mapped:
/// objects there are replaced as a whole.
///
/// # Errors
/// As [`open_model`].
pub async fn open_model_file(lake: &dyn Lake, path: &str) -> Result<ModelFile> {
    let (bucket, key) = parse_object(path)?;
    let bucket = lake.bucket(&bucket).await?;
    let failed = |cause| store_error("read", bucket.address(&key), cause);
    let found = match bucket.store().get(&key).await.map_err(failed) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(with_names_near(error, lake, path).await),
        found => found?,
    };
    let opened = match found {
        GetResult { payload: GetResultPayload::File(file, _), .. } => {
            compute::run(move || ModelFile::map(&file).map_err(|cause| Error::io("map", "a model file", cause))?).await
        }
        object => {
            let file = object.bytes().await.map_err(failed)?;
            compute::run(move || ModelFile::read(file)).await
        }
    };
    opened.map_err(|cause| Error::new(cause.kind(), "open the model", path).with_source(cause))
}

/// Sees whether there is a model, without opening it.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound), which says what there is near.
pub async fn find_model(lake: &dyn Lake, path: &str) -> Result<()> {
    let (bucket, key) = parse_object(path)?;
    match lake.bucket(&bucket).await?.head(&key).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(with_names_near(error, lake, path).await),
        found => found.map(drop),
    }
}

/// The error of a search for an object that is not there, or what was known before.
async fn with_names_near(error: Error, lake: &dyn Lake, path: &str) -> Error {
    match path.parse::<ObjectPattern>() {
        Ok(pattern) => pattern.matches(lake).await.err().unwrap_or(error),
        Err(_) => error,
    }
}

pub(crate) async fn run(step: &Predict, context: &Context) -> Result<StepReport> {
    let (model, _) = open_model(context.lake.as_ref(), &step.model).await?;
    let data = DataSet::open(&context.lake, &step.table, ReadOptions::default()).await?;
    let input = Arc::<Mutex<InputReport>>::default();
    let predicted = with_predictions(Arc::from(model), data.read(None), Arc::clone(&input))?;
    finish(step, predicted, &input, context).await
}

/// Publishes a table with predictions, and tells what its rows hold that the model has not seen.
pub(crate) async fn finish(
    step: &Predict,
    predicted: Batches,
    input: &Mutex<InputReport>,
    context: &Context,
) -> Result<StepReport> {
    let outputs = publish(context.lake.as_ref(), &step.destination, predicted).await?;
    let rows = outputs.first().and_then(|output| output.rows).unwrap_or_default();
    let input = std::mem::take(&mut *locked(input));
    let notes = input.notes();
    notes.iter().for_each(|note| context.progress.note(note));
    let highlights = vec![format!("{rows} rows")];
    Ok(StepReport { outputs, highlights, notes, input: Some(input), ..StepReport::default() })
}

pub(crate) fn locked(input: &Mutex<InputReport>) -> MutexGuard<'_, InputReport> {
    // Counts are whole numbers that are right after each batch, whatever happened to another.
    input.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a column `predicted_TARGET` for each target to every batch, and notes what the model has not seen in training.
fn with_predictions(model: Arc<dyn Model>, rows: Batches, input: Arc<Mutex<InputReport>>) -> Result<Batches> {
    let schema = Targets::of(model.as_ref()).join(rows.schema())?;
    let (joined, features) = (Arc::clone(&schema), model.features().to_vec());
    Ok(each_predicted(model, rows, schema, 0, move |batch, predicted| {
        locked(&input).add(&features, batch)?;
        of_columns(&joined, batch.columns().iter().cloned().chain(predicted).collect())
    }))
}

/// What a model predicts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Targets {
    task: Task,
    names: Vec<String>,
}

impl Targets {
    pub(crate) fn of(model: &dyn Model) -> Self {
        Self { task: model.task(), names: model.outputs().into_iter().map(|output| output.name).collect() }
    }

    /// The schema of a table with a column for the predictions of each target.
    pub(crate) fn join(&self, table: &Schema) -> Result<SchemaRef> {
        let data_type = match self.task {
            Task::Regression => DataType::Float64,
            Task::Classification => DataType::Utf8,
        };
        let mut fields: Vec<_> = table.fields().iter().cloned().collect();
        for target in &self.names {
            let name = format!("predicted_{target}");
            if table.field_with_name(&name).is_ok() {
                return Err(Error::invalid("predict", format_args!("`{target}`"))
                    .with_reason(format_args!("the table has a column `{name}` already")));
            }
            fields.push(Arc::new(Field::new(name, data_type.clone(), false)));
        }
        Ok(Arc::new(Schema::new(fields)))
    }
}

pub(crate) fn of_columns(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|cause| Error::internal("add", "a column of predictions").with_source(cause))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Float64Array, StringArray};
    use arrow::datatypes::Float64Type;
    use futures::{StreamExt, TryStreamExt};

    use super::*;
    use crate::format::Tally;
    use crate::ml::conformance::foods;
    use crate::ml::{Frame, trainer};
    use crate::pipeline::predictions::tests::model;
    use crate::progress::Silent;

    fn stream_of(batches: Vec<RecordBatch>) -> Batches {
        let schema = batches[0].schema();
        let stream = futures::stream::iter(batches.into_iter().map(Ok)).boxed();
        Batches::new(schema, stream, Arc::new(Tally::default()))
    }

    #[tokio::test]
    async fn each_batch_has_its_predictions() {
        let (model, table) = (model(), foods(90, 2));
        let input = Arc::<Mutex<InputReport>>::default();
        let parts = vec![table.slice(0, 30), table.slice(30, 0), table.slice(30, 60)];
        let predicted = with_predictions(Arc::clone(&model), stream_of(parts), Arc::clone(&input)).unwrap();
        let predicted: Vec<RecordBatch> = predicted.try_collect().await.unwrap();
        assert_eq!(predicted.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [30, 0, 60]);
        assert_eq!(locked(&input).rows, 90);
        let column = |batch: &RecordBatch| batch["predicted_kcal"].as_primitive::<Float64Type>().values().to_vec();
        let found: Vec<f64> = predicted.iter().flat_map(column).collect();
        assert_eq!(found, model.predict(&table).unwrap().as_primitive::<Float64Type>().values().to_vec());
        assert_eq!(predicted[0].columns()[..table.num_columns()], table.slice(0, 30).columns()[..]);
    }

    #[tokio::test]
    async fn each_target_has_a_column_of_predictions() {
        let frame = Frame::of_targets(&foods(100, 1), &["fat_g"], &["kcal", "protein_g"], Task::Regression).unwrap();
        let model = trainer("forest", Task::Regression, &serde_json::json!({ "n_estimators": 5 })).unwrap();
        let model: Arc<dyn Model> = Arc::from(model.train(&frame, &Silent).unwrap());
        let table = foods(20, 2);
        let predicted = with_predictions(Arc::clone(&model), stream_of(vec![table.clone()]), Arc::default()).unwrap();
        let predicted: Vec<RecordBatch> = predicted.try_collect().await.unwrap();
        let expected = model.predict(&table).unwrap();
        for (name, column) in ["predicted_kcal", "predicted_protein_g"].into_iter().zip(expected.as_struct().columns())
        {
            assert_eq!(&predicted[0][name], column);
        }
    }

    #[tokio::test]
    async fn a_batch_that_cannot_be_predicted_ends_the_stream_with_its_column_and_row() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["1"; 3]));
        let drifted = foods(3, 2);
        let columns = drifted.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let arrays = drifted.columns().iter().enumerate();
        let arrays = arrays.map(|(index, array)| if index == 0 { Arc::clone(&column) } else { Arc::clone(array) });
        let drifted = RecordBatch::try_from_iter(columns.iter().map(String::as_str).zip(arrays)).unwrap();
        let predicted = with_predictions(model(), stream_of(vec![drifted]), Arc::default()).unwrap();
        let error = predicted.try_collect::<Vec<_>>().await.unwrap_err();
        assert!(error.to_string().contains("`protein_g`"), "{error}");

        let endless: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::INFINITY, 1.0]));
        let broken = foods(3, 2);
        let names = broken.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let arrays = names.iter().zip(broken.columns());
        let arrays = arrays.map(|(name, array)| if name == "fat_g" { Arc::clone(&endless) } else { Arc::clone(array) });
        let broken = RecordBatch::try_from_iter(names.iter().map(String::as_str).zip(arrays)).unwrap();
        let predicted = with_predictions(model(), stream_of(vec![foods(30, 2), broken]), Arc::default()).unwrap();
        let error = predicted.try_collect::<Vec<_>>().await.unwrap_err();
        assert!(error.to_string().contains("`fat_g` at row 32: "), "{error}");

        let taken: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        let taken = RecordBatch::try_from_iter([("predicted_kcal", taken)]).unwrap();
        let error = with_predictions(model(), stream_of(vec![taken]), Arc::default()).unwrap_err();
        assert!(error.to_string().contains("`predicted_kcal` already"), "{error}");
    }
}
