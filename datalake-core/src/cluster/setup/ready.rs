//! Waits for the store, and says what is in its way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::ListParams;
use kube::core::Selector;

use super::super::client::{Cluster, failed, kubectl};
use super::super::names::{STORE, selector};
use super::super::pods::{Trouble, trouble};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How long something may be in the way that does not go away by itself, such as an image that is missing.
const PATIENCE: Duration = Duration::from_secs(15);

/// Something in the way of the store.
#[derive(Debug)]
struct Obstacle {
    words: String,
    kind: ErrorKind,
    hint: String,
    /// Whether somebody has to do something about it.
    is_final: bool,
}

/// Waits until the store's pod is the one that is wanted and ready; its name.
pub(super) async fn wait_until_ready(cluster: &Cluster, limit: Duration, progress: &dyn Progress) -> Result<String> {
    progress.begin("waiting for the store", None);
    let ready = wait(cluster, limit, progress).await;
    progress.end();
    ready
}

async fn wait(cluster: &Cluster, limit: Duration, progress: &dyn Progress) -> Result<String> {
    let begun = Instant::now();
    let mut told = BTreeSet::new();
    let mut in_the_way: Option<(Instant, Obstacle)> = None;
    loop {
        match look(cluster).await {
            Ok(Found::Ready(pod)) => return Ok(pod),
            Ok(Found::Waiting(None)) => in_the_way = None,
            Ok(Found::Waiting(Some(obstacle))) => {
                if told.insert(obstacle.words.clone()) {
                    progress.note(&obstacle.words);
                }
                // Another one begins anew.
                let before = in_the_way.take().filter(|(_, before)| before.kind == obstacle.kind);
                let since = before.map_or_else(Instant::now, |(since, _)| since);
                in_the_way = Some((since, obstacle));
            }
            // It may come back.
            Err(error) if error.kind() == ErrorKind::Unavailable && begun.elapsed() < limit => {}
            Err(error) => return Err(error),
        }
        let is_hopeless =
            in_the_way.as_ref().is_some_and(|(since, found)| found.is_final && since.elapsed() > PATIENCE);
        if is_hopeless || begun.elapsed() > limit {
            return Err(gave_up(cluster, limit, in_the_way.map(|(_, obstacle)| obstacle)));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn gave_up(cluster: &Cluster, limit: Duration, obstacle: Option<Obstacle>) -> Error {
    let subject = format!("the store in the namespace {}", cluster.namespace());
    match obstacle {
        Some(Obstacle { words, kind, hint, .. }) => {
            Error::new(kind, "start", subject).with_reason(words).with_hint(hint)
        }
        None => Error::new(ErrorKind::Unavailable, "start", subject)
            .with_reason(format_args!("it is not ready after {} s", limit.as_secs()))
            .with_hint(format_args!(
                "give it more time by --timeout, or see what it does: {} describe pod {STORE}-0",
                kubectl(cluster.context(), cluster.namespace())
            )),
    }
}

/// How the store stands.
enum Found {
    Ready(String),
    Waiting(Option<Obstacle>),
}

async fn look(cluster: &Cluster) -> Result<Found> {
    let sets: Api<StatefulSet> = cluster.api();
    let set = sets.get(STORE).await.map_err(|cause| failed("look at", format_args!("the store {STORE}"), cause))?;
    if is_ready(&set) {
        return Ok(Found::Ready(format!("{STORE}-0")));
    }
    let pods: Api<Pod> = cluster.api();
    let found = pods.list(&ListParams::default().labels_from(&Selector::from_iter(selector("store")))).await;
    let found = found.map_err(|cause| failed("list", "the pods of the store", cause))?;
    if found.items.is_empty() {
        return Ok(Found::Waiting(refused(cluster, &set).await));
    }
    let staying = found.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let Some(found) = staying.filter_map(trouble).next() else { return Ok(Found::Waiting(None)) };
    if found.waits_for_node
        && let Some(obstacle) = unbound(cluster).await
    {
        return Ok(Found::Waiting(Some(obstacle)));
    }
    Ok(Found::Waiting(Some(obstacle(found))))
}

/// Whether the one pod is of the newest template and ready.
fn is_ready(set: &StatefulSet) -> bool {
    let Some(status) = &set.status else { return false };
    status.observed_generation >= set.metadata.generation
        && status.updated_replicas == Some(1)
        && status.ready_replicas == Some(1)
}

fn obstacle(found: Trouble) -> Obstacle {
    let hint = match found.kind {
        ErrorKind::NotFound => {
            "import it on each node, as by `k3s ctr images import minio.tar`, or name one that the nodes can pull by --image"
                .to_owned()
        }
        ErrorKind::Exhausted if found.waits_for_node => "free some room on the nodes, or add one".to_owned(),
        ErrorKind::Exhausted => "the store holds more than its memory allows: keep fewer objects in it at a time".to_owned(),
        _ => found.hint,
    };
    let is_final = matches!(found.kind, ErrorKind::NotFound);
    Obstacle { words: found.words, kind: found.kind, hint, is_final }
}

/// Why the controller can make no pod, where that is so.
async fn refused(cluster: &Cluster, set: &StatefulSet) -> Option<Obstacle> {
    let uid = set.metadata.uid.as_deref()?;
    let words = last_event(cluster, &format!("involvedObject.uid={uid},reason=FailedCreate")).await?;
    let found = Trouble::refused(&words);
    let hint = if found.kind == ErrorKind::Exhausted {
        "raise the ResourceQuota of the namespace: the store asks for 100m of CPU and 256Mi of memory, and may take 1Gi"
            .to_owned()
    } else {
        found.hint
    };
    Some(Obstacle { words: found.words, kind: found.kind, hint, is_final: true })
}

/// Why the volume is not there, where that is so.
async fn unbound(cluster: &Cluster) -> Option<Obstacle> {
    let claims: Api<PersistentVolumeClaim> = cluster.api();
    // Who may not look is told what the scheduler says.
    let claim = claims.get_opt(STORE).await.ok()??;
    if claim.status.as_ref()?.phase.as_deref() != Some("Pending") {
        return None;
    }
    let spec = claim.spec.as_ref()?;
    let size = spec.resources.as_ref().and_then(|all| Some(all.requests.as_ref()?.get("storage")?.0.clone()));
    let size = size.unwrap_or_default();
    let said =
        last_event(cluster, &format!("involvedObject.kind=PersistentVolumeClaim,involvedObject.name={STORE}")).await;
    let words = match (said, &spec.storage_class_name) {
        (Some(said), _) => format!("its volume of {size} cannot be had: {said}"),
        (None, Some(class)) => format!("its volume of {size} cannot be had from the storage class {class}"),
        (None, None) => format!("its volume of {size} cannot be had: the cluster has no default storage class"),
    };
    let hint = format!(
        "name a class by --storage-class (kubectl get storageclass lists them), or have a PersistentVolume of {size} or more \
         made"
    );
    Some(Obstacle { words, kind: ErrorKind::Exhausted, hint, is_final: false })
}

/// The last words of the events that these fields select. Who may not see events hears nothing.
async fn last_event(cluster: &Cluster, fields: &str) -> Option<String> {
    let events: Api<Event> = cluster.api();
    let found = events.list(&ListParams::default().fields(fields)).await.ok()?;
    found.items.into_iter().max_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0))?.message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::manifests::object;
    use super::*;

    #[test]
    fn a_store_is_ready_when_its_newest_pod_is() {
        let set = |observed: i64, updated: i32, ready: i32| -> StatefulSet {
            let json = json!({
                "metadata": { "generation": 2 },
                "spec": { "selector": {}, "serviceName": "s", "template": {} },
                "status": {
                    "observedGeneration": observed, "replicas": 1, "updatedReplicas": updated, "readyReplicas": ready,
                },
            });
            object("StatefulSet", &json).unwrap()
        };
        assert!(is_ready(&set(2, 1, 1)));
        assert!(!is_ready(&set(1, 1, 1)), "the controller has not seen the change");
        assert!(!is_ready(&set(2, 0, 1)), "the pod is the old one");
        assert!(!is_ready(&set(2, 1, 0)), "the pod is not ready");
    }
}
