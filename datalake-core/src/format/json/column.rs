//! A column in the making: values of JSON, one by one where they stand, or of several rows whose places are known.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, ListArray, NullBufferBuilder, PrimitiveArray, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, Float64Type, Int64Type, TimestampMicrosecondType,
};

use super::columns::{Room, Text};
use super::members::Members;
use super::shape::{Kind, is_null};
use super::slot::Slot;
use super::strings::{plain_string, string};
use crate::error::{Error, Result};
use crate::format::presence::Presence;
use crate::format::types::wide_integer;
use crate::format::{cell, quick};

/// A column in the making.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) rows: usize,
    nulls: NullBufferBuilder,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanBufferBuilder),
    Int(Vec<i64>),
    /// Integers of up to 38 digits.
    Wide(Vec<i128>),
    Float(Vec<f64>),
    Date(Vec<i32>),
    Time(Vec<i64>, bool),
    Text {
        bytes: Vec<u8>,
        ends: Vec<i32>,
    },
    /// No value was seen.
    Empty(usize),
    List {
        element: Box<Column>,
        kind: Kind,
        ends: Vec<i32>,
    },
    Struct(Box<Members>),
}

impl Column {
    pub(super) fn new(kind: &Kind, room: Room) -> Self {
        let ends = || {
            let mut ends = Vec::with_capacity(room.rows + 1);
            ends.push(0);
            ends
        };
        let text = || Values::Text { bytes: Vec::with_capacity(room.bytes), ends: ends() };
        let values = match kind {
            Kind::Empty | Kind::Json | Kind::NoFields => Values::Empty(0),
            Kind::List(element) => {
                let few = Room { rows: 0, bytes: 0 };
                Values::List { element: Box::new(Self::new(element, few)), kind: (**element).clone(), ends: ends() }
            }
            Kind::Struct(kinds) => Values::Struct(Box::new(Members::new(kinds, room))),
            Kind::Scalar(data_type) => match data_type {
                DataType::Boolean => Values::Bool(BooleanBufferBuilder::new(room.rows)),
                DataType::Int64 => Values::Int(Vec::with_capacity(room.rows)),
                DataType::Decimal128(..) => Values::Wide(Vec::with_capacity(room.rows)),
                DataType::Float64 => Values::Float(Vec::with_capacity(room.rows)),
                DataType::Date32 => Values::Date(Vec::with_capacity(room.rows)),
                DataType::Timestamp(_, zone) => Values::Time(Vec::with_capacity(room.rows), zone.is_some()),
                _ => text(),
            },
            Kind::Text => text(),
        };
        Self { rows: 0, nulls: NullBufferBuilder::new(room.rows), values }
    }

    /// Reads the value that begins at a place; gives where it ends.
    #[inline(always)]
    pub(super) fn read(&mut self, text: Text<'_>, at: usize) -> Option<usize> {
        let bytes = text.bytes;
        if bytes.get(at) == Some(&b'n') {
            if !bytes[at..].starts_with(b"null") {
                return None;
            }
            self.append_null();
            return Some(at + 4);
        }
        let end = match &mut self.values {
            Values::Int(values) => {
                let end = text.marks.end(at)?;
                values.push(int(bytes.get(at..end)?)?);
                end
            }
            Values::Wide(values) => {
                let end = text.marks.end(at)?;
                values.push(wide(bytes.get(at..end)?)?);
                end
            }
            Values::Float(values) => {
                let end = text.marks.end(at)?;
                values.push(quick::float(bytes.get(at..end)?)?);
                end
            }
            Values::Bool(values) => {
                let end = text.marks.end(at)?;
                values.append(match bytes.get(at..end)? {
                    b"true" => true,
                    b"false" => false,
                    _ => return None,
                });
                end
            }
            Values::Text { bytes: texts, ends } => {
                let start = texts.len();
                let end = string(text, at, texts)?;
                // A block has far less than 2 GiB.
                ends.push(texts.len() as i32);
                if !text.nulls.is_empty() && is_null(str::from_utf8(&texts[start..]).ok()?, text.nulls) {
                    texts.truncate(start);
                    *ends.last_mut()? = start as i32;
                    self.rows += 1;
                    self.nulls.append_null();
                    return Some(end);
                }
                end
            }
            Values::Date(values) => {
                let (word, end) = plain_string(text, at)?;
                values.push(date(word)?);
                end
            }
            Values::Time(values, is_utc) => {
                let (word, end) = plain_string(text, at)?;
                values.push(time(word, *is_utc)?);
                end
            }
            Values::Empty(_) => return None,
            Values::List { element, ends, .. } => {
                let end = list(element, text, at)?;
                ends.push(element.rows as i32);
                end
            }
            Values::Struct(members) => members.read(text, at)?,
        };
        self.rows += 1;
        self.nulls.append_non_null();
        Some(end)
    }

    /// Takes values, the places of which are known: one a row.
    pub(super) fn take(&mut self, text: Text<'_>, slots: impl ExactSizeIterator<Item = Slot>) -> Option<()> {
        self.rows += slots.len();
        let mut nulls = Presence::new(&mut self.nulls);
        match &mut self.values {
            Values::Int(values) => plain(text, slots, values, &mut nulls, int),
            Values::Wide(values) => plain(text, slots, values, &mut nulls, wide),
            Values::Float(values) => plain(text, slots, values, &mut nulls, quick::float),
            Values::Date(values) => quoted(text, slots, values, &mut nulls, date),
            Values::Time(values, is_utc) => {
                let is_utc = *is_utc;
                quoted(text, slots, values, &mut nulls, |word| time(word, is_utc))
            }
            Values::Bool(values) => {
                for slot in slots {
                    let value = match slot.bytes(text)? {
                        b"true" => Some(true),
                        b"false" => Some(false),
                        word if is_missing(word) => None,
                        _ => return None,
                    };
                    values.append(value.unwrap_or_default());
                    nulls.append(value.is_some());
                }
                Some(())
            }
            Values::Text { bytes: texts, ends } => {
                for slot in slots {
                    let start = texts.len();
                    let is_there = slot.string(text, texts)?
                        && (text.nulls.is_empty() || !is_null(str::from_utf8(&texts[start..]).ok()?, text.nulls));
                    if !is_there {
                        texts.truncate(start);
                    }
                    // A block has far less than 2 GiB.
                    ends.push(texts.len() as i32);
                    nulls.append(is_there);
                }
                Some(())
            }
            Values::Empty(rows) => {
                for slot in slots {
                    if !is_missing(slot.bytes(text)?) {
                        return None;
                    }
                    *rows += 1;
                    nulls.append(false);
                }
                Some(())
            }
            // They are read where they stand.
            Values::List { .. } | Values::Struct(_) => None,
        }
    }

    pub(super) fn append_null(&mut self) {
        self.rows += 1;
        self.nulls.append_null();
        match &mut self.values {
            Values::Bool(values) => values.append(false),
            Values::Int(values) | Values::Time(values, _) => values.push(0),
            Values::Wide(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Date(values) => values.push(0),
            Values::Text { ends, .. } => ends.push(ends[ends.len() - 1]),
            Values::Empty(rows) => *rows += 1,
            Values::List { ends, .. } => ends.push(ends[ends.len() - 1]),
            Values::Struct(members) => members.append_null(),
        }
    }

    pub(super) fn finish(mut self) -> Result<ArrayRef> {
        let nulls = self.nulls.finish();
        Ok(match self.values {
            Values::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int(values) => primitive::<Int64Type>(values, nulls),
            Values::Wide(values) => {
                let values = PrimitiveArray::<Decimal128Type>::new(values.into(), nulls);
                Arc::new(values.with_data_type(wide_integer()))
            }
            Values::Float(values) => primitive::<Float64Type>(values, nulls),
            Values::Date(values) => primitive::<Date32Type>(values, nulls),
            Values::Time(values, is_utc) => {
                let times = PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls);
                Arc::new(if is_utc { times.with_timezone("UTC") } else { times })
            }
            Values::Text { bytes, ends } => {
                let ends = ScalarBuffer::from(ends);
                // SAFETY: ends never fall and the last is the number of bytes; the block was found to be UTF-8, a text is cut
                // from it at ASCII characters, and escapes become whole characters.
                Arc::new(unsafe { StringArray::new_unchecked(OffsetBuffer::new_unchecked(ends), bytes.into(), nulls) })
            }
            Values::Empty(rows) => Arc::new(StringArray::new_null(rows)),
            Values::List { element, kind, ends } => {
                let field = Arc::new(Field::new_list_field(kind.data_type(), true));
                let list = ListArray::try_new(field, OffsetBuffer::new(ends.into()), element.finish()?, nulls);
                Arc::new(list.map_err(|cause| Error::internal("build", "a list").with_source(cause))?)
            }
            Values::Struct(members) => members.finish()?,
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

/// Appends numbers.
#[inline(always)]
fn plain<V: Default>(
    text: Text<'_>,
    slots: impl Iterator<Item = Slot>,
    values: &mut Vec<V>,
    nulls: &mut Presence<'_>,
    read: impl Fn(&[u8]) -> Option<V>,
) -> Option<()> {
    for slot in slots {
        let word = slot.bytes(text)?;
        let value = read(word);
        if value.is_none() && !is_missing(word) {
            return None;
        }
        nulls.append(value.is_some());
        values.push(value.unwrap_or_default());
    }
    Some(())
}

/// Appends what stands in quotes and has no escapes.
#[inline(always)]
fn quoted<V: Default>(
    text: Text<'_>,
    slots: impl Iterator<Item = Slot>,
    values: &mut Vec<V>,
    nulls: &mut Presence<'_>,
    read: impl Fn(&[u8]) -> Option<V>,
) -> Option<()> {
    for slot in slots {
        let word = slot.bytes(text)?;
        let value = match word {
            [b'"', inner @ .., b'"'] if !text.nulls.iter().any(|null| null.as_bytes() == inner) => Some(read(inner)?),
            word if is_missing(word) => None,
            _ => return None,
        };
        nulls.append(value.is_some());
        values.push(value.unwrap_or_default());
    }
    Some(())
}

/// Whether there is no value: a field that was not there has no bytes.
#[inline(always)]
fn is_missing(word: &[u8]) -> bool {
    matches!(word, b"" | b"null")
}

#[inline(always)]
fn date(word: &[u8]) -> Option<i32> {
    quick::date(word).or_else(|| cell::date(str::from_utf8(word).ok()?))
}

#[inline(always)]
fn time(word: &[u8], is_utc: bool) -> Option<i64> {
    let time = quick::timestamp(word).or_else(|| cell::timestamp(str::from_utf8(word).ok()?));
    time.filter(|(_, utc)| *utc == is_utc).map(|(micros, _)| micros)
}

fn list(element: &mut Column, text: Text<'_>, at: usize) -> Option<usize> {
    let bytes = text.bytes;
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    let mut at = text.skip(at + 1);
    if bytes.get(at) == Some(&b']') {
        return Some(at + 1);
    }
    loop {
        at = text.skip(element.read(text, at)?);
        match bytes.get(at)? {
            b',' => at = text.skip(at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

#[inline(always)]
fn int(word: &[u8]) -> Option<i64> {
    quick::int(word).or_else(|| long_int(word))
}

/// An integer of 19 digits.
#[cold]
fn long_int(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let is_plain = digits.len() == 19 && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
    is_plain.then(|| str::from_utf8(word).ok()?.parse().ok())?
}

/// An integer of at most 38 digits.
fn wide(text: &[u8]) -> Option<i128> {
    if let Some(value) = quick::int(text) {
        return Some(value.into());
    }
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = (19..=38).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
    is_plain.then(|| str::from_utf8(text).ok()?.parse().ok())?
}
