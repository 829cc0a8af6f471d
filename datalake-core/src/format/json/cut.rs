//! Cuts a JSON text into blocks of whole records: lines, or the elements of an array.

use std::sync::Arc;

use super::elements::Elements;
use super::frame::{Framer, LONGEST, Layout, Next};
use crate::error::{Error, Position, Result};
use crate::format::drive::Decode;
use crate::format::intake::{Place, Records, escaped};

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Whole records of a text. In an array they have their commas and brackets between them.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) text: Vec<u8>,
    /// Where its first byte stands in the whole text.
    pub(super) byte: u64,
    /// Whether something comes before.
    pub(super) is_first: bool,
    /// Whether nothing follows.
    pub(super) is_last: bool,
}

impl Block {
    /// Cuts it record by record. Places are counted within the block but for bytes.
    pub(super) fn framer(&self, source: &Arc<str>, layout: &Layout) -> Framer {
        let mut framer = Framer::within(source, layout.clone(), self.is_first, self.byte);
        framer.push(&self.text);
        if self.is_last || *layout == Layout::Lines {
            framer.finish();
        } else {
            framer.finish_block();
        }
        framer
    }

    /// How many lines end in it.
    pub(super) fn lines(&self) -> u64 {
        memchr::memchr_iter(b'\n', &self.text).count() as u64
    }
}

/// Gives blocks.
#[derive(Debug)]
pub(super) struct Cutter {
    source: Arc<str>,
    /// None where records are lines.
    elements: Option<Elements>,
    text: Vec<u8>,
    byte: u64,
    /// Up to where line ends were looked for.
    searched: usize,
    /// How many bytes make a block.
    size: usize,
    has_begun: bool,
    is_first: bool,
    has_ended: bool,
    is_over: bool,
}

impl Cutter {
    /// A cutter of lines or of an array.
    pub(super) fn new(source: &Arc<str>, layout: &Layout, size: usize) -> Self {
        Self {
            source: Arc::clone(source),
            elements: (*layout == Layout::Array).then(Elements::default),
            text: Vec::new(),
            byte: 0,
            searched: 0,
            size: size.max(MARK.len()),
            has_begun: false,
            is_first: true,
            has_ended: false,
            is_over: false,
        }
    }

    fn begin(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            if self.text.starts_with(MARK) {
                self.text.drain(..MARK.len());
                self.byte = MARK.len() as u64;
            }
        }
    }

    /// Where the last record ends that is whole; 0 if none is.
    fn end(&mut self) -> usize {
        match &mut self.elements {
            _ if self.has_ended => self.text.len(),
            None => {
                let from = std::mem::replace(&mut self.searched, self.text.len());
                memchr::memrchr(b'\n', &self.text[from..]).map_or(0, |end| from + end + 1)
            }
            Some(elements) => elements.last_end(&self.text),
        }
    }

    fn too_long(&self) -> Error {
        Error::invalid("read", &self.source)
            .with_position(Position::default().with_byte(self.byte))
            .with_reason(format_args!("a record is longer than {LONGEST} bytes"))
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
        if self.is_over || self.text.len() < self.size && !self.has_ended {
            return Ok(None);
        }
        self.begin();
        let end = self.end();
        if end == 0 && !self.has_ended {
            return if self.text.len() > LONGEST { Err(self.too_long()) } else { Ok(None) };
        }
        let rest = self.text.split_off(end);
        let text = std::mem::replace(&mut self.text, rest);
        self.searched = self.text.len();
        if let Some(elements) = &mut self.elements {
            elements.cut(end);
        }
        let block = Block { text, byte: self.byte, is_first: self.is_first, is_last: self.has_ended };
        self.byte += end as u64;
        (self.is_first, self.is_over) = (false, self.has_ended);
        Ok(Some(block))
    }
}

/// The records of a block all of which are rows.
#[derive(Debug)]
pub(super) struct BlockRecords {
    source: Arc<str>,
    block: Block,
    layout: Layout,
    /// How many records and lines come before the block.
    before: (u64, u64),
    /// Where each stands, and what it is: seldom asked for.
    known: std::cell::OnceCell<Vec<(Place, String)>>,
}

impl BlockRecords {
    pub(super) fn new(source: &Arc<str>, block: Block, layout: &Layout) -> Self {
        let (source, layout) = (Arc::clone(source), layout.clone());
        Self { source, block, layout, before: (0, 0), known: std::cell::OnceCell::new() }
    }

    /// Says how many records and lines come before.
    pub(super) fn follow(&mut self, before: (u64, u64)) {
        self.before = before;
    }

    fn known(&self) -> &[(Place, String)] {
        self.known.get_or_init(|| {
            let mut framer = self.block.framer(&self.source, &self.layout);
            // What was read once is cut without an error.
            std::iter::from_fn(|| match framer.next() {
                Ok(Next::Record) => Some((framer.place(), escaped(framer.raw()))),
                _ => None,
            })
            .collect()
        })
    }
}

impl Records for BlockRecords {
    fn place(&self, row: usize) -> Place {
        let mut place = self.known()[row].0;
        place.follow(self.before);
        place
    }

    fn row(&self, row: usize) -> u64 {
        self.before.0 + row as u64 + 1
    }

    fn raw(&self, row: usize) -> String {
        self.known()[row].1.clone()
    }
}
