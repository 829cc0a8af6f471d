#!/usr/bin/env bash
# The table of digests (datalake-core/src/ml/forest/digests.txt) and the unit tests of CSV and JSON on AArch64, by emulation;
# skipped, loudly, where the tools are missing: on Debian the packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and
# qemu-user-static.
set -euo pipefail
cd "$(dirname "$0")/.."
triple=aarch64-unknown-linux-gnu

skip() {
  printf '\n*** SKIPPED: nothing is compared with AArch64: %s ***\n\n' "$1" >&2
  exit 0
}

linker=$(command -v aarch64-linux-gnu-gcc) || skip "there is no aarch64-linux-gnu-gcc"
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || skip "there is no qemu-aarch64"
[ -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ] || rustup target add "$triple" ||
  skip "rustc does not know $triple"

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$linker
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$emulator -L /usr/aarch64-linux-gnu"
# Little optimisation: the build takes longer than the test. `make test` compares optimised code with the same table.
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --locked --target "$triple" -p datalake-core --no-default-features --features ml,testing --lib \
  -- ml::forest::digest_tests format::masks format::csv format::json format::quick | tee "$log"
if ! grep -q '^test result: ok. [1-9]' "$log"; then
  echo "tests/aarch64.sh: no test ran" >&2
  exit 1
fi
