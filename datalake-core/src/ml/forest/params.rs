//! The forest's parameters, named as in scikit-learn, and their checks.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};
use crate::ml::Task;

/// How a forest is grown. Every field has a default; [`ForestParams::check`] says what is allowed.
///
/// ```
/// use datalake_core::ml::forest::{ForestParams, MaxFeatures};
/// let params: ForestParams = serde_json::from_str(r#"{ "n_estimators": 50, "max_features": "sqrt" }"#)?;
/// assert_eq!((params.n_estimators, params.max_features), (50, MaxFeatures::Sqrt));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForestParams {
    /// The number of trees.
    pub n_estimators: u32,
    /// How good a split is; none means by task: squared error or Gini.
    pub criterion: Option<Criterion>,
    /// The most splits between the root and a leaf; none means no limit.
    pub max_depth: Option<u32>,
    /// A node of fewer rows is a leaf. Rows that the bootstrap drew twice count once.
    pub min_samples_split: u32,
    /// A split leaves at least so many rows on either side.
    pub min_samples_leaf: u32,
    /// How many features are tried at a node.
    pub max_features: MaxFeatures,
    /// A split must lower the impurity, weighted by the node's share of the rows, by at least this much.
    pub min_impurity_decrease: f64,
    /// A split leaves at least this share of the whole weight on either side.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_weight_fraction_leaf: f64,
    /// The most leaves of a tree: of all splits, those that lower the impurity most are made first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_leaf_nodes: Option<u32>,
    /// Branches that lower the impurity by less than this for each of their leaves are cut off (minimal
    /// cost-complexity pruning; Breiman, Friedman, Olshen and Stone, "Classification and regression trees", 1984).
    #[serde(skip_serializing_if = "is_zero")]
    pub ccp_alpha: f64,
    /// By feature, how predictions may move with it, all others the same: 1 never down, -1 never up. Of two classes,
    /// the chance of the second moves.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub monotonic_cst: BTreeMap<String, i8>,
    /// How a threshold is found: the best one, or one drawn for each feature (extremely randomized trees).
    #[serde(skip_serializing_if = "Splitter::is_best")]
    pub splitter: Splitter,
    /// What rows weigh by their class, besides weights of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<ClassWeight>,
    /// Whether each tree sees rows drawn with replacement, or every row.
    pub bootstrap: bool,
    /// How many rows the bootstrap draws, as a share of the table; none means as many as it has.
    pub max_samples: Option<f64>,
    /// Whether the rows that each tree has not seen are predicted, for an honest score: about the time of predicting
    /// a third of the table. It does not change the forest.
    pub oob_score: bool,
    /// Names the random draws: the same seed gives the same forest.
    pub seed: u64,
}

impl Default for ForestParams {
    fn default() -> Self {
        Self {
            n_estimators: 100,
            criterion: None,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            max_features: MaxFeatures::Auto,
            min_impurity_decrease: 0.0,
            min_weight_fraction_leaf: 0.0,
            max_leaf_nodes: None,
            ccp_alpha: 0.0,
            monotonic_cst: BTreeMap::new(),
            splitter: Splitter::Best,
            class_weight: None,
            bootstrap: true,
            max_samples: None,
            oob_score: true,
            seed: 0,
        }
    }
}

/// How good a split is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Criterion {
    /// By the decrease of the squared error around the mean (regression).
    SquaredError,
    /// By the decrease of the absolute error around the median, which leaves then predict (regression). Every split is
    /// searched exactly, which takes several times as long.
    AbsoluteError,
    /// By the decrease of half the Poisson deviance around the mean, for counts and rates (regression).
    Poisson,
    /// By the decrease of the chance that two draws differ in class (classification).
    Gini,
    /// By the decrease of the entropy of the classes, in bits (classification).
    Entropy,
    /// The same as [`Criterion::Entropy`], by the name of the loss that it lowers.
    LogLoss,
}

impl Criterion {
    fn word(self) -> &'static str {
        match self {
            Self::SquaredError => "squared_error",
            Self::AbsoluteError => "absolute_error",
            Self::Poisson => "poisson",
            Self::Gini => "gini",
            Self::Entropy => "entropy",
            Self::LogLoss => "log_loss",
        }
    }

    fn task(self) -> Task {
        match self {
            Self::SquaredError | Self::AbsoluteError | Self::Poisson => Task::Regression,
            Self::Gini | Self::Entropy | Self::LogLoss => Task::Classification,
        }
    }
}

/// How the threshold of a split is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Splitter {
    /// The best of all.
    #[default]
    Best,
    /// The best of one drawn for each feature that is tried, anywhere between its least and greatest value in the node
    /// (Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006). Sets of categories are
    /// drawn too.
    Random,
}

impl Splitter {
    fn is_best(&self) -> bool {
        *self == Self::Best
    }
}

/// What rows weigh by their class: `"balanced"`, `"balanced_subsample"`, or a number for each class by its label.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassWeight {
    /// All classes weigh the same: rows / (classes * rows of the class).
    Balanced,
    /// The same by the rows that each tree has drawn.
    BalancedSubsample,
    /// By label; classes not named weigh 1.
    Of(BTreeMap<String, f64>),
}

impl Serialize for ClassWeight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Balanced => serializer.serialize_str("balanced"),
            Self::BalancedSubsample => serializer.serialize_str("balanced_subsample"),
            Self::Of(weights) => weights.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClassWeight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ClassWeightVisitor)
    }
}

struct ClassWeightVisitor;

impl<'de> de::Visitor<'de> for ClassWeightVisitor {
    type Value = ClassWeight;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"balanced\", \"balanced_subsample\" or a number for each class")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<ClassWeight, E> {
        match value {
            "balanced" => Ok(ClassWeight::Balanced),
            "balanced_subsample" => Ok(ClassWeight::BalancedSubsample),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ClassWeight, A::Error> {
        BTreeMap::deserialize(de::value::MapAccessDeserializer::new(map)).map(ClassWeight::Of)
    }
}

/// How many features are tried at a node. Text (`"auto"`, `"all"`, `"sqrt"`, `"log2"`, `"third"`), a share (`0.33`)
/// or a count (`3`).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum MaxFeatures {
    /// All for a regression, the square root for a classification.
    #[default]
    Auto,
    /// All.
    All,
    /// The square root of their number, rounded down.
    Sqrt,
    /// The binary logarithm of their number, rounded down.
    Log2,
    /// A third, rounded down.
    Third,
    /// A share above 0 and up to 1, rounded down.
    Fraction(f64),
    /// So many, or all if there are fewer.
    Count(u32),
}

impl MaxFeatures {
    /// How many of `features` are tried: at least one.
    #[must_use]
    pub fn resolve(self, features: usize, task: Task) -> usize {
        let count = match (self, task) {
            (Self::All, _) | (Self::Auto, Task::Regression) => features,
            (Self::Sqrt, _) | (Self::Auto, Task::Classification) => features.isqrt(),
            (Self::Log2, _) => features.checked_ilog2().unwrap_or(0) as usize,
            (Self::Third, _) => features / 3,
            (Self::Fraction(share), _) => (share * features as f64) as usize,
            (Self::Count(count), _) => count as usize,
        };
        count.clamp(1, features.max(1))
    }

    fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::Auto => "auto",
            Self::All => "all",
            Self::Sqrt => "sqrt",
            Self::Log2 => "log2",
            Self::Third => "third",
            Self::Fraction(_) | Self::Count(_) => return None,
        })
    }
}

impl Serialize for MaxFeatures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fraction(share) => serializer.serialize_f64(*share),
            Self::Count(count) => serializer.serialize_u32(*count),
            word => serializer.serialize_str(word.word().unwrap_or("auto")),
        }
    }
}

impl<'de> Deserialize<'de> for MaxFeatures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaxFeaturesVisitor)
    }
}

struct MaxFeaturesVisitor;

impl de::Visitor<'_> for MaxFeaturesVisitor {
    type Value = MaxFeatures;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"auto\", \"all\", \"sqrt\", \"log2\", \"third\", a share such as 0.33 or a count such as 3")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<MaxFeatures, E> {
        use MaxFeatures::{All, Auto, Log2, Sqrt, Third};
        let known = [Auto, All, Sqrt, Log2, Third].into_iter().find(|choice| choice.word() == Some(value));
        known.ok_or_else(|| E::invalid_value(de::Unexpected::Str(value), &self))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<MaxFeatures, E> {
        Ok(MaxFeatures::Fraction(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<MaxFeatures, E> {
        u32::try_from(value)
            .map(MaxFeatures::Count)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<MaxFeatures, E> {
        u32::try_from(value).map(MaxFeatures::Count).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
    }
}

/// The most trees that a forest may have: more never fit into memory.
pub(super) const MOST_TREES: u32 = 1_000_000;

impl ForestParams {
    /// Whether a forest can be grown like this.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming the parameter and the value found.
    pub fn check(&self, task: Task) -> Result<()> {
        at_least("n_estimators", self.n_estimators, 1)?;
        at_least("min_samples_split", self.min_samples_split, 2)?;
        at_least("min_samples_leaf", self.min_samples_leaf, 1)?;
        at_least("max_depth", self.max_depth.unwrap_or(1), 1)?;
        if self.n_estimators > MOST_TREES {
            return refuse(format!("n_estimators must be at most {MOST_TREES}, got {}", self.n_estimators));
        }
        if !(self.min_impurity_decrease >= 0.0 && self.min_impurity_decrease.is_finite()) {
            let found = self.min_impurity_decrease;
            return refuse(format!("min_impurity_decrease must be zero or a positive number, got {found}"));
        }
        if !(0.0..=0.5).contains(&self.min_weight_fraction_leaf) {
            let found = self.min_weight_fraction_leaf;
            return refuse(format!("min_weight_fraction_leaf must be from 0 to 0.5, got {found}"));
        }
        if !(self.ccp_alpha >= 0.0 && self.ccp_alpha.is_finite()) {
            return refuse(format!("ccp_alpha must be zero or a positive number, got {}", self.ccp_alpha));
        }
        at_least("max_leaf_nodes", self.max_leaf_nodes.unwrap_or(2), 2)?;
        self.check_samples()?;
        self.check_features()?;
        self.check_constraints()?;
        self.check_class_weight(task)?;
        self.check_criterion(task)
    }

    /// What differs from other parameters, by name.
    pub(super) fn differences(&self, other: &Self) -> String {
        let table = |params: &Self| serde_json::to_value(params).unwrap_or_default();
        let (own, other) = (table(self), table(other));
        let names = [&own, &other].into_iter().filter_map(serde_json::Value::as_object).flat_map(|table| table.keys());
        let names: std::collections::BTreeSet<&String> =
            names.filter(|name| own.get(name) != other.get(name)).collect();
        let said = |table: &serde_json::Value, name: &String| {
            table.get(name).map_or("not given".to_owned(), ToString::to_string)
        };
        let differences =
            names.into_iter().map(|name| format!("{name} is {} and {}", said(&own, name), said(&other, name)));
        differences.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn is_entropy(&self) -> bool {
        matches!(self.criterion, Some(Criterion::Entropy | Criterion::LogLoss))
    }

    fn check_constraints(&self) -> Result<()> {
        match self.monotonic_cst.iter().find(|(_, direction)| !(-1..=1).contains(*direction)) {
            None => Ok(()),
            Some((name, found)) => refuse(format!("monotonic_cst of `{name}` must be -1, 0 or 1, got {found}")),
        }
    }

    fn check_class_weight(&self, task: Task) -> Result<()> {
        match &self.class_weight {
            Some(_) if task == Task::Regression => refuse("class_weight is for a classification".to_owned()),
            Some(ClassWeight::Of(weights)) => {
                match weights.iter().find(|(_, weight)| !(**weight >= 0.0 && weight.is_finite())) {
                    None => Ok(()),
                    Some((class, found)) => {
                        refuse(format!("class_weight of `{class}` must be zero or a positive number, got {found}"))
                    }
                }
            }
            _ => Ok(()),
        }
    }

    fn check_samples(&self) -> Result<()> {
        match self.max_samples {
            Some(share) if !(share > 0.0 && share <= 1.0) => {
                refuse(format!("max_samples must be above 0 and at most 1, got {share}"))
            }
            Some(share) if !self.bootstrap => {
                refuse(format!("max_samples needs bootstrap = true, got {share} with bootstrap = false"))
            }
            _ => Ok(()),
        }
    }

    fn check_features(&self) -> Result<()> {
        match self.max_features {
            MaxFeatures::Fraction(share) if !(share > 0.0 && share <= 1.0) => {
                refuse(format!("max_features as a share must be above 0 and at most 1, got {share}"))
            }
            MaxFeatures::Count(count) => at_least("max_features", count, 1),
            _ => Ok(()),
        }
    }

    fn check_criterion(&self, task: Task) -> Result<()> {
        let Some(criterion) = self.criterion.filter(|criterion| criterion.task() != task) else { return Ok(()) };
        let wanted = match task {
            Task::Regression => "\"squared_error\", \"absolute_error\" or \"poisson\"",
            Task::Classification => "\"gini\", \"entropy\" or \"log_loss\"",
        };
        refuse(format!("criterion of a {task} must be {wanted}, got \"{}\"", criterion.word()))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(value: &f64) -> bool {
    value.abs() <= 0.0
}

fn refuse(reason: String) -> Result<()> {
    Err(Error::invalid("grow", "a forest").with_reason(reason))
}

fn at_least(name: &str, value: u32, least: u32) -> Result<()> {
    if value >= least { Ok(()) } else { refuse(format!("{name} must be at least {least}, got {value}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(change: impl FnOnce(&mut ForestParams)) -> String {
        let mut params = ForestParams::default();
        change(&mut params);
        params.check(Task::Regression).unwrap_err().reason().unwrap_or_default().to_owned()
    }

    #[test]
    fn values_out_of_range_are_named_with_what_was_found() {
        assert!(ForestParams::default().check(Task::Regression).is_ok());
        assert_eq!(reason(|p| p.n_estimators = 0), "n_estimators must be at least 1, got 0");
        assert_eq!(reason(|p| p.min_samples_split = 1), "min_samples_split must be at least 2, got 1");
        assert_eq!(reason(|p| p.min_samples_leaf = 0), "min_samples_leaf must be at least 1, got 0");
        assert_eq!(reason(|p| p.max_depth = Some(0)), "max_depth must be at least 1, got 0");
        assert_eq!(reason(|p| p.max_samples = Some(1.5)), "max_samples must be above 0 and at most 1, got 1.5");
        assert_eq!(reason(|p| p.n_estimators = 1_000_001), "n_estimators must be at most 1000000, got 1000001");
        assert_eq!(reason(|p| p.max_leaf_nodes = Some(1)), "max_leaf_nodes must be at least 2, got 1");
        assert_eq!(reason(|p| p.max_features = MaxFeatures::Count(0)), "max_features must be at least 1, got 0");
        for share in [f64::NAN, 0.0, -0.5, 1.5, f64::INFINITY] {
            assert!(reason(|p| p.max_features = MaxFeatures::Fraction(share)).ends_with(&format!("got {share}")));
            assert!(reason(|p| p.max_samples = Some(share)).ends_with(&format!("got {share}")));
        }
        for below in [f64::NAN, -1.0, f64::INFINITY] {
            let found = [
                reason(|p| p.min_impurity_decrease = below),
                reason(|p| p.ccp_alpha = below),
                reason(|p| p.min_weight_fraction_leaf = below),
            ];
            assert!(found.iter().all(|reason| reason.ends_with(&format!("got {below}"))), "{found:?}");
        }
        assert!(reason(|p| p.min_weight_fraction_leaf = 0.6).ends_with("from 0 to 0.5, got 0.6"));
        assert!(reason(|p| p.criterion = Some(Criterion::Gini)).ends_with("got \"gini\""));
        let direction = |p: &mut ForestParams| p.monotonic_cst = [("fat_g".to_owned(), 2)].into();
        assert_eq!(reason(direction), "monotonic_cst of `fat_g` must be -1, 0 or 1, got 2");
        assert_eq!(
            reason(|p| (p.max_samples, p.bootstrap) = (Some(0.5), false)),
            "max_samples needs bootstrap = true, got 0.5 with bootstrap = false"
        );
        assert_eq!(reason(|p| p.class_weight = Some(ClassWeight::Balanced)), "class_weight is for a classification");
        for weight in [f64::NAN, -1.0, f64::INFINITY] {
            let class_weight = Some(ClassWeight::Of([("meat".to_owned(), weight)].into()));
            let params = ForestParams { class_weight, ..ForestParams::default() };
            let error = params.check(Task::Classification).unwrap_err();
            assert!(error.to_string().ends_with(&format!("got {weight}")), "{error}");
        }
    }

    #[test]
    fn features_to_try_follow_scikit_learn() {
        use MaxFeatures::{Auto, Count, Fraction, Log2, Sqrt, Third};
        let of_ten = [Auto, Sqrt, Log2, Third, Fraction(0.35), Count(4), Count(40), Fraction(0.01)];
        let tried: Vec<usize> = of_ten.iter().map(|choice| choice.resolve(10, Task::Regression)).collect();
        assert_eq!(tried, [10, 3, 3, 3, 3, 4, 10, 1]);
        assert_eq!(Auto.resolve(10, Task::Classification), 3);
    }

    #[test]
    fn max_features_is_a_word_a_share_or_a_count() {
        for text in ["\"sqrt\"", "\"all\"", "0.33", "3"] {
            let choice: MaxFeatures = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&choice).unwrap(), text);
        }
        assert!(serde_json::from_str::<MaxFeatures>("\"squirt\"").unwrap_err().to_string().contains("a share such as"));
    }
}
