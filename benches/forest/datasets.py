"""Seeded tables for the forests, made here: nothing is downloaded. All columns are `float32`, for every peer alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

FRESH_ROWS = 100_000
"""How many rows are predicted to time it; they are drawn like those learnt from."""


@dataclass(frozen=True)
class Table:
    """Features (`rows x columns`), a target, the task, and which columns hold codes of categories."""

    X: Floats
    y: Array
    classification: bool = False
    categories: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Facts:
    """What is known of a table in the cache beside its values."""

    classification: bool
    categories: list[int]
    columns: int
    train_rows: int
    classes: int
    missing: bool


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, sum(map(ord, name))])


def calories(rows: int, seed: int) -> Table:
    """Energy of a serving from the nutrients of 100 g, as printed on labels: 9 rounded columns and one of 25 groups."""
    # The groups are the same for every seed.
    world = np.random.default_rng(4711)
    groups = 25
    mix = world.gamma(0.8, 1.0, (groups, 7)) + 0.05  # protein, fat, carbohydrate, fibre, alcohol, water, ash
    mix[:, 5] += world.uniform(0.5, 6.0, groups)
    mix[:, 4] *= world.random(groups) < 0.15
    mix = np.maximum(mix, 0.02)
    effect = world.normal(0, 12, groups)
    digestible = world.normal(1.0, 0.04, groups)
    common = world.dirichlet(np.full(groups, 1.5))
    draw = _generator("calories", seed)
    group = draw.choice(groups, rows, p=common)
    raw = draw.gamma(mix[group] * 4.0 + 0.05)
    protein, fat, carbohydrate, fibre, alcohol, water, ash = (raw / raw.sum(1, keepdims=True) * 100).T
    sugar = carbohydrate * draw.beta(2, 3, rows)
    serving = np.round(draw.lognormal(4.6, 0.45, rows))
    per_100g = 4 * protein + 9 * fat + 4 * carbohydrate + 2 * fibre + 7 * alcohol
    energy = (per_100g * digestible[group] + effect[group]) * serving / 100
    energy = np.maximum(energy, 0) * draw.normal(1, 0.05, rows) + draw.normal(0, 3, rows)
    X = np.column_stack([protein, fat, carbohydrate, fibre, sugar, alcohol, water, ash, serving, group])
    X[:, :8] = np.round(X[:, :8], 1)
    return Table(X.astype(np.float32), energy, categories=[9])


def _friedman(X: Floats, draw: np.random.Generator) -> Array:
    x = X.astype(np.float64)
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return y + draw.normal(0, 1, len(X))


def friedman1(rows: int, seed: int) -> Table:
    """Friedman's first function with noise: ten uniform columns, of which five matter."""
    draw = _generator("friedman1", seed)
    X = draw.random((rows, 10), dtype=np.float32)
    return Table(X, _friedman(X, draw))


def _friedman_among(name: str, columns: int, rows: int, seed: int) -> Table:
    draw = _generator(name, seed)
    X = draw.random((rows, columns), dtype=np.float32)
    X[:, 5:10] = X[:, 0:5] * 0.7 + X[:, 5:10] * 0.3
    return Table(X, _friedman(X, draw))


def wide_reg(rows: int, seed: int) -> Table:
    """Friedman's first function among 100 columns, five of them correlated with those that matter."""
    return _friedman_among("wide_reg", 100, rows, seed)


def wide300_reg(rows: int, seed: int) -> Table:
    """The same among 300 columns."""
    return _friedman_among("wide300_reg", 300, rows, seed)


@dataclass(frozen=True)
class _Blobs:
    """Classes around centres of a cube, mixed linearly, among redundant columns and noise."""

    columns: int
    informative: int
    classes: int
    world: int

    def table(self, name: str, rows: int, seed: int) -> Table:
        draw, world, inner = _generator(name, seed), np.random.default_rng(self.world), self.informative
        centres = world.normal(0, 1.4, (self.classes * 4, inner))
        mixing = world.normal(0, 1, (inner, inner)) / np.sqrt(inner) + np.eye(inner) * 0.5
        redundancy = world.normal(0, 1, (inner, max(2, inner // 2)))
        centre = draw.integers(0, self.classes * 4, rows)
        Z = (centres[centre] + draw.normal(0, 1, (rows, inner))) @ mixing
        y = np.where(draw.random(rows) < 0.03, draw.integers(0, self.classes, rows), centre % self.classes)
        redundant = Z @ redundancy
        noise = draw.normal(0, 1, (rows, self.columns - inner - redundant.shape[1]))
        X = np.concatenate([Z, redundant, noise], 1)[:, world.permutation(self.columns)]
        return Table(X.astype(np.float32), y.astype(np.int64), classification=True)


def clf3(rows: int, seed: int) -> Table:
    """Three classes, 20 columns."""
    return _Blobs(columns=20, informative=5, classes=3, world=17).table("clf3", rows, seed)


def wide_clf(rows: int, seed: int) -> Table:
    """Two classes, 100 columns."""
    return _Blobs(columns=100, informative=15, classes=2, world=23).table("wide_clf", rows, seed)


def wide300_clf(rows: int, seed: int) -> Table:
    """Two classes, 300 columns."""
    return _Blobs(columns=300, informative=30, classes=2, world=29).table("wide300_clf", rows, seed)


def ties_reg(rows: int, seed: int) -> Table:
    """Whole numbers only: counts, years, a code of 5,000 values, a flag; a target of whole numbers."""
    world, draw = np.random.default_rng(31), _generator("ties_reg", seed)
    place = np.minimum(draw.zipf(1.3, rows) - 1, 4999)
    place_effect = world.normal(0, 4, 5000)
    year = draw.integers(1950, 2025, rows)
    count = draw.poisson(3, rows)
    price = np.round(draw.lognormal(8, 1, rows))
    grade = draw.integers(0, 11, rows)
    flag = draw.integers(0, 2, rows)
    area = np.round(draw.normal(120, 40, rows)).clip(10)
    hour = draw.integers(0, 24, rows)
    day = draw.integers(1, 32, rows)
    number = draw.integers(0, 1_000_000, rows)
    y = 3 * np.log1p(price) + place_effect[place] + 0.05 * (year - 1985) * flag + 2 * np.sqrt(count)
    y += 4 * np.sin(hour / 24 * 2 * np.pi) + 0.03 * area + (grade > 7) * 3 + draw.normal(0, 2, rows)
    X = np.column_stack([place, year, count, price, grade, flag, area, hour, day, number])
    return Table(X.astype(np.float32), np.round(y))


def towns_reg(rows: int, seed: int) -> Table:
    """10,000 categories of skewed frequency, each with an effect of its own, beside five numbers."""
    world, draw = np.random.default_rng(37), _generator("towns_reg", seed)
    towns = 10_000
    effect = world.normal(0, 3, towns)
    common = 1 / np.arange(20, 20 + towns)
    town = world.permutation(towns)[draw.choice(towns, rows, p=common / common.sum())]
    X = draw.random((rows, 5), dtype=np.float32)
    x = X.astype(np.float64)
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 10 * x[:, 2] + effect[town] * (1 + x[:, 3]) + draw.normal(0, 1, rows)
    return Table(np.column_stack([X, town.astype(np.float32)]), y, categories=[5])


def _with_holes(table: Table, seed: int) -> Table:
    X = table.X.copy()
    X[_generator("holes", seed).random(X.shape) < 0.10] = np.nan
    return Table(X, table.y, table.classification, table.categories)


def nan_reg(rows: int, seed: int) -> Table:
    """`friedman1`, a tenth of whose values are missing."""
    return _with_holes(friedman1(rows, seed), seed)


def nan_clf(rows: int, seed: int) -> Table:
    """`clf3`, a tenth of whose values are missing."""
    return _with_holes(clf3(rows, seed), seed)


MADE: dict[str, Callable[[int, int], Table]] = {
    made.__name__: made
    for made in (
        calories, friedman1, clf3, wide_reg, wide_clf, wide300_reg, wide300_clf, ties_reg, towns_reg, nan_reg, nan_clf
    )
}  # fmt: skip
"""Tables of any number of rows, by name."""

BUNDLED = ("diabetes", "breast_cancer", "digits", "wine")
"""Small real tables that come with scikit-learn."""


def bundled(name: str) -> Table:
    """Read one of `BUNDLED`."""
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    classification = name != "diabetes"
    y = loaded.target.astype(np.int64 if classification else np.float64)
    return Table(loaded.data.astype(np.float32), y, classification)


def halves(rows: int, seed: int) -> tuple[Array, Array]:
    """The rows learnt from (four fifths) and those held out, the same for every peer."""
    order = np.random.default_rng([seed, rows]).permutation(rows)
    cut = round(rows * 0.8)
    return np.sort(order[:cut]), np.sort(order[cut:])


def stored(cache: Path, name: str, rows: int, seed: int) -> Path:
    """Make a table once, as `.npy` for Python and as plain little-endian numbers for other programs."""
    folder = cache / f"{name}-{rows}-{seed}"
    if (folder / "facts.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    table = MADE[name](rows, seed)
    train, held_out = halves(rows, seed)
    fresh = MADE[name](FRESH_ROWS, seed + 1000)
    parts = {
        "X_train": table.X[train], "y_train": table.y[train],
        "X_held_out": table.X[held_out], "y_held_out": table.y[held_out], "X_fresh": fresh.X,
    }  # fmt: skip
    for part, values in parts.items():
        np.save(folder / f"{part}.npy", np.ascontiguousarray(values))
        values.astype("<f4" if part.startswith("X") else "<f8").tofile(folder / f"{part}.raw")
    facts = Facts(
        classification=table.classification,
        categories=table.categories,
        columns=table.X.shape[1],
        train_rows=len(train),
        classes=int(table.y.max()) + 1 if table.classification else 0,
        missing=bool(np.isnan(table.X).any()),
    )
    # Last, so that a table that was interrupted is made again.
    (folder / "facts.json").write_text(json.dumps(asdict(facts)))
    return folder


def facts_of(folder: Path) -> Facts:
    """Read what is known of a stored table."""
    return Facts(**json.loads((folder / "facts.json").read_text()))
