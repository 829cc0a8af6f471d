//! The types of JSON values, found from all of them: scalars, lists, objects, or a mixture that stays JSON text.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::value::Value;
use crate::format::cell::Kinds;
use crate::format::schema::Observed;
use crate::format::spec::{DecimalMark, timestamp_utc};
use crate::format::types::wide_integer;

/// Values nested deeper than this stay JSON text.
const DEEPEST: usize = 32;
/// Objects with more names than this are maps rather than records, and stay JSON text.
const WIDEST: usize = 4096;

/// What the values of a field have in common.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    scalars: Option<Observed>,
    list: Option<Box<Shape>>,
    object: Option<IndexMap<String, Shape>>,
    /// The first row in which an object has a name twice, and that name: the least of them, so that no order counts.
    repeated: Option<(u64, String)>,
    /// Too deep or too wide for a type.
    is_unbounded: bool,
}

/// How the values of a field are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As values of this type; text takes any scalar as it is written.
    Scalar(DataType),
    List(Box<Kind>),
    Struct(Vec<(String, Kind)>),
    /// As JSON text.
    Json,
    /// As text whatever they are: strings as what they say, all others as JSON text. No value depends on others so.
    Text,
    /// As JSON text: objects, none of which was seen to have a field. Parquet has no structs without any.
    NoFields,
    /// As text, of which there is none: no value was seen.
    Empty,
}

impl Shape {
    pub(crate) fn new() -> Self {
        Self { scalars: None, list: None, object: None, repeated: None, is_unbounded: false }
    }

    /// Takes a value.
    pub(crate) fn observe(
        &mut self,
        row: u64,
        value: Value<'_>,
        nulls: &[String],
        depth: usize,
    ) -> serde_json::Result<()> {
        if depth > DEEPEST {
            self.is_unbounded = true;
            return Ok(());
        }
        let (kinds, text) = match value {
            Value::Null => return Ok(()),
            Value::Text(text) if is_null(&text, nulls) => return Ok(()),
            Value::List(elements) => return self.observe_list(row, &elements, nulls, depth),
            Value::Object(members) => return self.observe_object(row, members, nulls, depth),
            Value::Bool(value) => (Kinds::BOOL, value.to_string()),
            Value::Number(text) => (Kinds::of(text, DecimalMark::Dot), text.to_owned()),
            Value::Text(text) => (kinds_of_text(&text), text.into_owned()),
        };
        let scalars = self.scalars.get_or_insert_with(Observed::new);
        scalars.observe_kinds(row, &text, || kinds);
        Ok(())
    }

    fn observe_list(
        &mut self,
        row: u64,
        elements: &[&RawValue],
        nulls: &[String],
        depth: usize,
    ) -> serde_json::Result<()> {
        let element = self.list.get_or_insert_with(|| Box::new(Self::new()));
        elements.iter().try_for_each(|raw| element.observe(row, Value::of(raw)?, nulls, depth + 1))
    }

    fn observe_object(
        &mut self,
        row: u64,
        members: Vec<(Cow<'_, str>, &RawValue)>,
        nulls: &[String],
        depth: usize,
    ) -> serde_json::Result<()> {
        let fields = self.object.get_or_insert_with(IndexMap::new);
        let repeated = repeated_name(&members);
        // Only the last value of a name becomes one of the field, so no other has a say in its type.
        let last = repeated.as_ref().map(|_| last_places(&members));
        if let Some(found) = repeated.map(|name| (row, name))
            && self.repeated.as_ref().is_none_or(|first| found < *first)
        {
            self.repeated = Some(found);
        }
        for (place, (name, raw)) in members.into_iter().enumerate() {
            let is_top = depth == 0;
            if fields.len() >= WIDEST && !fields.contains_key(name.as_ref()) {
                self.is_unbounded = !is_top;
            }
            if self.is_unbounded {
                return Ok(());
            }
            let is_last = last.as_ref().is_none_or(|last| last.get(name.as_ref()) == Some(&place));
            let field = fields.entry(name.into_owned()).or_insert_with(Self::new);
            if is_last {
                field.observe(row, Value::of(raw)?, nulls, depth + 1)?;
            }
        }
        Ok(())
    }

    /// How the values are stored.
    pub(crate) fn kind(&self) -> Kind {
        match (&self.scalars, &self.list, &self.object) {
            _ if self.is_unbounded => Kind::Json,
            (None, None, None) => Kind::Empty,
            (Some(scalars), None, None) => Kind::Scalar(scalars.data_type()),
            (None, Some(element), None) => Kind::List(Box::new(element.kind())),
            (None, None, Some(fields)) if fields.is_empty() => Kind::NoFields,
            (None, None, Some(fields)) => {
                Kind::Struct(fields.iter().map(|(name, field)| (name.clone(), field.kind())).collect())
            }
            _ => Kind::Json,
        }
    }

    /// Takes what was seen of other values, which come after these.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.merge_at(other, 0);
    }

    fn merge_at(&mut self, other: &Self, depth: usize) {
        self.is_unbounded |= other.is_unbounded;
        match (&mut self.scalars, &other.scalars) {
            (Some(own), Some(other)) => own.merge(other),
            (None, Some(other)) => self.scalars = Some(other.clone()),
            (_, None) => {}
        }
        match (&mut self.list, &other.list) {
            (Some(own), Some(other)) => own.merge_at(other, depth + 1),
            (None, Some(other)) => self.list = Some(other.clone()),
            (_, None) => {}
        }
        let Some(fields) = &other.object else { return };
        let own = self.object.get_or_insert_with(IndexMap::new);
        for (name, field) in fields {
            own.entry(name.clone()).or_insert_with(Self::new).merge_at(field, depth + 1);
        }
        self.is_unbounded |= depth > 0 && own.len() > WIDEST;
    }

    /// What was seen of the scalars of each field, in the order of the columns made of them.
    pub(crate) fn columns(&self, flattens: bool, columns: &mut Vec<Option<Observed>>) {
        for field in self.object.iter().flat_map(IndexMap::values) {
            match field.kind() {
                Kind::Struct(_) if flattens => field.columns(true, columns),
                Kind::Scalar(_) | Kind::Empty => {
                    columns.push(Some(field.scalars.clone().unwrap_or_else(Observed::new)));
                }
                _ => columns.push(None),
            }
        }
    }

    /// The fields of the records.
    pub(crate) fn record(&self) -> Vec<(String, Kind)> {
        let fields = self.object.iter().flatten();
        fields.map(|(name, field)| (name.clone(), field.kind())).collect()
    }

    /// The first row in which a name is repeated among these fields, or among those within them, and that name. What stays JSON
    /// text keeps all that it has.
    pub(crate) fn repeated(&self, fields: &[(String, Kind)]) -> Option<(u64, &str)> {
        let object = self.object.as_ref()?;
        let own = self.repeated.as_ref().map(|(row, name)| (*row, name.as_str()));
        let nested = fields.iter().filter_map(|(name, kind)| object.get(name)?.repeated_within(kind));
        own.into_iter().chain(nested).min()
    }

    fn repeated_within(&self, kind: &Kind) -> Option<(u64, &str)> {
        match kind {
            Kind::List(element) => self.list.as_ref()?.repeated_within(element),
            Kind::Struct(fields) => self.repeated(fields),
            Kind::Scalar(_) | Kind::Json | Kind::Text | Kind::NoFields | Kind::Empty => None,
        }
    }

    /// What a user should know of the fields of the records.
    pub(crate) fn field_notes(&self, notes: &mut Vec<String>) {
        for (name, field) in self.object.iter().flatten() {
            field.notes(name, notes);
        }
    }

    /// What a user should know of the field of this name.
    fn notes(&self, name: &str, notes: &mut Vec<String>) {
        let kinds = [self.scalars.is_some(), self.list.is_some(), self.object.is_some()];
        if kinds.iter().filter(|is_there| **is_there).count() > 1 {
            notes.push(format!("column `{name}` holds values of several kinds, kept as JSON text"));
        } else if self.is_unbounded {
            notes.push(format!("column `{name}` is nested too deeply or has too many names, kept as JSON text"));
        } else {
            notes.extend(self.scalars.as_ref().and_then(|scalars| scalars.note(name)));
            if let Some(element) = &self.list {
                element.notes(&format!("{name}[]"), notes);
            }
            for (field, shape) in self.object.iter().flatten() {
                shape.notes(&format!("{name}.{field}"), notes);
            }
        }
    }
}

impl Kind {
    /// The kind whose values are of a type, if there is one.
    pub(crate) fn of_type(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::List(element) => Some(Self::List(Box::new(Self::of_type(element.data_type())?))),
            DataType::Struct(fields) => {
                let kinds = fields.iter().map(|field| Some((field.name().clone(), Self::of_type(field.data_type())?)));
                Some(Self::Struct(kinds.collect::<Option<_>>()?))
            }
            scalar => is_built(scalar).then(|| Self::Scalar(scalar.clone())),
        }
    }

    /// As a type of Arrow.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Scalar(data_type) => data_type.clone(),
            Self::Json | Self::Text | Self::NoFields | Self::Empty => DataType::Utf8,
            Self::List(element) => DataType::new_list(element.data_type(), true),
            Self::Struct(fields) => DataType::Struct(struct_fields(fields)),
        }
    }
}

/// Whether values become those of a type without a text between.
fn is_built(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, None) => true,
        DataType::Utf8 | DataType::Int64 | DataType::Float64 | DataType::Boolean | DataType::Date32 => true,
        wide => *wide == wide_integer() || *wide == timestamp_utc(),
    }
}

pub(crate) fn struct_fields(fields: &[(String, Kind)]) -> Fields {
    fields.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect()
}

/// Dates and times have no other form than text in JSON; other texts are text even if they look like numbers.
fn kinds_of_text(text: &str) -> Kinds {
    let times = Kinds::DATE.or(Kinds::TIMESTAMP).or(Kinds::TIMESTAMP_UTC);
    Kinds::of(text, DecimalMark::Dot).and(times)
}

/// Whether a text means that the value is missing; the empty one does not.
pub(crate) fn is_null(text: &str, nulls: &[String]) -> bool {
    !text.is_empty() && nulls.iter().any(|null| null == text)
}

/// Where each name stands the last time.
fn last_places(members: &[(Cow<'_, str>, &RawValue)]) -> HashMap<String, usize> {
    members.iter().enumerate().map(|(place, (name, _))| (name.clone().into_owned(), place)).collect()
}

/// The least of the names that are there twice.
pub(super) fn repeated_name(members: &[(Cow<'_, str>, &RawValue)]) -> Option<String> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned())
}
