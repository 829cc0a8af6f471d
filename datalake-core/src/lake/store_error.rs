//! The errors of object stores in our terms: kind, and what to do.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io;

use object_store::Error as Store;

use crate::error::{Error, ErrorKind, kind_of_io};

/// The error of a store in our terms: its kind read off the cause, which stays in the chain.
#[must_use]
pub fn store_error(action: &str, subject: impl Display, cause: Store) -> Error {
    let text = cause.to_string();
    let kind = kind_of_store(&cause, &text);
    let error = Error::new(kind, action, subject);
    let error = match hint(kind, &text, io_cause(&cause)) {
        Some(hint) => error.with_hint(hint),
        None => error,
    };
    let said = said(&cause, &text).unwrap_or(text);
    error.with_source(Cause { said, inner: cause })
}

/// An error of `object_store`, said once: its own text repeats that of each of its sources.
struct Cause {
    said: String,
    inner: Store,
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl StdError for Cause {}

/// What the operating system or the server said, without the layers around it.
fn said(cause: &Store, text: &str) -> Option<String> {
    if let Some(io) = cause.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        return Some(io.to_string());
    }
    let (_, answer) = text.split_once("status code: ")?;
    let (status, body) = answer.split_once(": ")?;
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(value, _)| value)
    };
    Some(format!("the server answered {status}: {}: {}", element("Code")?, element("Message").unwrap_or_default()))
}

fn kind_of_store(cause: &Store, text: &str) -> ErrorKind {
    match cause {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::AlreadyExists { .. } | Store::Precondition { .. } => ErrorKind::AlreadyExists,
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => ErrorKind::Denied,
        Store::NotSupported { .. } | Store::NotImplemented { .. } => ErrorKind::Unsupported,
        Store::InvalidPath { .. } | Store::UnknownConfigurationKey { .. } => ErrorKind::Invalid,
        // A task of a runtime that is going down.
        Store::JoinError { source } if source.is_cancelled() => ErrorKind::Cancelled,
        Store::JoinError { .. } => ErrorKind::Internal,
        other => io_cause(other).map_or_else(|| kind_of_answer(text), kind_of_io),
    }
}

/// The kind of an HTTP answer that `object_store` does not tell apart. Its types are private, its text is not.
fn kind_of_answer(text: &str) -> ErrorKind {
    if is_full(text) {
        return ErrorKind::Exhausted;
    }
    match status(text) {
        Some(400) if names_credentials(text) => ErrorKind::Denied,
        Some(401 | 403) => ErrorKind::Denied,
        Some(404) => ErrorKind::NotFound,
        Some(409 | 412) => ErrorKind::AlreadyExists,
        Some(501) => ErrorKind::Unsupported,
        Some(408 | 425 | 429) => ErrorKind::Unavailable,
        Some(300..=499) => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

/// Whether a server's text says that its disks or quotas are used up.
pub(super) fn is_full(text: &str) -> bool {
    ["StorageFull", "QuotaExceeded", "InsufficientStorage", "status code: 507"].iter().any(|word| text.contains(word))
}

/// Whether a server's text finds fault with the credentials.
pub(super) fn names_credentials(text: &str) -> bool {
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"]
        .iter()
        .any(|code| text.contains(code))
}

/// The status in "status code: 503 Service Unavailable".
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

fn hint(kind: ErrorKind, text: &str, io: Option<&io::Error>) -> Option<&'static str> {
    match kind {
        ErrorKind::NotFound if text.contains("NoSuchBucket") => Some("make the bucket first: datalake mb BUCKET"),
        ErrorKind::Denied if io.is_some() => Some("check the permissions of the lake's folder"),
        ErrorKind::Denied => {
            Some("check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what this key is allowed to do")
        }
        ErrorKind::Unavailable => Some("check that the lake can be reached, then run again"),
        ErrorKind::Exhausted => Some("free some space or raise the quota, then run again"),
        ErrorKind::Invalid if io.is_some_and(|cause| cause.kind() == io::ErrorKind::NotADirectory) => {
            Some("a part of the key is an object itself; in a folder it cannot be a prefix too")
        }
        ErrorKind::Invalid if io.is_some_and(|cause| cause.kind() == io::ErrorKind::IsADirectory) => {
            Some("there are objects below this key; in a folder it cannot be an object too")
        }
        _ => None,
    }
}

/// The operating system error at the bottom of a chain, if there is one that says more than "other".
fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        match current.downcast_ref::<io::Error>() {
            // Failed look-ups of host names and the like have no kind of their own.
            Some(io) if kind_of_io(io) != ErrorKind::Internal => return Some(io),
            _ => cause = current.source(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        store_error("read", "raw-data/a", Store::Generic { store: "S3", source: source.into() })
    }

    #[test]
    fn answers_are_told_apart_by_their_status() {
        let answer = |status: &str| generic(format!("Server returned non-2xx status code: {status}: ")).kind();
        assert_eq!(answer("503 Service Unavailable"), ErrorKind::Unavailable);
        assert_eq!(answer("500 Internal Server Error"), ErrorKind::Unavailable);
        assert_eq!(answer("429 Too Many Requests"), ErrorKind::Unavailable);
        assert_eq!(answer("507 Insufficient Storage"), ErrorKind::Exhausted);
        assert_eq!(answer("404 Not Found"), ErrorKind::NotFound);
        assert_eq!(answer("403 Forbidden"), ErrorKind::Denied);
        assert_eq!(answer("501 Not Implemented"), ErrorKind::Unsupported);
        assert_eq!(answer("400 Bad Request"), ErrorKind::Invalid);
        assert_eq!(answer("400 Bad Request: <Code>InvalidAccessKeyId</Code>"), ErrorKind::Denied);
    }

    #[test]
    fn the_operating_system_has_the_first_word() {
        let full = generic(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.kind(), ErrorKind::Exhausted);
        assert!(full.hint().unwrap().contains("free some space"));
        assert_eq!(generic(io::Error::from(io::ErrorKind::ConnectionRefused)).kind(), ErrorKind::Unavailable);
        assert_eq!(generic(io::Error::other("no such host")).kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_cause_is_said_once() {
        let body = "<?xml?><Error><Code>SlowDown</Code><Message>Wait.</Message></Error>";
        let error = generic(format!("GET x - Server returned non-2xx status code: 503 Service Unavailable: {body}"));
        let source = StdError::source(&error).unwrap();
        assert_eq!(source.to_string(), "the server answered 503 Service Unavailable: SlowDown: Wait.");
        assert!(source.source().is_none());
    }

    #[test]
    fn a_missing_bucket_is_told_from_a_missing_object() {
        let missing = |code: &str| {
            let source = format!("<Code>{code}</Code>").into();
            store_error("read", "raw-data/a", Store::NotFound { path: "a".into(), source })
        };
        assert!(missing("NoSuchBucket").hint().is_some());
        assert!(missing("NoSuchKey").hint().is_none());
    }
}
