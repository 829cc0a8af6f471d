//! A column's value as text that says it exactly, and as JSON.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::error::{Error, ErrorKind, Result};

/// A value as text, `None` where it is missing: floats in the shortest form that reads back as the same float, with
/// `.0` where they are whole; times as ISO 8601; lists, structs and maps as JSON.
pub(crate) fn value_text(array: &dyn Array, row: usize) -> Result<Option<String>> {
    let mut text = String::new();
    Ok(push_text(array, row, &mut text)?.then_some(text))
}

/// Appends a value as [`value_text`] has it; says whether there is one.
pub(crate) fn push_text(array: &dyn Array, row: usize, text: &mut String) -> Result<bool> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(false);
    }
    match array.data_type() {
        DataType::Utf8 => text.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => text.push_str(array.as_string_view().value(row)),
        DataType::Dictionary(_, _) => return push_dictionary(array, row, text),
        DataType::Struct(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(_, _)
        | DataType::Map(_, _) => push_json(array, row, text)?,
        DataType::Date32 => push_date(array.as_primitive::<Date32Type>().value(row), text)?,
        DataType::Date64 if let Some(days) = days_of(array, row) => push_date(days, text)?,
        DataType::Timestamp(unit, zone) => push_timestamp(array, row, *unit, zone.is_some(), text)?,
        _ => push_number(array, row, text)?,
    }
    Ok(true)
}

/// Booleans, numbers, and by Arrow's own notation whatever else there is.
fn push_number(array: &dyn Array, row: usize, text: &mut String) -> Result<()> {
    macro_rules! written {
        ($type:ty, $form:literal) => {
            write!(text, $form, array.as_primitive::<$type>().value(row))
        };
    }
    match array.data_type() {
        DataType::Boolean => write!(text, "{}", array.as_boolean().value(row)),
        DataType::Int8 => written!(Int8Type, "{}"),
        DataType::Int16 => written!(Int16Type, "{}"),
        DataType::Int32 => written!(Int32Type, "{}"),
        DataType::Int64 => written!(Int64Type, "{}"),
        DataType::UInt8 => written!(UInt8Type, "{}"),
        DataType::UInt16 => written!(UInt16Type, "{}"),
        DataType::UInt32 => written!(UInt32Type, "{}"),
        DataType::UInt64 => written!(UInt64Type, "{}"),
        DataType::Float16 => write!(text, "{:?}", f32::from(array.as_primitive::<Float16Type>().value(row))),
        DataType::Float32 => written!(Float32Type, "{:?}"),
        DataType::Float64 => {
            with_float(array.as_primitive::<Float64Type>().value(row), |float| text.push_str(float));
            Ok(())
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default());
            let formatter = formatter.map_err(|cause| no_text(array).with_source(cause))?;
            return formatter.value(row).write(text).map_err(|cause| no_text(array).with_source(cause));
        }
    }
    .map_err(|cause| no_text(array).with_source(cause))
}

/// Hands on a float in the shortest form that reads back as the same, with a `.0` where it is whole.
pub(crate) fn with_float<T>(value: f64, take: impl FnOnce(&str) -> T) -> T {
    if (1e-4..1e16).contains(&value.abs()) {
        take(zmij::Buffer::new().format_finite(value))
    } else {
        // With an exponent, for which there is more than one form.
        take(&format!("{value:?}"))
    }
}

fn push_dictionary(array: &dyn Array, row: usize, text: &mut String) -> Result<bool> {
    let (values, place) = looked_up(array, row);
    push_text(values.as_ref(), place, text)
}

/// The values of a dictionary, and which of them a row has that is not null.
pub(crate) fn looked_up(array: &dyn Array, row: usize) -> (ArrayRef, usize) {
    // Of one row: of all, the keys would be looked at for each of them.
    let one = array.slice(row, 1);
    let dictionary = one.as_any_dictionary();
    (Arc::clone(dictionary.values()), dictionary.normalized_keys()[0])
}

/// The days since 1970 of a date in milliseconds, which mostly is a whole number of them.
fn days_of(array: &dyn Array, row: usize) -> Option<i32> {
    const DAY: i64 = 86_400_000;
    let millis = array.as_primitive::<Date64Type>().value(row);
    if millis % DAY == 0 { i32::try_from(millis / DAY).ok() } else { None }
}

fn push_date(days: i32, text: &mut String) -> Result<()> {
    let epoch = NaiveDate::default();
    let distance = Days::new(days.unsigned_abs().into());
    let date = if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) };
    let date = date.ok_or_else(|| out_of_calendar(days.into()))?;
    write!(text, "{date}").map_err(|cause| out_of_calendar(days.into()).with_source(cause))
}

fn push_timestamp(array: &dyn Array, row: usize, unit: TimeUnit, utc: bool, text: &mut String) -> Result<()> {
    let (time, value) = match unit {
        TimeUnit::Second => {
            let value = array.as_primitive::<TimestampSecondType>().value(row);
            (DateTime::from_timestamp(value, 0), value)
        }
        TimeUnit::Millisecond => {
            let value = array.as_primitive::<TimestampMillisecondType>().value(row);
            (DateTime::from_timestamp_millis(value), value)
        }
        TimeUnit::Microsecond => {
            let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (DateTime::from_timestamp_micros(value), value)
        }
        TimeUnit::Nanosecond => {
            let value = array.as_primitive::<TimestampNanosecondType>().value(row);
            (Some(DateTime::from_timestamp_nanos(value)), value)
        }
    };
    let time: DateTime<Utc> = time.ok_or_else(|| out_of_calendar(value))?;
    let zone = if utc { "Z" } else { "" };
    write!(text, "{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f"))
        .map_err(|cause| out_of_calendar(value).with_source(cause))
}

fn out_of_calendar(value: i64) -> Error {
    Error::invalid("write", "a date").with_reason(format_args!("`{value}` is out of the calendar"))
}

fn no_text(array: &dyn Array) -> Error {
    Error::new(ErrorKind::Unsupported, "write", format_args!("a {} as text", array.data_type()))
        .with_hint("leave the column out with `columns`, or make another type of it before")
}

/// Appends a value as JSON: missing ones as `null`, and so NaN and infinities, for which JSON has nothing.
pub(crate) fn push_json(array: &dyn Array, row: usize, json: &mut String) -> Result<()> {
    if array.is_null(row) {
        json.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let names = fields.iter().map(|field| field.name().as_str());
            push_object(names.zip(array.as_struct().columns()), row, json)
        }
        DataType::List(_) => push_array(&array.as_list::<i32>().value(row), json),
        DataType::LargeList(_) => push_array(&array.as_list::<i64>().value(row), json),
        DataType::FixedSizeList(_, _) => push_array(&array.as_fixed_size_list().value(row), json),
        DataType::Map(_, _) => push_map(&array.as_map().value(row), json),
        DataType::Dictionary(_, _) => {
            let (values, place) = looked_up(array, row);
            push_json(values.as_ref(), place, json)
        }
        data_type if is_bare(data_type) => push_bare(array, row, json),
        _ => {
            let text = value_text(array, row)?;
            push_string(text.as_deref(), json);
            Ok(())
        }
    }
}

/// Appends the members of an object.
pub(crate) fn push_object<'a>(
    members: impl Iterator<Item = (&'a str, &'a ArrayRef)>,
    row: usize,
    json: &mut String,
) -> Result<()> {
    json.push('{');
    for (index, (name, values)) in members.enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_string(Some(name), json);
        json.push(':');
        push_json(values.as_ref(), row, json)?;
    }
    json.push('}');
    Ok(())
}

fn push_array(elements: &ArrayRef, json: &mut String) -> Result<()> {
    json.push('[');
    for index in 0..elements.len() {
        if index > 0 {
            json.push(',');
        }
        push_json(elements.as_ref(), index, json)?;
    }
    json.push(']');
    Ok(())
}

/// Appends the entries of a map as the members of an object, whatever type their keys have.
fn push_map(entries: &StructArray, json: &mut String) -> Result<()> {
    let (keys, values) = (entries.column(0), entries.column(1));
    json.push('{');
    for index in 0..entries.len() {
        if index > 0 {
            json.push(',');
        }
        push_string(Some(&value_text(keys.as_ref(), index)?.unwrap_or_default()), json);
        json.push(':');
        push_json(values.as_ref(), index, json)?;
    }
    json.push('}');
    Ok(())
}

fn is_bare(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_decimal()
        || matches!(data_type, DataType::Boolean | DataType::Float16 | DataType::Float32 | DataType::Float64)
}

fn push_bare(array: &dyn Array, row: usize, json: &mut String) -> Result<()> {
    let is_finite = match array.data_type() {
        DataType::Float16 => array.as_primitive::<Float16Type>().value(row).is_finite(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).is_finite(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).is_finite(),
        _ => true,
    };
    if is_finite {
        push_number(array, row, json)
    } else {
        json.push_str("null");
        Ok(())
    }
}

/// Appends a string with quotes and escapes, or `null`.
pub(crate) fn push_string(text: Option<&str>, json: &mut String) {
    // A string always is JSON.
    json.push_str(&serde_json::to_string(&text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, Float16Array, Float64Array, Int8Array, Int64Array, StringArray};

    #[test]
    fn coded_and_half_floats_are_numbers_in_json() {
        let keys = || Int8Array::from(vec![Some(1), None, Some(0)]);
        let ints = DictionaryArray::new(keys(), Arc::new(Int64Array::from(vec![7, -8])));
        let floats = DictionaryArray::new(keys(), Arc::new(Float64Array::from(vec![1.5, f64::INFINITY])));
        let texts = DictionaryArray::new(keys(), Arc::new(StringArray::from(vec!["a", "\"b\""])));
        let halves = Float16Array::from(vec![Some(half::f16::from_f32(1.5)), None, Some(half::f16::NAN)]);
        let all: [(&dyn Array, [&str; 3]); 4] = [
            (&ints, ["-8", "null", "7"]),
            (&floats, ["null", "null", "1.5"]),
            (&texts, [r#""\"b\"""#, "null", r#""a""#]),
            (&halves, ["1.5", "null", "null"]),
        ];
        for (array, expected) in all {
            for (row, expected) in expected.into_iter().enumerate() {
                let mut json = String::new();
                push_json(array, row, &mut json).unwrap();
                assert_eq!(json, expected, "{} {row}", array.data_type());
            }
        }
        assert_eq!(value_text(&halves, 2).unwrap().as_deref(), Some("NaN"));
    }
}
