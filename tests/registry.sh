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

version=v0.22.1
tools=${DATALAKE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/tools/bin}
crane=$tools/crane

say() { printf 'registry.sh: %s\n' "$*" >&2; }

install() {
  if [ -x "$crane" ]; then return; fi
  if ! command -v go >/dev/null; then
    say "no Go toolchain, so no crane; tests that need a registry cannot run"
    exit 3
  fi
  mkdir -p "$tools"
  # Tests ask for it at once, and one build is enough.
  (
    flock 9
    if [ -x "$crane" ]; then exit; fi
    say "building crane $version into $tools (a minute, once)"
    # Built beside and moved, so that a build that is cut short leaves no half program.
    fresh=$(mktemp -d "$tools/build.XXXXXX")
    GOBIN=$fresh nice -n 10 go install "github.com/google/go-containerregistry/cmd/crane@$version"
    mv "$fresh/crane" "$crane"
    rmdir "$fresh"
  ) 9>"$tools/lock"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

is_ready() { curl --fail --silent --output /dev/null --max-time 2 --noproxy '*' "http://$1/v2/"; }

# Prints the registry's process id if it answers on port $2.
try_port() {
  local dir=$1 port=$2 pid
  setsid nohup "$crane" registry serve --address "127.0.0.1:$port" >"$dir/log" 2>&1 </dev/null &
  pid=$!
  for _ in $(seq 1 100); do
    kill -0 "$pid" 2>/dev/null || return 1
    if is_ready "127.0.0.1:$port"; then
      printf '%s\n' "$pid"
      return
    fi
    sleep 0.1
  done
  kill "$pid"
  return 1
}

# Ends the registry when its owner is gone without having done so.
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
  mkdir -p "$dir"
  for _ in $(seq 1 20); do
    port=$((20000 + RANDOM % 20000))
    if is_free "$port" && pid=$(try_port "$dir" "$port"); then
      if [ -n "$owner" ]; then watch_over "$pid" "$owner"; fi
      printf 'export %s\n' "DATALAKE_REGISTRY=127.0.0.1:$port" "CRANE=$crane" "REGISTRY_PID=$pid"
      return
    fi
  done
  say "the registry did not start; its log ends with:"
  tail -n 5 "$dir/log" >&2
  exit 1
}

stop() {
  local pid=$1
  # Never another process that got the number meanwhile.
  [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$(readlink -f "$crane")" ] || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 1 50); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

case ${1:-} in
  install) install ;;
  start) start "${2:?registry.sh start DIR [OWNER]}" "${3:-}" ;;
  stop) stop "${2:?registry.sh stop PID}" ;;
  *)
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
    exit 2
    ;;
esac
