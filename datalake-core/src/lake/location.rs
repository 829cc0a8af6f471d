//! Where something lies, as users write it: in the lake, on this machine, or on stdin and stdout.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use object_store::path::Path;

use super::BucketName;
use crate::error::{Error, Result};

/// How a lake object is told from a local file.
const SCHEME: &str = "lake://";

/// A place that bytes are copied from or to.
///
/// ```
/// use datalake_core::lake::Location;
///
/// assert!(matches!("lake://raw-data/foods/a.csv".parse()?, Location::Object { .. }));
/// assert!(matches!("lake://raw-data/foods/".parse()?, Location::Prefix { .. }));
/// assert!(matches!("foods/a.csv".parse()?, Location::Local(_)));
/// assert!(matches!("-".parse()?, Location::Stdio));
/// # Ok::<(), datalake_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An object, `lake://bucket/key`.
    Object {
        /// The bucket's logical name.
        bucket: BucketName,
        /// The object's key.
        key: Path,
    },
    /// All objects below a prefix, `lake://bucket/prefix/` or `lake://bucket`.
    Prefix {
        /// The bucket's logical name.
        bucket: BucketName,
        /// The prefix in whole path segments; empty for the whole bucket.
        prefix: Path,
    },
    /// A file or folder of this machine.
    Local(PathBuf),
    /// `-`: stdin to read from, stdout to write to.
    Stdio,
}

impl Location {
    fn in_lake(address: &str) -> Result<Self> {
        let (bucket, key) = address.split_once('/').unwrap_or((address, ""));
        let bucket = BucketName::new(bucket)?;
        if key.is_empty() || key.ends_with('/') {
            Ok(Self::Prefix { bucket, prefix: parse_key(key, address)? })
        } else {
            Ok(Self::Object { bucket, key: parse_key(key, address)? })
        }
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.strip_prefix(SCHEME)) {
            ("", _) => Err(Error::invalid("use", "an empty text as a location")),
            ("-", _) => Ok(Self::Stdio),
            (_, Some(address)) => Self::in_lake(address),
            _ if text.contains("://") => Err(Error::invalid("use", format_args!("`{text}` as a location"))
                .with_reason("it is neither a lake object nor a local path")
                .with_hint("write lake://BUCKET/KEY, and name the lake with --lake or DATALAKE_URL")),
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

impl Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { bucket, key } => write!(f, "{SCHEME}{bucket}/{key}"),
            Self::Prefix { bucket, prefix } if prefix.as_ref().is_empty() => write!(f, "{SCHEME}{bucket}/"),
            Self::Prefix { bucket, prefix } => write!(f, "{SCHEME}{bucket}/{prefix}/"),
            Self::Local(path) => Display::fmt(&path.display(), f),
            Self::Stdio => f.write_str("-"),
        }
    }
}

/// Bucket and key of `bucket/key`, with or without `lake://` before it. The key is taken as it stands.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is no key, or bucket or key break the rules: a key has no
/// empty segments, no `.` or `..`, and no control characters.
///
/// ```
/// use datalake_core::lake::parse_object;
///
/// let (bucket, key) = parse_object("raw-data/foods/a.csv")?;
/// assert_eq!((bucket.as_str(), key.as_ref()), ("raw-data", "foods/a.csv"));
/// assert!(parse_object("raw-data/../secret").is_err());
/// # Ok::<(), datalake_core::Error>(())
/// ```
pub fn parse_object(address: &str) -> Result<(BucketName, Path)> {
    match Location::in_lake(address.strip_prefix(SCHEME).unwrap_or(address))? {
        Location::Object { bucket, key } => Ok((bucket, key)),
        _ => Err(Error::invalid("use", format_args!("`{address}` as an object"))
            .with_reason("there is no key after the bucket")
            .with_hint("write BUCKET/KEY, such as raw-data/foods/a.csv")),
    }
}

/// A key or prefix, as it stands.
pub(super) fn parse_key(key: &str, address: &str) -> Result<Path> {
    if key.starts_with('/') {
        let error = Error::invalid("use", format_args!("`{address}` as an object"));
        return Err(error.with_reason("its key begins with `/`"));
    }
    Path::parse(key).map_err(|cause| Error::invalid("use", format_args!("`{address}` as an object")).with_source(cause))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_taken_as_they_stand() {
        let (_, key) = parse_object("lake://raw-data/100%/é ß.csv").unwrap();
        assert_eq!(key.as_ref(), "100%/é ß.csv");
    }

    #[test]
    fn keys_that_lead_elsewhere_are_refused() {
        for address in ["raw-data/a/../b", "raw-data//a", "raw-data/a//b", "raw-data/./a", "raw-data/a\nb"] {
            assert!(parse_object(address).is_err(), "{address:?}");
        }
        for address in ["raw-data", "raw-data/", "raw-data/a/"] {
            assert!(parse_object(address).unwrap_err().hint().is_some(), "{address:?}");
        }
    }

    #[test]
    fn foreign_schemes_are_explained() {
        let error = "s3://bucket/key".parse::<Location>().unwrap_err();
        assert!(error.hint().unwrap().contains("lake://"));
    }

    proptest! {
        #[test]
        fn display_reads_back(text in "(lake://raw-data/)?[a-zA-Z0-9 %_.é/-]{1,20}") {
            if let Ok(location) = text.parse::<Location>() {
                prop_assert_eq!(location.to_string().parse::<Location>().unwrap(), location);
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Location>();
            let _ = parse_object(&text);
        }
    }
}
