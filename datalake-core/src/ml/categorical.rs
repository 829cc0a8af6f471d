//! Whole numbers and booleans as categories: by their text, so that a code means the same in every type of column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use super::feature::{column_index, is_text, numbers, text};
use crate::error::{Error, Position, Result};

/// Beyond it, `f64` does not tell whole numbers apart.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The batch with these columns as text, which a [`Frame`](super::Frame) takes for categories: columns of whole
/// numbers, in a type of integers or of floats, and of booleans. Text is left as it is.
///
/// A model that has learnt such a column predicts from text, integers, floats and booleans alike.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
/// use datalake_core::ml::{FeatureKind, Frame, Task, categorical_features};
///
/// let table = RecordBatch::try_from_iter([
///     ("group", Arc::new(Int64Array::from(vec![7, 11, 7])) as ArrayRef),
///     ("kcal", Arc::new(Float64Array::from(vec![52.0, 155.0, 89.0])) as ArrayRef),
/// ])?;
/// let frame = Frame::new(&categorical_features(&table, &["group"])?, &[], "kcal", Task::Regression)?;
/// let categories = vec!["11".to_owned(), "7".to_owned()];
/// assert_eq!(frame.features()[0].kind, FeatureKind::Categorical { categories });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not there or of another type, and for a number that is
/// not whole.
pub fn categorical_features<T: AsRef<str>>(batch: &RecordBatch, names: &[T]) -> Result<RecordBatch> {
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().to_vec();
    let mut columns = batch.columns().to_vec();
    for name in names {
        let index = column_index(batch, name.as_ref(), "learn from")?;
        if is_text(columns[index].data_type()) {
            continue;
        }
        columns[index] = codes(&columns[index], name.as_ref(), "learn from")?;
        // NaN of a column that has no nulls becomes null.
        fields[index] = Arc::new(fields[index].as_ref().clone().with_data_type(DataType::Utf8).with_nullable(true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|cause| Error::internal("read", "columns as categories").with_source(cause))
}

/// Whether a column holds values that are categories by their text.
fn is_coded(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_coded(values),
        DataType::Boolean => true,
        other => other.is_integer() || other.is_floating(),
    }
}

/// Whether all of these categories may come from such a column.
pub(super) fn are_codes(categories: &[String]) -> bool {
    let is_whole = |text: &String| text.parse::<i128>().is_ok_and(|number| number.to_string() == *text);
    !categories.is_empty() && (categories.iter().all(is_whole) || categories.iter().all(|text| is_boolean(text)))
}

/// A column by the text that these categories have, whatever its type; none where it is of another kind. One is true and
/// zero is false, the other way round too.
pub(super) fn category_text(array: &ArrayRef, name: &str, categories: &[String]) -> Result<Option<ArrayRef>> {
    if is_text(array.data_type()) {
        return text(array, name).map(Some);
    }
    if !is_coded(array.data_type()) {
        return Ok(None);
    }
    let of_booleans = categories.iter().all(|category| is_boolean(category));
    if !of_booleans && *array.data_type() == DataType::Boolean {
        let numbers = cast(array, &DataType::Int8)
            .map_err(|cause| Error::internal("read", format_args!("column `{name}` as numbers")).with_source(cause))?;
        return codes(&numbers, name, "predict from").map(Some);
    }
    let found = codes(array, name, "predict from")?;
    if !of_booleans {
        return Ok(Some(found));
    }
    let named = |code| match code {
        "0" => "false",
        "1" => "true",
        other => other,
    };
    Ok(Some(Arc::new(found.as_string::<i32>().iter().map(|code| code.map(named)).collect::<StringArray>())))
}

fn is_boolean(text: &str) -> bool {
    text == "true" || text == "false"
}

/// A column of whole numbers or booleans as text; null and NaN are missing.
fn codes(array: &ArrayRef, name: &str, action: &'static str) -> Result<ArrayRef> {
    if !is_coded(array.data_type()) {
        return Err(Error::invalid(action, format_args!("column `{name}` as categories")).with_reason(format_args!(
            "categories are text, whole numbers or booleans, and this column is {}",
            array.data_type()
        )));
    }
    if !holds_floats(array.data_type()) {
        return text(array, name);
    }
    let values = numbers(array, name)?;
    let is_whole = |value: f64| value.trunc().to_bits() == value.to_bits() && value.abs() < MOST_WHOLE;
    if let Some(row) = values.iter().position(|value| !value.is_nan() && !is_whole(*value)) {
        return Err(Error::invalid(action, format_args!("column `{name}` as categories"))
            .with_position(Position::row(row as u64 + 1))
            .with_reason(format_args!("a category must be a whole number, got `{}`", values[row]))
            .with_hint("bin the numbers first, or leave the column out of the categorical features"));
    }
    let code = |value: f64| (!value.is_nan()).then(|| (value as i64).to_string());
    Ok(Arc::new(values.into_iter().map(code).collect::<StringArray>()))
}

fn holds_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => holds_floats(values),
        other => other.is_floating(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Float32Array, Float64Array, Int16Array};

    use super::super::feature::{Column, FeatureKind, MISSING, encode, learn};
    use super::*;

    fn batch(array: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("group", array)]).unwrap()
    }

    fn learnt(array: ArrayRef) -> (super::super::Feature, Column) {
        learn(&categorical_features(&batch(array), &["group"]).unwrap(), 0).unwrap()
    }

    #[test]
    fn a_code_is_the_same_category_in_every_type() {
        let integers: ArrayRef = Arc::new(Int16Array::from(vec![Some(3), None, Some(-1), Some(3)]));
        let (feature, column) = learnt(Arc::clone(&integers));
        assert_eq!(feature.kind, FeatureKind::Categorical { categories: vec!["-1".into(), "3".into()] });
        assert_eq!(column, Column::Categorical(vec![1, MISSING, 0, 1].into()));
        let key = Box::new(DataType::Int8);
        let others: [ArrayRef; 4] = [
            Arc::new(Float32Array::from(vec![3.0, f32::NAN, -1.0, 3.0])),
            Arc::new(StringArray::from(vec![Some("3"), None, Some("-1"), Some("3")])),
            cast(&integers, &DataType::Dictionary(key, Box::new(DataType::Int16))).unwrap(),
            integers,
        ];
        for other in others {
            let found = encode(std::slice::from_ref(&feature), &batch(Arc::clone(&other))).unwrap();
            assert_eq!(found, std::slice::from_ref(&column), "{}", other.data_type());
            assert_eq!(learnt(other), (feature.clone(), column.clone()));
        }
    }

    #[test]
    fn booleans_are_two_categories() {
        let (feature, column) = learnt(Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])));
        assert_eq!(column, Column::Categorical(vec![1, 0, MISSING].into()));
        let rows = batch(Arc::new(BooleanArray::from(vec![false])));
        assert_eq!(encode(&[feature], &rows).unwrap(), [Column::Categorical(vec![0].into())]);
    }

    #[test]
    fn one_is_true_and_zero_is_false() {
        let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
        let integers: ArrayRef = Arc::new(Int16Array::from(vec![Some(1), Some(0), None]));
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 0.0, f64::NAN]));
        for learnt_from in [&booleans, &integers] {
            let (feature, column) = learnt(Arc::clone(learnt_from));
            for array in [&booleans, &integers, &floats] {
                let found = encode(std::slice::from_ref(&feature), &batch(Arc::clone(array))).unwrap();
                assert_eq!(
                    found[..],
                    *std::slice::from_ref(&column),
                    "{} by {}",
                    array.data_type(),
                    learnt_from.data_type()
                );
            }
        }
        let (feature, _) = learnt(booleans);
        let other: ArrayRef = Arc::new(Int16Array::from(vec![2]));
        assert_eq!(encode(&[feature], &batch(other)).unwrap(), [Column::Categorical(vec![MISSING].into())]);
    }

    #[test]
    fn a_number_that_is_no_code_is_named() {
        let array: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.5]));
        let error = categorical_features(&batch(Arc::clone(&array)), &["group"]).unwrap_err();
        let expected = "cannot learn from column `group` as categories at row 2: a category must be a whole number, \
                        got `2.5`";
        assert_eq!(error.to_string(), expected);
        let (feature, _) = learnt(Arc::new(Int16Array::from(vec![1, 2])));
        let error = encode(&[feature], &batch(array)).unwrap_err();
        assert!(error.to_string().contains("row 2: a category must be a whole number, got `2.5`"), "{error}");
    }

    #[test]
    fn dates_are_no_categories() {
        let array = cast(&Float64Array::from(vec![1.0]), &DataType::Int64).unwrap();
        let array = cast(&array, &DataType::Timestamp(arrow::datatypes::TimeUnit::Second, None)).unwrap();
        let error = categorical_features(&batch(array), &["group"]).unwrap_err();
        assert!(error.to_string().contains("this column is Timestamp"), "{error}");
    }

    #[test]
    fn text_that_looks_like_no_number_does_not_come_from_numbers() {
        for (texts, expected) in [(vec!["1", "-20"], true), (vec!["1", "02"], false), (vec!["true"], true)] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            assert_eq!(are_codes(&texts), expected, "{texts:?}");
        }
        let strings = codes(&(Arc::new(Float64Array::from(vec![-0.0, 1e15])) as ArrayRef), "x", "learn from").unwrap();
        assert_eq!(strings.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["0", "1000000000000000"]);
    }
}
