//! One schema for several objects: columns united by name, types widened as far as needed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{ColumnSpec, DecimalMark, Inferred, ReadOptions};
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
        schemas.push((part.path(), inferred));
    }
    let alike = schemas.windows(2).all(|pair| pair[0].1.schema == pair[1].1.schema);
    let schema = match schemas.first() {
        Some((_, first)) if alike => Arc::clone(&first.schema),
        _ => union(&schemas, &mut notes)?,
    };
    let given = parts.first().and_then(|(_, options)| options.decimal);
    // Where one object has a comma and another a dot, neither is anything else.
    let found = |name: &String| {
        let has_comma = schemas.iter().any(|(_, inferred)| inferred.comma_decimals.contains(name));
        if has_comma { DecimalMark::Either } else { DecimalMark::Dot }
    };
    let spec = |field: &Arc<Field>| {
        let mark = given.unwrap_or_else(|| found(field.name()));
        ColumnSpec::new(field.name(), field.data_type().clone()).with_decimal(mark)
    };
    let columns = schema.fields().iter().map(spec);
    Ok(United { columns: columns.collect(), schema, alike, notes })
}

/// A column as all objects so far have it.
#[derive(Debug)]
struct Column {
    /// None where no value was seen.
    data_type: Option<DataType>,
    /// Whether there is an integer that no float is.
    has_wide_integers: bool,
    /// Whether an object has it without a value, and so as text.
    is_empty_somewhere: bool,
}

impl Column {
    fn new() -> Self {
        Self { data_type: None, has_wide_integers: false, is_empty_somewhere: false }
    }

    /// Its type in all objects: text where no object has a value.
    fn common_type(self) -> DataType {
        match self.data_type {
            None => DataType::Utf8,
            Some(data_type) if self.is_empty_somewhere => of_text(data_type),
            Some(data_type) => data_type,
        }
    }
}

/// The narrowest type that holds the values of a type and that a text can become.
fn of_text(data_type: DataType) -> DataType {
    match data_type {
        DataType::Boolean | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, None) => data_type,
        DataType::Decimal128(_, 0..) => data_type,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone))
        }
        integer if fits_int64(&integer) => DataType::Int64,
        float if float.is_floating() => DataType::Float64,
        nested if nested.is_nested() => nested,
        _ => DataType::Utf8,
    }
}

fn fits_int64(data_type: &DataType) -> bool {
    data_type.is_integer() && data_type != &DataType::UInt64
}

fn union(schemas: &[(String, Inferred)], notes: &mut Vec<String>) -> Result<SchemaRef> {
    let mut columns: IndexMap<&str, Column> = IndexMap::new();
    for (path, inferred) in schemas {
        for field in inferred.schema.fields() {
            let name = field.name().as_str();
            let column = columns.entry(name).or_insert_with(Column::new);
            column.has_wide_integers |= inferred.wide_integers.contains(field.name());
            if inferred.empty.contains(field.name()) {
                column.is_empty_somewhere = true;
                continue;
            }
            let found = field.data_type();
            let wider = match &column.data_type {
                Some(known) if known != found => {
                    let wider = wider(known, found, column.has_wide_integers);
                    let wider = wider.ok_or_else(|| clash(path, name, known, found))?;
                    notes.push(format!("{path}: column `{name}` is {found}, elsewhere {known}: read as {wider}"));
                    wider
                }
                _ => found.clone(),
            };
            column.data_type = Some(wider);
        }
    }
    for (path, inferred) in schemas {
        for name in columns.keys().filter(|name| inferred.schema.field_with_name(name).is_err()) {
            notes.push(format!("{path}: has no column `{name}`: null there"));
        }
    }
    let specs = columns.into_iter().map(|(name, column)| ColumnSpec::new(name, column.common_type()).field());
    Ok(Arc::new(Schema::new(specs.collect::<Vec<_>>())))
}

/// The narrowest type that holds the values of both without loss, text at worst; none where a nested type meets another
/// one. Of integers with and without sign, and of floats and integers that no float is, that is text.
fn wider(a: &DataType, b: &DataType, has_wide_integers: bool) -> Option<DataType> {
    let is_float = DataType::is_floating;
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if a.is_nested() || b.is_nested() => None,
        (a, b) if fits_int64(a) && fits_int64(b) => Some(DataType::Int64),
        (DataType::Decimal128(precision, 0), whole) | (whole, DataType::Decimal128(precision, 0))
            if fits_int64(whole) && *precision >= 19 =>
        {
            Some(DataType::Decimal128(*precision, 0))
        }
        (a, b) if is_float(a) && is_float(b) => Some(DataType::Float64),
        (a, b) if is_float(a) && b.is_integer() && !has_wide_integers => Some(DataType::Float64),
        (a, b) if is_float(b) && a.is_integer() && !has_wide_integers => Some(DataType::Float64),
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

    fn inferred(fields: &[(&str, DataType)]) -> Inferred {
        let fields = fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        Inferred::new(&Arc::new(Schema::new(fields.collect::<Vec<_>>())), Vec::new(), 1, true)
    }

    fn types(schemas: &[Inferred], notes: &mut Vec<String>) -> Vec<(String, DataType)> {
        let schemas: Vec<_> = schemas.iter().map(|inferred| ("x".to_owned(), inferred.clone())).collect();
        let united = union(&schemas, notes).unwrap();
        united.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    }

    #[test]
    fn columns_unite_by_name_and_widen() {
        let first = inferred(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
        let second = inferred(&[("b", DataType::Boolean), ("a", DataType::Float64), ("c", DataType::Date32)]);
        let mut notes = Vec::new();
        let types = types(&[first, second], &mut notes);
        let expected = [("a", DataType::Float64), ("b", DataType::Utf8), ("c", DataType::Date32)];
        assert_eq!(types, expected.map(|(name, data_type)| (name.to_owned(), data_type)));
        assert_eq!(notes.len(), 3, "{notes:?}");
    }

    #[test]
    fn a_column_without_a_value_widens_nothing() {
        let mut empty = inferred(&[("a", DataType::Utf8), ("b", DataType::Utf8)]);
        empty.empty = vec!["a".to_owned(), "b".to_owned()];
        let full = inferred(&[("a", DataType::Int64)]);
        let expected = [("a".to_owned(), DataType::Int64), ("b".to_owned(), DataType::Utf8)];
        assert_eq!(types(&[empty.clone(), full.clone()], &mut Vec::new()), expected);
        assert_eq!(types(&[full, empty], &mut Vec::new()), expected);
    }

    #[test]
    fn integers_that_no_float_holds_become_text_in_any_order() {
        let float = inferred(&[("a", DataType::Float64)]);
        let small = inferred(&[("a", DataType::Int64)]);
        let mut large = small.clone();
        large.wide_integers = vec!["a".to_owned()];
        let expected = [("a".to_owned(), DataType::Utf8)];
        for order in [[&float, &small, &large], [&small, &large, &float], [&large, &float, &small]] {
            assert_eq!(types(&order.map(Inferred::clone), &mut Vec::new()), expected);
        }
        let wide = inferred(&[("a", DataType::Decimal128(38, 0))]);
        for order in [[&float, &wide, &small], [&small, &wide, &float], [&wide, &float, &small]] {
            assert_eq!(types(&order.map(Inferred::clone), &mut Vec::new()), expected);
        }
        let decimal = [("a".to_owned(), DataType::Decimal128(38, 0))];
        assert_eq!(types(&[small.clone(), wide.clone()], &mut Vec::new()), decimal);
        assert_eq!(types(&[wide, small.clone()], &mut Vec::new()), decimal);
        let unsigned = inferred(&[("a", DataType::UInt64)]);
        assert_eq!(types(&[small, unsigned], &mut Vec::new()), expected);
    }
}
