"""Forests that are programs of their own: they read the stored table, print one JSON line, write their predictions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from peers.base import Array, Fit

HERE = Path(__file__).resolve().parents[1]

PREDICTIONS = "predictions.raw"


class Program:
    """One program, one fit."""

    name: ClassVar[str]
    note: ClassVar[str] = ""
    takes_categories: ClassVar[bool] = False

    @classmethod
    def absent(cls) -> str | None:
        """Say why it is not to be had here, if it is not."""
        raise NotImplementedError

    @classmethod
    def command(cls, wanted: Fit, table: Path, out: Path) -> list[str]:
        """Give the command line."""
        raise NotImplementedError

    @classmethod
    def cannot(cls, wanted: Fit) -> str | None:
        """Say why it cannot grow such a forest, if it cannot."""
        if wanted.missing:
            return "takes no missing values"
        if wanted.categories and not cls.takes_categories:
            return "takes no categories"
        return None

    @classmethod
    def run(cls, wanted: Fit, table: Path, out: Path, timeout: float) -> tuple[dict[str, Any], Array]:
        """Run it; give its figures and its predictions of the rows held out."""
        command = cls.command(wanted, table, out)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            msg = f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}"
            raise RuntimeError(msg)
        predictions = np.fromfile(out / PREDICTIONS, "<f8")
        rows = len(np.load(table / "y_held_out.npy", mmap_mode="r"))
        return json.loads(lines[-1]), predictions if len(predictions) == rows else predictions.reshape(rows, -1)


class Ranger(Program):
    """The R package ranger."""

    name = "ranger"
    note = "float64; no min.bucket before 0.17: min.node.size = 2 leaf - 1; size as RDS, not compressed"
    takes_categories = True

    @classmethod
    def absent(cls) -> str | None:
        if shutil.which("Rscript") is None:
            return "Rscript is not installed"
        check = ["Rscript", "-e", "quit(status = !requireNamespace('ranger', quietly = TRUE))"]
        done = subprocess.run(check, capture_output=True, check=False)
        return "the R package ranger is not installed" if done.returncode else None

    @classmethod
    def command(cls, wanted: Fit, table: Path, out: Path) -> list[str]:
        numbers = [
            wanted.columns,
            wanted.trees,
            wanted.min_samples_leaf,
            wanted.candidates,
            wanted.seed,
            wanted.threads,
        ]
        categories = ",".join(str(index + 1) for index in wanted.categories) or "none"
        kind = "classes" if wanted.classification else "numbers"
        return ["Rscript", str(HERE / "ranger.R"), kind, str(table), str(out), *map(str, numbers), categories]


class _RustProgram(Program):
    @classmethod
    def _binary(cls) -> Path:
        given = os.environ.get("FOREST_RUST_PEERS")
        return Path(given) if given else HERE / "rust_peers" / "target" / "release" / "rust_peers"

    @classmethod
    def absent(cls) -> str | None:
        return None if cls._binary().exists() else f"{cls._binary()} is not built (FOREST_RUST_PEERS says where it is)"

    @classmethod
    def command(cls, wanted: Fit, table: Path, out: Path) -> list[str]:
        kind = "classes" if wanted.classification else "numbers"
        numbers = [wanted.columns, wanted.trees, wanted.min_samples_leaf, wanted.candidates, wanted.seed]
        return [str(cls._binary()), cls.name, kind, str(table), str(out), *map(str, numbers)]


class Smartcore(_RustProgram):
    """The crate smartcore."""

    name = "smartcore"
    note = "0.7; float64; one thread; classes by votes only; not saved"


class Linfa(_RustProgram):
    """The crate linfa-ensemble."""

    name = "linfa-ensemble"
    note = "0.8; float64; one thread; features drawn by tree, with replacement; votes only; not saved"

    @classmethod
    def cannot(cls, wanted: Fit) -> str | None:
        return super().cannot(wanted) if wanted.classification else "no regression"
