"""Uses of the package as a type checker must see them; checked, not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import datalake

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def tables(lake: datalake.Lake) -> int:
    rows = lake.read("raw-data/foods/*.csv", nulls=["n/a"], on_row_error="quarantine", max_bad_rows="5%")
    more = datalake.sql("SELECT * FROM mine", lake, tables={"mine": rows})
    return rows.num_rows + len(more)


def converts() -> str:
    return datalake.convert("a.csv", "a.parquet", delimiter=";")["digest"]


def looks(rows: datalake.Table, forest: datalake.RandomForestClassifier) -> int:
    return int(forest.apply(rows)[0, 0]) + forest.tree(0).node_count


def learns(rows: datalake.Table) -> npt.NDArray[np.float64]:
    forest = datalake.RandomForestRegressor(n_estimators=10, max_features="third", random_state=1)
    return forest.fit(rows, [1.0, 2.0]).predict(rows)


def fails() -> str | None:
    try:
        datalake.run("food-calories", "memory:", settings={"source": "raw-data/x"})
    except datalake.NotFoundError as error:
        return error.hint
    return None


def on_a_cluster() -> str:
    cluster = datalake.Cluster(namespace="mine")
    cluster.setup(image="localhost/minio:1", node_ports=None)
    run = cluster.run("food-calories", workers=3, memory="2Gi", tolerations=["dedicated=batch:NoSchedule"])
    cluster.submit("mine", image="python:3.13", script="train.py", follow=True)
    return run.wait(timeout=60).status
