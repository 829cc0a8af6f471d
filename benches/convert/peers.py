"""Conversions by the peers, as their users write them: `python peers.py PEER SOURCE TARGET LEVEL`.

Each is a process of its own, so that its start counts, as it does for a script or a Job. Formats are told by suffixes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path


def suffix(path: str) -> str:
    return Path(path).suffix.removeprefix(".")


def files(source: str) -> str:
    """A file, or a pattern of those of a folder."""
    return f"{source}/*.{suffix(source)}" if Path(source).is_dir() else source


def duckdb(source: str, target: str, level: int) -> None:
    import duckdb as peer

    reader = {"ndjson": "read_ndjson", "json": "read_json", "csv": "read_csv", "parquet": "read_parquet"}[
        suffix(source)
    ]
    form = {
        "csv": "format csv, header",
        "ndjson": "format json",
        "json": "format json, array true",
        "parquet": f"format parquet, compression zstd, compression_level {level}",
    }[suffix(target)]
    peer.connect().execute(f"copy (from {reader}('{files(source)}')) to '{target}' ({form})")


def polars(source: str, target: str, level: int) -> None:
    import polars as peer

    rows = 10_000
    source = files(source)
    table = {
        "csv": lambda: peer.scan_csv(source, try_parse_dates=True, infer_schema_length=rows),
        "ndjson": lambda: peer.scan_ndjson(source, infer_schema_length=rows),
        "json": lambda: peer.read_json(source, infer_schema_length=rows).lazy(),
        "parquet": lambda: peer.scan_parquet(source),
    }[suffix(source)]()
    match suffix(target):
        case "parquet":
            table.sink_parquet(target, compression="zstd", compression_level=level)
        case "csv":
            table.sink_csv(target)
        case "ndjson":
            table.sink_ndjson(target)
        case _:
            table.collect().write_json(target)


def pyarrow(source: str, target: str, level: int) -> None:
    from pyarrow import csv, dataset

    form = {
        # Line ends within quotes are none by default.
        "csv": lambda: dataset.CsvFileFormat(
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(strings_can_be_null=True),
            read_options=csv.ReadOptions(block_size=8 << 20),
        ),
        "ndjson": dataset.JsonFileFormat,
        "parquet": dataset.ParquetFileFormat,
    }[suffix(source)]()
    table = dataset.dataset(source, format=form)
    if suffix(target) == "csv":
        with csv.CSVWriter(target, table.schema) as writer:
            for batch in table.to_batches():
                writer.write_batch(batch)
        return
    if suffix(target) == "ndjson":
        with Path(target).open("w", encoding="utf-8") as lines:
            for batch in table.to_batches():
                rows = batch.to_pylist()
                lines.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        return
    folder = target + ".folder"
    parquet = dataset.ParquetFileFormat()
    options = parquet.make_write_options(compression="zstd", compression_level=level)
    name = "part-{i}.parquet"
    dataset.write_dataset(
        table, folder, format=parquet, file_options=options, preserve_order=True, basename_template=name
    )
    Path(folder, "part-0.parquet").replace(target)
    shutil.rmtree(folder)


def pandas(source: str, target: str, level: int) -> None:
    import pandas as peer

    match suffix(source):
        case "csv" if Path(source).is_dir():
            table = peer.concat(map(peer.read_csv, sorted(Path(source).iterdir())), ignore_index=True)
        case "csv":
            table = peer.read_csv(source)
        case "ndjson":
            table = peer.read_json(source, lines=True)
        case "json":
            table = peer.read_json(source)
        case _:
            table = peer.read_parquet(source)
    match suffix(target):
        case "csv":
            table.to_csv(target, index=False)
        case "parquet":
            table.to_parquet(target, compression="zstd", compression_level=level)
        case form:
            table.to_json(target, orient="records", lines=form == "ndjson", force_ascii=False, date_format="iso")


def chdb(source: str, target: str, level: int) -> None:
    import chdb as peer

    forms = {"csv": "CSVWithNames", "ndjson": "JSONEachRow", "json": "JSONEachRow", "parquet": "Parquet"}
    settings = [
        "engine_file_truncate_on_insert=1",
        "format_csv_null_representation=''",
        "output_format_parquet_compression_method='zstd'",
        f"output_format_json_array_of_rows={int(suffix(target) == 'json')}",
    ]
    into, origin = (f"file('{path}', '{forms[suffix(path)]}')" for path in (target, files(source)))
    done = peer.query(f"insert into function {into} select * from {origin} settings {', '.join(settings)}")
    if done.has_error():
        raise SystemExit(done.error_message())


IN_PYTHON: dict[str, Callable[[str, str, int], None]] = {
    "duckdb": duckdb,
    "polars": polars,
    "pyarrow": pyarrow,
    "pandas": pandas,
    "chdb": chdb,
}
OURS = "datalake"
PEERS = [*IN_PYTHON, "csv2parquet"]

# What a peer does not do, or not in a way that would say anything.
NOT = {
    ("pyarrow", "json"): "it reads no arrays of objects",
    ("pandas", "nested"): "it keeps no types within a column",
}


def is_there(peer: str) -> bool:
    if peer in IN_PYTHON:
        return find_spec(peer) is not None
    return shutil.which(_program(peer)) is not None


def _program(peer: str) -> str:
    return os.environ.get(f"{peer.upper()}_BIN", peer)


def command(peer: str, source: str, target: str, level: int) -> list[str] | None:
    """What is run; None where the peer has no such direction."""
    if peer == OURS:
        compression = ["--compression", f"zstd({level})"] if suffix(target) == "parquet" else []
        return [_program(peer), "convert", "--quiet", source, target, *compression]
    if peer == "csv2parquet":
        is_its = not Path(source).is_dir() and (suffix(source), suffix(target)) == ("csv", "parquet")
        return [_program(peer), "-c", "zstd", source, target] if is_its else None
    if (peer, suffix(source)) in NOT:
        return None
    return [sys.executable, __file__, peer, source, target, str(level)]


if __name__ == "__main__":
    IN_PYTHON[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
