"""Jobs that train embeddings, and jobs that start from them."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sagemaker_training.errors import ClientError

import train
from byoc.artifact import check_artifact
from byoc.errors import ArtifactError
from byoc.signals import Stopped
from sentiment.embeddings import store as pretrained
from sentiment.model.artifact import load_artifact
from sentiment.training import run as run_module
from tests.conftest import PLAIN, make_base

REVIEWS = [(f"film{i} good" if i % 2 else f"film{i} bad", str(i % 2)) for i in range(64)]
UNLABELED = [(f"another film{i} so good", "") for i in range(30)]
# The embeddings are not trained.
FIXED = {"embedding_lr_scale": "0", "embedding_dim": "8", "hidden_dim": "8", "batch_size": "8", "epochs": "1"}

Job = Callable[..., Path]
Values = dict[str, str] | None


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Job]:
    """Runs a named job with channels of reviews or of files, and returns its folder."""
    before = signal.getsignal(signal.SIGTERM)

    def start(name: str, pretrained: Path | None = None, values: Values = None, **channels: Any) -> Path:
        folder = make_base(tmp_path / name, PLAIN | FIXED | (values or {}), **channels)
        if pretrained is not None:
            shutil.copytree(pretrained, folder / "input" / "data" / "pretrained")
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(folder))
        monkeypatch.setattr(sys, "argv", ["train"])
        train.main()
        return folder

    yield start
    signal.signal(signal.SIGTERM, before)


def test_job_starts_from_pretrained_embeddings(job: Job) -> None:
    made = job("first", unlabeled=UNLABELED) / "model"
    vectors = pretrained.load(made, 8)
    assert "another" in vectors.vocabulary.words
    artifact = load_artifact(job("second", pretrained=made, training=REVIEWS) / "model")
    assert np.array_equal(artifact.weights["embedding.weight"], vectors.align(artifact.vocabulary))
    assert artifact.weights["embedding.weight"][artifact.vocabulary.ids(["good"])[0]].any()


def test_embeddings_are_no_model(job: Job) -> None:
    folder = job("first", unlabeled=UNLABELED)
    with pytest.raises(ArtifactError, match="there is no trained model"):
        check_artifact(folder / "model", "sentiment")


def test_job_starts_from_trained_model(job: Job) -> None:
    channels = {"training": REVIEWS, "validation": REVIEWS}
    first = job("first", **channels) / "model"
    second = job("second", pretrained=first, values={"seed": "2"}, **channels) / "model"
    without = job("without", values={"seed": "2"}, **channels) / "model"
    vectors = [load_artifact(folder).weights["embedding.weight"] for folder in (first, second, without)]
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


def test_document_vectors_fall_back_to_word2vec(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job("first", values={"embedding_init": "documents"}, unlabeled=UNLABELED)
    assert "embedding_init=documents needs labeled reviews; this job uses word2vec" in capsys.readouterr().out


@pytest.mark.parametrize("channel", ["validation", "test"])
def test_missing_training_channel_is_an_error(job: Job, channel: str) -> None:
    with pytest.raises(ClientError, match="expected one channel called training"):
        job("first", unlabeled=UNLABELED, **{channel: REVIEWS})


def test_misspelled_training_channel_is_an_error(job: Job) -> None:
    with pytest.raises(ClientError, match=r"expected one channel called training.*: .*trainig"):
        job("first", unlabeled=UNLABELED, trainig=REVIEWS)


def test_embeddings_replace_model(job: Job, tmp_path: Path) -> None:
    model = job("first", training=REVIEWS) / "model"
    shutil.rmtree(tmp_path / "first" / "input")
    job("first", unlabeled=UNLABELED)
    assert "another" in pretrained.load(model, 8).vocabulary.words
    with pytest.raises(ArtifactError, match="there is no trained model"):
        check_artifact(model, "sentiment")


def test_folder_without_vectors_is_an_error(job: Job, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ClientError, match=r"channel pretrained: .* has neither"):
        job("second", pretrained=tmp_path / "nothing", training=REVIEWS)


def test_stopped_embedding_job_writes_nothing(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_arguments: object) -> None:
        raise Stopped

    monkeypatch.setattr(run_module, "train_word2vec", stop)
    folder = job("first", unlabeled=UNLABELED)
    assert "there is nothing to save" in capsys.readouterr().out
    assert not (folder / "model").exists()
    assert not (tmp_path / "first" / "output" / "failure").exists()
