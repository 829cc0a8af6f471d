//! Declared schemas as users write them: in one line, or as JSON or TOML in a file.

use std::path::Path;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::schema::shortened;
use super::spec::ColumnSpec;
use super::types::{KNOWN, type_of_name};
use crate::error::{Error, Result};

/// The columns that a text declares: a file's name, or the declaration itself.
///
/// In one line columns are names with types, such as `id:int64!,name:text,price:decimal(10,2),at:timestamp_utc`. A `!` means
/// that no value may be missing. A name with a comma, a colon or a quote in it stands in double quotes, `"price, net":float64`,
/// and a quote within is doubled.
///
/// A file (TOML if its name ends in `.toml`, else JSON) holds a list of [`ColumnSpec`], or names with their types, or with
/// a [`ColumnSpec`] without its name: `{"id": "int64!", "fat": {"type": "float64", "unit": "g"}}`. A list may also be the
/// only member `columns` of an object, as TOML must have it. JSON may be given in place of the file's name. What
/// `datalake schema --output json` prints declares the types that were found.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is none of these, with the column at fault; those of the operating
/// system for a file.
///
/// ```
/// use datalake_core::format::declared_schema;
///
/// let columns = declared_schema("id:int64!, \"price, net\":decimal(10,2)").unwrap();
/// assert_eq!((columns[0].nullable, columns[1].name.as_str()), (false, "price, net"));
/// assert_eq!(columns, declared_schema(r#"{"id": "int64!", "price, net": "decimal(10,2)"}"#).unwrap());
/// assert!(declared_schema("id:integer").is_err());
/// ```
pub fn declared_schema(text: &str) -> Result<Vec<ColumnSpec>> {
    let text = text.trim();
    let shown = format!("the declared schema `{}`", shortened(text));
    let columns = if text.starts_with(['{', '[']) {
        json(text)
    } else if Path::new(text).is_file() {
        let content =
            std::fs::read_to_string(text).map_err(|cause| Error::io("read the declared schema", text, cause))?;
        let is_toml = Path::new(text).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        if is_toml { toml(&content) } else { json(content.trim_start_matches('\u{feff}')) }
    } else if text.contains(':') {
        inline(text)
    } else {
        let error = Error::not_found("read", format_args!("the declared schema `{}`", shortened(text)));
        return Err(error.with_reason("there is no file of this name").with_hint(HINT));
    };
    let columns = columns.and_then(|columns| match repeated(&columns) {
        Some(name) => Err(format!("column `{name}` is declared twice")),
        None if columns.is_empty() => Err("it has no columns".to_owned()),
        None => Ok(columns),
    });
    columns.map_err(|reason| Error::invalid("use", shown).with_reason(reason).with_hint(HINT))
}

const HINT: &str = "give names with types, such as `id:int64!,name:text,price:decimal(10,2)` (`!`: never missing), or a file \
                    with a JSON object or TOML table of them, or a list of columns with `name` and `type`";

fn repeated(columns: &[ColumnSpec]) -> Option<&str> {
    let is_repeated = |(index, column): &(usize, &ColumnSpec)| columns[..*index].iter().any(|c| c.name == column.name);
    columns.iter().enumerate().find(is_repeated).map(|(_, column)| column.name.as_str())
}

/// A column of a name and a type, perhaps with the mark of one without missing values.
fn column(name: &str, kind: &str) -> Result<ColumnSpec, String> {
    let kind = kind.trim();
    let (bare, nullable) = match kind.strip_suffix('!') {
        Some(bare) => (bare.trim_end(), false),
        None => (kind, true),
    };
    let data_type = type_of_name(bare)
        .ok_or_else(|| format!("`{bare}`, the type of column `{name}`, is not a type; known are {KNOWN}"))?;
    Ok(ColumnSpec::new(name, data_type).with_nullable(nullable))
}

fn inline(text: &str) -> Result<Vec<ColumnSpec>, String> {
    let mut columns = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let (name, after) = name(rest.trim_start())?;
        let mut depth = 0;
        let end = after.find(|character| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            character == ',' && depth == 0
        });
        let (kind, others) = end.map_or((after, ""), |end| (&after[..end], &after[end + 1..]));
        columns.push(column(&name, kind)?);
        rest = others;
    }
    Ok(columns)
}

/// The name at the start of a text, and what follows its colon.
fn name(text: &str) -> Result<(String, &str), String> {
    let no_type = |name: &str| format!("`{}` has no type: a colon and a type must follow", shortened(name));
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([':', ',']).unwrap_or(text.len());
        let name = text[..end].trim_end();
        let rest = text[end..].strip_prefix(':').ok_or_else(|| no_type(name))?;
        return match name {
            "" => Err("a name is missing before a colon".to_owned()),
            name if name.contains('"') => Err(format!("`{name}` has a quote in it: it must stand in quotes itself")),
            name => Ok((name.to_owned(), rest)),
        };
    };
    let mut end = 0;
    loop {
        end += quoted[end..].find('"').ok_or_else(|| format!("the quote of `{}` is not closed", shortened(text)))?;
        if !quoted[end + 1..].starts_with('"') {
            break;
        }
        end += 2;
    }
    let name = quoted[..end].replace("\"\"", "\"");
    let rest = quoted[end + 1..].trim_start().strip_prefix(':').ok_or_else(|| no_type(&name))?;
    Ok((name, rest))
}

fn json(text: &str) -> Result<Vec<ColumnSpec>, String> {
    if text.trim_start().starts_with('[') {
        return list(serde_json::from_str(text).map_err(|cause| cause.to_string())?);
    }
    // The order of its members is that of the columns.
    let members: IndexMap<String, Value> = serde_json::from_str(text).map_err(|cause| cause.to_string())?;
    table(members.into_iter().collect())
}

fn toml(text: &str) -> Result<Vec<ColumnSpec>, String> {
    let members: IndexMap<Spanned<String>, Value> = toml::from_str(text).map_err(|cause| cause.to_string())?;
    let mut members: Vec<_> = members.into_iter().collect();
    members.sort_by_key(|(name, _)| name.span().start);
    table(members.into_iter().map(|(name, kind)| (name.into_inner(), kind)).collect())
}

fn table(mut members: Vec<(String, Value)>) -> Result<Vec<ColumnSpec>, String> {
    if let [(name, Value::Array(columns))] = &mut members[..]
        && name == "columns"
    {
        return list(std::mem::take(columns));
    }
    if let Some(profiled) = profiled(&members) {
        return list(profiled);
    }
    let of = |(name, kind): (String, Value)| match kind {
        Value::String(kind) => column(&name, &kind),
        Value::Object(mut members) => {
            members.insert("name".to_owned(), name.into());
            spec(Value::Object(members))
        }
        other => Err(format!("the type of column `{name}` is `{other}`, and must be a name")),
    };
    members.into_iter().map(of).collect()
}

/// The columns of a [`Profile`](super::Profile), as `datalake schema --output json` prints it: their names and types.
fn profiled(members: &[(String, Value)]) -> Option<Vec<Value>> {
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    member("rows")?.as_u64()?;
    let column = |column: &Value| Some(serde_json::json!({ "name": column.get("name")?, "type": column.get("type")? }));
    member("columns")?.as_array()?.iter().map(column).collect()
}

fn list(columns: Vec<Value>) -> Result<Vec<ColumnSpec>, String> {
    columns.into_iter().map(spec).collect()
}

/// A column as serde has it; the type may have the mark.
fn spec(mut column: Value) -> Result<ColumnSpec, String> {
    let marked = column.get("type").and_then(Value::as_str).and_then(|kind| kind.trim().strip_suffix('!'));
    let is_marked = marked.is_some();
    if let Some(bare) = marked.map(|bare| bare.trim_end().to_owned()) {
        column["type"] = bare.into();
    }
    let name = column.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let spec = ColumnSpec::deserialize(column).map_err(|cause| match name.as_str() {
        "" => cause.to_string(),
        name => format!("column `{name}`: {cause}"),
    })?;
    Ok(if is_marked { spec.with_nullable(false) } else { spec })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::format::types;
    use arrow::datatypes::DataType;
    use proptest::prelude::*;

    fn expected() -> Vec<ColumnSpec> {
        vec![
            ColumnSpec::new("z", DataType::Int64).with_nullable(false),
            ColumnSpec::new("price, net: \"n\"", DataType::Decimal128(10, 2)),
            ColumnSpec::new("a", DataType::Float64),
        ]
    }

    #[test]
    fn all_forms_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let profile = r#"{"rows": 2, "columns": [{"name": "a", "type": "int64", "nulls": 0, "min": "1", "mean": 1.5}], "csv": {}}"#;
        assert_eq!(declared_schema(profile).unwrap(), [ColumnSpec::new("a", DataType::Int64)]);
        let names = r#"{"z": "int64!", "price, net: \"n\"": "decimal(10, 2)", "a": {"type": "float64"}}"#;
        let list = r#"[{"name": "z", "type": "int64", "nullable": false},
            {"name": "price, net: \"n\"", "type": "decimal(10,2)"}, {"name": "a", "type": "float64"}]"#;
        let toml_names = "z = \"int64!\"\n'price, net: \"n\"' = 'decimal(10,2)'\n[a]\ntype = 'float64'\n";
        let toml_list = "[[columns]]\nname = 'z'\ntype = 'int64!'\n[[columns]]\nname = 'price, net: \"n\"'\n\
                         type = 'decimal(10,2)'\n[[columns]]\nname = 'a'\ntype = 'float64'\n";
        for given in [
            r#" z : int64 ! , "price, net: ""n""" :decimal( 10 , 2 ), a:float64 "#,
            names,
            list,
            &format!("{{\"columns\": {list}}}"),
            &file("names.json", names),
            &file("list.json", list),
            &file("names.toml", toml_names),
            &file("list.TOML", toml_list),
        ] {
            assert_eq!(declared_schema(given).unwrap(), expected(), "{given}");
        }
    }

    #[test]
    fn what_is_no_schema_is_told_with_its_column() {
        for (given, reason) in [
            ("id:integer", "`integer`, the type of column `id`, is not a type; known are text"),
            ("id:int64,name", "`name` has no type"),
            ("id:", "``, the type of column `id`, is not a type"),
            (":int64", "a name is missing"),
            ("\"id:int64", "the quote of"),
            ("\"id\"int64:text", "`id` has no type"),
            ("a\"b:text", "has a quote in it"),
            ("id:int64,id:text", "column `id` is declared twice"),
            ("id:decimal(40,41)", "`decimal(40,41)`, the type of column `id`"),
            ("{\"id\": 7}", "the type of column `id` is `7`"),
            ("{\"id\": {\"type\": \"int64\", \"unti\": \"g\"}}", "column `id`: unknown field `unti`"),
            ("[{\"type\": \"int64\"}]", "missing field `name`"),
            ("[]", "it has no columns"),
            ("{", "EOF"),
        ] {
            let error = declared_schema(given).unwrap_err();
            assert!(error.reason().unwrap_or_default().contains(reason), "{given}: {error}");
            assert!(error.hint().is_some());
        }
        assert_eq!(declared_schema("nowhere.json").unwrap_err().kind(), ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn any_name_can_be_declared(name in "\\PC{1,8}", which in 0_usize..20, nullable: bool) {
            let data_type = types::all()[which].clone();
            let mark = if nullable { "" } else { "!" };
            let given = format!("\"{}\":{}{mark},x:text", name.replace('"', "\"\""), types::type_name(&data_type));
            let columns = declared_schema(&given);
            prop_assume!(name != "x");
            prop_assert_eq!(&columns.unwrap()[0], &ColumnSpec::new(name, data_type).with_nullable(nullable));
        }

        #[test]
        fn any_text_is_a_schema_or_an_error(text in "[a:,\"!(){}\\[\\] ]{0,20}") {
            let _ = declared_schema(&text);
        }
    }
}
