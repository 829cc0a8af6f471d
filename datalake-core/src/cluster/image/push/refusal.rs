//! What went wrong at a registry, in words: who answered what, and what to do about it.

use std::error::Error as StdError;
use std::io;

use oci_client::errors::{OciDistributionError, OciEnvelope};

use super::destination::Destination;
use crate::error::{Error, ErrorKind, Result};

/// What came of a request.
pub(super) type Answered<T> = Result<T, Refusal>;

/// How a request failed.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nothing was heard for so many seconds.
    Silence(u64),
    Answer(OciDistributionError),
}

/// The longest part of a registry's own words that is passed on.
const WORDS: usize = 300;

impl Refusal {
    /// Whether the same request may succeed in a moment.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Silence(_) => false,
            Self::Answer(OciDistributionError::RequestError(error)) => match error.status() {
                Some(status) => is_transient(status.as_u16()),
                None => !error.is_builder() && !error.is_redirect() && tls(error).is_none(),
            },
            Self::Answer(OciDistributionError::ServerError { code, .. }) => is_transient(*code),
            Self::Answer(_) => false,
        }
    }

    /// Whether the registry has agreed, but not in the words that it should use.
    pub(super) fn is_about_form(&self) -> bool {
        use OciDistributionError as Oci;
        matches!(self, Self::Answer(Oci::RegistryNoLocationError | Oci::SpecViolationError(_)))
    }

    /// The status that the registry answered with, where it is known.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(OciDistributionError::RequestError(error)) => error.status().map(|status| status.as_u16()),
            Self::Answer(OciDistributionError::ServerError { code, .. }) => Some(*code),
            Self::Answer(OciDistributionError::UnauthorizedError { .. }) => Some(401),
            _ => None,
        }
    }

    /// The error of a push to `destination`. URLs are left out: those of uploads can hold what lets others upload.
    pub(super) fn explain(self, destination: &Destination, is_anonymous: bool) -> Error {
        let registry = destination.registry();
        let failed = |kind| Error::new(kind, "push", destination.reference.whole());
        if let Some(status) = self.status() {
            let said = match &self {
                Self::Answer(OciDistributionError::ServerError { message, .. }) => words(message),
                _ => None,
            };
            return answered(failed, status, said, destination, is_anonymous);
        }
        match self {
            Self::Silence(seconds) => failed(ErrorKind::Unavailable)
                .with_reason(format_args!("`{registry}` was silent for {seconds} seconds"))
                .with_hint("run it again: what the registry has by now is not sent twice"),
            Self::Answer(OciDistributionError::AuthenticationFailure(said)) => {
                answered(failed, 401, words(&said), destination, is_anonymous)
            }
            Self::Answer(OciDistributionError::RequestError(cause)) => {
                let tls = tls(&cause).cloned();
                let cause = cause.without_url();
                match tls {
                    // What a handshake meets where the other side does not know of it.
                    Some(rustls::Error::InvalidMessage(_)) => failed(ErrorKind::Invalid)
                        .with_reason(format_args!("`{registry}` does not speak TLS"))
                        .with_hint("plain HTTP is spoken to localhost, 127.0.0.1 and [::1] alone: let it serve HTTPS")
                        .with_source(cause),
                    Some(_) => failed(ErrorKind::Denied)
                        .with_reason(format_args!("`{registry}` cannot be trusted to be who it says"))
                        .with_hint("name the file of its certificate authority by SSL_CERT_FILE")
                        .with_source(cause),
                    None => failed(ErrorKind::Unavailable)
                        .with_reason(format_args!("`{registry}` does not answer"))
                        .with_hint(if destination.is_local {
                            "see whether the registry runs and its port is right, then run it again"
                        } else {
                            "see whether the registry runs, its name is right and it serves HTTPS, then run it again"
                        })
                        .with_source(cause),
                }
            }
            Self::Answer(cause) => failed(ErrorKind::Unsupported)
                .with_reason(format_args!("`{registry}` does not answer as registries of OCI images do"))
                .with_hint("see whether its name is that of a registry")
                .with_source(cause.to_string()),
        }
    }
}

fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504)
}

fn answered(
    failed: impl Fn(ErrorKind) -> Error,
    status: u16,
    said: Option<String>,
    destination: &Destination,
    is_anonymous: bool,
) -> Error {
    let (registry, repository) = (destination.registry(), destination.reference.repository());
    let said = said.map_or_else(String::new, |said| format!(": {said}"));
    let answer = format!("`{registry}` answers {status}{said}");
    let log_in = format!("docker login {registry}, or crane auth login {registry}");
    match status {
        401 | 403 if is_anonymous => {
            failed(ErrorKind::Denied).with_reason(answer).with_hint(format_args!("log in first: {log_in}"))
        }
        401 | 403 => failed(ErrorKind::Denied).with_reason(answer).with_hint(format_args!(
            "the credentials found for it do not let push to `{repository}`: log in as somebody who may: {log_in}"
        )),
        404 | 405 => failed(ErrorKind::NotFound).with_reason(answer).with_hint(format_args!(
            "see whether it is a registry, and make the repository `{repository}` if it wants that done first"
        )),
        408 | 429 | 500.. => failed(ErrorKind::Unavailable).with_reason(answer).with_hint("run it again in a while"),
        300..=399 => failed(ErrorKind::Unsupported)
            .with_reason(answer)
            .with_hint("it leads elsewhere: push to where the registry itself is"),
        _ => failed(ErrorKind::Invalid).with_reason(answer).with_hint("see what the registry wants of names and sizes"),
    }
}

/// The registry's own words, if it has some that are meant to be read.
fn words(body: &str) -> Option<String> {
    let envelope: OciEnvelope = serde_json::from_str(body).ok()?;
    let words: Vec<String> = envelope.errors.into_iter().map(|error| error.message).collect();
    let words: String = words.join("; ").chars().filter(|letter| !letter.is_control()).take(WORDS).collect();
    (!words.is_empty()).then_some(words)
}

/// The complaint of TLS among an error's causes.
fn tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An error of the operating system leaves out the one it holds when it is asked for its source.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = held.and_then(|held| tls(held)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(status: u16, body: &str, is_anonymous: bool) -> Error {
        let destination = Destination::parse("registry.local/team/datalake:1.0").unwrap();
        let url = "https://registry.local/upload?token=secret".to_owned();
        let refusal =
            Refusal::Answer(OciDistributionError::ServerError { code: status, url, message: body.to_owned() });
        refusal.explain(&destination, is_anonymous)
    }

    #[test]
    fn an_answer_decides_the_kind() {
        let cases = [
            (401, ErrorKind::Denied),
            (403, ErrorKind::Denied),
            (404, ErrorKind::NotFound),
            (405, ErrorKind::NotFound),
            (429, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (400, ErrorKind::Invalid),
            (413, ErrorKind::Invalid),
            (307, ErrorKind::Unsupported),
        ];
        for (status, kind) in cases {
            let error = explained(status, "<html>", true);
            assert_eq!(error.kind(), kind, "{status}");
            let expected = format!("cannot push registry.local/team/datalake:1.0: `registry.local` answers {status}");
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().is_some());
            assert!(!format!("{error:?}").contains("secret"));
        }
    }

    #[test]
    fn who_is_denied_learns_how_to_log_in() {
        let body = r#"{"errors": [{"code": "DENIED", "message": "not\nyours"}, {"code": "X", "message": "go"}]}"#;
        let (stranger, known) = (explained(403, body, true), explained(403, body, false));
        assert_eq!(stranger.reason().unwrap(), "`registry.local` answers 403: notyours; go");
        for error in [&stranger, &known] {
            let hint = error.hint().unwrap();
            assert!(hint.contains("docker login registry.local") && hint.contains("crane auth login"), "{hint}");
        }
        assert!(known.hint().unwrap().contains("`team/datalake`"));
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let refusal = |code| {
            let (url, message) = (String::new(), String::new());
            Refusal::Answer(OciDistributionError::ServerError { code, url, message })
        };
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(refusal(status).is_transient(), "{status}");
        }
        for status in [400, 401, 403, 404, 413, 501] {
            assert!(!refusal(status).is_transient(), "{status}");
        }
    }
}
