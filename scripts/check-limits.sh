#!/usr/bin/env bash
# Serve a model under each limit of Docker: it must serve, or end with the remedy in its last line.
set -euo pipefail

usage="usage: scripts/check-limits.sh IMAGE MODEL_FOLDER [DOCKER_OPTION ...] >benchmarks/results/limits.json

MODEL_FOLDER   the files of model.tar.gz
DOCKER_OPTION  for every container, for example
               -e MODEL_PACKAGE=tests.support.toy -v \$PWD/tests:/opt/program/model/tests:ro"

[[ $# -ge 2 && $1 != -* ]] || { echo "$usage" >&2 && exit 2; }
image=$1 model=$(realpath "$2")
large=$(mktemp)
trap 'rm -f "$large"' EXIT
python3 -c 'print("good film " * 20_000)' >"$large"
common=(-v "$model:/opt/ml/model:ro" "${@:3}")

cases=("" "--cap-drop ALL" "--cap-drop SETUID --cap-drop SETGID" "--user 1000" "--read-only" "--read-only --tmpfs /tmp"
    "--pids-limit 50" "--pids-limit 100" "--memory 256m" "--memory 512m" "-e PATH=/usr/bin -e PYTHONPATH=/opt/ml/code"
    "--sysctl net.ipv6.conf.all.disable_ipv6=1")
for name in AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID \
    SYS_CHROOT; do
    cases+=("--cap-drop $name")
done

# state CONTAINER: running or exited.
state() { docker inspect -f '{{.State.Status}}' "$1"; }
address() { docker inspect -f '{{.NetworkSettings.IPAddress}}' "$1"; }

rows=()
for options in "${cases[@]}"; do
    # shellcheck disable=SC2086  # several options
    container=$(docker run -d "${common[@]}" $options "$image" serve)
    start=$SECONDS healthy=false body=0
    until [[ $healthy = true || $(state "$container") = exited || $((SECONDS - start)) -gt 120 ]]; do
        curl -sfm 2 "http://$(address "$container"):8080/ping" >/dev/null && healthy=true
        sleep 0.5
    done
    seconds=$((SECONDS - start))
    [[ $healthy = false ]] || body=$(curl -sm 60 -o /dev/null -w '%{http_code}' -H "Content-Type: text/plain" \
        --data-binary "@$large" "http://$(address "$container"):8080/invocations") || true
    [[ $(state "$container") = exited ]] || docker stop -t 30 "$container" >/dev/null
    code=$(docker inspect -f '{{.State.ExitCode}}' "$container")
    log=$(docker logs "$container" 2>&1)
    rows+=("$(python3 -c 'import json, sys; o, h, b, s, c = sys.argv[1:]; log = sys.stdin.read().strip(); print(json.dumps({
        "options": o, "healthy": h == "true", "large_body": int(b), "seconds": int(s), "exit_code": int(c),
        "tracebacks": log.count("Traceback"), "log_bytes": len(log), "last_line": log.rpartition("\n")[2][:400]}))' \
        "$options" "$healthy" "$body" "$seconds" "$code" <<<"$log")")
    echo "${rows[-1]}" >&2
    docker rm -f "$container" >/dev/null
done
machine=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
printf '{"command": "scripts/check-limits.sh IMAGE MODEL_FOLDER %s", "date": "%s", "processor": "%s, %s cores", "cases": [\n' \
    "${*:3}" "$(date -u +%F)" "$machine" "$(nproc)"
(IFS=$'\n' && echo "${rows[*]}" | sed '$!s/$/,/')
printf ']}\n'
