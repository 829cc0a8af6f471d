//! Trainers by name, as pipeline files and command lines write them.

use serde::Deserialize;
use serde::de::value::Error as NoValue;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;

use super::feature::{list, nearest};
use super::forest::{ForestTrainer, GrowthLimits};
use super::{DummyTrainer, LinearTrainer, LinfaTreesTrainer, LogisticTrainer, Task, Trainer};
use crate::error::{Error, Result};

/// The names that [`trainer`] knows.
pub const TRAINERS: [&str; 5] = ["forest", "linear", "logistic", "dummy", "linfa-trees"];

/// What a model is compared with where nothing else is asked for: no skill at all, and a linear model.
#[must_use]
pub fn baselines(task: Task) -> [&'static str; 2] {
    match task {
        Task::Regression => ["dummy", "linear"],
        Task::Classification => ["dummy", "logistic"],
    }
}

/// The trainer of this name with these parameters; `null` means the defaults.
///
/// ```
/// use datalake_core::ml::{Task, trainer};
/// let error = trainer("forrest", Task::Regression, &serde_json::Value::Null).unwrap_err();
/// assert_eq!(error.hint(), Some("did you mean `forest`?"));
/// ```
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for an unknown trainer or parameter, naming the nearest, for a value out of
/// range, and for a trainer that does not do this task.
pub fn trainer(name: &str, task: Task, params: &Value) -> Result<Box<dyn Trainer>> {
    match name {
        "forest" => {
            let mut params = params.clone();
            let limits = params.as_object_mut().map(GrowthLimits::take_from).transpose()?.unwrap_or_default();
            Ok(Box::new(ForestTrainer::new(task, read(name, &params)?)?.with_limits(limits)?))
        }
        "dummy" => read::<NoParams>(name, params).map(|_| Box::new(DummyTrainer::new(task)) as Box<dyn Trainer>),
        "linear" => {
            only(name, Task::Regression, task)?;
            read::<NoParams>(name, params).map(|_| Box::new(LinearTrainer) as Box<dyn Trainer>)
        }
        "logistic" => {
            only(name, Task::Classification, task)?;
            Ok(Box::new(LogisticTrainer::new(read(name, params)?)?))
        }
        "linfa-trees" => {
            only(name, Task::Classification, task)?;
            Ok(Box::new(LinfaTreesTrainer::new(read(name, params)?)?))
        }
        unknown => {
            let error = Error::invalid("train", format_args!("by `{unknown}`")).with_reason("there is no such trainer");
            Err(match nearest(unknown, &TRAINERS) {
                Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
                None => error.with_hint(format_args!("there are {}", list(&TRAINERS))),
            })
        }
    }
}

/// A trainer without parameters.
#[derive(Debug, Default, Deserialize)]
struct NoParams {}

fn only(name: &str, does: Task, asked: Task) -> Result<()> {
    if does == asked {
        return Ok(());
    }
    let instead = if asked == Task::Regression { "linear" } else { "logistic" };
    Err(Error::invalid("train", format_args!("by `{name}`"))
        .with_reason(format_args!("it does {does}, and the target is for {asked}"))
        .with_hint(format_args!("use `forest` or `{instead}`")))
}

/// Parameters from their JSON form, on top of the defaults.
fn read<P: Default + DeserializeOwned>(name: &str, params: &Value) -> Result<P> {
    let Value::Object(given) = params else {
        return if params.is_null() { Ok(P::default()) } else { Err(wrong(name, "they must be a table of names")) };
    };
    let known = names_of::<P>();
    if let Some(unknown) = given.keys().find(|key| !known.contains(&key.as_str())) {
        let error = wrong(name, format_args!("`{unknown}` is none of them"));
        return Err(match nearest(unknown, known) {
            Some(near) => error.with_hint(format_args!("did you mean `{near}`?")),
            None if known.is_empty() => error.with_hint(format_args!("`{name}` has no parameters")),
            None => error.with_hint(format_args!("there are {}", list(known))),
        });
    }
    P::deserialize(params).map_err(|cause| {
        // Alone, each says whether it is the one at fault.
        let alone = |(key, value): (&String, &Value)| {
            let cause = P::deserialize(&Value::from_iter([(key.as_str(), value.clone())])).err()?;
            Some(wrong(name, format_args!("`{key}`: {cause}")))
        };
        given.iter().find_map(alone).unwrap_or_else(|| wrong(name, cause))
    })
}

/// The names of a structure's fields, which only its deserialization knows.
fn names_of<P: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It fails once it has asked for the fields.
    drop(P::deserialize(Names(&mut names)));
    names
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = NoValue;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, NoValue> {
        *self.0 = fields;
        Err(NoValue::custom("there is no value"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, NoValue> {
        Err(NoValue::custom("there is no structure"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn wrong(name: &str, reason: impl std::fmt::Display) -> Error {
    let reason = reason.to_string();
    // Not everybody who reads this writes Rust.
    let reason = [("u32", u64::from(u32::MAX)), ("u64", u64::MAX)].into_iter().fold(reason, |reason, (word, most)| {
        reason.replace(&format!("expected {word}"), &format!("wanted is a whole number from 0 to {most}"))
    });
    Error::invalid("read", format_args!("the parameters of `{name}`")).with_reason(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misspelt_parameter_names_the_nearest() {
        let error = trainer("forest", Task::Regression, &json!({ "n_estimator": 5 })).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the parameters of `forest`: `n_estimator` is none of them");
        assert_eq!(error.hint(), Some("did you mean `n_estimators`?"));
    }

    #[test]
    fn parameters_that_are_mostly_left_out_are_known() {
        let given = json!({ "max_leaf_nodes": 5, "ccp_alpha": 0.1, "monotonic_cst": { "x": 1 }, "splitter": "random" });
        assert!(trainer("forest", Task::Regression, &given).is_ok());
        assert!(trainer("forest", Task::Classification, &json!({ "class_weight": "balanced" })).is_ok());
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused() {
        assert!(trainer("forest", Task::Regression, &json!({ "n_estimators": "many" })).is_err());
        assert!(trainer("forest", Task::Regression, &json!(5)).is_err());
        assert!(trainer("forest", Task::Regression, &json!({ "n_estimators": 0 })).is_err());
        for (key, value) in [("max_depth", json!(-1)), ("min_samples_leaf", json!(1e12)), ("seed", json!("x"))] {
            let error = trainer("forest", Task::Regression, &json!({ "n_estimators": 5, key: value })).unwrap_err();
            let wanted = format!("cannot read the parameters of `forest`: `{key}`: invalid ");
            assert!(error.to_string().starts_with(&wanted), "{error}");
        }
    }

    #[test]
    fn every_name_is_known_and_some_do_one_task_only() {
        for name in TRAINERS {
            let tasks = [Task::Regression, Task::Classification].map(|task| trainer(name, task, &Value::Null));
            assert!(tasks.iter().flatten().all(|trainer| trainer.name() == name));
            assert!(tasks.iter().any(Result::is_ok), "{name}");
        }
        let error = trainer("linear", Task::Classification, &Value::Null).unwrap_err();
        assert_eq!(error.hint(), Some("use `forest` or `logistic`"));
        let error = trainer("dummy", Task::Regression, &json!({ "mean": 5 })).unwrap_err();
        assert_eq!(error.hint(), Some("`dummy` has no parameters"));
    }
}
