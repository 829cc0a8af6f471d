"""Tables go to pyarrow, pandas and Polars and come back; conversion and SQL."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datalake

ROWS = b"name,kcal,fresh\napple,52,true\nbread,265.5,false\nwater,,true\n"


@pytest.fixture
def rows(lake: datalake.Lake) -> datalake.Table:
    lake.put("raw-data/foods.csv", ROWS)
    return lake.read("raw-data/foods.csv")


def test_a_table_says_what_it_is(rows: datalake.Table) -> None:
    assert (len(rows), rows.num_rows, rows.num_columns) == (3, 3, 3)
    assert rows.column_names == ["name", "kcal", "fresh"]
    assert rows.schema == [("name", "Utf8"), ("kcal", "Float64"), ("fresh", "Boolean")]
    assert repr(rows) == "datalake.Table(3 rows; name: Utf8, kcal: Float64, fresh: Boolean)"


def test_everybody_reads_the_same_rows(rows: datalake.Table) -> None:
    expected = {"name": ["apple", "bread", "water"], "kcal": [52.0, 265.5, None], "fresh": [True, False, True]}
    assert rows.to_pyarrow().to_pydict() == expected
    assert pa.table(rows).to_pydict() == expected
    assert rows.to_polars().to_dict(as_series=False) == expected
    assert pl.DataFrame(rows).to_dict(as_series=False) == expected
    frame = rows.to_pandas()
    assert frame["name"].tolist() == expected["name"]
    assert np.isnan(frame["kcal"][2])
    assert pa.schema(rows).names == rows.column_names


@pytest.mark.parametrize("name", ["foods.csv", "foods.ndjson", "foods.json", "foods.parquet", "foods.csv.gz"])
def test_what_is_written_is_what_is_read(lake: datalake.Lake, rows: datalake.Table, name: str) -> None:
    for frame in [rows, rows.to_pyarrow(), rows.to_pandas(), rows.to_polars()]:
        written = lake.write(f"raw-data/out/{name}", frame)
        again = lake.read(f"raw-data/out/{name}")
        assert again.to_pyarrow().to_pydict() == rows.to_pyarrow().to_pydict()
        assert written["rows"] == 3


def test_one_digest_in_every_format(lake: datalake.Lake, rows: datalake.Table) -> None:
    digests = {lake.write(f"raw-data/out/a.{name}", rows)["digest"] for name in ["csv", "ndjson", "json", "parquet"]}
    assert len(digests) == 1


def test_a_pandas_index_and_categories_do_not_matter(lake: datalake.Lake) -> None:
    frame = pd.DataFrame({"a": [1, 2], "group": pd.Categorical(["x", "y"])}, index=[7, 3])
    lake.write("raw-data/a.parquet", frame)
    assert lake.read("raw-data/a.parquet").to_pyarrow().to_pydict() == {"a": [1, 2], "group": ["x", "y"]}


def test_categories_of_several_tables_are_joined(lake: datalake.Lake, tmp_path: Path) -> None:
    tables = []
    for part in range(2):
        kinds = pd.Categorical([f"{part}-{number}" for number in range(100)])
        frame = pd.DataFrame({"kind": kinds, "kcal": np.arange(100.0) + 500 * part})
        frame.to_parquet(tmp_path / "part.parquet")
        lake.upload(tmp_path / "part.parquet", f"raw-data/parts/{part}.parquet")
        tables.append(pa.Table.from_pandas(frame))
    # Codes of 8 bits cannot count the categories of both.
    assert tables[0].schema.field("kind").type.index_type == pa.int8()
    both = pa.concat_tables(tables)
    found = lake.read("raw-data/parts/*.parquet").to_pyarrow()
    assert found["kind"].to_pylist() == both["kind"].to_pylist()
    assert lake.write("raw-data/both.parquet", both)["rows"] == 200

    forests = [datalake.RandomForestRegressor(5).fit(rows.select(["kind"]), both["kcal"]) for rows in [both, found]]
    assert forests[0].digest_ == forests[1].digest_
    predicted = forests[0].predict(pl.DataFrame({"kind": both["kind"].to_pylist()}))
    for rows in [both, found]:
        np.testing.assert_array_equal(forests[0].predict(rows.select(["kind"])), predicted)


def test_a_table_without_rows(lake: datalake.Lake, rows: datalake.Table) -> None:
    lake.write("raw-data/none.parquet", rows.to_polars().head(0))
    again = lake.read("raw-data/none.parquet")
    assert (len(again), again.column_names) == (0, rows.column_names)


def test_bad_rows_are_put_aside_and_counted(lake: datalake.Lake) -> None:
    lake.put("raw-data/bad.csv", b"name,kcal\napple,52\nbread\npear,57\n")
    rows = lake.read("raw-data/bad.csv", on_row_error="quarantine")
    assert (len(rows), rows.quarantined) == (2, {"ragged": 1})
    with pytest.raises(datalake.InvalidError):
        lake.read("raw-data/bad.csv", on_row_error="quarantine", max_bad_rows=0)


def test_options_reach_the_reader(lake: datalake.Lake) -> None:
    lake.put("raw-data/eu.csv", b"name;kcal\napfel;52,5\nbrot;n/a\n")
    rows = lake.read("raw-data/eu.csv", decimal=",", nulls=["n/a"], columns=["kcal"], row_number="row")
    assert rows.to_pyarrow().to_pydict() == {"kcal": [52.5, None], "row": [1, 2]}


def test_a_declared_schema_converts_units(lake: datalake.Lake) -> None:
    lake.put("raw-data/units.csv", b"salt\n1500 mg\n2\n")
    rows = lake.read(
        "raw-data/units.csv", schema=[{"name": "salt_g", "type": "float64", "unit": "g", "from": ["salt"]}]
    )
    assert rows.to_pyarrow().to_pydict() == {"salt_g": [1.5, 2.0]}


def test_local_files_are_read_and_converted(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "a.parquet"
    source.write_bytes(ROWS)
    assert len(datalake.read(source)) == 3
    done = datalake.convert(source, target)
    assert done["balance"] == {"seen": 3, "written": 3, "quarantined": 0, "nulled": 0}
    assert done["quarantine"] is None
    assert pq.read_table(target).to_pydict() == datalake.read(source).to_pyarrow().to_pydict()


def test_a_conversion_keeps_what_it_puts_aside(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "a.ndjson"
    source.write_bytes(b"a,b\n1,2\n3\n")
    done = datalake.convert(source, target, on_row_error="quarantine")
    assert done["quarantine"] == f"{target}.run/quarantine.ndjson"
    kept = [json.loads(line) for line in Path(done["quarantine"]).read_text().splitlines()]
    assert [(record["row"], record["code"], record["raw"]) for record in kept] == [(2, "ragged", "3")]


def test_a_conversion_into_the_lake(lake: datalake.Lake, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(ROWS)
    datalake.convert(tmp_path / "a.csv", "lake://raw-data/a.parquet", lake=lake)
    assert len(datalake.read("lake://raw-data/a.parquet", lake=lake)) == 3


def test_sql_joins_objects_and_tables_of_python(lake: datalake.Lake) -> None:
    lake.put("raw-data/foods.csv", ROWS)
    query = """SELECT name, kcal * portion AS total FROM 'raw-data/foods.csv' JOIN mine USING (name) ORDER BY name"""
    mine = pl.DataFrame({"name": ["apple", "bread"], "portion": [2.0, 1.0]})
    assert lake.sql(query, tables={"mine": mine}).to_pyarrow().to_pydict() == {
        "name": ["apple", "bread"],
        "total": [104.0, 265.5],
    }
    assert len(datalake.sql("SELECT 1 AS one", lake)) == 1


def test_sql_changes_nothing(lake: datalake.Lake) -> None:
    with pytest.raises(datalake.InvalidError):
        lake.sql("CREATE TABLE a AS SELECT 1")


def test_sql_and_read_agree(lake: datalake.Lake) -> None:
    lake.put("raw-data/foods.csv", ROWS)
    assert lake.sql("SELECT * FROM 'raw-data/foods.csv'").schema == lake.read("raw-data/foods.csv").schema


def test_conversions_are_proven_verified_and_replayed(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", str(tmp_path / "a.parquet")
    source.write_text("a,b\n1,x\n2\n3,z\n")
    done = datalake.convert(source, target, on_row_error="quarantine", exact=True, bloom_filters=["a"])
    assert done["rows_digest"] is not None
    assert done["run"] == target + ".run"
    checks = datalake.verify(target)
    assert all(check["holds"] for check in checks)
    assert {"bytes", "table", "rows", "quarantine", "balance"} <= {check["what"] for check in checks}
    kept = tmp_path / "a.parquet.run" / "quarantine.ndjson"
    kept.write_text(kept.read_text().replace('"raw":"2"', '"raw":"2,y"'))
    replayed = datalake.replay(target)
    assert (replayed["brought_back"], replayed["quarantined"], replayed["rows"]) == (1, 0, 3)
    assert datalake.read(target).to_pyarrow().column("b").to_pylist() == ["x", "z", "y"]
    assert all(check["holds"] for check in datalake.verify(target))


def test_many_files_are_one_table_and_one_table_is_many_files(lake: datalake.Lake, tmp_path: Path) -> None:
    for year, kcal in [(2024, b"52"), (2025, b"265.5")]:
        folder = tmp_path / "in" / f"year={year}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_bytes(b"name,kcal\nx," + kcal + b"\n")
    done = datalake.convert(tmp_path / "in", tmp_path / "all.parquet", source_column="file")
    assert pq.read_table(tmp_path / "all.parquet").to_pydict() == {
        "name": ["x", "x"],
        "kcal": [52.0, 265.5],
        "year": [2024, 2025],
        "file": [f"{tmp_path}/in/year={year}/a.csv" for year in (2024, 2025)],
    }
    assert (done["files"], done["notes"]) == ([], [])
    parts = datalake.convert(tmp_path / "in" / "**" / "*.csv", tmp_path / "out", partition_by=["year"])
    assert [part["path"] for part in parts["files"]] == [f"year={year}/part-00000.parquet" for year in (2024, 2025)]
    with pytest.raises(datalake.AlreadyExistsError):
        datalake.convert(tmp_path / "in", tmp_path / "out", partition_by=["year"])
    again = datalake.convert(tmp_path / "out", f"{tmp_path}/cut/", max_rows_per_file=1, to="csv")
    assert again["digest"] == parts["digest"]
    datalake.convert(tmp_path / "in", "lake://raw-data/parts/", lake=lake, partition_by=["year"], overwrite=True)
    assert len(lake.read("raw-data/parts/")) == 2
    assert len(datalake.read(tmp_path / "in")) == 2
