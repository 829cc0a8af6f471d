"""Random forests as scikit-learn's estimators: its names, its parameters, its rules, with or without it installed.

A forest is the same, bit for bit, for any number of threads and on every machine. Missing values (NaN, null) are values
of their own, and columns of text are categories; nothing has to be encoded or imputed.

>>> from datalake.sklearn import RandomForestRegressor
>>> forest = RandomForestRegressor(n_estimators=10).fit([[0.2], [9.5], [1.0]], [52.0, 155.0, 89.0])
>>> forest.predict([[9.0]]).shape
(1,)
"""

from __future__ import annotations

import json
import numbers
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from datalake import _datalake
from datalake._columns import column_of, labels_table, numbers_table, rows_of
from datalake._tree import LeafStatistics, Tree
from datalake.errors import InputWarning, InvalidError, UnsupportedError

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from datalake._datalake import Lake, Model

if TYPE_CHECKING:
    from datalake._estimator import BaseEstimator, ClassifierMixin, NotFittedError, RegressorMixin
else:
    try:
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
        from sklearn.exceptions import NotFittedError
    except ImportError:
        from datalake._estimator import BaseEstimator, ClassifierMixin, NotFittedError, RegressorMixin

__all__ = ["LeafStatistics", "RandomForestClassifier", "RandomForestRegressor", "Tree", "load_model"]


class _Forest(BaseEstimator):
    """What both forests share: parameters, fitted state, saving."""

    _classification: bool

    n_features_in_: int
    """The number of columns that it has learnt from."""
    feature_names_in_: npt.NDArray[Any]
    """Their names, where they have any."""
    feature_importances_: npt.NDArray[np.float64]
    """How much each of them contributes, summing to one."""
    oob_score_: float
    """R² or accuracy of the training rows by the trees that have not seen them."""

    def _grow(self, rows: _datalake.Table, target: _datalake.Table, *, named: bool) -> None:
        for name in ("oob_prediction_", "oob_decision_function_"):
            # Those of an earlier table.
            self.__dict__.pop(name, None)
        params = json.dumps(self._params(rows.num_rows))
        self._model_: Model = _datalake.train(rows, target, self._classification, params)
        self._learnt(named=named)

    def _learnt(self, *, named: bool) -> None:
        """Show what the model has learnt, in scikit-learn's words."""
        names = [name for name, _ in self._model_.features]
        self.n_features_in_ = len(names)
        if named:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.feature_importances_ = np.array(self._model_.importances or [])
        score = self._model_.oob_score
        if score is not None:
            self.oob_score_ = score
        elif hasattr(self, "oob_score_"):
            del self.oob_score_

    def _params(self, rows: int) -> dict[str, Any]:
        """Give the parameters in the engine's words."""
        given = self.get_params(deep=False)
        names = ["n_estimators", "criterion", "max_depth", "min_samples_split", "min_samples_leaf"]
        params = {name: _plain(given[name]) for name in names}
        params["min_impurity_decrease"] = float(given["min_impurity_decrease"])
        params["bootstrap"] = bool(given["bootstrap"])
        params["oob_score"] = bool(given["oob_score"])
        params["max_features"] = "all" if given["max_features"] is None else _plain(given["max_features"])
        params["max_samples"] = _share(given["max_samples"], rows)
        params["seed"] = _seed(given["random_state"])
        return params

    def _fitted(self) -> Model:
        if not hasattr(self, "_model_"):
            msg = f"This {type(self).__name__} instance is not fitted yet. Call 'fit' before using this estimator."
            raise NotFittedError(msg)
        return self._model_

    def _rows(self, X: Any) -> _datalake.Table:
        """Give rows as the fitted model needs them."""
        rows, _ = rows_of(X, [name for name, _ in self._fitted().features])
        for note in self._model_.check(rows):
            warnings.warn(note, InputWarning, stacklevel=3)
        return rows

    def _target(self, y: Any) -> _datalake.Table:
        """Give a target as it is learnt from."""
        name, values = column_of(y, "target")
        return labels_table(name, values)[0] if self._classification else numbers_table(name, values)

    def apply(self, X: Any) -> npt.NDArray[np.int64]:
        """Give the leaf that each row ends in, in each tree, of the shape (rows, trees).

        A leaf is the number of its node in :meth:`tree`, as scikit-learn numbers them.
        """
        model, rows = self._fitted(), self._rows(X)
        return np.frombuffer(model.apply(rows), np.uint32).astype(np.int64).reshape(-1, model.trees)

    def decision_path(self, X: Any) -> tuple[Any, npt.NDArray[np.int64]]:
        """Give the nodes that each row passes as SciPy's `csr_matrix`, and the columns at which the trees begin.

        There is a row for each row and a column for each node of each tree. It takes some bytes a node passed: ask for
        some thousand rows at a time where trees are deep.
        """
        try:
            from scipy.sparse import csr_matrix  # noqa: PLC0415 - of use here alone
        except ImportError as cause:
            msg = "cannot give the decision path: it is a sparse matrix of SciPy, which is not installed"
            raise UnsupportedError(msg) from cause
        starts, columns, offsets = self._fitted().decision_path(self._rows(X))
        indptr, indices = np.frombuffer(starts, np.uint64), np.frombuffer(columns, np.uint32)
        most = max(len(indices), offsets[-1])
        kind = np.int32 if most <= np.iinfo(np.int32).max else np.int64
        ones = np.ones(len(indices), np.int64)
        shape = (len(indptr) - 1, offsets[-1])
        return csr_matrix((ones, indices.astype(kind), indptr.astype(kind)), shape), np.array(offsets, np.int64)

    def tree(self, number: int) -> Tree:
        """Give one of the trees in arrays, counted from 0."""
        return Tree._of(self._fitted().tree(number))

    def leaf_statistics(self, number: int, X: Any, y: Any) -> LeafStatistics:
        """Give what lies in each leaf of one of the trees, from the rows and the target that it was grown from."""
        model, rows, target = self._fitted(), self._rows(X), self._target(y)
        return LeafStatistics._of(model.leaf_statistics(number, rows, target), classes=len(model.classes))

    def save(
        self,
        path: str | os.PathLike[str],
        lake: Lake | str | os.PathLike[str] | None = None,
        *,
        compression: Literal["none", "zstd"] = "none",
    ) -> None:
        """Write the model as a file, or as an object of `lake` (`lake://models/mine.model`), whole or not at all.

        A file that is not compressed is mapped when it is opened; `zstd` makes it about a third of the size.
        """
        model = self._fitted()
        lineage = {"saved": datetime.now(UTC).isoformat(), "python": self._lineage()}
        model.save(path, lake, json.dumps(lineage), compression)

    def card(self, title: str | None = None, *, format: Literal["markdown", "html"] = "markdown") -> str:  # noqa: A002
        """Give the model's card: what it is for, what it learnt from, how good it is, where it comes from."""
        model = self._fitted()
        if format not in ("markdown", "html"):
            msg = f"format must be 'markdown' or 'html', got {format!r}"
            raise InvalidError(msg)
        return model.card(title or model.target, format == "html")

    def _lineage(self) -> dict[str, Any]:
        return {"named": hasattr(self, "feature_names_in_")}

    def _restore(self, model: Model) -> Self:
        self._model_ = model
        lineage = model.envelope["lineage"].get("python", {})
        self._learnt(named=lineage.get("named", True))
        score = model.envelope["metrics"].get("out_of_bag_score")
        if score is not None:
            self.oob_score_ = score
        return self

    @property
    def digest_(self) -> str:
        """The SHA-256 of what was learnt: equal for equal tables, parameters and seeds."""
        try:
            return self._fitted().digest
        except NotFittedError as error:
            # What `hasattr` and scikit-learn ask for.
            raise AttributeError(str(error)) from None

    def __sklearn_is_fitted__(self) -> bool:
        """Say whether there is a model."""
        return hasattr(self, "_model_")

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that missing values and text are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


class RandomForestRegressor(RegressorMixin, _Forest):
    """A random forest that predicts a number.

    The parameters are those of scikit-learn's class of this name, with these differences: `max_features` may also be
    `"third"`; `random_state=None` means 0, so that every fit can be repeated; `oob_score` is `True` unless it is
    turned off, which saves some time; `n_jobs` is ignored, since :func:`datalake.set_threads` says how many threads
    the process has, and results do not depend on it.
    """

    _classification = False

    oob_prediction_: npt.NDArray[np.float64]
    """The mean of the trees that have not seen a row, for each training row; NaN where every tree has."""

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        criterion: Literal["squared_error"] = "squared_error",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: float | Literal["sqrt", "log2", "third"] | None = 1.0,
        min_impurity_decrease: float = 0.0,
        bootstrap: bool = True,
        max_samples: float | None = None,
        oob_score: bool = True,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        """Keep the parameters; they are checked when the forest is grown."""
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.min_impurity_decrease = min_impurity_decrease
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.oob_score = oob_score
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Grow the forest from rows (NumPy, pandas, Polars, pyarrow, lists) and as many numbers."""
        rows, named = rows_of(X)
        name, values = column_of(y, "target")
        self._grow(rows, numbers_table(name, values), named=named)
        seen = self._model_.oob_predictions
        if seen is not None:
            self.oob_prediction_ = np.frombuffer(seen, dtype=np.float64).copy()
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Predict a number for each row. Columns with names are found by name; further ones do not matter."""
        rows = self._rows(X)
        return np.frombuffer(self._model_.predict(rows), dtype=np.float64).copy()


class RandomForestClassifier(ClassifierMixin, _Forest):
    """A random forest that predicts a class.

    The parameters are those of scikit-learn's class of this name, with the differences that
    :class:`RandomForestRegressor` names.
    """

    _classification = True

    classes_: npt.NDArray[Any]
    """The classes, sorted."""
    n_classes_: int
    """How many there are."""
    oob_decision_function_: npt.NDArray[np.float64]
    """The shares of the classes by the trees that have not seen a row, row by row; NaN where every tree has."""

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        criterion: Literal["gini", "entropy", "log_loss"] = "gini",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: float | Literal["sqrt", "log2", "third"] | None = "sqrt",
        min_impurity_decrease: float = 0.0,
        bootstrap: bool = True,
        max_samples: float | None = None,
        oob_score: bool = True,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        """Keep the parameters; they are checked when the forest is grown."""
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.min_impurity_decrease = min_impurity_decrease
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.oob_score = oob_score
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Grow the forest from rows (NumPy, pandas, Polars, pyarrow, lists) and as many labels."""
        rows, named = rows_of(X)
        name, values = column_of(y, "target")
        target, classes = labels_table(name, values)
        self._grow(rows, target, named=named)
        self.classes_ = classes
        self.n_classes_ = len(classes)
        seen = self._model_.oob_predictions
        if seen is not None:
            self.oob_decision_function_ = self._shares(seen)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict a class for each row: the one of the greatest share, the first of equal ones."""
        shares = self.predict_proba(X)
        labels: npt.NDArray[Any] = self.classes_[np.argmax(shares, axis=1)]
        return labels

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Predict the share of each class, in the order of `classes_`."""
        rows = self._rows(X)
        return self._shares(self._model_.predict_proba(rows))

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Predict the logarithm of each share."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _shares(self, values: bytes) -> npt.NDArray[np.float64]:
        return np.frombuffer(values, dtype=np.float64).reshape(-1, len(self._model_.classes)).copy()

    def _lineage(self) -> dict[str, Any]:
        kind = self.classes_.dtype
        return {**super()._lineage(), "classes": "O" if kind.kind == "T" else kind.str}

    def _restore(self, model: Model) -> Self:
        kind = np.dtype(model.envelope["lineage"].get("python", {}).get("classes", "O"))
        labels = model.classes
        if kind.kind == "b":
            self.classes_ = np.array([label == "true" for label in labels])
        else:
            self.classes_ = np.array(labels, dtype=object).astype(kind)
        self.n_classes_ = len(labels)
        return super()._restore(model)


def load_model(
    path: str | os.PathLike[str], lake: Lake | str | os.PathLike[str] | None = None
) -> RandomForestRegressor | RandomForestClassifier:
    """Read a forest from a model file, or from an object of `lake` (`lake://models/calories.model`).

    Files by :meth:`RandomForestRegressor.save`, by the command line and by pipelines are of one kind. A local file that
    is not compressed is mapped: processes that open it share its memory, and it must be replaced, never written into.
    """
    model = _datalake.Model.open(path, lake)
    if model.name != "forest":
        msg = f"cannot open the model {path}: it is by `{model.name}`, and only forests are estimators here"
        raise UnsupportedError(msg)
    if model.task == "regression":
        return RandomForestRegressor(**_arguments(model))._restore(model)
    return RandomForestClassifier(**_arguments(model))._restore(model)


def _arguments(model: Model) -> dict[str, Any]:
    """Give the parameters of a model in scikit-learn's words."""
    params = dict(model.params)
    params["random_state"] = params.pop("seed")
    automatic = 1.0 if model.task == "regression" else "sqrt"
    words = {"auto": automatic, "all": None}
    params["max_features"] = words.get(params["max_features"], params["max_features"])
    if params.get("criterion") is None:
        params.pop("criterion", None)
    return params


def _plain(value: Any) -> Any:
    """Give a number of NumPy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _share(max_samples: Any, rows: int) -> float | None:
    """Give a number of rows as a share of them."""
    if isinstance(max_samples, numbers.Integral):
        count = int(max_samples)
        if not 1 <= count <= rows:
            msg = f"max_samples must be between 1 and {rows}, the number of rows, got {count}"
            raise InvalidError(msg)
        return count / rows
    return None if max_samples is None else float(max_samples)


def _seed(random_state: Any) -> int:
    """Give the seed that scikit-learn's kinds of `random_state` stand for."""
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return int(random_state)
