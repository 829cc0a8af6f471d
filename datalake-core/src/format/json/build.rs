//! JSON values to Arrow columns, of any nesting.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, ListArray,
    NullBufferBuilder, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use serde_json::value::RawValue;

use super::shape::{Kind, is_null, repeated_name, struct_fields};
use super::value::{Value, minified};
use crate::error::{Error, Result};
use crate::format::cell::{self, Kinds};
use crate::format::schema::shortened;
use crate::format::spec::{DecimalMark, type_name};
use crate::format::types::wide_integer;

/// A value that is not of its field's type.
#[derive(Debug)]
pub(crate) struct Unfit(pub(crate) String);

impl From<serde_json::Error> for Unfit {
    fn from(cause: serde_json::Error) -> Self {
        Self(cause.to_string())
    }
}

/// What holds for all values of a record that is appended, and what was seen in them.
pub(crate) struct Record<'a> {
    nulls: &'a [String],
    /// The least of the names that are there twice, of which only the last value is kept.
    pub(crate) repeated: Option<String>,
}

impl<'a> Record<'a> {
    /// A record in which texts of `nulls` mean that a value is missing.
    pub(crate) fn new(nulls: &'a [String]) -> Self {
        Self { nulls, repeated: None }
    }
}

/// An object's fields in the making.
pub(crate) struct Members {
    kinds: Vec<(String, Kind)>,
    fields: Vec<Builder>,
    places: HashMap<String, usize>,
    validity: NullBufferBuilder,
}

impl Members {
    pub(crate) fn new(kinds: &[(String, Kind)]) -> Self {
        Self {
            kinds: kinds.to_vec(),
            fields: kinds.iter().map(|(_, kind)| Builder::new(kind)).collect(),
            places: kinds.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect(),
            validity: NullBufferBuilder::new(0),
        }
    }

    /// Appends the members of an object; of a name that is repeated, the last.
    pub(crate) fn append(
        &mut self,
        members: &[(Cow<'_, str>, &RawValue)],
        record: &mut Record<'_>,
    ) -> Result<(), Unfit> {
        let (mut values, mut is_repeated) = (vec![None; self.fields.len()], false);
        for (name, raw) in members {
            match self.places.get(name.as_ref()) {
                Some(place) => is_repeated |= values[*place].replace(*raw).is_some(),
                None => return Err(Unfit(format!("there is no field `{name}` in the objects before"))),
            }
        }
        if is_repeated {
            record.repeated = record.repeated.take().into_iter().chain(repeated_name(members)).min();
        }
        self.validity.append_non_null();
        self.fields.iter_mut().zip(values).try_for_each(|(field, value)| field.append(value, record))
    }

    fn append_null(&mut self) -> Result<(), Unfit> {
        self.validity.append_null();
        self.fields.iter_mut().try_for_each(Builder::append_null)
    }

    /// The columns of the fields, and empty ones in their place.
    pub(crate) fn finish_fields(&mut self) -> Result<Vec<ArrayRef>> {
        self.fields.iter_mut().map(Builder::finish).collect()
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let columns = self.finish_fields()?;
        let array = StructArray::try_new(struct_fields(&self.kinds), columns, self.validity.finish());
        Ok(Arc::new(array.map_err(|cause| Error::internal("build", "a struct").with_source(cause))?))
    }
}

/// A column in the making.
pub(crate) enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    /// Integers of up to 38 digits.
    Wide(Decimal128Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder, bool),
    Text(StringBuilder),
    Json(StringBuilder),
    AnyText(StringBuilder),
    NoFields(StringBuilder),
    Empty(StringBuilder),
    List {
        element: Box<Builder>,
        kind: Kind,
        lengths: Vec<usize>,
        validity: NullBufferBuilder,
    },
    Struct(Members),
}

impl Builder {
    pub(crate) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Json => Self::Json(StringBuilder::new()),
            Kind::Text => Self::AnyText(StringBuilder::new()),
            Kind::NoFields => Self::NoFields(StringBuilder::new()),
            Kind::Empty => Self::Empty(StringBuilder::new()),
            Kind::List(element) => Self::List {
                element: Box::new(Self::new(element)),
                kind: (**element).clone(),
                lengths: Vec::new(),
                validity: NullBufferBuilder::new(0),
            },
            Kind::Struct(kinds) => Self::Struct(Members::new(kinds)),
            Kind::Scalar(data_type) => match data_type {
                DataType::Boolean => Self::Bool(BooleanBuilder::new()),
                DataType::Int64 => Self::Int(Int64Builder::new()),
                DataType::Decimal128(..) => Self::Wide(Decimal128Builder::new().with_data_type(data_type.clone())),
                DataType::Float64 => Self::Float(Float64Builder::new()),
                DataType::Date32 => Self::Date(Date32Builder::new()),
                DataType::Timestamp(_, zone) => Self::Timestamp(TimestampMicrosecondBuilder::new(), zone.is_some()),
                _ => Self::Text(StringBuilder::new()),
            },
        }
    }

    /// Appends a value, or a missing one. After an error the column is of no use.
    fn append(&mut self, raw: Option<&RawValue>, record: &mut Record<'_>) -> Result<(), Unfit> {
        let Some(raw) = raw else { return self.append_null() };
        match Value::of(raw)? {
            Value::Null => self.append_null(),
            Value::Text(text) if is_null(&text, record.nulls) => self.append_null(),
            value => self.append_value(value, raw, record),
        }
    }

    fn append_null(&mut self) -> Result<(), Unfit> {
        match self {
            Self::Bool(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Wide(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder, _) => builder.append_null(),
            Self::Text(builder)
            | Self::Json(builder)
            | Self::AnyText(builder)
            | Self::NoFields(builder)
            | Self::Empty(builder) => builder.append_null(),
            Self::List { lengths, validity, .. } => {
                lengths.push(0);
                validity.append_null();
            }
            Self::Struct(members) => return members.append_null(),
        }
        Ok(())
    }

    fn append_value(&mut self, value: Value<'_>, raw: &RawValue, record: &mut Record<'_>) -> Result<(), Unfit> {
        match (self, value) {
            (Self::Json(builder), _) => builder.append_value(minified(raw.get())),
            (Self::Bool(builder), Value::Bool(value)) => builder.append_value(value),
            (Self::Int(builder), Value::Number(text)) => {
                // The integer zero has no sign.
                let value = text.parse().ok().filter(|_| text != "-0");
                builder.append_value(value.ok_or_else(|| unfit(raw, &DataType::Int64))?);
            }
            (Self::Wide(builder), Value::Number(text)) => {
                let is_whole = Kinds::of(text, DecimalMark::Dot).has(Kinds::WIDE_INT);
                let value = text.parse().ok().filter(|_| is_whole);
                builder.append_value(value.ok_or_else(|| unfit(raw, &wide_integer()))?);
            }
            (Self::Float(builder), Value::Number(text)) => {
                builder.append_value(cell::float(text).ok_or_else(|| unfit(raw, &DataType::Float64))?);
            }
            (Self::Date(builder), Value::Text(text)) => {
                builder.append_value(cell::date(&text).ok_or_else(|| unfit(raw, &DataType::Date32))?);
            }
            (Self::Timestamp(builder, is_utc), Value::Text(text)) => match cell::timestamp(&text) {
                Some((micros, utc)) if utc == *is_utc => builder.append_value(micros),
                _ => return Err(Unfit(format!("`{}` is not a timestamp like the others", shortened(raw.get())))),
            },
            (Self::Text(builder) | Self::AnyText(builder), Value::Text(text)) => builder.append_value(text),
            (Self::AnyText(builder), _) => builder.append_value(minified(raw.get())),
            (Self::NoFields(builder), Value::Object(members)) if members.is_empty() => builder.append_value("{}"),
            (Self::Text(builder), Value::Number(_) | Value::Bool(_)) => builder.append_value(raw.get()),
            (Self::List { element, lengths, validity, .. }, Value::List(values)) => {
                lengths.push(values.len());
                validity.append_non_null();
                return values.into_iter().try_for_each(|value| element.append(Some(value), record));
            }
            (Self::Struct(fields), Value::Object(members)) => return fields.append(&members, record),
            (builder, _) => return Err(Unfit(format!("`{}` is not a {}", shortened(raw.get()), builder.noun()))),
        }
        Ok(())
    }

    fn noun(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Int(_) => "int64",
            Self::Wide(_) => "decimal(38,0)",
            Self::Float(_) => "float64",
            Self::Date(_) => "date",
            Self::Timestamp(..) => "timestamp",
            Self::Text(_) | Self::Json(_) | Self::AnyText(_) => "text",
            Self::NoFields(_) => "object without fields like all before",
            Self::Empty(_) => "missing value like all before",
            Self::List { .. } => "list",
            Self::Struct(_) => "object",
        }
    }

    /// The column, and an empty one in its place.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Wide(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder, is_utc) => {
                let array = builder.finish();
                Arc::new(if *is_utc { array.with_timezone("UTC") } else { array })
            }
            Self::Text(builder)
            | Self::Json(builder)
            | Self::AnyText(builder)
            | Self::NoFields(builder)
            | Self::Empty(builder) => Arc::new(builder.finish()),
            Self::List { element, kind, lengths, validity } => {
                let field = Arc::new(Field::new_list_field(kind.data_type(), true));
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let list = ListArray::try_new(field, offsets, element.finish()?, validity.finish());
                Arc::new(list.map_err(|cause| Error::internal("build", "a list").with_source(cause))?)
            }
            Self::Struct(members) => members.finish()?,
        })
    }
}

fn unfit(raw: &RawValue, data_type: &DataType) -> Unfit {
    Unfit(format!("`{}` is not a {}", shortened(raw.get()), type_name(data_type)))
}
