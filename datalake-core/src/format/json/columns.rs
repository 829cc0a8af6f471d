//! JSON objects of known fields straight into columns, as most texts have them.
//!
//! A value is read where its column expects it, and a name is first compared with that of the field which followed the last
//! time. Whatever is not as expected (an unknown field, a repeated one, another type, broken JSON) makes the whole block
//! one for [`build`](super::build), which takes or refuses it with a reason.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, ListArray, NullBufferBuilder, PrimitiveArray, StringArray,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, Float64Type, Int64Type, TimestampMicrosecondType,
};

use super::cut::Block;
use super::frame::Layout;
use super::marks::Marks;
use super::shape::{Kind, is_null, struct_fields};
use crate::error::{Error, Result};
use crate::format::types::wide_integer;
use crate::format::{cell, quick};

/// What a record's text is read with.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    bytes: &'a [u8],
    marks: &'a Marks,
    nulls: &'a [String],
    /// Whether a line end ends a record.
    is_lines: bool,
}

impl Text<'_> {
    /// Past blanks within a record.
    #[inline(always)]
    fn skip(self, mut at: usize) -> usize {
        loop {
            match self.bytes.get(at) {
                Some(b' ' | b'\t' | b'\r') => at += 1,
                Some(b'\n') if !self.is_lines => at += 1,
                _ => return at,
            }
        }
    }
}

/// Reads blocks.
#[derive(Debug)]
pub(super) struct Reader {
    kinds: Vec<(String, Kind)>,
    nulls: Vec<String>,
}

impl Reader {
    /// A reader of records of these fields; none where some are kept as JSON text.
    pub(super) fn new(kinds: &[(String, Kind)], nulls: &[String]) -> Option<Self> {
        let nulls = nulls.iter().filter(|null| !null.is_empty()).cloned().collect();
        kinds.iter().all(|(_, kind)| is_quick(kind)).then(|| Self { kinds: kinds.to_vec(), nulls })
    }

    /// The columns of a block and how many rows they have, if each record is an object of the fields that are known; and how many
    /// lines end in it.
    pub(super) fn columns(&self, block: &Block, layout: &Layout) -> Result<Option<(Vec<ArrayRef>, usize, u64)>> {
        if simdutf8::basic::from_utf8(&block.text).is_err() {
            return Ok(None);
        }
        let is_lines = *layout == Layout::Lines;
        let marks = Marks::of(&block.text);
        let mut members = Members::new(&self.kinds, Room::of(block, marks.line_ends(), &self.kinds));
        let text = Text { bytes: &block.text, marks: &marks, nulls: &self.nulls, is_lines };
        let read = match layout {
            Layout::Lines => members.lines(text),
            Layout::Array => members.elements(text, block.is_first, block.is_last),
            Layout::Document(_) => None,
        };
        let rows = members.rows;
        read.map(|()| Ok((members.finish_fields()?, rows, marks.line_ends()))).transpose()
    }
}

fn is_quick(kind: &Kind) -> bool {
    match kind {
        Kind::Scalar(_) | Kind::Empty => true,
        Kind::List(element) => is_quick(element),
        Kind::Struct(fields) => fields.iter().all(|(_, kind)| is_quick(kind)),
        Kind::Json => false,
    }
}

/// A name as it stands before its value: in quotes, with a colon.
#[derive(Debug)]
struct Name {
    bytes: Vec<u8>,
    /// Its first and last eight bytes, if it has as many.
    ends: Option<([u8; 8], [u8; 8])>,
}

impl Name {
    fn new(name: &str) -> Self {
        let mut bytes = serde_json::to_vec(name).unwrap_or_default();
        bytes.push(b':');
        let ends = bytes.first_chunk().zip(bytes.last_chunk()).map(|(first, last)| (*first, *last));
        Self { bytes, ends }
    }

    /// Whether a text begins with it. Two words say so of most names, sooner than a call would.
    #[inline(always)]
    fn begins(&self, text: &[u8]) -> bool {
        let Some(text) = text.get(..self.bytes.len()) else { return false };
        match self.ends {
            Some((first, last)) => {
                text.first_chunk() == Some(&first)
                    && text.last_chunk() == Some(&last)
                    && (text.len() <= 16 || text == self.bytes)
            }
            None => text.iter().eq(&self.bytes),
        }
    }
}

/// The columns of an object's fields.
#[derive(Debug)]
struct Members {
    kinds: Vec<(String, Kind)>,
    names: Vec<Name>,
    fields: Vec<Column>,
    rows: usize,
    nulls: NullBufferBuilder,
}

impl Members {
    fn new(kinds: &[(String, Kind)], room: Room) -> Self {
        Self {
            kinds: kinds.to_vec(),
            names: kinds.iter().map(|(field, _)| Name::new(field)).collect(),
            fields: kinds.iter().map(|(_, kind)| Column::new(kind, room)).collect(),
            rows: 0,
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Reads objects, each in a line of its own.
    fn lines(&mut self, text: Text<'_>) -> Option<()> {
        let mut at = 0;
        loop {
            at = text.skip(at);
            match text.bytes.get(at) {
                None => return Some(()),
                Some(b'\n') => at += 1,
                Some(_) => {
                    at = text.skip(self.read(text, at)?);
                    if text.bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                        return None;
                    }
                }
            }
        }
    }

    /// Reads objects that are elements of an array.
    fn elements(&mut self, text: Text<'_>, is_first: bool, is_last: bool) -> Option<()> {
        let bytes = text.bytes;
        let mut at = text.skip(0);
        if is_first {
            if bytes.get(at) != Some(&b'[') {
                return None;
            }
            at = text.skip(at + 1);
            // Objects follow: what has none is taken by hand.
            at = text.skip(self.read(text, at)?);
        }
        loop {
            match bytes.get(at) {
                None => return (!is_last).then_some(()),
                Some(b',') => at = text.skip(self.read(text, text.skip(at + 1))?),
                Some(b']') => return (is_last && text.skip(at + 1) == bytes.len()).then_some(()),
                Some(_) => return None,
            }
        }
    }

    /// Reads the object that begins at a place; gives where it ends.
    fn read(&mut self, text: Text<'_>, at: usize) -> Option<usize> {
        let bytes = text.bytes;
        if bytes.get(at) != Some(&b'{') {
            return None;
        }
        self.rows += 1;
        self.nulls.append_non_null();
        let (mut at, mut guess) = (text.skip(at + 1), 0);
        let mut known = 0;
        if bytes.get(at) == Some(&b'}') {
            return self.fill(known, at + 1);
        }
        loop {
            let field = match self.names.get(guess) {
                Some(name) if name.begins(&bytes[at..]) => {
                    at += name.bytes.len();
                    guess
                }
                _ => {
                    let (field, end) = self.find(text, at)?;
                    at = end;
                    field
                }
            };
            // A name that is repeated comes when the column has its value already.
            if self.fields[field].rows >= self.rows {
                return None;
            }
            at = self.fields[field].read(text, text.skip(at))?;
            known += 1;
            guess = field + 1;
            at = text.skip(at);
            match bytes.get(at)? {
                b',' => at = text.skip(at + 1),
                b'}' => return self.fill(known, at + 1),
                _ => return None,
            }
        }
    }

    /// Fields that were not there are missing.
    #[inline(always)]
    fn fill(&mut self, known: usize, end: usize) -> Option<usize> {
        if known < self.fields.len() {
            for field in self.fields.iter_mut().filter(|field| field.rows < self.rows) {
                field.append_null();
            }
        }
        Some(end)
    }

    /// The field whose name begins at a place, and where its value may begin.
    #[cold]
    fn find(&self, text: Text<'_>, at: usize) -> Option<(usize, usize)> {
        let bytes = text.bytes;
        let rest = bytes.get(at..)?.strip_prefix(b"\"")?;
        let length = memchr::memchr2(b'"', b'\\', rest).filter(|length| rest[*length] == b'"')?;
        let name = &rest[..length];
        let field = self.kinds.iter().position(|(known, _)| known.as_bytes() == name)?;
        let colon = text.skip(at + length + 2);
        (bytes.get(colon) == Some(&b':')).then_some((field, colon + 1))
    }

    fn append_null(&mut self) {
        self.rows += 1;
        self.nulls.append_null();
        self.fields.iter_mut().for_each(Column::append_null);
    }

    fn finish_fields(&mut self) -> Result<Vec<ArrayRef>> {
        std::mem::take(&mut self.fields).into_iter().map(Column::finish).collect()
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let columns = self.finish_fields()?;
        let array = StructArray::try_new(struct_fields(&self.kinds), columns, self.nulls.finish());
        Ok(Arc::new(array.map_err(|cause| Error::internal("build", "a struct").with_source(cause))?))
    }
}

/// For how much a column has room before it must grow: more is only asked for than is touched.
#[derive(Debug, Clone, Copy)]
struct Room {
    rows: usize,
    bytes: usize,
}

impl Room {
    /// For a block, in which so many lines end, of objects of these fields. Of arrays, most have a line for each element.
    fn of(block: &Block, lines: u64, kinds: &[(String, Kind)]) -> Self {
        let (bytes, columns) = (block.text.len(), leaves(kinds).max(1));
        // Where each object has all fields it takes some bytes for each.
        let rows = usize::try_from(lines).unwrap_or(0).min(bytes / (4 * columns)) + 1;
        Self { rows, bytes: bytes / (2 * columns) }
    }
}

/// How many columns without columns of their own there are.
fn leaves(kinds: &[(String, Kind)]) -> usize {
    let of_kind = |(_, kind): &(String, Kind)| match kind {
        Kind::Struct(fields) => leaves(fields),
        _ => 1,
    };
    kinds.iter().map(of_kind).sum()
}

/// A column in the making.
#[derive(Debug)]
struct Column {
    rows: usize,
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
    fn new(kind: &Kind, room: Room) -> Self {
        let ends = || {
            let mut ends = Vec::with_capacity(room.rows + 1);
            ends.push(0);
            ends
        };
        let values = match kind {
            Kind::Empty | Kind::Json => Values::Empty(0),
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
                _ => Values::Text { bytes: Vec::with_capacity(room.bytes), ends: ends() },
            },
        };
        Self { rows: 0, nulls: NullBufferBuilder::new(room.rows), values }
    }

    /// Reads the value that begins at a place; gives where it ends.
    #[inline(always)]
    fn read(&mut self, text: Text<'_>, at: usize) -> Option<usize> {
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
                values.push(quick::int(bytes.get(at..end)?)?);
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
                values.push(quick::date(word).or_else(|| cell::date(str::from_utf8(word).ok()?))?);
                end
            }
            Values::Time(values, is_utc) => {
                let (word, end) = plain_string(text, at)?;
                let time = quick::timestamp(word).or_else(|| cell::timestamp(str::from_utf8(word).ok()?));
                values.push(time.filter(|(_, utc)| utc == is_utc)?.0);
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

    fn append_null(&mut self) {
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

    fn finish(mut self) -> Result<ArrayRef> {
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

/// An integer of at most 38 digits.
fn wide(text: &[u8]) -> Option<i128> {
    if let Some(value) = quick::int(text) {
        return Some(value.into());
    }
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = (19..=38).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
    is_plain.then(|| str::from_utf8(text).ok()?.parse().ok())?
}

/// A string without escapes, which is no word for a missing value.
#[inline(always)]
fn plain_string<'a>(text: Text<'a>, at: usize) -> Option<(&'a [u8], usize)> {
    if text.bytes.get(at) != Some(&b'"') {
        return None;
    }
    let end = text.marks.special(at + 1)?;
    let word = text.bytes.get(at + 1..end)?;
    let is_null = || text.nulls.iter().any(|null| null.as_bytes() == word);
    (text.bytes.get(end) == Some(&b'"') && !is_null()).then_some((word, end + 1))
}

/// Appends the string that begins at a place; gives where it ends.
#[inline(always)]
fn string(text: Text<'_>, at: usize, into: &mut Vec<u8>) -> Option<usize> {
    /// Most are no longer, and as many bytes are copied without a call.
    const SHORT: usize = 32;
    let bytes = text.bytes;
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let (start, end) = (at + 1, text.marks.special(at + 1)?);
    let first = *bytes.get(end)?;
    match bytes[start..].first_chunk::<SHORT>() {
        Some(chunk) if end - start <= SHORT => {
            let length = into.len() + end - start;
            into.extend_from_slice(chunk);
            into.truncate(length);
        }
        _ => into.extend_from_slice(&bytes[start..end]),
    }
    if first == b'"' { Some(end + 1) } else { escapes(text, end, into) }
}

/// Goes on at a place that is special.
fn escapes(text: Text<'_>, mut at: usize, into: &mut Vec<u8>) -> Option<usize> {
    loop {
        match text.bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape(text.bytes, at, into)?,
            _ => return None,
        }
        let end = text.marks.special(at)?;
        into.extend_from_slice(text.bytes.get(at..end)?);
        at = end;
    }
}

/// Appends what an escape stands for; gives where it ends.
fn escape(bytes: &[u8], at: usize, text: &mut Vec<u8>) -> Option<usize> {
    text.push(match bytes.get(at + 1)? {
        byte @ (b'"' | b'\\' | b'/') => *byte,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(bytes, at, text),
        _ => return None,
    });
    Some(at + 2)
}

/// `\uXXXX`, or two of them for a character beyond.
fn unicode(bytes: &[u8], at: usize, text: &mut Vec<u8>) -> Option<usize> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
        u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(at)?;
    let (units, end) = match first {
        0xd800..=0xdbff => (vec![first, unit(at + 6)?], at + 12),
        _ => (vec![first], at + 6),
    };
    for character in char::decode_utf16(units) {
        text.extend_from_slice(character.ok()?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(end)
}
