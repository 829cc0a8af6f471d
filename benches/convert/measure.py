"""Runs a command as a user would, and says what it took."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# How often memory is looked at.
EVERY_S = 0.01


@dataclass(frozen=True)
class Took:
    """What a process took; memory is what it had for itself, not the files that it had mapped."""

    wall_s: float
    cpu_s: float
    memory_mb: float
    error: str | None


def run(command: list[str], timeout_s: float) -> Took:
    with tempfile.TemporaryFile() as words:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=words)
        peak, is_over = [0.0], threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peak, is_over), daemon=True)
        watch.start()
        alarm = threading.Timer(timeout_s, process.kill)
        alarm.start()
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begun
        alarm.cancel()
        is_over.set()
        watch.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        words.seek(0)
        said = words.read().decode(errors="replace").strip()
    error = f"exit {process.returncode}: {said[-200:]}" if process.returncode else None
    return Took(wall_s, used.ru_utime + used.ru_stime, peak[0], error)


def _watch(process: int, peak: list[float], is_over: threading.Event) -> None:
    status = Path(f"/proc/{process}/status")
    while not is_over.wait(EVERY_S):
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return
        for line in lines:
            if line.startswith("RssAnon:"):
                peak[0] = max(peak[0], int(line.split()[1]) / 1024)


def size(path: Path) -> int:
    """The bytes of a file, or of those of a folder."""
    return sum(map(size, path.iterdir())) if path.is_dir() else path.stat().st_size


def warm(path: Path) -> None:
    """Bring a file, or those of a folder, into the page cache, from which all read them."""
    if path.is_dir():
        for part in path.iterdir():
            warm(part)
        return
    with path.open("rb", buffering=0) as file:
        while file.read(8 << 20):
            pass
