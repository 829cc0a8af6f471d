//! What the profile stands in for where nothing else is said: the lake and its key, the cluster, images; and what of a setup
//! it remembers.

use super::client::ClusterOptions;
use super::image::own_image;
use super::manifests::{JobSettings, store_slug};
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

    /// Changes the profile of this user as it is now, which may be another than it was when a long work began. Returns where
    /// it is; who has no home has none, and that is an error only where something is to be kept.
    ///
    /// # Errors
    /// As [`read`](Self::read) and [`keep`](Self::keep).
    pub fn update(change: impl FnOnce(&mut Self)) -> Result<Option<String>> {
        let before = Self::of_user()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(Self::file().map(|file| file.display().to_string()));
        }
        after.keep().map(Some)
    }

    /// The lake's URL, and how it is opened: the one that is named, else that of the profile, else `otherwise`. The key of
    /// the profile goes to the profile's lake only, and only where no variable names another; a region that a variable names
    /// is meant for something else then.
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
        let prefix = known.bucket_prefix.as_deref().unwrap_or_default();
        // With another prefix, the names are those of another lake.
        if options.bucket_prefix.as_deref().is_none_or(|asked| asked == prefix) {
            options.bucket_prefix.clone_from(&known.bucket_prefix);
            for (logical, real) in &known.buckets {
                // A bucket that is named otherwise has no second name.
                if !options.buckets.values().any(|named| named == real) {
                    options.buckets.entry(logical.clone()).or_insert_with(|| real.clone());
                }
            }
        }
        if let Some(key) = known.key().filter(|_| !NAMES_KEY.iter().any(|name| variable(name).is_some())) {
            options = options.with_credentials(key.access_key_id, key.secret_access_key);
            if let Some(region) = &known.region {
                options = options.with_variable("AWS_REGION", region);
            }
        }
        (url, options)
    }

    /// The cluster that is meant, where the options leave it open. Its namespace belongs to its context; and where neither is
    /// named, the cluster must still be the one that the lake is in.
    #[must_use]
    pub fn cluster(&self, options: ClusterOptions) -> ClusterOptions {
        let Some(known) = &self.cluster else { return options };
        let is_open = options.context.is_none() && options.namespace.is_none();
        let is_own = options.context.is_none() || options.context == known.context;
        let context = options.context.or_else(|| known.context.clone());
        let namespace = options.namespace.or_else(|| is_own.then(|| known.namespace.clone()));
        let address = options.address.or_else(|| known.address.clone().filter(|_| is_open));
        ClusterOptions::default().with_context(context).with_namespace(namespace).with_address(address)
    }

    /// The image of the last setup of this kind of store.
    #[must_use]
    pub fn store_image(&self, kind: StoreKind) -> Option<&str> {
        // An older version has not said of which kind it is.
        let fits = self.images.store_kind.as_deref().is_none_or(|of| of == store_slug(kind));
        self.images.store.as_deref().filter(|_| fits)
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

    /// Fills in what the settings leave open and the cluster does not know: as in the last setup.
    pub fn complete(&self, settings: &mut SetupSettings) {
        // The policy of another image says nothing of this one.
        if settings.image_pull_policy.is_none() && settings.image == self.images.store {
            settings.image_pull_policy.clone_from(&self.images.store_pull_policy);
        }
    }

    /// Leads to a lake that was set up in this cluster.
    pub fn remember(&mut self, cluster: ClusterProfile, settings: &SetupSettings, done: &SetupDone) {
        let lake = LakeProfile::new(&done.url)
            .with_bucket_prefix(done.bucket_prefix.clone())
            .with_buckets(done.bucket_names.clone());
        self.lake = Some(match &done.key {
            Some(key) => lake.with_key(key).with_region(Some(done.region.clone())),
            None => lake,
        });
        self.cluster = Some(cluster);
        if settings.store != StoreKind::External {
            self.images.store.clone_from(&settings.image);
            self.images.store_kind = Some(store_slug(settings.store).to_owned());
            self.images.store_pull_policy.clone_from(&settings.image_pull_policy);
        }
    }

    /// Leads to the lake in this namespace of this cluster no longer, and says whether it did. Its images are still on the
    /// nodes, and the next setup takes them for the data that stay, unless those are gone too.
    pub fn forget(&mut self, cluster: &ClusterProfile, are_data_gone: bool) -> bool {
        if self.cluster.as_ref().is_none_or(|known| !known.is_same(cluster)) {
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
    use crate::lake::bucket_names;

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
    fn names_of_buckets_are_those_of_the_profile_where_nothing_else_is_said() {
        let mut profile = known();
        let names = bucket_names("models=forests,sales=acme-sales-2").unwrap();
        profile.lake = profile.lake.map(|lake| lake.with_buckets(names));
        let opened = |prefix: Option<&str>, named: &str| {
            let mut options = LakeOptions::default();
            options.bucket_prefix = prefix.map(ToOwned::to_owned);
            options.buckets = bucket_names(named).unwrap();
            let (_, options) = profile.lake(None, "./lake", options, &|_| None);
            options.names()["DATALAKE_BUCKETS"].clone()
        };
        assert_eq!(opened(None, ""), "models=forests,sales=acme-sales-2");
        assert_eq!(opened(Some("acme-"), "raw-data=landing"), "models=forests,raw-data=landing,sales=acme-sales-2");
        assert_eq!(opened(None, "sales=other"), "models=forests,sales=other");
        assert_eq!(opened(None, "trade=acme-sales-2"), "models=forests,trade=acme-sales-2");
        assert_eq!(opened(Some("b-"), "sales=other"), "sales=other");
    }

    #[test]
    fn a_lake_of_another_namespace_or_cluster_is_not_forgotten() {
        let at = |context: &str, namespace: &str, address: &str| {
            ClusterProfile::new(Some(context.to_owned()), namespace).with_address(Some(address.to_owned()))
        };
        let mut new = known();
        new.cluster = Some(at("here", "lake", "https://prod"));
        // One of an older version knows no address: the context has to be its own.
        for (profile, others) in [
            (known(), [at("here", "elsewhere", "https://prod"), at("staging", "lake", "https://staging")]),
            (new, [at("here", "elsewhere", "https://prod"), at("here", "lake", "https://staging")]),
        ] {
            let mut found = profile.clone();
            for other in others {
                assert!(!found.forget(&other, true), "{other:?}");
                assert_eq!(found, profile);
            }
            assert!(found.forget(&at("here", "lake", "https://prod"), false));
            assert_eq!((&found.lake, &found.cluster, &found.images), (&None, &None, &profile.images));
        }
    }

    #[test]
    fn a_namespace_belongs_to_its_context() {
        let mut profile = known();
        profile.cluster = profile.cluster.map(|cluster| cluster.with_address(Some("https://prod".to_owned())));
        let meant = |context: Option<&str>, namespace: Option<&str>| {
            let options = ClusterOptions::default().with_context(context.map(ToOwned::to_owned));
            let found = profile.cluster(options.with_namespace(namespace.map(ToOwned::to_owned)));
            [found.context, found.namespace, found.address].map(Option::unwrap_or_default)
        };
        assert_eq!(meant(None, None), ["here", "lake", "https://prod"]);
        assert_eq!(meant(Some("here"), None), ["here", "lake", ""]);
        assert_eq!(meant(Some("staging"), None), ["staging", "", ""]);
        assert_eq!(meant(None, Some("other")), ["here", "other", ""]);
    }

    #[test]
    fn an_image_is_of_its_own_kind_of_store() {
        let mut profile = known();
        profile.images.store = Some("r/minio:1".to_owned());
        assert_eq!(profile.store_image(StoreKind::Versitygw), Some("r/minio:1"), "an older version");
        profile.images.store_kind = Some("minio".to_owned());
        assert_eq!(profile.store_image(StoreKind::Versitygw), None);
        assert_eq!(profile.store_image(StoreKind::Minio), Some("r/minio:1"));
    }

    #[test]
    fn a_region_goes_with_the_key() {
        let mut profile = known();
        profile.lake = profile.lake.map(|lake| lake.with_region(Some("us-east-1".to_owned())));
        let opened = |variables: &[&str]| {
            let variable = |name: &str| variables.contains(&name).then(|| "x".to_owned());
            profile.lake(None, "./lake", LakeOptions::default(), &variable).1
        };
        let prefixed = LakeOptions::default().with_bucket_prefix("acme-");
        let with_key = prefixed.clone().with_credentials("id", "hush").with_variable("AWS_REGION", "us-east-1");
        assert_eq!(opened(&["AWS_REGION"]), with_key);
        assert_eq!(opened(&["AWS_REGION", "AWS_ACCESS_KEY_ID"]), prefixed);
    }

    #[test]
    fn a_prefix_is_not_taken_over_to_another_lake() {
        let mut settings = SetupSettings::minio("x:1");
        known().complete(&mut settings);
        assert_eq!(settings.bucket_prefix, None);
    }
}
