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
fn options_of_the_forest_are_flags() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let rows: String = (0..200)
        .map(|row| format!("{row},{},{},{}\n", row % 7, row * 2, if row % 5 == 0 { "rare" } else { "usual" }))
        .collect();
    scratch.write("lake/raw-data/t.csv", format!("x,w,y,class\n{rows}"));
    let numbers = ["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "3", "--exclude", "class"];
    let more = ["--weights", "w", "--monotonic-cst", "x=1", "--max-leaf-nodes", "9", "--ccp-alpha", "0.5"];
    scratch.ok(&[&numbers[..], &more, &["--min-weight-fraction-leaf", "0.02", "--name", "bound"]].concat());
    let shown: serde_json::Value =
        serde_json::from_str(&scratch.ok(&["model", "show", "bound", "--output", "json"])).unwrap();
    assert_eq!(shown["features"].as_array().unwrap().len(), 1, "{shown}");
    let params = &shown["params"];
    assert_eq!((&params["monotonic_cst"]["x"], &params["max_leaf_nodes"]), (&1.into(), &9.into()), "{shown}");
    scratch.ok(&["evaluate", "bound"]);
    scratch.ok(&[&numbers[..], &["--criterion", "absolute_error", "--splitter", "random", "--name", "other"]].concat());
    scratch.run(&[&numbers[..], &["--monotonic-cst", "x"]].concat()).failed(2, &["NAME=VALUE"]);
    scratch.run(&[&numbers[..], &["--weights", "weight"]].concat()).failed(1, &["`weight`", "`w`"]);
    let classes = ["train", "raw-data/t.csv", "--target", "class", "--n-estimators", "3"];
    scratch.ok(&[&classes[..], &["--class-weight", "balanced", "--name", "fair"]].concat());
    scratch.ok(&[&classes[..], &["--class-weight", "rare=4,usual=1", "--name", "own"]].concat());
    scratch.run(&[&classes[..], &["--class-weight", "rear=4"]].concat()).failed(1, &["`rear`", "rare, usual"]);
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
