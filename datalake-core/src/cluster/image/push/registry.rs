//! A registry that an image is sent to: its requests, each tried again a few times, none waited for without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::HeaderValue;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Reference, RegistryOperation};

use super::super::{Blob, internal};
use super::credentials::Credentials;
use super::destination::Destination;
use super::refusal::{Answered, Refusal};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// To reach a registry. With the pauses between attempts, an address where nobody listens is given up within 30 seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between attempts.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The longest time in which nothing is heard and nothing is taken. A registry may look through all of a blob before it
/// answers.
const SILENCE: Duration = Duration::from_secs(120);

/// Bytes of a blob that are handed over at a time.
const PIECE: usize = 256 << 10;

pub(super) struct Registry<'a> {
    client: Client,
    destination: &'a Destination,
    credentials: &'a Credentials,
    /// Bytes of blobs that were handed over, so that one that goes slowly is told from one that stands.
    taken: Arc<AtomicU64>,
}

impl<'a> Registry<'a> {
    pub(super) fn new(destination: &'a Destination, credentials: &'a Credentials) -> Result<Self> {
        // Fails where the process has chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = ClientConfig {
            protocol: if destination.is_local { ClientProtocol::Http } else { ClientProtocol::Https },
            // One request for a blob, which all registries know; not all take pieces.
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT_TIMEOUT),
            user_agent: concat!("datalake/", env!("CARGO_PKG_VERSION")),
            // A proxy does not lead to this machine. One that is for nothing is the client's only way to have none.
            http_proxy: destination.is_local.then(|| "http://127.0.0.1".to_owned()),
            no_proxy: destination.is_local.then(|| "*,0.0.0.0/0,::/0".to_owned()),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|cause| {
            Error::invalid("push", destination.reference.whole())
                .with_reason("no HTTP client can be made")
                .with_hint("install the certificates of the usual authorities (package ca-certificates)")
                .with_source(cause)
        })?;
        Ok(Self { client, destination, credentials, taken: Arc::default() })
    }

    /// Learns how the registry wants to know who pushes, and tells it.
    pub(super) async fn log_in(&self) -> Result<()> {
        let auth = self.credentials.auth();
        let answer = self.ask(|| self.client.auth(self.reference(), auth, RegistryOperation::Push)).await;
        answer.map(drop).map_err(|refusal| self.explain(refusal))
    }

    /// Whether the registry has a blob.
    pub(super) async fn has(&self, blob: &Blob) -> Result<bool> {
        let digest = blob.name();
        match self.ask(|| self.client.blob_exists(self.reference(), &digest)).await {
            // Who may not look may be allowed to push; if not, that is said then.
            Err(refusal) if matches!(refusal.status(), Some(401 | 403 | 405)) => Ok(false),
            answer => answer.map_err(|refusal| self.explain(refusal)),
        }
    }

    /// Sends a blob, and tells of its bytes as they go.
    pub(super) async fn send(&self, blob: &Blob, progress: &Arc<dyn Progress>) -> Result<()> {
        let (digest, size) = (blob.name(), blob.bytes.len() as u64);
        let shown = Arc::new(AtomicU64::new(0));
        let sent = self.ask(|| {
            let pieces = pieces(&blob.bytes, &self.taken, &shown, progress);
            self.client.push_blob_stream(self.reference(), pieces, &digest, Some(size))
        });
        match sent.await {
            // Some registries take a blob and do not say where it is.
            Err(refusal) if refusal.is_about_form() && self.has(blob).await? => Ok(()),
            answer => answer.map(drop).map_err(|refusal| self.explain(refusal)),
        }
    }

    /// Puts a manifest, whose blobs are there, under the tag.
    pub(super) async fn tag(&self, manifest: &Blob) -> Result<()> {
        let media_type = HeaderValue::from_str(manifest.media_type.as_ref())
            .map_err(|cause| internal("name", "a media type", cause))?;
        let put = || self.client.push_manifest_raw(self.reference(), manifest.bytes.clone(), media_type.clone());
        self.ask(put).await.map(drop).map_err(|refusal| self.explain(refusal))
    }

    fn reference(&self) -> &Reference {
        &self.destination.reference
    }

    fn explain(&self, refusal: Refusal) -> Error {
        refusal.explain(self.destination, self.credentials.is_anonymous())
    }

    /// Asks some more times where that may help.
    async fn ask<T, W>(&self, mut request: impl FnMut() -> W) -> Answered<T>
    where
        W: Future<Output = Result<T, OciDistributionError>>,
    {
        for pause in PAUSES {
            match self.watch(request()).await {
                Err(refusal) if refusal.is_transient() => tokio::time::sleep(pause).await,
                answer => return answer,
            }
        }
        self.watch(request()).await
    }

    /// Waits for an answer for as long as something goes on.
    async fn watch<T>(&self, request: impl Future<Output = Result<T, OciDistributionError>>) -> Answered<T> {
        tokio::pin!(request);
        loop {
            let before = self.taken.load(Ordering::Relaxed);
            match tokio::time::timeout(SILENCE, &mut request).await {
                Ok(answer) => return answer.map_err(Refusal::Answer),
                Err(_) if self.taken.load(Ordering::Relaxed) == before => {
                    return Err(Refusal::Silence(SILENCE.as_secs()));
                }
                Err(_) => {}
            }
        }
    }
}

/// A blob in pieces. What is sent a second time is not shown again.
fn pieces(
    bytes: &Bytes,
    taken: &Arc<AtomicU64>,
    shown: &Arc<AtomicU64>,
    progress: &Arc<dyn Progress>,
) -> impl Stream<Item = Result<Bytes, OciDistributionError>> + Send + use<> {
    let (bytes, taken, shown, progress) = (bytes.clone(), Arc::clone(taken), Arc::clone(shown), Arc::clone(progress));
    stream::iter((0..bytes.len()).step_by(PIECE)).map(move |start| {
        let end = bytes.len().min(start + PIECE);
        taken.fetch_add((end - start) as u64, Ordering::Relaxed);
        let before = shown.fetch_max(end as u64, Ordering::Relaxed);
        progress.advance((end as u64).saturating_sub(before));
        Ok(bytes.slice(start..end))
    })
}
