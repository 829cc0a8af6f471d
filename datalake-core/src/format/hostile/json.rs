//! JSON that is broken on purpose.

use super::{Bench, CHOICES, Outcome, Trial, declared, same, seed, split};
use crate::Result;
use crate::format::{self, Infer, Json, ReadOptions};

/// Texts to begin with, each with bytes that choose how it is read.
#[must_use]
pub fn json_texts() -> Vec<Vec<u8>> {
    let lines = [0; CHOICES];
    let document = [1, 0, 0, 0, 0, 0, 0, 0];
    let long: String =
        (0..40).map(|row| format!(",{{\"id\":{row},\"s\":\"n {row}\",\"o\":{{\"a\":[{row}.5]}}}}\n")).collect();
    let array = format!("[{}]", &long[1..]);
    let texts: Vec<(&[u8], [u8; CHOICES])> = vec![
        (b"{\"a\":1,\"b\":\"x\"}\n{\"a\":null}\n\n{\"b\":\"\\u00e4\\n\",\"a\":-2}\n", lines),
        (
            b"{\"i\":1,\"f\":0.5,\"t\":\"a\",\"b\":true,\"d\":\"2024-02-29\",\"at\":\"2024-02-29T12:00:00Z\"}\n{}\n",
            lines,
        ),
        (b"{\"l\":[1,null,2.5],\"s\":{\"x\":1,\"y z\":\"\\ud83c\\udf4e\"},\"ls\":[{\"x\":null},{}]}\n", lines),
        (b"{\"a\":1}\n{\"a\":\n[3]\n{\"a\":\"\xff\"}\n{\"a\":\"\\ud800\"}\n{\"a\":4", lines),
        (b"\xef\xbb\xbf[{\"a\":\"x,]}\\\"\"}, {\"a\":\n null} ,{\"a\":\"\xe4\xb8\xad\"},{\"a\":", document),
        (
            b"{\"n\":[1,2],\"note\":\"[{\",\"v\":1.5,\"foods\":[{\"a\":[{\"b\":1}]},{\"a\":2}],\"x\":{\"y\":[{}]}}",
            document,
        ),
        (b"{\"a\":1,\"a\":2}\n{\"a\":[2]}\n{\"a\":{\"b\":1}}\n", lines),
        (b"[1, \"x\", null, {\"a\":1e400}, {\"a\":12345678901234567890}, {\"a\":-0}]", document),
        (b"{\"a\":{\"b\":{\"c\":[[[1]]]}},\"d\":\"NA\"}\n{\"a\":{\"b\":{}},\"d\":\"\"}", [0, 1, 1, 0, 0, 0, 9, 30]),
        (array.as_bytes(), [1, 0, 0, 0, 0, 0, 33, 70]),
        (&long.as_bytes()[1..], [0, 0, 0, 0, 0, 0, 63, 64]),
    ];
    texts.into_iter().map(|(text, choices)| seed(choices, text)).collect()
}

fn options(choices: [u8; CHOICES]) -> ReadOptions {
    let [_, flatten, nulls, rows, text, _, batch, _] = choices;
    let nulls: &[&str] = [&[""][..], &["", "NA"], &[], &["0", "null", "x"]][usize::from(nulls) % 4];
    ReadOptions::default()
        .with_flatten(flatten % 2 == 1)
        .with_nulls(nulls.iter().map(ToString::to_string).collect())
        .with_rows((rows % 4 == 3).then(|| "foods".to_owned()))
        .with_text(text % 8 == 7)
        .with_batch_rows([8192, 1, 2, 7][usize::from(batch) % 4])
}

/// Reads any bytes as JSON: each record is a row or rejected, wherever blocks are cut, and whatever is quick.
///
/// # Panics
/// If a promise is broken.
pub fn try_json(data: &[u8]) {
    let (choices, text) = split(data);
    let bench = Bench::new(text);
    let json = if choices[0].is_multiple_of(2) { Json::lines() } else { Json::document() };
    let mut options = options(choices);
    let usual = bench.read(&json, &options, Trial::default());
    check(&bench, json, &options, &usual, choices);
    sampled(&bench, json, &options, &usual, choices);
    if let (Ok(usual), true) = (&usual, choices[5] % 2 == 1) {
        let names: Vec<String> = usual.schema.fields().iter().map(|field| field.name().clone()).collect();
        options = options.with_schema(Some(declared(&names, choices[7])));
        let usual = bench.read(&json, &options, Trial::default());
        check(&bench, json, &options, &usual, choices);
    }
}

/// Reads once more, otherwise.
fn check(bench: &Bench, json: Json, options: &ReadOptions, usual: &Result<Outcome>, choices: [u8; CHOICES]) {
    let by_hand = Trial { by_hand: true, ..Trial::default() };
    same(usual, &bench.read(&json, options, by_hand), "by hand");
    let sizes = [1, 2, 3, 5, 8, 17, 63, 64, 65, 127, 128, 200];
    let size = |choice: u8| Some(sizes[usize::from(choice) % sizes.len()]);
    for (piece, block) in [(size(choices[6]), size(choices[7])), (size(choices[7]), Some(1))] {
        let cut = Trial { piece, block, by_hand: false };
        let read = bench.read(&json, options, cut);
        if !is_torn(usual, &read) {
            same(usual, &read, &format!("{cut:?}"));
        }
    }
}

/// Whether a text of an array is broken so that where its elements end is a matter of opinion: then it is an error wherever it
/// is cut.
fn is_torn(whole: &Result<Outcome>, cut: &Result<Outcome>) -> bool {
    let is_dirty = whole.as_ref().map_or(true, |whole| !whole.rejects.is_empty());
    let is_told = |reason: &str| reason.ends_with("on it is no JSON") || reason.starts_with("expected `,` or `]`");
    is_dirty && cut.as_ref().is_err_and(|error| error.reason().is_some_and(is_told))
}

/// A read whose types come from a sample ends with a misfit, or is that of the whole.
fn sampled(bench: &Bench, json: Json, options: &ReadOptions, usual: &Result<Outcome>, choices: [u8; CHOICES]) {
    let sample = options.clone().with_infer(Infer::Sample(u64::from(choices[7]) + 1));
    let trial = Trial { piece: Some(16), block: Some(16), by_hand: false };
    match (bench.read(&json, &sample, trial), usual) {
        (Err(error), _) if format::Misfit::is_cause_of(&error) => {}
        (sampled, usual) if is_torn(usual, &sampled) => {}
        (sampled, usual) => same(&noted_alike(&sampled), &noted_alike(usual), "of a sample"),
    }
}

/// A read of whose notes only that of a repeated name is left: of members that are left out, a sample tells only those in it.
fn noted_alike(read: &Result<Outcome>) -> Result<Outcome> {
    match read {
        Ok(read) => {
            let is_repeated = |note: &&String| note.ends_with("of repeated names the last counts");
            Ok(Outcome { notes: read.notes.iter().filter(is_repeated).cloned().collect(), ..read.clone() })
        }
        Err(error) => Err(crate::Error::new(error.kind(), "read", error)),
    }
}
