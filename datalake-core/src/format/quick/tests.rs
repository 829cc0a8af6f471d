//! Where cells are read the quick way they are what they are by the slow one.

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
    assert_eq!((comma_float(b"-12,25"), comma_float(b"12.25"), comma_float(&[b'1'; 40])), (Some(-12.25), None, None));
    assert_eq!(date(b"2024-02-29"), cell::date("2024-02-29"));
    assert_eq!(date(b"0000-01-01"), None);
    for text in ["2020-06-01T12:34:56", "2020-06-01 12:34:56.5Z", "1969-12-31T23:59:59.999999"] {
        assert_eq!(timestamp(text.as_bytes()), cell::timestamp(text), "{text}");
    }
    for text in ["", "-", "007", "+1", "1_0", "1.", ".5", "1e", "nan", "inf", "0x1", "1.5 ", "-0", "1e-400", "1e400"] {
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
