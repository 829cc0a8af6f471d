"""Forests side by side: time, CPU, memory, size and error, each fit in a process of its own. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cases
import numpy as np
import results
from cases import Case
from datasets import facts_of, stored
from peers import PEERS, Fit, Program
from scores import main_error, scores

HERE = Path(__file__).resolve().parent

DATA_SEED = 0
"""Names the rows of every table and the split; a repeat has another seed for the forest, not for the rows."""


def home() -> Path:
    """Where tables are kept: outside of the repository."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "datalake" / "forest-bench"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}


def wanted_fit(case: Case, table: Path, seed: int, threads: int) -> Fit:
    """Translate a case into what a peer is asked for."""
    facts = facts_of(table)
    return Fit(
        classification=facts.classification,
        classes=facts.classes,
        columns=facts.columns,
        trees=case.trees,
        candidates=case.candidates(facts.columns),
        min_samples_leaf=case.min_samples_leaf,
        seed=seed,
        threads=threads,
        missing=facts.missing,
        categories=facts.categories if case.native_categories else [],
    )


def by_program(peer: type[Program], wanted: Fit, table: Path, timeout: float) -> dict[str, Any]:
    """Run a peer that is a program of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        figures, predicted = peer.run(wanted, table, Path(scratch), timeout)
    y = np.load(table / "y_held_out.npy")
    return figures | {"errors": scores(y, predicted, classes=wanted.classification)}


def by_python(name: str, wanted: Fit, table: Path, timeout: float, keep: Path | None) -> dict[str, Any]:
    """Run a peer that is imported, in a new interpreter."""
    job = {"peer": name, "table": str(table), "wanted": asdict(wanted), "keep": str(keep) if keep else None}
    command = [sys.executable, str(HERE / "fit_once.py"), json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FIGURES ")]
    if done.returncode or not lines:
        errors = [line for line in done.stderr.splitlines() if re.match(r"[\w.]*(Error|Exception)\b", line)]
        msg = f"ended with {done.returncode}: {(errors or done.stderr.splitlines() or ['silence'])[-1][:300]}"
        raise RuntimeError(msg)
    figures: dict[str, Any] = json.loads(lines[-1].removeprefix("FIGURES "))
    return figures


def from_rust(program: str, keep: Path, wanted: Fit, table: Path) -> dict[str, Any]:
    """Measure one row of our saved model without Python; not with categories, which plain numbers are not."""
    if wanted.categories:
        return {}
    command = [program, str(keep / "forest.model"), str(table / "X_fresh.raw"), str(wanted.columns)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(case: Case, name: str, table: Path, repeat: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fit one peer once; a failure is a result too."""
    peer = PEERS[name]
    wanted = wanted_fit(case, table, repeat, arguments.threads)
    reason = peer.absent() or peer.cannot(wanted)
    if reason is not None:
        return {"skipped": reason}
    try:
        if issubclass(peer, Program):
            return by_program(peer, wanted, table, arguments.timeout)
        with tempfile.TemporaryDirectory() as scratch:
            keep = Path(scratch) if name == results.OURS and arguments.one_row else None
            figures = by_python(name, wanted, table, arguments.timeout, keep)
            if keep is not None:
                figures |= from_rust(arguments.one_row, keep, wanted, table)
            return figures
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {arguments.timeout:g} s"}
    except (RuntimeError, subprocess.CalledProcessError) as error:
        return {"failed": str(error)}


def said(result: dict[str, Any]) -> str:
    """Give one line for the terminal."""
    if "fit_s" not in result:
        return str(result.get("skipped") or "FAILED " + result["failed"])
    error, value = main_error(result["errors"])
    return f"fit {result['fit_s']:.2f} s, CPU {result['fit_cpu_s']:.2f} s, {error} {value:.4g}"


def run(arguments: argparse.Namespace, known: dict[str, Case]) -> None:
    """Measure the chosen cases and peers; repeats go round the peers, so that none has the quiet hour."""
    chosen = [cut(known[name], arguments) for name in arguments.cases]
    here = machine()
    for case in chosen:
        table = stored(arguments.cache, case.data, case.rows, DATA_SEED)
        idle: set[str] = set()
        for repeat in range(arguments.repeats or case.repeats):
            for name in arguments.peers:
                if name in idle:
                    continue
                result = measure(case, name, table, repeat, arguments)
                if "fit_s" not in result or result["fit_s"] > arguments.once_above:
                    idle.add(name)
                print(f"{case.name:22} {name:22} {said(result)}", flush=True)
                record = {"case": case.identity, "peer": name, "repeat": repeat, "threads": arguments.threads}
                with arguments.out.open("a") as file:
                    file.write(json.dumps(record | result | {"machine": here}) + "\n")


def cut(case: Case, arguments: argparse.Namespace) -> Case:
    """Change of a case what the command line says."""
    return replace(case, rows=arguments.rows or case.rows, trees=arguments.trees or case.trees)


def show_peers() -> None:
    """Say which peers are here, and how each differs."""
    for name, peer in PEERS.items():
        reason = peer.absent()
        version = "" if reason or issubclass(peer, Program) else peer.version()
        print(f"{name:22} {version:10} {reason or peer.note or 'installed'}")


def names(known: list[str]) -> Any:
    """Read a comma-separated list of known names, or `all`."""

    def parse(text: str) -> list[str]:
        chosen = known if text == "all" else text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            msg = f"unknown: {', '.join(unknown)}; known: {', '.join(known)}"
            raise argparse.ArgumentTypeError(msg)
        return chosen

    return parse


def parser(known: dict[str, Case]) -> argparse.ArgumentParser:
    """Describe the command line."""
    parsed = argparse.ArgumentParser(description=__doc__)
    commands = parsed.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="measure, append to --out, then print the table of this file")
    running.add_argument("--cases", type=names(list(known)), default=list(known), help="comma-separated, or all")
    running.add_argument("--peers", type=names(list(PEERS)), default=list(PEERS), help="comma-separated, or all")
    running.add_argument("--repeats", type=int, help="fits of each peer; by default what the case says")
    running.add_argument("--rows", type=int, help="other than the case's, to try things out")
    running.add_argument("--trees", type=int, help="likewise")
    running.add_argument("--threads", type=int, default=os.cpu_count())
    running.add_argument("--timeout", type=float, default=900.0, help="seconds for one fit with its predictions")
    running.add_argument("--once-above", type=float, default=60.0, help="a fit of more seconds is not repeated")
    running.add_argument("--one-row", help="our program that measures one row without Python (forest-one-row)")
    running.add_argument("--cache", type=Path, default=home() / "tables")
    running.add_argument("--out", type=Path, default=Path("forest.jsonl"))
    running.add_argument("--by-cpu", action="store_true", help="compare CPU seconds: for a machine that is shared")
    showing = commands.add_parser("table", help="print the table of earlier results")
    showing.add_argument("files", type=Path, nargs="+")
    showing.add_argument("--by-cpu", action="store_true")
    commands.add_parser("peers", help="which are installed")
    commands.add_parser("cases", help="what can be measured")
    return parsed


def limit_memory(share: float) -> None:
    """Let a peer that needs too much memory fail by itself, instead of the machine."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(whole * share), most))


def main() -> None:
    """Do what the command line says."""
    known = cases.read(HERE / "cases.toml")
    arguments = parser(known).parse_args()
    limit_memory(0.7)
    if arguments.command == "peers":
        show_peers()
    elif arguments.command == "cases":
        for case in known.values():
            print(f"{case.name:22} {case.data}, {case.rows:,} rows, {case.trees} trees")
    else:
        if arguments.command == "run":
            run(arguments, known)
        files = [arguments.out] if arguments.command == "run" else arguments.files
        print("\n" + results.table(results.read(files), known, by_cpu=arguments.by_cpu))


if __name__ == "__main__":
    main()
