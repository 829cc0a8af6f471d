"""Every notebook runs from top to bottom, shows plots, and is stored without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import datalake

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


def test_there_are_two() -> None:
    assert [notebook.name for notebook in NOTEBOOKS] == ["food_calories.ipynb", "jobs.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_stripped(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize(("path", "plots"), list(zip(NOTEBOOKS, [5, 1], strict=True)), ids=str)
def test_it_runs_and_shows_plots(
    path: Path, plots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, analyzed: datalake.Run
) -> None:
    for name in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATALAKE_URL", str(tmp_path / "lake"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= plots
    assert datalake.load_run(tmp_path / "lake").digests == analyzed.digests
