"""Held-out errors of ours and of scikit-learn's with the same parameters, paired by seed, on every table.

A seed names the rows, the split and both forests. Where the mean difference is more than two standard errors above
zero, which of dozens of comparisons one or two are by chance, it is measured again with four times as many fresh seeds;
ends with 1 where it is so again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import BUNDLED, MADE, Table, bundled, halves
from peers import Fit, Peer
from peers.ours import Ours
from peers.scikit_learn import ScikitLearn
from results import markdown
from scores import main_error, scores

MOST_STANDARD_ERRORS = 2.0


@dataclass(frozen=True)
class Preset:
    """Parameters by task."""

    min_samples_leaf: int
    regression: str
    classification: str


PRESETS = {
    "default": Preset(min_samples_leaf=1, regression="all", classification="sqrt"),
    "third": Preset(min_samples_leaf=5, regression="third", classification="third"),
}


def candidates(word: str, columns: int) -> int:
    """Translate a share of the columns into a number, rounded down as by scikit-learn."""
    return {"all": columns, "third": max(1, columns // 3), "sqrt": max(1, int(columns**0.5))}[word]


def held_out_errors(
    table: Table, preset: Preset, seed: int, trees: int, peers: list[type[Peer]]
) -> list[dict[str, float]]:
    """Fit each peer on the same rows, and give its errors on those held out."""
    train, held_out = halves(len(table.y), seed)
    columns = table.X.shape[1]
    word = preset.classification if table.classification else preset.regression
    wanted = Fit(
        classification=table.classification,
        classes=int(table.y.max()) + 1 if table.classification else 0,
        columns=columns,
        trees=trees,
        candidates=candidates(word, columns),
        min_samples_leaf=preset.min_samples_leaf,
        seed=seed,
        threads=os.cpu_count() or 1,
        missing=bool(np.isnan(table.X).any()),
        categories=[],
    )
    found = []
    for make in peers:
        peer = make(wanted)
        model = peer.fit(peer.training(table.X[train], table.y[train]))
        predicted = peer.predict(model, peer.rows(table.X[held_out]))
        found.append(scores(table.y[held_out], predicted, classes=table.classification))
    return found


@dataclass(frozen=True)
class Compared:
    """The paired differences of one table and preset: ours less scikit-learn's."""

    data: str
    preset: str
    error: str
    ours: list[float]
    theirs: list[float]

    @property
    def mean(self) -> float:
        """The mean difference."""
        return float(np.mean(np.subtract(self.ours, self.theirs)))

    @property
    def standard_error(self) -> float:
        """Its standard error."""
        return float(np.std(np.subtract(self.ours, self.theirs), ddof=1) / np.sqrt(len(self.ours)))

    @property
    def worse(self) -> bool:
        """Whether ours is worse by more than chance."""
        return self.mean > MOST_STANDARD_ERRORS * self.standard_error

    def line(self) -> list[str]:
        """Give its line of the table."""
        # Two forests of equal errors differ by nothing, by no standard errors.
        ratio = self.mean / self.standard_error if self.standard_error > 0 else 0.0
        ours, theirs = np.mean(self.ours), np.mean(self.theirs)
        return [
            self.data, self.preset, self.error, str(len(self.ours)), f"{ours:.5g}", f"{theirs:.5g}",
            f"{self.mean:+.2g}", f"{self.standard_error:.2g}", f"{ratio:+.1f}", "WORSE" if self.worse else "holds",
        ]  # fmt: skip


def compare(name: str, preset: str, seeds: range, arguments: argparse.Namespace) -> list[Compared]:
    """Compare on one table: by its main error, and for classes by the share of wrong ones too."""
    pairs: list[list[dict[str, float]]] = []
    for seed in seeds:
        table = bundled(name) if name in BUNDLED else MADE[name](arguments.rows, seed)
        pairs.append(held_out_errors(table, PRESETS[preset], seed, arguments.trees, [Ours, ScikitLearn]))
    error = main_error(pairs[0][0])[0]
    found = [Compared(name, preset, error, *([main_error(pair[side])[1] for pair in pairs] for side in (0, 1)))]
    if "accuracy" in pairs[0][0]:
        wrong = ([1 - pair[side]["accuracy"] for pair in pairs] for side in (0, 1))
        found.append(Compared(name, preset, "wrong", *wrong))
    return found


def record(compared: Compared, arguments: argparse.Namespace) -> dict[str, Any]:
    """Give what is kept of a comparison."""
    return {**vars(compared), "rows": arguments.rows, "trees": arguments.trees, "mean": compared.mean}


def main() -> None:
    """Compare what the command line says."""
    every = [*MADE, *BUNDLED]
    parsed = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsed.add_argument("--data", default=",".join(every), help="comma-separated: " + ", ".join(every))
    parsed.add_argument("--presets", default=",".join(PRESETS), help="comma-separated: " + ", ".join(PRESETS))
    parsed.add_argument("--rows", type=int, default=10_000)
    parsed.add_argument("--trees", type=int, default=100)
    parsed.add_argument("--seeds", type=int, default=10)
    parsed.add_argument("--out", type=Path, help="append the comparisons to this file, as JSON lines")
    arguments = parsed.parse_args()
    # Of a few hundred rows, those held out often lie beyond those learnt from.
    warnings.filterwarnings("ignore", message="column `")
    lines, worse = [], 0
    for name in arguments.data.split(","):
        for preset in arguments.presets.split(","):
            found = compare(name, preset, range(arguments.seeds), arguments)
            again = (
                compare(name, preset, range(arguments.seeds, 5 * arguments.seeds), arguments)
                if any(compared.worse for compared in found)
                else []
            )
            worse += sum(first.worse and second.worse for first, second in zip(found, again, strict=False))
            for compared in found + again:
                lines.append(compared.line())
                print(*lines[-1], flush=True)
                if arguments.out:
                    with arguments.out.open("a") as file:
                        file.write(json.dumps(record(compared, arguments)) + "\n")
    head = [
        "data",
        "preset",
        "error",
        "seeds",
        "ours",
        "scikit-learn",
        "difference",
        "standard error",
        "in standard errors",
        "",
    ]
    print("\n" + markdown(head, lines))
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
