"""The tables that are converted, from seeds: `python tables.py FOLDER NAME` writes one in all of its formats."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

WORDS = np.array(
    "Apfel Käse Müsli Brötchen Vollkornbrot Öl Süßkartoffel Hähnchen Lachs Reis Nudeln Tomate Gurke Joghurt Milch "
    "Schokolade Erdbeere Kürbis Spinat Linsen Bohnen Haferflocken Mandel Walnuss Quark Zucchini Rübe".split(),
    dtype=object,
)
GROUPS = np.array(
    "fruit,vegetable,dairy,meat,grain,sweets,drink,ready meal,Gewürz,Öle & Fette,fish,nuts".split(","), dtype=object
)
DISTINCT_NAMES = 200_000


def _names(draw: np.random.Generator, rows: int) -> np.ndarray:
    """Names, of which one in twenty each has quotes, a comma, or a line end."""
    first, second, third = (WORDS[draw.integers(0, len(WORDS), rows)] for _ in range(3))
    plain = [f"{a} {b} {row % 9973}" for row, (a, b) in enumerate(zip(first, second, strict=True))]
    for row, kind in enumerate(draw.integers(0, 20, rows)):
        if kind == 0:
            plain[row] = f'{first[row]} "{third[row]}", {second[row]} {row % 9973}'
        elif kind == 1:
            plain[row] = f"{first[row]}, {second[row]} {row % 9973}"
        elif kind == 2:
            plain[row] = f"{first[row]}\n{second[row]} {row % 9973}"
    return np.array(plain, dtype=object)


def foods(rows: int, seed: int = 7) -> pl.DataFrame:
    """Fourteen columns of all kinds: repeated and distinct, with and without missing values."""
    draw = np.random.default_rng(seed)
    names = _names(draw, min(rows, DISTINCT_NAMES))

    def named() -> pl.Series:
        return pl.Series(names[draw.integers(0, len(names), rows)], dtype=pl.String)

    def amounts(shape: float, scale: float, digits: int) -> np.ndarray:
        return np.round(draw.gamma(shape, scale, rows), digits)

    def missing(share: float, column: str) -> pl.Expr:
        return pl.when(pl.Series(draw.random(rows) < share)).then(None).otherwise(pl.col(column)).alias(column)

    group = np.minimum(draw.geometric(0.25, rows) - 1, len(GROUPS) - 1)
    days = np.datetime64("2015-01-01") + draw.integers(0, 4000, rows).astype("timedelta64[D]")
    times = np.datetime64("2020-01-01T00:00:00") + draw.integers(0, 150_000_000, rows).astype("timedelta64[s]")
    table = pl.DataFrame(
        {
            "id": np.arange(rows, dtype=np.int64) + 10_000_000,
            "name": named(),
            "category": pl.Series(GROUPS[group], dtype=pl.String),
            "serving": draw.integers(1, 500, rows),
            "kcal": amounts(2.0, 120.0, 1),
            "fat": amounts(1.2, 9.0, 2),
            "protein": amounts(1.5, 7.0, 2),
            "carbs": amounts(1.4, 20.0, 2),
            "sodium": draw.normal(300.0, 90.0, rows),
            "barcode": draw.integers(4 * 10**12, 5 * 10**12, rows),
            "vegan": draw.random(rows) < 0.3,
            "first_seen": pl.Series(days.astype("datetime64[ms]")).cast(pl.Date),
            "updated": pl.Series(times.astype("datetime64[us]")),
            "note": named(),
        }
    )
    return table.with_columns(
        missing(0.05, "fat"), missing(0.10, "serving"), missing(0.70, "note"), missing(0.02, "category")
    )


def floats(rows: int) -> pl.DataFrame:
    """Ten columns of floats with all their digits."""
    draw = np.random.default_rng(11)
    return pl.DataFrame({f"x{place}": draw.normal(0, 10.0 ** (place - 4), rows) for place in range(10)})


def wide(rows: int) -> pl.DataFrame:
    """300 columns of five kinds."""
    draw = np.random.default_rng(13)
    kinds: list[Callable[[], object]] = [
        lambda: draw.integers(0, 100, rows),
        lambda: draw.integers(0, 10**9, rows),
        lambda: np.round(draw.normal(50, 20, rows), 3),
        lambda: np.round(draw.normal(50, 20, rows), 3),
        lambda: pl.Series(GROUPS[draw.integers(0, len(GROUPS), rows)], dtype=pl.String),
        lambda: draw.random(rows) < 0.5,
    ]
    return pl.DataFrame({f"c{place}": kinds[place % len(kinds)]() for place in range(300)})


def nested(rows: int) -> pl.DataFrame:
    """Structs, lists, and lists of structs."""
    draw = np.random.default_rng(17)
    table = foods(rows, 17)
    lengths = draw.integers(0, 6, rows)
    ends = np.cumsum(lengths)
    tags = GROUPS[draw.integers(0, len(GROUPS), int(ends[-1]))]
    grams = np.round(draw.gamma(2, 30, int(ends[-1])), 1)
    spans = list(zip(ends - lengths, ends, strict=True))
    ingredient = pl.Struct({"name": pl.String, "grams": pl.Float64})
    ingredients = [[{"name": tags[at], "grams": float(grams[at])} for at in range(*span)] for span in spans]
    return table.select(
        "id",
        "name",
        pl.struct("kcal", "fat", "protein", "carbs").alias("nutrition"),
        pl.Series("tags", [list(tags[first:end]) for first, end in spans], dtype=pl.List(pl.String)),
        pl.Series("ingredients", ingredients, dtype=pl.List(ingredient)),
        pl.struct("first_seen", "updated").alias("meta"),
    )


TABLES: dict[str, tuple[Callable[[int], pl.DataFrame], int]] = {
    "foods-2k": (foods, 2_000),
    "foods-1m": (foods, 1_000_000),
    "foods-5m": (foods, 5_000_000),
    "floats-1m": (floats, 1_000_000),
    "wide-100k": (wide, 100_000),
    "nested-500k": (nested, 500_000),
    "files-50": (foods, 50_000),
    "files-500": (foods, 500_000),
    "files-2000": (foods, 2_000_000),
}
# A table in many files: a folder of CSV, so many rows in each.
ROWS_PER_FILE = {"files-50": 1_000, "files-500": 1_000, "files-2000": 1_000}


def path(folder: Path, name: str, suffix: str) -> Path:
    return folder / f"{name}.{suffix}"


def make(folder: Path, name: str) -> None:
    """Write a table as Parquet, NDJSON, an array in JSON and, if flat, CSV; or as Parquet and many files of CSV."""
    truth = path(folder, name, "parquet")
    if truth.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    new, rows = TABLES[name]
    table = new(rows)
    if name in ROWS_PER_FILE:
        parts = path(folder, name, "csv")
        parts.mkdir(exist_ok=True)
        for part, first in enumerate(range(0, rows, ROWS_PER_FILE[name])):
            table.slice(first, ROWS_PER_FILE[name]).write_csv(parts / f"part-{part:05}.csv")
    elif not any(kind.is_nested() for kind in table.dtypes):
        table.write_csv(path(folder, name, "csv"))
    if name not in ROWS_PER_FILE:
        _write_json(table, folder, name)
    # Last, since it says that all is there.
    half = truth.with_suffix(".part")
    table.write_parquet(half, compression="zstd", compression_level=1, row_group_size=122_880)
    half.rename(truth)


def _write_json(table: pl.DataFrame, folder: Path, name: str) -> None:
    lines = path(folder, name, "ndjson")
    table.write_ndjson(lines)
    with lines.open("rb") as source, path(folder, name, "json").open("wb") as array:
        for row, line in enumerate(source):
            array.write((b",\n" if row else b"[\n") + line.rstrip(b"\n"))
        array.write(b"\n]\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2])
