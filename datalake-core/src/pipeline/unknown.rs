//! Why nothing is known of what a name says, and what may have been meant.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::StreamExt;
use object_store::path::Path;

use super::conversion::{Conversion, DOCUMENT, PREFIX, folder_of};
use super::manifest::runs_bucket;
use super::rejects::FOLDER_SUFFIX;
use crate::error::{Error, ErrorKind, Result};
use crate::format::MANIFEST;
use crate::lake::{Bucket, Lake, Location, meant};

/// So many names are proposed at most.
const SHOWN: usize = 3;
/// So many documents are looked into, the last ones first.
const LOOKED_INTO: usize = 32;
/// So many of them are fetched at a time.
const AT_ONCE: usize = 8;

/// What has a document at all.
const GENERAL: &str = "name its run, as the conversion has told it, or its local file or folder. Of a conversion into these \
                       there is a document where records were quarantined, or with `exact = true`";

/// The error for a name of which there is no document.
pub(super) async fn unknown(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Error {
    let error = Error::not_found("find", format_args!("the conversion {name}"));
    let Ok(place) = name.parse::<Location>() else { return error.with_hint(GENERAL) };
    let (reason, hint) = match &place {
        Location::Local(path) if path.is_dir() && !path.join(MANIFEST).is_file() => {
            return nobody_tells(error, name, lake).await;
        }
        Location::Local(path) if path.exists() => {
            let document = folder_of(path).join(DOCUMENT);
            (format!("nothing says what is in it: there is no `{}`", document.display()), None)
        }
        Location::Local(path) => {
            let mut hint = meant(name, lake).await;
            if hint.is_none() {
                hint = documents_in(path.parent().unwrap_or(FilePath::new("")), name);
            }
            if hint.is_none() && !name.contains('/') {
                hint = conversions(name, lake).await;
            }
            ("there is neither a file nor a run of this name".to_owned(), hint)
        }
        Location::Object { .. } | Location::Prefix { .. } => match meant(name, lake).await {
            Some(hint) => ("there is no such object".to_owned(), Some(hint)),
            None => ("by this name it is not known".to_owned(), writer_of(&place, lake).await),
        },
        Location::Stdio => ("what went to stdout is not kept".to_owned(), None),
    };
    error.with_reason(reason).with_hint(hint.as_deref().unwrap_or(GENERAL))
}

/// The error for a folder or prefix without a manifest.
pub(super) async fn nobody_tells(error: Error, name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Error {
    let error = error.with_reason(format_args!("nothing says what is in it: it is a folder without `{MANIFEST}`"));
    let hint = match name.parse::<Location>() {
        Ok(Location::Local(path)) => documents_in(&path, name),
        Ok(place) => match meant(name, lake).await {
            Some(hint) => Some(hint),
            None => writer_of(&place, lake).await,
        },
        Err(_) => None,
    };
    error.with_hint(hint.as_deref().unwrap_or(
        "name one file in it, or the run that has written it; Parquet files written by datalake say themselves what is in them",
    ))
}

/// The error for a file or object that is there, and says nothing of itself.
pub(super) async fn of_itself_unknown(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Error {
    let error = Error::new(ErrorKind::Unsupported, "verify", name).with_reason("nothing says what is in it");
    match name.parse::<Location>() {
        Ok(Location::Local(_)) | Err(_) => error.with_hint(
            "convert it again with `exact = true`, which leaves a document beside it; Parquet files written by datalake say \
             themselves what is in them",
        ),
        Ok(place) => error.with_hint(
            writer_of(&place, lake)
                .await
                .as_deref()
                .unwrap_or("name the run that has written it; Parquet files written by datalake say it themselves"),
        ),
    }
}

/// The files in a folder that have a document, those most like the name first.
fn documents_in(folder: &FilePath, name: &str) -> Option<String> {
    let listed = if folder.as_os_str().is_empty() { FilePath::new(".") } else { folder };
    let entries = std::fs::read_dir(listed).ok()?.flatten();
    let documented = entries.filter(|entry| entry.path().join(DOCUMENT).is_file()).filter_map(|entry| {
        let file = entry.file_name().to_string_lossy().strip_suffix(FOLDER_SUFFIX)?.to_owned();
        Some(folder.join(file).display().to_string())
    });
    Some(format!("there are documents of {}", proposed(documented.collect(), name)?))
}

/// The conversions of the lake, those most like the name first.
async fn conversions(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Option<String> {
    let bucket = runs_bucket(lake().ok()?.as_ref()).await.ok()?;
    let known = proposed(documents(&bucket).await?, name)?;
    Some(format!("there are documents of the conversions {known}; `datalake runs` lists the runs of pipelines"))
}

/// The last conversion that wrote to a place of the lake.
async fn writer_of(place: &Location, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Option<String> {
    let bucket = runs_bucket(lake().ok()?.as_ref()).await.ok()?;
    let mut runs = documents(&bucket).await?;
    runs.sort_unstable_by(|a, b| b.cmp(a));
    runs.truncate(LOOKED_INTO);
    let fetched = runs.into_iter().map(|run| {
        let bucket = &bucket;
        async move {
            let bytes = bucket.get(&Path::from(format!("{PREFIX}/{run}/{DOCUMENT}"))).await.ok()?;
            let document: Conversion = serde_json::from_slice(&bytes).ok()?;
            Some((run, document.destination))
        }
    });
    let mut fetched = futures::stream::iter(fetched).buffered(AT_ONCE);
    while let Some(found) = fetched.next().await {
        if let Some((run, _)) = found.filter(|(_, destination)| *destination == place.to_string()) {
            return Some(format!("the run {run} has written it: name that"));
        }
    }
    None
}

/// The names of all conversions of a lake.
async fn documents(bucket: &Bucket) -> Option<Vec<String>> {
    let listing = bucket.store().list_with_delimiter(Some(&Path::from(PREFIX))).await.ok()?;
    Some(listing.common_prefixes.iter().filter_map(|run| run.filename().map(str::to_owned)).collect())
}

/// Some names, those most like another first; none where there are none.
fn proposed(mut names: Vec<String>, like: &str) -> Option<String> {
    let unlike = |name: &String| (-1e6 * strsim::jaro_winkler(like, name)) as i64;
    names.sort_by_cached_key(|name| (unlike(name), name.clone()));
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let shown = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown),
        (false, more) => Some(format!("{shown} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{BucketName, MemoryLake};
    use crate::pipeline::{Fix, replay, verify};

    async fn told(name: &str, lake: &Arc<dyn Lake>) -> String {
        verify(name, || Ok(Arc::clone(lake))).await.unwrap_err().in_one_line()
    }

    #[tokio::test]
    async fn what_may_have_been_meant_is_told() {
        let lake: Arc<dyn Lake> = Arc::new(MemoryLake::default());
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        bucket.put(&"t/a.csv".into(), "a\n1\n", Default::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["foods.parquet", "other.csv"] {
            std::fs::create_dir(path(&format!("{name}.run"))).unwrap();
            std::fs::write(path(&format!("{name}.run/{DOCUMENT}")), "{}").unwrap();
        }
        std::fs::write(path("plain.csv"), "a\n1\n").unwrap();
        std::fs::write(path("notes.txt"), "?").unwrap();
        let base = folder.path().display().to_string();
        for (name, wanted) in [
            (
                "raw-data/t/a.csv",
                vec!["neither a file nor a run", "did you mean the object `lake://raw-data/t/a.csv`?"],
            ),
            ("raw-data/t/", vec!["did you mean the objects below `lake://raw-data/t/`?"]),
            ("lake://raw-data/t", vec!["no such object", "did you mean the objects below `lake://raw-data/t/`?"]),
            ("lake://raw-data/t/b.csv", vec!["`raw-data/t/` holds `a.csv`"]),
            ("lake://raw-data/t/a.csv", vec!["nothing says what is in it", "name the run that has written it"]),
            ("lake://raw-data/t/", vec!["a folder without `_manifest.json`", "name one file in it"]),
            (&path("fods.parquet"), vec!["neither a file nor a run", "there are documents of", "foods.parquet`, "]),
            (&base, vec!["a folder without `_manifest.json`", "there are documents of"]),
            (&path("plain.csv"), vec!["nothing says what is in it", "`exact = true`"]),
            (&path("notes.txt"), vec!["nothing says what is in it", "`exact = true`"]),
            ("no-such-run", vec!["neither a file nor a run", "name its run"]),
        ] {
            let said = told(name, &lake).await;
            assert!(wanted.iter().all(|wanted| said.contains(wanted)), "{name}: {said}");
        }
        let error = replay(&path("plain.csv"), Fix::default(), || Ok(Arc::clone(&lake))).await.unwrap_err();
        assert!(error.reason().unwrap().contains("plain.csv.run"), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        // A folder whose manifest says what is in it, and of which nothing was quarantined.
        std::fs::create_dir(path("parts")).unwrap();
        std::fs::write(path(&format!("parts/{MANIFEST}")), "{}").unwrap();
        let error = replay(&path("parts"), Fix::default(), || Ok(Arc::clone(&lake))).await.unwrap_err();
        assert!(error.reason().unwrap().contains("parts.run"), "{error:?}");
    }
}
