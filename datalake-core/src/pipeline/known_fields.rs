//! The fields of JSON records that a table has columns for.

use arrow::datatypes::{DataType, Field};
use serde_json::{Map, Value};

use crate::format::{ColumnSpec, Reject};

/// The columns of a table, by the names that they have in records.
pub(super) struct Known<'a> {
    columns: Vec<(&'a str, &'a DataType)>,
    flattens: bool,
}

impl<'a> Known<'a> {
    pub(super) fn of(specs: &'a [ColumnSpec], flattens: bool) -> Self {
        let names = |spec: &'a ColumnSpec| spec.source_names().map(|name| (name, &spec.data_type));
        Self { columns: specs.iter().flat_map(names).collect(), flattens }
    }

    /// The first field with a value that there is no column for. Of what is no JSON nothing is said.
    pub(super) fn stranger(&self, record: &Reject) -> Option<String> {
        let Ok(Value::Object(members)) = serde_json::from_str(&record.raw) else { return None };
        self.among(&members, "")
    }

    fn among(&self, members: &Map<String, Value>, prefix: &str) -> Option<String> {
        members.iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| {
            let name = format!("{prefix}{name}");
            match (self.columns.iter().find(|(column, _)| *column == name), value) {
                (Some((_, data_type)), value) => within(data_type, value).map(|inner| format!("{name}.{inner}")),
                (None, Value::Object(members)) if self.flattens => self.among(members, &format!("{name}_")),
                (None, _) => Some(name),
            }
        })
    }
}

/// The first field within a value that its type has not. What is not of the type at all is not looked into.
fn within(data_type: &DataType, value: &Value) -> Option<String> {
    match (data_type, value) {
        (DataType::Struct(fields), Value::Object(members)) => members.iter().find_map(|(name, value)| {
            let field = fields.iter().find(|field: &&std::sync::Arc<Field>| field.name() == name);
            match field {
                Some(field) => within(field.data_type(), value).map(|inner| format!("{name}.{inner}")),
                None => (!value.is_null()).then(|| name.clone()),
            }
        }),
        (DataType::List(field), Value::Array(values)) => {
            values.iter().find_map(|value| within(field.data_type(), value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(raw: &str, flattens: bool) -> Option<String> {
        let object = DataType::Struct(vec![Field::new("x", DataType::Int64, true)].into());
        let specs = [
            ColumnSpec::new("a", DataType::Int64),
            ColumnSpec::new("o", object.clone()),
            ColumnSpec::new("l", DataType::new_list(object, true)),
            ColumnSpec::new("f_x", DataType::Int64),
            ColumnSpec::new("new", DataType::Utf8).with_from(vec!["old".to_owned()]),
        ];
        let record = Reject {
            source: "s".to_owned(),
            row: 1,
            line: None,
            byte: None,
            column: None,
            code: "syntax".to_owned(),
            reason: String::new(),
            raw: raw.to_owned(),
        };
        Known::of(&specs, flattens).stranger(&record)
    }

    #[test]
    fn fields_without_a_column_are_found_at_every_depth() {
        for (raw, flattens, expected) in [
            (r#"{"a":1,"o":{"x":1},"l":[{"x":1},{}],"old":"t"}"#, false, None),
            (r#"{"a":1,"z":2}"#, false, Some("z")),
            (r#"{"a":1,"z":null}"#, false, None),
            (r#"{"o":{"x":1,"y":2}}"#, false, Some("o.y")),
            (r#"{"l":[{"x":1},{"y":2}]}"#, false, Some("l.y")),
            (r#"{"f":{"x":1}}"#, false, Some("f")),
            (r#"{"f":{"x":1}}"#, true, None),
            (r#"{"f":{"x":1,"y":2}}"#, true, Some("f_y")),
            (r#"{"a":{"x":1}}"#, false, None),
            (r#"{"a":1"#, false, None),
            ("[1]", false, None),
        ] {
            assert_eq!(stranger(raw, flattens).as_deref(), expected, "{raw}");
        }
    }
}
