//! Numbers whose digits are grouped by thousands.

use std::borrow::Cow;

/// A number without the marks between its groups of three digits; any other text as it is.
///
/// A group before the first mark has one to three digits and no superfluous zero; those behind have three. So `1,23` and
/// `0,123` are not grouped by a comma, and what they are is told by their decimal mark alone.
pub(super) fn ungrouped(text: &str, mark: char) -> Cow<'_, str> {
    if !text.contains(mark) {
        return Cow::Borrowed(text);
    }
    let is_part = |character: char| character.is_ascii_digit() || character == mark;
    let start = text.find(|character: char| character.is_ascii_digit()).unwrap_or(text.len());
    let (before, rest) = text.split_at(start);
    let (whole, behind) = rest.split_at(rest.find(|character| !is_part(character)).unwrap_or(rest.len()));
    // A blank before a unit is none between digits.
    let digits = if mark.is_whitespace() { whole.trim_end_matches(mark) } else { whole };
    let is_sign = |character: char| matches!(character, '+' | '-' | '\u{2212}') || character.is_whitespace();
    if !before.chars().all(is_sign) || !is_grouped(digits, mark) {
        return Cow::Borrowed(text);
    }
    let digits = digits.split(mark).collect::<String>();
    Cow::Owned(format!("{before}{digits}{}{behind}", &whole[whole.trim_end_matches(mark).len()..]))
}

/// Whether these are groups of three digits, two at least.
fn is_grouped(digits: &str, mark: char) -> bool {
    let mut groups = digits.split(mark);
    let first = groups.next().unwrap_or_default();
    let is_first = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let mut rest = groups.peekable();
    is_first && rest.peek().is_some() && rest.all(|group| group.len() == 3)
}

/// Whether a text is a whole number that is grouped so, and may have a sign.
pub(super) fn is_grouped_number(text: &str, mark: char) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.chars().all(|character| character.is_ascii_digit() || character == mark) && is_grouped(digits, mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn groups_of_three_are_joined_and_others_stay() {
        for (text, mark, expected) in [
            ("1.234.567,89", '.', "1234567,89"),
            ("-1,234", ',', "-1234"),
            (" 12'345 kg", '\'', " 12345 kg"),
            ("1 234 kg", ' ', "1234 kg"),
            ("\u{2212}1\u{202f}000", '\u{202f}', "\u{2212}1000"),
            ("1,234e3", ',', "1234e3"),
        ] {
            assert_eq!(ungrouped(text, mark), expected, "{text}");
        }
        for (text, mark) in [
            ("1,23", ','),
            ("0,123", ','),
            ("1234,567", ','),
            ("1,2345", ','),
            ("1,234,", ','),
            (",123", ','),
            ("1,,234", ','),
            ("x1,234", ','),
            ("a,b", ','),
            ("2024 01 02", ' '),
            ("12", ','),
            ("", ','),
        ] {
            assert_eq!(ungrouped(text, mark), text, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_that_is_grouped_comes_back(value: i64, mark in prop_oneof![Just('.'), Just(','), Just(' '), Just('\u{a0}')]) {
            let plain = value.to_string();
            let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |digits| ("-", digits));
            let mut grouped = String::new();
            for (at, digit) in digits.char_indices() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    grouped.push(mark);
                }
                grouped.push(digit);
            }
            let grouped = format!("{sign}{grouped}");
            prop_assert_eq!(&*ungrouped(&grouped, mark), plain.as_str());
            prop_assert_eq!(is_grouped_number(&grouped, mark), digits.len() > 3);
        }

        #[test]
        fn nothing_but_the_marks_is_taken(text in "[-0-9., a]{0,12}") {
            let without = |text: &str| text.replace(',', "");
            prop_assert_eq!(without(&ungrouped(&text, ',')), without(&text));
        }
    }
}
