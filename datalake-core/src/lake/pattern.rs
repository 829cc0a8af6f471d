//! Patterns over object keys, as SQL and pipelines name their sources.

use std::fmt::{self, Display};
use std::str::FromStr;

use glob::{MatchOptions, Pattern};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta};

use super::location::parse_key;
use super::{Bucket, BucketName, Lake, store_error};
use crate::error::{Error, ErrorKind, Result};

/// Like a shell: `*` stays within a path segment, `**` does not; case matters.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Objects by name or pattern: `bucket/key`, `bucket/foods/*.csv`, `bucket/**/*.parquet`, or `bucket/foods/` for all
/// below.
///
/// A path segment that begins with `_` (runs, quarantine) matches only where the pattern writes the `_` too. A bucket's
/// name is never a pattern.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use datalake_core::lake::{BucketName, Lake, MemoryLake, ObjectPattern};
///
/// let lake = MemoryLake::default();
/// let bucket = lake.create_bucket(&BucketName::new("raw-data")?).await?;
/// for key in ["foods/a.csv", "foods/b.csv", "foods/_old/c.csv"] {
///     bucket.put(&key.into(), "", Default::default()).await?;
/// }
/// let pattern: ObjectPattern = "raw-data/foods/*.csv".parse()?;
/// assert_eq!(pattern.matches(&lake).await?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPattern {
    bucket: BucketName,
    key: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    One(Path),
    Below(Path),
    Matching(Pattern),
}

impl ObjectPattern {
    /// The bucket's logical name.
    #[must_use]
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// The key as it was written.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The folder in the bucket that its objects lie in or below, as far as it is written without special characters.
    pub(crate) fn base(&self) -> std::borrow::Cow<'_, str> {
        match &self.what {
            What::One(key) => key.as_ref().rsplit_once('/').map_or("", |(folder, _)| folder).into(),
            What::Below(prefix) => prefix.as_ref().into(),
            What::Matching(_) => self.literal_prefix().into(),
        }
    }

    /// Whether it names all objects below a prefix.
    pub(crate) fn is_prefix(&self) -> bool {
        matches!(self.what, What::Below(_))
    }

    /// Whether it names exactly one object.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(self.what, What::One(_))
    }

    /// Whether it stands for an object of this bucket and key, were it there.
    #[must_use]
    pub fn stands_for(&self, bucket: &BucketName, key: &Path) -> bool {
        *bucket == self.bucket
            && match &self.what {
                What::One(own) => own == key,
                What::Below(prefix) => key.prefix_matches(prefix),
                What::Matching(pattern) => pattern.matches_with(key.as_ref(), OPTIONS),
            }
    }

    /// The objects it stands for, sorted by key; at least one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, or no such bucket; what the lake says otherwise.
    pub async fn matches(&self, lake: &dyn Lake) -> Result<Vec<(Bucket, ObjectMeta)>> {
        let bucket = lake.bucket(&self.bucket).await?;
        let found = match &self.what {
            What::One(key) => self.one(&bucket, key).await?,
            What::Below(prefix) => self.listed(&bucket, Some(prefix), |_| true).await?,
            What::Matching(pattern) => self.matching(&bucket, pattern).await?,
        };
        if found.is_empty() {
            return Err(self.nothing_found(&bucket).await);
        }
        Ok(found.into_iter().map(|meta| (bucket.clone(), meta)).collect())
    }

    async fn one(&self, bucket: &Bucket, key: &Path) -> Result<Vec<ObjectMeta>> {
        match bucket.head(key).await {
            Ok(meta) => Ok(vec![meta]),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn matching(&self, bucket: &Bucket, pattern: &Pattern) -> Result<Vec<ObjectMeta>> {
        // `a[1].csv` may be the very name of an object.
        if let Ok(key) = Path::parse(&self.key)
            && !self.key.contains(['*', '?'])
        {
            let exact = self.one(bucket, &key).await?;
            if !exact.is_empty() {
                return Ok(exact);
            }
        }
        let prefix = parse_key(self.literal_prefix(), &self.key)?;
        self.listed(bucket, Some(&prefix), |key| pattern.matches_with(key, OPTIONS)).await
    }

    async fn listed(
        &self,
        bucket: &Bucket,
        prefix: Option<&Path>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<ObjectMeta>> {
        let mut found = bucket.list(prefix).await?;
        found.retain(|meta| wanted(meta.location.as_ref()) && self.shows(meta.location.as_ref()));
        Ok(found)
    }

    /// The whole path segments before the first special character.
    fn literal_prefix(&self) -> &str {
        let special = self.key.find(['*', '?', '[']).unwrap_or(self.key.len());
        self.key[..special].rfind('/').map_or("", |slash| &self.key[..slash])
    }

    /// Whether each segment of a key that begins with `_` is named by a segment of the pattern that does so too.
    fn shows(&self, key: &str) -> bool {
        let named = |segment: &str| {
            let own = self.key.split('/').filter(|own| own.starts_with('_'));
            own.into_iter().any(|own| own == segment || Pattern::new(own).is_ok_and(|own| own.matches(segment)))
        };
        key.split('/').filter(|segment| segment.starts_with('_')).all(named)
    }

    async fn nothing_found(&self, bucket: &Bucket) -> Error {
        let reason = if self.is_literal() { "there is no such object" } else { "no object matches" };
        let error = Error::not_found("read", self).with_reason(reason);
        match self.nearest(bucket).await {
            Ok(Some(hint)) => error.with_hint(hint),
            // The hint is a courtesy; the error stands without it.
            Ok(None) | Err(_) => error,
        }
    }

    /// What there is at the nearest prefix that has anything.
    async fn nearest(&self, bucket: &Bucket) -> Result<Option<String>> {
        let mut prefix = self.literal_prefix();
        loop {
            let path = parse_key(prefix, &self.key)?;
            let found = bucket.store().list_with_delimiter(Some(&path)).await;
            let found = found.map_err(|cause| store_error("list", bucket.name(), cause))?;
            if let Some(names) = some_names(&found, self.key.rsplit('/').next().unwrap_or_default()) {
                let slash = if prefix.is_empty() { "" } else { "/" };
                return Ok(Some(format!("`{}/{prefix}{slash}` holds {names}", self.bucket)));
            }
            if prefix.is_empty() {
                return Ok(Some(format!("bucket `{}` is empty", self.bucket)));
            }
            prefix = prefix.rfind('/').map_or("", |slash| &prefix[..slash]);
        }
    }
}

/// A few names of a listing, those most like the wanted one first, and how many more there are.
fn some_names(found: &ListResult, wanted: &str) -> Option<String> {
    const SHOWN: usize = 3;
    let folders = found.common_prefixes.iter().filter_map(|path| path.filename().map(|name| format!("`{name}/`")));
    let objects = found.objects.iter().filter_map(|meta| meta.location.filename().map(|name| format!("`{name}`")));
    let mut names: Vec<String> = folders.chain(objects).collect();
    let unlike = |name: &String| (-1e6 * strsim::jaro_winkler(wanted, name.trim_matches(['`', '/']))) as i64;
    names.sort_by_cached_key(|name| (name.starts_with("`_"), unlike(name), name.clone()));
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(names.join(", ")),
        (false, more) => Some(format!("{} and {more} more", names.join(", "))),
    }
}

impl FromStr for ObjectPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let address = text.strip_prefix("lake://").unwrap_or(text);
        let (bucket, key) = address.split_once('/').unwrap_or((address, ""));
        let bucket = BucketName::new(bucket)?;
        let what = if key.contains(['*', '?', '[']) {
            let invalid = |cause| Error::invalid("use", format_args!("`{text}` as a pattern")).with_source(cause);
            // A trailing slash means all below, here too.
            let pattern = if key.ends_with('/') { format!("{key}**") } else { key.to_owned() };
            What::Matching(Pattern::new(&pattern).map_err(invalid)?)
        } else if key.is_empty() || key.ends_with('/') {
            What::Below(parse_key(key, text)?)
        } else {
            What::One(parse_key(key, text)?)
        };
        Ok(Self { bucket, key: key.to_owned(), what })
    }
}

impl Display for ObjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MemoryLake;
    use super::*;

    async fn lake(keys: &[&str]) -> MemoryLake {
        let lake = MemoryLake::default();
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        for key in keys {
            bucket.put(&Path::parse(key).unwrap(), "x", Default::default()).await.unwrap();
        }
        lake
    }

    async fn keys(lake: &MemoryLake, pattern: &str) -> Result<Vec<String>> {
        let found = pattern.parse::<ObjectPattern>()?.matches(lake).await?;
        Ok(found.into_iter().map(|(_, meta)| meta.location.to_string()).collect())
    }

    #[tokio::test]
    async fn patterns_match_like_a_shell() {
        let lake = lake(&["a.csv", "foods/b.csv", "foods/c.json", "foods/deep/d.csv", "foods/e[1].csv"]).await;
        assert_eq!(keys(&lake, "raw-data/*.csv").await.unwrap(), ["a.csv"]);
        assert_eq!(keys(&lake, "raw-data/foods/?.csv").await.unwrap(), ["foods/b.csv"]);
        assert_eq!(keys(&lake, "raw-data/foods/[bc].*").await.unwrap(), ["foods/b.csv", "foods/c.json"]);
        let all = ["a.csv", "foods/b.csv", "foods/deep/d.csv", "foods/e[1].csv"];
        assert_eq!(keys(&lake, "raw-data/**/*.csv").await.unwrap(), all);
        assert_eq!(keys(&lake, "raw-data/foods/deep/").await.unwrap(), ["foods/deep/d.csv"]);
        assert_eq!(keys(&lake, "lake://raw-data/a.csv").await.unwrap(), ["a.csv"]);
        assert_eq!(keys(&lake, "raw-data/foods/e[1].csv").await.unwrap(), ["foods/e[1].csv"]);
        assert_eq!(keys(&lake, "raw-data").await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn private_names_must_be_written() {
        let lake = lake(&["_runs/1/a.csv", "_runs/1/_tmp/a.csv", "foods/_old.csv", "foods/a.csv"]).await;
        assert_eq!(keys(&lake, "raw-data/**/*.csv").await.unwrap(), ["foods/a.csv"]);
        assert_eq!(keys(&lake, "raw-data/foods/").await.unwrap(), ["foods/a.csv"]);
        assert_eq!(keys(&lake, "raw-data/_runs/").await.unwrap(), ["_runs/1/a.csv"]);
        assert_eq!(keys(&lake, "raw-data/_runs/**/*.csv").await.unwrap(), ["_runs/1/a.csv"]);
        assert_eq!(keys(&lake, "raw-data/foods/_*.csv").await.unwrap(), ["foods/_old.csv"]);
        assert_eq!(keys(&lake, "raw-data/foods/_old.csv").await.unwrap(), ["foods/_old.csv"]);
    }

    #[tokio::test]
    async fn no_match_says_what_there_is() {
        let lake = lake(&["foods/a.csv", "foods/b.csv", "foods/c.csv", "foods/d.csv"]).await;
        let error = keys(&lake, "raw-data/foods/2024/*.csv").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("raw-data/foods/2024/*.csv"), "{error}");
        assert_eq!(error.hint(), Some("`raw-data/foods/` holds `a.csv`, `b.csv`, `c.csv` and 1 more"));
        assert_eq!(keys(&lake, "raw-data/food.csv").await.unwrap_err().hint(), Some("`raw-data/` holds `foods/`"));
        let near = self::lake(&["_runs/a", "apple.csv", "bread.csv", "egg.csv", "foods.csv"]).await;
        let error = keys(&near, "raw-data/food.csv").await.unwrap_err();
        assert!(error.hint().unwrap().contains("holds `foods.csv`"), "{error:?}");
        assert!(error.hint().unwrap().ends_with("and 2 more") && !error.hint().unwrap().contains("_runs"), "{error:?}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(raw-data/)?.*") {
            let _ = text.parse::<ObjectPattern>();
        }

        #[test]
        fn display_reads_back(key in "[a-z*?/\\[\\]_.]{0,12}") {
            let text = format!("raw-data/{key}");
            if let Ok(pattern) = text.parse::<ObjectPattern>() {
                prop_assert_eq!(pattern.to_string().parse::<ObjectPattern>().unwrap(), pattern);
            }
        }
    }
}
