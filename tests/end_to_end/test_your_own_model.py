"""docs/your-own-model.md, command by command in a copy of the repository.

The change to the example is the toy model of the tests. ``docker``, ``aws`` and ``pip`` are fakes that record
their arguments (tests/image builds images with --model); moto simulates AWS for ``python -m jobs``.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest
from moto import mock_aws
from moto.server import ThreadedMotoServer

from byoc.artifact import check_artifact
from tests.jobs.conftest import BUCKET, IMAGE_MANIFEST, REGION, TRUST, archive_of
from tests.scripts.test_build_and_push import AWS, DOCKER
from tests.support import toy
from tests.support.programs import ROOT, free_port

pytestmark = pytest.mark.whole_path

PAGE = (ROOT / "docs" / "your-own-model.md").read_text("utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COPY, TRAIN, SERVE, PREDICT, *CLOUD = BLOCKS
FAKES = {"aws": AWS, "docker": DOCKER, "pip": '#!/bin/bash\necho "pip $*" >>"$CALLS"\n'}


class Walk(NamedTuple):
    """The results of all commands of the page, in order.

    Attributes:
        clone: the copy of the repository.
        answer: output of the prediction.
        calls: calls of the fake programs.
    """

    clone: Path
    answer: str
    calls: list[str]


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    """Variables of a simulated AWS that has the image and the role of the page."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with mock_aws():  # resets the account
        pass
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_REGION": REGION, "AWS_CONFIG_FILE": "/nowhere",
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    }  # fmt: skip
    session = boto3.Session("testing", "testing", region_name=REGION)
    ecr, iam, s3 = (
        session.client(name, endpoint_url=variables["AWS_ENDPOINT_URL"]) for name in ("ecr", "iam", "s3")
    )
    # The artifact of the simulated job.
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="my-model/models/my-model-1/output/model.tar.gz", Body=archive_of())
    ecr.create_repository(repositoryName="sagemaker-my-model")
    manifest = {"schemaVersion": 2, "mediaType": IMAGE_MANIFEST, "config": {"size": 1}, "layers": []}
    ecr.put_image(repositoryName="sagemaker-my-model", imageManifest=json.dumps(manifest), imageTag="latest")
    iam.create_role(RoleName="my-model", AssumeRolePolicyDocument=json.dumps(TRUST))
    yield variables
    server.stop()


@pytest.fixture(scope="module")
def walk(nginx_program: str, aws: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    clone, programs, calls = folder / "clone", folder / "bin", folder / "calls"
    copy_repository(clone)
    programs.mkdir()
    for name, program in FAKES.items():
        (programs / name).write_text(program)
        (programs / name).chmod(0o755)
    variables = os.environ | aws | {
        "PATH": f"{programs}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "CALLS": str(calls), "FAKE": "", "SAGEMAKER_BIND_TO_PORT": str(free_port()),
    }  # fmt: skip
    run(COPY, clone, variables)
    change(clone / "my_model")
    run(TRAIN, clone, variables)
    answer = serve(clone, variables, folder / "log")
    # In one shell, because a block may use the variables of an earlier one.
    run("\n".join(CLOUD), clone, variables)
    return Walk(clone, answer, calls.read_text().splitlines())


def copy_repository(clone: Path) -> None:
    """The files that git tracks, with the packages and reviews that are there already."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    for name in (".venv", ".cache"):
        (clone / name).symlink_to(ROOT / name)


def change(package: Path) -> None:
    """Replace the copied example by the toy model."""
    shutil.rmtree(package)
    package.mkdir()
    shutil.copy(str(toy.__file__), package / "__init__.py")


def run(block: str, clone: Path, variables: dict[str, str]) -> str:
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=clone, env=variables, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def serve(clone: Path, variables: dict[str, str], log: Path) -> str:
    """The answer of a server that Ctrl-C stops afterward."""
    with log.open("w") as output:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {SERVE}"], cwd=clone, env=variables, stdout=output, stderr=output
        )
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                return run(PREDICT, clone, variables)
            except AssertionError:
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0, log.read_text()


def test_training_leaves_an_artifact_of_the_package(walk: Walk) -> None:
    check_artifact(walk.clone / "local_test" / "test_dir" / "model", "my_model")


def test_server_answers_with_the_package(walk: Walk) -> None:
    texts = json.loads((walk.clone / "local_test" / "payload.json").read_text())["inputs"]
    assert [record["answer"] for record in json.loads(walk.answer)] == [text.upper() for text in texts]


def test_image_is_built_with_the_package(walk: Walk) -> None:
    (build,) = [call for call in walk.calls if call.startswith("docker build ")]
    assert "--build-arg MODEL_PACKAGE=my_model " in build
    assert "context .model/my_model/__init__.py" in walk.calls


def test_role_of_the_page_is_restricted_to_the_package(walk: Walk) -> None:
    calls = "\n".join(walk.calls)
    policy = json.loads(
        calls.partition("put-role-policy ")[2].partition("--policy-document ")[2].partition("\n}")[0] + "}"
    )
    assert "my-model/*" in json.dumps(policy)
    assert "sentiment" not in json.dumps(policy)


def test_endpoint_of_the_page_is_deleted(walk: Walk, aws: dict[str, str]) -> None:
    session = boto3.Session("testing", "testing", region_name=REGION)
    sagemaker = session.client("sagemaker", endpoint_url=aws["AWS_ENDPOINT_URL"])
    assert [job["TrainingJobName"] for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]] == [
        "my-model-1"
    ]
    assert sagemaker.list_endpoints()["Endpoints"] == []
