//! Jobs that were submitted: found again, followed to their end, read, removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::AsyncBufReadExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use kube::core::Selector;

use super::client::{Cluster, failed, kubectl};
use super::jobs::{Ending, Jobs, Standing, name, standing};
use super::manifests::SUBMITTED;
use super::names::labels;
use super::overview::{JobState, job_state};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::{Progress, Silent};

/// How long the rest of a log may take after its Job has failed.
const REST: Duration = Duration::from_secs(10);
/// How often a pod is looked for whose log can be read.
const LOOK: Duration = Duration::from_millis(300);
/// The same where one has been printed: another one is rare.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A Job that was submitted.
#[derive(Debug)]
pub struct Submitted {
    cluster: Cluster,
    job: Job,
    /// Whether whoever has it at hand has made it, and not just found it.
    is_own: bool,
}

impl Cluster {
    /// The Jobs that were submitted and are still there, by name.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn submitted_jobs(&self) -> Result<Vec<JobState>> {
        let jobs = Jobs::at_once(self, &Silent);
        let found = jobs.list(&Selector::from_iter(labels(SUBMITTED))).await?;
        Ok(found.iter().map(job_state).collect())
    }

    /// The Job of this name that was submitted.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) if there is none; [`Invalid`](ErrorKind::Invalid) if it is somebody else's; those
    /// of the cluster.
    pub async fn submitted_job(&self, name: &str) -> Result<Submitted> {
        let Some(job) = Jobs::at_once(self, &Silent).find(name).await? else {
            return Err(Error::not_found("find", format_args!("the Job {name}")).with_hint(
                "`datalake job list` shows those that are there; one that has ended is removed after its --ttl",
            ));
        };
        let has =
            |name: &str, value: &String| job.metadata.labels.as_ref().and_then(|all| all.get(name)) == Some(value);
        if !labels(SUBMITTED).iter().all(|(name, value)| has(name, value)) {
            let kubectl = kubectl(self.context(), self.namespace());
            return Err(Error::invalid("find", format_args!("the Job {name}"))
                .with_reason("it was not submitted by `datalake job submit`")
                .with_hint(format_args!("look at it: {kubectl} describe job {name}")));
        }
        Ok(Submitted::new(self, job, false))
    }
}

impl Submitted {
    pub(crate) fn new(cluster: &Cluster, job: Job, is_own: bool) -> Self {
        Self { cluster: cluster.clone(), job, is_own }
    }

    /// The Job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        name(&self.job)
    }

    /// Hands on what its container has printed so far, line by line.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) where it has not begun; those of the cluster.
    pub async fn log(&self, line: &(dyn Fn(&str) -> Result<()> + Send + Sync)) -> Result<()> {
        let pods = Jobs::at_once(&self.cluster, &Silent).pods(&self.job).await?;
        let Some(pod) = last_begun(pods) else {
            let error = Error::not_found("read", format_args!("the log of the Job {}", self.name()));
            return Err(match standing(&self.job) {
                Standing::Running => error
                    .with_reason("it has not begun")
                    .with_hint("--follow waits for it, and says what is in its way"),
                _ => error.with_reason("its pods are gone"),
            });
        };
        self.read(&pod, false, line).await?.map_or(Ok(()), Err)
    }

    /// Removes it, whether it has ended or not, with its pod and its script.
    ///
    /// # Errors
    /// Those of the cluster.
    pub async fn delete(&self) -> Result<()> {
        Jobs::new(&self.cluster, Duration::ZERO, &Silent).remove(&self.job).await
    }

    /// Waits until it ends, and hands on what its container prints, line by line. One that was just submitted, and of
    /// which nothing can come, is removed.
    ///
    /// # Errors
    /// Why it failed; those of the cluster.
    pub async fn follow(
        &self,
        pending: Duration,
        progress: &dyn Progress,
        line: &(dyn Fn(&str) -> Result<()> + Send + Sync),
    ) -> Result<()> {
        let jobs = Jobs::new(&self.cluster, pending, progress);
        let has_ended = AtomicBool::new(false);
        let end = jobs.follow(&self.job);
        tokio::pin!(end);
        let print = self.print(&jobs, &has_ended, progress, line);
        tokio::pin!(print);
        let mut printed = false;
        let ending = loop {
            tokio::select! {
                ending = &mut end => break ending?,
                done = &mut print, if !printed => {
                    done?;
                    printed = true;
                }
            }
        };
        has_ended.store(true, Ordering::Relaxed);
        match (printed, &ending) {
            (true, _) => {}
            (false, Ending::Complete) => print.await?,
            // Its last lines may say why, and a node that is away would never give them.
            (false, _) => match tokio::time::timeout(REST, print).await {
                Ok(done) => done?,
                Err(_) => progress.note("the rest of its log does not come"),
            },
        }
        match ending {
            Ending::Complete => Ok(()),
            Ending::Failed(error) => {
                // One that nothing will come of would go on trying, and hold its name. Whoever just watches leaves it.
                if self.is_own
                    && let Ok(Some(found)) = jobs.find(self.name()).await
                    && standing(&found) == Standing::Running
                    && let Err(left) = jobs.remove(&found).await
                {
                    progress.note(&format!("the Job {} is left as it is: {left}", self.name()));
                }
                Err(error)
            }
            Ending::Gone => Err(Error::new(ErrorKind::Cancelled, "follow", format_args!("the Job {}", self.name()))
                .with_reason("it is no longer there: somebody has removed it, or it ended longer ago than its --ttl")),
        }
    }

    /// Prints the log of the Job's pod, once there is one, and of the one that follows where that is taken away. A
    /// log that breaks off is no reason not to wait for the Job.
    async fn print(
        &self,
        jobs: &Jobs<'_>,
        has_ended: &AtomicBool,
        progress: &dyn Progress,
        line: &(dyn Fn(&str) -> Result<()> + Send + Sync),
    ) -> Result<()> {
        let mut printed = None;
        loop {
            // Asked first: what has begun before the end is seen.
            let is_last = has_ended.load(Ordering::Relaxed);
            let pod = last_begun(jobs.pods(&self.job).await?).filter(|pod| pod.metadata.uid != printed);
            match pod {
                Some(pod) => {
                    if let Some(broken) = self.read(&pod, true, line).await? {
                        progress
                            .note(&format!("{broken}; its log breaks off here, and its Job is followed to its end"));
                    }
                    printed = pod.metadata.uid;
                }
                None if is_last => return Ok(()),
                None => tokio::time::sleep(if printed.is_some() { LOOK_AGAIN } else { LOOK }).await,
            }
        }
    }

    /// Hands on the lines of a pod's log, to its end or to what is there now. Errors are those of `line`; what the cluster
    /// says is returned.
    async fn read(
        &self,
        pod: &Pod,
        follow: bool,
        line: &(dyn Fn(&str) -> Result<()> + Send + Sync),
    ) -> Result<Option<Error>> {
        let pods: Api<Pod> = self.cluster.api();
        let pod = pod.metadata.name.as_deref().unwrap_or_default();
        let subject = format!("the log of {pod}");
        let mut log = match pods.log_stream(pod, &LogParams { follow, ..LogParams::default() }).await {
            Ok(log) => log,
            Err(cause) => return Ok(Some(failed("read", subject, cause))),
        };
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match log.read_until(b'\n', &mut bytes).await {
                Ok(0) => return Ok(None),
                // Programs print what they like.
                Ok(_) => line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']))?,
                Err(cause) => return Ok(Some(Error::io("read", subject, cause))),
            }
        }
    }
}

/// The pod that has something to say: of several the last, which is the successor of those that were taken away.
fn last_begun(pods: Vec<Pod>) -> Option<Pod> {
    let has_begun = |pod: &Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Running" | "Succeeded" | "Failed"))
    };
    let begun = pods.into_iter().filter(has_begun);
    begun.max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::manifests::object;
    use super::*;

    #[test]
    fn the_pod_to_read_is_the_last_that_has_begun() {
        let pod = |name: &str, created: u32, phase: &str| -> Pod {
            let metadata = json!({ "name": name, "creationTimestamp": format!("2026-11-26T12:00:{created:02}Z") });
            object("Pod", &json!({ "metadata": metadata, "status": { "phase": phase } })).unwrap()
        };
        let last = |pods: Vec<Pod>| last_begun(pods).and_then(|pod| pod.metadata.name);
        assert_eq!(last(Vec::new()), None);
        assert_eq!(last(vec![pod("waits", 1, "Pending")]), None);
        // The API gives them by name, not by age.
        let taken_away = || pod("b", 1, "Failed");
        assert_eq!(last(vec![pod("a", 5, "Running"), taken_away()]).as_deref(), Some("a"));
        assert_eq!(last(vec![pod("a", 5, "Pending"), taken_away()]).as_deref(), Some("b"));
        assert_eq!(last(vec![taken_away(), pod("c", 9, "Succeeded")]).as_deref(), Some("c"));
    }
}
