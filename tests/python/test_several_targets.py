"""Forests for several targets: trees beside scikit-learn's, and everything that estimators say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from every_cut import Floats, Problem, Rows
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier as TheirClassifier
from sklearn.ensemble import RandomForestRegressor as TheirRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from test_against_sklearn import TABLES, Case, Grown, Seen, compare, table

import datalake
from datalake import RandomForestClassifier, RandomForestRegressor

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Together(Problem):
    """Several targets, whose impurity is the mean of theirs."""

    parts: tuple[Problem, ...] = ()

    def sums(self, rows: Rows) -> Floats:
        """Give the sums of each target."""
        return np.concatenate([part.sums(rows) for part in self.parts], axis=1)

    def value(self, rows: Rows) -> Floats:
        """Give what a leaf says of each target."""
        return np.concatenate([part.value(rows) for part in self.parts])

    def _split(self, sums: Floats) -> list[Floats]:
        widths = [part.classes or 3 for part in self.parts]
        return np.split(sums, np.cumsum(widths)[:-1], axis=-1)

    def _impurities(self, sums: Floats) -> Floats:
        pairs = zip(self.parts, self._split(sums), strict=True)
        return np.asarray(np.mean([part._impurities(own) for part, own in pairs], axis=0))  # noqa: SLF001 - its own kind

    def decreases(self, left: Floats, total: Floats) -> Floats:
        """Give the mean decrease of the targets' impurities."""
        sides = zip(self.parts, self._split(left), self._split(total), strict=True)
        return np.asarray(np.mean([part.decreases(own, whole) for part, own, whole in sides], axis=0))


@dataclass
class CaseOfSeveral(Case):
    """A table of several targets; `y` numbers its distinct rows."""

    targets: list[npt.NDArray[Any]] = field(default_factory=list)

    @property
    def problem(self) -> Problem:
        """Give it as the reference takes it."""
        weights = np.ones(len(self.y)) if self.weights is None else self.weights
        parts = tuple(Problem(self.X, target, weights, self.criterion) for target in self.targets)
        least = self.limits.get("min_samples_leaf", 1)
        return Together(self.X, self.y, weights, self.criterion, min_samples_leaf=least, parts=parts)

    def arrays(self, tree: Any, value: npt.NDArray[np.float64]) -> Grown:
        """Give a tree as the comparison takes it: the numbers of each target, without what pads them."""
        widths = [part.classes or 1 for part in getattr(self.problem, "parts", ())]
        value = np.concatenate([value[:, target, :width] for target, width in enumerate(widths)], axis=1)
        missing_left = tree.missing_go_to_left.astype(bool)
        return Grown(tree.feature, tree.threshold, tree.children_left, tree.children_right, missing_left, value)


def several(seed: int) -> CaseOfSeveral | None:
    """Make the table of a seed; none where the target is too far from zero for scikit-learn."""
    case, draw = table(seed), np.random.default_rng([seed, 7])
    if case.far:
        return None
    signal = np.nan_to_num(case.X[:, -1]).astype(np.float64)
    signal = (signal - signal.mean()) / (np.abs(signal - signal.mean()).max() or 1)
    targets = [case.y]
    for _ in range(int(draw.integers(1, 4))):
        other = signal + draw.normal(0, 0.4, len(case.y))
        if case.criterion != "squared_error":
            other = np.floor((np.clip(other, -1, 1) + 1) / 2 * draw.integers(2, 5))
            other = np.unique(other, return_inverse=True)[1].astype(np.int64)
        if len(np.unique(other)) < 2:
            other[0] = 1 - other[0]
            other = np.unique(other, return_inverse=True)[1].astype(np.int64)
        targets.append(other)
    ids = np.unique(np.column_stack(targets), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    weights = draw.random(len(ids)) + 0.1 if seed % 3 == 0 else None
    return CaseOfSeveral(case.X, ids, case.criterion, case.limits, weights=weights, targets=targets)


def both(case: CaseOfSeveral) -> tuple[Grown, Grown]:
    regression = case.criterion == "squared_error"
    Y = np.column_stack(case.targets)
    ours = (RandomForestRegressor if regression else RandomForestClassifier)(
        n_estimators=1, bootstrap=False, max_features=None, criterion=case.criterion, **case.limits
    ).fit(case.X, Y, case.weights)
    tree = ours.tree(0)
    mine = case.arrays(tree, tree.value)
    leaves = ours.apply(case.X)[:, 0]
    said = ours.predict(case.X) if regression else np.concatenate(ours.predict_proba(case.X), axis=1)
    np.testing.assert_allclose(said, mine.value[leaves], rtol=1e-15)
    theirs = (DecisionTreeRegressor if regression else DecisionTreeClassifier)(
        criterion=case.criterion, random_state=0, **case.limits
    ).fit(case.X, Y, case.weights)
    return mine, case.arrays(theirs.tree_, theirs.tree_.value)


def test_trees_split_where_scikit_learn_does() -> None:
    seen = Seen()
    for seed in range(TABLES // 2):
        case = several(seed)
        if case is None:
            continue
        try:
            seen += compare(case, *both(case))
        except Exception as error:
            error.add_note(f"seed {seed}: {case.X.shape} by {case.criterion}, {case.limits}")
            raise
    assert seen.unique > TABLES // 2
    assert seen.leaves > TABLES


def rows_of(rows: int, seed: int = 0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(rows, 4))
    return X, np.column_stack([X[:, 0] * 3 + X[:, 1], 100 - X[:, 1] ** 2, X[:, 2] > 0])


def labels_of(rows: int, seed: int = 0) -> tuple[npt.NDArray[np.float64], pd.DataFrame]:
    X, Y = rows_of(rows, seed)
    size = np.array(["small", "middle", "large"])[np.digitize(Y[:, 0], [-1, 2])]
    return X, pd.DataFrame({"size": size, "count": np.digitize(Y[:, 1], [97, 99]), "up": Y[:, 2] > 0})


def test_a_regression_has_the_shapes_and_figures_of_scikit_learn() -> None:
    X, Y = rows_of(400)
    forest = RandomForestRegressor(60).fit(X, Y)
    theirs = TheirRegressor(60, oob_score=True, random_state=0).fit(X, Y)
    test, truth = rows_of(300, seed=1)
    assert forest.predict(test).shape == theirs.predict(test).shape == (300, 3)
    assert forest.oob_prediction_.shape == theirs.oob_prediction_.shape
    assert forest.n_outputs_ == theirs.n_outputs_ == 3
    assert forest.score(test, truth) == pytest.approx(r2_score(truth, forest.predict(test)))
    assert forest.score(test, truth) == pytest.approx(theirs.score(test, truth), abs=0.03)
    assert forest.oob_score_ == pytest.approx(r2_score(Y, forest.oob_prediction_))
    np.testing.assert_allclose(forest.feature_importances_, theirs.feature_importances_, atol=0.03)
    assert forest.tree(0).value.shape[1:] == theirs.estimators_[0].tree_.value.shape[1:]


def test_a_classification_has_the_shapes_and_figures_of_scikit_learn() -> None:
    X, Y = labels_of(500)
    forest = RandomForestClassifier(60).fit(X, Y)
    theirs = TheirClassifier(60, random_state=0).fit(X, Y.astype(str))
    test, truth = labels_of(300, seed=1)
    assert forest.n_classes_ == theirs.n_classes_ == [3, 3, 2]
    assert [own.tolist() for own in forest.classes_] == [["large", "middle", "small"], [0, 1, 2], [False, True]]
    shares, their_shares = forest.predict_proba(test), theirs.predict_proba(test)
    for own, other in zip(shares, their_shares, strict=True):
        assert own.shape == other.shape
        np.testing.assert_allclose(own.sum(axis=1), 1)
        assert np.abs(own - other).mean() < 0.05
    assert [own.shape for own in forest.predict_log_proba(test)] == [own.shape for own in shares]
    predicted = forest.predict(test)
    assert predicted.shape == (300, 3)
    right = (predicted == truth.to_numpy()).all(axis=1)
    assert forest.score(test, truth) == right.mean() > 0.75
    assert forest.score(test, truth, sample_weight=right * 1.0) == 1
    assert [own.shape for own in forest.oob_decision_function_] == [(500, 3), (500, 3), (500, 2)]
    seen = np.column_stack(
        [
            kinds[own.argmax(axis=1)].astype(object)
            for kinds, own in zip(forest.classes_, forest.oob_decision_function_, strict=True)
        ]
    )
    assert forest.oob_score_ == pytest.approx((seen == Y.to_numpy()).all(axis=1).mean())
    assert forest.tree(0).value.shape[1:] == theirs.estimators_[0].tree_.value.shape[1:]


def test_labels_of_one_kind_keep_it() -> None:
    X, Y = labels_of(100)
    marks = np.column_stack([Y["up"], Y["count"] > 1])
    forest = RandomForestClassifier(10).fit(X, marks)
    assert forest.predict(X).dtype == bool
    assert RandomForestClassifier(10).fit(X, marks.astype(int)).predict(X).dtype.kind == "i"


def test_every_kind_of_table_grows_the_same_forest() -> None:
    X, Y = rows_of(80)
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    kinds: list[Any] = [frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)]
    forests = [RandomForestRegressor(5).fit(X, target) for target in kinds]
    assert len({forest.digest_ for forest in forests}) == 1
    plain = [RandomForestRegressor(5).fit(X, target) for target in (Y, Y.tolist(), frame.set_axis(range(3), axis=1))]
    assert len({forest.digest_ for forest in plain}) == 1
    np.testing.assert_array_equal(forests[0].predict(X), plain[0].predict(X))


def test_a_column_in_a_table_is_one_target() -> None:
    X, Y = rows_of(50)
    one = RandomForestRegressor(5).fit(X, Y[:, :1])
    assert one.predict(X).shape == (50,)
    assert one.digest_ == RandomForestRegressor(5).fit(X, Y[:, 0]).digest_


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    X, Y = rows_of(100)
    forest = RandomForestRegressor(5).fit(X, Y)
    forest.save(tmp_path / "numbers.model")
    again: Any = datalake.load_model(tmp_path / "numbers.model")
    np.testing.assert_array_equal(again.predict(X), forest.predict(X))
    X, labels = labels_of(100)
    classifier = RandomForestClassifier(5).fit(X, labels)
    classifier.save(tmp_path / "labels.model", compression="zstd")
    again = datalake.load_model(tmp_path / "labels.model")
    assert again.digest_ == classifier.digest_
    np.testing.assert_array_equal(again.predict(X), classifier.predict(X))
    assert [own.dtype for own in again.classes_] == [own.dtype for own in classifier.classes_]
    assert "which of 3 classes" in again.card()


def test_leaves_and_importances_tell_of_all_targets() -> None:
    X, Y = rows_of(200)
    forest = RandomForestRegressor(5).fit(X, Y)
    tree, leaves = forest.tree(1), forest.leaf_statistics(1, X, Y)
    np.testing.assert_array_equal(leaves.mean, tree.value[leaves.node, :, 0])
    assert leaves.least is not None
    assert (leaves.least <= leaves.mean).all()
    assert forest.draws_of(1, X, Y).sum() == 200
    for found in [forest.out_of_bag_importances(X, Y), datalake.permutation_importance(forest, *rows_of(100, seed=2))]:
        assert found.importances_mean[:3].min() > 0.01 > found.importances_mean[3]
    X, labels = labels_of(200)
    classifier = RandomForestClassifier(5).fit(X, labels)
    tree, leaves = classifier.tree(0), classifier.leaf_statistics(0, X, labels)
    assert [own.shape[1] for own in leaves.mean] == [3, 3, 2]
    for target, own in enumerate(leaves.mean):
        np.testing.assert_array_equal(own, tree.value[leaves.node, target, : own.shape[1]])


def test_more_trees_and_clones_work_as_for_one_target() -> None:
    X, Y = rows_of(100)
    forest = RandomForestRegressor(4, warm_start=True).fit(X, Y)
    forest.n_estimators = 9
    forest.fit(X, Y)
    assert forest.digest_ == clone(forest).set_params(warm_start=False).fit(X, Y).digest_


@pytest.mark.parametrize(
    ("forest", "word"),
    [
        (RandomForestRegressor(3, monotonic_cst=[1, 0, 0, 0]), "monotonic_cst"),
        (RandomForestRegressor(3, criterion="absolute_error"), "absolute_error"),
        (RandomForestClassifier(3, class_weight="balanced"), "class_weight"),
    ],
)
def test_what_several_targets_cannot_have_is_refused(forest: Any, word: str) -> None:
    X, Y = rows_of(30)
    with pytest.raises(datalake.UnsupportedError, match=word):
        forest.fit(X, np.round(Y))


def test_targets_that_do_not_fit_are_refused() -> None:
    X, Y = rows_of(30)
    forest = RandomForestRegressor(3).fit(X, Y)
    with pytest.raises(datalake.InvalidError, match="predicts 3 targets, and there are 2"):
        forest.leaf_statistics(0, X, Y[:, :2])
    X, labels = labels_of(30)
    classifier = RandomForestClassifier(3).fit(X, labels)
    with pytest.raises(datalake.InvalidError, match=r"shape \(30, 1\), and the predictions of 3 targets \(30, 3\)"):
        classifier.score(X, labels[["size"]])
    with pytest.raises(datalake.InvalidError, match="must be a column"):
        RandomForestRegressor(3).fit(X, Y[:, :, None])


def test_folds_are_measured_over_all_targets_beside_the_baseline_that_learns_them() -> None:
    X, Y = rows_of(300)
    found = datalake.cross_validate(RandomForestRegressor(20), X, Y, folds=3)
    assert set(found) == {"forest", "dummy"}, "linear models learn one target"
    assert found["forest"].mean["r2"] > found["dummy"].mean["r2"]
    theirs = cross_val_score(TheirRegressor(20, random_state=0), X, Y, cv=3).mean()
    assert found["forest"].mean["r2"] == pytest.approx(theirs, abs=0.08)
