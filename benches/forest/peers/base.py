"""What a forest in Python must offer to be compared."""

from __future__ import annotations

import importlib
import importlib.metadata
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Fit:
    """One forest to grow, in words that every peer can translate."""

    classification: bool
    classes: int
    columns: int
    trees: int
    candidates: int
    min_samples_leaf: int
    seed: int
    threads: int
    missing: bool
    categories: list[int]
    """The columns that hold codes, to be taken as categories; none where codes are to be taken as numbers."""


class Peer:
    """A forest that is imported. Only `fit` and `predict` are timed."""

    name: ClassVar[str]
    module: ClassVar[str]
    distribution: ClassVar[str]
    note: ClassVar[str] = ""
    takes_missing: ClassVar[bool] = True
    takes_categories: ClassVar[bool] = True

    def __init__(self, wanted: Fit) -> None:
        self.wanted = wanted

    @classmethod
    def absent(cls) -> str | None:
        """Say why it is not to be had here, if it is not."""
        try:
            importlib.import_module(cls.module)
        except ImportError as error:
            return f"not installed ({error})"
        return None

    @classmethod
    def version(cls) -> str:
        """Give the version that is installed."""
        return importlib.metadata.version(cls.distribution)

    @classmethod
    def cannot(cls, wanted: Fit) -> str | None:
        """Say why it cannot grow such a forest, if it cannot."""
        if wanted.missing and not cls.takes_missing:
            return "takes no missing values"
        if wanted.categories and not cls.takes_categories:
            return "takes no categories"
        return None

    def training(self, X: Array, y: Array) -> Any:
        """Give the table in the container that the peer likes best."""
        return X, y

    def rows(self, X: Array) -> Any:
        """Give rows to predict, likewise."""
        return X

    def fit(self, training: Any) -> Any:
        """Grow the forest."""
        raise NotImplementedError

    def predict(self, model: Any, rows: Any) -> Array:
        """Predict numbers (`rows`) or shares of the classes (`rows x classes`)."""
        raise NotImplementedError

    def save(self, model: Any, folder: Path) -> Path | None:
        """Write the model, and say where; none where the peer cannot."""
        path = folder / "model.pickle"
        with path.open("wb") as file:
            pickle.dump(model, file, protocol=5)
        return path

    def open(self, path: Path) -> Any:
        """Read the model back."""
        with path.open("rb") as file:
            return pickle.load(file)

    def in_order(self, shares: Array, classes: Any) -> Array:
        """Put columns of shares in the order of the classes, with zeros for those that training did not see."""
        ordered = np.zeros((len(shares), self.wanted.classes))
        ordered[:, np.asarray(classes, dtype=np.int64)] = shares
        return ordered
