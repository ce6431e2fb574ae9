#!/usr/bin/env bash
# Test the image in a real Docker Engine.
set -euo pipefail

usage="usage: tests/image/run.sh [PYTEST_ARGUMENT ...]

Uses the engine that answers. Where none does, starts one of its own (as root, on Debian) and ends it afterwards.
PYTHON names the interpreter that has the packages of tests/requirements.txt (default: the one in .venv)."

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    echo "$usage"
    exit
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
engine=$root/tests/image/engine.sh
cd "$root"

if ! docker version >/dev/null 2>&1; then
    if ((EUID == 0)) && command -v apt-get >/dev/null; then
        trap '"$engine" stop' EXIT
        "$engine" start
        eval "$("$engine" env)"
    else
        echo "no Docker Engine answers, and only root on Debian can be given one: the image was not tested" >&2
        [[ ${CI:-} != true ]]
        exit
    fi
fi
"${PYTHON:-$root/.venv/bin/python}" -m pytest tests/image "$@"
