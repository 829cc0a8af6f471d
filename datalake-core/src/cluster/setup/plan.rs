//! The objects of a lake in their order, and the same as text.

use sha2::{Digest, Sha256};

use super::super::manifests::{
    ACCESS_KEY_ID, Contents, KubeObject, SECRET_ACCESS_KEY, claim, disruption_budget, has_console, ingress,
    job_accounts, lake_config, lake_secret, namespace, nodes_service, root_secret, stateful_set, store_account,
    store_policy, store_service,
};
use super::super::names::{LAKE, STORE_ROOT};
use super::super::store::{Key, StoreKind};
use super::check::is_label;
use super::existing::Existing;
use super::named_buckets::NamedBuckets;
use super::settings::{SIZE, SetupSettings};
use crate::error::{Error, Result};
use crate::format::digest::hex;

/// The keys of the store.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) root: Key,
    pub(super) jobs: Key,
    /// Names of keys of Jobs that were replaced and have to end.
    pub(super) replaced: Vec<String>,
}

/// All objects within the namespace in the order in which they are applied: what others need comes first. Keys change last
/// but for the pod that is started with them, so that what is refused before leaves Jobs with the keys that are valid.
pub(super) fn all_objects(settings: &SetupSettings, namespace: &str, keys: &Keys) -> Result<Vec<KubeObject>> {
    let mut all = objects(settings, namespace, Some(&key_digest(&keys.root)))?;
    let place = if settings.store == StoreKind::External { all.len() } else { all.len().saturating_sub(1) };
    all.splice(place..place, secrets(settings, namespace, keys)?);
    Ok(all)
}

/// The Secrets: those of a store of ours are two, of an external one there is the key of Jobs alone.
fn secrets(settings: &SetupSettings, namespace: &str, keys: &Keys) -> Result<Vec<KubeObject>> {
    let jobs = lake_secret(namespace, settings.store, &keys.jobs, &keys.replaced)?;
    Ok(match settings.store {
        StoreKind::External => vec![jobs],
        StoreKind::Minio | StoreKind::Versitygw => vec![root_secret(namespace, &keys.root)?, jobs],
    })
}

/// All of settled settings but the Secrets; the pod of a store of ours is the last.
fn objects(settings: &SetupSettings, namespace: &str, root_key_digest: Option<&str>) -> Result<Vec<KubeObject>> {
    let (url, region) = settings.within(namespace);
    let prefix = settings.bucket_prefix.as_deref();
    let mut objects = job_accounts(namespace)?;
    objects.push(lake_config(namespace, &url, region, prefix, &settings.buckets)?);
    let Some(image) = settings.image.as_deref().filter(|_| settings.store != StoreKind::External) else {
        return Ok(objects);
    };
    let (ports, host) = (settings.node_ports.at(), settings.ingress.at());
    let size = settings.size.as_deref().unwrap_or(SIZE);
    let console = has_console(settings.store);
    objects.push(store_account(namespace)?);
    objects.push(store_policy(namespace, ports.is_some(), host.is_some())?);
    objects.push(disruption_budget(namespace)?);
    let contents =
        Contents { kind: settings.store, bucket_prefix: prefix, buckets: &NamedBuckets::of(settings).to_text() };
    objects.push(claim(namespace, size, settings.storage_class.as_deref(), &contents)?);
    objects.push(store_service(namespace, console)?);
    if let Some(ports) = ports {
        objects.push(nodes_service(namespace, console, *ports)?);
    }
    if let Some(host) = host {
        objects.push(ingress(namespace, host)?);
    }
    let pull_policy = settings.image_pull_policy.as_deref();
    objects.push(stateful_set(namespace, settings.store, image, pull_policy, root_key_digest)?);
    Ok(objects)
}

/// A digest of the name of a key, which says nothing of its secret.
fn key_digest(key: &Key) -> String {
    hex(&Sha256::digest(&key.access_key_id))[..16].to_owned()
}

impl SetupSettings {
    /// What would be applied to a namespace, as YAML. It needs no cluster. Secrets are named in it and not written: it
    /// says how they are made.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for settings that cannot be right.
    pub fn to_yaml(&self, namespace_name: &str) -> Result<String> {
        self.check()?;
        if !is_label(namespace_name) {
            return Err(Error::invalid("set up", "the lake")
                .with_reason(format_args!("`{namespace_name}` is no name of a namespace"))
                .with_hint("small letters, digits and hyphens make one, such as big-data"));
        }
        let settled = self.settled(&Existing::nothing(), namespace_name)?;
        let mut text = String::new();
        let first = namespace(namespace_name)?;
        let rest = objects(&settled, namespace_name, None)?;
        for object in std::iter::once(first).chain(rest) {
            text.push_str("---\n");
            let yaml = serde_saphyr::to_string(&object.json)
                .map_err(|cause| Error::internal("print", object.title()).with_reason(cause))?;
            text.push_str(yaml.trim_end());
            text.push('\n');
        }
        let secrets: &[&str] = if self.store == StoreKind::External { &[LAKE] } else { &[STORE_ROOT, LAKE] };
        text.push_str(&format!(
            "# Secrets are left out. `datalake setup-datalake` makes them, with keys that it draws, then the buckets, and in a\n\
             # store of its own the user of the key {LAKE}. By hand, each Secret from a file with a line {ACCESS_KEY_ID}=… and\n\
             # a line {SECRET_ACCESS_KEY}=…:\n"
        ));
        for name in secrets {
            text.push_str(&format!(
                "#   kubectl -n {namespace_name} create secret generic {name} --from-env-file=FILE\n"
            ));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::names::{REPLACED_KEYS_ANNOTATION, STORE_LABEL};
    use super::super::opening::Opening;
    use super::*;

    fn hidden(id: &str) -> Key {
        Key { access_key_id: id.to_owned(), secret_access_key: "hush-hush".to_owned() }
    }

    #[test]
    fn every_kind_of_store_is_described_whole() {
        let mut behind_an_ingress = SetupSettings::minio("x:1");
        behind_an_ingress.node_ports = Opening::Closed;
        behind_an_ingress.ingress = Opening::At("s3.example.org".to_owned());
        for (settings, count) in [
            (SetupSettings::minio("x:1"), 12),
            (behind_an_ingress, 12),
            (SetupSettings::versitygw("x:1"), 12),
            (SetupSettings::external("http://h:1", hidden("ID"), None), 5),
        ] {
            // A field that is dropped is an error.
            let settled = settings.settled(&Existing::nothing(), "big-data").unwrap();
            let found = objects(&settled, "big-data", Some("0123456789abcdef")).unwrap();
            assert_eq!(found.len(), count, "{settings:?}");
            assert!(found.iter().all(|object| object.namespace() == Some("big-data")));
            assert!(!settings.to_yaml("big-data").unwrap().contains("hush"));
        }
    }

    #[test]
    fn secrets_are_encoded_and_hold_the_variables_that_a_lake_reads() {
        let keys = Keys { root: hidden("ROOT"), jobs: hidden("JOBS"), replaced: vec!["A".to_owned(), "B".to_owned()] };
        let secrets = secrets(&SetupSettings::minio("x:1"), "big-data", &keys).unwrap();
        assert_eq!(secrets.iter().map(KubeObject::name).collect::<Vec<_>>(), [STORE_ROOT, LAKE]);
        assert_eq!(secrets[1].json["data"][ACCESS_KEY_ID], "Sk9CUw==");
        assert_eq!(secrets[1].json["metadata"]["annotations"][REPLACED_KEYS_ANNOTATION], "A,B");
        assert_eq!(secrets[1].json["metadata"]["labels"][STORE_LABEL], "minio");
        assert!(secrets[0].json["metadata"].get("annotations").is_none());
    }

    #[test]
    fn keys_change_after_all_that_may_be_refused_and_before_the_pod() {
        let keys = Keys { root: hidden("ROOT"), jobs: hidden("JOBS"), replaced: Vec::new() };
        let kinds = |settings: &SetupSettings| -> Vec<String> {
            let all = all_objects(settings, "big-data", &keys).unwrap();
            all.into_iter().map(|object| object.resource.kind).collect()
        };
        let of_ours = kinds(&SetupSettings::minio("x:1"));
        assert_eq!(of_ours[of_ours.len() - 3..], ["Secret", "Secret", "StatefulSet"]);
        let external = kinds(&SetupSettings::external("http://h:1", hidden("ID"), None));
        assert_eq!(external.last().unwrap(), "Secret");
        for kinds in [of_ours, external] {
            assert_eq!(
                kinds.iter().position(|kind| kind == "Secret"),
                kinds
                    .iter()
                    .rposition(|kind| { !["Secret", "StatefulSet"].contains(&kind.as_str()) })
                    .map(|last| last + 1)
            );
        }
    }

    #[test]
    fn the_digest_of_a_key_is_of_its_name() {
        let key = |secret: &str| Key { access_key_id: "ID".to_owned(), secret_access_key: secret.to_owned() };
        assert_eq!(key_digest(&key("a")), key_digest(&key("b")));
    }
}
