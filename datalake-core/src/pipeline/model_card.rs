//! A model and what its file says, as the plain data that its card is drawn from.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::ml::{Envelope, Feature, FeatureKind, Model, Output, Task};
use crate::pipeline::manifest::ObjectVersion;
use crate::pipeline::origin::Origin;
use crate::report::{CardFeature, CardLine, CardScore, CardSource, ModelCard};

/// A model, its envelope and its digest, as a card under this title.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use datalake_core::ml::{DummyTrainer, Envelope, Frame, Task, Trainer, digest};
/// use datalake_core::{pipeline::model_card, report::card_markdown};
/// # use datalake_core::progress::Silent;
/// # let numbers = Arc::new(Float64Array::from(vec![1.0, 2.0])) as ArrayRef;
/// # let table = RecordBatch::try_from_iter([("fat_g", Arc::clone(&numbers)), ("kcal", numbers)])?;
/// # let frame = Frame::new(&table, &[], "kcal", Task::Regression)?;
/// let model = DummyTrainer::new(Task::Regression).train(&frame, &Silent)?;
/// let digest = digest(model.as_ref())?;
/// let card = card_markdown(&model_card("calories", model.as_ref(), &Envelope::default(), &digest))?;
/// assert!(card.contains(&digest));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn model_card(title: &str, model: &dyn Model, envelope: &Envelope, digest: &str) -> ModelCard {
    let lineage = &envelope.lineage;
    let origin: Option<Origin> = read(lineage, "prepared");
    let table: Option<ObjectVersion> = read(lineage, "table");
    let units = origin.as_ref().map(|origin| origin.units.clone()).unwrap_or_default();
    let importances = model.importances();
    let features = model.features().iter().enumerate();
    let features = features
        .map(|(index, feature)| card_feature(feature, &units, importances.as_ref().and_then(|all| all.get(index))))
        .collect();
    let (figures, scores) = scores(model.task(), &envelope.metrics);
    ModelCard {
        title: title.to_owned(),
        summary: summary(model, &units),
        facts: facts(model, envelope, digest),
        features,
        parameters: parameters(&model.params()),
        figures,
        scores,
        rows: rows(lineage, origin.as_ref()),
        sources: origin.iter().flat_map(|origin| &origin.sources).map(source).collect(),
        chain: chain(title, digest, table.as_ref(), origin.as_ref()),
        notes: envelope.notes.clone(),
    }
}

fn read<T: serde::de::DeserializeOwned>(lineage: &Map<String, Value>, name: &str) -> Option<T> {
    // What another program or version has put there is left out of the card; `model show` has it all.
    serde_json::from_value(lineage.get(name)?.clone()).ok()
}

fn line(name: &str, value: impl Into<String>) -> CardLine {
    CardLine { name: name.to_owned(), value: value.into() }
}

fn summary(model: &dyn Model, units: &BTreeMap<String, String>) -> String {
    let says = |output: Output| match model.task() {
        Task::Regression => {
            let unit = units.get(&output.name).map(|unit| format!(" in {unit}")).unwrap_or_default();
            format!("the number \"{}\"{unit}", output.name)
        }
        Task::Classification => {
            let Output { name, classes } = output;
            format!("which of {} classes \"{name}\" is: {}", classes.len(), classes.join(", "))
        }
    };
    let all: Vec<String> = model.outputs().into_iter().map(says).collect();
    format!("A {} model that predicts {}.", model.name(), all.join("; "))
}

fn facts(model: &dyn Model, envelope: &Envelope, digest: &str) -> Vec<CardLine> {
    let mut facts = vec![line("digest", digest)];
    facts.extend(envelope.created.as_ref().map(|created| line("trained", created)));
    let code = envelope.lineage.get("code").and_then(Value::as_str);
    facts.extend(code.map(|code| line("by datalake", code)));
    if let Some(forest) = model.as_forest() {
        let (range, all) = (forest.tree_range(), forest.forest_params().n_estimators);
        let (first, end) = (range.start, range.end);
        facts.push(line(
            "trees",
            match forest.is_part() {
                true => format!("{first}..{end} of {all}: a part, to be merged with the others"),
                false => all.to_string(),
            },
        ));
        facts.push(line("nodes", forest.nodes().to_string()));
    }
    facts
}

fn card_feature(feature: &Feature, units: &BTreeMap<String, String>, importance: Option<&f64>) -> CardFeature {
    let (kind, range, categories) = match &feature.kind {
        FeatureKind::Numeric { range } => ("number", *range, Vec::new()),
        FeatureKind::Categorical { categories } => ("category", None, categories.clone()),
    };
    let unit = feature.unit.clone().or_else(|| units.get(&feature.name).cloned());
    let (name, kind) = (feature.name.clone(), kind.to_owned());
    CardFeature { name, kind, unit, range, categories, importance: importance.copied() }
}

fn parameters(parameters: &Value) -> Vec<CardLine> {
    let plain = |value: &Value| match value {
        Value::Null => "by default".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    parameters.as_object().into_iter().flatten().map(|(name, value)| line(name, plain(value))).collect()
}

/// The figures of rows held out, of the model and its baseline, and of rows out of bag.
fn scores(task: Task, metrics: &Map<String, Value>) -> (Vec<String>, Vec<CardScore>) {
    let mut found: Vec<(String, &str, BTreeMap<String, f64>)> = Vec::new();
    for (name, figures) in metrics.get("held_out").and_then(Value::as_object).into_iter().flatten() {
        let figures = figures.as_object().into_iter().flatten();
        let figures = figures.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        found.push((name.clone(), "held out", figures));
    }
    // The model before what it is compared with.
    found.sort_by_key(|(name, ..)| name == "dummy");
    let (score, error) = match task {
        Task::Regression => ("r2", "rmse"),
        Task::Classification => ("accuracy", "error"),
    };
    let figure = |name: &str| metrics.get(name).and_then(Value::as_f64);
    let seen = [(score, figure("out_of_bag_score")), (error, figure("out_of_bag_error"))];
    let seen: BTreeMap<String, f64> =
        seen.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if !seen.is_empty() {
        found.push(("the trees that have not seen a row".to_owned(), "out of bag", seen));
    }
    let mut names: Vec<String> = found.iter().flat_map(|(_, _, figures)| figures.keys().cloned()).collect();
    names.sort();
    names.dedup();
    let score = |(name, rows, figures): (String, &str, BTreeMap<String, f64>)| CardScore {
        name,
        rows: rows.to_owned(),
        values: names.iter().map(|name| figures.get(name).copied()).collect(),
    };
    let scores = found.into_iter().map(score).collect();
    (names, scores)
}

fn rows(lineage: &Map<String, Value>, origin: Option<&Origin>) -> Vec<CardLine> {
    const TABLE: [(&str, &str); 5] = [
        ("seen", "records in the sources"),
        ("quarantined", "quarantined"),
        ("dropped", "dropped by a rule"),
        ("duplicates", "left out as duplicates"),
        ("written", "rows of the table"),
    ];
    const TRAINING: [(&str, &str); 3] =
        [("train", "learnt from"), ("held_out", "held out"), ("without_target", "left out without a target")];
    let mut rows = Vec::new();
    for (name, text) in TABLE {
        rows.extend(origin.and_then(|origin| origin.rows.get(name)).map(|count| line(text, count.to_string())));
    }
    for (name, text) in TRAINING {
        let count = lineage.get("rows").and_then(|rows| rows.get(name)).and_then(Value::as_u64);
        rows.extend(count.map(|count| line(text, count.to_string())));
    }
    rows
}

fn source(source: &crate::pipeline::origin::Origins) -> CardSource {
    CardSource {
        object: source.object.path.clone(),
        etag: source.object.etag.clone(),
        bytes: source.object.size,
        seen: source.seen,
        written: source.written,
        quarantined: source.quarantined,
        dropped: source.dropped,
    }
}

/// The digest of the table, where that is known, else the version of its object; and that of the model.
fn chain(title: &str, digest: &str, table: Option<&ObjectVersion>, origin: Option<&Origin>) -> Vec<CardLine> {
    let prepared = origin.and_then(|origin| origin.digest.clone());
    let table = table.map(|table| {
        let version = || table.etag.as_ref().map_or_else(|| "not known".to_owned(), |etag| format!("version {etag}"));
        line(&table.path, prepared.unwrap_or_else(version))
    });
    table.into_iter().chain([line(title, digest)]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow::record_batch::RecordBatch;
    use serde_json::json;

    use super::*;
    use crate::ml::{Frame, trainer};
    use crate::pipeline::manifest::RunId;
    use crate::progress::Silent;
    use crate::report::{card_html, card_markdown};

    fn forest() -> Box<dyn Model> {
        let unit = HashMap::from([("unit".to_owned(), "mg".to_owned())]);
        let fields = vec![
            Field::new("fat_g", DataType::Float64, true),
            Field::new("salt", DataType::Float64, true).with_metadata(unit),
            Field::new("group", DataType::Utf8, true),
            Field::new("energy_kcal", DataType::Float64, true),
        ];
        let rows = 30;
        let number = |step: f64| Arc::new(Float64Array::from_iter_values((0..rows).map(|row| f64::from(row) * step)));
        let groups = (0..rows).map(|row| ["fruit", "meat", "oil"][row as usize % 3]);
        let columns: Vec<ArrayRef> =
            vec![number(0.5), number(2.0), Arc::new(StringArray::from_iter_values(groups)), number(9.0)];
        let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let frame = Frame::new(&table, &[], "energy_kcal", Task::Regression).unwrap();
        let params = json!({ "n_estimators": 4, "min_samples_leaf": 2 });
        trainer("forest", Task::Regression, &params).unwrap().train(&frame, &Silent).unwrap()
    }

    fn envelope(model: &dyn Model) -> Envelope {
        let source = json!({
            "path": "raw-data/a.csv", "size": 4321, "etag": "e-of-a",
            "seen": 40, "written": 33, "quarantined": 4, "dropped": 3,
        });
        let prepared = json!({
            "run": RunId::now(), "step": "prepare foods", "digest": "d-of-table", "units": { "fat_g": "g", "energy_kcal": "kcal" },
            "rows": { "seen": 40, "quarantined": 4, "dropped": 3, "duplicates": 1, "written": 32 },
            "sources": [source],
        });
        Envelope::default()
            .with_created("2026-01-02T03:04:05Z")
            .with_lineage("table", json!({ "path": "processed-data/foods.parquet", "size": 99, "etag": "e-of-table" }))
            .with_lineage("rows", json!({ "train": 24, "held_out": 6, "without_target": 2 }))
            .with_lineage("prepared", prepared)
            .with_metric("held_out", json!({ "dummy": { "rmse": 70.5 }, "forest": { "rmse": 12.25 } }))
            .with_out_of_bag(model)
    }

    #[test]
    fn a_card_says_all_that_is_known() {
        let model = forest();
        let card = model_card("calories", model.as_ref(), &envelope(model.as_ref()), "d-of-model");
        let page = card_markdown(&card).unwrap();
        for text in [
            // What it is, and how it was trained.
            "predicts the number \"energy\\_kcal\" in kcal",
            "| digest | d-of-model |",
            "| trained | 2026-01-02T03:04:05Z |",
            "| trees | 4 |",
            "| n\\_estimators | 4 |",
            "| min\\_samples\\_leaf | 2 |",
            // The schema with units, ranges and categories: the unit of the column itself, or of the table before it.
            "| fat\\_g | number | g | 0 to 14.5 |",
            "| salt | number | mg | 0 to 58 |",
            "| group | category |  | 3 categories: fruit, meat, oil |",
            // How good it is, the model before the baseline, and out of bag.
            "| forest | held out | – | 12.25 |\n| dummy | held out | – | 70.5 |\n| the trees that have not seen a row |",
            // What became of the rows, by source and version.
            "| raw-data/a.csv | e-of-a | 4,321 | 40 | 33 | 4 | 3 |",
            "| quarantined | 4 |",
            "| left out as duplicates | 1 |",
            "| learnt from | 24 |",
            "| left out without a target | 2 |",
            // From table to model.
            "| processed-data/foods.parquet | d-of-table |\n| calories | d-of-model |",
        ] {
            assert!(page.contains(text), "{text}\n{page}");
        }
        let html = card_html(&card).unwrap();
        for text in ["d-of-table", "e-of-a", "12.25", "70.5", "3 categories: fruit, meat, oil", "0 to 14.5"] {
            assert!(html.contains(text), "{text}\n{html}");
        }
    }

    #[test]
    fn a_card_of_a_model_from_nowhere_says_what_it_can() {
        let model = forest();
        let odd = Envelope::default().with_lineage("prepared", "by hand").with_lineage("table", 5);
        let card = model_card("calories", model.as_ref(), &odd, "d-of-model");
        assert!(card.sources.is_empty() && card.rows.is_empty() && card.scores.is_empty());
        assert_eq!((card.chain.len(), card.chain[0].value.as_str()), (1, "d-of-model"));
        let table = json!({ "path": "raw-data/foods.csv", "size": 1, "etag": "e-of-table" });
        let by_hand = Envelope::default().with_lineage("table", table);
        let card = model_card("calories", model.as_ref(), &by_hand, "d-of-model");
        assert_eq!(card.chain[0].value, "version e-of-table");
    }
}
