#!/usr/bin/env bash
# The program of the README, as a package outside of the workspace: with the crate's default features, and with none.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}

mkdir "$work/src"
# shellcheck disable=SC2016 # The backquotes are those of the README.
sed -n '/^```rust$/,/^```$/p' "$root/README.md" | sed '1d;$d' >"$work/src/main.rs"
# The versions of the workspace, so that what it has compiled is used again.
cp "$root/Cargo.lock" "$work/Cargo.lock"

run() { # FEATURES [CARGO OPTION ...]
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

run '' --release
# Without features arrow has fewer features too, and would be compiled anew with optimisation.
run ', default-features = false'
echo "the program of the README runs with default features and with none"
