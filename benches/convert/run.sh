#!/usr/bin/env bash
# Runs conversions beside the peers, in an environment of its own outside of the repository; arguments go to `bench.py`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${CONVERT_BENCH_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/convert-bench}
python=${PYTHON:-python3}
mkdir -p "$home"

venv=$home/venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
target=${CARGO_TARGET_DIR:-$root/target}
if [ -z "${DATALAKE_BIN:-}" ]; then
  (cd "$root" && CARGO_TARGET_DIR=$target cargo build --quiet --release --locked -p datalake-cli)
  export DATALAKE_BIN=$target/release/datalake
fi
exec "$venv/bin/python" "$here/bench.py" --folder "$home/tables" "$@"
