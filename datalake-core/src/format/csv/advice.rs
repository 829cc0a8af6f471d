//! What would make numbers of a column that is text: words that mean a missing value, groups of digits, a decimal comma.

use super::grouped::ungrouped;
use crate::format::cell::Kinds;
use crate::format::schema::shortened;
use crate::format::spec::DecimalMark;

/// Ways in which numbers may be written: the mark between groups of digits, and the decimal mark.
const WAYS: [(Option<char>, DecimalMark); 7] = [
    (None, DecimalMark::Dot),
    (Some(','), DecimalMark::Dot),
    (Some(' '), DecimalMark::Dot),
    (Some('\''), DecimalMark::Dot),
    (None, DecimalMark::Comma),
    (Some('.'), DecimalMark::Comma),
    (Some(' '), DecimalMark::Comma),
];

/// Words that stand for a missing value in many tables.
const WORDS: [&str; 16] =
    ["NA", "N/A", "n/a", "na", "#N/A", "NULL", "Null", "null", "None", "none", "nan", "NAN", "-", "--", "?", "\\N"];

/// In which ways all texts of a column are numbers or words for a missing value.
#[derive(Debug, Clone)]
pub(super) struct Lenient {
    /// A bit for each way.
    ways: u8,
    has_number: bool,
    /// The first of them that is no number with a dot.
    first: Option<String>,
    words: Vec<&'static str>,
}

impl Lenient {
    /// Of no text.
    pub(super) fn new() -> Self {
        Self { ways: (1 << WAYS.len()) - 1, has_number: false, first: None, words: Vec::new() }
    }

    #[inline(always)]
    pub(super) fn is_alive(&self) -> bool {
        self.ways != 0
    }

    /// Takes a text whose types with a dot are known.
    #[inline(always)]
    pub(super) fn take(&mut self, text: &[u8], with_dot: Kinds) {
        // An integer is one in all ways; what has a dot in it ends those with a comma, once.
        let is_plain = with_dot.has(Kinds::INT) || with_dot.has(Kinds::FLOAT) && self.ways >> 4 == 0;
        if is_plain {
            self.has_number = true;
        } else {
            self.take_other(text, with_dot);
        }
    }

    #[cold]
    fn take_other(&mut self, text: &[u8], with_dot: Kinds) {
        let text = str::from_utf8(text).unwrap_or_default();
        if let Some(word) = WORDS.into_iter().find(|word| *word == text) {
            self.first.get_or_insert_with(|| text.to_owned());
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
        if !with_dot.has(Kinds::FLOAT) {
            self.first.get_or_insert_with(|| shortened(text));
        }
    }

    /// Takes what comes of texts that follow.
    pub(super) fn absorb(&mut self, others: Self) {
        self.ways &= others.ways;
        self.has_number |= others.has_number;
        self.first = self.first.take().or(others.first);
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

    /// One of the texts that are no numbers as they stand, and the options that would make numbers of all.
    pub(super) fn advice(&self) -> Option<(&str, String)> {
        let first = self.first.as_deref().filter(|_| self.has_number && self.is_alive())?;
        let words: Vec<String> = self.words.iter().map(|word| serde_json::Value::from(*word).to_string()).collect();
        let nulls = (!words.is_empty()).then(|| format!("`nulls = [{}]`", words.join(", ")));
        let options = |(thousands, mark): (Option<char>, DecimalMark)| {
            let thousands = thousands.map(|mark| format!("`thousands = \"{mark}\"`"));
            let decimal = (mark == DecimalMark::Comma).then(|| "`decimal = \",\"`".to_owned());
            let all: Vec<String> = [nulls.clone(), thousands, decimal].into_iter().flatten().collect();
            all.join(" and ")
        };
        let alive = WAYS.iter().enumerate().filter(|(place, _)| self.ways >> place & 1 != 0);
        // Where nothing is grouped, marks of groups say nothing.
        let plain = |way: &(Option<char>, DecimalMark)| way.0.is_none();
        let mut ways: Vec<_> = alive.map(|(_, way)| *way).collect();
        if ways.first().is_some_and(|way| *way == WAYS[0]) {
            ways.truncate(1);
        } else if ways.iter().any(plain) {
            ways.retain(|way| plain(way) || way.1 == DecimalMark::Dot);
        }
        let ways: Vec<String> = ways.into_iter().map(options).collect();
        Some((first, ways.join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(texts: &[&str]) -> Option<(String, String)> {
        let (mut all, mut parts) = (Lenient::new(), Lenient::new());
        for text in texts {
            let kinds = Kinds::of(text, DecimalMark::Dot);
            let mut one = Lenient::new();
            one.take(text.as_bytes(), kinds);
            parts.absorb(one);
            all.take(text.as_bytes(), kinds);
        }
        assert_eq!(all.advice(), parts.advice());
        all.advice().map(|(first, options)| (first.to_owned(), options))
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
}
