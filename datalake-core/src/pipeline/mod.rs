//! Pipelines: prepare, train, evaluate and predict from one file, resumable, with a manifest of what happened.
//!
//! A [`Pipeline`] is read from TOML and is a list of plain [`Step`]s; a [`Runner`] carries them out. Steps hand data
//! over through the lake, never in memory, so that a run goes on where the last one ended.
//!
//! ```no_run
//! use std::sync::Arc;
//! use datalake_core::lake::{LakeOptions, open};
//! use datalake_core::pipeline::{InProcess, Pipeline, RunOptions};
//! use datalake_core::progress::Silent;
//!
//! # async fn example() -> datalake_core::Result<()> {
//! let lake = open("./lake", &LakeOptions::default())?;
//! let pipeline = Pipeline::food_calories();
//! let manifest = pipeline.run(lake, &InProcess, RunOptions::default(), Arc::new(Silent)).await?;
//! println!("{}", manifest.status);
//! # Ok(()) }
//! ```

mod added_columns;
mod beats;
mod brought_back;
mod conversion;
#[cfg(test)]
mod conversion_tests;
mod evaluate;
mod file;
mod importances;
mod intent;
#[cfg(test)]
mod json_replay_tests;
mod known_fields;
mod ledger;
mod log;
mod log_reader;
mod manifest;
#[cfg(test)]
mod many_files_tests;
mod merge;
pub mod metrics;
mod metrics_server;
mod model_card;
mod once_more;
mod order;
mod origin;
mod page;
mod parts;
mod predict;
mod predict_shards;
mod predictions;
mod prepare;
mod publish;
mod rejects;
mod replay;
mod replay_lock;
#[cfg(test)]
mod replay_tests;
mod run;
mod scan;
mod scan_shards;
mod source;
mod step;
mod streamed;
mod table;
mod train;
mod trees;
mod unknown;
mod usage;
mod verified;
mod verify;
mod watch;
mod worker;
mod written_table;

pub use conversion::{Conversion, Done, Kept, Order as ConversionOrder, Tables, carry_out};
pub use evaluate::Evaluation;
pub use file::Pipeline;
pub use importances::importances;
pub use log::{Heartbeat, LogLine, StageProgress};
pub use log_reader::{LogEntry, LogReader};
#[cfg(feature = "k8s")]
pub(crate) use manifest::save;
pub use manifest::{
    Manifest, ObjectVersion, Output, PrepareBalance, RUNS_BUCKET, RUNS_PREFIX, RunId, SourceBalance, Status,
    StepRecord, StepReport, cancel, code_version, is_cancelled, last_of_each, load, run_ids, runs_bucket, stands,
};
pub use merge::merge_models;
pub use metrics_server::MetricsServer;
pub use model_card::model_card;
pub use order::{Order, Sharing, Stage};
pub use predict::{find_model, open_model, open_model_file};
pub use rejects::{keep_rejects, told};
pub use replay::{Fix, Replayed, replay};
#[cfg(feature = "k8s")]
pub(crate) use run::failed_status;
pub use run::{Context, InProcess, RunOptions, Runner, StepRun, ensure_bucket};
pub use source::SourceSpec;
pub use step::{Dedupe, Evaluate, Predict, Prepare, Reference, Rule, RuleAction, Step, Train, baselines};
pub use trees::Trees;
pub use verified::{Check, Verified};
pub use verify::verify;
pub use watch::{RunProgress, progress_of};
pub use worker::{Attempt, Shift};
