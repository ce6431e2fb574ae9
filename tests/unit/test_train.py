"""The training program in this process: its endings and the files it leaves."""

import csv
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sagemaker_training.errors import ClientError

import train
from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.errors import TrainingError
from sentiment.data import datasets
from sentiment.evaluation import report
from sentiment.model.artifact import load_artifact
from sentiment.model.predictor import Predictor
from sentiment.ngram_model import soft_labels
from sentiment.training import trainer as trainer_module
from sentiment.training.loader import DeviceBatch
from sentiment.training.optimizer import Optimization
from sentiment.training.trainer import Trainer
from tests.conftest import PLAIN, make_base

REVIEWS = [(f"film{i} good" if i % 2 else f"film{i} bad", str(i % 2)) for i in range(64)]
QUICK = PLAIN | {"epochs": "2", "hidden_dim": "8", "embedding_dim": "8", "batch_size": "8"}

Run = Callable[..., Path]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """Runs ``main`` over a folder in the layout of /opt/ml, and returns the folder."""
    before = signal.getsignal(signal.SIGTERM)

    def start(*arguments: str, hyperparameters: dict[str, Any] | None = None, **channels: Any) -> Path:
        values = QUICK | (hyperparameters or {})
        folder = make_base(tmp_path / "ml", values, **(channels or {"training": REVIEWS}))
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        monkeypatch.setattr(sys, "argv", ["train", *arguments])
        train.main()
        return folder

    yield start
    signal.signal(signal.SIGTERM, before)


def failure(tmp_path: Path) -> str:
    return (tmp_path / "ml" / "output" / "failure").read_text()


def test_job_writes_all_results(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(test=REVIEWS[:10], training=REVIEWS)
    assert "test_reviews=10; test_accuracy=" in capsys.readouterr().out
    assert Predictor.load(folder / "model").predict(["good"])
    metrics = json.loads((folder / "output" / "data" / "metrics.json").read_text())
    assert metrics["test"]["reviews"] == 10
    assert len(metrics["epochs"]) == 2
    assert (folder / "output" / "data" / "predictions.csv").is_file()
    assert not (folder / "output" / "failure").exists()


def test_job_writes_a_report(run: Run) -> None:
    page = (run() / "output" / "data" / "report.html").read_text("utf-8")
    assert "Training report" in page
    assert "film" not in page  # no text of any review


def test_failed_report_does_not_fail_job(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(report, "_write", fail)
    folder = run()
    assert Predictor.load(folder / "model").predict(["good"])
    assert not (folder / "output" / "failure").exists()


def test_artifact_records_training(run: Run) -> None:
    training = load_artifact(run() / "model").training
    assert training["hyperparameters"]["hidden_dim"] == 8
    assert training["reviews"]["training"] + training["validation"]["reviews"] == 64


def test_command_line_overrides_file(run: Run) -> None:
    folder = run("--hidden-dim", "4", hyperparameters={"hidden_dim": "16"})
    assert load_artifact(folder / "model").network.hidden_dim == 4


def test_job_is_reproducible(run: Run) -> None:
    folder = run()
    first = (folder / "model" / "model.safetensors").read_bytes()
    train.main()
    assert (folder / "model" / "model.safetensors").read_bytes() == first


def test_hyperparameters_are_checked_before_data(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="hyperparameter epochs: 'x' is not an integer from 1 to 1000"):
        run(hyperparameters={"epochs": "x"}, training=[("", "no label")])
    assert failure(tmp_path).startswith("hyperparameter epochs")


def test_failure_file_names_malformed_review(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        run(training=[*REVIEWS, ("fine", "5")])
    assert failure(tmp_path).endswith(
        "reviews.csv, line 66: unknown label '5', expected one of 1, 0, pos, neg, positive, negative"
    )


def test_failed_job_writes_no_model(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        run(training=REVIEWS[:3])
    assert not (tmp_path / "ml" / "model").exists()


@pytest.mark.parametrize("ending", [SystemExit(0), KeyboardInterrupt(), OSError("no errno"), MemoryError()])
def test_every_failure_is_a_client_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    def end(*_arguments: object) -> None:
        raise ending

    monkeypatch.setattr(Trainer, "fit", end)
    with pytest.raises(ClientError):
        run()
    assert failure(tmp_path)


def test_bug_logs_its_traceback(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def surprise(*_arguments: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(Trainer, "fit", surprise)
    with pytest.raises(ClientError):
        run()
    assert failure(tmp_path) == "KeyError: 'surprise'"
    assert "Traceback" in capsys.readouterr().err


def test_user_error_logs_no_traceback(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClientError):
        run(hyperparameters={"epochs": "x"})
    assert "Traceback" not in capsys.readouterr().err


def test_unwritable_model_folder_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "model").write_text("a file where the folder should be")
    with pytest.raises(ClientError, match="ml/model: File exists"):
        run()


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [
        (
            OSError(28, "No space left on device", "/opt/ml/model"),
            "/opt/ml/model: No space",
            "a larger volume",
        ),
        (PermissionError(13, "Permission denied", "/opt/ml/model"), "/opt/ml/model: Perm", "read and write"),
        (MemoryError("40 GiB"), "out of memory: MemoryError: 40 GiB", "a smaller batch_size"),
        (TrainingError("the loss is nan\nlower it"), "the loss is nan", "lower it"),
    ],
)
def test_failure_file_has_cause_and_remedy(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: str, remedy: str
) -> None:
    def end(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(Trainer, "fit", end)
    with pytest.raises(ClientError):
        run()
    first, second = failure(tmp_path).splitlines()
    assert first.startswith(cause)
    assert remedy in second


def test_failure_of_earlier_job_is_removed(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ClientError):
        run("--epochs=0")
    shutil.rmtree(tmp_path / "ml" / "input")
    assert not (run() / "output" / "failure").exists()


def stop_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int = 1) -> None:
    """Send SIGTERM at this call of a function."""
    function, calls = getattr(module, name), iter(range(1, call))

    def stopping(*arguments: Any, **named: Any) -> Any:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, stopping)


def test_stop_during_setup_is_no_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_at(monkeypatch, datasets, "tokenize", 9)
    folder = run()
    assert "stopped before the first step: there is nothing to save" in capsys.readouterr().out
    assert not (folder / "model").exists()
    assert not (folder / "output" / "failure").exists()


def test_stop_in_first_epoch_writes_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    stop_at(monkeypatch, Optimization, "step", 2)
    folder = run()
    assert (
        "stopped in epoch 1 after 2 of 8 batches; no model: no epoch is finished; " in capsys.readouterr().out
    )
    assert len(list((folder / "checkpoints").iterdir())) == 1
    assert not (folder / "model").exists()


def test_stop_in_later_epoch_writes_results(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_at(monkeypatch, Optimization, "step", 11)
    folder = run(training=REVIEWS, test=REVIEWS)
    assert f"stopped in epoch 2 after 3 of 8 batches; the best model so far is in {folder / 'model'}; " in (
        capsys.readouterr().out
    )
    assert Predictor.load(folder / "model").predict(["good"])
    metrics = json.loads((folder / "output" / "data" / "metrics.json").read_text())
    assert len(metrics["epochs"]) == 1
    assert "test" not in metrics


def test_stop_skips_test_evaluation(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_at(monkeypatch, trainer_module, "evaluate", 3)
    folder = run(training=REVIEWS, test=REVIEWS)
    assert "stopped before the evaluation of the channel test" in capsys.readouterr().out
    metrics = json.loads((folder / "output" / "data" / "metrics.json").read_text())
    assert len(metrics["epochs"]) == 2
    assert "test" not in metrics


def test_nan_loss_keeps_model_and_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    step = Optimization.step

    def diverge(
        optimization: Optimization, batch: DeviceBatch, number: int, weight: float = 1.0
    ) -> torch.Tensor:
        return step(optimization, batch, number, torch.nan if number == 11 else weight)

    monkeypatch.setattr(Optimization, "step", diverge)
    with pytest.raises(ClientError):
        run()
    first, second = failure(tmp_path).splitlines()
    assert first == "the training loss is nan in epoch 2"
    assert second.startswith("use a learning_rate below")
    assert load_artifact(tmp_path / "ml" / "model").training["best_epoch"] == 1
    content = Checkpoints(tmp_path / "ml" / "checkpoints", 1).newest()
    assert content
    assert Checkpoint.from_bytes(content).position == (1, 0)


def test_resumed_job_is_bit_identical(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (run() / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "ml")
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    with monkeypatch.context() as patch:
        stop_at(patch, Optimization, "step", 11)
        run()
    assert len(json.loads((tmp_path / "ml" / "output" / "data" / "metrics.json").read_text())["epochs"]) == 1
    train.main()
    assert (tmp_path / "ml" / "model" / "model.safetensors").read_bytes() == whole


def test_stop_during_setup_names_checkpoints(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = tmp_path / "ml" / "checkpoints"
    checkpoints.mkdir(parents=True)
    with monkeypatch.context() as patch:
        stop_at(patch, Optimization, "step", 11)
        run()
    stop_at(monkeypatch, datasets, "tokenize", 9)
    train.main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"stopped before the next step; the same job resumes from {checkpoints}"


def test_resumed_job_writes_model_at_once(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    with monkeypatch.context() as patch:
        stop_at(patch, Optimization, "step", 11)
        run()
    shutil.rmtree(tmp_path / "ml" / "model")
    monkeypatch.setattr(Trainer, "fit", lambda *_: pytest.fail("stop here"))
    with pytest.raises(ClientError):
        train.main()
    assert load_artifact(tmp_path / "ml" / "model").training["best_epoch"] == 1


def test_checkpoint_of_other_job_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    run()
    shutil.rmtree(tmp_path / "ml" / "input")
    with pytest.raises(ClientError):
        run("--learning_rate=0.01", training=[*REVIEWS, ("a new one", "1")])
    cause = failure(tmp_path).splitlines()[0]
    assert "made with learning_rate 0.002 (now 0.01), training data of 58 reviews" in cause


def test_gpu_checkpoint_is_refused_on_cpu(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "ml" / "checkpoints"
    folder.mkdir(parents=True)
    run()
    content = Checkpoints(folder, 1).newest()
    assert content
    found = Checkpoint.from_bytes(content)
    made_with = {**found.made_with, "device": "cuda"}
    Checkpoints(folder, 1).write(replace(found, position=Position(9, 0), made_with=made_with), 0)
    with pytest.raises(ClientError):
        train.main()
    assert "made with device cuda (now cpu)" in failure(tmp_path)


def test_checkpoint_interval_may_change(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    run()
    shutil.rmtree(tmp_path / "ml" / "input")
    run("--checkpoint_interval_minutes=1")


def test_unwritable_failure_file_exits_with_1(
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


def test_help_lists_hyperparameters(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("--help")
    assert "--hidden_dim" in capsys.readouterr().out
    assert not (folder / "model").exists()


WARM_START = {
    "embedding_init": "word2vec",
    "soft_label_weight": "0.5",
    "ema_decay": "0.9",
    "word_dropout": "0.1",
}
DOCUMENTS = WARM_START | {"embedding_init": "documents"}
NGRAM_SCORES = {
    "embedding_init": "word2vec",
    "max_ngrams": "20",
    "ngram_init": "regression",
    "pooling": "mean",
}
PAIRS = [(f"film{i} was {'' if i % 2 else 'not '}good", str(i % 2)) for i in range(64)]
UNLABELED = [("another film good", "1"), ("another film bad", "0")]


def test_unlabeled_reviews_extend_vocabulary(run: Run) -> None:
    folder = run(hyperparameters=WARM_START, training=REVIEWS, unlabeled=UNLABELED)
    artifact = load_artifact(folder / "model")
    assert "another" in artifact.vocabulary.words
    labeled = artifact.training["reviews"]["training"]
    assert artifact.training["reviews"]["unlabeled"] == 2
    assert labeled + artifact.training["validation"]["reviews"] == 64


@pytest.mark.parametrize(
    "hyperparameters", [WARM_START, DOCUMENTS, NGRAM_SCORES], ids=["soft labels", "documents", "ngram scores"]
)
def test_warm_start_is_restored_from_checkpoint(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hyperparameters: dict[str, str]
) -> None:
    job = {"hyperparameters": hyperparameters, "training": PAIRS, "unlabeled": UNLABELED}
    whole = (run(**job) / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "ml")
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    with monkeypatch.context() as patch:
        stop_at(patch, Optimization, "step")
        run(**job)
    before, after = sorted((tmp_path / "ml" / "checkpoints").iterdir())
    assert Checkpoint.from_bytes(before.read_bytes()).position == (0, 0)
    after.unlink()
    monkeypatch.setattr("sentiment.training.run.create_warm_start", None)
    train.main()
    assert (tmp_path / "ml" / "model" / "model.safetensors").read_bytes() == whole


def test_stop_during_warm_start_is_no_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_at(monkeypatch, soft_labels.SoftLabels, "targets")
    folder = run(hyperparameters=WARM_START)
    assert "stopped before the first step: there is nothing to save" in capsys.readouterr().out
    assert not (folder / "output" / "failure").exists()


def test_stop_after_warm_start_keeps_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = tmp_path / "ml" / "checkpoints"
    checkpoints.mkdir(parents=True)
    stop_at(monkeypatch, Trainer, "fit")
    run(hyperparameters=WARM_START)
    assert f"stopped before the next step; the same job resumes from {checkpoints}" in capsys.readouterr().out
    assert len(list(checkpoints.iterdir())) == 1


@pytest.mark.parametrize("hyperparameters", [{}, NGRAM_SCORES], ids=["plain", "phrases"])
def test_probabilities_served_are_the_calibrated_ones(run: Run, hyperparameters: dict[str, str]) -> None:
    folder = run(hyperparameters=hyperparameters, training=PAIRS, validation=PAIRS[:20])
    assert bool(load_artifact(folder / "model").vocabulary.ngrams) == bool(hyperparameters)
    metrics = json.loads((folder / "output" / "data" / "metrics.json").read_text())
    assert metrics["temperature"] != 1
    with (folder / "output" / "data" / "predictions.csv").open() as stream:
        written = [float(row["probability"]) for row in csv.DictReader(stream)]
    served = Predictor.load(folder / "model").predict([text for text, _ in PAIRS[:20]])
    assert [prediction["probability"] for prediction in served] == pytest.approx(written, abs=1e-5)
