//! One schema for several objects: columns united by name, types widened as far as needed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{ColumnSpec, ReadOptions};
use crate::query::dataset::Part;

/// What several objects have in common.
#[derive(Debug)]
pub(crate) struct United {
    /// The schema of all of them.
    pub(crate) schema: SchemaRef,
    /// The same as declared columns.
    pub(crate) columns: Vec<ColumnSpec>,
    /// Whether every object has just this schema.
    pub(crate) alike: bool,
    /// What the user should know: columns that were widened, or that an object lacks.
    pub(crate) notes: Vec<String>,
}

/// Infers the schema of every object and unites them, columns in the order in which they are first seen.
pub(crate) async fn unite(parts: &[(Part, ReadOptions)]) -> Result<United> {
    let mut schemas = Vec::new();
    let mut notes = Vec::new();
    for (part, options) in parts {
        let inferred = part.infer(options).await?;
        notes.extend(inferred.notes.iter().map(|note| format!("{}: {note}", part.path())));
        schemas.push((part.path(), inferred.schema));
    }
    let alike = schemas.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let schema = match schemas.first() {
        Some((_, first)) if alike => Arc::clone(first),
        _ => union(&schemas, &mut notes)?,
    };
    let columns = schema.fields().iter().map(|field| ColumnSpec::new(field.name(), field.data_type().clone()));
    Ok(United { columns: columns.collect(), schema, alike, notes })
}

fn union(schemas: &[(String, SchemaRef)], notes: &mut Vec<String>) -> Result<SchemaRef> {
    let mut columns: IndexMap<&str, DataType> = IndexMap::new();
    for (path, schema) in schemas {
        for field in schema.fields() {
            let name = field.name().as_str();
            let found = field.data_type();
            match columns.get(name) {
                None => drop(columns.insert(name, found.clone())),
                Some(known) if known == found => {}
                Some(known) => {
                    let wider = wider(known, found).ok_or_else(|| clash(path, name, known, found))?;
                    notes.push(format!("{path}: column `{name}` is {found}, elsewhere {known}: read as {wider}"));
                    columns.insert(name, wider);
                }
            }
        }
    }
    for (path, schema) in schemas {
        for name in columns.keys().filter(|name| schema.field_with_name(name).is_err()) {
            notes.push(format!("{path}: has no column `{name}`: null there"));
        }
    }
    let specs = columns.into_iter().map(|(name, data_type)| ColumnSpec::new(name, data_type).field());
    Ok(Arc::new(Schema::new(specs.collect::<Vec<_>>())))
}

/// The narrowest type that holds the values of both; none where a nested type meets another one.
fn wider(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if a.is_nested() || b.is_nested() => None,
        (a, b) if a.is_integer() && b.is_integer() => Some(DataType::Int64),
        (a, b) if a.is_numeric() && b.is_numeric() => Some(DataType::Float64),
        _ => Some(DataType::Utf8),
    }
}

fn clash(path: &str, name: &str, known: &DataType, found: &DataType) -> Error {
    Error::new(ErrorKind::Unsupported, "unite", path)
        .with_reason(format_args!("its column `{name}` is {found}, and that of another object {known}"))
        .with_hint("read the objects one by one, or flatten nested columns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;

    #[test]
    fn columns_unite_by_name_and_widen() {
        let schema = |fields: &[(&str, DataType)]| -> SchemaRef {
            let fields = fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        let first = schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
        let second = schema(&[("b", DataType::Boolean), ("a", DataType::Float64), ("c", DataType::Date32)]);
        let mut notes = Vec::new();
        let united = union(&[("x".into(), first), ("y".into(), second)], &mut notes).unwrap();
        let types: Vec<_> =
            united.fields().iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
        assert_eq!(types, [("a", DataType::Float64), ("b", DataType::Utf8), ("c", DataType::Date32)]);
        assert_eq!(notes.len(), 3, "{notes:?}");
    }
}
