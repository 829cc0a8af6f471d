//! A lake brought up in a cluster: objects, a store that is ready, buckets, the key of Jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::client::{Cluster, failed, is_missing, kubectl};
use super::super::manifests::{KubeObject, has_console, ingress, lake_secret, namespace, nodes_service, store_slug};
use super::super::names::{S3_PORT, STORE};
use super::super::store::{self, Key, StoreKind};
use super::apply::{apply, dynamic};
use super::existing::{Existing, NamespaceState};
use super::opening::NodePorts;
use super::plan::{Keys, all_objects};
use super::reach::{Reached, reach};
use super::ready::wait_until_ready;
use super::settings::SetupSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::BucketName;
use crate::progress::Progress;

/// How long an external endpoint may take to answer.
const WITHIN: Duration = Duration::from_secs(10);

/// A lake that is up.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SetupDone {
    /// The namespace that it is in.
    pub namespace: String,
    /// Which server keeps its objects: `minio`, `versitygw` or `external`.
    pub store: &'static str,
    /// The image of that server.
    pub image: Option<String>,
    /// Where this machine reaches it.
    pub url: String,
    /// Whether something answers there; where not, somebody has to forward a port first.
    pub answers: bool,
    /// Where a browser finds the console.
    pub console: Option<String>,
    /// Where pods reach it.
    pub url_in_cluster: String,
    /// The buckets, by the names that they have in the store.
    pub buckets: Vec<String>,
    /// What the real names of buckets begin with.
    pub bucket_prefix: Option<String>,
    /// Real names of single buckets, by logical name.
    pub bucket_names: BTreeMap<BucketName, BucketName>,
    /// The region that requests are signed for.
    pub region: String,
    /// Whether keys that were there have been replaced.
    pub rotated: bool,
    /// The context by which kubectl finds the cluster.
    #[serde(skip)]
    context: Option<String>,
    /// The key that opens everything; none of an external store, whose keys are not ours to keep.
    #[serde(skip)]
    pub key: Option<Key>,
}

impl Cluster {
    /// Brings up a lake in this namespace, or brings one that is there to these settings. Run again with the same it
    /// changes nothing, and what they leave open stays as it is. Keys stay as they are unless they are to be
    /// [rotated](SetupSettings::rotate).
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) where a right is missing, with the rule to ask for;
    /// [`Exhausted`](ErrorKind::Exhausted) where a quota or the nodes are too small; [`NotFound`](ErrorKind::NotFound) for
    /// an image that the nodes do not get; [`Unavailable`](ErrorKind::Unavailable) for a store that is not ready in time;
    /// [`Invalid`](ErrorKind::Invalid) for what the API server refuses, for another prefix than that of the buckets that are
    /// there, and for a Secret with half a key.
    pub async fn setup(&self, settings: &SetupSettings, progress: &dyn Progress) -> Result<SetupDone> {
        settings.check()?;
        let existing = Existing::look(self).await?;
        existing.fits(settings.store, self)?;
        let settings = &settings.settled(&existing, self.namespace())?;
        let buckets = settings.real_buckets()?;
        let keys = keys(settings, &existing)?;
        if let Some(external) = &settings.external {
            answers(&external.endpoint).await?;
        }
        make_namespace(self, existing.namespace, progress).await?;
        apply_all(self, &all_objects(settings, self.namespace(), &keys)?, progress).await?;
        let (url_in_cluster, region) = settings.within(self.namespace());
        let mut done = SetupDone {
            namespace: self.namespace().to_owned(),
            store: store_slug(settings.store),
            image: settings.image.clone(),
            url: url_in_cluster.clone(),
            answers: true,
            console: None,
            url_in_cluster,
            buckets: buckets.iter().map(ToString::to_string).collect(),
            bucket_prefix: settings.bucket_prefix.clone(),
            bucket_names: settings.buckets.clone(),
            region: region.to_owned(),
            rotated: settings.rotate && existing.root.is_some(),
            context: self.context().map(ToOwned::to_owned),
            key: None,
        };
        if settings.store == StoreKind::External {
            store::prepare_external(&done.url, region, &keys.root, &buckets).await?;
            return Ok(done);
        }
        let pod = wait_until_ready(self, settings.timeout, progress).await?;
        let reached = reach(self, settings, &pod, progress).await?;
        let endpoint = reached.endpoint();
        store::prepare(settings.store, endpoint, &keys.root, &keys.jobs, &buckets).await?;
        for replaced in &keys.replaced {
            store::remove_key(settings.store, endpoint, &keys.root, replaced).await?;
        }
        if !keys.replaced.is_empty() {
            apply(self, &lake_secret(self.namespace(), settings.store, &keys.jobs, &[])?, false).await?;
        }
        done.answers = matches!(reached, Reached::Directly(_));
        done.url = reached.lasting_url().to_owned();
        done.console = settings
            .node_ports
            .at()
            .filter(|_| done.answers && has_console(settings.store))
            .and_then(|ports| console(&done.url, *ports));
        done.key = Some(keys.root);
        Ok(done)
    }
}

/// Sees whether an endpoint answers, before anything is made that leads to it.
async fn answers(endpoint: &str) -> Result<()> {
    if store::reachable(StoreKind::External, endpoint, WITHIN).await {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unavailable, "reach", endpoint)
        .with_reason(format_args!("nothing answers there within {} s", WITHIN.as_secs()))
        .with_hint("name an endpoint that this machine and the pods reach"))
}

/// The keys that are there, or new ones. The key of Jobs belongs to the store of the root key, and what it replaces is noted
/// until it has ended there: also while an external store is in its place.
pub(super) fn keys(settings: &SetupSettings, existing: &Existing) -> Result<Keys> {
    // One of an older version does not say which store it is for.
    let is_for = |kind: &str| existing.jobs_of.as_deref().is_none_or(|of| of == kind);
    let is_of_others = existing.jobs_of.as_deref() == Some(store_slug(StoreKind::External));
    let kept = |key: &Option<Key>| key.clone().filter(|_| existing.root.is_some() && !settings.rotate);
    let (root, jobs) = match &settings.external {
        Some(external) => (external.key.clone(), external.key.clone()),
        None => {
            let jobs = kept(&existing.jobs).filter(|_| is_for(store_slug(settings.store)));
            let or_new = |key: Option<Key>| key.map_or_else(Key::generate, Ok);
            (or_new(kept(&existing.root))?, or_new(jobs)?)
        }
    };
    let mut replaced = existing.replaced.clone();
    replaced.extend(existing.jobs.as_ref().filter(|_| !is_of_others).map(|old| old.access_key_id.clone()));
    // Of a store without its root key, nobody knows what the keys open.
    replaced.retain(|name| existing.root.is_some() && *name != jobs.access_key_id);
    Ok(Keys { root, jobs, replaced })
}

async fn make_namespace(cluster: &Cluster, state: NamespaceState, progress: &dyn Progress) -> Result<()> {
    if state == NamespaceState::Others {
        progress
            .note(&format!("the namespace {} is not of our making: its labels stay as they are", cluster.namespace()));
        return Ok(());
    }
    match apply(cluster, &namespace(cluster.namespace())?, false).await {
        // It has its labels from an earlier time.
        Err(error) if error.kind() == ErrorKind::Denied && state == NamespaceState::Ours => Ok(()),
        done => done.map(drop),
    }
}

async fn apply_all(cluster: &Cluster, all: &[KubeObject], progress: &dyn Progress) -> Result<()> {
    progress.begin("applying objects", u64::try_from(all.len()).ok());
    let done = apply_in_order(cluster, all, progress).await;
    progress.end();
    done
}

async fn apply_in_order(cluster: &Cluster, all: &[KubeObject], progress: &dyn Progress) -> Result<()> {
    let keys_begin = all.iter().position(|object| object.resource.kind == "Secret").unwrap_or(all.len());
    let (first, with_keys) = all.split_at(keys_begin);
    for object in first {
        apply(cluster, object, false).await?;
        progress.advance(1);
    }
    // Jobs would be left with keys that no store has, if the pod that makes them valid were refused after them.
    for object in with_keys {
        apply(cluster, object, true).await?;
    }
    for object in with_keys {
        apply(cluster, object, false).await?;
        progress.advance(1);
    }
    prune(cluster, all).await
}

/// Removes what earlier settings wanted and these do not.
async fn prune(cluster: &Cluster, wanted: &[KubeObject]) -> Result<()> {
    let optional = [
        nodes_service(cluster.namespace(), false, NodePorts::default())?,
        ingress(cluster.namespace(), "unused.example.org")?,
    ];
    for object in optional {
        if wanted.iter().any(|wanted| wanted.title() == object.title()) {
            continue;
        }
        let api = dynamic(cluster, &object);
        let Err(cause) = api.delete(object.name(), &kube::api::DeleteParams::default()).await else { continue };
        let is_denied = matches!(&cause, kube::Error::Api(status) if status.code == 403);
        // Whoever may not remove it may not have made it either, but a port must not stay open without a word.
        if is_missing(&cause) || (is_denied && !matches!(api.get_opt(object.name()).await, Ok(Some(_)))) {
            continue;
        }
        return Err(failed("remove", object.title(), cause));
    }
    Ok(())
}

/// The console beside a store that every node opens.
fn console(url: &str, ports: NodePorts) -> Option<String> {
    let mut console = url::Url::parse(url).ok()?;
    if console.port() != Some(ports.s3) {
        return None;
    }
    console.set_port(Some(ports.console)).ok()?;
    Some(console.as_str().trim_end_matches('/').to_owned())
}

impl SetupDone {
    /// The command that opens the store for this machine where no address does.
    #[must_use]
    pub fn forward_command(&self) -> Option<String> {
        let kubectl = kubectl(self.context.as_deref(), &self.namespace);
        (!self.answers).then(|| format!("{kubectl} port-forward service/{STORE} {S3_PORT}:{S3_PORT}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_beside_the_store() {
        let ports = NodePorts { s3: 31900, console: 31901 };
        assert_eq!(console("http://10.0.0.7:31900", ports).as_deref(), Some("http://10.0.0.7:31901"));
        assert_eq!(console("http://s3.example.org", ports), None);
    }

    #[test]
    fn keys_stay_until_they_are_rotated_and_then_end_for_sure() {
        let key = |id: &str| Key { access_key_id: id.to_owned(), secret_access_key: "hush".to_owned() };
        let existing = |root: Option<&str>, replaced: &[&str]| Existing {
            root: root.map(key),
            jobs: Some(key("JOBS")),
            replaced: replaced.iter().map(|&name| name.to_owned()).collect(),
            ..Existing::nothing()
        };
        let mut settings = SetupSettings::minio("x:1");
        let kept = keys(&settings, &existing(Some("ROOT"), &[])).unwrap();
        assert_eq!((&*kept.root.access_key_id, &*kept.jobs.access_key_id), ("ROOT", "JOBS"));
        assert!(kept.replaced.is_empty());
        // What an earlier rotation that was cut short has left to do is done.
        let kept = keys(&settings, &existing(Some("ROOT"), &["OLD"])).unwrap();
        assert_eq!((&*kept.jobs.access_key_id, &*kept.replaced), ("JOBS", &["OLD".to_owned()][..]));
        settings.rotate = true;
        let new = keys(&settings, &existing(Some("ROOT"), &["OLD"])).unwrap();
        assert!(new.root.access_key_id != "ROOT" && new.jobs.access_key_id != "JOBS");
        assert_eq!(new.replaced, ["OLD", "JOBS"]);
        let lost = keys(&settings, &existing(None, &["OLD"])).unwrap();
        assert!(lost.replaced.is_empty());
    }

    #[test]
    fn a_key_of_another_store_is_not_made_a_key_of_ours() {
        let key = |id: &str| Key { access_key_id: id.to_owned(), secret_access_key: "hush".to_owned() };
        let existing = |jobs: &str, of: Option<&str>, replaced: &[&str]| Existing {
            root: Some(key("ROOT")),
            jobs: Some(key(jobs)),
            jobs_of: of.map(ToOwned::to_owned),
            replaced: replaced.iter().map(|&name| name.to_owned()).collect(),
            ..Existing::nothing()
        };
        let (ours, external) = (SetupSettings::minio("x:1"), SetupSettings::external("http://h", key("AWS"), None));
        // An external store in place of ours: what our Jobs had is noted.
        let there = keys(&external, &existing("JOBS", Some("minio"), &["OLD"])).unwrap();
        assert_eq!((&*there.jobs.access_key_id, &*there.replaced), ("AWS", &["OLD".to_owned(), "JOBS".to_owned()][..]));
        // Ours again: a key of its own, and the others end.
        let back = keys(&ours, &existing("AWS", Some("external"), &["OLD", "JOBS"])).unwrap();
        assert!(back.root.access_key_id == "ROOT" && back.jobs.access_key_id != "AWS");
        assert_eq!(back.replaced, ["OLD", "JOBS"]);
        // An older version has not said which store it is for.
        let older = keys(&ours, &existing("JOBS", None, &[])).unwrap();
        assert_eq!(older.jobs.access_key_id, "JOBS");
    }

    #[test]
    fn a_port_is_forwarded_in_the_cluster_that_is_meant() {
        let mut done = SetupDone {
            namespace: "lake".to_owned(),
            store: "minio",
            image: None,
            url: "http://127.0.0.1:9000".to_owned(),
            answers: false,
            console: None,
            url_in_cluster: String::new(),
            buckets: Vec::new(),
            bucket_prefix: None,
            bucket_names: BTreeMap::new(),
            region: "us-east-1".to_owned(),
            rotated: false,
            context: Some("there".to_owned()),
            key: None,
        };
        let command = "kubectl --context there -n lake port-forward service/datalake-store 9000:9000";
        assert_eq!(done.forward_command().as_deref(), Some(command));
        done.answers = true;
        assert_eq!(done.forward_command(), None);
    }
}
