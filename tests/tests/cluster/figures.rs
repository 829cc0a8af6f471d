//! What Jobs cost: printed at the end of a soak, asserted on never.

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
    // Some minutes where it is measured; else just to see that it can be. Both CPUs of the node are at work however many
    // workers there are, since one thread alone with the caches is faster than any of two: the only worker has two threads,
    // and of several, each with a CPU less what the node needs itself, there is room for two at a time.
    let whole = &["--cpu", "1800m", "--env", "DATALAKE_THREADS=2"][..];
    let half = &["--cpu", "900m"][..];
    let is_soak = std::env::var_os("DATALAKE_SOAK").is_some();
    // Other machines share caches and memory with this one, so the least of several rounds is compared.
    let (rows, trees, rounds, shares) = if is_soak {
        ("400000", 200, 3, &[("1", whole), ("2", half), ("4", half)][..])
    } else {
        ("6000", 100, 1, &[("4", half)][..])
    };
    let lake = Lake::new("figures");
    Smaller::prepare(&lake.user, &[], rows);
    Smaller::change(&lake.user, |pipeline| pipeline["train"][0]["forest"]["n_estimators"] = trees.into());
    let mut reference: Option<Value> = None;
    let mut least = vec![f64::INFINITY; shares.len()];
    for round in 0..rounds {
        for ((count, share), least) in shares.iter().zip(&mut least) {
            let begun = Instant::now();
            let image = ["--image-pull-policy", "Never", "--memory", "4Gi"];
            let arguments =
                [&["run", Smaller::FILE, "--on", "kubernetes", "--fresh", "--workers", count], &image[..], share];
            let manifest = lake.user.json(&arguments.concat());
            let wall = begun.elapsed().as_secs_f64();
            let run = manifest["run"].as_str().unwrap();
            let folder = lake.user.path(&format!("run-{count}-{round}"));
            lake.user.ok(&["cp", &format!("lake://processed-data/_runs/{run}/"), folder.to_str().unwrap()]);
            let workers = workers(&folder);
            let overheads = overheads(&lake, run, &workers);
            let mean = |of: fn(&(f64, f64)) -> f64| overheads.iter().map(of).sum::<f64>() / overheads.len() as f64;
            *least = least.min(workers.cpu_seconds);
            println!(
                "{rows} rows, --workers {count} {share:?}: {wall:.1} s, {} workers in all, {:.1} CPU s; a pod made to its start \
                 {:.2} s, from there to work {:.2} s",
                workers.count,
                workers.cpu_seconds,
                mean(|(start, _)| *start),
                mean(|(_, work)| *work),
            );
            for (stage, cpu) in &workers.by_stage {
                println!("    {stage:<28} {cpu:6.1} CPU s");
            }
            assert_eq!(workers.count, overheads.len());
            match &reference {
                None => reference = Some(manifest),
                Some(reference) => assert_eq!(digests(&manifest), digests(reference)),
            }
        }
    }
    for ((count, _), cpu) in shares.iter().zip(&least) {
        println!("--workers {count}: {cpu:.1} CPU s at least ({:+.1} %)", 100.0 * (cpu / least[0] - 1.0));
    }
}
