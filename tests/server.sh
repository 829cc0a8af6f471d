# What the scripts of servers share, to be sourced by them: built once by Go, started on a free port of loopback, watched,
# stopped. Such a script says what it is, `me`, and has a function `install` that leaves the program `server`; for `start`
# it has
#   serve DIR PORT      becomes the server
#   is_ready DIR PORT   whether that answers, and is through with starting
#   exports PORT PID    prints shell exports that lead to it
# shellcheck shell=bash disable=SC2154

tools=${DATALAKE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/tools/bin}

say() { printf '%s.sh: %s\n' "$me" "$*" >&2; }

# Builds the program of the package $2, at its version, into the file $1, unless it is there; further arguments are
# variables of the build.
build() {
  local into=$1 package=$2 fresh program
  if [ -x "$into" ]; then return; fi
  if ! command -v go >/dev/null; then
    say "no Go toolchain to build it with; tests that need it cannot run"
    exit 3
  fi
  mkdir -p "$(dirname "$into")"
  # Tests ask for it at once, and one build is enough.
  (
    flock 9
    if [ -x "$into" ]; then exit; fi
    say "building $package into $tools (some minutes, once)"
    # Built beside and moved, so that a build that is cut short leaves no half program.
    fresh=$(mktemp -d "$tools/build.XXXXXX")
    env "${@:3}" GOBIN="$fresh" nice -n 10 go install "$package"
    program=$(echo "$fresh"/*)
    mv "$program" "$into"
    rmdir "$fresh"
  ) 9>"$tools/lock"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints the server's process id if it answers on port $2.
try_port() {
  local dir=$1 port=$2 pid
  # A program of its own session, so that what ends the caller by Ctrl-C does not end it in the middle of its work.
  (serve "$dir" "$port") >"$dir/log" 2>&1 </dev/null &
  pid=$!
  for _ in $(seq 1 300); do
    kill -0 "$pid" 2>/dev/null || return 1
    if is_ready "$dir" "$port"; then
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
  mkdir -p "$dir"
  for _ in $(seq 1 20); do
    port=$((20000 + RANDOM % 20000))
    if is_free "$port" && is_free "$((port + 1))" && pid=$(try_port "$dir" "$port"); then
      if [ -n "$owner" ]; then watch_over "$pid" "$owner"; fi
      exports "$port" "$pid"
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

# Prints the words at the top of a script, and ends.
usage() {
  sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
  exit 2
}
