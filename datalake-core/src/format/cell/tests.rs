//! What texts are values of which types, and that they come back.

use super::*;
use arrow::datatypes::Decimal128Type;
use chrono::DateTime;
use proptest::prelude::*;

/// A timestamp as text, with `Z` if it is in UTC; `None` if it is out of the calendar.
fn timestamp_text(micros: i64, utc: bool) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let text = time.format("%Y-%m-%dT%H:%M:%S%.f");
    Some(if utc { format!("{text}Z") } else { text.to_string() })
}

fn kind(text: &str) -> DataType {
    Kinds::of(text, DecimalMark::Dot).narrowest()
}

#[test]
fn what_a_number_would_not_give_back_stays_text() {
    for text in ["007", "+49", "NA", "nan", "Inf", "infinity", "1e999", "", "-", ".", "1,5"] {
        assert_eq!(kind(text), DataType::Utf8, "{text}");
    }
    for text in ["1_000", "0x10", "1.2.3", "e5", "1e", " 1", "1 ", "2024-13-01", "tru", "yes"] {
        assert_eq!(kind(text), DataType::Utf8, "{text}");
    }
}

#[test]
fn values_have_their_narrowest_type() {
    assert_eq!(kind("0"), DataType::Int64);
    assert_eq!(kind("-9223372036854775808"), DataType::Int64);
    assert_eq!(kind("9223372036854775808"), wide_integer());
    assert_eq!(kind(&"9".repeat(38)), wide_integer());
    assert_eq!(kind(&"9".repeat(39)), DataType::Utf8);
    assert_eq!(kind(&format!("-{}", "9".repeat(38))), wide_integer());
    assert_eq!(kind("-0"), DataType::Float64);
    assert_eq!(kind("0.5"), DataType::Float64);
    assert_eq!(kind(".5"), DataType::Float64);
    assert_eq!(kind("1e5"), DataType::Float64);
    for text in ["1.5e-7", "2.5E-4", "123e-2", "12e4", "NaN", "inf", "-inf"] {
        assert_eq!(kind(text), DataType::Float64, "{text}");
    }
    assert_eq!(kind("True"), DataType::Boolean);
    assert_eq!(kind("2024-02-29"), DataType::Date32);
    for text in ["2024-02-29T23:59:59", "2024-02-29 23:59"] {
        assert_eq!(kind(text), DataType::Timestamp(TimeUnit::Microsecond, None), "{text}");
    }
    assert_eq!(kind("2024-02-29T23:59+02:00"), timestamp_utc());
    for text in ["2024-02-29 23", "2024-02-29 23:5", "2024-02-29 23:59:", "2024-02-29 23:60", "2024-02-29 2:59"] {
        assert_eq!(kind(text), DataType::Utf8, "{text}");
    }
    assert_eq!(kind("2024-02-29 23:59:59.123456+02:00"), timestamp_utc());
    assert_eq!(kind("2024-02-29 23:59:59.1234567"), DataType::Utf8);
    assert_eq!(Kinds::of("12,5", DecimalMark::Comma).narrowest(), DataType::Float64);
}

#[test]
fn a_large_integer_does_not_widen_to_a_float() {
    assert!(!Kinds::of("9007199254740993", DecimalMark::Dot).has(Kinds::FLOAT));
    assert!(Kinds::of("9007199254740992", DecimalMark::Dot).has(Kinds::FLOAT));
}

fn grams(text: &str) -> Result<f64, Fault> {
    let spec = ColumnSpec::new("x", DataType::Float64).with_unit("g").with_decimal(DecimalMark::Either);
    declared_float(text, &spec)
}

#[test]
fn units_in_text_are_converted() {
    for (text, value) in [
        ("12.5", 12.5),
        ("12,5 g", 12.5),
        ("300mg", 0.3),
        ("1 234 kg", 1_234_000.0),
        ("+7 G", 7.0),
        ("\u{2212}3", -3.0),
        ("1e2 mg", 0.1),
        ("5 \u{b5}g", 0.000_005),
    ] {
        assert_eq!(grams(text), Ok(value), "{text}");
    }
}

#[test]
fn what_is_no_amount_is_a_fault_that_names_it() {
    for (text, code) in [("<0.1", "type"), ("tr", "type"), ("n/a", "type"), ("approx 5", "type"), ("1 23", "type")] {
        let fault = grams(text).unwrap_err();
        assert_eq!(fault.code, code, "{text}");
        assert!(fault.reason.contains(text));
    }
    assert_eq!(grams("5 kJ").unwrap_err().reason, "`5 kJ` has the unit `kJ`, which is not one of `g`");
    assert_eq!(grams("5 IU").unwrap_err().code, "unit");
}

#[test]
fn integers_are_never_rounded() {
    let spec = ColumnSpec::new("x", DataType::Int64);
    let declared_int = |text: &str, spec: &ColumnSpec| declared_int::<i64>(text, spec);
    assert_eq!(declared_int("12.0", &spec), Ok(12));
    assert_eq!(declared_int("007", &spec), Ok(7));
    assert_eq!(declared_int("9223372036854775807", &spec), Ok(i64::MAX));
    assert_eq!(declared_int("-9007199254740993.00", &spec), Ok(-9_007_199_254_740_993));
    for text in ["1.5", "9223372036854775808", "12,5", "9007199254740993e0"] {
        assert!(declared_int(text, &spec).is_err(), "{text}");
    }
}

#[test]
fn floats_are_rounded_to_the_nearest_and_no_further() {
    let spec = ColumnSpec::new("x", DataType::Float64);
    for (text, value) in [
        ("0.1", 0.1),
        ("-0", -0.0),
        ("0.000", 0.0),
        ("0e-999", 0.0),
        ("6.02214076e23", 6.022_140_76e23),
        ("9007199254740993.5", 9_007_199_254_740_994.0),
        ("9007199254740994.0", 9_007_199_254_740_994.0),
        ("00100000000000000000000", 1e20),
        ("5e-324", 5e-324),
    ] {
        assert_eq!(declared_float(text, &spec).map(f64::to_bits), Ok(f64::to_bits(value)), "{text}");
    }
    for text in ["9007199254740993", "9007199254740993.0", "-9007199254740993.", "1e-400", "-1e400", "12,5"] {
        assert!(declared_float(text, &spec).is_err(), "{text}");
        assert!(!Kinds::of(text, DecimalMark::Dot).has(Kinds::FLOAT), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC*") {
        let _ = Kinds::of(&text, DecimalMark::Either);
        let _ = grams(&text);
    }

    #[test]
    fn every_float_is_found_and_read_as_it_was_written(value: f64) {
        let text = format!("{value:?}");
        prop_assert!(Kinds::of(&text, DecimalMark::Dot).has(Kinds::FLOAT), "{}", text);
        let read = declared_float(&text, &ColumnSpec::new("x", DataType::Float64)).unwrap();
        prop_assert!(read.to_bits() == value.to_bits() || read.is_nan() && value.is_nan(), "{}", text);
    }

    #[test]
    fn timestamps_come_back(micros in -60_000_000_000_000_000_i64..200_000_000_000_000_000, utc: bool) {
        let text = timestamp_text(micros, utc).unwrap();
        prop_assert_eq!(timestamp(&text), Some((micros, utc)), "{}", text);
    }

    #[test]
    fn what_is_inferred_can_be_read(text in "-?[0-9.,e-]{1,12}") {
        let kinds = Kinds::of(&text, DecimalMark::Dot);
        let spec = ColumnSpec::new("x", kinds.narrowest());
        match spec.data_type {
            DataType::Int64 => prop_assert!(declared_int::<i64>(&text, &spec).is_ok()),
            DataType::Decimal128(..) => prop_assert!(declared_decimal::<Decimal128Type>(&text, &spec, 38, 0).is_ok()),
            DataType::Float64 => prop_assert!(declared_float(&text, &spec).is_ok()),
            _ => {}
        }
    }
}
