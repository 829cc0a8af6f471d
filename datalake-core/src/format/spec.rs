//! A declared column: its name, type and unit, and how it may be called and written in the source.

use arrow::datatypes::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

use super::one_or_many::one_or_many;

/// What separates the whole part of a number from its fraction, in text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecimalMark {
    /// `12.5`
    #[default]
    Dot,
    /// `12,5`
    Comma,
    /// `12.5` or `12,5`; a single comma is always the decimal mark, never one between thousands.
    Either,
}

/// A column as a user declares it.
///
/// ```
/// use datalake_core::format::ColumnSpec;
///
/// let spec: ColumnSpec =
///     serde_json::from_str(r#"{"name": "protein_g", "type": "float64", "unit": "g", "from": "Protein (g)"}"#).unwrap();
/// assert_eq!(spec.from, ["Protein (g)"]);
/// assert!(spec.nullable);
/// assert!(serde_json::from_str::<ColumnSpec>(r#"{"name": "x", "type": "float"}"#).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ColumnSpec {
    /// Its name in the result.
    pub name: String,
    /// Its type: `text`, `int64`, `float64`, `bool`, `date`, `timestamp` (microseconds, without a zone) or
    /// `timestamp_utc`.
    #[serde(rename = "type", with = "short_name")]
    pub data_type: DataType,
    /// Whether a value may be missing.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub nullable: bool,
    /// The unit of its numbers. Numbers in text may then carry a unit of the same dimension, and are converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The decimal mark of numbers in text.
    #[serde(default, skip_serializing_if = "is_dot")]
    pub decimal: DecimalMark,
    /// Its names in the source, of which the first that exists is taken; none means its own name. One alone may be written
    /// without an array.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub from: Vec<String>,
}

impl ColumnSpec {
    /// A nullable column without a unit.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        let name = name.into();
        Self { name, data_type, nullable: true, unit: None, decimal: DecimalMark::Dot, from: Vec::new() }
    }

    /// Says whether a value may be missing.
    #[must_use]
    pub fn with_nullable(mut self, nullable: bool) -> Self {
        self.nullable = nullable;
        self
    }

    /// Says the unit of its numbers.
    #[must_use]
    pub fn with_unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// Says the decimal mark of numbers in text.
    #[must_use]
    pub fn with_decimal(mut self, decimal: DecimalMark) -> Self {
        self.decimal = decimal;
        self
    }

    /// Says its names in the source.
    #[must_use]
    pub fn with_from(mut self, from: Vec<String>) -> Self {
        self.from = from;
        self
    }

    /// The column's field in the resulting schema.
    #[must_use]
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), self.nullable)
    }

    /// The names under which it is looked for in the source.
    pub(crate) fn source_names(&self) -> impl Iterator<Item = &str> {
        let own = self.from.is_empty().then_some(self.name.as_str());
        self.from.iter().map(String::as_str).chain(own)
    }
}

/// Whether texts can become values of a type.
pub(crate) fn is_text_type(data_type: &DataType) -> bool {
    *data_type == timestamp_utc() || TYPES.iter().any(|(_, known)| known == data_type)
}

/// The types that columns of text can have, by the names that users write.
const TYPES: [(&str, DataType); 6] = [
    ("text", DataType::Utf8),
    ("int64", DataType::Int64),
    ("float64", DataType::Float64),
    ("bool", DataType::Boolean),
    ("date", DataType::Date32),
    ("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None)),
];

/// The type of timestamps in UTC.
pub(crate) fn timestamp_utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The name that users write for a type; Arrow's own where there is none.
pub(crate) fn type_name(data_type: &DataType) -> String {
    if *data_type == timestamp_utc() {
        return "timestamp_utc".to_owned();
    }
    let known = TYPES.iter().find(|(_, known)| known == data_type);
    known.map_or_else(|| data_type.to_string(), |(name, _)| (*name).to_owned())
}

/// The columns of a schema, where all their types have names.
#[cfg(feature = "pipeline")]
pub(crate) fn specs_of(schema: &arrow::datatypes::Schema) -> Option<Vec<ColumnSpec>> {
    let spec = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        type_of_name(&type_name(field.data_type()))?;
        Some(ColumnSpec { nullable: field.is_nullable(), ..ColumnSpec::new(field.name(), field.data_type().clone()) })
    };
    schema.fields().iter().map(spec).collect()
}

fn type_of_name(name: &str) -> Option<DataType> {
    if name == "timestamp_utc" {
        return Some(timestamp_utc());
    }
    TYPES.iter().find(|(known, _)| *known == name).map(|(_, data_type)| data_type.clone())
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_dot(mark: &DecimalMark) -> bool {
    *mark == DecimalMark::Dot
}

mod short_name {
    use arrow::datatypes::DataType;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(data_type: &DataType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::type_name(data_type))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataType, D::Error> {
        let name = String::deserialize(deserializer)?;
        super::type_of_name(&name).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{name}` is not a type; known are text, int64, float64, bool, date, timestamp, timestamp_utc"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_its_name() {
        for data_type in TYPES.map(|(_, data_type)| data_type).into_iter().chain([timestamp_utc()]) {
            let spec = ColumnSpec::new("x", data_type);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<ColumnSpec>(&json).unwrap(), spec, "{json}");
        }
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(serde_json::from_str::<ColumnSpec>(r#"{"name": "x", "type": "text", "nulable": true}"#).is_err());
    }
}
