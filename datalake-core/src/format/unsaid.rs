//! Floats that JSON cannot say: NaN and the infinities become null there, and are told of.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use super::batches::Batches;

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsaid(Arc<Mutex<Vec<Column>>>);

/// How many of a column's floats are not finite, and the first of them with its row, from 1.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    count: u64,
    first: Option<(u64, f64)>,
}

/// The same batches, in which such floats are counted as they pass: all of those that become JSON, in other text those that
/// are nested.
pub(super) fn watched(batches: Batches, is_json: bool) -> (Batches, Unsaid) {
    let schema = Arc::clone(batches.schema());
    let column = |name: &String| Column { name: name.clone(), count: 0, first: None };
    let columns = schema.fields().iter().map(|field| column(field.name())).collect();
    let unsaid = Unsaid(Arc::new(Mutex::new(columns)));
    let counts = |data_type: &DataType| has_floats(data_type) && (is_json || data_type.is_nested());
    let counted: Vec<bool> = schema.fields().iter().map(|field| counts(field.data_type())).collect();
    if !counted.contains(&true) {
        return (batches, unsaid);
    }
    let (seen, mut rows) = (unsaid.clone(), 0);
    let watched = batches.mapped(schema, move |batch| {
        let mut columns = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((column, array), _) in columns.iter_mut().zip(batch.columns()).zip(&counted).filter(|(_, counts)| **counts)
        {
            column.take(array.as_ref(), &|row| rows + row as u64 + 1);
        }
        rows += batch.num_rows() as u64;
        drop(columns);
        Ok(batch)
    });
    (watched, unsaid)
}

impl Unsaid {
    /// What a user should know, a note for each column that had such floats.
    pub(super) fn notes(&self) -> Vec<String> {
        let columns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let note = |column: &Column| {
            let (row, value) = column.first?;
            let (name, count) = (&column.name, column.count);
            let values = if count == 1 { "value becomes" } else { "values become" };
            Some(format!("column `{name}`: {count} {values} null, as JSON has no `{value}` (row {row})"))
        };
        columns.iter().filter_map(note).collect()
    }
}

impl Column {
    /// Takes values, of which each is part of the row that `row` tells.
    fn take(&mut self, array: &dyn Array, row: &dyn Fn(usize) -> u64) {
        // Most tables have none, which is seen at a glance.
        if is_finite(array) {
            return;
        }
        for at in (0..array.len()).filter(|at| array.is_valid(*at)) {
            let row = row(at);
            match array.data_type() {
                DataType::Float64 => self.count(row, array.as_primitive::<Float64Type>().value(at)),
                DataType::Float32 => self.count(row, array.as_primitive::<Float32Type>().value(at).into()),
                DataType::Struct(_) => {
                    let fields = array.as_struct().columns();
                    fields.iter().for_each(|field| self.take(&field.slice(at, 1), &|_| row));
                }
                DataType::List(_) => self.take(&array.as_list::<i32>().value(at), &|_| row),
                DataType::LargeList(_) => self.take(&array.as_list::<i64>().value(at), &|_| row),
                // Keys are texts there, whatever they are.
                DataType::Map(_, _) => self.take(array.as_map().value(at).column(1), &|_| row),
                _ => {}
            }
        }
    }

    fn count(&mut self, row: u64, value: f64) {
        if !value.is_finite() {
            self.count += 1;
            self.first.get_or_insert((row, value));
        }
    }
}

/// Whether all floats are finite, those behind missing values included.
fn is_finite(array: &dyn Array) -> bool {
    let within = |values: &dyn Array, first: usize, last: usize| is_finite(&values.slice(first, last - first));
    match array.data_type() {
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().all(|value| value.is_finite()),
        DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().all(|value| value.is_finite()),
        DataType::Struct(_) => array.as_struct().columns().iter().all(|field| is_finite(field)),
        DataType::List(_) => {
            let (values, ends) = (array.as_list::<i32>().values(), array.as_list::<i32>().value_offsets());
            within(values, ends[0] as usize, ends[array.len()] as usize)
        }
        DataType::LargeList(_) => {
            let (values, ends) = (array.as_list::<i64>().values(), array.as_list::<i64>().value_offsets());
            within(values, ends[0] as usize, ends[array.len()] as usize)
        }
        DataType::Map(_, _) => {
            let (values, ends) = (array.as_map().values(), array.as_map().value_offsets());
            within(values, ends[0] as usize, ends[array.len()] as usize)
        }
        _ => true,
    }
}

fn has_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float64 | DataType::Float32 => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_floats(field.data_type())),
        DataType::List(element) | DataType::LargeList(element) | DataType::Map(element, _) => {
            has_floats(element.data_type())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StructArray};
    use futures::TryStreamExt;

    #[tokio::test]
    async fn floats_that_json_cannot_say_are_counted_with_the_row_of_the_first() {
        let x = Float64Array::from(vec![Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY)]);
        let narrow = Float32Array::from(vec![0.0, 1.0, 2.0, f32::NEG_INFINITY]);
        let lists = [Some(vec![Some(1.0)]), None, Some(vec![]), Some(vec![None, Some(f64::NAN)])];
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(lists);
        let fields: Vec<(_, ArrayRef)> = vec![("y", Arc::new(narrow))];
        let nested = StructArray::try_from(fields).unwrap();
        let columns: [(_, ArrayRef); 4] = [
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
            ("x", Arc::new(x)),
            ("s", Arc::new(nested)),
            ("l", Arc::new(lists)),
        ];
        let whole = RecordBatch::try_from_iter(columns).unwrap();
        for cut in 0..4 {
            let parts = vec![whole.slice(0, cut), whole.slice(cut, 4 - cut)];
            let (batches, unsaid) = watched(Batches::from_vec(whole.schema(), parts.clone()), true);
            let rows: Vec<RecordBatch> = batches.try_collect().await.unwrap();
            assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
            assert_eq!(
                unsaid.notes(),
                [
                    "column `x`: 2 values become null, as JSON has no `NaN` (row 3)",
                    "column `s`: 1 value becomes null, as JSON has no `-inf` (row 4)",
                    "column `l`: 1 value becomes null, as JSON has no `NaN` (row 4)",
                ],
                "{cut}"
            );
            let (batches, unsaid) = watched(Batches::from_vec(whole.schema(), parts), false);
            let _rows: Vec<RecordBatch> = batches.try_collect().await.unwrap();
            assert_eq!(unsaid.notes().len(), 2, "{cut}");
        }
    }
}
