//! A lake comes up, is used, comes back, and goes.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Place, Ran, User, kubectl, kubectl_reads, load_minio, load_own, load_versitygw, text_of};
use crate::jobs::Lake;

/// The kinds of which a lake consists.
const KINDS: &str =
    "secret,configmap,serviceaccount,role,rolebinding,pvc,service,networkpolicy,pdb,statefulset,ingress";

/// The versions of all objects that were made, by kind and name.
fn versions(place: &Place) -> BTreeMap<String, String> {
    let ours = "--selector=app.kubernetes.io/managed-by=datalake";
    let found: Value = serde_json::from_str(&place.kubectl(&["get", KINDS, ours, "--output=json"])).unwrap();
    let objects = found["items"].as_array().unwrap().iter().filter(|object| object["kind"] != "StatefulSet");
    let mut versions: BTreeMap<String, String> = objects
        .map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap();
            (format!("{} {name}", object["kind"]), object["metadata"]["resourceVersion"].to_string())
        })
        .collect();
    // The controller writes its status.
    let generation =
        place.kubectl(&["get", "statefulset", "datalake-store", "--output=jsonpath={.metadata.generation}"]);
    versions.insert("StatefulSet".to_owned(), generation);
    versions.remove("\"PodDisruptionBudget\" datalake-store");
    versions
}

fn profile_key(user: &User) -> (String, String) {
    let profile = text_of(&user.profile());
    let value = |name: &str| {
        let line = profile.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    (value("access_key_id"), value("secret_access_key"))
}

/// A user with the key that Jobs have now.
fn with_key_of_jobs(place: &Place) -> User {
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].into_iter().fold(User::new(), |user, name| {
        let template = format!("--output=go-template={{{{.data.{name} | base64decode}}}}");
        user.with(name, place.kubectl(&["get", "secret", "datalake-lake", &template]))
    })
}

/// What is noted beside the key of Jobs.
fn replaced_keys(place: &Place) -> String {
    place.kubectl(&["get", "secret", "datalake-lake", "--output=jsonpath={.metadata.annotations}"])
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_lake_comes_up_is_used_comes_back_and_goes() {
    let (user, place) = (User::new(), Place::new("setup").with_volume("1Gi"));
    let image = load_minio();
    let ports = place.node_ports();
    let wanted = ["setup-datalake", "--image", image, "--image-pull-policy", "Never", "--size", "1Gi", &ports];
    let wanted = [&wanted[..], &["--namespace", &place.namespace]].concat();

    let begun = Instant::now();
    let done = user.json(&wanted);
    println!("setup to ready: {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(done["buckets"], serde_json::json!(["raw-data", "processed-data", "models"]));
    assert_eq!(done["answers"], true);
    let (id, secret) = profile_key(&user);
    assert!(!done.to_string().contains(&secret));

    // The profile leads to it.
    let listed = user.ok(&["ls"]);
    for bucket in ["raw-data", "processed-data", "models"] {
        assert!(listed.contains(bucket), "{listed}");
    }
    std::fs::write(user.path("a.txt"), "salt\n").unwrap();
    user.ok(&["cp", "a.txt", "lake://raw-data/a.txt"]);

    // Once more, with nothing but what the profile remembers.
    let before = versions(&place);
    user.ok(&["setup"]);
    assert_eq!(versions(&place), before);
    assert_eq!(profile_key(&user), (id.clone(), secret.clone()));
    let checked = user.json(&["setup-datalake", "--dry-run"]);
    let actions: Vec<&str> = checked.as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert!(actions.iter().all(|action| *action == "keep"), "{checked}");

    // New keys: the old ones end, that of people and that of Jobs. The store stays as open as it is.
    let url = done["url"].as_str().unwrap();
    let old_jobs = with_key_of_jobs(&place);
    old_jobs.ok(&["--lake", url, "cat", "raw-data/a.txt"]);
    let rotated = user.json(&["setup-datalake", "--rotate"]);
    assert_eq!((rotated["url"].as_str(), rotated["answers"].as_bool()), (Some(url), Some(true)));
    assert_ne!(profile_key(&user).0, id);
    assert_eq!(user.ok(&["cat", "raw-data/a.txt"]), "salt\n");
    let old = User::new().with("AWS_ACCESS_KEY_ID", id).with("AWS_SECRET_ACCESS_KEY", secret);
    for old in [old, old_jobs] {
        old.fails(&["--lake", url, "cat", "raw-data/a.txt"], 3, &[]);
    }
    assert!(!replaced_keys(&place).contains("replaced-keys"));
    let jobs = with_key_of_jobs(&place);
    assert_eq!(jobs.ok(&["--lake", url, "cat", "raw-data/a.txt"]), "salt\n");

    // Down and up again.
    let said = user.ok(&["teardown"]);
    assert!(said.contains("left: PersistentVolumeClaim datalake-store"), "{said}");
    assert!(!text_of(&user.profile()).contains("secret_access_key"));
    let rest = place.kubectl(&["get", KINDS, "--selector=app.kubernetes.io/managed-by=datalake", "--output=name"]);
    assert_eq!(
        rest.lines().collect::<Vec<_>>(),
        ["secret/datalake-lake", "secret/datalake-store-root", "persistentvolumeclaim/datalake-store"]
    );
    assert!(said.contains("left: Secret datalake-lake"), "{said}");
    user.ok(&["setup-datalake", "--namespace", &place.namespace, &ports]);
    assert_eq!(user.ok(&["cat", "raw-data/a.txt"]), "salt\n");
    // Jobs have the key that they had, and it still ends when it is replaced.
    assert_eq!(jobs.ok(&["--lake", url, "cat", "raw-data/a.txt"]), "salt\n");
    user.ok(&["teardown"]);
    user.ok(&["setup-datalake", "--namespace", &place.namespace, "--rotate", &ports]);
    jobs.fails(&["--lake", url, "cat", "raw-data/a.txt"], 3, &[]);

    // For good.
    user.fails(&["teardown", "--delete-data"], 2, &["--yes"]);
    let said = user.ok(&["teardown", "--delete-data", "--yes"]);
    assert!(said.contains("PersistentVolume "), "{said}");
    assert!(!user.profile().exists());
    let namespaces = kubectl(&["get", "namespace", "--output=name"]);
    assert!(!namespaces.contains(&place.namespace), "{namespaces}");
    let again = user.ok(&["teardown", "--namespace", &place.namespace]);
    assert!(again.contains("nothing of a lake"), "{again}");
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn what_is_not_asked_for_stays_as_it_is() {
    let (user, place) = (User::new().with("DATALAKE_BUCKET_PREFIX", "acme-"), Place::new("asis").with_volume("1Gi"));
    let store = ["setup-datalake", "--image", load_minio(), "--image-pull-policy", "Never"];
    let store = [&store[..], &["--namespace", &place.namespace]].concat();
    let done = user.json(&[&store[..], &["--size", "1Gi", "--no-node-ports", "--ingress", "s3.example.org"]].concat());
    assert_eq!(done["buckets"][0], "acme-raw-data");
    let config = || place.kubectl(&["get", "configmap", "datalake-lake", "--output=jsonpath={.data}"]);
    let services = || place.kubectl(&["get", "service", "--output=name"]);
    let hosts = || place.kubectl(&["get", "ingress", "--output=jsonpath={.items[*].spec.rules[*].host}"]);

    // A colleague, who has neither the profile nor the variable.
    let colleague = User::new();
    let before = versions(&place);
    let done = colleague.json(&store);
    assert_eq!(done["bucket_prefix"], "acme-");
    assert_eq!(versions(&place), before);
    colleague.ok(&[&store[..], &["--rotate"]].concat());
    assert!(config().contains("acme-") && !services().contains("datalake-store-nodes"));
    assert_eq!(hosts(), "s3.example.org");
    let other = User::new().with("DATALAKE_BUCKET_PREFIX", "other-");
    other.fails(&store, 1, &["`acme-`", "`other-`", "--namespace"]);
    assert!(config().contains("acme-"));

    // The prefix is kept with the data.
    colleague.ok(&["teardown"]);
    let done = colleague.json(&[&store[..], &["--no-node-ports"]].concat());
    assert_eq!(done["buckets"][0], "acme-raw-data");
    colleague.ok(&[&store[..], &["--ingress", "s3.example.org"]].concat());
    colleague.ok(&[&store[..], &["--no-ingress"]].concat());
    assert_eq!(hosts(), "");
    colleague.ok(&["teardown", "--delete-data", "--yes"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn jobs_open_the_buckets_that_are_named_and_no_others() {
    let Lake { user, place } = Lake::new("buckets");
    let open = |job: &str, bucket: &str| {
        let object = format!("{bucket}/it");
        let submit =
            ["job", "submit", "--name", job, "--image", load_own(), "--image-pull-policy", "Never", "--follow"];
        user.run(&[&submit[..], &["--", "/datalake", "cat", &object]].concat())
    };
    let is_open = |ran: Ran| assert!(ran.code == Some(0) && ran.stdout == "it\n", "{ran:?}");
    std::fs::write(user.path("it"), "it").unwrap();
    user.ok(&["mb", "exports"]);
    user.ok(&["cp", "it", "lake://exports/it"]);
    let closed = open("closed", "exports");
    assert!(closed.code == Some(3) && closed.stderr.contains("in --more-buckets"), "{closed:?}");

    let setup = ["setup-datalake", "--namespace", &place.namespace];
    user.ok(&[&setup[..], &["--more-buckets", "exports"]].concat());
    is_open(open("named", "exports"));
    // By its real name; the other one stays open.
    std::fs::write(user.path("datalake.toml"), "[buckets]\nsales = \"acme-sales-2\"\n").unwrap();
    let done = user.json(&setup);
    let names = done["buckets"].as_array().unwrap();
    assert!(names.contains(&"acme-sales-2".into()) && names.contains(&"exports".into()), "{names:?}");
    user.ok(&["cp", "it", "lake://sales/it"]);
    is_open(open("real", "sales"));
    is_open(open("still", "exports"));

    // The names are kept with the data, for whoever comes next.
    std::fs::remove_file(user.path("datalake.toml")).unwrap();
    user.ok(&["teardown"]);
    let ports = place.node_ports();
    let again = ["--image", load_minio(), "--image-pull-policy", "Never", "--size", "1Gi", &ports];
    let again = [&setup[..], &again].concat();
    let done = user.json(&again);
    assert_eq!(done["buckets"], serde_json::json!(["raw-data", "processed-data", "models", "exports", "acme-sales-2"]));
    is_open(open("again", "sales"));
    assert_eq!(user.ok(&["cat", "lake://sales/it"]), "it", "the profile has learnt the names");
    // Other ones are refused before anything is applied.
    let before = versions(&place);
    for (names, words) in [
        ("sales=other", "it is `acme-sales-2` in the store"),
        ("trade=acme-sales-2", "leads to `acme-sales-2` too"),
        ("trade=exports", "`exports` goes by the name `trade`"),
    ] {
        for arguments in [again.clone(), [&again[..], &["--dry-run"]].concat()] {
            let refused = user.command(&arguments).env("DATALAKE_BUCKETS", names).output().unwrap();
            let refused = Ran::of(&refused, &arguments);
            assert!(refused.code == Some(1) && refused.stderr.contains(words), "{names}: {refused:?}");
        }
    }
    assert_eq!(versions(&place), before);
    user.ok(&[&again[..], &["--no-more-buckets"]].concat());
    assert_eq!(open("no-more", "exports").code, Some(3));
    is_open(open("but-names", "sales"));
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn what_is_refused_leaves_the_keys_as_they_are() {
    let (user, place) = (User::new(), Place::new("refused").with_volume("1Gi"));
    let store = ["setup-datalake", "--image", load_minio(), "--image-pull-policy", "Never", "--no-node-ports"];
    let store = [&store[..], &["--namespace", &place.namespace]].concat();
    user.ok(&[&store[..], &["--size", "1Gi"]].concat());
    let keys =
        || place.kubectl(&["get", "secret", "datalake-lake", "datalake-store-root", "--output=jsonpath={..data}"]);
    let before = keys();
    // A volume does not shrink.
    user.fails(&[&store[..], &["--rotate", "--size", "512Mi"]].concat(), 1, &["--size"]);
    assert_eq!(keys(), before);
    // Half a key is not overwritten.
    let remove = r#"--patch=[{"op":"remove","path":"/data/AWS_SECRET_ACCESS_KEY"}]"#;
    place.kubectl(&["patch", "secret", "datalake-store-root", "--type=json", remove]);
    user.fails(&store, 1, &["datalake-store-root", "AWS_SECRET_ACCESS_KEY"]);
    user.ok(&["teardown", "--delete-data", "--yes"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn versitygw_without_node_ports_is_prepared_through_the_api_server() {
    let (user, place) = (User::new(), Place::new("versitygw").with_volume("1Gi"));
    let image = load_versitygw();
    let wanted = ["setup-datalake", "--store", "versitygw", "--image", image, "--image-pull-policy", "Never"];
    let wanted = [&wanted[..], &["--size", "1Gi", "--namespace", &place.namespace]].concat();
    let done = user.json(&[&wanted[..], &["--no-node-ports"]].concat());
    assert_eq!(done["answers"], false);
    assert!(done["forward_command"].as_str().unwrap().contains("port-forward"), "{done}");
    // Opened afterwards, the buckets are there.
    let done = user.json(&[&wanted[..], &[&place.node_ports()]].concat());
    assert_eq!(done["answers"], true);
    let listed = user.ok(&["ls"]);
    assert!(listed.contains("processed-data"), "{listed}");
    // And closed again.
    user.ok(&[&wanted[..], &["--no-node-ports"]].concat());
    user.ok(&[&wanted[..], &["--rotate"]].concat());
    assert!(!place.kubectl(&["get", "service", "--output=name"]).contains("datalake-store-nodes"));
    // The data of one server are not for another.
    user.fails(&["setup-datalake", "--image", "x:1"], 1, &["versitygw", "datalake teardown --", "--delete-data"]);
    // Nor is the image of one that of another.
    user.fails(&["setup-datalake"], 2, &["--image"]);
    user.ok(&["teardown", "--delete-data", "--yes"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn every_object_is_admitted_without_a_warning() {
    let restricted = ["pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted"];
    let place = Place::new("admitted").with_namespace(&restricted);
    let user = User::new().with("AWS_ACCESS_KEY_ID", "id").with("AWS_SECRET_ACCESS_KEY", "hush");
    let ports = place.node_ports();
    let image = ["--image", "localhost/store:1"];
    for arguments in [
        [&image[..], &[&ports]].concat(),
        [&image[..], &["--no-node-ports", "--ingress", "s3.example.org"]].concat(),
        [&image[..], &["--store", "versitygw", &ports]].concat(),
        vec!["--lake", "http://s3.example.org", "--store", "external"],
    ] {
        let arguments = [&["setup-datalake", "--namespace", &place.namespace], &arguments[..]].concat();
        let yaml = user.ok(&[&arguments[..], &["--print", "yaml"]].concat());
        assert!(!yaml.contains("hush"));
        let applied =
            kubectl_reads(&yaml, &["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]);
        assert_eq!(applied.code, Some(0), "{applied:?}");
        assert!(!applied.stderr.contains("arning"), "{applied:?}");
        let checked = user.json(&[&arguments[..], &["--dry-run"]].concat());
        assert!(checked.as_array().unwrap().iter().all(|row| row["action"] == "make"), "{checked}");
    }
    assert!(!place.kubectl(&["get", KINDS, "--output=name"]).contains("datalake"));
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_dry_run_says_what_it_cannot_check() {
    let (user, place) = (User::new(), Place::new("dry"));
    let checked = user.json(&["setup-datalake", "--image", "x:1", "--namespace", &place.namespace, "--dry-run"]);
    let rows = checked.as_array().unwrap();
    assert_eq!(rows[0]["action"], "make");
    assert!(rows[1..].iter().all(|row| row["action"] == "make, unchecked"), "{checked}");
    assert!(!kubectl(&["get", "namespace", "--output=name"]).contains(&place.namespace));
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn a_namespace_of_others_stays() {
    let (user, place) = (User::new().with("AWS_ACCESS_KEY_ID", "id"), Place::new("others").with_namespace(&[]));
    let user = user.with("AWS_SECRET_ACCESS_KEY", "hush").with("DATALAKE_URL", "http://127.0.0.1:9");
    user.fails(&["setup-datalake", "--store", "external", "--namespace", &place.namespace], 4, &["127.0.0.1:9"]);
    let said = user.ok(&["teardown", "--namespace", &place.namespace, "--delete-data", "--yes"]);
    assert!(said.contains("which datalake has not made"), "{said}");
    let labels = kubectl(&["get", "namespace", &place.namespace, "--output=jsonpath={.metadata.labels}"]);
    assert!(!labels.contains("pod-security"), "{labels}");
    // One of our making, in which somebody else has put something.
    kubectl(&["label", "namespace", &place.namespace, "app.kubernetes.io/managed-by=datalake"]);
    place.kubectl(&["create", "configmap", "mine"]);
    let said = user.ok(&["teardown", "--namespace", &place.namespace, "--delete-data", "--yes"]);
    assert!(said.contains("ConfigMap mine"), "{said}");
    place.kubectl(&["get", "configmap", "mine"]);
}

#[test]
#[ignore = "needs a cluster: make test-cluster"]
fn jobs_reach_a_store_that_was_there_already() {
    let owner = Lake::new("owner");
    let address = owner.place.kubectl(&["get", "service", "datalake-store", "--output=jsonpath={.spec.clusterIP}"]);
    let url = format!("http://{address}:9000");
    let (id, secret) = profile_key(&owner.user);
    let place = Place::new("external");
    let user = User::new().with("AWS_ACCESS_KEY_ID", id).with("AWS_SECRET_ACCESS_KEY", &secret);
    let setup = ["--lake", &url, "setup-datalake", "--store", "external", "--namespace", &place.namespace];
    let done = user.json(&setup);
    assert_eq!((done["store"].as_str(), done["url"].as_str()), (Some("external"), Some(url.as_str())));
    // The key of somebody else's store is not kept on this machine.
    assert!(!text_of(&user.profile()).contains(&secret));

    let submit = ["job", "submit", "--name", "list", "--image", load_own(), "--image-pull-policy", "Never", "--follow"];
    assert!(user.ok(&[&submit[..], &["--", "/datalake", "ls"]].concat()).contains("processed-data"));
    user.ok(&["teardown", "--delete-data", "--yes"]);
    assert!(owner.user.ok(&["ls"]).contains("processed-data"));
}
