#!/usr/bin/env bash
# Measure what the README states; those named last need Docker and an image from build_and_push.sh.
set -euo pipefail

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local_test/environment.sh"

usage="usage: benchmarks/run.sh preprocessing | training | memory | quality FOLDER |
    objectives FOLDER | prediction | serving | soak | serverless | fuzz
quality, objectives, serving, soak, serverless and fuzz tell their options by --help"

name=${1:-}
case $name in
    preprocessing | training | memory | quality | objectives | prediction | serving | soak | serverless | fuzz) ;;
    *) fail "$usage" ;;
esac
make_venv container tests
install_torch
fetch_reviews "$root/.cache/reviews.csv"
PYTHONPATH=$root/code:$root:$root/tests exec "$venv/bin/python" -m "benchmarks.$name" "${@:2}"
