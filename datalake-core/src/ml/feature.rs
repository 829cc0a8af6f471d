//! Columns that models learn from: what a feature is, and how a batch's column becomes numbers or category codes.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use serde::{Deserialize, Serialize};

use super::categorical::{are_codes, category_text};
use super::numbers::Numbers;
use crate::error::{Error, Position, Result};

/// The code of a missing or unseen category.
pub const MISSING: u32 = u32::MAX;

/// A column that a model learns from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// The column's name.
    pub name: String,
    /// What its values are, and which were seen.
    pub kind: FeatureKind,
    /// Its unit of measure, where the column's metadata say one under the key `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// What the values of a [`Feature`] are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FeatureKind {
    /// Numbers; integers and booleans too.
    Numeric {
        /// The smallest and largest value seen; none when every value was missing.
        range: Option<[f64; 2]>,
    },
    /// Text from a fixed set; whole numbers and booleans by their text, where
    /// [`categorical_features`](super::categorical_features) says so.
    Categorical {
        /// The values seen, sorted; a value's code is its index.
        categories: Vec<String>,
    },
}

/// The values of one feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Numbers; NaN is missing.
    Numeric(Numbers),
    /// Indexes into the feature's categories; [`MISSING`] is missing or unseen.
    Categorical(ScalarBuffer<u32>),
}

impl Column {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numeric(values) => values.len(),
            Self::Categorical(codes) => codes.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The given rows, in the given order.
    #[must_use]
    pub(crate) fn select(&self, rows: &[u32]) -> Self {
        match self {
            Self::Numeric(values) => Self::Numeric(values.select(rows)),
            Self::Categorical(codes) => Self::Categorical(rows.iter().map(|&row| codes[row as usize]).collect()),
        }
    }
}

/// Whether a column holds numbers to a model.
pub(crate) fn is_numeric(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_numeric(values),
        DataType::Boolean | DataType::Null => true,
        other => other.is_numeric(),
    }
}

/// Whether a column holds text to a model.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => matches!(other, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

/// Learns a feature from a column: its kind, what was seen, and the values themselves.
pub(crate) fn learn(batch: &RecordBatch, index: usize) -> Result<(Feature, Column)> {
    let schema = batch.schema();
    let field = schema.field(index);
    let (kind, column) = if is_numeric(field.data_type()) {
        let values = finite(field.name(), batch.column(index))?;
        (FeatureKind::Numeric { range: values.range() }, Column::Numeric(values))
    } else if is_text(field.data_type()) {
        let (categories, codes) = learn_categories(&text(batch.column(index), field.name())?);
        (FeatureKind::Categorical { categories }, Column::Categorical(codes.into()))
    } else {
        return Err(unusable(field.name(), field.data_type()));
    };
    let unit = field.metadata().get("unit").cloned();
    Ok((Feature { name: field.name().clone(), kind, unit }, column))
}

/// Reads what a model needs from a batch, by name, in the model's order.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not there or holds another kind of values.
pub(crate) fn encode(features: &[Feature], batch: &RecordBatch) -> Result<Vec<Column>> {
    // A look for every name among all names takes long where they are many; features have a name each.
    let names = batch.schema_ref().fields().iter().map(|field| field.name());
    let in_order = names.len() == features.len() && names.eq(features.iter().map(|feature| &feature.name));
    let index = |(place, feature): (usize, &Feature)| match in_order {
        true => Ok(place),
        false => {
            column_index(batch, &feature.name, "predict from").map_err(|error| unlike(error, feature, features, batch))
        }
    };
    features.iter().enumerate().map(|feature| encode_one(feature.1, batch.column(index(feature)?))).collect()
}

/// The same error for a column that is missing: those that the model looks at itself are not meant by its name.
fn unlike(error: Error, feature: &Feature, features: &[Feature], batch: &RecordBatch) -> Error {
    let schema = batch.schema_ref();
    let is_feature = |name: &str| features.iter().any(|feature| feature.name == name);
    let others = schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !is_feature(name));
    let others: Vec<&str> = others.collect();
    let missing: Vec<&str> =
        features.iter().map(|feature| feature.name.as_str()).filter(|name| schema.index_of(name).is_err()).collect();
    match nearest(&feature.name, &others) {
        _ if schema.index_of(&feature.name).is_ok() => error,
        Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
        None if missing.len() > 1 => {
            error.with_hint(format_args!("it lacks {} of the model's columns", list(&missing)))
        }
        None => error,
    }
}

fn encode_one(feature: &Feature, array: &ArrayRef) -> Result<Column> {
    let data_type = array.data_type();
    match &feature.kind {
        FeatureKind::Numeric { .. } if is_numeric(data_type) => Ok(Column::Numeric(finite(&feature.name, array)?)),
        FeatureKind::Categorical { categories } if is_text(data_type) || are_codes(categories) => {
            match category_text(array, &feature.name, categories)? {
                Some(strings) => Ok(Column::Categorical(codes_of(categories, strings.as_string()).into())),
                None => valueless(feature, array),
            }
        }
        _ => valueless(feature, array),
    }
}

/// A column without a single value has whatever type its reader gave it; any other of a wrong type is refused.
fn valueless(feature: &Feature, array: &ArrayRef) -> Result<Column> {
    match &feature.kind {
        FeatureKind::Numeric { .. } if array.logical_null_count() == array.len() => {
            Ok(Column::Numeric(vec![f32::NAN; array.len()].into()))
        }
        FeatureKind::Categorical { .. } if is_valueless(&feature.name, array) => {
            Ok(Column::Categorical(vec![MISSING; array.len()].into()))
        }
        kind => Err(drifted(&feature.name, kind, array.data_type())),
    }
}

/// The code of each category, [`MISSING`] for one that was not seen.
fn codes_of(categories: &[String], strings: &StringArray) -> Vec<u32> {
    // Of few rows, a table of all categories would cost more than it saves.
    if strings.len() < categories.len() {
        let found = |name: &str| categories.binary_search_by(|category| category.as_str().cmp(name)).ok();
        return strings.iter().map(|value| value.and_then(found).map_or(MISSING, |code| code as u32)).collect();
    }
    let code_of: HashMap<&str, u32> = (0..).zip(categories).map(|(code, name)| (name.as_str(), code)).collect();
    let code = |value: Option<&str>| value.and_then(|name| code_of.get(name)).copied().unwrap_or(MISSING);
    strings.iter().map(code).collect()
}

/// Whether there is nothing but missing values, NaN included.
fn is_valueless(name: &str, array: &ArrayRef) -> bool {
    let is_nan = || finite(name, array).is_ok_and(|values| values.iter().all(f64::is_nan));
    array.logical_null_count() == array.len() || array.data_type().is_floating() && is_nan()
}

fn drifted(name: &str, kind: &FeatureKind, found: &DataType) -> Error {
    let wanted = match kind {
        FeatureKind::Numeric { .. } => "numbers",
        FeatureKind::Categorical { .. } => "categories",
    };
    Error::invalid("predict from", format_args!("column `{name}`"))
        .with_reason(format_args!("the model has learnt it as {wanted}, and here it is {found}"))
        .with_hint("read the table with the types that the model was trained with")
}

fn unusable(name: &str, found: &DataType) -> Error {
    Error::invalid("learn from", format_args!("column `{name}`"))
        .with_reason(format_args!("a feature is numeric, boolean or text, and this one is {found}"))
        .with_hint("cast the column, or leave it out of the features")
}

/// Where a column stands; the error for a column that is not there names the nearest that is.
pub(crate) fn column_index(batch: &RecordBatch, name: &str, action: &str) -> Result<usize> {
    let schema = batch.schema();
    let mut named = (0..).zip(schema.fields()).filter(|(_, field)| field.name() == name).map(|(index, _)| index);
    let error = || Error::invalid(action, format_args!("column `{name}`"));
    match (named.next(), named.next()) {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => {
            Err(error().with_reason("the table has two columns of this name").with_hint("rename one"))
        }
        (None, _) => {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            Err(error().with_reason("the table has no such column").with_hint(match nearest(name, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the table has {}", list(&names)),
            }))
        }
    }
}

/// The name most like `wanted`, if any is like it at all.
pub(crate) fn nearest<'a>(wanted: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &&&str| (strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()) * 1e6) as u32;
    names.iter().max_by_key(likeness).filter(|name| likeness(name) >= 750_000).copied()
}

/// The first names of a list, for an error message.
pub(crate) fn list(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// Any numeric column as `f64`: null becomes NaN, negative zero becomes zero.
pub(crate) fn numbers(array: &ArrayRef, name: &str) -> Result<Vec<f64>> {
    let cast = cast(array, &DataType::Float64)
        .map_err(|cause| Error::invalid("read", format_args!("column `{name}` as numbers")).with_source(cause))?;
    let values = cast.as_primitive::<Float64Type>();
    Ok(values.iter().map(|value| value.map_or(f64::NAN, |value| value + 0.0)).collect())
}

fn finite(name: &str, array: &ArrayRef) -> Result<Numbers> {
    let values = Numbers::read(array, name)?;
    match values.first_infinite() {
        None => Ok(values),
        Some(row) => Err(Error::invalid("use", format_args!("column `{name}`"))
            .with_position(Position::row(row as u64 + 1))
            .with_reason(format_args!("a feature must be finite or missing, got `{}`", values.get(row)))
            .with_hint("make infinities null, or drop these rows by a rule")),
    }
}

/// Any text column as plain strings.
pub(crate) fn text(array: &ArrayRef, name: &str) -> Result<ArrayRef> {
    cast(array, &DataType::Utf8)
        .map_err(|cause| Error::invalid("read", format_args!("column `{name}` as text")).with_source(cause))
}

/// The sorted distinct values of a plain string array, and each row's index into them.
pub(crate) fn learn_categories(strings: &ArrayRef) -> (Vec<String>, Vec<u32>) {
    let strings = strings.as_string::<i32>();
    let mut names: Vec<&str> = strings.iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    let code_of: HashMap<&str, u32> = (0..).zip(&names).map(|(code, name)| (*name, code)).collect();
    let codes = strings.iter().map(|value| value.map_or(MISSING, |name| code_of[name])).collect();
    (names.into_iter().map(str::to_owned).collect(), codes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("protein_g", Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(3.5)])) as ArrayRef),
            ("color", Arc::new(StringArray::from(vec![Some("red"), Some("blue"), None])) as ArrayRef),
            ("grams", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ])
        .unwrap()
    }

    #[test]
    fn null_is_missing_and_zero_has_no_sign() {
        let (feature, column) = learn(&batch(), 0).unwrap();
        let Column::Numeric(values) = column else { panic!("{column:?}") };
        assert!(values.get(0).is_sign_positive() && values.get(1).is_nan());
        assert_eq!(feature.kind, FeatureKind::Numeric { range: Some([0.0, 3.5]) });
    }

    #[test]
    fn categories_are_sorted_and_unseen_ones_missing() {
        let (feature, column) = learn(&batch(), 1).unwrap();
        assert_eq!(feature.kind, FeatureKind::Categorical { categories: vec!["blue".into(), "red".into()] });
        assert_eq!(column, Column::Categorical(vec![1, 0, MISSING].into()));
        let other =
            RecordBatch::try_from_iter([("color", Arc::new(StringArray::from(vec!["green", "red"])) as ArrayRef)]);
        let other = other.unwrap();
        assert_eq!(
            encode(std::slice::from_ref(&feature), &other).unwrap(),
            [Column::Categorical(vec![MISSING, 1].into())]
        );
        // Fewer rows than categories.
        for (row, code) in [(0, MISSING), (1, 1)] {
            assert_eq!(
                encode(std::slice::from_ref(&feature), &other.slice(row, 1)).unwrap(),
                [Column::Categorical(vec![code].into())]
            );
        }
    }

    #[test]
    fn a_missing_column_names_the_nearest() {
        let error = column_index(&batch(), "protien_g", "learn from").unwrap_err();
        assert_eq!(error.to_string(), "cannot learn from column `protien_g`: the table has no such column");
        assert_eq!(error.hint(), Some("did you mean `protein_g`?"));
    }

    #[test]
    fn a_type_drift_is_named() {
        let (feature, _) = learn(&batch(), 1).unwrap();
        let other = RecordBatch::try_from_iter([("color", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
        let error = encode(&[feature], &other).unwrap_err();
        assert!(error.to_string().contains("learnt it as categories, and here it is Int64"), "{error}");
    }

    #[test]
    fn an_infinite_feature_names_column_and_row() {
        let array = Arc::new(Float64Array::from(vec![1.0, f64::INFINITY])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("x", array)]).unwrap();
        let error = learn(&batch, 0).unwrap_err();
        assert_eq!(error.position(), Some(&Position::row(2)));
        assert!(error.to_string().starts_with("cannot use column `x` at row 2"), "{error}");
    }
}
