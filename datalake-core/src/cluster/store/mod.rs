//! The object store of a cluster made ready: buckets, and a key for Jobs that opens them and nothing else.

mod key;
mod minio;
mod policy;
mod sealed;
mod session;
mod versitygw;

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use http::StatusCode;

use self::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{BucketName, knock};

pub use self::key::Key;

/// How long a server that was just started may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one question whether it does may take.
const ONE_LOOK: Duration = Duration::from_secs(5);
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Which server keeps the lake's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreKind {
    /// MinIO, whose admin API is on the same endpoint.
    Minio,
    /// versitygw, started with `--iam-dir`, whose admin API is on the same endpoint.
    Versitygw,
    /// Any other S3, whose keys are made elsewhere.
    External,
}

impl Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minio => "MinIO",
            Self::Versitygw => "versitygw",
            Self::External => "S3",
        })
    }
}

/// Makes buckets where they are missing, and the key that Jobs use. It may read, write and delete objects of these
/// buckets and list them; it may neither make nor delete buckets, nor see anything else.
///
/// Run again with the same keys and buckets it changes nothing. With another secret for the same access key the old
/// secret ends at once; with other buckets the key is for those alone. Buckets are named as they really are on the
/// server.
///
/// On an [external](StoreKind::External) server the buckets are made by the root key, and no other: the key for Jobs is
/// made by whoever runs the server, and `jobs` is not looked at.
///
/// A server that does not answer yet is waited for, up to 60 seconds.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the endpoint is none, no bucket is named, or both keys are the same one;
/// [`ErrorKind::Unavailable`] if the server does not answer in time; [`ErrorKind::Denied`] if it refuses the root key;
/// [`ErrorKind::Unsupported`] if it keeps no keys; [`ErrorKind::AlreadyExists`] if a bucket belongs to somebody else. No
/// message shows a secret.
pub async fn prepare(kind: StoreKind, endpoint: &str, root: &Key, jobs: &Key, buckets: &[BucketName]) -> Result<()> {
    let session = Session::open(kind, endpoint, None, root)?;
    not_root(kind, root, &jobs.access_key_id)?;
    make_buckets(&session, kind, endpoint, buckets).await?;
    match kind {
        StoreKind::Minio => minio::grant(&session, root, jobs, buckets).await,
        StoreKind::Versitygw => versitygw::grant(&session, jobs, buckets).await,
        StoreKind::External => Ok(()),
    }
}

/// [`prepare`] for an [external](StoreKind::External) server of this region, whatever the environment says of one.
///
/// # Errors
/// As [`prepare`].
pub async fn prepare_external(endpoint: &str, region: &str, key: &Key, buckets: &[BucketName]) -> Result<()> {
    let session = Session::open(StoreKind::External, endpoint, Some(region), key)?;
    make_buckets(&session, StoreKind::External, endpoint, buckets).await
}

async fn make_buckets(session: &Session, kind: StoreKind, endpoint: &str, buckets: &[BucketName]) -> Result<()> {
    if buckets.is_empty() {
        return Err(Error::invalid("prepare", endpoint).with_reason("no bucket is named"));
    }
    await_answer(kind, endpoint, PATIENCE).await?;
    for bucket in buckets {
        session.make_bucket(bucket).await?;
    }
    Ok(())
}

/// Removes a key that [`prepare`] made, and what it was allowed: from then on it is refused, and so are temporary keys
/// that were had for it. A key that is not there is no error.
///
/// After a leak make a key of another name, then remove the old one: with another secret alone, temporary keys of
/// MinIO's would last until their time is over.
///
/// # Errors
/// As [`prepare`]; [`ErrorKind::Unsupported`] on an [external](StoreKind::External) server.
pub async fn remove_key(kind: StoreKind, endpoint: &str, root: &Key, access_key_id: &str) -> Result<()> {
    let session = Session::open(kind, endpoint, None, root)?;
    not_root(kind, root, access_key_id)?;
    match kind {
        StoreKind::External => {
            return Err(Error::new(ErrorKind::Unsupported, "remove", session.key_called(access_key_id))
                .with_reason("keys of an external server are not made by datalake")
                .with_hint("remove it where it was made"));
        }
        StoreKind::Minio | StoreKind::Versitygw => await_answer(kind, endpoint, PATIENCE).await?,
    }
    match kind {
        StoreKind::Minio => minio::remove(&session, access_key_id).await,
        StoreKind::Versitygw | StoreKind::External => versitygw::remove(&session, access_key_id).await,
    }
}

/// Whether a server of this kind answers at an endpoint within a time. No key is needed, and none is sent.
///
/// MinIO is asked for its health; versitygw, whose health has a path only where one is set, is known by the name in its
/// answers; of another server any answer will do that is not a failure of its own.
pub async fn reachable(kind: StoreKind, endpoint: &str, within: Duration) -> bool {
    let path = if kind == StoreKind::Minio { "/minio/health/live" } else { "/" };
    let Some((status, server)) = knock(endpoint, path, within).await else { return false };
    match kind {
        StoreKind::Minio => status == StatusCode::OK,
        StoreKind::Versitygw => server.is_some_and(|name| name.eq_ignore_ascii_case("versitygw")),
        StoreKind::External => !status.is_server_error(),
    }
}

/// Waits until the server answers.
async fn await_answer(kind: StoreKind, endpoint: &str, patience: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        let left = patience.saturating_sub(start.elapsed());
        if reachable(kind, endpoint, left.min(ONE_LOOK)).await {
            return Ok(());
        }
        if start.elapsed() + PAUSE >= patience {
            return Err(Error::new(ErrorKind::Unavailable, "reach", endpoint)
                .with_reason(format_args!("{kind} did not answer within {} s", patience.as_secs_f32()))
                .with_hint("check that its Pod runs, and that this machine reaches the endpoint"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Jobs must not hold the root key, and it must not be removed.
fn not_root(kind: StoreKind, root: &Key, access_key_id: &str) -> Result<()> {
    if kind == StoreKind::External || access_key_id != root.access_key_id {
        return Ok(());
    }
    Err(Error::invalid("use", format_args!("the access key `{access_key_id}`"))
        .with_reason(format_args!("it is the root key of {kind}"))
        .with_hint("give Jobs a key of their own"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn key(id: &str) -> Key {
        Key { access_key_id: id.to_owned(), secret_access_key: "hush-hush".to_owned() }
    }

    fn nobody() -> String {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        format!("http://127.0.0.1:{port}")
    }

    #[tokio::test]
    async fn nobody_is_not_reached_and_waited_for_in_vain() {
        for kind in [StoreKind::Minio, StoreKind::Versitygw, StoreKind::External] {
            assert!(!reachable(kind, &nobody(), Duration::from_secs(1)).await);
            assert!(!reachable(kind, "not an endpoint", Duration::from_secs(1)).await);
        }
        let error = await_answer(StoreKind::Minio, &nobody(), Duration::from_millis(700)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("MinIO did not answer within 0.7 s"), "{error}");
    }

    #[tokio::test]
    async fn one_who_comes_late_is_waited_for() {
        let endpoint = nobody();
        let address = endpoint.replace("http://", "");
        let late = thread::spawn(move || {
            thread::sleep(PAUSE);
            let (mut caller, _) = TcpListener::bind(address).unwrap().accept().unwrap();
            let asked = caller.read(&mut [0; 4096]).unwrap();
            caller.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            asked
        });
        await_answer(StoreKind::Minio, &endpoint, PATIENCE).await.unwrap();
        assert!(late.join().unwrap() > 0);
    }

    #[tokio::test]
    async fn requests_to_an_external_server_are_signed_for_its_region() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            for caller in listener.incoming() {
                let (mut caller, mut asked) = (caller.unwrap(), vec![0; 8192]);
                let length = caller.read(&mut asked).unwrap();
                caller.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
                let asked = String::from_utf8_lossy(&asked[..length]).to_ascii_lowercase();
                if asked.contains("authorization") {
                    return asked;
                }
            }
            String::new()
        });
        let buckets = [BucketName::new("raw-data").unwrap()];
        // What the server says is nothing that S3 would say: the request counts.
        let _ = prepare_external(&endpoint, "eu-far-7", &key("ID"), &buckets).await;
        assert!(server.join().unwrap().contains("/eu-far-7/s3/"));
    }

    #[tokio::test]
    async fn one_who_listens_and_says_nothing_is_not_reached() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        assert!(!reachable(StoreKind::External, &endpoint, Duration::from_millis(200)).await);
    }

    #[tokio::test]
    async fn the_root_key_is_neither_given_to_jobs_nor_removed() {
        for kind in [StoreKind::Minio, StoreKind::Versitygw] {
            let given = prepare(kind, &nobody(), &key("ROOT"), &key("ROOT"), &[]).await.unwrap_err();
            let removed = remove_key(kind, &nobody(), &key("ROOT"), "ROOT").await.unwrap_err();
            for error in [given, removed] {
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(!format!("{error:?}").contains("hush"), "{error:?}");
            }
        }
        let external = remove_key(StoreKind::External, &nobody(), &key("ROOT"), "JOBS").await.unwrap_err();
        assert_eq!(external.kind(), ErrorKind::Unsupported);
    }

    #[tokio::test]
    async fn what_is_no_endpoint_and_no_buckets_are_not_waited_for() {
        for endpoint in ["ftp://host", &nobody()] {
            let error = prepare(StoreKind::Minio, endpoint, &key("ROOT"), &key("JOBS"), &[]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{endpoint}");
        }
    }
}
