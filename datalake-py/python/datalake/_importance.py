"""What each column is worth to a model, by shuffling it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class PermutationImportances:
    """How much worse a model predicts when one column is shuffled, in scikit-learn's words."""

    metric: str
    """The figure that tells how good predictions are, such as `rmse` or `accuracy`."""
    score: float
    """Its value with all columns as they are."""
    feature_names: list[str]
    """The columns, in the order of the arrays."""
    importances: npt.NDArray[np.float64]
    """By how much the metric is worse, of the shape (features, repeats)."""
    importances_mean: npt.NDArray[np.float64]
    """Its mean for each column."""
    importances_std: npt.NDArray[np.float64]
    """Its standard deviation over the repeats."""
    standard_error: npt.NDArray[np.float64]
    """The standard error of the mean, over the repeats, or over the trees out of bag; NaN of a single one."""
    interval: npt.NDArray[np.float64]
    """Where the mean of ever more repeats, or trees, lies with 95% confidence, of the shape (features, 2)."""

    @classmethod
    def _of(cls, found: dict[str, Any]) -> Self:
        features = found["features"]

        def column(name: str) -> npt.NDArray[np.float64]:
            return np.array([np.nan if one[name] is None else one[name] for one in features], dtype=np.float64)

        repeats = np.array([one["repeats"] for one in features], dtype=np.float64)
        return cls(
            metric=found["metric"],
            score=found["score"],
            feature_names=[one["feature"] for one in features],
            importances=repeats,
            importances_mean=column("mean"),
            importances_std=repeats.std(axis=1),
            standard_error=column("standard_error"),
            interval=np.array([one["interval"] or [np.nan, np.nan] for one in features], dtype=np.float64),
        )
