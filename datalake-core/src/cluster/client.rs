//! The connection to a cluster, and its answers as errors that say what is missing.

use std::borrow::Cow;
use std::fmt::{self, Debug};

use k8s_openapi::NamespaceResourceScope;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config, Resource};

use super::names::NAMESPACE;
use super::profile::ClusterProfile;
use crate::error::{Error, ErrorKind, Result};

/// The oldest minor version of the API that is spoken to, of major version 1.
const OLDEST_MINOR: u32 = 33;
/// Where K3s leaves the configuration of its administrator.
const K3S_CONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// Which cluster is meant, and where in it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// The context of the configuration; its current one where none is named.
    pub context: Option<String>,
    /// The namespace of the lake; [`NAMESPACE`] where none is named.
    pub namespace: Option<String>,
    /// Where its API server is known to be: another one is not the cluster that is meant.
    pub address: Option<String>,
}

impl ClusterOptions {
    /// Sets the context.
    #[must_use]
    pub fn with_context(mut self, context: Option<String>) -> Self {
        self.context = context;
        self
    }

    /// Sets the namespace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Option<String>) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets where the API server has to be.
    #[must_use]
    pub fn with_address(mut self, address: Option<String>) -> Self {
        self.address = address;
        self
    }
}

/// A Kubernetes cluster at hand, and the namespace of the lake in it.
///
/// ```no_run
/// # async fn example() -> datalake_core::Result<()> {
/// use datalake_core::cluster::{Cluster, ClusterOptions};
///
/// let cluster = Cluster::connect(&ClusterOptions::default()).await?;
/// println!("{} at {}", cluster.namespace(), cluster.address());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    address: String,
    context: Option<String>,
    namespace: String,
}

impl Cluster {
    /// Connects by `KUBECONFIG`, `~/.kube/config` or what K3s leaves on its server; within a pod by its service account.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) where nothing says how to reach a cluster; [`Denied`](ErrorKind::Denied) for
    /// credentials that are not taken; [`Unavailable`](ErrorKind::Unavailable); [`Unsupported`](ErrorKind::Unsupported)
    /// for a cluster that is too old; [`Invalid`](ErrorKind::Invalid) for one at another address than it should be at.
    pub async fn connect(options: &ClusterOptions) -> Result<Self> {
        // The first of several is as good as any other.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (config, context) = config(options).await?;
        let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        is_meant(options, &address, context.as_deref())?;
        let namespace = options.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned());
        let client = Client::try_from(config).map_err(|cause| failed("reach", &address, cause))?;
        let cluster = Self { client, address, context, namespace };
        cluster.check_version().await?;
        Ok(cluster)
    }

    /// The URL of the API server.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The context that it was found by, where it was found by one: another may be the current one tomorrow.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The namespace of the lake.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// This cluster and namespace, as the commands of `datalake` name them.
    #[must_use]
    pub fn arguments(&self) -> String {
        arguments(self.context(), &self.namespace)
    }

    /// This cluster and namespace, as a profile knows them.
    #[must_use]
    pub fn profile(&self) -> ClusterProfile {
        ClusterProfile::new(self.context.clone(), &self.namespace).with_address(Some(self.address.clone()))
    }

    /// The client, for what is left out here.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Objects of one kind in the lake's namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn check_version(&self) -> Result<()> {
        let found = self.client.apiserver_version().await.map_err(|cause| failed("reach", &self.address, cause))?;
        // Some say `33+`.
        let minor: u32 = found.minor.trim_end_matches('+').parse().unwrap_or(0);
        if found.major == "1" && minor >= OLDEST_MINOR {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, "use", format_args!("the cluster at {}", self.address))
            .with_reason(format_args!("it is Kubernetes {}, and 1.{OLDEST_MINOR} is wanted", found.git_version))
            .with_hint("upgrade the cluster"))
    }
}

impl Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("address", &self.address)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Sees whether the cluster that was found is the one that is meant: a context, or a file of another name, may lead elsewhere
/// than it did.
fn is_meant(options: &ClusterOptions, found: &str, context: Option<&str>) -> Result<()> {
    let Some(meant) = options.address.as_deref().filter(|meant| *meant != found) else { return Ok(()) };
    let by = context.map_or_else(String::new, |context| format!(" by the context {context}"));
    Err(Error::invalid("use", format_args!("the cluster at {found}"))
        .with_reason(format_args!("it was found{by}, and the lake of the profile is in the one at {meant}"))
        .with_hint("say which one is meant by --context and --namespace, or set KUBECONFIG to the file that names it"))
}

/// kubectl in a namespace of the cluster of this context, for people to copy.
pub(crate) fn kubectl(context: Option<&str>, namespace: &str) -> String {
    match context {
        Some(context) => format!("kubectl --context {} -n {namespace}", quoted(context)),
        None => format!("kubectl -n {namespace}"),
    }
}

/// The same for the commands of `datalake`.
fn arguments(context: Option<&str>, namespace: &str) -> String {
    match context {
        Some(context) => format!("--context {} --namespace {namespace}", quoted(context)),
        None => format!("--namespace {namespace}"),
    }
}

/// A context as a shell takes it.
fn quoted(context: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !context.is_empty() && context.chars().all(is_plain) {
        context.into()
    } else {
        format!("'{}'", context.replace('\'', "'\\''")).into()
    }
}

/// How to reach the cluster, and by which context.
async fn config(options: &ClusterOptions) -> Result<(Config, Option<String>)> {
    let named = std::env::var_os("KUBECONFIG").filter(|files| !files.is_empty());
    let home = std::env::home_dir().map(|home| home.join(".kube/config")).filter(|file| file.exists());
    if let Some(files) = named.or(home.map(Into::into)) {
        return of_file(&files.to_string_lossy(), Kubeconfig::read(), options).await;
    }
    if let Ok(config) = Config::incluster() {
        return match &options.context {
            None => Ok((config, None)),
            Some(context) => Err(no_context_within(context)),
        };
    }
    match Kubeconfig::read_from(K3S_CONFIG) {
        Ok(found) => of_file(K3S_CONFIG, Ok(found), options).await,
        Err(_) => Err(Error::not_found("find", "a Kubernetes cluster")
            .with_reason(format_args!(
                "KUBECONFIG is not set, there is neither ~/.kube/config nor a readable {K3S_CONFIG}, and this is no pod"
            ))
            .with_hint(
                "set KUBECONFIG to a file that names the cluster; on a K3s server: mkdir -p ~/.kube && sudo cp \
                 /etc/rancher/k3s/k3s.yaml ~/.kube/config && sudo chown $USER ~/.kube/config",
            )),
    }
}

/// Within a pod there is one cluster, and no context to choose another by.
fn no_context_within(context: &str) -> Error {
    Error::not_found("find", format_args!("the context {context}"))
        .with_reason("this is a pod, and there is neither KUBECONFIG nor ~/.kube/config in it")
        .with_hint("leave the context out to use the cluster of the pod, or set KUBECONFIG to a file that has it")
}

/// `files` is what is read, as it was named.
async fn of_file(
    files: &str,
    found: Result<Kubeconfig, KubeconfigError>,
    options: &ClusterOptions,
) -> Result<(Config, Option<String>)> {
    let unreadable = |cause: KubeconfigError| {
        let reason = match &cause {
            // Never with the lines around it: a token or a password may be in them.
            KubeconfigError::Parse(fault) => match fault.location() {
                Some(place) => {
                    format!("it is no such configuration, at line {}, column {}", place.line(), place.column())
                }
                None => "it is no such configuration".to_owned(),
            },
            other => other.to_string(),
        };
        let hint = match cause {
            KubeconfigError::ReadConfig(..) | KubeconfigError::Parse(_) => {
                "set KUBECONFIG to a file that leads to a cluster"
            }
            _ => "look at `kubectl config view`, and choose a context by --context",
        };
        Error::invalid("read", format_args!("the configuration of the cluster, {files}"))
            .with_reason(reason)
            .with_hint(hint)
    };
    let found = found.map_err(unreadable)?;
    let context = options.context.clone().or_else(|| found.current_context.clone());
    let wanted = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(found, &wanted).await.map_err(unreadable)?;
    Ok((config, context))
}

/// An answer of the API server, or the lack of one, as an error that says what to do.
pub(crate) fn failed(action: &str, subject: impl fmt::Display, cause: kube::Error) -> Error {
    let kube::Error::Api(status) = &cause else {
        return unanswered(action, subject, cause);
    };
    let error = |kind| Error::new(kind, action, &subject).with_reason(status.message.trim());
    match status.code {
        401 => error(ErrorKind::Denied)
            .with_reason("the API server does not take the credentials; has the token or certificate expired?")
            .with_hint("log in to the cluster again, or set KUBECONFIG to a newer file"),
        403 if status.message.contains("exceeded quota") => error(ErrorKind::Exhausted)
            .with_hint("ask for less by --memory and --cpu, or raise the ResourceQuota of the namespace"),
        403 => match missing_rule(&status.message) {
            Some(rule) => error(ErrorKind::Denied).with_hint(rule),
            None => error(ErrorKind::Denied),
        },
        404 => error(ErrorKind::NotFound),
        409 if status.reason == "AlreadyExists" => error(ErrorKind::AlreadyExists),
        400 | 409 | 422 => error(ErrorKind::Invalid),
        408 | 429 | 500..=599 => error(ErrorKind::Unavailable),
        _ => error(ErrorKind::Internal),
    }
}

fn unanswered(action: &str, subject: impl fmt::Display, cause: kube::Error) -> Error {
    let kind = match &cause {
        kube::Error::HyperError(_)
        | kube::Error::Service(_)
        | kube::Error::ReadEvents(_)
        | kube::Error::HttpError(_)
        | kube::Error::UpgradeConnection(_) => ErrorKind::Unavailable,
        kube::Error::Auth(_) => ErrorKind::Denied,
        kube::Error::InferConfig(_) | kube::Error::InferKubeconfig(_) | kube::Error::RustlsTls(_) => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    let error = Error::new(kind, action, subject);
    match kind {
        ErrorKind::Unavailable => error
            .with_reason("the API server does not answer")
            .with_hint("is the cluster up, and the address in KUBECONFIG right?")
            .with_source(cause),
        ErrorKind::Denied => {
            error.with_reason("no credentials could be had").with_hint("log in to the cluster again").with_source(cause)
        }
        _ => error.with_source(cause),
    }
}

/// The rule to ask an administrator for, from the words of a refusal:
/// `User "u" cannot VERB resource "R" in API group "G" in the namespace "N"`.
fn missing_rule(message: &str) -> Option<String> {
    let (_, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, rest) = rest.split_once('"')?;
    let place = match rest.split_once("in the namespace \"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((namespace, _)) => format!("a Role in the namespace {namespace}"),
        None => "a ClusterRole".to_owned(),
    };
    Some(format!(
        "ask for {place} with the rule {{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}"
    ))
}

/// Whether an answer means that the object is not there.
pub(crate) fn is_missing(cause: &kube::Error) -> bool {
    matches!(cause, kube::Error::Api(status) if status.code == 404)
}

/// Whether an answer means that there is an object of that name already.
pub(crate) fn is_taken(cause: &kube::Error) -> bool {
    matches!(cause, kube::Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn answer(code: u16, reason: &str, message: &str) -> Error {
        let status = Status { code, reason: reason.to_owned(), message: message.to_owned(), ..Status::default() };
        failed("make", "a namespace", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_refusal_names_the_rule_to_ask_for() {
        let error = answer(
            403,
            "Forbidden",
            "namespaces is forbidden: User \"jane\" cannot create resource \"namespaces\" in API group \"\" at the \
             cluster scope",
        );
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(
            error.hint(),
            Some(
                "ask for a ClusterRole with the rule {apiGroups: [\"\"], resources: [\"namespaces\"], verbs: [\"create\"]}"
            )
        );
        let error = answer(
            403,
            "Forbidden",
            "jobs.batch is forbidden: User \"jane\" cannot delete resource \"jobs\" in API group \"batch\" in the \
             namespace \"big-data\"",
        );
        assert!(error.hint().unwrap().starts_with("ask for a Role in the namespace big-data"), "{error:?}");
    }

    #[test]
    fn another_cluster_than_the_one_that_is_meant_is_refused() {
        let options = ClusterOptions::default().with_address(Some("https://prod:6443".to_owned()));
        is_meant(&options, "https://prod:6443", None).unwrap();
        is_meant(&ClusterOptions::default(), "https://staging:6443", None).unwrap();
        let error = is_meant(&options, "https://staging:6443", Some("here")).unwrap_err();
        for words in ["https://staging:6443", "https://prod:6443", "the context here", "--context"] {
            assert!(format!("{error} {:?}", error.hint()).contains(words), "{error:?}");
        }
    }

    #[test]
    fn commands_for_people_name_the_context() {
        assert_eq!(kubectl(None, "lake"), "kubectl -n lake");
        assert_eq!(kubectl(Some("me@eks:1/a"), "lake"), "kubectl --context me@eks:1/a -n lake");
        assert_eq!(kubectl(Some("it's"), "lake"), r"kubectl --context 'it'\''s' -n lake");
        assert_eq!(arguments(None, "lake"), "--namespace lake");
        assert_eq!(arguments(Some("a b"), "lake"), "--context 'a b' --namespace lake");
        assert_eq!(arguments(Some(""), "lake"), "--context '' --namespace lake");
    }

    #[test]
    fn answers_have_the_kinds_that_exit_codes_come_from() {
        for (code, reason, message, kind) in [
            (401, "Unauthorized", "Unauthorized", ErrorKind::Denied),
            (403, "Forbidden", "pods is forbidden: exceeded quota: small", ErrorKind::Exhausted),
            (404, "NotFound", "not found", ErrorKind::NotFound),
            (409, "AlreadyExists", "exists", ErrorKind::AlreadyExists),
            (409, "Conflict", "conflict", ErrorKind::Invalid),
            (422, "Invalid", "spec: required", ErrorKind::Invalid),
            (503, "ServiceUnavailable", "starting", ErrorKind::Unavailable),
        ] {
            assert_eq!(answer(code, reason, message).kind(), kind, "{message}");
        }
    }
}
