//! `run` and `ml-pipeline`: a pipeline file, or the built-in Food Calorie Analysis.

use std::sync::Arc;

use datalake_core::lake::BucketName;
use datalake_core::pipeline::{InProcess, Manifest, Pipeline, RUNS_BUCKET, RunOptions, ensure_bucket};
use datalake_core::sample::{SampleOptions, land_if_missing};
use datalake_core::{Error, Lake, Result};

use crate::cli::{MlPipeline, Run};
use crate::commands::Tools;
use crate::commands::status::summary;

/// Lands the sample where nothing is, then runs the Food Calorie Analysis.
pub(crate) async fn ml_pipeline(arguments: MlPipeline, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data")?).await?;
    let options = sample_options(&arguments);
    let found = land_if_missing(&raw, &"foods".into(), options.as_ref(), tools.progress.as_ref()).await?;
    tools.printer.say(&format!("{}: {found}", raw.address(&"foods".into())));
    execute(&Pipeline::food_calories(), lake, arguments.fresh, tools).await
}

/// The sample that was asked for, if one was.
fn sample_options(arguments: &MlPipeline) -> Option<SampleOptions> {
    let mut options = SampleOptions::default();
    if let Some(rows) = arguments.rows {
        options = options.with_rows(rows);
    }
    if let Some(seed) = arguments.seed {
        options = options.with_seed(seed);
    }
    (arguments.rows.is_some() || arguments.seed.is_some()).then_some(options)
}

/// Runs a pipeline file.
pub(crate) async fn run(arguments: Run, tools: &Tools) -> Result<()> {
    let subject = arguments.file.display().to_string();
    let text = std::fs::read_to_string(&arguments.file).map_err(|cause| Error::io("read", &subject, cause))?;
    let pipeline = Pipeline::from_toml(&subject, &text, &arguments.settings)?;
    execute(&pipeline, tools.lake()?, arguments.fresh, tools).await
}

/// Runs a pipeline and prints what it did.
pub(crate) async fn execute(pipeline: &Pipeline, lake: Arc<dyn Lake>, fresh: bool, tools: &Tools) -> Result<()> {
    let options = RunOptions::default().with_fresh(fresh);
    let manifest = pipeline.run(Arc::clone(&lake), &InProcess, options, Arc::clone(&tools.progress)).await?;
    if tools.printer.is_json() {
        return tools.printer.document(&manifest);
    }
    tools.printer.line(&summary(&manifest))?;
    tools.printer.line(&look_at(lake.as_ref(), &manifest))
}

/// Where to look next.
fn look_at(lake: &dyn Lake, manifest: &Manifest) -> String {
    let folder = format!("{RUNS_BUCKET}/_runs/{}", manifest.run);
    format!("\nreport    {lake}/{folder}/report.html\nmanifest  {lake}/{folder}/manifest.json")
}
