#!/usr/bin/env bash
# Fuzzes what reads model files, CSV, JSON and Parquet, each target for so many seconds: tests/fuzz.sh [SECONDS [TARGET ...]]
#
# It works with the stable compiler. With another one SANITIZER=address also finds reads behind the end:
#   RUSTUP_TOOLCHAIN=nightly SANITIZER=address tests/fuzz.sh
# What goes wrong in a text or a table belongs into fuzz/regressions/TARGET, which `make test` reads.
# Seeds are made anew; what was found worth keeping stays beside the build, and so do inputs that go wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-300}
targets=("${@:2}")
[ "${#targets[@]}" -gt 0 ] || targets=(model_file model_body csv json parquet dialect)
sanitizer=${SANITIZER:-none}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/datalake
build=${CARGO_TARGET_DIR:-$PWD/target}/fuzz-$sanitizer
export PATH="$cache/bin:$PATH"

command -v cargo-fuzz >/dev/null ||
  cargo install --quiet --locked --root "$cache" --target-dir "$cache/fuzz-target" cargo-fuzz@0.13.2
cargo fuzz build --fuzz-dir fuzz --sanitizer "$sanitizer" --target-dir "$build"

host=$(rustc -vV | sed -n 's/^host: //p')
for target in "${targets[@]}"; do
  corpus=$build/corpus/$target
  mkdir -p "$corpus" "$build/artifacts"
  corpora=("$corpus")
  [ ! -d "fuzz/regressions/$target" ] || corpora+=("fuzz/regressions/$target")
  DATALAKE_SEEDS=$corpus RAYON_NUM_THREADS=1 "$build/$host/release/$target" "${corpora[@]}" \
    -artifact_prefix="$build/artifacts/$target-" -max_total_time="$seconds" -max_len=40000 \
    -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -verbosity="${FUZZ_VERBOSITY:-0}"
done
