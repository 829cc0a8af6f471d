"""What users call a table or a column (NumPy, pandas, Polars, pyarrow, lists) as tables of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from datalake._datalake import Table
from datalake.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    _Targets = list[tuple[str, npt.NDArray[Any]]]
    """Columns by name."""

# The first whole number that 64 bits do not hold.
_BEYOND = 2**63
_SINGLE = np.dtype(np.float32)
# So few rows are taken as they are, row by row: a look at each column would take longer.
_FEW = 256
_FLOATS = (_SINGLE, np.dtype(np.float64))


def rows_of(X: Any, names: Sequence[str] | None = None, *, exact: Any = None) -> tuple[Table, bool]:
    """Give rows as a table, and say whether their columns have names of their own.

    Columns without names are called `names`, or `x0`, `x1` and so on. They are rounded to 32 bits, which is what a
    forest sees; `exact` names those that are not, as :func:`chosen` takes them, or is `True` for all.
    """
    # What a model is asked to predict is rounded as its table was, and nobody needs to be told again.
    counted = names is None
    if hasattr(X, "to_frame") and not hasattr(X, "columns"):
        msg = f"X must be a table of rows and columns, got a column ({type(X).__name__}): X.to_frame() is a table of it"
        raise InvalidError(msg)
    if hasattr(X, "__arrow_c_stream__") or hasattr(X, "__arrow_c_array__"):
        # Only pandas has columns whose names are not text.
        texts = [isinstance(name, str) for name in X.columns] if hasattr(X, "iloc") else [True]
        if all(texts):
            return Table.from_arrow(X), True
        if any(texts):
            msg = f"the names of the columns of X must all be text, or none of them, got {list(X.columns)}"
            raise InvalidError(msg)
        X = X.to_numpy()
    values = _matrix(X)
    if names is None:
        names = [f"x{index}" for index in range(values.shape[1])]
    elif len(names) != values.shape[1]:
        msg = f"X has {values.shape[1]} features, but the model has learnt from {len(names)} features"
        raise InvalidError(msg)
    kept = set(names if exact is True else chosen(exact, list(names)))
    if not counted and not kept and len(values) <= _FEW and values.dtype in _FLOATS:
        return Table.of_matrix(names, values), False
    # One by one, so that only one is in memory a second time.
    columns = (_values(values[:, index]) for index in range(values.shape[1]))
    return Table.of_features(names, columns, kept, counted), False


def column_of(y: Any, fallback: str) -> tuple[str, npt.NDArray[Any]]:
    """Give the name of a target, or of another column beside the rows, where it has one, and its values."""
    if isinstance(y, Table):
        y = y.to_pyarrow()
    name = getattr(y, "name", None)
    if hasattr(y, "columns") and not isinstance(y, np.ndarray) and len(y.columns) == 1:
        names = y.column_names if hasattr(y, "column_names") else y.columns
        name, y = names[0], y[names[0]]
    values = np.asarray(_unmasked(y))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        msg = f"{'y' if fallback == 'target' else fallback} must be a column, got an array of shape {values.shape}"
        raise InvalidError(msg)
    return name if isinstance(name, str) and name else fallback, values


def targets_of(y: Any) -> _Targets:
    """Give the names and values of one target or several: a column, or a table of them."""
    if isinstance(y, Table):
        y = y.to_pyarrow()
    if hasattr(y, "columns") and not isinstance(y, np.ndarray) and len(y.columns) > 1:
        names = list(y.column_names if hasattr(y, "column_names") else y.columns)
        if len(set(names)) < len(names):
            msg = f"two columns of y have one name: {names}"
            raise InvalidError(msg)
        named = [name if isinstance(name, str) and name else f"target{index}" for index, name in enumerate(names)]
        return [(name, np.asarray(y[key])) for name, key in zip(named, names, strict=True)]
    if isinstance(y, (list, tuple)):
        y = _from_lists(y)
    values = None if hasattr(y, "columns") or hasattr(y, "name") else np.asarray(_unmasked(y))
    if values is not None and values.ndim == 2 and values.shape[1] > 1:
        return [(f"target{index}", values[:, index]) for index in range(values.shape[1])]
    return [column_of(y, "target")]


def numbers_table(targets: _Targets) -> Table:
    """Give numeric targets as a table."""
    return Table.from_columns([name for name, _ in targets], [_numbers(name, values) for name, values in targets])


def _numbers(name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    is_text = values.dtype.kind == "O" and any(isinstance(value, str) for value in values.tolist())
    if is_text or values.dtype.kind not in "biufO":
        msg = f"the target `{name}` of a regression must be numbers, got {'text' if is_text else values.dtype}"
        raise InvalidError(msg)
    try:
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        msg = f"the target `{name}` of a regression must be numbers: {cause}"
        raise InvalidError(msg) from cause


def chosen(categorical_features: Any, names: list[str]) -> list[str]:
    """Give columns by name that may be chosen by name, by place or by a mask, as scikit-learn's boosting takes them."""
    which = np.asarray([] if categorical_features is None else categorical_features)
    if which.shape == (0,):
        return []
    if which.ndim != 1 or which.dtype.kind not in "biuOUT":
        msg = f"categorical_features must be names, places or a mask of columns, got {categorical_features!r}"
        raise InvalidError(msg)
    if which.dtype.kind == "b":
        if len(which) != len(names):
            msg = f"categorical_features is a mask of {len(which)} columns for {len(names)} features"
            raise InvalidError(msg)
        return [name for name, is_chosen in zip(names, which.tolist(), strict=True) if is_chosen]
    if which.dtype.kind in "iu":
        beyond = [index for index in which.tolist() if not 0 <= index < len(names)]
        if beyond:
            msg = f"categorical_features names column {beyond[0]}, but there are {len(names)}, counted from 0"
            raise InvalidError(msg)
        return [names[index] for index in which.tolist()]
    return [str(name) for name in which.tolist()]


def _is_missing(value: Any) -> bool:
    # NaN differs from itself; pandas' NA answers with neither yes nor no, NumPy's numbers with a boolean of its own.
    differs = value != value  # noqa: PLR0124
    return value is None or not isinstance(differs, bool | np.bool_) or bool(differs)


def weights_of(sample_weight: Any) -> bytes:
    """Give the weights of rows as native `float64`."""
    _, values = column_of(sample_weight, "sample_weight")
    try:
        return np.ascontiguousarray(values, dtype=np.float64).tobytes()
    except (TypeError, ValueError) as cause:
        msg = f"sample_weight must be numbers: {cause}"
        raise InvalidError(msg) from cause


def groups_table(groups: Any) -> Table:
    """Give groups of rows as a table of one column."""
    name, values = column_of(groups, "groups")
    if any(_is_missing(value) for value in values.tolist()):
        msg = "groups must be known in every row: give those that belong to none a group of their own"
        raise InvalidError(msg)
    return labels_table([(name, values)])[0]


def labels_table(targets: _Targets) -> tuple[Table, list[npt.NDArray[Any]]]:
    """Give targets of labels as a table, and the classes of each in the order of the engine."""
    columns = [_labels(name, values) for name, values in targets]
    return Table.from_columns([name for name, _ in targets], [labels for labels, _ in columns]), [
        classes for _, classes in columns
    ]


def _labels(name: str, values: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[Any]]:
    if any(_is_missing(value) for value in values.tolist()):
        msg = f"the target `{name}` of a classification has missing values"
        raise InvalidError(msg)
    if values.dtype.kind == "O":
        values = np.asarray(values.tolist())
    classes = np.unique(values)
    kind = values.dtype.kind
    if kind == "b":
        return values.tolist(), classes
    if kind in "iu" or (kind == "f" and bool(np.all(values == np.floor(values)))):
        if any(not -_BEYOND <= label < _BEYOND for label in classes.tolist()):
            msg = f"the target `{name}` of a classification has labels beyond 64 bits"
            raise InvalidError(msg)
        return np.ascontiguousarray(values, dtype=np.int64), classes
    if kind in "UT":
        return values.tolist(), classes
    msg = f"the target `{name}` of a classification must be text, whole numbers or booleans, got {values.dtype}"
    raise InvalidError(msg)


def _matrix(X: Any) -> npt.NDArray[Any]:
    if isinstance(X, (list, tuple)):
        X = _from_lists(X)
    for method, kind in (("toarray", "a sparse matrix"), ("collect", "a table that is not read yet")):
        if hasattr(X, method):
            msg = f"X must be a table in memory, got {kind} ({type(X).__name__}): give X.{method}()"
            raise InvalidError(msg)
    values = np.asarray(_unmasked(X))
    if values.ndim == 1:
        msg = (
            f"X must be a table of rows and columns, got an array of shape {values.shape}: "
            "np.reshape(X, (-1, 1)) is one column, np.reshape(X, (1, -1)) one row"
        )
        raise InvalidError(msg)
    if values.ndim != 2 or values.shape[1] == 0:
        msg = f"X must be a table of at least one column, got an array of shape {values.shape}"
        raise InvalidError(msg)
    return values


def _unmasked(values: Any) -> Any:
    """Give values that a mask hides as missing ones, which NumPy would show."""
    if not isinstance(values, np.ma.MaskedArray) or not np.ma.is_masked(values):
        return values
    if values.dtype.kind == "f":
        return np.ma.filled(values, np.nan)
    if values.dtype.kind in "biu":
        return np.ma.filled(values.astype(np.float64), np.nan)
    # To fill with `None` would be to fill with what NumPy takes for its default.
    seen = np.ma.getdata(values).astype(object)
    seen[np.ma.getmaskarray(values)] = None
    return seen


def _from_lists(rows: Sequence[Any]) -> npt.NDArray[Any]:
    values = np.asarray(rows)
    # Numbers beside text would all become text.
    return np.asarray(rows, dtype=object) if values.dtype.kind == "U" else values


def _values(column: npt.NDArray[Any]) -> npt.NDArray[np.float64] | npt.NDArray[np.float32] | list[str | None]:
    """Give numbers where all are numbers, else text."""
    if column.dtype == _SINGLE:
        if column.flags.c_contiguous and column.flags.aligned:
            return column
        # A copy, which is shared as it is if its zeros have no sign.
        return column + np.float32(0)
    if column.dtype.kind in "biuf":
        return np.ascontiguousarray(column, dtype=np.float64)
    wanted = "the columns of X must be numbers, booleans or text"
    if column.dtype.kind not in "OUST":
        msg = f"{wanted}, got {column.dtype}"
        raise InvalidError(msg)
    values = column.tolist()
    if any(isinstance(value, str) for value in values):
        return [None if _is_missing(value) else str(value) for value in values]
    try:
        return np.array([np.nan if _is_missing(value) else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as cause:
        msg = f"{wanted}: {cause}"
        raise InvalidError(msg) from cause
