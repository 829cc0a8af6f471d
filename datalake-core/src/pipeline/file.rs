//! The pipeline file: TOML with variables, checked key by key, turned into plain steps.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Position, Result};
use crate::pipeline::step::{Evaluate, Predict, Prepare, Reference, Step, Train, baselines};

/// A pipeline: its name and the steps that follow from its file.
///
/// ```
/// use datalake_core::pipeline::Pipeline;
///
/// let pipeline = Pipeline::from_toml(
///     "tiny.toml",
///     r#"
///     name = "tiny"
///     [variables]
///     source = "raw-data/foods/*.csv"
///     [prepare]
///     name = "foods"
///     sources = "${source}"
///     destination = "processed-data/foods.parquet"
///     "#,
///     &[("source".into(), "raw-data/new.csv".into())],
/// )?;
/// assert_eq!(pipeline.steps().len(), 1);
/// # Ok::<(), datalake_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    name: String,
    steps: Vec<Step>,
}

impl Pipeline {
    /// The built-in Food Calorie Analysis, over the sample tables or any of the same columns.
    ///
    /// # Panics
    /// Never: the file is part of this crate and tested.
    #[must_use]
    pub fn food_calories() -> Self {
        Self::from_toml("food-calories.toml", include_str!("food-calories.toml"), &[])
            .expect("the built-in pipeline file is checked by the tests of this crate")
    }

    /// Reads a pipeline file. `subject` is how messages call it; `settings` give values to its variables.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) with the line and what was expected; a misspelt key is named with the
    /// nearest right one.
    pub fn from_toml(subject: &str, text: &str, settings: &[(String, String)]) -> Result<Self> {
        let text = substitute(subject, text, settings)?;
        let file: File = toml::from_str(&text).map_err(|cause| syntax_error(subject, &text, &cause))?;
        let steps = file.into_steps().map_err(|reason| Error::invalid("use", subject).with_reason(reason))?;
        Ok(steps)
    }

    /// A pipeline of steps made by hand.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for steps that cannot be right, or that write the same object.
    pub fn from_steps(name: &str, steps: Vec<Step>) -> Result<Self> {
        check(&steps).map_err(|reason| Error::invalid("run", name).with_reason(reason))?;
        Ok(Self { name: name.to_owned(), steps })
    }

    /// Its name, under which runs are found again.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The steps in the order in which they run.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "read in a first pass, where its values are filled in")]
    variables: BTreeMap<String, toml::Value>,
    #[serde(default, deserialize_with = "one_or_many")]
    prepare: Vec<Prepare>,
    #[serde(default, deserialize_with = "one_or_many")]
    train: Vec<Train>,
    #[serde(default, deserialize_with = "one_or_many")]
    evaluate: Vec<EvaluateTable>,
    #[serde(default, deserialize_with = "one_or_many")]
    predict: Vec<PredictTable>,
}

/// `[evaluate]`: for one trained model, or for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluateTable {
    model: Option<String>,
    baselines: Option<Vec<String>>,
    folds: Option<usize>,
    reference: Option<Reference>,
    destination: Option<String>,
}

/// `[predict]`: for one trained model, or for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictTable {
    model: Option<String>,
    table: Option<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    destination: Vec<String>,
}

impl File {
    fn into_steps(self) -> Result<Pipeline, String> {
        let mut steps: Vec<Step> = self.prepare.into_iter().map(Step::Prepare).collect();
        let mut evaluations = Vec::new();
        for table in self.evaluate {
            for train in named(&self.train, table.model.as_deref())? {
                let destination = table.destination.clone();
                evaluations.push(Step::Evaluate(Evaluate {
                    train: train.clone(),
                    baselines: table.baselines.clone().unwrap_or_else(|| baselines(train.task)),
                    folds: table.folds,
                    reference: table.reference.clone(),
                    destination: destination
                        .unwrap_or_else(|| format!("processed-data/evaluations/{}.json", train.name)),
                }));
            }
        }
        let mut predictions = Vec::new();
        for table in self.predict {
            for train in named(&self.train, table.model.as_deref())? {
                let mut destination = table.destination.clone();
                if destination.is_empty() {
                    destination.push(format!("processed-data/predictions/{}.parquet", train.name));
                }
                predictions.push(Step::Predict(Predict {
                    name: train.name.clone(),
                    model: train.destination(),
                    table: table.table.clone().unwrap_or_else(|| train.table.clone()),
                    destination,
                }));
            }
        }
        steps.extend(self.train.into_iter().map(Step::Train));
        steps.extend(evaluations);
        steps.extend(predictions);
        if steps.is_empty() {
            return Err("it has no step; write a [prepare] or a [train] table".into());
        }
        check(&steps)?;
        Ok(Pipeline { name: self.name, steps })
    }
}

/// The trained models that an `[evaluate]` or `[predict]` table means.
fn named<'a>(trains: &'a [Train], model: Option<&str>) -> Result<Vec<&'a Train>, String> {
    let chosen: Vec<&Train> = trains.iter().filter(|train| model.is_none_or(|name| name == train.name)).collect();
    match (model, chosen.is_empty()) {
        (Some(name), true) => {
            let known: Vec<&str> = trains.iter().map(|train| train.name.as_str()).collect();
            Err(format!("model = \"{name}\" names no [train] table; there are: {}", known.join(", ")))
        }
        (None, true) => Err("[evaluate] and [predict] need a [train] table".into()),
        _ => Ok(chosen),
    }
}

/// What can be known to be wrong before anything is read.
fn check(steps: &[Step]) -> Result<(), String> {
    steps.iter().try_for_each(Step::check)?;
    unique(steps)
}

/// No two steps may write the same object: the second would silently replace the first's.
fn unique(steps: &[Step]) -> Result<(), String> {
    let mut writers: BTreeMap<String, String> = BTreeMap::new();
    for step in steps {
        for destination in step.destinations() {
            if let Some(first) = writers.insert(destination.clone(), step.title()) {
                return Err(format!("{} and {} both write {destination}", first, step.title()));
            }
        }
    }
    Ok(())
}

/// Fills `${name}` in, from the settings or the defaults under `[variables]`.
fn substitute(subject: &str, text: &str, settings: &[(String, String)]) -> Result<String> {
    let table: toml::Table = text.parse().map_err(|cause| syntax_error(subject, text, &cause))?;
    let mut values = BTreeMap::new();
    if let Some(toml::Value::Table(variables)) = table.get("variables") {
        for (name, value) in variables {
            let plain = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            values.insert(name.clone(), plain);
        }
    }
    for (name, value) in settings {
        if values.insert(name.clone(), value.clone()).is_none() {
            let hint = nearest(name, values.keys().filter(|key| *key != name).map(String::as_str)).map_or_else(
                || "this pipeline has no [variables]".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::invalid("set", format_args!("`{name}` in {subject}"))
                .with_reason("there is no such variable")
                .with_hint(hint));
        }
    }
    let mut filled = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        fill_line(line, &values, &mut filled).map_err(|name| {
            Error::invalid("read", subject)
                .with_position(Position::default().with_line(index as u64 + 1))
                .with_reason(format_args!("variable `{name}` has no value"))
                .with_hint(format_args!("give it one under [variables], or by `--set {name}=…`"))
        })?;
    }
    Ok(filled)
}

/// Copies a line with its variables filled in; the error is the name of one without a value.
fn fill_line(line: &str, values: &BTreeMap<String, String>, filled: &mut String) -> Result<(), String> {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let (name, tail) = after.split_once('}').ok_or_else(|| after.trim_end().to_owned())?;
        let value = values.get(name).ok_or_else(|| name.to_owned())?;
        filled.push_str(&escaped(value));
        rest = tail;
    }
    filled.push_str(rest);
    Ok(())
}

/// A value as it stands inside a basic TOML string.
fn escaped(value: &str) -> String {
    let quoted = toml::Value::String(value.to_owned());
    let json = serde_json::Value::String(quoted.as_str().unwrap_or_default().to_owned()).to_string();
    json[1..json.len() - 1].to_owned()
}

/// An error of the TOML parser with line and, for a misspelt key, the right one.
fn syntax_error(subject: &str, text: &str, cause: &toml::de::Error) -> Error {
    let mut error = Error::invalid("read", subject).with_reason(cause.message().trim_end().replace('\n', "; "));
    if let Some(span) = cause.span() {
        let line = text[..span.start.min(text.len())].matches('\n').count() as u64 + 1;
        error = error.with_position(Position::default().with_line(line));
    }
    match misspelt(cause.message()) {
        Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
        None => error,
    }
}

/// The right key for an "unknown field" message, which lists those expected in backticks.
fn misspelt(message: &str) -> Option<String> {
    let (found, expected) = message.strip_prefix("unknown ")?.split_once(", expected")?;
    let found = found.split('`').nth(1)?;
    nearest(found, expected.split('`').skip(1).step_by(2))
}

/// The most similar of some names, if any is similar at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity > 0.6)
        .map(|(_, candidate)| candidate.to_owned())
}

/// Reads one value, or an array of them, without losing the error of the part at fault.
pub(crate) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct OneOrMany<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one value or an array of them")
        }

        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Vec<T>, E> {
            Ok(vec![T::deserialize(value.into_deserializer())?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(sequence))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
            Ok(vec![T::deserialize(MapAccessDeserializer::new(map))?])
        }
    }

    deserializer.deserialize_any(OneOrMany(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREPARE: &str = "name = \"p\"\n[prepare]\nname = \"foods\"\nsources = \"raw-data/a.csv\"\n";

    fn read(text: &str) -> Result<Pipeline> {
        Pipeline::from_toml("p.toml", text, &[])
    }

    #[test]
    fn the_built_in_pipeline_reads() {
        let titles: Vec<String> = Pipeline::food_calories().steps().iter().map(Step::title).collect();
        assert_eq!(
            titles,
            [
                "prepare foods",
                "train calories",
                "train food-group",
                "evaluate calories",
                "evaluate food-group",
                "predict calories",
                "predict food-group"
            ]
        );
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_right_one() {
        let error = read(&format!("{PREPARE}destinatoin = \"processed-data/a.parquet\"\n")).unwrap_err();
        assert!(error.to_string().contains("line 5"), "{error}");
        assert!(error.to_string().contains("`destinatoin`"), "{error}");
        assert_eq!(error.hint(), Some("did you mean `destination`?"));
    }

    #[test]
    fn an_unknown_setting_suggests_a_variable() {
        let text = format!("{PREPARE}destination = \"processed-data/a.parquet\"\n[variables]\nsource = \"x\"\n");
        let error = Pipeline::from_toml("p.toml", &text, &[("sorce".into(), "y".into())]).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `source`?"));
    }

    #[test]
    fn a_value_with_quotes_stays_one_value() {
        let text = "name = \"${n}\"\n[variables]\nn = \"a\"\n[prepare]\nname = \"x\"\nsources = \"raw-data/a\"\n\
                    destination = \"processed-data/b.csv\"\n";
        let pipeline = Pipeline::from_toml("p.toml", text, &[("n".into(), "say \"hi\" \\ \n".into())]).unwrap();
        assert_eq!(pipeline.name(), "say \"hi\" \\ \n");
    }

    #[test]
    fn two_writers_of_one_object_are_refused() {
        let text = format!("{PREPARE}destination = [\"processed-data/a.csv\", \"processed-data/a.csv\"]\n");
        assert!(read(&text).unwrap_err().to_string().contains("both write processed-data/a.csv"));
    }
}
