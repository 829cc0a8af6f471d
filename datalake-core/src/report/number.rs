//! Numbers as a reader likes them: grouped thousands, few digits, a dash for what is not there.

/// What stands for a number that is missing or none.
pub(super) const NONE: &str = "–";

/// A count with its thousands grouped.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with about four significant digits.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.3e}");
    }
    let decimals = match size {
        _ if size >= 1000.0 => 0,
        _ if size >= 100.0 => 1,
        _ if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{size:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), count);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 && text.contains(|digit| ('1'..='9').contains(&digit)) { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A duration in the unit that suits it.
pub(super) fn seconds(value: f64) -> String {
    match value {
        _ if !value.is_finite() => NONE.to_owned(),
        _ if value < 1.0 => format!("{:.0} ms", value * 1000.0),
        _ if value < 120.0 => format!("{value:.1} s"),
        _ => format!("{:.1} min", value / 60.0),
    }
}

/// A share as a percentage.
pub(super) fn percent(part: f64, whole: f64) -> String {
    let share = 100.0 * part / whole;
    match share {
        _ if !share.is_finite() => NONE.to_owned(),
        _ if share > 0.0 && share < 0.1 => "< 0.1 %".to_owned(),
        _ => format!("{share:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn numbers_keep_four_digits() {
        let values = [0.0, -0.0, 0.98712, 5.061, 123.45, -12_345.6, 0.000_01, 1e20, 2.0];
        let texts = ["0", "0", "0.9871", "5.06", "123.5", "-12,346", "1.000e-5", "1.000e20", "2"];
        assert_eq!(values.map(number), texts);
    }

    #[test]
    fn what_is_no_number_is_a_dash() {
        assert_eq!([number(f64::NAN), seconds(f64::INFINITY), percent(1.0, 0.0)], [NONE; 3]);
    }

    #[test]
    fn durations_choose_their_unit() {
        assert_eq!([0.0421, 12.34, 600.0].map(seconds), ["42 ms", "12.3 s", "10.0 min"]);
    }

    #[test]
    fn a_small_share_is_not_zero() {
        assert_eq!(percent(1.0, 10_000.0), "< 0.1 %");
        assert_eq!(percent(1.0, 3.0), "33.3 %");
    }
}
