"""The cases of `cases.toml`, checked as they are read."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """What is wanted of one figure of ours: a ratio to a peer (or to the best), or a bound."""

    figure: str
    peer: str | None = None
    ratio: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        if (self.ratio is None) == (self.at_most is None) or (self.ratio is None) != (self.peer is None):
            msg = f"`wanted` needs `peer` and `ratio`, or `at_most`: {self}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Case:
    """One table and one set of parameters."""

    name: str
    data: str
    rows: int
    wanted: list[Wanted]
    trees: int = 100
    max_features: float | str = 1.0
    min_samples_leaf: int = 1
    native_categories: bool = False
    repeats: int = 3

    def candidates(self, columns: int) -> int:
        """How many features are tried at a node: a number, since peers round shares differently."""
        if self.max_features == "sqrt":
            return max(1, math.isqrt(columns))
        if self.max_features == "third":
            return max(1, columns // 3)
        return max(1, int(float(self.max_features) * columns))

    @property
    def identity(self) -> dict[str, Any]:
        """What two results must share to be compared."""
        return {key: value for key, value in asdict(self).items() if key not in ("wanted", "repeats")}


def read(path: Path) -> dict[str, Case]:
    """Read the cases by name, in the order of the file."""
    cases: dict[str, Case] = {}
    for entry in tomllib.loads(path.read_text())["case"]:
        wanted = [Wanted(**each) for each in entry.pop("wanted")]
        case = Case(**entry, wanted=wanted)
        if case.name in cases:
            msg = f"{path}: two cases are called {case.name}"
            raise ValueError(msg)
        cases[case.name] = case
    return cases
