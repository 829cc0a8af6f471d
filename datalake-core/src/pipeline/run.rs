//! Runs a pipeline: skips what is done, records what is not, leaves a run folder.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use chrono::Utc;
use object_store::PutMode;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::format::Files;
use crate::lake::parse_object;
use crate::lake::{Bucket, BucketName, Lake};
use crate::pipeline::beats::with_beats;
use crate::pipeline::file::Pipeline;
use crate::pipeline::log::StepLog;
use crate::pipeline::manifest::{
    HEARTBEAT, Manifest, ObjectVersion, Output, RUNS_BUCKET, RunId, Status, StepRecord, StepReport, code_version,
    finished, get_json, is_cancelled, put_json, remember, runs_bucket, save,
};
use crate::pipeline::metrics::of_runs;
use crate::pipeline::step::Step;
use crate::pipeline::{evaluate, page, predict, prepare, train};
use crate::progress::Progress;

/// Whoever drives a run leaves what it says of a step itself here, beside the workers.
const OWN: &str = "0/0";

/// Carries out steps: in this process, or elsewhere.
#[async_trait]
pub trait Runner: Debug + Send + Sync {
    /// Carries out one step; its outputs appear whole or not at all.
    ///
    /// # Errors
    /// Those of the step.
    async fn run(&self, step: &StepRun, context: &Context) -> Result<StepReport>;

    /// Ends what is still at work for a run that was stopped.
    ///
    /// # Errors
    /// When it cannot be ended.
    async fn stop(&self, context: &Context) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Whether a run that ends here goes on elsewhere: its record is not closed then.
    ///
    /// # Errors
    /// When that cannot be told.
    async fn is_moved(&self, context: &Context) -> Result<bool> {
        let _ = context;
        Ok(false)
    }
}

/// A step of a run, and what is known of it before it is carried out.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// The step.
    pub step: Step,
    /// Where the run keeps what the step leaves: a folder within the run's own.
    pub folder: String,
    /// The objects that it reads, as they are.
    pub inputs: Vec<ObjectVersion>,
    /// SHA-256 over the step, its inputs and the code: equal means that the results are.
    pub fingerprint: String,
    /// Whether it is done again although it may be done.
    pub fresh: bool,
}

/// What a step works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The lake that holds inputs and outputs.
    pub lake: Arc<dyn Lake>,
    /// The run that the step belongs to.
    pub run: RunId,
    /// Who listens.
    pub progress: Arc<dyn Progress>,
}

/// Carries out steps in this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcess;

#[async_trait]
impl Runner for InProcess {
    async fn run(&self, step: &StepRun, context: &Context) -> Result<StepReport> {
        let report = whole(&step.step, context).await?;
        unchanged(&step.step, &step.inputs, context.lake.as_ref()).await?;
        Ok(report)
    }
}

/// Carries out a step in one piece.
pub(crate) async fn whole(step: &Step, context: &Context) -> Result<StepReport> {
    match step {
        Step::Prepare(step) => prepare::run(step, context).await,
        Step::Train(step) => train::run(step, context).await,
        Step::Evaluate(step) => evaluate::run(step, context).await,
        Step::Predict(step) => predict::run(step, context).await,
    }
}

/// How a pipeline is run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// Does every step again, whether it is done or not.
    pub fresh: bool,
    /// The run's name, where it has one already: a run that goes on after an interruption.
    pub run: Option<RunId>,
}

impl RunOptions {
    /// Sets whether every step is done again.
    #[must_use]
    pub fn with_fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Sets the run's name.
    #[must_use]
    pub fn with_run(mut self, run: Option<RunId>) -> Self {
        self.run = run;
        self
    }
}

impl Pipeline {
    /// Runs every step that is not done yet, and leaves manifest, logs and report in the run's folder.
    ///
    /// A step is skipped where its inputs, its settings and the code are unchanged and its outputs are still there.
    ///
    /// # Errors
    /// Those of the first step that fails; the manifest then says so. [`Cancelled`](ErrorKind::Cancelled) when
    /// `progress` asks to stop.
    pub async fn run(
        &self,
        lake: Arc<dyn Lake>,
        runner: &dyn Runner,
        options: RunOptions,
        progress: Arc<dyn Progress>,
    ) -> Result<Manifest> {
        self.make_buckets(lake.as_ref()).await?;
        let bucket = runs_bucket(lake.as_ref()).await?;
        let context = Context { lake, run: options.run.clone().unwrap_or_else(RunId::now), progress };
        let mut manifest = self.blank_manifest(&context.run, Status::Running);
        let outcome = self.run_steps(&mut manifest, &bucket, &context, runner, &options).await;
        if let Err(error) = &outcome {
            // What has failed has failed; what was just stopped is found at work by whoever goes on with it.
            if error.kind() == ErrorKind::Cancelled {
                match runner.is_moved(&context).await {
                    Ok(true) => return outcome.map(|()| manifest),
                    Ok(false) => {}
                    Err(unknown) => context.progress.note(&format!("whether the run goes on elsewhere: {unknown}")),
                }
            }
            manifest.status = failed_status(error);
            manifest.error = Some(error.in_one_line());
        }
        let saved = save(&bucket, &mut manifest).await;
        let measured = async {
            let metrics = of_runs(std::slice::from_ref(&manifest))?;
            bucket.put(&manifest.run.key("metrics.om"), metrics, PutMode::Overwrite).await
        };
        if let Err(error) = measured.await {
            context.progress.note(&format!("the metrics of the run are left out: {error}"));
        }
        match (outcome, saved) {
            (Ok(()), saved) => saved.map(|()| manifest),
            (Err(error), saved) => {
                if let Err(unsaved) = saved {
                    context.progress.note(&format!("how the run ended is not written down: {unsaved}"));
                }
                Err(error)
            }
        }
    }

    async fn run_steps(
        &self,
        manifest: &mut Manifest,
        bucket: &Bucket,
        context: &Context,
        runner: &dyn Runner,
        options: &RunOptions,
    ) -> Result<()> {
        if is_cancelled(context.lake.as_ref(), &context.run).await? {
            // Whoever drove it before may have come far, which stays on record.
            match get_json(bucket, &context.run.key("manifest.json")).await {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => {}
                before => *manifest = before?,
            }
            for step in manifest.steps.iter_mut().filter(|step| step.status == Status::Running) {
                step.status = Status::Cancelled;
            }
            if let Err(error) = runner.stop(context).await {
                context.progress.note(&format!("what is still at work could not be ended: {error}"));
            }
            return Err(cancelled(&format!("run {}", context.run)));
        }
        save(bucket, manifest).await?;
        for (index, step) in self.steps().iter().enumerate() {
            let log = Arc::new(StepLog::new(Arc::clone(&context.progress)));
            let logged = Context { progress: Arc::clone(&log) as Arc<dyn Progress>, ..context.clone() };
            manifest.steps[index].status = Status::Running;
            save(bucket, manifest).await?;
            let before: Vec<&Output> = manifest.steps[..index].iter().flat_map(|step| &step.report.outputs).collect();
            let folder = format!("steps/{:02}-{}-{}", index + 1, step.kind(), step.name());
            let place = Place { folder: &folder, log: &log, context: &logged, runner, bucket };
            let outcome = place.run(step, options, &before).await;
            let folder = format!("{folder}/{OWN}");
            if let Err(error) = log.flush(bucket, &context.run, &folder).await {
                context.progress.note(&format!("{}: the end of its log is not kept: {error}", step.title()));
            }
            match outcome {
                Ok(record) => manifest.steps[index] = record,
                Err(error) => {
                    manifest.steps[index].status = failed_status(&error);
                    return Err(error);
                }
            }
            put_json(bucket, &context.run.key(&format!("{folder}/manifest.json")), &manifest.steps[index]).await?;
            save(bucket, manifest).await?;
        }
        manifest.status = Status::Done;
        page::write(self, manifest, bucket, context).await
    }

    /// Makes the buckets that the steps write into, and that of the run folders; removes what dead writers left there.
    async fn make_buckets(&self, lake: &dyn Lake) -> Result<()> {
        let mut names = vec![BucketName::new(RUNS_BUCKET)?];
        for destination in self.steps().iter().flat_map(Step::destinations) {
            names.push(parse_object(&destination)?.0);
        }
        names.sort();
        names.dedup();
        for name in names {
            ensure_bucket(lake, &name).await?;
            lake.sweep(&name).await?;
        }
        Ok(())
    }

    /// The manifest of a run of which no step has begun.
    pub(crate) fn blank_manifest(&self, run: &RunId, status: Status) -> Manifest {
        let now = Utc::now();
        let steps = self.steps().iter().map(|step| StepRecord {
            kind: step.kind().to_owned(),
            name: step.name().to_owned(),
            status: Status::Waiting,
            from_run: None,
            seconds: 0.0,
            fingerprint: String::new(),
            inputs: Vec::new(),
            report: StepReport::default(),
        });
        Manifest {
            version: 1,
            run: run.clone(),
            pipeline: self.name().to_owned(),
            status,
            started: now,
            updated: now,
            code: code_version(),
            steps: steps.collect(),
            error: None,
        }
    }
}

/// The bucket of this name, made where it is not there.
///
/// # Errors
/// What the lake says.
pub async fn ensure_bucket(lake: &dyn Lake, name: &BucketName) -> Result<Bucket> {
    match lake.bucket(name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => match lake.create_bucket(name).await {
            // Somebody else made it in between.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => lake.bucket(name).await,
            made => made,
        },
        found => found,
    }
}

/// How something stands that ended in this error.
pub(crate) fn failed_status(error: &Error) -> Status {
    if error.kind() == ErrorKind::Cancelled { Status::Cancelled } else { Status::Failed }
}

/// The end of what somebody has cancelled.
fn cancelled(what: &str) -> Error {
    Error::new(ErrorKind::Cancelled, "finish", what).with_reason("the run was cancelled")
}

/// Where a step is run, and what watches over it.
struct Place<'a> {
    folder: &'a str,
    log: &'a StepLog,
    context: &'a Context,
    runner: &'a dyn Runner,
    bucket: &'a Bucket,
}

impl Place<'_> {
    /// One step: found done, or carried out and remembered.
    async fn run(&self, step: &Step, options: &RunOptions, before: &[&Output]) -> Result<StepRecord> {
        let context = self.context;
        // Steps may be shorter than the time between two heartbeats.
        if is_cancelled(context.lake.as_ref(), &context.run).await? {
            return Err(cancelled(&step.title()));
        }
        let inputs = inputs(step, context.lake.as_ref()).await?;
        unreplaced(step, &inputs, before)?;
        let fingerprint = fingerprint(step, &inputs)?;
        if !options.fresh
            && let Some((run, record)) = finished(&context.lake, &fingerprint).await?
        {
            context.progress.note(&format!("{}: skipped, nothing changed since run {run}", step.title()));
            return Ok(StepRecord { status: Status::Skipped, from_run: Some(run), ..record });
        }
        let run = StepRun {
            step: step.clone(),
            folder: self.folder.to_owned(),
            inputs: inputs.clone(),
            fingerprint: fingerprint.clone(),
            fresh: options.fresh,
        };
        let started = Instant::now();
        context.progress.begin(&step.title(), None);
        let outcome = self.watched(&run).await;
        context.progress.end();
        if outcome.is_err()
            && let Err(error) = self.runner.stop(context).await
        {
            // Whatever the outcome is, it is the one to know.
            context.progress.note(&format!("{}: what is still at work could not be ended: {error}", step.title()));
        }
        let record = StepRecord {
            kind: step.kind().to_owned(),
            name: step.name().to_owned(),
            status: Status::Done,
            from_run: None,
            seconds: started.elapsed().as_secs_f64(),
            fingerprint,
            inputs,
            report: outcome?,
        };
        remember(self.bucket, &context.run, &record).await?;
        Ok(record)
    }

    /// Carries out a step while showing that the run is alive, and stops it when asked to.
    async fn watched(&self, run: &StepRun) -> Result<StepReport> {
        let context = self.context;
        let stopped =
            || Error::new(ErrorKind::Cancelled, "finish", run.step.title()).with_reason("stopped by the user");
        let work = self.runner.run(run, context);
        with_beats(work, HEARTBEAT, || self.beat(run), context.progress.as_ref(), stopped).await
    }

    /// Shows that the run is alive; fails where it was asked to stop.
    async fn beat(&self, run: &StepRun) -> Result<()> {
        let (bucket, context) = (self.bucket, self.context);
        put_json(bucket, &context.run.key("progress.json"), &self.log.heartbeat()).await?;
        self.log.beat(bucket, &context.run, &format!("{}/{OWN}", run.folder)).await?;
        if is_cancelled(context.lake.as_ref(), &context.run).await? {
            return Err(cancelled(&run.step.title()));
        }
        Ok(())
    }
}

/// What earlier steps of this run wrote must still be there: another run may have replaced it since.
fn unreplaced(step: &Step, inputs: &[ObjectVersion], before: &[&Output]) -> Result<()> {
    let replaced = |input: &&ObjectVersion| {
        before.iter().any(|output| output.object.path == input.path && output.object != **input)
    };
    match inputs.iter().find(replaced) {
        None => Ok(()),
        Some(input) => Err(Error::invalid("run", step.title())
            .with_reason(format_args!("{} is no longer what this run wrote: another run has replaced it", input.path))
            .with_hint("run one at a time, or give each its own destinations")),
    }
}

/// The objects that a step reads, as they are now.
pub(crate) async fn inputs(step: &Step, lake: &dyn Lake) -> Result<Vec<ObjectVersion>> {
    let mut versions = Vec::new();
    for pattern in step.inputs() {
        // What is no part of a table that was written as several objects is not read either.
        // What their folders say is for those who read them.
        for (bucket, meta, _) in Files::in_lake_of(lake, &pattern.parse()?, |_| false).await?.objects() {
            let path = bucket.address(&meta.location);
            versions.push(ObjectVersion { path, size: meta.size, etag: meta.e_tag.clone() });
        }
    }
    Ok(versions)
}

/// The objects that a step reads must still be those that it was planned for, before and after they are read: else results
/// would be of some old and some new ones, and stand under the fingerprint of the old.
pub(crate) async fn unchanged(step: &Step, planned: &[ObjectVersion], lake: &dyn Lake) -> Result<()> {
    let changed = |what: &str| {
        Error::invalid("carry out", step.title())
            .with_reason(format_args!("{what} since the step was planned"))
            .with_hint("run the pipeline again")
    };
    let now = match inputs(step, lake).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(changed("an object that it reads has gone").with_source(error));
        }
        now => now?,
    };
    if now == planned {
        return Ok(());
    }
    let named = |all: &[ObjectVersion], path: &str| all.iter().any(|object| object.path == path);
    let what = match planned.iter().find(|before| !now.contains(before)) {
        Some(before) if named(&now, &before.path) => format!("{} has changed", before.path),
        Some(before) => format!("{} has gone", before.path),
        None => match now.iter().find(|new| !named(planned, &new.path)) {
            Some(new) => format!("{} has come", new.path),
            None => "the order of what it reads has changed".to_owned(),
        },
    };
    Err(changed(&what))
}

/// SHA-256 over all that decides a step's results.
fn fingerprint(step: &Step, inputs: &[ObjectVersion]) -> Result<String> {
    let subject = serde_json::to_vec(&(step, inputs, code_version()))
        .map_err(|cause| Error::internal("describe", step.title()).with_source(cause))?;
    Ok(crate::format::digest::hex(&Sha256::digest(subject)))
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod run_tests;
