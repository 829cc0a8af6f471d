"""Yggdrasil Decision Forests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from peers.base import Array, Peer


class Ydf(Peer):
    """`ydf.RandomForestLearner`."""

    name = "ydf"
    module = distribution = "ydf"
    note = "entropy; shares instead of votes; no depth limit; counts valid candidates, asked for one less"

    def rows(self, X: Array) -> Any:
        columns: dict[str, Array] = {f"x{index}": np.ascontiguousarray(X[:, index]) for index in range(X.shape[1])}
        for index in self.wanted.categories:
            columns[f"x{index}"] = X[:, index].astype(np.int64).astype(str)
        return columns

    def training(self, X: Array, y: Array) -> Any:
        columns = self.rows(X)
        columns["target"] = y if self.wanted.classification else y.astype(np.float32)
        return columns

    def fit(self, training: Any) -> Any:
        import ydf

        ydf.verbose(0)
        wanted = self.wanted
        # It tests one more than it is asked for: its loop goes on while what remains is not below zero.
        candidates = wanted.candidates if wanted.candidates == wanted.columns else max(1, wanted.candidates - 1)
        features = [
            # Every category, however rare: by default, 2,000 of at least five rows.
            ydf.Column(f"x{index}", ydf.Semantic.CATEGORICAL, max_vocab_count=-1, min_vocab_frequency=1)
            if index in wanted.categories
            else ydf.Column(f"x{index}", ydf.Semantic.NUMERICAL)
            for index in range(wanted.columns)
        ]
        learner = ydf.RandomForestLearner(
            label="target",
            task=ydf.Task.CLASSIFICATION if wanted.classification else ydf.Task.REGRESSION,
            features=features,
            num_trees=wanted.trees,
            max_depth=-1,
            min_examples=wanted.min_samples_leaf,
            num_candidate_attributes=candidates,
            winner_take_all=False,
            compute_oob_performances=False,
            num_threads=wanted.threads,
            random_seed=wanted.seed,
        )
        return learner.train(training)

    def predict(self, model: Any, rows: Any) -> Array:
        predicted = np.asarray(model.predict(rows))
        if not self.wanted.classification:
            return predicted
        if predicted.ndim == 1:
            predicted = np.column_stack([1 - predicted, predicted])
        return self.in_order(predicted, [int(label) for label in model.label_classes()])

    def save(self, model: Any, folder: Path) -> Path | None:
        path = folder / "model"
        model.save(str(path))
        return path

    def open(self, path: Path) -> Any:
        import ydf

        return ydf.load_model(str(path))
