"""What a split can gain, by trying every cut of every column: the reference for trees, ours and scikit-learn's."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """A table of numbers in `float32`, a target, weights, and what is asked of a tree."""

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.float64] | npt.NDArray[np.int64]
    weights: Floats
    criterion: str
    min_samples_leaf: int = 1
    min_weight: float = 0.0
    """The least weight of either side."""
    monotonic: tuple[int, ...] = ()
    """By column, the way that the mean, or the share of the second of two classes, may go with it: 1, -1 or 0."""
    edge: float = 0.0
    """How far levels may be out of order or bounds."""
    classes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", 0 if self.criterion == "squared_error" else int(self.y.max()) + 1)

    def sums(self, rows: Rows) -> Floats:
        """Give what each row adds to a side: its weight and weighted target, or its weight by class."""
        weights = self.weights[rows]
        if self.classes:
            return np.eye(self.classes)[self.y[rows]] * weights[:, None]
        # Around the node's mean, so that a large offset costs no precision.
        around = self.y[rows] - np.average(self.y[rows], weights=weights)
        return np.column_stack([weights, weights * around, weights * around**2])

    def impurity(self, rows: Rows) -> float:
        """Give the impurity of a node."""
        return float(self._impurities(self.sums(rows).sum(axis=0)[None])[0])

    def _impurities(self, sums: Floats) -> Floats:
        if not self.classes:
            weight, first, second = sums.T
            return np.maximum(second / weight - (first / weight) ** 2, 0)
        shares = sums / sums.sum(axis=1, keepdims=True)
        if self.criterion == "gini":
            return 1 - (shares**2).sum(axis=1)
        return -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)

    def decreases(self, left: Floats, total: Floats) -> Floats:
        """Give the decrease of impurity of cuts with these sums on the left."""
        right = total - left
        if not self.classes:
            weights_left, weights_right = left[:, 0], right[:, 0]
            apart = left[:, 1] / weights_left - right[:, 1] / weights_right
            return weights_left * weights_right / total[0] ** 2 * apart**2
        share = left.sum(axis=1) / total.sum()
        within = share * self._impurities(left) + (1 - share) * self._impurities(right)
        return self._impurities(total[None])[0] - within

    def decrease(self, left: Rows, right: Rows) -> float:
        """Give the decrease of impurity when a node is parted like this."""
        sums = self.sums(np.concatenate([left, right]))
        return float(self.decreases(sums[: len(left)].sum(axis=0)[None], sums.sum(axis=0))[0])

    def value(self, rows: Rows) -> Floats:
        """Give what a leaf predicts: the mean, or the share of each class."""
        if not self.classes:
            return np.array([np.average(self.y[rows], weights=self.weights[rows])])
        sums = self.sums(rows).sum(axis=0)
        return sums / sums.sum()

    def level(self, sums: Floats, rows: Rows) -> Floats:
        """Give what monotone columns keep in order: the mean, or the share of the second class."""
        if self.classes:
            return sums[..., 1] / sums.sum(axis=-1)
        return sums[..., 1] / sums[..., 0] + np.average(self.y[rows], weights=self.weights[rows])

    def best_two(
        self, rows: Rows, least_gap: float = 0.0, bounds: tuple[float, float] = (-np.inf, np.inf)
    ) -> tuple[float, float]:
        """Give the greatest decrease of any allowed cut, and that of the next one; minus infinity where there is none.

        Values that differ by no more than `least_gap` are not parted. `bounds` are those of the levels of both sides
        where a monotone column is cut; leaves are moved within them in any case.
        """
        sums = self.sums(rows)
        total = sums.sum(axis=0)
        found = [np.full(2, -np.inf)]
        for column in range(self.X.shape[1]):
            left, count = self._cuts(np.asarray(self.X[rows, column]), sums, least_gap)
            allowed = np.minimum(count, len(rows) - count) >= max(1, self.min_samples_leaf)
            left = left[allowed]
            if self.monotonic and self.monotonic[column]:
                left = left[self._in_order(left, total, rows, self.monotonic[column], bounds)]
            if self.min_weight > 0:
                on_left, whole = self._weight(left), self._weight(total)
                left = left[np.minimum(on_left, whole - on_left) >= self.min_weight]
            found.append(self.decreases(left, total))
        every = np.sort(np.concatenate(found))
        return float(every[-1]), float(every[-2])

    def _weight(self, sums: Floats) -> Floats:
        return sums.sum(axis=-1) if self.classes else sums[..., 0]

    def _in_order(
        self, left: Floats, total: Floats, rows: Rows, direction: int, bounds: tuple[float, float]
    ) -> npt.NDArray[np.bool_]:
        levels = self.level(left, rows), self.level(total - left, rows)
        low, high = bounds[0] - self.edge, bounds[1] + self.edge
        inside = np.all([(low <= level) & (level <= high) for level in levels], axis=0)
        return inside & ((levels[1] - levels[0]) * direction >= -self.edge)

    @staticmethod
    def _cuts(x: npt.NDArray[np.float32], sums: Floats, least_gap: float) -> tuple[Floats, Rows]:
        """Give the sums and the number of rows on the left of every cut."""
        known = np.flatnonzero(~np.isnan(x))
        order = known[np.argsort(x[known], kind="stable")]
        missing = sums[np.isnan(x)].sum(axis=0)
        values, below = x[order], np.cumsum(sums[order], axis=0)
        ends = np.flatnonzero(values[1:] > values[:-1] + np.float32(least_gap)) if len(order) else np.empty(0, int)
        absent = len(x) - len(known)
        # Missing values on the right, then, where there are any, on the left, and alone.
        lefts, counts = [below[ends]], [ends + 1]
        if absent:
            lefts += [below[ends] + missing, below[-1:]]
            counts += [ends + 1 + absent, np.array([len(known)])[: len(known)]]
        return np.concatenate(lefts), np.concatenate(counts)
