"""Every block of the README that is about SageMaker is run: locally where an SDK can, else against moto."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from image.conftest import Review, free_port, make_venv, sdk_environment, write_reviews
from image.containers import composed_log, remove_composed, unexpected
from image.readme import block, blocks, replace

# The one that builds and pushes is run by test_image_push.
RUN = {"bash": 2, "python": 4}

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


def run_locally(venv: str, code: str, image: str, folder: Path) -> str:
    """Run code of an SDK that starts containers; returns their log, which must not be suspicious."""
    names = {"uri": image, "role": "arn:aws:iam::123456789012:role/sagemaker", "folder": str(folder)}
    prelude = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    command = [str(make_venv(venv) / "python"), "-c", prelude + code]
    try:
        done = subprocess.run(
            command,
            env=sdk_environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
    finally:
        remove_composed()
    assert done.returncode == 0, done.stdout[-20_000:]
    assert unexpected(composed_log(done.stdout)) == []
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path, reviews: list[Review]) -> Path:
    """A folder in the place of a bucket."""
    write_reviews(tmp_path / "reviews" / "reviews.csv", reviews)
    return tmp_path


def test_every_block_is_run_here() -> None:
    found = [language for language, _ in blocks()]
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


def test_sdk_3_runs_a_users_own_script(image: str, folder: Path) -> None:
    """By a driver of the SDK's own instead of train: the image has to be good for any program."""
    (folder / "source").mkdir()
    (folder / "source" / "mine.py").write_text(MINE)
    run_locally("sdk3", OWN_SOURCE, image, folder)
    assert json.loads((folder / "model" / "mine.json").read_text())["epochs"] == 7


def test_sdk_2_trains_serves_and_transforms(image: str, folder: Path) -> None:
    for name in ("models", "predictions", "unlabelled"):
        (folder / name).mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("good, \n", '"bad"'))
    (folder / "unlabelled" / "part.jsonl").write_text(lines)
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
            for name in ("reviews", "models", "unlabelled", "predictions")
        },
    )
    run_locally("sdk2", code, image, folder)
    assert (folder / "predictions" / "part.jsonl.out").read_text().count("\n") == 2


def test_boto3_and_the_aws_command(aws: dict[str, str], folder: Path) -> None:
    """As a user would: reviews, a training job, an endpoint; moto knows the arguments."""
    environment = aws | {
        "REVIEWS": str(folder / "reviews"),
        "BUCKET": "mine",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    upload = "aws s3 mb s3://mine\n" + block("bash", "aws s3 sync") + "aws s3 ls s3://mine/reviews/\n"
    done = subprocess.run(
        ["bash", "-euc", upload], env=environment, capture_output=True, text=True, check=True
    )
    assert "reviews.csv" in done.stdout
    names = "uri = '123456789012.dkr.ecr.us-east-1.amazonaws.com/sentiment:v1'\nbucket = 'mine'\n"
    role = "role = 'arn:aws:iam::123456789012:role/sagemaker'\n"
    code = names + role + block("python", "create_training_job") + block("python", "create_endpoint(")
    check = "\nprint(sagemaker.describe_training_job(TrainingJobName='sentiment-1')['HyperParameters'])"
    command = [str(make_venv("aws") / "python"), "-c", code + check]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "{'epochs': '10', 'hidden_dim': '200'}" in done.stdout
