"""The native half of the package."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from os import PathLike
from typing import Any, Literal, Protocol, Self, TypeAlias, TypedDict, Unpack, final

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa

from datalake._cluster import PodOptions, SetupOptions
from datalake._progress import Display

__all__ = [
    "Connection",
    "Lake",
    "Model",
    "ObjectInfo",
    "RunLog",
    "Table",
    "__version__",
    "code_version",
    "convert",
    "cross_validate",
    "get_file",
    "manifest",
    "progress",
    "put_file",
    "read",
    "replay",
    "run_pipeline",
    "runs",
    "set_threads",
    "sql",
    "threads",
    "train",
    "verify",
]

__version__: str
code_version: str

_Path: TypeAlias = str | PathLike[str]
_Lake: TypeAlias = Lake | _Path
_Compression: TypeAlias = Literal["none", "gzip", "bzip2", "xz", "zstd", "snappy", "lz4", "zip"]
_Format: TypeAlias = Literal["csv", "ndjson", "json", "parquet"]

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...

# Anything that hands rows over by Arrow's PyCapsule interface.
_Rows: TypeAlias = _ArrowStream | _ArrowArray

class _ReadOptions(TypedDict, total=False):
    """How a table is read.

    An option for which its format has no use is an error, unless it may be said of others: in SQL, and of files of
    several formats.
    """

    format: _Format | None
    """The format; `None` tells it from the name, then from the content."""
    compression: _Compression | None
    """The compression; `None` tells it from the content."""
    encoding: str | None
    """The encoding of a text, by a label of the WHATWG standard such as `windows-1252` or `utf-16le`; `None` is UTF-8,
    or UTF-16 where a byte order mark says so."""
    member: str | None
    """The file of a zip archive to read; `None` takes the only one, or all CSV or NDJSON files of the same columns."""
    delimiter: str | None
    """CSV: what separates fields; `None` finds it among `,`, `;`, tab and `|`."""
    quote: str | None
    """CSV: what encloses fields, or `"none"`; `None` finds it, `"` or `'`."""
    escape: str | None
    """CSV: what makes the next character one of the field's own, beside doubled quotes."""
    comment: str | None
    """CSV: what begins a line that is no record."""
    skip_lines: int
    """CSV: how many lines stand before the first record."""
    decimal: Literal[".", ",", "dot", "comma", "either"] | None
    """CSV: the decimal mark of numbers; `None` finds it, column by column."""
    thousands: str | None
    """CSV: what may stand between groups of three digits."""
    header: bool | None
    """CSV: whether the first record names the columns; `None` finds it."""
    nulls: Sequence[str]
    """Further texts, beside the empty one, that mean that a value is missing."""
    schema: str | PathLike[str] | Mapping[str, str | Mapping[str, Any]] | Sequence[Mapping[str, Any]] | None
    """The declared columns: names with their types (`text`, `bool`, `int8` to `int64`, `uint8` to `uint64`, `float32`,
    `float64`, `decimal(10,2)`, `date`, `timestamp`, `timestamp_utc`, these two also with `(ms)`, `(us)` or `(ns)`;
    `int64!` may not be missing), or a list of columns with `name`, `type`, `nullable`, `unit`, `decimal` and `from`, or
    the same as `"id:int64!,name:text"`, or a file of it in JSON or TOML. Columns that are not named are left out. A
    record that does not fit is a broken row."""
    text: bool
    """Whether all values stay text."""
    columns: Sequence[str] | None
    """The columns to give, in this order; `None` gives all."""
    on_row_error: Literal["fail", "quarantine", "null"]
    """What becomes of a broken row: the read fails, or the row is put aside and counted, or a value that does not fit
    its declared type becomes null and is counted (a record that is broken as a whole is put aside)."""
    max_bad_rows: int | str
    """How many rows that are broken, or have values that became null, are put up with, such as `100` or `"5%"`."""
    flatten: bool
    """JSON: whether the fields of objects become columns of their own."""
    rows: str | None
    """JSON: the member of a document that holds the rows."""
    row_number: str | None
    """The name of an additional last column with each record's number in its source, from 1."""
    source_column: str | None
    """Many files as one table: the name of an additional last column with each record's file or object."""

class _WriteOptions(TypedDict, total=False):
    """How CSV is written. Options that a format has no use for are ignored by it."""

    delimiter: str | None
    """What separates fields; `None` is a comma, or a tab for a name that ends in `.tsv`."""
    quote: str | None
    """What encloses fields that need it, or `"none"`; `None` is `"`."""
    decimal: Literal[".", ",", "dot", "comma"] | None
    """The decimal mark of numbers; `None` is a dot."""
    null: str
    """What is written for a missing value."""
    line_end: Literal["lf", "crlf"]
    """What ends a record."""
    header: bool
    """Whether the first record names the columns."""

class _ConvertOptions(_ReadOptions, total=False):
    """How a table is read, and with `to_` before it how CSV is written."""

    to_delimiter: str | None
    to_quote: str | None
    to_decimal: Literal[".", ",", "dot", "comma"] | None
    to_null: str
    to_line_end: Literal["lf", "crlf"]
    to_header: bool

class _Dialect(TypedDict):
    delimiter: str
    quote: str
    escape: str | None
    comment: str | None
    skip_lines: int
    header: bool
    decimal: Literal["dot", "comma", "either"]
    thousands: str | None

class _Written(TypedDict):
    rows: int
    bytes: int
    sha256: str
    digest: str

class _Balance(TypedDict):
    seen: int
    written: int
    quarantined: int
    nulled: int

class _WrittenFile(_Written):
    path: str

class _Converted(_Written):
    balance: _Balance
    files: list[_WrittenFile]
    notes: list[str]
    dialect: _Dialect | None
    rows_digest: str | None
    quarantine: str | None
    run: str | None

class _Check(TypedDict):
    subject: str
    what: Literal["bytes", "table", "rows", "model", "balance", "quarantine"]
    holds: bool
    found: str

class _Replayed(TypedDict):
    run: str
    seen: int
    brought_back: int
    quarantined: int
    rows: int
    quarantine: str | None

@final
class Table:
    """Rows in memory that anything which speaks Arrow's PyCapsule interface takes over without a copy.

    `pyarrow.table(rows)`, `polars.DataFrame(rows)`, `duckdb.from_arrow(rows)` and the like all work.
    """

    @staticmethod
    def from_arrow(rows: _Rows) -> Table:
        """Take rows over from pyarrow, Polars, pandas (without its index), DuckDB and the like."""
    @staticmethod
    def from_columns(
        names: Sequence[str],
        columns: Sequence[
            npt.NDArray[np.float64]
            | npt.NDArray[np.float32]
            | npt.NDArray[np.int64]
            | Sequence[bool | None]
            | Sequence[str | None]
        ],
    ) -> Table:
        """Make a table of arrays of floats or `int64`, lists of booleans or lists of text."""
    @staticmethod
    def of_matrix(names: Sequence[str], rows: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> Table:
        """Make a table to predict from, of a matrix that lies row by row."""
    @staticmethod
    def of_features(
        names: Sequence[str],
        columns: Iterable[
            npt.NDArray[np.float64] | npt.NDArray[np.float32] | Sequence[bool | None] | Sequence[str | None]
        ],
        exact: AbstractSet[str],
        counted: bool,
    ) -> Table:
        """Make a table to learn or predict from, of columns that are taken one after the other.

        Their memory is shared, but for `float64`, which is rounded to `float32` as a forest does, unless `exact` names
        the column.
        """
    @property
    def num_rows(self) -> int:
        """The number of rows."""
    @property
    def num_columns(self) -> int:
        """The number of columns."""
    @property
    def column_names(self) -> list[str]:
        """The columns' names."""
    @property
    def schema(self) -> list[tuple[str, str]]:
        """The columns' names and types, in Arrow's words."""
    @property
    def notes(self) -> list[str]:
        """What a user should know of how the types came about, such as a column that is text because of one value."""
    @property
    def dialect(self) -> _Dialect | None:
        """How the CSV file that was read is written."""
    @property
    def quarantined(self) -> dict[str, int]:
        """How many records were put aside while reading, by reason."""
    def to_pyarrow(self) -> pa.Table:
        """Give the rows as a pyarrow table."""
    def to_pandas(self) -> pd.DataFrame:
        """Give the rows as a pandas data frame; needs pyarrow too."""
    def to_polars(self) -> pl.DataFrame:
        """Give the rows as a Polars data frame."""
    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class ObjectInfo:
    """An object of a lake, as a listing shows it."""

    @property
    def path(self) -> str:
        """`bucket/key`."""
    @property
    def size(self) -> int:
        """Its size in bytes."""
    @property
    def modified(self) -> datetime:
        """When it was written, in UTC."""
    @property
    def etag(self) -> str | None:
        """The store's tag of this version, where it has one."""

@final
class Lake:
    """A folder, an S3 endpoint or memory that holds buckets.

    `url` is a folder (`./lake`), an endpoint (`http://127.0.0.1:9000`, with credentials by the usual `AWS_*` variables
    or in `variables`), or `memory:`; without one `DATALAKE_URL` says it, and without that it is `./lake`. Nothing is
    made, and nothing is asked of an endpoint yet.

    Buckets go by logical names: `bucket_prefix` (or `DATALAKE_BUCKET_PREFIX`) is what the real ones begin with, and
    `buckets` (or `DATALAKE_BUCKETS`, `logical=real` with commas between) gives the real names of single ones.
    `retry_timeout` is how many seconds a request is tried again.
    """

    def __new__(
        cls,
        url: _Path | None = None,
        *,
        bucket_prefix: str | None = None,
        buckets: Mapping[str, str] | None = None,
        retry_timeout: float | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Self: ...
    @property
    def url(self) -> str:
        """The folder or endpoint, as it was given."""
    def buckets(self) -> list[str]:
        """Give the names of all buckets, sorted."""
    def create_bucket(self, name: str, *, exist_ok: bool = False) -> None:
        """Make an empty bucket; `AlreadyExistsError` if there is one of this name, unless `exist_ok`."""
    def delete_bucket(self, name: str) -> None:
        """Remove a bucket that holds nothing."""
    def ls(self, path: str) -> list[ObjectInfo]:
        """List the objects of a bucket, or those whose key begins with a prefix: `raw-data`, `raw-data/foods/`."""
    def exists(self, path: str) -> bool:
        """Say whether there is such an object; `NotFoundError` if there is no such bucket."""
    def get(self, path: str) -> bytes:
        """Read a whole object."""
    def put(self, path: str, data: bytes, *, overwrite: bool = True) -> None:
        """Put a whole object: it appears complete or not at all."""
    def delete(self, pattern: str) -> int:
        """Remove the objects that a pattern names (`bucket/key`, with `*` and `**`), and say how many."""
    def upload(self, local: _Path, path: str) -> int:
        """Copy a local file or folder to an object or a prefix that ends in `/`, and say how many objects that were."""
    def download(self, path: str, local: _Path) -> int:
        """Copy an object, or all below a prefix that ends in `/`, to this machine; say how many files that were."""
    def read(self, path: str, **options: Unpack[_ReadOptions]) -> Table:
        """Read the objects that a pattern names (`bucket/key`, with `*` and `**`) as one table."""
    def write(
        self,
        path: str,
        table: _Rows,
        *,
        format: _Format | None = None,
        compression: str | None = None,
        row_group_rows: int | None = None,
        zstd_level: int | None = None,
        **options: Unpack[_WriteOptions],
    ) -> _Written:
        """Write rows as an object, its format told from the name; say what was written.

        The compression is `none`, `gzip`, `bzip2`, `xz`, `zstd`, `snappy` or `lz4`, with a level if you like:
        `gzip(9)`, `zstd(3)`. `None` tells it from the name; Parquet has zstd within.
        """
    def sql(
        self,
        query: str,
        *,
        tables: Mapping[str, _Rows] | None = None,
        memory: int | None = None,
        **options: Unpack[_ReadOptions],
    ) -> Table:
        """Run one query over the objects of this lake; see :func:`datalake.sql`."""
    def land_sample(
        self, rows: int | None = None, seed: int | None = None, *, clean: bool = False, prefix: str = "raw-data/foods"
    ) -> dict[str, Any]:
        """Land synthetic food tables, 6000 records by default, in place of an earlier sample.

        Returns what was landed: the objects, how many records each has, and how many of them are broken on purpose.
        """

def read(path: _Path, *, lake: _Lake | None = None, **options: Unpack[_ReadOptions]) -> Table:
    """Read a local file, the files of a folder or pattern as one table, or objects of a lake.

    These are `lake://bucket/key`, with `*` and `**`.
    """

def convert(
    source: _Path,
    destination: _Path,
    *,
    lake: _Lake | None = None,
    to: _Format | None = None,
    to_compression: str | None = None,
    row_group_rows: int | None = None,
    zstd_level: int | None = None,
    bloom_filters: Sequence[str] | None = None,
    exact: bool = False,
    partition_by: Sequence[str] | None = None,
    max_rows_per_file: int | None = None,
    overwrite: bool = False,
    memory: int | str | None = None,
    **options: Unpack[_ConvertOptions],
) -> _Converted:
    """Convert one table between CSV, NDJSON, JSON and Parquet, in a stream.

    A place is a local file or a lake object, `lake://bucket/key`. The options say how the source is read, and with
    `to_` before them how CSV is written; where the destination alone is CSV, those of CSV without it hold for it, too.
    `to` is the format of the destination where its name does not tell, `to_compression` its compression: `none`,
    `gzip`, `bzip2`, `xz`, `zstd`, `snappy` or `lz4`, with a level if you like, `gzip(9)` or `zstd(3)`. What is put
    aside lies in `DESTINATION.run/`, or below `processed-data/_quarantine/` of the lake.

    Many files of one format are one table: the source may be a folder, a pattern such as `exports/**/*.csv.gz`, or a
    prefix `lake://bucket/foods/`. Columns are united by name, and folders `year=2024/` become columns; what files lack
    is null and told in `notes`. A destination that is a folder or a prefix, which ends in `/`, becomes
    `part-00000.parquet` and so on: `max_rows_per_file` cuts, `partition_by` makes a folder `column=value/` for each
    value, and `overwrite` replaces what is there. `files` lists what was written.

    `memory` bounds what is held at once, in bytes or as `"256MiB"`, 96 MiB or more; what is written does not depend
    on it.

    With `exact`, what was written is read again and held against the rows that were read, value by value. Of `run`, the
    result, `verify` and `replay` know what was done.
    """

def verify(run: str, *, lake: _Lake | None = None) -> list[_Check]:
    """Read what a run wrote and set aside again, and hold it against what the run says.

    `run` is a run, the local file that a conversion wrote, or a Parquet file or object that says its own digest. What
    does not hold is no exception: look at `holds`.
    """

def replay(
    run: str,
    *,
    lake: _Lake | None = None,
    schema: Mapping[str, str] | Sequence[Mapping[str, Any]] | None = None,
    nulls: Sequence[str] | None = None,
) -> _Replayed:
    """Read the quarantined records of a conversion once more, after a correction, and add those that fit now."""

def sql(
    query: str,
    lake: _Lake | None = None,
    *,
    tables: Mapping[str, _Rows] | None = None,
    memory: int | None = None,
    **options: Unpack[_ReadOptions],
) -> Table:
    """Run one query over the objects of a lake, whose paths stand in quotes, and over `tables` by name.

    `SELECT name FROM 'raw-data/foods/*.csv' JOIN mine USING (food_code)`. `memory` bounds, in bytes, what sorts, joins
    and aggregates may hold. The options say how objects are read.
    """

def runs(lake: _Lake | None = None) -> list[str]:
    """Give the names of all runs in a lake, oldest first."""

def set_threads(threads: int) -> None:
    """Fix the number of CPU threads of this process, before the first work. Results never depend on it."""

def threads() -> int:
    """Give the number of CPU threads of this process."""

def run_pipeline(
    pipeline: _Path, lake: _Lake | None, settings: Sequence[tuple[str, str]], fresh: bool, display: Display | None
) -> dict[str, Any]:
    """Run a pipeline; see :func:`datalake.run`."""

def manifest(lake: _Lake | None, run: str | None) -> dict[str, Any]:
    """Read the manifest of a run; see :func:`datalake.load_run`."""

def progress(lake: _Lake, run: str) -> dict[str, Any]:
    """Say how far a run is; see :meth:`datalake.Run.progress`."""

@final
class RunLog:
    """The log of a run, read piece by piece as they come."""

    def __new__(cls, lake: _Lake, run: str) -> Self: ...
    def more(self) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Give the lines that came since the last time, and the manifest where the run is over: these are the last."""

@final
class Connection:
    """Which cluster is meant, beneath :class:`datalake.Cluster`."""

    def __new__(cls, context: str | None, namespace: str | None) -> Self: ...
    def setup(self, options: SetupOptions, display: Display | None) -> dict[str, Any]:
        """Bring up a lake, and remember it in the profile."""
    def dry_run_setup(self, options: SetupOptions) -> list[dict[str, Any]]:
        """Say what the API server thinks of a setup, which keeps nothing of it."""
    def setup_yaml(self, options: SetupOptions) -> str:
        """Say what a setup would apply."""
    def teardown(self, delete_data: bool, display: Display | None) -> dict[str, Any]:
        """Take a lake down, its data only if that is meant."""
    def run(
        self,
        pipeline: _Path,
        lake: Lake,
        settings: Sequence[tuple[str, str]],
        fresh: bool,
        workers: int,
        shard_size: int | str,
        detach: bool,
        pods: PodOptions,
        display: Display | None,
    ) -> dict[str, Any]:
        """Run a pipeline as Jobs."""
    def overview(self) -> dict[str, Any]:
        """Give the Jobs and pods of the lake."""
    def cancel(self, lake: _Lake, run: str) -> dict[str, Any]:
        """Ask a run to stop, and remove its Jobs."""
    def submit(
        self,
        name: str,
        script: _Path | None,
        command: Sequence[str],
        pods: PodOptions,
        display: Display | None,
    ) -> str:
        """Submit a Job of one's own; with a display, wait for its end, and note what it prints."""
    def submitted_jobs(self) -> list[dict[str, Any]]:
        """Give the Jobs that were submitted, and how they stand."""
    def job_log(self, name: str, follow: bool, display: Display) -> None:
        """Give a display the lines that a submitted Job has printed, as notes."""
    def delete_job(self, name: str) -> None:
        """Remove a submitted Job."""

def get_file(path: _Path, lake: _Lake | None = None) -> bytes:
    """Read a local file or a lake object."""

def put_file(path: _Path, data: bytes, lake: _Lake | None = None) -> None:
    """Write a local file or a lake object, whole or not at all."""

def train(
    rows: Table,
    target: Table,
    classification: bool,
    params: str,
    categorical: Sequence[str],
    weights: bytes | None = None,
    earlier: Model | None = None,
) -> tuple[Model, str | None]:
    """Learn a forest, and say what columns lose by rounding.

    `params` are in JSON, `weights` native `float64`, `earlier` is a forest that lacks trees only.
    """

def cross_validate(
    rows: Table,
    target: Table,
    groups: Table | None,
    classification: bool,
    params: str,
    categorical: Sequence[str],
    folds: str,
) -> dict[str, dict[str, Any]]:
    """Cross-validate a forest and its baselines; see :func:`datalake.cross_validate`."""

@final
class Model:
    """A learnt model, beneath the estimators of :mod:`datalake.sklearn`."""

    @staticmethod
    def from_bytes(file: bytes) -> Model:
        """Read a model file."""
    @staticmethod
    def open(path: _Path, lake: _Lake | None = None) -> Model:
        """Open a model file: a local one is mapped, an object of a lake is read."""
    def to_bytes(self, lineage: str = "{}", compression: Literal["none", "zstd"] = "none") -> bytes:
        """Give the bytes of a model file, with further facts of its lineage by name, in JSON."""
    def save(
        self,
        path: _Path,
        lake: _Lake | None = None,
        lineage: str = "{}",
        compression: Literal["none", "zstd"] = "none",
    ) -> None:
        """Write a model file, or an object of a lake, whole or not at all."""
    def card(self, title: str, html: bool = False) -> str:
        """Give a page of Markdown or HTML: what it is for, learnt from, how good it is and where it comes from."""
    def check(self, rows: Table) -> list[str]:
        """Say what a user should know of rows before they are predicted for: new categories, numbers out of range."""
    @property
    def name(self) -> str:
        """The trainer's name, such as `forest`."""
    @property
    def task(self) -> str:
        """`regression` or `classification`."""
    @property
    def target(self) -> str:
        """The column that it predicts; of several, their names in a row."""
    @property
    def features(self) -> list[tuple[str, bool]]:
        """The columns that it needs, each with whether it is categorical."""
    @property
    def outputs(self) -> list[tuple[str, list[str]]]:
        """Each column that it predicts, with its class labels as text, in the order of those of `predict_proba`."""
    @property
    def params(self) -> dict[str, Any]:
        """The parameters that it was trained with."""
    @property
    def envelope(self) -> dict[str, Any]:
        """What its file says of it: time, metrics, lineage, notes."""
    @property
    def digest(self) -> str:
        """The SHA-256 of its body: equal for equal tables, parameters and seeds, on every machine."""
    @property
    def importances(self) -> list[float] | None:
        """How much each feature contributes, summing to one."""
    @property
    def oob_score(self) -> float | None:
        """R² or accuracy of the rows by the trees that have not seen them; none for a model from a file."""
    @property
    def oob_predictions(self) -> bytes | None:
        """The out-of-bag predictions, or shares of the classes row by row, as native `float64`."""
    def predict(self, rows: Table) -> bytes:
        """Predict one number a row and target, row by row, as native `float64`."""
    def predict_proba(self, rows: Table) -> bytes:
        """Predict the share of each class of every target, row by row, as native `float64`."""
    @property
    def trees(self) -> int:
        """The number of trees."""
    def apply(self, rows: Table) -> bytes:
        """Give the leaf of each row in each tree, row by row, as native `uint32`."""
    def decision_path(self, rows: Table) -> tuple[bytes, bytes, list[int]]:
        """Give the nodes that each row passes, as a sparse matrix.

        Where rows begin as native `uint64`, columns as native `uint32`, and the column of each tree's root with the
        number of columns at the end.
        """
    def tree(self, number: int) -> dict[str, Any]:
        """Give one of the trees as native arrays by name, nodes in preorder."""
    def draws_of(self, number: int, rows: Table, target: Table, weights: bytes | None) -> bytes:
        """Give how often a tree has drawn each row, from what it was grown from, as native `uint32`."""
    def leaf_statistics(self, number: int, rows: Table, target: Table, weights: bytes | None) -> dict[str, bytes]:
        """Give what lies in the leaves of a tree, from what it was grown from, as native arrays by name."""
    def permutation_importance(self, rows: Table, target: Table, params: str) -> dict[str, Any]:
        """Measure how much worse it predicts these rows when one column is shuffled; `params` in JSON."""
    def out_of_bag_importances(self, rows: Table, target: Table, params: str, weights: bytes | None) -> dict[str, Any]:
        """Measure the same of each tree on the rows that it has not seen, from what it was grown from."""
