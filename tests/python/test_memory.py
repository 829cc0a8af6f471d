"""Input is held once: what a fit takes beside it, and that its layout and type leave no trace in the forest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import datalake
from datalake import RandomForestRegressor

ROWS, COLUMNS = 200_000, 80

# Prints how many bytes of memory a fit has taken at most beside its input.
FIT = f"""
import numpy as np
import datalake
from datalake import RandomForestRegressor

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

datalake.set_threads(1)
forest = RandomForestRegressor(2, max_depth=3, oob_score=False)
random = np.random.default_rng(0)
X = np.empty(({ROWS}, {COLUMNS}), dtype="KIND", order="ORDER")
for column in range({COLUMNS}):
    X[:, column] = random.integers(0, 1 << 20, {ROWS}) / 64
y = X[:, 0] + X[:, 1]
forest.fit(X[:100], y[:100])
before = status("VmRSS")
forest.fit(X, y)
print(max(status("VmHWM") - before, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory was used")
@pytest.mark.parametrize(
    ("kind", "order", "copied"), [("float32", "F", 0), ("float32", "C", 4), ("float64", "F", 4), ("float64", "C", 4)]
)
def test_a_fit_copies_its_input_at_most_once_and_in_32_bits(kind: str, order: str, copied: int, tmp_path: Path) -> None:
    code = FIT.replace("KIND", kind).replace("ORDER", order)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    # The bins, at most one copy, and some bytes a row; a second copy would be 64 MB.
    allowed = ROWS * COLUMNS * (2 + copied) + ROWS * 100 + (16 << 20)
    assert int(run.stdout) < allowed


def inputs(X: np.ndarray) -> list[Any]:
    """The same rows in every container, laid out by rows, by columns and in pieces."""
    names = [f"x{index}" for index in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    table = pa.Table.from_pandas(frame)
    wide = np.empty((len(X), 2 * X.shape[1]), X.dtype)
    wide[:, ::2] = X
    return [
        X,
        np.asfortranarray(X),
        wide[:, ::2],
        np.asfortranarray(wide)[:, ::2],
        X.astype(X.dtype.newbyteorder()),
        frame,
        pl.from_pandas(frame),
        table,
        pa.concat_tables([table[:100], table[100:101], table[101:]]),
        datalake.Table.from_arrow(table),
    ]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_layout_and_container_leave_no_trace(kind: type) -> None:
    random = np.random.default_rng(1)
    # Values that 32 bits do not hold, missing ones, zeros with a sign, and some beyond the greatest of 32 bits.
    X: np.ndarray = (random.integers(-500, 500, (400, 4)) / 7).astype(kind)
    X[::9, 0] = np.nan
    X[::5, 1] = -0.0
    if kind is np.float64:
        X[::50, 2] = 1e300
    y = np.nan_to_num(X[:, 0]) + X[:, 1] + X[:, 3]
    forests = [RandomForestRegressor(5).fit(rows, y) for rows in inputs(X)]
    assert len({forest.digest_ for forest in forests}) == 1
    first = forests[0]
    drawn = first.draws_of(0, X, y)
    for rows in inputs(X):
        np.testing.assert_array_equal(first.predict(rows), first.predict(X))
        np.testing.assert_array_equal(first.apply(rows), first.apply(X))
        np.testing.assert_array_equal(first.draws_of(0, rows, y), drawn)


def test_an_infinite_number_is_named_by_column_and_row_in_every_piece() -> None:
    X = np.zeros((50, 2))
    X[40, 1] = np.inf
    pieces = pa.table({"x0": X[:, 0], "x1": X[:, 1]})
    pieces = pa.concat_tables([pieces[:30], pieces[30:]])
    forest = RandomForestRegressor(2).fit(np.arange(20.0).reshape(10, 2), np.arange(10.0))
    for rows in [X, np.asfortranarray(X), X.astype(np.float32), pieces]:
        with pytest.raises(datalake.InvalidError, match=r"column `x1` at row 41: .* got `inf`"):
            RandomForestRegressor(2).fit(rows, np.arange(50.0))
        with pytest.raises(datalake.InvalidError, match=r"column `x1` at row 41: .* got `inf`"):
            forest.predict(rows)


def test_large_codes_are_not_rounded() -> None:
    codes = np.array([2**24, 2**24 + 1] * 50, dtype=np.float64)
    X, y = np.column_stack([codes, np.zeros(100)]), np.tile([0.0, 1.0], 50)
    forest = RandomForestRegressor(3, categorical_features=[0], bootstrap=False).fit(X, y)
    np.testing.assert_array_equal(forest.predict(X), y)
