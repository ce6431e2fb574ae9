#!/usr/bin/env bash
# Build the image and push it to Amazon ECR. Only the image's URI goes to stdout: URI=$(./build_and_push.sh)
set -euo pipefail

usage="usage: build_and_push.sh [--region REGION] [--cpu] [--dry-run] [--no-push] [IMAGE_NAME] [TAG]

IMAGE_NAME   repository in ECR, made if it does not exist (default: sagemaker-sentiment-lstm)
TAG          default: latest
--region     default: AWS_REGION, AWS_DEFAULT_REGION, or the region of your AWS profile
--cpu        without CUDA, for instances without a GPU: much smaller
--dry-run    print every command, run none
--no-push    build only; needs no AWS account

The environment can replace the Dockerfile's build arguments BASE_IMAGE and TORCH_INDEX_URL."

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
region=
cpu=
dry_run=
push=true
names=()

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

parse() {
    while (($#)); do
        case $1 in
            -h | --help)
                echo "$usage"
                exit
                ;;
            --region)
                region=${2:-}
                [[ -n $region ]] || fail "--region needs a value, for example --region us-east-1"
                shift
                ;;
            --region=*) region=${1#*=} ;;
            --cpu) cpu=true ;;
            --dry-run) dry_run=true ;;
            --no-push) push= ;;
            -*) fail "unknown option $1; build_and_push.sh --help lists them" ;;
            *) names+=("$1") ;;
        esac
        shift
    done
    ((${#names[@]} <= 2)) || fail "expected at most IMAGE_NAME and TAG, found: ${names[*]}"
    name=${names[0]:-sagemaker-sentiment-lstm}
    tag=${names[1]:-latest}
    [[ $name =~ ^[a-z0-9]+([._/-][a-z0-9]+)*$ ]] ||
        fail "IMAGE_NAME is $name; expected lower-case letters and digits, with single . _ - / between them"
    [[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] ||
        fail "TAG is $tag; expected up to 128 letters, digits, . _ -"
}

# run COMMAND...: its output goes to stderr.
run() {
    if [[ -n $dry_run ]]; then
        printf '%s\n' "$(printf '%q ' "$@")" >&2
    else
        "$@" >&2
    fi
}

# ask COMMAND...: sets $answer to its stdout and $complaint to its stderr; returns its exit code.
ask() {
    local file code=0
    file=$(mktemp)
    answer=$("$@" 2>"$file") || code=$?
    # One line of it: AWS's errors begin with an empty one.
    complaint=$(grep -m 1 . "$file" || true)
    rm -f "$file"
    return $code
}

check_docker() {
    [[ -z $dry_run ]] || return 0
    command -v docker >/dev/null ||
        fail "docker was not found; install it: https://docs.docker.com/engine/install/"
    ask docker version --format '{{.Server.Version}}' ||
        fail "the Docker engine does not answer; start it (and see that you may use it): $complaint"
}

# Sets region, and uri to the repository as ECR itself writes it: account, region and the partition's own domain.
find_repository() {
    region=${region:-${AWS_REGION:-${AWS_DEFAULT_REGION:-}}}
    if [[ -n $dry_run ]]; then
        region=${region:-REGION}
        uri=ACCOUNT.dkr.ecr.$region.DOMAIN/$name
        run aws sts get-caller-identity --region "$region"
        run aws ecr describe-repositories --region "$region" --repository-names "$name"
        echo "only if there is no such repository: aws ecr create-repository --region $region" \
            "--repository-name $name --image-scanning-configuration scanOnPush=true" >&2
        return
    fi
    command -v aws >/dev/null ||
        fail "aws was not found; install it: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
    [[ -n $region ]] || region=$(aws configure get region 2>/dev/null) ||
        fail "no region; use --region, set AWS_REGION, or run: aws configure set region REGION"
    ask aws sts get-caller-identity --region "$region" ||
        fail "AWS does not accept your credentials; run aws configure or aws sso login: $complaint"
    if ask aws ecr describe-repositories --region "$region" --repository-names "$name" \
        --query 'repositories[0].repositoryUri' --output text; then
        uri=$answer
    elif [[ $complaint == *RepositoryNotFoundException* ]]; then
        ask aws ecr create-repository --region "$region" --repository-name "$name" \
            --image-scanning-configuration scanOnPush=true \
            --query repository.repositoryUri --output text ||
            fail "the repository $name cannot be made; you need ecr:CreateRepository: $complaint"
        uri=$answer
    else
        fail "ECR does not say whether $name exists; you need ecr:DescribeRepositories: $complaint"
    fi
}

log_in() {
    local registry=${uri%%/*}
    if [[ -n $dry_run ]]; then
        echo "aws ecr get-login-password --region $region | docker login --username AWS --password-stdin $registry" >&2
        return
    fi
    ask aws ecr get-login-password --region "$region" ||
        fail "ECR gives no password; you need ecr:GetAuthorizationToken: $complaint"
    ask docker login --username AWS --password-stdin "$registry" <<<"$answer" ||
        fail "Docker cannot log in to $registry: $complaint"
}

# The build arguments and the labels' values.
set_options() {
    local source
    options=(--platform linux/amd64 --tag "$uri:$tag")
    if [[ -n $cpu ]]; then
        BASE_IMAGE=${BASE_IMAGE-ubuntu:24.04}
        TORCH_INDEX_URL=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
    fi
    [[ -z ${BASE_IMAGE+set} ]] || options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
    [[ -z ${TORCH_INDEX_URL+set} ]] || options+=(--build-arg "TORCH_INDEX_URL=$TORCH_INDEX_URL")
    options+=(--build-arg "VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/pyproject.toml")")
    options+=(--build-arg "REVISION=$(git -C "$root" describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || true)")
    # A remote's address may hold a password.
    source=$(git -C "$root" remote get-url origin 2>/dev/null | sed -n 's#^https://\([^/@]*@\)\{0,1\}#https://#p' || true)
    options+=(--build-arg "SOURCE=$source")
}

# SageMaker takes Docker's media types and no list of manifests, which is what attestations would make of the image.
# With buildx, pushing is a second, cached build: Docker's newer image store would push OCI's media types.
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
    check_docker
    uri=$name
    if [[ -n $push ]]; then
        find_repository
        log_in
    fi
    set_options
    build
    if [[ -n $push ]]; then
        run "${push_command[@]}" ||
            fail "the push was refused; you need ecr:InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, PutImage"
    fi
    echo "$uri:$tag"
}

main "$@"
