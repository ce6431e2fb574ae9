#!/usr/bin/env bash
# Serve the model of test_dir as SageMaker does, on this machine: the same program, on port 8080.
set -euo pipefail

usage="usage: local_test/serve_local.sh

Serves what train_local.sh trained, without Docker, until Ctrl-C.
SAGEMAKER_BIND_TO_PORT sets another port than 8080."

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if (($#)); then
    echo "$usage"
    [[ $1 == -h || $1 == --help ]]
    exit
fi

make_venv container
find_java
say "once the model is loaded, in another terminal:  $root/local_test/predict.sh $root/local_test/payload.json"
exec env PYTHONPATH="$root/code" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 SAGEMAKER_BASE_DIR="$test_dir" \
    "$venv/bin/python" "$root/container/serve"
