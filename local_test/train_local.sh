#!/usr/bin/env bash
# Train as SageMaker does, on this machine: the same program, with test_dir in the layout of /opt/ml.
case ${BASH_VERSION:-0} in 0 | [1-3].* | 4.[0-3].*) echo "error: bash 4.4 or later is needed: brew install bash" >&2 && exit 1 ;; esac
set -euo pipefail

usage="usage: local_test/train_local.sh [--model FOLDER | IMAGE] [--data PATH] [--unlabeled DIR] [--pretrained DIR]
    [--HYPERPARAMETER VALUE ...]

Trains on 25,000 IMDb reviews or on the file or folder PATH: without Docker, or in a container of IMAGE.
--model FOLDER is a model package, instead of code/sentiment; --help after it lists its hyperparameters.
  local_test/train_local.sh --epochs 2 --hidden_dim 64
  local_test/train_local.sh --data ~/aclImdb
  local_test/train_local.sh --data ~/aclImdb --unlabeled ~/aclImdb --preset best
  local_test/train_local.sh --model examples/tfidf --C 10
  local_test/train_local.sh my-image --epochs 2"

# shellcheck source=local_test/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

channel=$test_dir/input/data/training

# The channel is a folder with the IMDb reviews, or a link to the user's folder. Other files in it are never removed.
prepare_channel() {
    mkdir -p "$test_dir/input/data"
    if [[ -z $data ]]; then
        [[ -L $channel ]] && rm "$channel"
        [[ -n $image ]] || make_venv
        fetch_reviews "$channel/reviews.csv"
        return
    fi
    if [[ -d $channel && ! -L $channel ]]; then
        rm -f "$channel/reviews.csv"
        rmdir "$channel" 2>/dev/null || fail "$channel has other files; move them, or leave out --data"
    fi
    if [[ -n $file ]]; then
        # A hard link, because a container does not see the target of another.
        rm -rf "$data"
        mkdir -p "$data"
        ln -L "$file" "$data/" 2>/dev/null || cp "$file" "$data/"
    fi
    ln -sfn "$data" "$channel"
}

# link_channel NAME: link to the folder of the option, or remove the link.
link_channel() {
    local link=$test_dir/input/data/$1
    [[ -L $link ]] && rm "$link"
    [[ -z ${folders[$1]:-} ]] || ln -sn "${folders[$1]}" "$link" ||
        fail "$link has files; move them, or leave out --$1"
}

# Without .venv, in a fresh clone, prints nothing.
list_hyperparameters() {
    [[ -x $venv/bin/python ]] || return 0
    printf '\nHyperparameters:\n'
    env "${model_environment[@]}" "$venv/bin/python" -c 'from byoc import hyperparameters, package
print(hyperparameters.help_text(package.import_package().Hyperparameters))'
}

train_here() {
    env PATH="$venv/bin:$PATH" "${model_environment[@]}" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
        SAGEMAKER_BASE_DIR="$test_dir" SAGEMAKER_TRAINING_MODULE=train:main train "$@"
}

train_in_image() {
    # The container runs as root, as on SageMaker; its files should belong to the caller.
    written=(/opt/ml/model /opt/ml/output)
    [[ ! -d $test_dir/checkpoints ]] || written+=(/opt/ml/checkpoints)
    trap 'docker run --rm --volume "$test_dir:/opt/ml" "$image" \
        chown -R "$(id -u):$(id -g)" "${written[@]}"' EXIT
    local volumes=(--volume "$test_dir:/opt/ml" --volume "${data:-$channel}:/opt/ml/input/data/training:ro")
    local name
    for name in "${!folders[@]}"; do
        volumes+=(--volume "${folders[$name]}:/opt/ml/input/data/$name:ro")
    done
    docker run --rm "${docker_options[@]}" "${volumes[@]}" "$image" train "$@"
}

image=
if (($#)) && [[ $1 != -* ]]; then
    image=$1
    shift
fi
data=
file=
declare -A folders=() # of the other channels
hyperparameters=()
while (($#)); do
    case $1 in
        -h | --help)
            echo "$usage"
            list_hyperparameters
            exit
            ;;
        --model)
            [[ -z $image ]] || fail "--model: an image has its own package; leave out --model"
            use_model "${2:-}"
            shift 2
            ;;
        --data)
            [[ -e ${2:-} ]] || fail "--data: ${2:-} does not exist; expected a file or a folder"
            if [[ -d $2 ]]; then
                data=$(cd "$2" && pwd)
            else
                file=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
                data=$test_dir/input/file
            fi
            shift 2
            ;;
        --unlabeled | --pretrained)
            [[ -d ${2:-} ]] || fail "$1: ${2:-} is not a folder"
            folders[${1#--}]=$(cd "$2" && pwd)
            shift 2
            ;;
        --model=* | --data=* | --unlabeled=* | --pretrained=*) fail "write ${1%%=*} FOLDER, with a space" ;;
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
    install_model
fi
prepare_channel
link_channel unlabeled
link_channel pretrained
# The earlier model stays until a new one replaces it.
rm -rf "$test_dir/output"
mkdir -p "$test_dir/model" "$test_dir/output"

if [[ -n $image ]]; then
    train_in_image ${hyperparameters[@]+"${hyperparameters[@]}"}
else
    train_here ${hyperparameters[@]+"${hyperparameters[@]}"}
fi

say "
model:        $test_dir/model"
for name in metrics.json predictions.csv report.html; do
    [[ ! -f $test_dir/output/data/$name ]] ||
        say "$(printf '%-13s %s' "${name%.*}:" "$test_dir/output/data/$name")"
done
say "next:         $root/local_test/serve_local.sh${model_folder:+ --model $model_folder}${image:+ $image}"
