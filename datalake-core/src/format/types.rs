//! The types that values can be declared as, by the names that users write.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, TimeUnit};

/// The names of all types, for messages.
pub(crate) const KNOWN: &str = "text, bool, int8 to int64, uint8 to uint64, float32, float64, decimal(PRECISION,SCALE), date, \
                                timestamp and timestamp_utc, these two also with (ms), (us) or (ns)";

/// The types whose name is one word.
const TYPES: [(&str, DataType); 13] = [
    ("text", DataType::Utf8),
    ("int64", DataType::Int64),
    ("float64", DataType::Float64),
    ("bool", DataType::Boolean),
    ("date", DataType::Date32),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float32", DataType::Float32),
];

/// The units of times. Parquet has none of whole seconds.
const UNITS: [(&str, TimeUnit); 3] =
    [("ms", TimeUnit::Millisecond), ("us", TimeUnit::Microsecond), ("ns", TimeUnit::Nanosecond)];

/// Whether texts can become values of a type.
pub(crate) fn is_text_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(unit, zone) => {
            UNITS.iter().any(|(_, known)| known == unit) && zone.as_ref().is_none_or(|zone| zone.as_ref() == "UTC")
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            decimal(*precision, *scale).as_ref() == Some(data_type)
        }
        _ => TYPES.iter().any(|(_, known)| known == data_type),
    }
}

/// The type of timestamps in UTC.
pub(crate) fn timestamp_utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The type of integers that 64 bits do not hold.
pub(crate) fn wide_integer() -> DataType {
    DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
}

/// The type of decimals of so many digits, so many of them after the mark.
fn decimal(precision: u8, scale: i8) -> Option<DataType> {
    let is_one = precision > 0 && (0..=precision).contains(&u8::try_from(scale).ok()?);
    match precision {
        ..=DECIMAL128_MAX_PRECISION if is_one => Some(DataType::Decimal128(precision, scale)),
        ..=DECIMAL256_MAX_PRECISION if is_one => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

/// The name that users write for a type; Arrow's own where there is none.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(unit, zone) if is_text_type(data_type) => {
            let name = if zone.is_some() { "timestamp_utc" } else { "timestamp" };
            match UNITS.iter().find(|(_, known)| known == unit) {
                Some((unit, _)) if *unit != "us" => format!("{name}({unit})"),
                _ => name.to_owned(),
            }
        }
        _ => {
            let known = TYPES.iter().find(|(_, known)| known == data_type);
            known.map_or_else(|| data_type.to_string(), |(name, _)| (*name).to_owned())
        }
    }
}

/// The type that a user's name means.
pub(crate) fn type_of_name(name: &str) -> Option<DataType> {
    let (word, arguments) = match name.split_once('(') {
        Some((word, rest)) => (word.trim_end(), Some(rest.strip_suffix(')')?.trim())),
        None => (name, None),
    };
    let zone = match word {
        "timestamp" => None,
        "timestamp_utc" => Some("UTC".into()),
        "decimal" => {
            let (precision, scale) = arguments?.split_once(',')?;
            return decimal(precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        }
        _ if arguments.is_some() => return None,
        _ => return TYPES.iter().find(|(known, _)| *known == word).map(|(_, data_type)| data_type.clone()),
    };
    let unit = arguments.unwrap_or("us");
    UNITS.iter().find(|(known, _)| *known == unit).map(|(_, unit)| DataType::Timestamp(*unit, zone))
}

#[cfg(test)]
pub(crate) fn all() -> Vec<DataType> {
    let times = UNITS
        .iter()
        .flat_map(|(_, unit)| [DataType::Timestamp(*unit, None), DataType::Timestamp(*unit, Some("UTC".into()))]);
    let decimals = [(1, 0), (10, 2), (18, 18), (38, 0), (38, 9), (39, 0), (76, 38)];
    let decimals = decimals.iter().filter_map(|(precision, scale)| decimal(*precision, *scale));
    TYPES.into_iter().map(|(_, data_type)| data_type).chain(times).chain(decimals).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_its_name() {
        for data_type in all() {
            let name = type_name(&data_type);
            assert_eq!(type_of_name(&name).as_ref(), Some(&data_type), "{name}");
            assert!(is_text_type(&data_type), "{name}");
        }
        assert_eq!(type_of_name("decimal( 10 , 2 )"), Some(DataType::Decimal128(10, 2)));
        assert_eq!(type_of_name("timestamp(us)"), type_of_name("timestamp"));
    }

    #[test]
    fn what_is_no_type_is_none() {
        let names = [
            "",
            "int",
            "Int64",
            "decimal",
            "decimal()",
            "decimal(10)",
            "decimal(0,0)",
            "decimal(2,3)",
            "decimal(77,0)",
            "decimal(10,-1)",
            "decimal(10,2",
            "timestamp(s)",
            "timestamp()",
            "int64(8)",
            "text!",
        ];
        for name in names {
            assert_eq!(type_of_name(name), None, "{name}");
        }
        assert!(!is_text_type(&DataType::Timestamp(TimeUnit::Microsecond, Some("+02:00".into()))));
        assert!(!is_text_type(&DataType::Decimal128(10, -2)) && !is_text_type(&DataType::Decimal256(10, 2)));
    }
}
