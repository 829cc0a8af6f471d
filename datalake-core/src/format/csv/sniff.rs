//! What the first records of a CSV text show of how it is written: its delimiter, its quote, whether it has a header.

use super::block::trimmed;
use super::careful::{self, Careful, is_line_end};
use super::column::Reading;
use super::observe::kinds;
use super::structure::Syntax;
use crate::error::Result;
use crate::format::cell::Kinds;
use crate::format::drive::Decode;
use crate::format::spec::DecimalMark;

/// How many bytes are looked at.
pub(super) const HEAD: usize = 64 * 1024;
/// How many records are looked at.
const RECORDS: usize = 200;
/// The marks that may separate fields.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// The marks that may enclose fields.
const QUOTES: [u8; 2] = [b'"', b'\''];

/// The beginning of a text behind lines that are passed over.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
    /// The first bytes of the text, passed over or not.
    pub(super) first: Vec<u8>,
    /// How many lines come before it.
    to_skip: u64,
    /// What begins lines that come before it, too.
    comment: Option<u8>,
    has_begun: bool,
    /// Whether a line is passed over whose end has not come.
    is_passing: bool,
    /// Whether what follows is kept.
    is_there: bool,
    /// Whether lines were passed over.
    has_passed: bool,
}

impl Head {
    pub(super) fn new(to_skip: u64, comment: Option<u8>) -> Self {
        let (bytes, first) = (Vec::new(), Vec::new());
        let (has_begun, is_passing, is_there, has_passed) = (false, false, false, false);
        Self { bytes, first, to_skip, comment, has_begun, is_passing, is_there, has_passed }
    }

    /// The delimiter that the first line says.
    pub(super) fn said_delimiter(&self) -> Option<u8> {
        if self.has_passed { None } else { said_delimiter(self.bytes.split(is_line_end).next()?) }
    }

    fn pass_lines(&mut self, has_ended: bool) {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.has_begun {
            if self.bytes.len() < MARK.len() && !has_ended {
                return;
            }
            self.has_begun = true;
            if self.bytes.starts_with(MARK) {
                self.bytes.drain(..MARK.len());
            }
        }
        let mut at = 0;
        while let Some(first) = self.bytes.get(at).filter(|_| !self.is_there) {
            if !self.is_passing {
                if self.to_skip == 0 && is_line_end(first) {
                    at += 1;
                    continue;
                }
                self.is_passing = self.to_skip > 0 || Some(*first) == self.comment;
                self.is_there = !self.is_passing;
                continue;
            }
            let rest = &self.bytes[at..];
            let end = rest.iter().position(is_line_end).unwrap_or(rest.len());
            at += end;
            match rest[end..] {
                [] => break,
                // Whether there is an LF is not known yet.
                [b'\r'] if !has_ended => break,
                [b'\r', b'\n', ..] => at += 2,
                _ => at += 1,
            }
            self.is_passing = false;
            self.to_skip = self.to_skip.saturating_sub(1);
        }
        self.has_passed |= at > 0;
        self.bytes.drain(..at);
    }
}

/// The delimiter that a line `sep=;` says, with which spreadsheets know it, and which is no row.
pub(super) fn said_delimiter(line: &[u8]) -> Option<u8> {
    let is_delimiter =
        |mark: u8| matches!(mark, b'\t' | b' ') || mark.is_ascii_punctuation() && !QUOTES.contains(&mark);
    match line {
        [name @ .., mark] if name.eq_ignore_ascii_case(b"sep=") && is_delimiter(*mark) => Some(*mark),
        _ => None,
    }
}

impl Decode for Head {
    type Item = ();

    fn push(&mut self, piece: &[u8]) {
        self.first.extend(piece.iter().take(4 - self.first.len()));
        let room = HEAD.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(if self.is_there { &piece[..piece.len().min(room)] } else { piece });
        self.pass_lines(false);
        self.bytes.truncate(HEAD);
    }

    fn finish(&mut self) {
        self.pass_lines(true);
    }

    fn is_satisfied(&self) -> bool {
        self.bytes.len() >= HEAD
    }

    fn next(&mut self) -> Result<Option<()>> {
        Ok(None)
    }
}

/// The first records of a text.
#[derive(Debug)]
pub(super) struct Beginning<'a> {
    text: &'a [u8],
    /// Whether nothing follows.
    is_whole: bool,
}

impl<'a> Beginning<'a> {
    pub(super) fn new(head: &'a Head, is_whole: bool) -> Self {
        Self { text: &head.bytes, is_whole: is_whole && head.bytes.len() < HEAD }
    }

    /// The fields of the first records, as they stand; what is given up has none.
    fn records(&self, syntax: Syntax) -> Vec<Vec<&'a [u8]>> {
        let (text, mut records, mut ends, mut at) = (self.text, Vec::new(), Vec::new(), 0);
        while records.len() < RECORDS {
            at += text[at..].iter().take_while(|byte| is_line_end(byte)).count();
            if at >= text.len() {
                break;
            }
            if Some(text[at]) == syntax.comment {
                at += text[at..].iter().position(is_line_end).unwrap_or(text.len() - at);
                continue;
            }
            ends.clear();
            match careful::record(text, at, self.is_whole, syntax, &mut ends) {
                // What may be cut off is no record.
                Careful::More => break,
                Careful::GivenUp(given_up) => {
                    records.push(Vec::new());
                    at = given_up.end;
                }
                Careful::Record => {
                    let mut fields = Vec::with_capacity(ends.len());
                    for (index, end) in ends.iter().map(|end| *end as usize).enumerate() {
                        let is_last = index + 1 == ends.len();
                        fields.push(if is_last { trimmed(text, at, end) } else { &text[at..end] });
                        at = (end + 1).min(text.len());
                    }
                    records.push(fields);
                }
            }
        }
        records
    }

    /// The delimiter among `,`, `;`, tab and `|` that cuts the first records into the most fields, the same number each;
    /// a comma where none does.
    pub(super) fn delimiter(&self, quote: Option<u8>, escape: Option<u8>, comment: Option<u8>) -> u8 {
        let others = [quote, escape, comment];
        let candidates = DELIMITERS.into_iter().filter(|mark| !others.contains(&Some(*mark)));
        let cut = |delimiter: u8| Syntax { delimiter, quote, escape, comment };
        let scored: Vec<_> = candidates.map(|mark| (score(&self.records(cut(mark))), mark)).collect();
        // Where each comma is the mark of a number, another one separates.
        let has_other = scored.iter().any(|(score, mark)| *mark != b',' && *score > 0);
        let is_decimal = has_other && self.has_commas_in_numbers_alone();
        let mut best = (0, b',');
        for (score, mark) in scored {
            if score > best.0 && !(is_decimal && mark == b',') {
                best = (score, mark);
            }
        }
        if best.0 > 0 { best.1 } else { self.most_in_first_line() }
    }

    /// Whether each comma stands between two digits; those of a first line may stand in names.
    fn has_commas_in_numbers_alone(&self) -> bool {
        let first = self.text.iter().position(is_line_end).unwrap_or(self.text.len());
        let are_rows = !self.text[first..].trim_ascii().is_empty();
        let text = if are_rows { &self.text[first..] } else { self.text };
        let is_digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
        memchr::memchr_iter(b',', text).all(|at| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)))
    }

    /// Where no delimiter cuts alike, the one that the first line has most of.
    fn most_in_first_line(&self) -> u8 {
        let line = self.text.split(is_line_end).next().unwrap_or_default();
        let mut best = (0, b',');
        for candidate in DELIMITERS {
            let count = line.iter().filter(|byte| **byte == candidate).count();
            if count > best.0 {
                best = (count, candidate);
            }
        }
        best.1
    }

    /// The quote: `'` where fields begin and end with it and none with `"`; that is, where all values of a column do, or where
    /// records have as many fields each because of it. `of` makes the syntax with a quote.
    pub(super) fn quote(&self, of: impl Fn(u8) -> Syntax) -> u8 {
        let [usual, other] = QUOTES;
        if !self.text.contains(&other) {
            return usual;
        }
        let records = self.records(of(other));
        let fields = || records.iter().flatten();
        let is_quoted = |field: &[u8]| matches!(field, [first, .., last] if *first == other && *last == other);
        let is_clean = !records.iter().any(Vec::is_empty) && fields().all(|field| field.first() != Some(&usual));
        if !is_clean || !fields().any(|field| is_quoted(field)) {
            return usual;
        }
        let (first, rest) = records.split_first().map_or((0, &[][..]), |(first, rest)| (first.len(), rest));
        let is_column = |column: usize| {
            let mut values = rest.iter().filter_map(|record| record.get(column)).filter(|field| !field.is_empty());
            values.clone().nth(1).is_some() && values.all(|field| is_quoted(field))
        };
        let is_even = |records: &[Vec<&[u8]>]| records.windows(2).all(|pair| pair[0].len() == pair[1].len());
        let evens = first > 1 && is_even(&records) && !is_even(&self.records(of(usual)));
        if evens || (0..first).any(is_column) { other } else { usual }
    }

    /// Whether the first record names the columns: unless each of its values is of the type of those below, or of its own
    /// where there are none, and one of these types is not text. Where one is in `names`, it does.
    pub(super) fn has_header(&self, reading: &Reading, mark: Option<DecimalMark>, names: &[&str]) -> bool {
        let records = self.records(reading.syntax);
        let Some((first, rest)) = records.split_first().filter(|(first, _)| !first.is_empty()) else { return true };
        let texts: Vec<_> = first.iter().map(|field| reading.unquoted(field)).collect();
        if texts.iter().any(|text| names.iter().any(|name| name.as_bytes() == &**text)) {
            return true;
        }
        let marks = match (mark, reading.syntax.delimiter) {
            (Some(mark), _) => vec![mark],
            (None, b',') => vec![reading.mark(DecimalMark::Dot)],
            (None, _) => vec![reading.mark(DecimalMark::Dot), reading.mark(DecimalMark::Comma)],
        };
        let (mut has_type, mut has_value) = (false, false);
        for (column, text) in texts.iter().enumerate() {
            let of_column = |mark: DecimalMark| {
                let rest = rest.iter().filter(|record| record.len() == first.len());
                let values = rest.map(|record| reading.unquoted(record[column])).filter(|text| !reading.is_null(text));
                let mut common = None;
                for text in values {
                    let kinds = kinds(&text, mark, reading).and(common.unwrap_or(Kinds::ALL));
                    common = Some(kinds);
                    if kinds == Kinds::NONE {
                        break;
                    }
                }
                common
            };
            let is_missing = reading.is_null(text);
            has_value |= !is_missing;
            let below: Vec<_> = marks.iter().map(|mark| of_column(*mark)).collect();
            let own = |mark: DecimalMark| if is_missing { None } else { Some(kinds(text, mark, reading)) };
            // With the mark with which the column has a type.
            let known = |kinds: &Option<Kinds>| kinds.is_some_and(|kinds| kinds != Kinds::NONE);
            let place = below.iter().position(known).unwrap_or(0);
            let found = match (below[place], rest.is_empty()) {
                (None, true) => marks.iter().filter_map(|mark| own(*mark)).reduce(Kinds::or),
                (found, _) => found,
            };
            let Some(found) = found.filter(|kinds| *kinds != Kinds::NONE) else { continue };
            has_type = true;
            let kind = Kinds::of_type(&found.narrowest());
            if rest.is_empty() || is_missing || own(marks[place]).is_some_and(|own| own.has(kind)) {
                continue;
            }
            return true;
        }
        !(has_type && has_value)
    }
}

/// How many fields the records have, if they have the same number, more than one.
fn score(records: &[Vec<&[u8]>]) -> usize {
    let known = records.iter().position(Vec::is_empty).unwrap_or(records.len());
    let first = records.first().map_or(0, Vec::len);
    let alike = records[..known].iter().filter(|record| record.len() == first).count();
    // A few ragged rows are dirt; more mean that it is another delimiter.
    if first > 1 && alike * 10 >= known * 8 { first } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        let mut head = Head::new(0, None);
        head.push(text.as_bytes());
        head.finish();
        head
    }

    fn delimiter(text: &str) -> char {
        char::from(Beginning::new(&head(text), true).delimiter(Some(b'"'), None, None))
    }

    fn has_header(text: &str) -> bool {
        let syntax = Syntax::new(b',', b'"');
        let syntax = Syntax { delimiter: if text.contains(';') { b';' } else { b',' }, ..syntax };
        let reading = Reading::new(syntax, vec![String::new()], None);
        Beginning::new(&head(text), true).has_header(&reading, None, &[])
    }

    fn quote(text: &str) -> char {
        char::from(Beginning::new(&head(text), true).quote(|quote| Syntax::new(b',', quote)))
    }

    #[test]
    fn the_delimiter_is_that_of_the_records() {
        assert_eq!(delimiter("a;b\n1,5;2,5\n3,5;4\n"), ';');
        assert_eq!(delimiter("a,b,c\n\"x;y;z\",2,3\n"), ',');
        assert_eq!(delimiter("a\tb\n1\t2\n"), '\t');
        assert_eq!(delimiter("a|b\n1|2\n"), '|');
        assert_eq!(delimiter("a\n1\n"), ',');
        assert_eq!(delimiter("a;b"), ';');
        // Without a header, too, commas in numbers separate nothing.
        assert_eq!(delimiter("1,5;2,5\n3,5;4,5\n"), ';');
        assert_eq!(delimiter("1,5\n3,5\n"), ',');
        // As may those of names.
        assert_eq!(delimiter("energy, kcal;fat, g\n12,5;3,5\n8,25;0\n"), ';');
        assert_eq!(delimiter("name;x,y\nfoo;1,5\nbar;2,25\n"), ';');
        assert_eq!(delimiter("id,numbers\n1,2;3\n4,5;6\n"), ',');
        assert_eq!(delimiter("a;b,c"), ',');
        assert_eq!(delimiter("\"a;b\",\"c;d\"\n\"e;f\",\"g;h\"\n"), ',');
    }

    #[test]
    fn a_first_line_may_say_the_delimiter() {
        let said = |text: &str| head(text).said_delimiter().map(char::from);
        for (text, mark) in [
            ("sep=;\na;b\n", ';'),
            ("\u{feff}sep=,\r\na;b\r\n", ','),
            ("SEP=|\r1|2", '|'),
            ("sep=\t\n", '\t'),
            ("sep=\t", '\t'),
        ] {
            assert_eq!(said(text), Some(mark), "{text}");
        }
        for text in
            ["sep=\n", "sep=;;\n", "sep=a\n", "sep=\"\n", "\nsep=;\n", "sep;\n", "a;b\nsep=;\n", "\"sep=;\"\n", ""]
        {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn the_quote_is_the_usual_one_unless_columns_have_another() {
        assert_eq!(quote("id,x\n1,'a, b'\n2,'c'\n"), '\'');
        assert_eq!(quote("id,x\n1,'a'\n2,'c'\n"), '\'');
        assert_eq!(quote("id,x\n1,b\n2,'c,d'\n3,e\n"), '\'');
        for text in [
            "id,x\n1,'tis\n2,'twas\n",
            "id,x\n1,'a'\n2,b\n3,'c'\n",
            "id,x\n1,'a'\n2,\"b\"\n",
            "id,x\n1,'a' b\n2,'c'\n",
            "id,x\n1,a\n",
            "id,x\n1,'a'\n",
        ] {
            assert_eq!(quote(text), '"', "{text}");
        }
    }

    #[test]
    fn a_first_record_of_the_types_below_it_is_no_header() {
        // As DuckDB 2.0 has each of these.
        for text in [
            "1,2\n",
            "1,2\n3,4\n",
            "a,1\nb,2\n",
            "2019,2020\n1.5,2.5\n",
            ",2\n1,3\n",
            "a,2\n",
            "1,a\n2,b\n",
            "2024-01-01,a\n2024-01-02,b\n",
        ] {
            assert!(!has_header(text), "{text}");
        }
        for text in ["a,b\n", "x,y\n1,2\n", "1.5,2\n1,2\n", ",\n1,2\n", "a,b\nc,d\n", "id,x\n007,a\n008,b\n"] {
            assert!(has_header(text), "{text}");
        }
        assert!(!has_header("x;1,5\ny;2,5\n"));
        assert!(has_header("x;y\n1;2,5\n"));
        assert!(has_header("a,b\n,\n"));
    }

    #[test]
    fn lines_before_the_first_record_are_no_part_of_the_beginning() {
        let text = "\u{feff}one\r\n\"two\r\r\n# three\r\n\n#four\n\na,b\r\n1,#\n";
        for piece in 1..text.len() {
            let mut head = Head::new(3, Some(b'#'));
            text.as_bytes().chunks(piece).for_each(|piece| head.push(piece));
            head.finish();
            assert_eq!(head.bytes, b"a,b\r\n1,#\n", "pieces of {piece}");
        }
    }
}
