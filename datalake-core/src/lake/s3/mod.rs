//! A lake on S3 or a compatible server: buckets by requests of our own, objects through `object_store`.

mod answers;
mod request;
#[cfg(feature = "k8s")]
mod server;
mod settings;
mod uploads;

use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use http::Method;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig, StaticCredentialProvider};
use serde::de::DeserializeOwned;

use self::answers::BucketList;
use self::request::{Failure, Request, Requests};
use self::settings::Settings;
use super::{Bucket, BucketInfo, BucketName, Lake, LakeOptions, not_empty, store_error};
use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "k8s")]
pub(crate) use self::{
    request::{Failure as S3Failure, Request as S3Request},
    server::knock,
    settings::endpoint_of,
};

/// How long an endpoint may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an endpoint may be silent, with time to receive a part of 8 MiB over a slow line.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// A lake on an S3 endpoint, whose buckets are addressed by path (`http://host/bucket/key`).
///
/// Credentials are static: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, else the keys of the
/// profile `AWS_PROFILE` in the AWS files. The region is what the host names, else `AWS_REGION`,
/// `AWS_DEFAULT_REGION`, the profile's, or `us-east-1`. No message shows a secret.
#[derive(Debug, Clone)]
pub struct S3Lake {
    requests: Arc<Requests>,
    retry: RetryConfig,
    sweep_after: TimeDelta,
    is_aws: bool,
}

/// Gives every bucket of a lake the same pool of connections.
#[derive(Debug)]
struct SharedClient(HttpClient);

#[deny(clippy::missing_trait_methods)]
impl HttpConnector for SharedClient {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// The lake at an endpoint.
pub(super) fn open(url: &str, options: &LakeOptions) -> Result<Arc<dyn Lake>> {
    Ok(Arc::new(S3Lake::open(url, options)?))
}

impl S3Lake {
    /// The lake at an endpoint, such as `http://127.0.0.1:9000`, or `s3:` for the one of the environment. Nothing is
    /// asked of it yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the URL is not an endpoint's; [`ErrorKind::Denied`] without credentials;
    /// [`ErrorKind::Unsupported`] for credentials that are not static.
    pub fn open(url: &str, options: &LakeOptions) -> Result<Self> {
        let settings = Settings::resolve(url, &|name: &str| variable(options, name))?;
        Self::new(settings, options)
    }

    fn new(settings: Settings, options: &LakeOptions) -> Result<Self> {
        let is_aws = settings.is_aws();
        let Settings { endpoint, region, credential } = settings;
        let http = http_client(&endpoint)?;
        let credential = Arc::new(credential);
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(5),
                base: 2.0,
            },
            max_retries: usize::MAX,
            retry_timeout: options.retry_timeout,
        };
        let requests = Requests { http, endpoint, region, credential, retry_timeout: options.retry_timeout };
        let sweep_after = TimeDelta::from_std(options.sweep_after).unwrap_or(TimeDelta::MAX);
        Ok(Self { requests: Arc::new(requests), retry, sweep_after, is_aws })
    }

    fn open_bucket(&self, name: &BucketName) -> Result<Bucket> {
        let AwsCredential { key_id, secret_key, token } = &*self.requests.credential;
        let credential = AwsCredential { key_id: key_id.clone(), secret_key: secret_key.clone(), token: token.clone() };
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.requests.endpoint)
            .with_region(&self.requests.region)
            .with_bucket_name(name.as_str())
            .with_virtual_hosted_style_request(false)
            .with_allow_http(self.requests.endpoint.starts_with("http://"))
            .with_credentials(Arc::new(StaticCredentialProvider::new(credential)))
            .with_http_connector(SharedClient(self.requests.http.clone()))
            .with_retry(self.retry.clone())
            .build()
            .map_err(|cause| store_error("open", bucket_called(name), cause))?;
        Ok(Bucket::new(name.clone(), Arc::new(store)))
    }

    /// Whether there is a bucket of this name that we may see.
    async fn exists(&self, name: &BucketName) -> Result<bool, Failure> {
        match self.requests.send(&Request::new(Method::HEAD, name.as_str())).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.status() == Some(404) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn read<T: DeserializeOwned>(&self, action: &str, subject: impl Display, answer: &[u8]) -> Result<T> {
        quick_xml::de::from_reader(answer).map_err(|cause| {
            Error::invalid(action, subject)
                .with_reason(format_args!("the answer of {self} is not S3's"))
                .with_hint("check that the lake's URL is the endpoint, not a web page such as a console")
                .with_source(cause)
        })
    }

    /// What Amazon wants to be told of a new bucket; other servers may refuse to hear it.
    fn constraint(&self) -> String {
        let region = &self.requests.region;
        if !self.is_aws || region == "us-east-1" {
            return String::new();
        }
        format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    }

    fn already_exists(&self, name: &BucketName) -> Error {
        Error::new(ErrorKind::AlreadyExists, "create", self.bucket_at(name))
    }

    fn missing(&self, action: &str, name: &BucketName) -> Error {
        Error::not_found(action, self.bucket_at(name))
            .with_hint(format_args!("`datalake ls` lists the buckets; `datalake mb {name}` makes one"))
    }

    fn bucket_at(&self, name: &BucketName) -> String {
        format!("{} of {self}", bucket_called(name))
    }
}

/// A variable that the options set, else one of the environment; set to nothing counts as not set.
fn variable(options: &LakeOptions, name: &str) -> Option<String> {
    let own = options.variables.get(name).cloned();
    own.or_else(|| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

fn bucket_called(name: &BucketName) -> String {
    format!("bucket `{name}`")
}

fn http_client(endpoint: &str) -> Result<HttpClient> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("datalake/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        // Certificates are not searched for where none is checked: a small container may have none.
        .tls_built_in_root_certs(endpoint.starts_with("https://"))
        .build();
    client.map(HttpClient::new).map_err(|cause| {
        Error::invalid("open", endpoint)
            .with_reason("no HTTP client can be made")
            .with_hint("install the certificates of the usual authorities (package ca-certificates)")
            .with_source(cause)
    })
}

impl Display for S3Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.requests.endpoint)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Lake for S3Lake {
    async fn bucket(&self, name: &BucketName) -> Result<Bucket> {
        match self.exists(name).await {
            Ok(true) => self.open_bucket(name),
            Ok(false) => Err(self.missing("open", name)),
            Err(failure) => Err(self.requests.explain("open", bucket_called(name), failure)),
        }
    }

    async fn create_bucket(&self, name: &BucketName) -> Result<Bucket> {
        let failed = |failure| self.requests.explain("create", bucket_called(name), failure);
        // Amazon's first region says "done" for a bucket that we have already.
        if self.exists(name).await.map_err(failed)? {
            return Err(self.already_exists(name));
        }
        let request = Request::new(Method::PUT, name.as_str()).with_body(self.constraint());
        match self.requests.send(&request).await {
            Ok(_) => self.open_bucket(name),
            Err(failure) if failure.code() == "BucketAlreadyOwnedByYou" => Err(self.already_exists(name)),
            Err(failure) if failure.code() == "BucketAlreadyExists" => Err(self
                .already_exists(name)
                .with_reason("the name is taken by somebody else")
                .with_hint("set DATALAKE_BUCKET_PREFIX to something of your own")),
            Err(failure) => Err(failed(failure)),
        }
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>> {
        let answer = self.requests.send(&Request::new(Method::GET, "")).await;
        let answer =
            answer.map_err(|failure| self.requests.explain("list", format_args!("the buckets of {self}"), failure))?;
        let list: BucketList = self.read("list", format_args!("the buckets of {self}"), &answer)?;
        // Servers of old allowed names that the rules of today do not; no logical name leads to these.
        let named = list.buckets.bucket.into_iter().filter_map(|bucket| {
            let name = BucketName::new(bucket.name).ok()?;
            Some(BucketInfo { name, created: Some(bucket.creation_date) })
        });
        let mut buckets: Vec<_> = named.collect();
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(buckets)
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<()> {
        match self.requests.send(&Request::new(Method::DELETE, name.as_str())).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.status() == Some(404) => Err(self.missing("delete", name)),
            Err(failure) if failure.code() == "BucketNotEmpty" => Err(not_empty(&self.bucket_at(name), name)),
            Err(failure) => Err(self.requests.explain("delete", bucket_called(name), failure)),
        }
    }

    async fn sweep(&self, name: &BucketName) -> Result<u64> {
        if !self.exists(name).await.map_err(|failure| self.requests.explain("sweep", bucket_called(name), failure))? {
            return Err(self.missing("sweep", name));
        }
        self.abort_uploads(name, None, self.sweep_after).await
    }
}
