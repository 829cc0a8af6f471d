//! A profile of a table: what every column holds, found in one pass with bounded memory.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use arrow::row::{RowConverter, SortField};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::Batches;
use super::spec::type_name;
use super::text::value_text;
use crate::error::{Error, Result};

/// Up to this many distinct values are counted exactly.
pub const DISTINCT_LIMIT: usize = 100_000;

/// What one column holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Rows without a value.
    pub nulls: u64,
    /// Different values; [`DISTINCT_LIMIT`] means that many or more. None for nested columns.
    pub distinct: Option<u64>,
    /// The least value, as text; none for nested columns and where there is no value.
    pub min: Option<String>,
    /// The greatest value, as text.
    pub max: Option<String>,
    /// The mean of a numeric column.
    pub mean: Option<f64>,
}

/// What a table holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// How many rows.
    pub rows: u64,
    /// Each column.
    pub columns: Vec<ColumnProfile>,
}

/// Reads a table to its end and describes its columns.
///
/// # Errors
/// Those of the batches.
pub async fn profile(mut batches: Batches) -> Result<Profile> {
    let schema = std::sync::Arc::clone(batches.schema());
    let mut columns: Vec<Column> = schema.fields().iter().map(|field| Column::new(field)).collect::<Result<_>>()?;
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
        update(&mut columns, &batch)?;
    }
    Ok(Profile { rows, columns: columns.into_iter().map(Column::finish).collect() })
}

fn update(columns: &mut [Column], batch: &RecordBatch) -> Result<()> {
    columns.iter_mut().zip(batch.columns()).try_for_each(|(column, values)| column.update(values))
}

/// One column while it is read.
struct Column {
    name: String,
    data_type: DataType,
    nulls: u64,
    values: u64,
    sum: f64,
    extremes: Option<[ArrayRef; 2]>,
    distinct: Option<(RowConverter, HashSet<Box<[u8]>>)>,
}

impl Column {
    fn new(field: &Field) -> Result<Self> {
        let nested = field.data_type().is_nested();
        let converter = RowConverter::new(vec![SortField::new(field.data_type().clone())]).map_err(failed)?;
        Ok(Self {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            nulls: 0,
            values: 0,
            sum: 0.0,
            extremes: None,
            distinct: (!nested).then(|| (converter, HashSet::new())),
        })
    }

    fn update(&mut self, values: &ArrayRef) -> Result<()> {
        // Those of dictionaries and of columns without any value are told by no bits of their own.
        let missing = values.logical_nulls();
        let nulls = missing.as_ref().map_or(0, NullBuffer::null_count);
        self.nulls += nulls as u64;
        self.values += (values.len() - nulls) as u64;
        if self.data_type.is_numeric() {
            let numbers = cast(values, &DataType::Float64).map_err(failed)?;
            self.sum += numbers.as_primitive::<Float64Type>().iter().flatten().sum::<f64>();
        }
        if let Some((converter, seen)) = &mut self.distinct
            && seen.len() < DISTINCT_LIMIT
        {
            let rows = converter.convert_columns(std::slice::from_ref(values)).map_err(failed)?;
            let present = (0..values.len()).filter(|&row| missing.as_ref().is_none_or(|missing| missing.is_valid(row)));
            seen.extend(present.map(|row| Box::from(rows.row(row).as_ref())));
        }
        if nulls == values.len() { Ok(()) } else { self.widen(values, missing.as_ref()) }
    }

    /// Takes the batch's least and greatest values into account.
    fn widen(&mut self, values: &ArrayRef, missing: Option<&NullBuffer>) -> Result<()> {
        if self.data_type.is_nested() {
            return Ok(());
        }
        let order = arrow::compute::sort_to_indices(values, None, None).map_err(failed)?;
        let is_there = |place: &&u32| missing.is_none_or(|missing| missing.is_valid(**place as usize));
        let ends = [order.values().iter().find(is_there), order.values().iter().rfind(is_there)];
        let ends = arrow::array::UInt32Array::from_iter_values(ends.into_iter().flatten().copied());
        let ends = arrow::compute::take(values, &ends, None).map_err(failed)?;
        let all = match &self.extremes {
            None => ends,
            Some([least, greatest]) => arrow::compute::concat(&[least, greatest, &ends]).map_err(failed)?,
        };
        let order = arrow::compute::sort_to_indices(&all, None, None).map_err(failed)?;
        let end = |index: usize| all.slice(order.value(index) as usize, 1);
        self.extremes = Some([end(0), end(all.len() - 1)]);
        Ok(())
    }

    fn finish(self) -> ColumnProfile {
        let mean = (self.data_type.is_numeric() && self.values > 0).then(|| self.sum / self.values as f64);
        let [min, max] = self.extremes.map_or([None, None], |ends| ends.map(|end| text(&end)));
        ColumnProfile {
            data_type: type_name(&self.data_type),
            name: self.name,
            nulls: self.nulls,
            distinct: self.distinct.map(|(_, seen)| seen.len().min(DISTINCT_LIMIT) as u64),
            min,
            max,
            mean,
        }
    }
}

fn text(value: &ArrayRef) -> Option<String> {
    value_text(value.as_ref(), 0).ok().flatten()
}

fn failed(cause: arrow::error::ArrowError) -> Error {
    Error::internal("describe", "a column").with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, StringArray};
    use std::sync::Arc;

    #[tokio::test]
    async fn a_profile_spans_all_batches() {
        let batch = |numbers: Vec<Option<f64>>, words: Vec<Option<&str>>| {
            let numbers: ArrayRef = Arc::new(Float64Array::from(numbers));
            let words: ArrayRef = Arc::new(StringArray::from(words));
            RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("w", words, true)]).unwrap()
        };
        let first = batch(vec![Some(2.0), None], vec![Some("b"), Some("a")]);
        let second = batch(vec![Some(-4.0), Some(2.0)], vec![None, Some("b")]);
        let batches = Batches::from_vec(first.schema(), vec![first, second]);
        let profile = profile(batches).await.unwrap();
        assert_eq!(profile.rows, 4);
        let [numbers, words] = &profile.columns[..] else { panic!("two columns") };
        assert_eq!((numbers.nulls, numbers.distinct, numbers.mean), (1, Some(2), Some(0.0)));
        assert_eq!((numbers.min.as_deref(), numbers.max.as_deref()), (Some("-4.0"), Some("2.0")));
        assert_eq!((words.nulls, words.distinct), (1, Some(2)));
        assert_eq!((words.min.as_deref(), words.max.as_deref()), (Some("a"), Some("b")));
    }

    #[tokio::test]
    async fn nulls_that_no_bits_tell_are_counted() {
        use arrow::array::{DictionaryArray, Int32Array, NullArray};
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a")]));
        let words = DictionaryArray::new(Int32Array::from(vec![Some(1), Some(0), None, Some(2), Some(0)]), words);
        let columns: [(&str, ArrayRef); 2] = [("none", Arc::new(NullArray::new(5))), ("w", Arc::new(words))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let profile = profile(Batches::from_vec(batch.schema(), vec![batch.clone(), batch])).await.unwrap();
        let [none, words] = &profile.columns[..] else { panic!("two columns") };
        assert_eq!((none.nulls, none.distinct, none.min.as_deref()), (10, Some(0), None));
        assert_eq!((words.nulls, words.distinct), (4, Some(2)));
        assert_eq!((words.min.as_deref(), words.max.as_deref()), (Some("a"), Some("b")));
    }
}
