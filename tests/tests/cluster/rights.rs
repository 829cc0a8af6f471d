//! Who lacks something learns what to ask for.

use std::fs;

use serde_json::Value;

use crate::harness::{Place, User, kubectl};

/// A user with a token in place of the administrator's certificate.
fn with_token(place: &Place, token: &str) -> User {
    let user = User::new();
    let config = kubectl(&["config", "view", "--raw", "--output=json"]);
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["users"][0]["user"] = serde_json::json!({ "token": token });
    let file = user.path(&format!("{}.kubeconfig", place.namespace));
    fs::write(&file, config.to_string()).unwrap();
    user.with("KUBECONFIG", file.to_str().unwrap())
        .with("AWS_ACCESS_KEY_ID", "id")
        .with("AWS_SECRET_ACCESS_KEY", "hush")
        .with("DATALAKE_URL", "http://127.0.0.1:9")
}

fn account(place: &Place) -> User {
    place.kubectl(&["create", "serviceaccount", "somebody"]);
    let token = place.kubectl(&["create", "token", "somebody", "--duration=1h"]);
    with_token(place, token.trim())
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn who_may_not_make_namespaces_learns_the_rule_and_may_use_one_that_is_there() {
    let home = Place::new("somebody").with_namespace(&[]);
    let user = account(&home);
    let setup =
        |namespace: &str| ["setup-datalake", "--store", "external", "--namespace", namespace].map(str::to_owned);
    let missing = setup("not-there-at-all");
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    user.fails(&missing, 3, &["ask for", "apiGroups"]);

    // Rights within the namespace are enough.
    let who = format!("--serviceaccount={}:somebody", home.namespace);
    home.kubectl(&["create", "rolebinding", "all", "--clusterrole=cluster-admin", &who]);
    let here = setup(&home.namespace);
    let here: Vec<&str> = here.iter().map(String::as_str).chain(["--dry-run"]).collect();
    let checked = user.json(&here);
    assert!(checked.as_array().unwrap().iter().all(|row| row["action"] == "make"), "{checked}");

    // Who may look at namespaces, and make none, is told so.
    let cluster_role = format!("{}-looks", home.namespace);
    kubectl(&[
        "create",
        "clusterrole",
        &cluster_role,
        "--verb=get",
        "--resource=namespaces,pvc,secrets,services,configmaps,statefulsets.apps",
    ]);
    kubectl(&["create", "clusterrolebinding", &cluster_role, &format!("--clusterrole={cluster_role}"), &who]);
    let ran = user.run(&["setup-datalake", "--image", "x:1", "--namespace", "not-there-at-all"]);
    kubectl(&["delete", "clusterrole,clusterrolebinding", &cluster_role]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("resources: [\"namespaces\"], verbs: [\"create\", \"get\", \"patch\"]"), "{ran:?}");
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_token_that_is_not_taken_is_said() {
    let place = Place::new("token");
    let user = with_token(&place, "expired");
    user.fails(&["setup-datalake", "--store", "external"], 3, &["expired", "log in"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn no_cluster_is_said() {
    let user = User::new().with("KUBECONFIG", "");
    user.fails(&["setup-datalake", "--image", "x:1"], 1, &["KUBECONFIG", "~/.kube/config"]);
    let user = User::new().with("KUBECONFIG", "/not/there");
    user.fails(&["setup-datalake", "--image", "x:1"], 1, &["/not/there", "set KUBECONFIG to a file"]);
}
