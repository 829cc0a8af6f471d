"""Single trees of all rows and features, ours beside scikit-learn's and beside a search of every cut.

Hundreds of small seeded tables, thousands with DATALAKE_SOAK=1: ties, constant columns, few values, large offsets,
tiny ranges, missing values, all limits.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from every_cut import Problem, Rows
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from datalake import RandomForestClassifier, RandomForestRegressor

TABLES = 6000 if os.environ.get("DATALAKE_SOAK") else 400
BLOCKS = 8

EQUAL = 1e-9
"""Decreases of impurity are equal where they differ by at most so much of the root's impurity."""

SAME_TO_SKLEARN = 1e-7
"""scikit-learn takes neighbouring values for equal where they differ by no more than this."""


@dataclass
class Case:
    """A table and parameters, in the words of both."""

    X: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    criterion: str
    limits: dict[str, Any] = field(default_factory=dict)
    far: bool = False
    """Whether the target is so far from zero that scikit-learn's sums of squares lose what is asked for."""
    weights: npt.NDArray[np.float64] | None = None

    @property
    def problem(self) -> Problem:
        """Give it as the reference takes it."""
        weights = np.ones(len(self.y)) if self.weights is None else self.weights
        for label, weight in (self.limits.get("class_weight") or {}).items():
            weights = np.where(self.y == label, weights * weight, weights)
        return Problem(
            self.X,
            self.y,
            weights,
            self.criterion,
            min_samples_leaf=self.limits.get("min_samples_leaf", 1),
            min_weight=self.limits.get("min_weight_fraction_leaf", 0.0) * weights.sum(),
            monotonic=tuple(self.limits.get("monotonic_cst", ())),
        )


def column(draw: np.random.Generator, rows: int) -> npt.NDArray[np.float64]:
    kind = draw.integers(0, 9)
    normal = draw.normal(size=rows)
    return [
        normal,
        draw.integers(0, draw.integers(2, 12), rows).astype(float),
        np.full(rows, normal[0]),
        normal + draw.choice([1e3, 1e6, -1e7]),
        normal * draw.choice([1e-4, 1e-6, 1e-30]),
        np.exp(normal * 5),
        np.where(draw.random(rows) < 0.8, 0.0, normal),
        np.round(normal, 1),
        # Neighbours in `float32`, which have nothing between them.
        1 + draw.integers(0, 4, rows) * np.spacing(np.float32(1)).astype(float),
    ][kind]


def table(seed: int) -> Case:
    """Make the table of a seed."""
    draw = np.random.default_rng([seed, 20260])
    rows = int(draw.choice([2, 3, 5, 8, 15, 16, 17, 30, 80, 200]))
    columns = int(draw.integers(1, 9))
    X = np.column_stack([column(draw, rows) for _ in range(columns)])
    if draw.random() < 0.3:
        X[draw.random(X.shape) < draw.choice([0.02, 0.3, 0.9])] = np.nan
    criterion = str(draw.choice(["squared_error", "squared_error", "gini", "entropy", "log_loss"]))
    signal = np.nan_to_num(X[:, 0]) - np.nan_to_num(X[:, 0]).mean()
    signal = signal / (np.abs(signal).max() or 1) + draw.normal(0, 0.3, rows)
    far = False
    if criterion == "squared_error":
        shape = draw.integers(0, 5)
        far = bool(shape == 3)
        y = [signal, np.round(signal * 2), np.exp(signal * 4), signal + 1e6, (signal > 0) * 1.0][shape]
    else:
        classes = int(draw.choice([2, 2, 3, 4, 5, 9]))
        y = np.clip(np.floor((signal + 1) / 2 * classes), 0, classes - 1)
        y = np.where(draw.random(rows) < 0.1, draw.integers(0, classes, rows), y)
        y = np.unique(y, return_inverse=True)[1].astype(np.int64)
    limits: dict[str, Any] = {}
    if draw.random() < 0.4:
        limits["min_samples_leaf"] = int(draw.integers(1, 8))
    if draw.random() < 0.3:
        limits["min_samples_split"] = int(draw.integers(2, 20))
    if draw.random() < 0.3:
        limits["max_depth"] = int(draw.integers(1, 6))
    if draw.random() < 0.2:
        limits["min_impurity_decrease"] = float(draw.choice([1e-6, 0.01, 0.05]))
    if len(np.unique(y)) < 2:
        y[0] = y[0] + 1 if criterion == "squared_error" else 1 - y[0]
    return Case(X.astype(np.float32), y, criterion, limits, far)


@dataclass
class Grown:
    """A tree as arrays, whoever has grown it."""

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[Any]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    missing_left: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]

    def is_leaf(self, node: int) -> bool:
        """Say whether a node has no children."""
        return bool(self.left[node] < 0)

    def parted(self, node: int, X: npt.NDArray[np.float32], rows: Rows) -> tuple[Rows, Rows]:
        """Give the rows that go left, and those that go right."""
        x = X[rows, self.feature[node]]
        left = np.where(np.isnan(x), self.missing_left[node], x <= self.threshold[node])
        return rows[left], rows[~left]


def forest_of(case: Case, **params: Any) -> RandomForestRegressor | RandomForestClassifier:
    estimator = RandomForestRegressor if case.criterion == "squared_error" else RandomForestClassifier
    forest = estimator(criterion=case.criterion, max_features=None, **case.limits, **params)
    further = {} if case.weights is None else {"sample_weight": case.weights}
    return forest.fit(case.X, case.y, **further)


def grown(forest: RandomForestRegressor | RandomForestClassifier, number: int) -> Grown:
    tree = forest.tree(number)
    return Grown(
        tree.feature,
        tree.threshold,
        tree.children_left,
        tree.children_right,
        tree.missing_go_to_left,
        tree.value[:, 0, :],
    )


def ours(case: Case) -> Grown:
    forest = forest_of(case, n_estimators=1, bootstrap=False, oob_score=False)
    tree, leaves = grown(forest, 0), forest.apply(case.X)[:, 0]
    predicted = forest.predict(case.X)[:, None] if case.criterion == "squared_error" else forest.predict_proba(case.X)
    np.testing.assert_allclose(predicted, tree.value[leaves], rtol=1e-15)
    return tree


def fitted(case: Case) -> DecisionTreeRegressor | DecisionTreeClassifier:
    estimator = DecisionTreeRegressor if case.criterion == "squared_error" else DecisionTreeClassifier
    tree = estimator(criterion=case.criterion, random_state=0, **case.limits)
    return tree.fit(case.X, case.y, sample_weight=case.weights)


def arrays_of(estimator: DecisionTreeRegressor | DecisionTreeClassifier) -> Grown:
    tree = estimator.tree_
    missing_left = tree.missing_go_to_left.astype(bool)
    value = tree.value[:, 0, :]
    return Grown(tree.feature, tree.threshold, tree.children_left, tree.children_right, missing_left, value)


def theirs(case: Case) -> Grown:
    return arrays_of(fitted(case))


@dataclass
class Seen:
    """How much was compared, so that a test that compares nothing fails."""

    nodes: int = 0
    splits: int = 0
    unique: int = 0
    leaves: int = 0
    apart: int = 0
    """Nodes at which the trees go different ways, though they may gain the same."""

    def __add__(self, other: Seen) -> Seen:
        return Seen(*(getattr(self, name) + getattr(other, name) for name in vars(self)))


def allowed(case: Case, rows: Rows, depth: int) -> bool:
    """Say whether the limits that do not look at cuts let a node be split."""
    limits = case.limits
    enough = max(limits.get("min_samples_split", 2), 2 * limits.get("min_samples_leaf", 1))
    return len(rows) >= enough and depth < limits.get("max_depth", np.inf) and len(np.unique(case.y[rows])) > 1


def cost(case: Case, tree: Grown, alpha: float) -> float:
    """Give the impurity of a tree's leaves, by their share of the weight, and `alpha` for each leaf."""
    problem, total = case.problem, 0.0
    nodes = [(0, np.flatnonzero(problem.weights > 0))]
    while nodes:
        node, rows = nodes.pop()
        if tree.is_leaf(node):
            total += problem.weights[rows].sum() / problem.weights.sum() * problem.impurity(rows) + alpha
            continue
        left, right = tree.parted(node, case.X, rows)
        nodes += [(int(tree.left[node]), left), (int(tree.right[node]), right)]
    return total


def bounds_below(
    case: Case, column: int, sides: tuple[Rows, Rows], bounds: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Give the bounds of both children: half-way between their levels, where the column is monotone."""
    direction = case.problem.monotonic[column] if case.problem.monotonic else 0
    if direction == 0:
        return bounds, bounds
    low, high = bounds
    middle = sum(float(case.problem.level(case.problem.sums(side).sum(axis=0), side)) for side in sides) / 2
    return ((low, middle), (middle, high)) if direction > 0 else ((middle, high), (low, middle))


def on_the_edge(problem: Problem, rows: Rows, bounds: tuple[float, float], slack: float) -> bool:
    """Say whether rounding decides which cuts keep the order."""
    loose, strict = (replace(problem, edge=edge).best_two(rows, 0.0, bounds)[0] for edge in (1e-12, -1e-12))
    return loose > -np.inf and loose - strict > slack


def compare(case: Case, mine: Grown, other: Grown, *, pruned: bool = False) -> Seen:
    """Follow both trees down from the root, as long as they part the same rows alike.

    In `pruned` trees there are more leaves than the limits of a node ask for.
    """
    problem, seen = case.problem, Seen()
    every = np.flatnonzero(problem.weights > 0)
    slack = EQUAL * problem.impurity(every)
    whole = problem.weights.sum()
    nodes = [(0, 0, every, 0, (-np.inf, np.inf))]
    while nodes:
        here, there, rows, depth, bounds = nodes.pop()
        seen.nodes += 1
        best, second = problem.best_two(rows, 0.0, bounds)
        if problem.monotonic and on_the_edge(problem, rows, bounds, slack):
            continue
        share = problem.weights[rows].sum() / whole
        least = case.limits.get("min_impurity_decrease", 0.0)
        # At the limit itself either is right.
        undecided = least > 0 and abs(best * share - least) <= EQUAL
        may = allowed(case, rows, depth) and best > -np.inf and (best * share >= least or undecided)
        where = f"node {here} of {len(rows)} rows, depth {depth}"
        seen.apart += mine.is_leaf(here) != other.is_leaf(there)
        if mine.is_leaf(here):
            assert not may or undecided or pruned, f"{where}: a leaf, though a cut lowers the impurity by {best}"
            seen.leaves += 1
            same_leaf(problem, (mine, here), (other, there), rows)
            continue
        assert may, f"{where}: split, though it may not be"
        left, right = mine.parted(here, case.X, rows)
        own = problem.decrease(left, right)
        assert own >= best - slack, f"{where}: lowers the impurity by {own}, a better cut by {best}"
        if other.is_leaf(there) and pruned:
            continue
        if other.is_leaf(there):
            # It stops where the impurity is at most 2e-16, and does not part values that are all but equal.
            stops = best <= slack or problem.impurity(rows) <= 2.3e-16
            blind = problem.best_two(rows, SAME_TO_SKLEARN, bounds)[0]
            assert case.far or undecided or stops or blind < best - slack or blind * share < least, (
                f"{where}: a leaf there"
            )
            continue
        their_left, their_right = other.parted(there, case.X, rows)
        theirs_lowers = problem.decrease(their_left, their_right)
        seen.splits += 1
        if abs(own - theirs_lowers) > slack:
            blind = problem.best_two(rows, SAME_TO_SKLEARN, bounds)[0]
            assert case.far or blind < best - slack, f"{where}: {own} here, {theirs_lowers} there"
        elif best - second > slack:
            same_split(case, (mine, here), (other, there), rows, where)
            seen.unique += 1
        same_rows, same_column = np.array_equal(left, their_left), mine.feature[here] == other.feature[there]
        # Best-first growth draws columns in another order there, and may part the same rows by another one.
        seen.apart += not (same_rows and (same_column or "max_leaf_nodes" in case.limits))
        # What bounds there are below follows from the column too.
        if same_rows and (same_column or not problem.monotonic):
            on_left, on_right = bounds_below(case, int(mine.feature[here]), (left, right), bounds)
            nodes += [
                (int(mine.right[here]), int(other.right[there]), right, depth + 1, on_right),
                (int(mine.left[here]), int(other.left[there]), left, depth + 1, on_left),
            ]
    return seen


def same_leaf(problem: Problem, mine: tuple[Grown, int], other: tuple[Grown, int], rows: Rows) -> None:
    """Demand the mean or the shares of the rows, and those of the other tree, if it has a leaf there too."""
    (tree, here), (their_tree, there) = mine, other
    if not problem.monotonic:
        np.testing.assert_allclose(tree.value[here], problem.value(rows), rtol=1e-12, atol=1e-12)
    if their_tree.is_leaf(there):
        np.testing.assert_allclose(tree.value[here], their_tree.value[there], rtol=1e-9, atol=1e-9)


def same_split(case: Case, mine: tuple[Grown, int], other: tuple[Grown, int], rows: Rows, where: str) -> None:
    """Demand the same column, side of missing values, and threshold."""
    (tree, here), (their_tree, there) = mine, other
    column = int(tree.feature[here])
    assert column == their_tree.feature[there], f"{where}: another column"
    x = case.X[rows, column]
    if np.isnan(x).any():
        assert tree.missing_left[here] == their_tree.missing_left[there], f"{where}: missing values elsewhere"
    own, given = tree.threshold[here], their_tree.threshold[there]
    # The greatest `float32` up to the exact middle parts all numbers as the middle does.
    after = np.nextafter(own, np.float32(np.inf), dtype=np.float32)
    assert own == given or own <= given < after, f"{where}: parted at {own}, not at {given}"


def compare_all(cases: list[tuple[int, Case]]) -> Seen:
    seen = Seen()
    for seed, case in cases:
        try:
            seen += compare(case, ours(case), theirs(case))
        except Exception as error:
            error.add_note(f"seed {seed}: {case.X.shape} by {case.criterion}, {case.limits}")
            raise
    return seen


@pytest.mark.parametrize("block", range(BLOCKS))
def test_trees_split_as_well_as_any_cut_and_where_scikit_learn_does(block: int) -> None:
    seen = compare_all([(seed, table(seed)) for seed in range(block, TABLES, BLOCKS)])
    tables = TABLES // BLOCKS
    assert seen.splits > tables
    assert seen.unique > tables // 2
    assert seen.leaves > tables


def test_large_tables_of_few_values_are_split_as_well() -> None:
    """Nodes of more rows than are searched cut by cut are searched by sums over bins: of one value each, here."""
    draw = np.random.default_rng(5)
    rows = 9000
    X = np.column_stack([draw.integers(0, 200, rows), draw.integers(0, 3, rows), np.round(draw.normal(size=rows), 1)])
    X = X.astype(np.float32)
    X[draw.random(X.shape) < 0.1] = np.nan
    number = np.nan_to_num(X).sum(axis=1) / 50 + draw.normal(size=rows)
    seen = Seen()
    classes = np.digitize(number, [0, 2])
    for criterion, y in [("squared_error", number), ("gini", classes), ("entropy", classes // 2)]:
        case = Case(X, y, criterion, {"max_depth": 5, "min_samples_leaf": 3})
        seen += compare(case, ours(case), theirs(case))
    assert seen.unique > 30


def with_bootstrap(seed: int) -> tuple[Seen, bool]:
    """Compare every tree of a forest with one that scikit-learn grows from rows of the same weights."""
    case = table(seed)
    trees = 4
    forest = forest_of(case, n_estimators=trees, random_state=seed)
    seen, importances, outs = Seen(), [], []
    for number in range(trees):
        counts = forest.draws_of(number, case.X, case.y).astype(float)
        assert counts.sum() == len(case.y)
        drawn = replace(case, weights=counts)
        tree, other = grown(forest, number), fitted(drawn)
        if len(np.unique(case.y[counts > 0])) > 1:
            seen += compare(drawn, tree, arrays_of(other))
        outs.append((counts == 0, other))
        importances.append(other.tree_.compute_feature_importances())
    if seen.apart or case.far:
        # Equal gains may be had by different columns, and then anything further differs.
        return seen, False
    mean = np.mean(importances, axis=0)
    total = mean.sum()
    np.testing.assert_allclose(forest.feature_importances_, mean / total if total > 0 else mean, rtol=0, atol=1e-9)
    out_of_bag(case, forest, outs)
    return seen, True


def out_of_bag(case: Case, forest: RandomForestRegressor | RandomForestClassifier, outs: list[tuple[Any, Any]]) -> None:
    """Demand the out-of-bag figures that scikit-learn's trees give."""
    numbers = case.criterion == "squared_error"
    width = 1 if numbers else len(np.unique(case.y))
    sums, seen = np.zeros((len(case.y), width)), np.zeros(len(case.y))
    for out, other in outs:
        if out.any():
            predicted = other.predict(case.X[out])[:, None] if numbers else other.predict_proba(case.X[out])
            # A tree may have drawn no row of a class.
            classes = [0] if numbers else other.classes_
            sums[np.ix_(out, classes)] += predicted
            seen[out] += 1
    known = seen > 0
    if not known.any():
        assert not hasattr(forest, "oob_score_")
        return
    found = forest.oob_prediction_[:, None] if numbers else forest.oob_decision_function_
    assert np.isnan(found[~known]).all()
    if np.isnan(case.X).any():
        # Missing values at a split that has seen none go with the heavier side here, with that of more rows there.
        return
    means = sums[known] / seen[known, None]
    np.testing.assert_allclose(found[known], means, rtol=1e-9, atol=1e-9)
    truth = case.y[known]
    if not numbers:
        assert forest.oob_score_ == pytest.approx(np.mean(found[known].argmax(axis=1) == truth))
    elif len(truth) > 1 and truth.std() > 0:
        assert forest.oob_score_ == pytest.approx(r2_score(truth, means[:, 0]), rel=1e-6, abs=1e-9)


def test_forests_have_the_importances_and_out_of_bag_figures_of_scikit_learns_trees() -> None:
    seen, alike = Seen(), 0
    for seed in range(TABLES // 4):
        try:
            own, same = with_bootstrap(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        seen += own
        alike += same
    assert seen.unique > TABLES // 2
    assert alike > TABLES // 80


def options(*names: str) -> pytest.MarkDecorator:
    """Skip a test of parameters that the estimators do not have."""
    known = (
        inspect.signature(RandomForestClassifier).parameters | inspect.signature(RandomForestClassifier.fit).parameters
    )
    missing = [name for name in names if name not in known]
    return pytest.mark.skipif(bool(missing), reason=f"no parameter {missing}")


def whole(cases: list[tuple[int, Case]], least: int) -> None:
    """Compare tables under further limits, and demand that so many splits were compared."""
    assert compare_all(cases).unique > least


@options("sample_weight")
def test_rows_weigh_what_they_are_given() -> None:
    cases = []
    for seed in range(TABLES // 4):
        draw, case = np.random.default_rng(seed), table(seed)
        weights = [draw.integers(0, 4, len(case.y)), draw.random(len(case.y)), draw.exponential(10, len(case.y))][
            seed % 3
        ]
        if len(np.unique(case.y[weights > 0])) > 1:
            cases.append((seed, replace(case, weights=weights.astype(float))))
    whole(cases, TABLES // 8)


@options("class_weight")
def test_classes_weigh_what_they_are_given() -> None:
    cases = []
    for seed in range(TABLES // 2):
        case = table(seed)
        if case.criterion != "squared_error":
            weights = np.random.default_rng(seed).choice([0.25, 1.0, 3.0, 0.7], int(case.y.max()) + 1)
            limits = case.limits | {"class_weight": dict(enumerate(weights.tolist()))}
            cases.append((seed, replace(case, limits=limits)))
    whole(cases, TABLES // 8)


@options("min_weight_fraction_leaf")
def test_leaves_have_their_least_share_of_the_weight() -> None:
    cases = []
    for seed in range(TABLES // 4):
        case = table(seed)
        # No share of the rows comes near a whole number of them.
        limits = case.limits | {"min_weight_fraction_leaf": 0.1 / 3 + 0.01 * (seed % 3)}
        cases.append((seed, replace(case, limits=limits)))
    whole(cases, TABLES // 8)


@options("monotonic_cst")
def test_predictions_go_with_monotone_columns() -> None:
    cases = []
    for seed in range(TABLES // 2):
        case = table(seed)
        if (case.criterion == "squared_error" and not case.far) or case.y.max() == 1:
            directions = np.random.default_rng(seed).integers(-1, 2, case.X.shape[1]).tolist()
            X = np.nan_to_num(case.X)
            cases.append((seed, replace(case, X=X, limits=case.limits | {"monotonic_cst": directions})))
    whole(cases, TABLES // 8)


@options("ccp_alpha", "max_leaf_nodes")
@pytest.mark.parametrize("name", ["ccp_alpha", "max_leaf_nodes"])
def test_trees_are_pruned_alike(name: str) -> None:
    alike = 0
    for seed in range(TABLES // 2):
        case = table(seed)
        if case.far or case.criterion != "squared_error" or len(np.unique(case.y)) < len(case.y):
            continue
        if compare(case, ours(case), theirs(case)).apart:
            # Of equal gains, each may have taken another.
            continue
        value = [1e-3, 0.01, 0.03][seed % 3] * case.problem.impurity(np.arange(len(case.y)))
        alpha = value if name == "ccp_alpha" else 0.0
        cut = replace(case, limits=case.limits | {name: alpha if name == "ccp_alpha" else 2 + seed % 9})
        mine, other = ours(cut), theirs(cut)
        seen = compare(cut, mine, other, pruned=True)
        assert seen.apart == 0, f"seed {seed}: pruned elsewhere"
        assert cost(cut, mine, alpha) == pytest.approx(cost(cut, other, alpha), rel=1e-9)
        alike += 1
    assert alike > TABLES // 40


@options("ccp_alpha")
def test_trees_of_classes_are_pruned_to_the_same_cost() -> None:
    """Among classes many gains are equal, so trees may differ where the least cost, which is one, does not."""
    alike = smaller = 0
    for seed in range(TABLES):
        case = table(seed)
        if case.criterion == "squared_error" or compare(case, full := ours(case), theirs(case)).apart:
            continue
        alpha = [1e-3, 0.01, 0.03][seed % 3] * case.problem.impurity(np.arange(len(case.y)))
        cut = replace(case, limits=case.limits | {"ccp_alpha": alpha})
        mine, other = ours(cut), theirs(cut)
        assert cost(cut, mine, alpha) == pytest.approx(cost(cut, other, alpha), rel=1e-9), f"seed {seed}"
        alike += 1
        smaller += len(mine.feature) < len(full.feature)
    assert alike > TABLES // 20
    assert smaller > TABLES // 80


@pytest.mark.parametrize("heavy", [1.0, 2.5])
@pytest.mark.parametrize("criterion", ["absolute_error", "poisson"])
def test_a_split_by_other_losses_is_as_good_as_scikit_learns(criterion: str, heavy: float) -> None:
    """One split, so that which of equal ones was taken does not matter."""
    for seed in range(TABLES // 4):
        draw = np.random.default_rng([seed, 7])
        rows, columns = int(draw.choice([2, 5, 16, 17, 40, 200])), int(draw.integers(1, 5))
        X = np.round(draw.normal(size=(rows, columns)), 2)
        y = np.round(np.exp(draw.normal(X[:, 0])), int(draw.integers(1, 9))) + 0.1
        y[0] += 1
        if criterion == "poisson" and seed % 3 == 0:
            # scikit-learn takes no missing values where errors are absolute.
            X[draw.random(X.shape) < 0.2] = np.nan
        weights = draw.choice([1.0, (1 + heavy) / 2, heavy], rows)
        limits: dict[str, Any] = {"max_depth": 1, "min_samples_leaf": int(draw.integers(1, 4))}
        ours = RandomForestRegressor(1, criterion=criterion, bootstrap=False, **limits)
        theirs = DecisionTreeRegressor(criterion=criterion, random_state=0, **limits)
        costs = []
        for tree in (ours, theirs):
            predicted = tree.fit(X, y, sample_weight=weights).predict(X)
            deviances = y * np.log(y / predicted) - y + predicted
            losses = np.abs(y - predicted) if criterion == "absolute_error" else deviances
            costs.append(np.average(losses, weights=weights))
        assert costs[0] == pytest.approx(costs[1], rel=1e-9, abs=1e-12), f"seed {seed}"
