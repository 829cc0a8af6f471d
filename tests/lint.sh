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

# What Prometheus makes of the rules, by its own tool, out of Debian's package.
promtool=$cache/bin/promtool
if [ ! -x "$promtool" ] && command -v apt-get >/dev/null; then
  package=$(mktemp -d)
  (cd "$package" && { apt-get download -qq -o APT::Sandbox::User=root prometheus || { apt-get update -qq && apt-get download -qq -o APT::Sandbox::User=root prometheus; }; } &&
    dpkg-deb -x ./*.deb . && install -D usr/bin/promtool "$promtool") || true
  rm -rf "$package"
fi
if [ -x "$promtool" ]; then
  "$promtool" check rules deploy/prometheus/rules.yml >/dev/null
  "$promtool" test rules deploy/prometheus/rules_test.yml >/dev/null
else
  echo "*** SKIPPED: the rules of deploy/prometheus, without promtool ***" >&2
fi
python3 -m json.tool deploy/grafana/datalake.json >/dev/null

deny=$cache/bin/cargo-deny
if [ ! -x "$deny" ]; then
  # Not optimised: its own release is linked as a whole, which takes minutes.
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root "$cache" --target-dir "$cache/deny-target" \
    cargo-deny@0.20.2
  rm -rf "$cache/deny-target"
fi
# Of every platform, which a build for this one does not bring.
cargo fetch --quiet --locked
# The fuzz targets are a workspace of their own, which nothing else builds every day.
cargo metadata --quiet --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null
"$deny" --offline --all-features check --hide-inclusion-graph licenses bans sources
