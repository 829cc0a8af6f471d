//! What may be there where a table is written as many files, and what of it gives way.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, UpdateVersion};
use walkdir::WalkDir;

use super::place::{MANIFEST, Manifest};
use crate::error::{Error, ErrorKind, Result};
use crate::format::detect::by_name;
use crate::lake::{Bucket, store_error};

/// What was below a prefix.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// The version of its manifest.
    pub(super) manifest: Option<UpdateVersion>,
    /// The objects that a new table replaces.
    pub(super) replaced: Vec<Key>,
}

/// What a file is, by its path below the folder of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    Manifest,
    /// Readers pass over it.
    Hidden,
    /// A file of rows, in folders that say the values of columns.
    Rows,
    Other,
}

impl What {
    pub(super) fn of(path: &str) -> Self {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        if path == MANIFEST {
            Self::Manifest
        } else if path.split('/').any(|part| part.starts_with(['_', '.'])) {
            Self::Hidden
        } else if folders.split('/').all(|folder| folder.is_empty() || says_value(folder)) && by_name(name).is_some() {
            Self::Rows
        } else {
            Self::Other
        }
    }
}

/// Whether a folder's name is `column=value`.
fn says_value(folder: &str) -> bool {
    folder.split_once('=').is_some_and(|(column, _)| !column.is_empty() && !column.starts_with(['_', '.']))
}

/// Whether a file of rows has a name that this program gives: `part-00000.csv`, and for objects `part-00000-1-2a-3.csv`.
fn is_part(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some(rest) = name.strip_prefix("part-") else { return false };
    let (stem, _) = rest.split_once('.').unwrap_or((rest, ""));
    let mut pieces = stem.split('-');
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_number = pieces.next().is_some_and(|number| number.len() >= 5 && is_number(number));
    let attempt: Vec<&str> = pieces.collect();
    let has_attempt = match attempt[..] {
        [] => true,
        [process, time, count] => is_number(process) && is_hex(time) && is_number(count),
        _ => false,
    };
    has_number && has_attempt && What::of(path) == What::Rows
}

/// Whether a file of rows is named as writers of tables do, this one and others; files that people name are no such table.
fn is_of_writers(path: &str) -> bool {
    path.rsplit('/').next().unwrap_or(path).starts_with("part-")
}

pub(super) fn refused(what: &str, reason: impl std::fmt::Display) -> Error {
    Error::invalid("overwrite", what).with_reason(reason)
}

/// Looks at what is below a prefix.
pub(super) async fn below_prefix(bucket: &Bucket, prefix: &Key, name: &str, overwrite: bool) -> Result<Before> {
    let is_root = prefix.as_ref().is_empty();
    let found: Vec<Key> =
        bucket.list((!is_root).then_some(prefix)).await?.into_iter().map(|meta| meta.location).collect();
    let Some(first) = found.first() else { return Ok(Before::default()) };
    if !overwrite {
        let hint = if is_root {
            "name a prefix"
        } else {
            "name another prefix, or say that it is to be replaced: `overwrite = true`"
        };
        return Err(Error::new(ErrorKind::AlreadyExists, "write", name)
            .with_reason(format_args!("there are objects below it, such as `{first}`"))
            .with_hint(hint));
    }
    if is_root {
        return Err(refused(name, "it is a whole bucket, and not empty")
            .with_hint(format_args!("name a prefix in it, such as `lake://{}/table/`", bucket.name())));
    }
    let relative = |key: &'_ Key| -> String {
        key.as_ref().strip_prefix(prefix.as_ref()).unwrap_or(key.as_ref()).trim_start_matches('/').to_owned()
    };
    let paths: Vec<(String, Key)> = found.into_iter().map(|key| (relative(&key), key)).collect();
    // Below another manifest is another table, whatever its folder is called.
    let inner = |path: &str| path.strip_suffix(MANIFEST).is_some_and(|folder| folder.ends_with('/'));
    let tables: Vec<&str> =
        paths.iter().filter(|(path, _)| inner(path)).filter_map(|(path, _)| path.strip_suffix(MANIFEST)).collect();
    let own = paths.iter().find(|(path, _)| What::of(path) == What::Manifest);
    let Some((manifest, version)) = (match own {
        Some((_, key)) => manifest(bucket, key, name).await?,
        None => None,
    }) else {
        if let Some(table) = tables.first() {
            return Err(refused(name, format_args!("another table is below it: `{table}`"))
                .with_hint("name the prefix of one table"));
        }
        let is_other = |path: &str| match What::of(path) {
            What::Rows => !is_of_writers(path),
            what => what == What::Other,
        };
        if let Some((path, _)) = paths.iter().find(|(path, _)| is_other(path)) {
            return Err(refused(name, format_args!("`{path}` below it is no file of a table"))
                .with_hint("name another prefix, or remove first what is not needed any more"));
        }
        let replaced = paths.into_iter().filter(|(path, _)| What::of(path) == What::Rows).map(|(_, key)| key);
        return Ok(Before { manifest: None, replaced: replaced.collect() });
    };
    let named: HashSet<&str> = manifest.files.iter().map(|file| &*file.path).collect();
    let is_replaced = |path: &str| {
        let is_left_over = is_part(path) && !tables.iter().any(|table| path.starts_with(table));
        is_left_over || named.contains(path) && !matches!(What::of(path), What::Hidden | What::Manifest)
    };
    let replaced = paths.iter().filter(|(path, _)| is_replaced(path)).map(|(_, key)| key.clone()).collect();
    Ok(Before { manifest: Some(version), replaced })
}

/// The manifest of a table, and its version; none where it has just been removed.
pub(super) async fn manifest(bucket: &Bucket, key: &Key, name: &str) -> Result<Option<(Manifest, UpdateVersion)>> {
    let failed = |cause| store_error("read", bucket.address(key), cause);
    let found = match bucket.store().get(key).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        found => found.map_err(failed)?,
    };
    let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
    let bytes = found.bytes().await.map_err(failed)?;
    let manifest = serde_json::from_slice(&bytes).map_err(|cause| foreign_manifest(name, cause))?;
    Ok(Some((manifest, version)))
}

pub(super) fn foreign_manifest(name: &str, cause: serde_json::Error) -> Error {
    refused(name, format_args!("its `{MANIFEST}` is none of datalake"))
        .with_hint("name another place, or remove the file if it is not needed any more")
        .with_source(cause)
}

/// Looks at what is in a folder, which another one is to replace as a whole.
pub(super) fn in_folder(path: &Path, overwrite: bool) -> Result<()> {
    let failed = |cause| Error::io("write", path.display(), cause);
    let to = match fs::canonicalize(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        to => to.map_err(failed)?,
    };
    if let Ok(working) = std::env::current_dir().and_then(fs::canonicalize) {
        refuse_around(path, &to, &working)?;
    }
    if !overwrite || !to.is_dir() || fs::read_dir(&to).map_err(failed)?.next().is_none() {
        return Ok(());
    }
    only_table(path, &to)
}

/// Sees that a folder still has the manifest of the table to which files are added, and no other files.
pub(super) fn is_unchanged(path: &Path, text: &[u8]) -> Result<()> {
    if fs::read(path.join(MANIFEST)).map_or(true, |found| found != text) {
        return Err(Error::new(ErrorKind::AlreadyExists, "add rows to", path.display())
            .with_reason("another writer has written a table there meanwhile, or removed it")
            .with_hint("what was written here is taken back"));
    }
    let name = path.display().to_string();
    let manifest: Manifest = serde_json::from_slice(text).map_err(|cause| foreign_manifest(&name, cause))?;
    let named: HashSet<&str> = manifest.files.iter().map(|file| &*file.path).collect();
    for entry in WalkDir::new(path).min_depth(1) {
        let entry = entry.map_err(|cause| Error::io("list", &name, cause.into()))?;
        let below = entry.path().strip_prefix(path).unwrap_or(entry.path()).to_string_lossy();
        if !entry.file_type().is_dir() && below != MANIFEST && !named.contains(&*below) {
            return Err(lost(&name, &below, format_args!("`{MANIFEST}` does not name it")));
        }
    }
    Ok(())
}

/// What would be lost with a folder.
fn lost(name: &str, below: &str, why: impl std::fmt::Display) -> Error {
    refused(name, format_args!("it would be lost: `{below}` in the folder ({why})"))
        .with_hint("name another folder, or move away first what is not of the table")
}

/// Whoever works in a folder would find it gone: what takes its place is another one.
fn refuse_around(path: &Path, to: &Path, working: &Path) -> Result<()> {
    if !working.starts_with(to) {
        return Ok(());
    }
    let which = if working == to { "is the working directory" } else { "holds the working directory" };
    Err(Error::invalid("write", path.display())
        .with_reason(format_args!("it {which}, and a folder is replaced as a whole"))
        .with_hint(format_args!(
            "work in another one, or name one within it, such as `{}`",
            path.join("table/").display()
        )))
}

/// Refuses a folder that has something that is no part of a table: nothing of it would be left.
fn only_table(path: &Path, to: &Path) -> Result<()> {
    let name = path.display().to_string();
    let named: Option<HashSet<String>> = match fs::read(to.join(MANIFEST)) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        bytes => {
            let bytes = bytes.map_err(|cause| Error::io("read", to.join(MANIFEST).display(), cause))?;
            let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|cause| foreign_manifest(&name, cause))?;
            Some(manifest.files.into_iter().map(|file| file.path).collect())
        }
    };
    for entry in WalkDir::new(to).min_depth(1) {
        let entry = entry.map_err(|cause| Error::io("list", &name, cause.into()))?;
        let below = entry.path().strip_prefix(to).unwrap_or(entry.path()).to_string_lossy();
        let is_fine = if entry.file_type().is_dir() {
            says_value(&entry.file_name().to_string_lossy())
        } else {
            match (What::of(&below), &named) {
                (What::Manifest, _) => true,
                (What::Rows, None) => is_of_writers(&below),
                (What::Rows, Some(named)) => named.contains(&*below) || is_part(&below),
                (What::Hidden | What::Other, _) => false,
            }
        };
        if !is_fine {
            let why = if named.is_some() && What::of(&below) == What::Rows {
                format!("`{MANIFEST}` does not name it")
            } else {
                "is no part of a table".to_owned()
            };
            return Err(lost(&name, &below, why));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lake::{BucketName, Lake, MemoryLake};

    const TABLE: &str =
        r#"{"rows":1,"digest":"","files":[{"path":"k=1/a.csv","rows":1,"bytes":1,"sha256":"","digest":""}]}"#;

    #[test]
    fn files_are_told_apart_by_their_paths() {
        for (path, what) in [
            (MANIFEST, What::Manifest),
            ("k=1/_manifest.json", What::Hidden),
            ("_runs/a.csv", What::Hidden),
            ("k=1/.a.csv", What::Hidden),
            ("a.csv.gz", What::Rows),
            ("k=1/j=x y/part-0.parquet", What::Rows),
            ("old/a.csv", What::Other),
            ("=1/a.csv", What::Other),
            ("k=1/a.txt", What::Other),
            ("notes", What::Other),
        ] {
            assert_eq!(What::of(path), what, "{path}");
        }
        for part in ["part-00000.csv", "k=1/part-00012-77-1a2b-3.parquet", "part-123456.ndjson.gz"] {
            assert!(is_part(part), "{part}");
        }
        for other in [
            "part-0.csv",
            "part-00000-4c1b7b5e-0d3f-4a63-9d1a-2f6f5b0b8f1e-c000.snappy.parquet",
            "part-00000-1-2.csv",
            "part-00000-1-2-.csv",
            "part-00000.txt",
            "old/part-00000.csv",
            "part-٠٠٠٠٠.csv",
        ] {
            assert!(!is_part(other), "{other}");
        }
    }

    async fn replaced(keys: &[&str], prefix: &str, manifest: Option<&'static str>) -> Result<Vec<String>> {
        let bucket = MemoryLake::default().create_bucket(&BucketName::new("raw-data")?).await?;
        for key in keys {
            bucket.put(&(*key).into(), "a\n1\n", Default::default()).await?;
        }
        if let Some(manifest) = manifest {
            bucket.put(&format!("{prefix}/{MANIFEST}").into(), manifest, Default::default()).await?;
        }
        let before = below_prefix(&bucket, &prefix.into(), &format!("raw-data/{prefix}/"), true).await?;
        assert_eq!(before.manifest.is_some(), manifest.is_some());
        Ok(before.replaced.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn only_a_table_gives_way_to_another() {
        let whole = replaced(&["_runs/1/run.json", "t/a.csv"], "", None).await.unwrap_err();
        assert!(whole.reason().unwrap().contains("whole bucket"), "{whole:?}");
        assert!(whole.hint().unwrap().contains("lake://raw-data/table/"), "{whole:?}");
        // Without a manifest: rows alone, and what readers pass over stays.
        let keys = ["t/part-0.csv", "t/k=1/part-b.json", "t/_runs/1.json", "t/.x", "u/c.csv"];
        assert_eq!(replaced(&keys, "t", None).await.unwrap(), ["t/k=1/part-b.json", "t/part-0.csv"]);
        for (other, said) in [("t/notes.txt", "`notes.txt`"), ("t/u/a.csv", "`u/a.csv`"), ("t/a.csv", "`a.csv`")] {
            let error = replaced(&["t/part-0.csv", other], "t", None).await.unwrap_err();
            assert!(error.reason().unwrap().starts_with(said), "{error:?}");
        }
        let error = replaced(&["t/u/_manifest.json", "t/a.csv"], "t", None).await.unwrap_err();
        assert!(error.reason().unwrap().contains("another table is below it: `u/`"), "{error:?}");
        let error = replaced(&["t/a.csv"], "t", Some("{}")).await.unwrap_err();
        assert!(error.reason().unwrap().contains("none of datalake"), "{error:?}");
    }

    #[tokio::test]
    async fn of_a_table_with_a_manifest_only_its_own_files_go() {
        let keys = [
            "t/k=1/a.csv",
            "t/k=1/b.csv",
            "t/k=2/part-00000-1-2a-3.csv",
            "t/k=3/part-00000-1-2a-3.csv",
            "t/k=3/_manifest.json",
            "t/_old/part-00000-1-2a-3.csv",
            "t/notes.txt",
        ];
        let found = replaced(&keys, "t", Some(TABLE)).await.unwrap();
        assert_eq!(found, ["t/k=1/a.csv", "t/k=2/part-00000-1-2a-3.csv"]);
    }

    pub(in crate::format::parts) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_with_anything_else_is_not_replaced() {
        for fine in [
            &[("part-0.csv", ""), ("k=1/part-b.parquet", "")][..],
            &[(MANIFEST, TABLE), ("k=1/a.csv", ""), ("k=2/part-00000.csv", "")],
        ] {
            in_folder(folder(fine).path(), true).unwrap();
        }
        for (files, said) in [
            (&[("part-a.csv", ""), ("notes.txt", "")][..], "`notes.txt`"),
            (&[("part-a.csv", ""), ("package.json", "")], "`package.json`"),
            (&[("part-a.csv", ""), (".git/config", "")], "`.git`"),
            (&[("k=1/part-a.csv", ""), ("k=1/src/main.rs", "")], "`k=1/src`"),
            (&[("part-a.csv", ""), ("_SUCCESS", "")], "`_SUCCESS`"),
            (&[(MANIFEST, TABLE), ("k=1/a.csv", ""), ("k=1/b.csv", "")], "does not name it"),
            (&[(MANIFEST, "[]"), ("a.csv", "")], "none of datalake"),
        ] {
            let folder = folder(files);
            let error = in_folder(folder.path(), true).unwrap_err();
            assert!(error.reason().unwrap().contains(said), "{error:?}");
            assert!(error.hint().is_some());
            // Without the wish to replace, it is for others to say that it is not empty.
            in_folder(folder.path(), false).unwrap();
        }
    }

    #[test]
    fn a_folder_that_is_worked_in_is_not_replaced() {
        let folder = folder(&[("t/k=1/a.csv", "")]);
        let t = folder.path().join("t");
        for (working, said) in [(t.clone(), "is the"), (t.join("k=1"), "holds the")] {
            let error = refuse_around(&t, &t, &working).unwrap_err();
            assert!(error.reason().unwrap().contains(said), "{error:?}");
        }
        refuse_around(&t, &t, folder.path()).unwrap();
    }
}
