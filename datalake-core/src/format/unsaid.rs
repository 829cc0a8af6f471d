//! What JSON cannot say, and is told of: NaN and the infinities become null there, and of a key that a map has twice readers keep
//! one value.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type};

use super::batches::Batches;
use super::schema::shortened;
use super::text::{looked_up, value_text};

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsaid(Arc<Mutex<Vec<Column>>>);

/// How many of a column's floats are not finite, in how many rows a map has a key twice, and the first of each with its row,
/// from 1.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// Whether there are floats that become JSON.
    has_floats: bool,
    /// Whether there are maps.
    has_maps: bool,
    count: u64,
    first: Option<(u64, f64)>,
    rows: u64,
    first_key: Option<(u64, String)>,
}

/// The same batches, in which such floats and keys are counted as they pass: all of those that become JSON, in other text those
/// that are nested.
pub(super) fn watched(batches: Batches, is_json: bool) -> (Batches, Unsaid) {
    let schema = Arc::clone(batches.schema());
    let columns: Vec<Column> = schema.fields().iter().map(|field| Column::of(field, is_json)).collect();
    let is_plain = columns.iter().all(|column| !column.has_floats && !column.has_maps);
    let unsaid = Unsaid(Arc::new(Mutex::new(columns)));
    if is_plain {
        return (batches, unsaid);
    }
    let (seen, mut rows) = (unsaid.clone(), 0);
    let watched = batches.mapped(schema, move |batch| {
        let mut columns = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (column, array) in columns.iter_mut().zip(batch.columns()) {
            if column.has_floats {
                column.take(array.as_ref(), &|row| rows + row as u64 + 1);
            }
            if column.has_maps {
                column.take_keys(array, rows);
            }
        }
        rows += batch.num_rows() as u64;
        drop(columns);
        Ok(batch)
    });
    (watched, unsaid)
}

impl Unsaid {
    /// What a user should know, a note for each column that had such floats, and for each that had such keys.
    pub(super) fn notes(&self) -> Vec<String> {
        let columns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let floats = |column: &Column| {
            let (row, value) = column.first?;
            let (name, count) = (&column.name, column.count);
            let values = if count == 1 { "value becomes" } else { "values become" };
            Some(format!("column `{name}`: {count} {values} null, as JSON has no `{value}` (row {row})"))
        };
        let keys = |column: &Column| {
            let (row, key) = column.first_key.as_ref()?;
            let (name, rows, key) = (&column.name, column.rows, shortened(key));
            let have = if rows == 1 { "row has" } else { "rows have" };
            let what = "twice in a map; of names that JSON repeats most readers keep one value";
            Some(format!("column `{name}`: {rows} {have} a key {what} (`{key}` in row {row})"))
        };
        columns.iter().flat_map(|column| floats(column).into_iter().chain(keys(column))).collect()
    }
}

impl Column {
    fn of(field: &Field, is_json: bool) -> Self {
        let data_type = field.data_type();
        let has_floats = (is_json || data_type.is_nested())
            && has(data_type, &|leaf| matches!(leaf, DataType::Float64 | DataType::Float32 | DataType::Float16));
        let has_maps = has(data_type, &|part| matches!(part, DataType::Map(_, _)));
        let name = field.name().clone();
        Self { name, has_floats, has_maps, count: 0, first: None, rows: 0, first_key: None }
    }

    /// Takes values, before which there were so many rows.
    fn take_keys(&mut self, array: &ArrayRef, before: u64) {
        for row in 0..array.len() {
            if let Some(key) = repeated_key(array, row) {
                self.rows += 1;
                self.first_key.get_or_insert((before + row as u64 + 1, key));
            }
        }
    }

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
                DataType::Float16 => self.count(row, array.as_primitive::<Float16Type>().value(at).into()),
                DataType::Dictionary(_, _) => {
                    let (values, place) = looked_up(array, at);
                    self.take(&values.slice(place, 1), &|_| row);
                }
                DataType::Struct(_) => {
                    let fields = array.as_struct().columns();
                    fields.iter().for_each(|field| self.take(&field.slice(at, 1), &|_| row));
                }
                DataType::List(_) => self.take(&array.as_list::<i32>().value(at), &|_| row),
                DataType::LargeList(_) => self.take(&array.as_list::<i64>().value(at), &|_| row),
                DataType::FixedSizeList(_, _) => self.take(&array.as_fixed_size_list().value(at), &|_| row),
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
        DataType::Float16 => array.as_primitive::<Float16Type>().values().iter().all(|value| value.is_finite()),
        DataType::Dictionary(_, _) => is_finite(array.as_any_dictionary().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().all(|field| is_finite(field)),
        DataType::List(_) => {
            let (values, ends) = (array.as_list::<i32>().values(), array.as_list::<i32>().value_offsets());
            within(values, ends[0] as usize, ends[array.len()] as usize)
        }
        DataType::LargeList(_) => {
            let (values, ends) = (array.as_list::<i64>().values(), array.as_list::<i64>().value_offsets());
            within(values, ends[0] as usize, ends[array.len()] as usize)
        }
        // Of a slice only those in it.
        DataType::FixedSizeList(_, _) => is_finite(array.as_fixed_size_list().values()),
        DataType::Map(_, _) => {
            let (values, ends) = (array.as_map().values(), array.as_map().value_offsets());
            within(values, ends[0] as usize, ends[array.len()] as usize)
        }
        _ => true,
    }
}

/// Whether a type, or one within it, is such.
fn has(data_type: &DataType, is_such: &impl Fn(&DataType) -> bool) -> bool {
    is_such(data_type)
        || match data_type {
            DataType::Struct(fields) => fields.iter().any(|field| has(field.data_type(), is_such)),
            DataType::Dictionary(_, values) => has(values, is_such),
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _)
            | DataType::Map(element, _) => has(element.data_type(), is_such),
            _ => false,
        }
}

/// A key that a map within a value has twice, as text; of several, one of the first map.
fn repeated_key(array: &ArrayRef, at: usize) -> Option<String> {
    if array.is_null(at) {
        return None;
    }
    let among = |values: &ArrayRef| (0..values.len()).find_map(|at| repeated_key(values, at));
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().find_map(|field| repeated_key(field, at)),
        DataType::List(_) => among(&array.as_list::<i32>().value(at)),
        DataType::LargeList(_) => among(&array.as_list::<i64>().value(at)),
        DataType::FixedSizeList(_, _) => among(&array.as_fixed_size_list().value(at)),
        DataType::Map(_, _) => {
            let entries = array.as_map().value(at);
            let keys = entries.column(0);
            let mut texts: Vec<Cow<'_, str>> = (0..keys.len()).map(|at| key_text(keys, at)).collect();
            texts.sort_unstable();
            let twice = texts.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone().into_owned());
            twice.or_else(|| among(entries.column(1)))
        }
        _ => None,
    }
}

/// A key as JSON has it.
fn key_text(keys: &ArrayRef, at: usize) -> Cow<'_, str> {
    match keys.data_type() {
        DataType::Utf8 if keys.is_valid(at) => Cow::Borrowed(keys.as_string::<i32>().value(at)),
        // What has no text is not written either.
        _ => Cow::Owned(value_text(keys.as_ref(), at).ok().flatten().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        FixedSizeListArray, Float32Array, Float64Array, Int64Array, Int64Builder, ListArray, MapBuilder, RecordBatch,
        StructArray,
    };
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
    #[tokio::test]
    async fn keys_that_a_map_has_twice_are_counted_by_rows() {
        let mut builder = MapBuilder::new(None, Int64Builder::new(), Int64Builder::new());
        for keys in [&[1, 2][..], &[], &[2, 7, 2, 7], &[3], &[5, 5, 5]] {
            keys.iter().for_each(|key| {
                builder.keys().append_value(*key);
                builder.values().append_value(0);
            });
            builder.append(true).unwrap();
        }
        let maps: ArrayRef = Arc::new(builder.finish());
        // All of them within the lists of one row each, and one that a missing list hides.
        let field = Arc::new(Field::new_list_field(maps.data_type().clone(), true));
        let nulls = Some(vec![true, true, true, true, false].into());
        let lists: ArrayRef = Arc::new(FixedSizeListArray::new(field, 1, Arc::clone(&maps), nulls));
        let whole = RecordBatch::try_from_iter([("m", maps), ("l", lists)]).unwrap();
        for (cut, is_json) in (0..6).zip([true, false].into_iter().cycle()) {
            let parts = vec![whole.slice(0, cut), whole.slice(cut, 5 - cut)];
            let (batches, unsaid) = watched(Batches::from_vec(whole.schema(), parts), is_json);
            let _rows: Vec<RecordBatch> = batches.try_collect().await.unwrap();
            let what = "a key twice in a map; of names that JSON repeats most readers keep one value (`2` in row 3)";
            let told = [format!("column `m`: 2 rows have {what}"), format!("column `l`: 1 row has {what}")];
            assert_eq!(unsaid.notes(), told, "{cut}");
        }
    }
}
