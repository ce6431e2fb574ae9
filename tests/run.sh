#!/usr/bin/env bash
# Set up, lint and run all tests; prints the time of each part. Arguments select tests, as pytest takes them:
#     tests/run.sh tests/unit/sentiment/text -k contraction
case ${BASH_VERSION:-0} in 0 | [1-3].* | 4.[0-3].*) echo "error: bash 4.4 or later is needed: brew install bash" >&2 && exit 1 ;; esac
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
times=()
part() {
    local name=$1 start=$SECONDS
    "${@:2}" || {
        echo "error: $name failed" >&2
        exit 1
    }
    times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
    echo "${times[-1]}" >&2
}

part "set-up" scripts/setup
if (($#)); then
    exec scripts/test "$@"
fi
part "lint" scripts/lint
part "unit tests" scripts/test unit
part "end to end" scripts/test end-to-end
part "image" scripts/test-image
printf '%s\n' "" "${times[@]}"
