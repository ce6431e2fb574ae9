#!/usr/bin/env bash
# Set up what the tests need, and run them all: linters, unit tests, the whole path through the real programs,
# and the image in a real Docker Engine. Prints what each part took. Arguments go to pytest: tests/run.sh tests/test_text.py -k real
set -euo pipefail

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local_test/environment.sh"
cd "$root"

# One thread: two programs with two threads each on two cores spend their time waiting for each other.
export OMP_NUM_THREADS=1

part() {
    local name=$1 start=$SECONDS
    shift
    "$@" || fail "$name failed"
    times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
    say "${times[-1]}"
}
set_up() {
    make_venv container jobs tests
    install_torch
    PATH=$venv/bin:$PATH
    find_java
    # Without nginx its tests are skipped, and fail if CI=true.
    install_nginx || true
    fetch_reviews "$root/.cache/reviews.csv"
}
lint_python() {
    ruff check --quiet && ruff format --check --quiet && mypy
}
lint_shell() {
    local scripts
    mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
    shellcheck --external-sources "${scripts[@]}" && shfmt --indent 4 --case-indent --diff "${scripts[@]}"
}

lint_others() {
    hadolint Dockerfile benchmarks/serving/*/Dockerfile && actionlint
}

# Most tests wait for one core. A file's tests stay together, for they share what they set up; four at most, for
# each may start a model server.
side_by_side=(--numprocesses auto --maxprocesses 4 --dist loadfile)

times=()
part "set-up" set_up
if (($#)); then
    exec pytest "$@"
fi
part "ruff and mypy" lint_python
part "shellcheck and shfmt" lint_shell
part "hadolint and actionlint" lint_others
part "unit tests" pytest --quiet "${side_by_side[@]}" --ignore tests/end_to_end --ignore tests/image
part "whole path" pytest --quiet "${side_by_side[@]}" --durations 20 tests/end_to_end
# Where serving fails, all of it does, and every test waits for it.
part "image" tests/image/run.sh --quiet "${side_by_side[@]}" --durations 20 --maxfail 5
printf '%s\n' "" "${times[@]}"
