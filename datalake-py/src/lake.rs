//! Lakes: buckets and objects.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use datalake_core::cluster::profile::Profile;
use datalake_core::format::{self, Sink};
use datalake_core::lake::{AtomicFile, BucketName, LakeOptions, Location, ObjectPattern, copy, open, parse_object};
use datalake_core::pipeline::ensure_bucket;
use datalake_core::sample::{SampleOptions, land};
use datalake_core::{Error, ErrorKind, Lake as AnyLake, Result};
use object_store::{ObjectMeta, PutMode};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::convert::written;
use crate::error::raised;
use crate::options::{packed, writing};
use crate::runtime::{Listener, wait, wait_with};
use crate::table::{Table, read_objects};

/// Where a lake is when nothing is said.
const DEFAULT: &str = "./lake";

/// A folder, an S3 endpoint or memory that holds buckets.
#[pyclass(frozen, module = "datalake")]
#[derive(Debug)]
pub(crate) struct Lake {
    url: String,
    lake: Arc<dyn AnyLake>,
    options: LakeOptions,
}

/// An object of a lake, as a listing shows it.
#[pyclass(frozen, get_all, module = "datalake")]
#[derive(Debug)]
pub(crate) struct ObjectInfo {
    /// `bucket/key`.
    path: String,
    /// Its size in bytes.
    size: u64,
    /// When it was written, in UTC.
    modified: DateTime<Utc>,
    /// The store's tag of this version, where it has one.
    etag: Option<String>,
}

/// A lake, or the URL of one.
#[derive(FromPyObject)]
pub(crate) enum LakeLike<'py> {
    Lake(Bound<'py, Lake>),
    Url(PathBuf),
}

impl Lake {
    /// How it was opened.
    pub(crate) fn options(&self) -> &LakeOptions {
        &self.options
    }

    /// The engine's own.
    pub(crate) fn engine(&self) -> Arc<dyn AnyLake> {
        Arc::clone(&self.lake)
    }
}

impl LakeLike<'_> {
    /// The lake that is meant; where none is given, the one that `DATALAKE_URL` names, or `./lake`.
    pub(crate) fn open_or_default(lake: Option<Self>, py: Python<'_>) -> PyResult<Arc<dyn AnyLake>> {
        match lake {
            Some(Self::Lake(lake)) => Ok(Arc::clone(&lake.get().lake)),
            Some(Self::Url(url)) => Ok(Lake::new(py, Some(url), None, None, None, None)?.lake),
            None => Ok(Lake::new(py, None, None, None, None, None)?.lake),
        }
    }
}

#[pymethods]
impl Lake {
    /// Opens a lake; nothing is made, and nothing is asked of an endpoint yet.
    #[new]
    #[pyo3(signature = (url=None, *, bucket_prefix=None, buckets=None, retry_timeout=None, variables=None))]
    fn new(
        py: Python<'_>,
        url: Option<PathBuf>,
        bucket_prefix: Option<String>,
        buckets: Option<BTreeMap<String, String>>,
        retry_timeout: Option<f64>,
        variables: Option<BTreeMap<String, String>>,
    ) -> PyResult<Self> {
        let named = url.map(|url| url.to_string_lossy().into_owned()).or_else(|| variable("DATALAKE_URL"));
        let variables = variables.unwrap_or_default();
        let opened = || {
            let options = lake_options(bucket_prefix, buckets.unwrap_or_default(), retry_timeout, &variables)?;
            let either = |name: &str| variables.get(name).cloned().or_else(|| variable(name));
            let (url, options) = Profile::of_lake(named.as_deref())?.lake(named, DEFAULT, options, &either);
            Ok(Self { lake: open(&url, &options)?, url, options })
        };
        opened().map_err(|error: Error| raised(py, &error))
    }

    /// The folder or endpoint, as it was given.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    fn __repr__(&self) -> String {
        format!("datalake.Lake({:?})", self.url)
    }

    fn __str__(&self) -> String {
        self.lake.to_string()
    }

    /// The names of all buckets, sorted.
    fn buckets(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let lake = Arc::clone(&self.lake);
        let infos = wait(py, async move { lake.buckets().await })?;
        Ok(infos.into_iter().map(|info| info.name.to_string()).collect())
    }

    /// Makes an empty bucket.
    #[pyo3(signature = (name, *, exist_ok=false))]
    fn create_bucket(&self, py: Python<'_>, name: String, exist_ok: bool) -> PyResult<()> {
        let lake = Arc::clone(&self.lake);
        wait(py, async move {
            let name = BucketName::new(name)?;
            match exist_ok {
                true => ensure_bucket(lake.as_ref(), &name).await.map(drop),
                false => lake.create_bucket(&name).await.map(drop),
            }
        })
    }

    /// Removes a bucket that holds nothing.
    fn delete_bucket(&self, py: Python<'_>, name: String) -> PyResult<()> {
        let lake = Arc::clone(&self.lake);
        wait(py, async move { lake.delete_bucket(&BucketName::new(name)?).await })
    }

    /// The objects of a bucket, or those whose key begins with a prefix.
    fn ls(&self, py: Python<'_>, path: String) -> PyResult<Vec<ObjectInfo>> {
        let lake = Arc::clone(&self.lake);
        wait(py, async move {
            let path = path.strip_prefix("lake://").unwrap_or(&path);
            let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
            let bucket = lake.bucket(&BucketName::new(name)?).await?;
            let mut objects = bucket.list(None).await?;
            objects.retain(|object| object.location.as_ref().starts_with(prefix));
            Ok(objects.into_iter().map(|object| ObjectInfo::of(bucket.address(&object.location), object)).collect())
        })
    }

    /// Whether there is such an object.
    fn exists(&self, py: Python<'_>, path: String) -> PyResult<bool> {
        let lake = Arc::clone(&self.lake);
        wait(py, async move {
            let (bucket, key) = parse_object(&path)?;
            match lake.bucket(&bucket).await?.head(&key).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// A whole object.
    fn get<'py>(&self, py: Python<'py>, path: String) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = get(py, Arc::clone(&self.lake), path)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Puts a whole object: it appears complete or not at all.
    #[pyo3(signature = (path, data, *, overwrite=true))]
    fn put(&self, py: Python<'_>, path: String, data: Vec<u8>, overwrite: bool) -> PyResult<()> {
        let mode = if overwrite { PutMode::Overwrite } else { PutMode::Create };
        put(py, Arc::clone(&self.lake), path, data, mode)
    }

    /// Removes the objects that a pattern names, and says how many.
    fn delete(&self, py: Python<'_>, pattern: String) -> PyResult<usize> {
        let lake = Arc::clone(&self.lake);
        wait(py, async move {
            let found = pattern.parse::<ObjectPattern>()?.matches(lake.as_ref()).await?;
            for (bucket, object) in &found {
                bucket.delete(&object.location).await?;
            }
            Ok(found.len())
        })
    }

    /// Copies a local file or folder into the lake, and says how many objects that were.
    fn upload(&self, py: Python<'_>, local: PathBuf, path: String) -> PyResult<u64> {
        let lake = Arc::clone(&self.lake);
        wait(py, async move { Ok(copy(lake.as_ref(), &Location::Local(local), &in_lake(&path)?).await?.objects) })
    }

    /// Copies an object, or all below a prefix that ends in `/`, to this machine; says how many files that were.
    fn download(&self, py: Python<'_>, path: String, local: PathBuf) -> PyResult<u64> {
        let lake = Arc::clone(&self.lake);
        wait(py, async move { Ok(copy(lake.as_ref(), &in_lake(&path)?, &Location::Local(local)).await?.objects) })
    }

    /// Reads the objects that a pattern names, as one table.
    #[pyo3(signature = (path, **options))]
    fn read(&self, py: Python<'_>, path: String, options: Option<&Bound<'_, PyDict>>) -> PyResult<Table> {
        let pattern = path.strip_prefix("lake://").map(ToOwned::to_owned).unwrap_or(path);
        read_objects(py, &self.lake, pattern, options)
    }

    /// Writes a table as an object, its format told from the name; returns what was written.
    #[pyo3(signature = (path, table, *, format=None, compression=None, row_group_rows=None, zstd_level=None, **options))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn write<'py>(
        &self,
        py: Python<'py>,
        path: String,
        table: &Bound<'py, PyAny>,
        format: Option<String>,
        compression: Option<&str>,
        row_group_rows: Option<usize>,
        zstd_level: Option<i32>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let rows = Table::from_arrow(table)?.plain().map_err(|error| raised(py, &error))?;
        let options = packed(writing("", options)?, format, compression, row_group_rows, zstd_level)
            .map_err(|error| raised(py, &error))?;
        let lake = Arc::clone(&self.lake);
        let done = wait(py, async move {
            let (bucket, key) = parse_object(&path)?;
            let sink = Sink::Object { bucket: lake.bucket(&bucket).await?, path: key };
            format::for_sink(&sink, &options)?.write(sink, rows, options).await
        })?;
        written(py, &done)
    }

    /// Runs one query over the objects of this lake.
    #[pyo3(signature = (query, *, tables=None, memory=None, **options))]
    fn sql(
        slf: Bound<'_, Self>,
        query: String,
        tables: Option<&Bound<'_, PyDict>>,
        memory: Option<usize>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Table> {
        let py = slf.py();
        crate::sql::sql(py, query, Some(LakeLike::Lake(slf)), tables, memory, options)
    }

    /// Lands synthetic food tables, in place of an earlier sample; returns what was landed, as JSON.
    #[pyo3(signature = (rows=None, seed=None, *, clean=false, prefix="raw-data/foods"))]
    fn land_sample<'py>(
        &self,
        py: Python<'py>,
        rows: Option<u64>,
        seed: Option<u64>,
        clean: bool,
        prefix: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let defaults = SampleOptions::default();
        let options = SampleOptions::default()
            .with_rows(rows.unwrap_or(defaults.rows))
            .with_seed(seed.unwrap_or(defaults.seed))
            .with_clean(clean);
        let (lake, listener) = (Arc::clone(&self.lake), Arc::<Listener>::default());
        let progress = Arc::clone(&listener);
        let place = prefix.trim_end_matches('/').to_owned();
        let landed = wait_with(py, &listener, async move {
            let (bucket, key) = parse_object(&place)?;
            let bucket = ensure_bucket(lake.as_ref(), &bucket).await?;
            land(&bucket, &key, &options, progress.as_ref()).await
        })?;
        document(py, &landed)
    }
}

#[pymethods]
impl ObjectInfo {
    fn __repr__(&self) -> String {
        format!("datalake.ObjectInfo({:?}, size={})", self.path, self.size)
    }
}

impl ObjectInfo {
    fn of(path: String, meta: ObjectMeta) -> Self {
        Self { path, size: meta.size, modified: meta.last_modified, etag: meta.e_tag }
    }
}

/// A document of the engine as Python's own dictionaries and lists.
pub(crate) fn document<'py, T: serde::Serialize>(py: Python<'py>, value: &T) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value)
        .map_err(|cause| raised(py, &Error::internal("write", "a document").with_source(cause)))?;
    py.import("json")?.call_method1("loads", (text,))
}

/// The bytes of a local file or a lake object.
#[pyfunction]
#[pyo3(signature = (path, lake=None))]
pub(crate) fn get_file<'py>(
    py: Python<'py>,
    path: PathBuf,
    lake: Option<LakeLike<'py>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = match lake_path(&path) {
        Some(path) => get(py, LakeLike::open_or_default(lake, py)?, path)?,
        None => wait(py, async move {
            let read = tokio::fs::read(&path).await;
            read.map(Bytes::from).map_err(|cause| Error::io("read", path.display(), cause))
        })?,
    };
    Ok(PyBytes::new(py, &bytes))
}

/// Writes a local file or a lake object, whole or not at all.
#[pyfunction]
#[pyo3(signature = (path, data, lake=None))]
pub(crate) fn put_file(py: Python<'_>, path: PathBuf, data: Vec<u8>, lake: Option<LakeLike<'_>>) -> PyResult<()> {
    match lake_path(&path) {
        Some(path) => put(py, LakeLike::open_or_default(lake, py)?, path, data, PutMode::Overwrite),
        None => wait(py, async move {
            let mut file = AtomicFile::create(path).await?;
            file.write(data.into()).await?;
            file.finish().await.map(drop)
        }),
    }
}

/// The address of an object where the path is one.
pub(crate) fn lake_path(path: &std::path::Path) -> Option<String> {
    path.to_str().filter(|path| path.starts_with("lake://")).map(ToOwned::to_owned)
}

fn get(py: Python<'_>, lake: Arc<dyn AnyLake>, path: String) -> PyResult<Bytes> {
    wait(py, async move {
        let (bucket, key) = parse_object(&path)?;
        lake.bucket(&bucket).await?.get(&key).await
    })
}

fn put(py: Python<'_>, lake: Arc<dyn AnyLake>, path: String, data: Vec<u8>, mode: PutMode) -> PyResult<()> {
    wait(py, async move {
        let (bucket, key) = parse_object(&path)?;
        lake.bucket(&bucket).await?.put(&key, data, mode).await.map(drop)
    })
}

/// `bucket/key` or `bucket/prefix/`, with or without `lake://`.
fn in_lake(path: &str) -> Result<Location> {
    format!("lake://{}", path.strip_prefix("lake://").unwrap_or(path)).parse()
}

fn lake_options(
    bucket_prefix: Option<String>,
    buckets: BTreeMap<String, String>,
    retry_timeout: Option<f64>,
    variables: &BTreeMap<String, String>,
) -> Result<LakeOptions> {
    let mut options = LakeOptions::default();
    options = options.with_names_of(&variable)?;
    options.bucket_prefix = bucket_prefix.or(options.bucket_prefix);
    for (logical, real) in buckets {
        options = options.with_bucket(BucketName::new(logical)?, BucketName::new(real)?);
    }
    if let Some(seconds) = retry_timeout {
        let timeout = Duration::try_from_secs_f64(seconds)
            .map_err(|cause| Error::invalid("use", format_args!("`{seconds}` as seconds")).with_source(cause))?;
        options = options.with_retry_timeout(timeout);
    }
    Ok(variables.iter().fold(options, |options, (name, value)| options.with_variable(name, value)))
}

/// A variable of the environment that says something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
