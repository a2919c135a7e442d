#!/usr/bin/env bash
# Run pytest on those of the given folders that exist; none at all is no failure.
set -euo pipefail
shopt -s globstar
cd "$(dirname "$0")/.."
folders=()
for folder in "$@"; do
    if compgen -G "$folder/**/test_*.py" >/dev/null || compgen -G "$folder/test_*.py" >/dev/null; then folders+=("$folder"); fi
done
if [ ${#folders[@]} -eq 0 ]; then
    echo "    (nothing there yet: $*)"
    exit 0
fi
exec "${PY:-.venv/bin/python}" -m pytest -q ${PYTEST_ARGS:-} "${folders[@]}"
