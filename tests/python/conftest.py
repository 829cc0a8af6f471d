"""Fixtures: a lake in memory, a lake in a folder, and a table that a forest can learn from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import datalake


@pytest.fixture(scope="session", autouse=True)
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the profile is looked for; the one of whoever runs the tests has no say in them."""
    folder = tmp_path_factory.mktemp("configuration")
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    return folder / "datalake/config.toml"


@pytest.fixture
def lake() -> datalake.Lake:
    lake = datalake.Lake("memory:")
    lake.create_bucket("raw-data")
    return lake


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone, for what is not part of the package."""
    return Path(os.environ.get("DATALAKE_ROOT", Path(__file__).resolve().parents[2]))


@pytest.fixture(scope="session")
def foods() -> tuple[np.ndarray, np.ndarray]:
    """Protein, fat and carbohydrate in grams, and the energy that follows, with some noise and some gaps."""
    draw = np.random.default_rng(7)
    grams = draw.uniform(0, 30, size=(400, 3))
    energy = grams @ np.array([4.0, 9.0, 4.0]) + draw.normal(0, 4, size=400)
    grams[draw.random(grams.shape) < 0.03] = np.nan
    return grams, energy


@pytest.fixture(scope="session")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> datalake.Run:
    """The Food Calorie Analysis in a folder, run once for all tests."""
    return datalake.run("food-calories", tmp_path_factory.mktemp("analysis") / "lake")
