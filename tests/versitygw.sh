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

version=v1.8.0
tools=${DATALAKE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/tools/bin}
server=$tools/static/versitygw
user=datalake-tests
password=datalake-tests-secret

say() { printf 'versitygw.sh: %s\n' "$*" >&2; }

build() {
  if [ -x "$server" ]; then return; fi
  if ! command -v go >/dev/null; then
    say "no Go toolchain, so no versitygw; tests that need a server cannot run"
    exit 3
  fi
  mkdir -p "$(dirname "$server")"
  # Tests ask for it at once, and one build is enough.
  (
    flock 9
    if [ -x "$server" ]; then exit; fi
    say "building versitygw $version into $tools (some minutes, once)"
    # Built beside and moved, so that a build that is cut short leaves no half server.
    fresh=$(mktemp -d "$tools/build.XXXXXX")
    GOBIN=$fresh CGO_ENABLED=0 nice -n 10 go install "github.com/versity/versitygw/cmd/versitygw@$version"
    mv "$fresh/versitygw" "$server"
    rmdir "$fresh"
  ) 9>"$tools/lock"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Whether the server at $1 answers; without a signature that is a refusal, which does as well.
is_ready() { curl --silent --output /dev/null --max-time 2 --noproxy '*' "$1/"; }

# Prints the server's process id if it answers on port $2.
try_port() {
  local dir=$1 port=$2 pid
  ROOT_ACCESS_KEY=$user ROOT_SECRET_KEY=$password \
    setsid nohup "$server" --port "127.0.0.1:$port" --iam-dir "$dir/iam" posix "$dir/data" \
    >"$dir/log" 2>&1 </dev/null &
  pid=$!
  for _ in $(seq 1 300); do
    kill -0 "$pid" 2>/dev/null || return 1
    if is_ready "http://127.0.0.1:$port"; then
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
  build
  mkdir -p "$dir/data" "$dir/iam"
  for _ in $(seq 1 20); do
    port=$((20000 + RANDOM % 20000))
    if is_free "$port" && pid=$(try_port "$dir" "$port"); then
      if [ -n "$owner" ]; then watch_over "$pid" "$owner"; fi
      printf 'export %s\n' "DATALAKE_URL=http://127.0.0.1:$port" "AWS_ACCESS_KEY_ID=$user" \
        "AWS_SECRET_ACCESS_KEY=$password" AWS_REGION=us-east-1 "VERSITYGW_PID=$pid"
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
  install) build ;;
  static) build && printf '%s\n' "$server" ;;
  start) start "${2:?versitygw.sh start DIR [OWNER]}" "${3:-}" ;;
  stop) stop "${2:?versitygw.sh stop PID}" ;;
  *)
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
    exit 2
    ;;
esac
