//! The driver from sources to what decoders make of them: it fetches and decompresses, and decodes on the CPU threads.

mod store;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use flate2::Crc;
use futures::StreamExt;
use futures::stream::BoxStream;

pub(crate) use self::store::{Encode, refuse_repeated_names, write};
use super::archive::Member;
use super::batches::Tally;
use super::compression::Inflate;
use super::encoding::Recode;
use super::packing::{Packing, Part};
use super::read_ahead::ReadAhead;
use super::source::Input;
use super::trial;
use crate::compute;
use crate::error::{Error, Result};

/// Takes bytes, decompressed and in UTF-8, in pieces of any size and gives record batches, or what they are made of.
pub(crate) trait Decode: Send + 'static {
    /// What it gives.
    type Item: Send + 'static;
    /// Takes a piece.
    fn push(&mut self, piece: &[u8]);
    /// Says that what follows is another file of an archive, whose text begins on a line of its own.
    fn begin_part(&mut self, name: &str) {
        let _ = name;
        self.push(b"\n");
    }
    /// Says that no piece follows.
    fn finish(&mut self);
    /// Whether it can do with what it has been given so far, where only a beginning is looked at.
    fn is_satisfied(&self) -> bool {
        true
    }
    /// The next item; `None` when it takes another piece, or at the end.
    fn next(&mut self) -> Result<Option<Self::Item>>;
}

/// How many bytes that are not compressed are taken at a time, at most.
const PLAIN_STEP: usize = 64 * 1024;

/// A decoder and what feeds it.
struct Pump<D> {
    input: Input,
    packing: Packing,
    /// What is read when this part is at its end.
    parts: VecDeque<Part>,
    /// What is still to be fetched of this part.
    offset: u64,
    stop: u64,
    /// The file of an archive that is read.
    member: Option<Unpacked>,
    inflate: Inflate,
    recode: Recode,
    decoder: D,
    ahead: ReadAhead,
    /// Compressed bytes not yet decompressed.
    piece: Bytes,
    /// Where such bytes were, for those that follow.
    memory: Vec<u8>,
    plain: Vec<u8>,
    /// What was decompressed, in UTF-8, where it was in another encoding.
    text: Vec<u8>,
    tally: Arc<Tally>,
    /// How many decompressed bytes are enough.
    limit: u64,
    /// How many bytes that are not compressed are taken at a time.
    step: usize,
    end: End,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum End {
    Far,
    Fetched,
    Decoded,
}

/// A file of an archive, and what it has become so far.
struct Unpacked {
    member: Member,
    /// Whether its header was read.
    has_begun: bool,
    crc: Crc,
    size: u64,
}

impl<D: Decode> Pump<D> {
    fn new(input: Input, packing: &Packing, decoder: D, tally: Arc<Tally>) -> Result<Self> {
        let mut pump = Self {
            parts: packing.parts(&input),
            offset: 0,
            stop: 0,
            member: None,
            inflate: Inflate::Plain,
            recode: Recode::new(packing.encoding(), false),
            packing: packing.clone(),
            input,
            decoder,
            ahead: ReadAhead::default(),
            piece: Bytes::new(),
            memory: Vec::new(),
            plain: Vec::new(),
            text: Vec::new(),
            tally,
            limit: u64::MAX,
            step: trial::piece(PLAIN_STEP),
            end: End::Far,
        };
        if let Some(part) = pump.parts.pop_front() {
            pump.begin(part)?;
        }
        Ok(pump)
    }

    fn begin(&mut self, part: Part) -> Result<()> {
        let inflate = self.packing.inflate(&part);
        self.inflate = inflate.map_err(|cause| Error::io("prepare to decompress", self.input.name(), cause))?;
        match part {
            Part::Range(range) => (self.offset, self.stop) = (range.start, range.end),
            Part::Member(member) => {
                (self.offset, self.stop) = (member.header, member.end(false));
                self.member = Some(Unpacked { member, has_begun: false, crc: Crc::new(), size: 0 });
            }
        }
        self.end = End::Far;
        Ok(())
    }

    /// Goes on to the next item, or to the end.
    async fn step(mut self) -> Result<(Self, Option<D::Item>)> {
        loop {
            self.fetch().await?;
            let item;
            (self, item) = compute::run(move || {
                let item = self.work()?;
                Ok((self, item))
            })
            .await?;
            if item.is_some() || self.end == End::Decoded {
                return Ok((self, item));
            }
        }
    }

    async fn fetch(&mut self) -> Result<()> {
        if self.piece.is_empty() && self.end == End::Far {
            // Of a beginning, and of a file in an archive, which may begin elsewhere than was thought, no more is asked for.
            let is_ahead = self.input.is_object() && self.member.is_none() && self.limit == u64::MAX;
            self.piece = if is_ahead {
                self.ahead.chunk(&self.input, self.offset, self.stop).await?
            } else {
                self.input.chunk(self.offset, self.stop, std::mem::take(&mut self.memory)).await?
            };
            self.offset += self.piece.len() as u64;
            if self.member.as_ref().is_some_and(|unpacked| !unpacked.has_begun) {
                self.begin_member()?;
            }
            if self.piece.is_empty() && self.offset >= self.stop.min(self.input.size()) {
                self.end = End::Fetched;
            }
        }
        Ok(())
    }

    /// Passes over the header of a file in an archive, with which the piece begins.
    fn begin_member(&mut self) -> Result<()> {
        let Some(unpacked) = &mut self.member else { return Ok(()) };
        let Some(begin) = unpacked.member.begin(&self.piece) else {
            let longest = unpacked.member.end(true);
            if self.stop < longest.min(self.input.size()) {
                // Its header is longer than was thought.
                (self.offset, self.stop, self.piece) = (unpacked.member.header, longest, Bytes::new());
                return Ok(());
            }
            return Err(self.damaged(std::io::ErrorKind::InvalidData.into()));
        };
        unpacked.has_begun = true;
        let start = unpacked.member.header + begin as u64;
        self.stop = start.saturating_add(unpacked.member.packed);
        self.piece.advance(begin);
        self.piece.truncate(usize::try_from(unpacked.member.packed).unwrap_or(usize::MAX));
        self.offset = start + self.piece.len() as u64;
        Ok(())
    }

    /// Decodes what is there, up to the next item.
    fn work(&mut self) -> Result<Option<D::Item>> {
        loop {
            if let Some(item) = self.decoder.next()? {
                return Ok(Some(item));
            }
            match self.end {
                End::Decoded => return Ok(None),
                End::Far if self.piece.is_empty() || self.has_enough() => return Ok(None),
                End::Far => self.inflate()?,
                End::Fetched => self.drain()?,
            }
        }
    }

    fn has_enough(&self) -> bool {
        self.tally.bytes() >= self.limit && self.decoder.is_satisfied()
    }

    fn inflate(&mut self) -> Result<()> {
        if self.inflate.is_plain() {
            let piece = self.piece.split_to(self.piece.len().min(self.step));
            self.push(&piece)?;
            // After the last piece nobody else has any.
            if self.piece.is_empty()
                && let Ok(memory) = piece.try_into_mut()
            {
                self.memory = memory.into();
            }
            return Ok(());
        }
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        match self.inflate.step(&self.piece, &mut plain) {
            Ok(taken) => self.piece.advance(taken),
            Err(cause) => return Err(self.damaged(cause)),
        }
        self.push(&plain)?;
        self.plain = plain;
        Ok(())
    }

    /// Ends a part.
    fn drain(&mut self) -> Result<()> {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        if let Err(cause) = self.inflate.finish(&mut plain) {
            return Err(self.unfinished(cause));
        }
        self.push(&plain)?;
        self.plain = plain;
        if !self.recode.is_same() {
            self.text.clear();
            self.recode.finish(&named(&self.input, self.member.as_ref()), &mut self.text)?;
            self.decoder.push(&self.text);
        }
        if let Some(Unpacked { member, crc, size, .. }) = &self.member
            && (member.plain, member.crc) != (*size, crc.sum())
        {
            return Err(self.damaged(std::io::ErrorKind::InvalidData.into()));
        }
        match self.parts.pop_front() {
            Some(part) => {
                if let Part::Member(member) = &part {
                    self.decoder.begin_part(&member.name);
                }
                self.recode = Recode::new(self.packing.encoding(), true);
                self.begin(part)
            }
            None => {
                self.decoder.finish();
                self.end = End::Decoded;
                Ok(())
            }
        }
    }

    /// Hands on what was decompressed.
    fn push(&mut self, plain: &[u8]) -> Result<()> {
        self.tally.add_bytes(plain.len() as u64);
        if let Some(unpacked) = &mut self.member {
            unpacked.crc.update(plain);
            unpacked.size += plain.len() as u64;
        }
        if self.recode.is_same() {
            self.decoder.push(plain);
            return Ok(());
        }
        self.text.clear();
        self.recode.take(&named(&self.input, self.member.as_ref()), plain, &mut self.text)?;
        self.decoder.push(&self.text);
        Ok(())
    }

    /// An error for compressed data that end where they should not.
    fn unfinished(&self, cause: std::io::Error) -> Error {
        let (size, is_cut) = (self.input.size(), cause.kind() == std::io::ErrorKind::UnexpectedEof);
        let error = match (&self.member, is_cut) {
            (Some(_), false) => return self.damaged(cause),
            (Some(_), true) => self.not_whole().with_reason("the compressed data are cut short"),
            (None, true) => {
                self.not_whole().with_reason(format_args!("the compressed data are cut short after {size} bytes"))
            }
            // Gzip does not say which.
            (None, false) => self.not_whole().with_source(cause).with_reason(format_args!(
                "the compressed data are cut short after {size} bytes, or damaged at their end"
            )),
        };
        error.with_hint("fetch or write the file again")
    }

    fn not_whole(&self) -> Error {
        Error::invalid("decompress", named(&self.input, self.member.as_ref()))
    }

    fn damaged(&self, cause: std::io::Error) -> Error {
        let error = self.not_whole();
        match cause.kind() {
            std::io::ErrorKind::OutOfMemory => error
                .with_reason("to unpack the compressed data takes more than 256 MiB of memory")
                .with_hint("pack the file by a lower level")
                .with_source(cause),
            _ => error.with_reason("the compressed data are damaged").with_source(cause),
        }
    }
}

/// What messages call what is unpacked.
fn named<'a>(input: &'a Input, member: Option<&Unpacked>) -> Cow<'a, str> {
    match member {
        None => Cow::Borrowed(input.name()),
        Some(unpacked) => Cow::Owned(format!("member `{}` of {}", unpacked.member.name, input.name())),
    }
}

/// Decodes an input as a stream.
pub(crate) fn decoded<D: Decode>(
    input: Input,
    packing: &Packing,
    decoder: D,
    tally: Arc<Tally>,
) -> Result<BoxStream<'static, Result<D::Item>>> {
    let pump = Pump::new(input, packing, decoder, tally)?;
    let stream = futures::stream::try_unfold(pump, |pump| async move {
        let (pump, item) = pump.step().await?;
        Ok(item.map(|item| (item, pump)))
    });
    Ok(stream.boxed())
}

/// Does work on each item, on up to so many CPU threads at a time; what comes of it has the order of the items.
pub(crate) fn worked<I: Send + 'static, T: Send + 'static>(
    items: BoxStream<'static, Result<I>>,
    ahead: usize,
    work: impl Fn(I) -> Result<T> + Send + Sync + 'static,
) -> BoxStream<'static, Result<T>> {
    let work = Arc::new(work);
    let worked = items.map(move |item| {
        let work = Arc::clone(&work);
        async move {
            let item = item?;
            compute::run(move || work(item)).await
        }
    });
    worked.buffered(ahead).boxed()
}

/// Feeds an input, or about its first `limit` bytes, to a decoder that gives nothing; says whether it was all.
pub(crate) async fn observe<D: Decode>(
    input: &Input,
    packing: &Packing,
    decoder: D,
    limit: Option<u64>,
) -> Result<(D, bool)> {
    let tally = Arc::new(Tally::default());
    let mut pump = Pump::new(input.clone(), packing, decoder, tally)?;
    pump.limit = limit.unwrap_or(u64::MAX);
    while pump.end != End::Decoded {
        if pump.has_enough() {
            return Ok((pump.decoder, false));
        }
        pump.fetch().await?;
        pump = compute::run(move || {
            while pump.work()?.is_some() {}
            Ok(pump)
        })
        .await?;
    }
    Ok((pump.decoder, true))
}

/// Keeps the first bytes.
struct Head {
    bytes: Vec<u8>,
    limit: usize,
}

impl Decode for Head {
    type Item = ();

    fn push(&mut self, piece: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn finish(&mut self) {}

    fn next(&mut self) -> Result<Option<()>> {
        Ok(None)
    }
}

/// The first bytes of an input, decompressed and in UTF-8, and whether they are all.
pub(crate) async fn head(input: &Input, packing: &Packing, limit: usize) -> Result<(Vec<u8>, bool)> {
    let head = Head { bytes: Vec::new(), limit };
    let (head, whole) = observe(input, packing, head, Some(limit as u64)).await?;
    let whole = whole && head.bytes.len() < limit;
    Ok((head.bytes, whole))
}

/// Decodes a text that comes in these pieces.
#[cfg(test)]
pub(crate) fn decode_pieces<'a, D: Decode>(
    mut decoder: D,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<D::Item>> {
    let mut batches = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(batch) = decoder.next()? {
            batches.push(batch);
        }
    }
    decoder.finish();
    while let Some(batch) = decoder.next()? {
        batches.push(batch);
    }
    Ok(batches)
}
