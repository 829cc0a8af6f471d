//! The objects of a lake in their order, and the same as text.

use super::super::manifests::{
    ACCESS_KEY_ID, KubeObject, SECRET_ACCESS_KEY, claim, disruption_budget, has_console, ingress, job_accounts,
    lake_config, lake_secret, namespace, nodes_service, root_secret, stateful_set, store_account, store_policy,
    store_service,
};
use super::super::names::{LAKE, STORE_ROOT};
use super::super::store::{Key, StoreKind};
use super::settings::{SIZE, SetupSettings};
use crate::error::{Error, Result};

/// What is known of a cluster beside the settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The size of the volume that is there.
    pub(super) size: Option<&'a str>,
    /// The digest of the name of the root key.
    pub(super) root_key_digest: Option<&'a str>,
}

/// The keys of the store.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) root: Key,
    pub(super) jobs: Key,
    /// Names of keys of Jobs that were replaced and have to end.
    pub(super) replaced: Vec<String>,
}

/// The Secrets: those of a store of ours are two, of an external one there is the key of Jobs alone.
pub(super) fn secrets(settings: &SetupSettings, namespace: &str, keys: &Keys) -> Result<Vec<KubeObject>> {
    let jobs = lake_secret(namespace, &keys.jobs, &keys.replaced)?;
    Ok(match settings.store {
        StoreKind::External => vec![jobs],
        StoreKind::Minio | StoreKind::Versitygw => vec![root_secret(namespace, &keys.root)?, jobs],
    })
}

/// All objects within the namespace but the Secrets, in the order in which they are applied: what others need comes first.
pub(super) fn objects(settings: &SetupSettings, namespace: &str, facts: Facts<'_>) -> Result<Vec<KubeObject>> {
    let (url, region) = settings.within(namespace);
    let mut objects = job_accounts(namespace)?;
    objects.push(lake_config(namespace, &url, region, settings.bucket_prefix.as_deref())?);
    let Some(image) = settings.image.as_deref().filter(|_| settings.store != StoreKind::External) else {
        return Ok(objects);
    };
    let size = settings.size.as_deref().or(facts.size).unwrap_or(SIZE);
    let console = has_console(settings.store);
    objects.push(store_account(namespace)?);
    objects.push(store_policy(namespace, settings.node_ports.is_some(), settings.ingress.is_some())?);
    objects.push(disruption_budget(namespace)?);
    objects.push(claim(namespace, settings.store, size, settings.storage_class.as_deref())?);
    objects.push(store_service(namespace, console)?);
    if let Some(ports) = settings.node_ports {
        objects.push(nodes_service(namespace, console, ports)?);
    }
    if let Some(host) = &settings.ingress {
        objects.push(ingress(namespace, host)?);
    }
    let pull_policy = settings.image_pull_policy.as_deref();
    objects.push(stateful_set(namespace, settings.store, image, pull_policy, facts.root_key_digest)?);
    Ok(objects)
}

impl SetupSettings {
    /// What would be applied to a namespace, as YAML. It needs no cluster. Secrets are named in it and not written: it
    /// says how they are made.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for settings that cannot be right.
    pub fn to_yaml(&self, namespace_name: &str) -> Result<String> {
        let mut text = String::new();
        let first = namespace(namespace_name)?;
        let rest = objects(self, namespace_name, Facts { size: None, root_key_digest: None })?;
        for object in std::iter::once(first).chain(rest) {
            text.push_str("---\n");
            let yaml = serde_saphyr::to_string(&object.json)
                .map_err(|cause| Error::internal("print", object.title()).with_reason(cause))?;
            text.push_str(yaml.trim_end());
            text.push('\n');
        }
        let secrets: &[&str] = if self.store == StoreKind::External { &[LAKE] } else { &[STORE_ROOT, LAKE] };
        text.push_str(&format!(
            "# Secrets are left out. `datalake setup-datalake` makes them, with keys that it draws. By hand, each from a file\n\
             # with a line {ACCESS_KEY_ID}=… and a line {SECRET_ACCESS_KEY}=…:\n"
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
    use super::super::super::names::REPLACED_KEYS_ANNOTATION;
    use super::*;

    fn hidden(id: &str) -> Key {
        Key { access_key_id: id.to_owned(), secret_access_key: "hush-hush".to_owned() }
    }

    #[test]
    fn every_kind_of_store_is_described_whole() {
        let facts = Facts { size: Some("5Gi"), root_key_digest: Some("0123456789abcdef") };
        let mut behind_an_ingress = SetupSettings::minio("x:1");
        behind_an_ingress.node_ports = None;
        behind_an_ingress.ingress = Some("s3.example.org".to_owned());
        for (settings, count) in [
            (SetupSettings::minio("x:1"), 12),
            (behind_an_ingress, 12),
            (SetupSettings::versitygw("x:1"), 12),
            (SetupSettings::external("http://h:1", hidden("ID"), None), 5),
        ] {
            // A field that is dropped is an error.
            let found = objects(&settings, "big-data", facts).unwrap();
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
        assert!(secrets[0].json["metadata"].get("annotations").is_none());
    }
}
