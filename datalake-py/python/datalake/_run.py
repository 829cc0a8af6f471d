"""Runs of a pipeline: start one, look at one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datalake import _datalake
from datalake._datalake import Lake

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


@dataclass(frozen=True)
class Run:
    """What a run of a pipeline left behind."""

    lake: Lake = field(repr=False)
    """The lake that it ran in."""
    manifest: dict[str, Any] = field(repr=False)
    """Its steps, with their inputs, outputs, row balances and figures, as in `manifest.json`."""

    @property
    def id(self) -> str:
        """Its name, which sorts by time."""
        return str(self.manifest["run"])

    @property
    def status(self) -> str:
        """`done`, `failed`, `cancelled`, `running` or `interrupted`."""
        return str(self.manifest["status"])

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Its steps, in order."""
        return list(self.manifest["steps"])

    @property
    def digests(self) -> dict[str, str]:
        """The digest of every table and model that it wrote, by path: equal on every machine."""
        outputs = (output for step in self.steps for output in step["report"]["outputs"])
        return {output["path"]: output["digest"] for output in outputs if output.get("digest")}

    @property
    def report(self) -> str:
        """The path of its report in the lake."""
        return f"processed-data/_runs/{self.id}/report.html"

    def report_html(self) -> str:
        """Read its report: a page that needs no other file."""
        return self.lake.get(self.report).decode()

    def __repr__(self) -> str:
        """Name the run and how it stands."""
        return f"datalake.Run({self.id!r}, pipeline={self.manifest['pipeline']!r}, status={self.status!r})"


def run(
    pipeline: str | os.PathLike[str],
    lake: Lake | str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    fresh: bool = False,
) -> Run:
    """Run a pipeline file, or `"food-calories"`, the built-in Food Calorie Analysis.

    A step is skipped where its inputs, its settings and the code are unchanged and its outputs are still there; `fresh`
    does every step again. `settings` give values to the variables of the file. The built-in pipeline lands its
    synthetic sample where `raw-data/foods` is empty.

    Raises the error of the first step that fails; the manifest in the lake then says so.
    """
    lake = _opened(lake)
    values = [(name, str(value)) for name, value in (settings or {}).items()]
    return Run(lake, _datalake.run_pipeline(pipeline, lake, values, fresh))


def load_run(lake: Lake | str | os.PathLike[str] | None = None, run: str | None = None) -> Run:
    """Look up a run by its name, or the last one."""
    lake = _opened(lake)
    return Run(lake, _datalake.manifest(lake, run))


def _opened(lake: Lake | str | os.PathLike[str] | None) -> Lake:
    return lake if isinstance(lake, Lake) else Lake(lake)
