//! Serves metrics over HTTP, at `/metrics`, to whoever scrapes.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::error::{Error, Result};
use crate::pipeline::metrics::OPENMETRICS;

/// Where metrics are served.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsServer {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn bind(address: SocketAddr) -> Result<Self> {
        let failed = |cause| Error::io("serve metrics at", address, cause);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers each request with what `text` gives then, until it is dropped.
    ///
    /// # Errors
    /// When no more connections are taken.
    pub async fn serve<F, T>(self, text: F) -> Result<Infallible>
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String>> + Send + 'static,
    {
        let text = Arc::new(text);
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) =
                self.listener.accept().await.map_err(|cause| Error::io("serve metrics at", self.address, cause))?;
            // Those that have ended leave.
            while connections.try_join_next().is_some() {}
            let text = Arc::clone(&text);
            let service = service_fn(move |request| answer(request, Arc::clone(&text)));
            connections.spawn(async move {
                let mut server = http1::Builder::new();
                // A scraper that breaks off is its own business.
                let _ = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

async fn answer<F, T>(request: Request<Incoming>, text: Arc<F>) -> Result<Response<String>, Infallible>
where
    F: Fn() -> T,
    T: Future<Output = Result<String>>,
{
    let plain = |status, body: String| {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response
    };
    if request.method() != Method::GET {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()));
    }
    if request.uri().path() != "/metrics" {
        return Ok(plain(StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned()));
    }
    Ok(match text().await {
        Ok(metrics) => {
            let mut response = Response::new(metrics);
            response
                .headers_mut()
                .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(OPENMETRICS));
            response
        }
        Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_are_served_as_they_are_then() {
        let server = MetricsServer::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = server.address();
        let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counter = Arc::clone(&asked);
        let serving = tokio::spawn(server.serve(move || {
            let number = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { Ok(format!("asked {number}\n")) }
        }));
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let first = ask(address, &get("/metrics")).await;
        assert!(
            first.starts_with("HTTP/1.1 200") && first.contains(OPENMETRICS) && first.ends_with("asked 0\n"),
            "{first}"
        );
        assert!(ask(address, &get("/metrics")).await.ends_with("asked 1\n"));
        assert!(ask(address, &get("/")).await.starts_with("HTTP/1.1 404"));
        let post = "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(ask(address, post).await.starts_with("HTTP/1.1 405"));
        serving.abort();
    }
}
