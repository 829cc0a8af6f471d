"""Tables of any values, as others write and read them: Python's csv and json, pyarrow and DuckDB."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datalake

SEEDS = range(12)
NAMES = ["id", 'a "name"', "wei\u00df, oder", "t\nu", "x;y", "at", "local"]
KINDS = ["int64", "float64", "text", "bool", "date", "timestamp_utc", "timestamp"]
TYPES = [
    pa.int64(),
    pa.float64(),
    pa.string(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("us", tz="UTC"),
    pa.timestamp("us"),
]
SCHEMA: list[dict[str, str]] = [{"name": name, "type": kind} for name, kind in zip(NAMES, KINDS, strict=True)]

INTS = [0, -1, 7, 2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1, 10**18]
FLOATS = [0.0, -0.0, 0.1, 1 / 3, 1e308, -1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 1e22, 1e23, 123456.75]
TEXTS = ["", "a", " a ", ",", '"', '""', "\n", "\r", "\r\n", "a\r\nb", "\t", ";|", "'", "\\", "\\n", "\0", "\ufeff"]
TEXTS += ["NULL", "NA", "nan", "007", "1", "-", "true", "2024-02-29", "\u4e2d\u6587", "\U0001f468\u200d\U0001f469"]
TEXTS += ["\u2028", "x" * 300]
DATES = ["0001-01-01", "9999-12-31", "1970-01-01", "1969-12-31", "2000-02-29", "1900-03-01"]
TIMES = ["0001-01-01", "9999-12-31T23:59:59.999999", "1970-01-01", "1969-12-31T23:59:59.999999", "2024-02-29T23:59:59"]


def draw(seed: int, rows: int = 40) -> pa.Table:
    """A table of extremes and of values drawn, an eighth of them missing."""
    random_ = random.Random(seed)  # noqa: S311

    def some(known: list[Any], other: Any) -> Any:
        if random_.random() < 0.125:
            return None
        return random_.choice(known) if random_.random() < 0.5 else other()

    def text() -> str:
        letters = 'ab,"\n\r;\t\u00e4\u4e2d\U0001f34e '
        return "".join(random_.choice(letters) for _ in range(random_.randrange(9)))

    def number() -> float:
        return random_.choice([random_.gauss(0, 1e3), random_.random() * 10.0 ** random_.randrange(-300, 300)])

    def day() -> dt.date:
        return dt.date.fromordinal(random_.randrange(1, dt.date.max.toordinal()))

    def time() -> dt.datetime:
        clock = dt.time(random_.randrange(24), random_.randrange(60), random_.randrange(60))
        micros = random_.choice([0, 0, 500_000, random_.randrange(10**6)])
        return dt.datetime.combine(day(), clock.replace(microsecond=micros))

    columns: list[list[Any]] = [[] for _ in NAMES]
    for _ in range(rows):
        row = [
            some(INTS, lambda: random_.randrange(-(2**63), 2**63)),
            some(FLOATS, number),
            some(TEXTS, text),
            some([True, False], lambda: random_.random() < 0.5),
            some([dt.date.fromisoformat(text) for text in DATES], day),
            some([dt.datetime.fromisoformat(text) for text in TIMES], time),
            some([dt.datetime.fromisoformat(text) for text in TIMES], time),
        ]
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    columns[5] = [value if value is None else value.replace(tzinfo=dt.UTC) for value in columns[5]]
    arrays = [pa.array(values, kind) for values, kind in zip(columns, TYPES, strict=True)]
    return pa.table(arrays, names=NAMES)


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """Its rows; a float as its bits, so that -0.0 is another than 0.0."""

    def plain(value: Any) -> Any:
        return value.hex() if isinstance(value, float) else value

    lists = [column.to_pylist() for column in table.columns]
    return [tuple(plain(value) for value in row) for row in zip(*lists, strict=True)]


def without_empty_texts(table: pa.Table) -> pa.Table:
    """As CSV has it: an empty text is a missing one."""
    texts = [None if text == "" else text for text in table.column(2).to_pylist()]
    return table.set_column(2, table.field(2), pa.array(texts, pa.string()))


def cell(value: Any) -> str | None:
    """A value in the words of our writers."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dt.datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
        text = text.removesuffix(".000000")
        text = text[:-3] if "." in text and text.endswith("000") else text
        return text + ("Z" if value.tzinfo else "")
    return str(value)


def read(path: Path, **options: Any) -> pa.Table:
    return datalake.read(path, **options).to_pyarrow()


def write(path: Path, table: pa.Table) -> None:
    lake = datalake.Lake("memory:")
    lake.create_bucket("raw-data")
    lake.write(f"raw-data/{path.name}", table)
    path.write_bytes(lake.get(f"raw-data/{path.name}"))


@pytest.mark.parametrize("seed", SEEDS)
# Of line ends, a writer that quotes little quotes only its own.
@pytest.mark.parametrize(
    ("line_end", "quoting"),
    [("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)],
)
def test_csv_of_python_is_read(seed: int, line_end: str, quoting: int, tmp_path: Path) -> None:
    table = draw(seed)
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator=line_end, quoting=quoting)
        writer.writerow(NAMES)
        writer.writerows([cell(value) for value in row] for row in zip(*table.to_pydict().values(), strict=True))
    back = read(path, schema=SCHEMA)
    assert back.column_names == NAMES
    assert rows_of(back) == rows_of(without_empty_texts(table))


@pytest.mark.parametrize("seed", SEEDS)
def test_csv_is_read_by_python_and_duckdb(seed: int, tmp_path: Path) -> None:
    table = draw(seed)
    path = tmp_path / "a.csv"
    write(path, table)
    expected = [[cell(value) for value in row] for row in zip(*table.to_pydict().values(), strict=True)]
    text = path.read_bytes().decode()
    first, *rows = csv.reader(io.StringIO(text, newline=""))
    assert first == NAMES
    found = [[as_is(value) for value in row] for row in rows]
    assert found == [[as_is(value or "") for value in row] for row in expected]
    if "\0" in text:
        return
    duck = duckdb.read_csv(
        path, header=True, all_varchar=True, quotechar='"', escapechar='"', sep=",", allow_quoted_nulls=False
    )
    found = [[as_is(value) for value in row] for row in duck.fetchall()]
    assert found == [[as_is(value) for value in row] for row in expected]


def as_is(text: str | None) -> str | None:
    """Floats with an exponent are written in more than one way."""
    if text is not None and "e" in text:
        try:
            return float(text).hex()
        except ValueError:
            return text
    return text


def record(table: pa.Table, row: int) -> dict[str, Any]:
    """A row as JSON has it."""

    def plain(value: Any) -> Any:
        return cell(value) if isinstance(value, dt.date) else value

    return {name: plain(table.column(name)[row].as_py()) for name in NAMES}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_json_of_python_is_read(seed: int, *, ensure_ascii: bool, tmp_path: Path) -> None:
    table = draw(seed)
    records = [record(table, row) for row in range(table.num_rows)]
    lines = "".join(json.dumps(one, ensure_ascii=ensure_ascii) + "\n" for one in records)
    texts = {
        "a.ndjson": lines,
        "b.ndjson": lines.replace("\n", "\r\n"),
        "a.json": json.dumps(records, ensure_ascii=ensure_ascii, indent=2),
        "b.json": json.dumps({"version": 1, "rows": records}, ensure_ascii=ensure_ascii),
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        for options in [{}, {"schema": SCHEMA}]:
            back = read(path, **options)
            assert back.schema.names == NAMES
            assert rows_of(back) == rows_of(table), (name, options)


@pytest.mark.parametrize("seed", SEEDS)
def test_json_is_read_by_python(seed: int, tmp_path: Path) -> None:
    table = draw(seed)
    expected = [record(table, row) for row in range(table.num_rows)]
    write(tmp_path / "a.ndjson", table)
    lines = (tmp_path / "a.ndjson").read_bytes().decode().split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert json.dumps(found) == json.dumps(expected)
    write(tmp_path / "a.json", table)
    assert json.dumps(json.loads((tmp_path / "a.json").read_bytes())) == json.dumps(expected)


PARQUET: list[dict[str, Any]] = [
    {},
    {"compression": "none", "use_dictionary": False, "version": "1.0", "coerce_timestamps": "us"},
    {"compression": "zstd", "data_page_version": "2.0", "row_group_size": 7},
    {"compression": "gzip", "use_dictionary": ["x;y"], "write_statistics": False, "data_page_size": 64},
    {"compression": "lz4", "write_page_index": True, "store_schema": False},
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("options", PARQUET)
def test_parquet_of_pyarrow_is_read(seed: int, options: dict[str, Any], tmp_path: Path) -> None:
    table = draw(seed)
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, **options)
    assert rows_of(read(path)) == rows_of(table)


def test_a_codec_that_is_not_read_is_named(tmp_path: Path) -> None:
    pq.write_table(draw(0), tmp_path / "a.parquet", compression="brotli")
    with pytest.raises(datalake.UnsupportedError, match="compressed with brotli"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("seed", SEEDS)
def test_parquet_is_read_by_pyarrow_and_duckdb(seed: int, tmp_path: Path) -> None:
    table = draw(seed)
    path = tmp_path / "a.parquet"
    write(path, table)
    back = pq.read_table(path)
    assert back.schema.equals(table.schema)
    assert rows_of(back) == rows_of(table)
    duck = duckdb.read_parquet(str(path)).to_arrow_table()
    assert duck.column_names == NAMES
    for name in NAMES:
        kind = table.schema.field(name).type
        assert rows_of(duck.select([name]).cast(pa.schema([(name, kind)]))) == rows_of(table.select([name])), name


@pytest.mark.parametrize("seed", SEEDS)
def test_every_pair_of_formats_gives_what_others_read(seed: int, tmp_path: Path) -> None:
    table = draw(seed)
    names = ["csv", "ndjson", "json", "parquet"]
    for first in names:
        source = tmp_path / f"{first}.{first}"
        write(source, table)
        for second in names:
            target = tmp_path / f"{first}.to.{second}"
            datalake.convert(source, target, schema=SCHEMA)
            expected = without_empty_texts(table) if first == "csv" else table
            if second == "parquet":
                assert rows_of(pq.read_table(target)) == rows_of(expected), (first, second)
            elif second == "csv":
                rows = list(csv.reader(io.StringIO(target.read_bytes().decode(), newline="")))[1:]
                values = zip(*expected.to_pydict().values(), strict=True)
                cells = [[as_is(cell(value) or "") for value in row] for row in values]
                assert [[as_is(value) for value in row] for row in rows] == cells, (first, second)
            else:
                text = target.read_bytes().decode()
                found = json.loads(text) if second == "json" else [json.loads(line) for line in text.split("\n")[:-1]]
                assert json.dumps(found) == json.dumps([record(expected, row) for row in range(expected.num_rows)])


def test_floats_that_are_no_numbers(tmp_path: Path) -> None:
    """CSV and Parquet keep them; JSON has nothing for them, which is `null`."""
    table = pa.table({"x": pa.array([math.nan, math.inf, -math.inf, 1.5, None]), "y": pa.array(range(5))})
    for name in ["a.csv", "a.parquet"]:
        write(tmp_path / name, table)
        values = read(tmp_path / name)["x"].to_pylist()
        assert [repr(value) for value in values] == ["nan", "inf", "-inf", "1.5", "None"]
    write(tmp_path / "a.ndjson", table)
    found = [json.loads(line)["x"] for line in (tmp_path / "a.ndjson").read_text().splitlines()]
    assert found == [None, None, None, 1.5, None]


# Converts with so many threads, and prints what came of it.
CONVERT = """
import json, pathlib, sys
import datalake
threads, source, target = sys.argv[1:]
datalake.set_threads(int(threads))
done = datalake.convert(source, target, on_row_error="quarantine")
kept = pathlib.Path(done["quarantine"]).read_text().replace(source, "")
print(json.dumps([done["sha256"], done["digest"], done["balance"], done["notes"], kept]))
"""


@pytest.mark.parametrize("first", ["csv", "ndjson"])
@pytest.mark.parametrize("second", ["csv", "json", "parquet"])
def test_threads_leave_no_trace(first: str, second: str, tmp_path: Path) -> None:
    source = tmp_path / f"a.{first}"
    with source.open("w", newline="") as file:
        if first == "csv":
            file.write("id,name,x\n")
        for row in range(150_000):
            is_dirt = row % 20_011 == 7
            if first == "csv":
                file.write(f'{row},"dirt\n' if is_dirt else f'{row},"name\r\n{row % 101}",{row * 0.5}\n')
            else:
                name = json.dumps(f"name\n{row % 101}")
                file.write(f'{{"id":{row},"na\n' if is_dirt else f'{{"id":{row},"name":{name},"x":{row * 0.5}}}\n')
    found = set()
    for threads in ["1", "2", "5"]:
        # The name of the target is that of the quarantine, too.
        target = tmp_path / threads / f"b.{second}"
        target.parent.mkdir()
        run = [sys.executable, "-c", CONVERT, threads, str(source), str(target)]
        found.add(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1
    balance = json.loads(found.pop())[2]
    assert balance["quarantined"] == 8
    assert balance["seen"] == balance["written"] + balance["quarantined"]
