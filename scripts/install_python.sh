#!/usr/bin/env bash
# Make a virtual environment and install locked, hash-checked packages into it.
#
#   scripts/install_python.sh PYTHON FOLDER LOCK...
#
# uv installs (it is pinned in requirements-dev.txt and takes seconds where pip takes half a minute, most of it for
# msgraph-sdk's many files). Where uv cannot reach a package index, pip does the same work with its own settings.
# Nothing is byte-compiled: the Graph SDK alone would take minutes, and is imported only in parts.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 folder=$2
shift 2
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=

locks=()
for lock in "$@"; do locks+=(-r "$lock"); done

if ! "$folder/bin/python" -c '' 2>/dev/null || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "==> virtual environment $folder ($("$python" --version))"
    rm -rf "$folder"
    scripts/need.sh "$python -c 'import ensurepip, venv'" python3-venv
    "$python" -m venv "$folder"
fi

tool_lock=$(mktemp)
trap 'rm -f "$tool_lock"' EXIT
awk '/^[^ ]/ { mine = /^uv==/ } mine' requirements-dev.txt >"$tool_lock"
wanted=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$tool_lock")
if [ "$("$folder/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" != "$wanted" ]; then
    echo "==> uv $wanted"
    "$folder/bin/python" -m pip install --quiet --no-compile --require-hashes -r "$tool_lock"
fi

# uv does not read pip's settings: hand over an index configured there, unless uv has settings of its own.
index=${PIP_INDEX_URL:-$("$folder/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX=$index; fi
export UV_LINK_MODE=${UV_LINK_MODE:-copy} UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-120}

echo "==> packages of $* into $folder"
if ! VIRTUAL_ENV=$PWD/$folder "$folder/bin/uv" pip install --require-hashes "${locks[@]}"; then
    echo "==> uv could not; trying pip (slower)"
    "$folder/bin/python" -m pip install --no-compile --progress-bar on --require-hashes "${locks[@]}"
fi
