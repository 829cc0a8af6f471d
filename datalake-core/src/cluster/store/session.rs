//! A server spoken to with one key: its requests, whether a key is accepted, and failures with what to do.

use std::fmt::Display;

use bytes::Bytes;
use http::Method;

use super::{Key, PATIENCE, StoreKind};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{BucketName, Lake, LakeOptions, S3Failure as Failure, S3Lake, S3Request as Request};

/// What else of the environment would have a say in a key or a region. A server of the cluster is meant by none of it.
const NOT_MEANT: [&str; 4] = ["HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_DEFAULT_REGION"];

/// A server, and the key that requests to it are signed with.
#[derive(Debug)]
pub(super) struct Session {
    kind: StoreKind,
    region: Option<String>,
    lake: S3Lake,
}

impl Session {
    /// Nothing is asked of the server yet. The region is that of an external one, by default that of the environment.
    pub(super) fn open(kind: StoreKind, endpoint: &str, region: Option<&str>, key: &Key) -> Result<Self> {
        let options = LakeOptions::default()
            .with_retry_timeout(PATIENCE)
            .with_variable("AWS_ACCESS_KEY_ID", &key.access_key_id)
            .with_variable("AWS_SECRET_ACCESS_KEY", &key.secret_access_key)
            .with_variable("AWS_SESSION_TOKEN", "")
            .with_variable("AWS_PROFILE", "");
        let options = match kind {
            // The region is part of where another server is.
            StoreKind::External => match region {
                Some(region) => options.with_variable("AWS_REGION", region),
                None => options,
            },
            StoreKind::Minio | StoreKind::Versitygw => {
                let options = options.with_variable("AWS_REGION", "us-east-1");
                NOT_MEANT.iter().fold(options, |options, name| options.with_variable(*name, ""))
            }
        };
        Ok(Self { kind, region: region.map(ToOwned::to_owned), lake: S3Lake::open(endpoint, &options)? })
    }

    /// The lake on this server, whose buckets have their real names.
    pub(super) fn lake(&self) -> &S3Lake {
        &self.lake
    }

    /// A key as messages call it.
    pub(super) fn key_called(&self, access_key_id: &str) -> String {
        format!("the access key `{access_key_id}` of {}", self.lake)
    }

    /// Makes a bucket unless it is there.
    pub(super) async fn make_bucket(&self, name: &BucketName) -> Result<()> {
        match self.lake.bucket(name).await {
            Err(missing) if missing.kind() == ErrorKind::NotFound => {}
            done => return done.map(drop).map_err(|error| self.with_advice(error)),
        }
        match self.lake.create_bucket(name).await {
            // Somebody else made it meanwhile: for us, or for himself.
            Err(taken) if taken.kind() == ErrorKind::AlreadyExists => {
                self.lake.bucket(name).await.map(drop).map_err(|_| taken)
            }
            done => done.map(drop).map_err(|error| self.with_advice(error)),
        }
    }

    /// The names of all buckets.
    pub(super) async fn buckets(&self) -> Result<Vec<BucketName>> {
        let buckets = self.lake.buckets().await.map_err(|error| self.with_advice(error))?;
        Ok(buckets.into_iter().map(|info| info.name).collect())
    }

    /// The answer to a request.
    pub(super) async fn ask(&self, action: &str, subject: impl Display, request: &Request) -> Result<Bytes> {
        let answer = self.lake.requests().send(request).await;
        answer.map_err(|failure| self.explain(action, subject, failure))
    }

    /// The answer to a request, `None` if the server says by this code that there is nothing of the kind.
    pub(super) async fn find(
        &self,
        action: &str,
        subject: impl Display,
        request: &Request,
        absent: &str,
    ) -> Result<Option<Bytes>> {
        match self.lake.requests().send(request).await {
            Err(failure) if failure.code() == absent => Ok(None),
            done => done.map(Some).map_err(|failure| self.explain(action, subject, failure)),
        }
    }

    /// Whether the server takes this key and its secret, whatever they are allowed to do.
    pub(super) async fn accepts(&self, key: &Key) -> Result<bool> {
        let other = Self::open(self.kind, &self.lake.to_string(), self.region.as_deref(), key)?;
        match other.lake.requests().send(&Request::new(Method::GET, "")).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_of_key() => Ok(false),
            // A key with nothing to see.
            Err(failure) if failure.status() == Some(403) => Ok(true),
            Err(failure) => Err(self.explain("try", self.key_called(&key.access_key_id), failure)),
        }
    }

    /// An answer that is not what a server of this kind says.
    pub(super) fn not_understood(&self, action: &str, subject: impl Display) -> Error {
        Error::invalid(action, subject)
            .with_reason(format_args!("the answer of {} is not {}'s", self.lake, self.kind))
            .with_hint("check that the endpoint is the server's, and that its version is supported")
    }

    fn explain(&self, action: &str, subject: impl Display, failure: Failure) -> Error {
        self.with_advice(self.lake.requests().explain(action, subject, failure))
    }

    /// Says of a refusal which key was meant.
    fn with_advice(&self, error: Error) -> Error {
        match (error.kind(), self.kind) {
            (ErrorKind::Denied, StoreKind::Minio) => error.with_hint(
                "give the root key that MinIO was started with: MINIO_ROOT_USER and MINIO_ROOT_PASSWORD in its Secret",
            ),
            (ErrorKind::Denied, StoreKind::Versitygw) => error.with_hint(
                "give the root key that versitygw was started with: ROOT_ACCESS_KEY and ROOT_SECRET_KEY in its Secret",
            ),
            (ErrorKind::Denied, StoreKind::External) => {
                error.with_hint("give a key that may make buckets on this server, or make the buckets there first")
            }
            (ErrorKind::Unsupported, StoreKind::Versitygw) => {
                error.with_hint("start versitygw with --iam-dir: without, it knows the root key only")
            }
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        let key = Key { access_key_id: "ROOT".to_owned(), secret_access_key: "hush-hush".to_owned() };
        for kind in [StoreKind::Minio, StoreKind::Versitygw, StoreKind::External] {
            let session = Session::open(kind, "http://127.0.0.1:9000", None, &key).unwrap();
            assert!(!format!("{session:?}").contains("hush"), "{session:?}");
        }
    }
}
