//! From where this machine reaches the store.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use url::{Host, Url};

use super::super::client::Cluster;
use super::super::names::S3_PORT;
use super::super::store::reachable;
use super::forward::Forward;
use super::settings::SetupSettings;
use crate::error::Result;
use crate::progress::Progress;

/// How long an address may take to answer.
const WITHIN: Duration = Duration::from_secs(2);
/// How often all addresses are tried: rules for packets come a moment after a pod is ready.
const ROUNDS: u32 = 4;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(500);
/// Of so many nodes addresses are tried.
const NODES: u32 = 8;

/// How the store is reached.
#[derive(Debug)]
pub(super) enum Reached {
    /// At this address.
    Directly(String),
    /// By a port that the API server forwards for the moment, and the address where users may have one forwarded.
    Forwarded(Forward, String),
}

impl Reached {
    /// Where it answers now.
    pub(super) fn endpoint(&self) -> &str {
        match self {
            Self::Directly(url) => url,
            Self::Forwarded(forward, _) => forward.endpoint(),
        }
    }

    /// Where it will answer later.
    pub(super) fn lasting_url(&self) -> &str {
        match self {
            Self::Directly(url) | Self::Forwarded(_, url) => url,
        }
    }
}

/// Finds an address that answers; where none does, forwards a port of the store's pod.
pub(super) async fn reach(
    cluster: &Cluster,
    settings: &SetupSettings,
    pod: &str,
    progress: &dyn Progress,
) -> Result<Reached> {
    let candidates = candidates(cluster, settings).await;
    for round in 0..ROUNDS {
        if round > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let answers = join_all(candidates.iter().map(|url| reachable(settings.store, url, WITHIN))).await;
        if let Some((url, _)) = candidates.iter().zip(answers).find(|(_, answers)| *answers) {
            return Ok(Reached::Directly(url.clone()));
        }
        if candidates.is_empty() {
            break;
        }
    }
    if !candidates.is_empty() {
        progress.note(&format!("the store answers at none of {} from here", candidates.join(", ")));
    }
    let forward = Forward::open(cluster, pod, S3_PORT).await?;
    Ok(Reached::Forwarded(forward, format!("http://127.0.0.1:{S3_PORT}")))
}

/// Where the store may answer: where the API server is, on the nodes, at the host of the ingress; and by its name, for
/// who is in the cluster already.
async fn candidates(cluster: &Cluster, settings: &SetupSettings) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(ports) = settings.node_ports.at() {
        let api = Url::parse(cluster.address()).ok().and_then(|url| url.host().map(|host| host.to_owned()));
        let hosts = api.into_iter().chain(node_hosts(cluster).await);
        found.extend(hosts.map(|host| format!("http://{host}:{}", ports.s3)));
    }
    if let Some(host) = settings.ingress.at() {
        found.push(format!("http://{host}"));
    }
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        found.push(settings.within(cluster.namespace()).0);
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|url| seen.insert(url.clone()));
    found
}

/// The addresses of nodes, those for the outside first; none for who may not see nodes.
async fn node_hosts(cluster: &Cluster) -> Vec<Host> {
    let nodes: Api<Node> = Api::all(cluster.client().clone());
    let Ok(nodes) = nodes.list(&ListParams::default().limit(NODES)).await else { return Vec::new() };
    let addresses: Vec<_> = nodes.items.into_iter().filter_map(|node| node.status?.addresses).flatten().collect();
    let of_kind = |kind: &str| {
        let those = addresses.iter().filter(|address| address.type_ == kind);
        those.filter_map(|address| host(&address.address)).collect::<Vec<_>>()
    };
    [of_kind("ExternalIP"), of_kind("InternalIP")].concat()
}

/// An address as a part of a URL.
fn host(address: &str) -> Option<Host> {
    match address.parse() {
        Ok(address) => Some(Host::Ipv6(address)),
        Err(_) => Host::parse(address).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_parts_of_urls() {
        assert_eq!(host("10.0.0.7").unwrap().to_string(), "10.0.0.7");
        assert_eq!(host("fd00::7").unwrap().to_string(), "[fd00::7]");
    }
}
