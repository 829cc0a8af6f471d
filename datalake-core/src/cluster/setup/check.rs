//! Settings that cannot be right, seen before anything is asked of a cluster.

use super::super::manifests::bytes;
use super::super::store::StoreKind;
use super::opening::Opening;
use super::settings::SetupSettings;
use crate::error::{Error, Result};
use crate::lake::{check_names, endpoint_of};

impl SetupSettings {
    /// Sees whether a store can be made by these settings.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where the image is missing, the size is none, the endpoint is none, or the
    /// names of buckets would be none.
    pub fn check(&self) -> Result<()> {
        let invalid =
            |reason: &str, hint: &str| Err(Error::invalid("set up", "the lake").with_reason(reason).with_hint(hint));
        if self.store != StoreKind::External && self.image.as_deref().is_none_or(str::is_empty) {
            return invalid("no image of the store is named", "name one by --image");
        }
        if self.store == StoreKind::External && (self.no_more_buckets || !self.more_buckets.is_empty()) {
            return invalid(
                "what a key may open in a store that is there already is said where it is",
                "make the bucket by `datalake mb`, and let the key open it there",
            );
        }
        if self.store == StoreKind::External && self.rotate {
            return invalid(
                "the keys of a store that is there already are made where it is",
                "make a new one there, set its AWS_* variables, and run without --rotate",
            );
        }
        if let Some(external) = &self.external {
            // Never repeated: there may be a password in it.
            endpoint_of(&external.endpoint).map_err(|cause| {
                Error::invalid("set up", "a lake in a store that is there already")
                    .with_reason(cause.reason().unwrap_or("its URL is no endpoint's"))
                    .with_hint("name its endpoint alone, such as https://s3.eu-central-1.amazonaws.com")
            })?;
        }
        // What the names of the others are may be known of the lake alone.
        match self.bucket_prefix {
            Some(_) => self.real_buckets().map(drop)?,
            None => check_names(&self.buckets)?,
        }
        if let Some(size) = self.size.as_ref().filter(|size| !bytes(size).is_some_and(|bytes| bytes >= 1.0)) {
            return invalid(&format!("`{size}` is no size"), "write it as 10Gi or 500Mi");
        }
        if let Some(image) = self.image.as_ref().filter(|image| image.contains(char::is_whitespace)) {
            return invalid(&format!("`{image}` is no name of an image"), "write it as localhost/minio:1");
        }
        match &self.ingress {
            Opening::At(host) if !is_host(host) => {
                invalid(&format!("`{host}` is no name of a host"), "write it as s3.example.org")
            }
            _ => Ok(()),
        }
    }
}

/// Whether an ingress may have this name: labels of small letters, digits and hyphens.
fn is_host(host: &str) -> bool {
    host.len() <= 253 && host.split('.').all(is_label)
}

/// Whether a namespace, or a part of a host's name, may be called so (RFC 1123).
pub(super) fn is_label(label: &str) -> bool {
    let fits = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    fits && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::super::super::store::Key;
    use super::*;
    use crate::lake::bucket_names;

    #[test]
    fn sizes_are_seen_before_anything_is_made() {
        let with = |size: &str| {
            let mut settings = SetupSettings::minio("x:1");
            settings.size = Some(size.to_owned());
            settings.check().is_ok()
        };
        assert!(with("10Gi") && with("1.5Ti") && with("1000000"));
        assert!(!with("ten") && !with("") && !with("-1Gi") && !with("0") && !with("10GB"));
    }

    #[test]
    fn names_that_a_cluster_would_refuse_are_seen_before_anything_is_made() {
        let mut settings = SetupSettings::minio("localhost/minio:1");
        assert!(settings.to_yaml("Big_Data").unwrap_err().reason().unwrap().contains("`Big_Data`"));
        for (host, is_one) in [("s3.example.org", true), ("http://x", false), ("s3..org", false), ("-a.org", false)] {
            settings.ingress = Opening::At(host.to_owned());
            assert_eq!(settings.check().is_ok(), is_one, "{host}");
        }
        assert!(SetupSettings::minio("nope nope").check().is_err());
    }

    #[test]
    fn an_endpoint_is_seen_before_anything_is_made_and_never_repeated() {
        let key = || Key { access_key_id: "ID".to_owned(), secret_access_key: "hush".to_owned() };
        for endpoint in ["https://me:hush@h", "https://h/hush", "https://h?hush", "s3:", "./hush", "ftp://hush", ""] {
            let settings = SetupSettings::external(endpoint, key(), None);
            for error in [settings.check().unwrap_err(), settings.to_yaml("big-data").unwrap_err()] {
                assert!(!format!("{error:?}").contains("hush"), "{error:?}");
                assert!(error.hint().unwrap().contains("endpoint alone"), "{error:?}");
            }
        }
        SetupSettings::external("https://h:9000/", key(), None).check().unwrap();
    }

    #[test]
    fn keys_of_a_store_that_is_there_already_are_not_made_here() {
        let key = Key { access_key_id: "ID".to_owned(), secret_access_key: "hush".to_owned() };
        let mut settings = SetupSettings::external("https://h:9000/", key, None);
        settings.rotate = true;
        assert!(settings.check().unwrap_err().hint().unwrap().contains("without --rotate"));
    }

    #[test]
    fn names_of_buckets_are_seen_before_anything_is_made() {
        let mut settings = SetupSettings::minio("x:1");
        settings.bucket_prefix = Some("Not_A_Name".to_owned());
        assert!(settings.check().is_err() && settings.to_yaml("big-data").is_err());
        settings.bucket_prefix = None;
        settings.buckets = bucket_names("trade=raw-data").unwrap();
        // It may be that all others have a prefix.
        settings.check().unwrap();
        assert!(settings.to_yaml("big-data").is_err());
        settings.buckets = bucket_names("sales=acme,trade=acme").unwrap();
        assert!(settings.check().is_err());
    }
}
