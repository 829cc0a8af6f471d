"""The parameters of a forest, which scikit-learn takes in many forms, in the one form that the engine has."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np

from datalake.errors import InvalidError


def plain(value: Any) -> Any:
    """Give a number of NumPy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def flag(name: str, value: Any) -> bool:
    """Give what is either true or false."""
    if not isinstance(value, bool | np.bool_ | numbers.Integral) or value not in (0, 1):
        msg = f"{name} must be True or False, got {value!r}"
        raise InvalidError(msg)
    return bool(value)


def share(max_samples: Any, rows: int) -> float | None:
    """Give a number of rows as a share of them."""
    if isinstance(max_samples, numbers.Integral):
        count = int(max_samples)
        if not 1 <= count <= rows:
            msg = f"max_samples must be between 1 and {rows}, the number of rows, got {count}"
            raise InvalidError(msg)
        return count / rows
    return None if max_samples is None else float(max_samples)


def directions(monotonic_cst: Any, names: list[str]) -> dict[str, int]:
    """Give the directions by name that scikit-learn takes by place."""
    if monotonic_cst is None:
        return {}
    if not hasattr(monotonic_cst, "items"):
        if len(monotonic_cst) != len(names):
            msg = f"monotonic_cst has {len(monotonic_cst)} directions for {len(names)} features"
            raise InvalidError(msg)
        monotonic_cst = dict(zip(names, monotonic_cst, strict=True))
    for name, direction in monotonic_cst.items():
        if direction not in (-1, 0, 1):
            msg = f"monotonic_cst of `{name}` must be -1, 0 or 1, got {direction!r}"
            raise InvalidError(msg)
    return {str(name): int(direction) for name, direction in monotonic_cst.items() if direction != 0}


def class_weight_of(class_weight: Any) -> Any:
    """Give a word as it is, and weights by the text of their labels."""
    if not hasattr(class_weight, "items"):
        return class_weight
    weights = {_label(label): float(weight) for label, weight in class_weight.items()}
    for label, weight in weights.items():
        if not math.isfinite(weight):
            msg = f"class_weight of `{label}` must be a finite number, got {weight}"
            raise InvalidError(msg)
    return weights


def _label(label: Any) -> str:
    """Give a label as the engine writes it."""
    if isinstance(label, bool | np.bool_):
        return "true" if label else "false"
    return str(int(label)) if isinstance(label, float | np.floating) and label.is_integer() else str(label)


def seed_of(random_state: Any) -> int:
    """Give the seed that scikit-learn's kinds of `random_state` stand for."""
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    try:
        seed = operator.index(random_state)
    except TypeError:
        seed = -1
    if not 0 <= seed < 2**64:
        msg = f"random_state must be a whole number from 0 to 2**64 - 1, got {random_state!r}"
        raise InvalidError(msg)
    return seed
