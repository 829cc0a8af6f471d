//! What a text is compressed with: names, suffixes, first bytes. A piece at a time, in bounded memory, it is unpacked by
//! `inflate` and packed by `deflate`.

mod deflate;
mod frames;
mod inflate;
mod pieces;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use self::deflate::{Deflate, for_sink};
pub(crate) use self::inflate::Inflate;
pub(crate) use self::pieces::{Packed, Seal, Stretch};
use crate::error::{Error, Result};

/// What a file is compressed with.
///
/// ```
/// use datalake_core::format::Compression;
///
/// assert_eq!("xz".parse::<Compression>().unwrap(), Compression::Xz);
/// assert!("rar".parse::<Compression>().unwrap_err().hint().unwrap().contains("bzip2"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compression {
    /// Nothing.
    None,
    /// Gzip, of one member or several.
    Gzip,
    /// Bzip2, of one stream or several. Not within Parquet.
    Bzip2,
    /// Xz, of one stream or several. Not within Parquet.
    Xz,
    /// Zstandard, of one frame or several.
    Zstd,
    /// Snappy in frames. Their format has no end mark: a text cut between two frames cannot be told from a whole one. Within
    /// Parquet it is that of its pages.
    Snappy,
    /// LZ4, of one frame or several; within Parquet `LZ4_RAW`.
    Lz4,
    /// An archive, which is only read: of one table, or of several with the same columns.
    Zip,
}

/// All by the names that users write.
const NAMES: [(&str, Compression); 8] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("bzip2", Compression::Bzip2),
    ("xz", Compression::Xz),
    ("zstd", Compression::Zstd),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zip", Compression::Zip),
];

/// The suffixes of file names.
const SUFFIXES: [(&str, Compression); 9] = [
    (".gz", Compression::Gzip),
    (".gzip", Compression::Gzip),
    (".bz2", Compression::Bzip2),
    (".xz", Compression::Xz),
    (".zst", Compression::Zstd),
    (".zstd", Compression::Zstd),
    (".sz", Compression::Snappy),
    (".lz4", Compression::Lz4),
    (".zip", Compression::Zip),
];

/// How many of a file's first bytes tell its compression.
pub(crate) const MAGIC: u64 = 10;

impl Compression {
    /// The compression that a file name's suffix stands for, and the name without it.
    pub(crate) fn of_name(name: &str) -> (Self, &str) {
        let of = |(suffix, compression)| Some((compression, strip_suffix_ignoring_case(name, suffix)?));
        SUFFIXES.into_iter().find_map(of).unwrap_or((Self::None, name))
    }

    /// The suffix of a file name that stands for it; empty where there is none.
    pub(crate) fn suffix(self) -> &'static str {
        SUFFIXES.iter().find(|(_, known)| *known == self).map_or("", |(suffix, _)| suffix)
    }

    /// The compression that a file's first bytes stand for.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The latter is what may be passed over, with which some begin; LZ4 has it, too, and hardly anybody writes it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // A text may begin with `BZh`, too; but not with the start of a block, or the end of a stream that has none.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0xff, 6, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y', ..] => Self::Snappy,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            // A member, or the end of an archive that has none.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            _ => Self::None,
        }
    }

    /// The name that users write.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, known)| *known == self).map_or("none", |(name, _)| name)
    }

    /// What users write for it and its level: `gzip`, `zstd(3)`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an unknown name, a level where there are none, or one that is out
    /// of range.
    pub(crate) fn with_level(text: &str) -> Result<(Self, Option<u32>)> {
        let refused = || {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Error::invalid("use", format_args!("`{text}` as the compression")).with_hint(format_args!(
                "known are {}; gzip may have a level from 1 to 9, zstd one from 1 to 22, such as zstd(3)",
                names.join(", ")
            ))
        };
        let (name, level) = match text.strip_suffix(')').and_then(|rest| rest.split_once('(')) {
            Some((name, level)) => (name, Some(level.parse::<u32>().map_err(|_| refused())?)),
            None => (text, None),
        };
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let compression = known.map(|(_, compression)| *compression).ok_or_else(refused)?;
        let levels = match compression {
            Self::Gzip => 1..=9,
            Self::Zstd => 1..=22,
            _ => 0..=0,
        };
        match level {
            Some(level) if level == 0 || !levels.contains(&level) => Err(refused()),
            level => Ok((compression, level)),
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// The compression of this name; a level behind it, as in `zstd(3)`, is checked and left out.
    fn from_str(text: &str) -> Result<Self> {
        Self::with_level(text).map(|(compression, _)| compression)
    }
}

fn strip_suffix_ignoring_case<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let cut = name.len().checked_sub(suffix.len())?;
    let (rest, end) = name.split_at_checked(cut)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::format::WriteOptions;
    use proptest::prelude::*;

    /// All that can be written.
    const PACKED: [Compression; 6] = [
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Xz,
        Compression::Zstd,
        Compression::Snappy,
        Compression::Lz4,
    ];

    fn pack(compression: Compression, pieces: &[&[u8]]) -> Vec<u8> {
        let mut deflate = Deflate::new(compression, &WriteOptions::default()).unwrap();
        let (mut packed, mut seal) = (Vec::new(), Seal::default());
        let mut add = |stretch: Stretch| packed.extend(seal.take(stretch.pack().unwrap()));
        for piece in pieces {
            deflate.push(piece.to_vec()).unwrap().into_iter().for_each(&mut add);
        }
        add(deflate.finish().unwrap());
        packed
    }

    fn unpack(compression: Compression, packed: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut inflate = Inflate::new(compression)?;
        let mut plain = Vec::new();
        for mut rest in packed.chunks(piece) {
            while !rest.is_empty() {
                let taken = inflate.step(rest, &mut plain)?;
                rest = &rest[taken..];
            }
        }
        inflate.finish(&mut plain)?;
        Ok(plain)
    }

    /// Text that is neither all alike nor like noise, longer than any block but xz's.
    fn text() -> Vec<u8> {
        (0..300_000_u32)
            .flat_map(|row| format!("{row},{}\n", row.wrapping_mul(2_654_435_761) >> 9).into_bytes())
            .collect()
    }

    #[test]
    fn several_members_are_one_text() {
        for compression in PACKED {
            let mut packed = pack(compression, &[b"a,b\n"]);
            packed.extend(pack(compression, &[b"1,", b"2\n"]));
            for piece in [1, 7, 1000] {
                assert_eq!(unpack(compression, &packed, piece).unwrap(), b"a,b\n1,2\n", "{compression:?}");
            }
        }
    }

    #[test]
    fn a_long_text_comes_back_and_its_bytes_do_not_depend_on_its_pieces() {
        let text = text();
        for compression in PACKED {
            let packed = pack(compression, &[&text]);
            // Snappy and LZ4 are quick, and find little in digits.
            assert!(packed.len() < text.len() * 9 / 10, "{compression:?}: {} of {}", packed.len(), text.len());
            for piece in [999, 1_000_000] {
                assert!(unpack(compression, &packed, piece).unwrap() == text, "{compression:?}");
            }
            let pieces: Vec<&[u8]> = text.chunks(77_777).collect();
            assert!(pack(compression, &pieces) == packed, "{compression:?}");
        }
    }

    #[test]
    fn gzip_in_pieces_is_one_member_and_hardly_larger() {
        let text = text();
        let packed = pack(Compression::Gzip, &[&text]);
        let mut plain = Vec::new();
        // What reads one member alone.
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
        assert!(plain == text && text.len() > 3 * pieces::PIECE);
        let mut whole = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut whole, &text).unwrap();
        assert!(packed.len() * 100 < whole.finish().unwrap().len() * 101);
        for length in [pieces::PIECE - 1, pieces::PIECE, pieces::PIECE + 1, 2 * pieces::PIECE] {
            let packed = pack(Compression::Gzip, &[&text[..length]]);
            assert!(unpack(Compression::Gzip, &packed, 10_000).unwrap() == text[..length]);
        }
    }

    #[test]
    fn what_may_be_passed_over_in_front_is() {
        let mut packed = b"\x50\x2a\x4d\x18\x04\0\0\0size".to_vec();
        packed.extend(pack(Compression::Zstd, &[b"a,b\n"]));
        assert_eq!(Compression::of_bytes(&packed), Compression::Zstd);
        for piece in [1, 9, 1000] {
            assert_eq!(unpack(Compression::Zstd, &packed, piece).unwrap(), b"a,b\n");
        }
    }

    #[test]
    fn a_cut_anywhere_is_an_error() {
        for compression in PACKED {
            let packed = pack(compression, &[b"some text that is long enough, long enough\n"]);
            for length in 1..packed.len() {
                let found = unpack(compression, &packed[..length], 5);
                // Behind the mark of a snappy stream there may be nothing.
                if compression == Compression::Snappy && length == 10 {
                    assert_eq!(found.unwrap(), b"");
                    continue;
                }
                let error = found.unwrap_err();
                // Gzip does not tell it from damage.
                let is_told = error.kind() == io::ErrorKind::UnexpectedEof || compression == Compression::Gzip;
                assert!(is_told, "{compression:?} cut at {length}: {error}");
            }
        }
    }

    #[test]
    fn what_follows_the_end_must_be_another_member() {
        for compression in PACKED {
            let mut packed = pack(compression, &[b"a,b\n1,2\n"]);
            packed.extend(b"what is this?");
            for piece in [1, 1000] {
                assert!(unpack(compression, &packed, piece).is_err(), "{compression:?}");
            }
        }
    }

    #[test]
    fn a_changed_bit_is_told() {
        for compression in PACKED {
            let packed = pack(compression, &[b"some text that is long enough, long enough\n"]);
            // The header of a gzip member has times and a system that mean nothing.
            for index in 10..packed.len() {
                let mut changed = packed.clone();
                changed[index] ^= 4;
                let found = unpack(compression, &changed, 7);
                let same = b"some text that is long enough, long enough\n";
                assert!(found.is_err() || found.unwrap() == same, "{compression:?} at {index}");
            }
        }
    }

    #[test]
    fn a_bomb_is_unpacked_in_small_steps() {
        let zeros = vec![0; 50_000_000];
        for compression in PACKED {
            let packed = pack(compression, &[&zeros]);
            let (mut inflate, mut rest, mut total) = (Inflate::new(compression).unwrap(), &packed[..], 0);
            while !rest.is_empty() {
                let mut plain = Vec::new();
                let taken = inflate.step(rest, &mut plain).unwrap();
                assert!(plain.len() <= 8_000_000, "{compression:?}");
                total += plain.len();
                rest = &rest[taken..];
            }
            let mut last = Vec::new();
            inflate.finish(&mut last).unwrap();
            assert!(last.len() <= 8_000_000, "{compression:?}");
            assert_eq!(total + last.len(), zeros.len(), "{compression:?}");
        }
    }

    #[test]
    fn frames_that_mean_nothing_are_passed_over() {
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"hello"].concat();
        let packed = pack(Compression::Lz4, &[b"a,b\n"]);
        for piece in [1, 6, 1000] {
            let around = [&skipped[..], &packed, &skipped].concat();
            assert_eq!(unpack(Compression::Lz4, &around, piece).unwrap(), b"a,b\n");
        }
        let mut packed = pack(Compression::Snappy, &[b"a,b\n"]);
        packed.extend([&[0xfe, 0, 0, 2][..], &vec![0; 0x2_0000]].concat());
        packed.extend(pack(Compression::Snappy, &[b"1,2\n"]));
        for piece in [1, 6, 1000] {
            assert_eq!(unpack(Compression::Snappy, &packed, piece).unwrap(), b"a,b\n1,2\n");
        }
    }

    #[test]
    fn suffixes_and_magic_bytes_are_known() {
        assert_eq!(Compression::of_name("a.csv.GZ"), (Compression::Gzip, "a.csv"));
        assert_eq!(Compression::of_name("a.csv.bz2"), (Compression::Bzip2, "a.csv"));
        assert_eq!(Compression::of_name("a.csv"), (Compression::None, "a.csv"));
        for (_, compression) in NAMES {
            assert_eq!(Compression::of_name(&format!("a.csv{}", compression.suffix())), (compression, "a.csv"));
        }
        for compression in PACKED {
            for text in [&b""[..], b"x"] {
                let packed = pack(compression, &[text]);
                if compression == Compression::Snappy && text.is_empty() {
                    assert!(packed.is_empty());
                    continue;
                }
                assert_eq!(Compression::of_bytes(&packed), compression);
            }
        }
        assert_eq!(Compression::of_bytes(b"BZh9,name,unit"), Compression::None);
        assert_eq!(Compression::of_bytes(b"PK\x03\x04"), Compression::Zip);
    }

    #[test]
    fn names_and_levels_are_checked() {
        for (name, compression) in NAMES {
            assert_eq!((Compression::with_level(name).unwrap(), compression.name()), ((compression, None), name));
        }
        assert_eq!(Compression::with_level("gzip(9)").unwrap(), (Compression::Gzip, Some(9)));
        assert_eq!(Compression::with_level("zstd(22)").unwrap(), (Compression::Zstd, Some(22)));
        for wrong in
            ["", "gz", "gzip(0)", "gzip(10)", "zstd(23)", "zstd()", "zstd(3", "zstd(-1)", "xz(6)", "none(0)", "(3)"]
        {
            let error = Compression::with_level(wrong).unwrap_err();
            assert!(error.hint().unwrap().contains("snappy"), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(text: Vec<u8>, piece in 1usize..50) {
            for compression in [&PACKED[..], &[Compression::None]].concat() {
                prop_assert_eq!(&unpack(compression, &pack(compression, &[&text]), piece).unwrap(), &text);
            }
        }

        #[test]
        fn garbage_never_panics(garbage: Vec<u8>, text: Vec<u8>, cut: proptest::sample::Index) {
            for compression in PACKED {
                let _ = unpack(compression, &garbage, 16);
                let mut packed = pack(compression, &[&text]);
                packed.truncate(cut.index(packed.len() + 1));
                packed.extend_from_slice(&garbage);
                let _ = unpack(compression, &packed, 16);
            }
        }
    }
}
