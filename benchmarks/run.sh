#!/usr/bin/env bash
# Measure what the README states: benchmarks/run.sh preprocessing | training | memory | settings | quality [FOLDER]
set -euo pipefail

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local_test/environment.sh"

[[ -f $root/benchmarks/${1:-}.py ]] || fail "usage: benchmarks/run.sh preprocessing | training | memory | settings | quality [FOLDER]"
make_venv container tests
install_torch
fetch_reviews "$root/.cache/reviews.csv"
name=$1
shift
PYTHONPATH=$root/code exec "$venv/bin/python" "$root/benchmarks/$name.py" "$@"
