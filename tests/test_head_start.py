"""What a training has before its first step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sentiment import datasets, head_start
from sentiment.datasets import Datasets
from sentiment.hyperparameters import Hyperparameters
from sentiment.ranks import ALONE
from sentiment.stop import Stop, Stopped
from test_datasets import REVIEWS, channels

PLAIN = Hyperparameters(batch_size=8, embedding_dim=4)
TAUGHT = replace(PLAIN, distillation=0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    folder = tmp_path_factory.mktemp("channels")
    unlabeled = [(f"another film good {i}", "1") for i in range(20)]
    return datasets.load(channels(folder, training=REVIEWS, unlabeled=unlabeled), PLAIN)


def make(data: Datasets, hyperparameters: Hyperparameters) -> head_start.HeadStart:
    return head_start.make(data, hyperparameters, ALONE, Stop())


def test_there_is_none_unless_it_is_asked_for(data: Datasets) -> None:
    found = make(data, PLAIN)
    assert found.vectors is None
    assert found.targets.tolist() == data.training.labels.tolist()
    assert not PLAIN.has_head_start


def test_teacher_makes_the_unlabelled_reviews_ones_to_learn_from(data: Datasets) -> None:
    sequences, found = head_start.to_learn_from(data, TAUGHT), make(data, TAUGHT)
    assert len(sequences) == len(found.targets) == len(data.training.labels) + 20
    assert (found.targets[-20:] > 0.5).all()
    assert TAUGHT.has_head_start


def test_without_a_teacher_only_labelled_ones_are_learned_from(data: Datasets) -> None:
    assert len(head_start.to_learn_from(data, PLAIN)) == len(data.training.labels)


def test_vectors_are_of_the_unlabelled_reviews_too(data: Datasets) -> None:
    vectors = make(data, replace(PLAIN, word_vectors="word2vec")).vectors
    assert vectors is not None
    assert vectors.shape == (len(data.vocabulary), 4)
    assert vectors[data.vocabulary.ids(["another"])[0]].any()


def test_stop_ends_it(data: Datasets) -> None:
    stop = Stop()
    stop.requested = True
    with pytest.raises(Stopped):
        head_start.make(data, TAUGHT, ALONE, stop)


def test_same_reviews_give_the_same_targets(data: Datasets) -> None:
    assert np.array_equal(make(data, TAUGHT).targets, make(data, TAUGHT).targets)


def test_nothing_of_validation_is_learned_from(tmp_path: Path) -> None:
    unlabeled = [(text, "0") for text, _ in REVIEWS]
    data = datasets.load(channels(tmp_path, training=REVIEWS, unlabeled=unlabeled), TAUGHT)
    held_out = {tuple(data.held_out["validation"].sequences[i]) for i in range(5)}
    sequences = head_start.to_learn_from(data, TAUGHT)
    known = {tuple(sequences[i]) for i in range(len(sequences))}
    # Had one been read elsewhere, its film's name would be a known word on both sides.
    assert len(data.unlabeled) == len(data.training.labels)
    assert held_out.isdisjoint(known)
