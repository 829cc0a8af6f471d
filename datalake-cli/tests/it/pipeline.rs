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
fn what_is_of_jobs_alone_and_runs_that_are_not_there_are_said() {
    let scratch = Scratch::new();
    for option in ["--detach", "--workers=3"] {
        scratch.run(&["ml-pipeline", option]).failed(1, &["is of Jobs in a cluster", "--on kubernetes"]);
    }
    scratch.run(&["ml-pipeline", "--workers", "0"]).failed(2, &["--workers"]);
    run(&scratch, &[]);
    for command in ["logs", "cancel"] {
        scratch.run(&[command, "nothing"]).failed(1, &["the run nothing", "datalake runs"]);
    }
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
    assert!(scratch.ok(&["model", "card", "calories", "--html"]).contains("<h1>models&#x2f;calories.model</h1>"));
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
fn columns_of_codes_are_categories_where_that_is_asked_for() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    // The parity of a code tells the target, and its order nothing.
    let rows: String = (0..400).map(|row| format!("{},{},{}\n", row % 40, row % 3, row % 2 * 100)).collect();
    scratch.write("lake/raw-data/t.csv", format!("code,x,y\n{rows}"));
    let train = ["train", "raw-data/t.csv", "--target", "y", "--task", "regression", "--max-depth", "1"];
    scratch.ok(&[&train[..], &["--categorical-features", "code"]].concat());
    let shown = scratch.ok(&["model", "show", "y", "--output", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let features = shown["features"].to_string();
    assert!(features.contains("categorical") && features.contains("\"39\""), "{features}");
    assert!(shown["envelope"]["metrics"]["held_out"]["forest"]["r2"].as_f64().unwrap() > 0.99, "{shown}");
    scratch.ok(&["evaluate", "y"]);
    scratch.write("lake/raw-data/new.csv", "code,x\n3,1\n4,1\n99,1\n");
    let manifest = scratch.ok(&["predict", "y", "raw-data/new.csv", "--output", "json"]);
    assert!(manifest.contains("column `code`: 1 of 3 rows have a category"), "{manifest}");
    scratch.run(&[&train[..], &["--categorical-features", "coed"]].concat()).failed(1, &["`coed`", "`code`"]);
    scratch.run(&[&train[..], &["--categorical-features", "y"]].concat()).failed(1, &["the target `y`"]);
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

    // Weights are read anew for what the rows out of bag say.
    let heavy = ["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "5", "--weights", "w"];
    scratch.ok(&[&heavy[..], &["--name", "heavy"]].concat());
    for trees in ["0..1", "1..5"] {
        scratch.ok(&[&heavy[..], &["--name", "part", "--trees", trees]].concat());
    }
    scratch.ok(&["model", "merge", "part.trees-0..1", "part.trees-1..5", "--model", "joined"]);
    assert_eq!(scratch.ok(&["model", "digest", "joined"]), scratch.ok(&["model", "digest", "heavy"]));
    assert_eq!(shown("joined")["envelope"]["metrics"], shown("heavy")["envelope"]["metrics"]);

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
    let params = &shown["parameters"];
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
    // The rows held out have no value of a column that rows are split by.
    let few: String = (0..200).map(|row| format!("shelf {},{row},{}\n", row % 60, row * 2)).collect();
    scratch.write("lake/raw-data/few.csv", format!("shelf,x,y\n{few}"));
    let few = ["train", "raw-data/few.csv", "--target", "y", "--n-estimators", "3", "--name"];
    let said = scratch.run(&[&few[..], &["few"]].concat());
    assert!(said.stderr.contains("column `shelf` has 60 different texts in 200 rows"), "{said:?}");
    let said = scratch.run(&[&few[..], &["few", "--split-by", "shelf"]].concat());
    assert!(said.stderr.contains("column `shelf` is left out: rows are split by it"), "{said:?}");
    let features = |model: &str| -> Vec<String> {
        let shown = scratch.ok(&["model", "show", model, "--output", "json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["features"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(features("few"), ["x"]);
    scratch.ok(&[&few[..], &["both", "--split-by", "shelf", "--categorical-features", "x,shelf"]].concat());
    assert_eq!(features("both"), ["shelf", "x"]);
    scratch.ok(&[&few[..], &["ordered", "--features", "x,shelf", "--split-by", "shelf"]].concat());
    assert_eq!(features("ordered"), ["x", "shelf"]);
    // Those of the rows held out were not seen in training.
    let shown = scratch.ok(&["model", "show", "ordered"]);
    assert!(shown.contains("48 categories"), "{shown}");
    let predicted = scratch.run(&["predict", "ordered", "raw-data/few.csv"]);
    assert!(predicted.stderr.contains("category that was not seen in training"), "{predicted:?}");
    // A column of names goes before that which rows are split by, and one column always stays.
    scratch.write("lake/raw-data/two.csv", format!("name,by,y\n{}", rows.replace(",1,", ",2,")));
    scratch.ok(&["train", "raw-data/two.csv", "--target", "y", "--n-estimators", "3", "--split-by", "by"]);
    assert_eq!(features("y"), ["by"]);
    // A model is looked at with the columns that it has learnt from, whatever would be left out now.
    let said = scratch.run(&["evaluate", "few", "--folds", "2"]);
    assert!(!said.stderr.contains("left out"), "{said:?}");
    scratch.ok(&["model", "importances", "few", "--out-of-bag"]);
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
    assert_eq!(predictions.len(), 3, "{predictions:?}");
}

#[test]
fn a_forest_grows_until_it_is_large_enough() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let rows: String = (0..200).map(|row| format!("{},{row},{}\n", row % 7, row * 2 + row % 5)).collect();
    scratch.write("lake/raw-data/t.csv", format!("w,x,y\n{rows}"));
    let train = ["train", "raw-data/t.csv", "--target", "y"];
    let reached = |model: &str| -> u64 {
        let shown = scratch.ok(&["model", "show", model, "--output", "json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["parameters"]["n_estimators"].as_u64().unwrap()
    };
    let by_number = |number: u64, name: &str| {
        let number = number.to_string();
        scratch.ok(&[&train[..], &["--name", name, "--n-estimators", &number]].concat());
        scratch.ok(&["model", "digest", name])
    };
    scratch.ok(&[&train[..], &["--name", "auto", "--n-estimators", "auto"]].concat());
    assert!((30..=1000).contains(&reached("auto")));
    assert_eq!(scratch.ok(&["model", "digest", "auto"]), by_number(reached("auto"), "same"));
    scratch.ok(&["evaluate", "auto", "--folds", "2"]);
    scratch.ok(&[&train[..], &["--name", "small", "--max-model-size", "20kB"]].concat());
    assert!((1..100).contains(&reached("small")));
    assert_eq!(scratch.ok(&["model", "digest", "small"]), by_number(reached("small"), "as-small"));
    scratch.ok(&[&train[..], &["--name", "quick", "--max-time", "1ms"]].concat());
    assert_eq!(scratch.ok(&["model", "digest", "quick"]), by_number(reached("quick"), "as-quick"));

    scratch.run(&[&train[..], &["--n-estimators", "many"]].concat()).failed(2, &["a number of trees, or `auto`"]);
    scratch.run(&[&train[..], &["--n-estimators", "auto", "--no-bootstrap"]].concat()).failed(1, &["needs bootstrap"]);
    scratch.run(&[&train[..], &["--n-estimators", "auto", "--trees", "0..5"]].concat()).failed(1, &["known number"]);
    scratch.run(&[&train[..], &["--max-time", "soon"]].concat()).failed(1, &["`soon`", "30s"]);
    scratch.run(&[&train[..], &["--max-model-size", "9B"]].concat()).failed(1, &["single tree"]);
}

#[test]
fn columns_are_worth_what_shuffling_them_costs() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let rows: String = (0..300).map(|row| format!("{},{},{row}\n", row * 37 % 101, row * 2 + row % 5)).collect();
    scratch.write("lake/raw-data/t.csv", format!("noise,y,x\n{rows}"));
    scratch.ok(&["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "20"]);
    scratch.ok(&["train", "raw-data/t.csv", "--target", "y", "--trainer", "linear", "--name", "line"]);
    let measured = |arguments: &[&str]| -> serde_json::Value {
        let found = scratch.ok(&[&["model", "importances"], arguments, &["--output", "json"]].concat());
        serde_json::from_str(&found).unwrap()
    };
    for arguments in [&["y"][..], &["y", "--out-of-bag"], &["line", "--metric", "mae"]] {
        let found = measured(arguments);
        let features = found["features"].as_array().unwrap();
        assert_eq!((&features[0]["feature"], &features[1]["feature"]), (&"noise".into(), &"x".into()));
        let low = features[1]["interval"][0].as_f64().unwrap();
        assert!(low > 20.0 * features[0]["mean"].as_f64().unwrap().abs(), "{found}");
    }
    assert_eq!(measured(&["y"])["metric"], "rmse");
    assert_eq!(measured(&["y", "--out-of-bag"])["metric"], "mse");
    assert!(scratch.ok(&["model", "importances", "y"]).contains("standard error"));
    scratch.run(&["model", "importances", "y", "--metric", "accuracy"]).failed(1, &["no metric `accuracy`"]);
    scratch.run(&["model", "importances", "line", "--out-of-bag"]).failed(1, &["no row is out of bag"]);

    let evaluation = || -> serde_json::Value {
        let text = std::fs::read_to_string(scratch.path("lake/processed-data/evaluations/y.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let said = scratch.ok(&["evaluate", "y", "--folds", "3", "--repeats", "2"]);
    assert!(said.contains("forest in 6 folds r2 1.000 ± 0.000"), "{said}");
    let found = evaluation();
    assert_eq!(found["permutation"]["features"], measured(&["y"])["features"]);
    for name in ["forest", "dummy", "linear"] {
        assert_eq!(found["cross_validation"][name]["folds"].as_array().unwrap().len(), 6, "{name}");
        assert!(found["cross_validation"][name]["std"]["rmse"].is_f64());
    }
    scratch.ok(&["evaluate", "y", "--permutations", "0"]);
    assert!(evaluation()["permutation"].is_null());
    scratch.run(&["evaluate", "y", "--repeats", "2"]).failed(2, &["--folds"]);
    let said = scratch.ok(&["evaluate", "y", "--baselines", "forest", "--folds", "2", "--to", "processed-data/e.json"]);
    assert!(said.contains("forest with default parameters in 2 folds"), "{said}");
    assert!(scratch.path("lake/processed-data/e.json").exists());
}
