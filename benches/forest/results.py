"""The table at the end: each case, what is wanted of ours, and whether it is met."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cases import Case, Wanted
from scores import main_error

OURS = "ours"

FIGURES = {
    "fit_s": "fit s",
    "fit_cpu_s": "fit CPU s",
    "others_cpu_s": "others' CPU s",
    "peak_mb": "peak MB",
    "predict_s": "100k rows s",
    "predict_cpu_s": "100k rows CPU s",
    "row_us": "one row us",
    "row_rust_us": "one row us, Rust",
    "model_mb": "model MB",
    "compressed_mb": "compressed MB",
    "open_s": "open s",
}
"""What is measured, and its heading. In all of them less is better."""

CPU_OF = {"fit_s": "fit_cpu_s", "predict_s": "predict_cpu_s"}
"""The figure that says the same where the machine is shared."""

ERROR_SLACK = 1.05
"""A peer counts as the best only where its error is at most this many times ours."""

Result = dict[str, Any]


def read(paths: Iterable[Path]) -> list[Result]:
    """Read the results of earlier runs."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines() if line.strip()]


def medians(results: Sequence[Result]) -> dict[str, Result]:
    """Give each peer's medians over its repeats, and the reason of those that did not run."""
    by_peer: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_peer[result["peer"]].append(result)
    summary: dict[str, Result] = {}
    for peer, repeats in by_peer.items():
        done = [result for result in repeats if "fit_s" in result]
        if not done:
            summary[peer] = {"skipped": repeats[-1].get("skipped") or repeats[-1]["failed"]}
            continue
        figures = [figure for figure in FIGURES if any(figure in result for result in done)]
        summary[peer] = {
            figure: statistics.median(result[figure] for result in done if figure in result) for figure in figures
        }
        error = main_error(done[0]["errors"])[0]
        summary[peer]["error"] = statistics.mean(main_error(result["errors"])[1] for result in done)
        summary[peer] |= {"error_name": error, "repeats": len(done)}
    return summary


def best(summary: dict[str, Result], figure: str) -> str | None:
    """Give the peer with the least of a figure, among those of about our error or less."""
    ours = summary.get(OURS, {})
    comparable = [
        peer
        for peer, row in summary.items()
        if peer != OURS
        and figure in row
        and row["error_name"] == ours.get("error_name")
        and row["error"] <= ERROR_SLACK * ours["error"]
    ]
    return min(comparable, key=lambda peer: summary[peer][figure], default=None)


def verdict(summary: dict[str, Result], wanted: Wanted, *, by_cpu: bool) -> list[str] | None:
    """Give one line of the table: the peer, its figure, ours, the ratio, what is wanted, whether it is met."""
    figure = CPU_OF.get(wanted.figure, wanted.figure) if by_cpu else wanted.figure
    ours = summary.get(OURS, {}).get(figure)
    heading = FIGURES[figure]
    if wanted.at_most is not None:
        aim = f"<= {wanted.at_most:g}"
        if ours is None:
            return [heading, "", "", "not measured", "", aim, ""]
        return [heading, "", "", f"{ours:.3g}", "", aim, "yes" if ours <= wanted.at_most else "NO"]
    peer = best(summary, figure) if wanted.peer == "best" else wanted.peer
    theirs = summary.get(peer, {}).get(figure) if peer else None
    if peer is None or theirs is None or wanted.ratio is None or ours is None:
        return [heading, peer or "best", "not measured", "" if ours is None else f"{ours:.3g}", "", "", ""]
    ratio = theirs / ours
    shown = f"{peer} (best)" if wanted.peer == "best" else peer
    aim = f">= {wanted.ratio:g}x"
    return [
        heading,
        shown,
        f"{theirs:.3g}",
        f"{ours:.3g}",
        f"{ratio:.2f}x",
        aim,
        "yes" if ratio >= wanted.ratio else "NO",
    ]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Give a table of Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def groups(results: Sequence[Result], cases: dict[str, Case]) -> list[tuple[str, Case, dict[str, Result]]]:
    """Gather results that may be compared: of one case, with the same rows and trees; with a title for each."""
    gathered: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        gathered[json.dumps(result["case"], sort_keys=True)].append(result)
    found = []
    for identity, same in gathered.items():
        settings = json.loads(identity)
        case = cases.get(settings["name"])
        if case is None:
            continue
        cut = settings != case.identity
        title = f"{case.name}, {settings['rows']:,} rows, {settings['trees']} trees" + (" (cut down)" if cut else "")
        found.append((title, case, medians(same)))
    order = list(cases)
    return sorted(found, key=lambda group: order.index(group[1].name))


def table(results: Sequence[Result], cases: dict[str, Case], *, by_cpu: bool) -> str:
    """Give the whole report: figures of each case, then what is wanted."""
    parts, verdicts = [], []
    for title, case, summary in groups(results, cases):
        shown = [figure for figure in FIGURES if any(figure in row for row in summary.values())]
        ran = sorted((row["fit_cpu_s" if by_cpu else "fit_s"], peer) for peer, row in summary.items() if "fit_s" in row)
        lines = []
        for _, peer in ran:
            row = summary[peer]
            figures = [f"{row[figure]:.3g}" if figure in row else "" for figure in shown]
            lines.append([peer, str(row["repeats"]), *figures, f"{row['error_name']} {row['error']:.4g}"])
        head = ["peer", "fits", *(FIGURES[figure] for figure in shown), "error"]
        parts.append(f"## {title}\n\n{markdown(head, lines)}")
        skipped = [f"{peer}: {row['skipped']}" for peer, row in summary.items() if "skipped" in row]
        if skipped:
            parts.append("Not run: " + "; ".join(skipped))
        for wanted in case.wanted:
            line = verdict(summary, wanted, by_cpu=by_cpu)
            if line is not None:
                verdicts.append([title, *line])
    head = ["case", "figure", "peer", "theirs", "ours", "ratio", "wanted", "met"]
    kind = "CPU seconds" if by_cpu else "wall seconds"
    return "\n\n".join([*parts, f"## What is wanted, by {kind}", markdown(head, verdicts)])
