"""Runs of a pipeline: start one, look at one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datalake import _datalake
from datalake._datalake import Lake
from datalake._progress import display

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

# How often a run that is at work is looked at, in seconds.
_LOOK = 1.0


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
        """`waiting`, `running`, `done`, `failed`, `cancelled` or `interrupted`."""
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

    def refresh(self) -> Run:
        """Look it up again: it may be at work."""
        return load_run(self.lake, self.id)

    def wait(self, timeout: float | None = None) -> Run:
        """Wait until it is over, wherever it is driven from; raise :class:`TimeoutError` after so many seconds.

        Returns it as it is then, whether done, failed or cancelled.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (now := self.refresh()).status in {"waiting", "running"}:
            if end is not None and time.monotonic() > end:
                msg = f"run {self.id} is {now.status} after {timeout} s"
                raise TimeoutError(msg)
            time.sleep(_LOOK)
        return now

    def logs(self, *, follow: bool = False) -> Iterator[dict[str, Any]]:
        """Give what its steps and their workers said, oldest first: `time`, `from`, `event` and `text`.

        With `follow`, goes on until the run is over. The lines are in the lake, and stay when pods are gone.
        """
        log = _datalake.RunLog(self.lake, self.id)
        while True:
            lines, last = log.more()
            yield from lines
            if last is not None or not follow:
                return
            time.sleep(_LOOK)

    def progress(self) -> dict[str, Any]:
        """Say how far it is: the stages under way of who drives it (`driver`) and of its `workers`, by name."""
        return _datalake.progress(self.lake, self.id)

    def __repr__(self) -> str:
        """Name the run and how it stands."""
        return f"datalake.Run({self.id!r}, pipeline={self.manifest['pipeline']!r}, status={self.status!r})"


def run(
    pipeline: str | os.PathLike[str],
    lake: Lake | str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    fresh: bool = False,
    progress: bool | None = None,
) -> Run:
    """Run a pipeline file, or `"food-calories"`, the built-in Food Calorie Analysis.

    A step is skipped where its inputs, its settings and the code are unchanged and its outputs are still there; `fresh`
    does every step again. `settings` give values to the variables of the file. The built-in pipeline lands its
    synthetic sample where `raw-data/foods` is empty. `progress` says whether it shows how far it is; by default in
    notebooks only.

    Raises the error of the first step that fails; the manifest in the lake then says so.
    """
    lake = _opened(lake)
    values = [(name, str(value)) for name, value in (settings or {}).items()]
    return Run(lake, _datalake.run_pipeline(pipeline, lake, values, fresh, display(wanted=progress)))


def load_run(lake: Lake | str | os.PathLike[str] | None = None, run: str | None = None) -> Run:
    """Look up a run by its name, or the last one."""
    lake = _opened(lake)
    return Run(lake, _datalake.manifest(lake, run))


def _opened(lake: Lake | str | os.PathLike[str] | None) -> Lake:
    return lake if isinstance(lake, Lake) else Lake(lake)
