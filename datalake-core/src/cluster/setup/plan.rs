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
}

/// The Secrets: those of a store of ours are two, of an external one there is the key of Jobs alone.
pub(super) fn secrets(settings: &SetupSettings, namespace: &str, keys: &Keys) -> Result<Vec<KubeObject>> {
    let jobs = lake_secret(namespace, &keys.jobs)?;
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
        text.push_str("# Secrets are left out. `datalake setup-datalake` makes them, with keys that it draws; by hand:\n");
        for name in secrets {
            text.push_str(&format!(
                "#   kubectl -n {namespace_name} create secret generic {name} \\\n\
                 #     --from-literal={ACCESS_KEY_ID}=… --from-literal={SECRET_ACCESS_KEY}=…\n"
            ));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::NodePorts;
    use super::*;

    fn hidden(id: &str) -> Key {
        Key { access_key_id: id.to_owned(), secret_access_key: "hush-hush".to_owned() }
    }

    /// Compares with the file beside this one; `UPDATE_GOLDEN=1` writes it anew.
    fn same_as_golden(name: &str, settings: &SetupSettings) {
        let text = settings.to_yaml("big-data").unwrap();
        let path = format!("{}/src/cluster/setup/golden/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == golden, "{path} differs; look at what is printed with UPDATE_GOLDEN=1\n{text}");
        assert!(!text.contains("hush"));
    }

    #[test]
    fn minio_with_node_ports() {
        let mut settings = SetupSettings::minio("localhost/minio:1");
        settings.image_pull_policy = Some("Never".to_owned());
        same_as_golden("minio", &settings);
    }

    #[test]
    fn minio_behind_an_ingress() {
        let mut settings = SetupSettings::minio("registry.local/minio:1");
        settings.node_ports = None;
        settings.ingress = Some("s3.example.org".to_owned());
        settings.storage_class = Some("local-path".to_owned());
        settings.size = Some("50Gi".to_owned());
        settings.bucket_prefix = Some("acme-".to_owned());
        same_as_golden("minio-ingress", &settings);
    }

    #[test]
    fn versitygw() {
        let mut settings = SetupSettings::versitygw("localhost/versitygw:1");
        settings.node_ports = Some(NodePorts { s3: 31900, console: 31901 });
        same_as_golden("versitygw", &settings);
    }

    #[test]
    fn external() {
        let settings = SetupSettings::external("https://s3.example.org", hidden("ID"), Some("eu-central-1".to_owned()));
        same_as_golden("external", &settings);
    }

    #[test]
    fn secrets_are_encoded_and_hold_the_variables_that_a_lake_reads() {
        let keys = Keys { root: hidden("ROOT"), jobs: hidden("JOBS") };
        let secrets = secrets(&SetupSettings::minio("x:1"), "big-data", &keys).unwrap();
        assert_eq!(secrets.iter().map(KubeObject::name).collect::<Vec<_>>(), [STORE_ROOT, LAKE]);
        assert_eq!(secrets[1].json["data"][ACCESS_KEY_ID], "Sk9CUw==");
    }
}
