//! Pipelines: runs, and what they left behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datalake_core::lake::BucketName;
use datalake_core::pipeline::{
    InProcess, LogReader, Pipeline, RunId, RunOptions, ensure_bucket, load, progress_of, run_ids, runs_bucket,
};
use datalake_core::progress::Progress;
use datalake_core::sample::land_if_missing;
use datalake_core::{Error, ErrorKind, Lake, Result};
use pyo3::prelude::*;
use tokio::sync::Mutex;

use crate::lake::{LakeLike, document};
use crate::runtime::{Listener, wait, wait_with};

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
    display: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let lake = LakeLike::open_or_default(lake, py)?;
    let listener = Arc::new(Listener::default().with_display(display));
    let progress = Arc::clone(&listener);
    let manifest = wait_with(py, &listener, async move {
        let pipeline = prepared(&pipeline, &settings, lake.as_ref(), progress.as_ref()).await?;
        pipeline.run(lake, &InProcess, RunOptions::default().with_fresh(fresh), progress).await
    })?;
    document(py, &manifest)
}

/// The pipeline, and what the built-in one reads, where nothing is there.
pub(crate) async fn prepared(
    pipeline: &Path,
    settings: &[(String, String)],
    lake: &dyn Lake,
    progress: &dyn Progress,
) -> Result<Pipeline> {
    if pipeline.as_os_str() != BUILT_IN {
        return from_file(pipeline, settings).await;
    }
    let pipeline = food_calories(settings)?;
    let raw = ensure_bucket(lake, &BucketName::new("raw-data")?).await?;
    land_if_missing(&raw, &"foods".into(), None, progress).await?;
    Ok(pipeline)
}

fn food_calories(settings: &[(String, String)]) -> Result<Pipeline> {
    match settings.first() {
        None => Ok(Pipeline::food_calories()),
        Some((name, _)) => Err(Error::invalid("use", format_args!("the setting `{name}`"))
            .with_reason(format_args!("`{BUILT_IN}`, the built-in pipeline, takes none"))
            .with_hint("copy examples/food-calories.toml, change it, and run the copy")),
    }
}

async fn from_file(path: &Path, settings: &[(String, String)]) -> Result<Pipeline> {
    let subject = path.display().to_string();
    let text = tokio::fs::read_to_string(path).await.map_err(|cause| {
        let error = Error::io("read", &subject, cause);
        match error.kind() {
            ErrorKind::NotFound => error.with_hint(format_args!("the built-in pipeline is called `{BUILT_IN}`")),
            _ => error,
        }
    })?;
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

/// How far a run is, by the heartbeats of who drives it and of its workers.
#[pyfunction]
pub(crate) fn progress<'py>(py: Python<'py>, lake: LakeLike<'py>, run: &str) -> PyResult<Bound<'py, PyAny>> {
    let lake = LakeLike::open_or_default(Some(lake), py)?;
    let run = RunId::from(run);
    let found = wait(py, async move { progress_of(lake.as_ref(), &run).await })?;
    document(py, &found)
}

/// Reads the log of a run, piece by piece as they come.
#[pyclass(frozen, module = "datalake._datalake")]
#[derive(Debug)]
pub(crate) struct RunLog {
    lake: Arc<dyn Lake>,
    reader: Arc<Mutex<LogReader>>,
}

#[pymethods]
impl RunLog {
    #[new]
    fn new(py: Python<'_>, lake: LakeLike<'_>, run: &str) -> PyResult<Self> {
        let reader = Arc::new(Mutex::new(LogReader::new(RunId::from(run))));
        Ok(Self { lake: LakeLike::open_or_default(Some(lake), py)?, reader })
    }

    /// The lines that came since the last time, and the manifest where the run is over, so that these are the last.
    fn more<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
        let (lake, reader) = (Arc::clone(&self.lake), Arc::clone(&self.reader));
        let (lines, manifest) = wait(py, async move { reader.lock().await.more(lake.as_ref()).await })?;
        let last = LogReader::is_over(manifest.status).then(|| document(py, &manifest)).transpose()?;
        Ok((document(py, &lines)?, last))
    }
}
