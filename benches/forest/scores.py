"""Errors of predictions, computed alike for every peer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LEAST_SHARE = 1e-6
"""Shares below are raised to this, so that a forest's zero does not make a log-loss infinite."""


def regression(y: Array, predicted: Array) -> dict[str, float]:
    """Give R2, root mean squared and mean absolute error."""
    missed = y - predicted
    around = y - y.mean()
    return {
        "rmse": float(np.sqrt(np.mean(missed**2))),
        "mae": float(np.abs(missed).mean()),
        "r2": float(1 - (missed @ missed) / (around @ around)),
    }


def classification(y: Array, predicted: Array) -> dict[str, float]:
    """Give log-loss, accuracy and Brier score of shares (`rows x classes`); the accuracy alone of labels (`rows`)."""
    if predicted.ndim == 1:
        return {"accuracy": float(np.mean(predicted == y))}
    shares = np.clip(predicted, LEAST_SHARE, None)
    shares = shares / shares.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    brier = (predicted**2).sum(axis=1) - 2 * predicted[rows, y] + 1
    return {
        "log_loss": float(-np.log(shares[rows, y]).mean()),
        "accuracy": float(np.mean(predicted.argmax(axis=1) == y)),
        "brier": float(brier.mean()),
    }


def scores(y: Array, predicted: Array, *, classes: bool) -> dict[str, float]:
    """Give the errors that fit the task."""
    if classes:
        return classification(y.astype(np.int64), predicted)
    return regression(y.astype(np.float64), np.asarray(predicted, dtype=np.float64))


def main_error(metrics: dict[str, float]) -> tuple[str, float]:
    """Give the error that a table of peers shows: the lower, the better."""
    for name in ("rmse", "log_loss"):
        if name in metrics:
            return name, metrics[name]
    return "wrong", 1 - metrics["accuracy"]
