"""Our forest, by the estimators that users import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peers.base import Array, Peer


class Ours(Peer):
    """`datalake.RandomForestRegressor` and `RandomForestClassifier`."""

    name = "ours"
    module = distribution = "datalake"
    note = "no out-of-bag score, as the others; NumPy rows of float32"

    def training(self, X: Array, y: Array) -> Any:
        """Give codes as a dictionary column of Arrow, and NumPy's rows where all columns are numbers."""
        return self.rows(X), y

    def rows(self, X: Array) -> Any:
        if not self.wanted.categories:
            return X
        import pyarrow as pa

        columns = {f"x{index}": pa.array(X[:, index]) for index in range(X.shape[1])}
        for index in self.wanted.categories:
            columns[f"x{index}"] = pa.array(X[:, index].astype("int64").astype(str)).dictionary_encode()
        return pa.table(columns)

    def fit(self, training: Any) -> Any:
        import datalake

        wanted = self.wanted
        datalake.set_threads(wanted.threads)
        estimator = datalake.RandomForestClassifier if wanted.classification else datalake.RandomForestRegressor
        forest = estimator(
            n_estimators=wanted.trees,
            max_features=wanted.candidates,
            min_samples_leaf=wanted.min_samples_leaf,
            oob_score=False,
            random_state=wanted.seed,
        )
        return forest.fit(*training)

    def predict(self, model: Any, rows: Any) -> Array:
        if self.wanted.classification:
            return self.in_order(model.predict_proba(rows), model.classes_)
        predicted: Array = model.predict(rows)
        return predicted

    def save(self, model: Any, folder: Path) -> Path | None:
        path = folder / "forest.model"
        model.save(path)
        return path

    def save_compressed(self, model: Any, folder: Path) -> Path | None:
        """Write the model in its smaller form."""
        path = folder / "compressed.model"
        model.save(path, compression="zstd")
        return path

    def open(self, path: Path) -> Any:
        import datalake

        return datalake.load_model(path)
