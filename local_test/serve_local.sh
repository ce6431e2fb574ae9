#!/usr/bin/env bash
# Serve the model in test_dir as SageMaker does, on this machine: the same program, on port 8080.
case ${BASH_VERSION:-0} in 0 | [1-3].* | 4.[0-3].*) echo "error: bash 4.4 or later is needed: brew install bash" >&2 && exit 1 ;; esac
set -euo pipefail

usage="usage: local_test/serve_local.sh [--model FOLDER | IMAGE]

Serves the model that train_local.sh trained, until Ctrl-C: without Docker, or in a container of IMAGE.
--model FOLDER is a model package, instead of code/sentiment. SAGEMAKER_BIND_TO_PORT sets another port than 8080."

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

case ${1:-} in
    -h | --help)
        echo "$usage"
        exit
        ;;
    --model)
        use_model "${2:-}"
        shift 2
        ;;
esac
[[ $# == 0 || ($# == 1 && -z $model_folder && $1 != -*) ]] || fail "unexpected arguments: $*
$usage"
image=${1:-}
port=${SAGEMAKER_BIND_TO_PORT:-8080}
next="when the model is loaded, in another terminal:  $root/local_test/predict.sh $root/local_test/payload.json"

if [[ -n $image ]]; then
    check_image
    say "$next"
    # Read-only, as SageMaker mounts it.
    exec docker run --rm "${docker_options[@]}" --publish "$port:8080" --volume "$test_dir/model:/opt/ml/model:ro" \
        "$image" serve
fi
make_venv container
install_torch
install_model
find_java
install_package nginx || exit
say "$next"
exec env "${model_environment[@]}" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 SAGEMAKER_BASE_DIR="$test_dir" \
    "$venv/bin/python" "$root/container/serve"
