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
is_ours=
finish() {
  if [ -n "$is_ours" ] && [ -z "${KEEP:-}" ]; then "$root/tests/kube.sh" down; fi
  rm -rf "$scratch"
}
trap finish EXIT
# A binary of its own: others may be built meanwhile.
cp "$binary" "$scratch/datalake"
export DATALAKE=$scratch/datalake DATALAKE_CLI=$scratch/datalake

# Never the cluster of whoever runs this, and one at a time: the cluster is the machine's, and ends with these tests.
unset KUBECONFIG
exec 7>"${TMPDIR:-/tmp}/datalake-cluster-tests.lock"
flock --nonblock 7 || { echo "tests/cluster.sh: waits for other tests on the cluster" >&2 && flock 7; }
is_ours=1
if [ -n "${KEEP:-}" ]; then owner=; else owner=$$; fi
leads_to=$("$root/tests/kube.sh" up "$owner" 7>&-)
eval "$leads_to"
# Of the same packages as the other tests, so that they are compiled once. Soak's figures are to be quoted.
tests() { cargo test --release --locked --test cluster -- --ignored ${DATALAKE_SOAK:+--show-output} "$@" 7>&-; }
if [ "$#" != 0 ]; then
  tests --test-threads 1 "$@"
  exit
fi
# Python's beside those of Rust, of which three run at a time: they mostly wait for pods.
DATALAKE_ON_CLUSTER=1 tests/python.sh -k on_cluster 7>&- >"$scratch/python.log" 2>&1 &
python=$!
# These want the node for themselves: one takes the API server away, the other measures.
alone=(an_api_server_that_is_started_anew_does_not_matter what_workers_cost)
tests --test-threads 3 "${alone[@]/#/--skip=}" || status=$?
wait "$python" || status=$?
cat "$scratch/python.log"
tests --test-threads 1 "${alone[@]}" || status=$?
[ "$status" = 0 ]
