//! Cuts a JSON text into records without parsing them: lines, the elements of an array, or those of an array within a
//! document. Only strings, escapes and brackets are looked at, so that a broken record costs no other.

use std::sync::Arc;

use crate::error::{Error, Position, Result};
use crate::format::intake::{BadRecord, Place, escaped};
use crate::format::names::nearest;
use crate::format::schema::shortened;

/// The longest record in bytes, a document without an array of rows included.
pub(super) const LONGEST: usize = 256 * 1024 * 1024;
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How the records lie in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One a line.
    Lines,
    /// As elements of an array.
    Array,
    /// As elements of the array that is a member of this name, or the only array of objects; a document without one
    /// is itself the only record.
    Document(Option<String>),
}

/// What comes next in the text.
#[derive(Debug)]
pub(crate) enum Next {
    /// A record, at hand until the next one is asked for.
    Record,
    /// A record that the end of the text cuts.
    Cut(BadRecord),
    /// More of the text is needed, or it is over.
    Wait,
}

/// The nesting of brackets and strings within a value.
#[derive(Debug, Clone, Copy, Default)]
struct Nest {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Nest {
    /// Takes a byte; says whether it closes the outermost bracket or string.
    fn closes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => {
                    self.in_string = false;
                    return self.depth == 0;
                }
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before the array or the document.
    Begin,
    /// Before the first element of an array, or its end.
    Open,
    /// Before an element, or, where a comma must come first, the array's end.
    Between { must_separate: bool },
    /// Within an element; whether it is a bare word such as a number, which the next separator ends.
    Element { nest: Nest, is_bare: bool },
    /// Before the first member's name, or the document's end.
    FirstMember,
    /// Before a member's name.
    Member,
    /// Within a member's name.
    Name { start: usize, is_escaped: bool },
    /// Before a member's value.
    Colon,
    /// After the colon.
    Value,
    /// After the bracket of a member that may hold the rows.
    Peek,
    /// Within the value of another member.
    Other { nest: Nest, is_bare: bool },
    /// After a member's value.
    Comma,
    /// After the end of array or document.
    After,
}

/// The state of cutting.
pub(crate) struct Framer {
    source: Arc<str>,
    layout: Layout,
    buffer: Vec<u8>,
    /// Where the record at hand, or in the making, begins and ends in the buffer.
    start: usize,
    end: usize,
    seen: usize,
    /// Up to where a line end was looked for.
    searched: usize,
    /// Of the buffer's first byte.
    byte: u64,
    /// Up to where line ends are counted, and how many lines there are so far.
    counted: usize,
    line: u64,
    row: u64,
    state: State,
    has_begun: bool,
    has_ended: bool,
    /// Whether what is there ends before a comma.
    is_block: bool,
    name: String,
    rows_in: Option<String>,
    left_out: Vec<String>,
}

impl Framer {
    pub(crate) fn new(source: &Arc<str>, layout: Layout) -> Self {
        Self {
            source: Arc::clone(source),
            layout,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            seen: 0,
            searched: 0,
            byte: 0,
            counted: 0,
            line: 1,
            row: 0,
            state: State::Begin,
            has_begun: false,
            has_ended: false,
            is_block: false,
            name: String::new(),
            rows_in: None,
            left_out: Vec::new(),
        }
    }

    /// Cuts a part of a text that has no byte order mark and begins at this byte: at the text's first record, or behind one.
    pub(super) fn within(source: &Arc<str>, layout: Layout, is_first: bool, byte: u64) -> Self {
        let state = if is_first { State::Begin } else { State::Between { must_separate: true } };
        Self { has_begun: true, state, byte, ..Self::new(source, layout) }
    }

    /// Whether it stands between two records of an array.
    fn is_between(&self) -> bool {
        matches!(self.state, State::Open | State::Between { .. })
    }

    /// Whether a block of an array ends here as it should, behind a record and before what separates it from the next.
    ///
    /// # Errors
    /// If it does not: then it is no JSON.
    pub(super) fn check_end(&mut self) -> Result<()> {
        match self.state {
            State::Between { must_separate: true } => Ok(()),
            // Blocks are cut before commas.
            State::Open | State::Between { must_separate: false } => {
                Err(self.error(self.seen, "expected a value, found `,`".to_owned()))
            }
            _ => Err(self.torn()),
        }
    }

    /// An error for a text that was cut where it is no JSON, so that where records end cannot be told.
    fn torn(&mut self) -> Error {
        let reason = format!("from `{}` on it is no JSON", shortened(&escaped(&self.buffer[self.start..])));
        self.error(self.start, reason)
    }

    /// Takes a piece of the text.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.count_lines(self.start);
        self.buffer.drain(..self.start);
        self.byte += self.start as u64;
        self.seen -= self.start;
        self.searched = self.searched.saturating_sub(self.start);
        self.end = self.end.saturating_sub(self.start);
        (self.start, self.counted) = (0, 0);
        self.buffer.extend_from_slice(piece);
    }

    /// Says that no piece follows.
    pub(crate) fn finish(&mut self) {
        self.has_ended = true;
    }

    /// Says that a comma follows, or the end of the array.
    pub(super) fn finish_block(&mut self) {
        self.is_block = true;
    }

    /// Goes on to the next record.
    pub(crate) fn next(&mut self) -> Result<Next> {
        if !self.has_begun && !self.begin() {
            return Ok(Next::Wait);
        }
        let is_record = match self.layout {
            Layout::Lines => self.next_line(),
            Layout::Array | Layout::Document(_) => self.next_element()?,
        };
        if is_record {
            self.row += 1;
            return Ok(Next::Record);
        }
        // Of a line that has not ended, nothing is seen.
        if self.seen.max(self.searched) - self.start > LONGEST {
            return Err(self.error(self.start, format!("a record is longer than {LONGEST} bytes")));
        }
        if self.has_ended && !self.is_over() {
            return Ok(Next::Cut(self.cut()));
        }
        Ok(Next::Wait)
    }

    /// Passes over the byte order mark; waits until it is clear whether there is one.
    fn begin(&mut self) -> bool {
        if self.buffer.len() < MARK.len() && !self.has_ended {
            return false;
        }
        if self.buffer.starts_with(MARK) {
            (self.start, self.end, self.seen) = (MARK.len(), MARK.len(), MARK.len());
        }
        self.has_begun = true;
        true
    }

    fn next_line(&mut self) -> bool {
        loop {
            self.start = self.seen;
            let rest = &self.buffer[self.start..];
            let known = self.searched.saturating_sub(self.start);
            let length = match memchr::memchr(b'\n', &rest[known..]) {
                Some(length) => known + length,
                None if self.has_ended && !rest.is_empty() => rest.len(),
                None => {
                    self.searched = self.buffer.len();
                    return false;
                }
            };
            let line = &rest[..length];
            let blank = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.seen = self.buffer.len().min(self.start + length + 1);
            if blank < length {
                self.end = self.start + line.trim_ascii_end().len();
                self.start += blank;
                return true;
            }
        }
    }

    fn next_element(&mut self) -> Result<bool> {
        while self.seen < self.buffer.len() {
            let byte = self.buffer[self.seen];
            self.seen += 1;
            if self.take(byte)? {
                return Ok(true);
            }
        }
        // As the comma would end it.
        Ok(self.is_block && matches!(self.state, State::Element { is_bare: true, .. }) && self.end_element())
    }

    /// Takes a byte; says whether it ends a record.
    fn take(&mut self, byte: u8) -> Result<bool> {
        match self.state {
            State::Element { .. } => Ok(self.take_in_element(byte)),
            State::Open => self.take_between(byte, false),
            State::Between { must_separate } => self.take_between(byte, must_separate),
            _ => self.take_in_document(byte),
        }
    }

    fn take_in_element(&mut self, byte: u8) -> bool {
        let State::Element { mut nest, is_bare } = self.state else { return false };
        if is_bare && (byte.is_ascii_whitespace() || matches!(byte, b',' | b']')) {
            self.seen -= 1;
            return self.end_element();
        }
        if nest.closes(byte) {
            return self.end_element();
        }
        self.state = State::Element { nest, is_bare };
        false
    }

    fn end_element(&mut self) -> bool {
        self.end = self.seen;
        self.state = State::Between { must_separate: true };
        true
    }

    fn take_between(&mut self, byte: u8, must_separate: bool) -> Result<bool> {
        self.start = self.seen;
        match byte {
            _ if byte.is_ascii_whitespace() => {}
            b']' if must_separate || matches!(self.state, State::Open) => {
                self.state = if self.rows_in.is_some() { State::Comma } else { State::After };
            }
            b',' if must_separate => self.state = State::Between { must_separate: false },
            _ if must_separate => return Err(self.unexpected("`,` or `]`")),
            b',' | b'}' | b']' => return Err(self.unexpected("a value")),
            _ => {
                self.start = self.seen - 1;
                let mut nest = Nest::default();
                nest.closes(byte);
                self.state = State::Element { nest, is_bare: !matches!(byte, b'"' | b'{' | b'[') };
            }
        }
        Ok(false)
    }

    fn take_in_document(&mut self, byte: u8) -> Result<bool> {
        let is_blank = byte.is_ascii_whitespace();
        match (self.state, byte) {
            (State::Name { start, is_escaped }, _) => self.take_in_name(byte, start, is_escaped),
            (State::Other { nest, is_bare }, _) => return Ok(self.take_in_other(byte, nest, is_bare)),
            (_, _) if is_blank => {}
            (State::Begin, b'[') if self.layout == Layout::Array => self.enter_array(),
            (State::Begin, b'{') if self.layout != Layout::Array => {
                self.start = self.seen - 1;
                self.state = State::FirstMember;
            }
            (State::Begin, _) => return Err(self.unexpected("`[` or `{`")),
            (State::FirstMember | State::Member, b'"') => {
                self.state = State::Name { start: self.seen - self.start, is_escaped: false }
            }
            (State::FirstMember | State::Comma, b'}') => return self.end_document(),
            (State::FirstMember, _) => return Err(self.unexpected("a member's name or `}`")),
            (State::Member, _) => return Err(self.unexpected("a member's name")),
            (State::Colon, b':') => self.state = State::Value,
            (State::Colon, _) => return Err(self.unexpected("`:`")),
            (State::Value, b'[') => self.take_array()?,
            (State::Value, _) => self.skip_value(byte),
            (State::Peek, b'{') => self.enter_rows()?,
            (State::Peek, _) => {
                let mut nest = Nest { depth: 1, ..Nest::default() };
                let is_over = nest.closes(byte);
                self.left_out.push(std::mem::take(&mut self.name));
                self.state = if is_over { State::Comma } else { State::Other { nest, is_bare: false } };
            }
            (State::Comma, b',') => self.state = State::Member,
            (State::Comma, _) => return Err(self.unexpected("`,` or `}`")),
            (_, _) => return Err(self.unexpected("the end of the text")),
        }
        Ok(false)
    }

    fn take_in_name(&mut self, byte: u8, start: usize, is_escaped: bool) {
        self.state = match byte {
            _ if is_escaped => State::Name { start, is_escaped: false },
            b'\\' => State::Name { start, is_escaped: true },
            b'"' => {
                let name = &self.buffer[self.start + start - 1..self.seen];
                self.name = serde_json::from_slice(name).unwrap_or_else(|_| escaped(name));
                State::Colon
            }
            _ => State::Name { start, is_escaped: false },
        };
    }

    /// An array that is the value of a member: the rows, if it is of that name, or begins with an object.
    fn take_array(&mut self) -> Result<()> {
        match &self.layout {
            Layout::Document(Some(rows)) if *rows == self.name => self.enter_rows_before_element(),
            Layout::Document(Some(_)) => self.skip_value(b'['),
            _ => self.state = State::Peek,
        }
        Ok(())
    }

    fn enter_rows_before_element(&mut self) {
        self.rows_in = Some(std::mem::take(&mut self.name));
        self.enter_array();
    }

    fn enter_array(&mut self) {
        self.start = self.seen;
        self.state = State::Open;
    }

    fn enter_rows(&mut self) -> Result<()> {
        if let Some(first) = &self.rows_in {
            let reason = format!("there are two arrays of objects in it, `{first}` and `{}`", self.name);
            return Err(Error::invalid("read", &self.source)
                .with_reason(reason)
                .with_hint("say which one holds the rows by the option `rows`"));
        }
        self.seen -= 1;
        self.enter_rows_before_element();
        Ok(())
    }

    fn skip_value(&mut self, first: u8) {
        self.left_out.push(std::mem::take(&mut self.name));
        let mut nest = Nest::default();
        nest.closes(first);
        self.state = State::Other { nest, is_bare: !matches!(first, b'"' | b'{' | b'[') };
    }

    fn take_in_other(&mut self, byte: u8, mut nest: Nest, is_bare: bool) -> bool {
        if self.rows_in.is_some() {
            self.start = self.seen;
        }
        if is_bare && (byte.is_ascii_whitespace() || matches!(byte, b',' | b'}')) {
            self.seen -= 1;
            self.start = self.start.min(self.seen);
            self.state = State::Comma;
        } else {
            self.state = if nest.closes(byte) { State::Comma } else { State::Other { nest, is_bare } };
        }
        false
    }

    /// The document's end: without an array of rows it is a record itself.
    fn end_document(&mut self) -> Result<bool> {
        self.state = State::After;
        if self.rows_in.is_some() {
            self.start = self.seen;
            return Ok(false);
        }
        if let Layout::Document(Some(rows)) = &self.layout {
            let error = Error::not_found("find", format_args!("the rows `{rows}` of {}", self.source));
            if self.left_out.contains(rows) {
                return Err(error.with_reason("the member of that name is no array"));
            }
            return Err(match nearest(self.left_out.iter().map(String::as_str), &[rows]) {
                Some(near) => error.with_hint(format_args!("the nearest member is `{near}`")),
                None => error.with_reason("the document has no members"),
            });
        }
        self.left_out.clear();
        self.end = self.seen;
        Ok(true)
    }

    /// Whether the text may end here.
    fn is_over(&self) -> bool {
        matches!((&self.layout, self.state), (Layout::Lines, _) | (_, State::Begin | State::After))
    }

    /// The end of a text that ends too early.
    fn cut(&mut self) -> BadRecord {
        self.row += 1;
        if self.is_between() {
            // The last record was whole, and was handed on.
            self.start = self.seen;
        }
        self.end = self.buffer.len();
        let raw = self.raw();
        let reason = if raw.trim_ascii().is_empty() {
            "the text ends before its array is closed".to_owned()
        } else {
            format!("the text ends within `{}`", shortened(&escaped(raw)))
        };
        let raw = escaped(raw);
        let place = self.place();
        self.state = State::After;
        (self.start, self.seen) = (self.end, self.end);
        BadRecord { place, column: None, code: "syntax", reason, raw }
    }

    fn unexpected(&mut self, wanted: &str) -> Error {
        let at = self.seen - 1;
        let found = escaped(&self.buffer[at..=at]);
        self.error(at, format!("expected {wanted}, found `{found}`"))
    }

    fn error(&mut self, at: usize, reason: String) -> Error {
        self.count_lines(at);
        let mut position = Position::default().with_line(self.line).with_byte(self.byte + at as u64);
        position.row = Some(self.row + 1);
        Error::invalid("read", &self.source).with_position(position).with_reason(reason)
    }

    fn count_lines(&mut self, to: usize) {
        if to > self.counted {
            let ends = self.buffer[self.counted..to].iter().filter(|byte| **byte == b'\n').count();
            self.line += ends as u64;
            self.counted = to;
        }
    }

    /// The record at hand.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where the record at hand stands.
    pub(crate) fn place(&mut self) -> Place {
        self.count_lines(self.start);
        Place { row: self.row, line: Some(self.line), byte: Some(self.byte + self.start as u64) }
    }

    /// The member that holds the rows, and the members that do not, as far as the text was seen.
    pub(crate) fn members(&self) -> Option<(&str, &[String])> {
        Some((self.rows_in.as_deref()?, &self.left_out))
    }
}

#[cfg(test)]
mod tests;
