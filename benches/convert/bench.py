"""Conversions by datalake and its peers, side by side."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import measure
import peers
import tables

HERE = Path(__file__).parent


def main() -> None:
    options = _options()
    if options.table:
        results = [json.loads(line) for file in options.table for line in file.read_text().splitlines()]
    else:
        results = _run(options)
    print(table(results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("tables"), help="where tables are made and kept")
    parser.add_argument("--cases", default="", help="their names, parted by commas; all if not given")
    parser.add_argument("--peers", default=",".join([peers.OURS, *peers.PEERS]))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--out", type=Path, help="a file to which results are appended, as JSON lines")
    parser.add_argument("--table", type=Path, nargs="+", help="print the table of such files again")
    return parser.parse_args()


def cases() -> list[dict]:
    return tomllib.loads((HERE / "cases.toml").read_text())["case"]


def _run(options: argparse.Namespace) -> list[dict]:
    wanted = options.cases.split(",") if options.cases else [case["name"] for case in cases()]
    present = [peer for peer in options.peers.split(",") if peers.is_there(peer)]
    for peer in set(options.peers.split(",")) - set(present):
        print(f"{peer} is not installed: skipped", file=sys.stderr)
    results = []
    for case in cases():
        if case["name"] not in wanted:
            continue
        # Processes of their own: the memory of whoever starts another one counts as that one's at first.
        subprocess.run([sys.executable, HERE / "tables.py", options.folder, case["table"]], check=True)
        for peer in present:
            result = _measure(case, peer, options)
            if result is None:
                continue
            results.append(result)
            print(json.dumps(result), file=sys.stderr, flush=True)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    return results


def _measure(case: dict, peer: str, options: argparse.Namespace) -> dict | None:
    """The best of some runs, by CPU; None where the peer has no such direction."""
    source = tables.path(options.folder, case["table"], case["from"])
    target = options.folder / f"out-{peer}.{case['to']}"
    command = peers.command(peer, str(source), str(target), case.get("level", 1))
    if command is None or (peer, case["table"].partition("-")[0]) in peers.NOT:
        return None
    measure.warm(source)
    result: dict = {"case": case["name"], "peer": peer, "input_mb": round(measure.size(source) / 1e6, 1)}
    runs = []
    for _ in range(options.repeats):
        target.unlink(missing_ok=True)
        runs.append(measure.run(command, options.timeout))
        if runs[-1].error:
            return {**result, "error": runs[-1].error}
    best = min(runs, key=lambda run: run.cpu_s)
    result |= {
        "wall_s": round(min(run.wall_s for run in runs), 3),
        "cpu_s": round(best.cpu_s, 3),
        "memory_mb": round(max(run.memory_mb for run in runs), 1),
        "output_mb": round(target.stat().st_size / 1e6, 1),
    }
    truth = tables.path(options.folder, case["table"], "parquet")
    checked = subprocess.run(
        [sys.executable, HERE / "check.py", target, truth], capture_output=True, text=True, check=False
    )
    target.unlink()
    if checked.returncode:
        return {**result, "differ": [checked.stderr.strip().splitlines()[-1][:200]]}
    return {**result, **json.loads(checked.stdout)}


def table(results: list[dict]) -> str:
    """For each case its peers, and how many times less ours takes than the best whose output is right."""
    lines = [
        "| case | peer | CPU s | wall s | memory MB | output MB | ours takes less, CPU | wall | |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for case in cases():
        of_case = [result for result in results if result["case"] == case["name"]]
        ours = next((result for result in of_case if result["peer"] == peers.OURS and "cpu_s" in result), None)
        right = [result for result in of_case if result["peer"] != peers.OURS and result.get("differ") == []]
        best = min(right, key=lambda result: result["cpu_s"], default=None)
        ranked = sorted(of_case, key=lambda result: result.get("cpu_s", 1e9))
        lines.extend(_line(case, result, ours, is_best=result is best) for result in ranked)
    return "\n".join(lines)


def _line(case: dict, result: dict, ours: dict | None, *, is_best: bool) -> str:
    if "error" in result:
        return f"| {case['name']} | {result['peer']} | | | | | | | {result['error']} |"
    figures = f"{result['cpu_s']:.2f} | {result['wall_s']:.2f} | {result['memory_mb']:.0f} | {result['output_mb']:.1f}"
    ratios, remarks = " | ", []
    if ours and result is not ours:
        cpu = result["cpu_s"] / ours["cpu_s"]
        ratios = f"{cpu:.2f} | {result['wall_s'] / ours['wall_s']:.2f}"
        if is_best:
            remarks.append(f"the best peer: {case['goal']} is wanted" + ("" if cpu >= case["goal"] else ", MISSED"))
    if result is ours:
        for key, most in (("output_mb", case.get("most_mb")), ("memory_mb", case.get("most_memory_mb"))):
            if most and result[key] > most:
                remarks.append(f"{key} above {most}: MISSED")
    if result.get("differ"):
        remarks.append(f"WRONG: {result['differ']}")
    return f"| {case['name']} | {result['peer']} | {figures} | {ratios} | {'; '.join(remarks)} |"


if __name__ == "__main__":
    main()
