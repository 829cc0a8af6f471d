//! What setting up would do: asked of the API server, which keeps nothing of it.

use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use serde::Serialize;
use serde_json::json;

use super::super::client::{Cluster, failed};
use super::super::manifests::{KubeObject, namespace};
use super::apply::{apply, dynamic};
use super::deploy::keys;
use super::existing::{Existing, NamespaceState};
use super::plan::all_objects;
use super::settings::SetupSettings;
use crate::error::{Error, ErrorKind, Result};

/// What would become of one object.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `make`, `change` or `keep`; `make, unchecked` where the API server cannot look at it yet.
    pub action: &'static str,
}

impl Cluster {
    /// Has the API server go through all that [`setup`](Self::setup) would apply, defaults, rules and quotas included,
    /// and keeps nothing of it.
    ///
    /// The API server looks at no object of a namespace that is not there. So where it is yet to be made, the namespace
    /// alone is checked, and of all else only whether this user may make it.
    ///
    /// # Errors
    /// As [`setup`](Self::setup), as far as it does not depend on pods that run.
    pub async fn dry_run_setup(&self, settings: &SetupSettings) -> Result<Vec<Checked>> {
        settings.check()?;
        let existing = Existing::look(self).await?;
        existing.fits(settings.store, self)?;
        let settings = settings.settled(&existing, self.namespace())?;
        let all = all_objects(&settings, self.namespace(), &keys(&settings, &existing)?)?;
        let mut checked = Vec::new();
        if existing.namespace != NamespaceState::Others {
            checked.push(self.checked(&namespace(self.namespace())?).await?);
        }
        for object in &all {
            checked.push(match existing.namespace {
                NamespaceState::Missing => self.allowed(object).await?,
                _ => self.checked(object).await?,
            });
        }
        Ok(checked)
    }

    async fn checked(&self, object: &KubeObject) -> Result<Checked> {
        let found = dynamic(self, object).get_opt(object.name()).await;
        let found = found.map_err(|cause| failed("look at", object.title(), cause))?;
        let wanted = apply(self, object, true).await?;
        let action = match found.map(|found| content(found) == content(wanted)) {
            None => "make",
            Some(true) => "keep",
            Some(false) => "change",
        };
        Ok(of(object, action))
    }

    /// Whether this user may make an object in a namespace that is not there.
    async fn allowed(&self, object: &KubeObject) -> Result<Checked> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client().clone());
        for verb in ["create", "patch"] {
            let asked = json!({ "spec": { "resourceAttributes": {
                "namespace": self.namespace(),
                "group": object.resource.group,
                "resource": object.resource.plural,
                "verb": verb,
            }}});
            let asked: SelfSubjectAccessReview = super::super::manifests::object("a question about rights", &asked)?;
            let answer = reviews.create(&PostParams::default(), &asked).await;
            let answer = answer.map_err(|cause| failed("ask for the right to make", object.title(), cause))?;
            if !answer.status.is_some_and(|status| status.allowed) {
                return Err(Error::new(ErrorKind::Denied, "make", object.title())
                    .with_reason(format_args!(
                        "this user may not {verb} {} in {}",
                        object.resource.plural,
                        self.namespace()
                    ))
                    .with_hint(format_args!(
                        "ask for a Role in the namespace {} with the rule {{apiGroups: [\"{}\"], resources: [\"{}\"], \
                         verbs: [\"create\", \"get\", \"patch\"]}}",
                        self.namespace(),
                        object.resource.group,
                        object.resource.plural
                    )));
            }
        }
        Ok(of(object, "make, unchecked"))
    }
}

fn of(object: &KubeObject, action: &'static str) -> Checked {
    Checked { kind: object.resource.kind.clone(), name: object.name().to_owned(), action }
}

/// An object without the record of who has set what.
fn content(mut object: DynamicObject) -> DynamicObject {
    object.metadata.managed_fields = None;
    object
}
