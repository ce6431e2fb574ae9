"""A training job of the LSTM in this process: results, stops and resumption."""

import contextlib
import csv
import json
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from byoc.artifact import check_artifact
from byoc.checkpoints import Checkpoint, Checkpoints, Position
from byoc.errors import ArtifactError, CheckpointError, DataError, TrainingError
from byoc.hyperparameters import parse_hyperparameters
from byoc.job import Job
from byoc.opt_ml import OptMl
from byoc.signals import NOTHING_TO_SAVE, StopFlag, Stopped
from sentiment.data import datasets
from sentiment.evaluation import report
from sentiment.hyperparameters import Hyperparameters
from sentiment.model import language_model
from sentiment.model.artifact import load_artifact
from sentiment.model.predictor import Predictor
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.training import fine_tuning
from sentiment.training import run as training
from sentiment.training.optimizer import Optimization
from sentiment.training.pretraining import Pretraining
from sentiment.training.trainer import Trainer
from tests.conftest import PLAIN, make_base

REVIEWS = [(f"film{i} good" if i % 2 else f"film{i} bad", str(i % 2)) for i in range(64)]
QUICK = PLAIN | {"epochs": "2", "hidden_dim": "8", "embedding_dim": "8", "batch_size": "8"}

Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Runs a job over a folder in the layout of /opt/ml, and returns the folder."""
    before = signal.getsignal(signal.SIGTERM)
    caplog.set_level(logging.INFO)

    def start(
        hyperparameters: dict[str, str] | None = None,
        *,
        name: str = "ml",
        pretrained: Path | None = None,
        **channels: Any,
    ) -> Path:
        folder = tmp_path / name
        shutil.rmtree(folder / "input", ignore_errors=True)
        make_base(folder, QUICK | (hyperparameters or {}), **(channels or {"training": REVIEWS}))
        if pretrained is not None:
            shutil.copytree(pretrained, folder / "input" / "data" / "pretrained")
        return train(folder)

    yield start
    signal.signal(signal.SIGTERM, before)


def train(folder: Path) -> Path:
    """Run the job of a folder, again where it has run before."""
    opt_ml, stop = OptMl(folder), StopFlag()
    stop.listen()
    values = parse_hyperparameters(Hyperparameters, opt_ml.hyperparameters())
    training.train(Job("sentiment", opt_ml, values, stop))
    return folder


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """The checkpoint folder, which makes the job write checkpoints."""
    folder = tmp_path / "ml" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "output" / "data" / "metrics.json").read_text())
    return content


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def stop_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int = 1) -> None:
    """Send SIGTERM at the given call of a function."""
    function, calls = getattr(module, name), iter(range(1, call))

    def stopping(*arguments: Any, **named: Any) -> Any:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, stopping)


def run_until_step(monkeypatch: pytest.MonkeyPatch, step: int, run: Callable[[], object]) -> None:
    """Run a job that is stopped in one of its 16 optimizer steps."""
    with monkeypatch.context() as patch:
        stop_at(patch, Optimization, "step", step)
        run()


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

    monkeypatch.setattr(report, "_write", fail)
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
    assert (
        "stopped in epoch 1 of training after 2 of 8 batches; no model: no epoch is finished; " in caplog.text
    )
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


PRETRAINED = {"pretraining_epochs": "2", "ema_decay": "0.9", "word_dropout": "0.1"}
SUM = PRETRAINED | {"ngram_weight": "1", "pooling": "mean-max"}
PAIRS = [(f"film{i} was {'' if i % 2 else 'not '}good", str(i % 2)) for i in range(64)]
UNLABELED = [("another film good", "1"), ("another film bad", "0")]


def test_unlabeled_reviews_extend_the_vocabulary(run: Run) -> None:
    artifact = load_artifact(run(SUM, training=REVIEWS, unlabeled=UNLABELED) / "model")
    assert "another" in artifact.vocabulary.words
    assert artifact.training["reviews"]["unlabeled"] == 2
    assert artifact.training["reviews"]["training"] + artifact.training["validation"]["reviews"] == 64


def test_metrics_have_perplexity_and_parts(run: Run) -> None:
    content = metrics(run(SUM, training=PAIRS, test=PAIRS[:10]))
    assert [epoch["pretraining_epoch"] for epoch in content["pretraining"]] == [1, 2]
    assert content["pretraining"][1]["train_perplexity"] < content["pretraining"][0]["train_perplexity"]
    assert content["weights"].keys() == {"ngram", "lstm", "intercept"}
    assert content["parts"]["test"].keys() == {"ngram", "lstm"}
    assert content["parts"]["test"]["ngram"]["accuracy"] == 1  # "was good" and "not good" tell the class


def test_lstm_alone_has_no_parts(run: Run) -> None:
    folder = run()
    assert load_artifact(folder / "model").ngram_model is None
    assert metrics(folder)["parts"] == {"validation": {}}
    assert metrics(folder)["weights"].keys() == {"lstm", "intercept"}


@pytest.mark.parametrize("step", [1, 3, 16, 17, 20])
def test_resumed_pretraining_is_bit_identical(
    run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    folder = checkpoints.parent
    monkeypatch.setattr("sentiment.training.pretraining.STEPS", 5)
    with contextlib.suppress(Stopped):
        run_until_step(monkeypatch, step, lambda: run(SUM, training=PAIRS, unlabeled=UNLABELED))
    resumed = weights(train(folder))
    shutil.rmtree(checkpoints)
    assert weights(train(folder)) == resumed


def test_stop_in_pretraining_names_the_checkpoint(
    run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = rf"stopped in epoch 1 of pretraining after 1 of \d+ batches; no model.*{checkpoints}$"
    with pytest.raises(Stopped, match=message):
        run_until_step(monkeypatch, 1, lambda: run(SUM, training=PAIRS))
    assert not (checkpoints.parent / "model").exists()


def test_resumed_job_skips_pretraining(run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, fine_tuning, "evaluate")
        run(SUM, training=PAIRS)
    monkeypatch.setattr(Pretraining, "fit", None)
    train(checkpoints.parent)


def test_stop_in_ngram_fit_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at(monkeypatch, NBSVM, "fit")
    with pytest.raises(Stopped, match=f"^{NOTHING_TO_SAVE}$"):
        run(SUM)
    assert not (tmp_path / "ml" / "model").exists()


@pytest.mark.parametrize("hyperparameters", [{}, SUM], ids=["LSTM alone", "sum"])
def test_served_probabilities_equal_the_reported(run: Run, hyperparameters: dict[str, str]) -> None:
    folder = run(hyperparameters, training=PAIRS, validation=PAIRS[:20], test=PAIRS[20:40])
    with (folder / "output" / "data" / "predictions.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["set"] == "test"]
    written = [float(row["probability"]) for row in rows]
    served = Predictor.load(folder / "model").predict([text for text, _ in PAIRS[20:40]])
    assert [prediction["probability"] for prediction in served] == pytest.approx(written, abs=1e-5)


FIXED = {"embedding_lr_scale": "0", "epochs": "1"}  # the embeddings are not trained
REVIEWS_ALONE = {"unlabeled": [(f"another film{i} so good", "") for i in range(30)]}
ALONE = {"pretraining_epochs": "1"}


def test_job_starts_from_language_model(run: Run) -> None:
    made = run(ALONE, name="first", **REVIEWS_ALONE) / "model"
    pretrained = language_model.load_pretrained(made, 8, 8)
    assert "another" in pretrained.vocabulary.words
    artifact = load_artifact(run(FIXED, name="second", pretrained=made, training=REVIEWS) / "model")
    expected = pretrained.align(artifact.vocabulary)["embedding.weight"].numpy()
    assert np.array_equal(artifact.weights["embedding.weight"], expected)
    assert artifact.weights["embedding.weight"][artifact.vocabulary.ids(["good"])[0]].any()


def test_job_starts_from_trained_model(run: Run) -> None:
    channels = {"training": REVIEWS, "validation": REVIEWS}
    first = run(FIXED, name="first", **channels) / "model"
    other_seed = FIXED | {"seed": "2"}
    second = run(other_seed, name="second", pretrained=first, **channels) / "model"
    without = run(other_seed, name="without", **channels) / "model"
    vectors = [load_artifact(folder).weights["embedding.weight"] for folder in (first, second, without)]
    assert np.array_equal(vectors[0][1:], vectors[1][1:])
    assert not np.array_equal(vectors[0], vectors[2])


def test_pretraining_alone_needs_epochs(run: Run) -> None:
    with pytest.raises(DataError, match="set pretraining_epochs above 0"):
        run(**REVIEWS_ALONE)


def test_pretraining_alone_resumes(run: Run, checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.suppress(Stopped):
        run_until_step(monkeypatch, 1, lambda: run(ALONE, **REVIEWS_ALONE))
    made = train(checkpoints.parent) / "model" / "language_model.safetensors"
    content = made.read_bytes()
    shutil.rmtree(checkpoints)
    train(checkpoints.parent)
    assert made.read_bytes() == content


@pytest.mark.parametrize("channel", ["validation", "test", "trainig"])
def test_missing_training_channel_is_an_error(run: Run, channel: str) -> None:
    with pytest.raises(DataError, match=rf"expected one channel called training.*{channel}"):
        run(**REVIEWS_ALONE, **{channel: REVIEWS})


def test_language_model_replaces_the_model(run: Run) -> None:
    run()
    model = run(ALONE, **REVIEWS_ALONE) / "model"
    assert "another" in language_model.load_pretrained(model, 8, 8).vocabulary.words
    with pytest.raises(ArtifactError, match="there is no trained model"):
        load_artifact(model)


def test_folder_without_language_model_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"channel pretrained: .* has neither"):
        run(pretrained=tmp_path / "nothing", training=REVIEWS)
