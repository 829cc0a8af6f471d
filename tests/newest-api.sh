#!/usr/bin/env bash
# Compiles the library against the newest API of Kubernetes that k8s-openapi knows; all else is built against the oldest.
set -euo pipefail
cd "$(dirname "$0")/.."
# In a folder of its own, so that the other builds stay as they are.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/newest-api
newest=$(cargo metadata --locked --format-version 1 | python3 -c '
import json, sys
[features] = [p["features"] for p in json.load(sys.stdin)["packages"] if p["name"] == "k8s-openapi"]
print(features["latest"][0].removeprefix("v").replace("_", "."))')
K8S_OPENAPI_ENABLED_VERSION=$newest cargo check --quiet --locked --lib -p datalake-core --features k8s
echo "the library compiles against Kubernetes $newest"
