//! Cuts a CSV text into records and their fields, and knows where each begins.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// A record longer than this is taken for a quote that is not closed.
const LONGEST: usize = 16 * 1024 * 1024;

/// What separates and encloses fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
}

/// What comes next in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A record, at hand until the next one is asked for.
    Record,
    /// A field whose quotes are not as they should be; [`Splitter::give_up`] goes on after what it costs.
    Misquoted,
    /// More of the text is needed.
    More,
    /// The text is over.
    End,
}

/// A record given up because of a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// The line of the opening quote, from 1.
    pub(crate) line: u64,
    /// What follows the closing quote, none if the quote is not closed.
    pub(crate) follows: Option<Vec<u8>>,
    /// The bytes given up.
    pub(crate) raw: Vec<u8>,
}

/// A quoted field of a record that is not closed, or not followed by a delimiter; places count from the record's start.
#[derive(Debug, Clone, Copy)]
struct Misquote {
    open: usize,
    close: Option<usize>,
}

/// The state of cutting.
pub(crate) struct Splitter {
    core: Reader,
    dialect: Dialect,
    buffer: Vec<u8>,
    /// Where the record at hand, or in the making, begins in the buffer.
    start: usize,
    /// What the parser has seen of the buffer.
    seen: usize,
    output: Vec<u8>,
    output_end: usize,
    ends: Vec<usize>,
    fields: usize,
    is_complete: bool,
    has_ended: bool,
    /// Of `start`.
    byte: u64,
    line: u64,
    last: u8,
}

impl Splitter {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            core: core(dialect),
            dialect,
            buffer: Vec::new(),
            start: 0,
            seen: 0,
            output: vec![0; 1024],
            output_end: 0,
            ends: vec![0; 64],
            fields: 0,
            is_complete: false,
            has_ended: false,
            byte: 0,
            line: 1,
            last: b'\n',
        }
    }

    /// Takes a piece of the text.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// Passes over the first bytes, which are no part of the text.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.step_to(self.start + bytes);
    }

    /// Says that no piece follows.
    pub(crate) fn finish(&mut self) {
        self.has_ended = true;
    }

    /// Goes on to the next record.
    pub(crate) fn next(&mut self) -> Next {
        if self.is_complete {
            self.step_to(self.seen);
        }
        self.skip_line_ends();
        loop {
            let at_end = self.seen == self.buffer.len();
            if at_end && self.start == self.seen {
                return if self.has_ended { Next::End } else { Next::More };
            }
            if at_end && !self.has_ended {
                return if self.seen - self.start > LONGEST { Next::Misquoted } else { Next::More };
            }
            // A line end closes the last record, unless it is within quotes.
            match self.feed(at_end) {
                ReadRecordResult::Record => {
                    self.is_complete = true;
                    return if self.misquotes().is_empty() { Next::Record } else { Next::Misquoted };
                }
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::End if at_end => return Next::Misquoted,
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
    }

    fn feed(&mut self, at_end: bool) -> ReadRecordResult {
        let input = if at_end { &b"\n"[..] } else { &self.buffer[self.seen..] };
        let (output, ends) = (&mut self.output[self.output_end..], &mut self.ends[self.fields..]);
        let (result, taken, given, ended) = self.core.read_record(input, output, ends);
        if !at_end {
            self.seen += taken;
        }
        self.output_end += given;
        self.fields += ended;
        result
    }

    /// Line ends before a record, blank lines among them, are no part of it.
    fn skip_line_ends(&mut self) {
        if self.start == self.seen {
            let ends = self.buffer[self.start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            self.step_to(self.start + ends);
        }
    }

    /// Begins a new record at a place of the buffer.
    fn step_to(&mut self, place: usize) {
        let passed = &self.buffer[self.start..place];
        self.line += line_ends(passed, self.last);
        self.last = passed.last().copied().unwrap_or(self.last);
        self.byte += (place - self.start) as u64;
        (self.start, self.seen) = (place, place);
        (self.output_end, self.fields, self.is_complete) = (0, 0, false);
    }

    /// All fields of the record at hand whose quotes are not as they should be. `csv-core` would repair them, and so
    /// hide that a quote which was never closed has swallowed the lines up to the next one.
    fn misquotes(&self) -> Vec<Misquote> {
        let record = self.raw();
        let Dialect { delimiter, quote } = self.dialect;
        let mut found = Vec::new();
        if !record.contains(&quote) {
            return found;
        }
        let mut at = 0;
        while at < record.len() {
            if record[at] == quote {
                let (open, close) = (at, closing(record, at + 1, quote));
                at = close.map_or(record.len(), |close| close + 1);
                if close.is_none() || record.get(at).is_some_and(|byte| *byte != delimiter) {
                    found.push(Misquote { open, close });
                }
            }
            let rest = record[at..].iter().position(|byte| *byte == delimiter);
            at = rest.map_or(record.len(), |rest| at + rest + 1);
        }
        found
    }

    /// Gives up the record at hand: all of it where its fields end in their lines, else only up to the line in which
    /// the first of those begins that seem to have swallowed others.
    pub(crate) fn give_up(&mut self) -> GivenUp {
        let misquotes = self.misquotes();
        let record = self.raw();
        let swallows = |misquote: &&Misquote| match misquote.close {
            Some(close) => record[misquote.open..close].iter().any(is_line_end),
            None => true,
        };
        let swallowing = misquotes.iter().find(swallows);
        let worst = swallowing.or(misquotes.first()).copied().unwrap_or(Misquote { open: 0, close: None });
        let length = match swallowing {
            None if self.is_complete => record.len(),
            _ => worst.open + record[worst.open..].iter().take_while(|byte| !is_line_end(byte)).count(),
        };
        let follows = worst.close.map(|close| {
            let rest = &record[close + 1..];
            rest[..rest.iter().take_while(|byte| !is_line_end(byte)).count()].to_vec()
        });
        let line = self.line + line_ends(&record[..worst.open], self.last);
        let raw = record[..length].to_vec();
        self.core = core(self.dialect);
        self.step_to(self.start + length);
        GivenUp { line, follows, raw }
    }

    /// How many fields the record at hand has.
    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// All fields of the record at hand, one after another, without quotes and delimiters.
    pub(crate) fn text(&self) -> &[u8] {
        &self.output[..self.output_end]
    }

    /// Where each field ends in [`Splitter::text`].
    pub(crate) fn ends(&self) -> &[usize] {
        &self.ends[..self.fields]
    }

    /// The record at hand as it stands in the source, without its line end.
    pub(crate) fn raw(&self) -> &[u8] {
        let raw = &self.buffer[self.start..self.seen];
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        raw.strip_suffix(b"\r").unwrap_or(raw)
    }

    /// The line in which the record at hand begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The byte with which it begins, from 0.
    pub(crate) fn byte(&self) -> u64 {
        self.byte
    }
}

/// Where a quoted field ends: at the first quote that is not doubled.
fn closing(record: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    loop {
        at += record[at..].iter().position(|byte| *byte == quote)?;
        if record.get(at + 1) != Some(&quote) {
            return Some(at);
        }
        at += 2;
    }
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// How many lines end in a text, `last` being the byte before it.
fn line_ends(text: &[u8], mut last: u8) -> u64 {
    let mut lines = 0;
    for byte in text {
        lines += u64::from(*byte == b'\r' || (*byte == b'\n' && last != b'\r'));
        last = *byte;
    }
    lines
}

fn core(dialect: Dialect) -> Reader {
    ReaderBuilder::new().delimiter(dialect.delimiter).quote(dialect.quote).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { delimiter: b',', quote: b'"' };

    fn split(text: &[u8], piece: usize) -> Vec<(u64, u64, Vec<String>)> {
        let mut splitter = Splitter::new(COMMA);
        let mut records = Vec::new();
        let mut pieces = text.chunks(piece);
        loop {
            match splitter.next() {
                Next::More => match pieces.next() {
                    Some(piece) => splitter.push(piece),
                    None => splitter.finish(),
                },
                Next::Record => {
                    let mut start = 0;
                    let text = String::from_utf8(splitter.text().to_vec()).unwrap();
                    let fields =
                        splitter.ends().iter().map(|end| text[std::mem::replace(&mut start, *end)..*end].to_owned());
                    let fields = fields.collect();
                    records.push((splitter.line(), splitter.byte(), fields));
                }
                Next::Misquoted => {
                    let at = (splitter.line(), splitter.byte());
                    let raw = splitter.give_up().raw;
                    records.push((at.0, at.1, vec!["MISQUOTED".into(), String::from_utf8(raw).unwrap()]));
                }
                Next::End => return records,
            }
        }
    }

    #[test]
    fn records_know_where_they_begin_however_the_text_is_cut() {
        let text = b"a,b\r\n\r\n1,\"x\r\ny\"\n\n2,\"\"\"\"\r3,";
        let expected =
            [(1, 0, vec!["a", "b"]), (3, 7, vec!["1", "x\r\ny"]), (6, 17, vec!["2", "\""]), (7, 24, vec!["3", ""])];
        for piece in 1..=text.len() {
            let records = split(text, piece);
            assert_eq!(records.len(), expected.len());
            for (found, expected) in records.iter().zip(&expected) {
                assert_eq!((found.0, found.1), (expected.0, expected.1), "pieces of {piece}");
                assert_eq!(found.2, expected.2);
            }
        }
    }

    #[test]
    fn an_unclosed_quote_costs_its_line_and_no_more() {
        for piece in [1, 3, 100] {
            let records = split(b"a,b\n1,\"x\n2,y\n3,z\n", piece);
            assert_eq!(records[1].2, ["MISQUOTED", "1,\"x"]);
            assert_eq!(records[2], (3, 9, vec!["2".into(), "y".into()]));
            assert_eq!(records.len(), 4);
        }
    }

    #[test]
    fn a_quote_that_closes_the_field_of_another_line_costs_one_line_each() {
        let text = b"1,\"a\"b,c\n2,\"p\n3,\"q\n4,z\n5,\"r\ns\",\"t\n6,\"u\n7,\"x\"y,\"v\nw\"\n8,\"\"\"\"\n";
        for piece in 1..=text.len() {
            let records = split(text, piece);
            let bad: Vec<_> = records.iter().filter(|found| found.2[0] == "MISQUOTED").collect();
            let raw: Vec<_> = bad.iter().map(|found| (found.0, found.2[1].as_str())).collect();
            let expected = [
                (1, "1,\"a\"b,c"),
                (2, "2,\"p"),
                (3, "3,\"q"),
                (5, "5,\"r\ns\",\"t"),
                (7, "6,\"u"),
                (8, "7,\"x\"y,\"v\nw\""),
            ];
            assert_eq!(raw, expected, "pieces of {piece}");
            let good: Vec<_> = records.iter().filter(|found| found.2[0] != "MISQUOTED").collect();
            assert_eq!(good, [&(4, 19, vec!["4".to_owned(), "z".into()]), &(10, 52, vec!["8".into(), "\"".into()])]);
        }
    }
}
