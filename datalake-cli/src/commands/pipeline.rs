//! `run` and `ml-pipeline`: a pipeline file, or the built-in Food Calorie Analysis.

use std::sync::Arc;

use datalake_core::cluster::profile::Profile;
use datalake_core::cluster::{self, Cluster, KubeJobs};
use datalake_core::lake::BucketName;
use datalake_core::pipeline::{InProcess, Manifest, Pipeline, RUNS_BUCKET, RunOptions, Runner, Sharing, ensure_bucket};
use datalake_core::sample::{SampleOptions, land_if_missing};
use datalake_core::{Error, ErrorKind, Lake, Result};

use crate::cli::{MlPipeline, Run};
use crate::cli_jobs::{On, Where};
use crate::commands::Tools;
use crate::commands::status::summary;
use crate::settings;

/// Lands the sample where nothing is, then runs the Food Calorie Analysis.
pub(crate) async fn ml_pipeline(arguments: MlPipeline, tools: &Tools) -> Result<()> {
    let place = Placed::new(&arguments.place, tools).await?;
    let lake = place.lake(tools)?;
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data")?).await?;
    let options = sample_options(&arguments);
    let found = land_if_missing(&raw, &"foods".into(), options.as_ref(), tools.progress.as_ref()).await?;
    tools.printer.say(&format!("{}: {found}", raw.address(&"foods".into())));
    execute_at(&place, &Pipeline::food_calories(), lake, arguments.fresh, tools).await
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
    let place = Placed::new(&arguments.place, tools).await?;
    execute_at(&place, &pipeline, place.lake(tools)?, arguments.fresh, tools).await
}

/// Where the steps of a pipeline run.
enum Placed {
    InProcess,
    Jobs(KubeJobs),
    /// As Jobs, and driven by one.
    Detached(KubeJobs),
}

impl Placed {
    async fn new(place: &Where, tools: &Tools) -> Result<Self> {
        if place.on == On::Process {
            let of_jobs = [("--detach", place.detach), ("--workers", place.workers.is_some())];
            return match of_jobs.into_iter().find(|(_, is_given)| *is_given) {
                None => Ok(Self::InProcess),
                Some((option, _)) => Err(Error::invalid("run", "in this process")
                    .with_reason(format_args!("{option} is of Jobs in a cluster"))
                    .with_hint("add --on kubernetes")),
            };
        }
        let cluster = Cluster::connect(&settings::cluster(&place.cluster)?).await?;
        let sharing = Sharing::new(place.workers.unwrap_or(2)).with_shard_size(place.shard_size);
        let settings = Profile::of_user()?.job_settings(place.pods.image.as_deref());
        let pods = place.pods.settings(settings.with_names_of(&settings::place(&tools.global)?.1));
        let jobs = KubeJobs::new(&cluster, pods, sharing);
        let jobs = jobs.with_pending_limit(place.pods.pending());
        Ok(if place.detach { Self::Detached(jobs) } else { Self::Jobs(jobs) })
    }

    fn runner(&self) -> &dyn Runner {
        match self {
            Self::InProcess => &InProcess,
            Self::Jobs(jobs) | Self::Detached(jobs) => jobs,
        }
    }

    /// The lake that the run is driven on: where Jobs do the work, a store that is away for a while is their business.
    fn lake(&self, tools: &Tools) -> Result<Arc<dyn Lake>> {
        match self {
            Self::InProcess => tools.lake(),
            Self::Jobs(_) | Self::Detached(_) => {
                let lake = tools.patient_lake()?;
                // Pods see neither our files nor our memory.
                if lake.to_string().contains("://") {
                    return Ok(lake);
                }
                Err(Error::invalid("run", "Jobs on a cluster")
                    .with_reason(format_args!("the lake {lake} is of this machine alone"))
                    .with_hint("set up the cluster's own: datalake setup-datalake; or name an endpoint by --lake"))
            }
        }
    }
}

/// Runs a pipeline in this process and prints what it did.
pub(crate) async fn execute(pipeline: &Pipeline, lake: Arc<dyn Lake>, fresh: bool, tools: &Tools) -> Result<()> {
    execute_at(&Placed::InProcess, pipeline, lake, fresh, tools).await
}

async fn execute_at(
    place: &Placed,
    pipeline: &Pipeline,
    lake: Arc<dyn Lake>,
    fresh: bool,
    tools: &Tools,
) -> Result<()> {
    let options = RunOptions::default().with_fresh(fresh);
    if let Placed::Detached(jobs) = place {
        let detached = jobs.detach(pipeline, lake.as_ref(), &options).await?;
        if tools.printer.is_json() {
            return tools.printer.document(&serde_json::json!({ "run": detached.run, "job": detached.job }));
        }
        return tools.printer.line(&format!("run {0}\nits log: datalake logs {0} -f", detached.run));
    }
    let ended = pipeline.run(Arc::clone(&lake), place.runner(), options, Arc::clone(&tools.progress)).await;
    let manifest = ended.map_err(|error| match (place, error.kind()) {
        (Placed::Jobs(_), ErrorKind::Cancelled) if error.hint().is_none() => {
            error.with_hint("its Jobs are removed; the same again goes on with what is done")
        }
        _ => error,
    })?;
    if tools.printer.is_json() {
        return tools.printer.document(&manifest);
    }
    tools.printer.line(&summary(&manifest))?;
    tools.printer.line(&look_at(lake.as_ref(), &manifest))
}

/// Drives a run from within the cluster.
pub(crate) async fn drive(errand: &str, tools: &Tools) -> Result<()> {
    let manifest = cluster::drive(errand, tools.patient_lake()?, Arc::clone(&tools.progress)).await?;
    tools.printer.line(&summary(&manifest))
}

/// Where to look next.
fn look_at(lake: &dyn Lake, manifest: &Manifest) -> String {
    let folder = format!("{RUNS_BUCKET}/_runs/{}", manifest.run);
    let mut text = format!("\nreport    {lake}/{folder}/report.html\nmanifest  {lake}/{folder}/manifest.json");
    // A browser has no key.
    if lake.to_string().contains("://") {
        text.push_str(&format!("\nto read   datalake cp lake://{folder}/report.html report.html"));
    }
    text
}
