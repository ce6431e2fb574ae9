#!/usr/bin/env bash
# Build the image and push it to Amazon ECR. Prints only the image's URI to stdout: URI=$(./build_and_push.sh)
case ${BASH_VERSION:-0} in 0 | [1-3].* | 4.[0-3].*) echo "error: bash 4.4 or later is needed: brew install bash" >&2 && exit 1 ;; esac
set -euo pipefail

usage="usage: build_and_push.sh [--model FOLDER] [--region REGION] [--cpu] [--dry-run] [--no-push] [--codebuild]
                         [IMAGE_NAME] [TAG]

IMAGE_NAME   repository in ECR, created if it does not exist (default: sagemaker-sentiment-lstm; with --model,
             sagemaker- and the folder's name)
TAG          default: latest
--model      folder of the model package (default: code/sentiment)
--region     default: AWS_REGION, AWS_DEFAULT_REGION, or the region of your AWS profile
--cpu        without CUDA, for instances without a GPU: much smaller
--dry-run    print every command and run none
--no-push    build only; needs no AWS account
--codebuild  build in AWS CodeBuild, without Docker on this machine; needs the packages of jobs/requirements.txt

The variables BASE_IMAGE and TORCH_INDEX_URL replace the Dockerfile's build arguments."

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
region=
cpu=
dry_run=
codebuild=
push=true
model_folder=
names=()

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

parse() {
    while (($#)); do
        case $1 in
            -h | --help) echo "$usage" && exit ;;
            --region)
                region=${2:-}
                [[ -n $region ]] || fail "--region needs a value, for example --region us-east-1"
                shift
                ;;
            --region=*) region=${1#*=} ;;
            --model)
                [[ -n ${2:-} ]] || fail "--model needs a folder, for example --model examples/tfidf"
                # shellcheck source=local_test/model.sh
                source "$root/local_test/model.sh"
                use_model "$2"
                shift
                ;;
            --cpu) cpu=true ;;
            --dry-run) dry_run=true ;;
            --no-push) push= ;;
            --codebuild) codebuild=true ;;
            -*) fail "unknown option $1; build_and_push.sh --help lists them" ;;
            *) names+=("$1") ;;
        esac
        shift
    done
    ((${#names[@]} <= 2)) || fail "expected at most IMAGE_NAME and TAG, got: ${names[*]}"
    local default=sagemaker-sentiment-lstm
    if [[ -n $model_folder && ! $model_folder -ef $root/code/sentiment ]]; then
        default=${model_name//_/-}
        default=sagemaker-${default:0:16} # as jobs/model_package.py
    fi
    name=${names[0]:-$default}
    tag=${names[1]:-latest}
    local word='[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*'
    [[ $name =~ ^$word(/$word)*$ && ${#name} -ge 2 && ${#name} -le 256 ]] || # as ECR
        fail "IMAGE_NAME is $name; expected 2 to 256 lower-case letters and digits, with . _ - / between them"
    [[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] ||
        fail "TAG is $tag; expected up to 128 letters, digits, . _ -"
}

# run COMMAND...: with its output on stderr.
run() {
    if [[ -n $dry_run ]]; then
        printf '%s\n' "$(printf '%q ' "$@")" >&2
    else
        "$@" >&2
    fi
}

# ask COMMAND...: sets $answer to its stdout and $complaint to its stderr; returns its exit code. With --dry-run,
# prints the command, and the answer is that of ECR.
ask() {
    local file code=0
    if [[ -n $dry_run ]]; then
        run "$@"
        answer=ACCOUNT.dkr.ecr.$region.DOMAIN/$name
        return
    fi
    file=$(mktemp)
    answer=$("$@" 2>"$file") || code=$?
    # Its first line with text: AWS's errors begin with an empty line.
    complaint=$(grep -m 1 . "$file" || true)
    rm -f "$file"
    return $code
}

# Replaces this program by python -m jobs build.
build_remotely() {
    local python=$root/.venv/bin/python arguments=("$name" "$tag")
    [[ -n $push ]] || fail "--codebuild and --no-push exclude each other"
    [[ -x $python ]] || python=python3
    "$python" -c 'import boto3, click' 2>/dev/null ||
        fail "--codebuild needs: $python -m pip install --require-hashes -r jobs/requirements.txt"
    [[ -z $region ]] || arguments+=(--region "$region")
    [[ -z $cpu ]] || arguments+=(--cpu)
    [[ -z $dry_run ]] || arguments+=(--dry-run)
    PYTHONPATH=$root exec "$python" -m jobs --model "${model_folder:-$root/code/sentiment}" build "${arguments[@]}"
}

check_docker() {
    [[ -z $dry_run ]] || return 0
    command -v docker >/dev/null ||
        fail "docker is not on PATH; install it: https://docs.docker.com/engine/install/"
    ask docker version --format '{{.Server.Version}}' ||
        fail "the Docker engine does not answer; start it, and check that you may use it: $complaint"
}

# Sets region, and uri to the repository's URI from ECR, because its domain depends on the AWS partition.
find_repository() {
    region=${region:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}
    [[ -z $dry_run ]] || region=${region:-REGION}
    [[ -n $dry_run ]] || command -v aws >/dev/null ||
        fail "aws is not on PATH; install it: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
    [[ -n $region ]] || region=$(aws configure get region 2>/dev/null) ||
        fail "no region; use --region, set AWS_REGION, or run: aws configure set region REGION"
    ask aws sts get-caller-identity --region "$region" ||
        fail "AWS does not accept your credentials; run aws configure or aws sso login: $complaint"
    local create=(aws ecr create-repository --region "$region" --repository-name "$name"
        --image-scanning-configuration scanOnPush=true --query repository.repositoryUri --output text)
    if ! ask aws ecr describe-repositories --region "$region" --repository-names "$name" \
        --query 'repositories[0].repositoryUri' --output text; then
        [[ $complaint == *RepositoryNotFoundException* ]] ||
            fail "ECR does not describe $name; you need ecr:DescribeRepositories: $complaint"
        ask "${create[@]}" ||
            fail "the repository $name cannot be created; you need ecr:CreateRepository: $complaint"
    fi
    uri=$answer
    [[ -z $dry_run ]] || echo "only if the repository does not exist: ${create[*]}" >&2
}

log_in() {
    local registry=${uri%%/*}
    if [[ -n $dry_run ]]; then
        echo "aws ecr get-login-password --region $region | docker login --username AWS --password-stdin $registry" >&2
        return
    fi
    ask aws ecr get-login-password --region "$region" ||
        fail "ECR returns no password; you need ecr:GetAuthorizationToken: $complaint"
    ask docker login --username AWS --password-stdin "$registry" <<<"$answer" ||
        fail "Docker cannot log in to $registry: $complaint"
}

# Sets options to the build arguments, also of the labels.
set_options() {
    local source
    options=(--platform linux/amd64 --tag "$uri:$tag")
    if [[ -n $cpu ]]; then
        BASE_IMAGE=${BASE_IMAGE-ubuntu:24.04}
        TORCH_INDEX_URL=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
    fi
    [[ -z $model_folder ]] || options+=(--build-arg "MODEL_PACKAGE=$model_name")
    [[ -z ${BASE_IMAGE+set} ]] || options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
    [[ -z ${TORCH_INDEX_URL+set} ]] || options+=(--build-arg "TORCH_INDEX_URL=$TORCH_INDEX_URL")
    options+=(--build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/pyproject.toml")")
    options+=(--build-arg "REVISION=$(git -C "$root" describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || true)")
    # Without the password, which the remote's address may contain.
    source=$(git -C "$root" remote get-url origin 2>/dev/null | sed -n 's#^https://\([^/@]*@\)\{0,1\}#https://#p' || true)
    options+=(--build-arg "SOURCE=$source")
}

remove_copies() {
    rm -rf "$root/.model" "$root/.model-requirements.txt"
}

# Copy the model package and its requirements into the build context until the script ends.
copy_model() {
    if [[ -z $dry_run ]]; then
        remove_copies # of a killed build
        trap remove_copies EXIT
    fi
    [[ -n $model_folder ]] || return 0
    run mkdir "$root/.model"
    run cp -RL "$model_folder" "$root/.model/$model_name"
    [[ ! -f $model_folder/requirements.txt ]] ||
        run cp "$model_folder/requirements.txt" "$root/.model-requirements.txt"
}

# SageMaker accepts Docker's media types and no list of manifests, which attestations would make of the image.
# With buildx, the push is a second, cached build, because Docker's newer image store would push OCI's media types.
build() {
    if docker buildx version >/dev/null 2>&1 || [[ -n $dry_run ]]; then
        command=(docker buildx build --provenance=false --sbom=false "${options[@]}")
        run "${command[@]}" --load "$root" || fail "the build failed; its messages are above"
        push_command=("${command[@]}" --output "type=image,push=true,oci-mediatypes=false" "$root")
    else
        run env DOCKER_BUILDKIT=1 docker build "${options[@]}" "$root" || fail "the build failed; its messages are above"
        push_command=(docker push "$uri:$tag")
    fi
}

main() {
    parse "$@"
    [[ -z $codebuild ]] || build_remotely
    check_docker
    uri=$name
    if [[ -n $push ]]; then
        find_repository
        log_in
    fi
    set_options
    copy_model
    build
    if [[ -n $push ]]; then
        run "${push_command[@]}" ||
            fail "the push was refused; you need ecr:InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage"
    fi
    echo "$uri:$tag"
}

main "$@"
