//! A step as work for several processes: stages one after the other, each of shards that know nothing of each other.
//!
//! What workers leave for each other lies in a folder of the order within that of the step, and all of it is decided by the
//! order: whoever carries out a shard, and however often, leaves the same bytes.

use std::ops::Range;
use std::sync::Arc;

use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, Lake, parse_object};
use crate::pipeline::manifest::{
    ObjectVersion, RUNS_BUCKET, RunId, StepReport, code_version, get_json, put_json, runs_bucket,
};
use crate::pipeline::predict_shards::Predicted;
use crate::pipeline::run::{Context, StepRun, unchanged, whole};
use crate::pipeline::scan::{Plan, Shard};
use crate::pipeline::scan_shards::{SHARD_SIZE, Scanned, combine, cut, scan};
use crate::pipeline::step::{Step, Train};
use crate::pipeline::trees::Trees;
use crate::pipeline::{merge, predict_shards, train};
use crate::progress::Progress;

/// What the workers of one stage do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// The whole step, by one worker.
    Whole,
    /// Prepare: finds the types of columns that are not declared.
    Plan,
    /// Prepare: reads objects row by row.
    Scan,
    /// Prepare: removes duplicates, runs the step's SQL, writes the table.
    Combine,
    /// Train: grows some of the trees.
    Grow,
    /// Train: joins the trees into the model.
    Merge,
    /// Predict: predicts for some of the rows.
    Predict,
    /// Predict: joins the predictions to the table.
    Join,
}

impl Stage {
    /// Its name, as in file names and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Plan => "plan",
            Self::Scan => "scan",
            Self::Combine => "combine",
            Self::Grow => "grow",
            Self::Merge => "merge",
            Self::Predict => "predict",
            Self::Join => "join",
        }
    }
}

/// How a step is shared out. None of it changes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sharing {
    /// How many workers there are at most at a time.
    pub workers: u32,
    /// Up to how many bytes small objects are gathered for one worker.
    pub shard_size: u64,
}

impl Sharing {
    /// So many workers, at least one.
    #[must_use]
    pub fn new(workers: u32) -> Self {
        Self { workers: workers.max(1), shard_size: SHARD_SIZE }
    }

    /// Sets up to how many bytes small objects are gathered for one worker.
    #[must_use]
    pub fn with_shard_size(mut self, shard_size: u64) -> Self {
        self.shard_size = shard_size;
        self
    }
}

/// A step of a run, cut into stages and shards: all that a worker needs to know beside the lake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    version: u32,
    /// The code that planned it; other code would not leave the same bytes.
    code: String,
    run: RunId,
    folder: String,
    /// The folder within that of the step where this order lies, and what its workers leave for each other: of its own, so
    /// that workers of an order for other inputs, which may be at work still, leave nothing in it.
    own: String,
    step: Step,
    inputs: Vec<ObjectVersion>,
    stages: Vec<(Stage, u32)>,
    /// What each shard of the sharded stage takes: objects, trees or rows, by their numbers.
    cuts: Vec<Range<u64>>,
}

impl Order {
    /// Cuts a step into stages and shards, and writes the order into the step's folder. An order for the very same that
    /// the run has already stays as it is, however it is shared out: its workers may be at work.
    ///
    /// # Errors
    /// Those of the lake; of a table that cannot be read.
    pub async fn plan(step: &StepRun, sharing: Sharing, context: &Context) -> Result<Self> {
        let mut order = Self {
            version: 1,
            code: code_version(),
            run: context.run.clone(),
            folder: step.folder.clone(),
            own: step.fingerprint.chars().take(12).collect(),
            step: step.step.clone(),
            inputs: step.inputs.clone(),
            stages: Vec::new(),
            cuts: Vec::new(),
        };
        let bucket = runs_bucket(context.lake.as_ref()).await?;
        let key = order.key("order.json");
        match get_json::<Self>(&bucket, &key).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => {}
            before => {
                let before = before?;
                if before.is_like(&order) {
                    return Ok(before);
                }
            }
        }
        (order.stages, order.cuts) = stages(step, sharing, context).await?;
        put_json(&bucket, &key, &order).await?;
        Ok(order)
    }

    /// Whether two orders leave the same in the end.
    fn is_like(&self, other: &Self) -> bool {
        (self.version, &self.code, &self.step, &self.inputs) == (other.version, &other.code, &other.step, &other.inputs)
    }

    /// Reads an order from where [`path`](Self::path) says.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for an order of other code; those of the lake.
    pub async fn read(lake: &dyn Lake, path: &str) -> Result<Self> {
        let (bucket, key) = parse_object(path)?;
        let found = async { get_json::<Self>(&lake.bucket(&bucket).await?, &key).await }.await;
        let order = found.map_err(|error| match error.kind() {
            ErrorKind::NotFound => error.with_hint(format_args!(
                "workers see {lake}: whoever plans their work has to work on that very lake, by whatever address"
            )),
            _ => error,
        })?;
        if order.code == code_version() {
            return Ok(order);
        }
        Err(Error::invalid("carry out", path)
            .with_reason(format_args!("it was planned by datalake {}, and this is {}", order.code, code_version()))
            .with_hint("let the image of the workers be of the same build: datalake image save, or push"))
    }

    /// Where it lies: `bucket/key`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{RUNS_BUCKET}/{}", self.key("order.json"))
    }

    /// The run that it was planned for.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The folder of the step within that of the run.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The step.
    #[must_use]
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// Its stages, each with the number of its shards.
    #[must_use]
    pub fn stages(&self) -> &[(Stage, u32)] {
        &self.stages
    }

    /// What was found by the last stage, where it is through.
    ///
    /// # Errors
    /// Those of the lake.
    pub async fn report(&self, lake: &dyn Lake) -> Result<Option<StepReport>> {
        let bucket = runs_bucket(lake).await?;
        found(get_json(&bucket, &self.key("report.json")).await)
    }

    /// Whether a stage has left all that the next one needs.
    ///
    /// # Errors
    /// Those of the lake.
    pub async fn is_through(&self, stage: Stage, lake: &dyn Lake) -> Result<bool> {
        let Some(&(_, shards)) = self.stages.iter().find(|(known, _)| *known == stage) else { return Ok(false) };
        if self.stages.last().is_some_and(|(last, _)| *last == stage) {
            return Ok(self.report(lake).await?.is_some());
        }
        let bucket = runs_bucket(lake).await?;
        let parts = bucket.list(Some(&self.key("parts"))).await?;
        let left = |shard| parts.iter().any(|part| part.location == self.part(stage, shard, "json"));
        Ok((0..shards).all(left))
    }

    /// Removes what workers left for each other, once the last stage is through.
    ///
    /// # Errors
    /// Those of the lake.
    pub async fn clear(&self, lake: &dyn Lake) -> Result<()> {
        let bucket = runs_bucket(lake).await?;
        for part in bucket.list(Some(&self.key("parts"))).await? {
            bucket.delete(&part.location).await?;
        }
        Ok(())
    }

    /// Carries out one shard of a stage; what the last stage found lies in [`report`](Self::report) then.
    ///
    /// # Errors
    /// Those of the step.
    pub async fn carry_out(
        &self,
        stage: Stage,
        shard: u32,
        lake: Arc<dyn Lake>,
        progress: Arc<dyn Progress>,
    ) -> Result<()> {
        let Some(&(_, shards)) = self.stages.iter().find(|(known, _)| *known == stage).filter(|(_, all)| shard < *all)
        else {
            return Err(Error::invalid("carry out", format_args!("{} {shard} of {}", stage.name(), self.path()))
                .with_reason("the order has no such shard"));
        };
        let context = Context { lake, run: self.run.clone(), progress };
        context.progress.begin(&format!("{}: {} {} of {shards}", self.step.title(), stage.name(), shard + 1), None);
        let outcome = self.shard(stage, shard, &context).await;
        context.progress.end();
        outcome
    }

    async fn shard(&self, stage: Stage, shard: u32, context: &Context) -> Result<()> {
        let bucket = runs_bucket(context.lake.as_ref()).await?;
        let done = self.part(stage, shard, "json");
        self.unchanged(context).await?;
        match (stage, &self.step) {
            (Stage::Plan, Step::Prepare(step)) => {
                let plan = Plan::make(step, context).await?;
                self.leave(&bucket, &done, &plan, context).await
            }
            (Stage::Scan, Step::Prepare(step)) => {
                let shard_of = Shard { objects: self.objects(shard)?, listed: &self.inputs };
                let paths = (self.path_of(stage, shard, "parquet"), self.path_of(stage, shard, "ndjson"));
                let plan = self.scan_plan(&bucket).await?;
                let scanned = scan(step, plan, &shard_of, (&paths.0, &paths.1), context).await?;
                self.leave(&bucket, &done, &scanned, context).await
            }
            (Stage::Grow, Step::Train(step)) => {
                let part = Train {
                    trees: Trees::of(self.trees(shard)?),
                    destination: Some(self.path_of(stage, shard, "model")),
                    compression: crate::ml::Compression::None,
                    ..step.clone()
                };
                let grown = train::run(&part, context).await?;
                self.leave(&bucket, &done, &grown, context).await
            }
            (Stage::Predict, Step::Predict(step)) => {
                let rows = self.cut(shard)?;
                let to = self.path_of(stage, shard, "parquet");
                let predicted = predict_shards::predict_rows(step, rows, &to, context).await?;
                self.leave(&bucket, &done, &predicted, context).await
            }
            _ => {
                let report = self.last(stage, &bucket, context).await?;
                self.leave(&bucket, &self.key("report.json"), &report, context).await
            }
        }
    }

    /// Says that a shard is done, where all that it was made from is still what the order says.
    async fn leave<T: Serialize + Sync>(
        &self,
        bucket: &Bucket,
        key: &Path,
        found: &T,
        context: &Context,
    ) -> Result<()> {
        self.unchanged(context).await?;
        put_json(bucket, key, found).await
    }

    async fn unchanged(&self, context: &Context) -> Result<()> {
        unchanged(&self.step, &self.inputs, context.lake.as_ref()).await
    }

    /// The stage that leaves what the step is for.
    async fn last(&self, stage: Stage, bucket: &Bucket, context: &Context) -> Result<StepReport> {
        match (stage, &self.step) {
            (Stage::Whole, step) => whole(step, context).await,
            (Stage::Combine, Step::Prepare(step)) => {
                let mut parts = Vec::new();
                for shard in 0..self.shards() {
                    let scanned: Scanned = get_json(bucket, &self.part(Stage::Scan, shard, "json")).await?;
                    parts.push((self.path_of(Stage::Scan, shard, "parquet"), scanned));
                }
                let is_found = step.columns.is_empty();
                let plan =
                    if is_found { self.scan_plan(bucket).await? } else { Plan::declared_over(step, context).await? };
                combine(step, &plan, parts, context).await
            }
            (Stage::Merge, Step::Train(step)) => {
                merge::merge_shards(step, &self.paths_of(Stage::Grow, "model"), context).await
            }
            (Stage::Join, Step::Predict(step)) => {
                // All are of one model.
                let predicted: Predicted = get_json(bucket, &self.part(Stage::Predict, 0, "json")).await?;
                predict_shards::join(step, self.paths_of(Stage::Predict, "parquet"), predicted, context).await
            }
            _ => Err(Error::internal("carry out", format_args!("{} of {}", stage.name(), self.step.title()))),
        }
    }

    /// The plan of a scan: as the stage before has left it, or what the step declares.
    async fn scan_plan(&self, bucket: &Bucket) -> Result<Plan> {
        match &self.step {
            Step::Prepare(step) if !step.columns.is_empty() => Ok(Plan::declared(step)),
            _ => get_json(bucket, &self.part(Stage::Plan, 0, "json")).await,
        }
    }

    fn shards(&self) -> u32 {
        u32::try_from(self.cuts.len()).unwrap_or(u32::MAX)
    }

    fn cut(&self, shard: u32) -> Result<Range<u64>> {
        let cut = usize::try_from(shard).ok().and_then(|shard| self.cuts.get(shard));
        cut.cloned().ok_or_else(|| Error::internal("find", format_args!("shard {shard} of {}", self.path())))
    }

    fn objects(&self, shard: u32) -> Result<Range<usize>> {
        let Range { start, end } = self.cut(shard)?;
        Ok(usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX))
    }

    fn trees(&self, shard: u32) -> Result<Range<u32>> {
        let Range { start, end } = self.cut(shard)?;
        Ok(u32::try_from(start).unwrap_or(u32::MAX)..u32::try_from(end).unwrap_or(u32::MAX))
    }

    /// The key of an object in the order's own folder.
    fn key(&self, name: &str) -> Path {
        self.run.key(&format!("{}/{}/{name}", self.folder, self.own))
    }

    fn part(&self, stage: Stage, shard: u32, suffix: &str) -> Path {
        self.key(&format!("parts/{}-{shard:05}.{suffix}", stage.name()))
    }

    fn path_of(&self, stage: Stage, shard: u32, suffix: &str) -> String {
        format!("{RUNS_BUCKET}/{}", self.part(stage, shard, suffix))
    }

    fn paths_of(&self, stage: Stage, suffix: &str) -> Vec<String> {
        (0..self.shards()).map(|shard| self.path_of(stage, shard, suffix)).collect()
    }
}

/// A document that may not be there yet.
fn found<T: DeserializeOwned>(document: Result<T>) -> Result<Option<T>> {
    match document {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        document => document.map(Some),
    }
}

type Cuts = Vec<Range<u64>>;

async fn stages(run: &StepRun, sharing: Sharing, context: &Context) -> Result<(Vec<(Stage, u32)>, Cuts)> {
    let one = (vec![(Stage::Whole, 1)], Vec::new());
    if sharing.workers < 2 {
        return Ok(one);
    }
    let (first, sharded, last, cuts) = match &run.step {
        Step::Prepare(step) => {
            let plan = step.columns.is_empty().then_some(Stage::Plan);
            (plan, Stage::Scan, Stage::Combine, cut(&run.inputs, sharing.shard_size))
        }
        Step::Train(step) if step.divisible() => {
            let trees = u64::from(step.forest.params.n_estimators);
            (None, Stage::Grow, Stage::Merge, even(trees, sharing.workers))
        }
        Step::Predict(step) => {
            let rows = predict_shards::divisible(step, context).await?.map_or(0, |(_, found)| found.rows);
            (None, Stage::Predict, Stage::Join, even(rows, sharing.workers))
        }
        Step::Train(_) | Step::Evaluate(_) => (None, Stage::Whole, Stage::Whole, Vec::new()),
    };
    let shards = u32::try_from(cuts.len())
        .map_err(|_| Error::invalid("share out", run.step.title()).with_reason("it has too many objects"))?;
    if shards < 2 {
        return Ok(one);
    }
    let mut stages: Vec<_> = first.map(|stage| (stage, 1)).into_iter().collect();
    stages.extend([(sharded, shards), (last, 1)]);
    Ok((stages, cuts))
}

/// Cuts things into at most so many shares, of sizes that differ by one at most.
fn even(things: u64, shares: u32) -> Cuts {
    let shares = u64::from(shares).min(things);
    (0..shares).map(|share| things * share / shares..things * (share + 1) / shares).collect()
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod order_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_leave_nothing_out() {
        assert_eq!(even(10, 3), [0..3, 3..6, 6..10]);
        assert_eq!(even(2, 3), [0..1, 1..2]);
        assert!(even(0, 3).is_empty());
        assert_eq!(even(u64::from(u32::MAX) * 1000, 7).last().unwrap().end, u64::from(u32::MAX) * 1000);
    }
}
