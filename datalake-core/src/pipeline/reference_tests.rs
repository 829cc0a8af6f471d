//! Whether `docs/pipeline.md` names the keys that a pipeline file may have: all of them, and no others.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ml::TRAINERS;

const PAGE: &str = include_str!("../../../docs/pipeline.md");

fn read(text: &str) -> Result<Pipeline> {
    Pipeline::from_toml("p.toml", text, &[])
}

/// The names between backticks.
fn names(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The keys below each heading: the first column of its table.
fn documented() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    let mut heading = "";
    for line in PAGE.lines() {
        if let Some(text) = line.strip_prefix("### ") {
            heading = text.trim_matches(['`', '[', ']']);
        }
        if let Some((keys, _)) = line.strip_prefix("| ").and_then(|row| row.split_once(" |")) {
            all.entry(heading).or_default().extend(names(keys));
        }
    }
    all
}

#[test]
fn the_example_is_a_pipeline() {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let titles: Vec<String> = read(example).unwrap().steps().iter().map(Step::title).collect();
    assert_eq!(titles, ["prepare foods", "train calories", "evaluate calories", "predict calories"]);
}

#[test]
fn every_key_is_on_the_page_and_no_other() {
    let documented = documented();
    // What a table with a key that is not known says that it may have.
    let known = |text: &str| {
        let error = read(text).unwrap_err();
        let reason = error.reason().unwrap().to_owned();
        let (_, expected) = reason.split_once(", expected").unwrap();
        names(expected).into_iter().map(ToOwned::to_owned).collect::<BTreeSet<String>>()
    };
    let prepare = |more: &str| format!("name = \"p\"\n[prepare]\nname = \"a\"\n{more}");
    let train = |more: &str| {
        format!(
            "name = \"p\"\n[train]\nname = \"m\"\ntask = \"regression\"\ntable = \"raw-data/t\"\ntarget = \"y\"\n{more}"
        )
    };
    for (heading, text) in [
        ("The file", "zz = 1".to_owned()),
        ("prepare", prepare("zz = 1")),
        ("A source", prepare("sources = { path = \"a\", zz = 1 }")),
        ("A column", prepare("sources = \"a\"\ncolumns = [{ zz = 1 }]")),
        ("A rule", prepare("sources = \"a\"\nrules = [{ zz = 1 }]")),
        ("train", train("zz = 1")),
        ("forest", train("forest = { zz = 1 }")),
        ("evaluate", train("[evaluate]\nzz = 1")),
        ("predict", train("[predict]\nzz = 1")),
    ] {
        let mut known = known(&text);
        if heading == "forest" {
            // They are no parameters of the forest, and read apart from these.
            known.extend(["max_time", "max_model_size"].map(ToOwned::to_owned));
        }
        let page: BTreeSet<String> = documented[heading].iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(page, known, "{heading}");
    }
}

#[test]
fn the_trainers_on_the_page_are_those_whose_models_can_be_kept() {
    let line = PAGE.lines().find(|line| line.starts_with("| `trainer` |")).unwrap();
    let named = names(line.split('|').nth(2).unwrap());
    let is_kept = |trainer: &&str| {
        ["regression", "classification"].iter().any(|task| {
            let table = "name = \"m\"\ntable = \"raw-data/t\"\ntarget = \"y\"";
            read(&format!("name = \"p\"\n[train]\n{table}\ntask = \"{task}\"\ntrainer = \"{trainer}\"")).is_ok()
        })
    };
    assert_eq!(named, TRAINERS.into_iter().filter(is_kept).collect());
}
