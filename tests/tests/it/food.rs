//! The real food tables, where they are: the USDA's Standard Reference 28 as CSV, Parquet and nested JSON.

use std::path::PathBuf;
use std::sync::Arc;

use datalake_core::lake::{self, BucketName, Lake, Location, MemoryLake};
use datalake_core::pipeline::{Evaluation, InProcess, Manifest, Pipeline, RunOptions, ensure_bucket};
use datalake_core::progress::Silent;
use datalake_tests::package_folder;

/// The folder of the tables: `DATALAKE_FOOD_DATA`, or beside the checkout.
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("DATALAKE_FOOD_DATA").map(PathBuf::from);
    let beside = package_folder().join("../../shared/data/food");
    let folder = named.unwrap_or(beside);
    if folder.join("usda_sr28_foods.csv").is_file() {
        return Some(folder);
    }
    eprintln!("SKIPPED: the real food tables are not here; set DATALAKE_FOOD_DATA to their folder");
    None
}

/// Runs an example pipeline over one of the tables, in a lake of its own.
async fn run(example: &str, table: &str, folder: &std::path::Path, only_prepare: bool) -> (Arc<dyn Lake>, Manifest) {
    let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
    ensure_bucket(lake.as_ref(), &BucketName::new("raw-data").unwrap()).await.unwrap();
    let key = format!("lake://raw-data/usda/{table}").parse::<Location>().unwrap();
    lake::copy(lake.as_ref(), &Location::Local(folder.join(table)), &key).await.unwrap();
    let file = package_folder().join("../examples").join(example);
    let text = std::fs::read_to_string(file).unwrap();
    let settings = [("source".to_owned(), format!("raw-data/usda/{table}"))];
    let mut pipeline = Pipeline::from_toml(example, &text, &settings).unwrap();
    if only_prepare {
        pipeline = Pipeline::from_steps("prepare", pipeline.steps()[..1].to_vec()).unwrap();
    }
    let manifest = pipeline.run(Arc::clone(&lake), &InProcess, RunOptions::default(), Arc::new(Silent)).await.unwrap();
    (lake, manifest)
}

fn table_digest(manifest: &Manifest) -> String {
    assert_eq!(manifest.steps[0].report.outputs[0].rows, Some(8_789));
    manifest.steps[0].report.outputs[0].digest.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_parquet_and_nested_json_give_the_same_table() {
    let Some(folder) = folder() else { return };
    let (_, csv) = run("food-calories.toml", "usda_sr28_foods.csv", &folder, true).await;
    let (_, parquet) = run("food-calories.toml", "usda_sr28_foods_all_nutrients.parquet", &folder, true).await;
    let (_, nested) = run("food-calories-nested.toml", "usda_sr28_foods_nested.ndjson.gz", &folder, true).await;
    assert_eq!(table_digest(&csv), table_digest(&parquet));
    assert_eq!(table_digest(&csv), table_digest(&nested));
}

/// The reference scores of scikit-learn on the same table and columns, by 5-fold cross-validation.
#[tokio::test(flavor = "multi_thread")]
async fn scores_are_not_worse_than_the_reference() {
    let Some(folder) = folder() else { return };
    let (lake, _) = run("food-calories.toml", "usda_sr28_foods.csv", &folder, false).await;
    let processed = lake.bucket(&BucketName::new("processed-data").unwrap()).await.unwrap();
    let evaluation = |name: &str| {
        let key = format!("evaluations/{name}.json").as_str().into();
        let processed = processed.clone();
        async move { serde_json::from_slice::<Evaluation>(&processed.get(&key).await.unwrap()).unwrap() }
    };
    let calories = evaluation("usda-calories").await;
    let forest = &calories.cross_validation["forest"];
    eprintln!("calories: {:?} +- {:?}", forest.mean, forest.std);
    // Grouped by the first word of the name: R2 0.9917 +- 0.0025, MAE 6.96 over folds of another cut.
    assert!(forest.mean["mae"] < 6.96 + 0.35, "{:?}", forest.mean);
    assert!(forest.mean["r2"] > 0.9917 - 0.0025, "{:?}", forest.mean);

    let groups = evaluation("usda-food-group").await;
    let forest = &groups.cross_validation["forest"];
    eprintln!("food groups: {:?} +- {:?}", forest.mean, forest.std);
    // Stratified, 12 nutrients and energy: accuracy 0.8561 +- 0.0065, macro F1 0.8226.
    assert!(forest.mean["accuracy"] > 0.8561 - 0.0065, "{:?}", forest.mean);
    assert!(forest.mean["f1_macro"] > 0.8226 - 0.015, "{:?}", forest.mean);
}
