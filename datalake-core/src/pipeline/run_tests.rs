//! What becomes of a run that is cancelled, whose inputs change, or whose folder cannot be written.

use std::sync::Mutex;

use super::*;
use crate::lake::{LakeOptions, MemoryLake, open};
use crate::pipeline::manifest::{cancel, load};
use crate::progress::{Notes, Silent};

const STEPS: &str = "name = \"p\"\n\
    [[train]]\nname = \"a\"\ntask = \"regression\"\ntable = \"raw-data/t.csv\"\ntarget = \"y\"\n\
    [[train]]\nname = \"b\"\ntask = \"regression\"\ntable = \"raw-data/t.csv\"\ntarget = \"x\"\n";

/// What happens while the first step is carried out.
#[derive(Debug, Clone, Copy)]
enum Event {
    Cancelled,
    Failed,
    Nothing,
}

/// Notes which steps it was given, and takes no time.
#[derive(Debug)]
struct Given {
    steps: Mutex<Vec<String>>,
    event: Event,
}

impl Given {
    fn new(event: Event) -> Self {
        Self { steps: Mutex::default(), event }
    }

    fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }
}

#[async_trait]
impl Runner for Given {
    async fn run(&self, step: &StepRun, context: &Context) -> Result<StepReport> {
        self.steps.lock().unwrap().push(step.step.title());
        match self.event {
            Event::Cancelled => cancel(context.lake.as_ref(), &context.run).await.map(drop)?,
            Event::Failed => return Err(Error::invalid("carry out", "what fails")),
            Event::Nothing => {}
        }
        Ok(StepReport::default())
    }
}

async fn landed(lake: Arc<dyn Lake>) -> Arc<dyn Lake> {
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    raw.put(&"t.csv".into(), "x,y\n1,2\n3,4\n", PutMode::Overwrite).await.unwrap();
    lake
}

/// A table of so many rows.
fn rows(count: u32) -> String {
    let rows: String = (0..count).map(|row| format!("{row},{}\n", row * 3 % 11)).collect();
    format!("x,y\n{rows}")
}

fn pipeline() -> Pipeline {
    Pipeline::from_toml("p.toml", STEPS, &[]).unwrap()
}

fn statuses(manifest: &Manifest) -> Vec<Status> {
    manifest.steps.iter().map(|step| step.status).collect()
}

#[tokio::test]
async fn a_run_that_is_cancelled_begins_no_further_step_however_short() {
    let lake = landed(Arc::new(MemoryLake::default())).await;
    let (run, runner) = (RunId::now(), Given::new(Event::Cancelled));
    let options = RunOptions::default().with_run(Some(run.clone()));
    let error = pipeline().run(Arc::clone(&lake), &runner, options.clone(), Arc::new(Silent)).await.unwrap_err();
    assert_eq!((error.kind(), runner.steps()), (ErrorKind::Cancelled, vec!["train a".to_owned()]));
    let manifest = load(lake.as_ref(), Some(&run)).await.unwrap();
    assert_eq!((manifest.status, statuses(&manifest)), (Status::Cancelled, vec![Status::Done, Status::Cancelled]));

    // Whoever drives it again finds it so, and leaves it so.
    let again = Given::new(Event::Nothing);
    let error = pipeline().run(Arc::clone(&lake), &again, options, Arc::new(Silent)).await.unwrap_err();
    assert_eq!((error.kind(), again.steps()), (ErrorKind::Cancelled, Vec::new()));
    let manifest = load(lake.as_ref(), Some(&run)).await.unwrap();
    assert_eq!((manifest.status, statuses(&manifest)), (Status::Cancelled, vec![Status::Done, Status::Cancelled]));
}

#[tokio::test]
async fn a_run_that_was_interrupted_and_cancelled_says_so_of_its_step() {
    let lake = landed(Arc::new(MemoryLake::default())).await;
    let (pipeline, run) = (pipeline(), RunId::now());
    pipeline.make_buckets(lake.as_ref()).await.unwrap();
    let mut manifest = pipeline.blank_manifest(&run, Status::Running);
    manifest.steps[0].status = Status::Running;
    save(&runs_bucket(lake.as_ref()).await.unwrap(), &mut manifest).await.unwrap();
    cancel(lake.as_ref(), &run).await.unwrap();
    let options = RunOptions::default().with_run(Some(run.clone()));
    pipeline.run(Arc::clone(&lake), &InProcess, options, Arc::new(Silent)).await.unwrap_err();
    let manifest = load(lake.as_ref(), Some(&run)).await.unwrap();
    assert_eq!((manifest.status, statuses(&manifest)), (Status::Cancelled, vec![Status::Cancelled, Status::Waiting]));
}

/// A lake in a folder, in which nothing can be put at these keys of a run.
async fn obstructed(folder: &std::path::Path, run: &RunId, keys: &[&str]) -> Arc<dyn Lake> {
    let lake = landed(open(folder.to_str().unwrap(), &LakeOptions::default()).unwrap()).await;
    ensure_bucket(lake.as_ref(), &BucketName::new(RUNS_BUCKET).unwrap()).await.unwrap();
    for key in keys {
        std::fs::create_dir_all(folder.join(RUNS_BUCKET).join(run.key(key).as_ref())).unwrap();
    }
    lake
}

#[tokio::test]
async fn the_first_error_is_the_one_to_know() {
    let (folder, run) = (tempfile::tempdir().unwrap(), RunId::now());
    let log = "steps/01-train-a/0/0/log-000001.jsonl";
    let lake = obstructed(folder.path(), &run, &[log, "metrics.om"]).await;
    let (options, notes) = (RunOptions::default().with_run(Some(run.clone())), Arc::new(Notes::default()));
    let runner = Given::new(Event::Failed);
    let error = pipeline().run(Arc::clone(&lake), &runner, options, Arc::clone(&notes) as _).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot carry out what fails");
    let manifest = load(lake.as_ref(), Some(&run)).await.unwrap();
    assert_eq!((manifest.status, statuses(&manifest)), (Status::Failed, vec![Status::Failed, Status::Waiting]));
    assert!(manifest.error.unwrap().contains("what fails"));
    let notes = notes.0.lock().unwrap().join("\n");
    assert!(notes.contains("the end of its log is not kept: ") && notes.contains("the metrics of the run"), "{notes}");
}

#[tokio::test]
async fn a_manifest_that_cannot_be_written_hides_no_error_of_a_step() {
    let (folder, run) = (tempfile::tempdir().unwrap(), RunId::now());
    let lake = obstructed(folder.path(), &run, &["steps/01-train-a/0/0/manifest.json"]).await;
    let options = RunOptions::default().with_run(Some(run.clone()));
    let error = pipeline().run(lake, &Given::new(Event::Nothing), options, Arc::new(Silent)).await.unwrap_err();
    assert!(error.to_string().contains("steps/01-train-a/0/0/manifest.json"), "{error}");
}

/// Replaces the table with the same bytes as soon as it has been read.
#[derive(Debug)]
struct Meddler(Bucket, Mutex<bool>);

impl Progress for Meddler {
    fn begin(&self, _stage: &str, _total: Option<u64>) {}
    fn advance(&self, _units: u64) {
        if !std::mem::replace(&mut *self.1.lock().unwrap(), true) {
            let table = rows(40);
            let put = async { self.0.put(&"t.csv".into(), table, PutMode::Overwrite).await.map(drop) };
            // Put into memory, it does not wait for anything.
            futures::FutureExt::now_or_never(put).unwrap().unwrap();
        }
    }
    fn end(&self) {}
    fn note(&self, _line: &str) {}
}

#[tokio::test]
async fn a_step_whose_input_changes_while_it_is_read_is_not_remembered() {
    let lake = landed(Arc::new(MemoryLake::default())).await;
    let raw = lake.bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
    raw.put(&"t.csv".into(), rows(40), PutMode::Overwrite).await.unwrap();
    let meddler = Arc::new(Meddler(raw, Mutex::default()));
    let (pipeline, progress) = (pipeline(), Arc::clone(&meddler) as Arc<dyn Progress>);
    let done = pipeline.run(Arc::clone(&lake), &InProcess, RunOptions::default(), progress).await;
    let error = done.unwrap_err();
    assert!(*meddler.1.lock().unwrap(), "{error}");
    assert!(error.to_string().contains("raw-data/t.csv has changed since the step was planned"), "{error}");
    let bucket = runs_bucket(lake.as_ref()).await.unwrap();
    assert!(bucket.list(Some(&"_steps".into())).await.unwrap().is_empty());
}
