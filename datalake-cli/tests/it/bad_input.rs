//! Bad input: a clear error with its exit code, and nothing half written.

use std::fs;

use crate::scratch::Scratch;

fn convert(name: &str, bytes: &[u8]) -> (Scratch, crate::scratch::Ran) {
    let scratch = Scratch::new();
    scratch.write(name, bytes);
    let ran = scratch.run(&["convert", name, "out.parquet"]);
    assert!(!scratch.path("out.parquet").exists(), "something was written: {ran:?}");
    (scratch, ran)
}

#[test]
fn a_missing_bucket_is_named() {
    let scratch = Scratch::new();
    scratch.run(&["ls", "raw-data"]).failed(1, &["raw-data", "hint:"]);
    scratch.run(&["cat", "raw-data/x.csv"]).failed(1, &["raw-data"]);
}

#[test]
fn an_endpoint_that_is_down_is_unavailable() {
    let scratch = Scratch::new();
    let mut command = scratch.command(&["--lake", "http://127.0.0.1:9", "ls"]);
    command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "secret-word");
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("127.0.0.1:9"), "{stderr}");
    assert!(!stderr.contains("secret-word"), "{stderr}");
}

#[test]
fn a_negative_value_is_told_and_not_taken_for_an_option() {
    let scratch = Scratch::new();
    let rows: String = (0..30).map(|row| format!("{row},{}\n", row * 2)).collect();
    scratch.write("x.csv", format!("a,y\n{rows}"));
    scratch.ok(&["mb", "raw-data"]);
    scratch.ok(&["cp", "x.csv", "lake://raw-data/"]);
    for (option, value, code, said) in [
        ("--max-depth", "-1", 2, "--max-depth"),
        ("--n-estimators", "-5", 2, "--n-estimators"),
        ("--seed", "-1", 2, "--seed"),
        ("--trees", "-1..50", 2, "--trees"),
        ("--test", "-0.1", 1, "test must be above 0 and below 1"),
        ("--max-features", "-1", 1, "a count such as 3"),
        ("--max-samples", "-0.5", 1, "max_samples"),
        ("--max-samples", "nan", 2, "wanted is a number"),
        ("--ccp-alpha", "-1", 1, "ccp_alpha must be zero or a positive number"),
        ("--min-weight-fraction-leaf", "-0.1", 1, "min_weight_fraction_leaf must be from 0 to 0.5"),
    ] {
        scratch.run(&["train", "raw-data/x.csv", "--target", "y", option, value]).failed(code, &[value, said]);
    }
}

#[test]
fn a_parameter_that_is_wrong_is_named_with_its_value() {
    let scratch = Scratch::new();
    let rows: String = (0..30).map(|row| format!("{row},{}\n", row * 2)).collect();
    scratch.write("x.csv", format!("fat_g,y\n{rows}"));
    scratch.ok(&["mb", "raw-data"]);
    scratch.ok(&["cp", "x.csv", "lake://raw-data/"]);
    for (option, value, said) in [
        ("--max-features", "squirt", "`max_features`: invalid value: string \"squirt\""),
        ("--criterion", "gini2", "`criterion`: unknown variant `gini2`"),
        ("--splitter", "beste", "`splitter`: unknown variant `beste`"),
        ("--class-weight", "blanced", "`class_weight`: invalid value: string \"blanced\""),
        ("--class-weight", "a,b=1", "hint: a class whose name has a comma"),
        ("--class-weight", "{\"a\": ", "EOF"),
        ("--monotonic-cst", "fat=1", "did you mean `fat_g`?"),
    ] {
        scratch.run(&["train", "raw-data/x.csv", "--target", "y", option, value]).failed(1, &[said]);
    }
    // What is wrong with the target comes first.
    let mistyped = ["train", "raw-data/x.csv", "--target", "yy", "--criterion", "squared_error"];
    scratch.run(&mistyped).failed(1, &["it has no column `yy`", "did you mean `y`?"]);
    let labels: String = (0..30).map(|row| format!("{row},\"nuts, {}\"\n", row % 2)).collect();
    scratch.write("lake/raw-data/c.csv", format!("x,y\n{labels}"));
    let weights = ["--class-weight", "{\"nuts, 1\": 2}", "--n-estimators", "2"];
    scratch.ok(&[&["train", "raw-data/c.csv", "--target", "y"][..], &weights].concat());
}

#[test]
fn what_is_not_there_is_told_before_anything_is_made() {
    let scratch = Scratch::new();
    scratch.write("foods.csv", "x,y\n1,2\n");
    let cp = "datalake cp 'foods.csv' lake://raw-data/";
    scratch.run(&["train", "foods.csv", "--target", "y"]).failed(1, &["foods.csv", cp]);
    scratch.run(&["predict", "m", "foods.csv"]).failed(1, &["models"]);
    assert!(!scratch.path("lake").exists());
    scratch.ok(&["mb", "models"]);
    scratch.write("lake/models/mine.model", "");
    scratch.run(&["evaluate", "mein"]).failed(1, &["models/mein.model", "`mine.model`"]);
    scratch.run(&["model", "show", "mein"]).failed(1, &["there is no such object", "`mine.model`"]);
    scratch.run(&["evaluate", "mein["]).failed(1, &["models/mein[.model"]);
    scratch.run(&["ls", "model"]).failed(1, &["it has models"]);
    scratch
        .run(&["train", "lake/models/mine.model", "--target", "y"])
        .failed(1, &["in this lake it is `models/mine.model`"]);
    assert_eq!(scratch.files("lake").len(), 1);
}

#[test]
fn an_unknown_format_lists_those_that_are_known() {
    let (_scratch, ran) = convert("table.xyz", b"\x00\x01\x02");
    ran.failed(1, &["table.xyz", "csv", "parquet"]);
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let (_scratch, ran) = convert("empty.csv", b"");
    ran.failed(1, &["empty.csv", "empty"]);
}

#[test]
fn a_header_alone_is_a_table_without_rows() {
    let scratch = Scratch::new();
    scratch.write("header.csv", "a,b\n");
    scratch.ok(&["convert", "header.csv", "out.parquet"]);
    assert!(scratch.ok(&["schema", "out.parquet"]).contains("0 rows"));
}

#[test]
fn a_ragged_row_is_named_by_row_and_line() {
    let (_scratch, ran) = convert("ragged.csv", b"a,b\n1,2\n3\n");
    ran.failed(1, &["ragged.csv", "row 2", "line 3"]);
}

#[test]
fn invalid_utf8_is_named_by_row() {
    let (_scratch, ran) = convert("latin.csv", b"a,b\n1,caf\xe9\n");
    ran.failed(1, &["latin.csv", "row 1"]);
}

#[test]
fn a_json_line_cut_in_two_is_named() {
    let (_scratch, ran) = convert("cut.ndjson", b"{\"a\":1}\n{\"a\":\n2}\n");
    ran.failed(1, &["cut.ndjson", "row 2"]);
}

#[test]
fn bad_targets_are_named() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let mut csv = String::from("x,same,nothing\n");
    for row in 0..20 {
        csv.push_str(&format!("{row},7,\n"));
    }
    scratch.write("t.csv", &csv);
    scratch.ok(&["cp", "t.csv", "lake://raw-data/t.csv"]);
    let train = |target: &str| scratch.run(&["train", "raw-data/t.csv", "--target", target, "--task", "regression"]);
    train("smae").failed(1, &["smae", "did you mean `same`?"]);
    train("same").failed(1, &["same"]);
    train("nothing").failed(1, &["nothing"]);
    assert!(scratch.files("lake/models").is_empty());
}

#[test]
fn a_model_file_cut_short_is_refused() {
    let scratch = Scratch::new();
    scratch.ok(&["mb", "raw-data"]);
    let csv: String = std::iter::once("x,y\n".to_owned()).chain((0..50).map(|i| format!("{i},{}\n", i * 2))).collect();
    scratch.write("t.csv", &csv);
    scratch.ok(&["cp", "t.csv", "lake://raw-data/t.csv"]);
    scratch.ok(&["train", "raw-data/t.csv", "--target", "y", "--n-estimators", "3"]);
    let model = scratch.path("lake/models/y.model");
    let whole = fs::read(&model).unwrap();
    fs::write(&model, &whole[..whole.len() / 2]).unwrap();
    scratch.run(&["model", "show", "y"]).failed(1, &["models/y.model"]);
    scratch.run(&["predict", "y", "raw-data/t.csv"]).failed(1, &["models/y.model"]);
    assert!(scratch.files("lake/processed-data/predictions").is_empty());
}

#[test]
fn a_misspelt_key_gets_the_right_one() {
    let scratch = Scratch::new();
    scratch.write(
        "p.toml",
        "name = \"p\"\n[prepare]\nname = \"t\"\nsuorces = \"raw-data/t.csv\"\ndestination = \"x/y.csv\"\n",
    );
    scratch.run(&["run", "p.toml"]).failed(1, &["p.toml", "line 4", "suorces", "did you mean `sources`?"]);
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    let scratch = Scratch::new();
    assert_eq!(scratch.run(&["convert"]).code, Some(2));
    assert_eq!(scratch.run(&["frobnicate"]).code, Some(2));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let scratch = Scratch::new();
    let csv: String = std::iter::once("x\n".to_owned()).chain((0..200_000).map(|i| format!("{i}\n"))).collect();
    scratch.write("long.csv", csv);
    let script = "set -o pipefail; \"$0\" convert long.csv - --to ndjson | head -n 1";
    let output = std::process::Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_datalake")])
        .current_dir(scratch.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"{\"x\":0}\n");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("error"));
}

/// A disk that is full, where one can be mounted.
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let disk = scratch.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&disk).output();
    if !mount.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a_full_disk_leaves_nothing_behind needs the right to mount a tmpfs");
        return;
    }
    let _unmount = Unmount(disk.clone());
    let words: String = (0..100_000_u64).map(|i| format!("{}\n", i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    scratch.write("big.csv", format!("x\n{words}"));
    let ran = scratch.run(&["convert", "big.csv", "disk/out.csv"]);
    ran.failed(5, &["disk/out.csv", "hint:"]);
    let left: Vec<String> = scratch.files("disk");
    assert!(left.is_empty(), "{left:?}");
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        // The folder goes with the test; a mount that stays would keep it.
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
