"""What Linux knows of this process: memory and CPU time; and how busy others keep the machine."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def _status_mb(key: str) -> float:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def memory_mb() -> float:
    """Resident memory now."""
    return _status_mb("VmRSS")


def peak_memory_mb() -> float:
    """The most resident memory since `forget_peak`."""
    return _status_mb("VmHWM")


def forget_peak() -> None:
    """Begin a new peak."""
    Path("/proc/self/clear_refs").write_text("5")


def cpu_s() -> float:
    """CPU seconds of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def machine_cpu_s() -> float:
    """CPU seconds of all processes since the machine was started, time lost to other machines included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
