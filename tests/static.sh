#!/usr/bin/env bash
# Builds the command line tool as one static binary, and prints its path.
#
#   static.sh            against this machine's C library: a minute or two where a release build has compiled what lies below it
#   static.sh release    against musl, from nothing: for images and downloads (needs musl-gcc, of Debian's musl-tools)
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

case ${1:-} in
  '')
    # The flag reaches the last crate alone, so everything below it is compiled once for this and for the other binary. The
    # linker warns of getaddrinfo: since version 2.34 what it needs is in the archive, and the tests resolve names.
    kept=$target/static
    mkdir -p "$kept"
    echo "static.sh: links datalake statically, which takes some minutes" >&2
    cargo rustc --quiet --release --locked -p datalake-cli --bin datalake -- \
      -C target-feature=+crt-static -C relocation-model=static -C link-arg=-Wl,--no-warnings >&2
    cp "$target/release/datalake" "$kept/datalake.$$"
    mv "$kept/datalake.$$" "$kept/datalake"
    echo "$kept/datalake"
    ;;
  release)
    triple=$(uname -m)-unknown-linux-musl
    rustup target add "$triple" >&2
    echo "static.sh: builds datalake against musl" >&2
    # To a fixed place, as datalake-cli/build.rs has it where it can.
    cargo rustc --quiet --release --locked -p datalake-cli --bin datalake --target "$triple" -- -C relocation-model=static >&2
    echo "$target/$triple/release/datalake"
    ;;
  *)
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
    exit 2
    ;;
esac
