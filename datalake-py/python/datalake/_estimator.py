"""What the estimators need of scikit-learn, for where it is not installed."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np


class NotFittedError(ValueError, AttributeError):
    """A prediction was asked of an estimator that has learnt nothing yet."""


class BaseEstimator:
    """Parameters by name, as the constructor has them."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's signature
        """Give all parameters by name."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                msg = f"invalid parameter {name!r} for {type(self).__name__}; there are {sorted(known)}"
                raise ValueError(msg)
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Show the parameters that are not the default."""
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [(name, value) for name, value in self.get_params().items() if value != defaults[name].default]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed)})"

    def __sklearn_tags__(self) -> Any:
        """Refuse: only scikit-learn asks for tags."""
        msg = "scikit-learn is not installed"
        raise AttributeError(msg)


class RegressorMixin:
    """The score of a regressor."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give R², the share of the variance that is explained, in the mean over several targets."""
        predicted = self.predict(X)  # type: ignore[attr-defined]
        truth = np.asarray(y, dtype=np.float64).reshape(predicted.shape)
        residuals = np.average((truth - predicted) ** 2, axis=0, weights=sample_weight)
        mean = np.average(truth, axis=0, weights=sample_weight)
        return float(np.mean(1 - residuals / np.average((truth - mean) ** 2, axis=0, weights=sample_weight)))


class ClassifierMixin:
    """The score of a classifier."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the accuracy, the share of rows whose class is right."""
        right = self.predict(X) == np.asarray(y).reshape(-1)  # type: ignore[attr-defined]
        return float(np.average(right, weights=sample_weight))
