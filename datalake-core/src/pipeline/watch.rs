//! How far a run is, from the heartbeats in its folder: those of its driver and of its workers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{ErrorKind, Result};
use crate::lake::Lake;
use crate::pipeline::log::Heartbeat;
use crate::pipeline::manifest::{RunId, get_json, runs_bucket};

/// Who is at work on a run, and how far each is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunProgress {
    /// The heartbeat of whoever drives the run.
    pub driver: Option<Heartbeat>,
    /// Those of workers that have not ended, by step, stage and shard.
    pub workers: BTreeMap<String, Heartbeat>,
}

/// How far a run is.
///
/// # Errors
/// What the lake says.
pub async fn progress_of(lake: &dyn Lake, run: &RunId) -> Result<RunProgress> {
    let bucket = runs_bucket(lake).await?;
    let mut found = RunProgress::default();
    let heartbeat = async |key| match get_json::<Heartbeat>(&bucket, &key).await {
        // Gone meanwhile, or of another version: it tells nothing.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => Ok(None),
        found => found.map(Some),
    };
    found.driver = heartbeat(run.key("progress.json")).await?;
    let folder = run.key("steps");
    let objects = bucket.list(Some(&folder)).await?;
    let mut beats = BTreeMap::new();
    let mut ended = Vec::new();
    for object in objects {
        let Some(parts) = object.location.prefix_match(&folder) else { continue };
        let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
        let [step, shard, attempt, file] = parts.as_slice() else { continue };
        let name = format!("{step} {shard}");
        match file.as_str() {
            "progress.json" if shard != "0" => drop(beats.insert(name, (attempt.clone(), object.location))),
            "manifest.json" => ended.push((name, attempt.clone())),
            _ => {}
        }
    }
    for (name, (attempt, key)) in beats {
        // Attempts come in order, so the last one stands here.
        if !ended.contains(&(name.clone(), attempt))
            && let Some(beat) = heartbeat(key).await?
        {
            found.workers.insert(name, beat);
        }
    }
    Ok(found)
}
