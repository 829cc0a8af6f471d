#!/usr/bin/env bash
# A real registry of container images on loopback, for tests; no container needed.
#
#   registry.sh install             build crane, which serves it, into the cache, unless it is there
#   registry.sh start DIR [OWNER]   serve an empty registry on a free port, log its requests to DIR/log, print shell
#                                   exports: DATALAKE_REGISTRY, CRANE and REGISTRY_PID;
#                                   ends by itself when the process OWNER does
#   registry.sh stop PID            end a registry that `start` began
#
# crane is built by the Go toolchain at a fixed version, once, into DATALAKE_TOOLS (by default below the user's cache
# folder, outside of any clone). Exit status 3: there is no Go to build it with.
set -euo pipefail

me=registry
# shellcheck source=tests/server.sh
source "$(dirname "$0")/server.sh"
server=$tools/crane

install() { build "$server" github.com/google/go-containerregistry/cmd/crane@v0.22.1; }

serve() { exec setsid "$server" registry serve --address "127.0.0.1:$2"; }

is_ready() { curl --fail --silent --output /dev/null --max-time 2 --noproxy '*' "http://127.0.0.1:$2/v2/"; }

exports() { printf 'export %s\n' "DATALAKE_REGISTRY=127.0.0.1:$1" "CRANE=$server" "REGISTRY_PID=$2"; }

case ${1:-} in
  install) install ;;
  start) start "${2:?registry.sh start DIR [OWNER]}" "${3:-}" ;;
  stop) stop "${2:?registry.sh stop PID}" ;;
  *) usage ;;
esac
