"""The training program in this process: endings, and what they leave."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sagemaker_training.errors import ClientError

import train
from conftest import make_base
from sentiment.artifact import load_artifact
from sentiment.predictor import Predictor

REVIEWS = [(f"film{i} good" if i % 2 else f"film{i} bad", str(i % 2)) for i in range(64)]
QUICK = {"epochs": "2", "hidden_dim": "8", "embedding_dim": "8", "batch_size": "8"}

Run = Callable[..., Path]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs ``main`` over a folder in the layout of /opt/ml, and returns the folder."""

    def start(*arguments: str, hyperparameters: dict[str, Any] | None = None, **channels: Any) -> Path:
        values = QUICK | (hyperparameters or {})
        folder = make_base(tmp_path / "ml", values, **(channels or {"training": REVIEWS}))
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        monkeypatch.setattr(sys, "argv", ["train", *arguments])
        train.main()
        return folder

    return start


def failure(tmp_path: Path) -> str:
    return (tmp_path / "ml" / "output" / "failure").read_text()


def test_job_leaves_model_metrics_and_predictions(run: Run) -> None:
    folder = run(test=REVIEWS[:10], training=REVIEWS)
    assert Predictor.load(folder / "model").predict(["good"])
    metrics = json.loads((folder / "output" / "data" / "metrics.json").read_text())
    assert metrics["test"]["reviews"] == 10
    assert len(metrics["epochs"]) == 2
    assert (folder / "output" / "data" / "predictions.csv").is_file()
    assert not (folder / "output" / "failure").exists()


def test_artifact_records_hyperparameters_and_figures(run: Run) -> None:
    training = load_artifact(run() / "model").training
    assert training["hyperparameters"]["hidden_dim"] == 8
    assert training["reviews"]["training"] + training["validation"]["reviews"] == 64


def test_command_line_overrides_the_file(run: Run) -> None:
    folder = run("--hidden-dim", "4", hyperparameters={"hidden_dim": "16"})
    assert load_artifact(folder / "model").network.hidden_dim == 4


def test_same_job_gives_the_same_file(run: Run) -> None:
    folder = run()
    first = (folder / "model" / "model.safetensors").read_bytes()
    train.main()
    assert (folder / "model" / "model.safetensors").read_bytes() == first


def test_fault_in_hyperparameters_is_found_before_any_data_is_read(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="hyperparameter epochs: 'x' is not an integer from 1 to 1000"):
        run(hyperparameters={"epochs": "x"}, training=[("", "no label")])
    assert failure(tmp_path).startswith("hyperparameter epochs")


def test_faulty_data_is_told_in_the_failure_file(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        run(training=[*REVIEWS, ("fine", "5")])
    assert failure(tmp_path).endswith(
        "reviews.csv, line 66: unknown label '5', expected one of 1, 0, pos, neg, positive, negative"
    )


def test_failed_job_leaves_no_model(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        run(training=REVIEWS[:3])
    assert not (tmp_path / "ml" / "model").exists()


@pytest.mark.parametrize("ending", [SystemExit(0), KeyboardInterrupt(), OSError("no errno"), MemoryError()])
def test_every_bad_ending_is_the_one_exception_that_the_toolkit_takes_for_a_failure(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    def end(*_arguments: object) -> None:
        raise ending

    monkeypatch.setattr(train, "fit", end)
    with pytest.raises(ClientError):
        run()
    assert failure(tmp_path)


def test_bug_leaves_its_traceback_in_the_log_and_its_cause_in_the_failure_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def surprise(*_arguments: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(train, "fit", surprise)
    with pytest.raises(ClientError):
        run()
    assert failure(tmp_path) == "KeyError: 'surprise'"
    assert "Traceback" in capsys.readouterr().err


def test_callers_mistake_leaves_no_traceback(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClientError):
        run(hyperparameters={"epochs": "x"})
    assert "Traceback" not in capsys.readouterr().err


def test_unwritable_model_folder_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "model").write_text("a file where the folder should be")
    with pytest.raises(ClientError, match="ml/model: File exists"):
        run()


def test_failure_that_cannot_be_written_is_no_success(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    codes = []

    def end(code: int) -> None:
        codes.append(code)
        raise RuntimeError

    monkeypatch.setattr(os, "_exit", end)
    (tmp_path / "ml" / "output" / "failure").mkdir(parents=True)
    with pytest.raises(RuntimeError):
        run(hyperparameters={"epochs": "x"})
    assert codes == [1]


def test_help_is_printed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("--help")
    assert "--hidden_dim" in capsys.readouterr().out
    assert not (folder / "model").exists()
