//! Which files a pattern, a folder or a prefix names, in the order of their names.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use glob::{MatchOptions, Pattern};
use walkdir::WalkDir;

use super::file::{File, Place, Version};
use super::hive;
#[cfg(feature = "sql")]
use super::said::Said;
use crate::error::{Error, ErrorKind, Result};
use crate::format::parts::{MANIFEST, Manifest, key_below};
use crate::lake::{Bucket, Lake, ObjectPattern};

/// What makes a text a pattern.
const SPECIAL: [char; 3] = ['*', '?', '['];
/// Like a shell: `*` stays within a folder, `**` does not; case matters.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Files or objects that together are one table, in the order of their names.
///
/// They are named by a pattern (`exports/**/*.csv.gz`, `lake://raw-data/foods/*.csv`), a folder (`exports`), or a prefix
/// (`lake://raw-data/foods/`). Names below it that begin with `_` or `.` are passed over, unless the pattern writes them so.
/// Folders `year=2024/` between it and a file are columns: their values are decoded from `%XX`, have the types that the
/// same texts would have in CSV, and `__HIVE_DEFAULT_PARTITION__` is a missing one.
///
/// ```
/// use datalake_core::format::{self, Files, ReadOptions, Sink, WriteOptions};
///
/// # fn main() -> datalake_core::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let exports = folder.path().join("exports");
/// # let to = folder.path().join("foods.ndjson");
/// std::fs::create_dir_all(exports.join("year=2024")).unwrap();
/// std::fs::write(exports.join("year=2024/a.csv"), "name,kcal\nlentils,116\n").unwrap();
/// std::fs::write(exports.join("year=2024/b.csv"), "kcal,name,vegan\n717.5,butter,false\n").unwrap();
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let files = Files::local(&format!("{}/**/*.csv", exports.display()))?;
/// let sink = Sink::LocalFile(to.clone());
/// let done = format::convert_many(files, sink, ReadOptions::default(), WriteOptions::default()).await?;
/// let text = std::fs::read_to_string(&to).unwrap();
/// assert_eq!(text.lines().next(), Some(r#"{"name":"lentils","kcal":116.0,"vegan":null,"year":2024}"#));
/// assert!(done.notes[0].ends_with("a.csv: has no column `vegan`: null there"));
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Files {
    /// What messages call them.
    pub(super) what: Arc<str>,
    pub(super) files: Arc<[File]>,
    /// The columns that folders say.
    pub(super) keys: Vec<String>,
    /// What the user should know of how they were found.
    pub(super) notes: Vec<String>,
}

#[cfg(feature = "pipeline")]
impl Files {
    /// The columns that folders say.
    pub(crate) fn keys(&self) -> &[String] {
        &self.keys
    }
}

/// A file that was found.
struct Found {
    name: String,
    /// Its path below the folder of the table.
    below: String,
    size: u64,
    place: Place,
}

impl Files {
    /// The files that a text names as a command line has it: a pattern, folder or prefix; none where it is the name of a
    /// single file or object, or `-`.
    ///
    /// # Errors
    /// Those of [`Files::local`] and [`Files::in_lake`], and of opening the lake.
    pub async fn named(text: &str, lake: impl FnOnce() -> Result<Arc<dyn Lake>>) -> Result<Option<Self>> {
        if let Some(address) = text.strip_prefix("lake://") {
            let is_one = address.split_once('/').is_some_and(|(_, key)| !key.is_empty() && !key.ends_with('/'));
            if is_one && !address.contains(SPECIAL) {
                return Ok(None);
            }
            return Self::in_lake(lake()?.as_ref(), &address.parse()?).await.map(Some);
        }
        let path = Path::new(text);
        if text == "-" || text.contains("://") || !path.is_dir() && (path.exists() || !text.contains(SPECIAL)) {
            return Ok(None);
        }
        let text = text.to_owned();
        let listed = tokio::task::spawn_blocking(move || Self::local(&text)).await;
        listed.unwrap_or_else(|_| Err(Error::internal("list", "files"))).map(Some)
    }

    /// The files of a folder of this machine and of those below it, or those that a pattern names. Of a folder in which a table
    /// was written as several files, these are those that its `_manifest.json` names.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there are none; [`Invalid`](crate::ErrorKind::Invalid) for a pattern
    /// that is none, or if some files lie in folders that say columns and others do not; what the operating system says of
    /// folders.
    pub fn local(text: &str) -> Result<Self> {
        let is_folder = Path::new(text).is_dir();
        let (base, pattern) = if is_folder { (text, "**") } else { split(text) };
        let invalid = |cause| Error::invalid("use", format_args!("`{text}` as a pattern")).with_source(cause);
        let whole = if pattern.ends_with('/') { format!("{pattern}**") } else { pattern.to_owned() };
        let pattern = Pattern::new(&whole).map_err(invalid)?;
        let depth = if whole.contains("**") { usize::MAX } else { whole.split('/').count() };
        let mut found = Vec::new();
        let folder = if base.is_empty() { Path::new(".") } else { Path::new(base) };
        if !folder.is_dir() {
            let error = Error::not_found("read", text).with_reason("no file matches");
            return Err(error.with_hint(format_args!("there is no folder `{}`", folder.display())));
        }
        let walk = WalkDir::new(folder).min_depth(1).max_depth(depth).follow_links(true).into_iter();
        let shown = |name: &std::ffi::OsStr| is_shown(&name.to_string_lossy(), &whole);
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || shown(entry.file_name())) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(cause) => {
                    pass_over(cause, folder, |name| shown(name), &pattern)?;
                    continue;
                }
            };
            let below = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_path_buf();
            let text = with_slashes(&below);
            if !entry.file_type().is_file() || !pattern.matches_with(&text, OPTIONS) {
                continue;
            }
            let metadata = entry.metadata().map_err(|cause| Error::io("list", folder.display(), cause.into()))?;
            let path = if base.is_empty() { below } else { entry.path().to_path_buf() };
            let (name, size) = (path.display().to_string(), metadata.len());
            found.push(Found { name, below: text, size, place: Place::Local(path, Version::of(&metadata)) });
        }
        if found.is_empty() {
            return Err(Error::not_found("read", text).with_reason("no file matches").with_hint(holds(folder)));
        }
        found.sort_by(|a, b| a.place.bytes().cmp(b.place.bytes()));
        let manifest = if is_folder { std::fs::read(folder.join(MANIFEST)).ok() } else { None };
        // Another program's file of this name says nothing.
        let left_out = match manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            Some(manifest) => only_named(&mut found, &manifest, text, "file")?,
            None => None,
        };
        let files = Self::of(text, found, |_| true)?;
        Ok(Self { notes: left_out.into_iter().collect(), ..files })
    }

    /// The objects that a pattern or prefix names. Of a prefix below which a table was written as several objects, these are those
    /// that its `_manifest.json` names: what a write that was cut short has left is no part of the table.
    ///
    /// # Errors
    /// Those of [`ObjectPattern::matches`]; [`Invalid`](crate::ErrorKind::Invalid) if some objects lie in folders that say
    /// columns and others do not.
    pub async fn in_lake(lake: &dyn Lake, pattern: &ObjectPattern) -> Result<Self> {
        Self::in_lake_of(lake, pattern, |_| true).await
    }

    /// The same, where only some of the columns that folders say are asked for; nothing is said of others.
    pub(crate) async fn in_lake_of(
        lake: &dyn Lake,
        pattern: &ObjectPattern,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let objects = pattern.matches(lake).await?;
        let base = pattern.base();
        let found = objects.into_iter().filter_map(|(bucket, meta)| {
            let key = meta.location.as_ref();
            let below = key.strip_prefix(&*base).unwrap_or(key).trim_start_matches('/').to_owned();
            let is_shown = below.split('/').all(|part| !part.starts_with('.') || is_shown(part, pattern.key()));
            let name = bucket.address(&meta.location);
            is_shown.then(|| Found { name, below, size: meta.size, place: Place::Object(bucket, meta) })
        });
        let mut found: Vec<Found> = found.collect();
        if found.is_empty() {
            return Err(Error::not_found("read", pattern).with_reason("the names of all objects begin with `.`"));
        }
        found.sort_by(|a, b| a.place.bytes().cmp(b.place.bytes()));
        let left_out = match (pattern.is_prefix(), found.first().map(|found| &found.place)) {
            (true, Some(Place::Object(bucket, _))) => match manifest(bucket, &base).await? {
                Some(manifest) => only_named(&mut found, &manifest, &pattern.to_string(), "object")?,
                None => None,
            },
            _ => None,
        };
        let files = Self::of(&pattern.to_string(), found, is_wanted)?;
        Ok(Self { notes: left_out.into_iter().collect(), ..files })
    }

    fn of(what: &str, found: Vec<Found>, is_wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let mut keys: Option<(Vec<String>, String)> = None;
        let mut files = Vec::with_capacity(found.len());
        for Found { name, below, size, place } in found {
            let folders = below.rsplit_once('/').map_or("", |(folders, _)| folders);
            let (own, values): (Vec<String>, Vec<Option<String>>) =
                hive::pairs(&name, folders)?.into_iter().filter(|(key, _)| is_wanted(key)).unzip();
            let (known, first) = keys.get_or_insert_with(|| (own.clone(), name.clone()));
            let values = in_order(known, own, values).map_err(|own| differ(&name, &own, first, known))?;
            files.push(File::new(name, size, values, place));
        }
        Ok(Self {
            what: what.into(),
            files: files.into(),
            keys: keys.map(|(keys, _)| keys).unwrap_or_default(),
            notes: Vec::new(),
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none, which no way to find them gives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Their names: paths, or `bucket/key`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| &*file.name)
    }

    /// What messages call them.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The files of this machine among them.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter_map(File::path)
    }

    /// The keys of the objects among them.
    pub(crate) fn keys_of_objects(&self) -> impl Iterator<Item = (&Bucket, &object_store::path::Path)> {
        self.files.iter().filter_map(|file| file.object().map(|(bucket, meta)| (bucket, &meta.location)))
    }

    /// The objects among them, each with what its folders say.
    #[cfg(feature = "sql")]
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Bucket, &object_store::ObjectMeta, Said)> {
        let said = |file: &File| self.keys.iter().cloned().zip(file.values.iter().cloned()).collect();
        self.files.iter().filter_map(move |file| {
            let (bucket, meta) = file.object()?;
            Some((bucket, meta, Said::new(said(file))))
        })
    }

    /// What the user should know of how they were found.
    #[cfg(feature = "pipeline")]
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// A path with the slashes that patterns have.
fn with_slashes(path: &Path) -> String {
    path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// Sees that what cannot be listed is none of the files that are meant: a link that leads nowhere, or back to a folder above.
fn pass_over(
    cause: walkdir::Error,
    folder: &Path,
    shown: impl Fn(&std::ffi::OsStr) -> bool,
    pattern: &Pattern,
) -> Result<()> {
    // What lies behind it is found above.
    if cause.loop_ancestor().is_some() {
        return Ok(());
    }
    let is_dangling = |path: &&Path| path.is_symlink() && path.metadata().is_err();
    let Some(path) = cause.path().filter(is_dangling).map(Path::to_path_buf) else {
        return Err(Error::io("list", folder.display(), cause.into()));
    };
    let below = path.strip_prefix(folder).unwrap_or(&path);
    if !below.iter().all(shown) || !pattern.matches_with(&with_slashes(below), OPTIONS) {
        return Ok(());
    }
    Err(Error::io("follow the link", path.display(), cause.into())
        .with_reason("what it leads to is not there")
        .with_hint("remove it, or name the files by a pattern that it does not match"))
}

/// What names the objects of a table below a prefix, if it was written as several.
async fn manifest(bucket: &Bucket, base: &str) -> Result<Option<Manifest>> {
    let Ok(prefix) = object_store::path::Path::parse(base) else { return Ok(None) };
    match bucket.get(&key_below(&prefix, MANIFEST)?).await {
        // Another program's file of this name says nothing.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps the files or objects that a manifest names, all of which must be there; says which are left out.
fn only_named(found: &mut Vec<Found>, manifest: &Manifest, pattern: &str, noun: &str) -> Result<Option<String>> {
    let listed: HashSet<&str> = found.iter().map(|found| &*found.below).collect();
    if let Some(file) = manifest.files.iter().find(|file| !listed.contains(&*file.path)) {
        return Err(Error::not_found("read", pattern)
            .with_reason(format_args!("its `{MANIFEST}` names `{}`, which is not there", file.path))
            .with_hint("write the table again; or remove the manifest, to read what is there"));
    }
    let named: HashSet<&str> = manifest.files.iter().map(|file| &*file.path).collect();
    let other: Vec<&str> = found.iter().map(|found| &*found.below).filter(|below| !named.contains(below)).collect();
    let note = match other[..] {
        [] => None,
        [one] => Some(format!("1 {noun} below {pattern} is not named by its `{MANIFEST}`, so left out: {one}")),
        [first, ..] => Some(format!(
            "{} {noun}s below {pattern} are not named by its `{MANIFEST}`, so left out, such as {first}",
            other.len()
        )),
    };
    found.retain(|found| named.contains(&*found.below));
    if found.is_empty() {
        return Err(Error::not_found("read", pattern).with_reason(format_args!("its `{MANIFEST}` names no {noun}")));
    }
    Ok(note)
}

/// The folder before the first special character, and the pattern below it.
fn split(text: &str) -> (&str, &str) {
    let special = text.find(SPECIAL).unwrap_or(text.len());
    match text[..special].rfind('/') {
        Some(0) => ("/", &text[1..]),
        Some(slash) => (&text[..slash], &text[slash + 1..]),
        None => ("", text),
    }
}

/// Whether a name does not begin with `_` or `.`, or a part of the pattern that does so stands for it.
fn is_shown(name: &str, pattern: &str) -> bool {
    let named = |own: &str| own.starts_with(&name[..1]) && Pattern::new(own).is_ok_and(|own| own.matches(name));
    !name.starts_with(['_', '.']) || pattern.split('/').any(named)
}

/// The values of columns in the order of others; the columns where they are not the same.
fn in_order(
    known: &[String],
    own: Vec<String>,
    mut values: Vec<Option<String>>,
) -> Result<Vec<Option<String>>, Vec<String>> {
    let places: Option<Vec<usize>> = known.iter().map(|key| own.iter().position(|other| other == key)).collect();
    match places {
        Some(places) if places.len() == own.len() => {
            Ok(places.into_iter().map(|place| std::mem::take(&mut values[place])).collect())
        }
        _ => Err(own),
    }
}

fn differ(name: &str, own: &[String], first: &str, known: &[String]) -> Error {
    let say =
        |keys: &[String]| if keys.is_empty() { "no column".to_owned() } else { format!("`{}`", keys.join("`, `")) };
    Error::invalid("read", name)
        .with_reason(format_args!("its folders say {}, and those of {first} {}", say(own), say(known)))
        .with_hint("read those of one kind by themselves")
}

/// What there is in a folder, as a hint.
fn holds(folder: &Path) -> String {
    const SHOWN: usize = 3;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| format!("`{}`", entry.file_name().to_string_lossy())).collect();
    names.sort();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match (names.is_empty(), more) {
        (true, _) => format!("`{}` is empty", folder.display()),
        (false, 0) => format!("`{}` holds {}", folder.display(), names.join(", ")),
        (false, more) => format!("`{}` holds {} and {more} more", folder.display(), names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{BucketName, MemoryLake};

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a\n1\n").unwrap();
        }
        folder
    }

    fn local(folder: &tempfile::TempDir, pattern: &str) -> Result<Vec<String>> {
        let base = folder.path().to_str().unwrap();
        let files = Files::local(&format!("{base}/{pattern}"))?;
        Ok(files.names().map(|name| name.strip_prefix(base).unwrap()[1..].to_owned()).collect())
    }

    #[test]
    fn local_files_are_found_in_the_order_of_their_names() {
        let files =
            ["b.csv", "B.csv", "a/x.csv", "a.csv", "a/y.json", "_old/a.csv", ".git/a.csv", "a/_SUCCESS", ".x.csv"];
        let folder = folder(&files);
        assert_eq!(local(&folder, "*.csv").unwrap(), ["B.csv", "a.csv", "b.csv"]);
        assert_eq!(local(&folder, "**/*.csv").unwrap(), ["B.csv", "a.csv", "a/x.csv", "b.csv"]);
        assert_eq!(local(&folder, "").unwrap(), ["B.csv", "a.csv", "a/x.csv", "a/y.json", "b.csv"]);
        assert_eq!(local(&folder, "*/").unwrap(), ["a/x.csv", "a/y.json"]);
        assert_eq!(local(&folder, "_*/*.csv").unwrap(), ["_old/a.csv"]);
        assert_eq!(local(&folder, "[ab].csv").unwrap(), ["a.csv", "b.csv"]);
        let error = local(&folder, "a/*.tsv").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.hint().unwrap().ends_with("holds `_SUCCESS`, `x.csv`, `y.json`"), "{error:?}");
        assert!(local(&folder, "c/*.tsv").unwrap_err().hint().unwrap().starts_with("there is no folder"));
    }

    #[test]
    fn links_that_lead_nowhere_count_only_where_they_are_meant() {
        use std::os::unix::fs::symlink;
        let folder = folder(&["a.csv", "sub/b.csv", "whole/c.csv"]);
        let path = |name: &str| folder.path().join(name);
        symlink("user@host", path(".#a.csv")).unwrap();
        symlink("gone", path("latest")).unwrap();
        symlink(folder.path(), path("sub/above")).unwrap();
        symlink("itself", path("sub/itself")).unwrap();
        symlink(path("a.csv"), path("sub/link.csv")).unwrap();
        assert_eq!(local(&folder, "*.csv").unwrap(), ["a.csv"]);
        let all = ["a.csv", "sub/b.csv", "sub/link.csv", "whole/c.csv"];
        assert_eq!(local(&folder, "**/*.csv").unwrap(), all);
        assert_eq!(local(&folder, "whole").unwrap(), ["whole/c.csv"]);
        let error = local(&folder, "*").unwrap_err();
        assert!(error.subject().ends_with("/latest"), "{error}");
        assert_eq!(error.reason(), Some("what it leads to is not there"));
    }

    #[test]
    fn folders_must_say_the_same_columns() {
        let same = folder(&["a=1/b=x/f.csv", "b=y/a=2/f.csv"]);
        let files = Files::local(same.path().to_str().unwrap()).unwrap();
        assert_eq!(files.keys, ["a", "b"]);
        assert_eq!(files.files[1].values, [Some("2".to_owned()), Some("y".to_owned())]);
        let base = Files::local(&format!("{}/a=1/**/*.csv", same.path().display())).unwrap();
        assert_eq!(base.keys, ["b"], "what the pattern fixes is no column");
        let mixed = folder(&["a=1/f.csv", "f.csv"]);
        let error = Files::local(mixed.path().to_str().unwrap()).unwrap_err();
        assert!(error.reason().unwrap().starts_with("its folders say no column, and those of "), "{error:?}");
    }

    #[tokio::test]
    async fn objects_are_found_as_files_are() {
        let lake = MemoryLake::default();
        let bucket = lake.create_bucket(&BucketName::new("raw-data").unwrap()).await.unwrap();
        for key in ["t/y=1/b.csv", "t/y=1/a.csv", "t/y=0/c.csv", "t/y=1/_x.csv", "t/.tmp/a.csv", "u/a.csv"] {
            bucket.put(&key.into(), "a\n1\n", Default::default()).await.unwrap();
        }
        for pattern in ["raw-data/t/", "raw-data/t/**/*.csv", "raw-data/t/y=*/*"] {
            let files = Files::in_lake(&lake, &pattern.parse().unwrap()).await.unwrap();
            let names: Vec<&str> = files.names().collect();
            assert_eq!(names, ["raw-data/t/y=0/c.csv", "raw-data/t/y=1/a.csv", "raw-data/t/y=1/b.csv"], "{pattern}");
            assert_eq!(files.keys, ["y"]);
        }
    }

    #[tokio::test]
    async fn a_text_names_one_file_or_many() {
        let folder = folder(&["a[1].csv", "b.csv"]);
        let lake = || -> Result<Arc<dyn Lake>> { Ok(Arc::new(MemoryLake::default())) };
        let base = folder.path().display();
        for one in [format!("{base}/a[1].csv"), format!("{base}/none.csv"), "-".into(), "lake://raw-data/a.csv".into()]
        {
            assert!(Files::named(&one, lake).await.unwrap().is_none(), "{one}");
        }
        for many in [format!("{base}/*.csv"), format!("{base}"), format!("{base}/")] {
            assert_eq!(Files::named(&many, lake).await.unwrap().unwrap().len(), 2, "{many}");
        }
        assert!(Files::named("lake://raw-data/foods/", lake).await.is_err());
    }
}
