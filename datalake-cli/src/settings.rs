//! Where the lake is, and the cluster: flag, environment, `datalake.toml`, profile, default, in this order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datalake_core::cluster::ClusterOptions;
use datalake_core::cluster::profile::Profile;
use datalake_core::lake::{BucketName, LakeOptions, open};
use datalake_core::{Error, Lake, Result};
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
    let (url, options) = place(global)?;
    open(&url, &options.with_retry_timeout(patience))
}

/// Where the lake is that this command works on, and how it is opened.
pub(crate) fn place(global: &Global) -> Result<(String, LakeOptions)> {
    let settings = read(Path::new(FILE))?;
    let named = global.lake.clone().or_else(|| settings.lake.clone());
    let profile = Profile::of_lake(named.as_deref())?;
    resolve(named, settings, &profile, &variable)
}

/// The cluster that a command works on.
pub(crate) fn cluster(arguments: &InCluster) -> Result<ClusterOptions> {
    Ok(Profile::of_user()?.cluster(arguments.options()))
}

/// Lets Jobs be of this image from now on; where that is remembered, for who has a home.
pub(crate) fn remember_own_image(image: &str) -> Result<Option<String>> {
    if Profile::file().is_none() {
        return Ok(None);
    }
    Profile::update(|profile| {
        profile.images.jobs = Some(image.to_owned());
        profile.images.jobs_pull_policy = None;
    })
}

/// The real names of buckets, by the environment or `datalake.toml`.
pub(crate) fn names() -> Result<LakeOptions> {
    read(Path::new(FILE))?.names(&variable)
}

impl Settings {
    /// The real names of buckets; those of the environment go before these.
    fn names(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<LakeOptions> {
        let mut options = LakeOptions::default();
        options.bucket_prefix = self.bucket_prefix;
        let name = |name: String| {
            BucketName::new(name)
                .map_err(|error| Error::invalid("read", format_args!("[buckets] of {FILE}")).with_reason(error))
        };
        for (logical, real) in self.buckets {
            options.buckets.insert(name(logical)?, name(real)?);
        }
        options.with_names_of(variable)
    }
}

/// The lake's URL, and how it is opened.
fn resolve(
    named: Option<String>,
    settings: Settings,
    profile: &Profile,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, LakeOptions)> {
    Ok(profile.lake(named, DEFAULT_LAKE, settings.names(variable)?, variable))
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
    use datalake_core::cluster::profile::LakeProfile;

    use super::*;

    const AT: &str = "http://h:30900";

    fn resolved(named: Option<&str>, settings: &str, variables: &[(&str, &str)]) -> (String, LakeOptions) {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        let settings: Settings = toml::from_str(settings).unwrap();
        let named = named.map(ToOwned::to_owned).or_else(|| settings.lake.clone());
        let mut profile = Profile::default();
        profile.lake = Some(LakeProfile::new(AT).with_bucket_prefix(Some("acme-".to_owned())));
        resolve(named, settings, &profile, &variable).unwrap()
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
    fn a_name_that_no_bucket_can_have_leads_to_the_file() {
        let settings: Settings = toml::from_str("[buckets]\nmodels = 'Bad_Name'").unwrap();
        let error = settings.names(&|_| None).unwrap_err().to_string();
        assert!(error.contains("datalake.toml") && error.contains("Bad_Name"), "{error}");
    }

    #[test]
    fn the_prefix_of_the_environment_comes_first() {
        let prefix = |settings, variables| resolved(None, settings, variables).1.bucket_prefix;
        assert_eq!(prefix("bucket_prefix = 'b-'", &[("DATALAKE_BUCKET_PREFIX", "a-")]).as_deref(), Some("a-"));
        assert_eq!(prefix("bucket_prefix = 'b-'", &[]).as_deref(), Some("b-"));
        assert_eq!(prefix("", &[]).as_deref(), Some("acme-"));
    }
}
