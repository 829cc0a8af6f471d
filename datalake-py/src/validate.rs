//! Cross-validation of a forest beside its baselines.

use std::sync::Arc;

use datalake_core::ml::{
    Frame, Keep, Task, categorical_features, cross_validate_beside_baselines, repeated_k_fold, trainer,
};
use datalake_core::{Error, Result, compute};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::error::raised;
use crate::forest::{joined, texts};
use crate::lake::document;
use crate::runtime::{Listener, wait_with};
use crate::table::Table;

/// How rows are cut into folds.
#[derive(Debug, Deserialize)]
struct Folds {
    folds: usize,
    repeats: u32,
    seed: u64,
    /// Whether each class has its share in every fold.
    stratify: bool,
}

/// The metrics of every fold, of a forest and its baselines by name; `params` are those of the forest, in JSON.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call, whose arguments have names in Python")]
pub(crate) fn cross_validate<'py>(
    py: Python<'py>,
    rows: &Bound<'py, Table>,
    target: &Bound<'py, Table>,
    groups: Option<&Bound<'py, Table>>,
    classification: bool,
    params: &str,
    categorical: Vec<String>,
    folds: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let failed = |error: Error| raised(py, &error);
    let rows = rows.get().batch().map_err(failed)?;
    let (batch, names) = joined(&rows, target.get()).map_err(failed)?;
    let groups = groups.map(|groups| groups.get().batch()).transpose().map_err(failed)?;
    let params: Value = parsed(params).map_err(failed)?;
    let folds: Folds = parsed(folds).map_err(failed)?;
    let task = if classification { Task::Classification } else { Task::Regression };
    let listener = Arc::<Listener>::default();
    let progress = Arc::clone(&listener);
    let found = wait_with(py, &listener, async move {
        let work = move || {
            let batch = categorical_features(&batch, &categorical)?;
            let mut frame = Frame::of_targets(&batch, &[], &texts(&names), task)?;
            if let Some(groups) = &groups {
                frame = frame.with_groups(groups, groups.schema().field(0).name())?;
            }
            let keep = Keep::of(frame.groups(), frame.strata().filter(|_| folds.stratify));
            let splits = repeated_k_fold(frame.rows(), folds.folds, folds.repeats, folds.seed, keep)?;
            let forest = trainer("forest", task, &params)?;
            cross_validate_beside_baselines(forest.as_ref(), &frame, &splits, progress.as_ref())
        };
        compute::run(work).await
    })?;
    document(py, &found)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| Error::invalid("cross-validate", "a forest").with_reason(cause))
}
