//! Model files as somebody makes them who knows the form, for fuzzers and tests: whoever writes the checksums too can
//! write anything. What opens must be walked without harm, and must be written and read again as it is.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::sections::{self, Name, Section, Sections};
use super::{Compression, Envelope, Model, ModelFile, Task, digest, encode_to, kind, v1, version};
use crate::ml::conformance::{FEATURES, foods};
use crate::ml::{Feature, FeatureKind, Frame, trainer};
use crate::progress::Silent;
use crate::random::Draws;

/// Files of version 1, as the program of that time wrote them.
pub(super) const FIRST_VERSION: [&[u8]; 5] = [
    include_bytes!("fixtures/forest-regression.v1.model"),
    include_bytes!("fixtures/forest-classification.v1.model"),
    include_bytes!("fixtures/dummy.v1.model"),
    include_bytes!("fixtures/linear.v1.model"),
    include_bytes!("fixtures/logistic.v1.model"),
];

/// Rows that a model is tried with: enough to be walked in vectors, and a rest.
const ROWS: usize = 40;
/// Larger models are opened and not used, so that a fuzzer gets on.
const MOST_NUMBERS: usize = 1 << 20;

/// Small files of every kind, of both versions, as they are and compressed.
///
/// # Panics
/// If a model cannot be trained or written.
#[must_use]
pub fn files() -> Vec<Vec<u8>> {
    let envelope = Envelope::default().with_note("small");
    let written = models().into_iter().flat_map(|model| {
        [Compression::None, Compression::Zstd].map(|packing| written(model.as_ref(), &envelope, packing))
    });
    written.chain(FIRST_VERSION.map(<[u8]>::to_vec)).collect()
}

/// The bodies of small models of every kind.
///
/// # Panics
/// As [`files`].
#[must_use]
pub fn bodies() -> Vec<Vec<u8>> {
    models().iter().map(|model| body(model.as_ref())).collect()
}

fn models() -> Vec<Box<dyn Model>> {
    let few = || json!({ "n_estimators": 3 });
    let baselines = [
        ("forest", "kcal", few()),
        ("forest", "group", few()),
        ("dummy", "group", Value::Null),
        ("linear", "kcal", Value::Null),
        ("logistic", "group", Value::Null),
    ];
    let mut models: Vec<_> =
        baselines.map(|(name, target, params)| train(&foods(60, 1), &FEATURES, name, target, &params)).into();
    let large = json!({ "n_estimators": 4, "min_samples_leaf": 3 });
    for (classes, target, params) in [(3, "y", few()), (3, "group", large.clone()), (40, "group", large)] {
        models.push(train(&many(classes), &["x", "food"], "forest", target, &params));
    }
    models.push(train(&many(3), &["food"], "forest", "y,x", &few()));
    models.push(train(&many(3), &["x"], "forest", "group,food", &few()));
    models.push(train(&many(3), &["x"], "dummy", "group,food", &Value::Null));
    models
}

/// A model of `name` that predicts a column of a table, or several with commas between them.
pub(super) fn train(
    table: &RecordBatch,
    features: &[&str],
    name: &str,
    target: &str,
    params: &Value,
) -> Box<dyn Model> {
    let task = if target.starts_with("group") { Task::Classification } else { Task::Regression };
    let targets: Vec<&str> = target.split(',').collect();
    let frame = Frame::of_targets(table, features, &targets, task).expect("a table without fault");
    let trainer = trainer(name, task, params).expect("parameters that are known");
    trainer.train(&frame, &Silent).expect("a table without fault is learnt from")
}

/// A table whose forests have leaves of so many classes, or of numbers that repeat.
pub(super) fn many(classes: u32) -> RecordBatch {
    let rows = 0..200_u32.max(classes * 3);
    let x = rows.clone().map(|row| f64::from(row.wrapping_mul(2_654_435_761) % 1000));
    let food = rows.clone().map(|row| format!("f{}", row * 7 % 90));
    let group = rows.clone().map(|row| format!("g{}", (row / 3) % classes.max(1)));
    let y = rows.map(|row| f64::from((row.wrapping_mul(2_246_822_519) >> 13) % 5));
    RecordBatch::try_from_iter([
        ("x", Arc::new(Float64Array::from_iter_values(x)) as ArrayRef),
        ("food", Arc::new(StringArray::from_iter_values(food))),
        ("group", Arc::new(StringArray::from_iter_values(group))),
        ("y", Arc::new(Float64Array::from_iter_values(y))),
    ])
    .expect("columns of one length make a batch")
}

pub(super) fn written(model: &dyn Model, envelope: &Envelope, compression: Compression) -> Vec<u8> {
    let mut file = Vec::new();
    let mut sink = |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok(())
    };
    encode_to(model, envelope, compression, &mut sink).expect("a model that has a file format");
    file
}

fn body(model: &dyn Model) -> Vec<u8> {
    let mut body = kind(model);
    body.extend(model.body().expect("a model that has a file format"));
    body
}

/// Makes the checksums of a file good, as far as their places can be found.
pub fn seal(file: &mut [u8]) {
    if file.get(8) == Some(&1) && file.len() >= 32 {
        let end = file.len() - 32;
        let checksum = Sha256::digest(&file[..end]);
        file[end..].copy_from_slice(&checksum);
        return;
    }
    sections::seal(file);
}

/// Takes a file of version 2 apart, lets `change` have the content of the section that `pick` names, unpacked, and puts
/// all together again with the right places, lengths and checksums. Every other time the section is packed the other
/// way. None for what is no such file.
#[must_use]
pub fn change(file: &[u8], pick: u32, change: impl FnOnce(&mut Vec<u8>)) -> Option<Vec<u8>> {
    let file = Bytes::copy_from_slice(file);
    if version(&file).ok()? != sections::VERSION {
        return None;
    }
    let sections = Sections::read(file).ok()?;
    let names: Vec<(Name, bool)> = sections.packed().collect();
    let (pick, other_way) = ((pick / 2) as usize % names.len().max(1), pick % 2 == 1);
    let (mut change, mut parts) = (Some(change), Vec::with_capacity(names.len()));
    for (number, (name, compressed)) in names.into_iter().enumerate() {
        // The numbers of most sections take so much; of others the bytes are sorted in another order, no more.
        const STRIDE: usize = 8;
        let mut content = sections.bytes(name, STRIDE).ok()?.to_vec();
        if let Some(change) = change.take_if(|_| number == pick) {
            change(&mut content);
        }
        let part = Section::plain(name, vec![content.into()]);
        let compressed = compressed ^ (number == pick && other_way);
        parts.push(if compressed { part.compressed(STRIDE).ok()? } else { part });
    }
    let mut file = Vec::new();
    let mut sink = |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok(())
    };
    sections::write(sections.digest(), &parts, &mut sink).ok()?;
    Some(file)
}

/// Opens a file, and uses what was opened in every way.
///
/// # Panics
/// If that goes wrong: an error is right, and so is a model that does what a model does.
pub fn try_file(file: &[u8]) {
    let Ok(opened) = ModelFile::read(file.to_vec()) else { return };
    let model = opened.model.as_ref();
    let Some(said) = try_model(model) else { return };
    let _ = opened.verify();
    for packing in [Compression::None, Compression::Zstd] {
        let again = ModelFile::read(written(model, &opened.envelope, packing)).expect("what was written is read");
        again.verify().expect("what was written has its digest");
        assert_eq!(again.digest(), digest(model).expect("a model that has a file format"));
        assert_eq!(again.envelope, opened.envelope);
        assert!(try_model(again.model.as_ref()).as_ref() == Some(&said), "it says something else than it was written");
    }
}

/// Reads a body of any kind, as files of version 1 hold it, and uses the model.
///
/// # Panics
/// As [`try_file`]; if the model's own body is not read as it was written.
pub fn try_body(bytes: &[u8]) {
    let Ok(model) = v1::decode_body(bytes) else { return };
    let Some(said) = try_model(model.as_ref()) else { return };
    let own = body(model.as_ref());
    let again = v1::decode_body(&own).expect("what was written is read");
    assert!(body(again.as_ref()) == own, "a body is not written as it was read");
    assert!(try_model(again.as_ref()) == Some(said), "it says something else than it was written");
}

/// What a model says of rows that suit it, together and one by one; none for one that is too large to be used here.
fn try_model(model: &dyn Model) -> Option<Vec<u64>> {
    let width: usize = model.outputs().iter().map(|output| output.classes.len().max(1)).sum();
    let nodes = model.as_forest().map_or(1, |forest| forest.nodes() + forest.trees());
    if nodes.saturating_mul(width.max(model.features().len())) > MOST_NUMBERS {
        return None;
    }
    let rows = rows_for(model.features());
    let _ = (model.importances(), model.params());
    // Two features may share a name, and one column cannot be both numbers and text.
    let Ok(said) = outputs(model, &rows) else { return Some(Vec::new()) };
    assert_eq!(said.len(), ROWS * width);
    for row in 0..ROWS {
        let alone = outputs(model, &rows.slice(row, 1)).expect("rows of the same columns");
        assert_eq!(alone, said[row * width..][..width], "row {row} alone and among others");
    }
    model.predict(&rows).expect("rows of the same columns");
    if let Some(forest) = model.as_forest() {
        let nodes = (0..forest.trees()).map(|tree| forest.tree(tree).expect("one of its trees").node_count());
        assert_eq!(nodes.sum::<usize>(), forest.nodes());
        forest.apply(&rows).expect("rows of the same columns");
        forest.decision_path(&rows.slice(0, 3)).expect("rows of the same columns");
    }
    Some(said)
}

/// The bits of what a model says; all that is no number is alike.
fn outputs(model: &dyn Model, rows: &RecordBatch) -> crate::Result<Vec<u64>> {
    let said = match (model.task(), model.as_forest()) {
        (Task::Classification, _) => model.predict_proba(rows)?,
        (Task::Regression, Some(forest)) => forest.raw(rows)?,
        (Task::Regression, None) => model.predict(rows)?.as_primitive::<Float64Type>().values().to_vec(),
    };
    Ok(said.into_iter().map(|value| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }).collect())
}

/// Rows of the columns that a model asks for: values that it knows, others, and none.
fn rows_for(features: &[Feature]) -> RecordBatch {
    let mut draws = Draws::new(1, 0);
    let (mut fields, mut columns) = (Vec::new(), Vec::<ArrayRef>::new());
    for feature in features {
        let (data_type, column): (_, ArrayRef) = match &feature.kind {
            FeatureKind::Numeric { range } => {
                let [low, high] = range.unwrap_or([-1.0, 1.0]);
                let number = |_| match draws.below(8) {
                    0 => None,
                    1 => Some(low),
                    2 => Some(high),
                    3 => Some(f64::from(f32::from_bits(draws.next_u32()))).filter(|value| value.is_finite()),
                    _ => Some(low + draws.unit() * (high - low)).filter(|value| value.is_finite()),
                };
                (DataType::Float64, Arc::new((0..ROWS).map(number).collect::<Float64Array>()))
            }
            FeatureKind::Categorical { categories } => {
                let text = |_| match draws.below(8) {
                    0 => None,
                    1 => Some("what no table holds"),
                    _ if categories.is_empty() => None,
                    _ => Some(categories[draws.below(categories.len() as u64) as usize].as_str()),
                };
                (DataType::Utf8, Arc::new((0..ROWS).map(text).collect::<StringArray>()))
            }
        };
        fields.push(Field::new(&feature.name, data_type, true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(ROWS));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("columns of one length make a batch")
}
