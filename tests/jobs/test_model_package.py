"""Commands with the model package of ``--model``."""

import sys
from pathlib import Path

import boto3
import pytest

from tests.jobs.conftest import BUCKET, REGION, Run, shown

SOURCE = """
from dataclasses import dataclass

from byoc.hyperparameters import number


@dataclass(frozen=True)
class Hyperparameters:
    trees: int = number(10, 1, 100, "number of trees")


def train(job): ...


def load(folder, device, precision): ...
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model package without optional members and files."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "models" / "toy_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(SOURCE)
    monkeypatch.delitem(sys.modules, "toy_model", raising=False)
    return folder


def test_package_checks_hyperparameters(run: Run, model: Path) -> None:
    result = run("--model", model, "train", "tree=3", code=1)
    assert "unknown hyperparameter 'tree'; did you mean 'trees'?" in result.stderr


def test_package_name_is_the_prefix(run: Run, model: Path, reviews: Path) -> None:
    run("--model", model, "upload", reviews)
    arguments = ["train", "trees=3", "--image", "sagemaker-sentiment-lstm", "--dry-run"]
    request = shown(run("--model", model, *arguments), "CreateTrainingJob")
    assert request["TrainingJobName"].startswith("toy-model-")
    assert request["OutputDataConfig"] == {"S3OutputPath": f"s3://{BUCKET}/toy-model/models/"}
    assert request["AlgorithmSpecification"]["MetricDefinitions"] == []


def test_upload_without_check_takes_visible_files(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("a.txt", ".hidden", "_SUCCESS", "deep/b.txt"):
        (tmp_path / "data" / name).write_text("a")
    result = run("--model", model, "upload", tmp_path / "data")
    assert "2 files, not checked" in result.stderr
    objects = boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in objects] == [
        "toy-model/training/a.txt",
        "toy-model/training/deep/b.txt",
    ]


def test_upload_checks_with_hyperparameters(run: Run, model: Path, reviews: Path) -> None:
    check = 'def check(path, channel, hyperparameters):\n    return f"{hyperparameters} {channel}"\n'
    (model / "__init__.py").write_text(SOURCE + check)
    result = run("--model", model, "upload", reviews, "trees=3", "--dry-run")
    assert "Hyperparameters(trees=3) training" in result.stderr
    assert (
        "unknown hyperparameter 'tree'" in run("--model", model, "upload", reviews, "tree=3", code=1).stderr
    )


def test_tune_without_tuning_file_asks_for_one(run: Run, model: Path) -> None:
    result = run("--model", model, "tune", code=2)
    assert "the model package has no tuning.json; use --tuning FILE" in result.stderr


@pytest.mark.parametrize("name", ["json", "no_package"])
def test_folder_without_importable_package_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    result = run("--model", tmp_path / name, "train", "trees=3", code=2)
    assert "expected a folder with __init__.py and a name that no other module has" in result.stderr
