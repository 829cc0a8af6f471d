//! Where the lake is, and the cluster: flag, environment, `datalake.toml`, profile, default, in this order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use datalake_core::cluster::ClusterOptions;
use datalake_core::cluster::profile::{LakeProfile, Profile};
use datalake_core::lake::{BucketName, LakeOptions, open};
use datalake_core::{Error, ErrorKind, Lake, Result};
use serde::Deserialize;

use crate::cli::Global;
use crate::cli_jobs::InCluster;

const FILE: &str = "datalake.toml";
const DEFAULT_LAKE: &str = "./lake";

/// What `datalake.toml` may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The lake's folder or endpoint.
    lake: Option<String>,
    /// Logical bucket names and the real ones.
    #[serde(default)]
    buckets: BTreeMap<String, String>,
    /// What every real bucket name begins with.
    bucket_prefix: Option<String>,
}

/// Opens the lake that this command works on. Its endpoint may be away for so long.
pub(crate) fn lake(global: &Global, patience: Duration) -> Result<Arc<dyn Lake>> {
    let settings = read(Path::new(FILE))?;
    let named = global.lake.clone().or_else(|| settings.lake.clone());
    // A folder needs no key, so whatever the profile says of one.
    let profile = if named.as_deref().is_none_or(is_endpoint) { profile()? } else { Profile::default() };
    let (url, options) = resolve(named, settings, &profile, &variable)?;
    open(&url, &options.with_retry_timeout(patience))
}

/// The cluster that a command works on.
pub(crate) fn cluster(arguments: &InCluster) -> Result<ClusterOptions> {
    Ok(cluster_of(arguments, &profile()?))
}

/// The cluster that is meant by the arguments, else by the profile.
pub(crate) fn cluster_of(arguments: &InCluster, profile: &Profile) -> ClusterOptions {
    let known = profile.cluster.as_ref();
    let context = arguments.context.clone().or_else(|| known.and_then(|known| known.context.clone()));
    let namespace = arguments.namespace.clone().or_else(|| known.map(|known| known.namespace.clone()));
    ClusterOptions::default().with_context(context).with_namespace(namespace)
}

/// What the user's configuration says.
pub(crate) fn profile() -> Result<Profile> {
    Profile::file().map_or_else(|| Ok(Profile::default()), |file| Profile::read(&file))
}

/// Where the user's configuration is.
pub(crate) fn profile_file() -> Result<PathBuf> {
    Profile::file().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find", "the folder of the user's configuration")
            .with_reason("neither HOME nor XDG_CONFIG_HOME is set")
            .with_hint("set HOME")
    })
}

/// Lets Jobs be of this image from now on, for who has a profile.
pub(crate) fn remember_own_image(image: &str) -> Result<()> {
    let Some(file) = Profile::file().filter(|file| file.exists()) else { return Ok(()) };
    let mut profile = Profile::read(&file)?;
    profile.images.jobs = Some(image.to_owned());
    profile.write(&file)
}

/// What the real names of buckets begin with, by the environment or `datalake.toml`.
pub(crate) fn bucket_prefix() -> Result<Option<String>> {
    Ok(variable("DATALAKE_BUCKET_PREFIX").or(read(Path::new(FILE))?.bucket_prefix))
}

/// The lake's URL, and how it is opened. The profile's key goes to the profile's lake only, and only where the environment
/// names no other.
fn resolve(
    named: Option<String>,
    settings: Settings,
    profile: &Profile,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, LakeOptions)> {
    let known = profile.lake.as_ref();
    let url = named.or_else(|| known.map(|lake| lake.url.clone())).unwrap_or_else(|| DEFAULT_LAKE.to_owned());
    let known = known.filter(|lake| lake.is_at(&url));
    let mut options = LakeOptions::default();
    let prefix = variable("DATALAKE_BUCKET_PREFIX").or(settings.bucket_prefix);
    options.bucket_prefix = prefix.or_else(|| known.and_then(|lake| lake.bucket_prefix.clone()));
    for (logical, real) in settings.buckets {
        options.buckets.insert(BucketName::new(logical)?, BucketName::new(real)?);
    }
    let names_key = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"];
    if let Some(key) = known.and_then(LakeProfile::key)
        && !names_key.iter().any(|name| variable(name).is_some())
    {
        options = options.with_credentials(key.access_key_id, key.secret_access_key);
    }
    Ok((url, options))
}

fn is_endpoint(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read(file: &Path) -> Result<Settings> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(cause) => return Err(Error::io("read", file.display(), cause)),
    };
    toml::from_str(&text).map_err(|cause| Error::invalid("read", file.display()).with_reason(cause.message()))
}

#[cfg(test)]
mod tests {
    use datalake_core::cluster::profile::ClusterProfile;
    use datalake_core::cluster::store::Key;

    use super::*;

    const AT: &str = "http://h:30900";

    fn known() -> Profile {
        let key = Key { access_key_id: "id".to_owned(), secret_access_key: "hush".to_owned() };
        let mut profile = Profile::default();
        profile.lake = Some(LakeProfile::new(AT).with_key(&key).with_bucket_prefix(Some("acme-".to_owned())));
        profile.cluster = Some(ClusterProfile::new(Some("here".to_owned()), "lake"));
        profile
    }

    fn resolved(named: Option<&str>, settings: &str, variables: &[(&str, &str)]) -> (String, LakeOptions) {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        let settings: Settings = toml::from_str(settings).unwrap();
        let named = named.map(ToOwned::to_owned).or_else(|| settings.lake.clone());
        resolve(named, settings, &known(), &variable).unwrap()
    }

    #[test]
    fn the_profile_comes_last_before_the_default() {
        assert_eq!(resolved(Some("./a"), "lake = './b'", &[]).0, "./a");
        assert_eq!(resolved(None, "lake = './b'", &[]).0, "./b");
        assert_eq!(resolved(None, "", &[]).0, AT);
        let nothing = resolve(None, Settings::default(), &Profile::default(), &|_| None).unwrap();
        assert_eq!(nothing, (DEFAULT_LAKE.to_owned(), LakeOptions::default()));
    }

    #[test]
    fn the_key_goes_to_its_own_lake_unless_the_environment_names_another() {
        let with_key = LakeOptions::default().with_credentials("id", "hush");
        assert_eq!(resolved(None, "", &[]).1, with_key.clone().with_bucket_prefix("acme-"));
        assert_eq!(resolved(Some("http://h:30900/"), "", &[]).1, with_key.with_bucket_prefix("acme-"));
        assert_eq!(resolved(Some("http://other:30900"), "", &[]).1, LakeOptions::default());
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"] {
            assert_eq!(
                resolved(None, "", &[(name, "x")]).1,
                LakeOptions::default().with_bucket_prefix("acme-"),
                "{name}"
            );
        }
    }

    #[test]
    fn the_prefix_of_the_environment_comes_first() {
        let prefix = |settings, variables| resolved(None, settings, variables).1.bucket_prefix;
        assert_eq!(prefix("bucket_prefix = 'b-'", &[("DATALAKE_BUCKET_PREFIX", "a-")]).as_deref(), Some("a-"));
        assert_eq!(prefix("bucket_prefix = 'b-'", &[]).as_deref(), Some("b-"));
    }

    #[test]
    fn flags_come_before_the_profile() {
        let arguments = InCluster { context: None, namespace: Some("other".to_owned()) };
        let options = cluster_of(&arguments, &known());
        assert_eq!((options.context.as_deref(), options.namespace.as_deref()), (Some("here"), Some("other")));
    }
}
