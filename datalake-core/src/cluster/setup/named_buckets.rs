//! Buckets of a lake beside the usual ones, and real names of single buckets: as one text that is kept with the data.

use std::collections::BTreeMap;

use super::settings::{BUCKETS, SetupSettings};
use crate::error::{Error, Result};
use crate::lake::{BucketName, bucket_names, bucket_names_text, real_name};

/// What is known of the buckets of a lake that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NamedBuckets {
    /// Those that Jobs may open beside the usual ones.
    pub(super) more: Vec<BucketName>,
    /// Real names of single ones.
    pub(super) real: BTreeMap<BucketName, BucketName>,
}

impl NamedBuckets {
    /// Reads `exports,sales=acme-sales`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (real, more): (Vec<&str>, Vec<&str>) =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).partition(|item| item.contains('='));
        Ok(Self {
            more: more.into_iter().map(BucketName::new).collect::<Result<_>>()?,
            real: bucket_names(&real.join(","))?,
        })
    }

    /// Of settled settings.
    pub(super) fn of(settings: &SetupSettings) -> Self {
        Self { more: settings.more_buckets.clone(), real: settings.buckets.clone() }
    }

    /// The text that [`parse`](Self::parse) reads.
    pub(super) fn to_text(&self) -> String {
        let more = self.more.iter().map(ToString::to_string);
        let real = Some(bucket_names_text(&self.real)).filter(|names| !names.is_empty());
        more.chain(real).collect::<Vec<_>>().join(",")
    }

    /// Those that settings name on top of these. Other real names than those of a lake that is there would be other buckets.
    pub(super) fn with(&self, settings: &SetupSettings, prefix: &str) -> Result<Self> {
        let mut joined = self.clone();
        if settings.no_more_buckets {
            joined.more.clear();
        }
        for (logical, asked) in &settings.buckets {
            let is_known = self.real.contains_key(logical)
                || self.more.contains(logical)
                || BUCKETS.iter().any(|usual| *usual == logical.as_str());
            let known = if is_known { &real_name(logical, prefix, &self.real)? } else { asked };
            if known != asked {
                return Err(Error::invalid("set up", format_args!("the bucket `{logical}`"))
                    .with_reason(format_args!("it is `{known}` in the store, and `{asked}` is asked for"))
                    .with_hint(
                        "leave its real name out (DATALAKE_BUCKETS, and [buckets] of datalake.toml) to keep that of the \
                         lake, or choose another --namespace",
                    ));
            }
            joined.real.insert(logical.clone(), asked.clone());
        }
        for name in &settings.more_buckets {
            if !joined.more.contains(name) && !joined.real.contains_key(name) {
                joined.more.push(name.clone());
            }
        }
        Ok(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> NamedBuckets {
        NamedBuckets::parse(text).unwrap()
    }

    fn asked(more: &str, real: &str) -> SetupSettings {
        let mut settings = SetupSettings::minio("x:1");
        (settings.more_buckets, settings.buckets) = (named(more).more, named(real).real);
        settings
    }

    #[test]
    fn the_text_says_all_of_them() {
        for text in ["", "exports", "exports,reports,raw-data=landing,sales=acme-sales"] {
            assert_eq!(named(text).to_text(), text);
        }
        assert_eq!(named(" sales=acme-sales, exports,").to_text(), "exports,sales=acme-sales");
        for text in ["No Bucket", "a=b", "sales=", "sales=acme-a=b"] {
            assert!(NamedBuckets::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_named_is_added_to_what_was() {
        let known = named("exports,sales=acme-sales");
        let joined = |settings: &SetupSettings| known.with(settings, "").map(|joined| joined.to_text());
        assert_eq!(joined(&asked("", "")).unwrap(), "exports,sales=acme-sales");
        assert_eq!(joined(&asked("reports,sales,exports", "")).unwrap(), "exports,reports,sales=acme-sales");
        assert_eq!(joined(&asked("", "sales=acme-sales,new=landing")).unwrap(), "exports,new=landing,sales=acme-sales");
        let mut only = asked("reports", "");
        only.no_more_buckets = true;
        assert_eq!(joined(&only).unwrap(), "reports,sales=acme-sales");
        let settings = asked("", "acme-sales=other");
        assert_eq!(joined(&settings).unwrap(), "exports,acme-sales=other,sales=acme-sales");
        for (real, words) in [
            ("sales=other", "`acme-sales` in the store"),
            ("exports=other", "`exports` in the store"),
            ("raw-data=landing", "`raw-data` in the store"),
        ] {
            let error = joined(&asked("", real)).unwrap_err();
            assert!(error.reason().unwrap().contains(words), "{error:?}");
        }
    }
}
