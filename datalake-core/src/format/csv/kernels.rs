//! The search for fields, with each kind of instructions: they find the same in texts of every length.

use super::structure::{Row, Structure, Syntax};
use crate::format::masks::tests::alike;
use crate::random::Draws;

/// Where it stopped, what it has seen, and the ends and records that it has noted.
type Found = (Option<usize>, usize, usize, usize, Vec<u32>, Vec<Row>);

fn found(text: &[u8], known: usize) -> Found {
    let mut structure = Structure::new(Syntax { delimiter: b',', quote: Some(b'"'), escape: None, comment: None });
    // A part first, as a text comes in pieces.
    let mut stop = structure.scan(&text[..known], false);
    if stop.is_none() {
        stop = structure.scan(text, true);
    }
    let Structure { scanned, start, whole, ends, rows, .. } = structure;
    (stop, scanned, start, whole, ends, rows)
}

#[test]
fn texts_of_every_length_have_the_same_fields_for_every_kind_of_cpu() {
    let alphabets: [&[u8]; 5] = [b",a\n", b",\"\na", b"\"", b"\r\n,", b"abcdefgh,\"\r\n\0\x80\xff-"];
    for length in 0..=200 {
        for alphabet in alphabets {
            for round in 0..8 {
                let mut draws = Draws::new(length, round);
                let text: Vec<u8> =
                    (0..length).map(|_| alphabet[draws.below(alphabet.len() as u64) as usize]).collect();
                let known = draws.below(length + 1) as usize;
                alike(|| found(&text, known));
            }
        }
    }
}

#[test]
fn what_stands_at_the_border_of_two_steps_is_seen_by_every_kind_of_cpu() {
    for mark in ["\"\"", "\r\n", "\"\r\n", "\",", ",\"", "\"\"\"", "\n\"", "\n\n"] {
        for place in 55..75 {
            let text = format!("{}{mark}{}\n1,2\n", "x".repeat(place), "y".repeat(140 - place));
            let quoted = format!("\"{}", &text[1..]);
            for text in [text, quoted] {
                alike(|| found(text.as_bytes(), 64));
            }
        }
    }
}
