//! `setup-datalake` without a cluster: what it would apply, and what it must be told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use crate::scratch::{Ran, Scratch};

/// Compares what is printed with a file in `manifests`; `UPDATE_MANIFESTS=1` writes it anew.
fn prints(name: &str, arguments: &[&str]) {
    let scratch = Scratch::new();
    let arguments = [arguments, &["--print", "yaml"]].concat();
    let mut command = scratch.command(&arguments);
    command.env("AWS_ACCESS_KEY_ID", "ID").env("AWS_SECRET_ACCESS_KEY", "hush").env("AWS_REGION", "eu-central-1");
    // No cluster is needed.
    command.env("KUBECONFIG", "/not/there");
    let output = command.output().unwrap();
    let (text, complaint) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{complaint}");
    assert!(!text.contains("hush") && !text.contains("kind: Secret\n"), "{text}");
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/it/manifests");
    let file = folder.join(format!("{name}.yaml"));
    if std::env::var_os("UPDATE_MANIFESTS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(text == wanted, "{} differs; UPDATE_MANIFESTS=1 writes it anew:\n{text}", file.display());
}

#[test]
fn minio_at_the_ports_of_nodes() {
    prints("minio", &["setup", "--image", "localhost/minio:1", "--image-pull-policy", "Never"]);
}

#[test]
fn minio_behind_an_ingress() {
    let reached = ["--no-node-ports", "--ingress", "s3.example.org"];
    let volume = ["--storage-class", "local-path", "--size", "50Gi"];
    prints("minio-ingress", &[&["setup", "--image", "registry.example.org/minio:1"], &reached[..], &volume].concat());
}

#[test]
fn versitygw_at_other_ports_in_another_namespace() {
    let place = ["--node-ports=31900,31901", "--namespace", "lake"];
    prints("versitygw", &[&["setup", "--store", "versitygw", "--image", "localhost/versitygw:1"], &place[..]].concat());
}

#[test]
fn an_endpoint_that_is_there_already() {
    prints("external", &["--lake", "https://s3.example.org", "setup", "--store", "external"]);
}

#[test]
fn what_is_missing_is_said() {
    let scratch = Scratch::new();
    let said = scratch.run(&["setup-datalake"]);
    said.failed(2, &["CGO_ENABLED=0 go install github.com/minio/minio@latest", "datalake image pack", "--image"]);
    scratch.run(&["setup-datalake", "--store", "external"]).failed(2, &["--lake"]);
    scratch.run(&["--lake", "http://h:1", "setup-datalake", "--store", "external"]).failed(3, &["AWS_ACCESS_KEY_ID"]);
    scratch.run(&["setup-datalake", "--image", "x:1", "--size", "much"]).failed(1, &["`much`", "10Gi"]);
    scratch.run(&["setup-datalake", "--node-ports=1", "--image", "x:1"]).failed(2, &["comma"]);
    scratch
        .run(&["setup-datalake", "--image", "x:1", "--no-node-ports", "--node-ports=1,2"])
        .failed(2, &["--node-ports"]);
    scratch
        .run(&["setup-datalake", "--image", "x:1", "--no-ingress", "--ingress", "s3.example.org"])
        .failed(2, &["--ingress"]);
}

#[test]
fn what_cannot_be_an_endpoint_is_said_without_its_password() {
    for (url, words) in [
        ("https://me:hush@s3.example.org", "credentials"),
        ("https://s3.example.org/hush", "after the host"),
        ("s3:", "endpoint alone"),
        ("./lake", "endpoint alone"),
    ] {
        for more in [&[][..], &["--print", "yaml"]] {
            let scratch = Scratch::new();
            let arguments = [&["--lake", url, "setup-datalake", "--store", "external"], more].concat();
            let mut command = scratch.command(&arguments);
            command.env("AWS_ACCESS_KEY_ID", "ID").env("AWS_SECRET_ACCESS_KEY", "secret");
            let ran = Ran::of(command.env("KUBECONFIG", "/not/there").output().unwrap());
            assert_eq!(ran.code, Some(1), "{}", ran.stderr);
            assert!(ran.stderr.contains(words) && !ran.stderr.contains("hush"), "{}", ran.stderr);
        }
    }
}

#[test]
fn a_profile_leads_to_a_lake_and_a_broken_one_is_said() {
    let scratch = Scratch::new();
    scratch.write("config/datalake/config.toml", "[lake]\nurl = \"http://127.0.0.1:1\"\n");
    scratch.run(&["ls"]).failed(3, &["http://127.0.0.1:1", "no credentials"]);
    scratch.ok(&["--lake", "./lake", "mb", "raw-data"]);
    scratch.write("config/datalake/config.toml", "[lake]\nsecret_access_key = \"hush\"\n");
    let ran = scratch.run(&["ls"]);
    ran.failed(1, &["config.toml"]);
    assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
    scratch.ok(&["--lake", "./lake", "ls"]);
}

/// An API server that tells its version, and nothing else; its URL.
fn api_of(minor: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let version = format!(
                r#"{{"major":"1","minor":"{minor}","gitVersion":"v1.{minor}.0","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}}"#
            );
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
            write!(stream, "{head} {}\r\n\r\n{version}", version.len()).unwrap();
        }
    });
    url
}

/// A configuration of kubectl whose context `old` leads to an API server.
fn config_of(url: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: old\n\
         clusters: [{{ name: old, cluster: {{ server: \"{url}\" }} }}]\n\
         contexts: [{{ name: old, context: {{ cluster: old, user: me }} }}]\n\
         users: [{{ name: me, user: {{ token: t }} }}]\n"
    )
}

#[test]
fn another_cluster_than_that_of_the_profile_is_refused() {
    let scratch = Scratch::new();
    let url = api_of("32");
    let file = scratch.write("kubeconfig", config_of(&url));
    let profile = "[cluster]\nnamespace = \"lake\"\naddress = \"https://prod:6443\"\n";
    scratch.write("config/datalake/config.toml", profile);
    let run = |arguments: &[&str]| Ran::of(scratch.command(arguments).env("KUBECONFIG", &file).output().unwrap());
    for arguments in [&["setup-datalake", "--image", "x:1"][..], &["teardown", "--delete-data", "--yes"]] {
        run(arguments).failed(1, &[&url, "https://prod:6443", "--context"]);
    }
    // Who says which one is meant gets it.
    run(&["teardown", "--context", "old"]).failed(1, &["Kubernetes v1.32.0"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let scratch = Scratch::new();
    let faults = ["{ this is: [no configuration", "users:\n- name: me\n  user:\n    token: hush\n   wrong: hush\n"];
    for fault in faults {
        let file = scratch.write("kubeconfig", fault);
        let ran = Ran::of(scratch.command(&["job", "list"]).env("KUBECONFIG", &file).output().unwrap());
        ran.failed(1, &[file.to_str().unwrap(), "at line", "set KUBECONFIG"]);
        // Nor does it show the lines around the fault.
        assert!(!ran.stderr.contains("hush"), "{}", ran.stderr);
    }
}

#[test]
fn a_cluster_that_is_too_old_is_told_so() {
    let scratch = Scratch::new();
    let url = api_of("32");
    let file = scratch.write("kubeconfig", config_of(&url));
    for arguments in [&["setup-datalake", "--image", "x:1"][..], &["teardown"]] {
        let ran = Ran::of(scratch.command(arguments).env("KUBECONFIG", &file).output().unwrap());
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        for words in [&*url, "Kubernetes v1.32.0, and 1.33 is wanted", "upgrade the cluster"] {
            assert!(ran.stderr.contains(words), "`{words}` is missing: {}", ran.stderr);
        }
    }
}
