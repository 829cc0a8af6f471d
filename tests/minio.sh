#!/usr/bin/env bash
# A real MinIO server on loopback, for tests; no container needed.
#
#   minio.sh install             build the server into the cache, unless it is there
#   minio.sh static              the same, and print its path: for images
#   minio.sh start DIR [OWNER]   serve DIR on a free port, print shell exports and MINIO_PID;
#                                ends by itself when the process OWNER does
#   minio.sh stop PID            end a server that `start` began
#
# The server is built by the Go toolchain at a fixed version, once, into DATALAKE_TOOLS (by default below the
# user's cache folder, outside of any clone). Exit status 3: there is no Go to build it with.
set -euo pipefail

me=minio
# shellcheck source=tests/server.sh
source "$(dirname "$0")/server.sh"
package=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
server=$tools/static/minio
user=datalake-tests
password=datalake-tests-secret

install() { build "$server" "$package" CGO_ENABLED=0 GOFLAGS='-trimpath "-ldflags=-s -w"'; }

serve() {
  mkdir -p "$1/data"
  export MINIO_ROOT_USER=$user MINIO_ROOT_PASSWORD=$password MINIO_UPDATE=off MINIO_CALLHOME_ENABLE=off MINIO_BROWSER=off
  exec setsid "$server" server "$1/data" --address "127.0.0.1:$2" --console-address "127.0.0.1:$(($2 + 1))"
}

# Until its log says that it is through with starting, it looks after the buckets that it found, and makes those again
# that were deleted meanwhile.
is_ready() {
  grep --quiet '^API: ' "$1/log" &&
    curl --fail --silent --output /dev/null --max-time 2 --noproxy '*' "http://127.0.0.1:$2/minio/health/ready"
}

exports() {
  printf 'export %s\n' "DATALAKE_URL=http://127.0.0.1:$1" "AWS_ACCESS_KEY_ID=$user" "AWS_SECRET_ACCESS_KEY=$password" \
    AWS_REGION=us-east-1 "MINIO_PID=$2"
}

case ${1:-} in
  install) install ;;
  static)
    install >&2
    printf '%s\n' "$server"
    ;;
  start) start "${2:?minio.sh start DIR [OWNER]}" "${3:-}" ;;
  stop) stop "${2:?minio.sh stop PID}" ;;
  *) usage ;;
esac
