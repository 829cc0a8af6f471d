#!/usr/bin/env bash
# Checks what cargo does not: shell scripts, Python, licences and sources of dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/datalake
tools=$cache/lint-tools

if [ ! -x "$tools/bin/ruff" ]; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --requirement tests/lint-requirements.txt
fi
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
"$tools/bin/shellcheck" "${scripts[@]}"
"$tools/bin/ruff" check .
"$tools/bin/ruff" format --check .

deny=$cache/bin/cargo-deny
[ -x "$deny" ] || cargo install --quiet --locked --root "$cache" --target-dir "$cache/deny-target" cargo-deny@0.20.2
# Of every platform, which a build for this one does not bring.
cargo fetch --quiet --locked
"$deny" --offline --all-features check --hide-inclusion-graph licenses bans sources
