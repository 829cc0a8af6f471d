"""What can be seen of a tree: its nodes in arrays, and what lies in its leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree of a forest in arrays, one entry a node, in scikit-learn's words.

    Nodes are numbered in preorder: a split before its left child, all nodes on the left before the right child; the
    root is 0. `RandomForestRegressor.apply` gives these numbers.
    """

    feature: npt.NDArray[np.int64]
    """The column that a split looks at; -2 for a leaf."""
    threshold: npt.NDArray[np.float32]
    """Numbers up to it go left; infinite where missing values part from all others; -2 for a leaf, NaN for a split by
    categories."""
    categories_left: dict[int, list[str]]
    """The categories that go left, for each split by categories."""
    missing_go_to_left: npt.NDArray[np.bool_]
    """Whether missing values, and categories never seen, go left."""
    children_left: npt.NDArray[np.int64]
    """The left child; -1 for a leaf."""
    children_right: npt.NDArray[np.int64]
    """The right child; -1 for a leaf."""
    value: npt.NDArray[np.float64]
    """What a leaf predicts, of the shape (nodes, targets, 1), or (nodes, targets, classes) with their shares, and zeros
    for a target of fewer classes; NaN for a split."""

    @property
    def node_count(self) -> int:
        """The number of nodes, leaves included."""
        return len(self.feature)

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return int(np.count_nonzero(self.children_left < 0))

    @classmethod
    def _of(cls, arrays: dict[str, Any], widths: list[int]) -> Self:
        feature = np.frombuffer(arrays["feature"], np.int64)
        threshold = np.frombuffer(arrays["threshold"], np.float32)
        return cls(
            feature=feature,
            threshold=np.where(feature < 0, np.float32(-2), threshold),
            categories_left=arrays["categories_left"],
            missing_go_to_left=np.frombuffer(arrays["missing_go_to_left"], np.bool_),
            children_left=np.frombuffer(arrays["children_left"], np.int64),
            children_right=np.frombuffer(arrays["children_right"], np.int64),
            value=_by_target(np.frombuffer(arrays["value"], np.float64).reshape(len(feature), -1), widths),
        )


def parts_of(values: npt.NDArray[np.float64], widths: list[int]) -> list[npt.NDArray[np.float64]]:
    """Give the columns of each target, `widths` at a time."""
    return np.split(values, np.cumsum(widths)[:-1], axis=1)


def _by_target(values: npt.NDArray[np.float64], widths: list[int]) -> npt.NDArray[np.float64]:
    if len(set(widths)) == 1:
        return values.reshape(len(values), len(widths), -1)
    parts = parts_of(values, widths)
    return np.stack([np.pad(part, ((0, 0), (0, max(widths) - part.shape[1]))) for part in parts], axis=1)


@dataclass(frozen=True, eq=False)
class LeafStatistics:
    """What the rows in each leaf of a tree say of the target, leaves from left to right."""

    node: npt.NDArray[np.uint32]
    """The leaf's number among the nodes of its tree."""
    rows: npt.NDArray[np.uint32]
    """How many rows of the tree's sample lie in it; one drawn twice counts once."""
    draws: npt.NDArray[np.uint64]
    """How often these rows were drawn."""
    mean: npt.NDArray[np.float64] | Any
    """The mean of the target over the sample, of several targets of the shape (leaves, targets); the share of each
    class, of the shape (leaves, classes), of several targets a list of such arrays."""
    least: npt.NDArray[np.float64] | None
    """The least target in the sample; none for a classification."""
    greatest: npt.NDArray[np.float64] | None
    """The greatest target in the sample; none for a classification."""

    @classmethod
    def _of(cls, arrays: dict[str, bytes], classes: list[int]) -> Self:
        several, labels = len(classes) > 1, any(classes)

        def numbers(name: str) -> npt.NDArray[np.float64]:
            values = np.frombuffer(arrays[name], np.float64)
            return values.reshape(-1, sum(classes) if labels else len(classes)) if labels or several else values

        return cls(
            node=np.frombuffer(arrays["node"], np.uint32),
            rows=np.frombuffer(arrays["rows"], np.uint32),
            draws=np.frombuffer(arrays["draws"], np.uint64),
            mean=parts_of(numbers("mean"), classes) if labels and several else numbers("mean"),
            least=None if labels else numbers("least"),
            greatest=None if labels else numbers("greatest"),
        )
