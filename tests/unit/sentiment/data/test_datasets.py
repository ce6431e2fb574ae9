"""Channels to examples."""

import logging
from collections.abc import Set
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.errors import DataError
from byoc.job import Job
from byoc.signals import StopFlag, Stopped
from sentiment.data import datasets
from sentiment.data.datasets import Datasets
from sentiment.hyperparameters import Hyperparameters
from sentiment.model.pretrained import PretrainedWeights
from sentiment.settings import NetworkSettings
from sentiment.text.vocabulary import Vocabulary
from tests.conftest import write_csv
from tests.unit.sentiment.data.test_acl_imdb import write_layout

REVIEWS = [(f"film{i} good" if i % 2 else f"film{i} bad", str(i % 2)) for i in range(200)]
SIDES = (("pos", 9), ("neg", 1))
SMALL = Hyperparameters(batch_size=8, stop_words="none")


def load(
    channels: dict[str, Path],
    hyperparameters: Hyperparameters,
    sharded: Set[str] = frozenset(),
    stop: StopFlag | None = None,
) -> Datasets:
    """Load the channels as a job of one process does."""
    job = SimpleNamespace(
        channels=channels,
        hyperparameters=hyperparameters,
        opt_ml=SimpleNamespace(sharded_channels=lambda: sharded),
        process_group=SINGLE_PROCESS,
        stop=stop or StopFlag(),
    )
    return datasets.load(cast(Job, job))


def channels(folder: Path, **content: list[tuple[str, str]]) -> dict[str, Path]:
    for name, reviews in content.items():
        write_csv(folder / name / "r.csv", reviews)
    return {name: folder / name for name in content}


def test_validation_is_held_out(tmp_path: Path) -> None:
    data = load(channels(tmp_path, training=REVIEWS), SMALL)
    held_out = len(data.held_out["validation"].labels)
    assert 5 < held_out < 40
    assert len(data.training.labels) == 200 - held_out


def test_validation_channel_replaces_the_split(tmp_path: Path) -> None:
    data = load(channels(tmp_path, train=REVIEWS, validation=REVIEWS[:10]), SMALL)
    assert len(data.training.labels) == 200
    assert data.held_out["validation"].labels.tolist() == [0, 1] * 5


def test_channel_test_is_held_out(tmp_path: Path) -> None:
    data = load(channels(tmp_path, training=REVIEWS, test=REVIEWS[:10]), SMALL)
    assert list(data.held_out) == ["validation", "test"]
    assert len(data.held_out["test"].labels) == 10


def test_vocabulary_excludes_held_out_words(tmp_path: Path) -> None:
    held_out = [("unseen word", "1")]
    data = load(channels(tmp_path, training=REVIEWS, validation=held_out, test=held_out), SMALL)
    assert "unseen" not in data.vocabulary.words
    assert data.held_out["test"].sequences.ids.tolist() == [1, 1]


def test_stop_words_are_removed_and_recorded(tmp_path: Path) -> None:
    reviews = [(f"the {text}", label) for text, label in REVIEWS]
    hyperparameters = Hyperparameters(batch_size=8, stop_words="all")
    data = load(channels(tmp_path, training=reviews), hyperparameters)
    assert "the" not in data.vocabulary.words
    assert "the" in data.text.stop_words


def test_held_out_review_has_its_source(tmp_path: Path) -> None:
    data = load(channels(tmp_path, training=REVIEWS, validation=REVIEWS[:2]), SMALL)
    file, line = data.sources["validation"][1]
    assert file.endswith("validation/r.csv")
    assert line == 3


def test_unknown_channel_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    load(channels(tmp_path, training=REVIEWS, extra=REVIEWS), SMALL)
    assert "channel extra is ignored" in caplog.text


@pytest.mark.parametrize("names", [[], ["validation"], ["training", "train"], ["unlabeled", "validation"]])
def test_other_than_one_channel_is_rejected(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DataError, match="expected one channel called training"):
        load(channels(tmp_path, **dict.fromkeys(names, REVIEWS)), SMALL)


def test_single_class_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="channel training: all reviews are positive"):
        load(channels(tmp_path, training=REVIEWS[1::2]), SMALL)


def test_reviews_without_words_are_rejected(tmp_path: Path) -> None:
    reviews = [(f"{'!' * i}", str(i % 2)) for i in range(1, 40)]
    with pytest.raises(DataError, match="channel training: the reviews contain no words"):
        load(channels(tmp_path, training=reviews), SMALL)


def test_less_than_one_batch_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fewer than one batch of 64"):
        load(channels(tmp_path, training=REVIEWS[:40]), Hyperparameters())


def test_empty_validation_is_rejected(tmp_path: Path) -> None:
    reviews = [("same text", "1"), ("same text", "0")] * 8
    hyperparameters = Hyperparameters(batch_size=8, validation_fraction=0.001)
    with pytest.raises(DataError, match="no review was held out"):
        load(channels(tmp_path, training=reviews), hyperparameters)


def test_sharded_channel_must_have_reviews(tmp_path: Path) -> None:
    found = {**channels(tmp_path, training=REVIEWS), "test": tmp_path / "missing"}
    with pytest.raises(DataError, match="channel test: no labeled reviews on any host"):
        load(found, SMALL, {"test"})


def test_fingerprint_depends_on_training_data(tmp_path: Path) -> None:
    first = load(channels(tmp_path / "1", training=REVIEWS), SMALL).fingerprint()
    assert load(channels(tmp_path / "2", training=REVIEWS), SMALL).fingerprint() == first
    other = load(channels(tmp_path / "3", training=[*REVIEWS, ("film1 bad", "0")]), SMALL).fingerprint()
    assert other["training data"] != first["training data"]
    assert other["training data"].startswith(f"of {int(first['training data'].split()[1]) + 1} reviews")


def test_stop_interrupts_reading(tmp_path: Path) -> None:
    stop = StopFlag()
    stop.requested = True
    with pytest.raises(Stopped):
        load(channels(tmp_path, training=REVIEWS), SMALL, stop=stop)


def test_unlabeled_reviews_extend_the_vocabulary(tmp_path: Path) -> None:
    unlabeled = [("nowhere else", ""), ("nowhere else at all", "")]
    data = load(channels(tmp_path, training=REVIEWS, unlabeled=unlabeled), SMALL)
    assert len(data.unlabeled.labels) == 2
    assert "nowhere" in data.vocabulary.words
    assert len(data.training.labels) + len(data.held_out["validation"].labels) == 200


def test_unlabeled_channel_is_optional(tmp_path: Path) -> None:
    assert len(load(channels(tmp_path, training=REVIEWS), SMALL).unlabeled.labels) == 0


def test_held_out_texts_are_dropped(tmp_path: Path) -> None:
    held_out = [("seen in test", "1"), ("seen in validation", "0")]
    unlabeled = [*held_out, ("seen nowhere", "")]
    found = channels(
        tmp_path, training=REVIEWS, validation=held_out[1:], test=held_out[:1], unlabeled=unlabeled
    )
    data = load(found, SMALL)
    assert len(data.unlabeled.labels) == 1
    assert not {"test", "validation"} & set(data.vocabulary.words)


@pytest.mark.parametrize("urls_of", [("pos", "neg", "unsup"), ("pos", "neg")], ids=["known", "unknown"])
def test_held_out_groups_are_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, urls_of: tuple[str, ...]
) -> None:
    files = {f"train/{side}/{i}_{rating}.txt": f"{side} {i}" for side, rating in SIDES for i in range(60)}
    files |= {f"train/unsup/{i}_0.txt": f"unsup {i}" for i in range(60)}
    urls = "".join(f"http://x/title/tt{i:07}/\n" for i in range(60))
    files |= {f"train/urls_{name}.txt": urls for name in urls_of}
    write_layout(tmp_path, files)
    data = load({"training": tmp_path, "unlabeled": tmp_path}, SMALL)
    held_out = len(data.held_out["validation"].labels) // 2
    assert held_out > 0
    are_known = "unsup" in urls_of
    assert len(data.unlabeled.labels) == (60 - held_out if are_known else 60)
    assert ("channel unlabeled has no movie ids" in caplog.text) == (not are_known)


def test_fingerprint_depends_on_unlabeled_data(tmp_path: Path) -> None:
    first = load(channels(tmp_path / "1", training=REVIEWS), SMALL).fingerprint()
    other = load(channels(tmp_path / "2", training=REVIEWS, unlabeled=[("good", "")]), SMALL).fingerprint()
    assert first["unlabeled data"] != other["unlabeled data"]


def test_pretrained_error_names_the_channel(tmp_path: Path) -> None:
    (tmp_path / "pretrained").mkdir()
    folders = channels(tmp_path, training=REVIEWS) | {"pretrained": tmp_path / "pretrained"}
    with pytest.raises(DataError, match=r"channel pretrained: .* has neither a language model nor"):
        load(folders, SMALL)


def pretrained(folder: Path, fill: float = 1.0) -> dict[str, Path]:
    """A channel with a language model of two dimensions each."""
    shapes = NetworkSettings(4, 2, 2, "last").tensor_shapes()
    weights = {
        name: np.full(shape, fill, np.float32)
        for name, shape in shapes.items()
        if not name.startswith("linear")
    }
    PretrainedWeights(Vocabulary(["good", "bad"]), weights).save(folder / "pretrained")
    return {"pretrained": folder / "pretrained"}


TINY = replace(SMALL, embedding_dim=2, hidden_dim=2)


def test_pretrained_model_is_loaded(tmp_path: Path) -> None:
    data = load(channels(tmp_path, training=REVIEWS) | pretrained(tmp_path), TINY)
    assert data.pretrained is not None
    assert data.pretrained.vocabulary.words == ("good", "bad")
    assert "film0" in data.vocabulary.words


def test_pretrained_mismatch_names_the_channel(tmp_path: Path) -> None:
    message = (
        "channel pretrained: the language model has embedding_dim=2 and hidden_dim=2, expected 128 and 128"
    )
    with pytest.raises(DataError, match=message):
        load(channels(tmp_path, training=REVIEWS) | pretrained(tmp_path), SMALL)


def test_fingerprint_depends_on_language_model(tmp_path: Path) -> None:
    folders = channels(tmp_path, training=REVIEWS)
    first = load(folders | pretrained(tmp_path / "1"), TINY).fingerprint()
    other = load(folders | pretrained(tmp_path / "2", 2.0), TINY).fingerprint()
    assert {name for name in first if first[name] != other[name]} == {"language model"}
    assert "language model" not in load(folders, TINY).fingerprint()


def test_splits_of_the_training_channel_are_held_out(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", REVIEWS)
    write_csv(tmp_path / "Valid.csv", REVIEWS[:6])
    write_csv(tmp_path / "Test.csv", [("unseen word", "1")])
    data = load({"training": tmp_path}, SMALL)
    assert {name: len(examples.labels) for name, examples in data.held_out.items()} == {
        "validation": 6,
        "test": 1,
    }
    assert len(data.training.labels) == 200
    assert "unseen" not in data.vocabulary.words
    assert [(file["file"], file["rows"]) for file in data.files] == [
        ("train.csv", 200),
        ("Valid.csv", 6),
        ("Test.csv", 1),
    ]


def test_tokenizer_is_recorded(tmp_path: Path) -> None:
    reviews = [(f"café {text}", label) for text, label in REVIEWS]
    hyperparameters = Hyperparameters(batch_size=8, tokenizer="unicode")
    data = load(channels(tmp_path, training=reviews), hyperparameters)
    assert data.text.tokenizer == "unicode"
    assert "café" in data.vocabulary.words
