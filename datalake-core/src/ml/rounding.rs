//! Columns that are rounded to 32 bits before a table is made of them, so that they are not held in 64 bits as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, RecordBatch, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use rayon::prelude::*;

use super::feature::FeatureKind;
use super::frame::Frame;
use super::numbers::{Numbers, rounded};
use crate::error::{Error, Result};

/// What a column was before it was rounded.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct ExactColumn {
    /// The least and the greatest number; none where every value is missing.
    pub range: Option<[f64; 2]>,
    /// How many distinct numbers the rounding has merged, where they were counted.
    pub lost: usize,
}

/// Columns by name, as they were before they were rounded.
pub type ExactColumns = BTreeMap<String, ExactColumn>;

/// Says which columns, of these with the distinct numbers that they lose, lose any; none if all are kept.
pub fn rounding_note<'a>(lost: impl IntoIterator<Item = (&'a str, usize)>) -> Option<String> {
    let columns: Vec<String> =
        lost.into_iter().filter(|(_, lost)| *lost > 0).map(|(name, lost)| format!("`{name}` ({lost})")).collect();
    let columns = columns.join(", ");
    (!columns.is_empty())
        .then(|| format!("columns lose distinct values, since a forest rounds numbers to 32 bits: {columns}"))
}

/// Rounds a column of numbers to 32 bits, as a forest does, and says what they were; what is lost is only `counted` if
/// that is asked for, since it takes a sort. Null becomes NaN, negative zero becomes zero.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not numeric.
pub fn rounded_to_single(array: &ArrayRef, name: &str, counted: bool) -> Result<(Float32Array, ExactColumn)> {
    let numbers = Numbers::read(array, name)?;
    let exact = ExactColumn { range: numbers.range(), lost: if counted { numbers.lost() } else { 0 } };
    let values = match &numbers {
        Numbers::Single(values) => values.clone(),
        // An infinity stays one, so that it is refused with its row when the column is used.
        Numbers::Double(values) => {
            let single = |value: &f64| if value.is_infinite() { *value as f32 } else { rounded(*value) };
            values.iter().map(single).collect::<Vec<f32>>().into()
        }
    };
    Ok((Float32Array::new(values, None), exact))
}

/// Joins batches to a table that a forest learns from, one column at a time: numbers are rounded to 32 bits on the way,
/// but for the columns of `exact`. Columns of 32 bits in one batch are shared with it.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for batches of other columns than the schema's.
pub fn rounded_table<T: AsRef<str> + Sync>(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    exact: &[T],
) -> Result<(RecordBatch, ExactColumns)> {
    let failed = |cause: ArrowError| Error::invalid("join", "the batches of a table").with_source(cause);
    let column = |(index, field): (usize, &Arc<Field>)| {
        let pieces: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        let whole = match pieces.len() {
            0 => new_empty_array(field.data_type()),
            1 => Arc::clone(batches[0].column(index)),
            _ => concat(&pieces).map_err(failed)?,
        };
        let is_exact = exact.iter().any(|name| name.as_ref() == field.name());
        if is_exact || !whole.data_type().is_numeric() {
            return Ok((whole, None));
        }
        let (rounded, exact) = rounded_to_single(&whole, field.name(), true)?;
        Ok((Arc::new(rounded) as ArrayRef, Some((field.name().clone(), exact))))
    };
    let columns = schema.fields().par_iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, (column, _))| field.as_ref().clone().with_data_type(column.data_type().clone()));
    let schema = Arc::new(Schema::new(fields.map(|field| field.with_nullable(true)).collect::<Vec<Field>>()));
    let (arrays, exact): (Vec<ArrayRef>, Vec<_>) = columns.into_iter().unzip();
    let table = RecordBatch::try_new(schema, arrays).map_err(failed)?;
    Ok((table, exact.into_iter().flatten().collect()))
}

impl Frame {
    /// Says of features by name what they were before [`rounded_to_single`]: a forest that is grown from this
    /// frame is the one that it would be without, to the bit. Other models learn from the rounded numbers.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use std::sync::Arc;
    /// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
    /// # use datalake_core::ml::{Frame, Task, rounded_to_single};
    /// let exact: ArrayRef = Arc::new(Float64Array::from(vec![0.2, 9.5, 1.0]));
    /// let target: ArrayRef = Arc::new(Float64Array::from(vec![52.0, 155.0, 89.0]));
    /// let frame = |fat: ArrayRef| {
    ///     let table = RecordBatch::try_from_iter([("fat_g", fat), ("kcal", Arc::clone(&target))]);
    ///     Frame::new(&table.unwrap(), &[], "kcal", Task::Regression)
    /// };
    ///
    /// let (rounded, before) = rounded_to_single(&exact, "fat_g", false)?;
    /// let early = frame(Arc::new(rounded))?.with_exact(&BTreeMap::from([("fat_g".to_owned(), before)]));
    /// assert_eq!(early.features(), frame(exact)?.features());
    /// # Ok::<(), datalake_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_exact(mut self, columns: &ExactColumns) -> Self {
        for feature in &mut self.features {
            if let (FeatureKind::Numeric { range }, Some(exact)) = (&mut feature.kind, columns.get(&feature.name)) {
                *range = exact.range;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Float64Array, StringArray};
    use arrow::datatypes::{DataType, Float32Type};

    use super::*;
    use crate::ml::forest::{ForestParams, ForestTrainer};
    use crate::ml::{Task, digest};
    use crate::progress::Silent;

    #[test]
    fn a_column_rounded_early_says_what_it_was() {
        let exact: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.1), Some(0.1 + 1e-12), None, Some(1e300)]));
        let (single, before) = rounded_to_single(&exact, "x", true).unwrap();
        assert_eq!(before, ExactColumn { range: Some([0.1, 1e300]), lost: 1 });
        let note = rounding_note([("x", before.lost), ("y", 0)]).unwrap();
        assert_eq!(note, "columns lose distinct values, since a forest rounds numbers to 32 bits: `x` (1)");
        assert_eq!(rounding_note([("y", 0)]), None);
        assert_eq!((single.value(3).to_bits(), single.null_count()), (f32::MAX.to_bits(), 0));
        let infinite: ArrayRef = Arc::new(Float64Array::from(vec![f64::INFINITY]));
        assert!(rounded_to_single(&infinite, "x", false).unwrap().0.value(0).is_infinite());
    }

    #[test]
    fn a_forest_of_rounded_columns_has_the_digest_of_the_exact_ones() {
        let exact: ArrayRef = Arc::new(Float64Array::from_iter((0..300).map(|row| {
            let value = f64::from(row * 7919 % 300) / 7.0 - 9.0;
            (row % 11 > 0).then_some(if row % 5 == 0 { -0.0 } else { value })
        })));
        let target: ArrayRef = Arc::new(Float64Array::from_iter((0..300).map(|row| Some(f64::from(row * 31 % 97)))));
        let frame = |x: ArrayRef| {
            let table = RecordBatch::try_from_iter([("x", x), ("y", Arc::clone(&target))]).unwrap();
            Frame::new(&table, &[], "y", Task::Regression).unwrap()
        };
        let (single, before) = rounded_to_single(&exact, "x", false).unwrap();
        let early = frame(Arc::new(single)).with_exact(&BTreeMap::from([("x".to_owned(), before)]));
        let digest_of = |frame: &Frame| {
            let params = ForestParams { n_estimators: 3, ..ForestParams::default() };
            digest(&ForestTrainer::new(Task::Regression, params).unwrap().fit(frame, &Silent).unwrap()).unwrap()
        };
        assert_eq!(digest_of(&early), digest_of(&frame(exact)));
    }

    #[test]
    fn batches_are_joined_in_32_bits_and_a_single_one_is_shared() {
        let batch = |x: ArrayRef, name: &str| {
            let names = Arc::new(StringArray::from(vec![name])) as ArrayRef;
            RecordBatch::try_from_iter([("x", Arc::clone(&x)), ("code", x), ("name", names)]).unwrap()
        };
        let double = |value: Option<f64>, name: &str| batch(Arc::new(Float64Array::from(vec![value])), name);
        let batches = [double(Some(0.1), "a"), double(None, "b")];
        let (table, before) = rounded_table(&batches[0].schema(), &batches, &["code"]).unwrap();
        let types: Vec<DataType> = table.columns().iter().map(|column| column.data_type().clone()).collect();
        assert_eq!(types, [DataType::Float32, DataType::Float64, DataType::Utf8]);
        assert!(table.column(0).as_primitive::<Float32Type>().value(1).is_nan());
        let exact = ExactColumn { range: Some([0.1, 0.1]), lost: 0 };
        assert_eq!(before, ExactColumns::from([("x".to_owned(), exact)]));

        let single = Float32Array::from(vec![1.5]);
        let batches = [batch(Arc::new(single.clone()), "a")];
        let (table, _) = rounded_table::<&str>(&batches[0].schema(), &batches, &[]).unwrap();
        assert!(table.column(0).as_primitive::<Float32Type>().values().ptr_eq(single.values()));
    }
}
