//! The Food Calorie Analysis, end to end, by the binary.

use crate::scratch::{Scratch, digests};

const RUN: [&str; 5] = ["ml-pipeline", "--rows", "1500", "--output", "json"];

fn run(scratch: &Scratch, more: &[&str]) -> serde_json::Value {
    let arguments: Vec<&str> = RUN.iter().chain(more).copied().collect();
    serde_json::from_str(&scratch.ok(&arguments)).unwrap()
}

fn statuses(manifest: &serde_json::Value) -> Vec<&str> {
    manifest["steps"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect()
}

#[test]
fn a_second_run_skips_what_is_done_and_a_fresh_one_gives_the_same_digests() {
    let scratch = Scratch::new();
    let first = run(&scratch, &[]);
    assert_eq!(first["status"], "done");
    let second = run(&scratch, &[]);
    assert!(statuses(&second).iter().all(|status| *status == "skipped"), "{:?}", statuses(&second));
    let third = run(&scratch, &["--fresh", "--threads", "1"]);
    assert!(statuses(&third).iter().all(|status| *status == "done"));
    assert_eq!(digests(&first.to_string()), digests(&second.to_string()));
    assert_eq!(digests(&first.to_string()), digests(&third.to_string()));
    assert_eq!(digests(&first.to_string()).len(), 6, "two tables, two models, two predictions");
}

#[test]
fn a_lost_output_is_made_again() {
    let scratch = Scratch::new();
    let first = run(&scratch, &[]);
    std::fs::remove_file(scratch.path("lake/models/calories.model")).unwrap();
    let second = run(&scratch, &[]);
    assert_eq!(statuses(&second)[..3], ["skipped", "done", "skipped"]);
    assert_eq!(digests(&first.to_string()), digests(&second.to_string()));
}

#[test]
fn the_balance_is_what_the_generator_broke() {
    let scratch = Scratch::new();
    let manifest = run(&scratch, &[]);
    let sample = std::fs::read_to_string(scratch.path("lake/raw-data/foods/_sample.json")).unwrap();
    let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
    let balance = &manifest["steps"][0]["report"]["balance"];
    let mut broken = 0;
    for (object, source) in sample["objects"].as_array().unwrap().iter().zip(balance["sources"].as_array().unwrap()) {
        assert_eq!(source["path"], format!("raw-data/{}", object["key"].as_str().unwrap()));
        assert_eq!(source["seen"], object["rows"], "{source}\n{object}");
        assert_eq!(source["quarantined"], object["broken"], "{source}\n{object}");
        assert_eq!(source["dropped"]["energy_known"].as_u64().unwrap_or(0), object["without_energy"].as_u64().unwrap());
        broken += object["broken"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    }
    let quarantine = scratch.path("lake").join(balance["quarantine"].as_str().unwrap());
    let lines = std::fs::read_to_string(quarantine).unwrap();
    assert_eq!(lines.lines().count() as u64, broken);
    assert!(broken > 0);
    for line in lines.lines() {
        let reject: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(!reject["reason"].as_str().unwrap().is_empty(), "{line}");
        assert!(reject["row"].as_u64().unwrap() > 0, "{line}");
    }
}

#[test]
fn memory_and_folder_give_the_same_digests() {
    let scratch = Scratch::new();
    let local = run(&scratch, &[]);
    let memory = run(&scratch, &["--lake", "memory:", "--threads", "2"]);
    assert_eq!(digests(&local.to_string()), digests(&memory.to_string()));
}

#[test]
fn data_of_the_user_is_never_overwritten() {
    let scratch = Scratch::new();
    let csv = "food_code,food_group,energy_kcal,protein_g\n1,Fruits,52,0.3\n";
    scratch.write("lake/raw-data/foods/mine.csv", csv);
    let ran = scratch.run(&["ml-pipeline"]);
    assert_ne!(ran.code, Some(0), "one row is not enough to learn from: {ran:?}");
    assert_eq!(scratch.files("lake/raw-data"), ["lake/raw-data/foods/mine.csv"]);
    assert_eq!(std::fs::read_to_string(scratch.path("lake/raw-data/foods/mine.csv")).unwrap(), csv);
}

#[test]
fn status_tells_of_the_last_run() {
    let scratch = Scratch::new();
    let empty = scratch.ok(&["status"]);
    assert!(empty.contains("no run yet"), "{empty}");
    run(&scratch, &[]);
    let status = scratch.ok(&["status"]);
    for word in ["raw-data", "processed-data", "models", "food-calories: done", "calories"] {
        assert!(status.contains(word), "{word}\n{status}");
    }
    assert!(scratch.ok(&["runs"]).contains("food-calories"));
    assert!(scratch.ok(&["model", "list"]).contains("models/calories.model"));
    assert!(scratch.ok(&["model", "show", "calories"]).contains("energy_kcal"));
}

#[test]
fn a_model_file_says_where_the_model_comes_from_and_how_good_it_is() {
    let scratch = Scratch::new();
    let manifest = run(&scratch, &[]);
    let shown: serde_json::Value =
        serde_json::from_str(&scratch.ok(&["model", "show", "calories", "--output", "json"])).unwrap();
    assert_eq!(shown["file"]["version"], 2);
    let prepared = &shown["envelope"]["lineage"]["prepared"];
    let (inputs, report) = (&manifest["steps"][0]["inputs"], &manifest["steps"][0]["report"]);
    for (source, input) in prepared["sources"].as_array().unwrap().iter().zip(inputs.as_array().unwrap()) {
        assert_eq!((&source["path"], &source["etag"]), (&input["path"], &input["etag"]));
        let sum = |names: &[&str]| names.iter().map(|name| source[name].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum(&["seen"]), sum(&["written", "quarantined", "dropped"]), "{source}");
    }
    assert!(prepared["rows"]["quarantined"].as_u64().unwrap() > 0, "{prepared}");
    assert_eq!(prepared["digest"], report["outputs"][0]["digest"]);
    assert_eq!(prepared["units"]["fat_g"], "g");
    let held_out = &shown["envelope"]["metrics"]["held_out"];
    assert!(held_out["forest"]["mae"].as_f64().unwrap() < held_out["dummy"]["mae"].as_f64().unwrap(), "{held_out}");

    let digest = shown["digest"].as_str().unwrap();
    let card = scratch.ok(&["model", "card", "calories"]);
    for text in
        ["# models/calories.model", digest, prepared["digest"].as_str().unwrap(), "| forest | held out |", "g |"]
    {
        assert!(card.contains(text), "{text}\n{card}");
    }
    assert!(scratch.ok(&["model", "card", "calories", "--html"]).contains("<h1>models/calories.model</h1>"));
    assert!(scratch.ok(&["model", "verify", "calories", "food-group"]).contains(digest));
}

#[test]
fn a_compressed_model_is_the_same_model() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let rows: String = (0..2000).map(|row| format!("{},{row},{}\n", row % 7, row * 2 + row % 5)).collect();
    scratch.write("lake/raw-data/t.csv", format!("w,x,y\n{rows}"));
    let train = ["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "5"];
    scratch.ok(&[&train[..], &["--name", "plain"]].concat());
    scratch.ok(&[&train[..], &["--name", "packed", "--compression", "zstd"]].concat());
    assert_eq!(scratch.ok(&["model", "digest", "plain"]), scratch.ok(&["model", "digest", "packed"]));
    let size = |model: &str| std::fs::metadata(scratch.path(&format!("lake/models/{model}.model"))).unwrap().len();
    assert!(size("packed") * 2 < size("plain"), "{} and {}", size("packed"), size("plain"));
    scratch.ok(&["model", "verify", "packed"]);
}

#[test]
fn what_a_table_has_that_the_model_has_not_seen_is_said() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let rows: String = (0..200).map(|row| format!("{row},g{},{}\n", row % 3, row * 2)).collect();
    scratch.write("lake/raw-data/t.csv", format!("x,group,y\n{rows}"));
    scratch.ok(&["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "3"]);
    scratch.write("lake/raw-data/new.csv", "x,group\n5,g1\n-7,rock\n900,g2\n6,rock\n");
    let manifest = scratch.ok(&["predict", "y", "raw-data/new.csv", "--output", "json"]);
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let report = &manifest["steps"][0]["report"];
    let notes = report["notes"].to_string();
    assert!(notes.contains("column `x`: 2 of 4 rows (50 %) lie outside of"), "{notes}");
    assert!(notes.contains("column `group`: 2 of 4 rows have a category") && notes.contains("`rock` (2)"), "{notes}");
    assert_eq!(report["input"]["columns"]["x"]["below"], 1);
    scratch.write("lake/raw-data/less.csv", "x\n5\n");
    scratch.run(&["predict", "y", "raw-data/less.csv"]).failed(1, &["`group`"]);
    scratch.write("lake/raw-data/drift.csv", "x,group\nmany,g1\n");
    scratch.run(&["predict", "y", "raw-data/drift.csv"]).failed(1, &["`x`", "numbers"]);
}

#[test]
fn parts_of_a_forest_merge_into_the_whole() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let rows: String = (0..200).map(|row| format!("{},{row},{}\n", row % 7, row * 2 + row % 5)).collect();
    scratch.write("lake/raw-data/t.csv", format!("w,x,y\n{rows}"));
    let train = ["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "9"];
    scratch.ok(&[&train[..], &["--name", "whole"]].concat());
    for trees in ["0..4", "4..9"] {
        scratch.ok(&[&train[..], &["--name", "y", "--trees", trees]].concat());
    }
    scratch.run(&["model", "merge", "y.trees-0..4", "--model", "y"]).failed(1, &["4..9"]);
    // In any order.
    scratch.ok(&["model", "merge", "y.trees-4..9", "y.trees-0..4", "--model", "y"]);
    assert_eq!(scratch.ok(&["model", "digest", "y"]), scratch.ok(&["model", "digest", "whole"]));
    let shown = |model: &str| -> serde_json::Value {
        serde_json::from_str(&scratch.ok(&["model", "show", model, "--output", "json"])).unwrap()
    };
    let (merged, whole) = (shown("y"), shown("whole"));
    assert_eq!(merged["envelope"]["metrics"], whole["envelope"]["metrics"]);
    assert!(merged["envelope"]["metrics"]["out_of_bag_score"].is_f64(), "{merged}");
    scratch.ok(&["evaluate", "y"]);

    scratch.run(&[&train[..], &["--trees", "5..10"]].concat()).failed(1, &["5..10", "0..9"]);
    scratch.run(&[&train[..], &["--trees", "5"]].concat()).failed(2, &["0..50"]);
    scratch.ok(&[&train[..], &["--name", "y", "--trees", "0..4", "--seed", "1"]].concat());
    scratch.run(&["model", "merge", "y.trees-0..4", "y.trees-4..9", "--model", "y"]).failed(1, &["other settings"]);
    scratch.ok(&[&train[..], &["--name", "y", "--trees", "0..4"]].concat());
    scratch.write("lake/raw-data/t.csv", "w,x,y\n1,2,3\n2,3,5\n");
    scratch.run(&["model", "merge", "y.trees-0..4", "y.trees-4..9", "--model", "y"]).failed(1, &["has changed"]);
}

#[test]
fn what_a_model_cannot_learn_from_or_be_compared_with_is_said() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let rows: String = (0..200).map(|row| format!("food {row},{row},{}\n", row * 2)).collect();
    scratch.write("lake/raw-data/t.csv", format!("name,x,y\n{rows}"));
    let train = ["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "3"];
    for model in ["first", "second"] {
        scratch.ok(&[&train[..], &["--name", model]].concat());
    }
    let shown: serde_json::Value =
        serde_json::from_str(&scratch.ok(&["model", "show", "first", "--output", "json"])).unwrap();
    assert_eq!(shown["features"].as_array().unwrap().len(), 1, "{shown}");
    scratch.ok(&[&train[..], &["--features", "name,x", "--name", "named"]].concat());
    let refused = [&train[..], &["--criterion", "gini"]].concat();
    scratch.run(&refused).failed(1, &["criterion", "squared_error", "gini"]);
    scratch.ok(&[&train[..], &["--task", "classification", "--criterion", "entropy", "--no-bootstrap"]].concat());
    scratch.run(&["evaluate", "first", "--baselines", "lineer"]).failed(1, &["lineer", "linear"]);
    scratch.run(&["evaluate", "first", "--folds", "100000000000000000"]).failed(1, &["at most"]);
    // A column without a value, which inference takes for text; predictions are called after their model.
    scratch.write("lake/raw-data/new.csv", "id,x\n1,\n2,\n");
    for model in ["first", "second"] {
        scratch.ok(&["predict", model, "raw-data/new.csv"]);
    }
    let predictions = scratch.files("lake/processed-data/predictions");
    assert_eq!(predictions.len(), 2, "{predictions:?}");
}
