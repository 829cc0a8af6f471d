//! What the profile stands in for where nothing else is said: the lake and its key, the cluster, images; and what of a setup
//! it remembers.

use super::client::ClusterOptions;
use super::image::own_image;
use super::manifests::JobSettings;
use super::profile::{ClusterProfile, LakeProfile, Profile};
use super::setup::{SetupDone, SetupSettings};
use super::store::StoreKind;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::LakeOptions;

/// The variables that name a key.
const NAMES_KEY: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"];

impl Profile {
    /// The profile of this user; who has none, or no home, has said nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn of_user() -> Result<Self> {
        Self::file().map_or_else(|| Ok(Self::default()), |file| Self::read(&file))
    }

    /// The same where it may have a say in how this lake is opened: a folder needs no key, whatever the profile says.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn of_lake(named: Option<&str>) -> Result<Self> {
        let is_endpoint = |url: &str| {
            url.split_once("://").is_some_and(|(scheme, _)| ["http", "https"].contains(&&*scheme.to_ascii_lowercase()))
        };
        if named.is_none_or(is_endpoint) { Self::of_user() } else { Ok(Self::default()) }
    }

    /// Makes this the profile of this user, and returns where it is.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`NotFound`](ErrorKind::NotFound) for who has no home.
    pub fn keep(&self) -> Result<String> {
        let file = Self::file().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "find", "the folder of the user's configuration")
                .with_reason("neither HOME nor XDG_CONFIG_HOME is set")
                .with_hint("set HOME")
        })?;
        self.write(&file)?;
        Ok(file.display().to_string())
    }

    /// The lake's URL, and how it is opened: the one that is named, else that of the profile, else `otherwise`. The key of
    /// the profile goes to the profile's lake only, and only where no variable names another.
    #[must_use]
    pub fn lake(
        &self,
        named: Option<String>,
        otherwise: &str,
        mut options: LakeOptions,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> (String, LakeOptions) {
        let known = self.lake.as_ref();
        let url = named.or_else(|| known.map(|lake| lake.url.clone())).unwrap_or_else(|| otherwise.to_owned());
        let Some(known) = known.filter(|lake| lake.is_at(&url)) else { return (url, options) };
        options.bucket_prefix = options.bucket_prefix.or_else(|| known.bucket_prefix.clone());
        if let Some(key) = known.key().filter(|_| !NAMES_KEY.iter().any(|name| variable(name).is_some())) {
            options = options.with_credentials(key.access_key_id, key.secret_access_key);
        }
        (url, options)
    }

    /// The cluster that is meant, where the options leave it open.
    #[must_use]
    pub fn cluster(&self, options: ClusterOptions) -> ClusterOptions {
        let known = self.cluster.as_ref();
        let context = options.context.or_else(|| known.and_then(|known| known.context.clone()));
        let namespace = options.namespace.or_else(|| known.map(|known| known.namespace.clone()));
        ClusterOptions::default().with_context(context).with_namespace(namespace)
    }

    /// Jobs of the image that is named, else that of the profile, else that of this version.
    #[must_use]
    pub fn job_settings(&self, image: Option<&str>) -> JobSettings {
        let known = self.images.jobs.as_deref();
        let mut settings = JobSettings::new(image.or(known).map_or_else(own_image, ToOwned::to_owned));
        if Some(settings.image.as_str()) == known {
            settings.image_pull_policy.clone_from(&self.images.jobs_pull_policy);
        }
        settings
    }

    /// Fills in what the settings leave open: as in the last setup.
    pub fn complete(&self, settings: &mut SetupSettings) {
        // The policy of another image says nothing of this one.
        if settings.image_pull_policy.is_none() && settings.image == self.images.store {
            settings.image_pull_policy.clone_from(&self.images.store_pull_policy);
        }
        if settings.bucket_prefix.is_none() {
            settings.bucket_prefix = self.lake.as_ref().and_then(|lake| lake.bucket_prefix.clone());
        }
    }

    /// Leads to a lake that was set up in the cluster of this context.
    pub fn remember(&mut self, context: Option<String>, settings: &SetupSettings, done: &SetupDone) {
        let lake = LakeProfile::new(&done.url).with_bucket_prefix(done.bucket_prefix.clone());
        self.lake = Some(match &done.key {
            Some(key) => lake.with_key(key),
            None => lake,
        });
        self.cluster = Some(ClusterProfile::new(context, &done.namespace));
        if settings.store != StoreKind::External {
            self.images.store.clone_from(&settings.image);
            self.images.store_pull_policy.clone_from(&settings.image_pull_policy);
        }
    }

    /// Leads to the lake of this namespace no longer, and says whether it did. Its images are still on the nodes, and the
    /// next setup takes them for the data that stay, unless those are gone too.
    pub fn forget(&mut self, namespace: &str, are_data_gone: bool) -> bool {
        if self.cluster.as_ref().is_none_or(|found| found.namespace != namespace) {
            return false;
        }
        self.lake = None;
        self.cluster = None;
        if are_data_gone {
            self.images = Default::default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Key;
    use super::*;

    const AT: &str = "http://h:30900";

    fn known() -> Profile {
        let key = Key { access_key_id: "id".to_owned(), secret_access_key: "hush".to_owned() };
        let mut profile = Profile::default();
        profile.lake = Some(LakeProfile::new(AT).with_key(&key).with_bucket_prefix(Some("acme-".to_owned())));
        profile.cluster = Some(ClusterProfile::new(Some("here".to_owned()), "lake"));
        profile.images.jobs = Some("r/d:1".to_owned());
        profile.images.jobs_pull_policy = Some("Never".to_owned());
        profile
    }

    fn resolved(named: Option<&str>, variables: &[&str]) -> (String, LakeOptions) {
        let variable = |name: &str| variables.contains(&name).then(|| "x".to_owned());
        known().lake(named.map(ToOwned::to_owned), "./lake", LakeOptions::default(), &variable)
    }

    #[test]
    fn the_profile_comes_last_before_the_default() {
        assert_eq!(resolved(Some("./a"), &[]), ("./a".to_owned(), LakeOptions::default()));
        assert_eq!(resolved(None, &[]).0, AT);
        let nothing = Profile::default().lake(None, "./lake", LakeOptions::default(), &|_| None);
        assert_eq!(nothing, ("./lake".to_owned(), LakeOptions::default()));
    }

    #[test]
    fn the_key_goes_to_its_own_lake_unless_the_environment_names_another() {
        let prefixed = LakeOptions::default().with_bucket_prefix("acme-");
        let with_key = prefixed.clone().with_credentials("id", "hush");
        assert_eq!(resolved(None, &[]).1, with_key);
        assert_eq!(resolved(Some("http://h:30900/"), &[]).1, with_key);
        assert_eq!(resolved(Some("http://other:30900"), &[]).1, LakeOptions::default());
        for name in NAMES_KEY {
            assert_eq!(resolved(None, &[name]).1, prefixed, "{name}");
        }
    }

    #[test]
    fn what_is_said_comes_before_the_profile() {
        let options = LakeOptions::default().with_bucket_prefix("b-");
        let (_, options) = known().lake(None, "./lake", options, &|_| None);
        assert_eq!(options.bucket_prefix.as_deref(), Some("b-"));
        let options = known().cluster(ClusterOptions::default().with_namespace(Some("other".to_owned())));
        assert_eq!((options.context.as_deref(), options.namespace.as_deref()), (Some("here"), Some("other")));
        let (named, own) = (known().job_settings(Some("r/d:2")), known().job_settings(None));
        assert_eq!((named.image.as_str(), named.image_pull_policy), ("r/d:2", None));
        assert_eq!((own.image.as_str(), own.image_pull_policy.as_deref()), ("r/d:1", Some("Never")));
        assert_eq!(Profile::default().job_settings(None).image, own_image());
    }

    #[test]
    fn a_lake_of_another_namespace_is_not_forgotten() {
        let mut profile = known();
        assert!(!profile.forget("elsewhere", true));
        assert_eq!(profile, known());
        assert!(profile.forget("lake", false));
        assert_eq!((&profile.lake, &profile.cluster, &profile.images), (&None, &None, &known().images));
    }
}
