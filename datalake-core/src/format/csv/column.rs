//! A column in the making: fields of a CSV text become its values.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, NullBufferBuilder, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::grouped;
use super::structure::Syntax;
use crate::error::Result;
use crate::format::cell::{self, Fault, Kinds};
use crate::format::cells::append;
use crate::format::conform::{self, CellFault};
use crate::format::presence::Presence;
use crate::format::quick;
use crate::format::spec::{ColumnSpec, DecimalMark};
use crate::format::trial;

/// What turns fields into texts and texts into values: quotes, words that mean that a value is missing, groups of digits.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) syntax: Syntax,
    pub(super) nulls: Vec<String>,
    /// What may stand between groups of three digits.
    pub(super) thousands: Option<char>,
    /// Whether an empty field is a missing value, and no other is.
    only_empty: bool,
    /// Whether a mark may stand in a number, date or time, or nothing is to be quick.
    is_odd: bool,
}

impl Reading {
    pub(super) fn new(syntax: Syntax, nulls: Vec<String>, thousands: Option<char>) -> Self {
        let only_empty = nulls.iter().any(String::is_empty) && nulls.iter().all(String::is_empty);
        let is_odd = |mark: u8| mark.is_ascii_alphanumeric() || b"+-.: ".contains(&mark);
        let is_odd = trial::by_hand() || [syntax.quote, syntax.escape].into_iter().flatten().any(is_odd);
        Self { syntax, nulls, thousands, only_empty, is_odd }
    }

    /// A field without its quotes and escapes.
    #[inline(always)]
    pub(super) fn unquoted<'a>(&self, field: &'a [u8]) -> Cow<'a, [u8]> {
        // A word such as `\N` has its escape.
        if self.syntax.escape.is_some() && self.nulls.iter().any(|null| null.as_bytes() == field) {
            return Cow::Borrowed(field);
        }
        unquoted(field, self.syntax)
    }

    #[inline(always)]
    pub(super) fn is_null(&self, text: &[u8]) -> bool {
        if self.only_empty { text.is_empty() } else { self.nulls.iter().any(|null| null.as_bytes() == text) }
    }

    /// A number without the marks between its groups; any other text as it is.
    pub(super) fn ungrouped<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.thousands.map_or(Cow::Borrowed(text), |mark| grouped::ungrouped(text, mark))
    }

    /// The types of which a text is a value.
    pub(super) fn kinds(&self, text: &str, mark: DecimalMark) -> Kinds {
        Kinds::of(&self.ungrouped(text), mark)
    }

    /// The decimal mark of a column: not the one that groups digits.
    pub(super) fn mark(&self, mark: DecimalMark) -> DecimalMark {
        match self.thousands {
            Some('.') => DecimalMark::Comma,
            Some(',') => DecimalMark::Dot,
            _ => mark,
        }
    }
}

/// A field without its quotes and escapes.
#[inline(always)]
pub(super) fn unquoted(field: &[u8], syntax: Syntax) -> Cow<'_, [u8]> {
    if let Some(escape) = syntax.escape {
        return unescaped(field, syntax.quote, escape);
    }
    match (field, syntax.quote) {
        ([first, inner @ .., last], Some(quote)) if *first == quote && *last == quote => undoubled(inner, quote),
        _ => Cow::Borrowed(field),
    }
}

/// A field in which a mark makes the next character one of its own.
#[cold]
fn unescaped(field: &[u8], quote: Option<u8>, escape: u8) -> Cow<'_, [u8]> {
    let (inner, quote) = match field {
        [first, inner @ .., last] if Some(*first) == quote && Some(*last) == quote => (inner, quote),
        field => (field, None),
    };
    if !inner.iter().any(|byte| *byte == escape || Some(*byte) == quote) {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        let is_mark = byte == escape || Some(byte) == quote;
        // A mark with nothing behind it stands for itself.
        text.push(if is_mark { bytes.next().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(text)
}

fn undoubled(inner: &[u8], quote: u8) -> Cow<'_, [u8]> {
    if !inner.contains(&quote) {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut parts = inner.split(|byte| *byte == quote);
    text.extend_from_slice(parts.next().unwrap_or_default());
    // Of two quotes one stays: there is nothing between them.
    while parts.next().is_some() {
        text.push(quote);
        text.extend_from_slice(parts.next().unwrap_or_default());
    }
    Cow::Owned(text)
}

/// What becomes of a column's texts.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) spec: ColumnSpec,
    /// Where it stands in the text.
    pub(super) place: usize,
    /// For a type found from a sample: whether there was no value in it.
    pub(super) guess: Option<bool>,
}

/// Values so far.
#[derive(Debug)]
pub(super) struct Column {
    wanted: Arc<Wanted>,
    reading: Arc<Reading>,
    values: Values,
    /// How many there will be.
    rows: usize,
    nulls: NullBufferBuilder,
    faults: Vec<CellFault>,
    /// The kind of a guessed type.
    kind: Kinds,
    is_quick: bool,
}

#[derive(Debug)]
enum Values {
    Text(Texts),
    Int(Vec<i64>),
    Int32(Vec<i32>),
    Int16(Vec<i16>),
    Int8(Vec<i8>),
    UInt64(Vec<u64>),
    UInt32(Vec<u32>),
    UInt16(Vec<u16>),
    UInt8(Vec<u8>),
    Float(Vec<f64>),
    Float32(Vec<f32>),
    Decimal(Vec<i128>, u8, i8),
    Date(Vec<i32>),
    /// Microseconds, and whether they are in UTC.
    Time(Vec<i64>, bool),
    Bool(BooleanBufferBuilder),
    /// Texts that become something else when all are there.
    Other(Texts),
}

#[derive(Debug)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Texts {
    fn new(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { bytes: Vec::new(), ends }
    }

    /// Makes room for as many bytes as the rest of the rows have, by those that are there.
    fn foresee(&mut self, rows: usize) {
        let (known, rest) = (self.ends.len() - 1, rows.saturating_sub(self.ends.len() - 1));
        if known > 0 && self.bytes.capacity() - self.bytes.len() < self.bytes.len() / known * rest {
            // A block has seldom more.
            self.bytes.reserve((self.bytes.len() / 8 * 9 / known * rest).min(1024 * 1024));
        }
    }

    #[inline(always)]
    fn push(&mut self, text: &[u8]) {
        append(&mut self.bytes, text);
        // A block has far less than 2 GiB.
        self.ends.push(self.bytes.len() as i32);
    }

    fn finish(self, nulls: Option<NullBuffer>) -> StringArray {
        let ends = ScalarBuffer::from(self.ends);
        // SAFETY: ends never fall and the last is the number of bytes; each text is a field, or one without its quotes, of a
        // record that was found to be UTF-8, cut at ASCII characters.
        unsafe { StringArray::new_unchecked(OffsetBuffer::new_unchecked(ends), self.bytes.into(), nulls) }
    }
}

impl Column {
    pub(super) fn new(wanted: &Arc<Wanted>, reading: &Arc<Reading>, rows: usize) -> Self {
        let spec = &wanted.spec;
        let values = match &spec.data_type {
            DataType::Utf8 => Values::Text(Texts::new(rows)),
            DataType::Int64 => Values::Int(Vec::with_capacity(rows)),
            DataType::Int32 => Values::Int32(Vec::with_capacity(rows)),
            DataType::Int16 => Values::Int16(Vec::with_capacity(rows)),
            DataType::Int8 => Values::Int8(Vec::with_capacity(rows)),
            DataType::UInt64 => Values::UInt64(Vec::with_capacity(rows)),
            DataType::UInt32 => Values::UInt32(Vec::with_capacity(rows)),
            DataType::UInt16 => Values::UInt16(Vec::with_capacity(rows)),
            DataType::UInt8 => Values::UInt8(Vec::with_capacity(rows)),
            DataType::Float64 => Values::Float(Vec::with_capacity(rows)),
            DataType::Float32 => Values::Float32(Vec::with_capacity(rows)),
            DataType::Decimal128(precision, scale @ 0..) => {
                Values::Decimal(Vec::with_capacity(rows), *precision, *scale)
            }
            DataType::Date32 => Values::Date(Vec::with_capacity(rows)),
            DataType::Boolean => Values::Bool(BooleanBufferBuilder::new(rows)),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Values::Time(Vec::with_capacity(rows), zone.is_some()),
            _ => Values::Other(Texts::new(rows)),
        };
        Self {
            values,
            rows,
            nulls: NullBufferBuilder::new(rows),
            faults: Vec::new(),
            kind: Kinds::of_type(&spec.data_type),
            // All that another word may make a missing value is read by hand.
            is_quick: reading.only_empty && !reading.is_odd,
            wanted: Arc::clone(wanted),
            reading: Arc::clone(reading),
        }
    }

    /// Takes fields, as they stand in the text, of records in UTF-8.
    pub(super) fn extend<'a>(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        let mut rest = Rest {
            wanted: &self.wanted,
            reading: &self.reading,
            kind: self.kind,
            faults: &mut self.faults,
            first: self.nulls.len(),
        };
        let (mut nulls, is_quick) = (Presence::new(&mut self.nulls), self.is_quick);
        let has_dot = self.wanted.spec.decimal != DecimalMark::Comma;
        // The loops are here and within the iterator, as a call for each field would cost as much as what it does.
        macro_rules! numbers {
            ($values:expr, $is_quick:expr, $field:ident => $quick:expr, $slow:expr) => {{
                let (is_quick, values) = ($is_quick, $values);
                let may_miss = is_quick && rest.wanted.spec.nullable;
                fields.enumerate().for_each(|(row, $field)| {
                    let value = match if is_quick { $quick } else { None } {
                        Some(value) => Some(value),
                        None if may_miss && $field.is_empty() => None,
                        None => rest.value(row, $field, $slow),
                    };
                    nulls.append(value.is_some());
                    values.push(value.unwrap_or_default());
                });
            }};
        }
        macro_rules! ints {
            ($values:expr) => {
                numbers!($values, is_quick, field => quick::int(field).and_then(|value| value.try_into().ok()), |text, spec| {
                    cell::declared_int(text, spec)
                })
            };
        }
        match &mut self.values {
            Values::Int(values) => ints!(values),
            Values::Int32(values) => ints!(values),
            Values::Int16(values) => ints!(values),
            Values::Int8(values) => ints!(values),
            Values::UInt64(values) => ints!(values),
            Values::UInt32(values) => ints!(values),
            Values::UInt16(values) => ints!(values),
            Values::UInt8(values) => ints!(values),
            Values::Float32(values) => {
                numbers!(values, is_quick && has_dot, field => quick::single(field), |text, spec| {
                    cell::declared_single(text, spec)
                });
            }
            Values::Decimal(values, precision, scale) => {
                let (precision, scale) = (*precision, *scale);
                let quick = |field: &[u8]| quick::decimal(field, precision, scale.cast_unsigned());
                numbers!(values, is_quick && has_dot, field => quick(field), |text, spec| {
                    cell::declared_decimal::<Decimal128Type>(text, spec, precision, scale)
                });
            }
            Values::Float(values) if has_dot => {
                numbers!(values, is_quick, field => quick::float(field), cell::declared_float);
            }
            Values::Float(values) => {
                numbers!(values, is_quick, field => quick::comma_float(field), |text, spec| {
                    cell::declared_float(text, spec)
                });
            }
            Values::Date(values) => {
                numbers!(values, is_quick, field => quick::date(field), |text, spec| {
                    cell::declared(text, spec, cell::date)
                });
            }
            Values::Time(values, zoned) => {
                let zoned = *zoned;
                let of_zone = move |(micros, utc): (i64, bool)| (utc == zoned).then_some(micros);
                numbers!(values, is_quick, field => quick::timestamp(field).and_then(of_zone), |text, spec| {
                    cell::declared_time(text, spec)
                });
            }
            Values::Bool(values) => {
                fields.enumerate().for_each(|(row, field)| {
                    let quick = match field {
                        b"true" if is_quick => Some(true),
                        b"false" if is_quick => Some(false),
                        _ => None,
                    };
                    let value = quick
                        .or_else(|| rest.value(row, field, |text, spec| cell::declared(text, spec, cell::boolean)));
                    values.append(value.unwrap_or_default());
                    nulls.append(value.is_some());
                });
            }
            Values::Text(texts) => {
                texts.foresee(self.rows);
                let must_ask = rest.wanted.guess == Some(true) || !rest.wanted.spec.nullable;
                fields.enumerate().for_each(|(row, field)| {
                    let text = rest.reading.unquoted(field);
                    if rest.reading.is_null(&text) {
                        texts.push(b"");
                        nulls.append(false);
                        if must_ask {
                            rest.missing(row);
                        }
                    } else {
                        texts.push(&text);
                        nulls.append(true);
                        if must_ask {
                            rest.unseen(row, &text);
                        }
                    }
                });
            }
            Values::Other(texts) => {
                for field in fields {
                    let text = rest.reading.unquoted(field);
                    let is_null = rest.reading.is_null(&text);
                    if rest.reading.thousands.is_some() && !is_null {
                        let text = String::from_utf8_lossy(&text);
                        texts.push(rest.reading.ungrouped(&text).as_bytes());
                    } else {
                        texts.push(if is_null { b"" } else { &text });
                    }
                    nulls.append(!is_null);
                }
            }
        }
    }

    /// The column, and the cells that do not fit it.
    pub(super) fn finish(mut self) -> Result<(ArrayRef, Vec<CellFault>)> {
        let nulls = self.nulls.finish();
        let array: ArrayRef = match self.values {
            Values::Text(texts) => Arc::new(texts.finish(nulls)),
            Values::Int(values) => primitive::<Int64Type>(values, nulls),
            Values::Int32(values) => primitive::<Int32Type>(values, nulls),
            Values::Int16(values) => primitive::<Int16Type>(values, nulls),
            Values::Int8(values) => primitive::<Int8Type>(values, nulls),
            Values::UInt64(values) => primitive::<UInt64Type>(values, nulls),
            Values::UInt32(values) => primitive::<UInt32Type>(values, nulls),
            Values::UInt16(values) => primitive::<UInt16Type>(values, nulls),
            Values::UInt8(values) => primitive::<UInt8Type>(values, nulls),
            Values::Float(values) => primitive::<Float64Type>(values, nulls),
            Values::Float32(values) => primitive::<Float32Type>(values, nulls),
            Values::Decimal(values, ..) => {
                let units = PrimitiveArray::<Decimal128Type>::new(values.into(), nulls);
                Arc::new(units.with_data_type(self.wanted.spec.data_type.clone()))
            }
            Values::Date(values) => primitive::<Date32Type>(values, nulls),
            Values::Time(values, zoned) => {
                let times = PrimitiveArray::<TimestampMicrosecondType>::new(values.into(), nulls);
                Arc::new(if zoned { times.with_timezone("UTC") } else { times })
            }
            Values::Bool(mut values) => {
                let values: BooleanBuffer = values.finish();
                Arc::new(BooleanArray::new(values, nulls))
            }
            Values::Other(texts) => {
                let texts: ArrayRef = Arc::new(texts.finish(nulls));
                conform::column(&texts, &self.wanted.spec, &mut self.faults)?
            }
        };
        Ok((array, self.faults))
    }
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

/// What is done with fields that are not written as most are.
struct Rest<'a> {
    wanted: &'a Wanted,
    reading: &'a Reading,
    kind: Kinds,
    faults: &'a mut Vec<CellFault>,
    /// The row of the first field.
    first: usize,
}

impl Rest<'_> {
    /// The value of a field; none where it is missing or does not fit.
    #[cold]
    fn value<V>(
        &mut self,
        row: usize,
        field: &[u8],
        read: impl Fn(&str, &ColumnSpec) -> Result<V, Fault>,
    ) -> Option<V> {
        let text = self.reading.unquoted(field);
        if self.reading.is_null(&text) {
            self.missing(row);
            return None;
        }
        let text = str::from_utf8(&text).unwrap_or_default();
        let spec = &self.wanted.spec;
        let plain = self.reading.ungrouped(text);
        if self.wanted.guess.is_some() && !Kinds::of(&plain, spec.decimal).has(self.kind) {
            self.fault(row, Fault::not_a(text, spec));
            return None;
        }
        if text.trim().is_empty() {
            self.missing(row);
            return None;
        }
        match read(&plain, spec) {
            Ok(value) => Some(value),
            Err(mut fault) => {
                if *plain != *text {
                    fault.reason = fault.reason.replacen(&*plain, text, 1);
                }
                if fault.code == "type" && self.has_comma(text) {
                    fault.reason += "; with `decimal = \",\"` it is";
                }
                self.fault(row, fault);
                None
            }
        }
    }

    /// Whether a text is a number with a decimal comma: where types are declared, nothing is looked at to find that.
    fn has_comma(&self, text: &str) -> bool {
        let ColumnSpec { data_type, decimal, .. } = &self.wanted.spec;
        let may_be = *decimal == DecimalMark::Dot && self.reading.thousands != Some(',');
        may_be
            && (data_type.is_floating() || data_type.is_decimal())
            && text.rsplit_once(',').is_some_and(|(_, fraction)| fraction.len() != 3)
            && Kinds::of(text, DecimalMark::Comma).has(Kinds::FLOAT)
    }

    fn missing(&mut self, row: usize) {
        if !self.wanted.spec.nullable {
            self.fault(row, Fault { code: "null", reason: "the value is missing".to_owned() });
        }
    }

    /// A value in a column that had none in the sample of which its type was found.
    fn unseen(&mut self, row: usize, text: &[u8]) {
        if self.wanted.guess == Some(true) {
            self.fault(row, Fault::not_a(&String::from_utf8_lossy(text), &self.wanted.spec));
        }
    }

    fn fault(&mut self, row: usize, fault: Fault) {
        self.faults.push(conform::fault(self.first + row, &self.wanted.spec, fault));
    }
}
