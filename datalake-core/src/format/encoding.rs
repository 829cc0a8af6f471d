//! Text in any encoding of the WHATWG standard as UTF-8, a piece at a time. What is UTF-8 passes as it is.

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::intake::escaped;
use crate::error::{Error, Position, Result};

/// What to do about bytes that are not UTF-8.
pub(crate) const OTHER_ENCODING: &str = "if the text is in another encoding, say which: `encoding = \"windows-1252\"`, \
     `iso-8859-1`, `iso-8859-15`, `windows-1251`, `utf-16le`, ...";

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The longest byte order mark.
const MARK_MOST: usize = 4;
/// More bytes than any sequence has, with those that show that it is malformed.
const SEQUENCE_MOST: usize = 8;

/// The encoding that a label of the standard names.
pub(crate) fn of_label(label: &str) -> Result<&'static Encoding> {
    Encoding::for_label_no_replacement(label.as_bytes()).ok_or_else(|| {
        Error::invalid("use", format_args!("`{label}` as the encoding")).with_hint(
            "give a label of the WHATWG encoding standard, such as utf-8, utf-16le, windows-1252, iso-8859-1, iso-8859-15, \
             windows-1251, shift_jis, gb18030",
        )
    })
}

/// Takes a text as it is stored and gives it in UTF-8.
///
/// A byte order mark has the last word, as the standard says. It stays in the text, as one of UTF-8.
pub(crate) struct Recode {
    state: State,
    declared: Option<&'static Encoding>,
    /// Whether a byte order mark is left out.
    strips_mark: bool,
}

enum State {
    /// Too few bytes to see whether there is a byte order mark.
    Begin(Vec<u8>),
    Same,
    Decode(Box<Decoding>),
}

struct Decoding {
    decoder: Decoder,
    /// How many bytes were taken.
    taken: u64,
    /// The last of them.
    tail: Vec<u8>,
    line: u64,
}

impl Recode {
    pub(crate) fn new(declared: Option<&'static Encoding>, strips_mark: bool) -> Self {
        Self { state: State::Begin(Vec::new()), declared, strips_mark }
    }

    /// Whether bytes stay as they are from here on.
    pub(crate) fn is_same(&self) -> bool {
        matches!(self.state, State::Same)
    }

    /// Takes a piece of the text that errors call `name`; appends what it is in UTF-8.
    pub(crate) fn take(&mut self, name: &str, piece: &[u8], output: &mut Vec<u8>) -> Result<()> {
        match &mut self.state {
            State::Begin(head) => {
                head.extend_from_slice(piece);
                if head.len() < MARK_MOST {
                    return Ok(());
                }
                self.begin(name, output)
            }
            State::Same => {
                output.extend_from_slice(piece);
                Ok(())
            }
            State::Decode(decoding) => decoding.take(name, piece, false, output),
        }
    }

    /// Says that no piece follows.
    pub(crate) fn finish(&mut self, name: &str, output: &mut Vec<u8>) -> Result<()> {
        if matches!(self.state, State::Begin(_)) {
            self.begin(name, output)?;
        }
        match &mut self.state {
            State::Decode(decoding) => decoding.take(name, &[], true, output),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, name: &str, output: &mut Vec<u8>) -> Result<()> {
        let encoding = encoding(name, self.head(), self.declared)?;
        self.state = if encoding == UTF_8 {
            let head = self.head();
            let is_stripped = self.strips_mark && head.starts_with(MARK);
            output.extend_from_slice(if is_stripped { &head[MARK.len()..] } else { head });
            State::Same
        } else {
            let decoder = if self.strips_mark {
                encoding.new_decoder_with_bom_removal()
            } else {
                encoding.new_decoder_without_bom_handling()
            };
            let mut decoding = Box::new(Decoding { decoder, taken: 0, tail: Vec::new(), line: 1 });
            decoding.take(name, self.head(), false, output)?;
            State::Decode(decoding)
        };
        Ok(())
    }

    fn head(&self) -> &[u8] {
        match &self.state {
            State::Begin(head) => head,
            _ => &[],
        }
    }
}

/// The encoding of a text that begins so.
fn encoding(name: &str, head: &[u8], declared: Option<&'static Encoding>) -> Result<&'static Encoding> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(Error::invalid("read", name)
            .with_reason("it is in UTF-32")
            .with_hint("convert it to UTF-8, for example with `iconv -f UTF-32 -t UTF-8`")),
        [0xff, 0xfe, ..] => Ok(UTF_16LE),
        [0xfe, 0xff, ..] => Ok(UTF_16BE),
        [0xef, 0xbb, 0xbf, ..] => Ok(UTF_8),
        _ => match (declared, head) {
            (Some(declared), _) => Ok(declared),
            // As UTF-8 it would be text, too, with an invisible character behind each other one.
            (None, [1..=255, 0, 1..=255, 0, ..]) => Err(without_mark(name, "utf-16le")),
            (None, [0, 1..=255, 0, 1..=255, ..]) => Err(without_mark(name, "utf-16be")),
            (None, _) => Ok(UTF_8),
        },
    }
}

fn without_mark(name: &str, label: &str) -> Error {
    Error::invalid("read", name).with_reason("it looks like UTF-16 and has no byte order mark").with_hint(format_args!(
        "say so with `encoding = \"{label}\"`; if it is UTF-8 in spite of that, with `encoding = \"utf-8\"`"
    ))
}

impl Decoding {
    fn take(&mut self, name: &str, piece: &[u8], is_last: bool, output: &mut Vec<u8>) -> Result<()> {
        let start = output.len();
        // What may be left of the piece before is little.
        let most = self.decoder.max_utf8_buffer_length_without_replacement(piece.len());
        output.resize(start + most.unwrap_or(piece.len().saturating_mul(3)).saturating_add(16), 0);
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(piece, &mut output[start..], is_last);
        output.truncate(start + written);
        match result {
            DecoderResult::InputEmpty => {
                self.follow(piece, &output[start..]);
                Ok(())
            }
            DecoderResult::OutputFull => Err(Error::internal("decode", name)),
            DecoderResult::Malformed(length, after) => {
                self.follow(&piece[..read], &output[start..]);
                Err(self.malformed(name, length.into(), after.into()))
            }
        }
    }

    fn follow(&mut self, piece: &[u8], text: &[u8]) {
        self.taken += piece.len() as u64;
        self.line += memchr::memchr_iter(b'\n', text).count() as u64;
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(SEQUENCE_MOST)..]);
        self.tail.drain(..self.tail.len().saturating_sub(SEQUENCE_MOST));
    }

    fn malformed(&self, name: &str, length: usize, after: usize) -> Error {
        let end = self.tail.len().saturating_sub(after);
        let bytes = escaped_all(&self.tail[end.saturating_sub(length)..end]);
        let byte = self.taken.saturating_sub((length + after) as u64);
        Error::invalid("read", name)
            .with_position(Position::default().with_line(self.line).with_byte(byte))
            .with_reason(format_args!("`{bytes}` is no text in {}", self.decoder.encoding().name()))
            .with_hint("correct the file, or say another encoding, such as `encoding = \"windows-1252\"`")
    }
}

/// Bytes that are no text, each as `\xNN`.
fn escaped_all(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| if byte.is_ascii_graphic() { escaped(&[*byte]) } else { format!("\\x{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recode(bytes: &[u8], label: Option<&str>, piece: usize) -> Result<Vec<u8>> {
        let mut recode = Recode::new(label.map(|label| of_label(label).unwrap()), false);
        let mut text = Vec::new();
        for piece in bytes.chunks(piece) {
            recode.take("test", piece, &mut text)?;
        }
        recode.finish("test", &mut text)?;
        Ok(text)
    }

    fn utf16(text: &str, is_little: bool) -> Vec<u8> {
        let bytes = |unit: u16| if is_little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf16_is_told_by_its_mark() {
        let text = "\u{feff}id,name\r\n1,\"\u{1f34e}\nä\"\r\n";
        for is_little in [true, false] {
            for piece in 1..20 {
                assert_eq!(recode(&utf16(text, is_little), None, piece).unwrap(), text.as_bytes());
                // The mark has the last word.
                assert_eq!(recode(&utf16(text, is_little), Some("latin1"), piece).unwrap(), text.as_bytes());
            }
        }
    }

    #[test]
    fn utf16_without_a_mark_is_not_guessed() {
        for (is_little, label) in [(true, "utf-16le"), (false, "utf-16be")] {
            let bytes = utf16("id,name\n", is_little);
            let error = recode(&bytes, None, 3).unwrap_err();
            assert!(error.hint().unwrap().contains(label));
            assert_eq!(recode(&bytes, Some(label), 3).unwrap(), b"id,name\n");
        }
        assert!(recode(b"\xff\xfe\0\0i\0\0\0", None, 8).unwrap_err().reason().unwrap().contains("UTF-32"));
    }

    #[test]
    fn malformed_sequences_are_told_with_their_place() {
        let cases: [(&str, &[u8], u64, u64, &str); 6] = [
            ("utf-16le", b"a\0\n\0\x00\xd8b\0", 4, 2, "\\x00\\xD8"),
            ("utf-16be", b"\0a\xdc\x00\0b", 2, 1, "\\xDC\\x00"),
            ("utf-16le", b"a\0b\0c", 4, 1, "c"),
            ("shift_jis", b"ab\x81\xff", 2, 1, "\\x81"),
            ("windows-1253", b"abc\nd\xd2", 5, 2, "\\xD2"),
            ("gb18030", b"abcd\x81", 4, 1, "\\x81"),
        ];
        for (label, bytes, byte, line, shown) in cases {
            for piece in 1..10 {
                let error = recode(bytes, Some(label), piece).unwrap_err();
                let position = error.position().unwrap();
                assert_eq!((position.byte, position.line), (Some(byte), Some(line)), "{label}");
                assert!(error.reason().unwrap().contains(shown), "{error}");
            }
        }
    }

    #[test]
    fn an_unknown_label_is_refused() {
        for label in ["", "latin", "cp437", "replacement", "hz-gb-2312"] {
            assert!(of_label(label).unwrap_err().hint().unwrap().contains("windows-1252"));
        }
        assert_eq!(of_label("ISO-8859-1").unwrap().name(), "windows-1252");
    }

    #[test]
    fn the_mark_of_a_later_part_is_left_out() {
        for bytes in [&b"\xef\xbb\xbfab\xef\xbb\xbf"[..], &utf16("\u{feff}ab\u{feff}", true)] {
            let mut recode = Recode::new(None, true);
            let mut text = Vec::new();
            recode.take("test", bytes, &mut text).unwrap();
            recode.finish("test", &mut text).unwrap();
            assert_eq!(text, "ab\u{feff}".as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text: String, piece in 1usize..9, is_little: bool) {
            let marked = format!("\u{feff}{text}");
            prop_assert_eq!(recode(&utf16(&marked, is_little), None, piece).unwrap(), marked.as_bytes());
            prop_assert_eq!(recode(marked.as_bytes(), None, piece).unwrap(), marked.as_bytes());
            let (bytes, _, _) = encoding_rs::GB18030.encode(&text);
            prop_assume!(bytes.first().is_none_or(|byte| *byte < 0x80) && !text.contains('\u{fffd}'));
            let known = encoding_rs::GB18030.decode_without_bom_handling(&bytes).0.into_owned();
            prop_assert_eq!(recode(&bytes, Some("gb18030"), piece).unwrap(), known.as_bytes());
        }

        #[test]
        fn bytes_in_utf8_or_not_stay_as_they_are(bytes: Vec<u8>, piece in 1usize..9) {
            prop_assume!(!matches!(bytes[..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..]));
            prop_assume!(!matches!(bytes[..], [1..=255, 0, 1..=255, 0, ..] | [0, 1..=255, 0, 1..=255, ..]));
            prop_assert_eq!(recode(&bytes, None, piece).unwrap(), bytes);
        }

        #[test]
        fn pieces_do_not_matter(bytes: Vec<u8>, piece in 1usize..9) {
            for label in ["utf-16le", "shift_jis", "gb18030", "euc-kr", "iso-2022-jp", "windows-1252"] {
                let (whole, pieces) = (recode(&bytes, Some(label), 1000), recode(&bytes, Some(label), piece));
                match (whole, pieces) {
                    (Ok(whole), Ok(pieces)) => prop_assert_eq!(whole, pieces),
                    (whole, pieces) => prop_assert_eq!(whole.unwrap_err().to_string(), pieces.unwrap_err().to_string()),
                }
            }
        }
    }
}
