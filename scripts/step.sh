#!/usr/bin/env bash
# Run one step under a headline and note how long it took.
#
#   scripts/step.sh --begin            forget earlier notes
#   scripts/step.sh NAME COMMAND...    run it; its exit code is this script's
#   scripts/step.sh --report           print the notes and their sum
set -uo pipefail
cd "$(dirname "$0")/.."
notes=.sandbox/steps.txt
mkdir -p .sandbox
case $1 in
--begin) : >"$notes" ;;
--report) awk -F '\t' '{ printf "    %6d s  %s\n", $1, $2; sum += $1 } END { printf "    %6d s  in all\n", sum }' "$notes" ;;
*)
    name=$1
    shift
    echo "==> $name"
    begun=$SECONDS
    code=0
    "$@" || code=$?
    printf '%d\t%s%s\n' $((SECONDS - begun)) "$name" "$([ $code -eq 0 ] || echo "  FAILED ($code)")" >>"$notes"
    if [ $code -eq 0 ]; then echo "    $name: $((SECONDS - begun)) s"; else echo "    $name: FAILED after $((SECONDS - begun)) s" >&2; fi
    exit $code
    ;;
esac
