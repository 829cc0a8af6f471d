//! One record of a CSV text byte by byte, for where quotes stand astray: what it costs, and what can be had of it.

use super::structure::Syntax;

/// A record longer than this is taken for a quote that is not closed.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;

/// What stands at the start of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Careful {
    /// A record; the ends of its fields were noted.
    Record,
    /// A record given up because of a quote.
    GivenUp(GivenUp),
    /// More of the text is needed.
    More,
}

/// A record given up because of a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// Where the opening quote stands in the text.
    pub(crate) open: usize,
    /// What follows the closing quote, none if the quote is not closed.
    pub(crate) follows: Option<Vec<u8>>,
    /// Where what is given up ends, before a line end.
    pub(crate) end: usize,
}

/// A quoted field that is not closed, or not followed by a delimiter.
#[derive(Debug, Clone, Copy)]
struct Misquote {
    open: usize,
    close: Option<usize>,
}

/// Reads the record that begins at `start`, which is no line end; notes where its fields end.
///
/// A quote opens a field at its start alone, elsewhere it is a character. Behind a closing quote stands a delimiter or a
/// line end; where something else does, or nothing closes the quote, the record is given up: whole where its quoted fields
/// end in their lines, else up to the line in which the first of those begins that seem to have swallowed others.
pub(super) fn record(text: &[u8], start: usize, has_ended: bool, syntax: Syntax, ends: &mut Vec<u32>) -> Careful {
    let known = ends.len();
    let mut misquotes = Vec::new();
    let mut at = start;
    let whole = loop {
        if let Some(quote) = opening(text, at, syntax) {
            let open = at;
            let close = closing(text, at + 1, quote, syntax.escape);
            at = close.map_or(text.len(), |close| close + 1);
            // The quote at the end may be doubled, or closed, by what follows.
            if at == text.len() && !has_ended {
                break false;
            }
            if close.is_none() || text.get(at).is_some_and(|byte| !syntax.is_end(*byte)) {
                misquotes.push(Misquote { open, close });
                // Whatever follows does not matter.
                if close.is_some_and(|close| text[open..close].iter().any(is_line_end)) {
                    ends.truncate(known);
                    // But for what is said of it, which goes to the end of the line.
                    let is_told = has_ended || text[at..].iter().any(is_line_end);
                    if !is_told && text.len() - start <= LONGEST {
                        return Careful::More;
                    }
                    return Careful::GivenUp(give_up(text, start, at, &misquotes));
                }
            }
        }
        at = field_end(text, at, syntax).unwrap_or(text.len());
        match text.get(at) {
            None if !has_ended => break false,
            Some(byte) if *byte == syntax.delimiter => {
                ends.push(at as u32);
                at += 1;
            }
            _ => {
                // Of CR LF, the LF is the end.
                let is_two = text.get(at..at + 2) == Some(b"\r\n");
                ends.push((at + usize::from(is_two)) as u32);
                break true;
            }
        }
    };
    if whole && misquotes.is_empty() {
        return Careful::Record;
    }
    ends.truncate(known);
    if !whole && text.len() - start <= LONGEST {
        return Careful::More;
    }
    if !whole {
        misquotes.push(Misquote { open: last_open(text, start, syntax), close: None });
    }
    Careful::GivenUp(give_up(text, start, at, &misquotes))
}

/// The quote with which a field begins here.
fn opening(text: &[u8], at: usize, syntax: Syntax) -> Option<u8> {
    syntax.quote.filter(|quote| text.get(at) == Some(quote))
}

/// Where a field ends of which no more is quoted.
fn field_end(text: &[u8], mut at: usize, syntax: Syntax) -> Option<usize> {
    loop {
        let is_mark = |byte: &u8| syntax.is_end(*byte) || Some(*byte) == syntax.escape;
        at += text.get(at..)?.iter().position(is_mark)?;
        if Some(text[at]) != syntax.escape {
            return Some(at);
        }
        // An escaped line end is escaped as a whole.
        at += if text[at + 1..].starts_with(b"\r\n") { 3 } else { 2 };
    }
}

/// Where the quote stands that is open at the end of the text; `start` where none is.
fn last_open(text: &[u8], start: usize, syntax: Syntax) -> usize {
    let mut at = start;
    loop {
        if let Some(quote) = opening(text, at, syntax) {
            match closing(text, at + 1, quote, syntax.escape) {
                Some(close) => at = close + 1,
                None => return at,
            }
        }
        match field_end(text, at, syntax) {
            Some(end) => at = end + 1,
            None => return start,
        }
    }
}

fn give_up(text: &[u8], start: usize, end: usize, misquotes: &[Misquote]) -> GivenUp {
    let swallows = |misquote: &&Misquote| match misquote.close {
        Some(close) => text[misquote.open..close].iter().any(is_line_end),
        None => true,
    };
    let line_end = |from: usize| text[from..].iter().position(is_line_end).map_or(text.len(), |rest| from + rest);
    let swallowing = misquotes.iter().find(swallows);
    let worst = swallowing.or(misquotes.first()).copied().unwrap_or(Misquote { open: start, close: None });
    let end = if swallowing.is_some() { line_end(worst.open) } else { end };
    let follows = worst.close.map(|close| text[close + 1..line_end(close + 1)].to_vec());
    GivenUp { open: worst.open, follows, end }
}

/// Where a quoted field ends: at the first quote that is neither doubled nor escaped.
fn closing(text: &[u8], start: usize, quote: u8, escape: Option<u8>) -> Option<usize> {
    let mut at = start;
    loop {
        let rest = text.get(at..)?;
        at += match escape {
            None => memchr::memchr(quote, rest),
            Some(escape) => memchr::memchr2(quote, escape, rest),
        }?;
        if text[at] == quote && text.get(at + 1) != Some(&quote) {
            return Some(at);
        }
        at += 2;
    }
}

pub(super) fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// How many lines end in a text, `last` being the byte before it.
pub(super) fn line_ends(text: &[u8], last: u8) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', text).count();
    let alone = |at: usize| text.get(at + 1) != Some(&b'\n');
    let returns = memchr::memchr_iter(b'\r', text).filter(|at| alone(*at)).count();
    // Where a text ends between CR and LF, the CR counted as alone.
    let counted = usize::from(last == b'\r' && text.first() == Some(&b'\n'));
    (feeds + returns - counted) as u64
}
