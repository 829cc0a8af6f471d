//! The search for elements, with each kind of instructions: they find the same in texts of every length.

use super::elements::Elements;
use crate::format::masks::tests::alike;
use crate::random::Draws;

fn ends(text: &[u8], known: usize) -> [usize; 2] {
    let mut elements = Elements::default();
    [elements.last_end(&text[..known]), elements.last_end(text)]
}

#[test]
fn texts_of_every_length_have_the_same_elements_for_every_kind_of_cpu() {
    let alphabets: [&[u8]; 5] = [b"[]{},", b"\"\\a", b"\\", b"{}\"\\,[] ", b"{\"a\":1},\n\x80\xff\0"];
    for length in 0..=200 {
        for alphabet in alphabets {
            for round in 0..8 {
                let mut draws = Draws::new(length, round);
                let mut text = b"[".to_vec();
                text.extend((0..length).map(|_| alphabet[draws.below(alphabet.len() as u64) as usize]));
                let known = draws.below(length + 1) as usize;
                alike(|| ends(&text, known));
            }
        }
    }
}
