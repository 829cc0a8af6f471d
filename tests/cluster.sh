#!/usr/bin/env bash
# The tests on a real Kubernetes with a node: MinIO in it, pipelines as Jobs, faults.
#
#   cluster.sh [TEST ...]    all tests, or those whose names hold one of the words
#
# Where no node can run here, it says so loudly and ends well. DATALAKE_SOAK=1 does all that `make soak` asks for, and
# takes the binary that images are made of in earnest, against musl. KEEP=1 leaves the cluster up.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

status=0
tests/kube.sh can-run || status=$?
if [ "$status" = 3 ]; then
  echo "*** SKIPPED: the tests on Kubernetes ***" >&2
  exit 0
fi
[ "$status" = 0 ] || exit "$status"

if [ -n "${DATALAKE_SOAK:-}" ]; then binary=$(tests/static.sh release); else binary=$(tests/static.sh); fi
scratch=$(mktemp -d)
finish() {
  if [ -z "${KEEP:-}" ]; then "$root/tests/kube.sh" down; fi
  rm -rf "$scratch"
}
trap finish EXIT
# A binary of its own: others may be built meanwhile.
cp "$binary" "$scratch/datalake"
export DATALAKE=$scratch/datalake DATALAKE_CLI=$scratch/datalake

# Never the cluster of whoever runs this.
unset KUBECONFIG
leads_to=$("$root/tests/kube.sh" up $$)
eval "$leads_to"
# Of the same packages as the other tests, so that they are compiled once.
cargo test --release --locked --workspace --exclude datalake-py --test cluster -- --ignored --test-threads 1 "$@"
if [ "$#" = 0 ]; then DATALAKE_ON_CLUSTER=1 tests/python.sh -k on_cluster; fi
