//! Exact decimals: a number's text as an integer of the units of its last digit, and back.

use arrow::array::ArrowNativeTypeOp;
use arrow::datatypes::{ArrowNativeType, DecimalType};

/// The units of a number written as `-?digits[mark digits][e[+-]digits]`, of which so many make one; none where it has more
/// digits than the type, or others than zero behind those of the scale.
pub(crate) fn units<T: DecimalType>(number: &str, precision: u8, scale: u8) -> Option<T::Native> {
    let (negative, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    // Zeros on either side say nothing.
    let Some(leading) = digits().position(|digit| digit != b'0') else { return Some(T::Native::ZERO) };
    let trailing = digits().rev().position(|digit| digit != b'0').unwrap_or(0);
    let count = whole.len() + fraction.len() - leading - trailing;
    // How many digits the units have.
    let length = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?;
    let length = length.saturating_add(exponent).saturating_add(i64::from(scale));
    let length = usize::try_from(length).ok().filter(|length| *length <= usize::from(precision))?;
    let zeros = length.checked_sub(count)?;
    let ten = T::Native::usize_as(10);
    let append = |units: T::Native, digit: u8| {
        units.mul_wrapping(ten).add_wrapping(T::Native::usize_as(usize::from(digit - b'0')))
    };
    let units = digits().skip(leading).take(count).fold(T::Native::ZERO, append);
    let units = (0..zeros).fold(units, |units, _| append(units, b'0'));
    Some(if negative { units.neg_wrapping() } else { units })
}

/// The digits of an exponent as a number; one beyond all is as good as any.
fn exponent(text: &str) -> i64 {
    const BEYOND: i64 = i64::MAX / 4;
    let is_negative = text.starts_with('-');
    text.parse().unwrap_or(if is_negative { -BEYOND } else { BEYOND }).clamp(-BEYOND, BEYOND)
}

/// Appends units of which 10^`scale` make one, as a number with all digits of the scale.
pub(crate) fn push(units: i128, scale: u8, bytes: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(units.unsigned_abs()).as_bytes();
    let scale = usize::from(scale);
    if units < 0 {
        bytes.push(b'-');
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    bytes.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    if scale > 0 {
        bytes.push(b'.');
        bytes.extend(std::iter::repeat_n(b'0', scale - fraction.len()));
        bytes.extend_from_slice(fraction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Decimal128Type, Decimal256Type, i256};
    use proptest::prelude::*;

    fn of(number: &str, precision: u8, scale: u8) -> Option<i128> {
        let narrow = units::<Decimal128Type>(number, precision, scale);
        assert_eq!(units::<Decimal256Type>(number, precision, scale), narrow.map(i256::from_i128), "{number}");
        narrow
    }

    #[test]
    fn a_number_has_all_its_digits_or_none() {
        for (number, units) in [
            ("12.5", Some(1250)),
            ("12,50", Some(1250)),
            ("-0.01", Some(-1)),
            ("0.010000", Some(1)),
            ("0.001", None),
            (".5", Some(50)),
            ("5.", Some(500)),
            ("007", Some(700)),
            ("0", Some(0)),
            ("-0.000", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("1.25e1", Some(1250)),
            ("125e-2", Some(125)),
            ("125E-3", None),
            ("1e3", Some(100_000)),
            ("99999999.99", Some(9_999_999_999)),
            ("100000000", None),
            ("1e99999999999999999999", None),
            ("1e-99999999999999999999", None),
        ] {
            assert_eq!(of(number, 10, 2), units, "{number}");
        }
        let long = "9".repeat(38);
        assert_eq!(of(&long, 38, 0), long.parse().ok());
        assert_eq!(of(&format!("{long}0"), 38, 0), None);
        let longer = "9".repeat(76);
        assert_eq!(units::<Decimal256Type>(&longer, 76, 0), i256::from_string(&longer));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(units: i128, scale in 0_u8..=38) {
            let units = units % 10_i128.pow(38);
            let mut bytes = Vec::new();
            push(units, scale, &mut bytes);
            let text = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(&text, &Decimal128Type::format_decimal(units, 38, scale.cast_signed()));
            prop_assert_eq!(of(&text, 38, scale), Some(units), "{}", text);
        }
    }
}
