//! The forest in linfa's words: parameters that are checked, `Fit`, `Predict`, on linfa's datasets.
//!
//! ```
//! use datalake_core::ml::linfa::RandomForestRegressor;
//! use linfa::Dataset;
//! use linfa::traits::{Fit, Predict};
//! use ndarray::{Array, Array2};
//!
//! let records: Array2<f64> = Array::from_shape_fn((60, 2), |(row, column)| (row * (column + 1)) as f64);
//! let targets = records.column(0).mapv(|x| x * 9.0);
//! let dataset = Dataset::new(records, targets);
//! let forest = RandomForestRegressor::params().n_estimators(20).seed(1).fit(&dataset)?;
//! let predicted = forest.predict(&dataset);
//! assert!((predicted[30] - 270.0).abs() < 30.0);
//! # Ok::<(), datalake_core::Error>(())
//! ```

use std::marker::PhantomData;

use linfa::ParamGuard;
use linfa::dataset::{AsSingleTargets, DatasetBase};
use linfa::traits::{Fit, PredictInplace};
use ndarray::{Array1, Array2, ArrayBase, Data, Ix2};

use super::feature::{Column, Feature, FeatureKind};
use super::forest::{ClassWeight, Criterion, Forest, ForestParams, ForestTrainer, MaxFeatures, Splitter};
use super::{Frame, Target, Task, greatest, numbers};
use crate::error::{Error, Position, Result};
use crate::progress::Silent;

/// A regression forest on linfa's datasets.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomForestRegressor {
    forest: Forest,
}

/// A classification forest on linfa's datasets.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomForestClassifier {
    forest: Forest,
    labels: Vec<usize>,
}

/// Parameters whose values have not been checked; `M` is the model that they make.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomForestParams<M>(RandomForestValidParams<M>);

/// Parameters that have been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomForestValidParams<M> {
    params: ForestParams,
    model: PhantomData<fn() -> M>,
}

impl RandomForestRegressor {
    /// Parameters with the defaults of [`ForestParams`].
    #[must_use]
    pub fn params() -> RandomForestParams<Self> {
        RandomForestParams::new()
    }

    /// The forest itself; its features are named as the dataset's, or `feature-0` and so on.
    #[must_use]
    pub fn forest(&self) -> &Forest {
        &self.forest
    }
}

impl RandomForestClassifier {
    /// Parameters with the defaults of [`ForestParams`].
    #[must_use]
    pub fn params() -> RandomForestParams<Self> {
        RandomForestParams::new()
    }

    /// The forest itself; its features are named as the dataset's, or `feature-0` and so on.
    #[must_use]
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// The labels in the order of [`predict_probabilities`](Self::predict_probabilities).
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The probability of each label, `rows x labels`.
    ///
    /// # Panics
    /// If the records have another number of columns than those of the fit.
    #[must_use]
    pub fn predict_probabilities<D: Data<Elem = f64>>(&self, records: &ArrayBase<D, Ix2>) -> Array2<f64> {
        let shares = predict(&self.forest, records);
        Array2::from_shape_vec((records.nrows(), self.labels.len()), shares)
            .expect("a forest gives rows x labels shares")
    }
}

impl<M> RandomForestParams<M> {
    fn new() -> Self {
        Self(RandomForestValidParams { params: ForestParams::default(), model: PhantomData })
    }

    fn with(mut self, change: impl FnOnce(&mut ForestParams)) -> Self {
        change(&mut self.0.params);
        self
    }

    /// Sets the number of trees.
    #[must_use]
    pub fn n_estimators(self, count: u32) -> Self {
        self.with(|params| params.n_estimators = count)
    }

    /// Sets how good a split is; none means squared error or Gini.
    #[must_use]
    pub fn criterion(self, criterion: Option<Criterion>) -> Self {
        self.with(|params| params.criterion = criterion)
    }

    /// Sets the most splits between the root and a leaf.
    #[must_use]
    pub fn max_depth(self, depth: Option<u32>) -> Self {
        self.with(|params| params.max_depth = depth)
    }

    /// Sets the least rows of a node that is split.
    #[must_use]
    pub fn min_samples_split(self, rows: u32) -> Self {
        self.with(|params| params.min_samples_split = rows)
    }

    /// Sets the least rows on either side of a split.
    #[must_use]
    pub fn min_samples_leaf(self, rows: u32) -> Self {
        self.with(|params| params.min_samples_leaf = rows)
    }

    /// Sets how many features are tried at a node.
    #[must_use]
    pub fn max_features(self, features: MaxFeatures) -> Self {
        self.with(|params| params.max_features = features)
    }

    /// Sets the least decrease of impurity by a split.
    #[must_use]
    pub fn min_impurity_decrease(self, decrease: f64) -> Self {
        self.with(|params| params.min_impurity_decrease = decrease)
    }

    /// Sets the least share of the whole weight on either side of a split.
    #[must_use]
    pub fn min_weight_fraction_leaf(self, share: f64) -> Self {
        self.with(|params| params.min_weight_fraction_leaf = share)
    }

    /// Sets the most leaves of a tree.
    #[must_use]
    pub fn max_leaf_nodes(self, leaves: Option<u32>) -> Self {
        self.with(|params| params.max_leaf_nodes = leaves)
    }

    /// Sets what each leaf must be worth, or its branch is cut off.
    #[must_use]
    pub fn ccp_alpha(self, alpha: f64) -> Self {
        self.with(|params| params.ccp_alpha = alpha)
    }

    /// Sets how predictions move with a feature, by its name: 1 never down, -1 never up.
    #[must_use]
    pub fn monotonic_cst(self, feature: &str, direction: i8) -> Self {
        self.with(|params| params.monotonic_cst.extend([(feature.to_owned(), direction)]))
    }

    /// Sets how a threshold is found.
    #[must_use]
    pub fn splitter(self, splitter: Splitter) -> Self {
        self.with(|params| params.splitter = splitter)
    }

    /// Sets what rows weigh by their class; labels are named by their text, such as `"7"`.
    #[must_use]
    pub fn class_weight(self, weight: Option<ClassWeight>) -> Self {
        self.with(|params| params.class_weight = weight)
    }

    /// Sets whether each tree sees rows drawn with replacement.
    #[must_use]
    pub fn bootstrap(self, bootstrap: bool) -> Self {
        self.with(|params| params.bootstrap = bootstrap)
    }

    /// Sets how many rows the bootstrap draws, as a share of the table.
    #[must_use]
    pub fn max_samples(self, share: Option<f64>) -> Self {
        self.with(|params| params.max_samples = share)
    }

    /// Sets whether the rows that each tree has not seen are predicted.
    #[must_use]
    pub fn oob_score(self, score: bool) -> Self {
        self.with(|params| params.oob_score = score)
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.with(|params| params.seed = seed)
    }
}

/// A model that a forest's parameters can make: says for which task they are checked.
pub trait ForestModel {
    /// The task.
    const TASK: Task;
}

impl ForestModel for RandomForestRegressor {
    const TASK: Task = Task::Regression;
}

impl ForestModel for RandomForestClassifier {
    const TASK: Task = Task::Classification;
}

impl<M: ForestModel> ParamGuard for RandomForestParams<M> {
    type Checked = RandomForestValidParams<M>;
    type Error = Error;

    fn check_ref(&self) -> Result<&Self::Checked> {
        self.0.params.check(M::TASK)?;
        Ok(&self.0)
    }

    fn check(self) -> Result<Self::Checked> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl From<linfa::Error> for Error {
    fn from(cause: linfa::Error) -> Self {
        Error::invalid("use", "a linfa dataset").with_source(cause)
    }
}

impl<D, T> Fit<ArrayBase<D, Ix2>, T, Error> for RandomForestValidParams<RandomForestRegressor>
where
    D: Data<Elem = f64>,
    T: AsSingleTargets<Elem = f64>,
{
    type Object = RandomForestRegressor;

    /// NaN in the records is missing, and rows weigh what the dataset says; an infinite record, a target that is not
    /// finite, or a constant one is an error.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<RandomForestRegressor> {
        let values: Vec<f64> = dataset.as_single_targets().iter().map(|value| value + 0.0).collect();
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid("learn", "the targets")
                .with_position(Position::row(row as u64 + 1))
                .with_reason(format_args!("a target must be finite, got `{}`", values[row])));
        }
        Ok(RandomForestRegressor { forest: grow(&self.params, dataset, Target::Numbers(values))? })
    }
}

impl<D, T> Fit<ArrayBase<D, Ix2>, T, Error> for RandomForestValidParams<RandomForestClassifier>
where
    D: Data<Elem = f64>,
    T: AsSingleTargets<Elem = usize>,
{
    type Object = RandomForestClassifier;

    /// NaN in the records is missing, and rows weigh what the dataset says; an infinite record or a single class is an
    /// error.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<RandomForestClassifier> {
        let targets = dataset.as_single_targets();
        let mut labels = targets.to_vec();
        labels.sort_unstable();
        labels.dedup();
        let codes = targets.iter().map(|label| labels.partition_point(|known| known < label) as u32).collect();
        let classes = labels.iter().map(ToString::to_string).collect();
        let forest = grow(&self.params, dataset, Target::Labels { classes, codes })?;
        Ok(RandomForestClassifier { forest, labels })
    }
}

fn grow<D, T>(params: &ForestParams, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>, target: Target) -> Result<Forest>
where
    D: Data<Elem = f64>,
    T: linfa::dataset::AsTargets,
{
    let task = target.task();
    let records = dataset.records();
    let columns: Vec<Vec<f64>> = (0..records.ncols()).map(|column| values(records, column)).collect();
    let names = dataset.feature_names();
    let name = |column: usize| names.get(column).cloned().unwrap_or_else(|| format!("feature-{column}"));
    for (column, values) in columns.iter().enumerate() {
        if let Some(row) = values.iter().position(|value| value.is_infinite()) {
            return Err(Error::invalid("use", format_args!("column `{}`", name(column)))
                .with_position(Position::row(row as u64 + 1))
                .with_reason(format_args!("a feature must be finite or missing, got `{}`", values[row])));
        }
    }
    let kind = |values: &Vec<f64>| FeatureKind::Numeric { range: numbers::range_of(values.iter().copied()) };
    let features = columns.iter().enumerate();
    let features = features.map(|(column, values)| Feature { name: name(column), kind: kind(values), unit: None });
    let features: Vec<Feature> = features.collect();
    let columns = columns.into_iter().map(|values| Column::Numeric(values.into())).collect();
    let target_name = dataset.target_names().first().map_or("target", String::as_str);
    let mut frame = Frame::from_parts(features, columns, target_name, target)?;
    if let Some(weights) = dataset.weights() {
        frame = frame.with_weights(weights.iter().map(|weight| f64::from(*weight)).collect())?;
    }
    ForestTrainer::new(task, params.clone())?.fit(&frame, &Silent)
}

fn values<D: Data<Elem = f64>>(records: &ArrayBase<D, Ix2>, column: usize) -> Vec<f64> {
    records.column(column).iter().map(|value| value + 0.0).collect()
}

fn predict<D: Data<Elem = f64>>(forest: &Forest, records: &ArrayBase<D, Ix2>) -> Vec<f64> {
    let wanted = super::Model::features(forest).len();
    assert_eq!(records.ncols(), wanted, "records must have the number of columns that the forest was fitted with");
    let columns: Vec<Column> =
        (0..records.ncols()).map(|column| Column::Numeric(values(records, column).into())).collect();
    forest.predict_columns(columns, records.nrows())
}

impl<D: Data<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array1<f64>> for RandomForestRegressor {
    /// # Panics
    /// If the records have another number of columns than those of the fit.
    fn predict_inplace<'a>(&'a self, records: &'a ArrayBase<D, Ix2>, targets: &mut Array1<f64>) {
        *targets = predict(&self.forest, records).into();
    }

    fn default_target(&self, records: &ArrayBase<D, Ix2>) -> Array1<f64> {
        Array1::zeros(records.nrows())
    }
}

impl<D: Data<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array1<usize>> for RandomForestClassifier {
    /// # Panics
    /// If the records have another number of columns than those of the fit.
    fn predict_inplace<'a>(&'a self, records: &'a ArrayBase<D, Ix2>, targets: &mut Array1<usize>) {
        let shares = predict(&self.forest, records);
        let label = |row: &[f64]| self.labels[greatest(row) as usize];
        *targets = shares.chunks_exact(self.labels.len()).map(label).collect();
    }

    fn default_target(&self, records: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(records.nrows())
    }
}

#[cfg(test)]
mod tests {
    use linfa::Dataset;
    use linfa::metrics::{SingleTargetRegression, ToConfusionMatrix};
    use linfa::traits::Predict;
    use ndarray::Array;

    use super::*;
    use crate::random::Draws;

    fn records(rows: usize) -> Array2<f64> {
        let mut draws = Draws::new(5, 0);
        Array::from_shape_simple_fn((rows, 3), || draws.unit())
    }

    #[test]
    fn linfas_cross_validation_takes_a_regression() {
        let records = records(200);
        let targets = records.column(0).mapv(|x| x * 9.0) + records.column(1);
        let mut dataset = Dataset::new(records, targets);
        let params = [2, 20].map(|count| RandomForestRegressor::params().n_estimators(count));
        let scores = dataset.cross_validate_single(4, &params, |predicted, truth| predicted.r2(truth)).unwrap();
        assert!(scores[1] > 0.9 && scores[1] > scores[0], "{scores}");
    }

    #[test]
    fn linfas_confusion_matrix_takes_a_classification() {
        let records = records(300);
        let targets = records.column(2).mapv(|x| if x > 0.5 { 7_usize } else { 3 });
        let (train, test) = Dataset::new(records, targets).split_with_ratio(0.7);
        let forest = RandomForestClassifier::params().n_estimators(20).fit(&train).unwrap();
        assert_eq!(forest.labels(), [3, 7]);
        let accuracy = forest.predict(&test).confusion_matrix(&test).unwrap().accuracy();
        assert!(accuracy > 0.9, "{accuracy}");
        let shares = forest.predict_probabilities(test.records());
        assert!(shares.rows().into_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
    }

    #[test]
    fn linfas_cross_validation_takes_a_classification() {
        let records = records(240);
        let targets = records.column(1).mapv(|x| usize::from(x > 0.5));
        let mut dataset = Dataset::new(records, targets);
        let params = [1, 20].map(|count| RandomForestClassifier::params().n_estimators(count).max_depth(Some(4)));
        let scores = dataset
            .cross_validate_single(4, &params, |predicted, truth| Ok(predicted.confusion_matrix(truth)?.accuracy()))
            .unwrap();
        assert!(scores[1] > 0.9, "{scores}");
    }

    #[test]
    fn rows_weigh_what_the_dataset_says() {
        let records = records(60);
        let targets = records.column(0).mapv(|x| x * 9.0);
        let weights: Array1<f32> = (0..60_u8).map(|row| f32::from(row % 3)).collect();
        let dataset = Dataset::new(records, targets);
        let params = RandomForestRegressor::params().n_estimators(1).bootstrap(false).max_depth(Some(2));
        let plain = params.fit(&dataset).unwrap();
        let weighted = params.fit(&dataset.clone().with_weights(weights)).unwrap();
        // Rows of weight 2 twice, of weight 0 not at all.
        let rows: Vec<usize> = (0..60).flat_map(|row| vec![row; row % 3]).collect();
        let repeated = Dataset::new(
            dataset.records().select(ndarray::Axis(0), &rows),
            dataset.targets().select(ndarray::Axis(0), &rows),
        );
        let (found, wanted) = (weighted.predict(&dataset), params.fit(&repeated).unwrap().predict(&dataset));
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found} {wanted}");
        assert_ne!(found, plain.predict(&dataset));
        for weights in [vec![1.0; 59], vec![-1.0; 60], vec![0.0; 60]] {
            let error = params.fit(&dataset.clone().with_weights(weights.into())).unwrap_err();
            assert!(error.to_string().starts_with("cannot weigh"), "{error}");
        }
    }

    #[test]
    fn every_parameter_of_the_forest_can_be_set() {
        let weight = ClassWeight::Of([("1".to_owned(), 2.0)].into());
        let params = RandomForestClassifier::params()
            .n_estimators(3)
            .criterion(Some(Criterion::Entropy))
            .max_depth(Some(9))
            .min_samples_split(4)
            .min_samples_leaf(2)
            .max_features(MaxFeatures::All)
            .min_impurity_decrease(0.001)
            .min_weight_fraction_leaf(0.01)
            .max_leaf_nodes(Some(8))
            .ccp_alpha(0.002)
            .monotonic_cst("feature-0", 1)
            .splitter(Splitter::Random)
            .class_weight(Some(weight.clone()))
            .bootstrap(true)
            .max_samples(Some(0.5))
            .oob_score(false)
            .seed(11);
        let records = records(100);
        let targets = records.column(0).mapv(|x| usize::from(x > 0.5));
        let forest = params.fit(&Dataset::new(records, targets)).unwrap();
        let wanted = ForestParams {
            n_estimators: 3,
            criterion: Some(Criterion::Entropy),
            max_depth: Some(9),
            min_samples_split: 4,
            min_samples_leaf: 2,
            max_features: MaxFeatures::All,
            min_impurity_decrease: 0.001,
            min_weight_fraction_leaf: 0.01,
            max_leaf_nodes: Some(8),
            ccp_alpha: 0.002,
            monotonic_cst: [("feature-0".to_owned(), 1)].into(),
            splitter: Splitter::Random,
            class_weight: Some(weight),
            bootstrap: true,
            max_samples: Some(0.5),
            // It changes no tree, and is not part of a model.
            oob_score: true,
            seed: 11,
        };
        assert_eq!(forest.forest().forest_params(), &wanted);
        assert!(crate::ml::Model::out_of_bag(forest.forest()).is_none());
    }

    #[test]
    fn what_cannot_be_learnt_from_is_an_error() {
        let records = records(10);
        let fit = |records: Array2<f64>, targets: Vec<f64>| {
            let dataset = Dataset::new(records, Array1::from(targets));
            RandomForestRegressor::params().n_estimators(2).fit(&dataset).unwrap_err().to_string()
        };
        let rising: Vec<f64> = (0..10).map(f64::from).collect();
        for value in [f64::NAN, f64::INFINITY] {
            let targets = rising.iter().map(|&y| if y > 8.5 { value } else { y }).collect();
            let wanted = format!("cannot learn the targets at row 10: a target must be finite, got `{value}`");
            assert_eq!(fit(records.clone(), targets), wanted);
        }
        assert!(fit(records.clone(), vec![3.0; 10]).contains("constant"));
        assert!(fit(records.slice(ndarray::s![..1, ..]).to_owned(), vec![3.0]).contains("at least 2 rows"));
        assert!(fit(Array2::zeros((10, 0)), rising).contains("no feature columns"));
        let one_class = Dataset::new(records, Array1::from_elem(10, 4_usize));
        let error = RandomForestClassifier::params().fit(&one_class).unwrap_err();
        assert!(error.to_string().contains("all 10 rows are `4`"), "{error}");
    }

    #[test]
    fn parameters_are_checked_before_the_fit() {
        let error = RandomForestRegressor::params().n_estimators(0).check().unwrap_err();
        assert_eq!(error.reason(), Some("n_estimators must be at least 1, got 0"));
    }

    #[test]
    fn an_infinite_record_is_named() {
        let mut records = records(10);
        records[[4, 1]] = f64::INFINITY;
        let targets = records.column(0).to_owned();
        let error = RandomForestRegressor::params().fit(&Dataset::new(records, targets)).unwrap_err();
        assert!(error.to_string().starts_with("cannot use column `feature-1` at row 5"), "{error}");
    }
}
