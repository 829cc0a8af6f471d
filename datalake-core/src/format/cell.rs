//! A cell of text as a value: which types it could be of, and its value as one of them.
//!
//! A decimal number becomes the nearest float. Beyond that nothing is rounded: not an integer, with or without zeros
//! after its mark, that no float is; not a number so small that it would be zero, or so large that it would be infinite.

use std::borrow::Cow;

use arrow::datatypes::{DataType, DecimalType, TimeUnit};
use chrono::{NaiveDate, NaiveDateTime};

use super::decimal;
use super::spec::{ColumnSpec, DecimalMark, timestamp_utc, type_name};
use super::types::wide_integer;
use super::units::Unit;

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u8::MAX);
    pub(crate) const BOOL: Self = Self(1);
    pub(crate) const INT: Self = Self(2);
    pub(crate) const FLOAT: Self = Self(4);
    pub(crate) const DATE: Self = Self(8);
    pub(crate) const TIMESTAMP: Self = Self(16);
    pub(crate) const TIMESTAMP_UTC: Self = Self(32);
    /// Integers of at most 38 digits.
    pub(crate) const WIDE_INT: Self = Self(64);
    /// Those of an integer of so few digits that it is a float.
    pub(crate) const SHORT_INT: Self = Self(Self::INT.0 | Self::FLOAT.0 | Self::WIDE_INT.0);

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kind whose values are of a type; none for text.
    pub(crate) fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::BOOL,
            DataType::Int64 => Self::INT,
            DataType::Float64 => Self::FLOAT,
            DataType::Decimal128(_, 0) => Self::WIDE_INT,
            DataType::Date32 => Self::DATE,
            DataType::Timestamp(_, None) => Self::TIMESTAMP,
            DataType::Timestamp(_, Some(_)) => Self::TIMESTAMP_UTC,
            _ => Self::NONE,
        }
    }

    /// The narrowest type of the set; text where it is empty.
    pub(crate) fn narrowest(self) -> DataType {
        let order = [
            (Self::BOOL, DataType::Boolean),
            (Self::INT, DataType::Int64),
            (Self::WIDE_INT, wide_integer()),
            (Self::FLOAT, DataType::Float64),
            (Self::DATE, DataType::Date32),
            (Self::TIMESTAMP, DataType::Timestamp(TimeUnit::Microsecond, None)),
            (Self::TIMESTAMP_UTC, timestamp_utc()),
        ];
        order.into_iter().find(|(kind, _)| self.has(*kind)).map_or(DataType::Utf8, |(_, data_type)| data_type)
    }

    /// The types of which a text is a value as it stands, without loss. `007` and `+49` are of none but text, since
    /// a number would not give them back; nor is an integer of more than 38 digits that no float is, `NA`, `nan` or
    /// `Infinity`.
    pub(crate) fn of(text: &str, mark: DecimalMark) -> Self {
        match text.as_bytes().first() {
            Some(b'N' | b'i' | b'-') if special(text).is_some() => Self::FLOAT,
            Some(b'0'..=b'9' | b'-' | b'.' | b',') => Self::of_number_or_time(text, mark),
            Some(b't' | b'T' | b'f' | b'F') if boolean(text).is_some() => Self::BOOL,
            _ => Self::NONE,
        }
    }

    fn of_number_or_time(text: &str, mark: DecimalMark) -> Self {
        if let [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'-', ..] = text.as_bytes() {
            return match (date(text), timestamp(text)) {
                (Some(_), _) => Self::DATE,
                (_, Some((_, true))) => Self::TIMESTAMP_UTC,
                (_, Some((_, false))) => Self::TIMESTAMP,
                _ => Self::NONE,
            };
        }
        match Shape::of(text, mark) {
            Some(shape) if shape.leading_zero => Self::NONE,
            Some(shape) if shape.is_bare && text != "-0" => Self::of_integer(text, &shape),
            Some(shape) if shape.float(text).is_some() => Self::FLOAT,
            _ => Self::NONE,
        }
    }

    fn of_integer(text: &str, shape: &Shape) -> Self {
        let is_float = || if shape.float(text).is_some() { Self::FLOAT } else { Self::NONE };
        match text.parse::<i64>() {
            Ok(value) if is_exact(value) => Self::SHORT_INT,
            Ok(_) => Self::INT.or(Self::WIDE_INT),
            Err(_) if text.strip_prefix('-').unwrap_or(text).len() <= 38 => is_float().or(Self::WIDE_INT),
            Err(_) => is_float(),
        }
    }
}

/// Whether a float holds an integer exactly.
pub(crate) fn is_exact(value: i64) -> bool {
    value as f64 as i128 == i128::from(value)
}

/// How a number is written.
struct Shape {
    /// Only digits and a sign.
    is_bare: bool,
    /// More digits follow a zero.
    leading_zero: bool,
    /// Any digit before the exponent is not zero.
    is_nonzero: bool,
    /// How many digits stand before the mark, if nothing but zeros stands after it and there is no exponent.
    integer: Option<usize>,
}

impl Shape {
    /// The shape of `-?digits[mark digits][e[+-]digits]`; digits may be missing on one side of the mark.
    fn of(text: &str, mark: DecimalMark) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
        let (whole, rest) = digits(unsigned);
        let (fraction, rest) = match rest.split_first() {
            Some((b'.', rest)) if mark != DecimalMark::Comma => digits(rest),
            Some((b',', rest)) if mark != DecimalMark::Dot => digits(rest),
            _ => (&[][..], rest),
        };
        let has_exponent = match rest.split_first() {
            None => false,
            Some((b'e' | b'E', exponent)) => {
                let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
                let (digits, rest) = digits(exponent);
                if digits.is_empty() || !rest.is_empty() {
                    return None;
                }
                true
            }
            Some(_) => return None,
        };
        let has_digits = !whole.is_empty() || !fraction.is_empty();
        let is_zero = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
        has_digits.then_some(Self {
            is_bare: whole.len() == unsigned.len(),
            leading_zero: whole.len() > 1 && whole[0] == b'0',
            is_nonzero: !is_zero(whole) || !is_zero(fraction),
            integer: (!has_exponent && is_zero(fraction)).then_some(whole.len()),
        })
    }

    /// The nearest float, unless that would lose more than the digits which no float has.
    fn float(&self, text: &str) -> Option<f64> {
        let value: f64 =
            if text.contains(',') { text.replacen(',', ".", 1).parse().ok()? } else { text.parse().ok()? };
        let is_lost = value == 0.0 && self.is_nonzero;
        (value.is_finite() && !is_lost && self.is_kept_by(value, text, 15)).then_some(value)
    }

    /// Whether a float is the integer that is written, if one is.
    fn is_kept_by(&self, value: f64, text: &str, short: usize) -> bool {
        match self.whole(text) {
            // Every integer of so few digits is a float.
            Some(whole) if whole.len() > short => format!("{:.0}", value.abs()) == whole,
            _ => true,
        }
    }

    /// The digits of an integer, without its sign and leading zeros.
    fn whole<'a>(&self, text: &'a str) -> Option<&'a str> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        Some(unsigned[..self.integer?].trim_start_matches('0'))
    }

    /// The integer that is written, if one of 128 bits is.
    fn int(&self, text: &str) -> Option<i128> {
        let sign = usize::from(text.starts_with('-'));
        match self.integer? {
            0 => Some(0),
            digits => text[..sign + digits].parse().ok(),
        }
    }
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// The floats that are no numbers, in the words that our writers use.
fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The float that a number with a dot is, unless it would be more than the nearest: infinite, zero, another integer.
pub(crate) fn float(text: &str) -> Option<f64> {
    Shape::of(text, DecimalMark::Dot)?.float(text)
}

/// `true` or `false`, in lower case, upper case or capitalized.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// `YYYY-MM-DD` as days since 1970.
pub(crate) fn date(text: &str) -> Option<i32> {
    let days = calendar(text)?.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

fn calendar(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    let dashes = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
    if !dashes {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(number(&bytes[..4])?).ok()?, number(&bytes[5..7])?, number(&bytes[8..])?)
}

/// `YYYY-MM-DD HH:MM`, with `T` or a blank, perhaps seconds of up to six more digits, and a zone: microseconds since 1970 (in UTC if
/// there is a zone), and whether there is a zone.
pub(crate) fn timestamp(text: &str) -> Option<(i64, bool)> {
    let (seconds, nanos, utc) = moment(text, 6)?;
    Some((seconds * 1_000_000 + i64::from(nanos / 1000), utc))
}

/// A time of up to so many digits behind the second: seconds since 1970, nanoseconds, and whether there is a zone.
fn moment(text: &str, most: usize) -> Option<(i64, u32, bool)> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = calendar(day)?;
    let rest = rest.strip_prefix(['T', ' '])?;
    let (clock, rest) = rest.split_at_checked(5)?;
    let (second, nanos, zone) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (second, rest) = rest.split_at_checked(2)?;
            let (nanos, zone) = fraction(rest, most)?;
            (number(second.as_bytes())?, nanos, zone)
        }
        // ISO 8601 has times of lesser precision, too.
        None => (0, 0, rest),
    };
    let clock = clock.as_bytes();
    if clock[2] != b':' {
        return None;
    }
    let (hour, minute) = (number(&clock[..2])?, number(&clock[3..])?);
    let local: NaiveDateTime = day.and_hms_opt(hour, minute, second)?;
    let seconds = local.and_utc().timestamp();
    match zone {
        "" => Some((seconds, nanos, false)),
        zone => Some((seconds - i64::from(offset_minutes(zone)?) * 60, nanos, true)),
    }
}

/// The nanoseconds of `.123`, of at most so many digits, and what follows.
fn fraction(text: &str, most: usize) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let (fraction, zone) = digits(rest.as_bytes());
    let scale = 9 - Some(fraction.len()).filter(|length| (1..=most).contains(length))?;
    let zone = &rest[rest.len() - zone.len()..];
    Some((number(fraction)? * 10_u32.pow(u32::try_from(scale).ok()?), zone))
}

/// The minutes of `Z`, `+02:00` or `-0530`.
fn offset_minutes(zone: &str) -> Option<i32> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = match zone.as_bytes().split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [a, b, b':', c, d] | [a, b, c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        [a, b] => (number(&[*a, *b])?, 0),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i32::try_from(hours * 60 + minutes).unwrap_or(0))
}

/// Some digits, and nothing else, as a number.
fn number(bytes: &[u8]) -> Option<u32> {
    let (found, rest) = digits(bytes);
    (rest.is_empty() && !found.is_empty()).then(|| std::str::from_utf8(found).ok()?.parse().ok()).flatten()
}

/// Why a cell is not of its column's type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn not_a(text: &str, spec: &ColumnSpec) -> Self {
        Self { code: "type", reason: format!("`{text}` is not a {}", type_name(&spec.data_type)) }
    }

    pub(crate) fn lossy(text: &str, spec: &ColumnSpec) -> Self {
        let reason = format!("`{text}` cannot be a {} without loss", type_name(&spec.data_type));
        Self { code: "type", reason }
    }

    fn unit(text: &str, unit: &str, wanted: &str) -> Self {
        Self { code: "unit", reason: format!("`{text}` has the unit `{unit}`, which is not one of `{wanted}`") }
    }
}

/// A cell of a declared `float64` column.
pub(crate) fn declared_float(text: &str, spec: &ColumnSpec) -> Result<f64, Fault> {
    match special(text.trim()) {
        Some(value) => Ok(value),
        None => Amount::of(text, spec)?.value(text, spec),
    }
}

/// A cell of a declared `float32` column.
pub(crate) fn declared_single(text: &str, spec: &ColumnSpec) -> Result<f32, Fault> {
    // Through f64, which holds every f32 and has the same words for those that are no numbers.
    let value = declared_float(text, spec)? as f32;
    let amount = match special(text.trim()) {
        Some(_) => return Ok(value),
        None => Amount::of(text, spec)?,
    };
    let value = match amount.factor {
        Some(_) => value,
        // The nearest of the number itself, not of the nearest f64.
        None => amount.digits.replacen(',', ".", 1).parse().unwrap_or(value),
    };
    let is_lost = value == 0.0 && amount.shape.is_nonzero
        || amount.factor.is_none() && !amount.shape.is_kept_by(value.into(), &amount.digits, 7);
    if value.is_finite() && !is_lost { Ok(value) } else { Err(Fault::lossy(text, spec)) }
}

/// A cell of a declared column of integers: `12`, `12.0` and `1.2e1` are 12, but 12.5 is none.
fn declared_whole(text: &str, spec: &ColumnSpec) -> Result<i128, Fault> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    let amount = Amount::of(text, spec)?;
    if amount.shape.integer.is_some() && amount.factor.is_none() {
        return amount.shape.int(&amount.digits).ok_or_else(|| Fault::lossy(text, spec));
    }
    let value = amount.value(text, spec)?;
    if value.fract() == 0.0 && value.abs() < LIMIT { Ok(value as i128) } else { Err(Fault::lossy(text, spec)) }
}

/// A cell of a declared column of integers of any width.
pub(crate) fn declared_int<T: TryFrom<i128>>(text: &str, spec: &ColumnSpec) -> Result<T, Fault> {
    T::try_from(declared_whole(text, spec)?).map_err(|_| Fault::lossy(text, spec))
}

/// A cell of a declared column of decimals, in units of the last digit.
pub(crate) fn declared_decimal<T: DecimalType>(
    text: &str,
    spec: &ColumnSpec,
    precision: u8,
    scale: i8,
) -> Result<T::Native, Fault> {
    let amount = Amount::of(text, spec)?;
    let units = match (amount.factor, u8::try_from(scale)) {
        (None, Ok(scale)) => decimal::units::<T>(&amount.digits, precision, scale),
        // Units are converted by floats, which are no decimals.
        _ => None,
    };
    units.ok_or_else(|| Fault::lossy(text, spec))
}

/// A cell of a declared column of times, in its unit since 1970.
pub(crate) fn declared_time(text: &str, spec: &ColumnSpec) -> Result<i64, Fault> {
    let DataType::Timestamp(unit, zone) = &spec.data_type else { return Err(Fault::not_a(text, spec)) };
    let moment = moment(text.trim(), 9).filter(|(_, _, utc)| *utc == zone.is_some());
    let (seconds, nanos, _) = moment.ok_or_else(|| Fault::not_a(text, spec))?;
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let step = 1_000_000_000 / per_second;
    let whole = i64::try_from(i128::from(seconds) * i128::from(per_second) + i128::from(nanos / step));
    whole.ok().filter(|_| nanos % step == 0).ok_or_else(|| Fault::lossy(text, spec))
}

/// A cell of a declared `bool` or `date` column, read by its parser.
pub(crate) fn declared<T>(text: &str, spec: &ColumnSpec, parse: impl Fn(&str) -> Option<T>) -> Result<T, Fault> {
    parse(text.trim()).ok_or_else(|| Fault::not_a(text, spec))
}

/// A number in text, and its unit if that differs from the column's.
struct Amount<'a> {
    digits: Cow<'a, str>,
    shape: Shape,
    factor: Option<(Unit, Unit)>,
}

impl<'a> Amount<'a> {
    fn of(text: &'a str, spec: &ColumnSpec) -> Result<Self, Fault> {
        let (digits, unit) = split_unit(text.trim());
        let digits = plain(digits).ok_or_else(|| Fault::not_a(text, spec))?;
        let shape = Shape::of(&digits, spec.decimal).ok_or_else(|| Fault::not_a(text, spec))?;
        Ok(Self { digits, shape, factor: factor(text, unit, spec)? })
    }

    fn value(&self, text: &str, spec: &ColumnSpec) -> Result<f64, Fault> {
        let value = self.shape.float(&self.digits).ok_or_else(|| Fault::lossy(text, spec))?;
        match self.factor {
            None => Ok(value),
            Some((from, to)) => {
                from.convert(value, to).filter(|value| value.is_finite()).ok_or_else(|| Fault::lossy(text, spec))
            }
        }
    }
}

/// How the unit found becomes the declared one; `None` where they are the same.
fn factor(text: &str, unit: &str, spec: &ColumnSpec) -> Result<Option<(Unit, Unit)>, Fault> {
    if unit.is_empty() {
        return Ok(None);
    }
    let Some(wanted) = &spec.unit else { return Err(Fault::not_a(text, spec)) };
    if unit.eq_ignore_ascii_case(wanted) {
        return Ok(None);
    }
    let units = Unit::of_name(unit).zip(Unit::of_name(wanted)).filter(|(from, to)| from.convert(1.0, *to).is_some());
    units.map(Some).ok_or_else(|| Fault::unit(text, unit, wanted))
}

/// Cuts `12.5 g` into `12.5` and `g`. The `e` of an exponent is no unit.
fn split_unit(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let is_exponent = |at: usize| {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at > 0 && matches!(bytes[at], b'e' | b'E') && bytes.get(at + 1 + sign).is_some_and(u8::is_ascii_digit)
    };
    let is_number = |character: char| {
        matches!(character, '0'..='9' | '+' | '-' | '.' | ',' | '\u{2212}') || character.is_whitespace()
    };
    let cut = text.char_indices().find(|(at, character)| !is_number(*character) && !is_exponent(*at));
    let (number, unit) = text.split_at(cut.map_or(text.len(), |(at, _)| at));
    (number.trim_end(), unit)
}

/// A number without what only makes it readable: a plus, a typographic minus, blanks between thousands.
fn plain(text: &str) -> Option<Cow<'_, str>> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.is_ascii() && !text.contains(' ') {
        return Some(Cow::Borrowed(text));
    }
    let text = text.replacen('\u{2212}', "-", 1);
    let end = text.find(['.', ',', 'e', 'E']).unwrap_or(text.len());
    let (whole, rest) = text.split_at(end);
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let groups: Vec<&str> = whole.split([' ', '\u{a0}', '\u{202f}', '\u{2009}']).collect();
    let fits = |(index, group): (usize, &&str)| if index == 0 { group.len() <= 3 } else { group.len() == 3 };
    let grouped = groups.len() == 1 || groups.iter().enumerate().all(fits);
    grouped.then(|| Cow::Owned(format!("{sign}{}{rest}", groups.concat())))
}

#[cfg(test)]
mod tests;
