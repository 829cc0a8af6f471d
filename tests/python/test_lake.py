"""Buckets, objects, and copies to and from this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import datalake


def test_buckets_are_made_listed_and_removed(tmp_path: Path) -> None:
    lake = datalake.Lake(tmp_path / "lake")
    assert lake.buckets() == []
    for name in ["raw-data", "models"]:
        lake.create_bucket(name)
    assert lake.buckets() == ["models", "raw-data"]
    lake.delete_bucket("models")
    assert lake.buckets() == ["raw-data"]


def test_an_object_is_put_listed_read_and_removed(lake: datalake.Lake) -> None:
    lake.put("raw-data/foods/a.csv", b"x\n1\n")
    lake.put("raw-data/other.bin", b"\x00\xff")
    assert [(found.path, found.size) for found in lake.ls("raw-data/foods/")] == [("raw-data/foods/a.csv", 4)]
    assert len(lake.ls("raw-data")) == 2
    assert datetime.now(UTC) - lake.ls("raw-data")[0].modified < timedelta(minutes=5)
    assert lake.get("raw-data/other.bin") == b"\x00\xff"
    assert lake.exists("raw-data/other.bin")
    assert lake.delete("raw-data/foods/*.csv") == 1
    assert not lake.exists("raw-data/foods/a.csv")


def test_files_go_up_and_come_down(lake: datalake.Lake, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x\n1\n")
    assert lake.upload(tmp_path / "a.csv", "raw-data/up/") == 1
    assert lake.download("raw-data/up/a.csv", tmp_path / "b.csv") == 1
    assert (tmp_path / "b.csv").read_bytes() == b"x\n1\n"


def test_a_prefix_maps_logical_names_to_real_ones(tmp_path: Path) -> None:
    lake = datalake.Lake(tmp_path, bucket_prefix="mine-")
    lake.create_bucket("raw-data")
    assert lake.buckets() == ["raw-data"]
    assert datalake.Lake(tmp_path, bucket_prefix="").buckets() == ["mine-raw-data"]


def test_the_environment_names_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAKE_URL", str(tmp_path))
    assert datalake.Lake().url == str(tmp_path)
    monkeypatch.delenv("DATALAKE_URL")
    assert datalake.Lake().url == "./lake"


def test_the_sample_says_what_is_broken(lake: datalake.Lake) -> None:
    landed = lake.land_sample(500, 3)
    assert sum(found["rows"] for found in landed["objects"]) >= 500
    clean = lake.land_sample(500, 3, clean=True)
    assert all(not found["broken"] for found in clean["objects"])
    assert len(lake.read("raw-data/foods/*.parquet")) > 0


def test_how_a_lake_shows_itself(lake: datalake.Lake) -> None:
    assert repr(lake) == 'datalake.Lake("memory:")'
