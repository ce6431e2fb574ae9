#!/usr/bin/env bash
# Run a benchmark; its results go to benchmarks/results/.
case ${BASH_VERSION:-0} in 0 | [1-3].* | 4.[0-3].*) echo "error: bash 4.4 or later is needed: brew install bash" >&2 && exit 1 ;; esac
set -euo pipefail

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local_test/environment.sh"

usage="usage: benchmarks/run.sh accuracy FOLDER [RUN_SPEC ...] | training | memory | threads | preprocessing |
    prediction | serving | soak | serverless | fuzz [OPTION ...]
The last four need Docker and an image from build_and_push.sh. All but memory, threads and preprocessing have --help."

case ${1:-} in
    accuracy | training | serving) module=benchmarks.$1 ;;
    memory | threads) module=benchmarks.training.$1 ;;
    preprocessing | prediction) module=benchmarks.inference.$1 ;;
    soak | serverless) module=benchmarks.serving.$1 ;;
    fuzz) module=tests.image.fuzz_benchmark ;;
    *) fail "$usage" ;;
esac
make_venv container tests
install_torch
find_java
fetch_reviews "$root/.cache/reviews.csv"
PYTHONPATH=$root/code:$root exec "$venv/bin/python" -m "$module" "${@:2}"
