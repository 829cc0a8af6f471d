"""Grows one forest of one Python peer on one stored table, in a process of its own, and prints its figures as JSON."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import facts_of
from peers import PEERS, Fit, Peer
from peers.base import Array
from process import cpu_s, forget_peak, machine_cpu_s, memory_mb, peak_memory_mb
from scores import scores

WARM_UP_ROWS = 400
"""A first fit of so many rows and two trees starts thread pools and loads code, as it is in a user's second fit."""

MOST_SECONDS = 20.0
"""Predictions are repeated for at most about this long."""


def folder_mb(path: Path) -> float:
    """Give the size of a file, or of all in a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def timed(peer: Peer, model: Any, X: Array, repeats: int) -> tuple[list[float], list[float], Array]:
    """Predict all rows some times: wall seconds, CPU seconds, predictions."""
    rows = peer.rows(X)
    wall: list[float] = []
    cpu: list[float] = []
    predicted: Array = np.empty(0)
    while len(wall) < repeats and sum(wall) < MOST_SECONDS:
        used, start = cpu_s(), time.perf_counter()
        predicted = peer.predict(model, rows)
        wall.append(time.perf_counter() - start)
        cpu.append(cpu_s() - used)
    return wall, cpu, predicted


def one_row_us(peer: Peer, model: Any, X: Array) -> float:
    """Give the median time of one row, over distinct rows, the first of which only warm up."""
    each: list[float] = []
    start = time.perf_counter()
    for index in range(1_050):
        row = peer.rows(X[index : index + 1])
        before = time.perf_counter()
        peer.predict(model, row)
        each.append(time.perf_counter() - before)
        if index >= 60 and time.perf_counter() - start > MOST_SECONDS / 2:
            break
    return float(np.median(each[50:]) * 1e6)


def saved(peer: Peer, model: Any, folder: Path) -> dict[str, float]:
    """Give the size of the saved model, and how long it takes to open."""
    path = peer.save(model, folder)
    if path is None:
        return {}
    before = time.perf_counter()
    peer.open(path)
    figures = {"model_mb": folder_mb(path), "open_s": time.perf_counter() - before}
    compressed = getattr(peer, "save_compressed", lambda *_: None)(model, folder)
    if compressed is not None:
        figures["compressed_mb"] = folder_mb(compressed)
    return figures


def run(name: str, table: Path, wanted: Fit, keep: Path | None) -> dict[str, Any]:
    """Fit once; measure all; leave the model in `keep`, where a folder is given."""
    chosen = PEERS[name]
    assert issubclass(chosen, Peer)  # noqa: S101 - programs of their own are not run by this one

    def part(of: str) -> Array:
        values: Array = np.load(table / f"{of}.npy")
        return values

    warm = chosen(wanted.__class__(**{**vars(wanted), "trees": 2}))
    X, y = part("X_train"), part("y_train")
    # Evenly, so that all classes are there.
    some = np.linspace(0, len(y) - 1, min(WARM_UP_ROWS, len(y))).astype(int)
    warm.fit(warm.training(X[some], y[some]))
    peer = chosen(wanted)
    training = peer.training(X, y)
    del X, y, warm
    gc.collect()
    base = memory_mb()
    forget_peak()
    busy, cpu, start = machine_cpu_s(), cpu_s(), time.perf_counter()
    model = peer.fit(training)
    fit_s, fit_cpu_s = time.perf_counter() - start, cpu_s() - cpu
    figures: dict[str, Any] = {
        "version": peer.version(),
        "fit_s": fit_s,
        "fit_cpu_s": fit_cpu_s,
        "others_cpu_s": max(0.0, machine_cpu_s() - busy - fit_cpu_s),
        "base_mb": base,
        "peak_mb": peak_memory_mb() - base,
    }
    del training
    y = part("y_held_out")
    predicted = peer.predict(model, peer.rows(part("X_held_out")))
    figures["errors"] = scores(y, predicted, classes=wanted.classification)
    fresh = part("X_fresh")
    wall, used, _ = timed(peer, model, fresh, 3)
    figures |= {"predict_s": float(np.median(wall)), "predict_cpu_s": float(np.median(used))}
    figures["row_us"] = one_row_us(peer, model, fresh)
    with tempfile.TemporaryDirectory() as scratch:
        figures |= saved(peer, model, keep or Path(scratch))
    return figures


def main() -> None:
    """Read the job from the command line."""
    job = json.loads(sys.argv[1])
    table, keep = Path(job["table"]), job["keep"]
    facts_of(table)
    figures = run(job["peer"], table, Fit(**job["wanted"]), Path(keep) if keep else None)
    print("FIGURES " + json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
