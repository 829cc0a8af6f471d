//! Predictions for a stream of rows, of several batches at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt, stream};

use crate::compute;
use crate::error::{Error, Result};
use crate::format::{Batches, Tally, with_room};
use crate::ml::Model;
use crate::pipeline::table::at_row;

/// No further batch is gathered once there are so many rows: a tree that is larger than the caches passes by once for all of
/// them, and is worth being laid out for.
const MOST_ROWS: usize = 1 << 17;
/// No further batch is gathered once there are so many bytes of rows.
const MOST_BYTES: usize = 64 << 20;
/// No further batch is gathered once the model computes so many numbers: rows times classes.
const MOST_NUMBERS: usize = 1 << 22;

/// Makes a batch of `schema` of every batch and what the model predicts for it, a column a target. Models count rows within
/// what they are given, and users within their table, in which the first row is the one of number `first`, from 0.
pub(crate) fn each_predicted<F>(model: Arc<dyn Model>, rows: Batches, schema: SchemaRef, first: u64, make: F) -> Batches
where
    F: Fn(&RecordBatch, Vec<ArrayRef>) -> Result<RecordBatch> + Send + Sync + 'static,
{
    let width: usize = model.outputs().iter().map(|output| output.classes.len().max(1)).sum();
    let most_rows = MOST_ROWS.min(MOST_NUMBERS / width.max(1)).max(1);
    gathered(most_rows, model, rows, schema, first, make)
}

fn gathered<F>(
    most_rows: usize,
    model: Arc<dyn Model>,
    rows: Batches,
    schema: SchemaRef,
    first: u64,
    make: F,
) -> Batches
where
    F: Fn(&RecordBatch, Vec<ArrayRef>) -> Result<RecordBatch> + Send + Sync + 'static,
{
    let work = Work { model, rows, read: first, most_rows, make: Arc::new(make), made: VecDeque::new() };
    let stream = stream::try_unfold(work, Work::next).boxed();
    Batches::new(schema, stream, Arc::new(Tally::default()))
}

struct Work<F> {
    model: Arc<dyn Model>,
    rows: Batches,
    /// How many rows of the table come before those that are read next.
    read: u64,
    most_rows: usize,
    make: Arc<F>,
    /// What was made of the rows that were read.
    made: VecDeque<RecordBatch>,
}

impl<F> Work<F>
where
    F: Fn(&RecordBatch, Vec<ArrayRef>) -> Result<RecordBatch> + Send + Sync + 'static,
{
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.made.pop_front() {
                return Ok(Some((batch, self)));
            }
            let batches = self.gather().await?;
            if batches.is_empty() {
                return Ok(None);
            }
            let (model, make, before) = (Arc::clone(&self.model), Arc::clone(&self.make), self.read);
            let schema = Arc::clone(self.rows.schema());
            self.read += batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
            self.made = compute::run(move || of_all(model.as_ref(), &schema, &batches, before, &*make)).await?;
        }
    }

    /// The next batches, as many as the model is given at a time.
    async fn gather(&mut self) -> Result<Vec<RecordBatch>> {
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < self.most_rows && bytes < MOST_BYTES {
            let Some(batch) = self.rows.try_next().await? else { break };
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            batches.push(batch);
        }
        Ok(batches)
    }
}

fn of_all(
    model: &dyn Model,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    before: u64,
    make: &dyn Fn(&RecordBatch, Vec<ArrayRef>) -> Result<RecordBatch>,
) -> Result<VecDeque<RecordBatch>> {
    let predicted =
        predictions(model, &as_one(model, schema, batches)?).map_err(|error| at_row(error, |row| before + row))?;
    let mut first = 0;
    let made = batches.iter().map(|batch| {
        let own = predicted.iter().map(|column| column.slice(first, batch.num_rows())).collect();
        let before = before + first as u64;
        first += batch.num_rows();
        make(batch, own).map_err(|error| at_row(error, |row| before + row))
    });
    made.collect()
}

/// The columns that a model looks at, of all batches; no row where they lack one, which the model says.
fn as_one(model: &dyn Model, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch> {
    let failed = |cause| Error::internal("join", "batches of rows").with_source(cause);
    let wanted: Option<Vec<usize>> =
        model.features().iter().map(|feature| schema.index_of(&feature.name).ok()).collect();
    let Some(wanted) = wanted else { return Ok(RecordBatch::new_empty(Arc::clone(schema))) };
    let schema = Arc::new(with_room(&schema.project(&wanted).map_err(failed)?));
    let roomy = |batch: &RecordBatch| {
        let columns = wanted.iter().zip(schema.fields());
        let columns = columns.map(|(&place, field)| cast(batch.column(place), field.data_type()));
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&schema), columns.collect::<Result<_, ArrowError>>()?, &rows)
    };
    let batches = batches.iter().map(roomy).collect::<Result<Vec<_>, ArrowError>>().map_err(failed)?;
    concat_batches(&schema, &batches).map_err(failed)
}

/// What a model predicts for rows, a column a target.
fn predictions(model: &dyn Model, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let predicted = model.predict(rows)?;
    Ok(match predicted.as_struct_opt() {
        Some(several) => several.columns().to_vec(),
        None => vec![predicted],
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{DictionaryArray, Float64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Int8Type, Schema};

    use super::*;
    use crate::ml::conformance::{FEATURES, foods};
    use crate::ml::{Frame, Task, trainer};
    use crate::progress::Silent;

    /// A small forest over the rows of `foods`.
    pub(in crate::pipeline) fn model() -> Arc<dyn Model> {
        let frame = Frame::new(&foods(100, 1), &FEATURES, "kcal", Task::Regression).unwrap();
        let settings = serde_json::json!({ "n_estimators": 5 });
        Arc::from(trainer("forest", Task::Regression, &settings).unwrap().train(&frame, &Silent).unwrap())
    }

    /// The predictions alone for these batches, of at least so many rows at a time, and how many batches were read.
    fn alone(most_rows: usize, batches: Vec<RecordBatch>) -> (Batches, Arc<AtomicUsize>) {
        let read = Arc::<AtomicUsize>::default();
        let (schema, count) = (batches[0].schema(), Arc::clone(&read));
        let stream = stream::iter(batches).map(move |batch| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(batch)
        });
        let rows = Batches::new(schema, stream.boxed(), Arc::new(Tally::default()));
        let schema = Arc::new(Schema::new(vec![Field::new("p", DataType::Float64, false)]));
        let make = {
            let schema = Arc::clone(&schema);
            move |_: &RecordBatch, columns| Ok(RecordBatch::try_new(Arc::clone(&schema), columns).unwrap())
        };
        (gathered(most_rows, model(), rows, schema, 7, make), read)
    }

    #[tokio::test]
    async fn no_more_batches_are_read_than_the_model_is_given() {
        let table = foods(90, 2);
        let expected = model().predict(&table).unwrap();
        for (most_rows, at_first) in [(1, 1), (30, 1), (31, 2), (1000, 4)] {
            let parts = [(0, 30), (30, 20), (50, 0), (50, 40)].map(|(first, rows)| table.slice(first, rows));
            let (mut predicted, read) = alone(most_rows, parts.to_vec());
            let first = predicted.try_next().await.unwrap().unwrap();
            assert_eq!(read.load(Ordering::Relaxed), at_first, "of {most_rows} rows");
            let rest: Vec<RecordBatch> = predicted.try_collect().await.unwrap();
            let all: Vec<RecordBatch> = std::iter::once(first).chain(rest).collect();
            assert_eq!(all.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [30, 20, 0, 40]);
            assert_eq!(concat_batches(&all[0].schema(), &all).unwrap().column(0), &expected);
        }
    }

    #[tokio::test]
    async fn dictionaries_that_have_no_room_in_one_are_predicted() {
        let with_colors = |table: &RecordBatch, colors: ArrayRef| {
            let mut columns = table.columns().to_vec();
            columns[table.schema().index_of("color").unwrap()] = colors;
            let schema = table.schema();
            let names = schema.fields().iter().map(|field| field.name().as_str());
            RecordBatch::try_from_iter(names.zip(columns)).unwrap()
        };
        // Each batch has names of its own, and one that the model knows.
        let name = |row: usize| if row.is_multiple_of(90) { "red".to_owned() } else { format!("x{row}") };
        let names: Vec<String> = (0..180).map(name).collect();
        let table = foods(180, 2);
        let parts = [0, 90].map(|first| {
            let coded: DictionaryArray<Int8Type> = names[first..][..90].iter().map(String::as_str).collect();
            with_colors(&table.slice(first, 90), Arc::new(coded))
        });
        let plain = with_colors(&table, Arc::new(StringArray::from(names.clone())));
        let (predicted, _) = alone(1000, parts.to_vec());
        let all: Vec<RecordBatch> = predicted.try_collect().await.unwrap();
        let found = concat_batches(&all[0].schema(), &all).unwrap();
        assert_eq!(found.column(0), &model().predict(&plain).unwrap());
    }

    #[tokio::test]
    async fn an_error_has_the_row_of_the_table_however_many_batches_are_at_hand() {
        let endless: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::INFINITY, 1.0]));
        let broken = foods(3, 2);
        let place = broken.schema().index_of("fat_g").unwrap();
        let mut columns = broken.columns().to_vec();
        columns[place] = endless;
        let broken = RecordBatch::try_new(broken.schema(), columns).unwrap();
        for most_rows in [1, 1000] {
            let (predicted, _) = alone(most_rows, vec![foods(30, 2), broken.clone()]);
            let error = predicted.try_collect::<Vec<_>>().await.unwrap_err();
            // Seven rows of the table come before these.
            assert!(error.to_string().contains("`fat_g` at row 39: "), "{error}");
        }
    }
}
