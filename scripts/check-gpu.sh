#!/usr/bin/env bash
# Train, resume and predict on the GPUs of this machine, and print a table to paste into an issue; some minutes.
case ${BASH_VERSION:-0} in 0 | [1-3].* | 4.[0-3].*) echo "error: bash 4.4 or later is needed: brew install bash" >&2 && exit 1 ;; esac
set -euo pipefail

usage="usage: scripts/check-gpu.sh [IMAGE] [--cpu] [--HYPERPARAMETER=VALUE ...]

Without Docker, or in a container of IMAGE. --cpu takes processes on the CPU in place of GPUs, to try the check itself."

TORCH_INDEX_URL=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cu126}
# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/../local_test/environment.sh"

image=
case ${1:-} in
    -h | --help) echo "$usage" && exit ;;
    -* | "") ;;
    *) image=$1 && shift ;;
esac
reviews=$root/.cache/reviews.csv
[[ " $* " == *" --cpu "* ]] || nvidia-smi --list-gpus >&2 || fail "nvidia-smi lists no GPU; run this on a machine with one"
if [[ -n $image ]]; then
    check_image
    fetch_reviews "$reviews"
    # NCCL and the training processes share memory.
    exec docker run --rm "${docker_options[@]}" --ipc host --volume "$root/scripts:/scripts:ro" \
        --volume "$reviews:/reviews.csv:ro" "$image" python /scripts/check_gpu.py /reviews.csv "$@"
fi
make_venv container
install_torch
fetch_reviews "$reviews"
exec env PYTHONPATH="$root/code" "$venv/bin/python" "$root/scripts/check_gpu.py" "$reviews" "$@"
