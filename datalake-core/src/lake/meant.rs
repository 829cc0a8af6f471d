//! What a name may have been meant as that leads nowhere: an object without `lake://`, a prefix without its last slash.

use std::sync::Arc;

use super::location::{Location, parse_object};
use super::{Lake, ObjectPattern};
use crate::error::Result;

/// A hint for a name under which nothing was found, from what there is in the lake; none where it has nothing like it. The lake
/// is opened only where the name could be that of an object. What fails on the way is no news: the hint is a courtesy.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use std::sync::Arc;
/// use datalake_core::lake::{BucketName, Lake, MemoryLake, meant};
///
/// let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
/// let bucket = lake.create_bucket(&BucketName::new("raw-data")?).await?;
/// bucket.put(&"a.csv".into(), "x", Default::default()).await?;
/// let hint = meant("raw-data/a.csv", || Ok(Arc::clone(&lake))).await;
/// assert_eq!(hint.as_deref(), Some("did you mean the object `lake://raw-data/a.csv`?"));
/// # Ok(())
/// # }
/// ```
pub async fn meant(name: &str, lake: impl FnOnce() -> Result<Arc<dyn Lake>>) -> Option<String> {
    let is_said = name.starts_with("lake://");
    let address = name.strip_prefix("lake://").unwrap_or(name);
    if !address.contains('/') {
        return None;
    }
    let place: Location = format!("lake://{address}").parse().ok()?;
    let lake = lake().ok()?;
    let (bucket, prefix) = match &place {
        Location::Object { bucket, key } => {
            let bucket = lake.bucket(bucket).await.ok()?;
            if bucket.head(key).await.is_ok() {
                return (!is_said).then(|| format!("did you mean the object `{place}`?"));
            }
            (bucket, key)
        }
        Location::Prefix { bucket, prefix } => (lake.bucket(bucket).await.ok()?, prefix),
        Location::Local(_) | Location::Stdio => return None,
    };
    let is_one = matches!(place, Location::Object { .. });
    let below = bucket.store().list_with_delimiter(Some(prefix)).await.ok()?;
    if !below.objects.is_empty() || !below.common_prefixes.is_empty() {
        let slash = if is_one { "/" } else { "" };
        return (is_one || !is_said).then(|| format!("did you mean the objects below `{place}{slash}`?"));
    }
    let (_, key) = parse_object(address).ok()?;
    let pattern: ObjectPattern = bucket.address(&key).parse().ok()?;
    let nearest = pattern.matches(lake.as_ref()).await.err()?.hint()?.to_owned();
    Some(if is_said { nearest } else { format!("if an object was meant, write `lake://BUCKET/KEY`: {nearest}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::lake::{BucketName, MemoryLake};

    #[tokio::test]
    async fn what_is_in_the_lake_is_proposed_for_what_is_not_there() {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        bucket.put(&"t/a.csv".into(), "x", Default::default()).await.unwrap();
        for (name, hint) in [
            ("raw-data/t/a.csv", Some("did you mean the object `lake://raw-data/t/a.csv`?")),
            ("raw-data/t", Some("did you mean the objects below `lake://raw-data/t/`?")),
            ("raw-data/t/", Some("did you mean the objects below `lake://raw-data/t/`?")),
            ("lake://raw-data/t", Some("did you mean the objects below `lake://raw-data/t/`?")),
            (
                "raw-data/t/b.csv",
                Some("if an object was meant, write `lake://BUCKET/KEY`: `raw-data/t/` holds `a.csv`"),
            ),
            ("lake://raw-data/t/b.csv", Some("`raw-data/t/` holds `a.csv`")),
            // It is there, so that nothing else was meant.
            ("lake://raw-data/t/a.csv", None),
            ("lake://raw-data/t/", None),
            ("other/t/a.csv", None),
            ("../raw-data/t/a.csv", None),
        ] {
            assert_eq!(meant(name, || Ok(Arc::clone(&lake))).await.as_deref(), hint, "{name}");
        }
        let opened = || -> Result<Arc<dyn Lake>> { Err(Error::internal("open", "a lake that nobody needs")) };
        assert_eq!(meant("a.csv", opened).await, None);
    }
}
