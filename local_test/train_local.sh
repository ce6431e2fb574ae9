#!/usr/bin/env bash
# Train as SageMaker does, on this machine: the same program over test_dir in the layout of /opt/ml.
set -euo pipefail

usage="usage: local_test/train_local.sh [--data DIR] [--HYPERPARAMETER VALUE ...]

Trains on 25,000 IMDb reviews, or on those in DIR, without Docker.
  local_test/train_local.sh --epochs 2 --hidden_dim 64
  local_test/train_local.sh --data ~/aclImdb"

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

data=
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
        --data=*) fail "write --data DIR, with a space" ;;
        --*)
            hyperparameters+=("$@")
            break
            ;;
        *) fail "unexpected $1
$usage" ;;
    esac
done

make_venv container

channel=$test_dir/input/data/training
mkdir -p "$test_dir/input/data"
if [[ -n $data ]]; then
    # The channel becomes a link; a folder that holds anything but what is fetched is not ours to remove.
    if [[ -d $channel && ! -L $channel ]]; then
        rm -f "$channel/reviews.csv"
        rmdir "$channel" 2>/dev/null || fail "$channel holds files of yours; move them, or leave out --data"
    fi
    ln -sfn "$data" "$channel"
else
    [[ -L $channel ]] && rm "$channel"
    fetch_reviews "$channel/reviews.csv"
fi
rm -rf "$test_dir/model" "$test_dir/output"
mkdir -p "$test_dir/model" "$test_dir/output"

env PATH="$venv/bin:$PATH" PYTHONPATH="$root/code" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SAGEMAKER_BASE_DIR="$test_dir" SAGEMAKER_TRAINING_MODULE=train:main \
    train ${hyperparameters[@]+"${hyperparameters[@]}"}

say "
model:        $test_dir/model
metrics:      $test_dir/output/data/metrics.json
predictions:  $test_dir/output/data/predictions.csv
next:         $root/local_test/serve_local.sh"
