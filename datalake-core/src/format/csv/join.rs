//! Several CSV texts as one: the header of each must be that of the first, and stands in the result once. A line of each that
//! says the delimiter is no row.

use std::sync::Arc;

use super::block::{Block, trimmed};
use super::careful::{self, Careful, is_line_end};
use super::column::unquoted;
use super::cut::Cutter;
use super::sniff::said_delimiter;
use super::structure::Syntax;
use crate::error::{Error, Result};
use crate::format::drive::Decode;
use crate::format::intake::escaped;
use crate::format::schema::shortened;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// How long a line is, at most, that says the delimiter.
const LONGEST_SAID: usize = b"sep=;".len();

/// Cuts a text that has several parts.
#[derive(Debug)]
pub(super) struct Joined {
    source: Arc<str>,
    cutter: Cutter,
    syntax: Syntax,
    has_header: bool,
    /// What the first part names its columns.
    names: Option<Vec<Vec<u8>>>,
    /// The part that is read, none if it is the first.
    part: Option<String>,
    /// The beginning of the part, up to the end of its header, or of its first line where there are none.
    head: Vec<u8>,
    is_in_head: bool,
    /// What is wrong with a header.
    error: Option<Error>,
}

impl Joined {
    pub(super) fn new(source: &Arc<str>, cutter: Cutter, syntax: Syntax, has_header: bool) -> Self {
        Self {
            source: Arc::clone(source),
            cutter,
            syntax,
            has_header,
            names: None,
            part: None,
            head: Vec::new(),
            // What the first part says before its header, or its rows, whoever cuts it passes over.
            is_in_head: has_header,
            error: None,
        }
    }

    /// Looks for the end of the header; what follows goes on.
    fn look(&mut self, has_ended: bool) {
        let text = &self.head[..];
        if text.len() < MARK.len() && !has_ended {
            return;
        }
        let begin = if text.starts_with(MARK) { MARK.len() } else { 0 };
        let line = text[begin..].split(is_line_end).next().unwrap_or_default();
        if begin + line.len() == text.len() && line.len() <= LONGEST_SAID && !has_ended {
            return;
        }
        let begin = if said_delimiter(line).is_some() { begin + line.len() } else { begin };
        if !self.has_header {
            self.cutter.push(&self.head[begin..]);
            self.head.clear();
            self.is_in_head = false;
            return;
        }
        let start = begin + text[begin..].iter().take_while(|byte| is_line_end(byte)).count();
        if start == text.len() {
            return;
        }
        let mut ends = Vec::new();
        let end = match careful::record(text, start, has_ended, self.syntax, &mut ends) {
            // What follows a CR may be the LF that belongs to it.
            Careful::Record if ends.last().is_some_and(|end| *end as usize + 1 >= text.len()) && !has_ended => return,
            Careful::Record => ends.last().map_or(start, |end| *end as usize),
            Careful::GivenUp(_) => start,
            Careful::More => return,
        };
        let names = self.fields(start, &ends);
        match (&self.names, &self.part) {
            (Some(first), Some(part)) if *first != names => {
                let texts = |names: &[Vec<u8>]| {
                    shortened(&names.iter().map(|name| escaped(name)).collect::<Vec<_>>().join(","))
                };
                self.error.get_or_insert_with(|| {
                    Error::invalid("read", format_args!("member `{part}` of {}", self.source))
                        .with_reason(format_args!(
                            "its columns are `{}`, those of the first member `{}`",
                            texts(&names),
                            texts(first)
                        ))
                        .with_hint("read each by itself, with `member = \"NAME\"`")
                });
            }
            // The line end stays, as a blank line.
            (Some(_), Some(_)) => self.cutter.push(&self.head[end.min(self.head.len())..]),
            _ => {
                self.names = Some(names);
                self.cutter.push(&self.head);
            }
        }
        self.head.clear();
        self.is_in_head = false;
    }

    fn fields(&self, start: usize, ends: &[u32]) -> Vec<Vec<u8>> {
        let mut start = start;
        let field = |end: &u32| {
            let field = trimmed(&self.head, start, *end as usize);
            start = *end as usize + 1;
            unquoted(field, self.syntax).into_owned()
        };
        ends.iter().map(field).collect()
    }
}

impl Decode for Joined {
    type Item = Block;

    fn push(&mut self, piece: &[u8]) {
        if !self.is_in_head {
            self.cutter.push(piece);
            return;
        }
        self.head.extend_from_slice(piece);
        self.look(false);
    }

    fn begin_part(&mut self, name: &str) {
        if self.is_in_head {
            self.look(true);
        }
        self.head.clear();
        self.cutter.end_part();
        self.cutter.push(b"\n");
        self.is_in_head = true;
        self.part = self.names.is_some().then(|| name.to_owned());
    }

    fn finish(&mut self) {
        if self.is_in_head {
            self.look(true);
        }
        self.cutter.finish();
    }

    fn next(&mut self) -> Result<Option<Block>> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.cutter.next(),
        }
    }
}
