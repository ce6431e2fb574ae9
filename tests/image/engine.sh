#!/usr/bin/env bash
# A Docker Engine, a base image and an ECR for the tests of the image, on a bare Debian machine, as root.
set -euo pipefail

usage="usage: tests/image/engine.sh start | env | stop

start   installs missing packages, starts an engine and a registry, makes the stand-in base image
env     prints the variables for programs that use them:  eval \"\$(tests/image/engine.sh env)\"
stop    stops both; images and downloads stay in ENGINE_DIR

ENGINE_DIR   where images and downloads are kept (default: .cache/engine in the project)"

# The real host name of an ECR registry in moto's account; /etc/hosts points it at the local registry.
ecr_host=123456789012.dkr.ecr.us-east-1.amazonaws.com
base_image=stand-in:bookworm

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=${ENGINE_DIR:-$root/.cache/engine}
# Sockets have short paths: not below the project.
run=/run/image-tests-$(cksum <<<"$dir" | cut -d' ' -f1)
export DOCKER_HOST=unix://$run/docker.sock
# Debian's client comes first: a newer one without buildx would build without BuildKit.
python=$(command -v python3)
export PATH=/usr/bin:$PATH

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

install_packages() {
    local missing=() package
    for package in docker.io iptables debootstrap docker-compose docker-registry; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    apt-get update -qq
    # The packages' own services would conflict with the ones started here.
    DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 RUNLEVEL=1 \
        apt-get install -qq -y --no-install-recommends "${missing[@]}" >"$dir/apt.log" 2>&1 ||
        fail "the packages could not be installed; see $dir/apt.log"
}

# start_process NAME COMMAND...: in the background, in a session of its own, with its log in ENGINE_DIR.
start_process() {
    local name=$1
    shift
    if [[ -e $run/$name.pid ]] && kill -0 "$(cat "$run/$name.pid")" 2>/dev/null; then return; fi
    setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
    echo $! >"$run/$name.pid"
}

# wait_for WHAT LOG COMMAND...: up to a minute.
wait_for() {
    local what=$1 log=$2
    shift 2
    for _ in {1..120}; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.5
    done
    tail -n 20 "$log" >&2
    fail "$what does not answer; the end of $log is above"
}

start_engine() {
    rm -f "$run/dockerd.own.pid"
    start_process dockerd dockerd --data-root "$dir/docker" --exec-root "$run/exec" --host "$DOCKER_HOST" \
        --pidfile "$run/dockerd.own.pid" --insecure-registry "$ecr_host"
    wait_for "the Docker Engine" "$dir/dockerd.log" docker info
}

start_registry() {
    grep -qF "$ecr_host" /etc/hosts || echo "127.0.0.1 $ecr_host" >>/etc/hosts
    cat >"$dir/registry.yml" <<YAML
version: 0.1
storage:
  filesystem: {rootdirectory: $dir/registry}
http: {addr: "127.0.0.1:80"}
YAML
    start_process registry docker-registry serve "$dir/registry.yml"
    wait_for "the registry" "$dir/registry.log" bash -c ': </dev/tcp/127.0.0.1/80'
    kill -0 "$(cat "$run/registry.pid")" 2>/dev/null || fail "port 80 is taken by another program"
}

# Debian from debootstrap, with the pip settings of this machine.
make_base_image() {
    docker image inspect "$base_image" >/dev/null 2>&1 && return
    if [[ ! -s $dir/bookworm.tar ]]; then
        say "making a Debian root file system (a minute)"
        rm -rf "$dir/rootfs"
        debootstrap --variant=minbase --include=ca-certificates bookworm "$dir/rootfs" >"$dir/debootstrap.log" 2>&1 ||
            fail "debootstrap failed; see $dir/debootstrap.log"
        rm -rf "$dir"/rootfs/var/cache/apt/archives/*.deb "$dir"/rootfs/var/lib/apt/lists/*
        tar -C "$dir/rootfs" -c . >"$dir/bookworm.part"
        mv "$dir/bookworm.part" "$dir/bookworm.tar"
        rm -rf "$dir/rootfs"
    fi
    docker import "$dir/bookworm.tar" "$base_image-bare" >/dev/null
    local context=$dir/base
    rm -rf "$context"
    mkdir -p "$context/files"
    printf 'FROM %s\nCOPY files /\n' "$base_image-bare" >"$context/Dockerfile"
    copy_pip_settings "$context"
    DOCKER_BUILDKIT=1 docker build --quiet --tag "$base_image" "$context" >/dev/null
    rm -rf "$context"
}

# copy_pip_settings CONTEXT: the certificates and folders of wheels that pip uses here, at the same paths.
copy_pip_settings() {
    local context=$1 bundle=/etc/ssl/certs/ca-certificates.crt folder links=()
    install -D "${PIP_CERT:-$bundle}" "$context/files$bundle"
    echo "ENV PIP_CERT=$bundle" >>"$context/Dockerfile"
    for folder in $("$python" -m pip config list | sed -n "s/.*find-links='\(.*\)'/\1/p" | sort -u); do
        [[ -d $folder ]] || continue
        mkdir -p "$context/files$folder"
        cp -a "$folder/." "$context/files$folder/"
        links+=("$folder")
    done
    ((${#links[@]} == 0)) || echo "ENV PIP_FIND_LINKS=\"${links[*]}\"" >>"$context/Dockerfile"
}

start() {
    ((EUID == 0)) || fail "this installs packages and starts an engine: run it as root"
    mkdir -p "$dir" "$run"
    install_packages
    start_engine
    start_registry
    make_base_image
}

stop() {
    local name pid
    for name in registry dockerd; do
        [[ -e $run/$name.pid ]] || continue
        pid=$(cat "$run/$name.pid")
        kill "$pid" 2>/dev/null || true
        for _ in {1..60}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.5
        done
    done
    rm -rf "$run"
    # In place: in a container the file may be mounted.
    local hosts
    hosts=$(grep -vF "$ecr_host" /etc/hosts)
    echo "$hosts" >/etc/hosts
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    env)
        echo "export DOCKER_HOST=$DOCKER_HOST BASE_IMAGE=$base_image TORCH_INDEX_URL= ECR_HOST=$ecr_host PATH=/usr/bin:\$PATH"
        ;;
    -h | --help) echo "$usage" ;;
    *) fail "$usage" ;;
esac
