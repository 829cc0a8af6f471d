#!/usr/bin/env bash
# An image with Python, scikit-learn, NumPy, pandas and PyArrow, for the tests' pods; no container engine needed.
#
#   python-image.sh OUT.tar      copy the image to OUT.tar; build it first, unless it is in the cache
#   python-image.sh name         print the image's name
#
# Debian's base system and its Python come from Debian's mirror, the libraries from PyPI, in the versions that
# tests/python/requirements.txt fixes. The cache is DATALAKE_KUBE, by default below the user's cache folder. Exit
# status 3: it cannot be built here, which needs root, debootstrap (installed when missing) and pip.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${DATALAKE_KUBE:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/kube}
suite=bookworm
version=3.11 # what that release of Debian has
name=localhost/python:$version
libraries=(numpy pandas pyarrow scikit-learn)
requirements=$here/python/requirements.txt

say() { printf 'python-image.sh: %s\n' "$*" >&2; }
cannot() {
  printf '\n*** python-image.sh: the image of Python cannot be built here: %s ***\n\n' "$*" >&2
  exit 3
}

# Whatever changes the image changes its name in the cache.
key() {
  {
    cat "$here/python-image.sh" "$here/image_of_folder.py"
    for library in "${libraries[@]}"; do grep "^$library==" "$requirements"; done
  } | sha256sum | cut -c1-16
}

require() {
  [ "$(id -u)" = 0 ] || cannot "not root"
  python3 -m pip --version >/dev/null 2>&1 || cannot "python3 has no pip"
  if command -v debootstrap >/dev/null; then return; fi
  command -v apt-get >/dev/null || cannot "there is neither debootstrap nor apt-get to install it with"
  apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends debootstrap >&2 ||
    cannot "debootstrap could not be installed"
}

# Removes what differs from build to build, what only an installation needs, and what no program reads.
prune() {
  local root=$1
  rm -rf "${root:?}"/var/{cache,log,lib/apt,lib/dpkg,lib/systemd}/* "$root"/usr/share/{doc,info,locale,man,lintian}/* \
    "${root:?}"/{tmp,run,dev,proc,sys}/* "$root"/etc/{machine-id,hostname,resolv.conf} "$root"/etc/*- \
    "$root"/debootstrap
  find "$root" -name __pycache__ -type d -prune -exec rm -rf {} +
}

build() {
  local out=$1 root=$2/root
  local packages=$root/usr/local/lib/python$version/dist-packages
  debootstrap --variant=minbase --include=python3 "$suite" "$root" >"$2/log" 2>&1 || {
    tail -n 20 "$2/log" >&2
    exit 1
  }
  prune "$root"
  # For the image's Python, which need not be the one that runs pip.
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --no-warn-conflicts --no-compile --target "$packages" \
    --only-binary=:all: --implementation cp --python-version "$version" --platform "manylinux_2_28_$(uname -m)" \
    --platform "manylinux2014_$(uname -m)" --constraint "$requirements" "${libraries[@]}"
  rm -rf "${packages:?}"/{bin,pyarrow/include,joblib/test}
  # A third of all files, which take their time to be unpacked and removed. NumPy imports some of its own.
  find "$packages" -name tests -type d -not -path '*/numpy/_core/*' -prune -exec rm -rf {} +
  find "$packages" -type f -regex '.*\.\(a\|c\|h\|hpp\|pxd\|pyi\|pyx\)' -delete
  # Compiled here, because pods may not write; not by time, which is 0 for all.
  chroot "$root" env SOURCE_DATE_EPOCH=0 "python$version" -m compileall -q --invalidation-mode unchecked-hash \
    "/usr/lib/python$version" /usr/lib/python3 "/usr/local/lib/python$version" >"$2/log" 2>&1 || {
    tail -n 20 "$2/log" >&2
    exit 1
  }
  "$here/image_of_folder.py" --name "$name" --out "$out" --env PYTHONDONTWRITEBYTECODE=1 "$root" python3
}

image() {
  local out=$1 cached
  cached=$cache/python-$(key).tar
  mkdir -p "$cache"
  # Tests ask for it at once, and one build is enough.
  (
    flock 9
    if [ -s "$cached" ]; then exit; fi
    require
    say "building $name into $cache (some minutes, once)"
    scratch=$(mktemp -d "$cache/python.XXXXXX")
    # debootstrap leaves /proc mounted when it is cut short.
    trap 'umount -q "$scratch/root/proc" || true; rm -rf --one-file-system "$scratch"' EXIT
    # Processes of the chroot must not hold the lock.
    build "$cached" "$scratch" 9>&-
  ) 9>"$cache/python.lock"
  cp --reflink=auto "$cached" "$out.new"
  mv "$out.new" "$out"
}

case ${1:-} in
  '' | -*)
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
    exit 2
    ;;
  name) printf '%s\n' "$name" ;;
  *) image "$1" ;;
esac
