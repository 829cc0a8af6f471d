//! A port of a pod brought to this machine, through the API server, for as long as the value lives.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::super::client::{Cluster, failed};
use crate::error::{Error, Result};

/// Forwards connections to a port of loopback.
#[derive(Debug)]
pub(super) struct Forward {
    endpoint: String,
    task: JoinHandle<()>,
}

impl Forward {
    /// Opens a free port of loopback for a port of a pod.
    pub(super) async fn open(cluster: &Cluster, pod: &str, port: u16) -> Result<Self> {
        let pods: Api<Pod> = cluster.api();
        // Whether it may be done at all is heard here, and not by connections that break.
        let trial = pods.portforward(pod, &[port]).await;
        drop(trial.map_err(|cause| failed("forward", format_args!("port {port} of the pod {pod}"), cause))?);
        let io = |cause| Error::io("listen on", "a port of loopback", cause);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(io)?);
        let task = tokio::spawn(serve(listener, pods, pod.to_owned(), port));
        Ok(Self { endpoint, task })
    }

    /// Where it listens.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, pods: Api<Pod>, pod: String, port: u16) {
    // They end with this task.
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(pass(connection, pods.clone(), pod.clone(), port));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes bytes either way until one side is through. What breaks is seen by who has connected.
async fn pass(mut connection: TcpStream, pods: Api<Pod>, pod: String, port: u16) {
    let Ok(mut forwarder) = pods.portforward(&pod, &[port]).await else { return };
    if let Some(mut stream) = forwarder.take_stream(port) {
        let _ = tokio::io::copy_bidirectional(&mut connection, &mut stream).await;
    }
}
