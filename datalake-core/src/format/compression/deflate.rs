//! Packs bytes as they come. The same bytes give the same file, whatever pieces they come in.

use std::io::{self, Write};

use bzip2::write::BzEncoder;
use liblzma::write::XzEncoder;
use lz4_flex::frame::{BlockSize, FrameEncoder as Lz4Encoder, FrameInfo};
use snap::write::FrameEncoder as SnappyEncoder;

use super::Compression;
use super::pieces::{PIECE, Stretch};
use crate::error::{Error, ErrorKind, Result};
use crate::format::options::WriteOptions;
use crate::format::sink::Sink;

/// The level of xz, its own default: it takes 94 MiB of memory.
const XZ_LEVEL: u32 = 6;

/// The length of snappy's blocks. What is written at once is no longer, lest its blocks end where that does.
const BLOCK: usize = 64 * 1024;

/// Takes bytes and gives them compressed.
pub(crate) enum Deflate {
    Plain,
    Packed(Box<dyn Packer>),
    /// The text that makes no whole piece yet.
    Gzip {
        text: Vec<u8>,
        level: u32,
        is_first: bool,
    },
}

/// Writes into a buffer.
pub(crate) trait Packer: Write + Send {
    fn buffer(&mut self) -> &mut Vec<u8>;
    fn end(self: Box<Self>) -> io::Result<Vec<u8>>;
}

macro_rules! packers {
    ($($encoder:ty: $end:expr;)*) => {
        $(
            impl Packer for $encoder {
                fn buffer(&mut self) -> &mut Vec<u8> {
                    self.get_mut()
                }

                fn end(self: Box<Self>) -> io::Result<Vec<u8>> {
                    let end: fn(Self) -> io::Result<Vec<u8>> = $end;
                    end(*self)
                }
            }
        )*
    };
}

packers! {
    BzEncoder<Vec<u8>>: Self::finish;
    XzEncoder<Vec<u8>>: Self::finish;
    zstd::Encoder<'static, Vec<u8>>: Self::finish;
    SnappyEncoder<Vec<u8>>: |encoder| encoder.into_inner().map_err(snap::write::IntoInnerError::into_error);
    Lz4Encoder<Vec<u8>>: |encoder| encoder.finish().map_err(io::Error::from);
}

impl Deflate {
    /// What a sink's options or its name ask for.
    pub(crate) fn for_sink(sink: &Sink, options: &WriteOptions) -> Result<Self> {
        let compression = for_sink(sink, options)?;
        if compression == Compression::Gzip && !(1..=9).contains(&options.gzip_level) {
            return Err(Error::invalid("write", sink)
                .with_reason(format_args!("gzip_level must be 1 to 9, got {}", options.gzip_level)));
        }
        Self::new(compression, options).map_err(|cause| Error::io("compress", sink, cause))
    }

    /// Whether bytes stay as they are.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    pub(super) fn new(compression: Compression, options: &WriteOptions) -> io::Result<Self> {
        let buffer = Vec::new();
        let packer: Box<dyn Packer> = match compression {
            Compression::None => return Ok(Self::Plain),
            Compression::Gzip => return Ok(Self::Gzip { text: buffer, level: options.gzip_level, is_first: true }),
            Compression::Bzip2 => Box::new(BzEncoder::new(buffer, bzip2::Compression::best())),
            Compression::Xz => Box::new(XzEncoder::new(buffer, XZ_LEVEL)),
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(buffer, options.zstd_level)?;
                // Without it a changed bit would be another text.
                encoder.include_checksum(true)?;
                Box::new(encoder)
            }
            Compression::Snappy => Box::new(SnappyEncoder::new(buffer)),
            Compression::Lz4 => {
                // The automatic size would be that of the first piece.
                let frame = FrameInfo::new().block_size(BlockSize::Max1MB).content_checksum(true);
                Box::new(Lz4Encoder::with_frame_info(frame, buffer))
            }
            Compression::Zip => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self::Packed(packer))
    }

    /// Takes bytes; gives those that are ready, or can be packed.
    pub(crate) fn push(&mut self, bytes: Vec<u8>) -> io::Result<Vec<Stretch>> {
        match self {
            Self::Plain => Ok(vec![Stretch::Ready(bytes)]),
            Self::Packed(packer) => {
                bytes.chunks(BLOCK).try_for_each(|block| packer.write_all(block))?;
                Ok(vec![Stretch::Ready(std::mem::take(packer.buffer()))])
            }
            Self::Gzip { text, level, is_first } => {
                let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
                // The last piece is told by the end alone, so a whole one waits for what follows.
                while text.len() + rest.len() > PIECE {
                    let (now, later) = rest.split_at(PIECE - text.len());
                    text.extend_from_slice(now);
                    rest = later;
                    let text = std::mem::take(text);
                    let is_first = std::mem::take(is_first);
                    pieces.push(Stretch::Gzip { text, level: *level, is_first, is_last: false });
                }
                text.extend_from_slice(rest);
                Ok(pieces)
            }
        }
    }

    /// Gives the last bytes.
    pub(crate) fn finish(self) -> io::Result<Stretch> {
        Ok(match self {
            Self::Plain => Stretch::Ready(Vec::new()),
            Self::Packed(packer) => Stretch::Ready(packer.end()?),
            Self::Gzip { text, level, is_first } => Stretch::Gzip { text, level, is_first, is_last: true },
        })
    }
}

/// The compression around a text, by option or by the sink's name.
pub(crate) fn for_sink(sink: &Sink, options: &WriteOptions) -> Result<Compression> {
    let by_name = || Compression::of_name(&sink.file_name().unwrap_or_default()).0;
    match options.compression.unwrap_or_else(by_name) {
        Compression::Zip => Err(Error::new(ErrorKind::Unsupported, "write", sink)
            .with_reason("zip archives are read and not written")
            .with_hint("write it as .gz or .zst, or without compression")),
        compression => Ok(compression),
    }
}
