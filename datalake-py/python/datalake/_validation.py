"""What a cross-validation has found, fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """The figures of every fold, by their names: `rmse`, `mae`, `r2`; `accuracy`, `f1_macro`, `log_loss`, and so on."""

    folds: dict[str, npt.NDArray[np.float64]]
    """The figure of each fold, one repetition after the other; NaN where it is not defined."""
    mean: dict[str, float]
    """The mean of each figure over the folds."""
    std: dict[str, float]
    """Its standard deviation over the folds."""

    @classmethod
    def _of(cls, found: dict[str, Any]) -> Self:
        def column(name: str) -> npt.NDArray[np.float64]:
            values = [fold.get(name) for fold in found["folds"]]
            return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

        return cls(folds={name: column(name) for name in found["mean"]}, mean=found["mean"], std=found["std"])
