//! CSV that is broken on purpose.

use super::{Bench, CHOICES, Outcome, Trial, declared, same, seed, split, wait};
use crate::error::ErrorKind;
use crate::format::{self, Csv, DecimalMark, Infer, ReadOptions};

/// Texts to begin with, each with bytes that choose how it is read.
#[must_use]
pub fn csv_texts() -> Vec<Vec<u8>> {
    let usual = [0; CHOICES];
    let long: String =
        (0..40).map(|row| format!("{row},name {row},{}.5,2024-01-{:02}\n", row * 7, row % 28 + 1)).collect();
    let texts: Vec<(&[u8], [u8; CHOICES])> = vec![
        (b"id,name,x\n1,a,1.5\n2,b,\n3,\"c, d\",-2\n", usual),
        (b"\xef\xbb\xbfid,na\"me\r\n1,\"a\r\nb\"\r\n\r\n2\r\n3,\xe4\xb8\xad\r4,\"\"\r\n5,\"x", usual),
        (b"a;b\n1,5;x\n2,25;y\n", [2, 0, 0, 1, 0, 0, 5, 7]),
        (b"a\tb\n1\t2024-02-29\n2\t2024-03-01\n", [3, 0, 0, 0, 0, 0, 9, 64]),
        (b"1,true\n2,false\n3,NA\n", [0, 0, 1, 0, 1, 0, 1, 1]),
        (b"t,u\n2024-02-29T12:00:00Z,2024-02-29 12:00:00.123\n1969-12-31T23:59:59Z,x\n", usual),
        (b"a,b\n\"x\"y,1\n\"p,2\n3,4\n\"q\n\",5\n", usual),
        (b"a,b\n9223372036854775807,0.1\n-9223372036854775808,1e308\n007,NaN\n", [0, 0, 0, 0, 0, 1, 3, 12]),
        (b"'a','b'\n'1','it''s'\n", [0, 1, 0, 0, 0, 0, 2, 3]),
        (b"a\n\n\n1\n\"\"\n2\n", usual),
        (b"\xff\xfea\0,\0b\0", usual),
        (long.as_bytes(), [0, 0, 0, 0, 0, 0, 33, 70]),
    ];
    texts.into_iter().map(|(text, choices)| seed(choices, text)).collect()
}

fn options(choices: [u8; CHOICES]) -> ReadOptions {
    let [delimiter, quote, header, decimal, nulls, text, batch, _] = choices;
    let delimiters = [None, Some(','), Some(';'), Some('\t'), Some('|'), Some(' '), Some('x'), Some('1')];
    let decimals = [DecimalMark::Dot, DecimalMark::Comma, DecimalMark::Either];
    let nulls: &[&str] = [&[""][..], &["", "NA"], &[], &["0", "null", "-"]][usize::from(nulls) % 4];
    ReadOptions::default()
        .with_delimiter(delimiters[usize::from(delimiter) % delimiters.len()])
        .with_quote(['"', '\'', '1', '.'][usize::from(quote) % 4])
        .with_header(header % 2 == 0)
        .with_decimal(decimals[usize::from(decimal) % 3])
        .with_nulls(nulls.iter().map(ToString::to_string).collect())
        .with_text(text % 8 == 7)
        .with_batch_rows([8192, 1, 2, 7][usize::from(batch) % 4])
}

/// Reads any bytes as CSV: each record is a row or rejected, wherever blocks are cut, and whatever is quick.
///
/// # Panics
/// If a promise is broken.
pub fn try_csv(data: &[u8]) {
    let (choices, text) = split(data);
    let bench = Bench::new(text);
    let mut options = options(choices);
    let usual = bench.read(&Csv, &options, Trial::default());
    check(&bench, &options, &usual, choices);
    sampled(&bench, &options, &usual, choices);
    // The same with declared types, chosen by the last bytes.
    if let (Ok(usual), true) = (&usual, choices[5] % 2 == 1) {
        let names: Vec<String> = usual.schema.fields().iter().map(|field| field.name().clone()).collect();
        options = options.with_schema(Some(declared(&names, choices[7])));
        let usual = bench.read(&Csv, &options, Trial::default());
        check(&bench, &options, &usual, choices);
    }
}

/// Reads once more, otherwise.
fn check(bench: &Bench, options: &ReadOptions, usual: &crate::Result<super::Outcome>, choices: [u8; CHOICES]) {
    let sizes = [1, 2, 3, 5, 8, 17, 63, 64, 65, 127, 128, 200];
    let size = |choice: u8| Some(sizes[usize::from(choice) % sizes.len()]);
    for (piece, block) in [(size(choices[6]), size(choices[7])), (size(choices[7]), Some(1))] {
        let cut = Trial { piece, block, by_hand: false };
        same(usual, &bench.read(&Csv, options, cut), &format!("{cut:?}"));
    }
    let by_hand = Trial { by_hand: true, ..Trial::default() };
    same(usual, &bench.read(&Csv, options, by_hand), "by hand");
}

/// A read whose types come from a sample ends with a misfit, or is that of the whole.
fn sampled(bench: &Bench, options: &ReadOptions, usual: &crate::Result<super::Outcome>, choices: [u8; CHOICES]) {
    let sample = options.clone().with_infer(Infer::Sample(u64::from(choices[7]) + 1));
    let trial = Trial { piece: Some(16), block: Some(16), by_hand: false };
    match (bench.read(&Csv, &sample, trial), usual) {
        (Err(error), _) if format::Misfit::is_cause_of(&error) => {}
        (sampled, Ok(usual)) => same(&sampled.map(without_advice), &Ok(without_advice(usual.clone())), "of a sample"),
        (sampled, usual) => same(&sampled, usual, "of a sample"),
    }
}

/// A read without what its notes propose: of a sample, they know no more than what is in it.
fn without_advice(mut read: Outcome) -> Outcome {
    read.notes.retain(|note| !note.contains(" is text because of ") && !note.contains(" has a decimal dot"));
    read
}

/// Finds what kind of text any bytes are, and reads them as that; the schema is the one that was found before.
///
/// # Panics
/// If a promise is broken.
pub fn try_dialect(data: &[u8]) {
    let bench = Bench::new(data);
    let options = ReadOptions::default();
    let detected = wait(format::detect(&bench.source(), &options));
    let format = match detected {
        Ok((format, _)) => format,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported), "{error:?}");
            return;
        }
    };
    if format.name() == "parquet" {
        return super::try_parquet(data);
    }
    let inferred = wait(format.infer_schema(&bench.source(), &options));
    let read = wait(format.read(bench.source(), options));
    match (inferred, read) {
        (Ok(inferred), Ok(read)) => assert_eq!(&inferred.schema, read.schema()),
        (Err(inferred), Err(read)) => {
            super::not_our_fault(&inferred);
            assert_eq!(inferred.to_string(), read.to_string());
        }
        (inferred, read) => panic!("{inferred:?}\n\n{read:?}"),
    }
}
