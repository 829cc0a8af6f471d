#!/usr/bin/env bash
# A real versitygw server on loopback, for tests: S3 in front of a folder; no container needed.
#
#   versitygw.sh install             build the server into the cache, unless it is there
#   versitygw.sh static              the same, and print its path: for images
#   versitygw.sh start DIR [OWNER]   serve DIR on a free port, print shell exports and VERSITYGW_PID;
#                                    ends by itself when the process OWNER does
#   versitygw.sh stop PID            end a server that `start` began
#
# The server is built by the Go toolchain at a fixed version, once, into DATALAKE_TOOLS (by default below the
# user's cache folder, outside of any clone). Exit status 3: there is no Go to build it with.
set -euo pipefail

me=versitygw
# shellcheck source=tests/server.sh
source "$(dirname "$0")/server.sh"
server=$tools/static/versitygw
user=datalake-tests
password=datalake-tests-secret

install() { build "$server" github.com/versity/versitygw/cmd/versitygw@v1.8.0 CGO_ENABLED=0; }

serve() {
  mkdir -p "$1/data" "$1/iam"
  export ROOT_ACCESS_KEY=$user ROOT_SECRET_KEY=$password
  exec setsid "$server" --port "127.0.0.1:$2" --iam-dir "$1/iam" posix "$1/data"
}

# Without a signature the answer is a refusal, which does as well.
is_ready() { curl --silent --output /dev/null --max-time 2 --noproxy '*' "http://127.0.0.1:$2/"; }

exports() {
  printf 'export %s\n' "DATALAKE_URL=http://127.0.0.1:$1" "AWS_ACCESS_KEY_ID=$user" "AWS_SECRET_ACCESS_KEY=$password" \
    AWS_REGION=us-east-1 "VERSITYGW_PID=$2"
}

case ${1:-} in
  install) install ;;
  static)
    install >&2
    printf '%s\n' "$server"
    ;;
  start) start "${2:?versitygw.sh start DIR [OWNER]}" "${3:-}" ;;
  stop) stop "${2:?versitygw.sh stop PID}" ;;
  *) usage ;;
esac
