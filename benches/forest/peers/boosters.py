"""The forests of gradient boosting libraries: their trees, grown side by side and averaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from peers.base import Array, Fit, Peer

BAG = 0.632
"""The share of rows that a bootstrap draws at least once; these libraries draw without replacement."""

MOST_LEAVES = 131_072
"""LightGBM's limit."""


class LightGBM(Peer):
    """LightGBM in its mode `rf`."""

    name = "lightgbm"
    module = distribution = "lightgbm"
    note = "255 bins; bags of 0.632 without replacement; leaf-wise up to 131,072 leaves; a tree for each class"

    def fit(self, training: Any) -> Any:
        import lightgbm

        wanted, (X, y) = self.wanted, training
        estimator = lightgbm.LGBMClassifier if wanted.classification else lightgbm.LGBMRegressor
        forest = estimator(
            boosting_type="rf",
            n_estimators=wanted.trees,
            num_leaves=int(np.clip(len(X) // wanted.min_samples_leaf, 2, MOST_LEAVES)),
            min_child_samples=wanted.min_samples_leaf,
            min_child_weight=0.0,
            subsample=BAG,
            subsample_freq=1,
            feature_fraction_bynode=min(1.0, wanted.candidates / wanted.columns + 1e-9),
            min_data_in_bin=1,
            reg_lambda=0.0,
            cat_smooth=1,
            cat_l2=0,
            # Else it keeps the histograms of every leaf.
            histogram_pool_size=1024,
            n_jobs=wanted.threads,
            random_state=wanted.seed,
            verbose=-1,
        )
        return forest.fit(X, y, categorical_feature=wanted.categories or "auto")

    def predict(self, model: Any, rows: Any) -> Array:
        if self.wanted.classification:
            return self.in_order(model.predict_proba(rows), model.classes_)
        predicted: Array = model.predict(rows)
        return predicted

    def save(self, model: Any, folder: Path) -> Path | None:
        path = folder / "model.txt"
        model.booster_.save_model(path)
        return path

    def open(self, path: Path) -> Any:
        import lightgbm

        return lightgbm.Booster(model_file=path)


class XGBoost(Peer):
    """XGBoost's `XGBRF` estimators."""

    name = "xgboost"
    module = distribution = "xgboost"
    note = "256 bins; bags of 0.632 without replacement; classes: logistic leaves, a tree for each class"

    def __init__(self, wanted: Fit) -> None:
        super().__init__(wanted)
        self.levels: dict[int, Array] = {}

    def training(self, X: Array, y: Array) -> Any:
        self.levels = {column: np.unique(X[:, column].astype(np.int64)) for column in self.wanted.categories}
        return self.rows(X), y

    def rows(self, X: Array) -> Any:
        if not self.levels:
            return X
        import pandas as pd

        frame = pd.DataFrame(X, columns=[f"x{index}" for index in range(X.shape[1])])
        for column, levels in self.levels.items():
            frame[f"x{column}"] = pd.Categorical(frame[f"x{column}"].astype(np.int64), categories=levels)
        return frame

    def fit(self, training: Any) -> Any:
        import xgboost

        wanted, (X, y) = self.wanted, training
        # The weight of a row at the first step: 1 for squared error, p (1 - p) for a logistic loss.
        weight = 1.0
        if wanted.classification:
            share = 1 / wanted.classes
            weight = share * (1 - share) * (1 if wanted.classes == 2 else 2)
        estimator = xgboost.XGBRFClassifier if wanted.classification else xgboost.XGBRFRegressor
        forest = estimator(
            n_estimators=wanted.trees,
            max_depth=0,
            min_child_weight=weight * wanted.min_samples_leaf if wanted.min_samples_leaf > 1 else 0,
            subsample=BAG,
            colsample_bynode=min(1.0, wanted.candidates / wanted.columns + 1e-9),
            reg_lambda=0.0,
            tree_method="hist",
            n_jobs=wanted.threads,
            random_state=wanted.seed,
            enable_categorical=bool(wanted.categories),
        )
        return forest.fit(X, y)

    def predict(self, model: Any, rows: Any) -> Array:
        predicted: Array = model.predict_proba(rows) if self.wanted.classification else model.predict(rows)
        return predicted

    def save(self, model: Any, folder: Path) -> Path | None:
        path = folder / "model.ubj"
        model.save_model(path)
        return path

    def open(self, path: Path) -> Any:
        import xgboost

        return xgboost.Booster(model_file=path)
