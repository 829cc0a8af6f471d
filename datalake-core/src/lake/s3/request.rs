//! Requests that `object_store` has no call for: signed, tried again within bounds, their failures explained.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, StatusCode};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpError, HttpRequestBody};

use super::super::store_error::{is_full, names_credentials};
use super::answers::Refusal;
use crate::error::{Error, ErrorKind, Result};

/// The first pause before trying again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before trying again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Sends signed requests to one endpoint.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(super) http: HttpClient,
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) credential: Arc<AwsCredential>,
    pub(super) retry_timeout: Duration,
}

/// A request: what, where, and with which body. `Debug` hides the body: there may be a secret in it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(super) method: Method,
    /// Bucket and key in their own characters; empty for the endpoint itself.
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn with_query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, query, body: _ } = self;
        f.debug_struct("Request")
            .field("method", method)
            .field("path", path)
            .field("query", query)
            .finish_non_exhaustive()
    }
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no.
    Refused { status: StatusCode, refusal: Refusal },
    /// The server did not answer.
    Unanswered(HttpError),
    /// The request cannot be made.
    Malformed(http::Error),
}

impl Failure {
    /// The server's own code for what is wrong, such as `NoSuchBucket`.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { refusal, .. } => &refusal.code,
            _ => "",
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, refusal } => {
                (status.is_server_error() && !matches!(status.as_u16(), 501 | 507) && !is_full(&refusal.code))
                    || matches!(status.as_u16(), 408 | 429)
            }
            Self::Unanswered(_) => true,
            Self::Malformed(_) => false,
        }
    }
}

impl Requests {
    /// Sends a request, again if the failure may pass, and gives the answer's body.
    pub(crate) async fn send(&self, request: &Request) -> Result<Bytes, Failure> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(request).await {
                Err(failure) if failure.may_pass() && start.elapsed() + pause < self.retry_timeout => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                done => return done,
            }
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Bytes, Failure> {
        let mut signed = http::Request::builder()
            .method(&request.method)
            .uri(self.address(request))
            .body(HttpRequestBody::from(request.body.clone()))
            .map_err(Failure::Malformed)?;
        AwsAuthorizer::new(&self.credential, "s3", &self.region).authorize(&mut signed, None);
        let answer = self.http.execute(signed).await.map_err(Failure::Unanswered)?;
        let status = answer.status();
        let region = answer.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
        let region = region.map(ToOwned::to_owned);
        let body = answer.into_body().bytes().await.map_err(Failure::Unanswered)?;
        if status.is_success() {
            return Ok(body);
        }
        // A refusal without a readable body still has its status. MinIO's admin API writes the same words as JSON.
        let mut refusal: Refusal = match body.first() {
            Some(b'{') => serde_json::from_slice(&body).unwrap_or_default(),
            _ => quick_xml::de::from_reader(&body[..]).unwrap_or_default(),
        };
        refusal.region = refusal.region.or(region);
        Err(Failure::Refused { status, refusal })
    }

    fn address(&self, request: &Request) -> String {
        let query: Vec<_> = request.query.iter().map(|(name, value)| format!("{name}={}", encode(value, ""))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/{}{mark}{}", self.endpoint, encode(&request.path, "/"), query.join("&"))
    }

    /// A failure in our terms.
    pub(crate) fn explain(&self, action: &str, subject: impl Display, failure: Failure) -> Error {
        let endpoint = &self.endpoint;
        match failure {
            Failure::Refused { status, refusal } => self.explain_refusal(action, subject, status, &refusal),
            Failure::Unanswered(cause) => Error::new(ErrorKind::Unavailable, action, subject)
                .with_reason(format_args!("{endpoint} does not answer"))
                .with_hint("check the lake's URL, and that its server is running")
                .with_source(cause),
            Failure::Malformed(cause) => Error::invalid(action, subject)
                .with_reason(format_args!("no request to {endpoint} can be made of it"))
                .with_source(cause),
        }
    }

    fn explain_refusal(&self, action: &str, subject: impl Display, status: StatusCode, refusal: &Refusal) -> Error {
        let kind = kind_of(status, &refusal.code);
        let said = [refusal.code.as_str(), refusal.message.as_str()];
        let said = said.iter().filter(|text| !text.is_empty()).fold(status.to_string(), |all, text| all + ": " + text);
        let error = match kind {
            ErrorKind::Denied => Error::new(kind, action, subject).with_reason(format_args!(
                "{} refused the access key `{}` ({said})",
                self.endpoint, self.credential.key_id
            )),
            _ => Error::new(kind, action, subject).with_reason(format_args!("{} answered {said}", self.endpoint)),
        };
        match (kind, refusal.code.as_str(), &refusal.region) {
            (_, "RequestTimeTooSkewed", _) => error.with_hint("set this machine's clock"),
            (ErrorKind::Denied, ..) => {
                error.with_hint("check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what this key is allowed to do")
            }
            (ErrorKind::Invalid, _, Some(region)) if *region != self.region => {
                error.with_hint(format_args!("the bucket lies in another region: set AWS_REGION={region}"))
            }
            (ErrorKind::Unavailable, ..) => error.with_hint("wait a little, then run again"),
            (ErrorKind::Exhausted, ..) => error.with_hint("free some space or raise the quota, then run again"),
            _ => error,
        }
    }
}

fn kind_of(status: StatusCode, code: &str) -> ErrorKind {
    match (status.as_u16(), code) {
        (_, code) if is_full(code) => ErrorKind::Exhausted,
        (_, code) if names_credentials(code) => ErrorKind::Denied,
        (401 | 403, _) => ErrorKind::Denied,
        (404, _) => ErrorKind::NotFound,
        (409, "BucketAlreadyOwnedByYou" | "BucketAlreadyExists") => ErrorKind::AlreadyExists,
        (501, _) => ErrorKind::Unsupported,
        (507, _) => ErrorKind::Exhausted,
        (408 | 429 | 500.., _) | (_, "OperationAborted") => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

/// Percent-encodes as signatures demand: all but letters, digits, `-._~` and what is kept.
fn encode(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
        match plain {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_kinds() {
        let kind = |status: u16, code: &str| kind_of(StatusCode::from_u16(status).unwrap(), code);
        assert_eq!(kind(403, ""), ErrorKind::Denied);
        assert_eq!(kind(400, "ExpiredToken"), ErrorKind::Denied);
        assert_eq!(kind(404, "NoSuchBucket"), ErrorKind::NotFound);
        assert_eq!(kind(409, "BucketAlreadyOwnedByYou"), ErrorKind::AlreadyExists);
        assert_eq!(kind(409, "OperationAborted"), ErrorKind::Unavailable);
        assert_eq!(kind(503, "SlowDown"), ErrorKind::Unavailable);
        assert_eq!(kind(507, "XMinioStorageFull"), ErrorKind::Exhausted);
        assert_eq!(kind(400, "InvalidBucketName"), ErrorKind::Invalid);
    }

    #[test]
    fn paths_keep_their_slashes_and_nothing_else() {
        assert_eq!(encode("b/a b+é%.csv", "/"), "b/a%20b%2B%C3%A9%25.csv");
        assert_eq!(encode("a/b", ""), "a%2Fb");
    }
}
