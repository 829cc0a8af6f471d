#!/usr/bin/env bash
# The programs of the README, as a package outside of the workspace: the first with the crate's default features and with
# none, the second with the default ones.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}

mkdir "$work/src"
program() { # NUMBER
  awk -v wanted="$1" '/^```/ { inside = /^```rust$/ && ++number == wanted; next } inside' "$root/README.md" >"$work/src/main.rs"
  test -s "$work/src/main.rs"
}

run() { # FEATURES [CARGO OPTION ...]
  # The versions of the workspace, so that what it has compiled is used again; a run with fewer features drops some.
  cp "$root/Cargo.lock" "$work/Cargo.lock"
  cat >"$work/Cargo.toml" <<EOF
[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[dependencies]
datalake-core = { path = "$root/datalake-core"$1 }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }

[workspace]
EOF
  sed -n '/^\[profile/,$p' "$root/Cargo.toml" >>"$work/Cargo.toml"
  (cd "$work" && cargo run --quiet "${@:2}")
}

program 1
run '' --release
# Without features arrow has fewer features too, and would be compiled anew with optimisation.
run ', default-features = false'
program 2
run '' --release
echo "the programs of the README run"
