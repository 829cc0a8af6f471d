//! Settings with all that was left open: as it is in the cluster, else as by default.

use super::super::store::StoreKind;
use super::existing::Existing;
use super::named_buckets::NamedBuckets;
use super::opening::NodePorts;
use super::settings::{SIZE, SetupSettings};
use crate::error::{Error, Result};

impl SetupSettings {
    /// These settings on what is there.
    pub(super) fn settled(&self, existing: &Existing, namespace: &str) -> Result<Self> {
        let mut settled = self.clone();
        settled.bucket_prefix = self.settled_prefix(existing, namespace)?;
        let known = existing.named_buckets(self, namespace)?;
        let named = match &known {
            Some(known) => known.with(self, settled.bucket_prefix.as_deref().unwrap_or_default())?,
            None => NamedBuckets::of(self),
        };
        (settled.buckets, settled.more_buckets) = (named.real, named.more);
        // Jobs would refuse names that are at odds with those of the lake.
        settled.real_buckets()?;
        if self.store == StoreKind::External {
            return Ok(settled);
        }
        let volume = existing.volume.as_ref();
        let size = || volume.and_then(|volume| volume.size.clone()).unwrap_or_else(|| SIZE.to_owned());
        settled.size = Some(self.size.clone().unwrap_or_else(size));
        settled.storage_class =
            self.storage_class.clone().or_else(|| volume.and_then(|volume| volume.chosen_class.clone()));
        // A store that is there without ports was closed on purpose.
        let by_default = (!existing.has_store).then(NodePorts::default);
        settled.node_ports = self.node_ports.or(existing.node_ports.or(by_default));
        settled.ingress = self.ingress.clone().or(existing.ingress.clone());
        Ok(settled)
    }

    /// Other names would be other buckets, and what is in those that are there would not be seen any more.
    fn settled_prefix(&self, existing: &Existing, namespace: &str) -> Result<Option<String>> {
        let known = existing.bucket_prefix(self, namespace);
        let asked = self.bucket_prefix.as_deref();
        let (Some(known), Some(asked)) = (known, asked) else {
            return Ok(asked.or(known).filter(|prefix| !prefix.is_empty()).map(ToOwned::to_owned));
        };
        if known == asked {
            return Ok(Some(known).filter(|prefix| !prefix.is_empty()).map(ToOwned::to_owned));
        }
        let has = if known.is_empty() { "have no prefix".to_owned() } else { format!("begin with `{known}`") };
        Err(Error::invalid("set up", format_args!("a lake in the namespace {namespace}"))
            .with_reason(format_args!("the names of its buckets {has}, and `{asked}` is asked for"))
            .with_hint(
                "leave the prefix out (DATALAKE_BUCKET_PREFIX, and bucket_prefix of datalake.toml) to keep that of the lake, \
                 or choose another --namespace",
            ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::Key;
    use super::super::existing::{Endpoint, Volume};
    use super::super::opening::Opening;
    use super::*;
    use crate::lake::bucket_names;

    fn minio(prefix: Option<&str>) -> SetupSettings {
        let mut settings = SetupSettings::minio("x:1");
        settings.bucket_prefix = prefix.map(ToOwned::to_owned);
        settings
    }

    fn with_volume(prefix: Option<&str>) -> Existing {
        let volume = Volume {
            size: Some("5Gi".to_owned()),
            chosen_class: Some("fast".to_owned()),
            data_of: Some("minio".to_owned()),
            bucket_prefix: prefix.map(ToOwned::to_owned),
            buckets: Some("nutrients".to_owned()),
        };
        Existing { volume: Some(volume), ..Existing::nothing() }
    }

    fn told(url: &str, prefix: &str) -> Option<Endpoint> {
        Some(Endpoint {
            url: url.to_owned(),
            bucket_prefix: prefix.to_owned(),
            buckets: Some("sales=acme-sales".to_owned()),
        })
    }

    #[test]
    fn the_prefix_is_that_of_the_lake() {
        let settled = |asked, existing: &Existing| minio(asked).settled(existing, "ns").map(|s| s.bucket_prefix);
        assert_eq!(settled(None, &Existing::nothing()).unwrap(), None);
        assert_eq!(settled(Some("acme-"), &Existing::nothing()).unwrap().as_deref(), Some("acme-"));
        // After a teardown, and for a colleague without the profile.
        assert_eq!(settled(None, &with_volume(Some("acme-"))).unwrap().as_deref(), Some("acme-"));
        assert_eq!(settled(Some("acme-"), &with_volume(Some("acme-"))).unwrap().as_deref(), Some("acme-"));
        assert_eq!(settled(None, &with_volume(Some(""))).unwrap(), None);
        for (known, asked, words) in [("acme-", "b-", "`acme-`"), ("", "b-", "no prefix"), ("acme-", "", "`acme-`")] {
            let error = settled(Some(asked), &with_volume(Some(known))).unwrap_err();
            assert!(error.reason().unwrap().contains(words), "{error:?}");
        }
        // A volume of an older version says nothing of it, but what Jobs are told does.
        let mut older = with_volume(None);
        assert_eq!(settled(Some("b-"), &older).unwrap().as_deref(), Some("b-"));
        older.told = told("http://datalake-store.ns.svc:9000", "acme-");
        assert_eq!(settled(None, &older).unwrap().as_deref(), Some("acme-"));
        assert!(settled(Some("b-"), &older).is_err());
    }

    #[test]
    fn the_prefix_of_an_endpoint_is_what_jobs_are_told_of_it() {
        let key = Key { access_key_id: "ID".to_owned(), secret_access_key: "hush".to_owned() };
        let mut existing = with_volume(Some("mine-"));
        existing.told = told("https://h", "acme-");
        let prefix = |endpoint: &str| {
            let settings = SetupSettings::external(endpoint, key.clone(), None);
            settings.settled(&existing, "ns").unwrap().bucket_prefix
        };
        assert_eq!(prefix("https://h/").as_deref(), Some("acme-"));
        assert_eq!(prefix("https://other"), None);
    }

    #[test]
    fn a_store_stays_as_open_as_it_is() {
        let ports = NodePorts { s3: 31900, console: 31901 };
        let settled = |settings: &SetupSettings, existing: &Existing| {
            let settled = settings.settled(existing, "ns").unwrap();
            (settled.node_ports, settled.ingress)
        };
        let closed = Existing { has_store: true, ..Existing::nothing() };
        let host = "s3.example.org".to_owned();
        let behind = Existing { has_store: true, ingress: Some(host.clone()), ..Existing::nothing() };
        let on_nodes = Existing { has_store: true, node_ports: Some(ports), ..Existing::nothing() };
        let mut settings = minio(None);
        settings.rotate = true;
        assert_eq!(
            settled(&settings, &Existing::nothing()),
            (Opening::At(NodePorts::default()), Opening::Closed),
            "the defaults are for a store that is not there yet"
        );
        assert_eq!(settled(&settings, &closed), (Opening::Closed, Opening::Closed));
        assert_eq!(settled(&settings, &behind), (Opening::Closed, Opening::At(host)));
        assert_eq!(settled(&settings, &on_nodes), (Opening::At(ports), Opening::Closed));
        (settings.node_ports, settings.ingress) = (Opening::Closed, Opening::Closed);
        assert_eq!(settled(&settings, &on_nodes), (Opening::Closed, Opening::Closed));
        assert_eq!(settled(&settings, &behind), (Opening::Closed, Opening::Closed));
    }

    #[test]
    fn a_volume_keeps_its_size_and_class() {
        let settled = minio(None).settled(&with_volume(None), "ns").unwrap();
        assert_eq!((settled.size.as_deref(), settled.storage_class.as_deref()), (Some("5Gi"), Some("fast")));
        let settled = minio(None).settled(&Existing::nothing(), "ns").unwrap();
        assert_eq!((settled.size.as_deref(), settled.storage_class.as_deref()), (Some(SIZE), None));
    }

    #[test]
    fn what_jobs_may_open_stays_open_to_them() {
        let buckets = |settings: SetupSettings| {
            let settled = settings.settled(&with_volume(None), "ns").unwrap();
            settled.real_buckets().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(buckets(minio(None)), ["raw-data", "processed-data", "models", "nutrients"]);
        // Those of the volume say nothing of another store, whatever somebody has written there.
        let mut existing = with_volume(None);
        existing.volume.as_mut().unwrap().buckets = Some("No Bucket".to_owned());
        existing.told = told("https://h", "");
        let key = Key { access_key_id: "ID".to_owned(), secret_access_key: "hush".to_owned() };
        let settled = SetupSettings::external("https://h", key, None).settled(&existing, "ns").unwrap();
        let names = settled.real_buckets().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names, ["raw-data", "processed-data", "models", "acme-sales"]);
        let error = minio(None).settled(&existing, "ns").unwrap_err();
        assert!(error.hint().unwrap().contains("datalake/buckets"), "{error:?}");
    }

    #[test]
    fn names_at_odds_with_those_of_the_lake_are_refused() {
        let mut existing = with_volume(None);
        existing.volume.as_mut().unwrap().buckets = Some("exports,sales=acme-sales".to_owned());
        let asked = |real: &str| {
            let mut settings = minio(None);
            settings.buckets = bucket_names(real).unwrap();
            settings.settled(&existing, "ns")
        };
        asked("sales=acme-sales,trade=acme-trade").unwrap();
        for (real, words) in [
            ("trade=acme-sales", "leads to `acme-sales` too"),
            ("trade=exports", "goes by the name `trade`"),
            ("trade=raw-data", "goes by the name `trade`"),
        ] {
            let error = asked(real).unwrap_err();
            assert!(error.reason().unwrap().contains(words), "{error:?}");
        }
    }

    #[test]
    fn what_an_older_version_has_not_told_is_not_known() {
        let key = Key { access_key_id: "ID".to_owned(), secret_access_key: "hush".to_owned() };
        let mut settings = SetupSettings::external("https://h", key, None);
        settings.buckets = bucket_names("raw-data=landing").unwrap();
        let mut existing = Existing::nothing();
        for (told, is_taken) in [(None, true), (Some(""), false), (Some("raw-data=landing"), true)] {
            let buckets = told.map(ToOwned::to_owned);
            existing.told = Some(Endpoint { url: "https://h".to_owned(), bucket_prefix: String::new(), buckets });
            assert_eq!(settings.settled(&existing, "ns").is_ok(), is_taken, "{told:?}");
        }
    }
}
