//! Whoever carries out the shards of a step, in whatever order and however often: the same bytes as in one piece.

use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::lake::{BucketName, MemoryLake};
use crate::pipeline::run::{InProcess, RunOptions, Runner, ensure_bucket, inputs};
use crate::pipeline::{Manifest, Pipeline};
use crate::progress::Silent;
use crate::sample::{SampleOptions, land_if_missing};

/// Carries out shards one after the other, the last first, and one of them twice.
#[derive(Debug)]
struct OneByOne {
    sharing: Sharing,
}

#[async_trait]
impl Runner for OneByOne {
    async fn run(&self, run: &StepRun, context: &Context) -> Result<StepReport> {
        let planned = Order::plan(run, self.sharing, context).await?;
        let order = Order::read(context.lake.as_ref(), &planned.path()).await?;
        assert_eq!(order, planned);
        for &(stage, shards) in order.stages() {
            assert!(!order.is_through(stage, context.lake.as_ref()).await?);
            for shard in (0..shards).rev().chain([0]) {
                order.carry_out(stage, shard, Arc::clone(&context.lake), Arc::new(Silent)).await?;
            }
            assert!(order.is_through(stage, context.lake.as_ref()).await?);
        }
        let report = order.report(context.lake.as_ref()).await?.unwrap();
        order.clear(context.lake.as_ref()).await?;
        Ok(report)
    }
}

async fn landed() -> Arc<dyn Lake> {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    let options = SampleOptions::default().with_rows(1500);
    land_if_missing(&raw, &"foods".into(), Some(&options), &Silent).await.unwrap();
    lake
}

async fn run(pipeline: &Pipeline, runner: &dyn Runner) -> (Arc<dyn Lake>, Manifest) {
    let lake = landed().await;
    let manifest = pipeline.run(Arc::clone(&lake), runner, RunOptions::default(), Arc::new(Silent)).await.unwrap();
    (lake, manifest)
}

/// All of a report that does not depend on when and where.
fn lasting(manifest: &Manifest) -> Vec<serde_json::Value> {
    let mut reports: Vec<_> = manifest.steps.iter().map(|step| serde_json::to_value(&step.report).unwrap()).collect();
    for report in &mut reports {
        for output in report["outputs"].as_array_mut().unwrap() {
            let is_table = !output["rows"].is_null();
            let fields = output.as_object_mut().unwrap();
            fields.remove("etag");
            // Models and evaluations say when they were made.
            if !is_table {
                fields.remove("sha256");
                fields.remove("size");
            }
        }
        if let Some(balance) = report.get_mut("balance") {
            balance.as_object_mut().unwrap().remove("quarantine");
        }
    }
    reports
}

async fn quarantined(lake: &dyn Lake, manifest: &Manifest) -> Vec<u8> {
    let path = manifest.steps[0].report.balance.as_ref().unwrap().quarantine.clone().unwrap();
    let (bucket, key) = parse_object(&path).unwrap();
    lake.bucket(&bucket).await.unwrap().get(&key).await.unwrap().to_vec()
}

#[tokio::test]
async fn shards_are_the_whole_to_the_byte() {
    let pipeline = Pipeline::food_calories();
    let (one_lake, one) = run(&pipeline, &InProcess).await;
    for workers in [2, 5] {
        let runner = OneByOne { sharing: Sharing::new(workers).with_shard_size(100_000) };
        let (lake, manifest) = run(&pipeline, &runner).await;
        assert_eq!(lasting(&manifest), lasting(&one), "{workers} workers");
        assert_eq!(quarantined(lake.as_ref(), &manifest).await, quarantined(one_lake.as_ref(), &one).await);
        let bucket = runs_bucket(lake.as_ref()).await.unwrap();
        let left = bucket.list(Some(&manifest.run.key("steps"))).await.unwrap();
        assert!(!left.iter().any(|object| object.location.as_ref().contains("/parts/")), "parts are removed");
    }
}

#[tokio::test]
async fn types_that_are_not_declared_are_those_of_all_objects() {
    let text = "name = \"p\"\n[prepare]\nname = \"t\"\nsources = \"raw-data/t/*\"\ndestination = \"processed-data/t.parquet\"\n";
    let pipeline = Pipeline::from_toml("p.toml", text, &[]).unwrap();
    let mut digests = Vec::new();
    let runners: [&dyn Runner; 2] = [&InProcess, &OneByOne { sharing: Sharing::new(2).with_shard_size(0) }];
    for runner in runners {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
        for (name, table) in [("a.csv", "x,y\n1,a\n"), ("b.csv", "x,z\n1.5,2024-01-01\n"), ("c.csv", "y\n7\n")] {
            raw.put(&format!("t/{name}").into(), table, Default::default()).await.unwrap();
        }
        let manifest = pipeline.run(lake, runner, RunOptions::default(), Arc::new(Silent)).await.unwrap();
        let report = &manifest.steps[0].report;
        digests.push((report.outputs[0].digest.clone(), report.notes.clone(), report.balance.clone()));
    }
    assert!(digests[0].0.is_some() && digests[0] == digests[1], "{digests:#?}");
}

#[tokio::test]
async fn a_table_of_several_objects_is_read_with_its_folders_and_without_what_is_no_part_of_it() {
    use crate::format::{ReadOptions, Sink, Source, WriteOptions, convert};
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    let source = Source::Bytes { name: "t.csv".into(), bytes: "g,x\n1,10\n2,20\n1,30\n,40\n".into() };
    let sink = Sink::Prefix { bucket: raw.clone(), prefix: "t".into() };
    let write = WriteOptions::default().with_partition_by(vec!["g".into()]);
    convert(source, sink, ReadOptions::default(), write).await.unwrap();
    let hidden = ["t/.tmp/a.parquet", "t/_x/a.parquet"];
    let written = raw.list(Some(&"t".into())).await.unwrap();
    let part = written.iter().find(|object| object.location.as_ref().contains("/g=1/")).unwrap();
    let bytes = raw.get(&part.location).await.unwrap();
    // What a write that was killed has left.
    for key in hidden.into_iter().chain(["t/g=1/part-00000-left.parquet"]) {
        raw.put(&key.into(), bytes.clone(), Default::default()).await.unwrap();
    }
    let declared = "columns = [{ name = \"x\", type = \"int64\" }, { name = \"g\", type = \"int64\" }]\n";
    let mut found = Vec::new();
    for columns in ["", declared] {
        let runners: [&dyn Runner; 2] = [&InProcess, &OneByOne { sharing: Sharing::new(2).with_shard_size(0) }];
        for runner in runners {
            let text = format!(
                "name = \"p\"\n[prepare]\nname = \"t\"\nsources = \"raw-data/t/\"\n\
                 destination = \"processed-data/t.ndjson\"\n{columns}"
            );
            let pipeline = Pipeline::from_toml("p.toml", &text, &[]).unwrap();
            let options = RunOptions::default().with_fresh(true);
            let manifest = pipeline.run(Arc::clone(&lake), runner, options, Arc::new(Silent)).await.unwrap();
            let step = &manifest.steps[0];
            assert!(step.report.notes[0].contains("not named by its `_manifest.json`"), "{:?}", step.report.notes);
            assert_eq!(step.inputs.len(), 3, "{:?}", step.inputs);
            let table = lake.bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
            let text = table.get(&"t.ndjson".into()).await.unwrap();
            found.push(String::from_utf8(text.to_vec()).unwrap());
        }
    }
    let expected = [r#"{"x":10,"g":1}"#, r#"{"x":30,"g":1}"#, r#"{"x":20,"g":2}"#, r#"{"x":40,"g":null}"#];
    for text in &found {
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    // A column of its own and of its folder.
    raw.put(&"u/x=1/a.csv".into(), "x\n1\n", Default::default()).await.unwrap();
    let text =
        "name = \"p\"\n[prepare]\nname = \"u\"\nsources = \"raw-data/u/\"\ndestination = \"processed-data/u.ndjson\"\n";
    for columns in ["", "columns = [{ name = \"x\", type = \"int64\" }]\n"] {
        let pipeline = Pipeline::from_toml("p.toml", &format!("{text}{columns}"), &[]).unwrap();
        let done = pipeline.run(Arc::clone(&lake), &InProcess, RunOptions::default(), Arc::new(Silent)).await;
        let error = done.unwrap_err().in_one_line();
        assert!(error.contains("it has a column `x`, and so have its folders, `x=`"), "{error}");
    }
}

#[tokio::test]
async fn what_folders_say_counts_only_where_it_is_asked_for() {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    for (key, text) in [("t/a.csv", "x\n1\n"), ("t/year=2024/c.csv", "x,year\n2,1999\n")] {
        raw.put(&key.into(), text, Default::default()).await.unwrap();
    }
    let text = "name = \"p\"\n[prepare]\nname = \"t\"\nsources = \"raw-data/t/**/*.csv\"\n\
                destination = \"processed-data/t.csv\"\ncolumns = [{ name = \"x\", type = \"int64\" }]\n";
    let pipeline = Pipeline::from_toml("p.toml", text, &[]).unwrap();
    let runners: [&dyn Runner; 2] = [&InProcess, &OneByOne { sharing: Sharing::new(2).with_shard_size(0) }];
    for runner in runners {
        let options = RunOptions::default().with_fresh(true);
        pipeline.run(Arc::clone(&lake), runner, options, Arc::new(Silent)).await.unwrap();
        let table = lake.bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
        assert_eq!(table.get(&"t.csv".into()).await.unwrap(), "x\n1\n2\n");
    }
}

#[tokio::test]
async fn too_many_bad_rows_of_all_shards_together_are_an_error() {
    let text = |limit: &str| {
        format!(
            "name = \"p\"\n[prepare]\nname = \"t\"\nsources = \"raw-data/t/*\"\ndestination = \"processed-data/t.parquet\"\n\
             columns = [{{ name = \"x\", type = \"int64\" }}]\non_row_error = \"quarantine\"\nmax_bad_rows = {limit}\n"
        )
    };
    let runner = OneByOne { sharing: Sharing::new(2).with_shard_size(0) };
    for (limit, is_enough) in [("2", true), ("1", false), ("\"40%\"", true), ("\"20%\"", false)] {
        let pipeline = Pipeline::from_toml("p.toml", &text(limit), &[]).unwrap();
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
        for (name, table) in [("a.csv", "x\nbad\n2\n"), ("b.csv", "x\n1\n2\n3\n"), ("c.csv", "x\nworse\n")] {
            raw.put(&format!("t/{name}").into(), table, Default::default()).await.unwrap();
        }
        let done = pipeline.run(Arc::clone(&lake), &runner, RunOptions::default(), Arc::new(Silent)).await;
        assert_eq!(done.is_ok(), is_enough, "{limit}: {done:?}");
        if let Err(error) = done {
            assert!(error.hint().unwrap().contains("processed-data/_quarantine/"), "{error:?}");
            assert!(error.to_string().contains("2 of 6 rows are bad"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_object_that_changes_meanwhile_is_an_error() {
    let lake = landed().await;
    let pipeline = Pipeline::food_calories();
    let Step::Prepare(prepare) = &pipeline.steps()[0] else { panic!("prepare comes first") };
    let context = Context { lake: Arc::clone(&lake), run: RunId::now(), progress: Arc::new(Silent) };
    ensure_bucket(lake.as_ref(), &BucketName::new(RUNS_BUCKET).unwrap()).await.unwrap();
    let mut inputs = Vec::new();
    for source in &prepare.sources {
        let pattern: crate::lake::ObjectPattern = source.path.parse().unwrap();
        for (bucket, meta) in pattern.matches(lake.as_ref()).await.unwrap() {
            inputs.push(ObjectVersion { path: bucket.address(&meta.location), size: meta.size, etag: meta.e_tag });
        }
    }
    let run = StepRun {
        step: Step::Prepare(prepare.clone()),
        folder: "steps/01-prepare-foods".into(),
        inputs: inputs.clone(),
        fingerprint: "f".into(),
        fresh: false,
    };
    let order = Order::plan(&run, Sharing::new(2).with_shard_size(0), &context).await.unwrap();
    let (bucket, key) = parse_object(&inputs[1].path).unwrap();
    let bucket = lake.bucket(&bucket).await.unwrap();
    let bytes = bucket.get(&key).await.unwrap();
    bucket.put(&key, [bytes.as_ref(), b"\n"].concat(), Default::default()).await.unwrap();
    // Also to whoever takes another object: the step as a whole would be of old and new ones.
    for shard in [0, 1] {
        let error = order.carry_out(Stage::Scan, shard, Arc::clone(&lake), Arc::new(Silent)).await.unwrap_err();
        assert!(error.to_string().contains("has changed since the step was planned"), "{error}");
    }
}

/// A step as a run of it would begin it now.
async fn step_run(step: &Step, fingerprint: &str, lake: &dyn Lake) -> StepRun {
    let inputs = inputs(step, lake).await.unwrap();
    let folder = format!("steps/01-{}-{}", step.kind(), step.name());
    StepRun { step: step.clone(), folder, inputs, fingerprint: fingerprint.into(), fresh: false }
}

/// Puts the same bytes into an object again: another version of it.
async fn put_again(path: &str, lake: &dyn Lake) {
    let (bucket, key) = parse_object(path).unwrap();
    let bucket = lake.bucket(&bucket).await.unwrap();
    let bytes = bucket.get(&key).await.unwrap();
    bucket.put(&key, bytes, Default::default()).await.unwrap();
}

#[tokio::test]
async fn whatever_a_step_reads_must_stay_as_it_was_planned_until_it_is_done() {
    let pipeline = Pipeline::food_calories();
    let (lake, _) = run(&pipeline, &InProcess).await;
    for step in pipeline.steps() {
        for workers in [1, 2] {
            let context = Context { lake: Arc::clone(&lake), run: RunId::now(), progress: Arc::new(Silent) };
            let run = step_run(step, "f", lake.as_ref()).await;
            let order = Order::plan(&run, Sharing::new(workers).with_shard_size(100_000), &context).await.unwrap();
            let begun = order.stages()[0].0;
            // What one of several has done is of no use to the others then.
            if order.stages().len() > 1 {
                order.carry_out(begun, 0, Arc::clone(&lake), Arc::new(Silent)).await.unwrap();
            }
            put_again(&run.inputs.last().unwrap().path, lake.as_ref()).await;
            for &(stage, shards) in order.stages() {
                let last = order.carry_out(stage, shards - 1, Arc::clone(&lake), Arc::new(Silent)).await;
                let error = last.unwrap_err().to_string();
                assert!(error.contains("has changed since the step was planned"), "{}: {error}", stage.name());
            }
            assert_eq!(order.report(lake.as_ref()).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn orders_for_other_inputs_share_no_folder_and_one_for_the_same_stays() {
    let pipeline = Pipeline::food_calories();
    let (lake, _) = run(&pipeline, &InProcess).await;
    let step = pipeline.steps().iter().find(|step| matches!(step, Step::Predict(_))).unwrap();
    let context = Context { lake: Arc::clone(&lake), run: RunId::now(), progress: Arc::new(Silent) };
    let plan = async |fingerprint: &str, workers| {
        let run = step_run(step, fingerprint, context.lake.as_ref()).await;
        Order::plan(&run, Sharing::new(workers), &context).await.unwrap()
    };
    let first = plan("0a1b2c3d4e5f67", 2).await;
    assert!(first.path().ends_with(&format!("/{}/0a1b2c3d4e5f/order.json", first.folder())), "{}", first.path());
    first.carry_out(Stage::Predict, 0, Arc::clone(&lake), Arc::new(Silent)).await.unwrap();
    assert_eq!(plan("0a1b2c3d4e5f67", 5).await, first, "workers of the first may be at work");

    let Step::Predict(predict) = step else { unreachable!("it was found so") };
    put_again(&predict.model, lake.as_ref()).await;
    let second = plan("ffffffffffffff", 2).await;
    assert_ne!(second.path(), first.path());
    assert!(!second.is_through(Stage::Predict, lake.as_ref()).await.unwrap());
    let bucket = runs_bucket(lake.as_ref()).await.unwrap();
    assert_eq!(bucket.list(Some(&second.key("parts"))).await.unwrap(), []);
    assert_eq!(bucket.list(Some(&first.key("parts"))).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_table_of_text_is_not_read_to_share_it_out() {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    ensure_bucket(lake.as_ref(), &BucketName::new(RUNS_BUCKET).unwrap()).await.unwrap();
    for object in ["t.ndjson", "t.parquet", "t.model"] {
        raw.put(&object.into(), "neither the one nor the other", Default::default()).await.unwrap();
    }
    let context = Context { lake: Arc::clone(&lake), run: RunId::now(), progress: Arc::new(Silent) };
    let plan = async |table: &str, workers| {
        let step = crate::pipeline::Predict {
            name: table.to_owned(),
            model: "raw-data/t.model".into(),
            table: format!("raw-data/{table}"),
            destination: vec!["processed-data/p.parquet".into()],
        };
        let run = step_run(&Step::Predict(step), "f", context.lake.as_ref()).await;
        Order::plan(&run, Sharing::new(workers), &context).await
    };
    for (table, workers) in [("t.ndjson", 1), ("t.ndjson", 3), ("t.parquet", 1)] {
        assert_eq!(plan(table, workers).await.unwrap().stages(), [(Stage::Whole, 1)], "{table}, {workers} workers");
        // Else the order that is there already would be taken.
        let order = plan(table, workers).await.unwrap().key("order.json");
        runs_bucket(lake.as_ref()).await.unwrap().delete(&order).await.unwrap();
    }
    assert!(plan("t.parquet", 3).await.is_err(), "its rows would have to be known");
}

#[tokio::test]
async fn a_percentage_of_bad_rows_is_of_all_rows_whoever_reads_them() {
    let text = |limit: &str| {
        format!(
            "name = \"p\"\n[prepare]\nname = \"t\"\nsources = \"raw-data/t/*\"\ndestination = \"processed-data/t.parquet\"\n\
             columns = [{{ name = \"x\", type = \"int64\" }}]\non_row_error = \"quarantine\"\nmax_bad_rows = \"{limit}\"\n"
        )
    };
    // The first object alone has more than is put up with: 300 of 1,500; all of them have 300 of 6,000.
    let bad: String = (0..1500).map(|row| if row % 5 == 0 { "bad\n".into() } else { format!("{row}\n") }).collect();
    let good: String = (0..4500).map(|row| format!("{row}\n")).collect();
    let runners: [&dyn Runner; 2] = [&InProcess, &OneByOne { sharing: Sharing::new(2).with_shard_size(0) }];
    for (limit, is_enough) in [("5%", true), ("4.9%", false)] {
        for runner in runners {
            let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
            let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
            for (name, rows) in [("a.csv", &bad), ("b.csv", &good)] {
                raw.put(&format!("t/{name}").into(), format!("x\n{rows}"), Default::default()).await.unwrap();
            }
            let pipeline = Pipeline::from_toml("p.toml", &text(limit), &[]).unwrap();
            let done = pipeline.run(Arc::clone(&lake), runner, RunOptions::default(), Arc::new(Silent)).await;
            assert_eq!(done.is_ok(), is_enough, "{limit} by {runner:?}: {done:?}");
            if let Err(error) = done {
                assert!(error.to_string().contains("300 of 6000 rows are bad"), "{runner:?}: {error}");
            }
        }
    }
}
