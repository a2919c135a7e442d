#!/usr/bin/env bash
# Make sure that something is there, installing Debian's packages for it when this may be done.
#
#   scripts/need.sh TEST PACKAGE...     TEST is a command that succeeds when nothing is missing
set -euo pipefail
test=$1
shift
there() { bash -c "$test" >/dev/null 2>&1 </dev/null; }
if there; then exit 0; fi

become=""
if [ "$(id -u)" -ne 0 ]; then become="sudo -n"; fi
if ! command -v apt-get >/dev/null || { [ -n "$become" ] && ! sudo -n true 2>/dev/null; }; then
    echo "Missing here, and cannot be installed from here: $* (Debian's names; wanted: $test)" >&2
    echo "Please install it; on Debian: sudo apt-get install $*" >&2
    exit 1
fi
echo "==> installing $*"
export DEBIAN_FRONTEND=noninteractive
install="$become apt-get install --yes --quiet --no-install-recommends"
# A fresh machine has no package list yet, an old one a list of files long gone: fetch it and try once more.
$install "$@" </dev/null >/dev/null 2>&1 || { $become apt-get update --quiet </dev/null && $install "$@" </dev/null; }
there || {
    echo "Installed $*, but this still fails: $test" >&2
    exit 1
}
