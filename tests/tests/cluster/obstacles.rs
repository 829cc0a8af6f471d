//! What is in the way of a lake is said, in bounded time, with an exit code of its own.

use crate::harness::{Place, User, load_minio};

fn setup<'a>(place: &'a Place, image: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let wanted = ["setup-datalake", "--namespace", &place.namespace, "--image", image, "--image-pull-policy", "Never"];
    [&wanted[..], &["--no-node-ports", "--size", "1Gi"], more].concat()
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn an_image_is_needed_and_none_is_guessed() {
    let said = User::new().fails(&["setup-datalake"], 2, &["go install github.com/minio/minio", "datalake image pack"]);
    assert!(!said.contains("docker.io"), "{said}");
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn an_image_that_is_not_there_is_named_with_its_node() {
    let (user, place) = (User::new(), Place::new("image").with_volume("1Gi"));
    let image = "localhost/not-there:1";
    user.fails(&setup(&place, image, &["--timeout", "60"]), 1, &[image, "on the node", "k3s ctr images import"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_volume_that_cannot_be_had_is_named() {
    let (user, place) = (User::new(), Place::new("volume"));
    let arguments = setup(&place, load_minio(), &["--timeout", "12"]);
    let arguments: Vec<&str> = arguments.into_iter().map(|word| if word == "1Gi" { "900Gi" } else { word }).collect();
    user.fails(&arguments, 5, &["volume of 900Gi", "--storage-class"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_quota_that_is_too_small_is_named() {
    let (user, place) = (User::new(), Place::new("quota").with_namespace(&[]).with_volume("1Gi"));
    place.kubectl(&["create", "quota", "small", "--hard=limits.memory=64Mi"]);
    let arguments = setup(&place, load_minio(), &["--timeout", "60"]);
    user.fails(&arguments, 5, &["exceeded quota", "ResourceQuota"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn ports_that_are_taken_are_said() {
    let (user, first, second) = (User::new(), Place::new("port").with_namespace(&[]), Place::new("port2"));
    let ports = first.node_ports();
    let port = ports.trim_start_matches("--node-ports=").split(',').next().unwrap();
    first.kubectl(&["create", "service", "nodeport", "mine", "--tcp=80:80", &format!("--node-port={port}")]);
    let wanted = ["setup-datalake", "--namespace", &second.namespace, "--image", "x:1", &ports];
    user.fails(&wanted, 1, &["allocated", "--node-ports=S3,CONSOLE"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn the_last_words_of_a_server_that_ends_are_said() {
    let (user, place) = (User::new(), Place::new("crash").with_volume("1Gi"));
    // MinIO does not understand what versitygw does.
    let arguments = setup(&place, load_minio(), &["--timeout", "40", "--store", "versitygw"]);
    user.fails(&arguments, 1, &["ends again and again", "not defined: -port", "--previous"]);
}
