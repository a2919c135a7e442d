#!/usr/bin/env bash
# Make sure that a program exists, installing Debian's package for it when this may be done.
#
#   scripts/need.sh PROGRAM PACKAGE... 
set -euo pipefail
program=$1
shift
if command -v "$program" >/dev/null; then exit 0; fi

become=""
if [ "$(id -u)" -ne 0 ]; then become="sudo -n"; fi
if ! command -v apt-get >/dev/null || { [ -n "$become" ] && ! sudo -n true 2>/dev/null; }; then
    echo "'$program' is missing and cannot be installed from here. Please install it; on Debian: sudo apt-get install $*" >&2
    exit 1
fi
echo "==> installing $* (for '$program')"
export DEBIAN_FRONTEND=noninteractive
install="$become apt-get install --yes --quiet --no-install-recommends"
# A fresh machine has no package list yet, an old one a list of files long gone: fetch it and try once more.
$install "$@" </dev/null >/dev/null 2>&1 || { $become apt-get update --quiet </dev/null && $install "$@" </dev/null; }
command -v "$program" >/dev/null
