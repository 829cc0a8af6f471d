//! Small changes to a good input: what a fuzzer does, for tests that find the same every time.

use crate::random::Draws;

/// What is dear to parsers of text, and to those of numbers in files.
const PIECES: [&[u8]; 34] = [
    b"\"",
    b"\"\"",
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\\",
    b"\\u00e4",
    b"\\ud83c",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"null",
    b"true",
    b"-",
    b"0",
    b"007",
    b"1e400",
    b"9223372036854775808",
    b"1.5",
    b"2024-02-30",
    b"2024-02-29T12:00:00Z",
    b" ",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc3\xa4",
    b"\"a\":1,",
    b"{\"a\":1}",
    b"\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x08",
];

/// The input with some changes, which the number chooses: bytes flipped, left out, repeated, put in, and its end cut off.
/// Changes are `from` this byte on.
#[must_use]
pub fn changed(input: &[u8], number: u64, from: usize) -> Vec<u8> {
    let mut draws = Draws::new(number, input.len() as u64);
    let mut bytes = input.to_vec();
    let from = from.min(bytes.len());
    for _ in 0..draws.below(5) {
        let room = (bytes.len() - from) as u64;
        let at = from + draws.below(room + 1) as usize;
        let most = (bytes.len() - at) as u64;
        match draws.below(8) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << draws.below(8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = draws.next_u32() as u8;
                }
            }
            3 => drop(bytes.drain(at..at + draws.below(most.min(40) + 1) as usize)),
            4 => {
                let part = bytes[at..at + draws.below(most.min(80) + 1) as usize].to_vec();
                bytes.splice(at..at, part);
            }
            5 if draws.below(4) == 0 => bytes.truncate(at),
            _ => {
                let piece = PIECES[draws.below(PIECES.len() as u64) as usize];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}
