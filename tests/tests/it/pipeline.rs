//! One pipeline, one result: in a folder, in memory, on a real S3 server.

use std::sync::Arc;

use datalake_core::lake::{self, BucketName, Lake, LakeOptions, LocalLake, MemoryLake};
use datalake_core::pipeline::{InProcess, Manifest, Pipeline, RunOptions, Status, ensure_bucket, load};
use datalake_core::progress::Silent;
use datalake_core::sample::{SampleOptions, land_if_missing};
use datalake_tests::servers::Server;

async fn run(lake: &Arc<dyn Lake>) -> Manifest {
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    let options = SampleOptions::default().with_rows(1_200);
    land_if_missing(&raw, &"foods".into(), Some(&options), &Silent).await.unwrap();
    let pipeline = Pipeline::food_calories();
    pipeline.run(Arc::clone(lake), &InProcess, RunOptions::default(), Arc::new(Silent)).await.unwrap()
}

/// Every table's and model's digest, by object.
fn digests(manifest: &Manifest) -> Vec<(String, String)> {
    let outputs = manifest.steps.iter().flat_map(|step| &step.report.outputs);
    outputs.filter_map(|output| Some((output.object.path.clone(), output.digest.clone()?))).collect()
}

fn options(server: &Server) -> LakeOptions {
    server.variables().fold(LakeOptions::default(), |options, (name, value)| options.with_variable(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lake_gives_the_same_digests() {
    let folder = tempfile::tempdir().unwrap();
    let local: Arc<dyn Lake> = Arc::new(LocalLake::new(folder.path()));
    let memory: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let expected = digests(&run(&local).await);
    assert_eq!(expected.len(), 6);
    assert_eq!(digests(&run(&memory).await), expected);

    let Some(server) = Server::minio() else { return };
    let minio = lake::open(server.url(), &options(&server)).unwrap();
    let first = run(&minio).await;
    assert_eq!(digests(&first), expected);
    let again = run(&minio).await;
    assert!(again.steps.iter().all(|step| step.status == Status::Skipped), "{:?}", again.steps);
    assert_eq!(digests(&again), expected);

    let renamed = lake::open(server.url(), &options(&server).with_bucket_prefix("acme-")).unwrap();
    assert_eq!(digests(&run(&renamed).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_says_so_in_its_manifest_and_leaves_no_output() {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    raw.put(&"t.csv".into(), "id,x\n1,2\n2,oops\n", Default::default()).await.unwrap();
    let text = r#"
        name = "fails"
        [prepare]
        name = "t"
        sources = "raw-data/t.csv"
        destination = "processed-data/t.parquet"
        columns = [{ name = "id", type = "int64" }, { name = "x", type = "int64" }]
    "#;
    let pipeline = Pipeline::from_toml("fails.toml", text, &[]).unwrap();
    let options = RunOptions::default();
    let error = pipeline.run(Arc::clone(&lake), &InProcess, options, Arc::new(Silent)).await.unwrap_err();
    let told = error.to_string();
    for word in ["raw-data/t.csv", "row 2", "column `x`", "`oops`"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let manifest = load(lake.as_ref(), None).await.unwrap();
    assert_eq!((manifest.status, manifest.steps[0].status), (Status::Failed, Status::Failed));
    let processed = lake.bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
    let left = processed.list(None).await.unwrap();
    assert!(left.iter().all(|object| object.location.as_ref().starts_with("_runs/")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_without_an_order_is_refused() {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    let raw = ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    raw.put(&"t.csv".into(), "g,x\na,1\nb,2\na,3\n", Default::default()).await.unwrap();
    let run = |sql: &'static str| {
        let lake = Arc::clone(&lake);
        async move {
            let text = format!(
                "name = \"s\"\n[prepare]\nname = \"t\"\nsources = \"raw-data/t.csv\"\ndestination = \"processed-data/t.csv\"\nsql = \"{sql}\""
            );
            let pipeline = Pipeline::from_toml("s.toml", &text, &[]).unwrap();
            pipeline.run(lake, &InProcess, RunOptions::default(), Arc::new(Silent)).await
        }
    };
    let unordered = run("SELECT g, sum(x) AS x FROM scan GROUP BY g").await.unwrap_err();
    assert!(unordered.hint().unwrap().contains("ORDER BY"), "{unordered:?}");
    let ambiguous = run("SELECT g, x FROM scan ORDER BY g").await.unwrap_err();
    assert!(ambiguous.to_string().contains("two rows"), "{ambiguous:?}");
    run("SELECT g, sum(x) AS x FROM scan GROUP BY g ORDER BY g").await.unwrap();
    let processed = lake.bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
    assert_eq!(processed.get(&"t.csv".into()).await.unwrap(), "g,x\na,4\nb,2\n");
}
