//! What model files promise.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::hostile::{FIRST_VERSION, many, train, written};
use super::*;
use crate::ml::conformance::{FEATURES, foods};

fn model(name: &str, task: Task) -> Box<dyn Model> {
    let target = if task == Task::Regression { "kcal" } else { "group" };
    let params = if name == "forest" { json!({ "n_estimators": 3 }) } else { Value::Null };
    train(&foods(60, 1), &FEATURES, name, target, &params)
}

fn forest_of(table: &RecordBatch, target: &str, params: &Value) -> Box<dyn Model> {
    train(table, &["x", "food"], "forest", target, params)
}

/// What [`FIRST_VERSION`] holds: kinds and digests.
const FIRST: [(&str, &str); 5] = [
    ("forest", "045d0e66d33661f2d4629faeac7c0d0666db669fb1b0ca8aae87238361b88d54"),
    ("forest", "6035fc32d02dcadc0282cb65cdf3dc876baebada6f7047368590e85fd13590d8"),
    ("dummy", "55210b93968d928b4dd5f471c583d88fc6667512e8ce6311e10a489bc0f40575"),
    ("linear", "de171a1b277ab16db4638f7678dd934c0f417ca40d75b15e29c0adb5bc293490"),
    ("logistic", "50fc31f3f4752924ff57d0319a0a660dac0dd9e85a561d6b99ab4dfa7460fa2d"),
];

fn file() -> Vec<u8> {
    encode(model("forest", Task::Regression).as_ref(), &Envelope::default().with_note("small")).unwrap()
}

fn refusal(file: &[u8]) -> String {
    decode(file).unwrap_err().to_string()
}

#[test]
fn files_of_version_1_are_read() {
    for (bytes, (name, digest)) in FIRST_VERSION.into_iter().zip(FIRST) {
        let file = ModelFile::read(bytes).unwrap();
        assert_eq!((file.model.name(), file.version(), file.digest().as_str()), (name, 1, digest));
        file.verify().unwrap();
        assert_eq!(file.envelope.notes, ["of version 1"]);
        assert_eq!(file.envelope.lineage["rows"], json!({ "train": 60 }));
        let again = ModelFile::read(encode(file.model.as_ref(), &file.envelope).unwrap()).unwrap();
        assert_eq!((again.version(), again.digest().as_str()), (2, digest));
        assert_eq!(&again.model.predict(&foods(9, 2)).unwrap(), &file.model.predict(&foods(9, 2)).unwrap());
    }
}

#[test]
fn what_is_read_predicts_the_same_bits_and_is_written_as_it_was() {
    let tables = [many(3), many(8), many(9), many(300)];
    for (table, target) in tables.iter().flat_map(|table| [(table, "group"), (table, "y")]) {
        for leaf in [1, 4] {
            let model = forest_of(table, target, &json!({ "n_estimators": 5, "min_samples_leaf": leaf }));
            let wanted = digest(model.as_ref()).unwrap();
            for packing in [Compression::None, Compression::Zstd] {
                let bytes = written(model.as_ref(), &Envelope::default(), packing);
                let file = ModelFile::read(bytes.clone()).unwrap();
                assert_eq!(file.digest(), wanted);
                file.verify().unwrap();
                let bits = |model: &dyn Model| -> Vec<u64> {
                    let shares = match model.task() {
                        Task::Classification => model.predict_proba(table).unwrap(),
                        Task::Regression => model.as_forest().unwrap().raw(table).unwrap(),
                    };
                    shares.into_iter().map(f64::to_bits).collect()
                };
                assert_eq!(bits(file.model.as_ref()), bits(model.as_ref()));
                assert_eq!(file.model.as_forest().unwrap().importances(), model.importances());
                for other in [Compression::None, Compression::Zstd] {
                    assert_eq!(
                        written(file.model.as_ref(), &Envelope::default(), other),
                        written(model.as_ref(), &Envelope::default(), other)
                    );
                }
            }
        }
    }
}

#[test]
fn what_nobody_has_changed_passes_the_trial() {
    for file in hostile::files() {
        ModelFile::read(file.clone()).unwrap().verify().unwrap();
        hostile::try_file(&file);
        let same = hostile::change(&file, 0, |_| ()).unwrap_or(file);
        ModelFile::read(same).unwrap().verify().unwrap();
    }
    hostile::bodies().iter().for_each(|body| hostile::try_body(body));
}

#[test]
fn leaves_of_many_classes_take_no_room_for_those_that_they_are_not() {
    let table = many(300);
    let model = forest_of(&table, "group", &json!({ "n_estimators": 5, "min_samples_leaf": 4 }));
    let leaves = model.as_forest().unwrap().nodes() / 2;
    let file = ModelFile::read(encode(model.as_ref(), &Envelope::default()).unwrap()).unwrap();
    let rows: u64 = file.parts().iter().filter(|part| part.name == "VALS").map(|part| part.bytes).sum();
    assert!(rows > 0 && rows < leaves as u64 * 8 * 20, "{rows} bytes for {leaves} leaves");
}

#[test]
fn a_mapped_file_is_what_it_was_when_another_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foods.model");
    let (first, second) = (model("forest", Task::Regression), model("dummy", Task::Classification));
    std::fs::write(&path, encode(first.as_ref(), &Envelope::default()).unwrap()).unwrap();
    let opened = ModelFile::open(&path).unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, encode(second.as_ref(), &Envelope::default()).unwrap()).unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(&opened.model.predict(&foods(50, 2)).unwrap(), &first.predict(&foods(50, 2)).unwrap());
    opened.verify().unwrap();
    let (model, file) = (opened.model, opened.envelope);
    drop((file, folder));
    assert_eq!(digest(model.as_ref()).unwrap(), digest(first.as_ref()).unwrap());
}

#[test]
fn a_file_that_cannot_be_mapped_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.model");
    assert_eq!(ModelFile::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(&path, b"").unwrap();
    let error = ModelFile::open(&path).unwrap_err();
    assert!(error.to_string().contains("none.model"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("does not begin as a model file does"), "{cause}");
}

#[test]
fn a_file_cut_short_says_so_at_every_length() {
    assert!(refusal(b"").contains("does not begin as a model file does"));
    assert!(refusal(b"PAR1....").contains("does not begin as a model file does"));
    for file in [file(), FIRST_VERSION[0].to_vec()] {
        for length in 1..file.len() {
            assert!(refusal(&file[..length]).contains("cut short"), "{length}");
        }
    }
}

#[test]
fn one_changed_byte_is_found_wherever_it_is() {
    for file in hostile::files() {
        for at in (0..file.len()).step_by(1 + file.len() / 3000) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "byte {at}");
        }
        let mut longer = file;
        longer.push(0);
        assert!(refusal(&longer).contains("1 bytes follow its end"));
    }
}

#[test]
fn a_newer_version_is_named() {
    let mut file = file();
    file[8] = 9;
    let error = decode(&resealed(file)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.reason(), Some("it has version 9, and this program reads up to 2"));
}

#[test]
fn a_body_that_is_not_what_the_digest_says_is_found_by_verify() {
    let mut file = file();
    file[30] ^= 1;
    let opened = ModelFile::read(resealed(file)).unwrap();
    let error = opened.verify().unwrap_err();
    assert!(error.to_string().contains(&opened.digest()), "{error}");
}

#[test]
fn a_section_of_another_name_is_left_alone() {
    let model = model("dummy", Task::Classification);
    let sections = vec![
        Section::plain(HEAD, vec![kind(model.as_ref()).into(), model.body().unwrap().into()]),
        Section::plain(*b"MORE", vec![b"what is to come".as_slice().into()]),
        Section::plain(META, vec![b"{}".as_slice().into()]),
    ];
    let mut file = Vec::new();
    sections::write(sha256(model.as_ref()).unwrap(), &sections, &mut |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    })
    .unwrap();
    let opened = ModelFile::read(file).unwrap();
    opened.verify().unwrap();
    assert_eq!(opened.parts()[1], Part { name: "MORE".into(), bytes: 15, unpacked: 15 });
}

#[test]
fn the_envelope_never_reaches_the_digest() {
    let model = model("dummy", Task::Classification);
    let (again, envelope) =
        decode(&encode(model.as_ref(), &Envelope::default().with_created("2024-05-01T00:00:00Z")).unwrap()).unwrap();
    assert_eq!(envelope.created.as_deref(), Some("2024-05-01T00:00:00Z"));
    assert_eq!(digest(again.as_ref()).unwrap(), digest(model.as_ref()).unwrap());
}

#[test]
fn a_model_without_a_file_format_says_so() {
    let error = encode(model("linfa-trees", Task::Classification).as_ref(), &Envelope::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_compression_goes_by_its_name() {
    assert_eq!("zstd".parse::<Compression>().unwrap(), Compression::Zstd);
    assert!("gzip".parse::<Compression>().unwrap_err().to_string().contains("`none` or `zstd`, got `gzip`"));
}

/// The checksums made good again: what lies behind them must not rely on them.
fn resealed(mut file: Vec<u8>) -> Vec<u8> {
    hostile::seal(&mut file);
    file
}

/// Where the sections of a file begin, and how long they are.
fn places(file: &[u8]) -> BTreeMap<String, (usize, usize)> {
    let sections = Sections::read(Bytes::copy_from_slice(file)).unwrap();
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    (0..)
        .map(|entry| 56 + entry * 40)
        .zip(sections.list())
        .map(|(at, (name, ..))| (name, (word(at + 8), word(at + 16))))
        .collect()
}

/// What somebody who knows the form may write, one lie at a time.
#[test]
fn trees_that_could_not_be_walked_are_refused() {
    let table = many(3);
    let file = encode(forest_of(&table, "y", &json!({ "n_estimators": 2 })).as_ref(), &Envelope::default()).unwrap();
    let places = places(&file);
    let lie = |section: &str, at: usize, value: u32| -> Result<()> {
        let mut file = file.clone();
        let (begin, length) = places[section];
        assert!(at + 4 <= length);
        file[begin + at..][..4].copy_from_slice(&value.to_le_bytes());
        decode(&resealed(file)).map(drop)
    };
    let word = |section: &str, at: usize| u32::from_le_bytes(file[places[section].0 + at..][..4].try_into().unwrap());
    let splits = places["SPLT"].1 / 12;
    assert!(splits > 50 && places.contains_key("CODE"), "{places:?}");
    for split in 0..splits {
        let (head, link) = (word("SPLT", split * 12), word("SPLT", split * 12 + 8));
        for other in [link + 1, link.wrapping_sub(1), 0x8000_0000, u32::MAX] {
            assert!(lie("SPLT", split * 12 + 8, other).is_err(), "split {split} to {other}");
        }
        // Another feature than there are, the other kind, children that are not what they are.
        for bits in [2 << 4, 1 << 4, 1, 1 << 2, 1 << 3] {
            assert!(lie("SPLT", split * 12, head ^ bits).is_err(), "split {split}, head {head:b} ^ {bits:b}");
        }
        let payload = if head & 1 == 0 { f32::NAN.to_bits() } else { u32::MAX };
        assert!(lie("SPLT", split * 12 + 4, payload).is_err(), "split {split}");
    }
    assert!(lie("CODE", 0, 5).unwrap_err().to_string().contains("row 5 of 5"));
    assert!(lie("ROWS", 4, 0x7FF0_0000).unwrap_err().to_string().contains("inf where a number must be"));
    assert!(lie("IMPT", 4, 0x7FF8_0000).is_err());
    assert!(lie("TREE", 0, word("TREE", 0) + 1).is_err());
    assert!(lie("TREE", 4, word("TREE", 4) + 1).is_err());
    // One tree has a split more and the other one less.
    let mut moved = file.clone();
    let begin = places["TREE"].0;
    moved[begin..begin + 4].copy_from_slice(&(word("TREE", 0) + 1).to_le_bytes());
    moved[begin + 8..begin + 12].copy_from_slice(&(word("TREE", 8) - 1).to_le_bytes());
    assert!(decode(&resealed(moved)).is_err());
}

static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(hostile::files);

/// A change to bytes as fuzzers make them: the place, what is taken out, what is put in.
type Change = (prop::sample::Index, usize, Vec<u8>);

fn change() -> impl Strategy<Value = Change> {
    let words = prop_oneof![any::<u32>(), 0_u32..300, Just(u32::MAX), Just(0x7FF8_0000)];
    let bytes = prop_oneof![
        words.prop_map(|word| word.to_le_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    (any::<prop::sample::Index>(), prop_oneof![Just(None), (0_usize..30).prop_map(Some)], bytes)
        .prop_map(|(at, out, bytes)| (at, out.unwrap_or(bytes.len()), bytes))
}

fn apply((at, out, bytes): &Change, content: &mut Vec<u8>) {
    let begin = at.index(content.len() + 1);
    // Numbers begin at their own places.
    let begin = if bytes.len() == 4 { begin / 4 * 4 } else { begin };
    let end = content.len().min(begin + out);
    content.splice(begin..end, bytes.iter().copied());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1000)))]

    /// Whoever writes the checksums too can write anything: it is refused, or it predicts.
    #[test]
    fn hostile_files_do_no_harm(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut file = file.get(&FILES).clone();
        let length = file.len();
        changes.iter().for_each(|(at, byte)| file[at.index(length)] = *byte);
        if let Some(cut) = cut {
            file.truncate(cut.index(length).max(64));
        }
        hostile::try_file(&resealed(file));
    }

    /// The same of changes to the content of sections, so that their places and lengths fit.
    #[test]
    fn hostile_sections_do_no_harm(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<u32>(), change()), 1..4),
    ) {
        let mut file = file.get(&FILES).clone();
        for (pick, change) in &changes {
            file = hostile::change(&file, *pick, |content| apply(change, content)).unwrap_or(file);
        }
        hostile::try_file(&file);
    }

    /// The same of bodies.
    #[test]
    fn hostile_bodies_do_no_harm(body in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..4)) {
        static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(hostile::bodies);
        let mut body = body.get(&BODIES).clone();
        changes.iter().for_each(|change| apply(change, &mut body));
        hostile::try_body(&body);
    }

    #[test]
    fn any_bytes_behind_the_magic_are_read_or_refused(version in 0_u8..4, bytes: Vec<u8>) {
        let mut file = MAGIC.to_vec();
        file.extend([version, 0, 0, 0]);
        file.extend(bytes);
        let _ = decode(&file);
    }
}
