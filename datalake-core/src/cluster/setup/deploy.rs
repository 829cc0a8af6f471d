//! A lake brought up in a cluster: objects, a store that is ready, buckets, the key of Jobs.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::client::{Cluster, failed, is_missing};
use super::super::manifests::{KubeObject, has_console, ingress, lake_secret, namespace, nodes_service, store_slug};
use super::super::store::{self, Key, StoreKind};
use super::apply::{apply, dynamic};
use super::existing::{Existing, NamespaceState};
use super::plan::{Facts, Keys, objects, secrets};
use super::reach::{Reached, reach};
use super::ready::wait_until_ready;
use super::settings::{NodePorts, SetupSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::format::digest::hex;
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
    /// The key that opens everything; none of an external store, whose keys are not ours to keep.
    #[serde(skip)]
    pub key: Option<Key>,
}

impl Cluster {
    /// Brings up a lake in this namespace, or brings one that is there to these settings. Run again with the same it
    /// changes nothing. Keys stay as they are unless they are to be [rotated](SetupSettings::rotate).
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) where a right is missing, with the rule to ask for;
    /// [`Exhausted`](ErrorKind::Exhausted) where a quota or the nodes are too small; [`NotFound`](ErrorKind::NotFound) for
    /// an image that the nodes do not get; [`Unavailable`](ErrorKind::Unavailable) for a store that is not ready in time;
    /// [`Invalid`](ErrorKind::Invalid) for what the API server refuses.
    pub async fn setup(&self, settings: &SetupSettings, progress: &dyn Progress) -> Result<SetupDone> {
        let existing = Existing::look(self).await?;
        existing.fits(settings.store, self.namespace())?;
        let buckets = settings.buckets()?;
        let keys = keys(settings, &existing)?;
        if let Some(external) = &settings.external {
            answers(&external.endpoint).await?;
        }
        make_namespace(self, existing.namespace, progress).await?;
        apply_all(self, settings, &existing, &keys, progress).await?;
        let (url_in_cluster, _) = settings.within(self.namespace());
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
            key: None,
        };
        if settings.store == StoreKind::External {
            store::prepare(settings.store, &done.url, &keys.root, &keys.jobs, &buckets).await?;
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
            apply(self, &lake_secret(self.namespace(), &keys.jobs, &[])?, false).await?;
        }
        done.answers = matches!(reached, Reached::Directly(_));
        done.url = reached.lasting_url().to_owned();
        done.console = settings
            .node_ports
            .filter(|_| done.answers && has_console(settings.store))
            .and_then(|ports| console(&done.url, ports));
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

/// The keys that are there, or new ones. The key of Jobs belongs to the store of the root key.
pub(super) fn keys(settings: &SetupSettings, existing: &Existing) -> Result<Keys> {
    if let Some(external) = &settings.external {
        return Ok(Keys { root: external.key.clone(), jobs: external.key.clone(), replaced: Vec::new() });
    }
    let kept = |key: &Option<Key>| key.clone().filter(|_| existing.root.is_some() && !settings.rotate);
    let or_new = |key: Option<Key>| key.map_or_else(Key::generate, Ok);
    let (root, jobs) = (or_new(kept(&existing.root))?, or_new(kept(&existing.jobs))?);
    let mut replaced = existing.replaced.clone();
    replaced.extend(existing.jobs.as_ref().map(|old| old.access_key_id.clone()));
    // Of a store without its root key, nobody knows what the keys open.
    replaced.retain(|name| existing.root.is_some() && *name != jobs.access_key_id);
    Ok(Keys { root, jobs, replaced })
}

/// A digest of the name of a key, which says nothing of its secret.
pub(super) fn key_digest(key: &Key) -> String {
    hex(&Sha256::digest(&key.access_key_id))[..16].to_owned()
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

async fn apply_all(
    cluster: &Cluster,
    settings: &SetupSettings,
    existing: &Existing,
    keys: &Keys,
    progress: &dyn Progress,
) -> Result<()> {
    let digest = key_digest(&keys.root);
    let facts = Facts { size: existing.size.as_deref(), root_key_digest: Some(&digest) };
    let mut all = secrets(settings, cluster.namespace(), keys)?;
    all.extend(objects(settings, cluster.namespace(), facts)?);
    progress.begin("applying objects", u64::try_from(all.len()).ok());
    let done = async {
        for object in &all {
            apply(cluster, object, false).await?;
            progress.advance(1);
        }
        prune(cluster, &all).await
    }
    .await;
    progress.end();
    done
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
        match dynamic(cluster, &object).delete(object.name(), &kube::api::DeleteParams::default()).await {
            Ok(_) => {}
            Err(cause) if is_missing(&cause) => {}
            // Whoever may not remove it may not have made it either.
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            Err(cause) => return Err(failed("remove", object.title(), cause)),
        }
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
        let command = || format!("kubectl -n {} port-forward service/{}", self.namespace, super::super::names::STORE);
        (!self.answers).then(|| format!("{} {port}:{port}", command(), port = super::super::names::S3_PORT))
    }
}

impl SetupSettings {
    /// Sees whether a store can be made by these settings.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) where the image is missing, or the size is none.
    pub fn check(&self) -> Result<()> {
        let invalid =
            |reason: &str, hint: &str| Err(Error::invalid("set up", "the lake").with_reason(reason).with_hint(hint));
        if self.store != StoreKind::External && self.image.as_deref().is_none_or(str::is_empty) {
            return invalid("no image of the store is named", "name one by --image");
        }
        let is_size = |size: &String| {
            let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            digits.parse::<f64>().is_ok_and(|size| size > 0.0)
        };
        match &self.size {
            Some(size) if !is_size(size) => invalid(&format!("`{size}` is no size"), "write it as 10Gi or 500Mi"),
            _ => Ok(()),
        }
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
    fn the_digest_of_a_key_is_of_its_name() {
        let key = |secret: &str| Key { access_key_id: "ID".to_owned(), secret_access_key: secret.to_owned() };
        assert_eq!(key_digest(&key("a")), key_digest(&key("b")));
    }

    #[test]
    fn keys_stay_until_they_are_rotated_and_then_end_for_sure() {
        let key = |id: &str| Key { access_key_id: id.to_owned(), secret_access_key: "hush".to_owned() };
        let existing = |root: Option<&str>, replaced: &[&str]| Existing {
            namespace: NamespaceState::Ours,
            root: root.map(key),
            jobs: Some(key("JOBS")),
            replaced: replaced.iter().map(|&name| name.to_owned()).collect(),
            size: None,
            data_of: None,
            has_store: true,
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
    fn sizes_are_seen_before_anything_is_made() {
        let with = |size: &str| {
            let mut settings = SetupSettings::minio("x:1");
            settings.size = Some(size.to_owned());
            settings.check().is_ok()
        };
        assert!(with("10Gi") && with("1.5Ti") && with("1000000"));
        assert!(!with("ten") && !with("") && !with("-1Gi") && !with("0"));
    }
}
