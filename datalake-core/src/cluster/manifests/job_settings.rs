//! How the pods of Jobs are made: image, memory, where they may run.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::format::digest::hex;
use crate::lake::LakeOptions;

/// The least memory of a pod, in bytes: in less, runtimes of containers cannot begin, and nobody tells.
const LEAST_MEMORY: f64 = 16.0 * 1_048_576.0;

/// The least time that a Job is left for whoever follows it, who may be cut off for a while.
const LEAST_TTL: i32 = 30;

/// How the pods of Jobs are made.
///
/// ```
/// use datalake_core::cluster::JobSettings;
///
/// let settings = JobSettings::new("registry.local/datalake:1.0").with_memory("2Gi");
/// assert_eq!(settings.memory, "2Gi");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobSettings {
    /// The image of the workers: that of this very build.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`; what Kubernetes takes for the tag where not set.
    pub image_pull_policy: Option<String>,
    /// Secrets with the credentials of registries.
    pub image_pull_secrets: Vec<String>,
    /// CPUs that a worker is granted, such as `1` or `500m`; without it a quarter is reserved, and more taken where free.
    pub cpu: Option<String>,
    /// Memory that a worker gets and may not pass, such as `1Gi`.
    pub memory: String,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that do not matter.
    pub tolerations: Vec<Toleration>,
    /// The priority class of the pods.
    pub priority_class: Option<String>,
    /// A queue of Kueue: Jobs are suspended until it admits them.
    pub queue: Option<String>,
    /// More variables of the environment. Secrets do not belong here: they would stand in the Job.
    pub env: BTreeMap<String, String>,
    /// After so many seconds a Job is ended.
    pub active_deadline_seconds: Option<i64>,
    /// So many seconds after its end a Job is removed.
    pub ttl_seconds_after_finished: i32,
    /// The port at which workers show their metrics; none where 0.
    pub metrics_port: u16,
}

/// A taint that does not matter: `key=value:Effect`, `key:Effect`, `key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Toleration {
    /// The taint's key.
    pub key: String,
    /// Its value; any where none is named.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; all where none is named.
    pub effect: Option<String>,
}

impl JobSettings {
    /// Workers of this image, all else as it is meant for small data.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            cpu: None,
            memory: "1Gi".to_owned(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            priority_class: None,
            queue: None,
            env: BTreeMap::new(),
            active_deadline_seconds: None,
            ttl_seconds_after_finished: 3600,
            metrics_port: 9464,
        }
    }

    /// Sets the memory of a worker.
    #[must_use]
    pub fn with_memory(mut self, memory: impl Into<String>) -> Self {
        self.memory = memory.into();
        self
    }

    /// Lets pods give buckets the same real names as whoever starts them.
    #[must_use]
    pub fn with_names_of(mut self, lake: &LakeOptions) -> Self {
        self.env.extend(lake.names());
        self
    }

    /// The variables that give buckets their real names: empty where buckets have the names that pipelines say.
    pub(crate) fn names_of_buckets(&self) -> impl Iterator<Item = (String, &str)> {
        let names = LakeOptions::default().names().into_keys();
        names.map(|name| {
            let value = self.env.get(&name).map_or("", String::as_str);
            (name, value)
        })
    }

    /// Sees whether pods can be made by these settings.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for memory that is no quantity, or so little that no container begins in it.
    pub fn check(&self) -> Result<()> {
        let invalid = |reason: String| {
            Error::invalid("make", "pods").with_reason(reason).with_hint("write the memory as 512Mi or 2Gi")
        };
        if self.ttl_seconds_after_finished < LEAST_TTL {
            return Err(Error::invalid("make", "Jobs")
                .with_reason(format_args!(
                    "they would be removed {} s after their end",
                    self.ttl_seconds_after_finished
                ))
                .with_hint(format_args!("leave time to see how they ended: --ttl {LEAST_TTL}s or more")));
        }
        match bytes(&self.memory) {
            None => Err(invalid(format!("`{}` is no size of memory", self.memory))),
            Some(bytes) if bytes < LEAST_MEMORY => Err(invalid(format!(
                "{} of memory is so little that no container begins in it; {} Mi are the least",
                self.memory,
                LEAST_MEMORY / 1_048_576.0
            ))),
            Some(_) => Ok(()),
        }
    }

    /// Equal for settings that make equal pods.
    pub(super) fn digest(&self) -> String {
        hex(&Sha256::digest(format!("{self:?}")))[..16].to_owned()
    }

    pub(super) fn resources(&self) -> Value {
        let mut limits = Map::from_iter([("memory".to_owned(), json!(self.memory))]);
        if let Some(cpu) = &self.cpu {
            limits.insert("cpu".to_owned(), json!(cpu));
        }
        let cpu = self.cpu.as_deref().unwrap_or("250m");
        json!({ "requests": { "cpu": cpu, "memory": self.memory }, "limits": limits })
    }

    /// Where pods may run and how urgent they are, as fields of their specification.
    pub(super) fn placement(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if !self.node_selector.is_empty() {
            set("nodeSelector", json!(self.node_selector));
        }
        if !self.tolerations.is_empty() {
            set("tolerations", self.tolerations.iter().map(Toleration::to_json).collect());
        }
        if let Some(class) = &self.priority_class {
            set("priorityClassName", json!(class));
        }
        if !self.image_pull_secrets.is_empty() {
            let names = self.image_pull_secrets.iter().map(|name| json!({ "name": name }));
            set("imagePullSecrets", names.collect());
        }
        fields
    }
}

/// The bytes of a quantity of Kubernetes, such as `512Mi`, `2G` or `1e9`.
pub(crate) fn bytes(quantity: &str) -> Option<f64> {
    let unit = quantity.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+'));
    let scale = match unit {
        "" => 1.0,
        "Ki" => 1024.0,
        "Mi" => 1024.0_f64.powi(2),
        "Gi" => 1024.0_f64.powi(3),
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        _ => return quantity.parse().ok().filter(|bytes: &f64| bytes.is_finite()),
    };
    quantity.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * scale)
}

impl Toleration {
    fn to_json(&self) -> Value {
        let mut json = match &self.value {
            Some(value) => json!({ "key": self.key, "operator": "Equal", "value": value }),
            None => json!({ "key": self.key, "operator": "Exists" }),
        };
        if let Some(effect) = &self.effect {
            json["effect"] = json!(effect);
        }
        json
    }
}

impl FromStr for Toleration {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (taint, effect) = match text.split_once(':') {
            Some((taint, effect)) => (taint, Some(effect)),
            None => (text, None),
        };
        let (key, value) = match taint.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (taint, None),
        };
        let known = effect.is_none_or(|effect| ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect));
        if key.is_empty() || !known {
            return Err(Error::invalid("tolerate", format_args!("`{text}`")).with_reason(
                "wanted is key=value:Effect, key:Effect or key; Effect is NoSchedule, PreferNoSchedule or NoExecute",
            ));
        }
        Ok(Self { key: key.to_owned(), value, effect: effect.map(ToOwned::to_owned) })
    }
}

impl fmt::Display for Toleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, "={value}")?;
        }
        self.effect.as_ref().map_or(Ok(()), |effect| write!(f, ":{effect}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_seen_before_a_pod_waits_in_vain() {
        let check = |memory: &str| JobSettings::new("i").with_memory(memory).check();
        for memory in ["16Mi", "1Gi", "1.5G", "2000000000", "1e9", "100M"] {
            assert!(check(memory).is_ok(), "{memory}");
        }
        for memory in ["", "lots", "1", "1M", "15Mi", "1024Ki", "-1Gi", "1gb", "inf", "NaN", "500m"] {
            assert!(check(memory).is_err(), "{memory}");
        }
    }

    #[test]
    fn taints_are_read_as_they_are_written() {
        for text in ["gpu", "gpu:NoSchedule", "team=ml:NoExecute", "team=ml"] {
            assert_eq!(text.parse::<Toleration>().unwrap().to_string(), text);
        }
        for text in ["", ":NoSchedule", "gpu:Never", "=x"] {
            assert!(text.parse::<Toleration>().is_err(), "{text}");
        }
    }
}
