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
        let Ok(attempt) = attempt.parse::<u32>() else { continue };
        let name = format!("{step} {shard}");
        match file.as_str() {
            // The last attempt counts; a listing has 10 before 2.
            "progress.json" if shard != "0" => {
                let beat = (attempt, object.location);
                let last = beats.entry(name).or_insert_with(|| beat.clone());
                if beat.0 > last.0 {
                    *last = beat;
                }
            }
            "manifest.json" => ended.push((name, attempt)),
            _ => {}
        }
    }
    for (name, (attempt, key)) in beats {
        if !ended.contains(&(name.clone(), attempt))
            && let Some(beat) = heartbeat(key).await?
        {
            found.workers.insert(name, beat);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{BucketName, MemoryLake};
    use crate::pipeline::log::StageProgress;
    use crate::pipeline::manifest::{RUNS_BUCKET, put_json};

    #[tokio::test]
    async fn the_last_attempt_of_a_shard_stands_for_it() {
        let lake = MemoryLake::default();
        let bucket = lake.create_bucket(&BucketName::new(RUNS_BUCKET).unwrap()).await.unwrap();
        let run = RunId::now();
        let now = chrono::Utc::now();
        for attempt in [0_u64, 2, 10] {
            let folder = format!("steps/02-train-a/grow-00000/{attempt}");
            let stages = vec![StageProgress { stage: "growing".into(), done: attempt, total: None, began: now }];
            let beat = Heartbeat { updated: now, stages };
            put_json(&bucket, &run.key(&format!("{folder}/progress.json")), &beat).await.unwrap();
            if attempt < 10 {
                put_json(&bucket, &run.key(&format!("{folder}/manifest.json")), &()).await.unwrap();
            }
        }
        put_json(&bucket, &run.key("steps/02-train-a/0a1b2c3d4e5f/parts/grow-00000.json"), &()).await.unwrap();
        let found = progress_of(&lake, &run).await.unwrap().workers;
        let done: Vec<_> = found.iter().map(|(name, beat)| (name.as_str(), beat.stages[0].done)).collect();
        assert_eq!(done, [("02-train-a grow-00000", 10)]);
    }
}
