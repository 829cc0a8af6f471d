//! What Jobs cost: printed for who asks for it by --nocapture, asserted on never.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::Value;
use walkdir::WalkDir;

use crate::harness::load_minio;
use crate::jobs::{Lake, Smaller, digests};

/// What the workers of a run left in its folder.
struct Workers {
    count: usize,
    cpu_seconds: f64,
    /// The same by stage.
    by_stage: BTreeMap<String, f64>,
    /// When each began to work, by its Job and index.
    began: BTreeMap<(String, u32), DateTime<Utc>>,
}

/// Reads the attempts below the folder of a run: `steps/NN-STEP/STAGE-SHARD/ATTEMPT/{manifest.json,metrics.om}`.
fn workers(folder: &Path) -> Workers {
    let mut found = Workers { count: 0, cpu_seconds: 0.0, by_stage: BTreeMap::new(), began: BTreeMap::new() };
    for entry in WalkDir::new(folder.join("steps")).min_depth(4).max_depth(4) {
        let path = entry.unwrap().into_path();
        let parts: Vec<&str> = path.iter().rev().map(|part| part.to_str().unwrap()).collect();
        let [file, _, shard, step, ..] = parts.as_slice() else { unreachable!("{parts:?}") };
        if *file != "metrics.om" || *shard == "0" {
            continue;
        }
        found.count += 1;
        let metrics = fs::read_to_string(&path).unwrap();
        let cpu = metrics.lines().find_map(|line| line.strip_prefix("process_cpu_seconds ")).unwrap();
        let cpu: f64 = cpu.parse().unwrap();
        found.cpu_seconds += cpu;
        let attempt: Value = serde_json::from_slice(&fs::read(path.with_file_name("manifest.json")).unwrap()).unwrap();
        let (stage, index) = shard.rsplit_once('-').unwrap();
        *found.by_stage.entry(format!("{step} {stage}")).or_default() += cpu;
        let began = attempt["started"].as_str().unwrap().parse().unwrap();
        found.began.insert((format!("{step} {stage}"), index.parse().unwrap()), began);
    }
    found
}

/// For each pod of a run that is still there: from its Job's creation, or that of the pod where others came before it, to
/// the start of its container, and from there to the moment when its worker began. Kubernetes counts whole seconds, so
/// the second is up to a second too long.
fn overheads(lake: &Lake, run: &str, workers: &Workers) -> Vec<(f64, f64)> {
    let selector = format!("--selector=datalake/run={run}");
    let pods: Value = serde_json::from_str(&lake.place.kubectl(&["get", "pods", &selector, "--output=json"])).unwrap();
    let time = |text: &Value| text.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).num_milliseconds() as f64 / 1e3;
    let pods = pods["items"].as_array().unwrap().iter();
    pods.map(|pod| {
        let labels = &pod["metadata"]["labels"];
        let index: u32 = labels["batch.kubernetes.io/job-completion-index"].as_str().unwrap().parse().unwrap();
        let (step, stage) = (labels["datalake/step"].as_str().unwrap(), labels["datalake/stage"].as_str().unwrap());
        let began = workers.began[&(format!("{step} {stage}"), index)];
        let started = time(&pod["status"]["containerStatuses"][0]["state"]["terminated"]["startedAt"]);
        (seconds(time(&pod["metadata"]["creationTimestamp"]), started), seconds(started, began))
    })
    .collect()
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn what_workers_cost() {
    load_minio();
    // Some minutes where it is measured; else just to see that it can be. The workers share what two CPUs have to give, so
    // that both are at work however many there are: one thread alone with the caches is faster than any of two.
    let whole = &["--cpu", "1800m", "--env", "DATALAKE_THREADS=2"][..];
    let (half, quarter) = (&["--cpu", "900m"][..], &["--cpu", "450m"][..]);
    let is_soak = std::env::var_os("DATALAKE_SOAK").is_some();
    let (rows, trees, shares) = if is_soak {
        ("400000", 400, &[("1", whole), ("2", half), ("4", quarter)][..])
    } else {
        ("6000", 100, &[("4", quarter)][..])
    };
    let lake = Lake::new("figures");
    Smaller::prepare(&lake.user, &[], rows);
    Smaller::with_trees(&lake.user, trees);
    let mut first: Option<(f64, Value)> = None;
    for (count, share) in shares {
        let begun = Instant::now();
        let image = ["--image-pull-policy", "Never", "--memory", "4Gi"];
        let arguments =
            [&["run", Smaller::FILE, "--on", "kubernetes", "--fresh", "--workers", count], &image[..], share];
        let manifest = lake.user.json(&arguments.concat());
        let wall = begun.elapsed().as_secs_f64();
        let run = manifest["run"].as_str().unwrap();
        let folder = lake.user.path(&format!("run-{count}"));
        lake.user.ok(&["cp", &format!("lake://processed-data/_runs/{run}/"), folder.to_str().unwrap()]);
        let workers = workers(&folder);
        let overheads = overheads(&lake, run, &workers);
        let mean = |of: fn(&(f64, f64)) -> f64| overheads.iter().map(of).sum::<f64>() / overheads.len() as f64;
        let (cpu, reference) = (workers.cpu_seconds, first.as_ref().map_or(workers.cpu_seconds, |(cpu, _)| *cpu));
        println!(
            "{rows} rows, {count} at a time {share:?}: {wall:.1} s, {} workers, {cpu:.1} CPU s ({:+.1} %); a pod made to its start \
             {:.2} s, from there to work {:.2} s",
            workers.count,
            100.0 * (cpu / reference - 1.0),
            mean(|(start, _)| *start),
            mean(|(_, work)| *work),
        );
        for (stage, cpu) in &workers.by_stage {
            println!("    {stage:<28} {cpu:6.1} CPU s");
        }
        assert_eq!(workers.count, overheads.len());
        match &first {
            None => first = Some((cpu, manifest)),
            Some((_, first)) => assert_eq!(digests(&manifest), digests(first)),
        }
    }
}
