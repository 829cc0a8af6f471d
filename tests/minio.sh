#!/usr/bin/env bash
# A real MinIO server on loopback, for tests; no container needed.
#
#   minio.sh install             build the server into the cache, unless it is there
#   minio.sh start DIR [OWNER]   serve DIR on a free port, print shell exports and MINIO_PID;
#                                ends by itself when the process OWNER does
#   minio.sh stop PID            end a server that `start` began
#   minio.sh static              build a static server, unless it is there, and print its path: for images
#
# The server is built by the Go toolchain at a fixed version, once, into DATALAKE_TOOLS (by default below the
# user's cache folder, outside of any clone). Exit status 3: there is no Go to build it with.
set -euo pipefail

version=v0.0.0-20260212201848-7aac2a2c5b7c
tools=${DATALAKE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/tools/bin}
server=$tools/minio
static_server=$tools/minio-static
user=datalake-tests
password=datalake-tests-secret

say() { printf 'minio.sh: %s\n' "$*" >&2; }

# Builds the server into the file $1, unless it is there; further arguments are variables of the build.
build() {
  local into=$1
  if [ -x "$into" ]; then return; fi
  if ! command -v go >/dev/null; then
    say "no Go toolchain, so no MinIO; tests that need a server cannot run"
    exit 3
  fi
  mkdir -p "$tools"
  # Tests ask for it at once, and one build is enough.
  (
    flock 9
    if [ -x "$into" ]; then exit; fi
    say "building MinIO $version into $tools (some minutes, once)"
    # Built beside and moved, so that a build that is cut short leaves no half server.
    fresh=$(mktemp -d "$tools/build.XXXXXX")
    env "${@:2}" GOBIN="$fresh" nice -n 10 go install "github.com/minio/minio@$version"
    mv "$fresh/minio" "$into"
    rmdir "$fresh"
  ) 9>"$tools/lock"
}

install() { build "$server"; }

install_static() {
  build "$static_server" CGO_ENABLED=0 GOFLAGS='-trimpath "-ldflags=-s -w"' >&2
  printf '%s\n' "$static_server"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Whether the server at $1 answers, and its log $2 says that it is through with starting: until then it looks after
# the buckets that it found, and makes those again that were deleted meanwhile.
is_ready() {
  grep --quiet '^API: ' "$2" && curl --fail --silent --output /dev/null --max-time 2 --noproxy '*' "$1/minio/health/ready"
}

# Prints the server's process id if it answers on port $2.
try_port() {
  local dir=$1 port=$2 pid
  local console=$((port + 1))
  MINIO_ROOT_USER=$user MINIO_ROOT_PASSWORD=$password MINIO_UPDATE=off MINIO_CALLHOME_ENABLE=off MINIO_BROWSER=off \
    setsid nohup "$server" server "$dir/data" --address "127.0.0.1:$port" --console-address "127.0.0.1:$console" \
    >"$dir/log" 2>&1 </dev/null &
  pid=$!
  for _ in $(seq 1 300); do
    kill -0 "$pid" 2>/dev/null || return 1
    if is_ready "http://127.0.0.1:$port" "$dir/log"; then
      printf '%s\n' "$pid"
      return
    fi
    sleep 0.1
  done
  kill "$pid"
  return 1
}

# Ends the server when its owner is gone without having done so.
watch_over() {
  local pid=$1 owner=$2
  (
    while kill -0 "$owner" 2>/dev/null && kill -0 "$pid" 2>/dev/null; do sleep 1; done
    kill "$pid" 2>/dev/null || true
  ) >/dev/null 2>&1 </dev/null &
}

start() {
  local dir=$1 owner=${2:-} port pid
  install
  mkdir -p "$dir/data"
  for _ in $(seq 1 20); do
    port=$((20000 + RANDOM % 20000))
    if is_free "$port" && is_free "$((port + 1))" && pid=$(try_port "$dir" "$port"); then
      if [ -n "$owner" ]; then watch_over "$pid" "$owner"; fi
      printf 'export %s\n' "DATALAKE_URL=http://127.0.0.1:$port" "AWS_ACCESS_KEY_ID=$user" \
        "AWS_SECRET_ACCESS_KEY=$password" AWS_REGION=us-east-1 "MINIO_PID=$pid"
      return
    fi
  done
  say "the server did not start; its log ends with:"
  tail -n 5 "$dir/log" >&2
  exit 1
}

stop() {
  local pid=$1
  # Never another process that got the number meanwhile.
  [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(readlink -f "$server")" ] || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 1 50); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

case ${1:-} in
  install) install ;;
  static) install_static ;;
  start) start "${2:?minio.sh start DIR [OWNER]}" "${3:-}" ;;
  stop) stop "${2:?minio.sh stop PID}" ;;
  *)
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
    exit 2
    ;;
esac
