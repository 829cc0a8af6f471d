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
import math
import operator
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from datalake import _datalake
from datalake._columns import (
    chosen,
    groups_table,
    labels_table,
    numbers_table,
    rows_of,
    targets_of,
    weights_of,
)
from datalake._importance import PermutationImportances
from datalake._parameters import class_weight_of, directions, flag, plain, seed_of, share
from datalake._tree import LeafStatistics, Tree, parts_of
from datalake._validation import CrossValidation
from datalake.errors import InputWarning, InvalidError, UnsupportedError

if TYPE_CHECKING:
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

__all__ = [
    "CrossValidation",
    "LeafStatistics",
    "PermutationImportances",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "Tree",
    "cross_validate",
    "load_model",
    "permutation_importance",
]


class _Forest(BaseEstimator):
    """What both forests share: parameters, fitted state, saving."""

    _classification: bool
    warm_start: bool
    _weighted_: bool
    _names_: list[str]
    _codes_: list[str]
    categorical_features: Any

    n_features_in_: int
    """The number of columns that it has learnt from."""
    feature_names_in_: npt.NDArray[Any]
    """Their names, where they have any."""
    n_outputs_: int
    """The number of targets."""
    n_estimators_: int
    """The number of trees that were grown."""
    feature_importances_: npt.NDArray[np.float64]
    """How much each of them contributes, summing to one."""
    oob_score_: float
    """R² or accuracy of the training rows by the trees that have not seen them; of several targets the mean of their
    R², or the share of rows that are right in all."""

    def _grow(self, rows: _datalake.Table, target: _datalake.Table, sample_weight: Any, *, named: bool) -> None:
        earlier = self._model_ if self.warm_start and hasattr(self, "_model_") else None
        for name in ("oob_prediction_", "oob_decision_function_"):
            # Those of an earlier table.
            self.__dict__.pop(name, None)
        params = self._params(rows)
        if earlier is not None and ({"max_time", "max_model_size"} & params.keys() or params["n_estimators"] == "auto"):
            msg = "warm_start needs n_estimators as a number, without max_time and max_model_size"
            raise InvalidError(msg)
        weights = None if sample_weight is None else weights_of(sample_weight)
        self._weighted_ = weights is not None
        categorical = chosen(self.categorical_features, rows.column_names)
        self._model_: Model
        self._model_, note = _datalake.train(
            rows, target, self._classification, json.dumps(params), categorical, weights, earlier
        )
        if note is not None:
            warnings.warn(note, InputWarning, stacklevel=3)
        self._learnt(named=named)

    def _learnt(self, *, named: bool) -> None:
        """Show what the model has learnt, in scikit-learn's words."""
        features = self._model_.features
        names = [name for name, _ in features]
        self._names_ = names
        self._codes_ = [name for name, is_categorical in features if is_categorical]
        self.n_features_in_ = len(names)
        self.n_outputs_ = len(self._model_.outputs)
        self.n_estimators_ = self._model_.trees
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

    def _params(self, rows: _datalake.Table) -> dict[str, Any]:
        """Give the parameters in the engine's words."""
        given = self.get_params(deep=False)
        names = ["n_estimators", "criterion", "max_depth", "min_samples_split", "min_samples_leaf", "max_leaf_nodes"]
        params = {name: plain(given[name]) for name in [*names, "splitter"]}
        for name in ["min_weight_fraction_leaf", "min_impurity_decrease", "ccp_alpha"]:
            params[name] = float(given[name])
        if given.get("class_weight") is not None:
            params["class_weight"] = class_weight_of(given["class_weight"])
        limits = {"max_time": given["max_time"], "max_model_size": given["max_model_size"]}
        params.update((name, plain(limit)) for name, limit in limits.items() if limit is not None)
        params["bootstrap"] = flag("bootstrap", given["bootstrap"])
        params["oob_score"] = flag("oob_score", given["oob_score"])
        params["max_features"] = "all" if given["max_features"] is None else plain(given["max_features"])
        params["max_samples"] = share(given["max_samples"], rows.num_rows)
        params["monotonic_cst"] = directions(given["monotonic_cst"], rows.column_names)
        params["seed"] = seed_of(given["random_state"])
        for name, value in params.items():
            if isinstance(value, float) and not math.isfinite(value):
                msg = f"{name} must be a finite number, got {value}"
                raise InvalidError(msg)
        return params

    def _fitted(self) -> Model:
        if not hasattr(self, "_model_"):
            msg = f"This {type(self).__name__} instance is not fitted yet. Call 'fit' before using this estimator."
            raise NotFittedError(msg)
        return self._model_

    def _rows(self, X: Any) -> _datalake.Table:
        """Give rows as the fitted model needs them."""
        self._fitted()
        rows, _ = rows_of(X, self._names_, exact=self._codes_ or None)
        for note in self._model_.check(rows):
            warnings.warn(note, InputWarning, stacklevel=3)
        return rows

    def _target(self, y: Any) -> _datalake.Table:
        """Give a target as it is learnt from."""
        targets = targets_of(y)
        return labels_table(targets)[0] if self._classification else numbers_table(targets)

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
        model = self._fitted()
        return Tree._of(model.tree(_place(number)), [len(classes) or 1 for _, classes in model.outputs])

    def draws_of(self, number: int, X: Any, y: Any, *, sample_weight: Any = None) -> npt.NDArray[np.uint32]:
        """Give how often one of the trees has drawn each row, from all that it was grown from, in the same order.

        Other rows, and the same in another order, are refused.
        """
        model, rows, target = self._fitted(), self._rows(X), self._target(y)
        drawn = model.draws_of(_place(number), rows, target, self._weights(sample_weight))
        return np.frombuffer(drawn, np.uint32).copy()

    def leaf_statistics(self, number: int, X: Any, y: Any, *, sample_weight: Any = None) -> LeafStatistics:
        """Give what lies in each leaf of one of the trees, from all that it was grown from, in the same order.

        Other rows, and the same in another order, are refused.
        """
        model, rows, target = self._fitted(), self._rows(X), self._target(y)
        found = model.leaf_statistics(_place(number), rows, target, self._weights(sample_weight))
        return LeafStatistics._of(found, [len(classes) for _, classes in model.outputs])

    def out_of_bag_importances(
        self, X: Any, y: Any, *, sample_weight: Any = None, n_repeats: int = 5, random_state: Any = None
    ) -> PermutationImportances:
        """Measure what each column is worth, from all that the forest was grown from, in the same order.

        Other rows, and the same in another order, are refused. Each tree predicts the rows that it has not seen, with
        one column shuffled among them; the mean over the trees says by how much their mean squared error (`mse`)
        grows, or their `accuracy` falls (Breiman, 2001).
        """
        model, rows, target = self._fitted(), self._rows(X), self._target(y)
        params = {"n_repeats": int(n_repeats), "seed": seed_of(random_state)}
        weights = self._weights(sample_weight)
        return PermutationImportances._of(model.out_of_bag_importances(rows, target, json.dumps(params), weights))

    def _weights(self, sample_weight: Any) -> bytes | None:
        """Give the weights that the forest was grown with."""
        if sample_weight is None and self._weighted_:
            msg = "sample_weight is needed: the forest was grown with weights, and which rows it drew follows from them"
            raise InvalidError(msg)
        return None if sample_weight is None else weights_of(sample_weight)

    def save(
        self,
        path: str | os.PathLike[str],
        lake: Lake | str | os.PathLike[str] | None = None,
        *,
        compression: Literal["none", "zstd"] = "none",
    ) -> None:
        """Write the model as a file, or as an object of `lake` (`models/mine.model`), whole or not at all.

        Without `lake`, `lake://models/mine.model` is an object of the lake that `DATALAKE_URL` names.
        A file that is not compressed is mapped when it is opened; `zstd` makes it about a third of the size.
        """
        model = self._fitted()
        lineage = {"saved": datetime.now(UTC).isoformat(), "python": self._lineage()}
        model.save(_address(path, lake), lake, json.dumps(lineage), compression)

    def card(self, title: str | None = None, *, format: Literal["markdown", "html"] = "markdown") -> str:  # noqa: A002
        """Give the model's card: what it is for, what it learnt from, how good it is, where it comes from."""
        model = self._fitted()
        if format not in ("markdown", "html"):
            msg = f"format must be 'markdown' or 'html', got {format!r}"
            raise InvalidError(msg)
        return model.card(title or model.target, format == "html")

    def _lineage(self) -> dict[str, Any]:
        return {"named": hasattr(self, "feature_names_in_"), "weighted": self._weighted_}

    def _restore(self, model: Model) -> Self:
        self._model_ = model
        lineage = model.envelope["lineage"].get("python", {})
        self._weighted_ = lineage.get("weighted", False)
        self._learnt(named=lineage.get("named", True))
        score = model.envelope["metrics"].get("out_of_bag_score")
        if score is not None:
            self.oob_score_ = score
        return self

    @property
    def digest_(self) -> str:
        """The SHA-256 of what was learnt: equal for equal tables, parameters and seeds.

        Names, and the order of rows and columns, are of the table; parameters count as they are given: of three columns
        `max_features=3` gives the trees of `1.0`, and another digest.
        """
        try:
            return self._fitted().digest
        except NotFittedError as error:
            # What `hasattr` and scikit-learn ask for.
            raise AttributeError(str(error)) from None

    def __sklearn_is_fitted__(self) -> bool:
        """Say whether there is a model."""
        return hasattr(self, "_model_")

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn that missing values, text and several targets are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.multi_output = True
        return tags


class RandomForestRegressor(RegressorMixin, _Forest):
    """A random forest that predicts a number, or several together.

    The parameters are those of scikit-learn's class of this name, with these differences: `max_features` may also
    be `"third"`; `splitter="random"` draws thresholds as extremely randomized trees do; `monotonic_cst` may also be
    a dictionary by name; `categorical_features` (names, places or a mask of columns) are whole numbers or booleans
    that are split by sets of categories, of any number, as columns of text always are; `random_state=None` means 0,
    so that every fit can be repeated; `oob_score` is `True` unless it is turned off, which saves some time;
    `n_jobs` is ignored, since :func:`datalake.set_threads` says how many threads the process has, and results do
    not depend on it. `min_samples_split` and `min_samples_leaf` are numbers of rows. Sparse matrices and constant
    targets are refused. In place of `estimators_` there are :meth:`tree`, :meth:`apply` and :meth:`decision_path`.

    `n_estimators="auto"` grows trees until more of them would lower the out-of-bag error by next to nothing (30 to
    1000); `max_time` (seconds, or text such as `"5min"`) begins no tree after that; `max_model_size` (bytes, or
    `"50MB"`) grows no more trees than fit into a model file of this size. `n_estimators_` says how many there are, and
    the forest is the one that this `n_estimators` gives.
    """

    _classification = False

    oob_prediction_: npt.NDArray[np.float64]
    """The mean of the trees that have not seen a row, for each training row; NaN where every tree has. Of several
    targets of the shape (rows, targets)."""

    def __init__(
        self,
        n_estimators: int | Literal["auto"] = 100,
        *,
        criterion: Literal["squared_error", "absolute_error", "poisson"] = "squared_error",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        min_weight_fraction_leaf: float = 0.0,
        max_features: float | Literal["sqrt", "log2", "third"] | None = 1.0,
        max_leaf_nodes: int | None = None,
        min_impurity_decrease: float = 0.0,
        bootstrap: bool = True,
        oob_score: bool = True,
        max_time: float | str | None = None,
        max_model_size: int | str | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        ccp_alpha: float = 0.0,
        max_samples: float | None = None,
        monotonic_cst: Any = None,
        categorical_features: Any = None,
        splitter: Literal["best", "random"] = "best",
    ) -> None:
        """Keep the parameters; they are checked when the forest is grown."""
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.min_impurity_decrease = min_impurity_decrease
        self.bootstrap = bootstrap
        self.oob_score = oob_score
        self.max_time = max_time
        self.max_model_size = max_model_size
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.ccp_alpha = ccp_alpha
        self.max_samples = max_samples
        self.monotonic_cst = monotonic_cst
        self.categorical_features = categorical_features
        self.splitter = splitter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the forest from rows (NumPy, pandas, Polars, pyarrow, lists) and as many numbers.

        A table of numbers in place of a column is several targets, which the trees predict together: a split is as good
        as it is for them in the mean. `monotonic_cst` and `criterion="absolute_error"` are for one target.

        `sample_weight` says what an error in a row costs; a row of weight 0 is not there.
        """
        rows, named = rows_of(X, exact=self.categorical_features)
        self._grow(rows, numbers_table(targets_of(y)), sample_weight, named=named)
        seen = self._model_.oob_predictions
        if seen is not None:
            self.oob_prediction_ = self._numbers(seen)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Predict a number for each row, or for several targets an array of the shape (rows, targets).

        Columns with names are found by name; further ones do not matter.
        """
        rows = self._rows(X)
        return self._numbers(self._model_.predict(rows))

    def _numbers(self, values: bytes) -> npt.NDArray[np.float64]:
        found = np.frombuffer(values, dtype=np.float64).copy()
        return found.reshape(-1, self.n_outputs_) if self.n_outputs_ > 1 else found


class RandomForestClassifier(ClassifierMixin, _Forest):
    """A random forest that predicts a class, or one of each of several targets together.

    The parameters are those of scikit-learn's class of this name, with the differences that
    :class:`RandomForestRegressor` names.
    """

    _classification = True

    classes_: npt.NDArray[Any] | Any
    """The classes, sorted; of several targets a list of such arrays."""
    n_classes_: int | Any
    """How many there are; of several targets a list."""
    oob_decision_function_: npt.NDArray[np.float64] | Any
    """The shares of the classes by the trees that have not seen a row, row by row; NaN where every tree has. Of several
    targets a list of such arrays."""

    def __init__(
        self,
        n_estimators: int | Literal["auto"] = 100,
        *,
        criterion: Literal["gini", "entropy", "log_loss"] = "gini",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        min_weight_fraction_leaf: float = 0.0,
        max_features: float | Literal["sqrt", "log2", "third"] | None = "sqrt",
        max_leaf_nodes: int | None = None,
        min_impurity_decrease: float = 0.0,
        bootstrap: bool = True,
        oob_score: bool = True,
        max_time: float | str | None = None,
        max_model_size: int | str | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        warm_start: bool = False,
        class_weight: Any = None,
        ccp_alpha: float = 0.0,
        max_samples: float | None = None,
        monotonic_cst: Any = None,
        categorical_features: Any = None,
        splitter: Literal["best", "random"] = "best",
    ) -> None:
        """Keep the parameters; they are checked when the forest is grown."""
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.min_impurity_decrease = min_impurity_decrease
        self.bootstrap = bootstrap
        self.oob_score = oob_score
        self.max_time = max_time
        self.max_model_size = max_model_size
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.class_weight = class_weight
        self.ccp_alpha = ccp_alpha
        self.max_samples = max_samples
        self.monotonic_cst = monotonic_cst
        self.categorical_features = categorical_features
        self.splitter = splitter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the forest from rows (NumPy, pandas, Polars, pyarrow, lists) and as many labels.

        A table of labels in place of a column is several targets, which the trees predict together: a split is as good
        as it is for them in the mean. `monotonic_cst` and `class_weight` are for one target.

        `sample_weight` says what an error in a row costs; a row of weight 0 is not there.
        """
        rows, named = rows_of(X, exact=self.categorical_features)
        target, classes = labels_table(targets_of(y))
        self._grow(rows, target, sample_weight, named=named)
        self._set_classes(classes)
        seen = self._model_.oob_predictions
        if seen is not None:
            self.oob_decision_function_ = self._shares(seen)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict a class for each row: the one of the greatest share, the first of equal ones.

        For several targets it is an array of the shape (rows, targets).
        """
        shares = self.predict_proba(X)
        if self.n_outputs_ == 1:
            labels: npt.NDArray[Any] = self.classes_[np.argmax(shares, axis=1)]
            return labels
        columns = [classes[np.argmax(own, axis=1)] for classes, own in zip(self.classes_, shares, strict=True)]
        alike = len({column.dtype.kind for column in columns}) == 1
        # Numbers beside text would all become text.
        return np.column_stack(columns if alike else [column.astype(object) for column in columns])

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64] | Any:
        """Predict the share of each class, in the order of `classes_`; of several targets a list of such arrays."""
        rows = self._rows(X)
        return self._shares(self._model_.predict_proba(rows))

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64] | Any:
        """Predict the logarithm of each share."""
        shares = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(shares) if self.n_outputs_ == 1 else [np.log(own) for own in shares]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the accuracy: the share of rows whose class is right, of several targets those that are right in all."""
        if self._fitted() and self.n_outputs_ == 1:
            return float(super().score(X, y, sample_weight))
        predicted, truth = self.predict(X), np.asarray(y)
        if truth.shape != predicted.shape:
            msg = f"y has the shape {truth.shape}, and the predictions of {self.n_outputs_} targets {predicted.shape}"
            raise InvalidError(msg)
        return float(np.average(np.all(predicted == truth, axis=1), weights=sample_weight))

    def _shares(self, values: bytes) -> Any:
        widths = [len(classes) for _, classes in self._model_.outputs]
        shares = np.frombuffer(values, dtype=np.float64).reshape(-1, sum(widths)).copy()
        return shares if len(widths) == 1 else parts_of(shares, widths)

    def _set_classes(self, classes: list[npt.NDArray[Any]]) -> None:
        counts = [len(own) for own in classes]
        self.classes_, self.n_classes_ = (classes[0], counts[0]) if len(classes) == 1 else (classes, counts)

    def _lineage(self) -> dict[str, Any]:
        kinds = [own.dtype for own in (self.classes_ if self.n_outputs_ > 1 else [self.classes_])]
        words = ["O" if kind.kind == "T" else kind.str for kind in kinds]
        return {**super()._lineage(), "classes": words if self.n_outputs_ > 1 else words[0]}

    def _restore(self, model: Model) -> Self:
        kinds = model.envelope["lineage"].get("python", {}).get("classes", "O")
        kinds = kinds if isinstance(kinds, list) else [kinds] * len(model.outputs)
        labels = [classes for _, classes in model.outputs]
        self._set_classes([_typed(own, np.dtype(kind)) for own, kind in zip(labels, kinds, strict=True)])
        return super()._restore(model)


def permutation_importance(
    model: RandomForestRegressor | RandomForestClassifier,
    X: Any,
    y: Any,
    *,
    n_repeats: int = 5,
    metric: str | None = None,
    random_state: Any = None,
) -> PermutationImportances:
    """Measure how much worse a model predicts rows that it has not learnt from when one column is shuffled.

    `metric` is `rmse` (without any), `mae`, `r2` or `max_error` of a regression; `accuracy` (without any), `f1_macro`,
    `f1_weighted` or `log_loss` of a classification. The same seed gives the same figures, for any number of threads.
    """
    _check(model)
    params = {"n_repeats": int(n_repeats), "metric": metric, "seed": seed_of(random_state)}
    found = model._fitted().permutation_importance(model._rows(X), model._target(y), json.dumps(params))
    return PermutationImportances._of(found)


def cross_validate(
    model: RandomForestRegressor | RandomForestClassifier,
    X: Any,
    y: Any,
    *,
    folds: int = 5,
    repeats: int = 1,
    groups: Any = None,
    stratify: bool = True,
    random_state: Any = None,
) -> dict[str, CrossValidation]:
    """Cross-validate a forest beside its baselines: `forest`, `dummy`, and `linear` or `logistic`, on the same folds.

    Rows are cut into `folds` parts, each measured on once, `repeats` times over by other draws. Rows of one value of
    `groups` stay in one part; with `stratify` each class has its share in every part, as far as whole groups allow.
    Of several targets, only the `dummy` stands beside the forest. The model need not be fitted, and stays as it was.
    """
    _check(model)
    rows, _ = rows_of(X, exact=True)
    table = None if groups is None else groups_table(groups)
    cut = {"folds": int(folds), "repeats": int(repeats), "stratify": bool(stratify), "seed": seed_of(random_state)}
    params = json.dumps(model._params(rows))
    categorical = chosen(model.categorical_features, rows.column_names)
    found = _datalake.cross_validate(
        rows, model._target(y), table, model._classification, params, categorical, json.dumps(cut)
    )
    return {name: CrossValidation._of(one) for name, one in found.items()}


def _check(model: Any) -> None:
    """Refuse what is none of the forests here."""
    if not isinstance(model, _Forest):
        got = model.__name__ if isinstance(model, type) else type(model).__name__
        msg = f"model must be a RandomForestRegressor or RandomForestClassifier of datalake, got {got}"
        raise InvalidError(msg)


def load_model(
    path: str | os.PathLike[str], lake: Lake | str | os.PathLike[str] | None = None
) -> RandomForestRegressor | RandomForestClassifier:
    """Read a forest from a model file, or from an object of `lake` (`models/calories.model`).

    Without `lake`, `lake://models/calories.model` is an object of the lake that `DATALAKE_URL` names.
    Files by :meth:`RandomForestRegressor.save`, by the command line and by pipelines are of one kind. A local file that
    is not compressed is mapped: processes that open it share its memory, and it must be replaced, never written into.
    """
    model = _datalake.Model.open(_address(path, lake), lake)
    if model.name != "forest":
        msg = f"cannot open the model {path}: it is by `{model.name}`, and only forests are estimators here"
        raise UnsupportedError(msg)
    if model.task == "regression":
        return RandomForestRegressor(**_arguments(model))._restore(model)
    return RandomForestClassifier(**_arguments(model))._restore(model)


def _address(path: str | os.PathLike[str], lake: Any) -> str | os.PathLike[str]:
    """Give the address of an object where a lake is named."""
    address = os.fspath(path)
    if lake is None or address.startswith("lake://") or Path(address).is_absolute():
        return path
    # What `pathlib` makes of an address.
    return f"lake://{address.removeprefix('lake:/')}"


def _place(number: int) -> int:
    """Give the number of a tree, which is counted from 0."""
    place = operator.index(number)
    if place < 0:
        msg = f"trees are counted from 0, got {number}"
        raise InvalidError(msg)
    return place


def _arguments(model: Model) -> dict[str, Any]:
    """Give the parameters of a model in scikit-learn's words."""
    params = dict(model.params)
    params["random_state"] = params.pop("seed")
    params["categorical_features"] = [name for name, is_categorical in model.features if is_categorical] or None
    automatic = 1.0 if model.task == "regression" else "sqrt"
    words = {"auto": automatic, "all": None}
    params["max_features"] = words.get(params["max_features"], params["max_features"])
    if params.get("criterion") is None:
        params.pop("criterion", None)
    return params


def _typed(labels: list[str], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Give labels as values of the kind that they were learnt as."""
    if kind.kind == "b":
        return np.array([label == "true" for label in labels])
    return np.array(labels, dtype=object).astype(kind)
