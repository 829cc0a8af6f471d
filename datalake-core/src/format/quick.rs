//! Cells as most tables have them, straight from their bytes.
//!
//! Each function gives the value of a text that is written as a number, date or time mostly is, and nothing for any other:
//! what that is, [`cell`](super::cell) tells. So the two never differ where this one speaks.

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Eight digits as a number, if they are digits (Lemire, "Quickly parsing eight digits", 2018).
#[inline(always)]
fn eight_digits(word: u64) -> Option<u64> {
    let high = word.wrapping_add(0x4646_4646_4646_4646);
    let low = word.wrapping_sub(ZEROS);
    if (high | low) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = low.wrapping_mul(10).wrapping_add(low >> 8);
    let fours = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let eights = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some(fours.wrapping_add(eights) >> 32)
}

/// How many of eight bytes are digits before the first that is none.
#[inline(always)]
fn leading_digits(word: u64) -> usize {
    // Below the first that is no digit nothing is carried.
    let others = (word.wrapping_add(0x4646_4646_4646_4646) | word.wrapping_sub(ZEROS)) & 0x8080_8080_8080_8080;
    others.trailing_zeros() as usize / 8
}

/// The last eight bytes as a word; of fewer, zeros come before.
#[inline(always)]
fn last_eight(bytes: &[u8]) -> u64 {
    if let Some(eight) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*eight);
    }
    let before = 64 - 8 * bytes.len() as u32;
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Where they overlap they are the same.
        return u64::from(u32::from_le_bytes(*first)) << before | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return 0 };
    // Of one to three the middle one is one of the others, or stands between them.
    let half = bytes.len() / 2;
    let middle = u64::from(bytes[half]) << (64 - 8 * (bytes.len() - half));
    u64::from(*first) << before | middle | u64::from(*last) << 56
}

/// As many of the last bytes of a word (none to eight) as a number, if they are digits.
#[inline(always)]
fn last_digits(word: u64, count: usize) -> Option<u64> {
    let others = u64::MAX.unbounded_shr(8 * count as u32);
    eight_digits(word & !others | ZEROS & others)
}

/// At most 19 digits as a number.
#[inline(always)]
fn digits(bytes: &[u8]) -> Option<u64> {
    let (mut rest, mut value) = (bytes, 0_u64);
    while rest.len() > 8 {
        let (eight, others) = rest.split_first_chunk::<8>()?;
        value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(u64::from_le_bytes(*eight))?);
        rest = others;
    }
    if rest.is_empty() {
        return Some(value);
    }
    // Of a longer text those before are read once more, and left out.
    let last = last_digits(last_eight(bytes), rest.len())?;
    Some(value.wrapping_mul(INT_TENS[rest.len()]).wrapping_add(last))
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

/// A number of digits behind a dot that are no more than those of the scale, in units of the last of these; the units have
/// at most 18 digits.
#[inline(always)]
pub(crate) fn decimal(bytes: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (precision, scale) = (usize::from(precision), usize::from(scale));
    let (negative, unsigned) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let whole = unsigned.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
    if whole == 0 || whole + scale > precision.min(18) || whole > 1 && unsigned[0] == b'0' {
        return None;
    }
    let fraction = match &unsigned[whole..] {
        // The integer zero has no sign.
        [] if !negative || unsigned != b"0" => &[],
        [b'.', fraction @ ..] if (1..=scale).contains(&fraction.len()) => fraction,
        _ => return None,
    };
    let power = |count: usize| TENS[count] as u64;
    let units = digits(&unsigned[..whole])? * power(scale) + digits(fraction)? * power(scale - fraction.len());
    let units = i128::from(units);
    Some(if negative { -units } else { units })
}

/// Powers of ten that a float holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

const INT_TENS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// All that fit into a word.
const WORD_TENS: [u64; 20] = {
    let mut tens = [1; 20];
    let mut power = 1;
    while power < 20 {
        tens[power] = tens[power - 1] * 10;
        power += 1;
    }
    tens
};

/// A number of at most 15 digits before the dot or the exponent, of which the first is no superfluous zero.
#[inline(always)]
pub(crate) fn float(bytes: &[u8]) -> Option<f64> {
    // Which sign comes next cannot be foreseen: no branch depends on it.
    let is_negative = bytes.first() == Some(&b'-');
    let unsigned = &bytes[usize::from(is_negative)..];
    let value = match unsigned.len() {
        ..=8 => short_float(unsigned),
        9..16 => medium_float(unsigned),
        16..=24 => long_float(unsigned),
        25.. => None,
    };
    match value {
        Some(value) => Some(f64::from_bits(value.to_bits() | u64::from(is_negative) << 63)),
        None => other_float(bytes, is_negative, unsigned),
    }
}

/// Digits with a dot between them, at most eight characters.
#[inline(always)]
fn short_float(bytes: &[u8]) -> Option<f64> {
    const DOTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
    let word = last_eight(bytes);
    let differ = word ^ DOTS;
    // The lowest that is told is one, whatever it says of those above (Mycroft's test).
    let dot = (differ.wrapping_sub(0x0101_0101_0101_0101) & !differ & 0x8080_8080_8080_8080).trailing_zeros() / 8;
    let (before, after) = ((dot as usize + bytes.len()).checked_sub(8)?, 7_u32.checked_sub(dot)?);
    if before == 0 || after == 0 || before > 1 && bytes[0] == b'0' {
        return None;
    }
    // Those before the dot are moved to those after it.
    let (below, above) = ((1_u64 << (8 * dot)) - 1, u64::MAX << (8 * (dot + 1)));
    let all = last_digits((word & below) << 8 | word & above, bytes.len() - 1)?;
    // Both are exact, so their quotient is the nearest float (Clinger, 1990).
    Some(all as f64 / TENS[after as usize])
}

/// Digits with a dot between them, more than eight characters, fewer than eight of them before the dot.
#[inline(always)]
fn medium_float(bytes: &[u8]) -> Option<f64> {
    let before = digits_before_dot(bytes, u64::from_le_bytes(*bytes.first_chunk()?))?;
    scaled(&bytes[..before], &bytes[before + 1..], 0)
}

/// The same of 16 to 24 characters, as floats have that are written with all their digits. How many stand on either side of
/// the dot differs from one to the next, so no branch depends on it.
#[inline(always)]
fn long_float(bytes: &[u8]) -> Option<f64> {
    let (rest, last) = bytes.split_last_chunk::<8>()?;
    let middle = u64::from_le_bytes(*rest.last_chunk()?);
    let first = u64::from_le_bytes(*bytes.first_chunk()?);
    let before = digits_before_dot(bytes, first)?;
    let after = bytes.len() - before - 1;
    let whole = last_digits(first << (8 * (8 - before)), before)?;
    // Of the digits behind the dot, those before the last sixteen, and those of the middle eight.
    let head = last_digits(first.unbounded_shl(8 * (24 - bytes.len()) as u32), after.saturating_sub(16))?;
    let middle = last_digits(middle, after.min(16) - 8)?;
    let last = eight_digits(u64::from_le_bytes(*last))?;
    // A word holds all numbers of 19 digits, and those of more that begin with zeros.
    if before + after > 19 && (whole > 0 || head >= 1844) {
        return None;
    }
    let whole = whole * WORD_TENS[after.min(19)];
    quotient(whole + (head * INT_TENS[8] + middle) * INT_TENS[8] + last, FIVES.get(after)?, after)
}

/// How many digits stand before the dot, one to seven, of which the first is no superfluous zero; `first` is the first word.
#[inline(always)]
fn digits_before_dot(bytes: &[u8], first: u64) -> Option<usize> {
    let before = leading_digits(first);
    let is_plain = (1..8).contains(&before) && (before == 1 || bytes[0] != b'0') && bytes[before] == b'.';
    is_plain.then_some(before)
}

/// A number of these digits before and after a dot, of which the first is no superfluous zero, with an exponent.
#[inline(always)]
fn scaled(whole: &[u8], fraction: &[u8], exponent: i32) -> Option<f64> {
    let mut rest = fraction;
    if whole.len() + fraction.len() > 19 {
        let surplus = (whole.len() + fraction.len() - 19).min(fraction.len());
        // Zeros behind the dot are no digits that count, if none is before it.
        if whole != b"0" || !fraction[..surplus - 1].iter().all(|byte| *byte == b'0') {
            return None;
        }
        rest = &fraction[surplus - 1..];
    }
    let power = usize::try_from(i32::try_from(fraction.len()).ok()? - exponent).ok()?;
    let (mut value, mut tens) = (digits(whole)?, rest.len());
    while tens > 8 {
        value *= INT_TENS[8];
        tens -= 8;
    }
    let value = value * INT_TENS[tens] + digits(rest)?;
    if value < 1 << 53 && power < TENS.len() {
        // As above.
        Some(value as f64 / TENS[power])
    } else {
        quotient(value, FIVES.get(power)?, power)
    }
}

/// A power of five for divisions: with so many zeros behind it that its highest bit is set, how many these are, and its
/// reciprocal.
struct Five {
    divisor: u64,
    shift: u32,
    reciprocal: u64,
}

/// All that fit into a word.
const FIVES: [Five; 28] = {
    let mut fives = [const { Five { divisor: 0, shift: 0, reciprocal: 0 } }; 28];
    let (mut power, mut five) = (0, 1_u64);
    while power < 28 {
        let shift = five.leading_zeros();
        let divisor = five << shift;
        // Less 2^64, which it always has.
        let reciprocal = (u128::MAX / divisor as u128 - (1 << 64)) as u64;
        fives[power] = Five { divisor, shift, reciprocal };
        five = five.wrapping_mul(5);
        power += 1;
    }
    fives
};

/// The float that is nearest to a number, which is not zero, divided by a power of ten; of two the even one.
#[inline(always)]
fn quotient(number: u64, five: &Five, power: usize) -> Option<f64> {
    if number == 0 {
        return None;
    }
    let zeros = number.leading_zeros();
    let number = number << zeros;
    // The dividend is the number behind a zero bit, so that its upper word is less than the divisor. What remains tells no more
    // than whether the quotient, which has 62 bits or more, is exact.
    let (quotient, remainder) = divided(number >> 1, number << 63, five.divisor, five.reciprocal);
    let rounded = (quotient | u64::from(remainder != 0)) as f64;
    let exponent = i64::from(five.shift) - 63 - i64::from(zeros) - power as i64;
    // A power of two of an exponent between -154 and 0.
    Some(rounded * f64::from_bits(((1023 + exponent) as u64) << 52))
}

/// Two words divided by one whose highest bit is set and which is more than the upper of them; the quotient, and what remains
/// (Möller and Granlund, "Improved division by invariant integers", 2011).
#[inline(always)]
fn divided(upper: u64, lower: u64, divisor: u64, reciprocal: u64) -> (u64, u64) {
    let guess = u128::from(reciprocal) * u128::from(upper) + (u128::from(upper) << 64 | u128::from(lower));
    let mut quotient = ((guess >> 64) as u64).wrapping_add(1);
    let mut remainder = lower.wrapping_sub(quotient.wrapping_mul(divisor));
    if remainder > guess as u64 {
        quotient = quotient.wrapping_sub(1);
        remainder = remainder.wrapping_add(divisor);
    }
    if remainder >= divisor {
        quotient = quotient.wrapping_add(1);
        remainder -= divisor;
    }
    (quotient, remainder)
}

/// What is written in another way, or no number.
#[inline(never)]
fn other_float(bytes: &[u8], negative: bool, unsigned: &[u8]) -> Option<f64> {
    let whole = unsigned.iter().take(16).take_while(|byte| byte.is_ascii_digit()).count();
    if whole == 0 || whole > 15 || whole > 1 && unsigned[0] == b'0' {
        return None;
    }
    let signed = |value: f64| if negative { -value } else { value };
    match &unsigned[whole..] {
        [] if unsigned == b"0" && negative => None,
        [] => Some(signed(digits(unsigned)? as f64)),
        [b'.', rest @ ..] => {
            let (fraction, exponent) = with_exponent(rest);
            // Digits stand on both sides of a dot.
            if fraction.is_empty() {
                return None;
            }
            let value = exponent.and_then(|exponent| scaled(&unsigned[..whole], fraction, exponent));
            value.map_or_else(|| any_float(bytes), |value| Some(signed(value)))
        }
        _ => any_float(bytes),
    }
}

/// What comes before an exponent of one or two digits, and that; none where another exponent follows.
fn with_exponent(text: &[u8]) -> (&[u8], Option<i32>) {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else { return (text, Some(0)) };
    let (negative, unsigned) = match &text[at + 1..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let is_short = (1..=2).contains(&unsigned.len());
    let exponent = is_short.then(|| digits(unsigned)).flatten().and_then(|exponent| i32::try_from(exponent).ok());
    (&text[..at], exponent.map(|exponent| if negative { -exponent } else { exponent }))
}

/// A number as [`float`] has it, of at most seven digits before the dot, as the nearest of the narrower floats.
#[inline(always)]
pub(crate) fn single(bytes: &[u8]) -> Option<f32> {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    // Any integer of seven digits is such a float.
    let is_short = unsigned.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count() <= 7;
    float(bytes).filter(|_| is_short)?;
    let value = lexical_core::parse::<f32>(bytes).ok()?;
    (value != 0.0 && value.is_finite()).then_some(value)
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
    use arrow::datatypes::{DataType, Decimal128Type};
    use proptest::prelude::*;

    fn agree(text: &str) -> Result<(), TestCaseError> {
        let kinds = Kinds::of(text, DecimalMark::Dot);
        if let Some(value) = int(text.as_bytes()) {
            let slow = cell::declared_int::<i64>(text, &ColumnSpec::new("x", DataType::Int64));
            prop_assert!(kinds.has(Kinds::INT) && slow == Ok(value), "{text}: {value}, {slow:?}");
        }
        if let Some(value) = single(text.as_bytes()) {
            let slow = cell::declared_single(text, &ColumnSpec::new("x", DataType::Float32));
            prop_assert_eq!(slow.map(f32::to_bits), Ok(value.to_bits()), "{}", text);
        }
        for (precision, scale) in [(38, 0), (18, 2), (5, 3), (38, 9), (9, 9)] {
            if let Some(value) = decimal(text.as_bytes(), precision, scale) {
                let spec = ColumnSpec::new("x", DataType::Decimal128(precision, scale.cast_signed()));
                let slow = cell::declared_decimal::<Decimal128Type>(text, &spec, precision, scale.cast_signed());
                prop_assert_eq!(slow, Ok(value), "{}", text);
                prop_assert!(scale > 0 || kinds.has(Kinds::WIDE_INT), "{}", text);
            }
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
        for (text, units) in [("12.5", 1250), ("-0.01", -1), ("7", 700), ("-7.00", -700)] {
            assert_eq!(decimal(text.as_bytes(), 10, 2), Some(units), "{text}");
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
        fn decimals_agree(digits in "[0-9]{1,24}", dot in 0_usize..24, exponent in -30_i32..30) {
            let dot = dot.min(digits.len());
            let text = format!("{}.{}", &digits[..dot], &digits[dot..]);
            for text in [format!("{text}e{exponent}"), format!("-{text}"), format!("0{}", &text[dot..]), text] {
                agree(&text)?;
                let value = float(text.as_bytes());
                prop_assert!(value.is_none_or(|value| Some(value.to_bits()) == text.parse().ok().map(f64::to_bits)), "{}", text);
            }
        }

        #[test]
        fn quotients_are_the_nearest_floats(number: u64, bits in 0_u32..64, power in 0_usize..28) {
            let number = (number >> bits).max(1);
            let nearest: f64 = format!("{number}e-{power}").parse().unwrap();
            prop_assert_eq!(quotient(number, &FIVES[power], power).map(f64::to_bits), Some(nearest.to_bits()));
        }

        #[test]
        fn divisions_leave_what_they_must(upper: u64, lower: u64, power in 0_usize..28) {
            let five = &FIVES[power];
            let upper = upper % five.divisor;
            let (quotient, remainder) = divided(upper, lower, five.divisor, five.reciprocal);
            let (dividend, divisor) = (u128::from(upper) << 64 | u128::from(lower), u128::from(five.divisor));
            prop_assert_eq!((u128::from(quotient), u128::from(remainder)), (dividend / divisor, dividend % divisor));
        }

        /// Halfway between two floats, and beside it.
        #[test]
        fn ties_go_to_the_even_float(mantissa in 1_u64 << 52..1 << 53, power in 1_u32..5, beside in -1_i64..=1) {
            // A half has one digit more: (2m + 1) / 2^k is (2m + 1) * 5^k / 10^k.
            let odd = u128::from(2 * mantissa + 1) * 5_u128.pow(power);
            if let Ok(number) = u64::try_from(odd) {
                let number = number.wrapping_add_signed(beside);
                let nearest: f64 = format!("{number}e-{power}").parse().unwrap();
                prop_assert_eq!(quotient(number, &FIVES[power as usize], power as usize), Some(nearest));
            }
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
