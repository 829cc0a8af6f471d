//! Where the delimiters and line ends of a CSV text stand, 64 bytes at a time.
//!
//! Which of them stand within quotes is told without a branch, by a running exclusive or over the quotes (Langdale and
//! Lemire, "Parsing gigabytes of JSON per second", 2019). That holds where each quote stands where RFC 4180 has it; where
//! one does not, the scan stops, and whoever asked goes on by hand.

use crate::format::masks::{self, Kernel, Masks, STEP, Scalar, running_xor};

/// The characters that have a meaning; all differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) delimiter: u8,
    /// What encloses fields.
    pub(crate) quote: Option<u8>,
    /// What makes the next character one of the field's own.
    pub(crate) escape: Option<u8>,
    /// What begins a line that is no record.
    pub(crate) comment: Option<u8>,
}

/// A record: where it begins in its text, and which of the ends is that of its first field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) start: u32,
    pub(super) first: u32,
}

/// How far a text has been looked through.
#[derive(Debug, Clone)]
pub(super) struct Structure {
    syntax: Syntax,
    /// The first byte that was not looked at.
    pub(super) scanned: usize,
    /// Where the record begins that is not whole yet.
    pub(super) start: usize,
    /// Where each field ends: at a delimiter or a line end.
    pub(super) ends: Vec<u32>,
    pub(super) rows: Vec<Row>,
    /// How many ends belong to whole records.
    pub(super) whole: usize,
    carry: Carry,
}

/// What the bytes before say of those that follow; all are 0 or 1 but `inside`, which is none or all bits.
#[derive(Debug, Clone, Copy)]
struct Carry {
    inside: u64,
    /// A quote may open a field here.
    opens: u64,
    /// The byte before closed a field.
    closed: u64,
    /// A line begins here.
    line: u64,
    /// The byte before is the CR, not counted yet, of a line that is not blank.
    cr: u64,
}

const START: Carry = Carry { inside: 0, opens: 1, closed: 0, line: 1, cr: 0 };

impl Syntax {
    /// Fields between these two.
    #[cfg(test)]
    pub(crate) const fn new(delimiter: u8, quote: u8) -> Self {
        Self { delimiter, quote: Some(quote), escape: None, comment: None }
    }

    /// The bytes that make the structure, and which bits of the first of them count: all, or none where there is no quote.
    fn marks(self) -> ([u8; 4], u64) {
        let quotes = if self.quote.is_some() { u64::MAX } else { 0 };
        ([self.quote.unwrap_or_default(), self.delimiter, b'\n', b'\r'], quotes)
    }

    /// Whether a byte ends a field that is not quoted.
    #[inline(always)]
    pub(super) fn is_end(self, byte: u8) -> bool {
        byte == self.delimiter || matches!(byte, b'\n' | b'\r')
    }
}

/// A look through a text as far as there are 64 bytes more.
struct Whole<'a> {
    structure: &'a mut Structure,
    text: &'a [u8],
}

/// The same, where lines may be comments.
struct Commented<'a> {
    structure: &'a mut Structure,
    text: &'a [u8],
    comment: u8,
}

impl Kernel for Whole<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) -> Option<usize> {
        let Self { structure, text } = self;
        let (marks, quotes) = structure.syntax.marks();
        while let Some(bytes) = text[structure.scanned..].first_chunk::<STEP>() {
            structure.room();
            let [quote, rest @ ..] = masks.equal(bytes, marks);
            let stop = structure.step(text, quote & quotes, rest, 0, u64::MAX);
            if stop.is_some() {
                return stop;
            }
        }
        None
    }
}

impl Kernel for Commented<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) -> Option<usize> {
        let Self { structure, text, comment } = self;
        let (marks, quotes) = structure.syntax.marks();
        while let Some(bytes) = text[structure.scanned..].first_chunk::<STEP>() {
            structure.room();
            let ([quote, rest @ ..], [comments]) = (masks.equal(bytes, marks), masks.equal(bytes, [comment]));
            let stop = structure.step(text, quote & quotes, rest, comments, u64::MAX);
            if stop.is_some() {
                return stop;
            }
        }
        None
    }
}

impl Structure {
    pub(super) fn new(syntax: Syntax) -> Self {
        Self { syntax, scanned: 0, start: 0, ends: Vec::new(), rows: Vec::new(), whole: 0, carry: START }
    }

    /// Begins anew at the start of a record.
    pub(super) fn restart(&mut self, at: usize) {
        self.ends.truncate(self.whole);
        (self.scanned, self.start, self.carry) = (at, at, START);
    }

    /// Takes down a record of a text of this length, whose ends were noted by hand; the next one begins behind it.
    pub(super) fn record(&mut self, length: usize) {
        self.rows.push(Row { start: self.start as u32, first: self.whole as u32 });
        self.whole = self.ends.len();
        self.start = self.ends.last().map_or(self.start, |end| (*end as usize + 1).min(length));
    }

    /// Takes all whole records out, and counts what follows from `end` on.
    pub(super) fn cut(&mut self, end: usize) -> (Vec<u32>, Vec<Row>) {
        // As much again will be needed.
        let room = self.ends.len().max(STEP);
        let rest = self.ends[self.whole..].iter().map(|place| place - end as u32);
        let mut kept = Vec::with_capacity(room);
        kept.extend(rest);
        let mut ends = std::mem::replace(&mut self.ends, kept);
        ends.truncate(self.whole);
        let rows = std::mem::take(&mut self.rows);
        self.rows.reserve(rows.len());
        self.whole = 0;
        self.scanned = self.scanned.saturating_sub(end);
        self.start = self.start.saturating_sub(end);
        (ends, rows)
    }

    /// Looks through a text as far as there are 64 bytes more, or to its end if it `has_ended`. Stops at a quote that is not
    /// where it should be, at a comment, and before whatever may be escaped; says where.
    pub(super) fn scan(&mut self, text: &[u8], has_ended: bool) -> Option<usize> {
        if self.syntax.escape.is_some() {
            return (self.start < text.len()).then_some(text.len());
        }
        let stop = match self.syntax.comment {
            None => masks::run(Whole { structure: self, text }),
            Some(comment) => masks::run(Commented { structure: self, text, comment }),
        };
        if stop.is_some() || !has_ended || self.scanned >= text.len() {
            return stop;
        }
        let mut last = [0; STEP];
        let rest = text.len() - self.scanned;
        last[..rest].copy_from_slice(&text[self.scanned..]);
        self.room();
        let (marks, quotes) = self.syntax.marks();
        let [quote, others @ ..] = Scalar.equal(&last, marks);
        let comments = self.syntax.comment.map_or(0, |comment| Scalar.equal(&last, [comment])[0]);
        let there = !(u64::MAX << rest);
        let stop = self.step(text, quote & quotes & there, others, comments, there);
        self.scanned = self.scanned.min(text.len());
        stop
    }

    /// Makes room for the ends of a step.
    #[inline(always)]
    fn room(&mut self) {
        if self.ends.capacity() - self.ends.len() < STEP {
            self.ends.reserve(16 * 1024);
        }
    }

    /// Takes the next 64 bytes, of which those that are `there` are text.
    #[inline(always)]
    fn step(
        &mut self,
        text: &[u8],
        quote: u64,
        [delimiter, lf, cr]: [u64; 3],
        comment: u64,
        there: u64,
    ) -> Option<usize> {
        let carry = self.carry;
        let inside = running_xor(quote) ^ carry.inside;
        let (delimiter, lf, cr) = (delimiter & !inside, lf & !inside, cr & !inside);
        let line_ends = lf | cr;

        // A quote opens behind a delimiter, a line end or a quote that it doubles, and closes before one.
        let separators = delimiter | line_ends;
        let close = quote & !inside;
        let before = separators | close;
        let astray = quote & inside & !((before << 1) | carry.opens);
        let behind = (close << 1) | carry.closed;
        let begins = (line_ends << 1) | carry.line;
        let astray = astray | (behind & !(separators | quote) & there) | (comment & begins);

        // A line end is that of a record, unless the line is blank. CR LF is one, and the LF of it counts.
        let mut before_lf = lf >> 1;
        if cr >> 63 != 0 && text.get(self.scanned + STEP) == Some(&b'\n') {
            before_lf |= 1 << 63;
        }
        let waits = cr & before_lf;
        let after_cr = ((waits & !begins) << 1) | carry.cr;
        let record_ends = (lf & after_cr) | (line_ends & !begins & !waits);

        let stop = (astray != 0).then(|| self.scanned + astray.trailing_zeros() as usize);
        let kept = if astray == 0 { u64::MAX } else { (1 << astray.trailing_zeros()) - 1 };
        self.note(text, (delimiter | record_ends) & kept, record_ends & kept);
        self.carry = Carry {
            inside: ((inside as i64) >> 63) as u64,
            opens: before >> 63,
            closed: close >> 63,
            line: line_ends >> 63,
            cr: (waits & !begins) >> 63,
        };
        self.scanned += STEP;
        stop
    }

    /// Takes down where fields and records end.
    #[inline(always)]
    fn note(&mut self, text: &[u8], ends: u64, mut record_ends: u64) {
        // Texts are cut long before 4 GiB.
        let base = self.scanned as u32;
        let known = self.ends.len();
        let mut rest = ends;
        let count = ends.count_ones() as usize;
        let room = &mut self.ends.spare_capacity_mut()[..STEP];
        for places in room.chunks_exact_mut(8).take(count.div_ceil(8)) {
            for place in places {
                place.write(base.wrapping_add(rest.trailing_zeros()));
                rest &= rest.wrapping_sub(1);
            }
        }
        // SAFETY: at least `count` places were written, the first ones, and `room` has 64.
        unsafe { self.ends.set_len(known + count) };
        while record_ends != 0 {
            let place = record_ends.trailing_zeros();
            let up_to = ends & (u64::MAX >> (63 - place));
            // Blank lines before it are no part of a record.
            while matches!(text[self.start], b'\n' | b'\r') {
                self.start += 1;
            }
            self.rows.push(Row { start: self.start as u32, first: self.whole as u32 });
            self.whole = known + up_to.count_ones() as usize;
            self.start = self.scanned + place as usize + 1;
            record_ends &= record_ends.wrapping_sub(1);
        }
    }
}
