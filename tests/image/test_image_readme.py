"""Code blocks of README (On SageMaker), docs/sagemaker.md and docs/clarify.md are run by an SDK or moto."""

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from jobs import validation
from tests.image.conftest import ROOT, Review, free_port, make_venv, run_local_mode, write_reviews
from tests.image.containers import composed_log, unexpected
from tests.image.readme import block, blocks, replace
from tests.support import clarify

# test_image_push runs the block that builds and pushes, tests/jobs checks the JSON.
# Blocks of console output are not run.
RUN = {"bash": 5, "json": 1, "python": 4}

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

OWN_SOURCE = """
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode
from sagemaker.train.model_trainer import Mode

ModelTrainer(
    training_image=uri,
    role=role,
    training_mode=Mode.LOCAL_CONTAINER,
    local_container_root=folder,
    compute=Compute(instance_type="local_cpu", instance_count=1),
    source_code=SourceCode(source_dir=f"{folder}/source", entry_script="mine.py"),
    hyperparameters={"epochs": 7},
).train()
"""
MINE = """
import json, os, pathlib
pathlib.Path(os.environ["SM_MODEL_DIR"], "mine.json").write_text(os.environ["SM_HPS"])
"""
RECORDING = """
import atexit, json, os
from botocore.client import BaseClient

requests, call = [], BaseClient._make_api_call

def record(client, operation, parameters):
    requests.append((client.meta.service_model.service_name, operation, parameters))
    # moto answers with empty members, which SageMaker omits.
    return {name: value for name, value in call(client, operation, parameters).items() if value != {}}

BaseClient._make_api_call = record
atexit.register(lambda: open(os.environ["RECORDED"], "w").write(json.dumps(requests)))
uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sentiment:v1"
role = "arn:aws:iam::123456789012:role/sentiment"
bucket, artifact = "mine", "s3://mine/model.tar.gz"
"""


def run_locally(venv: str, code: str, image: str, folder: Path) -> None:
    """Run code of an SDK that starts containers; their log must have no suspicious line."""
    names = {"uri": image, "role": "arn:aws:iam::123456789012:role/sagemaker", "folder": str(folder)}
    prelude = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    log = run_local_mode(venv, "-c", prelude + code, folder=folder)
    assert unexpected(composed_log(log)) == []


@pytest.fixture
def folder(tmp_path: Path, reviews: list[Review]) -> Path:
    """A folder in place of a bucket."""
    write_reviews(tmp_path / "reviews" / "reviews.csv", reviews)
    return tmp_path


def test_every_block_is_run_here() -> None:
    found = [language for language, _ in blocks() if language != "console"]
    assert {language: found.count(language) for language in found} == RUN


def test_sdk_3_trains(image: str, folder: Path) -> None:
    code = "from sagemaker.train.model_trainer import Mode\n" + replace(
        block("python", "ModelTrainer"),
        gpu='"local_cpu"',
        epochs='"epochs": 1',
        reviews='f"{folder}/reviews"',
        models='"s3://none/models"',
        role="role=role, training_mode=Mode.LOCAL_CONTAINER, local_container_root=folder,",
    )
    run_locally("sdk3", code, image, folder)
    with tarfile.open(folder / "compressed_artifacts" / "model.tar.gz") as files:
        assert "model.safetensors" in [Path(name).name for name in files.getnames()]


def test_sdk_3_runs_a_user_script(image: str, folder: Path) -> None:
    """SDK 3 replaces train by its own driver, so the image must run any program."""
    (folder / "source").mkdir()
    (folder / "source" / "mine.py").write_text(MINE)
    run_locally("sdk3", OWN_SOURCE, image, folder)
    assert json.loads((folder / "model" / "mine.json").read_text())["epochs"] == 7


def test_sdk_2_trains_serves_transforms(image: str, folder: Path) -> None:
    for name in ("models", "predictions", "to-predict"):
        (folder / name).mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("good, \n", '"bad"'))
    (folder / "to-predict" / "part.jsonl").write_text(lines)
    config = {"local": {"local_code": True, "serving_port": free_port()}}
    local = f"from sagemaker.local import LocalSession\nsession = LocalSession()\nsession.config = {config}\n"
    code = local + replace(
        block("python", "Estimator("),
        gpu='"local"',
        cpu='"local"',
        epochs='"epochs": 1',
        role="role=role, sagemaker_session=session,",
        **{
            name: f'f"file://{{folder}}/{name}"'
            for name in ("reviews", "models", "to-predict", "predictions")
        },
    )
    run_locally("sdk2", code, image, folder)
    assert (folder / "predictions" / "part.jsonl.out").read_text().count("\n") == 2


def test_sdk_3_serves_and_transforms(aws: dict[str, str], tmp_path: Path) -> None:
    """The requests are valid, and moto answers them."""
    recorded = tmp_path / "requests.json"
    code = "".join(block("python", holding) for holding in ("TransformJob.create", "ServerlessConfig"))
    environment = aws | {"AWS_DEFAULT_REGION": "us-east-1", "RECORDED": str(recorded)}
    command = [str(make_venv("sdk3") / "python"), "-c", RECORDING + code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    requests = json.loads(recorded.read_text())
    for service, operation, parameters in requests:
        validation.check(service, operation, parameters)
    operations = [operation for _, operation, _ in requests]
    assert operations.count("CreateEndpoint") == 2
    assert {"InvokeEndpoint", "CreateTransformJob"} <= set(operations)


def test_sdk_3_configures_clarify(aws: dict[str, str]) -> None:
    """The block of docs/clarify.md. The processing jobs of moto have no logs."""
    (code,) = re.findall(r"```python\n(.*?)```", clarify.PAGE, re.DOTALL)
    code = code.replace("run_explainability(", "run_explainability(wait=False, logs=False, ")
    key = "sentiment/explanations/analysis_config.json"
    program = f"""
import boto3
role, bucket = "arn:aws:iam::123456789012:role/sentiment", "clarify"
s3 = boto3.client("s3")
s3.create_bucket(Bucket=bucket)
{code}
print(s3.get_object(Bucket=bucket, Key="{key}")["Body"].read().decode())
"""
    command = [str(make_venv("sdk3") / "python"), "-c", program]
    environment = aws | {"AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    analysis = json.loads(done.stdout.splitlines()[-1])
    assert analysis["predictor"]["probability"] == 2
    assert analysis["methods"]["shap"]["text_config"] == {"granularity": "token", "language": "english"}


@pytest.fixture
def account(aws: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a pushed image and reviews, in moto."""
    write_reviews(tmp_path / "reviews" / "reviews.csv", [("good", "1"), ("bad", "0")])
    (tmp_path / "to-predict").mkdir()
    (tmp_path / "to-predict" / "part.jsonl").write_text('{"text": "good"}\n')
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"size": 1}, "layers": []}
    push = """
        export AWS_PAGER= name=sagemaker-sentiment-lstm
        aws ecr create-repository --repository-name "$name"
        aws ecr put-image --repository-name "$name" --image-tag latest --image-manifest "$MANIFEST"
        aws s3 mb "$BUCKET"
        aws s3 cp "$ARTIFACT" "$BUCKET/sentiment/models/sentiment-1/output/model.tar.gz"
    """
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("artifact.json"))
    environment = aws | {
        "PATH": f"{Path(sys.executable).parent}:{aws['PATH']}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MANIFEST": json.dumps(manifest),
        "BUCKET": "s3://sagemaker-us-east-1-123456789012",
        "ARTIFACT": str(tmp_path / "model.tar.gz"),
        "REVIEWS": str(tmp_path / "reviews"),
        "TO_PREDICT": str(tmp_path / "to-predict"),
    }
    subprocess.run(["bash", "-uc", push], env=environment, check=True)  # the repository may exist already
    return environment


def test_commands_run_from_role_to_deletion(account: dict[str, str], tmp_path: Path) -> None:
    """One block after another, like a user."""
    code = "".join(
        block("bash", holding)
        for holding in ("aws iam create-role", "--name sentiment-1", "preset=best", "jobs transform")
    )
    answered = code.replace("jobs deploy", "jobs deploy --yes").replace("jobs delete", "jobs delete --yes")
    program = f"cd {ROOT}\n" + answered.replace("review.txt", f"{tmp_path}/review.txt").replace(
        "answer.json", f"{tmp_path}/answer.json"
    )
    done = subprocess.run(["bash", "-euc", program], env=account, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "answer.json").exists()
    assert "s3://sagemaker-us-east-1-123456789012/sentiment/predictions/sentiment-" in done.stdout
    check = "aws sagemaker describe-training-job --training-job-name sentiment-1 --query HyperParameters"
    shown = subprocess.run(
        ["bash", "-euc", check], env=account, capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(shown) == {"epochs": "2", "hidden_dim": "128"}
