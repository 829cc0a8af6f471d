//! `kill -9` at random moments: the next run completes with the same digests and leaves nothing temporary.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use datalake_core::random::Draws;

use crate::scratch::{Scratch, digests};

const RUN: [&str; 5] = ["ml-pipeline", "--rows", "3000", "--output", "json"];

/// Five kills, or fifty when soaking, at moments drawn from a fixed seed.
#[test]
fn a_killed_run_goes_on() {
    let kills = if std::env::var_os("DATALAKE_SOAK").is_some() { 50 } else { 5 };
    let reference = Scratch::new();
    let started = Instant::now();
    let expected = digests(&reference.ok(&RUN));
    let whole = started.elapsed();

    let mut draws = Draws::new(7, 0);
    let mut landed = 0;
    for kill in 0..kills {
        let scratch = Scratch::new();
        let mut child = scratch.command(&RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = whole.mul_f64(draws.unit());
        thread::sleep(moment.max(Duration::from_millis(1)));
        // A run that is over by now was not killed, and must hold all the same.
        landed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();

        let found = digests(&scratch.ok(&RUN));
        assert_eq!(found, expected, "kill {kill} after {moment:?}");
        let temporary: Vec<String> = scratch.files("lake").into_iter().filter(|name| is_temporary(name)).collect();
        assert!(temporary.is_empty(), "kill {kill} after {moment:?} left {temporary:?}");
    }
    assert!(landed > 0, "no run was killed before its end");
    eprintln!("{landed} of {kills} runs were killed before their end; a whole run takes {whole:?}");
}

#[test]
fn ctrl_c_ends_a_run_cleanly() {
    a_signal_ends_a_run_cleanly("-INT", 130);
}

#[test]
fn termination_ends_a_run_cleanly() {
    a_signal_ends_a_run_cleanly("-TERM", 143);
}

fn a_signal_ends_a_run_cleanly(signal: &str, code: i32) {
    let scratch = Scratch::new();
    scratch.ok(&["sample", "foods", "--rows", "60000"]);
    let run = ["ml-pipeline", "--output", "json"];
    let child = scratch.command(&run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_a_run(&scratch);
    let interrupted = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains("stopped by the user"), "{stderr}");
    assert!(scratch.ok(&["runs"]).contains("cancelled"));
    let temporary: Vec<String> = scratch.files("lake").into_iter().filter(|name| is_temporary(name)).collect();
    assert!(temporary.is_empty(), "{temporary:?}");
}

#[test]
fn a_server_ends_well_when_it_is_stopped() {
    let scratch = Scratch::new();
    for signal in ["-INT", "-TERM"] {
        let exporter = ["exporter", "--listen", "127.0.0.1:0"];
        let mut child = scratch.command(&exporter).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        assert!(first.contains("/metrics"), "{first}");
        let stopped = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(stopped.success());
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!((child.wait().unwrap().code(), rest.as_str()), (Some(0), ""), "{signal}");
    }
}

/// Waits until the run has written its first manifest.
fn wait_for_a_run(scratch: &Scratch) {
    let patience = Instant::now();
    while !scratch.files("lake/processed-data/_runs").iter().any(|name| name.ends_with("manifest.json")) {
        assert!(patience.elapsed() < Duration::from_secs(60), "no run began");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_temporary(name: &str) -> bool {
    name.contains("/tmp/") || name.contains(".tmp") || name.contains('#')
}
