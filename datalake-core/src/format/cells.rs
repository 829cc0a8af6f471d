//! The values of a column as text, straight into the bytes of a file: what [`text`](super::text) says, for most types in a
//! fraction of its time.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeStringArray, RecordBatch, StringArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use super::decimal;
use super::text::{push_json, push_text, with_float};
use crate::error::{Error, Position, Result};

/// A column whose values are written one by one.
#[derive(Debug)]
pub(crate) struct Cells<'a> {
    array: &'a ArrayRef,
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

#[derive(Debug)]
enum Values<'a> {
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Int(&'a [i64]),
    Short(&'a [i32]),
    Float(&'a [f64]),
    /// Units, and how many digits of them stand behind the dot.
    Decimal(&'a [i128], u8),
    Bool(&'a BooleanArray),
    Date(&'a [i32]),
    /// Microseconds, and whether they are in UTC.
    Time(&'a [i64], bool),
    Other,
}

/// What a value was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    Missing,
    /// It stands in the bytes, and has only digits, ASCII letters, `+`, `-`, `.` and `:` in it.
    Bare,
    /// A text, which is not written yet.
    Text(&'a str),
    /// It stands in the bytes, and may have any character in it.
    Any,
}

impl<'a> Cells<'a> {
    pub(crate) fn of(array: &'a ArrayRef) -> Self {
        let values = match array.data_type() {
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Int64 => Values::Int(array.as_primitive::<Int64Type>().values()),
            DataType::Int32 => Values::Short(array.as_primitive::<Int32Type>().values()),
            DataType::Float64 => Values::Float(array.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(_, scale @ 0..) => {
                Values::Decimal(array.as_primitive::<Decimal128Type>().values(), scale.cast_unsigned())
            }
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Values::Time(array.as_primitive::<TimestampMicrosecondType>().values(), zone.is_some())
            }
            _ => Values::Other,
        };
        Self { array, nulls: array.nulls(), values }
    }

    #[inline(always)]
    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// Writes a value as plain text.
    #[inline]
    pub(crate) fn push(&self, row: usize, bytes: &mut Vec<u8>) -> Result<Cell<'a>> {
        if self.is_null(row) {
            return Ok(Cell::Missing);
        }
        match &self.values {
            Values::Text(texts) => return Ok(Cell::Text(texts.value(row))),
            Values::LargeText(texts) => return Ok(Cell::Text(texts.value(row))),
            Values::TextView(texts) => return Ok(Cell::Text(texts.value(row))),
            Values::Int(values) => push_int(values[row], bytes),
            Values::Short(values) => push_int(values[row].into(), bytes),
            Values::Float(values) => push_float(values[row], bytes),
            Values::Decimal(values, scale) => decimal::push(values[row], *scale, bytes),
            Values::Bool(values) => bytes.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Values::Date(values) => {
                if !push_date(values[row].into(), bytes) {
                    return self.push_other(row, bytes);
                }
            }
            Values::Time(values, utc) => {
                let (seconds, micros) = (values[row].div_euclid(1_000_000), values[row].rem_euclid(1_000_000));
                if !push_date(seconds.div_euclid(86_400), bytes) {
                    return self.push_other(row, bytes);
                }
                push_clock(seconds.rem_euclid(86_400), micros, bytes);
                if *utc {
                    bytes.push(b'Z');
                }
            }
            Values::Other => return self.push_other(row, bytes),
        }
        Ok(Cell::Bare)
    }

    /// Writes a value as JSON.
    #[inline]
    pub(crate) fn push_json(&self, row: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let is_quoted = matches!(self.values, Values::Date(_) | Values::Time(..));
        let is_simple = match &self.values {
            Values::Other => false,
            Values::Float(values) => values[row].is_finite(),
            _ => true,
        };
        if !is_simple && !self.is_null(row) {
            let mut json = String::new();
            push_json(self.array.as_ref(), row, &mut json)?;
            bytes.extend_from_slice(json.as_bytes());
            return Ok(());
        }
        let begin = bytes.len();
        if is_quoted {
            bytes.push(b'"');
        }
        match self.push(row, bytes)? {
            Cell::Missing => {
                bytes.truncate(begin);
                bytes.extend_from_slice(b"null");
            }
            Cell::Text(text) => push_string(text, bytes),
            Cell::Bare | Cell::Any if is_quoted => bytes.push(b'"'),
            Cell::Bare | Cell::Any => {}
        }
        Ok(())
    }

    #[cold]
    fn push_other(&self, row: usize, bytes: &mut Vec<u8>) -> Result<Cell<'a>> {
        let mut text = String::new();
        if !push_text(self.array.as_ref(), row, &mut text)? {
            return Ok(Cell::Missing);
        }
        bytes.extend_from_slice(text.as_bytes());
        Ok(Cell::Any)
    }
}

/// Of a value that has no text, whose it is.
#[cold]
pub(crate) fn in_column(error: Error, batch: &RecordBatch, place: usize) -> Error {
    error.with_position(Position::default().with_column(batch.schema_ref().field(place).name()))
}

/// The shortest text that reads back as the same float.
///
/// Where a float is the nearest one to so many hundredths, and these have at most 15 digits, no other text of as many digits or
/// fewer reads back as it: any two such texts are two floats.
#[inline]
fn push_float(value: f64, bytes: &mut Vec<u8>) {
    let size = value.abs();
    // Rounded, where it is not too large; what is no number becomes some integer.
    let hundredths = (size * 100.0 + 0.5) as u64;
    if !(1..1_000_000_000_000_000).contains(&hundredths) || (hundredths as f64 / 100.0).to_bits() != size.to_bits() {
        with_float(value, |float| append(bytes, float.as_bytes()));
        return;
    }
    if value < 0.0 {
        bytes.push(b'-');
    }
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    append(bytes, itoa::Buffer::new().format(whole).as_bytes());
    // At least one digit stands behind the dot.
    let [tenths, hundredths] = two(rest as u32);
    bytes.extend_from_slice(&[b'.', tenths, hundredths]);
    if hundredths == b'0' {
        bytes.pop();
    }
}

fn push_int(value: i64, bytes: &mut Vec<u8>) {
    append(bytes, itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a text, which is mostly short, by two moves of a fixed length that may overlap: a call would cost more.
#[inline(always)]
pub(crate) fn append(bytes: &mut Vec<u8>, text: &[u8]) {
    #[inline(always)]
    fn twice<const N: usize>(bytes: &mut Vec<u8>, text: &[u8]) {
        if let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) {
            let second = bytes.len() + text.len() - N;
            bytes.extend_from_slice(first);
            bytes.truncate(second);
            bytes.extend_from_slice(last);
        }
    }
    match text.len() {
        0 => {}
        1 => bytes.push(text[0]),
        2..=3 => twice::<2>(bytes, text),
        4..=7 => twice::<4>(bytes, text),
        8..=15 => twice::<8>(bytes, text),
        16..=32 => twice::<16>(bytes, text),
        33.. => bytes.extend_from_slice(text),
    }
}

/// All numbers of two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The last two digits of a number.
#[inline(always)]
fn two(value: u32) -> [u8; 2] {
    PAIRS[(value % 100) as usize]
}

/// `YYYY-MM-DD` of days since 1970, for years of four digits; says whether it is one.
///
/// Years begin in March, so that the day of a leap year is their last; divisions are multiplications (Neri and Schneider,
/// "Euclidean affine functions and their application to calendar algorithms", 2022).
#[inline]
fn push_date(days: i64, bytes: &mut Vec<u8>) -> bool {
    // From 0000-03-01 to 9999-12-31.
    if !(-719_468..=2_932_896).contains(&days) {
        return false;
    }
    let quarters = 4 * (days + 719_468) as u32 + 3;
    let (century, of_century) = (quarters / 146_097, (quarters % 146_097) | 3);
    let product = 2_939_745 * u64::from(of_century);
    let (year_of_century, of_year) = ((product >> 32) as u32, product as u32 / 2_939_745 / 4);
    let months = 2141 * of_year + 197_913;
    let (month, day) = (months >> 16, (months & 0xffff) / 2141 + 1);
    let is_next_year = of_year >= 306;
    let year = 100 * century + year_of_century + u32::from(is_next_year);
    let month = if is_next_year { month - 12 } else { month };
    let ([a, b], [c, d]) = (two(year / 100), two(year));
    let ([e, f], [g, h]) = (two(month), two(day));
    bytes.extend_from_slice(&[a, b, c, d, b'-', e, f, b'-', g, h]);
    true
}

/// `THH:MM:SS`, with three or six more digits if they are not all zero.
#[inline]
fn push_clock(second: i64, micros: i64, bytes: &mut Vec<u8>) {
    // Both are far less than 2^32.
    let (second, micros) = (second as u32, micros as u32);
    let ([a, b], [c, d], [e, f]) = (two(second / 3600), two(second / 60 % 60), two(second % 60));
    bytes.extend_from_slice(&[b'T', a, b, b':', c, d, b':', e, f]);
    if micros > 0 {
        let ([a, b], [c, d], [e, f]) = (two(micros / 10_000), two(micros / 100), two(micros));
        let digits = [b'.', a, b, c, d, e, f];
        bytes.extend_from_slice(if micros % 1000 == 0 { &digits[..4] } else { &digits });
    }
}

/// A text with quotes and escapes, as JSON has it.
pub(crate) fn push_string(text: &str, bytes: &mut Vec<u8>) {
    if must_escape(text.as_bytes()) {
        // Nothing fails that is written to a vector.
        let _ = serde_json::to_writer(bytes, text);
        return;
    }
    bytes.push(b'"');
    append(bytes, text.as_bytes());
    bytes.push(b'"');
}

/// Whether a quote, a backslash or a control character is among some bytes.
#[inline(always)]
fn must_escape(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let is_special = |byte: u8| byte < 0x20 || matches!(byte, b'"' | b'\\');
    // Mycroft's test: whatever it says of others, it tells if there is one.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let special = |eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight);
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        (found | word.wrapping_sub(ONES * 0x20) & !word) & HIGH
    };
    match bytes.last_chunk::<8>() {
        // Where the last eight overlap those before they are looked at twice.
        Some(last) => bytes.as_chunks::<8>().0.iter().fold(special(last), |found, eight| found | special(eight)) != 0,
        None => bytes.iter().any(|byte| is_special(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, TimestampMicrosecondArray, UInt8Array,
    };
    use proptest::prelude::*;

    /// Plain and as JSON, by this module and by the one that it stands in for.
    fn agree(array: &ArrayRef) -> Result<(), TestCaseError> {
        let cells = Cells::of(array);
        for row in 0..array.len() {
            let (mut quick, mut slow) = (Vec::new(), String::new());
            let is_there = match cells.push(row, &mut quick).unwrap() {
                Cell::Missing => false,
                Cell::Text(text) => {
                    quick.extend_from_slice(text.as_bytes());
                    true
                }
                Cell::Bare | Cell::Any => true,
            };
            prop_assert_eq!(push_text(array.as_ref(), row, &mut slow).unwrap(), is_there);
            prop_assert_eq!(String::from_utf8(quick).unwrap(), slow);
            let (mut quick, mut slow) = (Vec::new(), String::new());
            cells.push_json(row, &mut quick).unwrap();
            push_json(array.as_ref(), row, &mut slow).unwrap();
            prop_assert_eq!(String::from_utf8(quick).unwrap(), slow);
        }
        Ok(())
    }

    #[test]
    fn every_day_of_four_digits_agrees() {
        let days = (-719_600..2_933_000).step_by(7);
        agree(&(Arc::new(Date32Array::from_iter_values(days)) as ArrayRef)).unwrap();
    }

    #[test]
    fn texts_of_any_length_are_appended() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..=40 {
            let mut bytes = vec![77; 3];
            append(&mut bytes, &text[..length]);
            assert_eq!((&bytes[..3], &bytes[3..]), (&[77; 3][..], &text[..length]));
        }
    }

    proptest! {
        #[test]
        fn what_must_be_escaped_is_seen_at_every_place(text in "[a-zé!#\\[\\]\u{7f} ]{0,40}", at in 0_usize..40, special in 0_u8..128) {
            let mut bytes = text.into_bytes();
            prop_assert!(!must_escape(&bytes));
            let at = at.min(bytes.len());
            bytes.insert(at, special);
            prop_assert_eq!(must_escape(&bytes), special < 0x20 || matches!(special, b'"' | b'\\'));
        }

        #[test]
        fn floats_of_few_digits_agree(units: i64, bits in 0_u32..63, beside in -2_i64..=2, places in 0_i32..4) {
            let value = (units >> bits) as f64 / 10_f64.powi(places);
            let beside = f64::from_bits(value.to_bits().wrapping_add_signed(beside));
            agree(&(Arc::new(Float64Array::from(vec![value, beside, -value])) as ArrayRef))?;
        }

        #[test]
        fn values_agree(
            ints: Vec<Option<i64>>,
            shorts: Vec<i32>,
            floats: Vec<Option<f64>>,
            decimals in proptest::collection::vec(-1_000_000_000_i64..1_000_000_000, 0..20),
            bools: Vec<Option<bool>>,
            texts: Vec<Option<String>>,
            times in proptest::collection::vec(-62_000_000_000_000_000_i64..253_000_000_000_000_000, 0..20),
            bytes: Vec<Option<u8>>,
            units in proptest::collection::vec(-99_999_999_999_999_999_999_i128..99_999_999_999_999_999_999, 0..20),
        ) {
            for scale in [0, 2, 20] {
                let decimals = Decimal128Array::from(units.clone()).with_precision_and_scale(38, scale).unwrap();
                agree(&(Arc::new(decimals) as ArrayRef))?;
            }
            agree(&(Arc::new(Int64Array::from(ints)) as ArrayRef))?;
            agree(&(Arc::new(Int32Array::from(shorts)) as ArrayRef))?;
            agree(&(Arc::new(Float64Array::from(floats)) as ArrayRef))?;
            agree(&(Arc::new(BooleanArray::from(bools)) as ArrayRef))?;
            let decimals = decimals.into_iter().enumerate().map(|(at, value)| value as f64 / 10_f64.powi(at as i32));
            agree(&(Arc::new(Float64Array::from_iter_values(decimals)) as ArrayRef))?;
            agree(&(Arc::new(LargeStringArray::from(texts.clone())) as ArrayRef))?;
            agree(&(Arc::new(StringViewArray::from_iter(texts.clone())) as ArrayRef))?;
            agree(&(Arc::new(StringArray::from(texts)) as ArrayRef))?;
            agree(&(Arc::new(UInt8Array::from(bytes)) as ArrayRef))?;
            let seconds: Vec<i64> = times.iter().map(|time| time / 1_000_000 * 1_000_000).collect();
            let utc = TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC");
            agree(&(Arc::new(utc) as ArrayRef))?;
            agree(&(Arc::new(TimestampMicrosecondArray::from(times)) as ArrayRef))?;
            agree(&(Arc::new(TimestampMicrosecondArray::from(seconds)) as ArrayRef))?;
        }
    }
}
