//! When a forest is large enough: options of training beside its parameters, which a model does not remember.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use super::params::ForestParams;
use crate::error::{Error, Result};
use crate::quantity;

/// Ends the growth of a forest before it has all its trees. Whatever ends it, the forest is the one of that many trees:
/// its parameters say how many, and its digest is that of a forest trained with this `n_estimators`.
///
/// ```
/// use datalake_core::ml::forest::GrowthLimits;
/// let limits = GrowthLimits { max_time: Some(GrowthLimits::time("1.5min")?), ..GrowthLimits::default() };
/// assert_eq!(limits.max_time.map(|time| time.as_secs()), Some(90));
/// assert_eq!(GrowthLimits::size("50MB")?, 50_000_000);
/// # Ok::<(), datalake_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GrowthLimits {
    /// `n_estimators = "auto"`: trees are grown until more of them would lower the out-of-bag error by next to nothing,
    /// at least 30 and at most 1000. The same table and parameters give the same number, on any machine.
    ///
    /// The squared error of `M` trees is that of infinitely many plus `V / M`, where `V` is the mean variance of what a
    /// single tree predicts (Scornet, "On the asymptotics of random forests", Journal of Multivariate Analysis 146,
    /// 2016). `V` is estimated from the trees that have not seen each row; growth ends, in steps of ten trees, when
    /// `V / M` is at most a hundredth of the out-of-bag squared error. Of classes, the errors are those of their shares.
    pub auto: bool,
    /// No tree is begun when the fit has taken this long. How many are grown then depends on the machine; there is always one.
    pub max_time: Option<Duration>,
    /// The most bytes of the model file, lineage and metrics not counted, which are some kilobytes.
    pub max_model_size: Option<u64>,
}

impl GrowthLimits {
    /// Whether there are none: all trees are grown.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// A time, as [`quantity::time`] reads it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for any other text, and for no time at all.
    pub fn time(text: &str) -> Result<Duration> {
        quantity::time(text).map_err(|error| called("max_time", text, &error))
    }

    /// A size, as [`quantity::size`] reads it.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for any other text, and for less than a byte.
    pub fn size(text: &str) -> Result<u64> {
        quantity::size(text).map_err(|error| called("max_model_size", text, &error))
    }

    /// Whether a forest can be grown within these.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for `auto` without bootstrap.
    pub fn check(&self, params: &ForestParams) -> Result<()> {
        if self.auto && !params.bootstrap {
            return Err(Error::invalid("grow", "a forest")
                .with_reason("n_estimators = \"auto\" needs bootstrap = true: rows that trees have not seen end it")
                .with_hint("give the number of trees"));
        }
        Ok(())
    }

    /// Takes these out of settings, where they stand beside the forest's parameters.
    pub(crate) fn take_from(settings: &mut Map<String, Value>) -> Result<Self> {
        let auto = settings.get("n_estimators").and_then(Value::as_str).map(str::to_owned);
        if let Some(word) = &auto {
            if word != "auto" {
                return Err(Error::invalid("use", format_args!("n_estimators \"{word}\""))
                    .with_reason("wanted is a number of trees, or \"auto\""));
            }
            settings.remove("n_estimators");
        }
        let mut take = |name: &str| settings.remove(name).filter(|value| !value.is_null());
        // A number is written without an exponent, which would look like a unit.
        let text = |value: Value| match (value.as_f64(), value.as_str()) {
            (Some(number), _) => number.to_string(),
            (None, Some(text)) => text.to_owned(),
            (None, None) => value.to_string(),
        };
        Ok(Self {
            auto: auto.is_some(),
            max_time: take("max_time").map(|value| Self::time(&text(value))).transpose()?,
            max_model_size: take("max_model_size").map(|value| Self::size(&text(value))).transpose()?,
        })
    }

    fn put_into(self, settings: &mut Map<String, Value>) {
        let given = [
            ("n_estimators", self.auto.then(|| Value::from("auto"))),
            ("max_time", self.max_time.map(|time| Value::from(time.as_secs_f64()))),
            ("max_model_size", self.max_model_size.map(Value::from)),
        ];
        for (name, value) in given {
            settings.extend(value.map(|value| (name.to_owned(), value)));
        }
    }
}

/// The same error, which names the parameter.
fn called(parameter: &str, text: &str, error: &Error) -> Error {
    let named = Error::invalid("use", format_args!("{parameter} `{text}`"));
    match error.reason() {
        Some(reason) => named.with_reason(reason),
        None => named,
    }
}

/// How a forest is trained, as one table of names: its parameters, and `n_estimators = "auto"`, `max_time = "30s"`,
/// `max_model_size = "50MB"` among them.
///
/// ```
/// use datalake_core::ml::forest::ForestSettings;
/// let settings: ForestSettings = serde_json::from_str(r#"{ "n_estimators": "auto", "max_features": "sqrt" }"#)?;
/// assert!(settings.limits.auto);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForestSettings {
    /// What the forest follows from.
    pub params: ForestParams,
    /// When it is large enough.
    pub limits: GrowthLimits,
}

impl Serialize for ForestSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut settings = serde_json::to_value(&self.params).map_err(serde::ser::Error::custom)?;
        if let Value::Object(settings) = &mut settings {
            self.limits.put_into(settings);
        }
        settings.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ForestSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut settings = Map::deserialize(deserializer)?;
        let limits = GrowthLimits::take_from(&mut settings).map_err(de::Error::custom)?;
        let params = ForestParams::deserialize(Value::Object(settings)).map_err(de::Error::custom)?;
        Ok(Self { params, limits })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        let times =
            ["30s", "500ms", "1.5min", "2h", "7", " 1 m"].map(|text| GrowthLimits::time(text).unwrap().as_millis());
        assert_eq!(times, [30_000, 500, 90_000, 7_200_000, 7_000, 60_000]);
        let sizes = ["50MB", "1KiB", "2 kB", "1.5GB", "9"].map(|text| GrowthLimits::size(text).unwrap());
        assert_eq!(sizes, [50_000_000, 1024, 2000, 1_500_000_000, 9]);
        for text in ["", "s", "0s", "-1s", "1 day", "NaN", "1e400s"] {
            assert!(GrowthLimits::time(text).is_err(), "{text}");
        }
        for text in ["", "MB", "0.1", "-1MB", "50mb", "inf"] {
            assert!(GrowthLimits::size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_stand_beside_parameters_and_come_back() {
        let given = json!({ "n_estimators": "auto", "max_time": "2min", "max_model_size": 4096, "seed": 3 });
        let settings: ForestSettings = serde_json::from_value(given).unwrap();
        assert_eq!((settings.params.seed, settings.limits.auto), (3, true));
        assert_eq!(settings.limits.max_time, Some(Duration::from_secs(120)));
        let again: ForestSettings = serde_json::from_value(serde_json::to_value(&settings).unwrap()).unwrap();
        assert_eq!(again, settings);
        let short: ForestSettings = serde_json::from_value(json!({ "max_time": 1e-6, "max_model_size": 5e7 })).unwrap();
        assert_eq!(short.limits.max_time, Some(Duration::from_micros(1)));
        assert_eq!(short.limits.max_model_size, Some(50_000_000));
        let plain: ForestSettings = serde_json::from_value(json!({ "n_estimators": 7, "max_time": null })).unwrap();
        assert!(plain.limits.is_none() && plain.params.n_estimators == 7);
        let error = serde_json::from_value::<ForestSettings>(json!({ "n_estimators": "many" })).unwrap_err();
        assert!(error.to_string().contains("a number of trees, or \"auto\""), "{error}");
        let error = serde_json::from_value::<ForestSettings>(json!({ "max_tim": 1 })).unwrap_err();
        assert!(error.to_string().starts_with("unknown field `max_tim`"), "{error}");
    }

    #[test]
    fn without_bootstrap_nothing_tells_when_it_is_enough() {
        let params = ForestParams { bootstrap: false, ..ForestParams::default() };
        let limits = GrowthLimits { auto: true, ..GrowthLimits::default() };
        assert!(limits.check(&params).unwrap_err().reason().unwrap().contains("needs bootstrap = true"));
        assert!(limits.check(&ForestParams::default()).is_ok());
    }
}
