//! The pipeline file: TOML with variables, checked key by key, turned into plain steps.

use std::collections::BTreeMap;

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Position, Result};
use crate::format::one_or_many;
use crate::lake::{BucketName, parse_object};
use crate::ml::PermutationParams;
use crate::pipeline::step::{Evaluate, Predict, Prepare, Reference, Step, Train, baselines, once};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
        let mut table: toml::Table = text.parse().map_err(|cause| syntax_error(subject, text, &cause))?;
        let values = variables(subject, &table, settings)?;
        for (_, value) in table.iter_mut().filter(|(key, _)| *key != "variables") {
            fill(value, &values).map_err(|name| {
                Error::invalid("read", subject)
                    .with_reason(format_args!("variable `{name}` has no value"))
                    .with_hint(format_args!("give `{name}` a default under [variables]"))
            })?;
        }
        let file = File::deserialize(table).map_err(|cause| placed_error(subject, text, &cause))?;
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
    variables: toml::Table,
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
    #[serde(default = "once")]
    repeats: u32,
    #[serde(default)]
    permutation: PermutationParams,
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
                    baselines: table.baselines.clone().unwrap_or_else(|| baselines(train)),
                    folds: table.folds,
                    repeats: table.repeats,
                    permutation: table.permutation.clone(),
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

/// No two steps may have the same title, or write the same object: the second would silently replace what the first left.
fn unique(steps: &[Step]) -> Result<(), String> {
    let mut writers: BTreeMap<(BucketName, Path), String> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        let title = step.title();
        if steps[..index].iter().any(|other| other.title() == title) {
            return Err(format!("two steps are called `{title}`"));
        }
        for destination in step.destinations() {
            let object = parse_object(&destination).map_err(|error| error.to_string())?;
            if let Some(first) = writers.insert(object, title.clone()) {
                return Err(format!("{first} and {title} both write {destination}"));
            }
        }
    }
    Ok(())
}

/// The values of variables: the defaults under `[variables]`, replaced by settings, which keep the default's type.
fn variables(subject: &str, table: &toml::Table, settings: &[(String, String)]) -> Result<toml::Table> {
    let mut values = match table.get("variables") {
        Some(toml::Value::Table(defaults)) => defaults.clone(),
        _ => toml::Table::new(),
    };
    for (name, text) in settings {
        let Some(default) = values.get(name) else {
            let hint = nearest(name, values.keys().map(String::as_str)).map_or_else(
                || "this pipeline has no such variable".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::invalid("set", format_args!("`{name}` in {subject}"))
                .with_reason("there is no such variable under [variables]")
                .with_hint(hint));
        };
        let value = like(default, text).ok_or_else(|| {
            Error::invalid("set", format_args!("`{name}` in {subject}"))
                .with_reason(format_args!("`{text}` is not of the type of its default, {}", default.type_str()))
        })?;
        values.insert(name.clone(), value);
    }
    Ok(values)
}

/// A setting as a value of the same type as its default.
fn like(default: &toml::Value, text: &str) -> Option<toml::Value> {
    Some(match default {
        toml::Value::Integer(_) => toml::Value::Integer(text.parse().ok()?),
        toml::Value::Float(_) => toml::Value::Float(text.parse().ok()?),
        toml::Value::Boolean(_) => toml::Value::Boolean(text.parse().ok()?),
        _ => toml::Value::String(text.to_owned()),
    })
}

/// Fills `${name}` in, in every string of the file; a string that is just a variable takes the variable's type.
fn fill(value: &mut toml::Value, values: &toml::Table) -> Result<(), String> {
    match value {
        toml::Value::String(text) => {
            if let Some(filled) = filled(text, values)? {
                *value = filled;
            }
            Ok(())
        }
        toml::Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, values)),
        toml::Value::Table(table) => table.iter_mut().try_for_each(|(_, item)| fill(item, values)),
        _ => Ok(()),
    }
}

/// A string with its variables filled in, if it has any; the error is the name of one without a value.
fn filled(text: &str, values: &toml::Table) -> Result<Option<toml::Value>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let value = |name: &str| values.get(name).ok_or_else(|| name.to_owned());
    if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        && !name.contains("${")
    {
        return value(name).cloned().map(Some);
    }
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}').ok_or_else(|| after.to_owned())?;
        whole.push_str(before);
        match value(name)? {
            toml::Value::String(text) => whole.push_str(text),
            other => whole.push_str(&other.to_string()),
        }
        rest = tail;
    }
    whole.push_str(rest);
    Ok(Some(toml::Value::String(whole)))
}

/// An error of the filled-in file, with the line that the same error has in the file as written.
fn placed_error(subject: &str, text: &str, cause: &toml::de::Error) -> Error {
    match toml::from_str::<File>(text) {
        Err(written) if written.message() == cause.message() => syntax_error(subject, text, &written),
        _ => syntax_error(subject, "", cause),
    }
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
    fn variables_reach_literal_strings_and_keep_their_type() {
        let text = "name = \"p\" # ${HOME} in a comment is none\n[variables]\nn = 3\nword = \"a\"\n[train]\nname = \"t\"\n\
                    task = \"regression\"\ntable = 'x-y/${word}.csv'\ntarget = \"y\"\nforest = { n_estimators = \"${n}\" }\n";
        let settings = [("n".to_owned(), "7".to_owned()), ("word".to_owned(), "\\d".to_owned())];
        let pipeline = Pipeline::from_toml("p.toml", text, &settings).unwrap();
        let Step::Train(train) = &pipeline.steps()[0] else { panic!("one train step") };
        assert_eq!((train.forest.params.n_estimators, train.table.as_str()), (7, "x-y/\\d.csv"));
        let wrong = [("n".to_owned(), "many".to_owned())];
        assert!(Pipeline::from_toml("p.toml", text, &wrong).unwrap_err().to_string().contains("`many`"));
    }

    #[test]
    fn a_step_may_not_write_over_its_input() {
        let error = read(&format!("{PREPARE}destination = \"lake://raw-data/a.csv\"\n")).unwrap_err();
        assert!(error.to_string().contains("over its own input"), "{error}");
    }

    #[test]
    fn parameters_of_a_forest_need_a_forest() {
        let train = |trainer: &str| {
            read(&format!(
                "name = \"x\"\n[[train]]\nname = \"m\"\ntask = \"regression\"\ntable = \"x-y/a.csv\"\ntarget = \"y\"\n\
                 trainer = \"{trainer}\"\nforest = {{ n_estimators = 7 }}\n"
            ))
        };
        assert!(train("forest").is_ok());
        assert!(train("linear").unwrap_err().to_string().contains("do not apply to the trainer `linear`"));
    }

    #[test]
    fn limits_of_growth_and_settings_of_an_evaluation_are_read_and_checked() {
        let written = |forest: &str, more: &str, evaluate: &str| {
            read(&format!(
                "name = \"x\"\n[[train]]\nname = \"m\"\ntask = \"regression\"\ntable = \"x-y/a.csv\"\ntarget = \"y\"\n\
                 forest = {{ {forest} }}\n{more}\n[evaluate]\n{evaluate}\n"
            ))
        };
        let auto = "n_estimators = \"auto\", max_time = \"30s\", max_model_size = \"50MB\"";
        let evaluate = "folds = 5\nrepeats = 3\npermutation = { n_repeats = 2, metric = \"mae\" }";
        let pipeline = written(auto, "", evaluate).unwrap();
        let [Step::Train(train), Step::Evaluate(step)] = pipeline.steps() else { panic!("{pipeline:?}") };
        assert!(train.forest.limits.auto && train.forest.limits.max_model_size == Some(50_000_000));
        assert_eq!((step.folds, step.repeats, step.permutation.n_repeats), (Some(5), 3, 2));
        // As it lies in a model file, and crosses to another process.
        let again: Step = serde_json::from_value(serde_json::to_value(&pipeline.steps()[0]).unwrap()).unwrap();
        assert_eq!(again, pipeline.steps()[0]);
        for (forest, more, evaluate, reason) in [
            ("n_estimators = \"many\"", "", "", "a number of trees, or \"auto\""),
            ("max_time = \"soon\"", "", "", "such as 30s"),
            ("n_estimators = \"auto\", bootstrap = false", "", "", "needs bootstrap = true"),
            ("n_estimators = \"auto\"", "trees = \"0..5\"", "", "needs a known number of trees"),
            ("", "", "repeats = 2", "repeats = 2 needs folds"),
            ("", "", "folds = 3\nrepeats = 0", "repeats must be at least 1"),
            ("", "", "permutation = { metric = \"accuracy\" }", "no metric `accuracy`"),
            ("", "", "permutation = { repeats = 2 }", "unknown field `repeats`"),
        ] {
            let error = written(forest, more, evaluate).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn two_writers_of_one_object_are_refused() {
        let text = format!("{PREPARE}destination = [\"processed-data/a.csv\", \"processed-data/a.csv\"]\n");
        assert!(read(&text).unwrap_err().to_string().contains("both write processed-data/a.csv"));
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod reference_tests;
