"""Training jobs: their files, stops, checkpoints and resumed jobs."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from byoc.artifact import check_artifact
from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.errors import CheckpointError, DataError, TrainingError
from byoc.signals import NOTHING_TO_SAVE, Stopped
from sentiment.data import datasets
from sentiment.evaluation import report
from sentiment.model.artifact import load_artifact
from sentiment.model.predictor import Predictor
from sentiment.training import fine_tuning
from sentiment.training.optimizer import Optimization
from sentiment.training.trainer import Trainer
from tests.support.training_jobs import REVIEWS, Run, metrics, run_until_step, stop_at, train, weights


def test_job_leaves_model_metrics_and_predictions(run: Run) -> None:
    folder = run(test=REVIEWS[:10], training=REVIEWS)
    check_artifact(folder / "model", "sentiment")
    assert Predictor.load(folder / "model").predict(["good"])
    assert metrics(folder)["test"]["reviews"] == 10
    assert len(metrics(folder)["epochs"]) == 2
    assert (folder / "output" / "data" / "predictions.csv").is_file()


def test_job_leaves_a_report(run: Run) -> None:
    page = (run() / "output" / "data" / "report.html").read_text("utf-8")
    assert "Training report" in page
    assert "film" not in page  # no text of any review


def test_failed_report_fails_no_job(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(report, "render", fail)
    assert Predictor.load(run() / "model").predict(["good"])


def test_artifact_records_hyperparameters_and_counts(run: Run) -> None:
    record = load_artifact(run() / "model").training
    assert record["hyperparameters"]["hidden_dim"] == 8
    assert record["reviews"]["training"] + record["validation"]["reviews"] == 64


def test_artifact_records_unknown_words(run: Run) -> None:
    shares = load_artifact(run() / "model").unknown_share
    assert 0 <= shares["50"] <= shares["99.9"] <= 1


def test_same_job_gives_the_same_file(run: Run) -> None:
    first = weights(run())
    assert weights(run()) == first


def test_faulty_review_is_named(run: Run) -> None:
    with pytest.raises(
        DataError, match=r"reviews.csv, line 66: unknown label '5'; labels of channel training"
    ):
        run(training=[*REVIEWS, ("fine", "5")])


def test_failed_job_leaves_no_model(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        run(training=REVIEWS[:3])
    assert not (tmp_path / "ml" / "model").exists()


def test_stop_while_reading_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at(monkeypatch, datasets, "tokenize", 9)
    with pytest.raises(Stopped, match=f"^{NOTHING_TO_SAVE}$"):
        run()
    assert not (tmp_path / "ml" / "model").exists()


def test_stop_in_first_epoch_writes_checkpoint(
    run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_until_step(monkeypatch, 2, run)
    assert "stopped in epoch 1 of training after 2 of 8 batches; no model yet; " in caplog.text
    assert len(list(checkpoints.iterdir())) == 1
    assert not (checkpoints.parent / "model").exists()


def test_later_stop_leaves_the_best_model(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop_at(monkeypatch, Optimization, "step", 11)
    folder = run(training=REVIEWS, test=REVIEWS)
    model = f"the best model so far is in {folder / 'model'}"
    assert f"stopped in epoch 2 of training after 3 of 8 batches; {model}; " in caplog.text
    assert Predictor.load(folder / "model").predict(["good"])
    assert len(metrics(folder)["epochs"]) == 1
    assert "test" not in metrics(folder)


def test_stop_skips_test_evaluation(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop_at(monkeypatch, fine_tuning, "evaluate", 3)
    folder = run(training=REVIEWS, test=REVIEWS)
    assert f"stopped after training; the best model so far is in {folder / 'model'}" in caplog.text
    assert len(metrics(folder)["epochs"]) == 2
    assert "test" not in metrics(folder)


def test_nan_loss_keeps_model_and_checkpoint(
    run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Optimization.step

    def diverge(optimization: Optimization, losses: Any, number: int) -> torch.Tensor:
        loss = step(optimization, losses, number)
        return loss * torch.nan if number == 11 else loss

    monkeypatch.setattr(Optimization, "step", diverge)
    with pytest.raises(
        TrainingError, match=r"^the training loss is nan in epoch 2 of training\nuse a learning_rate below"
    ):
        run()
    assert load_artifact(checkpoints.parent / "model").training["best_epoch"] == 1
    content = Checkpoints(checkpoints, 1).newest()
    assert content
    assert Checkpoint.from_bytes(content).position == (1, 0)


def test_resumed_job_is_bit_identical(run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoints.parent
    run_until_step(monkeypatch, 11, run)
    assert len(metrics(folder)["epochs"]) == 1
    resumed = weights(train(folder))
    shutil.rmtree(checkpoints)
    assert weights(train(folder)) == resumed


def test_stop_while_reading_mentions_the_checkpoint(
    run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_until_step(monkeypatch, 11, run)
    stop_at(monkeypatch, datasets, "tokenize", 9)
    message = f"^stopped before the next step; the same job resumes from {checkpoints}$"
    with pytest.raises(Stopped, match=message):
        train(checkpoints.parent)


def test_resumed_job_writes_model_first(run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoints.parent
    run_until_step(monkeypatch, 11, run)
    shutil.rmtree(folder / "model")
    monkeypatch.setattr(Trainer, "fit", lambda *_: pytest.fail("training goes on"))
    with pytest.raises(pytest.fail.Exception):
        train(folder)
    assert load_artifact(folder / "model").training["best_epoch"] == 1


@pytest.mark.usefixtures("checkpoints")
def test_checkpoint_of_another_job_is_refused(run: Run) -> None:
    run()
    cause = r"made with learning_rate 0.002 \(now 0.01\), training data of 58 reviews"
    with pytest.raises(CheckpointError, match=cause):
        run({"learning_rate": "0.01"}, training=[*REVIEWS, ("a new one", "1")])


def test_checkpoint_of_a_gpu_is_refused(run: Run, checkpoints: Path) -> None:
    run()
    content = Checkpoints(checkpoints, 1).newest()
    assert content
    checkpoint = Checkpoint.from_bytes(content)
    config = {**checkpoint.config, "device": "cuda"}
    Checkpoints(checkpoints, 1).write(replace(checkpoint, position=Position(9, 0), config=config), 0)
    with pytest.raises(CheckpointError, match=r"made with device cuda \(now cpu\)"):
        train(checkpoints.parent)


@pytest.mark.usefixtures("checkpoints")
def test_checkpoint_interval_may_change(run: Run) -> None:
    run()
    run({"checkpoint_interval_minutes": "1"})
