"""Batches on their way to the device."""

import numpy as np
import torch

from sentiment.ngram_model.scores import NgramScores
from sentiment.text.sequences import Sequences
from sentiment.training.loader import Feed
from sentiment.training.targets import Targets

TARGETS = Targets(Sequences.of([[2, 4], [3], [2, 5, 6]]), np.array([1, 0, 0.5], np.float32))
BATCHES = [np.array([0, 1]), np.array([2])]


def test_batches_come_in_order_with_their_targets() -> None:
    first, second = Feed(TARGETS, BATCHES, torch.device("cpu"))
    assert first.ids.tolist() == [[2, 4], [3, 0]]
    assert first.lengths.tolist() == [2, 1]
    assert first.targets.tolist() == [1.0, 0.0]
    assert second.ids.tolist() == [[2, 5, 6]]
    assert second.targets.tolist() == [0.5]


def test_next_can_be_prepared_any_number_of_times() -> None:
    feed = Feed(TARGETS, BATCHES, torch.device("cpu"))
    seen = []
    for batch in feed:
        feed.prepare_next()
        feed.prepare_next()
        seen.append(len(batch.targets))
    assert seen == [2, 1]


def test_nothing_comes_of_nothing() -> None:
    assert list(Feed(TARGETS, [], torch.device("cpu"))) == []


def test_each_review_is_read_with_the_ngram_scores_of_its_part() -> None:
    weights = np.arange(14, dtype=np.float32).reshape(2, 7)
    zero = np.zeros(1, np.float32)
    ngram_scores = NgramScores(weights, np.array([0, 1, 1]), zero, zero)
    first, second = Feed(TARGETS._replace(ngram_scores=ngram_scores), BATCHES, torch.device("cpu"))
    assert first.ngram_scores.tolist() == [[2.0, 4.0], [10.0, 7.0]]
    assert second.ngram_scores.tolist() == [[9.0, 12.0, 13.0]]


def test_without_ngram_scores_none_comes() -> None:
    first, _ = Feed(TARGETS, BATCHES, torch.device("cpu"))
    assert first.ngram_scores.shape == (2, 0)
