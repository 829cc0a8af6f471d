"""biosphere: a forest in Rust for regressions, by its Python module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from peers.base import Array, Fit, Peer


class Biosphere(Peer):
    """`biosphere.RandomForest`."""

    name = "biosphere"
    module = distribution = "biosphere"
    note = "float64; two classes as 0 and 1; cannot save"
    takes_missing = False
    takes_categories = False

    @classmethod
    def cannot(cls, wanted: Fit) -> str | None:
        """Refuse more than two classes as well."""
        if wanted.classes > 2:
            return "no more than two classes"
        return super().cannot(wanted)

    def training(self, X: Array, y: Array) -> Any:
        return X.astype(np.float64), y.astype(np.float64)

    def rows(self, X: Array) -> Any:
        return X.astype(np.float64)

    def fit(self, training: Any) -> Any:
        import biosphere

        wanted = self.wanted
        leaf = wanted.min_samples_leaf
        forest = biosphere.RandomForest(
            n_estimators=wanted.trees,
            max_depth=None,
            max_features=wanted.candidates,
            min_samples_leaf=leaf,
            min_samples_split=2 * leaf if leaf > 1 else 1,
            random_state=wanted.seed,
            n_jobs=wanted.threads,
        )
        forest.fit(*training)
        return forest

    def predict(self, model: Any, rows: Any) -> Array:
        predicted = np.asarray(model.predict(rows))
        return np.column_stack([1 - predicted, predicted]) if self.wanted.classification else predicted

    def save(self, model: Any, folder: Path) -> Path | None:  # noqa: ARG002 - it has no format
        return None
