//! A lake taken down: what this project has made goes, what holds data only if it is asked for.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams};
use kube::{Api, Resource};
use serde::Serialize;

use super::super::client::{Cluster, failed, is_missing};
use super::super::names::{LAKE, STORE, STORE_ROOT, managed};
use super::existing::{NamespaceState, namespace};
use super::foreign::foreign_objects;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;

/// How long objects may take to go.
const REMOVAL: Duration = Duration::from_secs(120);
/// How often is looked whether they have.
const LOOK: Duration = Duration::from_millis(500);
/// Of so many objects of others the names are said.
const NAMED: usize = 5;

/// What was removed, and what was left.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct TornDown {
    /// Objects that are gone, as `Kind name`.
    pub removed: Vec<String>,
    /// What is left, and why.
    pub kept: Vec<String>,
}

impl Cluster {
    /// Takes down what [`setup`](Self::setup) and runs have made in this namespace. The volume of the store, its data and
    /// its keys stay, and are found by the next setup, unless data are to be deleted too. The namespace goes where
    /// this project has made it and nothing is left in it.
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) where a right is missing, with the rule to ask for;
    /// [`Unavailable`](ErrorKind::Unavailable) where something is still there after two minutes.
    pub async fn teardown(&self, delete_data: bool, progress: &dyn Progress) -> Result<TornDown> {
        let mut done = TornDown::default();
        let state = namespace(self).await?;
        if state == NamespaceState::Missing {
            return Ok(done);
        }
        progress.begin("taking the lake down", None);
        let outcome = self.take_down(state, delete_data, &mut done).await;
        progress.end();
        outcome.map(|()| done)
    }

    async fn take_down(&self, state: NamespaceState, delete_data: bool, done: &mut TornDown) -> Result<()> {
        // What would make new pods goes first, and what the store needs to end in good order goes after it.
        for kind in [kind::<Job>(), kind::<Ingress>(), kind::<StatefulSet>()] {
            self.remove_all(&kind, |_| true, done).await?;
        }
        self.wait_for_pods().await?;
        for kind in [
            kind::<Service>(),
            kind::<PodDisruptionBudget>(),
            kind::<NetworkPolicy>(),
            kind::<ConfigMap>(),
            kind::<RoleBinding>(),
            kind::<Role>(),
            kind::<ServiceAccount>(),
        ] {
            self.remove_all(&kind, |_| true, done).await?;
        }
        let held = if delete_data { Vec::new() } else { self.what_holds_data().await? };
        let is_held = |name: &str| held.iter().any(|(found, _)| *found == format!("Secret {name}"));
        self.remove_all(&kind::<Secret>(), |name| !is_held(name), done).await?;
        if delete_data {
            self.remove_volume(done).await?;
        }
        done.kept.extend(held.iter().map(|(subject, why)| format!("{subject}, {why}")));
        if done.kept.iter().all(|kept| !kept.starts_with("PersistentVolumeClaim") && !kept.starts_with("Secret")) {
            self.remove_namespace(state, done).await?;
        }
        Ok(())
    }

    /// Removes all objects of a kind that this project has made, but those that are to be kept.
    async fn remove_all(&self, kind: &ApiResource, goes: impl Fn(&str) -> bool, done: &mut TornDown) -> Result<()> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client().clone(), self.namespace(), kind);
        let found = api.list_metadata(&ListParams::default().labels(&managed())).await;
        let found = found.map_err(|cause| failed("list", &kind.plural, cause))?;
        for name in found.items.into_iter().filter_map(|object| object.metadata.name).filter(|name| goes(name)) {
            match api.delete(&name, &DeleteParams::background()).await {
                Ok(_) => done.removed.push(format!("{} {name}", kind.kind)),
                Err(cause) if is_missing(&cause) => {}
                Err(cause) => return Err(failed("remove", format_args!("{} {name}", kind.kind), cause)),
            }
        }
        Ok(())
    }

    async fn wait_for_pods(&self) -> Result<()> {
        let (pods, ours) = (&self.api::<Pod>(), &ListParams::default().labels(&managed()));
        self.wait_until(&format!("the pods in {}", self.namespace()), || async move {
            let found = pods.list_metadata(ours).await.map_err(|cause| failed("list", "pods", cause))?;
            Ok(found.items.is_empty())
        })
        .await
    }

    async fn remove_volume(&self, done: &mut TornDown) -> Result<()> {
        let claims: Api<PersistentVolumeClaim> = self.api();
        let subject = format!("PersistentVolumeClaim {STORE}");
        let claim = claims.get_opt(STORE).await.map_err(|cause| failed("look at", &subject, cause))?;
        let Some(claim) = claim else { return Ok(()) };
        if let Some(volume) = claim.spec.and_then(|spec| spec.volume_name)
            && self.is_retained(&volume).await
        {
            done.kept.push(format!(
                "PersistentVolume {volume}, which keeps its data (reclaim policy Retain): whoever made it has to remove it"
            ));
        }
        self.remove_all(&kind::<PersistentVolumeClaim>(), |_| true, done).await?;
        let (claims, subject) = (&claims, subject.as_str());
        self.wait_until(subject, || async move {
            claims.get_opt(STORE).await.map(|found| found.is_none()).map_err(|cause| failed("look at", subject, cause))
        })
        .await
    }

    /// Whether a volume outlives its claim, as far as this user may see.
    async fn is_retained(&self, volume: &str) -> bool {
        let volumes: Api<PersistentVolume> = Api::all(self.client().clone());
        let found = volumes.get_opt(volume).await.ok().flatten().and_then(|volume| volume.spec);
        found.and_then(|spec| spec.persistent_volume_reclaim_policy).is_some_and(|policy| policy == "Retain")
    }

    /// What is to stay with the data, and why. The store keeps the keys of Jobs with its data, so what is known of them
    /// stays too: else nobody could end them.
    async fn what_holds_data(&self) -> Result<Vec<(String, &'static str)>> {
        let claims: Api<PersistentVolumeClaim> = self.api();
        let secrets: Api<Secret> = self.api();
        let look = |cause, subject: &str| failed("look at", subject, cause);
        let mut held = Vec::new();
        let subject = format!("PersistentVolumeClaim {STORE}");
        if claims.get_metadata_opt(STORE).await.map_err(|cause| look(cause, &subject))?.is_some() {
            held.push((subject, "which holds the data"));
        }
        let subject = format!("Secret {STORE_ROOT}");
        if secrets.get_metadata_opt(STORE_ROOT).await.map_err(|cause| look(cause, &subject))?.is_some() {
            held.push((subject, "the key to the data"));
        }
        let subject = format!("Secret {LAKE}");
        if !held.is_empty() && secrets.get_metadata_opt(LAKE).await.map_err(|cause| look(cause, &subject))?.is_some() {
            held.push((subject, "the key of Jobs, which the next setup takes up or ends"));
        }
        Ok(held)
    }

    async fn remove_namespace(&self, state: NamespaceState, done: &mut TornDown) -> Result<()> {
        let subject = format!("Namespace {}", self.namespace());
        if state != NamespaceState::Ours {
            done.kept.push(format!("{subject}, which datalake has not made"));
            return Ok(());
        }
        let foreign = foreign_objects(self).await?;
        if !foreign.is_empty() {
            let more = foreign.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = foreign.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            done.kept.push(format!("{subject}, which holds objects of others: {named}{more}"));
            return Ok(());
        }
        let namespaces: Api<Namespace> = Api::all(self.client().clone());
        match namespaces.delete(self.namespace(), &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.code == 403 => {
                done.kept.push(format!("{subject}, which this user may not remove"));
                return Ok(());
            }
            Err(cause) if is_missing(&cause) => return Ok(()),
            outcome => drop(outcome.map_err(|cause| failed("remove", &subject, cause))?),
        }
        let (namespaces, what) = (&namespaces, subject.as_str());
        self.wait_until(what, || async move {
            let found = namespaces.get_metadata_opt(self.namespace()).await;
            found.map(|found| found.is_none()).map_err(|cause| failed("look at", what, cause))
        })
        .await?;
        done.removed.push(subject);
        Ok(())
    }

    async fn wait_until<F>(&self, what: &str, is_so: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<bool>>,
    {
        let begun = Instant::now();
        while !is_so().await? {
            if begun.elapsed() > REMOVAL {
                return Err(Error::new(ErrorKind::Unavailable, "remove", what)
                    .with_reason(format_args!("still there after {} s", REMOVAL.as_secs()))
                    .with_hint("see what holds it by `kubectl describe`, then run again"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

fn kind<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}
