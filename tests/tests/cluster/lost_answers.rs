//! Answers of the API server that are lost on their way: what was asked for is done, and done once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use crate::faults::send;
use crate::harness::{Ran, load_own, script};
use crate::jobs::{Lake, Smaller, digests};

/// A way to the API server on which every other answer to a request that begins with some words is lost.
struct LossyWay {
    /// A configuration of kubectl that takes this way.
    config: PathBuf,
    /// How often something was asked for with these words.
    asked: Arc<AtomicUsize>,
    proxy: Child,
}

impl LossyWay {
    fn new(lake: &Lake, words: String) -> Self {
        // It speaks TLS with the API server, so that the rest of the way can be read. In a group of its own, since the script
        // has children.
        let mut proxy = script();
        proxy.args(["kubectl", "proxy", "--port=0", "--address=127.0.0.1"]).process_group(0);
        let mut proxy = proxy.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let server = line.trim().rsplit(' ').next().unwrap().to_owned();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                carry(client.unwrap(), TcpStream::connect(&server).unwrap(), &words, &count);
            }
        });
        let config = lake.user.path("lossy.kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: lossy\n\
             clusters: [{{ name: lossy, cluster: {{ server: \"{url}\" }} }}]\n\
             contexts: [{{ name: lossy, context: {{ cluster: lossy, user: nobody }} }}]\n\
             users: [{{ name: nobody, user: {{}} }}]\n"
        );
        std::fs::write(&config, text).unwrap();
        Self { config, asked, proxy }
    }

    /// Runs the program of this lake's user on this way; `command` is the container's, if there is one.
    fn run(&self, lake: &Lake, arguments: &[&str], command: &[&str]) -> Ran {
        let place = ["--context", "lossy", "--namespace", &lake.place.namespace];
        let arguments = [arguments, &place, command].concat();
        Ran::of(&lake.user.command(&arguments).env("KUBECONFIG", &self.config).output().unwrap(), &arguments)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for LossyWay {
    fn drop(&mut self) {
        send("-TERM", format!("-{}", self.proxy.id()));
        let _ = self.proxy.wait();
    }
}

/// Carries bytes both ways, and breaks off where an answer is to be lost: when its first bytes have come, so that what was
/// asked for is done.
fn carry(client: TcpStream, server: TcpStream, words: &str, count: &Arc<AtomicUsize>) {
    let lost = Arc::new(AtomicBool::new(false));
    let (words, count, is_lost) = (words.to_owned(), Arc::clone(count), Arc::clone(&lost));
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        pass(&mut from, &mut to, |bytes| {
            if bytes.starts_with(words.as_bytes()) && count.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
                is_lost.store(true, Ordering::SeqCst);
            }
            true
        });
    });
    let (mut from, mut to) = (server, client);
    std::thread::spawn(move || pass(&mut from, &mut to, |_| !lost.load(Ordering::SeqCst)));
}

/// Hands on what comes, until one of the two ends goes away or somebody says no; then both go.
fn pass(from: &mut TcpStream, to: &mut TcpStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !goes_on(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_job_whose_answer_was_lost_is_gone_on_with() {
    let lake = Lake::new("lost");
    let way = LossyWay::new(&lake, format!("POST /apis/batch/v1/namespaces/{}/jobs", lake.place.namespace));
    let submit = ["job", "submit", "--name", "mine", "--image", load_own(), "--image-pull-policy", "Never"];
    let run = || way.run(&lake, &submit, &["--follow", "--", "/datalake", "ls"]);
    let ran = run();
    assert_eq!((ran.code, way.asked()), (Some(0), 2), "{ran:?}");
    assert!(ran.stdout.contains("raw-data"), "{ran:?}");
    // One of another call is not taken for one's own.
    let ran = run();
    assert_eq!((ran.code, way.asked()), (Some(1), 4), "{ran:?}");
    assert!(ran.stderr.contains("there is one of this name"), "{ran:?}");

    // Each Job of a run is asked for twice.
    let rows = "3000";
    Smaller::prepare(&lake.user, &[], rows);
    let here = Smaller::digests_here(rows);
    let ran = way.run(&lake, &Smaller::on_cluster(&[]), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let manifest: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(digests(&manifest), here);
    assert!(way.asked() > 6, "{} Jobs were asked for", way.asked());
    lake.is_quiet();
}
