r"""A data lake with batch machine learning in one engine.

Buckets in a folder or on S3, conversion between CSV, JSON and Parquet, SQL, pipelines and random forests. Results are
the same bits here, on the command line, in Rust, and as Jobs on Kubernetes.

>>> import datalake
>>> lake = datalake.Lake("memory:")
>>> lake.create_bucket("raw-data")
>>> lake.put("raw-data/foods.csv", b"name,kcal\napple,52\nbread,265\n")
>>> len(lake.sql("SELECT name FROM 'raw-data/foods.csv' WHERE kcal > 100"))
1
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datalake._cluster import Cluster
from datalake._datalake import (
    Lake,
    ObjectInfo,
    Table,
    __version__,
    convert,
    read,
    replay,
    runs,
    set_threads,
    sql,
    threads,
    verify,
)
from datalake._run import Run, load_run, run
from datalake.errors import (
    AlreadyExistsError,
    CancelledError,
    DeniedError,
    Error,
    ExhaustedError,
    InputWarning,
    InternalError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from datalake.sklearn import (
        RandomForestClassifier,
        RandomForestRegressor,
        cross_validate,
        load_model,
        permutation_importance,
    )

__all__ = [
    "AlreadyExistsError",
    "CancelledError",
    "Cluster",
    "DeniedError",
    "Error",
    "ExhaustedError",
    "InputWarning",
    "InternalError",
    "InvalidError",
    "Lake",
    "NotFoundError",
    "ObjectInfo",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "Run",
    "Table",
    "UnavailableError",
    "UnsupportedError",
    "__version__",
    "convert",
    "cross_validate",
    "load_model",
    "load_run",
    "permutation_importance",
    "read",
    "replay",
    "run",
    "runs",
    "set_threads",
    "sql",
    "threads",
    "verify",
]


_OF_SKLEARN = {
    "RandomForestClassifier",
    "RandomForestRegressor",
    "cross_validate",
    "load_model",
    "permutation_importance",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    # The estimators import scikit-learn where it is installed, which takes a second that few scripts need.
    if name in _OF_SKLEARN:
        from datalake import sklearn

        return getattr(sklearn, name)
    msg = f"module 'datalake' has no attribute {name!r}"
    raise AttributeError(msg)
