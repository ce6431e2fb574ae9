#!/usr/bin/env bash
# Train as SageMaker does, on this machine: the same program over test_dir in the layout of /opt/ml.
set -euo pipefail

usage="usage: local_test/train_local.sh [IMAGE] [--data DIR] [--unlabeled DIR] [--pretrained DIR]
    [--HYPERPARAMETER VALUE ...]

Trains on 25,000 IMDb reviews, or on those in DIR: without Docker, or in a container of IMAGE.
  local_test/train_local.sh --epochs 2 --hidden_dim 64
  local_test/train_local.sh --data ~/aclImdb
  local_test/train_local.sh --data ~/aclImdb --unlabeled ~/aclImdb --preset best
  local_test/train_local.sh sentiment --epochs 2"

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

channel=$test_dir/input/data/training

# The channel is a folder with what is fetched, or a link to the user's own. A folder that holds anything else is not
# ours to remove.
prepare_channel() {
    mkdir -p "$test_dir/input/data"
    if [[ -z $data ]]; then
        [[ -L $channel ]] && rm "$channel"
        make_venv
        fetch_reviews "$channel/reviews.csv"
        return
    fi
    if [[ -d $channel && ! -L $channel ]]; then
        rm -f "$channel/reviews.csv"
        rmdir "$channel" 2>/dev/null || fail "$channel holds files of yours; move them, or leave out --data"
    fi
    ln -sfn "$data" "$channel"
}

# link_channel NAME: to the folder that was given, or to none.
link_channel() {
    local link=$test_dir/input/data/$1
    [[ -L $link ]] && rm "$link"
    [[ -z ${given[$1]:-} ]] || ln -sn "${given[$1]}" "$link" ||
        fail "$link holds files of yours; move them, or leave out --$1"
}

train_here() {
    env PATH="$venv/bin:$PATH" PYTHONPATH="$root/code" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
        SAGEMAKER_BASE_DIR="$test_dir" SAGEMAKER_TRAINING_MODULE=train:main train "$@"
}

train_in_image() {
    # The container runs as root, as on SageMaker; what it leaves is to be the caller's.
    written=(/opt/ml/model /opt/ml/output)
    [[ ! -d $test_dir/checkpoints ]] || written+=(/opt/ml/checkpoints)
    trap 'docker run --rm --volume "$test_dir:/opt/ml" "$image" \
        chown -R "$(id -u):$(id -g)" "${written[@]}"' EXIT
    local volumes=(--volume "$test_dir:/opt/ml" --volume "$(readlink -f "$channel"):/opt/ml/input/data/training:ro")
    local name
    for name in "${!given[@]}"; do
        volumes+=(--volume "${given[$name]}:/opt/ml/input/data/$name:ro")
    done
    docker run --rm "${docker_options[@]}" "${volumes[@]}" "$image" train "$@"
}

image=
if (($#)) && [[ $1 != -* ]]; then
    image=$1
    shift
fi
data=
declare -A given=() # the folders of the other channels
hyperparameters=()
while (($#)); do
    case $1 in
        -h | --help)
            echo "$usage"
            exit
            ;;
        --data)
            [[ -d ${2:-} ]] || fail "--data: ${2:-} is not a folder"
            data=$(cd "$2" && pwd)
            shift 2
            ;;
        --unlabeled | --pretrained)
            [[ -d ${2:-} ]] || fail "$1: ${2:-} is not a folder"
            given[${1#--}]=$(cd "$2" && pwd)
            shift 2
            ;;
        --data=* | --unlabeled=* | --pretrained=*) fail "write ${1%%=*} DIR, with a space" ;;
        --*)
            hyperparameters+=("$1")
            shift
            if [[ ${hyperparameters[-1]} != *=* ]] && (($#)); then
                hyperparameters+=("$1")
                shift
            fi
            ;;
        *) fail "unexpected $1
$usage" ;;
    esac
done

if [[ -n $image ]]; then
    check_image
else
    make_venv container
    install_torch
fi
prepare_channel
link_channel unlabeled
link_channel pretrained
# An earlier model stays until a new one replaces it: a mistake should not cost it.
rm -rf "$test_dir/output"
mkdir -p "$test_dir/model" "$test_dir/output"

if [[ -n $image ]]; then
    train_in_image ${hyperparameters[@]+"${hyperparameters[@]}"}
else
    train_here ${hyperparameters[@]+"${hyperparameters[@]}"}
fi

say "
model:        $test_dir/model
metrics:      $test_dir/output/data/metrics.json
predictions:  $test_dir/output/data/predictions.csv
report:       $test_dir/output/data/report.html
next:         $root/local_test/serve_local.sh${image:+ $image}"
