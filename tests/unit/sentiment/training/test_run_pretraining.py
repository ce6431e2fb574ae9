"""Training jobs with pretraining, with unlabeled reviews, and with a language model."""

import contextlib
import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from byoc.errors import ArtifactError, DataError
from byoc.signals import NOTHING_TO_SAVE, Stopped
from sentiment.model.artifact import load_artifact
from sentiment.model.predictor import Predictor
from sentiment.model.pretrained import load_pretrained
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.training import fine_tuning
from sentiment.training.pretraining import Pretraining
from tests.support.training_jobs import REVIEWS, Run, metrics, run_until_step, stop_at, train, weights

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
    assert content["parts"]["test"]["ngram"]["accuracy"] == 1  # by "was good" and "not good"


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
    message = rf"stopped in epoch 1 of pretraining after 1 of \d+ batches; no model yet; .*{checkpoints}$"
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
    pretrained = load_pretrained(made, 8, 8)
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


def test_few_unlabeled_reviews_have_a_perplexity(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run(ALONE, **REVIEWS_ALONE)
    assert re.search(r"validation_perplexity=(?!1\.0000)", caplog.text)


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
    assert "another" in load_pretrained(model, 8, 8).vocabulary.words
    with pytest.raises(ArtifactError, match="there is no trained model"):
        load_artifact(model)


def test_folder_without_language_model_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"channel pretrained: .* has neither"):
        run(pretrained=tmp_path / "nothing", training=REVIEWS)
