//! Runs and workers as metrics, in the text format of OpenMetrics 1.0.

use std::sync::atomic::AtomicU64;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::error::{Error, Result};
use crate::pipeline::log::Heartbeat;
use crate::pipeline::manifest::{Manifest, Status};

/// The media type of what [`of_runs`] and [`of_worker`] give.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Numbers = Family<Labels, Gauge<f64, AtomicU64>>;

/// A registry of numbers with labels, one family at a time.
#[derive(Debug, Default)]
struct Metrics(Registry);

impl Metrics {
    fn family(&mut self, name: &str, help: &str) -> Numbers {
        let numbers = Numbers::default();
        self.0.register(name, help, numbers.clone());
        numbers
    }

    fn text(&self) -> Result<String> {
        let mut text = String::new();
        encode(&mut text, &self.0).map_err(|cause| Error::internal("write", "metrics").with_source(cause))?;
        Ok(text)
    }
}

fn seconds_of(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1e3
}

/// What is known of runs: one of each pipeline, so that series go on from run to run.
///
/// # Errors
/// None that a correct program meets.
///
/// ```
/// let text = datalake_core::pipeline::metrics::of_runs(&[])?;
/// assert!(text.ends_with("# EOF\n"));
/// # Ok::<(), datalake_core::Error>(())
/// ```
pub fn of_runs(runs: &[Manifest]) -> Result<String> {
    let mut metrics = Metrics::default();
    let info =
        metrics.family("datalake_run_info", "The last run of a pipeline: its name, the code that ran, how it stands");
    let status = metrics.family("datalake_run_status", "1 for how the last run of a pipeline stands, 0 for all else");
    let started = metrics.family("datalake_run_started_timestamp_seconds", "When the last run of a pipeline began");
    let updated =
        metrics.family("datalake_run_updated_timestamp_seconds", "When the last run of a pipeline was last heard of");
    let run_seconds =
        metrics.family("datalake_run_seconds", "How long the last run of a pipeline took, or has taken until now");
    let step_seconds = metrics.family("datalake_step_seconds", "How long a step took when it was last done");
    let records =
        metrics.family("datalake_prepare_records", "Records of a prepare step: seen = written + quarantined + dropped");
    let rows = metrics.family("datalake_output_rows", "Rows of a table that a step wrote");
    let bytes = metrics.family("datalake_output_bytes", "Size of an object that a step wrote");
    for run in runs {
        let of = |more: &[(&'static str, &str)]| -> Labels {
            let mut labels = vec![("pipeline", run.pipeline.clone())];
            labels.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
            labels
        };
        info.get_or_create(&of(&[("run", run.run.as_str()), ("code", &run.code)])).set(1.0);
        for known in [Status::Running, Status::Done, Status::Failed, Status::Cancelled, Status::Interrupted] {
            let holds = f64::from(u8::from(known == run.status));
            status.get_or_create(&of(&[("status", &known.to_string())])).set(holds);
        }
        started.get_or_create(&of(&[])).set(seconds_of(run.started));
        updated.get_or_create(&of(&[])).set(seconds_of(run.updated));
        run_seconds.get_or_create(&of(&[])).set(seconds_of(run.updated) - seconds_of(run.started));
        for step in &run.steps {
            let title = format!("{} {}", step.kind, step.name);
            step_seconds.get_or_create(&of(&[("step", &title)])).set(step.seconds);
            if let Some(balance) = &step.report.balance {
                for (outcome, count) in [
                    ("seen", balance.seen()),
                    ("written", balance.combine_in),
                    ("quarantined", balance.quarantined()),
                    ("dropped", balance.dropped()),
                    ("duplicate", balance.duplicates),
                ] {
                    records.get_or_create(&of(&[("step", &title), ("outcome", outcome)])).set(count as f64);
                }
            }
            for output in &step.report.outputs {
                let labels = of(&[("step", &title), ("object", &output.object.path)]);
                bytes.get_or_create(&labels).set(output.object.size as f64);
                if let Some(count) = output.rows {
                    rows.get_or_create(&labels).set(count as f64);
                }
            }
        }
    }
    metrics.text()
}

/// What a worker shows of itself while it runs, and leaves at its end. `labels` say which it is.
///
/// # Errors
/// None that a correct program meets.
pub fn of_worker(labels: &[(&'static str, String)], heartbeat: &Heartbeat, seconds: f64) -> Result<String> {
    let mut metrics = Metrics::default();
    let info = metrics.family("datalake_worker_info", "Which shard of which step a worker carries out");
    let elapsed = metrics.family("datalake_worker_seconds", "How long a worker has been at work");
    let done = metrics.family("datalake_worker_units_done", "Units of the current stage that are done");
    let total = metrics.family("datalake_worker_units", "Units of the current stage in all, where that is known");
    let cpu = metrics.family("process_cpu_seconds", "CPU time that the process has used");
    let memory = metrics.family("process_resident_memory_bytes", "Memory of the process that is in RAM");
    info.get_or_create(&labels.to_vec()).set(1.0);
    elapsed.get_or_create(&Labels::new()).set(seconds);
    if let Some(stage) = heartbeat.stages.last() {
        let labels = vec![("what", stage.stage.clone())];
        done.get_or_create(&labels).set(stage.done as f64);
        if let Some(units) = stage.total {
            total.get_or_create(&labels).set(units as f64);
        }
    }
    if let Some(used) = crate::pipeline::usage::of_this_process() {
        cpu.get_or_create(&Labels::new()).set(used.cpu_seconds);
        memory.get_or_create(&Labels::new()).set(used.resident_bytes as f64);
    }
    metrics.text()
}
