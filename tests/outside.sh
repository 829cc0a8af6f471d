#!/usr/bin/env bash
# A program outside of the workspace depends on datalake-core, with default features and with none: the one in the README.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/src"
sed -n '/^```rust$/,/^```$/p' "$root/README.md" | sed '1d;$d' >"$work/src/main.rs"
cp "$root/Cargo.lock" "$work/Cargo.lock"
manifest() {
  cat >"$work/Cargo.toml" <<EOF
[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[dependencies]
datalake-core = { path = "$root/datalake-core"$1 }
futures = { version = "0.3", default-features = false }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }

[workspace]
EOF
  # The same profiles as the workspace, so that dependencies are compiled once.
  sed -n '/^\[profile/,$p' "$root/Cargo.toml" >>"$work/Cargo.toml"
}

manifest ''
(cd "$work" && cargo run --quiet --release --offline)
manifest ', default-features = false'
(cd "$work" && cargo run --quiet --release --offline)
echo "the program of the README runs with default features and with none"
