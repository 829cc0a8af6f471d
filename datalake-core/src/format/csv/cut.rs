//! Cuts a CSV text into blocks of whole records, in which all fields are found.

use super::block::{Block, Gap, MARK};
use super::careful::{self, Careful, line_ends};
use super::column::unquoted;
use super::structure::{Row, Structure, Syntax};
use crate::error::Result;
use crate::format::drive::Decode;

/// Gives blocks.
#[derive(Debug)]
pub(super) struct Cutter {
    syntax: Syntax,
    /// Not looked at before the first bytes are there: they may be a byte order mark.
    has_begun: bool,
    text: Vec<u8>,
    byte: u64,
    before: u8,
    structure: Structure,
    given_up: Vec<Gap>,
    /// Whether the first record, which names the columns, is still to come.
    has_header: bool,
    /// A place that cannot be cut at once.
    astray: Option<usize>,
    /// How long the text must be before the record there is tried again.
    enough: usize,
    /// Whether what comes is the rest of a line that was given up, or is a comment.
    is_past: bool,
    /// How many lines still come before the first record.
    to_skip: u64,
    skipped: u64,
    has_ended: bool,
    /// How many bytes make a block.
    size: usize,
}

impl Cutter {
    pub(super) fn new(syntax: Syntax, has_header: bool, size: usize) -> Self {
        Self {
            has_header,
            syntax,
            has_begun: false,
            text: Vec::new(),
            byte: 0,
            before: b'\n',
            structure: Structure::new(syntax),
            given_up: Vec::new(),
            astray: None,
            enough: 0,
            is_past: false,
            to_skip: 0,
            skipped: 0,
            has_ended: false,
            size: size.max(1),
        }
    }

    /// Passes over so many lines at the start.
    pub(super) fn skipping(mut self, lines: u64) -> Self {
        self.to_skip = lines;
        self
    }

    /// Ends the record that has not ended, and quotes that are open, as at the end of the text; another part follows.
    pub(super) fn end_part(&mut self) {
        self.has_ended = true;
        self.look();
        self.has_ended = false;
        self.structure.restart(self.text.len());
    }

    fn look(&mut self) {
        if !self.has_begun {
            if self.text.len() < MARK.len() && !self.has_ended {
                return;
            }
            self.has_begun = true;
            if self.text.starts_with(MARK) {
                self.structure.restart(MARK.len());
            }
        }
        if self.to_skip > 0 && !self.pass_first_lines() {
            return;
        }
        if self.is_past && !self.pass_line() || self.text.len() < self.enough && !self.has_ended {
            return;
        }
        loop {
            if self.astray.is_none() {
                self.astray = self.structure.scan(&self.text, self.has_ended);
            }
            if self.astray.is_none() && self.has_ended {
                self.last_record();
            }
            if self.astray.is_none() && self.text.len() - self.structure.start > careful::LONGEST {
                self.astray = Some(self.structure.start);
            }
            let Some(astray) = self.astray else { return };
            self.enough = 0;
            if !self.step_aside(astray) {
                // Twice as much, lest a long record be looked through again and again.
                let known = self.text.len() - self.structure.start;
                self.enough = self.structure.start + (2 * known).min(careful::LONGEST + 1);
                return;
            }
            self.astray = None;
            if self.is_past {
                return;
            }
        }
    }

    /// Goes on to the end of the line; says whether it is there.
    fn pass_line(&mut self) -> bool {
        let rest = &self.text[self.structure.start..];
        let end = rest.iter().position(careful::is_line_end);
        self.is_past = end.is_none();
        let at = self.structure.start + end.unwrap_or(rest.len());
        self.structure.restart(at);
        !self.is_past
    }

    /// Goes on to the first line that is not passed over; says whether it is there.
    fn pass_first_lines(&mut self) -> bool {
        while self.to_skip > 0 {
            let start = self.structure.start;
            let Some(line) = self.text[start..].iter().position(careful::is_line_end) else {
                self.structure.restart(self.text.len());
                return false;
            };
            let end = start + line;
            let next = match (self.text[end], self.text.get(end + 1)) {
                (b'\r', Some(b'\n')) => end + 2,
                // Whether there is an LF is not known yet.
                (b'\r', None) if !self.has_ended => {
                    self.structure.restart(end);
                    return false;
                }
                _ => end + 1,
            };
            self.structure.restart(next);
            self.to_skip -= 1;
        }
        true
    }

    /// Drops what is no part of a record, where there are none.
    fn drop_blanks(&mut self) {
        if self.astray.is_none() && !self.is_past && self.to_skip == 0 {
            self.skip_line_ends();
        }
        let end = self.structure.start.min(self.structure.scanned);
        if end > 0 {
            self.skipped += line_ends(&self.text[..end], self.before);
            self.before = self.text[end - 1];
            self.text.drain(..end);
            self.byte += end as u64;
            self.move_to(end);
        }
    }

    /// Counts places from `end` on.
    fn move_to(&mut self, end: usize) -> (Vec<u32>, Vec<Row>) {
        self.astray = self.astray.map(|astray| astray.saturating_sub(end));
        self.enough = self.enough.saturating_sub(end);
        self.structure.cut(end)
    }

    /// The text may end without a line end, but not within quotes.
    fn last_record(&mut self) {
        self.skip_line_ends();
        if self.structure.start < self.text.len() {
            self.astray = Some(self.structure.start);
        }
    }

    fn skip_line_ends(&mut self) {
        let blank = self.text[self.structure.start..].iter().take_while(|byte| careful::is_line_end(byte)).count();
        self.structure.start += blank;
    }

    /// Goes on record by record until a place is passed; says whether there was text enough.
    fn step_aside(&mut self, astray: usize) -> bool {
        self.structure.ends.truncate(self.structure.whole);
        loop {
            self.skip_line_ends();
            let start = self.structure.start;
            if start >= self.text.len() || start > astray || self.is_past {
                self.structure.restart(start);
                return true;
            }
            if self.syntax.comment == Some(self.text[start]) {
                // It may be as long as it likes: what is passed over is not kept.
                self.is_past = true;
                self.pass_line();
                continue;
            }
            match careful::record(&self.text, start, self.has_ended, self.syntax, &mut self.structure.ends) {
                Careful::More => return false,
                Careful::Record => self.structure.record(self.text.len()),
                Careful::GivenUp(given_up) => {
                    self.structure.start = given_up.end;
                    // What is longer than a record may be has no line end so far.
                    self.is_past = given_up.end == self.text.len() && !self.has_ended;
                    self.given_up.push(Gap { rows: self.structure.rows.len(), start, given_up });
                }
            }
        }
    }

    /// The whole records so far.
    fn cut(&mut self) -> Block {
        // Line ends before the next record go with it.
        let end = self.structure.start;
        let rest = self.text.split_off(end);
        let text = std::mem::replace(&mut self.text, rest);
        let (ends, rows) = self.move_to(end);
        let skipped = std::mem::take(&mut self.skipped);
        let (byte, before, given_up) = (self.byte, self.before, std::mem::take(&mut self.given_up));
        self.byte += end as u64;
        self.before = text.last().copied().unwrap_or(before);
        let is_last = self.has_ended;
        let mut block = Block { text, byte, skipped, before, header: None, ends, rows, given_up, is_last };
        // A header that was given up stays among the records, where it is told of.
        if std::mem::take(&mut self.has_header) && block.given_up.first().is_none_or(|gap| gap.rows > 0) {
            let width = block.width(0);
            let names = (0..width).map(|column| unquoted(block.field(0, column), self.syntax).into_owned());
            block.header = Some(names.collect());
            block.rows.remove(0);
            block.given_up.iter_mut().for_each(|gap| gap.rows -= 1);
        }
        block
    }
}

impl Decode for Cutter {
    type Item = Block;

    fn push(&mut self, piece: &[u8]) {
        if self.text.capacity() - self.text.len() < piece.len() {
            // For a block at once, rather than bit by bit.
            self.text.reserve(self.size + piece.len());
        }
        self.text.extend_from_slice(piece);
    }

    fn finish(&mut self) {
        self.has_ended = true;
    }

    fn next(&mut self) -> Result<Option<Block>> {
        if self.text.len() < self.size && !self.has_ended {
            return Ok(None);
        }
        self.look();
        let has_records = !self.structure.rows.is_empty() || !self.given_up.is_empty();
        if !has_records {
            self.drop_blanks();
            return Ok(None);
        }
        Ok(Some(self.cut()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::csv::block::trimmed;
    use proptest::prelude::*;

    const COMMA: Syntax = Syntax::new(b',', b'"');

    /// Where a record stands and its fields, or what was given up.
    type Found = (u64, u64, Vec<String>);

    fn cut(text: &[u8], piece: usize, size: usize) -> Vec<Found> {
        cut_as(COMMA, 0, text, piece, size)
    }

    fn cut_as(syntax: Syntax, skip_lines: u64, text: &[u8], piece: usize, size: usize) -> Vec<Found> {
        let mut cutter = Cutter::new(syntax, false, size).skipping(skip_lines);
        let (mut found, mut lines) = (Vec::new(), 1);
        let mut pieces = text.chunks(piece);
        loop {
            while let Some(block) = cutter.next().unwrap() {
                lines += block.skipped;
                take(&block, syntax, lines, &mut found);
                lines += block.lines(0, block.text.len());
            }
            match pieces.next() {
                Some(piece) => cutter.push(piece),
                None if cutter.has_ended => return found,
                None => cutter.finish(),
            }
        }
    }

    fn take(block: &Block, syntax: Syntax, lines: u64, found: &mut Vec<Found>) {
        let place = |start: usize| (lines + block.lines(0, start), block.byte + start as u64);
        let gap = |gap: &Gap| {
            let (line, byte) = place(gap.start);
            let raw = String::from_utf8_lossy(&block.text[gap.start..gap.given_up.end]).into_owned();
            (line, byte, vec!["GIVEN UP".to_owned(), raw])
        };
        let mut gaps = block.given_up.iter().peekable();
        for row in 0..block.rows() {
            while let Some(before) = gaps.next_if(|gap| gap.rows <= row) {
                found.push(gap(before));
            }
            let text = |field: &[u8]| String::from_utf8_lossy(&unquoted(field, syntax)).into_owned();
            let (line, byte) = place(block.start(row));
            assert_eq!(block.number(row), (row + block.given_up.len() - gaps.len()) as u64);
            found.push((line, byte, (0..block.width(row)).map(|column| text(block.field(row, column))).collect()));
        }
        found.extend(gaps.map(gap));
    }

    /// The same, record by record.
    fn by_hand(text: &[u8], syntax: Syntax, skip_lines: u64) -> Vec<Found> {
        let (mut found, mut at) = (Vec::new(), if text.starts_with(MARK) { 3 } else { 0 });
        let line_end = |at: usize| text[at..].iter().position(careful::is_line_end).map(|end| at + end);
        for _ in 0..skip_lines {
            let Some(end) = line_end(at) else { return found };
            at = end + if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        }
        loop {
            at += text[at..].iter().take_while(|byte| careful::is_line_end(byte)).count();
            if at >= text.len() {
                return found;
            }
            if Some(text[at]) == syntax.comment {
                at = line_end(at).unwrap_or(text.len());
                continue;
            }
            let place = (1 + line_ends(&text[..at], b'\n'), at as u64);
            let mut ends = Vec::new();
            match careful::record(text, at, true, syntax, &mut ends) {
                Careful::More => unreachable!("the text has ended"),
                Careful::GivenUp(given_up) => {
                    let raw = String::from_utf8_lossy(&text[at..given_up.end]).into_owned();
                    found.push((place.0, place.1, vec!["GIVEN UP".to_owned(), raw]));
                    at = given_up.end;
                }
                Careful::Record => {
                    let mut start = at;
                    let mut fields = Vec::new();
                    for (index, end) in ends.iter().enumerate() {
                        let end = *end as usize;
                        let field = if index + 1 == ends.len() { trimmed(text, start, end) } else { &text[start..end] };
                        fields.push(String::from_utf8_lossy(&unquoted(field, syntax)).into_owned());
                        start = end + 1;
                    }
                    found.push((place.0, place.1, fields));
                    at = start.min(text.len());
                }
            }
        }
    }

    fn all_ways(text: &[u8]) {
        all_ways_as(COMMA, 0, text);
    }

    fn all_ways_as(syntax: Syntax, skip_lines: u64, text: &[u8]) {
        let expected = by_hand(text, syntax, skip_lines);
        for (piece, size) in [(1, 1), (3, 1), (7, 20), (64, 1), (65, 64), (1000, 1), (1000, 1000)] {
            let found = cut_as(syntax, skip_lines, text, piece, size);
            assert_eq!(found, expected, "pieces of {piece}, blocks of {size}, {syntax:?}");
        }
    }

    /// With and without each mark beside the delimiter.
    fn syntaxes() -> impl Iterator<Item = Syntax> {
        (0..8).map(|marks| Syntax {
            delimiter: b',',
            quote: (marks & 1 != 0).then_some(b'"'),
            escape: (marks & 2 != 0).then_some(b'\\'),
            comment: (marks & 4 != 0).then_some(b'#'),
        })
    }

    #[test]
    fn marks_mean_what_they_mean_at_every_place_of_a_step() {
        let tricky = "#a,\"b\r\nid,na\\,me\r\n# c\n\n#\r1,\"a \\\" \"\"b\"\"\n#c\"\n#\"x\"\n2,#x\\\n3,\"\\\\\"\n#,\r\n4,\\\r\n5,x\\";
        for before in 0..130 {
            for syntax in syntaxes() {
                all_ways_as(syntax, 0, format!("{}\n{tricky}", "x".repeat(before)).as_bytes());
                all_ways_as(syntax, 0, format!("#{}\n{tricky}", "x".repeat(before)).as_bytes());
            }
        }
        for skip_lines in 0..20 {
            syntaxes().for_each(|syntax| all_ways_as(syntax, skip_lines, tricky.as_bytes()));
        }
        for piece in 1..=tricky.len() {
            for syntax in syntaxes() {
                let expected = by_hand(tricky.as_bytes(), syntax, 3);
                assert_eq!(cut_as(syntax, 3, tricky.as_bytes(), piece, 1), expected, "pieces of {piece}");
            }
        }
    }

    #[test]
    fn comments_and_lines_passed_over_are_not_kept() {
        let long = [b'x'; 1000];
        for (first, skip_lines) in [(&b"#"[..], 0), (b"", 1)] {
            let syntax = Syntax { comment: Some(b'#'), ..COMMA };
            let mut cutter = Cutter::new(syntax, false, 1000).skipping(skip_lines);
            cutter.push(first);
            for _ in 0..1000 {
                cutter.push(&long);
                assert!(cutter.next().unwrap().is_none() && cutter.text.len() < 2000);
            }
            cutter.push(b"\na,b\n");
            cutter.finish();
            let block = cutter.next().unwrap().unwrap();
            let start = block.start(0);
            let place = (block.skipped + block.lines(0, start), block.byte + start as u64);
            assert_eq!(place, (1, 1_000_001 + first.len() as u64));
        }
    }

    #[test]
    fn records_know_where_they_begin_however_the_text_is_cut() {
        let text = b"a,b\r\n\r\n1,\"x\r\ny\"\n\n2,\"\"\"\"\r3,";
        let expected =
            [(1, 0, vec!["a", "b"]), (3, 7, vec!["1", "x\r\ny"]), (6, 17, vec!["2", "\""]), (7, 24, vec!["3", ""])];
        for piece in 1..=text.len() {
            let records = cut(text, piece, 1);
            let records: Vec<_> = records.iter().map(|(line, byte, fields)| (*line, *byte, fields.clone())).collect();
            assert_eq!(
                records,
                expected.clone().map(|(line, byte, fields)| {
                    (line, byte, fields.into_iter().map(str::to_owned).collect::<Vec<_>>())
                })
            );
        }
    }

    #[test]
    fn blank_lines_are_not_kept() {
        let mut cutter = Cutter::new(COMMA, false, 1000);
        for _ in 0..1000 {
            cutter.push(&[b'\n'; 1000]);
            assert!(cutter.next().unwrap().is_none() && cutter.text.len() < 2000);
        }
        cutter.push(b"a,b\n");
        cutter.finish();
        let block = cutter.next().unwrap().unwrap();
        assert_eq!(
            (block.skipped + block.lines(0, block.start(0)), block.byte + block.start(0) as u64),
            (1_000_000, 1_000_000)
        );
    }

    #[test]
    fn an_unclosed_quote_costs_its_line_and_no_more() {
        for piece in [1, 3, 100] {
            let records = cut(b"a,b\n1,\"x\n2,y\n3,z\n", piece, 1);
            assert_eq!(records[1].2, ["GIVEN UP", "1,\"x"]);
            assert_eq!(records[2], (3, 9, vec!["2".into(), "y".into()]));
            assert_eq!(records.len(), 4);
        }
    }

    #[test]
    fn a_quote_that_closes_the_field_of_another_line_costs_one_line_each() {
        let text = b"1,\"a\"b,c\n2,\"p\n3,\"q\n4,z\n5,\"r\ns\",\"t\n6,\"u\n7,\"x\"y,\"v\nw\"\n8,\"\"\"\"\n";
        for piece in 1..=text.len() {
            let records = cut(text, piece, 1);
            let bad: Vec<_> = records.iter().filter(|found| found.2[0] == "GIVEN UP").collect();
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
            let good: Vec<_> = records.iter().filter(|found| found.2[0] != "GIVEN UP").collect();
            assert_eq!(good, [&(4, 19, vec!["4".to_owned(), "z".into()]), &(10, 52, vec!["8".into(), "\"".into()])]);
        }
    }

    #[test]
    fn every_place_of_a_step_is_looked_at() {
        let tricky = "\u{feff}id,name\r\n1,\"a, \"\"b\"\"\nc\"\r\n\r\n2,x\r3,\"\"\n4,5\" pipe\n5,\"z\"\r\n";
        for before in 0..130 {
            all_ways(format!("{}\n{tricky}", "x".repeat(before)).as_bytes());
            all_ways(format!("{tricky}{}\n{tricky}", "y,".repeat(before)).as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_cut_as_by_hand(text in "[ab,\"\n\r]{0,300}") {
            all_ways(text.as_bytes());
        }

        #[test]
        fn mostly_right_texts_are_cut_as_by_hand(fields in proptest::collection::vec("(a|\"(x|\"\"|\n|,|\r\n){0,9}\"|q\"){0,1}[,\n]", 0..90)) {
            all_ways(fields.concat().as_bytes());
        }

        #[test]
        fn any_text_with_any_marks_is_cut_as_by_hand(text in "[a,#\"\\\\\n\r]{0,200}", marks in 0_usize..8, skip_lines in 0_u64..4) {
            all_ways_as(syntaxes().nth(marks).unwrap(), skip_lines, text.as_bytes());
        }

        /// An oracle from outside, for texts without quotes astray.
        #[test]
        fn right_texts_are_cut_as_others_do(
            table in proptest::collection::vec(proptest::collection::vec("[ab\",\n\r]{0,8}", 2..5), 0..40),
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for record in &table {
                writer.write_record(record).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let found: Vec<_> = cut(&text, 50, 100).into_iter().map(|(_, _, fields)| fields).collect();
            prop_assert_eq!(found, table);
        }
    }
}
