//! Cells as most tables have them, straight from their bytes.
//!
//! Each function gives the value of a text that is written as a number, date or time mostly is, and nothing for any other:
//! what that is, [`cell`](super::cell) tells. So the two never differ where this one speaks.

use self::quotient::{FIVES, quotient};

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

/// Four numbers of two digits, if they are digits, in the order in which they stand.
#[inline(always)]
fn four_pairs(word: u64) -> Option<[u32; 4]> {
    let high = word.wrapping_add(0x4646_4646_4646_4646);
    let low = word.wrapping_sub(ZEROS);
    if (high | low) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = low.wrapping_mul(10).wrapping_add(low >> 8);
    Some([0, 16, 32, 48].map(|place| (pairs >> place) as u32 & 0xff))
}

/// Days since 1970 of `YYYY-MM-DD` (Hinnant, "chrono-compatible low-level date algorithms", 2013).
#[inline(always)]
pub(crate) fn date(bytes: &[u8]) -> Option<i32> {
    let bytes: &[u8; 10] = bytes.try_into().ok()?;
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    // Without what stands between the digits.
    let (first, last) = (u64::from_le_bytes(*bytes.first_chunk()?), u64::from_le_bytes(*bytes.last_chunk()?));
    let word = first & 0xffff_ffff | first >> 8 & 0x0000_ffff_0000_0000 | last & 0xffff_0000_0000_0000;
    let [century, year, month, day] = four_pairs(word)?;
    let year = century * 100 + year;
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
    let digits_of = |at: usize| u64::from(u16::from_le_bytes([clock[at], clock[at + 1]]));
    let [hour, minute, second, _] = four_pairs(digits_of(1) | digits_of(4) << 16 | digits_of(7) << 32 | 0x3030 << 48)?;
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

mod quotient;

#[cfg(test)]
mod tests;
