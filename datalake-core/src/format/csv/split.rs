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
    /// A quote that is not closed; [`Splitter::give_up_line`] goes on after its line.
    Unclosed,
    /// More of the text is needed.
    More,
    /// The text is over.
    End,
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
                return if self.seen - self.start > LONGEST { Next::Unclosed } else { Next::More };
            }
            // A line end closes the last record, unless it is within quotes.
            match self.feed(at_end) {
                ReadRecordResult::Record => {
                    self.is_complete = true;
                    return Next::Record;
                }
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::End if at_end => return Next::Unclosed,
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
        for byte in &self.buffer[self.start..place] {
            self.line += u64::from(*byte == b'\r' || (*byte == b'\n' && self.last != b'\r'));
            self.last = *byte;
        }
        self.byte += (place - self.start) as u64;
        (self.start, self.seen) = (place, place);
        (self.output_end, self.fields, self.is_complete) = (0, 0, false);
    }

    /// Gives up the line in which the quote that is not closed stands; says its bytes.
    pub(crate) fn give_up_line(&mut self) -> Vec<u8> {
        let rest = &self.buffer[self.start..];
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let line = rest[..length].to_vec();
        self.core = core(self.dialect);
        self.step_to(self.start + length);
        line
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
                Next::Unclosed => {
                    let at = (splitter.line(), splitter.byte());
                    let line = splitter.give_up_line();
                    records.push((at.0, at.1, vec!["UNCLOSED".into(), String::from_utf8(line).unwrap()]));
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
            assert_eq!(records[1].2, ["UNCLOSED", "1,\"x"]);
            assert_eq!(records[2], (3, 9, vec!["2".into(), "y".into()]));
            assert_eq!(records.len(), 4);
        }
    }
}
