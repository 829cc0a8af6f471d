//! How each crate grows a forest and predicts.

use std::error::Error;

use linfa::prelude::{Fit, Predict};
use linfa_ensemble::{EnsembleLearner, EnsembleLearnerParams};
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use smartcore::ensemble::random_forest_classifier::{RandomForestClassifier, RandomForestClassifierParameters};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use crate::Wanted;
use crate::measure::{Measured, floats, measure, targets};

type SmartcoreClasses = RandomForestClassifier<f64, u32, DenseMatrix<f64>, Vec<u32>>;
type SmartcoreNumbers = RandomForestRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>;

/// linfa-ensemble: bags of decision trees, features drawn by tree.
pub fn linfa(wanted: &Wanted) -> Result<(), Box<dyn Error>> {
    let y = targets(wanted)?;
    let rows = Array2::from_shape_vec((y.len(), wanted.columns), floats(wanted, "X_train")?)?;
    let table = linfa::Dataset::new(rows, Array1::from_iter(y.iter().map(|&class| class as usize)));
    let tree = DecisionTree::<f64, usize>::params()
        .min_weight_leaf(wanted.leaf as f32)
        .min_weight_split((2 * wanted.leaf) as f32);
    let share = wanted.candidates as f64 / wanted.columns as f64;
    measure(Measured {
        wanted,
        version: "0.8.1",
        fit: || {
            EnsembleLearnerParams::new_fixed_rng(tree.clone(), SmallRng::seed_from_u64(wanted.seed))
                .ensemble_size(wanted.trees)
                .bootstrap_proportion(1.0)
                .feature_proportion(share)
                .fit(&table)
                .map_err(|error| error.to_string().into())
        },
        rows: |values: Vec<f64>| Ok(Array2::from_shape_vec((values.len() / wanted.columns, wanted.columns), values)?),
        predict: |model: &EnsembleLearner<DecisionTree<f64, usize>>, rows: &Array2<f64>| {
            let classes: Array1<usize> = model.predict(rows);
            Ok(classes.iter().map(|&class| class as f64).collect())
        },
    })
}

/// smartcore's classifier, which votes.
pub fn smartcore_classes(wanted: &Wanted) -> Result<(), Box<dyn Error>> {
    let y: Vec<u32> = targets(wanted)?.iter().map(|&class| class as u32).collect();
    let rows = matrix(wanted, floats(wanted, "X_train")?)?;
    let parameters = RandomForestClassifierParameters::default()
        .with_n_trees(wanted.trees as u16)
        .with_m(wanted.candidates)
        .with_min_samples_leaf(wanted.leaf)
        .with_min_samples_split(2 * wanted.leaf)
        .with_seed(wanted.seed);
    measure(Measured {
        wanted,
        version: "0.7",
        fit: || Ok(RandomForestClassifier::fit(&rows, &y, parameters.clone())?),
        rows: |values| matrix(wanted, values),
        predict: |model: &SmartcoreClasses, rows: &DenseMatrix<f64>| {
            Ok(model.predict(rows)?.into_iter().map(f64::from).collect())
        },
    })
}

/// smartcore's regressor.
pub fn smartcore_numbers(wanted: &Wanted) -> Result<(), Box<dyn Error>> {
    let y = targets(wanted)?;
    let rows = matrix(wanted, floats(wanted, "X_train")?)?;
    let parameters = RandomForestRegressorParameters::default()
        .with_n_trees(wanted.trees)
        .with_m(wanted.candidates)
        .with_min_samples_leaf(wanted.leaf)
        .with_min_samples_split(2 * wanted.leaf)
        .with_seed(wanted.seed);
    measure(Measured {
        wanted,
        version: "0.7",
        fit: || Ok(RandomForestRegressor::fit(&rows, &y, parameters.clone())?),
        rows: |values| matrix(wanted, values),
        predict: |model: &SmartcoreNumbers, rows: &DenseMatrix<f64>| Ok(model.predict(rows)?),
    })
}

fn matrix(wanted: &Wanted, values: Vec<f64>) -> Result<DenseMatrix<f64>, Box<dyn Error>> {
    Ok(DenseMatrix::new(values.len() / wanted.columns, wanted.columns, values, false)?)
}
