//! What would make numbers of a column that is text: words that mean a missing value, groups of digits, a decimal comma or both
//! decimal marks.

use super::grouped::ungrouped;
use crate::format::cell::Kinds;
use crate::format::schema::shortened;
use crate::format::spec::DecimalMark;

/// Ways in which numbers may be written: the mark between groups of digits, and the decimal mark.
const WAYS: [(Option<char>, DecimalMark); 8] = [
    (None, DecimalMark::Dot),
    (Some(','), DecimalMark::Dot),
    (Some(' '), DecimalMark::Dot),
    (Some('\''), DecimalMark::Dot),
    (None, DecimalMark::Comma),
    (Some('.'), DecimalMark::Comma),
    (Some(' '), DecimalMark::Comma),
    (None, DecimalMark::Either),
];
/// The bits of those in which no dot is a decimal mark.
const WITH_COMMA: u8 = 0b0111_0000;
/// The bit of the one in which dots and commas are.
const WITH_EITHER: u8 = 0b1000_0000;

/// Words that stand for a missing value in many tables.
const WORDS: [&str; 16] =
    ["NA", "N/A", "n/a", "na", "#N/A", "NULL", "Null", "null", "None", "none", "nan", "NAN", "-", "--", "?", "\\N"];

/// In which ways all texts of a column are numbers or words for a missing value.
#[derive(Debug, Clone)]
pub(super) struct Lenient {
    /// A bit for each way.
    ways: u8,
    has_number: bool,
    /// Whether the texts are taken for numbers with a dot.
    has_dot: bool,
    /// The first of them that is no number as they are taken, and its row.
    first: Option<(u64, String)>,
    /// How many of them are none.
    odd: u64,
    words: Vec<&'static str>,
}

/// What is to be known of a column that options would make numbers of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice<'a> {
    /// The row of the first text that is no number as it stands.
    pub(super) row: u64,
    pub(super) first: &'a str,
    pub(super) options: String,
    /// How many such texts there are, where they are told from the others by their decimal mark.
    pub(super) odd: Option<u64>,
}

impl Lenient {
    /// Of no text, of those that are taken for numbers with this mark.
    pub(super) fn new(mark: DecimalMark) -> Self {
        let has_dot = mark == DecimalMark::Dot;
        Self { ways: u8::MAX, has_number: false, has_dot, first: None, odd: 0, words: Vec::new() }
    }

    #[inline(always)]
    pub(super) fn is_alive(&self) -> bool {
        self.ways != 0
    }

    /// Takes the text of a row, whose types are known.
    #[inline(always)]
    pub(super) fn take(&mut self, row: u64, text: &[u8], kinds: Kinds) {
        // An integer is one in all ways; what has a dot in it ends those with a comma, once.
        let is_done = self.is_mixed() || self.has_dot && self.ways & WITH_COMMA == 0;
        let is_plain = kinds.has(Kinds::INT) || kinds.has(Kinds::FLOAT) && is_done;
        if is_plain {
            self.has_number = true;
        } else {
            self.take_other(row, text, kinds);
        }
    }

    #[cold]
    fn take_other(&mut self, row: u64, text: &[u8], kinds: Kinds) {
        let text = str::from_utf8(text).unwrap_or_default();
        if !kinds.has(Kinds::FLOAT) {
            self.odd += 1;
            self.first.get_or_insert_with(|| (row, shortened(text)));
        }
        if let Some(word) = WORDS.into_iter().find(|word| *word == text) {
            if !self.words.contains(&word) {
                self.words.push(word);
            }
            return;
        }
        let is_number = |(thousands, mark): (Option<char>, DecimalMark)| {
            let plain = thousands.map_or(text.into(), |thousands| ungrouped(text, thousands));
            let kinds = Kinds::of(&plain, mark);
            kinds.has(Kinds::INT) || kinds.has(Kinds::FLOAT)
        };
        let ways = WAYS.iter().enumerate().filter(|(_, way)| is_number(**way));
        self.ways &= ways.fold(0, |ways, (place, _)| ways | 1 << place);
        self.has_number |= self.is_alive();
    }

    /// The same, with the numbers of records in the place of rows.
    pub(super) fn numbered(mut self, number: impl FnOnce(u64) -> u64) -> Self {
        self.first = self.first.map(|(row, text)| (number(row), text));
        self
    }

    /// Takes what comes of texts that follow.
    pub(super) fn absorb(&mut self, others: Self) {
        self.ways &= others.ways;
        self.has_number |= others.has_number;
        self.first = self.first.take().or(others.first);
        self.odd += others.odd;
        for word in others.words {
            if !self.words.contains(&word) {
                self.words.push(word);
            }
        }
    }

    /// Whether each dot could as well stand between groups of digits.
    pub(super) fn has_dots_between_groups(&self) -> bool {
        self.ways & 1 << 5 != 0
    }

    /// Whether some are numbers with a dot, the others with a comma.
    pub(super) fn is_mixed(&self) -> bool {
        self.ways == WITH_EITHER
    }

    /// The options that would make numbers of all, if some are none as they stand.
    pub(super) fn advice(&self) -> Option<Advice<'_>> {
        let (row, first) = self.first.as_ref().filter(|_| self.has_number && self.is_alive())?;
        let words: Vec<String> = self.words.iter().map(|word| serde_json::Value::from(*word).to_string()).collect();
        let nulls = (!words.is_empty()).then(|| format!("`nulls = [{}]`", words.join(", ")));
        let options = |(thousands, mark): (Option<char>, DecimalMark)| {
            let thousands = thousands.map(|mark| format!("`thousands = \"{mark}\"`"));
            let decimal = match mark {
                // Where it is taken for none, it must be said.
                DecimalMark::Dot => (!self.has_dot).then(|| "`decimal = \".\"`".to_owned()),
                DecimalMark::Comma => Some("`decimal = \",\"`".to_owned()),
                DecimalMark::Either => Some("`decimal = \"either\"`".to_owned()),
            };
            let all: Vec<String> = [nulls.clone(), thousands, decimal].into_iter().flatten().collect();
            all.join(" and ")
        };
        // Two marks are less likely than one.
        let ways = if self.is_mixed() { self.ways } else { self.ways & !WITH_EITHER };
        let alive = WAYS.iter().enumerate().filter(|(place, _)| ways >> place & 1 != 0);
        // Where nothing is grouped, marks of groups say nothing.
        let plain = |way: &(Option<char>, DecimalMark)| way.0.is_none();
        let mut ways: Vec<_> = alive.map(|(_, way)| *way).collect();
        if ways.first().is_some_and(|way| *way == WAYS[0]) {
            ways.truncate(1);
        } else if ways.iter().any(plain) {
            ways.retain(|way| plain(way) || way.1 == DecimalMark::Dot);
        }
        let ways: Vec<String> = ways.into_iter().map(options).collect();
        Some(Advice { row: *row, first, options: ways.join(" or "), odd: self.is_mixed().then_some(self.odd) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(texts: &[&str], mark: DecimalMark) -> Lenient {
        let (mut all, mut parts) = (Lenient::new(mark), Lenient::new(mark));
        for (row, text) in (1..).zip(texts) {
            let kinds = Kinds::of(text, mark);
            let mut one = Lenient::new(mark);
            one.take(0, text.as_bytes(), kinds);
            parts.absorb(one.numbered(|_| row));
            all.take(row, text.as_bytes(), kinds);
        }
        assert_eq!(all.advice(), parts.advice());
        all
    }

    fn advice(texts: &[&str]) -> Option<(String, String)> {
        let taken = taken(texts, DecimalMark::Dot);
        let advice = taken.advice()?;
        assert_eq!((texts[advice.row as usize - 1], advice.odd), (advice.first, None));
        Some((advice.first.to_owned(), advice.options))
    }

    #[test]
    fn options_that_make_numbers_of_all_texts_are_told() {
        for (texts, first, options) in [
            (&["1", "NA", "2.5"][..], "NA", r#"`nulls = ["NA"]`"#),
            (&["NA", "1", "-"], "NA", r#"`nulls = ["NA", "-"]`"#),
            (&["1", "1,234"], "1,234", r#"`thousands = ","` or `decimal = ","`"#),
            (&["1,234.5", "12"], "1,234.5", r#"`thousands = ","`"#),
            (&["1,234", "NA", "0.5"], "1,234", r#"`nulls = ["NA"]` and `thousands = ","`"#),
            (&["1.234,5", "0,5"], "1.234,5", r#"`thousands = "."` and `decimal = ","`"#),
            (&["1 234", "12.5"], "1 234", r#"`thousands = " "`"#),
            (&["1'000", "7"], "1'000", r#"`thousands = "'"`"#),
            (&["0,5", "7"], "0,5", r#"`decimal = ","`"#),
        ] {
            assert_eq!(advice(texts), Some((first.to_owned(), options.to_owned())), "{texts:?}");
        }
        for texts in
            [&["1", "x"][..], &["NA", "-"], &["1", "2.5"], &["1,234.5", "0,5"], &["2024-01-01", "NA"], &["007", "1"]]
        {
            assert_eq!(advice(texts), None, "{texts:?}");
        }
    }

    #[test]
    fn numbers_with_another_decimal_mark_are_counted() {
        use DecimalMark::{Comma, Dot};
        for (texts, mark, row, odd, options) in [
            (&["1.5", "2.25", "3,7", "4", "5,25"][..], Dot, 3, 2, r#"`decimal = "either"`"#),
            (&["3,7", "1.5", "7"], Dot, 1, 1, r#"`decimal = "either"`"#),
            (&["1.5", "NA", "3,7"], Dot, 2, 2, r#"`nulls = ["NA"]` and `decimal = "either"`"#),
            (&["1.5", "3,7", "4,2"], Comma, 1, 1, r#"`decimal = "either"`"#),
        ] {
            let taken = taken(texts, mark);
            let expected = Advice { row, first: texts[row as usize - 1], options: options.to_owned(), odd: Some(odd) };
            assert_eq!(taken.advice(), Some(expected), "{texts:?}");
        }
        assert_eq!(taken(&["1.5", "3,7", "x"], Dot).advice(), None);
        let dots = taken(&["0.1", "2.5"], Comma);
        assert_eq!(dots.advice().map(|advice| advice.options), Some("`decimal = \".\"`".to_owned()));
    }
}
