#!/usr/bin/env bash
# Whether the programs of the README compile as a package outside of the workspace: the first with the crate's default
# features and with none, the second with the default ones. The documentation tests run them.
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

check() { # [FEATURES]
  # The versions of the workspace, so that what was looked at for it need not be again; with fewer features some are dropped.
  cp "$root/Cargo.lock" "$work/Cargo.lock"
  cat >"$work/Cargo.toml" <<EOF
[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[dependencies]
datalake-core = { path = "$root/datalake-core"${1:-} }
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }

[workspace]
EOF
  sed -n '/^\[profile/,$p' "$root/Cargo.toml" >>"$work/Cargo.toml"
  (cd "$work" && cargo check --quiet --release)
}

program 1
check ', default-features = false'
check
program 2
check
echo "the programs of the README compile"
