//! Pipelines as Jobs: the digests of this machine, whoever drives them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Place, User, kubectl_reads, load_minio, load_own};

/// A lake of its own in a namespace of its own, and a user whose profile leads to it.
pub(crate) struct Lake {
    pub(crate) user: User,
    pub(crate) place: Place,
}

impl Lake {
    pub(crate) fn new(test: &str) -> Self {
        let (user, place) = (User::new(), Place::new(test).with_volume("1Gi"));
        load_own();
        let ports = place.node_ports();
        let wanted =
            ["setup-datalake", "--image", load_minio(), "--image-pull-policy", "Never", "--size", "1Gi", &ports];
        user.ok(&[&wanted[..], &["--namespace", &place.namespace]].concat());
        Self { user, place }
    }

    /// The arguments that run the analysis on the cluster, objects of a few hundred kilobytes to each worker.
    pub(crate) fn on_cluster<'a>(more: &[&'a str]) -> Vec<&'a str> {
        let wanted = ["ml-pipeline", "--on", "kubernetes", "--workers", "3", "--shard-size", "300kB"];
        [&wanted[..], &["--image-pull-policy", "Never"], more].concat()
    }

    /// Nothing of a run is left at work: what has just ended may take a moment to be seen as such.
    pub(crate) fn is_quiet(&self) {
        let begun = std::time::Instant::now();
        loop {
            let jobs: Value = serde_json::from_str(&self.place.kubectl(&["get", "jobs", "--output=json"])).unwrap();
            let is_active = |job: &&Value| job["status"]["active"].as_u64().unwrap_or(0) > 0;
            let Some(job) = jobs["items"].as_array().unwrap().iter().find(is_active) else { return };
            assert!(begun.elapsed().as_secs() < 30, "{job:#}");
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    }
}

/// The built-in pipeline with one of its models, and not evaluated: a step of each kind that is shared out.
pub(crate) struct Smaller;

impl Smaller {
    pub(crate) const FILE: &str = "smaller.toml";

    /// Puts the pipeline where this user works, and what it reads into the lake that the arguments name.
    pub(crate) fn prepare(user: &User, lake: &[&str], rows: &str) {
        let whole = include_str!("../../../datalake-core/src/pipeline/food-calories.toml");
        let mut pipeline: toml::Table = toml::from_str(whole).unwrap();
        pipeline["train"].as_array_mut().unwrap().truncate(1);
        pipeline.remove("evaluate").unwrap();
        std::fs::write(user.path(Self::FILE), toml::to_string(&pipeline).unwrap()).unwrap();
        user.ok(&[lake, &["sample", "foods", "--rows", rows]].concat());
    }

    /// Changes the pipeline that this user has.
    pub(crate) fn change(user: &User, change: impl FnOnce(&mut toml::Table)) {
        let file = user.path(Self::FILE);
        let mut pipeline: toml::Table = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        change(&mut pipeline);
        std::fs::write(file, toml::to_string(&pipeline).unwrap()).unwrap();
    }

    /// The digests of what it writes on this machine, in one process.
    pub(crate) fn digests_here(rows: &str) -> BTreeMap<String, String> {
        let (user, lake) = (User::new(), ["--lake", "./lake"]);
        Self::prepare(&user, &lake, rows);
        let found = digests(&user.json(&[&lake[..], &["run", Self::FILE]].concat()));
        assert_eq!(found.len(), 4, "{found:?}");
        found
    }

    /// The arguments that run it on the cluster.
    pub(crate) fn on_cluster<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["--output", "json", "run", Self::FILE], &Lake::on_cluster(more)[1..]].concat()
    }
}

/// The digests of what a run wrote, by object.
pub(crate) fn digests(manifest: &Value) -> BTreeMap<String, String> {
    let outputs =
        manifest["steps"].as_array().unwrap().iter().flat_map(|step| step["report"]["outputs"].as_array().unwrap());
    let digests = outputs.filter_map(|output| {
        Some((output["path"].as_str().unwrap().to_owned(), output["digest"].as_str()?.to_owned()))
    });
    digests.collect()
}

/// The digests of the same on this machine, in one process.
pub(crate) fn digests_here(arguments: &[&str]) -> BTreeMap<String, String> {
    let user = User::new();
    let found = digests(&user.json(&[&["--lake", "./lake", "ml-pipeline"], arguments].concat()));
    assert_eq!(found.len(), 6, "{found:?}");
    found
}

/// The name of the Job that drives a run.
fn driver_of(run: &str) -> String {
    format!("run-{}", run.to_lowercase())
}

/// Brings up the exporter as `deploy/` has it, and sees that it shows this run.
fn exporter_shows(lake: &Lake, run: &str) {
    let written = include_str!("../../../deploy/kubernetes/exporter.yaml");
    let here = written.replace("big-data", &lake.place.namespace).replace("localhost/datalake:0.1.0", load_own());
    let applied = kubectl_reads(&here, &["apply", "--filename", "-"]);
    assert!(applied.code == Some(0) && !applied.stderr.contains("Warning"), "{applied:?}");
    lake.place.kubectl(&["rollout", "status", "deployment/datalake-exporter", "--timeout=60s"]);
    let service = format!("/api/v1/namespaces/{}/services/datalake-exporter:metrics", lake.place.namespace);
    let begun = std::time::Instant::now();
    // The way to it opens a moment after it is ready.
    let shown = loop {
        let shown = kubectl_reads("", &["get", "--raw", &format!("{service}/proxy/metrics")]);
        if shown.code == Some(0) {
            break shown.stdout;
        }
        assert!(begun.elapsed().as_secs() < 30, "{shown:?}");
        std::thread::sleep(std::time::Duration::from_millis(500));
    };
    assert!(shown.contains("datalake_run_status{") && shown.contains(run), "{shown}");
    let removed = kubectl_reads(&here, &["delete", "--wait=true", "--filename", "-"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_pipeline_on_the_cluster_gives_the_digests_of_this_machine() {
    let lake = Lake::new("jobs");
    let here = digests_here(&[]);
    let manifest = lake.user.json(&Lake::on_cluster(&[]));
    assert_eq!(digests(&manifest), here);
    let balance = &manifest["steps"][0]["report"]["balance"];
    assert!(balance["sources"].as_array().unwrap().len() > 1, "{balance}");

    // What was done is not done again, here or there.
    let again = lake.user.json(&Lake::on_cluster(&[]));
    assert!(again["steps"].as_array().unwrap().iter().all(|step| step["status"] == "skipped"), "{again:#}");

    let status = lake.user.json(&["status"]);
    let jobs = status["cluster"]["jobs"].as_array().unwrap();
    assert!(jobs.iter().any(|job| job["stage"] == "scan" && job["total"].as_u64() > Some(1)), "{jobs:?}");
    assert!(jobs.iter().any(|job| job["stage"] == "grow" && job["total"] == 3), "{jobs:?}");
    assert!(jobs.iter().all(|job| job["status"] == "complete"), "{jobs:?}");
    let run = manifest["run"].as_str().unwrap();
    let logs = lake.user.ok(&["logs", run]);
    for words in ["scan-00000", "grow-00002", "merge-00000", "predict-00001"] {
        assert!(logs.contains(words), "{words}: {logs}");
    }
    assert!(lake.user.ok(&["runs"]).contains(run));
    let metrics = lake.user.ok(&["cat", &format!("processed-data/_runs/{run}/metrics.om")]);
    assert!(metrics.contains("datalake_run_status") && metrics.ends_with("# EOF\n"), "{metrics}");
    exporter_shows(&lake, again["run"].as_str().unwrap());
    // After its pods are gone, and for who has only the lake.
    lake.place.kubectl(&["delete", "jobs", "--all", "--wait=true"]);
    assert_eq!(lake.user.ok(&["logs", run]), logs);

    // No secret is in a Job, nor in what a pod says: not that of the user, who has the root key, nor that of Jobs.
    let profile = crate::harness::text_of(&lake.user.profile());
    let of_user =
        profile.lines().find(|line| line.starts_with("secret_access_key")).unwrap().split('"').nth(1).unwrap();
    let decoded = "--output=go-template={{.data.AWS_SECRET_ACCESS_KEY | base64decode}}";
    let of_jobs = lake.place.kubectl(&["get", "secret", "datalake-lake", decoded]);
    assert!(of_user.len() > 8 && of_jobs.len() > 8 && of_user != of_jobs);
    lake.user.json(&Lake::on_cluster(&["--fresh"]));
    let all = lake.place.kubectl(&["get", "jobs,pods,configmaps", "--output=yaml"]);
    assert!(all.contains("datalake/run"), "{all}");
    let workers = "--selector=app.kubernetes.io/component=worker";
    let said = lake.place.kubectl(&["logs", workers, "--tail=-1"]);
    for secret in [of_user, &of_jobs] {
        assert!(!all.contains(secret) && !said.contains(secret));
    }
    lake.is_quiet();
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_detached_run_goes_on_by_itself_and_a_second_user_joins() {
    let lake = Lake::new("detached");
    let here = digests_here(&[]);
    let detached = lake.user.json(&Lake::on_cluster(&["--detach"]));
    let run = detached["run"].as_str().unwrap().to_owned();
    // Meanwhile somebody else starts the same. Either goes on with what the other has begun.
    let joined = lake.user.run(&[&["--output", "json"], &Lake::on_cluster(&[])[..]].concat());
    assert_eq!(joined.code, Some(0), "{joined:?}");
    assert_eq!(digests(&serde_json::from_str(&joined.stdout).unwrap()), here);
    let logs = lake.user.ok(&["logs", &run, "--follow"]);
    let goes_on = |said: &str| said.contains("going on with it");
    assert!(goes_on(&joined.stderr) || goes_on(&logs), "{joined:?}: {logs}");
    let runs = lake.user.json(&["runs"]);
    let first = runs.as_array().unwrap().iter().find(|found| found["run"] == run.as_str()).unwrap();
    assert_eq!(first["status"], "done", "{first:#}");
    assert_eq!(digests(first), here);
    lake.is_quiet();

    // What cannot start says so at once, and is neither left waiting nor at work.
    let stuck = ["--image", "localhost/nothing:1", "--detach"];
    lake.user.fails(&Lake::on_cluster(&stuck), 1, &["localhost/nothing:1", "image save"]);
    let runs = lake.user.json(&["runs"]);
    let last = runs.as_array().unwrap().iter().max_by_key(|run| run["run"].as_str().unwrap().to_owned()).unwrap();
    assert_eq!(last["status"], "failed", "{last:#}");
    assert!(last["error"].as_str().unwrap().contains("localhost/nothing:1"), "{last:#}");
    let drivers = lake.place.kubectl(&["get", "jobs", "--output=name"]);
    assert!(
        drivers.contains(&driver_of(&run)) && !drivers.contains(&driver_of(last["run"].as_str().unwrap())),
        "{drivers}"
    );

    // One that fails says what it met, and its driver is still there to be asked.
    Smaller::prepare(&lake.user, &[], "3000");
    Smaller::change(&lake.user, |pipeline| pipeline["train"][0]["target"] = "no_such_column".into());
    let failing = lake.user.json(&Smaller::on_cluster(&["--detach"])[2..]);
    let failing = failing["run"].as_str().unwrap();
    lake.user.ok(&["logs", failing, "--follow"]);
    let runs = lake.user.json(&["runs"]);
    let last = runs.as_array().unwrap().iter().find(|run| run["run"] == failing).unwrap();
    assert_eq!(last["status"], "failed", "{last:#}");
    assert!(last["error"].as_str().unwrap().contains("no_such_column"), "{last:#}");
    lake.is_quiet();
    let failed = "--output=jsonpath={.status.conditions[?(@.type==\"Failed\")].status}";
    assert_eq!(lake.place.kubectl(&["get", "job", &driver_of(failing), failed]), "True");

    // A cluster that is away keeps nobody from asking a run to stop.
    let config = lake.user.path("away.yaml");
    let text = "{apiVersion: v1, kind: Config, current-context: away, \
                clusters: [{name: away, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: away, user: {}}], \
                contexts: [{name: away, context: {cluster: away, user: away}}]}";
    std::fs::write(&config, text).unwrap();
    let asked = lake.user.command(&["cancel", &run, "--context", "away"]).env("KUBECONFIG", &config).output().unwrap();
    let asked = crate::harness::Ran::of(&asked, &["cancel"]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.stderr.contains("may be left at work") && asked.stdout.contains("done already"), "{asked:?}");
}
