"""build_and_push.sh with the real aws command against moto, and a registry at the real ECR host name."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import skip_or_fail
from tests.image.conftest import ROOT, OptMl
from tests.image.containers import Container, docker
from tests.image.readme import block

SCRIPT = str(ROOT / "build_and_push.sh")
NAME = "sagemaker-sentiment-lstm"
TAG = "latest"
DOCKERS_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class Pushed(NamedTuple):
    """The content of the registry after a run of the script."""

    stdout: str
    uri: str
    media_type: str
    manifest: dict[str, object]
    digest: str
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def pushed(image: str, aws: dict[str, str]) -> Iterator[Pushed]:
    """The pushed image in the registry."""
    host = os.environ.get("ECR_HOST")
    if not host:
        skip_or_fail("ECR_HOST names no registry (tests/image/engine.sh starts one): the push was not tested")
    assert image
    command = ["bash", "-euc", block("bash", "build_and_push.sh")]  # as in the README
    done = subprocess.run(command, env=aws, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    # A registry converts a manifest into the requested type if it can.
    oci = "application/vnd.oci.image"
    accept = f"{DOCKERS_MEDIA_TYPE}, {oci}.manifest.v1+json, {oci}.index.v1+json"
    request = urllib.request.Request(f"http://{host}/v2/{NAME}/manifests/{TAG}", headers={"Accept": accept})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        yield Pushed(
            done.stdout,
            f"{host}/{NAME}",
            answer.headers["Content-Type"],
            json.load(answer),
            answer.headers["Docker-Content-Digest"],
            aws,
        )
    docker("image", "rm", "--force", f"{host}/{NAME}:{TAG}")


def test_stdout_is_the_image_uri(pushed: Pushed) -> None:
    assert pushed.stdout == f"{pushed.uri}:{TAG}\n"


def test_manifest_has_dockers_media_type(pushed: Pushed) -> None:
    """SageMaker refuses OCI's types and lists of manifests."""
    assert pushed.media_type == DOCKERS_MEDIA_TYPE


def test_layers_have_dockers_media_type(pushed: Pushed) -> None:
    layers = pushed.manifest["layers"]
    assert isinstance(layers, list)
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}


def test_repository_scans_on_push(pushed: Pushed) -> None:
    query = ["--query", "repositories[0].imageScanningConfiguration.scanOnPush"]
    command = ["aws", "ecr", "describe-repositories", "--region", "us-east-1", "--repository-names", NAME]
    done = subprocess.run(
        [*command, *query], env=pushed.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "true"


def test_pulled_image_trains(pushed: Pushed, opt_ml: OptMl) -> None:
    by_digest = f"{pushed.uri}@{pushed.digest}"
    docker("image", "rm", f"{pushed.uri}:{TAG}")
    docker("pull", by_digest)
    folder: Path = opt_ml()
    try:
        with Container(by_digest, "train", mount=folder) as container:
            assert container.wait() == 0
    finally:
        docker("image", "rm", by_digest)
    assert (folder / "model" / "model.safetensors").exists()


def test_missing_credentials_are_an_error(image: str, aws: dict[str, str]) -> None:
    assert image
    environment = {k: v for k, v in aws.items() if k not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    command = [SCRIPT, "--cpu", NAME, TAG]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: AWS does not accept your credentials; run aws configure")
