"""scikit-learn's forests, and oneDAL's behind the same interface."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from peers.base import Array, Fit, Peer

ONE_HOT_AT_MOST = 100
"""Columns of more categories are given as their codes, since as many columns would not fit into memory."""


class ScikitLearn(Peer):
    """`sklearn.ensemble`, with categories one-hot (up to 100) or as codes."""

    name = "scikit-learn"
    module = "sklearn.ensemble"
    distribution = "scikit-learn"
    note = "categories one-hot up to 100 of them, else as codes; encoding not timed"

    def __init__(self, wanted: Fit) -> None:
        super().__init__(wanted)
        self.levels: dict[int, Array] = {}

    def training(self, X: Array, y: Array) -> Any:
        seen = {column: np.unique(X[:, column]) for column in self.wanted.categories}
        self.levels = {column: levels for column, levels in seen.items() if len(levels) <= ONE_HOT_AT_MOST}
        return self.rows(X), y

    def rows(self, X: Array) -> Any:
        if not self.levels:
            return X
        hot = [(X[:, [column]] == levels).astype(np.float32) for column, levels in self.levels.items()]
        numeric = [column for column in range(X.shape[1]) if column not in self.levels]
        return np.ascontiguousarray(np.concatenate([X[:, numeric], *hot], axis=1))

    def estimator(self, columns: int, **further: Any) -> Any:
        """Make the estimator; with more columns by encoding, all features stay all features."""
        wanted = self.wanted
        module = importlib.import_module(self.module)
        make = module.RandomForestClassifier if wanted.classification else module.RandomForestRegressor
        return make(
            n_estimators=wanted.trees,
            max_features=columns if wanted.candidates == wanted.columns else wanted.candidates,
            min_samples_leaf=wanted.min_samples_leaf,
            n_jobs=wanted.threads,
            random_state=wanted.seed,
            **further,
        )

    def fit(self, training: Any) -> Any:
        X, y = training
        return self.estimator(X.shape[1]).fit(X, y)

    def predict(self, model: Any, rows: Any) -> Array:
        if self.wanted.classification:
            return self.in_order(model.predict_proba(rows), model.classes_)
        predicted: Array = model.predict(rows)
        return predicted


class ScikitLearnIntelex(ScikitLearn):
    """`sklearnex.ensemble`: oneDAL's forests."""

    name = "scikit-learn-intelex"
    module = "sklearnex.ensemble"
    distribution = "scikit-learn-intelex"
    note = "histograms of 256 bins, its default; categories as scikit-learn"
    takes_missing = False
