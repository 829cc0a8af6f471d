#!/usr/bin/env bash
# Tests the wheel in dist/: types and stubs, pytest, and the notebooks. Builds nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
cache=${XDG_CACHE_HOME:-$HOME/.cache}/datalake
python=${PYTHON:-python3}

wheels=(dist/datalake-*.whl)
if [ ! -f "${wheels[0]}" ] || [ "${#wheels[@]}" -ne 1 ]; then
  echo "tests/python.sh: one wheel is needed in dist/, found: ${wheels[*]}; run \`make wheel\` first" >&2
  exit 1
fi

# One environment for each set of requirements; the wheel itself is installed anew, without its dependencies.
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
key=$({ echo "$version"; cat tests/python/requirements.txt; } | sha256sum | cut -c1-16)
venv=$cache/python-tests-$key
# The wheel in it is that of whoever tests now.
mkdir -p "$cache"
if command -v flock >/dev/null; then exec 9>"$venv.lock" && flock 9; fi
if [ ! -f "$venv/complete" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/python/requirements.txt
  touch "$venv/complete"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "${wheels[0]}"

export DATALAKE_ROOT=$root
export MPLBACKEND=agg
if [ -z "${DATALAKE_CLI:-}" ]; then
  DATALAKE_CLI=${CARGO_TARGET_DIR:-$root/target}/release/datalake
fi
export DATALAKE_CLI
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Elsewhere than the clone, so that the installed package is what is tested.
cp -r tests/python notebooks "$scratch/"
cd "$scratch"
"$venv/bin/mypy" --config-file python/mypy.ini --package datalake
MYPYPATH='' "$venv/bin/stubtest" --mypy-config-file python/mypy.ini --allowlist python/stubtest-allowed.txt datalake
"$venv/bin/mypy" --config-file python/mypy.ini python/typed_use.py
"$venv/bin/pytest" --quiet -p no:cacheprovider python "$@"
