"""The Food Calorie Analysis from Python: the same digests as everywhere, resumed, reported."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

import datalake


def test_the_analysis_leaves_tables_models_and_a_report(analyzed: datalake.Run) -> None:
    assert analyzed.status == "done"
    assert {step["status"] for step in analyzed.steps} == {"done"}
    wanted = {"processed-data/foods.parquet", "processed-data/foods.csv", "models/calories.model"}
    assert wanted <= analyzed.digests.keys()
    assert analyzed.digests["processed-data/foods.parquet"] == analyzed.digests["processed-data/foods.csv"]
    assert "<html" in analyzed.report_html()[:200].lower()
    assert analyzed.lake.exists(analyzed.report)
    assert analyzed.id in repr(analyzed)


def test_every_record_is_accounted_for(analyzed: datalake.Run) -> None:
    landed = json.loads(analyzed.lake.get("raw-data/foods/_sample.json"))
    sources = analyzed.steps[0]["report"]["balance"]["sources"]
    broken = sum(sum(found["broken"].values()) for found in landed["objects"])
    assert sum(source["seen"] for source in sources) == sum(found["rows"] for found in landed["objects"])
    assert sum(sum(source["quarantined"].values()) for source in sources) == broken


def test_a_second_run_skips_what_is_done(analyzed: datalake.Run) -> None:
    again = datalake.run("food-calories", analyzed.lake)
    assert {step["status"] for step in again.steps} == {"skipped"}
    assert again.digests == analyzed.digests
    assert datalake.runs(analyzed.lake)[-1] == again.id
    assert datalake.load_run(analyzed.lake).id == again.id
    assert datalake.load_run(analyzed.lake, analyzed.id).digests == analyzed.digests


def test_a_lake_in_memory_gives_the_same_digests(analyzed: datalake.Run) -> None:
    assert datalake.run("food-calories", "memory:").digests == analyzed.digests


def test_the_command_line_gives_the_same_digests(analyzed: datalake.Run, tmp_path: Path) -> None:
    tool = os.environ.get("DATALAKE_CLI", "")
    if not Path(tool).is_file():
        warnings.warn(f"the command line tool is not built ({tool!r}): its digests are NOT compared", stacklevel=1)
        pytest.skip("the command line tool is not built")
    call = [tool, "--lake", str(tmp_path / "lake"), "--output", "json", "ml-pipeline"]
    manifest = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    assert datalake.Run(analyzed.lake, manifest).digests == analyzed.digests


def test_a_model_of_the_pipeline_is_an_estimator(analyzed: datalake.Run) -> None:
    forest = datalake.load_model("lake://models/calories.model", analyzed.lake)
    rows = analyzed.lake.read("processed-data/foods.parquet")
    predicted = analyzed.lake.sql("SELECT * FROM 'processed-data/predictions/calories.parquet'").to_pandas()
    np.testing.assert_array_equal(forest.predict(rows), predicted["predicted_energy_kcal"])
    assert forest.digest_ == analyzed.digests["models/calories.model"]
    groups = datalake.load_model("lake://models/food-group.model", analyzed.lake)
    assert set(groups.classes_) == set(rows.to_polars()["food_group"])


PIPELINE = """
name = "tiny"
[variables]
source = "raw-data/none.csv"
[prepare]
name = "tiny"
sources = "${source}"
destination = "processed-data/tiny.parquet"
"""


def test_a_file_with_settings(lake: datalake.Lake, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(PIPELINE)
    lake.put("raw-data/a.csv", b"x\n1\n2\n")
    done = datalake.run(file, lake, settings={"source": "raw-data/a.csv"})
    assert done.steps[0]["report"]["outputs"][0]["rows"] == 2
    with pytest.raises(datalake.NotFoundError, match=r"none\.csv"):
        datalake.run(file, lake)
    assert datalake.load_run(lake).status == "failed"


def test_the_built_in_takes_no_settings(lake: datalake.Lake) -> None:
    with pytest.raises(datalake.InvalidError, match="takes none"):
        datalake.run("food-calories", lake, settings={"source": "x"})


def test_the_shipped_examples_are_read(root: Path, lake: datalake.Lake) -> None:
    for file in (root / "examples").glob("*.toml"):
        with pytest.raises(datalake.NotFoundError):
            datalake.run(file, lake)
