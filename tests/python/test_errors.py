"""Every kind of outcome is an exception of its own, caught as ours and as Python's."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import datalake


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (datalake.NotFoundError, FileNotFoundError),
        (datalake.AlreadyExistsError, FileExistsError),
        (datalake.InvalidError, ValueError),
        (datalake.UnsupportedError, NotImplementedError),
        (datalake.DeniedError, PermissionError),
        (datalake.UnavailableError, ConnectionError),
        (datalake.ExhaustedError, OSError),
        (datalake.ExhaustedError, MemoryError),
        (datalake.InternalError, RuntimeError),
    ],
)
def test_each_class_is_caught_as_ours_and_as_pythons(ours: type[Exception], builtin: type[Exception]) -> None:
    error = ours("cannot read a table")
    assert isinstance(error, datalake.Error)
    assert isinstance(error, builtin)
    assert str(error) == "cannot read a table"


def test_a_missing_object_is_a_missing_file(lake: datalake.Lake) -> None:
    with pytest.raises(FileNotFoundError, match=r"raw-data/none\.csv") as caught:
        lake.get("raw-data/none.csv")
    assert isinstance(caught.value, datalake.NotFoundError)
    with pytest.raises(datalake.NotFoundError, match="no-such-bucket"):
        lake.ls("no-such-bucket")


def test_what_must_be_new_is_there_already(lake: datalake.Lake) -> None:
    with pytest.raises(datalake.AlreadyExistsError):
        lake.create_bucket("raw-data")
    lake.create_bucket("raw-data", exist_ok=True)
    lake.put("raw-data/a", b"1")
    with pytest.raises(FileExistsError, match="raw-data/a"):
        lake.put("raw-data/a", b"2", overwrite=False)
    assert lake.get("raw-data/a") == b"1"


def test_a_broken_row_is_named_by_row_and_column(lake: datalake.Lake) -> None:
    lake.put("raw-data/a.csv", b"name,kcal\napple,52\nbread,many\n")
    with pytest.raises(ValueError, match="many") as caught:
        lake.read("raw-data/a.csv", schema={"name": "text", "kcal": "float64"})
    error = caught.value
    assert isinstance(error, datalake.InvalidError)
    assert (error.row, error.line, error.column) == (2, 3, "kcal")


def test_a_hint_is_an_attribute_and_a_note(lake: datalake.Lake) -> None:
    lake.put("raw-data/a.csv", b"name,kcal\napple,52\nbread,265\n")
    rows = lake.read("raw-data/a.csv")
    forest = datalake.RandomForestRegressor(n_estimators=2).fit(rows, [1.0, 2.0])
    with pytest.raises(datalake.InvalidError) as caught:
        forest.predict(datalake.Table.from_columns(["kcal", "nama"], [np.zeros(1), ["x"]]))
    assert caught.value.hint == "did you mean `nama`?"
    assert caught.value.__notes__ == ["hint: did you mean `nama`?"]


def test_an_endpoint_that_is_down_is_unavailable() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    lake = datalake.Lake("http://127.0.0.1:9", retry_timeout=0.2, variables=keys)
    with pytest.raises(ConnectionError):
        lake.buckets()


def test_a_folder_without_permission_is_denied(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        datalake.Lake(tmp_path / "lake").create_bucket("raw-data")


def test_a_misspelt_option_is_a_wrong_call(lake: datalake.Lake) -> None:
    with pytest.raises(TypeError, match="delimeter"):
        lake.read("raw-data/a.csv", delimeter=";")  # type: ignore[call-arg]


def test_an_option_of_the_wrong_kind_is_named(lake: datalake.Lake) -> None:
    with pytest.raises(datalake.InvalidError, match="on_row_error"):
        lake.read("raw-data/a.csv", on_row_error="ignore")  # type: ignore[arg-type]


def test_errors_survive_pickling(lake: datalake.Lake) -> None:
    with pytest.raises(datalake.NotFoundError) as caught:
        lake.get("raw-data/none.csv")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.hint) == (type(caught.value), str(caught.value), caught.value.hint)


@pytest.fixture
def control_c() -> Iterator[threading.Timer]:
    """A Ctrl-C in 0.7 seconds, heard even where the tests were started with it switched off, as in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.7, signal.raise_signal, [signal.SIGINT])
    yield timer
    timer.join()
    signal.signal(signal.SIGINT, before)


def test_control_c_ends_a_long_fit(control_c: threading.Timer) -> None:
    rows = np.random.default_rng(0).normal(size=(60_000, 20))
    forest = datalake.RandomForestRegressor(n_estimators=5000)
    control_c.start()
    with pytest.raises(KeyboardInterrupt):
        forest.fit(rows, rows[:, 0])
    assert not hasattr(forest, "feature_importances_")


def test_control_c_leaves_a_cancelled_run(tmp_path: Path, control_c: threading.Timer) -> None:
    lake = datalake.Lake(tmp_path / "lake")
    lake.land_sample(60_000, 1)
    control_c.start()
    with pytest.raises(KeyboardInterrupt):
        datalake.run("food-calories", lake)
    assert datalake.load_run(lake).status == "cancelled"


def test_a_handler_of_a_signal_may_use_the_engine_meanwhile(lake: datalake.Lake) -> None:
    seen: list[list[str]] = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(lake.buckets()))
    rows = np.random.default_rng(0).normal(size=(20_000, 20))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        # Begun before the signal comes, and not over by then.
        datalake.RandomForestRegressor(n_estimators=400).fit(rows, rows[:, 0])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen == [["raw-data"]]


def test_a_run_that_is_cancelled_from_elsewhere_is_no_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    lake = datalake.Lake(tmp_path / "lake")
    lake.land_sample(60_000, 1)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            datalake.run("food-calories", lake)
        except BaseException as error:  # noqa: BLE001 - whatever it is
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not datalake.runs(lake):
        time.sleep(0.05)
    while (begun := datalake.load_run(lake)).status != "running":
        time.sleep(0.05)
    told = datalake.Cluster(lake=lake).cancel(begun.id)
    thread.join()
    assert told == {"run": begun.id, "was": "running", "jobs_removed": 0}
    assert [type(error) for error in raised] == [datalake.CancelledError]
    assert begun.wait().status == "cancelled"
