//! What may happen to a run: it ends with the same digests, or with clear words in bounded time, and leaves nothing at work.

use std::fmt::Display;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Ran, kube};
use crate::jobs::{Lake, Smaller, digests};

/// How large the tables are that runs are disturbed on: a stage of Jobs takes some seconds.
const ROWS: &str = "30000";

/// A run that was begun.
struct Begun {
    child: std::process::Child,
    arguments: Vec<String>,
}

impl Begun {
    fn new(lake: &Lake, more: &[&str]) -> Self {
        let arguments = Smaller::on_cluster(more);
        let mut command = lake.user.command(&arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, arguments: arguments.iter().map(|&argument| argument.to_owned()).collect() }
    }

    fn end(self) -> Ran {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Ran::of(&self.child.wait_with_output().unwrap(), &arguments)
    }
}

/// Waits until a worker of this stage is at work, and gives its process. A pod may be through before kubectl has listed it.
fn worker(lake: &Lake, stage: &str) -> u32 {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(90) {
        if let Some(pid) = processes(lake, &["run-step", "--stage", stage]).first() {
            return *pid;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no worker of the stage {stage} was at work within 90 s");
}

/// Whether a worker of this stage was begun again in a run: it has left an attempt above 0.
fn was_begun_again(lake: &Lake, ran: &Ran, stage: &str) -> bool {
    let manifest: Value = serde_json::from_str(&ran.stdout).unwrap();
    let folder = format!("processed-data/_runs/{}/steps/", manifest["run"].as_str().unwrap());
    let objects = lake.user.json(&["ls", &folder]);
    let paths = objects.as_array().unwrap().iter().map(|object| object["object"].as_str().unwrap());
    let attempt = |path: &str| {
        let mut parts = path.strip_prefix(&folder)?.split('/').skip(1);
        parts.next()?.starts_with(&format!("{stage}-")).then_some(parts.next()?.parse::<u32>().ok()?)
    };
    paths.filter_map(attempt).any(|attempt| attempt > 0)
}

fn is_done_alike(ran: &Ran, here: &std::collections::BTreeMap<String, String>) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let manifest: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(&digests(&manifest), here);
}

/// Processes of this lake's pods whose command line holds these words. Others may be tested meanwhile: these have the
/// lake's address in their environment, or its volume.
fn processes(lake: &Lake, words: &[&str]) -> Vec<u32> {
    let namespace = &lake.place.namespace;
    let (address, volume) = (format!(".{namespace}.svc:"), format!("/volumes/{namespace} "));
    let entries =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let file = |pid: &u32, name: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    let holds = |pid: &u32| {
        let line = file(pid, "cmdline");
        words.iter().all(|word| line.contains(word))
            && (file(pid, "environ").contains(&address) || file(pid, "mountinfo").contains(&volume))
    };
    entries.filter(holds).collect()
}

/// Signals a process, or by `-PID` its group.
pub(crate) fn send(signal: &str, pid: impl Display) {
    let _ = std::process::Command::new("kill").args([signal, "--", &pid.to_string()]).output();
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn killed_removed_and_interrupted_work_is_done_again() {
    let lake = Lake::new("faults");
    Smaller::prepare(&lake.user, &[], ROWS);
    let here = Smaller::digests_here(ROWS);

    // Workers killed at random moments; soak does it twenty times.
    let kills = if std::env::var_os("DATALAKE_SOAK").is_some() { 20 } else { 2 };
    let mut hits = 0;
    for kill in 0..kills {
        let run = Begun::new(&lake, &["--fresh"]);
        let stage = ["scan", "grow", "predict"][kill % 3];
        worker(&lake, stage);
        std::thread::sleep(Duration::from_millis((kill as u64 * 7919) % 2500));
        let victims = processes(&lake, &["run-step", stage]);
        victims.first().iter().for_each(|pid| send("-KILL", **pid));
        let ran = run.end();
        is_done_alike(&ran, &here);
        let hit = was_begun_again(&lake, &ran, stage);
        println!("kill {kill}: {stage}, {} workers there, hit: {hit}", victims.len());
        hits += u32::from(hit);
    }
    // A moment may be one at which nobody is at work, but the first kill waits for none.
    assert!(hits > 0, "no worker was hit in {kills} kills");

    // A pod is deleted, then its Job.
    let run = Begun::new(&lake, &["--fresh"]);
    worker(&lake, "grow");
    lake.place.kubectl(&["delete", "pods", "--selector=datalake/stage=grow", "--wait=false"]);
    is_done_alike(&run.end(), &here);
    let run = Begun::new(&lake, &["--fresh"]);
    worker(&lake, "grow");
    lake.place.kubectl(&["delete", "jobs", "--selector=datalake/stage=grow", "--wait=false"]);
    let ran = run.end();
    is_done_alike(&ran, &here);
    assert!(ran.stderr.contains("it is made again"), "{ran:?}");

    // The store is away for twenty seconds.
    let run = Begun::new(&lake, &["--fresh"]);
    worker(&lake, "grow");
    let stores = processes(&lake, &["minio", "server", "/data"]);
    assert!(!stores.is_empty());
    stores.iter().for_each(|pid| send("-STOP", *pid));
    std::thread::sleep(Duration::from_secs(20));
    stores.iter().for_each(|pid| send("-CONT", *pid));
    is_done_alike(&run.end(), &here);

    // Stopped by somebody else: the words say so, and nothing goes on.
    let run = Begun::new(&lake, &["--fresh"]);
    worker(&lake, "grow");
    let runs = lake.user.json(&["runs"]);
    let last = runs.as_array().unwrap().last().unwrap()["run"].as_str().unwrap().to_owned();
    lake.user.ok(&["cancel", &last]);
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stderr.contains("the run was cancelled"), "{ran:?}");
    lake.is_quiet();

    // A driver that is killed: the next goes on with its Jobs. What is done is forgotten first.
    lake.user.ok(&["rm", "--recursive", "processed-data/_steps"]);
    let mut run = Begun::new(&lake, &[]);
    worker(&lake, "scan");
    run.child.kill().unwrap();
    run.end();
    let ran = Begun::new(&lake, &[]).end();
    is_done_alike(&ran, &here);
    assert!(ran.stderr.contains("going on with it"), "{ran:?}");
    lake.is_quiet();
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn an_api_server_that_is_started_anew_does_not_matter() {
    let lake = Lake::new("restart");
    Smaller::prepare(&lake.user, &[], ROWS);
    let here = Smaller::digests_here(ROWS);
    let run = Begun::new(&lake, &["--fresh"]);
    worker(&lake, "grow");
    kube(&["api-restart", "3"]);
    is_done_alike(&run.end(), &here);
    lake.is_quiet();
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn what_cannot_come_to_anything_is_said() {
    let lake = Lake::new("hopeless");
    let fails = |more: &[&str], code: i32, words: &[&str]| {
        lake.user.fails(&Lake::on_cluster(more), code, words);
        lake.is_quiet();
    };
    fails(&["--image", "localhost/nothing:1"], 1, &["localhost/nothing:1", "the node localhost", "image save"]);
    fails(&["--memory", "1M"], 1, &["1M of memory is so little", "512Mi"]);
    // One record that is larger than the limit: how little a process begins with is left to it.
    let heavy = format!(r#"{{"food_code":"heavy","food_group":"none","name":"{}"}}"#, "x".repeat(48 << 20));
    std::fs::write(lake.user.path("heavy.ndjson"), heavy).unwrap();
    lake.user.ok(&["cp", "heavy.ndjson", "lake://raw-data/foods/heavy.ndjson"]);
    fails(&["--memory", "16Mi"], 5, &["needs more memory than its limit of 16Mi (OOMKilled)", "raise --memory"]);
    lake.user.ok(&["rm", "lake://raw-data/foods/heavy.ndjson"]);
    fails(&["--memory", "900Gi", "--pending-limit", "6s"], 5, &["Insufficient memory"]);
    lake.place.kubectl(&["create", "quota", "small", "--hard=requests.memory=2Gi"]);
    fails(&["--memory", "4Gi"], 5, &["exceeded quota: small", "ResourceQuota"]);
    lake.place.kubectl(&["delete", "quota", "small"]);
    let patch = r#"--patch={"stringData":{"AWS_SECRET_ACCESS_KEY":"not-the-secret-of-this-key"}}"#;
    lake.place.kubectl(&["patch", "secret", "datalake-lake", patch]);
    fails(&[], 3, &["refused the access key"]);

    // Nobody admits Jobs here: it waits, and says so.
    let mut command = lake.user.command(&Lake::on_cluster(&["--queue", "nobody"]));
    let said = lake.user.path("said.txt");
    let child = command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
    let waits = "waits for the queue nobody to admit it";
    let begun = Instant::now();
    while !std::fs::read_to_string(&said).unwrap().contains(waits) && begun.elapsed() < Duration::from_secs(90) {
        std::thread::sleep(Duration::from_millis(500));
    }
    send("-INT", child.id());
    let ran = child.wait_with_output().unwrap();
    let said = std::fs::read_to_string(&said).unwrap();
    assert_eq!(ran.status.code(), Some(130), "{said}");
    assert!(said.contains(waits), "{said}");
    lake.is_quiet();
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_job_of_ones_own_reaches_the_lake() {
    let lake = Lake::new("submit");
    // With this program as its image: whoever has no image of Python has this one.
    let image = crate::harness::load_own();
    let submit = ["job", "submit", "--name", "list", "--image", image, "--image-pull-policy", "Never", "--follow"];
    let listed = lake.user.ok(&[&submit[..], &["--", "/datalake", "ls"]].concat());
    assert!(listed.contains("raw-data") && listed.contains("models"), "{listed}");
    lake.user.fails(
        &[&submit[..], &["--", "/datalake", "ls"]].concat(),
        1,
        &["there is one of this name", "job delete"],
    );
    let jobs = lake.user.json(&["job", "list"]);
    assert_eq!((&jobs[0]["name"], &jobs[0]["status"], &jobs[1]), (&"list".into(), &"complete".into(), &Value::Null));
    assert_eq!(lake.user.ok(&["job", "logs", "list"]), listed);
    assert_eq!(lake.user.ok(&["job", "logs", "list", "--follow"]), listed);
    lake.user.ok(&["job", "delete", "list"]);
    lake.user.fails(&["job", "logs", "list"], 1, &["the Job list", "job list"]);
    assert_eq!(lake.user.json(&["job", "list"]), serde_json::json!([]));
    let none = ["job", "submit", "--name", "none", "--image", image, "--image-pull-policy", "Never", "--follow"];
    lake.user.fails(&[&none[..], &["--", "/nothing"]].concat(), 1, &["cannot start", "in the image"]);
    let missing = ["job", "submit", "--name", "missing", "--image", "localhost/nothing:1", "--follow", "--", "/x"];
    lake.user.fails(&missing, 1, &["localhost/nothing:1"]);
    // Its name is free again.
    assert!(!lake.place.kubectl(&["get", "jobs", "--output=name"]).contains("missing"));
    let wrong = ["job", "submit", "--name", "wrong", "--image", image, "--image-pull-policy", "Never", "--follow"];
    let failed = lake.user.run(&[&wrong[..], &["--", "/datalake", "cat", "raw-data/nothing"]].concat());
    assert_eq!(failed.code, Some(1), "{failed:?}");
    // Why it failed, and its log to the last line.
    assert!(failed.stderr.contains("raw-data/nothing") && failed.stdout.contains("raw-data/nothing"), "{failed:?}");

    // What is printed need not be text.
    std::fs::write(lake.user.path("latin-1.txt"), b"caf\xe9\nend\n").unwrap();
    lake.user.ok(&["cp", "latin-1.txt", "lake://raw-data/latin-1.txt"]);
    let prints = ["job", "submit", "--name", "prints", "--image", image, "--image-pull-policy", "Never", "--follow"];
    let printed = lake.user.ok(&[&prints[..], &["--", "/datalake", "cat", "raw-data/latin-1.txt"]].concat());
    assert_eq!(printed, "caf\u{fffd}\nend\n");
    assert_eq!(lake.user.ok(&["job", "logs", "prints"]), printed);

    if std::env::var_os("DATALAKE_SOAK").is_none() {
        return;
    }
    let python = crate::harness::load_python();
    let script = "import os\nfrom sklearn.ensemble import RandomForestRegressor\nassert os.getuid() == 65532 and os.environ['HOME'] == '/tmp'\n\
                  assert os.environ['AWS_SECRET_ACCESS_KEY'] and os.environ['DATALAKE_URL'].startswith('http')\n\
                  print(RandomForestRegressor(n_estimators=3).fit([[0], [1]], [0, 1]).predict([[1]]).shape)\n";
    std::fs::write(lake.user.path("train.py"), script).unwrap();
    let submit = ["job", "submit", "--name", "mine", "--image", &python, "--image-pull-policy", "Never"];
    let said = lake.user.ok(&[&submit[..], &["--script", "train.py", "--follow"]].concat());
    assert!(said.contains("(1,)"), "{said}");
}
