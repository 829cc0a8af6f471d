//! Cells as most tables have them, straight from their bytes.
//!
//! Each function gives the value of a text that is written as a number, date or time mostly is, and nothing for any other:
//! what that is, [`cell`](super::cell) tells. So the two never differ where this one speaks.

/// Eight digits as a number, if they are digits (Lemire, "Quickly parsing eight digits", 2018).
#[inline(always)]
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(bytes);
    let high = word.wrapping_add(0x4646_4646_4646_4646);
    let low = word.wrapping_sub(0x3030_3030_3030_3030);
    if (high | low) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = low.wrapping_mul(10).wrapping_add(low >> 8);
    let fours = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let eights = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some(fours.wrapping_add(eights) >> 32)
}

#[inline(always)]
fn digit(byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

/// At most 18 digits as a number.
#[inline(always)]
fn digits(mut bytes: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    while let Some((eight, rest)) = bytes.split_first_chunk::<8>() {
        value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(*eight)?);
        bytes = rest;
    }
    for byte in bytes {
        value = value.wrapping_mul(10).wrapping_add(digit(*byte)?);
    }
    Some(value)
}

/// An integer of at most 18 digits without leading zeros.
#[inline(always)]
pub(crate) fn int(bytes: &[u8]) -> Option<i64> {
    let (negative, unsigned) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    match unsigned {
        [b'0'] if !negative => Some(0),
        [b'1'..=b'9', ..] if unsigned.len() <= 18 => {
            let value = digits(unsigned)?.cast_signed();
            Some(if negative { -value } else { value })
        }
        _ => None,
    }
}

/// Powers of ten that a float holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A number with a dot or an exponent, and at most 15 digits before the dot, of which the first is no superfluous zero.
#[inline(always)]
pub(crate) fn float(bytes: &[u8]) -> Option<f64> {
    let (negative, unsigned) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let whole = unsigned.iter().take(16).take_while(|byte| byte.is_ascii_digit()).count();
    if whole == 0 || whole > 15 || whole > 1 && unsigned[0] == b'0' {
        return None;
    }
    match &unsigned[whole..] {
        [] if unsigned == b"0" && negative => None,
        [] => {
            let value = digits(unsigned)? as f64;
            Some(if negative { -value } else { value })
        }
        [b'.', fraction @ ..] if (1..=15 - whole).contains(&fraction.len()) => match digits(fraction) {
            // Both are exact, so their quotient is the nearest float (Clinger, 1990).
            Some(digits_after) => {
                let scale = TENS[fraction.len()];
                let all = digits(&unsigned[..whole])? as f64 * scale + digits_after as f64;
                let value = all / scale;
                Some(if negative { -value } else { value })
            }
            None => any_float(bytes),
        },
        _ => any_float(bytes),
    }
}

/// The same, with a comma in the place of the dot.
#[inline]
pub(crate) fn comma_float(bytes: &[u8]) -> Option<f64> {
    const LONGEST: usize = 32;
    let mut with_dot = [0; LONGEST];
    let with_dot = with_dot.get_mut(..bytes.len())?;
    for (to, from) in with_dot.iter_mut().zip(bytes) {
        *to = match from {
            b'.' => return None,
            b',' => b'.',
            other => *other,
        };
    }
    float(with_dot)
}

/// A number with a fraction or an exponent; the digits before it are few.
fn any_float(bytes: &[u8]) -> Option<f64> {
    let (value, length) = lexical_core::parse_partial::<f64>(bytes).ok()?;
    // What is zero or infinite may have been something else.
    (length == bytes.len() && value != 0.0 && value.is_finite() && bytes.last()?.is_ascii_digit()).then_some(value)
}

/// Two digits.
#[inline(always)]
fn two(bytes: &[u8], at: usize) -> Option<u32> {
    let (tens, ones) = (bytes[at].wrapping_sub(b'0'), bytes[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

/// Days since 1970 of `YYYY-MM-DD` (Hinnant, "chrono-compatible low-level date algorithms", 2013).
#[inline(always)]
pub(crate) fn date(bytes: &[u8]) -> Option<i32> {
    let bytes: &[u8; 10] = bytes.try_into().ok()?;
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = two(bytes, 0)? * 100 + two(bytes, 2)?;
    let (month, day) = (two(bytes, 5)?, two(bytes, 8)?);
    if !(1..=12).contains(&month) || day == 0 || day > days_of(year, month) {
        return None;
    }
    // Years begin in March, so that the day of a leap year is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(days.cast_signed() - 719_468)
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Microseconds since 1970 of `YYYY-MM-DD HH:MM:SS`, with `T` or a blank, up to six more digits and perhaps a `Z`; and
/// whether there was one.
#[inline(always)]
pub(crate) fn timestamp(bytes: &[u8]) -> Option<(i64, bool)> {
    let (day, rest) = bytes.split_first_chunk::<10>()?;
    let (clock, rest) = rest.split_first_chunk::<9>()?;
    if !matches!(clock[0], b'T' | b' ') || clock[3] != b':' || clock[6] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(clock, 1)?, two(clock, 4)?, two(clock, 7)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (rest, utc) = match rest {
        [rest @ .., b'Z'] => (rest, true),
        rest => (rest, false),
    };
    let micros = match rest {
        [] => 0,
        [b'.', fraction @ ..] if (1..=6).contains(&fraction.len()) => {
            digits(fraction)? * [1_000_000, 100_000, 10_000, 1000, 100, 10, 1][fraction.len()]
        }
        _ => return None,
    };
    let seconds = i64::from(date(day)?) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some((seconds * 1_000_000 + micros.cast_signed(), utc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::cell::{self, Kinds};
    use crate::format::spec::{ColumnSpec, DecimalMark};
    use arrow::datatypes::DataType;
    use proptest::prelude::*;

    fn agree(text: &str) -> Result<(), TestCaseError> {
        let kinds = Kinds::of(text, DecimalMark::Dot);
        if let Some(value) = int(text.as_bytes()) {
            let slow = cell::declared_int(text, &ColumnSpec::new("x", DataType::Int64));
            prop_assert!(kinds.has(Kinds::INT) && slow == Ok(value), "{text}: {value}, {slow:?}");
        }
        if let Some(value) = float(text.as_bytes()) {
            let slow = cell::declared_float(text, &ColumnSpec::new("x", DataType::Float64));
            let slow = slow.map(f64::to_bits);
            prop_assert!(kinds.has(Kinds::FLOAT) && slow == Ok(value.to_bits()), "{text}: {value}, {slow:?}");
        }
        let with_comma = text.replace('.', ",");
        let slow = ColumnSpec::new("x", DataType::Float64).with_decimal(DecimalMark::Comma);
        if let Some(value) = comma_float(with_comma.as_bytes()) {
            let slow = cell::declared_float(&with_comma, &slow).map(f64::to_bits);
            let kinds = Kinds::of(&with_comma, DecimalMark::Comma);
            prop_assert!(kinds.has(Kinds::FLOAT) && slow == Ok(value.to_bits()), "{text}: {value}, {slow:?}");
        }
        if let Some(value) = date(text.as_bytes()) {
            prop_assert_eq!((kinds, cell::date(text)), (Kinds::DATE, Some(value)), "{}", text);
        }
        if let Some(value) = timestamp(text.as_bytes()) {
            prop_assert_eq!(cell::timestamp(text), Some(value), "{}", text);
        }
        Ok(())
    }

    #[test]
    fn what_most_tables_have_is_quick() {
        for text in ["0", "7", "-42", "123456789012345678"] {
            assert_eq!(int(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in ["0.5", "12.25", "-3.75", "312.84719471058384", "1e5", "2.5e-7", "17"] {
            assert_eq!(float(text.as_bytes()), text.parse().ok(), "{text}");
        }
        assert_eq!(
            (comma_float(b"-12,25"), comma_float(b"12.25"), comma_float(&[b'1'; 40])),
            (Some(-12.25), None, None)
        );
        assert_eq!(date(b"2024-02-29"), cell::date("2024-02-29"));
        assert_eq!(date(b"0000-01-01"), None);
        for text in ["2020-06-01T12:34:56", "2020-06-01 12:34:56.5Z", "1969-12-31T23:59:59.999999"] {
            assert_eq!(timestamp(text.as_bytes()), cell::timestamp(text), "{text}");
        }
        for text in
            ["", "-", "007", "+1", "1_0", "1.", ".5", "1e", "nan", "inf", "0x1", "1.5 ", "-0", "1e-400", "1e400"]
        {
            assert_eq!((int(text.as_bytes()), float(text.as_bytes())), (None, None), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_agree(text in "-?[0-9]{0,20}(\\.[0-9]{0,20})?(e-?[0-9]{1,3})?") {
            agree(&text)?;
        }

        #[test]
        fn floats_agree(value: f64) {
            agree(&format!("{value:?}"))?;
            agree(&format!("{value}"))?;
        }

        #[test]
        fn short_decimals_agree(whole in 0_u64..1_000_000_000, fraction in 0_u64..1_000_000) {
            agree(&format!("{whole}.{fraction}"))?;
        }

        #[test]
        fn times_agree(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,7})?Z?)?") {
            agree(&text)?;
        }

        #[test]
        fn anything_agrees(text in "[-+0-9.eETZ: ]{0,24}") {
            agree(&text)?;
        }
    }
}
