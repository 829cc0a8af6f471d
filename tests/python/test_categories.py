"""Columns of codes: split by sets of categories where that is asked for, from whatever holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import datalake
from datalake import RandomForestClassifier, RandomForestRegressor

CODES = 10_000
"""More categories than any table of bins has."""


def shops(rows: int = 4_000, codes: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A column of codes whose order says nothing, one of numbers, and what both say."""
    random = np.random.default_rng(seed)
    code = random.integers(0, codes, rows)
    worth = np.random.default_rng(99).permutation(codes) * 1.0
    size = random.uniform(0, 1, rows)
    return np.column_stack([size, code]), worth[code] + size


def test_sets_of_codes_are_found_where_their_order_says_nothing() -> None:
    X, y = shops()
    kinds: list[dict[str, Any]] = [{}, {"categorical_features": [1]}]
    # One split says of a set of codes what takes many cuts between neighbours.
    scores = [RandomForestRegressor(20, max_depth=3, **kind).fit(X, y).score(X, y) for kind in kinds]
    assert scores[0] < 0.5
    assert scores[1] > 0.9


def test_they_are_chosen_by_name_place_or_mask_in_any_container() -> None:
    X, y = shops(500)
    frame = pd.DataFrame({"size": X[:, 0], "code": X[:, 1].astype(np.int16)})
    text = frame.assign(code=frame["code"].astype(str))
    coded = pa.table({"size": X[:, 0], "code": pa.array(X[:, 1].astype(np.int8)).dictionary_encode()})
    chosen: list[tuple[Any, Any]] = [
        (frame, ["code"]),
        (frame, [1]),
        (frame, [False, True]),
        (frame, np.array([False, True])),
        (pl.from_pandas(frame), ["code"]),
        (coded, ["code"]),
        (frame.assign(code=X[:, 1]), ["code"]),
        (text, None),
        (text, []),
        (text, ["code"]),
    ]
    forests = [RandomForestRegressor(5, categorical_features=which).fit(rows, y) for rows, which in chosen]
    assert len({forest.digest_ for forest in forests}) == 1
    for forest in forests:
        for rows, _ in chosen:
            np.testing.assert_array_equal(forest.predict(rows), forests[0].predict(frame))


def test_there_may_be_thousands_of_them() -> None:
    X, y = shops(3 * CODES, codes=CODES)
    forest = RandomForestRegressor(1, categorical_features=[1], bootstrap=False, max_depth=10).fit(X, y)
    assert forest.score(X, y) > 0.999
    # One set of codes says it all, but for the few that lie at the border.
    again = RandomForestClassifier(1, categorical_features=[1], bootstrap=False, max_depth=1, max_features=None)
    rich = np.where(X[:, 1] % 3 == 0, y > CODES / 2, y > CODES / 3)
    assert again.fit(X, rich).score(X, rich) > 0.999


def test_booleans_are_two_categories() -> None:
    frame = pd.DataFrame({"fresh": [True, False] * 50, "size": np.arange(100.0)})
    forest = RandomForestRegressor(5, categorical_features=["fresh"]).fit(frame, np.where(frame["fresh"], 1.0, 5.0))
    assert forest.predict(frame.head(2)) == pytest.approx([1, 5], abs=0.5)


def test_a_model_that_was_saved_takes_codes_too(tmp_path: Path) -> None:
    X, y = shops(500)
    forest = RandomForestRegressor(5, categorical_features=[1]).fit(X, y)
    forest.save(tmp_path / "shops.model")
    again = datalake.load_model(tmp_path / "shops.model")
    np.testing.assert_array_equal(again.predict(X), forest.predict(X))
    assert again.fit(X, y).digest_ == forest.digest_
    assert len(forest.leaf_statistics(0, X, y).node) > 1


def test_codes_that_were_not_seen_are_named() -> None:
    X, y = shops(500)
    forest = RandomForestRegressor(5, categorical_features=[1]).fit(X, y)
    with pytest.warns(datalake.InputWarning, match=r"`x1`: 1 of 2 rows .* not seen in training .*`777` \(1\)"):
        forest.predict([[0.5, 777.0], [0.5, np.nan]])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([0], r"column `x0` as categories at row 1: a category must be a whole number, got `0\.\d+`"),
        ([2], "names column 2, but there are 2, counted from 0"),
        ([True], "a mask of 1 columns for 2 features"),
        (["code"], r"column `code`: the table has no such column"),
        (0.5, "must be names, places or a mask"),
    ],
)
def test_what_cannot_be_categories_is_refused(chosen: Any, message: str) -> None:
    X, y = shops(50)
    with pytest.raises(datalake.InvalidError, match=message):
        RandomForestRegressor(5, categorical_features=chosen).fit(X, y)


def test_folds_know_them_too() -> None:
    X, y = shops(1_000)
    found = {
        name: datalake.cross_validate(
            RandomForestRegressor(10, max_depth=3, categorical_features=chosen), X, y, folds=3
        )
        for name, chosen in [("numbers", None), ("codes", [1])]
    }
    assert found["codes"]["forest"].mean["r2"] > found["numbers"]["forest"].mean["r2"] + 0.2
