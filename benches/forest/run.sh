#!/usr/bin/env bash
# Runs the forest beside its peers, in an environment of its own outside of the repository; arguments go to `bench.py run`.
# With `setup` alone, it only installs what it needs; ranger comes from the system (Debian: r-cran-ranger).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${FOREST_BENCH_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/forest-bench}
python=${PYTHON:-python3}
mkdir -p "$home"

wheels=("$root"/dist/datalake-*.whl)
if [ ! -f "${wheels[0]}" ] || [ "${#wheels[@]}" -ne 1 ]; then
  echo "run.sh: one wheel is needed in dist/, found: ${wheels[*]}; run \`make wheel\` first" >&2
  exit 1
fi
venv=$home/venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "${wheels[0]}"

CARGO_TARGET_DIR=$home/rust_peers cargo build --quiet --release --locked --manifest-path "$here/rust_peers/Cargo.toml"
export FOREST_RUST_PEERS=$home/rust_peers/release/rust_peers
target=${CARGO_TARGET_DIR:-$root/target}
(cd "$root" && CARGO_TARGET_DIR=$target cargo build --quiet --release --locked -p datalake-benches --example forest-one-row)

if [ "${1:-}" = setup ]; then
  exec "$venv/bin/python" "$here/bench.py" peers
fi
exec "$venv/bin/python" "$here/bench.py" run --cache "$home/tables" --out "$home/results.jsonl" \
  --one-row "$target/release/examples/forest-one-row" "$@"
