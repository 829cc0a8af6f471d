#!/usr/bin/env bash
# Builds the Python wheel into dist/. PROFILE=dev makes a quick one.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
profile=${PROFILE:-release}
python=${PYTHON:-python3}
venv=$CARGO_TARGET_DIR/venv/maturin
requirement=maturin==1.16.0

if [ "$(cat "$venv/requirement" 2>/dev/null)" != "$requirement" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$requirement"
  printf '%s\n' "$requirement" > "$venv/requirement"
fi
rm -f dist/datalake-*.whl
"$venv/bin/maturin" build --quiet --profile "$profile" --interpreter "$python" \
  --manifest-path datalake-py/Cargo.toml --out dist
ls dist/datalake-*.whl
