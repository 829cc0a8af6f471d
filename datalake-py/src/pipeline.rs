//! Pipelines: runs, and what they left behind.

use std::path::PathBuf;
use std::sync::Arc;

use datalake_core::lake::BucketName;
use datalake_core::pipeline::{InProcess, Pipeline, RunId, RunOptions, ensure_bucket, load, run_ids, runs_bucket};
use datalake_core::sample::land_if_missing;
use datalake_core::{Error, ErrorKind, Result};
use pyo3::prelude::*;

use crate::lake::{LakeLike, document};
use crate::runtime::{Stop, wait, wait_or_stop};

/// The name of the built-in pipeline.
const BUILT_IN: &str = "food-calories";

/// Runs a pipeline file, or `food-calories`, the built-in one; returns the manifest of the run.
#[pyfunction]
pub(crate) fn run_pipeline<'py>(
    py: Python<'py>,
    pipeline: PathBuf,
    lake: Option<LakeLike<'py>>,
    settings: Vec<(String, String)>,
    fresh: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let lake = LakeLike::open_or_default(lake, py)?;
    let stop = Arc::<Stop>::default();
    let progress = Arc::clone(&stop);
    let manifest = wait_or_stop(py, &stop, async move {
        let built_in = pipeline.as_os_str() == BUILT_IN;
        let pipeline = if built_in { food_calories(&settings)? } else { from_file(pipeline, &settings).await? };
        if built_in {
            let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data")?).await?;
            land_if_missing(&raw, &"foods".into(), None, progress.as_ref()).await?;
        }
        pipeline.run(lake, &InProcess, RunOptions::default().with_fresh(fresh), progress).await
    })?;
    document(py, &manifest)
}

fn food_calories(settings: &[(String, String)]) -> Result<Pipeline> {
    match settings.first() {
        None => Ok(Pipeline::food_calories()),
        Some((name, _)) => Err(Error::invalid("use", format_args!("the setting `{name}`"))
            .with_reason(format_args!("`{BUILT_IN}`, the built-in pipeline, takes none"))
            .with_hint("copy examples/food-calories.toml, change it, and run the copy")),
    }
}

async fn from_file(path: PathBuf, settings: &[(String, String)]) -> Result<Pipeline> {
    let subject = path.display().to_string();
    let text = tokio::fs::read_to_string(&path).await.map_err(|cause| Error::io("read", &subject, cause))?;
    Pipeline::from_toml(&subject, &text, settings)
}

/// The names of all runs in a lake, oldest first.
#[pyfunction]
#[pyo3(signature = (lake=None))]
pub(crate) fn runs(py: Python<'_>, lake: Option<LakeLike<'_>>) -> PyResult<Vec<String>> {
    let lake = LakeLike::open_or_default(lake, py)?;
    wait(py, async move {
        match runs_bucket(lake.as_ref()).await {
            Ok(bucket) => Ok(run_ids(&bucket).await?.iter().map(ToString::to_string).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    })
}

/// The manifest of a run, or of the last one.
#[pyfunction]
pub(crate) fn manifest<'py>(
    py: Python<'py>,
    lake: Option<LakeLike<'py>>,
    run: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let lake = LakeLike::open_or_default(lake, py)?;
    let run = run.map(RunId::from);
    let manifest = wait(py, async move { load(lake.as_ref(), run.as_ref()).await })?;
    document(py, &manifest)
}
