//! A declared column: its name, type and unit, and how it may be called and written in the source.

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::one_or_many::one_or_many;
use super::types::type_of_name;
pub(crate) use super::types::{is_text_type, timestamp_utc, type_name};

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
    /// Its type: `text`, `bool`, `int8` to `int64`, `uint8` to `uint64`, `float32`, `float64`, `decimal(10,2)` of up to 76
    /// digits, `date`, `timestamp` (microseconds, without a zone) or `timestamp_utc`; times in other units are
    /// `timestamp(ms)`, `timestamp_utc(ns)` and so on.
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

/// The columns of a schema, where all their types have names.
pub(crate) fn specs_of(schema: &arrow::datatypes::Schema) -> Option<Vec<ColumnSpec>> {
    let spec = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        type_of_name(&type_name(field.data_type()))?;
        Some(ColumnSpec { nullable: field.is_nullable(), ..ColumnSpec::new(field.name(), field.data_type().clone()) })
    };
    schema.fields().iter().map(spec).collect()
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

    use crate::format::types::{KNOWN, type_of_name};

    pub(super) fn serialize<S: Serializer>(data_type: &DataType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::type_name(data_type))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataType, D::Error> {
        let name = String::deserialize(deserializer)?;
        type_of_name(&name).ok_or_else(|| D::Error::custom(format_args!("`{name}` is not a type; known are {KNOWN}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_its_name() {
        for data_type in crate::format::types::all() {
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
