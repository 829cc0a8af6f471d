#!/usr/bin/env bash
# The unit tests of what has unsafe code (masks, CSV, JSON, the forest) with AddressSanitizer, which sees reads and writes behind
# the end; skipped, loudly, where there is no nightly compiler.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')

skip() {
  printf '\n*** SKIPPED: nothing is run with AddressSanitizer: %s ***\n\n' "$1" >&2
  exit 0
}

rustc +nightly --version >/dev/null 2>&1 || skip "there is no nightly compiler"
[ -n "$(find "$(rustc +nightly --print target-libdir)" -name 'librustc*_rt.asan.a' -print -quit)" ] ||
  skip "the nightly compiler has no AddressSanitizer for $host"

# What lives as long as the process is no leak. A target of its own keeps build scripts free of the sanitizer.
export RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=line-tables-only
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/sanitize
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo +nightly test --locked --target "$host" -p datalake-core --no-default-features --features ml,testing --lib \
  -- format::masks format::csv format::json format::quick format::hostile ml::forest ml::model_file | tee "$log"
if ! grep -q '^test result: ok. [1-9]' "$log"; then
  echo "tests/sanitize.sh: no test ran" >&2
  exit 1
fi
