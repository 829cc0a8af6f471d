"""Whether an output holds the table that it was made of: `python check.py OUTPUT TRUTH.parquet` prints JSON.

Rows are counted, and each column summed: numbers and dates by their values, texts by their lengths, lists by theirs.
Floats are summed with compensation: else the last digits would depend on how threads share the rows.
Texts are read with the types of the truth, so that a value that was changed shows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

WHOLE = ("BIGINT", "INTEGER", "SMALLINT", "TINYINT")


def _sum(column: str, kind: str) -> str:
    name = f'"{column}"'
    text = f"{name}::varchar"
    sums = {
        "BOOLEAN": f"sum(try_cast({text} as boolean)::int)::varchar",
        "DATE": f"sum(datediff('day', date '1970-01-01', try_cast({text} as date)))::varchar",
        "DOUBLE": f"printf('%.9e', fsum({name}::double))",
        "VARCHAR": f"concat(sum(strlen({text})), '/', count({name}))",
    }
    if kind in WHOLE:
        return f"sum(try_cast({name} as bigint))::varchar"
    if kind.startswith("TIMESTAMP"):
        return f"sum(epoch_us(try_cast(rtrim({text}, 'Z') as timestamp)) // 1000000)::varchar"
    if kind.endswith("[]"):
        return f"sum(len({name}))::varchar"
    return sums.get(kind, f"count({name})::varchar")


def _as_text(kind: str) -> str:
    if kind in ("BOOLEAN", "DATE") or kind.startswith("TIMESTAMP"):
        return "VARCHAR"
    # Some write whole numbers with a fraction.
    return "DOUBLE" if kind in WHOLE else kind


def main(output: str, truth: str) -> dict[str, object]:
    connection = duckdb.connect()
    connection.execute("set timezone='UTC'")
    columns = connection.execute(f"describe from read_parquet('{truth}')").fetchall()
    kinds = {column[0]: column[1] for column in columns}
    sums = ", ".join(_sum(column, kind) for column, kind in kinds.items())
    wanted = connection.execute(f"select count(*), {sums} from read_parquet('{truth}')").fetchone()
    form = Path(output).suffix
    if form == ".parquet":
        reader = f"read_parquet('{output}')"
    elif form == ".csv":
        types = {column: _as_text(kind) for column, kind in kinds.items()}
        dialect = "header=true, quote='\"', escape='\"', auto_detect=false, parallel=false"
        reader = f"read_csv('{output}', {dialect}, columns={types})"
    else:
        layout = "newline_delimited" if form == ".ndjson" else "array"
        types = {column: kind if kind in WHOLE else _as_text(kind) for column, kind in kinds.items()}
        reader = f"read_json('{output}', format='{layout}', columns={types})"
    found = connection.execute(f"select count(*), {sums} from {reader}").fetchone()
    differ = [column for column, a, b in zip(["rows", *kinds], wanted, found, strict=True) if a != b]
    return {"rows": found[0], "differ": differ}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
